use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use crate::test_support::*;
use crate::*;

const K: usize = 1 << 10;

fn rig(memory: usize) -> Rig {
    Rig::with_partitions(AccumulatorConfig { buffer_memory: memory, ..AccumulatorConfig::default() }, 1)
}

struct Waiter {
    future: Option<Reserve>,
    bell: Arc<Bell>,
    waker: Waker,
}

impl Waiter {
    fn new(rig: &Rig, bytes: usize) -> Self {
        let (bell, waker) = Bell::new();
        Self { future: Some(rig.accumulator.reserve(bytes)), bell, waker }
    }

    fn poll(&mut self) -> Poll<Result<Reservation, Closed>> {
        let future = self.future.as_mut().expect("not cancelled");
        Pin::new(future).poll(&mut Context::from_waker(&self.waker))
    }

    fn take(&mut self) -> Reservation {
        match self.poll() {
            Poll::Ready(Ok(reservation)) => reservation,
            other => panic!("{other:?}"),
        }
    }
}

/// A line of waiters behind memory that is all taken.
fn line(rig: &Rig, wants: &[usize]) -> (Reservation, Vec<Waiter>) {
    let all = Waiter::new(rig, rig.accumulator.memory().limit).take();
    let mut waiters: Vec<_> = wants.iter().map(|bytes| Waiter::new(rig, *bytes)).collect();
    waiters.iter_mut().for_each(|waiter| assert!(waiter.poll().is_pending()));
    (all, waiters)
}

#[test]
fn memory_goes_to_waiters_in_the_order_they_came() {
    let rig = rig(4 * K);
    let (all, mut waiters) = line(&rig, &[4 * K, K, K]);
    assert_eq!(rig.accumulator.memory().waiting, 3);
    drop(all);
    assert_eq!(waiters.iter().map(|w| w.bell.rings()).collect::<Vec<_>>(), [1, 0, 0]);
    assert!(waiters[1].poll().is_pending(), "a small request does not overtake a large one");
    let first = waiters[0].take();
    drop(first);
    let rest = [waiters[1].take(), waiters[2].take()];
    assert_eq!(rig.accumulator.memory().used, 2 * K);
    drop(rest);
    assert_eq!(rig.accumulator.memory(), MemoryUse { limit: 4 * K, used: 0, waiting: 0 });
}

#[test]
fn nobody_overtakes_a_waiter_though_there_is_enough_for_him() {
    let rig = rig(64 * K);
    let most = Waiter::new(&rig, 60 * K).take();
    let mut large = Waiter::new(&rig, 32 * K);
    assert!(large.poll().is_pending());
    let refused = rig.accumulator.append(at(0), &to_partition(0, value(b"x")), Urgency::Linger, None).unwrap_err();
    assert!(matches!(refused, Refused::Memory { bytes } if bytes >= K), "{refused:?}");
    assert!(Waiter::new(&rig, 1).poll().is_pending());
    drop(most);
    let large = large.take();
    let delivery = rig.append(&to_partition(0, value(b"x")));
    drop((large, delivery));
}

#[test]
fn an_append_into_a_chunk_that_has_room_needs_no_memory() {
    let rig = rig(4 * K);
    let first = rig.append(&to_partition(0, value(b"x")));
    let rest = Waiter::new(&rig, 3 * K).take();
    let mut waiter = Waiter::new(&rig, K);
    assert!(waiter.poll().is_pending());
    let second = rig.append(&to_partition(0, value(b"y")));
    drop((rest, first, second));
}

/// Every waiter of the line gives up, at every moment of his life; the others must get theirs, in order.
#[test]
fn a_waiter_that_gives_up_at_any_moment_leaks_nothing_and_delays_nobody() {
    #[derive(Clone, Copy, Debug)]
    enum Moment {
        BeforeFirstPoll,
        InLine,
        WokenButNotPolled,
        WithReservation,
    }
    for moment in [Moment::BeforeFirstPoll, Moment::InLine, Moment::WokenButNotPolled, Moment::WithReservation] {
        for who in 0..3 {
            let rig = rig(4 * K);
            let wants = [4 * K, 2 * K, 2 * K];
            let all = Waiter::new(&rig, 4 * K).take();
            let mut waiters = wants.map(|bytes| Waiter::new(&rig, bytes));
            for (i, waiter) in waiters.iter_mut().enumerate() {
                if matches!(moment, Moment::BeforeFirstPoll) && i == who {
                    waiter.future = None;
                } else {
                    assert!(waiter.poll().is_pending());
                }
            }
            if matches!(moment, Moment::InLine) {
                waiters[who].future = None;
            }
            drop(all);
            for (i, waiter) in waiters.iter_mut().enumerate() {
                if i != who {
                    drop(waiter.take());
                } else if matches!(moment, Moment::WokenButNotPolled) {
                    assert_eq!(waiter.bell.rings(), 1, "{moment:?} {who}");
                    waiter.future = None;
                } else if matches!(moment, Moment::WithReservation) {
                    drop(waiter.take());
                }
            }
            assert_eq!(rig.accumulator.memory(), MemoryUse { limit: 4 * K, used: 0, waiting: 0 }, "{moment:?} {who}");
        }
    }
}

