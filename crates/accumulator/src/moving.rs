//! Records that waited for their topic on their way to their partitions: in order, and as old as the first that waited with them.

use std::borrow::Cow;
use std::sync::Arc;

use milena_mutants::Mutant;
use milena_wire::{BatchError, HeaderRef, HeaderView, RecordParts, RecordTimes, RecordView, Records, Timestamp};
use smallvec::SmallVec;

use crate::append::{Claim, Entry, Payer};
use crate::cell::{BatchCell, Home, Piece, Status};
use crate::chunk::Chunk;
use crate::core::Core;
use crate::hooks::Tagged;
use crate::open::{OpenBatch, forced_chunk};
use crate::story::Story;
use crate::topic::Topic;
use crate::waiting::WaitingBatch;
use crate::{At, ClosedBatch, Failure, FailureKind, Fate, Outcome, Pace, RecordRef, Refused, Urgency};

/// The claim of a record that is moved to a partition: its handle, if there is one, is told where it went.
#[derive(Clone, Copy)]
struct Moved {
    token: Option<u64>,
}

impl Claim for Moved {
    type Handle = (Arc<BatchCell>, u32);
    type Promise = (Arc<BatchCell>, u32);

    fn token(self) -> Option<u64> {
        self.token
    }

    fn promise(self, story: &mut Story, index: u32, _: usize) -> Self::Promise {
        (Arc::clone(story.cell()), index)
    }

    fn handle(self, promise: Self::Promise, _: &RecordRef<'_>, _: i64) -> Self::Handle {
        promise
    }
}

/// What the records of a batch have in common.
#[derive(Clone, Copy)]
struct Common<'a> {
    home: &'a Arc<Home>,
    created: Timestamp,
    urgency: Urgency,
}

impl WaitingBatch {
    /// Puts the records where they belong, now that `topic` has partitions; how many belong nowhere and have failed.
    pub(crate) fn move_to(self, topic: &Topic) -> usize {
        let core = &topic.core;
        let home = Arc::clone(self.batch.story.home());
        if home.partition.is_some()
            && let Err(refused) = topic.choose(home.partition, &RecordParts::default())
        {
            return self.fail(core, failure_of(&home, &refused));
        }
        let urgency = if self.batch.urgent { Urgency::Now } else { Urgency::Linger };
        let (Some(batch), _counted) = self.close(core) else { return 0 };
        let ClosedBatch { story, chunks, count, base_timestamp, created, .. } = batch;
        let bytes = joined(&chunks);
        let records = Records::over(&*bytes, count.as_usize(), RecordTimes::created_from(base_timestamp));
        let mut records = match records.iter().collect::<Result<Vec<_>, _>>() {
            Ok(records) => records,
            Err(error) => {
                story.settle(Outcome::Failed(unreadable(&home, &error)), ());
                return count.as_usize();
            }
        };
        if Mutant::WaitingTurnRound.lives() {
            records.reverse();
        }
        let common = Common { home: &home, created, urgency };
        let mut pieces: Vec<Piece> = Vec::new();
        let mut strays: Vec<Strays> = Vec::new();
        let mut tagged = story.tokens.iter().peekable();
        for (index, record) in (0u32..).zip(&records) {
            let token = tagged.next_if(|tag| tag.index == index).map(|tag| tag.token);
            let (cell, at) = topic.take_in(common, record, token).unwrap_or_else(|reason| {
                // Those that follow each other: whoever keeps them keeps them in order.
                let last = strays.pop_if(|last| last.reason == reason);
                let mut strayed = last.unwrap_or_else(|| Strays::new(core, common, record, reason));
                let place = strayed.put(core, record, token);
                strays.push(strayed);
                place
            });
            let goes_on = |last: &Piece| Arc::ptr_eq(&last.cell, &cell) && last.at + (index - last.first) == at;
            if !pieces.last().is_some_and(goes_on) {
                pieces.push(Piece { first: index, cell, at });
            }
        }
        drop(tagged);
        hand_on(story, pieces, topic);
        strays.into_iter().map(|strays| strays.fail(core, &home)).sum()
    }
}

