//! Flush, purge, close, the last handle's drop, and runtimes that end: every call returns and every record has its outcome.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use milena_broker::{EmbeddedCluster, Reaction, Rule};
use milena_producer::{
    BoxFuture, Connector, CustomPartitioner, EnqueueError, FailureKind, Fate, FlushError, Io, PartitionId,
    PartitionRequest, PartitionerKind, Producer, Purge, Record, Resolver, SendError, Stream, Target,
};
use milena_wire::{ApiKey, BrokerId};

use crate::support::*;

const NODE: BrokerId = BrokerId(1);

/// A producer with one record in flight at a node that reads nothing, and the record's delivery.
async fn stuck(cluster: &EmbeddedCluster) -> (Producer, milena_producer::Delivery) {
    let producer = producer(cluster);
    producer.send(Record::to("t").partition(0).value("first")).await.unwrap();
    cluster.pause_node(NODE);
    let delivery = producer.enqueue(Record::to("t").partition(0).value("in flight")).await.unwrap();
    until("a request is in flight", || producer.metrics().requests_in_flight == 1).await;
    (producer, delivery)
}

#[test]
fn a_flush_ends_when_everything_before_it_has_its_outcome() {
    run(async {
        let cluster = started(EmbeddedCluster::builder().partitions(3)).await;
        let producer = builder(&cluster).linger(HOUR).delivery_timeout(HOUR * 2).build().unwrap();
        producer.flush().await.unwrap();
        let mut deliveries = Vec::new();
        for topic in ["a", "b"] {
            for n in 0..30 {
                deliveries.push(producer.enqueue(Record::to(topic).partition(n % 3)).await.unwrap());
            }
        }
        producer.flush().await.unwrap();
        assert!(deliveries.iter().all(milena_producer::Delivery::is_done));
    });
}

#[test]
fn a_purge_of_queued_records_leaves_those_in_flight() {
    run(async {
        let cluster = one_node().await;
        let (producer, in_flight) = stuck(&cluster).await;
        let queued = producer.enqueue(Record::to("t").partition(0).value("queued")).await.unwrap();
        let unknown = producer.enqueue(Record::to("not known yet")).await.unwrap();
        assert_eq!(producer.purge(Purge { queued: true, in_flight: false }).await.unwrap(), 2);
        for delivery in [queued, unknown] {
            let error = delivery.await.unwrap_err();
            assert_eq!((error.kind(), error.fate()), (FailureKind::Purged, Fate::NotWritten));
        }
        assert!(!in_flight.is_done());
        cluster.resume_node(NODE);
        in_flight.await.unwrap();
        producer.send(Record::to("t").partition(0).value("after")).await.unwrap();
        assert_eq!(values(&cluster, "t", 0), ["first", "in flight", "after"]);
    });
}

#[test]
fn a_purge_of_records_in_flight_says_that_they_may_be_written_and_the_producer_goes_on() {
    run(async {
        let cluster = one_node().await;
        let (producer, in_flight) = stuck(&cluster).await;
        let queued = producer.enqueue(Record::to("t").partition(0).value("queued")).await.unwrap();
        assert_eq!(producer.purge(Purge { queued: false, in_flight: true }).await.unwrap(), 1);
        let error = in_flight.await.unwrap_err();
        assert_eq!((error.kind(), error.fate()), (FailureKind::Purged, Fate::MaybeWritten));
        assert!(!queued.is_done());
        cluster.resume_node(NODE);
        queued.await.unwrap();
        assert_eq!(values(&cluster, "t", 0), ["first", "in flight", "queued"]);
    });
}

#[test]
fn a_close_delivers_what_is_queued_and_takes_no_more() {
    run(async {
        let cluster = one_node().await;
        let producer = builder(&cluster).linger(HOUR).delivery_timeout(HOUR * 2).build().unwrap();
        let delivery = producer.enqueue(Record::to("t").value("v")).await.unwrap();
        producer.close(LONG).await.unwrap();
        delivery.await.unwrap();
        assert_eq!(producer.enqueue(Record::to("t")).await.map(drop), Err(EnqueueError::Closed));
        assert_eq!(producer.try_enqueue(Record::to("u")).unwrap_err().error, EnqueueError::Closed);
        assert_eq!(producer.enqueue_with(Record::to("t"), 1).await, Err(EnqueueError::Closed));
        let sent = producer.send(Record::to("t")).await;
        assert!(matches!(sent, Err(SendError::Enqueue(EnqueueError::Closed))), "{sent:?}");
        assert!(matches!(producer.flush().await, Err(FlushError::Closed)));
        assert!(matches!(producer.purge(Purge { queued: true, in_flight: true }).await, Err(FlushError::Closed)));
        assert!(producer.wait_ready(HOUR).await.is_err());
        assert!(producer.partitions_for("t", HOUR).await.is_err());
        assert!(producer.prepare(&["t"], HOUR).await.is_err());
        producer.close(HOUR).await.unwrap();
    });
}

