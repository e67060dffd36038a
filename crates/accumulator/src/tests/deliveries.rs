use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use milena_wire::{BrokerId, ErrorCode, Offset, PartitionId, TopicName};

use crate::cell::{BatchCell, Home, Piece};
use crate::test_support::*;
use crate::*;

fn one_partition() -> Rig {
    Rig::with_partitions(AccumulatorConfig::default(), 1)
}

fn failed(kind: FailureKind) -> Outcome {
    Outcome::Failed(Arc::new(failure(kind)))
}

fn poll(delivery: &mut Delivery, waker: &std::task::Waker) -> Poll<Result<Receipt, DeliveryError>> {
    Pin::new(delivery).poll(&mut Context::from_waker(waker))
}

#[test]
fn a_receipt_tells_place_time_and_sizes() {
    let rig = one_partition();
    let _first = rig.append(&to_partition(0, value(b"first")));
    let second = rig.append(&to_partition(0, keyed(b"key", b"value")));
    let third = rig.append(&to_partition(0, Default::default()));
    let batch = rig.drain().pop().unwrap();
    assert!(!second.is_done());
    batch.settle(delivered(40));
    assert!(second.is_done());
    let receipt = second.wait().unwrap();
    assert_eq!((receipt.topic.as_str(), receipt.partition), (TOPIC, PartitionId(0)));
    assert_eq!(receipt.offset, Some(Offset(41)));
    assert_eq!(receipt.timestamp_ms, at(0).wall_ms);
    assert_eq!((receipt.key_size, receipt.value_size), (Some(3), Some(5)));
    assert_eq!(receipt.encoded_size, 15);
    assert!(receipt.acknowledged);
    let receipt = third.wait().unwrap();
    assert_eq!((receipt.key_size, receipt.value_size, receipt.encoded_size), (None, None, 7));
}

#[test]
fn log_append_time_replaces_the_records_own() {
    let rig = one_partition();
    let delivery = rig.append(&to_partition(0, value(b"x")));
    let outcome = Outcome::Delivered { base_offset: None, log_append_time_ms: Some(99) };
    rig.drain().pop().unwrap().settle(outcome);
    let receipt = delivery.wait().unwrap();
    assert_eq!((receipt.offset, receipt.timestamp_ms), (None, 99));
}

#[test]
fn without_an_answer_a_receipt_says_so() {
    let rig = one_partition();
    let delivery = rig.append(&to_partition(0, value(b"x")));
    rig.drain().pop().unwrap().settle(Outcome::Unacknowledged);
    let receipt = delivery.wait().unwrap();
    assert_eq!((receipt.acknowledged, receipt.offset), (false, None));
}

#[test]
fn many_tasks_that_poll_again_and_again_are_woken_once_each() {
    let rig = one_partition();
    let mut deliveries: Vec<_> = (0..20).map(|_| rig.append(&to_partition(0, value(b"x")))).collect();
    let bells: Vec<_> = deliveries.iter().map(|_| Bell::new()).collect();
    for _ in 0..100 {
        for (delivery, (_, waker)) in deliveries.iter_mut().zip(&bells) {
            assert!(poll(delivery, waker).is_pending());
        }
    }
    rig.drain().pop().unwrap().settle(delivered(0));
    assert!(bells.iter().all(|(bell, _)| bell.rings() == 1));
    drop(deliveries);
}

#[test]
fn a_task_that_waits_for_many_records_of_a_batch_is_woken_once() {
    let rig = one_partition();
    let mut deliveries: Vec<_> = (0..100).map(|_| rig.append(&to_partition(0, value(b"x")))).collect();
    let (bell, waker) = Bell::new();
    let (other_bell, other_waker) = Bell::new();
    for (i, delivery) in deliveries.iter_mut().enumerate() {
        let waker = if i % 2 == 0 { &waker } else { &other_waker };
        assert!(poll(delivery, waker).is_pending());
        assert!(poll(delivery, waker).is_pending());
    }
    rig.drain().pop().unwrap().settle(delivered(0));
    assert_eq!((bell.rings(), other_bell.rings()), (1, 1));
    for delivery in &mut deliveries {
        assert!(matches!(poll(delivery, &waker), Poll::Ready(Ok(_))));
    }
}

#[test]
fn waiting_with_a_timeout_gives_the_handle_back() {
    let rig = one_partition();
    let delivery = rig.append(&to_partition(0, value(b"x")));
    let delivery = delivery.wait_timeout(Duration::ZERO).unwrap_err();
    rig.drain().pop().unwrap().settle(delivered(5));
    let receipt = delivery.wait_timeout(Duration::ZERO).unwrap().unwrap();
    assert_eq!(receipt.offset, Some(Offset(5)));
    assert_eq!(rig.heard.unobserved(), 0);
}