#[test]
fn when_a_large_waiter_at_the_front_gives_up_the_next_is_served_at_once() {
    let rig = rig(4 * K);
    let some = Waiter::new(&rig, 2 * K).take();
    let mut large = Waiter::new(&rig, 4 * K);
    let mut small = Waiter::new(&rig, 2 * K);
    assert!(large.poll().is_pending());
    assert!(small.poll().is_pending());
    large.future = None;
    assert_eq!(small.bell.rings(), 1);
    drop((small.take(), some));
    assert_eq!(rig.accumulator.memory().used, 0);
}

#[test]
fn closing_releases_all_waiters_and_later_ones() {
    let rig = rig(4 * K);
    let (all, mut waiters) = line(&rig, &[K, K]);
    rig.accumulator.close();
    assert!(matches!(waiters[0].poll(), Poll::Ready(Err(Closed))));
    assert!(matches!(waiters[1].poll(), Poll::Ready(Err(Closed))));
    assert!(matches!(Waiter::new(&rig, 1).poll(), Poll::Ready(Err(Closed))));
    drop(all);
    assert_eq!(rig.accumulator.memory().used, 0);
}

#[test]
fn a_request_for_more_than_there_is_gets_all_there_is() {
    let rig = rig(4 * K);
    let reservation = Waiter::new(&rig, usize::MAX).take();
    assert_eq!(reservation.bytes(), 4 * K);
}

#[test]
fn the_sender_is_woken_when_somebody_waits() {
    let rig = rig(4 * K);
    let all = Waiter::new(&rig, 4 * K).take();
    assert!(rig.ready().is_empty());
    let before = rig.heard.wakes();
    let mut waiter = Waiter::new(&rig, K);
    assert!(waiter.poll().is_pending());
    assert_eq!(rig.heard.wakes(), before + 1);
    drop(all);
}

#[test]
fn what_a_refusal_says_to_reserve_is_enough_wherever_the_record_goes() {
    for size in [0, 1, 900, 1_000, 3_000, 60_000, 65_536, 70_000] {
        for fill in [0, 1, 500, 1_014, 40_000] {
            let rig = rig(96 * K);
            let filler = vec![0; fill];
            let _first = rig.append(&to_partition(0, value(&filler)));
            let bytes = vec![1; size];
            let record = to_partition(0, value(&bytes));
            let rest = rig.accumulator.memory();
            let taken = Waiter::new(&rig, rest.limit - rest.used).take();
            let refused = rig.accumulator.append(at(0), &record, Urgency::Linger, None);
            let Err(Refused::Memory { bytes }) = refused else { continue };
            drop(taken);
            // By now the open batch is gone, so that the record needs a first chunk.
            for take_away in [false, true] {
                if take_away {
                    rig.drain().into_iter().for_each(|batch| batch.settle(delivered(0)));
                }
                let mut waiter = Waiter::new(&rig, bytes);
                let Poll::Ready(Ok(reservation)) = waiter.poll() else { continue };
                let result = rig.accumulator.append(at(0), &record, Urgency::Linger, Some(reservation));
                assert!(result.is_ok(), "{size} after {fill}: {bytes} were not enough: {result:?}");
            }
            rig.drain().into_iter().for_each(|batch| batch.settle(delivered(0)));
            assert_eq!(rig.accumulator.memory().used, 0, "the rest of a reservation comes back");
        }
    }
}