#[test]
fn nothing_is_taken_from_the_moment_a_close_began() {
    run(async {
        let cluster = one_node().await;
        let (producer, in_flight) = stuck(&cluster).await;
        let clone = producer.clone();
        let closing = tokio::spawn(async move { clone.close(HOUR).await });
        until(
            "the close has begun",
            || matches!(producer.try_enqueue(Record::to("t")), Err(rejected) if rejected.error == EnqueueError::Closed),
        )
        .await;
        cluster.resume_node(NODE);
        in_flight.await.unwrap();
        closing.await.unwrap().unwrap();
    });
}

#[test]
fn a_close_that_was_polled_once_closes_even_if_nobody_waits_for_it() {
    run(async {
        let cluster = one_node().await;
        let (producer, in_flight) = stuck(&cluster).await;
        {
            let close = producer.close(HOUR);
            let mut close = std::pin::pin!(close);
            let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(close.as_mut().poll(cx).is_pending())).await;
            assert!(polled);
        }
        assert_eq!(producer.try_enqueue(Record::to("t")).unwrap_err().error, EnqueueError::Closed);
        cluster.resume_node(NODE);
        in_flight.await.unwrap();
    });
}

#[test]
fn a_second_close_with_an_earlier_deadline_ends_both() {
    run(async {
        let cluster = one_node().await;
        let (producer, in_flight) = stuck(&cluster).await;
        let clone = producer.clone();
        let patient = tokio::spawn(async move { clone.close(HOUR).await });
        until("the first close has begun", || producer.try_enqueue(Record::to("t")).is_err()).await;
        let hasty = producer.close(Duration::ZERO).await.unwrap_err();
        assert!(hasty.cut_off >= 1, "{hasty:?}");
        assert_eq!(patient.await.unwrap().unwrap_err().cut_off, hasty.cut_off);
        assert_eq!(producer.close(HOUR).await.unwrap_err().cut_off, hasty.cut_off, "whoever asks later hears it too");
        let error = in_flight.await.unwrap_err();
        assert_eq!((error.kind(), error.fate()), (FailureKind::Closed, Fate::MaybeWritten));
    });
}

#[test]
fn every_close_of_several_clones_waits_for_the_end() {
    run(async {
        let cluster = one_node().await;
        let (producer, in_flight) = stuck(&cluster).await;
        let closes: Vec<_> = (0..5)
            .map(|_| {
                let producer = producer.clone();
                tokio::spawn(async move { producer.close(HOUR).await })
            })
            .collect();
        until("closed", || producer.try_enqueue(Record::to("t")).is_err()).await;
        cluster.resume_node(NODE);
        for close in closes {
            close.await.unwrap().unwrap();
        }
        assert!(in_flight.is_done());
    });
}

#[test]
fn a_close_at_its_deadline_tells_how_many_records_and_each_of_them_its_fate() {
    run(async {
        let cluster = one_node().await;
        let (producer, in_flight) = stuck(&cluster).await;
        // In the air or not: nothing of a topic that is not known can have been sent.
        let waiting = producer.enqueue(Record::to("unknown")).await.unwrap();
        let error = producer.close(Duration::ZERO).await.unwrap_err();
        assert_eq!(error.cut_off, 2);
        assert!(error.to_string().contains("2 records"), "{error}");
        assert_eq!(in_flight.await.unwrap_err().fate(), Fate::MaybeWritten);
        assert_eq!(waiting.await.unwrap_err().fate(), Fate::NotWritten);
    });
}

#[test]
fn calls_survive_durations_without_end() {
    run(async {
        let cluster = one_node().await;
        let producer = builder(&cluster).drop_timeout(Duration::MAX).build().unwrap();
        producer.wait_ready(Duration::MAX).await.unwrap();
        producer.prepare(&["t"], Duration::MAX).await.unwrap();
        producer.partitions_for("t", Duration::MAX).await.unwrap();
        producer.send(Record::to("t")).await.unwrap();
        producer.close(Duration::MAX).await.unwrap();
    });
}

