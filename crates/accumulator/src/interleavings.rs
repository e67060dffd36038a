//! What must hold however threads interleave, tried on thousands of schedules. See `sync.rs` for how to run this.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use milena_wire::{PartitionId, TopicName};
use shuttle::future::block_on;
use shuttle::thread;

use crate::cell::{BatchCell, Home, Piece};
use crate::{
    Accumulator, AccumulatorConfig, At, BatchReport, Failure, FailureKind, Fate, Hooks, Outcome, RecordRef, Take,
    TopicShape, Urgency,
};

const SCHEDULES: usize = 10_000;
const TOPIC: &str = "letters";

#[derive(Default)]
struct Heard {
    unobserved: AtomicUsize,
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

    fn report(&self, _: BatchReport) {}

    fn unobserved(&self, _: &Arc<Failure>, records: u32) {
        self.unobserved.fetch_add(records as usize, Ordering::SeqCst);
    }
}

fn home(hooks: &Arc<Heard>) -> Arc<Home> {
    let hooks = Arc::clone(hooks) as Arc<dyn Hooks>;
    Arc::new(Home { topic: TopicName::new(TOPIC), partition: Some(PartitionId(0)), hooks })
}

fn failed() -> Outcome {
    let failure = Failure::new(FailureKind::Broker, Fate::NotWritten, TopicName::new(TOPIC), None);
    Outcome::Failed(Arc::new(failure))
}

#[test]
fn a_drop_that_races_with_a_failure_is_counted_once() {
    let check = || {
        let heard = Arc::new(Heard::default());
        let cell = BatchCell::new(home(&heard));
        // 0 and 1 in order, 3 beside the run.
        let droppers: Vec<_> = [vec![0, 1], vec![3]]
            .into_iter()
            .map(|indices| {
                let cell = Arc::clone(&cell);
                thread::spawn(move || indices.into_iter().for_each(|index| cell.abandon(index)))
            })
            .collect();
        cell.settle(failed());
        droppers.into_iter().for_each(|dropper| dropper.join().unwrap());
        assert_eq!(heard.unobserved.load(Ordering::SeqCst), 3);
    };
    shuttle::check_random(check, SCHEDULES);
}

#[test]
fn a_drop_that_races_with_a_split_is_counted_once() {
    let check = || {
        let heard = Arc::new(Heard::default());
        let [cell, left, right] = [(); 3].map(|()| BatchCell::new(home(&heard)));
        let dropper = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || [1, 0].into_iter().for_each(|index| cell.abandon(index)))
        };
        cell.forward(vec![
            Piece { first: 0, cell: Arc::clone(&left), at: 0 },
            Piece { first: 1, cell: Arc::clone(&right), at: 0 },
        ]);
        left.settle(failed());
        right.settle(failed());
        dropper.join().unwrap();
        assert_eq!(heard.unobserved.load(Ordering::SeqCst), 2);
    };
    shuttle::check_random(check, SCHEDULES);
}

fn accumulator(buffer_memory: usize) -> (Accumulator, Arc<Heard>) {
    let heard = Arc::new(Heard::default());
    let config = AccumulatorConfig { buffer_memory, batch_size: 100, ..AccumulatorConfig::default() };
    let accumulator = Accumulator::new(config, 1, Arc::clone(&heard) as Arc<dyn Hooks>);
    let shape = TopicShape { partitions: 2, with_leader: Vec::new() };
    accumulator.set_topic(at(), &TopicName::new(TOPIC), &shape);
    (accumulator, heard)
}

fn at() -> At {
    At { now: milena_wire::Timestamp::ZERO, wall_ms: 0 }
}

fn record(partition: i32) -> RecordRef<'static> {
    let parts = milena_wire::RecordParts { key: None, value: Some(&[7; 20]), headers: &[] };
    RecordRef { topic: TOPIC, partition: Some(PartitionId(partition)), parts, timestamp_ms: None }
}

