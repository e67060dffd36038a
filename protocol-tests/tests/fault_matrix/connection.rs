//! Rows 1 to 25: the way to a broker.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use milena::{BoxFuture, BrokerState, Connector, FailureKind, Fate, Stream, Target, TcpConnector};
use milena_broker::{EmbeddedCluster, Reaction, Rule};
use milena_wire::{ApiKey, ApiVersion, BrokerId, ErrorCode, PartitionId};
use protocol_tests::bare;
use protocol_tests::rig::{
    Act, LONG, Proxy, RECONNECT_BACKOFF_MAX, Rig, Story, Way, rewritten_metadata, rewritten_produce,
    rewritten_versions, run, until,
};

use crate::events;

const TOPIC: &str = "t";

/// One partition, ten records, and all is well.
async fn under_way(rig: &Rig) -> Story<'_> {
    rig.topic(TOPIC, 1);
    let mut story = Story::new(rig);
    story.deliver(TOPIC, 10).await;
    story
}

/// Two nodes, each of which has one partition to itself; partition 0 is the first node's.
async fn one_partition_each() -> Rig {
    let rig = Rig::nodes(2).await;
    rig.cluster().create_topic(TOPIC, 2, 1).expect("a topic");
    for (partition, node) in [(0, 1), (1, 2)] {
        lead(&rig, partition, node);
    }
    rig
}

fn lead(rig: &Rig, partition: i32, node: i32) {
    let partition = PartitionId(partition);
    if rig.cluster().leader(TOPIC, partition).expect("a partition").0 != Some(BrokerId(node)) {
        rig.cluster().move_leader(TOPIC, partition, Some(BrokerId(node))).expect("it is in sync");
    }
}

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address")
}

fn port(rig: &Rig, node: i32) -> u16 {
    rig.cluster().address(BrokerId(node)).expect("a node").1
}

#[test]
fn row_001_no_broker_can_be_reached_at_the_start() {
    run(async {
        events::listen();
        let rig = Rig::nodes(1).await;
        rig.names().route(port(&rig, 1), &[nobody()]);
        let mut story = Story::with(&rig, rig.producer().delivery_timeout(Duration::from_millis(600)));
        story.enqueue(TOPIC, 10).await;
        let ended = story.end(0).await;
        ended.failed(10, FailureKind::DeliveryTimeout, Fate::NotWritten);
        let said = ended.failures[0].to_string();
        assert!(said.contains("connection refused"), "{said}");
        let address = format!("broker.test:{}", port(&rig, 1));
        assert!(events::said(&["WARN", "connection failed", &address, "connection refused"]));
        assert!(rig.names().asked() < 60, "{} attempts", rig.names().asked());
    });
}

#[test]
fn row_002_names_do_not_resolve_and_later_do() {
    run(async {
        events::listen();
        let rig = Rig::nodes(1).await;
        rig.topic(TOPIC, 1);
        rig.names().route(port(&rig, 1), &[]);
        let mut story = Story::new(&rig);
        story.enqueue(TOPIC, 10).await;
        until("it asked again and again", || rig.names().asked() >= 6).await;
        let address = format!("broker.test:{}", port(&rig, 1));
        assert!(events::said(&["WARN", "connection failed", &address, "this name is not known here"]));
        // With backoff: in the time that six attempts take there is no room for many more.
        assert!(rig.names().asked() < 12, "{} attempts", rig.names().asked());
        rig.names().route(port(&rig, 1), &[rig.proxy(1).address()]);
        story.end(40).await.all_delivered();
    });
}

#[test]
fn row_003_a_name_points_elsewhere_after_a_restart() {
    run(async {
        let rig = Rig::nodes(1).await;
        let mut story = under_way(&rig).await;
        let moved = Proxy::start(SocketAddr::from(([127, 0, 0, 1], port(&rig, 1))));
        rig.names().route(port(&rig, 1), &[nobody(), moved.address()]);
        rig.proxy(1).refuse(true);
        let refused = rig.connections();
        story.enqueue(TOPIC, 10).await;
        story.end(40).await.all_delivered();
        assert!(moved.accepted() >= 1);
        assert_eq!(rig.connections(), refused, "the old address was tried again");
    });
}