#[test]
fn a_plain_thread_waits_until_the_batch_is_settled() {
    let rig = one_partition();
    let delivery = rig.append(&to_partition(0, value(b"x")));
    let batch = rig.drain().pop().unwrap();
    let result = thread::scope(|scope| {
        let waiter = scope.spawn(|| delivery.wait());
        thread::yield_now();
        batch.settle(failed(FailureKind::DeliveryTimeout));
        waiter.join().unwrap()
    });
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.fate()), (FailureKind::DeliveryTimeout, Fate::NotWritten));
    assert_eq!(rig.heard.unobserved(), 0);
}

#[test]
fn a_failure_nobody_heard_is_unobserved_whether_dropped_before_or_after() {
    let rig = one_partition();
    let mut deliveries: Vec<_> = (0..10).map(|_| rig.append(&to_partition(0, value(b"x")))).collect();
    let after = deliveries.split_off(7);
    let heard = deliveries.pop().unwrap();
    drop(deliveries); // 6
    rig.drain().pop().unwrap().settle(failed(FailureKind::Broker));
    assert_eq!(rig.heard.unobserved(), 6);
    assert!(heard.wait().is_err());
    assert!(after[0].is_done());
    drop(after); // 3: asking whether it is done is not hearing the outcome
    assert_eq!(rig.heard.unobserved(), 9);
}

#[test]
fn a_success_nobody_heard_is_not_counted() {
    let rig = one_partition();
    let before = rig.append(&to_partition(0, value(b"x")));
    let after = rig.append(&to_partition(0, value(b"x")));
    drop(before);
    rig.drain().pop().unwrap().settle(delivered(0));
    drop(after);
    assert_eq!(rig.heard.unobserved(), 0);
}

#[test]
fn drops_that_race_with_the_failure_count_exactly_once() {
    const RECORDS: usize = 64;
    for round in 0..200 {
        let rig = one_partition();
        let deliveries: Vec<_> = (0..RECORDS).map(|_| rig.append(&to_partition(0, value(b"x")))).collect();
        let batch = rig.drain().pop().unwrap();
        let mut halves: [Vec<_>; 2] = [Vec::new(), Vec::new()];
        deliveries.into_iter().enumerate().for_each(|(i, delivery)| halves[i % 2].push(delivery));
        let started = AtomicUsize::new(0);
        thread::scope(|scope| {
            for half in halves {
                let started = &started;
                scope.spawn(move || {
                    started.fetch_add(1, Ordering::SeqCst);
                    half.into_iter().for_each(drop);
                });
            }
            while started.load(Ordering::SeqCst) < 1 + round % 2 {
                thread::yield_now();
            }
            batch.settle(failed(FailureKind::Broker));
        });
        assert_eq!(rig.heard.unobserved(), RECORDS);
    }
}

#[test]
fn handles_follow_records_that_went_on_and_so_do_drops() {
    let heard = Arc::new(Heard::default());
    let hooks = Arc::clone(&heard) as Arc<dyn Hooks>;
    let home = Home::new(&TopicName::new(TOPIC), Some(PartitionId(0)), &hooks);
    let [old, left, right] = [(); 3].map(|()| BatchCell::new(Arc::clone(&home)));
    for index in [0, 2, 3] {
        old.abandon(index);
    }
    old.forward(vec![
        Piece { first: 0, cell: Arc::clone(&left), at: 5 },
        Piece { first: 2, cell: Arc::clone(&right), at: 0 },
    ]);
    old.abandon(1); // goes to the left, where 0 went
    left.settle(failed(FailureKind::Broker));
    assert_eq!(heard.unobserved(), 2);
    old.abandon(4); // goes to the right, which has 2 and 3 already
    right.settle(failed(FailureKind::Broker));
    assert_eq!(heard.unobserved(), 5);
    old.abandon(5);
    assert_eq!(heard.unobserved(), 6);
}

#[test]
fn a_token_is_reported_with_its_offset_and_never_unobserved() {
    let rig = one_partition();
    let record = to_partition(0, value(b"x"));
    let token = |token| rig.accumulator.append_with_token(at(0), &record, Urgency::Linger, None, token).unwrap();
    token(70);
    let handle = rig.append(&record);
    token(71);
    rig.drain().pop().unwrap().settle(delivered(10));
    assert!(handle.wait().is_ok());
    token(72);
    rig.drain().pop().unwrap().settle(failed(FailureKind::Broker));
    let reports = rig.heard.reports.lock();
    let told: Vec<Vec<_>> =
        reports.iter().map(|report| report.records().map(|r| (r.token, r.offset.map(|o| o.0))).collect()).collect();
    assert_eq!(told, [vec![(70, Some(10)), (71, Some(12))], vec![(72, None)]]);
    assert_eq!(reports[0].partition(), Some(PartitionId(0)));
    assert!(matches!(reports[1].outcome(), Outcome::Failed(_)));
    assert_eq!(rig.heard.unobserved(), 0);
}

