//! Failures that nobody looks at are told once, to whoever asks next.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use milena_broker::{EmbeddedCluster, Reaction, Rule};
use milena_producer::{
    BatchReport, Delivery, DeliveryHandler, ErrorCode, Failure, FailureKind, FlushError, PartitionId, Producer, Record,
};
use milena_wire::{ApiKey, BrokerId};
use parking_lot::{Condvar, Mutex};

use crate::support::*;

const NODE: BrokerId = BrokerId(1);

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

impl Gate {
    fn wait(&self) {
        let mut open = self.open.lock();
        while !*open {
            self.opened.wait(&mut open);
        }
    }

    fn open(&self) {
        *self.open.lock() = true;
        self.opened.notify_all();
    }
}

struct Blocking(Arc<Gate>);

impl DeliveryHandler for Blocking {
    fn on_batch(&self, _: BatchReport) {
        self.0.wait();
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
        gate.open();
        until("its memory came back", || producer.metrics().buffer.used == 0).await;
    });
}

/// A record whose failure waits until the cluster may answer.
async fn pending(cluster: &EmbeddedCluster, producer: &Producer) -> Delivery {
    cluster.pause_node(NODE);
    producer.enqueue(Record::to("t")).await.unwrap()
}

fn poll_once(delivery: &mut Delivery) -> Poll<bool> {
    Pin::new(delivery).poll(&mut Context::from_waker(Waker::noop())).map(|outcome| outcome.is_ok())
}

#[test]
fn a_delivery_polled_once_and_dropped_before_its_failure_is_told() {
    run(async {
        let cluster = refusing().await;
        let producer = producer(&cluster);
        let mut delivery = pending(&cluster, &producer).await;
        assert!(poll_once(&mut delivery).is_pending());
        drop(delivery);
        cluster.resume_node(NODE);
        assert_eq!(unseen(producer.flush().await), 1);
    });
}

#[test]
fn a_delivery_polled_once_and_dropped_after_its_failure_is_told_but_not_if_a_poll_told_it() {
    run(async {
        let cluster = refusing().await;
        let producer = producer(&cluster);
        for heard in [false, true] {
            let mut delivery = pending(&cluster, &producer).await;
            assert!(poll_once(&mut delivery).is_pending());
            cluster.resume_node(NODE);
            assert_eq!(unseen(producer.flush().await), 0, "it is still held");
            if heard {
                assert_eq!(poll_once(&mut delivery), Poll::Ready(false));
            }
            drop(delivery);
            assert_eq!(unseen(producer.flush().await), u64::from(!heard));
        }
    });
}

#[test]
fn a_delivery_that_was_waited_for_in_vain_and_dropped_is_told() {
    run(async {
        let cluster = refusing().await;
        let producer = producer(&cluster);
        let delivery = pending(&cluster, &producer).await;
        let wait = move || delivery.wait_timeout(Duration::from_millis(1)).unwrap_err();
        drop(tokio::task::spawn_blocking(wait).await.unwrap());
        cluster.resume_node(NODE);
        assert_eq!(unseen(producer.flush().await), 1);
    });
}

#[test]
fn a_delivery_that_is_known_to_be_settled_was_not_heard_for_that() {
    run(async {
        let cluster = refusing().await;
        let producer = producer(&cluster);
        let mut delivery = producer.enqueue(Record::to("t")).await.unwrap();
        delivery.settled().await;
        drop(delivery);
        assert_eq!(unseen(producer.flush().await), 1);
        let mut delivery = producer.enqueue(Record::to("t")).await.unwrap();
        delivery.settled().await;
        assert!(delivery.await.is_err());
        assert_eq!(unseen(producer.flush().await), 0);
    });
}

#[test]
fn a_send_all_that_was_dropped_half_way_leaves_all_its_failures_unobserved_those_it_knew_of_included() {
    run(async {
        let cluster = refusing().await;
        cluster.create_topic("stuck", 1, 1).unwrap();
        cluster.clear_script();
        cluster.script(
            Rule::on(ApiKey::PRODUCE, Reaction::Error(ErrorCode::TOPIC_AUTHORIZATION_FAILED)).topic("t").always(),
        );
        let silent = Reaction::Error(ErrorCode::NOT_ENOUGH_REPLICAS);
        cluster.script(Rule::on(ApiKey::PRODUCE, silent).topic("stuck").always());
        let producer = producer(&cluster);
        {
            let mut send_all = std::pin::pin!(producer.send_all(["t", "stuck"].map(Record::to)));
            until("the first has failed", || {
                let poll = send_all.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                assert!(poll.is_pending());
                producer.metrics().topics.get("t").is_some_and(|topic| topic.failed_not_written.records == 1)
            })
            .await;
            let poll = send_all.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(poll.is_pending());
        }
        cluster.clear_script();
        assert_eq!(unseen(producer.flush().await), 1);
    });
}