#[test]
fn row_004_all_known_brokers_are_replaced() {
    const SEED: u16 = 1;
    run(async {
        let rig = Rig::nodes(3).await;
        rig.topic(TOPIC, 1);
        lead(&rig, 0, 1);
        // As long as the first node is there, it is all there is.
        rig.proxy(1).on_frame(|frame| rewritten_metadata(frame, |told| told.brokers.retain(|b| b.node == BrokerId(1))));
        rig.names().route(SEED, &[rig.proxy(1).address()]);
        let quick = rig.producer_at("seed:1").rebootstrap_trigger(Duration::from_millis(300));
        let mut story = Story::with(&rig, quick);
        story.deliver(TOPIC, 10).await;
        rig.names().route(SEED, &[rig.proxy(2).address()]);
        rig.proxy(1).refuse(true);
        rig.cluster().stop_node(BrokerId(1));
        story.enqueue(TOPIC, 10).await;
        story.settled().await;
        // It comes back, and is one of three.
        rig.cluster().start_node(BrokerId(1)).await.expect("it starts");
        rig.proxy(1).calm();
        rig.proxy(1).refuse(false);
        lead(&rig, 0, 1);
        story.enqueue(TOPIC, 10).await;
        story.end(100).await.all_delivered();
    });
}

/// Never gets an answer from one address, as when a firewall drops what goes there.
struct Blackhole {
    address: SocketAddr,
    tried: AtomicU64,
}

impl Connector for Blackhole {
    fn connect(&self, target: Target) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        if target.addr == self.address {
            self.tried.fetch_add(1, Ordering::Relaxed);
            return Box::pin(std::future::pending());
        }
        TcpConnector::default().connect(target)
    }
}

#[test]
fn row_005_a_connect_that_nobody_answers() {
    run(async {
        let rig = one_partition_each().await;
        let hole = Arc::new(Blackhole { address: nobody(), tried: AtomicU64::new(0) });
        rig.names().route(port(&rig, 2), &[hole.address]);
        let hasty = rig.producer().connector(Arc::clone(&hole) as Arc<dyn Connector>);
        let mut story = Story::with(&rig, hasty.connect_timeout(Duration::from_millis(100)));
        story.enqueue_to(TOPIC, Some(1), 10).await;
        // The other broker's records do not wait for it.
        story.enqueue(TOPIC, 10).await;
        until("the others are delivered", || story.producer().metrics().total.delivered.records == 10).await;
        until("it was given up and tried again", || hole.tried.load(Ordering::Relaxed) >= 2).await;
        rig.names().route(port(&rig, 2), &[hole.address, rig.proxy(2).address()]);
        story.end(60).await.all_delivered();
        assert!(hole.tried.load(Ordering::Relaxed) < 20);
    });
}

#[test]
fn row_006_a_reset_while_nothing_is_under_way() {
    run(async {
        events::listen();
        let rig = Rig::nodes(1).await;
        let mut story = under_way(&rig).await;
        for _ in 0..3 {
            rig.proxy(1).reset();
            story.deliver(TOPIC, 1).await;
        }
        story.end(40).await.all_delivered();
        // Of a connection that had worked for a while nobody needs to hear.
        let rig = Rig::nodes(1).await;
        let mut story = under_way(&rig).await;
        for round in 0..3 {
            tokio::time::sleep(RECONNECT_BACKOFF_MAX).await;
            rig.proxy(1).reset();
            let is_up = || story.producer().health().broker(BrokerId(1)).is_some_and(|b| b.state == BrokerState::Up);
            until("the reset is noticed", || !is_up()).await;
            story.enqueue(TOPIC, 1).await;
            until("it is delivered", || story.producer().metrics().total.delivered.records == 11 + round).await;
        }
        story.end(40).await.all_delivered();
        assert_eq!(events::line(&[&format!("broker.test:{}", port(&rig, 1))]), None);
    });
}

