//! Rows 83 and 85 to 90: handlers that misbehave, and what flush, purge, close and drop do when all is not well.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::Poll;
use std::time::Duration;

use milena::{
    BatchReport, DeliveryHandler, EnqueueError, FailureKind, Fate, FlushError, PartitionId, Producer, Purge, Record,
    SendError,
};
use milena_broker::{Reaction, Rule};
use milena_wire::{ApiKey, BrokerId, ErrorCode};
use protocol_tests::account::Outcome;
use protocol_tests::facade::record;
use protocol_tests::rig::{LONG, REQUEST_TIMEOUT, Rig, Story, run, until};

const TOPIC: &str = "t";
const NODE: BrokerId = BrokerId(1);
const HOUR: Duration = Duration::from_secs(3600);

async fn rig() -> Rig {
    let rig = Rig::nodes(1).await;
    rig.topic(TOPIC, 2);
    rig
}

fn patient(rig: &Rig) -> Story<'_> {
    Story::with(rig, rig.producer().request_timeout(LONG).delivery_timeout(2 * LONG))
}

/// No batch is accepted until the script is cleared.
fn refuse_all(rig: &Rig) {
    rig.cluster().script(Rule::on(ApiKey::PRODUCE, Reaction::Error(ErrorCode::NOT_ENOUGH_REPLICAS)).always());
}

fn text(rig: &Rig, partition: i32) -> Vec<String> {
    let batches = rig.cluster().log(TOPIC, PartitionId(partition));
    let records = batches.iter().flat_map(|batch| batch.records().expect("a batch that can be read"));
    records.map(|record| String::from_utf8(record.value.unwrap_or_default().to_vec()).expect("text")).collect()
}

/// By the token: panics, calls the producer, or blocks until it is let.
#[derive(Default)]
struct Unruly {
    producer: OnceLock<Producer>,
    called: AtomicUsize,
    again: Mutex<Vec<milena::Delivery>>,
    gate: tokio::sync::Mutex<()>,
}

impl DeliveryHandler for Unruly {
    fn on_batch(&self, report: BatchReport) {
        self.called.fetch_add(1, Ordering::SeqCst);
        let producer = self.producer.get().expect("it is there before the first record");
        match report.records().next().map(|record| record.token) {
            Some(0) => panic!("the handler broke, as it was to"),
            Some(1) => {
                let delivery = producer.blocking().enqueue(Record::to(TOPIC).partition(1).value("from the handler"));
                // None of these may wait for the handler, which is here.
                producer.blocking().flush().expect("nothing failed");
                self.again.lock().expect("no panic").push(delivery.expect("a record that is taken"));
            }
            _ => drop(self.gate.blocking_lock()),
        }
    }
}

#[test]
fn row_083_a_handler_that_panics_blocks_or_calls_back_harms_nobody() {
    run(async {
        let rig = rig().await;
        let unruly = Arc::new(Unruly::default());
        let mut story = Story::with(&rig, rig.producer().delivery_handler(Arc::clone(&unruly)));
        unruly.producer.set(story.producer().clone()).unwrap();
        for token in 0..2 {
            let before = unruly.called.load(Ordering::SeqCst);
            let told = Story::next(Some(1), b"");
            story.producer().enqueue_with(record(TOPIC, &told), token).await.unwrap();
            story.adopt_unheard(TOPIC, told);
            story.deliver(TOPIC, 2).await;
            until("it was called", || unruly.called.load(Ordering::SeqCst) > before).await;
        }
        until("it has called back", || unruly.again.lock().unwrap().len() == 1).await;
        let mut from_the_handler = Story::next(Some(1), b"");
        from_the_handler.content.value = Some(b"from the handler".to_vec());
        let delivery = unruly.again.lock().unwrap().pop().unwrap();
        story.adopt(TOPIC, from_the_handler, delivery);
        // While it blocks, batches of all partitions flow, flushes end, and so does a close.
        let gate = unruly.gate.lock().await;
        let told = Story::next(Some(1), b"");
        story.producer().enqueue_with(record(TOPIC, &told), 2).await.unwrap();
        story.adopt_unheard(TOPIC, told);
        until("it blocks", || unruly.called.load(Ordering::SeqCst) == 3).await;
        story.deliver(TOPIC, 20).await;
        story.enqueue_to(TOPIC, Some(1), 20).await;
        story.producer().flush().await.unwrap();
        story.settled().await;
        story.producer().close(LONG).await.unwrap();
        assert!(story.producer().metrics().buffer.used > 0, "what the handler holds is counted");
        drop(gate);
        story.end(60).await.all_delivered();
    });
}