impl Topic {
    /// Puts a record where it belongs.
    fn take_in(
        &self,
        common: Common<'_>,
        record: &RecordView<'_>,
        token: Option<u64>,
    ) -> Result<(Arc<BatchCell>, u32), Refused> {
        let Common { home, created, urgency } = common;
        let headers: SmallVec<[HeaderRef<'_>; 8]> = record.headers().map(header_of).collect();
        let parts = RecordParts { key: record.key, value: record.value, headers: &headers };
        let (timestamp_ms, partition) = (record.timestamp, home.partition);
        let target = self.choose(partition, &parts)?;
        let record =
            RecordRef { topic: self.name.as_str(), partition, parts, timestamp_ms: Some(timestamp_ms), shared: None };
        let clock = &At { now: created, wall_ms: timestamp_ms };
        let entry = Entry { record: &record, timestamp_ms, clock, urgency, pace: Pace::Any };
        self.put(target, &entry, &mut Payer::Forced, Moved { token })
    }
}

/// The handles follow to where the records are now.
fn hand_on(story: Story, pieces: Vec<Piece>, topic: &Topic) {
    let firsts: Vec<u32> = pieces.iter().map(|piece| piece.first).collect();
    let (old, _) = story.end();
    old.forward(pieces);
    if !old.is_hurried() {
        return;
    }
    for first in firsts {
        if let Status::Moved(cell, _) = old.status(first)
            && let Some(queue) = cell.home().partition.and_then(|partition| topic.queue_of(partition))
        {
            queue.hurry(cell);
        }
    }
}

/// Records that belong nowhere, for one reason.
struct Strays {
    batch: OpenBatch,
    reason: Refused,
}

impl Strays {
    /// None yet, with room for `first`.
    fn new(core: &Core, common: Common<'_>, first: &RecordView<'_>, reason: Refused) -> Self {
        let total = first.size_at(0, 0).total;
        let chunk = forced_chunk(core, total, total);
        Self { batch: OpenBatch::new(Arc::clone(common.home), chunk, common.created, first.timestamp), reason }
    }

    fn put(&mut self, core: &Core, record: &RecordView<'_>, token: Option<u64>) -> (Arc<BatchCell>, u32) {
        let index = self.batch.put_again(core, core.config.batch_size, record).index;
        let story = &mut self.batch.story;
        if let Some(token) = token {
            story.tokens.push(&core.memory, Tagged { token, timestamp_ms: record.timestamp, index });
        }
        (Arc::clone(story.cell()), index)
    }

    fn fail(self, core: &Arc<Core>, home: &Home) -> usize {
        let failure = failure_of(home, &self.reason);
        self.batch.close(core).map_or(0, |batch| {
            let records = batch.count.as_usize();
            batch.fail(failure, false);
            records
        })
    }
}

fn header_of<'a>(header: HeaderView<'a>) -> HeaderRef<'a> {
    HeaderRef { key: str::from_utf8(header.key).expect("it was written from a str"), value: header.value }
}

/// What lies in the chunks, in one piece.
fn joined(chunks: &[Chunk]) -> Cow<'_, [u8]> {
    match chunks {
        [only] => Cow::Borrowed(only.as_ref()),
        all => Cow::Owned(all.iter().map(AsRef::as_ref).collect::<Vec<_>>().concat()),
    }
}

fn failure_of(home: &Home, refused: &Refused) -> Arc<Failure> {
    let kind = match refused {
        Refused::NoSuchPartition { .. } => FailureKind::NoSuchPartition,
        Refused::Partitioner { .. } => FailureKind::Partitioner,
        Refused::RecordTooLarge { .. } => FailureKind::RecordTooLarge,
        _ => FailureKind::Closed,
    };
    failure(home, kind, refused.to_string())
}

/// Nobody but this process has written it.
fn unreadable(home: &Home, error: &BatchError) -> Arc<Failure> {
    failure(home, FailureKind::Encode, format!("records that waited for their topic do not read back: {error}"))
}

fn failure(home: &Home, kind: FailureKind, message: String) -> Arc<Failure> {
    let mut failure = Failure::new(kind, Fate::NotWritten, home.topic.clone(), home.partition);
    failure.message = Some(message);
    Arc::new(failure)
}
