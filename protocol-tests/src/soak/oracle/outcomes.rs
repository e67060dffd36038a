//! Every record has one outcome, in time, and it is true.

use milena_sender::Guarantee;

use super::{Books, copies};
use crate::soak::ledger::{Cut, Entry, Place, Word};

pub(super) fn check(books: &Books, wrong: &mut Vec<String>) {
    let mut copies = copies(books);
    for (id, entry) in (0..).zip(&books.ledger.entries) {
        let here = copies.remove(&id).unwrap_or_default();
        let record = Record { books, id, entry, here: &here };
        record.check_copies(wrong);
        match entry.word {
            Some((word, at, _)) => {
                if at > entry.at + books.limit {
                    wrong.push(format!(
                        "LATE: record {id} was enqueued at {:?} and has its outcome at {at:?}",
                        entry.at
                    ));
                }
                record.check_word(word, wrong);
            }
            None if entry.dropped => {}
            None => wrong.push(format!("OPEN: record {id} has no outcome")),
        }
    }
    for (id, here) in copies {
        wrong.push(format!("STRANGER: record {id} at {here:?} was never enqueued"));
    }
}

struct Record<'a> {
    books: &'a Books,
    id: u64,
    entry: &'a Entry,
    here: &'a [(&'a Place, i64)],
}

impl Record<'_> {
    fn place(&self) -> Option<Place> {
        Some((self.entry.topic.clone(), self.entry.partition?))
    }

    /// What changes of leader cut off of this record.
    fn cuts(&self) -> &[Cut] {
        let cuts = self.place().and_then(|place| self.books.ledger.truncated.get(&place)?.get(&self.id));
        cuts.map_or(&[], Vec::as_slice)
    }

    /// Whether the very copy that was told of was cut off, in a way that the guarantee does not cover.
    fn is_excused(&self, told: Option<i64>) -> bool {
        // What all replicas had in sync survives every clean change of leader.
        let all =
            matches!(self.books.guarantee, Guarantee::ExactlyOnce | Guarantee::AtLeastOnce { all_replicas: true });
        let is_it = |cut: &&Cut| told.is_none_or(|offset| offset == cut.offset);
        self.cuts().iter().filter(is_it).any(|cut| cut.unclean || !all)
    }

    /// Not more than once, and nowhere else.
    fn check_copies(&self, wrong: &mut Vec<String>) {
        let (id, entry, here) = (self.id, self.entry, self.here);
        let forgetful = here.iter().any(|(place, _)| self.books.ledger.forgetful.contains(*place));
        let may_repeat = matches!(self.books.guarantee, Guarantee::AtLeastOnce { .. }) || forgetful;
        if here.len() > 1 && !may_repeat {
            wrong.push(format!("DUPLICATE: record {id}, said {:?}, is at {here:?}", entry.word));
        }
        let elsewhere = |there: &Place| there.0 != entry.topic || entry.partition.is_some_and(|p| p != there.1);
        if let Some((there, _)) = here.iter().find(|(there, _)| elsewhere(there)) {
            wrong.push(format!("PLACE: record {id} for {}-{:?} is in {there:?}", entry.topic, entry.partition));
        }
    }

    fn check_word(&self, word: Word, wrong: &mut Vec<String>) {
        let (id, here, guarantee) = (self.id, self.here, self.books.guarantee);
        match word {
            Word::Delivered(_) if guarantee == Guarantee::AtMostOnce => {
                wrong.push(format!("ACKS: record {id} is said to be delivered, and no acknowledgement was asked for"));
            }
            Word::Delivered(told) if here.is_empty() && !self.is_excused(told) => {
                let (place, cuts) = (self.place(), self.cuts());
                wrong.push(format!("LOST: record {id}, said {word:?} of {place:?} (truncated: {cuts:?})"));
            }
            Word::Delivered(Some(told)) if here.iter().all(|(_, at)| *at != told) && !self.is_excused(Some(told)) => {
                wrong.push(format!("OFFSET: record {id}, said {word:?}, is at {here:?}"));
            }
            Word::NotWritten if !here.is_empty() => {
                wrong.push(format!("LIE: record {id}, said {:?}, is at {here:?}", self.entry.word));
            }
            Word::Unacknowledged if guarantee != Guarantee::AtMostOnce => {
                wrong.push(format!("ACKS: record {id} is unacknowledged, and acknowledgements were asked for"));
            }
            _ => {}
        }
    }
}
