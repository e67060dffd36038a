//! The judge of a run. It reads what was told and what the brokers' logs hold, and knows nothing of the producer's inside.
//!
//! Each complaint begins with a word in capitals for the promise that was broken; the modules below hold one promise each, or a few that
//! belong together.

mod commands;
mod order;
mod outcomes;
mod policy;
mod requests;
mod unobserved;

use std::collections::BTreeMap;
use std::time::Duration;

use milena_sender::{Guarantee, RefusedIdentity};

use super::ledger::{Contents, Ledger, Place, Producers};

pub use commands::{Asked, Note};
pub use requests::Pace;

/// All that a run leaves behind to be judged.
#[derive(Clone, Debug)]
pub struct Books {
    /// What was promised.
    pub guarantee: Guarantee,
    /// Whether the settings promise that records lie in the order in which they were enqueued.
    pub ordered: bool,
    /// Longest that a record may be without an outcome.
    pub limit: Duration,
    /// What is to become of records while identity is refused; `None` if nobody asks for it.
    pub refused_identity: Option<RefusedIdentity>,
    /// What was enqueued, told, and taken away.
    pub ledger: Ledger,
    /// What the logs hold in the end.
    pub logs: BTreeMap<Place, Contents>,
    /// The producer ids under which it was written, by offset.
    pub producers: BTreeMap<Place, Producers>,
    /// What users asked for besides.
    pub notes: Vec<Note>,
    /// Bytes of memory in use when all was over.
    pub memory_used: usize,
    /// Callers that still waited for memory then.
    pub waiting: usize,
    /// Requests sent in each second: Produce, and all else.
    pub rates: BTreeMap<u64, (u64, u64)>,
    /// How many requests the settings explain.
    pub pace: Pace,
}

/// Everything that is wrong.
#[must_use]
pub fn judge(books: &Books) -> Vec<String> {
    let mut wrong = books.ledger.wrong.clone();
    outcomes::check(books, &mut wrong);
    order::check(books, &mut wrong);
    policy::check(books, &mut wrong);
    unobserved::check(books, &mut wrong);
    commands::check(books, &mut wrong);
    requests::check(books, &mut wrong);
    if books.memory_used > 0 {
        wrong.push(format!("MEMORY: {} bytes are held when all is over", books.memory_used));
    }
    if books.waiting > 0 {
        wrong.push(format!("WAITING: {} callers wait for memory when all is over", books.waiting));
    }
    wrong
}

/// All copies of each record, on the logs and on those of topics that were deleted.
fn copies(books: &Books) -> BTreeMap<u64, Vec<(&Place, i64)>> {
    let deleted = books.ledger.deleted.iter().flat_map(|(place, logs)| logs.iter().map(move |(log, _)| (place, log)));
    let mut copies: BTreeMap<u64, Vec<(&Place, i64)>> = BTreeMap::new();
    for (place, log) in books.logs.iter().chain(deleted) {
        for (offset, id) in log {
            copies.entry(*id).or_default().push((place, *offset));
        }
    }
    copies
}