#[test]
fn row_007_an_idle_connection_is_forgotten_by_a_middlebox() {
    run(async {
        let rig = Rig::nodes(1).await;
        let mut story = under_way(&rig).await;
        rig.proxy(1).forget();
        story.enqueue(TOPIC, 10).await;
        let ended = story.end(40).await;
        assert!(ended.all_delivered().metrics.requests_lost >= 1);
        // One that has been idle for too long is not used again, and nothing is lost in it.
        let rig = Rig::nodes(1).await;
        let mut story = Story::with(&rig, rig.producer().idle_timeout(Duration::from_millis(100)));
        story.deliver("young", 10).await;
        let open = rig.connections();
        until("idle connections were closed", || rig.proxy(1).open() == 0).await;
        rig.proxy(1).forget();
        story.deliver("young", 10).await;
        assert!(rig.connections() > open);
        assert_eq!(story.end(40).await.all_delivered().metrics.requests_lost, 0);
    });
}

#[test]
fn row_008_a_reset_in_the_middle_of_a_request() {
    run(async {
        let rig = Rig::nodes(1).await;
        let mut story = under_way(&rig).await;
        for bytes in [0, 1, 5, 60, 150, usize::MAX] {
            rig.proxy(1).strike(Way::ToBroker, ApiKey::PRODUCE, Act::ResetAfter(bytes));
            story.deliver(TOPIC, 5).await;
        }
        let ended = story.end(100).await;
        assert!(ended.all_delivered().metrics.requests_lost >= 6);
        assert_eq!(ended.metrics.epoch_bumps, 0, "sent again under the same sequences");
    });
}

#[test]
fn row_009_close_right_after_the_request_was_sent() {
    run(async {
        let rig = Rig::nodes(1).await;
        let mut story = under_way(&rig).await;
        rig.cluster().script(Rule::on(ApiKey::PRODUCE, Reaction::CloseAfter).times(2));
        story.enqueue(TOPIC, 10).await;
        let ended = story.end(60).await;
        assert!(ended.all_delivered().metrics.requests_lost >= 2);
        assert_eq!((ended.metrics.epoch_bumps, rig.cluster().script_pending()), (0, 0));
        // For ever: they are on the log, once, and nobody says so.
        let mut story = Story::with(&rig, rig.producer().delivery_timeout(Duration::from_millis(600)));
        story.deliver(TOPIC, 10).await;
        rig.cluster().script(Rule::on(ApiKey::PRODUCE, Reaction::CloseAfter).always());
        story.enqueue(TOPIC, 1).await;
        let ended = story.end(100).await;
        ended.failed(1, FailureKind::DeliveryTimeout, Fate::MaybeWritten);
        assert_eq!(ended.account.stored, 11);
    });
}

#[test]
fn row_010_the_connection_ends_within_an_answer() {
    run(async {
        let rig = Rig::nodes(1).await;
        let mut story = under_way(&rig).await;
        for bytes in [0, 1, 4, 5, 12, 30] {
            rig.proxy(1).strike(Way::ToClient, ApiKey::PRODUCE, Act::CutAfter(bytes));
            story.deliver(TOPIC, 5).await;
        }
        let ended = story.end(100).await;
        assert!(ended.all_delivered().metrics.requests_lost >= 6);
        assert_eq!(ended.metrics.epoch_bumps, 0);
    });
}

#[test]
fn row_011_half_a_request_and_then_nothing() {
    run(async {
        let rig = Rig::nodes(1).await;
        let mut story = under_way(&rig).await;
        let (before, open) = (rig.connections(), rig.proxy(1).open());
        rig.proxy(1).strike(Way::ToBroker, ApiKey::PRODUCE, Act::StallAfter(40));
        story.enqueue(TOPIC, 1).await;
        until("the request timed out", || story.producer().metrics().requests_lost > 0).await;
        story.deliver(TOPIC, 9).await;
        until("the old one is closed", || rig.proxy(1).open() <= open).await;
        let ended = story.end(40).await;
        assert_eq!(ended.all_delivered().metrics.requests_lost, 1);
        assert!(rig.connections() > before, "it went on over a new connection");
        assert_eq!(rig.proxy(1).swallowed(), 0, "and wrote nothing more to the old one");
    });
}

