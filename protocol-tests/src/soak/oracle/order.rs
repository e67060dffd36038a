//! The order of a log is the order of enqueueing, as far as the guarantee goes.

use std::collections::BTreeSet;

use milena_sender::Guarantee;

use super::Books;
use crate::soak::ledger::{Contents, Place, Producers, Word};

pub(super) fn check(books: &Books, wrong: &mut Vec<String>) {
    let reliable = |place: &Place| books.ordered && !books.ledger.forgetful.contains(place);
    let none = Producers::new();
    for (place, log) in books.logs.iter().filter(|(place, _)| reliable(place)) {
        check_log(books, place, log, books.producers.get(place).unwrap_or(&none), wrong);
    }
    for (place, logs) in books.ledger.deleted.iter().filter(|(place, _)| reliable(place)) {
        logs.iter().for_each(|(log, producers)| check_log(books, place, log, producers, wrong));
    }
}

/// Whether the record at `offset` was given up as maybe written under a producer id whose epochs were used up by then, and the one at `before` was
/// written under the next: a request that is still under way is fenced off by a newer epoch of its own id, but by no other id.
fn is_beyond_fencing(books: &Books, producers: &Producers, (id, offset): (u64, i64), before: i64) -> bool {
    let given_up = books.ledger.entry(id).is_some_and(|entry| match entry.word {
        Some((word, ..)) => word == Word::MaybeWritten,
        None => entry.dropped,
    });
    given_up && producers.get(&offset) < producers.get(&before)
}

fn check_log(books: &Books, place: &Place, log: &Contents, producers: &Producers, wrong: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    let mut last: Option<(u64, i64)> = None;
    for (offset, id) in log {
        let word = books.ledger.entry(*id).and_then(|entry| entry.word);
        // Of what may be there more than once, the copy that was told of: another may run late, after a change of leader took the first.
        let told = matches!(word, Some((Word::Delivered(Some(at)), ..)) if at == *offset);
        let counts = books.guarantee == Guarantee::ExactlyOnce || told;
        if !counts || !seen.insert(*id) {
            continue;
        }
        if let Some((before, at)) = last.filter(|(before, _)| before > id) {
            if is_beyond_fencing(books, producers, (*id, *offset), at) {
                continue;
            }
            wrong.push(format!("ORDER: {place:?} has record {before} at {at} before record {id} at {offset}"));
        }
        last = Some((*id, *offset));
    }
}
