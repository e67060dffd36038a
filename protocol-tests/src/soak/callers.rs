//! The simulated callers: they do what real threads do, one operation at a time.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use milena_accumulator::{
    At, BatchReport, Delivery, Failure, Fate, Hooks, RecordRef, Refused, Reservation, Reserve, Urgency,
};
use milena_wire::{PartitionId, RecordParts, Timestamp};

use super::ledger::{Word, value_of};
use super::network::Event;
use super::rng::Rng;
use super::world::World;

/// The stream of randomness that decides what callers want.
const WISHES: u64 = 3;

/// What the accumulator says.
#[derive(Debug, Default)]
pub(crate) struct Ears {
    woken: Mutex<bool>,
    reports: Mutex<Vec<BatchReport>>,
    unobserved: Mutex<Vec<(Arc<Failure>, u32)>>,
    /// Some caller that waits for memory was woken.
    bell: Mutex<bool>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ears {
    pub(crate) fn take_woken(&self) -> bool {
        std::mem::take(&mut *lock(&self.woken))
    }

    pub(crate) fn take_bell(&self) -> bool {
        std::mem::take(&mut *lock(&self.bell))
    }
}

impl Hooks for Ears {
    fn wake(&self) {
        *lock(&self.woken) = true;
    }

    fn report(&self, report: BatchReport) {
        lock(&self.reports).push(report);
    }

    fn unobserved(&self, failure: &Arc<Failure>, records: u32) {
        lock(&self.unobserved).push((Arc::clone(failure), records));
    }
}

impl Wake for Ears {
    fn wake(self: Arc<Self>) {
        *lock(&self.bell) = true;
    }
}

/// A record that somebody wants to send.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) topic: String,
    pub(crate) partition: Option<i32>,
    pub(crate) key: Option<String>,
    pub(crate) size: usize,
    pub(crate) urgency: Urgency,
    pub(crate) by_token: bool,
    /// Its handle is not kept.
    pub(crate) drop: bool,
}

/// Somebody who waits for memory.
#[derive(Debug)]
struct Waiting {
    wish: Wish,
    reserve: Reserve,
    until: Timestamp,
}

/// All who send.
#[derive(Debug)]
pub(crate) struct Callers {
    rng: Rng,
    deliveries: Vec<(u64, Delivery)>,
    /// Held, and never looked at.
    neglected: Vec<Delivery>,
    waiting: Vec<Waiting>,
}