/// Deadlocks, which shuttle finds, if a wake-up of the sender or of a waiting task is ever lost.
#[test]
fn every_record_is_sent_and_every_waiting_task_woken() {
    const EACH: usize = 2;
    let check = || {
        let (accumulator, heard) = accumulator(1 << 20);
        let callers: Vec<_> = (0..2)
            .map(|caller| {
                let accumulator = accumulator.clone();
                thread::spawn(move || {
                    // A partition of its own and one of both's.
                    for partition in [caller, 0] {
                        let record = record(partition);
                        let delivery = accumulator.append(at(), &record, Urgency::Linger, None).unwrap();
                        assert!(block_on(delivery).is_ok());
                    }
                })
            })
            .collect();
        let mut settled = 0;
        let mut ready = Vec::new();
        while settled < 2 * EACH {
            accumulator.take_ready(&mut ready);
            if ready.is_empty() {
                heard.bell.wait();
                continue;
            }
            for queue in ready.drain(..) {
                while let Some(batch) = queue.close_head(Take::OpenToo) {
                    settled += batch.count().as_usize();
                    batch.seal().settle(Outcome::Unacknowledged);
                }
            }
        }
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        assert_eq!(accumulator.memory().used, 0);
    };
    shuttle::check_random(check, SCHEDULES);
}

#[test]
fn an_outcome_told_while_a_task_begins_to_wait_is_not_missed() {
    let check = || {
        let (accumulator, _) = accumulator(1 << 20);
        let delivery = accumulator.append(at(), &record(0), Urgency::Linger, None).unwrap();
        let waiter = thread::spawn(move || block_on(delivery).is_ok());
        let mut ready = Vec::new();
        accumulator.take_ready(&mut ready);
        ready[0].close_head(Take::OpenToo).unwrap().settle(Outcome::Unacknowledged);
        assert!(waiter.join().unwrap());
    };
    shuttle::check_random(check, SCHEDULES);
}

#[test]
fn memory_reaches_every_waiter_though_others_give_up() {
    let check = || {
        let (accumulator, _) = accumulator(1_000);
        let waiters: Vec<_> = [900, 400, 700]
            .into_iter()
            .map(|bytes| {
                let accumulator = accumulator.clone();
                thread::spawn(move || drop(block_on(accumulator.reserve(bytes)).unwrap()))
            })
            .collect();
        let quitter = {
            let accumulator = accumulator.clone();
            thread::spawn(move || {
                let mut reserve = accumulator.reserve(800);
                let waker = std::task::Waker::noop();
                let mut context = std::task::Context::from_waker(waker);
                drop(std::future::Future::poll(std::pin::Pin::new(&mut reserve), &mut context));
                thread::yield_now();
                drop(reserve);
            })
        };
        waiters.into_iter().chain([quitter]).for_each(|waiter| waiter.join().unwrap());
        let memory = accumulator.memory();
        assert_eq!((memory.used, memory.waiting), (0, 0));
    };
    shuttle::check_random(check, SCHEDULES);
}

/// A record that tells nobody, because another's append to the same batch does, must be found all the same by whoever appended it.
#[test]
fn who_has_appended_finds_the_queue_listed_though_another_append_is_to_tell_of_it() {
    let check = || {
        let (accumulator, _) = accumulator(1 << 20);
        let other = {
            let accumulator = accumulator.clone();
            thread::spawn(move || drop(accumulator.append(at(), &record(0), Urgency::Linger, None).unwrap()))
        };
        let delivery = accumulator.append(at(), &record(0), Urgency::Linger, None).unwrap();
        // As a flush does.
        let mut ready = Vec::new();
        accumulator.take_ready(&mut ready);
        let queue = ready.pop().expect("the queue is listed");
        while let Some(batch) = queue.close_head(Take::OpenToo) {
            batch.settle(Outcome::Unacknowledged);
        }
        assert!(delivery.is_done());
        other.join().unwrap();
    };
    shuttle::check_random(check, SCHEDULES);
}

#[test]
fn who_has_appended_finds_the_unknown_topic_listed_though_another_append_is_to_tell_of_it() {
    let check = || {
        let heard = Arc::new(Heard::default());
        let accumulator = Accumulator::new(AccumulatorConfig::default(), 1, heard as Arc<dyn Hooks>);
        let other = {
            let accumulator = accumulator.clone();
            thread::spawn(move || drop(accumulator.append(at(), &record(0), Urgency::Linger, None).unwrap()))
        };
        let delivery = accumulator.append(at(), &record(0), Urgency::Linger, None).unwrap();
        let mut topics = Vec::new();
        accumulator.take_waiting_topics(&mut topics);
        assert_eq!(topics, [TopicName::new(TOPIC)]);
        drop(delivery);
        other.join().unwrap();
    };
    shuttle::check_random(check, SCHEDULES);
}
