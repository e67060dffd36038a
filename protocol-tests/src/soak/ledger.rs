//! What each record was said to have become, held against what the logs hold.

use std::collections::{BTreeMap, BTreeSet};

use milena_accumulator::{FailureKind, Fate, Outcome};
use milena_broker::StoredBatch;
use milena_sender::Guarantee;
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
}

/// What is on a partition's log at some time: the record ids, by offset.
pub type Contents = BTreeMap<i64, u64>;

/// Everything that was enqueued, said, and taken away by the cluster.
#[derive(Debug, Default)]
pub struct Ledger {
    /// By id, which counts in the order of enqueueing.
    pub entries: Vec<Entry>,
    /// What a change of leader cut off the log, and whether the new leader was out of sync.
    truncated: BTreeMap<Place, BTreeMap<u64, bool>>,
    /// Logs of topics that were deleted.
    deleted: BTreeMap<Place, Vec<Contents>>,
    /// Partitions that forgot their producers, or lost acknowledged records: what idempotence rests on was gone.
    pub forgetful: BTreeSet<Place>,
    /// What is wrong already.
    wrong: Vec<String>,
}

/// The value of a record: its id, and something to fill it.
#[must_use]
pub fn value_of(id: u64, len: usize) -> Vec<u8> {
    let mut value = format!("{id}:").into_bytes();
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
            found.insert(record.offset.0, id.unwrap_or(u64::MAX));
        }
    }
    found
}

impl Ledger {
    /// Notes a record; its id.
    pub fn enqueued(&mut self, at: Timestamp, topic: &str) -> u64 {
        self.entries.push(Entry { at, topic: topic.to_owned(), partition: None, word: None });
        self.entries.len() as u64 - 1
    }

    /// The record was not taken after all.
    pub fn refused(&mut self, id: u64, at: Timestamp) {
        self.said(id, at, None, Word::NotWritten, None);
    }

    /// Notes what was said of a record.
    pub fn said(&mut self, id: u64, at: Timestamp, partition: Option<i32>, word: Word, why: Option<FailureKind>) {
        let Some(entry) = usize::try_from(id).ok().and_then(|id| self.entries.get_mut(id)) else { return };
        if let Some((before, ..)) = entry.word {
            self.wrong.push(format!("record {id} has two outcomes: {before:?}, then {word:?}"));
        }
        entry.partition = partition;
        entry.word = Some((word, at, why));
    }

    /// Notes an outcome of the accumulator's.
    pub fn heard(&mut self, id: u64, at: Timestamp, partition: Option<i32>, outcome: &Outcome, offset: Option<i64>) {
        let (word, why) = match outcome {
            Outcome::Delivered { .. } => (Word::Delivered(offset), None),
            Outcome::Unacknowledged => (Word::Unacknowledged, None),
            Outcome::Failed(failure) if failure.fate == Fate::NotWritten => (Word::NotWritten, Some(failure.kind)),
            Outcome::Failed(failure) => (Word::MaybeWritten, Some(failure.kind)),
            other => {
                self.wrong.push(format!("record {id} has an outcome nobody knows: {other:?}"));
                return;
            }
        };
        self.said(id, at, partition, word, why);
    }

    /// A change of leader turned the log from `before` into `after`.
    pub fn led_anew(&mut self, place: &Place, before: &Contents, after: &Contents, unclean: bool) {
        let lost: Vec<u64> = before.iter().filter(|(at, id)| after.get(*at) != Some(*id)).map(|(_, id)| *id).collect();
        if unclean && !lost.is_empty() {
            self.forgetful.insert(place.clone());
        }
        let truncated = self.truncated.entry(place.clone()).or_default();
        for id in lost {
            *truncated.entry(id).or_insert(false) |= unclean;
        }
    }

    /// The topic of this log was deleted.
    pub fn deleted(&mut self, place: &Place, log: Contents) {
        self.deleted.entry(place.clone()).or_default().push(log);
    }

    /// Records without an outcome that should have one by `now`.
    pub fn overdue(&self, now: Timestamp, limit: std::time::Duration) -> Option<u64> {
        let late = |entry: &(u64, &Entry)| entry.1.word.is_none() && entry.1.at + limit < now;
        (0..).zip(&self.entries).find(late).map(|(id, _)| id)
    }