#[test]
fn row_012_a_slow_network() {
    run(async {
        let rig = Rig::nodes(1).await;
        rig.topic(TOPIC, 1);
        rig.proxy(1).on_frame(|frame| {
            if frame.way == Way::ToBroker && frame.api == ApiKey::PRODUCE { Act::Trickle(4096) } else { Act::Pass }
        });
        let patient = rig.producer().request_timeout(Duration::from_secs(20));
        let mut story = Story::with(&rig, patient.batch_size(64 * 1024));
        for _ in 0..3000 {
            story.enqueue_one(TOPIC, Some(0), &[b'x'; 1000]).await;
        }
        let ended = story.end(300).await;
        ended.all_delivered();
        assert_eq!(ended.metrics.requests_lost, 0);
        assert!(rig.connections() <= 3, "{} connections", rig.connections());
        assert!(ended.metrics.batches < 200, "{} batches", ended.metrics.batches);
    });
}

#[test]
fn row_013_an_answer_never_comes() {
    run(async {
        let rig = one_partition_each().await;
        let mut story = Story::new(&rig);
        story.enqueue_to(TOPIC, Some(1), 10).await;
        story.deliver(TOPIC, 10).await;
        rig.cluster().pause_node(BrokerId(2));
        story.enqueue_to(TOPIC, Some(1), 10).await;
        // The other broker's records flow on.
        story.enqueue_to(TOPIC, Some(0), 10).await;
        until("those of the other", || story.producer().metrics().total.delivered.records == 30).await;
        until("the request timed out", || story.producer().metrics().requests_lost >= 1).await;
        rig.cluster().resume_node(BrokerId(2));
        let ended = story.end(80).await;
        assert_eq!(ended.all_delivered().metrics.epoch_bumps, 0);
    });
}

#[test]
fn row_014_answers_in_the_wrong_order_or_to_nothing() {
    run(async {
        let rig = Rig::nodes(1).await;
        rig.topic(TOPIC, 2);
        let mut story = Story::new(&rig);
        story.enqueue_to(TOPIC, Some(1), 5).await;
        story.deliver(TOPIC, 5).await;
        let opened = rig.connections();
        rig.cluster().script(Rule::on(ApiKey::PRODUCE, Reaction::WrongCorrelation));
        story.deliver(TOPIC, 5).await;
        assert!(rig.connections() > opened, "the connection was closed as corrupt");
        let (mut held, mut swapped) = (None, 0_u64);
        let swaps = Arc::new(AtomicU64::new(0));
        let its = Arc::clone(&swaps);
        rig.proxy(1).on_frame(move |frame| {
            if frame.way != Way::ToClient || frame.api != ApiKey::PRODUCE || swapped > 0 {
                return Act::Pass;
            }
            let Some(first) = held.take() else {
                held = Some(frame.bytes.to_vec());
                return Act::Replace(Vec::new());
            };
            swapped += 1;
            its.store(swapped, Ordering::Relaxed);
            Act::Replace([frame.bytes, first.as_slice()].concat())
        });
        story.enqueue_to(TOPIC, Some(1), 1).await;
        until("one request is under way", || story.producer().metrics().requests_in_flight > 0).await;
        story.enqueue_to(TOPIC, Some(0), 1).await;
        let ended = story.end(60).await;
        assert_eq!(swaps.load(Ordering::Relaxed), 1);
        assert!(ended.all_delivered().metrics.requests_lost >= 3, "neither of the two that were swapped was believed");
        assert_eq!(ended.metrics.epoch_bumps, 0);
    });
}

#[test]
fn row_015_an_answer_of_an_impossible_size() {
    run(async {
        let rig = Rig::nodes(1).await;
        let mut story = under_way(&rig).await;
        for size in [i32::MAX, -1, i32::MIN, 0, 3, 1000] {
            let mut once = true;
            rig.proxy(1).on_frame(move |frame| {
                if frame.way != Way::ToClient || frame.api != ApiKey::PRODUCE || !std::mem::take(&mut once) {
                    return Act::Pass;
                }
                Act::Replace([&size.to_be_bytes(), &frame.bytes[4..]].concat())
            });
            story.deliver(TOPIC, 5).await;
        }
        assert!(story.end(100).await.all_delivered().metrics.requests_lost >= 6);
    });
}

