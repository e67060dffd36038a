//! No storm: every second's requests are explained by something.

use std::collections::BTreeMap;

use milena_wire::Timestamp;

use super::Books;
use crate::soak::ledger::Word;

/// How often something may be tried, by the settings.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Pace {
    /// Tries a second after an error.
    pub retries: u64,
    /// Connection attempts a second to one broker.
    pub reconnects: u64,
    /// Partitions.
    pub partitions: u64,
    /// Brokers.
    pub nodes: u64,
    /// Epochs of a producer id when it is given; none without ids.
    pub epochs: u64,
}

pub(super) fn check(books: &Books, wrong: &mut Vec<String>) {
    // A record explains a request when it comes and, after an outage, when its turn has come at last.
    let (mut progress, mut failures): (BTreeMap<u64, u64>, BTreeMap<u64, u64>) = Default::default();
    let second = |at: Timestamp| at.as_nanos() / 1_000_000_000;
    for entry in &books.ledger.entries {
        let times = [Some(entry.at), entry.word.map(|(_, at, _)| at)];
        times.into_iter().flatten().for_each(|at| *progress.entry(second(at)).or_insert(0) += 1);
        // Of one whose handle was dropped nobody was told when it failed, or whether.
        let failed = match entry.word {
            Some((Word::NotWritten | Word::MaybeWritten, at, _)) => Some(at),
            None if entry.dropped => Some(entry.at),
            _ => None,
        };
        failed.into_iter().for_each(|at| *failures.entry(second(at)).or_insert(0) += 1);
    }
    let Pace { retries, reconnects, partitions, nodes, epochs } = books.pace;
    for (second, (produce, other)) in &books.rates {
        let near = |of: &BTreeMap<u64, u64>| -> u64 {
            of.range(second.saturating_sub(1)..=second + 1).map(|(_, records)| *records).sum()
        };
        let fresh = near(&progress);
        // A batch that the broker finds too large is sent, split in two and sent again: of n records that makes 2n - 1 requests.
        let produce_max = 40 + 2 * fresh + retries * 2 * partitions;
        // A batch that fails takes one of its partition's epochs, and where they are used up, another id is asked for.
        let ids = near(&failures).checked_div(epochs).unwrap_or(0);
        let other_max = 60 + 4 * retries + 2 * reconnects * nodes + ids;
        if *produce > produce_max || *other > other_max {
            wrong.push(format!(
                "STORM: {produce} Produce and {other} other requests in second {second}, at most {produce_max} and {other_max} are explained"
            ));
        }
    }
}