#[test]
fn row_085_a_producer_that_is_dropped_delivers_in_the_background() {
    run(async {
        let rig = rig().await;
        refuse_all(&rig);
        let alive = Arc::new(Unruly::default());
        let builder = rig.producer().linger(HOUR).delivery_timeout(2 * HOUR).delivery_handler(Arc::clone(&alive));
        let producer = builder.build().unwrap();
        let mut deliveries = Vec::new();
        for n in 0..10 {
            deliveries.push(producer.enqueue(Record::to(TOPIC).partition(0).value(n.to_string())).await.unwrap());
        }
        drop(producer.clone());
        drop(producer);
        until("it goes on trying", || rig.cluster().requests().get(&ApiKey::PRODUCE) > Some(&2)).await;
        rig.cluster().clear_script();
        for delivery in deliveries {
            delivery.await.unwrap();
        }
        assert_eq!(text(&rig, 0), (0..10).map(|n| n.to_string()).collect::<Vec<_>>());
        until("nothing of it is left", || Arc::strong_count(&alive) == 1).await;
    });
}

#[test]
fn row_085_a_producer_that_is_dropped_gives_up_at_its_deadline_and_tells_the_fates() {
    run(async {
        let rig = rig().await;
        let alive = Arc::new(Unruly::default());
        let builder =
            rig.producer().request_timeout(LONG).delivery_timeout(2 * LONG).delivery_handler(Arc::clone(&alive));
        let producer = builder.drop_timeout(Duration::from_millis(100)).build().unwrap();
        producer.send(Record::to(TOPIC).partition(0).value("first")).await.unwrap();
        rig.cluster().pause_node(NODE);
        let in_flight = producer.enqueue(Record::to(TOPIC).partition(0).value("in flight")).await.unwrap();
        until("it is in flight", || producer.metrics().requests_in_flight == 1).await;
        let never = producer.enqueue(Record::to("not known yet").value("never")).await.unwrap();
        drop(producer);
        let error = in_flight.await.unwrap_err();
        assert_eq!((error.kind(), error.fate()), (FailureKind::Closed, Fate::MaybeWritten));
        let error = never.await.unwrap_err();
        assert_eq!((error.kind(), error.fate()), (FailureKind::Closed, Fate::NotWritten));
        until("nothing of it is left", || Arc::strong_count(&alive) == 1).await;
        rig.cluster().resume_node(NODE);
        assert_eq!(text(&rig, 0).iter().filter(|value| *value == "first").count(), 1);
        assert!(text(&rig, 0).len() <= 2);
        assert!(rig.cluster().partition_count("not known yet").is_none_or(|_| text(&rig, 1).is_empty()));
    });
}

