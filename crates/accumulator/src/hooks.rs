use std::any::Any;
use std::fmt;
use std::sync::Arc;

use milena_wire::{Offset, PartitionId, TopicName};

use crate::tokens::Tokens;
use crate::{Diverted, Failure, Outcome};

/// What the accumulator tells its owner. All are called outside every lock, on whatever thread caused them.
///
/// They should return soon: the caller's thread or the I/O thread waits for them.
pub trait Hooks: Send + Sync {
    /// The sender has something to take: a partition, a topic, or the fact that somebody waits for memory.
    ///
    /// Called at most once until the next [`take_ready`](crate::Accumulator::take_ready) or
    /// [`take_waiting_topics`](crate::Accumulator::take_waiting_topics).
    fn wake(&self);

    /// A batch that holds records with tokens was settled.
    fn report(&self, report: BatchReport);

    /// `records` records failed and nobody is left to hear of it: their [`Delivery`](crate::Delivery)s were dropped unheard.
    ///
    /// Each such record is counted once, at its failure or at the drop, whichever is later.
    fn unobserved(&self, failure: &Arc<Failure>, records: u32);

    /// A batch failed, and its callers have not heard of it: whoever takes it owes them the outcome. Called in the order in which the
    /// batches of a partition fail, and only if [`divert`](crate::AccumulatorConfig::divert) is set.
    ///
    /// By default they hear of the failure.
    fn divert(&self, batch: Diverted) {
        drop(batch);
    }
}

/// The outcome of all records with tokens of one batch.
#[derive(Clone, Debug)]
pub struct BatchReport {
    pub(crate) topic: TopicName,
    pub(crate) partition: Option<PartitionId>,
    pub(crate) outcome: Outcome,
    /// Count against `buffer_memory`, as does what follows.
    pub(crate) records: Arc<Tokens>,
    /// Counts against `buffer_memory` until the last copy of the report is dropped.
    pub(crate) _memory: Arc<dyn Any + Send + Sync>,
}

/// One record with a token, in its batch; see [`Tokens`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tagged {
    pub(crate) token: u64,
    pub(crate) timestamp_ms: i64,
    pub(crate) index: u32,
}

/// What became of one record with a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reported {
    /// The token given with the record.
    pub token: u64,
    /// Its place in the log, if it was delivered and the broker told.
    pub offset: Option<Offset>,
    /// Milliseconds since 1970: the broker's if the topic uses log append time, else the record's own.
    pub timestamp_ms: i64,
}

impl BatchReport {
    /// The topic of all these records.
    #[must_use]
    pub fn topic(&self) -> &TopicName {
        &self.topic
    }

    /// The partition of all these records; none if they failed before they had one.
    #[must_use]
    pub fn partition(&self) -> Option<PartitionId> {
        self.partition
    }

    /// What became of them all.
    #[must_use]
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// The records with tokens, in the order in which they were appended.
    pub fn records(&self) -> impl ExactSizeIterator<Item = Reported> {
        self.records.iter().map(|record| Reported {
            token: record.token,
            offset: self.outcome.offset_of(record.index),
            timestamp_ms: self.outcome.timestamp_of(record.timestamp_ms),
        })
    }
}

impl fmt::Debug for dyn Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hooks")
    }
}
