//! From nothing but bootstrap addresses to a cluster, and what people are told when that fails.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use milena_wire::message::init_producer_id::InitProducerIdRequest;
use milena_wire::{ApiKey, BrokerId, Timestamp};

use super::world::{Asked, Dialled, Kafka, Reply, Script, Topic, World, closed, config, describe, produce, refused};
use crate::errors::{ConnErrorKind, LooksLike, LostCause};
use crate::{ControlRequest, Room};

fn init_producer_id() -> ControlRequest {
    ControlRequest::InitProducerId(InitProducerIdRequest::default())
}

/// A healthy cluster behind names and addresses that are not.
struct Network {
    kafka: Kafka,
    names: BTreeMap<&'static str, Result<Vec<&'static str>, &'static str>>,
    /// What happens at addresses other than the cluster's.
    elsewhere: fn() -> Dialled,
    /// What is answered there.
    reply: fn() -> Reply,
}

impl Network {
    fn new() -> Self {
        let kafka = Kafka::of(3).with_topic("a", Topic::led_by(&[(2, 5)]));
        Self { kafka, names: BTreeMap::new(), elsewhere: || Dialled::Failed(refused()), reply: || Reply::Silence }
    }

    fn name(mut self, name: &'static str, result: Result<&[&'static str], &'static str>) -> Self {
        self.names.insert(name, result.map(<[_]>::to_vec));
        self
    }

    fn elsewhere(mut self, elsewhere: fn() -> Dialled, reply: fn() -> Reply) -> Self {
        self.elsewhere = elsewhere;
        self.reply = reply;
        self
    }

    fn is_kafka(&self, addr: SocketAddr) -> bool {
        self.kafka.brokers.values().any(|address| address.to_string() == addr.to_string())
    }
}

impl Script for Network {
    fn resolve(&mut self, host: &str, _: u16) -> Option<Result<Vec<SocketAddr>, String>> {
        let result = self.names.get(host)?.clone();
        Some(result.map(|addrs| addrs.iter().map(|addr| addr.parse().unwrap()).collect()).map_err(str::to_owned))
    }

    fn dial(&mut self, addr: SocketAddr) -> Dialled {
        if self.is_kafka(addr) { self.kafka.dial(addr) } else { (self.elsewhere)() }
    }

    fn reply(&mut self, asked: &Asked) -> Reply {
        if self.is_kafka(asked.addr) { self.kafka.reply(asked) } else { (self.reply)() }
    }
}

#[test]
fn a_new_topic_is_asked_for_at_once_and_its_leader_can_be_produced_to() {
    let kafka = Kafka::of(3).with_topic("a", Topic::led_by(&[(2, 5)]));
    let mut world = World::new(config(&["10.0.0.1:9092", "10.0.0.2:9092"]), kafka);
    assert_eq!(world.cluster.next_timer(), Some(Timestamp::ZERO), "there is something to do from the start");
    world.use_topic("a");
    world.run_until("the leader", |world| world.leader("a", 0).is_some());
    assert_eq!(world.leader("a", 0), Some((2, 5)));
    assert_eq!(world.counts.of(ApiKey::METADATA), 1);
    assert_eq!(world.counts.dials.len(), 1, "one bootstrap address is enough");
    assert_eq!(world.cluster.produce_room(world.now, BrokerId(2)), Room::Wait);
    world.run_until("room", |world| world.events.iter().any(|event| describe(event) == "room 2"));
    let Room::Ready { version, slots } = world.cluster.produce_room(world.now, BrokerId(2)) else { panic!("room") };
    assert_eq!((version.0, slots), (13, 2));
    world.cluster.send_produce(world.now, BrokerId(2), &produce("a", -1));
    world.run_ms(10);
    assert_eq!(world.take_events(), ["metadata", "room 2", "produced 2"]);
}

#[test]
fn control_requests_use_whatever_connection_there_is() {
    let mut world = World::new(config(&["10.0.0.1:9092"]), Kafka::of(3));
    world.cluster.control(world.now, init_producer_id());
    world.run_ms(10);
    assert_eq!(world.take_events(), ["metadata", "producer id 7"]);
    assert_eq!(world.counts.dials.len(), 1);
}

#[test]
fn a_cluster_nobody_uses_asks_once_and_is_silent_from_then_on() {
    let mut world = World::new(config(&["10.0.0.1:9092"]), Kafka::of(3));
    world.run_ms(10);
    assert!(world.cluster.is_ready());
    world.use_topic("a");
    world.run(Duration::from_secs(3_600));
    assert_eq!(world.cluster.next_timer(), None, "no wake-ups");
    assert_eq!(world.conns.len(), 0, "nor connections");
    let before = world.counts.of(ApiKey::METADATA);
    world.script.topics.insert("a".to_owned(), Topic::led_by(&[(1, 1)]));
    world.use_topic("a");
    world.run_ms(10);
    assert_eq!(world.leader("a", 0), Some((1, 1)));
    assert_eq!(world.counts.of(ApiKey::METADATA), before + 1);
}

