//! How often the steady state asks the allocator for anything. A test binary of its own, since the counter is the process's.

use std::alloc::System;
use std::sync::Arc;

use milena_accumulator::*;
use milena_wire::{Offset, PartitionId, RecordParts, Timestamp, TopicName};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

struct Deaf;

impl Hooks for Deaf {
    fn wake(&self) {}
    fn report(&self, _: BatchReport) {}
    fn unobserved(&self, _: &Arc<Failure>, _: u32) {}
}

const AT: At = At { now: Timestamp::ZERO, wall_ms: 1_700_000_000_000 };

fn record(value: &[u8], partition: Option<PartitionId>) -> RecordRef<'_> {
    let parts = RecordParts { key: None, value: Some(value), headers: &[] };
    RecordRef { topic: "letters", partition, parts, timestamp_ms: None, shared: None }
}

fn settle_closed(accumulator: &Accumulator, ready: &mut Vec<Arc<PartitionQueue>>) -> usize {
    let mut batches = 0;
    accumulator.take_ready(ready);
    for queue in ready.drain(..) {
        while let Some(batch) = queue.close_head(Take::ClosedOnly) {
            let outcome = Outcome::Delivered { base_offset: Some(Offset(0)), log_append_time_ms: None };
            batch.seal().settle(outcome);
            batches += 1;
        }
    }
    batches
}

#[test]
fn a_record_costs_no_allocation_and_a_batch_few() {
    // One batch after the other, and the records of forty partitions in turns: more than a thread has in mind at a time.
    for (partitions, in_turns) in [(4, false), (40, true)] {
        let config = AccumulatorConfig { batch_size: 16 << 10, ..AccumulatorConfig::default() };
        let accumulator = Accumulator::new(config, 1, Arc::new(Deaf));
        let with_leader: Vec<_> = (0..partitions).map(PartitionId).collect();
        let shape = TopicShape { partitions: with_leader.len(), with_leader: with_leader.clone() };
        accumulator.set_topic(AT, &TopicName::new("letters"), &shape);
        let value = [7; 100];
        let mut ready = Vec::new();
        let window = 1_000 * with_leader.len();
        let mut deliveries = Vec::with_capacity(window);
        let mut run = |records: usize| {
            let mut batches = 0;
            for i in 0..records {
                let partition = in_turns.then(|| with_leader[i % with_leader.len()]);
                let record = record(&value, partition);
                deliveries.push(accumulator.append(AT, &record, Urgency::Linger, None).expect("there is room"));
                if deliveries.len() == window {
                    batches += settle_closed(&accumulator, &mut ready);
                    // Those of settled batches are waited for; the rest is dropped unheard.
                    deliveries.drain(..).filter(Delivery::is_done).for_each(|delivery| drop(delivery.wait()));
                }
            }
            batches
        };
        run(20 * window); // every partition's first batch is small
        let region = Region::new(ALLOCATOR);
        let batches = run(20 * window);
        let stats = region.change();
        assert!(batches > window / 10, "{batches}");
        // The cell, the list of chunks, the chunk's shared owner, the list of slices; and the lists of queues now and then.
        let per_batch = (stats.allocations + stats.reallocations) as f64 / batches as f64;
        assert!(per_batch < 5.5, "{partitions} partitions: {per_batch} allocations per batch: {stats:?}");
    }
}
