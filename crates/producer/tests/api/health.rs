//! What a health page would show, whatever becomes of the brokers.

use std::time::Duration;

use milena_broker::{EmbeddedCluster, Reaction, Rule};
use milena_producer::{BrokerState, ClusterState, ConnErrorKind, ErrorCode, Producer, ProducerState, Record};
use milena_wire::{ApiKey, BrokerId, PartitionId};

use crate::support::*;

fn state_of(producer: &Producer, broker: i32) -> Option<BrokerState> {
    producer.health().broker(BrokerId(broker)).map(|broker| broker.state)
}

/// Three nodes, each of which leads a partition that has a record.
async fn three_nodes() -> (EmbeddedCluster, Producer) {
    let cluster = started(EmbeddedCluster::builder().nodes(3)).await;
    cluster.create_topic("t", 3, 3).unwrap();
    let producer = builder(&cluster).linger(Duration::ZERO).build().unwrap();
    for partition in 0..3 {
        producer.send(Record::to("t").partition(partition)).await.unwrap();
    }
    (cluster, producer)
}

#[test]
fn while_nothing_has_answered_nor_failed_nothing_is_known_and_all_is_well() {
    // Connections are made, and never served.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let producer = Producer::builder(listener.local_addr().unwrap().to_string()).build().unwrap();
    let health = producer.health();
    assert!(health.is_well(), "{health}");
    assert_eq!((health.cluster.state, health.producer), (ClusterState::Unknown, ProducerState::Running));
    assert!(health.brokers.is_empty());
    assert!(health.to_string().starts_with("cluster not known yet for "), "{health}");
}

#[test]
fn a_wrong_port_is_told_of_with_its_error() {
    run(async {
        let producer = Producer::builder("127.0.0.1:1").build().unwrap();
        producer.wait_ready(Duration::from_millis(50)).await.unwrap_err();
        until("it is unreachable", || producer.health().cluster.state == ClusterState::Unreachable).await;
        let health = producer.health();
        let last = health.cluster.last_error.clone().unwrap();
        assert_eq!(last.error.what, ConnErrorKind::Refused);
        assert!(health.cluster.since <= last.at && last.at <= health.at);
        let page = health.to_string();
        assert!(
            !health.is_well() && page.contains("cluster unreachable for") && page.contains("127.0.0.1:1"),
            "{page}"
        );
    });
}

#[test]
fn a_node_that_stops_is_down_or_gone_until_it_is_back_and_the_others_stay_up() {
    run(async {
        let (cluster, producer) = three_nodes().await;
        let health = producer.health();
        assert!(health.is_well(), "{health}");
        assert_eq!(
            health.brokers.iter().map(|b| (b.id.0, b.state)).collect::<Vec<_>>(),
            [1, 2, 3].map(|id| (id, BrokerState::Up))
        );
        let up_since = health.broker(BrokerId(1)).unwrap().since;
        cluster.stop_node(BrokerId(2));
        until("the stop shows", || matches!(state_of(&producer, 2), Some(BrokerState::Down | BrokerState::Left))).await;
        for partition in 0..3 {
            producer.send(Record::to("t").partition(partition)).await.unwrap();
        }
        let health = producer.health();
        assert_eq!(health.cluster.state, ClusterState::Reachable, "{health}");
        assert!(health.broker(BrokerId(2)).unwrap().last_error.is_some(), "{health}");
        assert_eq!(health.broker(BrokerId(1)).unwrap().state, BrokerState::Up);
        // It is told by two clocks, and later than it is if the thread is held up between looking at them: then once more.
        let since = || producer.health().broker(BrokerId(1)).unwrap().since;
        let same = || since().duration_since(up_since).unwrap_or_default() < Duration::from_millis(1);
        until("it was up all the time", same).await;
        cluster.start_node(BrokerId(2)).await.unwrap();
        cluster.move_leader("t", PartitionId(1), Some(BrokerId(2))).unwrap();
        producer.send(Record::to("t").partition(1)).await.unwrap();
        until("it is back", || state_of(&producer, 2) == Some(BrokerState::Up)).await;
    });
}

#[test]
fn when_all_nodes_stop_the_cluster_is_unreachable_and_records_wait() {
    run(async {
        let (cluster, producer) = three_nodes().await;
        cluster.nodes().into_iter().for_each(|node| cluster.stop_node(node));
        until("it is unreachable", || producer.health().cluster.state == ClusterState::Unreachable).await;
        let delivery = producer.enqueue(Record::to("t").partition(0)).await.unwrap();
        let health = producer.health();
        assert!(!health.is_well() && health.cluster.last_error.is_some(), "{health}");
        for node in cluster.nodes() {
            cluster.start_node(node).await.unwrap();
        }
        delivery.await.unwrap();
        until("it is reachable", || producer.health().cluster.state == ClusterState::Reachable).await;
    });
}

#[test]
fn a_broker_that_throttles_is_told_of_with_its_end() {
    run(async {
        let cluster = one_node().await;
        let producer = producer(&cluster);
        cluster.script(Rule::on(ApiKey::PRODUCE, Reaction::Throttle(HOUR)));
        producer.send(Record::to("t")).await.unwrap();
        let health = producer.health();
        let Some(BrokerState::Throttled { until }) = state_of(&producer, 1) else { panic!("{health}") };
        assert!(until > health.at, "{health}");
        assert!(health.is_well() && health.to_string().contains("throttling for"), "{health}");
    });
}

#[test]
fn a_producer_that_takes_no_more_says_why() {
    run(async {
        let cluster = one_node().await;
        let producer = producer(&cluster);
        cluster.script(Rule::on(ApiKey::PRODUCE, Reaction::Error(ErrorCode::PRODUCER_FENCED)));
        producer.send(Record::to("t")).await.unwrap_err();
        let health = producer.health();
        let ProducerState::Fatal { code } = health.producer else { panic!("{health}") };
        assert!(health.to_string().contains(&format!("cannot go on: {code}")), "{health}");

        let producer = builder(&cluster).build().unwrap();
        producer.close(LONG).await.unwrap();
        assert_eq!(producer.health().producer, ProducerState::Closed);
    });
}
