use std::sync::Arc;

use milena_accumulator::{
    Accumulator, AccumulatorConfig, At, BatchReport, Delivery, Failure, Hooks, Outcome, PartitionQueue, RecordRef,
    SealedBatch, Take, TopicShape, Urgency,
};
use milena_wire::{Offset, PartitionId, Timestamp, TopicName};

use crate::Shape;

const TOPIC: &str = "letters";
const AT: At = At { now: Timestamp::ZERO, wall_ms: 1_700_000_000_000 };

/// An accumulator with one topic and nobody behind it: the caller of [`append`](Self::append) plays the sender, too.
#[derive(Debug)]
pub struct Queues {
    accumulator: Accumulator,
    ready: Vec<Arc<PartitionQueue>>,
}

struct Deaf;

impl Hooks for Deaf {
    fn wake(&self) {}
    fn report(&self, _: BatchReport) {}
    fn unobserved(&self, _: &Arc<Failure>, _: u32) {}
}

impl Queues {
    /// The topic has so many partitions; otherwise as `config` says.
    #[must_use]
    pub fn new(config: AccumulatorConfig, partitions: i32) -> Self {
        let accumulator = Accumulator::new(config, 1, Arc::new(Deaf));
        let with_leader: Vec<_> = (0..partitions).map(PartitionId).collect();
        accumulator.set_topic(AT, &TopicName::new(TOPIC), &TopicShape { partitions: with_leader.len(), with_leader });
        Self { accumulator, ready: Vec::new() }
    }

    /// A record whose outcome is heard through a handle.
    ///
    /// # Panics
    ///
    /// If the memory is full.
    #[inline]
    pub fn append(&self, shape: &Shape) -> Delivery {
        self.accumulator.append(AT, &record(shape), Urgency::Linger, None).expect("there is room")
    }

    /// A record whose outcome is heard through a token.
    ///
    /// # Panics
    ///
    /// If the memory is full.
    #[inline]
    pub fn append_with_token(&self, shape: &Shape, token: u64) {
        self.accumulator.append_with_token(AT, &record(shape), Urgency::Linger, None, token).expect("there is room");
    }

    /// Takes and seals all batches, the open ones too.
    pub fn seal_all(&mut self) -> Vec<SealedBatch> {
        let mut sealed = Vec::new();
        self.accumulator.take_ready(&mut self.ready);
        for queue in self.ready.drain(..) {
            while let Some(batch) = queue.close_head(Take::OpenToo) {
                sealed.push(batch.seal());
            }
        }
        sealed
    }

    /// Tells the records of `batches` that they were delivered.
    pub fn settle(batches: Vec<SealedBatch>) {
        for batch in batches {
            batch.settle(Outcome::Delivered { base_offset: Some(Offset(0)), log_append_time_ms: None });
        }
    }
}

#[inline]
fn record(shape: &Shape) -> RecordRef<'_> {
    RecordRef { topic: TOPIC, partition: None, parts: shape.parts(), timestamp_ms: None, shared: None }
}
