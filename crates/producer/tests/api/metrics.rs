//! The counters tell what happened.

use std::time::Duration;

use milena_broker::{EmbeddedCluster, Reaction, Rule};
use milena_producer::{ErrorCode, Producer, Record};
use milena_wire::ApiKey;

use crate::support::*;

#[test]
fn an_idle_producer_has_counted_nothing_and_holds_nothing() {
    let producer = Producer::builder("127.0.0.1:1").buffer_memory(4 << 20).build().unwrap();
    let metrics = producer.metrics();
    assert_eq!((metrics.total, metrics.requests, metrics.batches), (Default::default(), 0, 0));
    assert_eq!((metrics.buffer.used, metrics.buffer.waiting, metrics.buffer.limit), (0, 0, 4 << 20));
    assert!(metrics.topics.is_empty());
}

#[test]
fn delivered_records_are_counted_on_their_way_and_by_topic() {
    run(async {
        let cluster = one_node().await;
        let producer = builder(&cluster).linger(HOUR).delivery_timeout(HOUR * 2).build().unwrap();
        producer.prepare(&["a", "b"], LONG).await.unwrap();
        for n in 0..30 {
            let topic = if n % 3 == 0 { "a" } else { "b" };
            drop(producer.enqueue(Record::to(topic).partition(0).value("0123456789")).await.unwrap());
        }
        let metrics = producer.metrics();
        assert_eq!((metrics.total.queued.records, metrics.total.closed.records), (30, 0));
        assert!(metrics.total.queued.bytes > 300);
        assert_eq!(metrics.topics["a"].queued.records, 10);
        assert!(metrics.buffer.used > 300);
        producer.flush().await.unwrap();
        let metrics = producer.metrics();
        for (topic, records) in [("a", 10), ("b", 20)] {
            let counters = &metrics.topics[topic];
            assert_eq!(counters.queued, counters.closed);
            for tally in [counters.queued, counters.closed, counters.sent, counters.delivered] {
                assert_eq!(tally.records, records);
                let on_log: usize = cluster.log(topic, milena_producer::PartitionId(0)).iter().map(|b| b.size()).sum();
                assert_eq!(tally.bytes, on_log as u64);
            }
            assert_eq!(counters.retried, Default::default());
            assert_eq!((counters.failed_not_written, counters.failed_maybe_written), Default::default());
        }
        assert_eq!(metrics.total.delivered.records, 30);
        assert_eq!(metrics.batches, 2);
        assert_eq!(metrics.requests, cluster.requests()[&ApiKey::PRODUCE]);
        assert_eq!((metrics.requests_in_flight, metrics.requests_lost), (0, 0));
        assert_eq!(metrics.batch_records.count(), 2);
        assert_eq!(metrics.batch_records.max(), 20);
        assert_eq!(metrics.batch_bytes.count(), 2);
        assert_eq!(metrics.queue_time.count(), 2);
        assert_eq!(metrics.request_latency.count(), metrics.requests);
        until("all memory is back", || producer.metrics().buffer.used == 0).await;
    });
}

#[test]
fn retries_and_both_kinds_of_failure_are_counted() {
    run(async {
        let cluster = one_node().await;
        cluster.create_topic("t", 1, 1).unwrap();
        let producer = builder(&cluster).retries(1).build().unwrap();
        let strike = |reaction, times| cluster.script(Rule::on(ApiKey::PRODUCE, reaction).times(times));
        strike(Reaction::Error(ErrorCode::NOT_ENOUGH_REPLICAS), 1);
        producer.send(Record::to("t")).await.unwrap();
        strike(Reaction::Error(ErrorCode::TOPIC_AUTHORIZATION_FAILED), 1);
        producer.send(Record::to("t")).await.unwrap_err();
        strike(Reaction::ErrorAfterAppend(ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND), 2);
        producer.send(Record::to("t")).await.unwrap_err();
        strike(Reaction::CloseAfter, 1);
        producer.send(Record::to("t")).await.unwrap();
        let metrics = producer.metrics();
        let counters = &metrics.topics["t"];
        assert_eq!(*counters, metrics.total);
        assert_eq!(counters.queued.records, 4);
        assert_eq!(counters.sent.records, 7);
        assert_eq!(counters.retried.records, 3);
        assert_eq!(counters.delivered.records, 2);
        assert_eq!((counters.failed_not_written.records, counters.failed_maybe_written.records), (1, 1));
        assert!(counters.retried.bytes > 0 && counters.failed_not_written.bytes > 0);
        assert_eq!(metrics.requests_lost, 1);
    });
}

#[test]
fn records_that_never_had_a_partition_are_counted_too() {
    run(async {
        let cluster = started(EmbeddedCluster::builder().auto_create_topics(false)).await;
        cluster.create_topic("t", 1, 1).unwrap();
        let producer = builder(&cluster)
            .unknown_topic_grace(Duration::from_millis(20))
            .request_timeout(Duration::from_millis(50))
            .build()
            .unwrap();
        let waiting = producer.enqueue(Record::to("nowhere").value("12345")).await.unwrap();
        let metrics = producer.metrics();
        assert_eq!(metrics.topics["nowhere"].queued.records, 1);
        waiting.await.unwrap_err();
        producer.send(Record::to("t").partition(5)).await.unwrap_err();
        // Records that wait are counted when they were told.
        producer.flush().await.unwrap();
        let metrics = producer.metrics();
        for topic in ["nowhere", "t"] {
            let counters = &metrics.topics[topic];
            assert_eq!((counters.queued.records, counters.failed_not_written.records), (1, 1), "{topic}");
        }
        // Those that wait for a cluster that never answers.
        let producer = Producer::builder("127.0.0.1:1")
            .linger(Duration::ZERO)
            .request_timeout(Duration::from_millis(20))
            .delivery_timeout(Duration::from_millis(50))
            .build()
            .unwrap();
        producer.send(Record::to("t")).await.unwrap_err();
        producer.flush().await.unwrap();
        let total = producer.metrics().total;
        assert_eq!((total.queued.records, total.failed_not_written.records), (1, 1));
    });
}
