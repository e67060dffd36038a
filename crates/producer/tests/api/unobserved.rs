//! Failures that nobody looks at are told once, to whoever asks next.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use milena_broker::{EmbeddedCluster, Reaction, Rule};
use milena_producer::{BatchReport, DeliveryHandler, ErrorCode, Failure, FailureKind, FlushError, Producer, Record};
use milena_wire::ApiKey;
use parking_lot::{Condvar, Mutex};

use crate::support::*;

async fn refusing() -> EmbeddedCluster {
    let cluster = one_node().await;
    cluster.create_topic("t", 1, 1).unwrap();
    cluster.script(Rule::on(ApiKey::PRODUCE, Reaction::Error(ErrorCode::TOPIC_AUTHORIZATION_FAILED)).always());
    cluster
}

fn unseen(result: Result<(), FlushError>) -> u64 {
    match result {
        Ok(()) => 0,
        Err(FlushError::Unobserved(failures)) => failures.records,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_delivery_dropped_before_its_failure_is_told_once_to_the_handler_and_once_to_a_flush_of_any_clone() {
    run(async {
        let cluster = refusing().await;
        let heard = Heard::default();
        let producer = builder(&cluster).delivery_handler(heard.clone()).build().unwrap();
        let clone = producer.clone();
        for _ in 0..3 {
            drop(producer.enqueue(Record::to("t")).await.unwrap());
        }
        let failed = clone.flush().await.unwrap_err();
        let FlushError::Unobserved(failures) = &failed else { panic!("{failed}") };
        assert_eq!((failures.records, failures.first.kind), (3, FailureKind::Authorization));
        assert!(failed.to_string().contains("3 records") && failed.to_string().contains("topic t"), "{failed}");
        assert_eq!(unseen(producer.flush().await), 0);
        until("the handler heard", || heard.unobserved_records() == 3).await;
        assert_eq!(producer.metrics().unobserved, 3, "the count of the metrics is never taken back");
        producer.close(LONG).await.unwrap();
        assert_eq!(heard.unobserved_records(), 3);
    });
}

#[test]
fn a_delivery_dropped_after_its_failure_without_being_polled_is_told_as_well() {
    run(async {
        let cluster = refusing().await;
        let heard = Heard::default();
        let producer = builder(&cluster).delivery_handler(heard.clone()).build().unwrap();
        let delivery = producer.enqueue(Record::to("t")).await.unwrap();
        assert_eq!(unseen(producer.flush().await), 0, "it is still held");
        assert!(delivery.is_done());
        drop(delivery);
        assert_eq!(unseen(producer.flush().await), 1);
        until("the handler heard", || heard.unobserved_records() == 1).await;
    });
}

#[test]
fn a_failure_that_somebody_heard_is_not_told_again() {
    run(async {
        let cluster = refusing().await;
        let producer = producer(&cluster);
        assert!(producer.send(Record::to("t")).await.is_err());
        assert!(producer.enqueue(Record::to("t")).await.unwrap().await.is_err());
        assert!(producer.send_all([Record::to("t"), Record::to("t")]).await.iter().all(Result::is_err));
        let delivery = producer.enqueue(Record::to("t")).await.unwrap();
        let waited = tokio::task::spawn_blocking(|| delivery.wait()).await.unwrap();
        assert!(waited.is_err());
        assert_eq!(unseen(producer.flush().await), 0);
        producer.close(LONG).await.unwrap();
    });
}

#[test]
fn a_send_that_was_dropped_half_way_leaves_its_failure_unobserved() {
    run(async {
        let cluster = refusing().await;
        cluster.pause_node(milena_wire::BrokerId(1));
        let producer = producer(&cluster);
        {
            let mut send = std::pin::pin!(producer.send(Record::to("t")));
            let pending = std::future::poll_fn(|cx| std::task::Poll::Ready(send.as_mut().poll(cx).is_pending())).await;
            assert!(pending);
        }
        cluster.resume_node(milena_wire::BrokerId(1));
        assert_eq!(unseen(producer.flush().await), 1);
    });
}

#[test]
fn a_close_counts_what_was_unobserved_the_records_of_its_deadline_included() {
    run(async {
        let producer = Producer::builder("127.0.0.1:1").build().unwrap();
        let kept = producer.enqueue(Record::to("t")).await.unwrap();
        for _ in 0..4 {
            drop(producer.enqueue(Record::to("t")).await.unwrap());
        }
        let error = producer.close(Duration::ZERO).await.unwrap_err();
        assert_eq!((error.cut_off, error.unobserved.map(|failures| failures.records)), (5, Some(4)));
        assert!(kept.await.is_err());
    });
}

struct Breaking(AtomicUsize);

impl DeliveryHandler for Breaking {
    fn on_batch(&self, _: BatchReport) {
        self.0.fetch_add(1, Ordering::Relaxed);
        panic!("the handler broke");
    }

    fn on_unobserved(&self, _: &Arc<Failure>, _: u32) {
        self.0.fetch_add(1, Ordering::Relaxed);
        panic!("the handler broke");
    }
}

#[test]
fn a_handler_that_panics_harms_nothing_and_is_called_again() {
    run(async {
        let cluster = one_node().await;
        let breaking = Arc::new(Breaking(AtomicUsize::new(0)));
        let producer = builder(&cluster).delivery_handler(breaking.clone()).build().unwrap();
        for token in 0..3 {
            producer.enqueue_with(Record::to("t").value("v"), token).await.unwrap();
            producer.flush().await.unwrap();
        }
        until("called for each", || breaking.0.load(Ordering::Relaxed) == 3).await;
        producer.send(Record::to("t")).await.unwrap();
        producer.close(LONG).await.unwrap();
        until("its memory came back", || producer.metrics().buffer.used == 0).await;
    });
}

#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

struct Blocking(Arc<Gate>);

impl DeliveryHandler for Blocking {
    fn on_batch(&self, _: BatchReport) {
        let mut open = self.0.open.lock();
        while !*open {
            self.0.opened.wait(&mut open);
        }
    }
}

#[test]
fn a_handler_that_blocks_delays_no_delivery_flush_or_close() {
    run(async {
        let cluster = one_node().await;
        let gate = Arc::new(Gate::default());
        let producer = builder(&cluster).delivery_handler(Blocking(Arc::clone(&gate))).build().unwrap();
        for token in 0..10 {
            producer.enqueue_with(Record::to("t").value("v"), token).await.unwrap();
            producer.send(Record::to("t").value("v")).await.unwrap();
        }
        producer.flush().await.unwrap();
        producer.close(LONG).await.unwrap();
        assert!(producer.metrics().buffer.used > 0, "what the handler has not heard of still counts");
        *gate.open.lock() = true;
        gate.opened.notify_all();
        until("its memory came back", || producer.metrics().buffer.used == 0).await;
    });
}