#[test]
fn the_drop_of_the_last_handle_delivers_in_the_background() {
    run(async {
        let cluster = one_node().await;
        let producer = builder(&cluster).linger(HOUR).delivery_timeout(HOUR * 2).build().unwrap();
        let clone = producer.clone();
        let delivery = producer.enqueue(Record::to("t").value("v")).await.unwrap();
        drop(producer);
        assert!(!delivery.is_done());
        drop(clone);
        delivery.await.unwrap();
        assert_eq!(values(&cluster, "t", 0), ["v"]);
    });
}

#[test]
fn the_drop_of_the_last_handle_gives_up_at_its_deadline() {
    run(async {
        let heard = Heard::default();
        let producer = Producer::builder("127.0.0.1:1")
            .drop_timeout(Duration::from_millis(1))
            .delivery_handler(heard.clone())
            .build()
            .unwrap();
        let kept = producer.enqueue(Record::to("t")).await.unwrap();
        drop(producer.enqueue(Record::to("t")).await.unwrap());
        drop(producer);
        let error = kept.await.unwrap_err();
        assert_eq!((error.kind(), error.fate()), (FailureKind::Closed, Fate::NotWritten));
        until("the unobserved one is told", || heard.unobserved_records() == 1).await;
    });
}

/// A runtime for one producer.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

#[test]
fn a_producer_runs_on_a_runtime_of_the_callers() {
    run(async {
        let cluster = one_node().await;
        let producer = builder(&cluster).io(Io::Runtime(tokio::runtime::Handle::current())).build().unwrap();
        producer.send(Record::to("t").value("v")).await.unwrap();
        producer.close(LONG).await.unwrap();
        assert_eq!(values(&cluster, "t", 0), ["v"]);
    });
}

#[test]
fn a_runtime_that_shuts_down_settles_every_open_delivery_and_hangs_no_call() {
    let cluster = EmbeddedCluster::builder().start_blocking().unwrap();
    let theirs = runtime();
    let heard = Heard::default();
    let producer = builder(&cluster)
        .io(Io::Runtime(theirs.handle().clone()))
        .linger(HOUR)
        .delivery_timeout(HOUR * 2)
        .delivery_handler(heard.clone())
        .build()
        .unwrap();
    run(async {
        producer.send(Record::to("t").partition(0)).await.unwrap();
        cluster.pause_node(NODE);
        let clone = producer.clone();
        let in_flight = tokio::spawn(async move { clone.send(Record::to("t").partition(0)).await });
        until("a request is in flight", || producer.metrics().requests_in_flight == 1).await;
        let queued = producer.enqueue(Record::to("t").partition(0)).await.unwrap();
        let waiting = producer.enqueue(Record::to("unknown")).await.unwrap();
        drop(producer.enqueue(Record::to("unknown")).await.unwrap());
        theirs.shutdown_background();
        let Err(SendError::Delivery(error)) = in_flight.await.unwrap() else { panic!("delivered") };
        assert_eq!((error.kind(), error.fate()), (FailureKind::RuntimeGone, Fate::MaybeWritten));
        for delivery in [queued, waiting] {
            let error = delivery.await.unwrap_err();
            assert_eq!((error.kind(), error.fate()), (FailureKind::RuntimeGone, Fate::NotWritten));
        }
        assert_eq!(producer.enqueue(Record::to("t")).await.map(drop), Err(EnqueueError::Closed));
        assert!(producer.send(Record::to("t")).await.is_err());
        assert!(matches!(producer.flush().await, Err(FlushError::Closed)));
        let closed = producer.close(HOUR).await.unwrap_err();
        assert_eq!((closed.cut_off, closed.unobserved.unwrap().records), (0, 1));
        until("the unobserved one is told", || heard.unobserved_records() == 1).await;
    });
}