#[test]
fn what_is_wrong_with_a_bootstrap_server_is_said() {
    use ConnErrorKind as K;
    let tls = K::NotKafka { looks_like: LooksLike::Tls };
    let http = K::NotKafka { looks_like: LooksLike::Http };
    let accept = || Dialled::Accepted;
    let cases: [(Network, K, &str); 9] = [
        (Network::new().name("k", Err("no such host")), K::Resolve, "no such host"),
        (Network::new().name("k", Ok(&["10.9.9.9:9092"])), K::Refused, "k:9092 (10.9.9.9:9092)"),
        (
            Network::new().name("k", Ok(&["10.9.9.9:9092"])).elsewhere(|| Dialled::BlackHole, || Reply::Silence),
            K::TimedOut,
            "TCP connection",
        ),
        (
            Network::new().name("k", Ok(&["10.9.9.9:9092"])).elsewhere(accept, || Reply::Silence),
            K::TimedOut,
            "first request was not answered",
        ),
        (
            Network::new()
                .name("k", Ok(&["10.9.9.9:9092"]))
                .elsewhere(accept, || Reply::Lost(LostCause::BadSize { first_bytes: *b"HTTP" })),
            http,
            "HTTP",
        ),
        (
            Network::new()
                .name("k", Ok(&["10.9.9.9:9092"]))
                .elsewhere(accept, || Reply::Lost(LostCause::BadSize { first_bytes: [0x15, 3, 3, 0] })),
            tls,
            "security.protocol",
        ),
        (
            Network::new().name("k", Ok(&["10.9.9.9:9092"])).elsewhere(accept, || Reply::Lost(closed())),
            K::ClosedEarly,
            "TLS or SASL",
        ),
        (
            Network::new()
                .name("k", Ok(&["10.9.9.9:9092"]))
                .elsewhere(accept, || Reply::Lost(LostCause::BadSize { first_bytes: [0xff; 4] })),
            K::BadSize,
            "(-1 bytes)",
        ),
        (
            Network::new()
                .name("k", Ok(&["10.9.9.9:9092"]))
                .elsewhere(accept, || Reply::Frame(vec![0, 0, 0, 6, 0, 0, 0, 0, 0xff, 0xff].into())),
            K::Malformed,
            "ApiVersions",
        ),
    ];
    for (network, kind, text) in cases {
        let mut world = World::new(config(&["k:9092"]), network);
        world.run(Duration::from_secs(13));
        let error = world.cluster.last_error().unwrap();
        assert_eq!(error.what, kind, "{error}");
        let shown = error.to_string();
        assert!(shown.contains(text) && shown.contains("k:9092"), "{shown}");
        assert!(!world.cluster.is_ready());
    }
}

#[test]
fn a_name_that_does_not_resolve_is_tried_until_it_does() {
    let mut world = World::new(config(&["k:9092"]), Network::new().name("k", Err("no such host")));
    world.use_topic("a");
    world.run(Duration::from_secs(20));
    assert!(world.counts.resolves > 15, "{}", world.counts.resolves);
    world.script = Network::new().name("k", Ok(&["10.0.0.1:9092"]));
    world.run_ms(1_100);
    assert!(world.is_known("a"));
    assert!(world.cluster.last_error().is_none());
}

#[test]
fn a_name_that_never_resolves_nor_fails_runs_into_the_setup_timeout() {
    let mut world = World::new(config(&["k:9092"]), Network::new());
    world.run(Duration::from_secs(13));
    let error = world.cluster.last_error().unwrap();
    assert_eq!(error.what, ConnErrorKind::TimedOut);
    assert!(error.to_string().contains("resolved"), "{error}");
}

#[test]
fn every_address_of_a_name_is_tried_at_once() {
    let network = Network::new().name("k", Ok(&["10.9.9.1:9092", "10.9.9.2:9092", "10.0.0.2:9092"]));
    let mut world = World::new(config(&["k:9092"]), network);
    world.use_topic("a");
    world.run_ms(10);
    assert!(world.is_known("a"));
    assert_eq!((world.counts.dials.len(), world.counts.resolves), (3, 1));
}

#[test]
fn a_black_hole_among_the_bootstrap_servers_costs_a_second_at_most() {
    for seed in 0..10 {
        let network = Network::new()
            .name("hole-1", Ok(&["10.9.9.1:9092"]))
            .name("hole-2", Ok(&["10.9.9.2:9092"]))
            .name("good", Ok(&["10.0.0.2:9092"]))
            .elsewhere(|| Dialled::BlackHole, || Reply::Silence);
        let mut world = World::seeded(config(&["hole-1:9092", "hole-2:9092", "good:9092"]), network, seed);
        world.use_topic("a");
        world.run_ms(2_001);
        assert!(world.is_known("a"), "a second for each, seed {seed}");
    }
}

