//! Rows 79 to 82, 84 and 91: a buffer that is full, and callers that look away.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use milena::{BatchReport, DeliveryHandler, EnqueueError, Failure, Outcome, PartitionId, ProducerBuilder, Record};
use milena_broker::{Reaction, Rule};
use milena_wire::{ApiKey, BrokerId, ErrorCode};
use protocol_tests::facade::record;
use protocol_tests::rig::{LONG, Rig, Story, run, until};

const TOPIC: &str = "t";
const NODE: BrokerId = BrokerId(1);
const LIMIT: usize = 64 * 1024;
/// Nobody panics with a lock in hand.
const NEVER: &str = "no panic";
const HOUR: Duration = Duration::from_secs(3600);

async fn rig() -> Rig {
    let rig = Rig::nodes(1).await;
    rig.topic(TOPIC, 1);
    rig
}

fn small(rig: &Rig) -> ProducerBuilder {
    rig.producer()
        .buffer_memory(LIMIT)
        .max_record_size(16 * 1024)
        .batch_size(4 * 1024)
        .request_timeout(LONG)
        .delivery_timeout(2 * LONG)
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Fills the buffer of a producer whose broker reads nothing, until no request can be sent and no record taken.
async fn fill(rig: &Rig, story: &mut Story<'_>) {
    story.deliver(TOPIC, 1).await;
    until("its memory is back", || story.producer().metrics().buffer.used == 0).await;
    rig.cluster().pause_node(NODE);
    loop {
        let next = Story::next(Some(0), &[b'x'; 3_000]);
        let producer = story.producer().clone();
        let mut enqueue = Box::pin(producer.enqueue(record(TOPIC, &next)));
        match poll(&mut enqueue) {
            Poll::Ready(delivery) => {
                drop(enqueue);
                story.adopt(TOPIC, next, delivery.expect("a record that is taken"));
            }
            Poll::Pending if producer.metrics().requests_in_flight == 5 => return,
            Poll::Pending => tokio::task::yield_now().await,
        }
    }
}

#[test]
fn row_079_a_full_buffer_makes_callers_wait_and_a_wait_that_is_given_up_leaks_nothing() {
    run(async {
        let rig = rig().await;
        let mut story = Story::with(&rig, small(&rig));
        fill(&rig, &mut story).await;
        let producer = story.producer().clone();
        for _ in 0..50 {
            let given_up = Story::next(Some(0), &[b'y'; 3_000]);
            let mut enqueue = pin!(producer.enqueue(record(TOPIC, &given_up)));
            assert!(poll(&mut enqueue).is_pending());
            assert_eq!(producer.metrics().buffer.waiting, 1);
        }
        assert_eq!(producer.metrics().buffer.waiting, 0);
        // Others wait while a flush does, in front of one that goes away.
        let waits: Vec<_> = (0..4).map(|_| Story::next(Some(0), &[b'z'; 3_000])).collect();
        let mut enqueues: Vec<_> = waits.iter().map(|next| Box::pin(producer.enqueue(record(TOPIC, next)))).collect();
        assert!(enqueues.iter_mut().all(|enqueue| poll(enqueue).is_pending()));
        drop(enqueues.pop());
        let flushing = producer.clone();
        let mut flush = Box::pin(flushing.flush());
        assert!(poll(&mut flush).is_pending());
        // And one more goes away while the flush waits.
        drop(enqueues.remove(0));
        rig.cluster().resume_node(NODE);
        flush.await.unwrap();
        for (enqueue, next) in enqueues.into_iter().zip(&waits[1..]) {
            let delivery = enqueue.await.unwrap();
            story.adopt(TOPIC, next.clone(), delivery);
        }
        story.end(60).await.all_delivered();
    });
}

#[test]
fn row_080_a_full_buffer_hands_the_record_back_to_who_does_not_wait() {
    run(async {
        let rig = rig().await;
        let mut story = Story::with(&rig, small(&rig));
        fill(&rig, &mut story).await;
        let producer = story.producer().clone();
        let next = Story::next(Some(0), &[b'x'; 3_000]);
        let rejected = producer.try_enqueue(record(TOPIC, &next)).unwrap_err();
        assert_eq!(rejected.error, EnqueueError::BufferFull { waited: Duration::ZERO, limit: LIMIT });
        rig.cluster().resume_node(NODE);
        // What came back is the record, and can be tried again until there is room.
        let mut again = rejected.record;
        assert_eq!(again, record(TOPIC, &next));
        let delivery = loop {
            match producer.try_enqueue(again) {
                Ok(delivery) => break delivery,
                Err(rejected) => again = rejected.record,
            }
            tokio::task::yield_now().await;
        };
        story.adopt(TOPIC, next.clone(), delivery);
        story.end(60).await.all_delivered();
    });
}

#[test]
fn row_081_a_full_buffer_cuts_linger_short_without_a_convoy_of_tiny_batches() {
    run(async {
        let rig = Rig::nodes(1).await;
        rig.topic(TOPIC, 4);
        // Nothing but the need for memory sends a record within the hour: no batch is ever full.
        let lingering = small(&rig).batch_size(LIMIT).max_record_size(LIMIT).linger(HOUR).delivery_timeout(2 * HOUR);
        let mut story = Story::with(&rig, lingering);
        let (count, size) = (500, 400);
        let callers = (0..4).map(|partition| {
            let producer = story.producer().clone();
            tokio::spawn(async move {
                let mut taken = Vec::new();
                for _ in 0..count {
                    let next = Story::next(Some(partition), &vec![b'x'; size]);
                    let delivery = producer.enqueue(record(TOPIC, &next)).await.unwrap();
                    taken.push((next, delivery));
                }
                taken
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            for (next, delivery) in caller.await.unwrap() {
                story.adopt(TOPIC, next, delivery);
            }
        }
        story.producer().flush().await.unwrap();
        let ended = story.end(400).await;
        ended.all_delivered();
        let bytes = (4 * count * size) as u64;
        let batches = ended.metrics.batches;
        assert!(batches * 4 * 1024 <= bytes, "{batches} batches for {bytes} bytes: convoy");
    });
}

/// Hears nothing until it is let.
#[derive(Default)]
struct Slow {
    let_go: Mutex<bool>,
    changed: Condvar,
    heard: Mutex<Vec<u64>>,
}

impl DeliveryHandler for Slow {
    fn on_batch(&self, report: BatchReport) {
        let mut let_go = self.let_go.lock().expect(NEVER);
        while !*let_go {
            let_go = self.changed.wait(let_go).expect(NEVER);
        }
        for record in report.records() {
            assert!(matches!(report.outcome(), Outcome::Failed(_)));
            self.heard.lock().expect(NEVER).push(record.token);
        }
    }

    fn on_unobserved(&self, failure: &Arc<Failure>, records: u32) {
        panic!("{records} without a handle: {failure}");
    }
}

#[test]
fn row_082_records_that_fail_faster_than_the_handler_hears_make_callers_wait() {
    run(async {
        let rig = rig().await;
        let refused = Reaction::Error(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
        rig.cluster().script(Rule::on(ApiKey::PRODUCE, refused).always());
        let slow = Arc::new(Slow::default());
        let producer = small(&rig).delivery_handler(Arc::clone(&slow)).build().unwrap();
        // Everything that is taken fails at once, and yet no more is taken than the buffer holds.
        let mut taken = 0;
        let value = [b'x'; 3_000];
        let last = loop {
            let mut enqueue = Box::pin(producer.enqueue_with(Record::to(TOPIC).partition(0).value(&value), taken));
            // First this: what fails in between gives memory back, so that the record may go in after all.
            let metrics = producer.metrics();
            let all_failed = metrics.total.failed_not_written.records == taken && metrics.requests_in_flight == 0;
            match poll(&mut enqueue) {
                Poll::Ready(done) => {
                    done.unwrap();
                    taken += 1;
                }
                Poll::Pending if all_failed => break enqueue,
                Poll::Pending => tokio::task::yield_now().await,
            }
        };
        assert!((10..=LIMIT as u64 / 3_000).contains(&taken), "{taken}");
        *slow.let_go.lock().unwrap() = true;
        slow.changed.notify_all();
        last.await.unwrap();
        producer.close(LONG).await.unwrap();
        assert_eq!(*slow.heard.lock().unwrap(), (0..=taken).collect::<Vec<_>>(), "each once, in order");
        until("all memory is back", || producer.metrics().buffer.used == 0).await;
        assert!(rig.cluster().log(TOPIC, PartitionId(0)).is_empty());
        assert!(rig.requests() <= taken + 10, "{}", rig.requests());
    });
}

#[test]
fn row_084_a_delivery_that_is_dropped_takes_nothing_back() {
    run(async {
        let rig = rig().await;
        let mut story = Story::with(&rig, small(&rig));
        for _ in 0..20 {
            let next = Story::next(Some(0), b"");
            drop(story.producer().enqueue(record(TOPIC, &next)).await.unwrap());
            story.adopt_unheard(TOPIC, next);
        }
        // No failure, so nothing that somebody should have looked at.
        story.producer().flush().await.unwrap();
        rig.cluster()
            .script(Rule::on(ApiKey::PRODUCE, Reaction::Error(ErrorCode::TOPIC_AUTHORIZATION_FAILED)).always());
        let failing = rig.producer().build().unwrap();
        for _ in 0..7 {
            drop(failing.enqueue(Record::to(TOPIC).partition(0)).await.unwrap());
        }
        let told = failing.close(LONG).await.unwrap_err();
        assert_eq!((told.cut_off, told.unobserved.unwrap().records), (0, 7), "and failures are told");
        rig.cluster().clear_script();
        story.end(60).await.all_delivered();
    });
}

#[test]
fn row_091_a_record_in_flight_stays_in_its_batch_when_its_future_is_dropped() {
    run(async {
        let rig = rig().await;
        let mut story = Story::with(&rig, small(&rig).linger(HOUR).delivery_timeout(2 * HOUR));
        story.producer().prepare(&[TOPIC], LONG).await.unwrap();
        story.enqueue(TOPIC, 1).await;
        let flushing = story.producer().clone();
        flushing.flush().await.unwrap();
        rig.cluster().pause_node(NODE);
        // Three in one batch, of which the second is given up while they are under way.
        story.enqueue(TOPIC, 1).await;
        let given_up = Story::next(Some(0), b"given up");
        let mut delivery = story.producer().enqueue(record(TOPIC, &given_up)).await.unwrap();
        story.adopt_unheard(TOPIC, given_up);
        story.enqueue(TOPIC, 1).await;
        let flush = tokio::spawn(async move { flushing.flush().await });
        until("they are in flight", || story.producer().metrics().requests_in_flight == 1).await;
        assert!(poll(&mut delivery).is_pending());
        drop(delivery);
        rig.cluster().resume_node(NODE);
        flush.await.unwrap().unwrap();
        let ended = story.end(15).await;
        ended.all_delivered();
        let sizes: Vec<_> = rig.cluster().log(TOPIC, PartitionId(0)).iter().map(|batch| batch.record_count()).collect();
        assert_eq!(sizes, [1, 3]);
    });
}