#[test]
fn row_016_an_answer_leaves_out_a_partition() {
    run(async {
        let rig = Rig::nodes(1).await;
        rig.topic(TOPIC, 2);
        let mut story = Story::new(&rig);
        story.deliver(TOPIC, 1).await;
        for partition in [0, 1] {
            let rule = Rule::on(ApiKey::PRODUCE, Reaction::Omit).topic(TOPIC).partition(PartitionId(partition));
            rig.cluster().script(rule.times(2));
        }
        story.enqueue_to(TOPIC, Some(0), 5).await;
        story.enqueue_to(TOPIC, Some(1), 5).await;
        story.end(60).await.all_delivered();
        assert_eq!(rig.cluster().script_pending(), 0);
    });
}

#[test]
fn row_017_an_answer_names_a_partition_twice_or_one_not_sent() {
    run(async {
        events::listen();
        let rig = Rig::nodes(1).await;
        let mut story = under_way(&rig).await;
        rig.proxy(1).on_frame(|frame| {
            rewritten_produce(frame, |told| {
                let topic = told.topics.first_mut().expect("one was asked about");
                let mut refused = topic.partitions[0].clone();
                refused.error = ErrorCode::INVALID_RECORD;
                let mut strange = refused.clone();
                strange.index = PartitionId(77);
                topic.partitions.extend([refused, strange]);
                let again = topic.clone();
                told.topics.push(again);
            })
        });
        for _ in 0..5 {
            story.deliver(TOPIC, 5).await;
        }
        let ended = story.end(60).await;
        assert_eq!(ended.all_delivered().metrics.total.retried.records, 0);
        assert!(events::said(&["WARN", "a produce answer says a partition"]));
    });
}

#[test]
fn row_018_the_broker_throttles() {
    run(async {
        let rig = Rig::nodes(1).await;
        let mut story = under_way(&rig).await;
        rig.cluster().script(Rule::on(ApiKey::PRODUCE, Reaction::Throttle(Duration::from_millis(200))).times(2));
        for _ in 0..3 {
            story.deliver(TOPIC, 5).await;
        }
        let ended = story.end(60).await;
        assert_eq!((ended.all_delivered().metrics.throttled, ended.metrics.throttle_ms_max), (2, 200));
        // Silence outlasts the delivery timeout, and nothing is sent in it.
        let enough = Duration::from_secs(3);
        let mut story = Story::with(&rig, rig.producer().request_timeout(enough).delivery_timeout(enough));
        story.producer().prepare(&[TOPIC], LONG).await.expect("a topic that is there");
        rig.cluster().script(Rule::on(ApiKey::PRODUCE, Reaction::Throttle(Duration::from_secs(60))));
        story.deliver(TOPIC, 1).await;
        let asked = rig.cluster().request_count(BrokerId(1), ApiKey::PRODUCE);
        story.enqueue(TOPIC, 10).await;
        story.end(20).await.failed(10, FailureKind::DeliveryTimeout, Fate::NotWritten);
        assert_eq!(rig.cluster().request_count(BrokerId(1), ApiKey::PRODUCE), asked);
    });
}

#[test]
fn row_019_brokers_that_share_an_address_or_change_it() {
    run(async {
        let rig = Rig::nodes(1).await;
        rig.topic(TOPIC, 2);
        let moved = Proxy::start(SocketAddr::from(([127, 0, 0, 1], port(&rig, 1))));
        // Its second partition is led by another broker, which is at the same address.
        let told = Arc::new(AtomicU64::new(port(&rig, 1).into()));
        let heard = Arc::new(AtomicU64::new(0));
        for proxy in [rig.proxy(1), &moved] {
            let (told, heard) = (Arc::clone(&told), Arc::clone(&heard));
            proxy.on_frame(move |frame| {
                rewritten_metadata(frame, |metadata| {
                    let port = told.load(Ordering::Relaxed);
                    heard.store(port, Ordering::Relaxed);
                    let mut other = metadata.brokers[0].clone();
                    other.node = BrokerId(7);
                    metadata.brokers.push(other);
                    for broker in &mut metadata.brokers {
                        broker.port = port.try_into().expect("a port");
                    }
                    for partition in metadata.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
                        partition.leader = BrokerId(if partition.index.0 == 1 { 7 } else { 1 });
                    }
                })
            });
        }
        let mut story = Story::with(&rig, rig.producer().metadata_max_age(Duration::from_millis(100)));
        story.enqueue_to(TOPIC, Some(1), 5).await;
        story.deliver(TOPIC, 5).await;
        assert!(rig.proxy(1).open() >= 2, "a connection for each id");
        // Both move to another port.
        let elsewhere = u64::from(moved.address().port());
        rig.names().route(moved.address().port(), &[moved.address()]);
        told.store(elsewhere, Ordering::Relaxed);
        until("it is told", || heard.load(Ordering::Relaxed) == elsewhere).await;
        rig.proxy(1).refuse(true);
        story.enqueue_to(TOPIC, Some(1), 5).await;
        story.enqueue_to(TOPIC, Some(0), 5).await;
        story.end(100).await.all_delivered();
        assert!(moved.accepted() >= 2, "a connection for each id");
    });
}

