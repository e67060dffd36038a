//! What must hold however threads interleave, tried on thousands of schedules: `just shuttle`.
//!
//! A lost wake-up is a deadlock here, which shuttle finds. The sender is a thread that does with the accumulator what the real one does.

mod behind;
mod deliveries;
mod diversion;
mod ends;
mod memory;
mod queues;
mod topics;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use milena_wire::{PartitionId, TopicName};

use crate::cell::Home;
use crate::{
    Accumulator, AccumulatorConfig, At, BatchReport, Diverted, Failure, FailureKind, Fate, Hooks, Outcome,
    PartitionQueue, RecordRef, Take, TopicShape,
};

const SCHEDULES: usize = 5_000;
const TOPIC: &str = "letters";

/// Tries schedules drawn at random, and as many with few changes of thread at unlikely places (PCT), which finds other bugs.
fn explore(check: impl Fn() + Copy + Send + Sync + 'static) {
    shuttle::check_random(check, SCHEDULES);
    shuttle::check_pct(check, SCHEDULES, 3);
}

/// What the accumulator told its owner.
#[derive(Default)]
struct Heard {
    unobserved: AtomicUsize,
    /// Tokens, in the order of the reports.
    reported: std::sync::Mutex<Vec<u64>>,
    diverted: shuttle::sync::Mutex<Vec<Diverted>>,
    bell: Bell,
}

/// A wake-up that is remembered until it is waited for.
#[derive(Default)]
struct Bell {
    rung: shuttle::sync::Mutex<bool>,
    changed: shuttle::sync::Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.changed.notify_one();
    }

    fn wait(&self) {
        let rung = self.rung.lock().unwrap();
        let mut rung = self.changed.wait_while(rung, |rung| !*rung).unwrap();
        *rung = false;
    }
}

impl Hooks for Heard {
    fn wake(&self) {
        self.bell.ring();
    }

    fn report(&self, report: BatchReport) {
        self.reported.lock().unwrap().extend(report.records().map(|record| record.token));
    }

    fn unobserved(&self, _: &Arc<Failure>, records: u32) {
        self.unobserved.fetch_add(records as usize, Ordering::SeqCst);
    }

    fn divert(&self, batch: Diverted) {
        self.diverted.lock().unwrap().push(batch);
        self.bell.ring();
    }
}

impl Heard {
    fn unobserved(&self) -> usize {
        self.unobserved.load(Ordering::SeqCst)
    }

    fn reported(&self) -> Vec<u64> {
        self.reported.lock().unwrap().clone()
    }
}

fn home(hooks: &Arc<Heard>) -> Arc<Home> {
    let hooks = Arc::clone(hooks) as Arc<dyn Hooks>;
    Home::new(&TopicName::new(TOPIC), Some(PartitionId(0)), &hooks)
}

fn failure(fate: Fate) -> Failure {
    Failure::new(FailureKind::Broker, fate, TopicName::new(TOPIC), None)
}

fn failed() -> Outcome {
    Outcome::Failed(Arc::new(failure(Fate::NotWritten)))
}

/// One that knows nothing of the topic yet. Its batches hold two records or three.
fn ignorant(buffer_memory: usize, divert: bool) -> (Accumulator, Arc<Heard>) {
    let heard = Arc::new(Heard::default());
    let config = AccumulatorConfig { buffer_memory, batch_size: 150, divert, ..AccumulatorConfig::default() };
    (Accumulator::new(config, 1, Arc::clone(&heard) as Arc<dyn Hooks>), heard)
}

fn accumulator(buffer_memory: usize) -> (Accumulator, Arc<Heard>) {
    let (accumulator, heard) = ignorant(buffer_memory, false);
    describe(&accumulator);
    (accumulator, heard)
}

fn describe(accumulator: &Accumulator) {
    let shape = TopicShape { partitions: 2, with_leader: Vec::new() };
    assert_eq!(accumulator.set_topic(at(), &TopicName::new(TOPIC), &shape), 0);
}

fn at() -> At {
    At { now: milena_wire::Timestamp::ZERO, wall_ms: 0 }
}

fn record(partition: i32) -> RecordRef<'static> {
    let parts = milena_wire::RecordParts { key: None, value: Some(&[7; 20]), headers: &[] };
    RecordRef { topic: TOPIC, partition: Some(PartitionId(partition)), parts, timestamp_ms: None, shared: None }
}

/// The tokens of a caller that has so many records.
fn tokens_of(caller: u32, each: u32) -> std::ops::Range<u64> {
    u64::from(caller * each)..u64::from((caller + 1) * each)
}

/// Looks at the queues that are ready, and sleeps when there are none, until `each` says that it is enough.
fn attend(accumulator: &Accumulator, heard: &Heard, mut each: impl FnMut(&Arc<PartitionQueue>) -> bool) {
    let mut ready = Vec::new();
    loop {
        accumulator.take_ready(&mut ready);
        if ready.is_empty() {
            heard.bell.wait();
            continue;
        }
        for queue in ready.drain(..) {
            if each(&queue) {
                return;
            }
        }
    }
}

/// Settles all that a queue holds; how many records that were.
fn deliver(queue: &PartitionQueue) -> usize {
    let mut settled = 0;
    while let Some(batch) = queue.close_head(Take::OpenToo) {
        settled += batch.count().as_usize();
        batch.seal().settle(Outcome::Unacknowledged);
    }
    settled
}

/// Delivers until so many records are settled.
fn deliver_all(accumulator: &Accumulator, heard: &Heard, records: usize) {
    let mut settled = 0;
    attend(accumulator, heard, |queue| {
        settled += deliver(queue);
        settled >= records
    });
    assert_eq!(settled, records);
}