impl Callers {
    pub(crate) fn new(seed: u64) -> Self {
        let rng = Rng::stream(seed, WISHES);
        Self { rng, deliveries: Vec::new(), neglected: Vec::new(), waiting: Vec::new() }
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

impl World {
    /// A burst of records.
    pub(crate) fn burst(&mut self) {
        for _ in 0..self.callers.rng.between(1, self.plan.burst_max) {
            // A stream for each record: what one draws changes no other.
            let mut rng = Rng::new(self.callers.rng.next());
            let rng = &mut rng;
            let topic = &self.plan.topics[rng.index(self.plan.topics.len())];
            let count = u64::try_from(self.partitions[&topic.name]).unwrap_or(1);
            let explicit = rng.percent(self.plan.explicit_percent);
            let partition = i32::try_from(rng.between(0, count - 1)).unwrap_or(0);
            let keyed = rng.percent(if topic.compacted { 85 } else { 40 });
            let wish = Wish {
                topic: topic.name.clone(),
                partition: explicit.then_some(partition),
                key: keyed.then(|| format!("k{}", rng.between(0, 20))),
                size: usize::try_from(rng.between(1, self.plan.value_max)).unwrap_or(1),
                urgency: if rng.percent(20) { Urgency::Now } else { Urgency::Linger },
                by_token: rng.percent(50),
                drop: rng.percent(self.plan.drop_percent),
            };
            if let Some((_, delivery)) = self.callers.deliveries.last().filter(|_| rng.percent(5)) {
                self.accumulator.hurry(delivery);
            }
            let (_, refused) = self.enqueue(&wish, None);
            if let Some(Refused::Memory { bytes }) = refused
                && rng.percent(70)
            {
                let until = self.now + rng.millis(1, self.plan.max_block_ms);
                self.say(|| format!("a caller waits for {bytes} bytes until {until:?}"));
                self.callers.waiting.push(Waiting { wish, reserve: self.accumulator.reserve(bytes), until });
                self.net.queue.push(until, Event::Patience);
                self.serve_callers();
            }
        }
        let next = self.now + self.callers.rng.millis(0, self.plan.burst_gap_ms * 2);
        self.net.queue.push(next, Event::Burst);
    }

    /// Queues a record, or is refused.
    pub(crate) fn enqueue(&mut self, wish: &Wish, memory: Option<Reservation>) -> (u64, Option<Refused>) {
        let id = self.ledger.enqueued(self.now, &wish.topic);
        let value = value_of(id, wish.size);
        let parts = RecordParts { key: wish.key.as_ref().map(String::as_bytes), value: Some(&value), headers: &[] };
        let record = RecordRef {
            topic: &wish.topic,
            partition: wish.partition.map(PartitionId),
            parts,
            timestamp_ms: None,
            shared: None,
        };
        let at = At { now: self.now, wall_ms: self.wall_ms() };
        let refused = if wish.by_token {
            self.accumulator.append_with_token(at, &record, wish.urgency, memory, id).err()
        } else {
            self.accumulator
                .append(at, &record, wish.urgency, memory)
                .map(|delivery| self.keep(id, wish, delivery))
                .err()
        };
        self.say(|| {
            let how = refused.as_ref().map_or("queued", |_| "refused");
            format!("record {id} to {}-{:?}: {how}", wish.topic, wish.partition)
        });
        if refused.is_some() {
            self.ledger.refused(id, self.now);
        }
        (id, refused)
    }

    fn keep(&mut self, id: u64, wish: &Wish, delivery: Delivery) {
        if !wish.drop {
            self.callers.deliveries.push((id, delivery));
            return;
        }
        self.ledger.dropped(id);
        // Half of them before their outcome, half after it.
        if id.is_multiple_of(2) {
            drop(delivery);
        } else {
            self.callers.neglected.push(delivery);
        }
    }

    /// Lets those who wait for memory look whether it is their turn, and those leave who have waited too long.
    pub(crate) fn serve_callers(&mut self) {
        let waker = Waker::from(Arc::clone(&self.ears));
        for mut waiting in std::mem::take(&mut self.callers.waiting) {
            match Pin::new(&mut waiting.reserve).poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(Ok(memory)) => {
                    self.summary.sights.saw("a caller got the memory it waited for");
                    let (id, refused) = self.enqueue(&waiting.wish, Some(memory));
                    if let Some(Refused::Memory { bytes }) = refused {
                        let wrong = format!("RESERVE: record {id} was given memory and lacks {bytes} bytes");
                        self.ledger.wrong.push(wrong);
                    }
                }
                Poll::Ready(Err(_)) => {
                    self.say(|| "a caller that waits for memory hears of the close".to_owned());
                    self.summary.sights.saw("a caller waited for memory at the close");
                }
                Poll::Pending if waiting.until <= self.now => {
                    self.say(|| "a caller that waits for memory gives up".to_owned());
                    self.summary.sights.saw("a caller gave up waiting for memory");
                }
                Poll::Pending => self.callers.waiting.push(waiting),
            }
        }
    }

    /// All is over: nobody holds a handle any more.
    pub(crate) fn callers_leave(&mut self) {
        self.callers.neglected.clear();
    }

    /// Hears what became of records.
    pub(crate) fn listen(&mut self) {
        if self.is_deaf() {
            return;
        }
        let mut said = 0;
        for (id, delivery) in std::mem::take(&mut self.callers.deliveries) {
            if delivery.is_done() {
                said += 1;
                self.hear(id, delivery);
            } else {
                self.callers.deliveries.push((id, delivery));
            }
        }
        for report in std::mem::take(&mut *lock(&self.ears.reports)) {
            for record in report.records() {
                said += 1;
                let offset = record.offset.map(|offset| offset.0);
                let partition = report.partition().map(|p| p.0);
                let outcome = report.outcome();
                self.say(|| format!("record {} of partition {partition:?}: {outcome:?} {offset:?}", record.token));
                self.ledger.heard(record.token, self.now, partition, outcome, offset);
            }
        }
        for (failure, records) in std::mem::take(&mut *lock(&self.ears.unobserved)) {
            self.say(|| format!("{records} records failed unobserved: {:?} {:?}", failure.fate, failure.kind));
            self.ledger.unheard(&failure, records);
        }
        if said > 0 {
            self.digest(said ^ self.now.as_nanos());
        }
    }

    fn hear(&mut self, id: u64, delivery: Delivery) {
        let (partition, word, why) = match delivery.wait() {
            Ok(receipt) if receipt.acknowledged => {
                (Some(receipt.partition.0), Word::Delivered(receipt.offset.map(|offset| offset.0)), None)
            }
            Ok(receipt) => (Some(receipt.partition.0), Word::Unacknowledged, None),
            Err(error) => {
                let failure = error.failure();
                let word = if failure.fate == Fate::NotWritten { Word::NotWritten } else { Word::MaybeWritten };
                (failure.partition.map(|p| p.0), word, Some(failure.kind))
            }
        };
        self.say(|| format!("record {id} of partition {partition:?}: {word:?} {why:?}"));
        self.ledger.said(id, self.now, partition, word, why);
    }
}