#[test]
fn a_reservation_is_enough_though_the_record_grows_in_its_new_place() {
    let rig = rig(96 * K);
    // 1,024 bytes as the first of a batch; nine more where its timestamp is far from the first's.
    let exact = vec![0; K - 10];
    let late = RecordRef { timestamp_ms: Some(i64::MAX), ..to_partition(0, value(&exact)) };
    let all = Waiter::new(&rig, 96 * K).take();
    let refused = rig.accumulator.append(at(0), &late, Urgency::Linger, None).unwrap_err();
    let Refused::Memory { bytes } = refused else { panic!("{refused:?}") };
    drop(all);
    let early = rig.append(&RecordRef { timestamp_ms: Some(0), ..to_partition(0, value(&exact)) });
    assert_eq!(rig.accumulator.memory().used, K, "which fills a first chunk to the last byte");
    let reservation = Waiter::new(&rig, bytes).take();
    let late = rig.accumulator.append(at(0), &late, Urgency::Linger, Some(reservation)).unwrap();
    drop((early, late));
}

#[test]
fn memory_is_held_until_the_last_slice_is_dropped_and_then_all_of_it_is_back() {
    let rig = rig(1 << 20);
    let deliveries: Vec<_> = (0..500).map(|_| rig.append(&to_partition(0, value(&[7; 100])))).collect();
    let used = rig.accumulator.memory().used;
    assert!(used >= 50_000, "{used}");
    let batch = rig.drain().pop().unwrap();
    assert_eq!(rig.accumulator.memory().used, used, "sealing copies nothing");
    let in_flight = batch.payload().to_vec();
    batch.settle(delivered(0));
    assert!(deliveries[0].is_done());
    assert_eq!(rig.accumulator.memory().used, used, "a request in flight still holds it");
    drop(in_flight);
    assert_eq!(rig.accumulator.memory().used, 0);
}

#[test]
fn a_released_payload_is_free_before_the_outcome_is_known() {
    let rig = rig(1 << 20);
    let delivery = rig.append(&to_partition(0, value(b"x")));
    let mut batch = rig.drain().pop().unwrap();
    let size = batch.wire_size();
    batch.release_payload();
    assert_eq!(rig.accumulator.memory().used, 0);
    assert_eq!(batch.wire_size(), size);
    batch.settle(delivered(8));
    assert_eq!(delivery.wait().unwrap().offset.unwrap().0, 8);
}

#[test]
fn ten_thousand_quiet_topics_fit_in_the_default_memory() {
    let rig = Rig::bare(AccumulatorConfig::default());
    let mut deliveries = Vec::new();
    for i in 0..10_000 {
        let topic = format!("topic-{i}");
        rig.accumulator.set_topic(at(0), &topic.as_str().into(), &all_leaders(2));
        let record = RecordRef { topic: &topic, ..anywhere(value(&[0; 200])) };
        deliveries.push(rig.append(&record));
        deliveries.push(rig.append(&record));
    }
    assert!(rig.accumulator.memory().used <= 10 << 20);
    rig.drain().into_iter().for_each(|batch| batch.settle(delivered(0)));
    assert!(deliveries.into_iter().all(|delivery| delivery.wait().is_ok()));
}

#[test]
fn a_busy_partition_needs_few_chunks_per_batch() {
    let config = AccumulatorConfig { batch_size: 16 * K, ..AccumulatorConfig::default() };
    let rig = Rig::with_partitions(config, 1);
    let mut chunks = Vec::new();
    for _ in 0..1_000 {
        drop(rig.append(&to_partition(0, value(&[0; 100]))));
    }
    for batch in rig.drain() {
        chunks.push(batch.payload().len());
        batch.settle(delivered(0));
    }
    assert!(chunks[0] > 1, "the first batch of a partition starts small: {chunks:?}");
    assert!(chunks[1..].iter().all(|count| *count == 1), "{chunks:?}");
}

#[test]
fn blocking_waiters_share_a_small_memory_fairly_and_all_get_through() {
    let rig = rig(4 * K);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    let reservation = rig.accumulator.reserve(3 * K).wait_blocking(Duration::MAX).unwrap().unwrap();
                    assert!(rig.accumulator.memory().used <= 4 * K);
                    drop(reservation);
                }
            });
        }
    });
    assert_eq!(rig.accumulator.memory(), MemoryUse { limit: 4 * K, used: 0, waiting: 0 });
}

#[test]
fn a_blocking_wait_ends_at_its_timeout_and_leaves_the_line() {
    let rig = rig(4 * K);
    let all = Waiter::new(&rig, 4 * K).take();
    assert!(rig.accumulator.reserve(K).wait_blocking(Duration::ZERO).is_none());
    assert_eq!(rig.accumulator.memory().waiting, 0);
    drop(all);
}

/// Hooks that look at the memory when an outcome is told.
#[derive(Default)]
struct Onlooker {
    accumulator: parking_lot::Mutex<Option<Accumulator>>,
    seen: parking_lot::Mutex<Vec<usize>>,
}

