//! What a sender counts, readable from any thread. The lock is taken per batch or per answer, never per record.

mod counts;
mod histogram;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use milena_accumulator::{Accumulator, MemoryUse};
use milena_sequence::Fate;
use milena_wire::{ErrorCode, TopicName};

use crate::topics::Topic;

pub(crate) use counts::{Counts, Place};
pub use histogram::Histogram;

/// Records and their bytes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// How many records.
    pub records: u64,
    /// Bytes of the batches that hold them: uncompressed for `closed`, as on the wire for all others.
    pub bytes: u64,
}

impl Tally {
    fn add(&mut self, records: u64, bytes: u64) {
        self.records += records;
        self.bytes += bytes;
    }
}

/// How far records have come. Read at one moment, but by two locks: a batch that is closed right then may be missing or twice in `queued`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Counters {
    /// Taken from callers: those in [`closed`](Self::closed), and those still in the buffer without being closed.
    pub queued: Tally,
    /// Taken out of the buffer: in closed batches, or failed before they had one.
    pub closed: Tally,
    /// Put into a request; each attempt counts.
    pub sent: Tally,
    /// Put into a request again.
    pub retried: Tally,
    /// Acknowledged, or handed to the kernel where no acknowledgement is asked for.
    pub delivered: Tally,
    /// Failed, and not on the log.
    pub failed_not_written: Tally,
    /// Failed, and maybe on the log.
    pub failed_maybe_written: Tally,
    /// Written to the spool on disk instead of delivered; not counted as failed.
    pub spooled: Tally,
    /// Delivered out of the spool. By another producer than this one, perhaps: an earlier process may have spooled them.
    pub replayed: Tally,
}

/// All numbers at one moment. Times are in microseconds.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct MetricsSnapshot {
    /// All topics together.
    pub total: Counters,
    /// By topic.
    pub topics: BTreeMap<TopicName, Counters>,
    /// Produce requests sent.
    pub requests: u64,
    /// Produce requests that got no answer.
    pub requests_lost: u64,
    /// Produce requests sent and not over.
    pub requests_in_flight: u64,
    /// Batches sent; each attempt counts.
    pub batches: u64,
    /// Batches split because a broker found them too large.
    pub splits: u64,
    /// Batches that went uncompressed, though a codec is configured, because it failed. Those that it made no smaller do not count.
    pub codec_failures: u64,
    /// Epoch bumps: how often a partition's numbering started again.
    pub epoch_bumps: u64,
    /// Failed records whose delivery had been dropped, so that nobody heard of them but the handler.
    pub unobserved: u64,
    /// Failed records that were handed to the failure policy.
    pub dead_letters: u64,
    /// Those of them that the failure policy could not keep either.
    pub dead_letters_lost: u64,
    /// Batches that ended at their delivery deadline.
    pub expired: u64,
    /// Answers that told this client to keep quiet for a while.
    pub throttled: u64,
    /// The longest such while, in milliseconds.
    pub throttle_ms_max: u64,
    /// From a batch's creation until it is put into a request the first time.
    pub queue_time: Histogram,
    /// From a request until its answer.
    pub request_latency: Histogram,
    /// Bytes of a batch on the wire.
    pub batch_bytes: Histogram,
    /// Records of a batch.
    pub batch_records: Histogram,
    /// The buffer: its limit, bytes held, and callers that wait for room.
    pub buffer: MemoryUse,
    /// The broker's error after which the producer could not go on, if there was one.
    pub fatal: Option<ErrorCode>,
}

/// The counters of one sender.
#[derive(Debug)]
pub struct Metrics {
    accumulator: Accumulator,
    inner: Mutex<Counts>,
}

impl Metrics {
    pub(crate) fn new(accumulator: Accumulator) -> Self {
        Self { accumulator, inner: Mutex::default() }
    }

    /// All numbers, copied at one moment. Looks at every partition's queue once.
    #[must_use]
    pub fn snapshot(&self) -> MetricsSnapshot {
        let mut waiting = Vec::new();
        self.accumulator.queued(|topic, queued| waiting.push((topic.clone(), queued)));
        let mut snapshot = self.lock().snapshot();
        snapshot.total.queued = snapshot.total.closed;
        for counters in snapshot.topics.values_mut() {
            counters.queued = counters.closed;
        }
        for (topic, queued) in waiting {
            for counters in [&mut snapshot.total, snapshot.topics.entry(topic).or_default()] {
                counters.queued.add(queued.records, queued.bytes);
            }
        }
        snapshot.buffer = self.accumulator.memory();
        snapshot
    }

    /// The error after which the producer could not go on: why it takes no more records.
    #[must_use]
    pub fn fatal(&self) -> Option<ErrorCode> {
        self.lock().numbers.fatal
    }

    /// Failed records by topic: not written, and maybe written.
    pub(crate) fn failed_by_topic(&self) -> BTreeMap<TopicName, (u64, u64)> {
        let failed = |c: &Counters| (c.failed_not_written.records, c.failed_maybe_written.records);
        self.lock().topics().map(|(topic, counters)| (topic.clone(), failed(counters))).collect()
    }

    /// Failed records whose delivery had been dropped.
    pub fn unobserved(&self, records: u64) {
        self.update(|m| m.numbers.unobserved += records);
    }

    /// Failed records that were handed to the failure policy.
    pub fn dead_letters(&self, records: u64) {
        self.update(|m| m.numbers.dead_letters += records);
    }

    /// Failed records that the failure policy could not keep.
    pub fn dead_letters_lost(&self, records: u64) {
        self.update(|m| m.numbers.dead_letters_lost += records);
    }

    /// Records that the spool did not take, for a sender that has one: they failed.
    pub fn not_spooled(&self, topic: &TopicName, maybe_written: bool, records: u64, bytes: u64) {
        let fate = if maybe_written { Fate::MaybeWritten } else { Fate::NotWritten };
        self.update(|m| m.failed(topic, fate, records, bytes));
    }

    /// Records that were written to the spool.
    pub fn spooled(&self, topic: &TopicName, records: u64, bytes: u64) {
        self.update(|m| {
            let place = m.place(topic);
            m.both(place, |c| c.spooled.add(records, bytes));
        });
    }

    /// Records that were delivered out of the spool.
    pub fn replayed(&self, topic: &TopicName, records: u64, bytes: u64) {
        self.update(|m| {
            let place = m.place(topic);
            m.both(place, |c| c.replayed.add(records, bytes));
        });
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // Counting cannot break a count, so a poisoned lock is as good as any.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes several numbers under one lock, those of a topic among them.
    pub(crate) fn update_topic(&self, topic: &mut Topic, change: impl FnOnce(&mut Counts, Place)) {
        let mut counts = self.lock();
        let place = topic.counters(&mut counts);
        change(&mut counts, place);
    }

    /// Changes several numbers under one lock.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.lock());
    }
}