#[test]
fn row_086_a_flush_of_a_dead_broker_ends_with_the_delivery_timeout() {
    run(async {
        let rig = rig().await;
        let mut story = Story::with(&rig, rig.producer().delivery_timeout(4 * REQUEST_TIMEOUT));
        story.deliver(TOPIC, 1).await;
        rig.cluster().stop_node(NODE);
        story.enqueue(TOPIC, 10).await;
        let flushing = story.producer().clone();
        let mut flush = pin!(flushing.flush());
        // A caller with less patience has the producer's word for how much is left.
        let pending = poll_fn(|context| Poll::Ready(flush.as_mut().poll(context).is_pending())).await;
        assert!(pending);
        let total = story.producer().metrics().total;
        let failed = total.failed_not_written.records + total.failed_maybe_written.records;
        assert_eq!((total.queued.records, total.delivered.records + failed), (11, 1), "ten are left");
        flush.await.unwrap();
        assert_eq!(story.open_among(11), 0);
        rig.cluster().start_node(NODE).await.unwrap();
        story.deliver(TOPIC, 3).await;
        let ended = story.end(60).await;
        assert!(ended.failures.iter().all(|failure| failure.kind == FailureKind::DeliveryTimeout));
        assert_eq!((ended.failures.len(), ended.account.delivered), (10, 4));
    });
}