#[test]
fn row_024_versions_are_refused_cut_off_or_not_true() {
    run(async {
        let rig = Rig::nodes(1).await;
        rig.topic(TOPIC, 1);
        let api = ApiKey::API_VERSIONS;
        let refusal = Reaction::Error(ErrorCode::UNSUPPORTED_VERSION);
        let passing =
            [Reaction::CloseBefore, Reaction::CutAnswer, Reaction::Garble, Reaction::Silence, refusal.clone()];
        for reaction in passing {
            rig.cluster().script(Rule::on(api, reaction));
            let mut story = Story::new(&rig);
            story.deliver(TOPIC, 1).await;
            assert_eq!(story.end(20).await.failures.len(), 0);
        }
        // A broker that speaks less than it could is taken at its word.
        rig.proxy(1).on_frame(|frame| {
            assert!(frame.api != ApiKey::PRODUCE || frame.version == ApiVersion(7), "Produce {}", frame.version);
            rewritten_versions(frame, |told| {
                let produce = told.apis.iter_mut().find(|range| range.key == ApiKey::PRODUCE).expect("a broker");
                produce.max = ApiVersion(7);
            })
        });
        let mut story = Story::new(&rig);
        story.enqueue(TOPIC, 5).await;
        assert_eq!(story.end(20).await.failures.len(), 0);
        // One whose metadata names no ids gets no requests that need them, though it says that it takes those.
        rig.proxy(1).on_frame(|frame| {
            assert!(frame.api != ApiKey::PRODUCE || frame.version <= ApiVersion(12), "Produce {}", frame.version);
            rewritten_versions(frame, |told| {
                let metadata = told.apis.iter_mut().find(|range| range.key == ApiKey::METADATA).expect("a broker");
                metadata.max = ApiVersion(9);
            })
        });
        let mut story = Story::new(&rig);
        story.deliver(TOPIC, 5).await;
        story.end(20).await.all_delivered();
        // Refused for ever, or nothing in common: an error that says so, and no loop.
        rig.cluster().script(Rule::on(api, refusal).always());
        for words in ["even version 0 is refused", "does not offer it"] {
            let mut story = Story::with(&rig, rig.producer().delivery_timeout(Duration::from_millis(500)));
            story.enqueue("other", 5).await;
            let ended = story.end(60).await;
            ended.failed(5, FailureKind::DeliveryTimeout, Fate::NotWritten);
            let said = ended.failures[0].to_string();
            assert!(said.contains(words), "{said}");
            rig.cluster().clear_script();
            rig.proxy(1).on_frame(|frame| rewritten_versions(frame, |told| told.apis.clear()));
        }
    });
}

#[test]
fn row_025_a_rolling_restart() {
    run(async {
        let rig = Rig::start(EmbeddedCluster::builder().nodes(3).min_insync_replicas(2)).await;
        rig.topic(TOPIC, 3);
        let mut story = Story::new(&rig);
        for node in [1, 2, 3] {
            for partition in [0, 1, 2] {
                story.enqueue_to(TOPIC, Some(partition), 20).await;
            }
            rig.cluster().stop_node(BrokerId(node));
            story.enqueue_to(TOPIC, None, 50).await;
            story.settled().await;
            story.enqueue_to(TOPIC, None, 20).await;
            rig.cluster().start_node(BrokerId(node)).await.expect("it starts");
            // Kafka's tools wait for this as well before the next one.
            until("all are in sync again", || bare::is_in_sync(&rig.direct(), TOPIC)).await;
        }
        story.end(600).await.all_delivered();
    });
}