impl Hooks for Onlooker {
    fn wake(&self) {}

    fn report(&self, _: BatchReport) {
        let used = self.accumulator.lock().as_ref().map_or(0, |accumulator| accumulator.memory().used);
        self.seen.lock().push(used);
    }

    fn unobserved(&self, _: &Arc<Failure>, _: u32) {}
}

#[test]
fn memory_comes_back_only_after_the_outcome_was_told() {
    let onlooker = Arc::new(Onlooker::default());
    let accumulator = Accumulator::new(AccumulatorConfig::default(), 1, Arc::clone(&onlooker) as Arc<dyn Hooks>);
    *onlooker.accumulator.lock() = Some(accumulator.clone());
    accumulator.set_topic(at(0), &TOPIC.into(), &all_leaders(1));
    let take = || {
        accumulator.append_with_token(at(0), &to_partition(0, value(b"x")), Urgency::Linger, None, 1).unwrap();
        let mut ready = Vec::new();
        accumulator.take_ready(&mut ready);
        let batch = ready[0].close_head(Take::OpenToo).unwrap();
        assert!(ready[0].go_idle());
        batch
    };
    take().settle(delivered(0));
    take().seal().settle(delivered(0));
    drop(take());
    drop(take().seal());
    let unknown = RecordRef { topic: "unknown", ..anywhere(value(b"x")) };
    accumulator.append_with_token(at(0), &unknown, Urgency::Linger, None, 1).unwrap();
    assert_eq!(accumulator.fail_waiting(&"unknown".into(), failure(FailureKind::TopicUnknown)), 1);
    let seen = onlooker.seen.lock().clone();
    assert_eq!(seen.len(), 5);
    assert!(seen.iter().all(|used| *used > 0), "{seen:?}");
    assert_eq!(accumulator.memory().used, 0);
    *onlooker.accumulator.lock() = None;
}

#[test]
fn tokens_count_against_the_memory_until_their_report_is_dropped() {
    const LIMIT: usize = 1 << 20;
    let rig = Rig::with_partitions(AccumulatorConfig { buffer_memory: LIMIT, ..AccumulatorConfig::default() }, 1);
    let record = to_partition(0, Default::default()); // seven bytes or a few more
    let mut records = 0_usize;
    while rig.accumulator.append_with_token(at(0), &record, Urgency::Linger, None, records as u64).is_ok() {
        records += 1;
    }
    assert!(rig.accumulator.memory().used <= LIMIT);
    assert!(records * (20 + 7) <= LIMIT, "{records} records");
    assert!(records * (20 + 10) > LIMIT / 2, "{records} records");
    for batch in rig.drain() {
        batch.settle(delivered(0));
    }
    assert!(rig.accumulator.memory().used >= records * 20);
    let reports = std::mem::take(&mut *rig.heard.reports.lock());
    let told: Vec<u64> = reports.iter().flat_map(BatchReport::records).map(|record| record.token).collect();
    assert_eq!(told, (0..records as u64).collect::<Vec<_>>());
    assert!(reports.iter().all(|report| report.records().len() > 0));
    drop(reports);
    assert_eq!(rig.accumulator.memory().used, 0);
}

#[test]
fn what_a_refusal_says_to_reserve_is_enough_for_a_token_too() {
    for limit in [900, 1_024, 2_000, 4_096, 64 << 10] {
        for size in [0, 100, 700] {
            let config = AccumulatorConfig { buffer_memory: limit, ..AccumulatorConfig::default() };
            let rig = Rig::with_partitions(config, 2);
            let bytes = vec![7; size];
            for token in 0..200 {
                let partition = i32::try_from(token % 2).unwrap();
                let record = to_partition(partition, value(&bytes));
                let refused = rig.accumulator.append_with_token(at(0), &record, Urgency::Linger, None, token);
                let Err(Refused::Memory { bytes }) = refused else {
                    refused.expect("there is memory, or will be");
                    continue;
                };
                rig.drain().into_iter().for_each(|batch| batch.settle(delivered(0)));
                rig.heard.reports.lock().clear();
                let memory =
                    rig.accumulator.reserve(bytes).wait_blocking(Duration::ZERO).expect("all is free").unwrap();
                let again = rig.accumulator.append_with_token(at(0), &record, Urgency::Linger, Some(memory), token);
                again.unwrap_or_else(|refused| panic!("limit {limit}, size {size}: {refused:?}"));
            }
            assert!(rig.accumulator.memory().used <= limit);
        }
    }
}