#[test]
fn calls_under_way_when_the_runtime_shuts_down_return() {
    let cluster = EmbeddedCluster::builder().start_blocking().unwrap();
    let theirs = runtime();
    let producer = builder(&cluster).batch_size(0).io(Io::Runtime(theirs.handle().clone())).build().unwrap();
    run(async {
        producer.send(Record::to("t").partition(0)).await.unwrap();
        cluster.pause_node(NODE);
        for _ in 0..5_000 {
            drop(producer.enqueue(Record::to("t").partition(0)).await.unwrap());
        }
        until("requests are in flight", || producer.metrics().requests_in_flight > 0).await;
        let flush = producer.clone();
        let flush = tokio::spawn(async move { flush.flush().await.is_err() });
        let close = producer.clone();
        let close = tokio::spawn(async move { close.close(HOUR).await.unwrap_err() });
        let mut more = Vec::new();
        until("the close has begun", || producer.try_enqueue(Record::to("t")).map(|d| more.push(d)).is_err()).await;
        theirs.shutdown_background();
        assert!(flush.await.unwrap());
        // It returns after every record has its outcome, so none is missing here.
        let error = close.await.unwrap();
        assert!(error.cut_short);
        assert_eq!(error.unobserved.unwrap().records, 5_000);
    });
}

#[test]
fn a_runtime_that_is_gone_before_the_start_is_an_error_and_not_a_hang() {
    let theirs = runtime();
    let handle = theirs.handle().clone();
    theirs.shutdown_background();
    let producer = Producer::builder("127.0.0.1:1").io(Io::Runtime(handle)).build().unwrap();
    run(async {
        assert!(producer.wait_ready(HOUR).await.is_err());
        assert_eq!(producer.enqueue(Record::to("t")).await.map(drop), Err(EnqueueError::Closed));
        assert!(producer.close(HOUR).await.unwrap_err().cut_short);
    });
}

struct Panicking;

impl Connector for Panicking {
    fn connect(&self, _: Target) -> BoxFuture<std::io::Result<Box<dyn Stream>>> {
        panic!("the connector broke")
    }
}

impl Resolver for Panicking {
    fn resolve(&self, _: String, _: u16) -> BoxFuture<std::io::Result<Vec<std::net::SocketAddr>>> {
        panic!("the resolver broke")
    }
}

