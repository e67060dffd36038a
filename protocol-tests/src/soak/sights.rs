//! What runs have come across: a swarm that never reaches something shows nothing about it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use milena_accumulator::FailureKind;
use milena_broker::StoredBatch;

use super::ledger::Word;
use super::oracle::{Asked, Books};
use super::plan::Plan;

/// How often something was come across.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Sights(BTreeMap<String, u64>);

impl Sights {
    /// What any few hundred seeds must come across, beside each kind of fault, each release and each guarantee.
    pub const EXPECTED: [&str; 19] = [
        "brokers want to know who the client is",
        "a connection authenticated again",
        "a record failed for who the client is",
        "a caller got the memory it waited for",
        "a caller gave up waiting for memory",
        "a caller waited for memory at the close",
        "a request ran after its connection had ended",
        "a frame had not begun when its connection was lost",
        "a sequence passed 2^31-1",
        "a partition began a new epoch",
        "a producer id was used up",
        "a change of leader cut a log",
        "an unclean election cut a log",
        "a close cut records off",
        "a flush was answered in trouble",
        "a failure was unobserved",
        "maybe written, and written",
        "maybe written, and not written",
        "not written",
    ];

    pub(crate) fn saw(&mut self, what: &str) {
        self.saw_many(what, 1);
    }

    pub(crate) fn saw_many(&mut self, what: &str, times: u64) {
        if times > 0 {
            *self.0.entry(what.to_owned()).or_default() += times;
        }
    }

    /// How often this was come across.
    #[must_use]
    pub fn count(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    pub(crate) fn add(&mut self, other: &Self) {
        other.0.iter().for_each(|(what, times)| self.saw_many(what, *times));
    }

    /// What settings were played.
    pub(crate) fn note_plan(&mut self, plan: &Plan) {
        self.saw(&format!("Kafka {}", plan.profile));
        self.saw_many("brokers want to know who the client is", u64::from(plan.identity.is_some()));
        self.saw(&format!("{:?}", plan.sender.guarantee));
        let limit = plan.sender.in_flight_limit();
        self.saw(&if limit > 5 { "any in flight".to_owned() } else { format!("{limit} in flight") });
    }

    /// What is to be seen on a log.
    pub(crate) fn note_log(&mut self, log: &[StoredBatch]) {
        let stamps = log.iter().filter(|batch| batch.producer_id().0 >= 0);
        let mut epochs = BTreeSet::new();
        let mut last = None;
        for batch in stamps {
            let identity = (batch.producer_id(), batch.producer_epoch());
            epochs.insert(identity);
            if last.is_some_and(|(before, sequence)| before == identity && batch.base_sequence() < sequence) {
                self.saw("a sequence passed 2^31-1");
            }
            last = Some((identity, batch.base_sequence()));
        }
        let ids: BTreeSet<_> = epochs.iter().map(|(id, _)| *id).collect();
        self.saw_many("a partition began a new epoch", (epochs.len() - ids.len()) as u64);
        self.saw_many("a producer id was used up", ids.len().saturating_sub(1) as u64);
    }

    /// What the books tell.
    pub(crate) fn note_books(&mut self, books: &Books) {
        let cuts = books.ledger.truncated.values().flat_map(BTreeMap::values).flatten();
        for cut in cuts {
            self.saw(if cut.unclean { "an unclean election cut a log" } else { "a change of leader cut a log" });
        }
        for note in &books.notes {
            match note.what {
                Asked::Close(_) if note.given_up > 0 => self.saw("a close cut records off"),
                Asked::Flush if note.done > Some(note.asked) => self.saw("a flush was answered in trouble"),
                _ => {}
            }
        }
        let on_logs: BTreeSet<u64> = books.logs.values().flat_map(BTreeMap::values).copied().collect();
        for (id, entry) in (0..).zip(&books.ledger.entries) {
            if let Some((.., Some(FailureKind::Authentication))) = entry.word {
                self.saw("a record failed for who the client is");
            }
            match entry.word {
                Some((Word::MaybeWritten, ..)) if on_logs.contains(&id) => self.saw("maybe written, and written"),
                Some((Word::MaybeWritten, ..)) => self.saw("maybe written, and not written"),
                Some((Word::NotWritten, ..)) => self.saw("not written"),
                _ => {}
            }
        }
        let unobserved = books.ledger.unobserved.values().map(|(not_written, maybe)| not_written + maybe).sum();
        self.saw_many("a failure was unobserved", unobserved);
    }
}

impl fmt::Display for Sights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(what, times)| writeln!(f, "{times:>10}  {what}"))
    }
}