#[test]
fn each_failure_is_told_to_one_of_many_clones_that_flush_at_once() {
    run(async {
        let cluster = refusing().await;
        let producer = producer(&cluster);
        let mut told = 0;
        for _ in 0..20 {
            for _ in 0..3 {
                drop(producer.enqueue(Record::to("t")).await.unwrap());
            }
            let clones: Vec<_> = (0..4)
                .map(|_| {
                    let clone = producer.clone();
                    tokio::spawn(async move { unseen(clone.flush().await) })
                })
                .collect();
            for clone in clones {
                told += clone.await.unwrap();
            }
        }
        assert_eq!((told, unseen(producer.flush().await)), (60, 0));
    });
}

#[test]
fn a_token_that_no_handler_can_hear_of_is_told_when_its_record_fails() {
    run(async {
        let cluster = refusing().await;
        let producer = producer(&cluster);
        for token in 0..3 {
            producer.enqueue_with(Record::to("t"), token).await.unwrap();
        }
        assert_eq!(unseen(producer.flush().await), 3);
        assert_eq!(producer.metrics().unobserved, 3);
    });
}

#[test]
fn a_handler_hears_of_each_failed_record_once_however_its_delivery_was_lost() {
    run(async {
        let cluster = refusing().await;
        let heard = Heard::default();
        let producer = builder(&cluster).batch_size(2_000).delivery_handler(heard.clone()).build().unwrap();
        let threads: Vec<_> = (0..4u32)
            .map(|thread| {
                let producer = producer.clone();
                std::thread::spawn(move || {
                    let mut held = Vec::new();
                    for n in 0..500u32 {
                        let delivery = producer.blocking().enqueue(Record::to("t").value("0123456789")).unwrap();
                        match (n + thread) % 5 {
                            0 => assert!(delivery.wait().is_err()),
                            1 => held.push(delivery),
                            2 => drop(delivery.wait_timeout(Duration::ZERO).map_err(drop)),
                            _ => drop(delivery),
                        }
                    }
                    held
                })
            })
            .collect();
        let held: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        let told = unseen(producer.flush().await);
        assert!(told >= 800, "{told}: what was dropped at once, whatever became of what was waited for in vain");
        assert_eq!(u64::from(heard.unobserved_records()), told);
        let late = held.len() as u64;
        drop(held);
        assert_eq!((unseen(producer.flush().await), u64::from(heard.unobserved_records())), (late, told + late));
        producer.close(LONG).await.unwrap();
        assert_eq!((u64::from(heard.unobserved_records()), producer.metrics().unobserved), (told + late, told + late));
    });
}

/// Blocks whoever tells it of an unobserved failure.
struct Unmoved(Arc<Gate>);

impl DeliveryHandler for Unmoved {
    fn on_batch(&self, _: BatchReport) {}

    fn on_unobserved(&self, _: &Arc<Failure>, _: u32) {
        self.0.wait();
    }
}

#[test]
fn a_handler_that_blocks_over_one_partitions_failures_delays_no_other_partition() {
    run(async {
        let cluster = one_node().await;
        cluster.create_topic("t", 2, 1).unwrap();
        let refusal = Reaction::Error(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
        cluster.script(Rule::on(ApiKey::PRODUCE, refusal).topic("t").partition(PartitionId(0)).always());
        let gate = Arc::new(Gate::default());
        let producer = builder(&cluster).delivery_handler(Unmoved(Arc::clone(&gate))).build().unwrap();
        for _ in 0..5 {
            drop(producer.enqueue(Record::to("t").partition(0)).await.unwrap());
            producer.send(Record::to("t").partition(1).value("v")).await.unwrap();
        }
        assert_eq!(unseen(producer.flush().await), 5, "the count does not wait for the handler");
        producer.close(LONG).await.unwrap();
        assert_eq!(values(&cluster, "t", 1).len(), 5);
        gate.open();
    });
}
