use milena_wire::message::metadata::{MetadataRequest, MetadataRequestTopic};
use milena_wire::{ApiKey, ApiVersion, CorrelationId, PartitionId};

use super::*;
use crate::EmbeddedCluster;
use crate::script::Reaction;

const NODE: BrokerId = BrokerId(1);

fn ms(n: u64) -> Timestamp {
    Timestamp::from_millis(n)
}

/// A request that creates `topic`.
fn asking_for(topic: &str) -> Bytes {
    let topic = MetadataRequestTopic { name: Some(TopicName::new(topic)), ..MetadataRequestTopic::default() };
    let request =
        MetadataRequest { topics: Some(vec![topic]), allow_auto_topic_creation: true, ..MetadataRequest::default() };
    let frame = request.encode_frame(ApiVersion(9), CorrelationId(5), Some("t"));
    Bytes::from(frame.to_vec()).slice(4..)
}

fn exists(cluster: &SimulatedCluster, topic: &str) -> bool {
    cluster.leader(topic, PartitionId(0)).is_some()
}

fn is_answer(event: Option<(SimulatedConn, SimulatedEvent)>, conn: SimulatedConn) -> bool {
    matches!(event, Some((at, SimulatedEvent::Send(_))) if at == conn)
}

#[test]
fn a_request_is_answered_on_its_connection() {
    let mut cluster = EmbeddedCluster::builder().simulated();
    let conn = cluster.connect(NODE).unwrap();
    cluster.receive(ms(1), conn, asking_for("a"));
    assert!(is_answer(cluster.poll(), conn));
    assert_eq!(cluster.poll(), None);
    assert!(exists(&cluster, "a"));
}

#[test]
fn one_request_at_a_time_is_served_in_order() {
    let mut cluster = EmbeddedCluster::builder().simulated();
    let conn = cluster.connect(NODE).unwrap();
    cluster.script(Rule::on(ApiKey::METADATA, Reaction::Delay(std::time::Duration::from_millis(50))));
    cluster.receive(ms(1), conn, asking_for("a"));
    cluster.receive(ms(2), conn, asking_for("b"));
    assert!(!exists(&cluster, "b"), "the first is not answered yet");
    assert_eq!(cluster.next_timer(), Some(ms(51)));
    cluster.tick(ms(51));
    assert!(is_answer(cluster.poll(), conn) && is_answer(cluster.poll(), conn));
    assert!(exists(&cluster, "a") && exists(&cluster, "b"));
}

#[test]
fn what_a_client_sent_before_it_hung_up_runs_unheard() {
    let mut cluster = EmbeddedCluster::builder().simulated();
    let conn = cluster.connect(NODE).unwrap();
    cluster.script(Rule::on(ApiKey::METADATA, Reaction::Delay(std::time::Duration::from_millis(50))));
    cluster.receive(ms(1), conn, asking_for("a"));
    cluster.receive(ms(1), conn, asking_for("b"));
    cluster.hang_up(conn);
    cluster.tick(ms(51));
    assert_eq!(cluster.poll(), None);
    assert!(exists(&cluster, "a") && exists(&cluster, "b"));
}

#[test]
fn a_paused_node_goes_on_where_it_stopped() {
    let mut cluster = EmbeddedCluster::builder().simulated();
    let conn = cluster.connect(NODE).unwrap();
    cluster.pause_node(ms(1), NODE);
    cluster.receive(ms(2), conn, asking_for("a"));
    assert!(cluster.poll().is_none() && !exists(&cluster, "a"));
    cluster.start_node(ms(3), NODE);
    assert!(is_answer(cluster.poll(), conn));
}

#[test]
fn a_stopped_node_closes_its_connections_and_refuses_new_ones() {
    let mut cluster = EmbeddedCluster::builder().simulated();
    let conn = cluster.connect(NODE).unwrap();
    cluster.stop_node(ms(1), NODE);
    assert_eq!(cluster.poll(), Some((conn, SimulatedEvent::Closed)));
    assert_eq!(cluster.connect(NODE), None);
    cluster.receive(ms(2), conn, asking_for("a"));
    assert!(!exists(&cluster, "a"));
    cluster.start_node(ms(3), NODE);
    assert!(cluster.connect(NODE).is_some());
}
