//! Flush, close and purge mean what they say.

use milena_accumulator::FailureKind;
use milena_wire::Timestamp;

use super::Books;
use crate::soak::ledger::Entry;

/// What was asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Asked {
    /// That all enqueued before be settled.
    Flush,
    /// That records be given up.
    Purge,
    /// Something about the cluster or a topic, by then.
    Question(Timestamp),
    /// That all be settled by then, and nothing more be taken.
    Close(Timestamp),
}

/// A request of a user's, and its answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Note {
    /// What was asked for.
    pub what: Asked,
    /// When.
    pub asked: Timestamp,
    /// How many records had been enqueued.
    pub enqueued: usize,
    /// When it was answered.
    pub done: Option<Timestamp>,
    /// How many records the answer says were given up.
    pub given_up: u64,
}

pub(super) fn check(books: &Books, wrong: &mut Vec<String>) {
    let mut closed = None;
    for (number, note) in (1..).zip(&books.notes) {
        let Some(done) = note.done else {
            wrong.push(format!("UNANSWERED: command {number}, {:?}", note.what));
            continue;
        };
        match note.what {
            Asked::Flush => {
                if done > note.asked + books.limit {
                    wrong.push(format!("FLUSH: command {number} of {:?} is answered at {done:?}", note.asked));
                }
                check_settled(books, "FLUSH", number, note.enqueued, done, wrong);
            }
            Asked::Purge if done > note.asked => {
                wrong.push(format!("PURGE: command {number} of {:?} is answered at {done:?}", note.asked));
            }
            Asked::Question(deadline) if done > deadline.max(note.asked) => {
                wrong.push(format!("ANSWER: command {number}, due at {deadline:?}, is answered at {done:?}"));
            }
            Asked::Purge | Asked::Question(_) => {}
            Asked::Close(deadline) => {
                if done > deadline.max(note.asked) {
                    wrong.push(format!("CLOSE: command {number}, due at {deadline:?}, is answered at {done:?}"));
                }
                check_settled(books, "CLOSE", number, note.enqueued, done, wrong);
                closed = closed.max(Some(note.given_up));
            }
        }
    }
    // Of dropped handles nobody knows why their records failed.
    if let Some(told) = closed.filter(|_| !books.ledger.entries.iter().any(|entry| entry.dropped)) {
        let is_cut_off = |entry: &&Entry| matches!(entry.word, Some((_, _, Some(FailureKind::Closed))));
        let cut_off = books.ledger.entries.iter().filter(is_cut_off).count() as u64;
        if cut_off != told {
            wrong.push(format!("CLOSE: it says that {told} records were cut off, and {cut_off} were"));
        }
    }
}

/// What was enqueued before has its outcome when the answer comes.
fn check_settled(books: &Books, what: &str, number: u64, enqueued: usize, done: Timestamp, wrong: &mut Vec<String>) {
    let open = |entry: &Entry| !entry.dropped && entry.word.is_none_or(|(_, at, _)| at > done);
    if let Some((id, entry)) = books.ledger.entries.iter().take(enqueued).enumerate().find(|(_, entry)| open(entry)) {
        let word = entry.word;
        wrong.push(format!(
            "{what}: command {number} is answered at {done:?}, before record {id} has its outcome: {word:?}"
        ));
    }
}