#[test]
fn a_batch_that_is_lost_settles_itself() {
    let fate_of = |lose: fn(SealedBatch)| {
        let rig = one_partition();
        let delivery = rig.append(&to_partition(0, value(b"x")));
        lose(rig.drain().pop().unwrap());
        let error = delivery.wait().unwrap_err();
        assert_eq!(error.kind(), FailureKind::RuntimeGone);
        error.fate()
    };
    assert_eq!(fate_of(drop), Fate::NotWritten);
    assert_eq!(fate_of(|batch| drop((batch.header(None), batch))), Fate::MaybeWritten);
}

#[test]
fn when_the_last_accumulator_goes_so_does_the_hope_of_what_is_queued() {
    let rig = one_partition();
    let delivery = rig.append(&to_partition(0, value(b"x")));
    let unknown = RecordRef { topic: "unknown", ..to_partition(0, value(b"x")) };
    let waiting = rig.append(&unknown);
    drop(rig);
    assert_eq!(delivery.wait().unwrap_err().kind(), FailureKind::RuntimeGone);
    assert_eq!(waiting.wait().unwrap_err().kind(), FailureKind::RuntimeGone);
}

#[test]
fn abandoning_fails_all_that_was_not_taken() {
    let rig = Rig::with_partitions(AccumulatorConfig::default(), 2);
    let deliveries = [0, 1].map(|partition| rig.append(&to_partition(partition, value(b"x"))));
    let waiting = rig.append(&RecordRef { topic: "unknown", ..anywhere(value(b"x")) });
    rig.accumulator
        .abandon(|topic, partition| Failure::new(FailureKind::RuntimeGone, Fate::NotWritten, topic.clone(), partition));
    for (partition, delivery) in (0..).zip(deliveries) {
        let error = delivery.wait().unwrap_err();
        assert_eq!(error.failure().partition, Some(PartitionId(partition)));
    }
    assert_eq!(waiting.wait().unwrap_err().failure().topic.as_str(), "unknown");
    assert_eq!(rig.accumulator.memory().used, 0);
    let refused = rig.accumulator.append(at(0), &to_partition(0, value(b"x")), Urgency::Linger, None).unwrap_err();
    assert_eq!(refused, Refused::Closed);
}

#[test]
fn a_failure_says_what_where_why_and_what_to_do() {
    let mut failure =
        Failure::new(FailureKind::DeliveryTimeout, Fate::MaybeWritten, TopicName::new("letters"), Some(PartitionId(3)));
    failure.broker = Some(BrokerId(2));
    failure.code = Some(ErrorCode(6));
    failure.cause = Some("connection reset by peer".to_owned());
    failure.attempts = 4;
    failure.waited = Duration::from_secs(120);
    let text = DeliveryError::from(Arc::new(failure)).to_string();
    for part in [
        "not acknowledged within the delivery timeout",
        "topic letters, partition 3, broker 2, 4 attempts, waited 120.0s",
        "NOT_LEADER_OR_FOLLOWER (6)",
        "last cause: connection reset by peer",
        "may be on the log",
        "raise delivery_timeout",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}

#[test]
fn a_delivery_in_a_hurry_makes_its_open_batch_urgent_and_no_other() {
    let rig = Rig::with_partitions(AccumulatorConfig::default(), 2);
    let closed = rig.append(&to_partition(0, value(b"closed")));
    let queue = rig.ready().pop().unwrap();
    let batch = queue.close_head(Take::OpenToo).unwrap();
    let open = rig.append(&to_partition(0, value(b"open")));
    rig.accumulator.hurry(&closed);
    assert!(!queue.view().urgent, "its batch is gone");
    let wakes = rig.heard.wakes();
    rig.accumulator.hurry(&open);
    assert!(queue.view().urgent);
    assert!(rig.heard.wakes() > wakes || rig.ready().len() == 1, "the sender is told");
    drop((batch, closed, open));
}

#[test]
fn a_delivery_in_a_hurry_does_not_linger_when_its_topic_is_learnt_of() {
    let rig = Rig::bare(AccumulatorConfig::default());
    let patient = rig.append(&to_partition(0, value(b"patient")));
    let hurried = rig.append(&to_partition(1, value(b"hurried")));
    rig.accumulator.hurry(&hurried);
    rig.shape(&all_leaders(2));
    let urgent = |queue: &std::sync::Arc<PartitionQueue>| (queue.partition().0, queue.view().urgent);
    let mut queues: Vec<_> = rig.ready().iter().map(urgent).collect();
    queues.sort_unstable();
    assert_eq!(queues, [(0, false), (1, true)]);
    drop((patient, hurried));
}

#[test]
fn memory_is_held_until_the_report_of_a_batch_is_dropped() {
    let rig = Rig::with_partitions(AccumulatorConfig::default(), 1);
    rig.accumulator.append_with_token(at(0), &to_partition(0, value(b"v")), Urgency::Linger, None, 7).unwrap();
    let batch = rig.ready().pop().unwrap().close_head(Take::OpenToo).unwrap();
    batch.seal().settle(Outcome::Unacknowledged);
    assert!(rig.accumulator.memory().used > 0, "the handler has not had its report yet");
    rig.heard.reports.lock().clear();
    assert_eq!(rig.accumulator.memory().used, 0);
}