#[test]
fn a_connector_or_resolver_that_panics_is_an_error_with_its_words() {
    run(async {
        let connecting = Producer::builder("127.0.0.1:1").connector(Arc::new(Panicking));
        let resolving = Producer::builder("a.b:1").resolver(Arc::new(Panicking));
        for (builder, word) in [(connecting, "the connector broke"), (resolving, "the resolver broke")] {
            let producer = builder.build().unwrap();
            producer.wait_ready(Duration::ZERO).await.unwrap_err();
            until("the cause is known", || producer.health().cluster.last_error.is_some()).await;
            let error = producer.wait_ready(Duration::from_millis(200)).await.unwrap_err();
            assert!(chain(&error).contains(word), "{}", chain(&error));
            let delivery = producer.enqueue(Record::to("t")).await.unwrap();
            assert!(producer.close(Duration::ZERO).await.is_err());
            let error = delivery.await.unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
    });
}

/// Panics for one key, chooses a partition that is not there for another.
#[derive(Default)]
struct Moody(AtomicUsize);

impl CustomPartitioner for Moody {
    fn partition(&self, record: &PartitionRequest<'_>) -> PartitionId {
        self.0.fetch_add(1, Ordering::Relaxed);
        match record.parts.key {
            Some(b"panic") => panic!("the partitioner broke"),
            Some(b"wrong") => PartitionId(99),
            _ => PartitionId(1),
        }
    }
}

#[test]
fn a_partitioner_that_panics_harms_its_own_record_alone() {
    run(async {
        let cluster = started(EmbeddedCluster::builder().partitions(2)).await;
        let moody = Arc::new(Moody::default());
        let producer = builder(&cluster).partitioner(PartitionerKind::Custom(moody.clone())).build().unwrap();
        // First while the topic is not known, so that it is asked on the I/O thread; then on the caller's.
        for round in 0..2 {
            let keys = ["a", "panic", "b", "wrong", "c"];
            let outcomes = producer.send_all(keys.map(|key| Record::to("t").key(key).value(key))).await;
            let texts: Vec<_> = outcomes.iter().filter_map(|o| o.as_ref().err()).map(ToString::to_string).collect();
            assert_eq!(texts.len(), 2, "{texts:?}");
            assert!(texts[0].contains("the partitioner broke") && texts[1].contains("99"), "{texts:?}");
            assert!([0, 2, 4].iter().all(|n| outcomes[*n].is_ok()));
            assert_eq!(values(&cluster, "t", 1).len(), 3 * (round + 1));
        }
        producer.close(LONG).await.unwrap();
        assert_eq!(moody.0.load(Ordering::Relaxed), 10);
    });
}

#[test]
fn a_record_that_outlives_every_attempt_ends_at_its_delivery_timeout() {
    run(async {
        let cluster = one_node().await;
        cluster.create_topic("t", 1, 1).unwrap();
        let producer = builder(&cluster)
            .linger(Duration::ZERO)
            .request_timeout(Duration::from_secs(1))
            .delivery_timeout(Duration::from_secs(2))
            .build()
            .unwrap();
        // All is connected once one is delivered, so that two seconds are plenty for attempts.
        while producer.send(Record::to("t")).await.is_err() {}
        cluster
            .script(Rule::on(ApiKey::PRODUCE, Reaction::Error(milena_wire::ErrorCode::NOT_ENOUGH_REPLICAS)).always());
        let Err(SendError::Delivery(error)) = producer.send(Record::to("t")).await else { panic!("delivered") };
        // Its fate depends on whether an attempt was under way just then.
        assert_eq!(error.kind(), FailureKind::DeliveryTimeout);
        assert!(error.failure().attempts > 0);
        assert!(error.to_string().contains("NOT_ENOUGH_REPLICAS"), "{error}");
    });
}

#[test]
fn retries_are_counted_and_their_limit_is_kept() {
    run(async {
        let cluster = one_node().await;
        cluster.create_topic("t", 1, 1).unwrap();
        cluster
            .script(Rule::on(ApiKey::PRODUCE, Reaction::Error(milena_wire::ErrorCode::NOT_ENOUGH_REPLICAS)).always());
        let producer = builder(&cluster).retries(2).build().unwrap();
        let Err(SendError::Delivery(error)) = producer.send(Record::to("t")).await else { panic!("delivered") };
        assert_eq!((error.kind(), error.fate()), (FailureKind::RetriesExhausted, Fate::NotWritten));
        assert_eq!(error.failure().attempts, 3);
        assert_eq!(cluster.requests()[&ApiKey::PRODUCE], 3);
        assert_eq!(producer.metrics().total.retried.records, 2);
        cluster.clear_script();
        producer.send(Record::to("t")).await.unwrap();
    });
}

#[test]
fn after_a_fatal_error_every_call_says_which_it_was() {
    run(async {
        let cluster = started(EmbeddedCluster::builder()).await;
        cluster.create_topic("t", 1, 1).unwrap();
        cluster.script(Rule::on(ApiKey::PRODUCE, Reaction::Error(milena_wire::ErrorCode::PRODUCER_FENCED)));
        let producer = Producer::builder(cluster.bootstrap()).build().unwrap();
        let Err(SendError::Delivery(error)) = producer.send(Record::to("t").value("v")).await else { panic!("sent") };
        assert_eq!((error.kind(), error.fate()), (FailureKind::Fatal, Fate::NotWritten));
        let refused = producer.enqueue(Record::to("t")).await.map(drop).unwrap_err();
        assert_eq!(refused, EnqueueError::Fatal { code: milena_wire::ErrorCode::PRODUCER_FENCED });
        assert!(refused.to_string().contains("PRODUCER_FENCED (90)"), "{refused}");
        assert!(producer.try_enqueue(Record::to("t")).unwrap_err().to_string().contains("build a new producer"));
    });
}

#[test]
fn a_code_the_user_does_not_want_to_wait_for_fails_its_record_at_once() {
    run(async {
        let cluster = one_node().await;
        cluster.create_topic("t", 1, 1).unwrap();
        let code = milena_wire::ErrorCode::NOT_ENOUGH_REPLICAS;
        cluster.script(Rule::on(ApiKey::PRODUCE, Reaction::Error(code)).times(1));
        let producer = builder(&cluster).fail_at_once([code]).build().unwrap();
        assert!(
            producer.config().to_string().contains("fail_at_once = NOT_ENOUGH_REPLICAS (19)"),
            "{}",
            producer.config()
        );
        let Err(SendError::Delivery(error)) = producer.send(Record::to("t")).await else { panic!("delivered") };
        assert_eq!((error.kind(), error.fate()), (FailureKind::Broker, Fate::NotWritten));
        assert_eq!((error.failure().code, error.failure().attempts), (Some(code), 1));
        producer.send(Record::to("t")).await.unwrap();
    });
}