    /// Everything that is wrong, given what the logs hold in the end. `ordered`: the settings promise order.
    #[must_use]
    pub fn audit(&self, guarantee: Guarantee, ordered: bool, logs: &BTreeMap<Place, Contents>) -> Vec<String> {
        let mut wrong = self.wrong.clone();
        let mut copies: BTreeMap<u64, Vec<(Place, i64)>> = BTreeMap::new();
        for (place, log) in
            logs.iter().chain(self.deleted.iter().flat_map(|(p, logs)| logs.iter().map(move |l| (p, l))))
        {
            for (offset, id) in log {
                copies.entry(*id).or_default().push((place.clone(), *offset));
            }
        }
        for (id, entry) in (0..).zip(&self.entries) {
            let here = copies.remove(&id).unwrap_or_default();
            let Some((word, ..)) = entry.word else {
                wrong.push(format!("record {id} has no outcome"));
                continue;
            };
            let place = entry.partition.map(|partition| (entry.topic.clone(), partition));
            self.audit_one(guarantee, id, entry, word, place.as_ref(), &here, &mut wrong);
        }
        for (id, here) in copies {
            wrong.push(format!("record {id} at {here:?} was never enqueued"));
        }
        for (place, log) in logs.iter().filter(|_| ordered) {
            self.audit_order(guarantee, place, log, &mut wrong);
        }
        wrong
    }

    #[expect(clippy::too_many_arguments, reason = "it is the body of one loop")]
    fn audit_one(
        &self,
        guarantee: Guarantee,
        id: u64,
        entry: &Entry,
        word: Word,
        place: Option<&Place>,
        here: &[(Place, i64)],
        wrong: &mut Vec<String>,
    ) {
        let forgetful = place.is_some_and(|place| self.forgetful.contains(place));
        let lost = place.and_then(|place| self.truncated.get(place)?.get(&id).copied());
        // What all replicas had in sync survives every clean change of leader.
        let excused = match guarantee {
            Guarantee::ExactlyOnce | Guarantee::AtLeastOnce { all_replicas: true } => lost == Some(true),
            _ => lost.is_some(),
        };
        let may_repeat = matches!(guarantee, Guarantee::AtLeastOnce { .. }) || forgetful;
        if here.len() > 1 && !may_repeat {
            wrong.push(format!("DUPLICATE: record {id}, said {word:?}, is at {here:?}"));
        }
        if let Some((there, _)) =
            here.iter().find(|(there, _)| there.0 != entry.topic || place.is_some_and(|p| p != there))
        {
            wrong.push(format!("record {id} for {}-{:?} is in {there:?}", entry.topic, entry.partition));
        }
        match word {
            Word::Delivered(_) if here.is_empty() && !excused => {
                wrong.push(format!("LOST: record {id}, said {word:?} of {place:?} (truncated: {lost:?})"));
            }
            Word::Delivered(Some(offset)) if !excused && here.iter().all(|(_, at)| *at != offset) => {
                wrong.push(format!("record {id}, said {word:?}, is at {here:?}"));
            }
            Word::Delivered(None) if !here.is_empty() || excused => {}
            Word::NotWritten if !here.is_empty() => {
                wrong.push(format!("LIE: record {id}, said {word:?} ({:?}), is at {here:?}", entry.word));
            }
            Word::Unacknowledged if guarantee != Guarantee::AtMostOnce => {
                wrong.push(format!("record {id} is unacknowledged, and acks were asked for"));
            }
            _ => {}
        }
    }

    /// The log's order is the order of enqueueing, as far as the guarantee goes.
    fn audit_order(&self, guarantee: Guarantee, place: &Place, log: &Contents, wrong: &mut Vec<String>) {
        if self.forgetful.contains(place) {
            return;
        }
        let mut seen = BTreeSet::new();
        let mut last: Option<(u64, i64)> = None;
        for (offset, id) in log {
            let word = usize::try_from(*id).ok().and_then(|id| self.entries.get(id)).and_then(|entry| entry.word);
            // Of what may be there more than once, the copy that was told of: another may run late, after a change of leader took the first.
            let told = matches!(word, Some((Word::Delivered(Some(at)), ..)) if at == *offset);
            let counts = guarantee == Guarantee::ExactlyOnce || told;
            if !counts || !seen.insert(*id) {
                continue;
            }
            if let Some((before, at)) = last.filter(|(before, _)| before > id) {
                wrong.push(format!("ORDER: {place:?} has record {before} at {at} before record {id} at {offset}"));
            }
            last = Some((*id, *offset));
        }
    }
}