#[test]
fn row_087_a_flush_overrides_linger_and_is_not_starved_by_later_records() {
    run(async {
        let rig = rig().await;
        let mut story = Story::with(&rig, rig.producer().linger(HOUR).delivery_timeout(2 * HOUR));
        for partition in 0..2 {
            story.enqueue_to(TOPIC, Some(partition), 20).await;
        }
        let flushing = story.producer().clone();
        let flush = tokio::spawn(async move { flushing.flush().await });
        // Others go on for as long as it takes.
        while !flush.is_finished() {
            story.enqueue(TOPIC, 1).await;
            tokio::task::yield_now().await;
        }
        flush.await.unwrap().unwrap();
        assert_eq!(story.open_among(40), 0, "what was there before the flush");
        story.producer().flush().await.unwrap();
        let requests = rig.cluster().requests()[&ApiKey::PRODUCE];
        story.end(requests + 30).await.all_delivered();
        // Nor do those that are sent all the while, so that something is always under way.
        let mut story = patient(&rig);
        story.deliver(TOPIC, 1).await;
        let slow = Reaction::DelayAnswer(Duration::from_millis(20));
        rig.cluster().script(Rule::on(ApiKey::PRODUCE, slow).always());
        rig.cluster().pause_node(NODE);
        story.enqueue_in_flight(TOPIC, 5).await;
        let flushing = story.producer().clone();
        let flush = tokio::spawn(async move { flushing.flush().await });
        rig.cluster().resume_node(NODE);
        while !flush.is_finished() {
            story.enqueue(TOPIC, 1).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        flush.await.unwrap().unwrap();
        assert_eq!(story.open_among(6), 0);
        rig.cluster().clear_script();
        story.end(2_000).await.all_delivered();
    });
}

#[test]
fn row_088_a_close_waits_for_retries() {
    run(async {
        let rig = rig().await;
        refuse_all(&rig);
        let mut story = patient(&rig);
        story.enqueue(TOPIC, 5).await;
        story.enqueue_to(TOPIC, Some(1), 5).await;
        until("they are tried again", || story.producer().metrics().total.retried.records > 0).await;
        let closing = story.producer().clone();
        let close = tokio::spawn(async move { closing.close(HOUR).await });
        let before = rig.cluster().requests()[&ApiKey::PRODUCE];
        until("and still", || rig.cluster().requests()[&ApiKey::PRODUCE] > before + 3).await;
        assert!(!close.is_finished());
        rig.cluster().clear_script();
        close.await.unwrap().unwrap();
        let asked = rig.cluster().requests()[&ApiKey::PRODUCE];
        story.end(asked + 30).await.all_delivered();
    });
}

#[test]
fn row_088_a_close_that_ends_before_the_retries_tells_every_fate() {
    run(async {
        let rig = rig().await;
        let mut story = patient(&rig);
        story.deliver(TOPIC, 1).await;
        refuse_all(&rig);
        story.enqueue(TOPIC, 5).await;
        until("they are tried again", || story.producer().metrics().total.retried.records > 0).await;
        let error = story.producer().close(Duration::from_millis(50)).await.unwrap_err();
        assert_eq!(error.cut_off, 5);
        let ended = story.judged(60).await;
        assert_eq!(ended.failures.len(), 5);
        assert!(ended.failures.iter().all(|failure| failure.kind == FailureKind::Closed && failure.attempts > 0));
        assert_eq!(ended.account.stored, 1);
    });
}

#[test]
fn row_089_nothing_is_taken_during_a_close_and_after_it() {
    run(async {
        let rig = rig().await;
        let mut story = patient(&rig);
        story.deliver(TOPIC, 1).await;
        rig.cluster().pause_node(NODE);
        story.enqueue_in_flight(TOPIC, 2).await;
        let closing = story.producer().clone();
        let close = tokio::spawn(async move { closing.close(HOUR).await });
        let producer = story.producer().clone();
        // What is taken until then is delivered like all else.
        loop {
            let next = Story::next(Some(0), b"");
            match producer.try_enqueue(record(TOPIC, &next)) {
                Ok(delivery) => story.adopt(TOPIC, next, delivery),
                Err(rejected) => {
                    assert_eq!(rejected.error, EnqueueError::Closed);
                    break;
                }
            }
            tokio::task::yield_now().await;
        }
        assert!(!close.is_finished(), "it is under way");
        let refusals = async || {
            assert_eq!(producer.enqueue(Record::to(TOPIC)).await.map(drop), Err(EnqueueError::Closed));
            assert_eq!(producer.enqueue_with(Record::to(TOPIC), 1).await, Err(EnqueueError::Closed));
            let sent = producer.send(Record::to("another")).await;
            assert!(matches!(sent, Err(SendError::Enqueue(EnqueueError::Closed))), "{sent:?}");
            let many = producer.send_all([Record::to(TOPIC), Record::to(TOPIC)]).await;
            assert!(many.iter().all(|sent| matches!(sent, Err(SendError::Enqueue(EnqueueError::Closed)))));
        };
        refusals().await;
        rig.cluster().resume_node(NODE);
        close.await.unwrap().unwrap();
        refusals().await;
        assert!(matches!(producer.flush().await, Err(FlushError::Closed)));
        story.end(2_000).await.all_delivered();
    });
}

#[test]
fn row_090_a_purge_tells_fates_and_leaves_sequences_sound() {
    run(async {
        for queued in [true, false] {
            for in_flight in [true, false] {
                let rig = rig().await;
                let mut story = patient(&rig);
                story.deliver(TOPIC, 1).await;
                rig.cluster().pause_node(NODE);
                story.enqueue_in_flight(TOPIC, 5).await;
                story.enqueue(TOPIC, 3).await;
                let purged = story.producer().purge(Purge { queued, in_flight }).await.unwrap();
                assert_eq!(purged, 3 * u64::from(queued) + 5 * u64::from(in_flight));
                rig.cluster().resume_node(NODE);
                story.settled().await;
                story.deliver(TOPIC, 4).await;
                let ended = story.end(40).await;
                for (n, sent) in ended.sent.iter().enumerate() {
                    let as_told = match sent.outcome {
                        Outcome::MaybeWritten(_) => in_flight && (1..6).contains(&n),
                        Outcome::NotWritten(_) => queued && (6..9).contains(&n),
                        Outcome::Delivered { .. } => true,
                        Outcome::Unacknowledged => false,
                    };
                    assert!(as_told, "{n}: {sent:?}");
                }
                assert_eq!(ended.failures.len() as u64, purged);
                assert!(ended.failures.iter().all(|failure| failure.kind == FailureKind::Purged));
                assert_eq!(ended.metrics.epoch_bumps, 0, "all that was in flight turned out written");
                assert_eq!(ended.account.stored, 13 - if queued { 3 } else { 0 });
            }
        }
    });
}