#[test]
fn all_bootstrap_servers_are_tried_when_the_first_fail() {
    for seed in 0..10 {
        let network = Network::new()
            .name("bad-1", Err("no such host"))
            .name("bad-2", Ok(&["10.9.9.2:9092"]))
            .name("good", Ok(&["10.0.0.2:9092"]));
        let mut world = World::seeded(config(&["bad-1:9092", "bad-2:9092", "good:9092"]), network, seed);
        world.use_topic("a");
        world.run_ms(10);
        assert!(world.is_known("a"), "seed {seed}");
    }
}

#[test]
fn an_old_broker_is_spoken_to_in_its_versions() {
    let mut kafka = Kafka::of(1).with_topic("a", Topic::led_by(&[(1, 5)]));
    kafka.newest = BTreeMap::from([
        (ApiKey::API_VERSIONS, 1),
        (ApiKey::METADATA, 4),
        (ApiKey::PRODUCE, 3),
        (ApiKey::INIT_PRODUCER_ID, 0),
    ]);
    let mut world = World::new(config(&["10.0.0.1:9092"]), kafka);
    world.use_topic("a");
    world.cluster.control(world.now, init_producer_id());
    world.run_ms(10);
    assert_eq!(world.leader("a", 0), Some((1, -1)), "its epochs cannot be relied on");
    assert_eq!(world.cluster.produce_room(world.now, BrokerId(1)), Room::Wait);
    world.run_ms(10);
    world.cluster.send_produce(world.now, BrokerId(1), &produce("a", 1));
    world.run_ms(10);
    assert_eq!(world.take_events(), ["metadata", "producer id 7", "room 1", "produced 1"]);
    let spoken = world.counts.requests.iter().map(|(_, api, version, _)| (api.0, version.0)).collect::<Vec<_>>();
    assert_eq!(spoken, [(18, 4), (18, 1), (3, 4), (22, 0), (18, 4), (18, 1), (0, 3)]);
}

#[test]
fn a_broker_too_old_to_produce_to_says_so() {
    let mut kafka = Kafka::of(1).with_topic("a", Topic::led_by(&[(1, 5)]));
    kafka.newest.insert(ApiKey::PRODUCE, 2);
    let mut world = World::new(config(&["10.0.0.1:9092"]), kafka);
    world.use_topic("a");
    world.run_ms(10);
    world.cluster.produce_room(world.now, BrokerId(1));
    world.run_ms(10);
    let error = world.cluster.broker_error(BrokerId(1)).unwrap();
    assert_eq!(error.what, ConnErrorKind::VersionsUnsupported);
    assert!(error.to_string().contains("Produce: the broker offers versions 0 to 2"), "{error}");
    assert_eq!(world.counts.of(ApiKey::PRODUCE), 0);
}

#[test]
fn a_control_request_without_a_broker_fails_at_its_deadline_and_says_why() {
    let mut world = World::new(config(&["k:9092"]), Network::new().name("k", Err("no such host")));
    world.cluster.control(world.now, init_producer_id());
    world.run_ms(29_999);
    assert_eq!(world.take_events(), [""; 0]);
    world.run_ms(2);
    assert_eq!(world.take_events(), ["control lost NotSent REQUEST_TIMED_OUT (7) Resolve"]);
    let mut nowhere = World::new(config(&[]), Kafka::of(1));
    nowhere.cluster.control(nowhere.now, init_producer_id());
    nowhere.run_ms(30_001);
    assert_eq!(nowhere.take_events(), ["control lost NotSent REQUEST_TIMED_OUT (7) TimedOut"]);
}

#[test]
fn a_control_request_the_broker_does_not_know_is_not_sent() {
    let mut kafka = Kafka::of(1);
    kafka.newest.insert(ApiKey::INIT_PRODUCER_ID, -1);
    let mut world = World::new(config(&["10.0.0.1:9092"]), kafka);
    world.cluster.control(world.now, init_producer_id());
    world.run_ms(10);
    assert_eq!(world.take_events(), ["control lost NotSent UNSUPPORTED_VERSION (35) VersionsUnsupported", "metadata"]);
}

#[test]
fn a_control_request_that_gets_no_answer_may_have_been_sent() {
    let mut kafka = Kafka::of(1);
    kafka.silent.insert(ApiKey::INIT_PRODUCER_ID);
    let mut world = World::new(config(&["10.0.0.1:9092"]), kafka);
    world.cluster.control(world.now, init_producer_id());
    world.run(Duration::from_secs(31));
    assert_eq!(world.take_events(), ["metadata", "control lost MaybeSent REQUEST_TIMED_OUT (7) RequestTimeout"]);
}
