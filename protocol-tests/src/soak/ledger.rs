//! What was enqueued, what was said of it, and what the cluster itself took away.

use std::collections::{BTreeMap, BTreeSet};

use milena_accumulator::{Failure, FailureKind, Fate, Outcome};
use milena_broker::StoredBatch;
use milena_wire::Timestamp;

/// Names a partition of a topic.
pub type Place = (String, i32);

/// What a record was said to have become.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Word {
    /// It is on the log, at this offset if that is known.
    Delivered(Option<i64>),
    /// Nobody knows (acks=0).
    Unacknowledged,
    /// It is not on the log and never will be.
    NotWritten,
    /// It may be on the log, at most once.
    MaybeWritten,
}

/// A record and its story.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When it was enqueued.
    pub at: Timestamp,
    /// Its topic.
    pub topic: String,
    /// The partition it was said to have gone to.
    pub partition: Option<i32>,
    /// What was said, when, and why if it failed.
    pub word: Option<(Word, Timestamp, Option<FailureKind>)>,
    /// Its handle was dropped unheard: nobody is told, and a failure counts as unobserved.
    pub dropped: bool,
}

/// What is on a partition's log at some time: the record ids, by offset.
pub type Contents = BTreeMap<i64, u64>;

/// Under which producer id each record of a log was written, by offset.
pub type Producers = BTreeMap<i64, i64>;

/// What a change of leader cut off a log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cut {
    /// Where the record lay.
    pub offset: i64,
    /// Whether the new leader was out of sync.
    pub unclean: bool,
}

/// Everything that was enqueued, said, and taken away by the cluster.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// By id, which counts in the order of enqueueing.
    pub entries: Vec<Entry>,
    /// What changes of leader cut off the logs, by record.
    pub truncated: BTreeMap<Place, BTreeMap<u64, Vec<Cut>>>,
    /// Logs of topics that were deleted.
    pub deleted: BTreeMap<Place, Vec<(Contents, Producers)>>,
    /// Partitions that forgot their producers, or lost acknowledged records: what idempotence rests on was gone.
    pub forgetful: BTreeSet<Place>,
    /// Records that failed with nobody left to hear of it: by topic, not written and maybe written.
    pub unobserved: BTreeMap<String, (u64, u64)>,
    /// What is wrong already.
    pub wrong: Vec<String>,
}

/// The value of a record: its id, and something to fill it. As long with any id, as it is offered with another after a wait for memory.
#[must_use]
pub fn value_of(id: u64, len: usize) -> Vec<u8> {
    let mut value = format!("{id:06}:").into_bytes();
    let fill = len.saturating_sub(value.len());
    value.extend((0..fill).map(|i| b'a' + u8::try_from((i as u64 * 7 + id) % 26).unwrap_or(0)));
    value
}

/// The ids on a log, by offset.
#[must_use]
pub fn contents(log: &[StoredBatch]) -> Contents {
    let mut found = Contents::new();
    for batch in log {
        for record in batch.records().unwrap_or_default() {
            let value = record.value.unwrap_or_default();
            let id = std::str::from_utf8(&value).ok().and_then(|text| text.split(':').next()?.parse().ok());
            let whole = id.filter(|id| value_of(*id, value.len()) == value);
            found.insert(record.offset.0, whole.unwrap_or(u64::MAX));
        }
    }
    found
}

/// The producer ids on a log, by offset.
#[must_use]
pub fn producers(log: &[StoredBatch]) -> Producers {
    let batches = log.iter().map(|batch| (batch.header().producer_id.0, batch.records().unwrap_or_default()));
    batches.flat_map(|(id, records)| records.into_iter().map(move |record| (record.offset.0, id))).collect()
}

impl Ledger {
    /// The entry of a record.
    #[must_use]
    pub fn entry(&self, id: u64) -> Option<&Entry> {
        self.entries.get(usize::try_from(id).ok()?)
    }

    fn entry_mut(&mut self, id: u64) -> Option<&mut Entry> {
        self.entries.get_mut(usize::try_from(id).ok()?)
    }

    /// Notes a record; its id.
    pub fn enqueued(&mut self, at: Timestamp, topic: &str) -> u64 {
        self.entries.push(Entry { at, topic: topic.to_owned(), partition: None, word: None, dropped: false });
        self.entries.len() as u64 - 1
    }

    /// The record was not taken after all.
    pub fn refused(&mut self, id: u64, at: Timestamp) {
        self.said(id, at, None, Word::NotWritten, None);
    }

    /// Nobody will be told of the record.
    pub fn dropped(&mut self, id: u64) {
        if let Some(entry) = self.entry_mut(id) {
            entry.dropped = true;
        }
    }

    /// Notes what was said of a record.
    pub fn said(&mut self, id: u64, at: Timestamp, partition: Option<i32>, word: Word, why: Option<FailureKind>) {
        let Some(entry) = self.entry_mut(id) else { return };
        let before = entry.word.map(|(before, ..)| before);
        entry.partition = partition;
        entry.word = Some((word, at, why));
        if let Some(before) = before {
            self.wrong.push(format!("TWICE: record {id} has two outcomes: {before:?}, then {word:?}"));
        }
    }

    /// Notes an outcome of the accumulator's.
    pub fn heard(&mut self, id: u64, at: Timestamp, partition: Option<i32>, outcome: &Outcome, offset: Option<i64>) {
        let (word, why) = match outcome {
            Outcome::Delivered { .. } => (Word::Delivered(offset), None),
            Outcome::Unacknowledged => (Word::Unacknowledged, None),
            Outcome::Failed(failure) if failure.fate == Fate::NotWritten => (Word::NotWritten, Some(failure.kind)),
            Outcome::Failed(failure) => (Word::MaybeWritten, Some(failure.kind)),
            other => {
                self.wrong.push(format!("OUTCOME: record {id} has one that nobody knows: {other:?}"));
                return;
            }
        };
        self.said(id, at, partition, word, why);
    }

    /// Failed records that nobody heard of.
    pub fn unheard(&mut self, failure: &Failure, records: u32) {
        let count = self.unobserved.entry(failure.topic.as_str().to_owned()).or_default();
        let of_fate = if failure.fate == Fate::NotWritten { &mut count.0 } else { &mut count.1 };
        *of_fate += u64::from(records);
    }

    /// A change of leader turned the log from `before` into `after`.
    pub fn led_anew(&mut self, place: &Place, before: &Contents, after: &Contents, unclean: bool) {
        let lost: Vec<_> = before.iter().filter(|(at, id)| after.get(*at) != Some(*id)).collect();
        if unclean && !lost.is_empty() {
            self.forgetful.insert(place.clone());
        }
        let truncated = self.truncated.entry(place.clone()).or_default();
        for (offset, id) in lost {
            truncated.entry(*id).or_default().push(Cut { offset: *offset, unclean });
        }
    }

    /// The topic of this log was deleted.
    pub fn deleted(&mut self, place: &Place, log: &[StoredBatch]) {
        self.deleted.entry(place.clone()).or_default().push((contents(log), producers(log)));
    }

    /// A record without an outcome that should have one by `now`.
    #[must_use]
    pub fn overdue(&self, now: Timestamp, limit: std::time::Duration) -> Option<u64> {
        let late = |entry: &(u64, &Entry)| entry.1.word.is_none() && !entry.1.dropped && entry.1.at + limit < now;
        (0..).zip(&self.entries).find(late).map(|(id, _)| id)
    }
}
