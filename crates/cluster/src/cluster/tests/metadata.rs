//! Which metadata requests go out, to whom, and what their answers change.

use std::net::SocketAddr;
use std::time::Duration;

use milena_wire::message::NodeEndpoint;
use milena_wire::{ApiKey, BrokerId, ErrorCode, LeaderEpoch, PartitionId, TopicName};

use super::world::{Asked, Dialled, Kafka, Reply, Script, Topic, World, closed, config, produce};
use crate::config::HostPort;
use crate::errors::ConnErrorKind;
use crate::{Input, LeaderHint, Room, TopicState};

const ONE: BrokerId = BrokerId(1);
const SEED: &str = "10.0.0.1:9092";

fn world(brokers: i32, topics: &[(&str, &[(i32, i32)])]) -> World<Kafka> {
    let mut kafka = Kafka::of(brokers);
    for (name, leaders) in topics {
        kafka.topics.insert((*name).to_owned(), Topic::led_by(leaders));
    }
    let mut world = World::new(config(&[SEED]), kafka);
    for (name, _) in topics {
        world.use_topic(name);
    }
    world.run_ms(10);
    world.take_events();
    world.script.metadata_requests.clear();
    changed(&mut world);
    world
}

/// The topics of each metadata request since the last look.
fn asked(world: &mut World<Kafka>) -> Vec<String> {
    std::mem::take(&mut world.script.metadata_requests).iter().map(|(_, names)| names.join(" ")).collect()
}

fn changed(world: &mut World<Kafka>) -> Vec<String> {
    let mut changed = Vec::new();
    world.cluster.take_changed_topics(&mut changed);
    changed.iter().map(ToString::to_string).collect()
}

fn hint(topic: &str, partition: i32, leader: i32, epoch: i32) -> LeaderHint {
    LeaderHint {
        topic: TopicName::new(topic),
        partition: PartitionId(partition),
        leader: BrokerId(leader),
        epoch: LeaderEpoch(epoch),
    }
}

fn endpoint(node: i32, host: &str, port: i32) -> NodeEndpoint {
    NodeEndpoint { node: BrokerId(node), host: host.to_owned(), port, rack: None }
}

#[test]
fn new_topics_are_asked_for_alone_and_a_refresh_asks_for_all() {
    let mut world = world(3, &[("a", &[(1, 5)])]);
    world.script.topics.insert("b".to_owned(), Topic::led_by(&[(2, 1)]));
    world.script.topics.insert("c".to_owned(), Topic::led_by(&[(3, 1)]));
    world.use_topic("b");
    assert_eq!(asked(&mut world), ["b"]);
    world.use_topic("c");
    world.use_topic("a");
    world.run_ms(10);
    assert_eq!(asked(&mut world), ["c"], "after the first one was answered, at once");
    assert_eq!(changed(&mut world), ["b", "c"]);
    for _ in 0..100 {
        world.cluster.refresh(world.now);
        world.cluster.refresh_topic(world.now, &TopicName::new("a"));
        world.run_ms(1);
    }
    world.run_ms(2_000);
    let requests = asked(&mut world);
    assert!(requests.len() <= 3 && requests[0] == "a b c", "{requests:?}");
    assert_eq!(changed(&mut world), [""; 0], "nothing was new");
}

#[test]
fn one_request_is_in_flight_however_slow_the_answer() {
    let mut world = world(3, &[("a", &[(1, 5)])]);
    world.script.silent.insert(ApiKey::METADATA);
    world.use_topic("b");
    for _ in 0..29 {
        world.cluster.refresh(world.now);
        world.use_topic("a");
        world.use_topic("b");
        world.run_ms(1_000);
    }
    assert_eq!(world.counts.of(ApiKey::METADATA), 2, "one at the start, one now");
    assert!(matches!(world.cluster.topic(&TopicName::new("b")), TopicState::Asking));
    assert!(world.is_known("a"), "what is in use is not forgotten meanwhile");
    world.script.silent.clear();
    world.run_ms(3_000);
    assert!(matches!(world.cluster.topic(&TopicName::new("b")), TopicState::Missing { .. }));
}

#[test]
fn a_thousand_partitions_that_lose_their_leader_are_one_request_per_backoff() {
    let leaders = vec![(1, 5); 1_000];
    let mut world = world(3, &[("a", &leaders)]);
    world.script.topics.insert("a".to_owned(), Topic::led_by(&[(-1, 6)].repeat(1_000)));
    for _ in 0..1_000 {
        world.cluster.refresh_topic(world.now, &TopicName::new("a"));
        world.cluster.refresh(world.now);
    }
    for _ in 0..60 {
        world.use_topic("a");
        world.run_ms(1_000);
    }
    let requests = asked(&mut world).len();
    assert!((55..75).contains(&requests), "{requests} requests in a minute");
    assert_eq!(world.leader("a", 999), None);
    world.script.topics.insert("a".to_owned(), Topic::led_by(&[(2, 7)].repeat(1_000)));
    world.run_ms(1_100);
    assert_eq!(world.leader("a", 999), Some((2, 7)));
    asked(&mut world);
    world.run_ms(10_000);
    assert_eq!(asked(&mut world), [""; 0], "and then it is quiet");
}

#[test]
fn a_missing_topic_is_asked_for_with_backoff_and_counts_its_answers() {
    let mut world = world(1, &[]);
    world.use_topic("a");
    world.run_ms(1);
    let state = |world: &World<Kafka>| match world.cluster.topic(&TopicName::new("a")) {
        TopicState::Missing { code, answers, first_answer } => (code, answers, world.now.since(first_answer).as_secs()),
        other => panic!("{other:?}"),
    };
    assert_eq!(state(&world), (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, 1, 0));
    world.run_ms(10_000);
    let (_, answers, since) = state(&world);
    assert!((11..16).contains(&answers) && since == 10, "{answers} answers since {since} s");
    world.script.topics.insert("a".to_owned(), Topic { partitions: vec![], ..Topic::default() });
    world.run_ms(1_100);
    assert_eq!(state(&world).0, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "no partitions is as good as none");
    world.script.topics.insert("a".to_owned(), Topic::led_by(&[(1, 0)]));
    world.run_ms(1_100);
    assert_eq!(world.leader("a", 0), Some((1, 0)));
}

#[test]
fn a_question_that_came_due_is_asked_whatever_is_looked_at_first() {
    let mut world = world(1, &[("a", &[(1, 5)])]);
    world.use_topic("nope");
    world.run_ms(1);
    asked(&mut world);
    // A late wake-up: the time to ask again has passed, and somebody who sends comes before the tick.
    let due = world.cluster.next_timer().unwrap();
    world.cluster.produce_room(due + Duration::from_millis(1), ONE);
    world.run_ms(1_000);
    assert!(asked(&mut world).len() >= 2);
}

#[test]
fn a_topic_one_may_not_use_is_asked_for_again_only_when_it_is_used_again() {
    let denied = Topic { error: ErrorCode::TOPIC_AUTHORIZATION_FAILED, ..Topic::default() };
    let mut world = world(1, &[]);
    world.script.topics.insert("a".to_owned(), denied);
    world
        .script
        .topics
        .insert("b?".to_owned(), Topic { error: ErrorCode::INVALID_TOPIC_EXCEPTION, ..Topic::default() });
    world.use_topic("a");
    world.use_topic("b?");
    world.run_ms(5_000);
    let failed = |world: &World<Kafka>, name: &str| match world.cluster.topic(&TopicName::new(name)) {
        TopicState::Failed { code } => code,
        other => panic!("{other:?}"),
    };
    assert_eq!(failed(&world, "a"), ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    assert_eq!(failed(&world, "b?"), ErrorCode::INVALID_TOPIC_EXCEPTION);
    assert_eq!(asked(&mut world), ["a", "b?"]);
    world.script.topics.insert("a".to_owned(), Topic::led_by(&[(1, 0)]));
    world.run_ms(5_000);
    assert_eq!(asked(&mut world), [""; 0]);
    world.use_topic("a");
    world.use_topic("b?");
    world.run_ms(1_000);
    assert_eq!(asked(&mut world), ["a"]);
    assert_eq!(world.leader("a", 0), Some((1, 0)), "granted");
}

#[test]
fn topics_out_of_use_are_not_asked_for_any_more() {
    let mut world = world(1, &[("a", &[(1, 5)]), ("b", &[(1, 5)])]);
    for _ in 0..10 {
        world.run(Duration::from_secs(60));
        world.use_topic("a");
    }
    assert!(asked(&mut world).iter().all(|names| names == "a"));
    assert_eq!(world.cluster.topic(&TopicName::new("b")), TopicState::Unasked);
    assert!(world.is_known("a"));
}

/// A cluster of which one broker answers metadata requests badly.
struct Bad {
    kafka: Kafka,
    bad: SocketAddr,
    reply: fn(&mut Kafka, &Asked) -> Reply,
}

impl Script for Bad {
    fn dial(&mut self, addr: SocketAddr) -> Dialled {
        self.kafka.dial(addr)
    }
    fn reply(&mut self, asked: &Asked) -> Reply {
        if asked.addr == self.bad && asked.header.api_key == ApiKey::METADATA {
            (self.reply)(&mut self.kafka, asked)
        } else {
            self.kafka.reply(asked)
        }
    }
}

#[test]
fn when_one_broker_answers_badly_another_is_asked() {
    let replies: [fn(&mut Kafka, &Asked) -> Reply; 4] = [
        |_, _| Reply::Lost(closed()),
        |_, asked| super::world::raw(asked.header.correlation, &[0xff; 7]),
        |kafka, asked| {
            kafka.metadata_error = ErrorCode::UNKNOWN_SERVER_ERROR;
            let response = kafka.metadata(&asked.topics());
            kafka.metadata_error = ErrorCode::NONE;
            response.encode_frame(asked.header.version, asked.header.correlation).into()
        },
        |kafka, asked| {
            let mut response = kafka.metadata(&asked.topics());
            response.brokers.clear();
            response.encode_frame(asked.header.version, asked.header.correlation).into()
        },
    ];
    for reply in replies {
        for seed in 0..5 {
            let kafka = Kafka::of(2).with_topic("a", Topic::led_by(&[(2, 5)]));
            let script = Bad { kafka, bad: SEED.parse().unwrap(), reply };
            let mut world = World::seeded(config(&[SEED, "10.0.0.2:9092"]), script, seed);
            world.use_topic("a");
            world.run_ms(130);
            assert_eq!(world.leader("a", 0), Some((2, 5)), "seed {seed}");
            assert!(world.cluster.last_error().is_none());
        }
    }
}

#[test]
fn a_lagging_broker_does_not_take_leadership_back_and_another_is_asked() {
    let kafka = Kafka::of(2).with_topic("a", Topic::led_by(&[(2, 5)]));
    let script = Bad { kafka, bad: "10.0.0.2:9092".parse().unwrap(), reply: |kafka, asked| kafka.answer(asked) };
    let mut world = World::new(config(&["10.0.0.2:9092"]), script);
    world.use_topic("a");
    world.run_ms(10);
    assert_eq!(world.leader("a", 0), Some((2, 5)));
    world.script.reply = |kafka, asked| {
        let now = kafka.topics.insert("a".to_owned(), Topic::led_by(&[(2, 4)]));
        let reply = kafka.answer(asked);
        kafka.topics.extend(now.map(|topic| ("a".to_owned(), topic)));
        reply
    };
    world.script.kafka.topics.insert("a".to_owned(), Topic::led_by(&[(1, 6)]));
    world.cluster.apply_hints(world.now, &[hint("a", 0, 1, 6)], &[]);
    world.cluster.refresh(world.now);
    world.run_ms(5_000);
    assert_eq!(world.leader("a", 0), Some((1, 6)));
    let last = world.counts.requests.iter().rfind(|(_, api, ..)| *api == ApiKey::METADATA).unwrap();
    assert_eq!(last.3, SEED.parse().unwrap(), "the other one was asked");
    assert!(world.counts.of(ApiKey::METADATA) <= 5);
}

#[test]
fn a_lost_broker_leads_to_a_refresh_and_its_partitions_move() {
    let mut world = world(3, &[("a", &[(2, 5)])]);
    assert_eq!(world.cluster.produce_room(world.now, BrokerId(2)), Room::Wait);
    world.run_ms(10);
    world.script.down.insert(2);
    world.script.topics.insert("a".to_owned(), Topic::led_by(&[(3, 6)]));
    let conn = world.conn_to("10.0.0.2:9092");
    world.break_conn(conn, closed());
    world.run_ms(150);
    assert_eq!(world.leader("a", 0), Some((3, 6)));
}

#[test]
fn a_leader_the_metadata_does_not_list_is_no_leader_and_asked_about_again() {
    let mut world = world(1, &[("a", &[(7, 5)])]);
    assert_eq!(world.leader("a", 0), None);
    world.script.brokers.insert(7, HostPort::new("10.0.0.7", 9092));
    world.run_ms(1_000);
    assert_eq!(world.leader("a", 0), Some((7, 5)));
    assert_eq!(changed(&mut world), ["a"]);
}

#[test]
fn a_broker_whose_host_can_be_none_is_no_broker() {
    let long = "a".repeat(256);
    for (host, is_one) in [
        ("", false),
        ("two words", false),
        ("line\nbreak", false),
        ("\u{1b}[31mred", false),
        ("\u{202e}moc.elpmaxe", false),
        (&long, false),
        (&long[1..], true),
        ("b-1.example_2.com", true),
        ("bücher.example", true),
        ("::1", true),
        ("fe80::1%eth0", true),
    ] {
        let mut world = world(1, &[("a", &[(7, 5)])]);
        world.script.brokers.insert(7, HostPort::new(host, 9092));
        world.run_ms(1_000);
        assert_eq!(world.leader("a", 0), is_one.then_some((7, 5)), "{host}");
        let hints = [hint("a", 0, 9, 6)];
        let taken = world.cluster.apply_hints(world.now, &hints, &[endpoint(9, host, 9092)]);
        assert_eq!(taken, usize::from(is_one), "{host}");
    }
}

#[test]
fn when_all_brokers_were_replaced_the_bootstrap_servers_find_the_new_ones() {
    let kafka = Kafka::of(3).with_topic("a", Topic::led_by(&[(1, 5)]));
    let mut world = World::new(config(&["10.0.0.1:9092"]), kafka);
    world.use_topic("a");
    world.run_ms(10);
    // The bootstrap address stays; the rest moves to a new network under new ids.
    world.script.brokers = [(1, SEED), (11, "10.1.0.1:9092"), (12, "10.1.0.2:9092")]
        .map(|(id, address)| (id, address.parse().unwrap()))
        .into();
    world.script.topics.insert("a".to_owned(), Topic::led_by(&[(12, 9)]));
    let conns = world.conns.keys().copied().collect::<Vec<_>>();
    for conn in conns {
        world.break_conn(conn, closed());
    }
    world.cluster.refresh(world.now);
    world.run_ms(5_000);
    assert_eq!(world.leader("a", 0), Some((12, 9)));
    assert!(world.counts.dials.len() < 12, "{}", world.counts.dials.len());
}

/// All brokers are gone, and the bootstrap name leads to others.
struct Replaced {
    kafka: Kafka,
    replaced: bool,
}

impl Script for Replaced {
    fn resolve(&mut self, _: &str, port: u16) -> Option<Result<Vec<SocketAddr>, String>> {
        let addr = if self.replaced { [10, 1, 0, 1] } else { [10, 0, 0, 1] };
        Some(Ok(vec![SocketAddr::from((addr, port))]))
    }
    fn dial(&mut self, addr: SocketAddr) -> Dialled {
        match self.kafka.dial(addr) {
            Dialled::Failed(_) if self.replaced => Dialled::BlackHole,
            other => other,
        }
    }
    fn reply(&mut self, asked: &Asked) -> Reply {
        self.kafka.reply(asked)
    }
}

fn replaced(rebootstrap: bool) -> World<Replaced> {
    let kafka = Kafka::of(3).with_topic("a", Topic::led_by(&[(1, 5)]));
    let mut config = config(&["kafka:9092"]);
    config.rebootstrap = rebootstrap;
    let mut world = World::new(config, Replaced { kafka, replaced: false });
    world.use_topic("a");
    world.run_ms(10);
    assert!(world.is_known("a"));
    world.cluster.produce_room(world.now, ONE);
    world.run_ms(10);
    world.script.replaced = true;
    world.script.kafka = Kafka::of(0).with_topic("a", Topic::led_by(&[(21, 9)]));
    world.script.kafka.brokers.insert(21, HostPort::new("10.1.0.1", 9092));
    for conn in world.conns.keys().copied().collect::<Vec<_>>() {
        world.break_conn(conn, closed());
    }
    world
}

#[test]
fn a_cluster_that_moved_behind_its_name_is_found_again_within_seconds() {
    let mut world = replaced(true);
    world.run_ms(6_000);
    assert_eq!(world.leader("a", 0), Some((21, 9)));
}

#[test]
fn without_rebootstrap_only_known_brokers_are_asked() {
    let mut world = replaced(false);
    for _ in 0..60 {
        world.run_ms(10_000);
        world.use_topic("a");
    }
    assert_eq!(world.leader("a", 0), Some((1, 5)), "the old ones, for ever");
    assert_eq!(world.counts.resolves, 1);
}

#[test]
fn metadata_that_fails_for_long_drops_every_connection_and_starts_over() {
    let mut world = world(3, &[("a", &[(1, 5)])]);
    world.cluster.produce_room(world.now, ONE);
    world.run_ms(10);
    world.take_events();
    world.script.silent.insert(ApiKey::PRODUCE);
    world.script.metadata_error = ErrorCode::UNKNOWN_SERVER_ERROR;
    world.cluster.refresh(world.now);
    let start = world.now;
    while world.now.since(start) < Duration::from_secs(299) {
        world.use_topic("a");
        world.run_ms(1_000);
    }
    world.cluster.send_produce(world.now, ONE, &produce("a", -1));
    assert_eq!(world.leader("a", 0), Some((1, 5)));
    world.run_ms(1_500);
    let events = world.take_events();
    assert!(events.contains(&"lost 1 MaybeSent NETWORK_EXCEPTION (13) Rebootstrap".to_owned()), "{events:?}");
    assert_eq!(world.leader("a", 0), None, "no broker is known");
    world.script.metadata_error = ErrorCode::NONE;
    world.run_ms(2_000);
    assert_eq!(world.leader("a", 0), Some((1, 5)));
}

#[test]
fn a_broker_that_asks_for_a_rebootstrap_gets_it_at_once_and_without_a_storm() {
    let mut world = world(3, &[("a", &[(1, 5)])]);
    world.script.metadata_error = ErrorCode::REBOOTSTRAP_REQUIRED;
    world.cluster.refresh(world.now);
    world.run_ms(1_000);
    assert_eq!(world.leader("a", 0), None);
    world.run_ms(59_000);
    assert!(world.counts.of(ApiKey::METADATA) < 80, "{}", world.counts.of(ApiKey::METADATA));
    assert_eq!(world.cluster.last_error().map(|error| error.what), Some(ConnErrorKind::Rebootstrap));
    world.script.metadata_error = ErrorCode::NONE;
    world.run_ms(2_000);
    assert_eq!(world.leader("a", 0), Some((1, 5)));
}

#[test]
fn a_hint_moves_a_partition_without_asking() {
    let mut world = world(2, &[("a", &[(1, 5), (1, 5)])]);
    let hints = [hint("a", 0, 2, 6), hint("a", 1, 9, 7)];
    assert_eq!(world.cluster.apply_hints(world.now, &hints, &[endpoint(9, "10.0.0.9", 9092)]), 2);
    world.drain();
    assert_eq!((world.leader("a", 0), world.leader("a", 1)), (Some((2, 6)), Some((9, 7))));
    assert_eq!(world.take_events(), ["metadata"]);
    assert_eq!(changed(&mut world), ["a"]);
    assert!(asked(&mut world).is_empty());
    world.script.brokers.insert(9, HostPort::new("10.0.0.9", 9092));
    assert_eq!(world.cluster.produce_room(world.now, BrokerId(9)), Room::Wait);
    world.run_ms(10);
    assert_eq!(world.take_events(), ["room 9"]);
}

#[test]
fn a_broker_that_comes_back_in_a_hint_is_news_for_every_topic_that_it_leads() {
    let mut world = world(2, &[("a", &[(1, 5)]), ("b", &[(2, 5)])]);
    let gone = world.script.brokers.remove(&2).unwrap();
    world.cluster.refresh(world.now);
    world.run_ms(150);
    assert_eq!((world.leader("b", 0), changed(&mut world)), (None, vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(world.cluster.apply_hints(world.now, &[hint("a", 0, 2, 6)], &[endpoint(2, &gone.host, 9092)]), 1);
    assert_eq!((world.leader("b", 0), changed(&mut world)), (Some((2, 5)), vec!["a".to_owned(), "b".to_owned()]));
}

#[test]
fn dials_that_failed_before_a_connection_that_lasted_count_no_more() {
    let mut world = world(2, &[("a", &[(1, 5)])]);
    world.cluster.dial_failures = 8;
    world.run_ms(5_000);
    let conn = *world.conns.keys().next().unwrap();
    world.break_conn(conn, closed());
    assert_eq!((world.cluster.dial_failures, world.cluster.last_error().is_none()), (0, true));
}

#[test]
fn hints_that_say_nothing_new_or_nothing_usable_are_ignored() {
    let mut world = world(2, &[("a", &[(1, 5)])]);
    let endpoints = [endpoint(8, "", 9092), endpoint(7, "10.0.0.7", 0), endpoint(6, "10.0.0.6", 70_000)];
    for ignored in [
        hint("a", 0, 1, 5),
        hint("a", 0, 2, 5),
        hint("a", 0, 2, 4),
        hint("a", 0, 2, -1),
        hint("a", 0, -1, 6),
        hint("a", 0, 99, 6),
        hint("a", 0, 8, 6),
        hint("a", 0, 7, 6),
        hint("a", 0, 6, 6),
        hint("a", 1, 2, 6),
        hint("a", -1, 2, 6),
        hint("a", i32::MAX, 2, 6),
        hint("b", 0, 2, 6),
    ] {
        assert_eq!(world.cluster.apply_hints(world.now, std::slice::from_ref(&ignored), &endpoints), 0, "{ignored:?}");
    }
    world.drain();
    assert_eq!((world.leader("a", 0), world.take_events().len()), (Some((1, 5)), 0));
}

#[test]
fn a_partition_takes_one_hint_per_backoff_so_that_liars_cannot_make_it_spin() {
    let mut world = world(2, &[("a", &[(1, 5)])]);
    let mut taken = 0;
    for round in 0..1_000 {
        taken += world.cluster.apply_hints(world.now, &[hint("a", 0, 1 + round % 2, 6 + round)], &[]);
        world.run_ms(1);
    }
    assert_eq!(taken, 10);
}

#[test]
fn changes_of_the_broker_list_are_seen_by_every_topic() {
    let mut world = world(2, &[("a", &[(1, 5)]), ("b", &[(2, 5)])]);
    world.script.brokers.remove(&2);
    world.cluster.refresh(world.now);
    world.run_ms(150);
    assert_eq!((world.leader("a", 0), world.leader("b", 0)), (Some((1, 5)), None));
    assert_eq!(changed(&mut world), ["a", "b"]);
    let ids = world.cluster.brokers().map(|(id, _)| id.0).collect::<Vec<_>>();
    assert_eq!(ids, [1]);
}

#[test]
fn a_recreated_topic_shows_by_its_id() {
    let mut world = world(1, &[("a", &[(1, 5), (1, 5)])]);
    let id = |world: &World<Kafka>| match world.cluster.topic(&TopicName::new("a")) {
        TopicState::Known(info) => (info.id.0[0], info.partitions.len()),
        other => panic!("{other:?}"),
    };
    assert_eq!(id(&world), (1, 2));
    world.script.topics.insert("a".to_owned(), Topic { id: 2, ..Topic::led_by(&[(1, 0)]) });
    world.cluster.refresh(world.now);
    world.run_ms(150);
    assert_eq!(id(&world), (2, 1));
    assert_eq!(world.leader("a", 0), Some((1, 0)), "its epochs start over");
    assert_eq!(world.leader("a", 1), None);
}

#[test]
fn brokers_without_a_possible_address_are_left_out() {
    let mut world = world(2, &[("a", &[(2, 5)])]);
    world.script.brokers.insert(2, HostPort::new("", 9092));
    world.cluster.refresh(world.now);
    world.run_ms(150);
    assert_eq!(world.leader("a", 0), None);
    assert_eq!(world.cluster.brokers().count(), 1);
}

#[test]
fn time_that_goes_backwards_counts_as_standing_still() {
    let mut world = world(1, &[("a", &[(1, 5)])]);
    world.cluster.handle(milena_wire::Timestamp::ZERO, Input::Tick);
    world.cluster.produce_room(milena_wire::Timestamp::ZERO, ONE);
    world.run_ms(10);
    assert_eq!(world.take_events(), ["room 1"]);
}

#[test]
fn a_trigger_of_no_time_gives_each_attempt_some() {
    let kafka = Kafka::of(3).with_topic("a", Topic::led_by(&[(1, 5)]));
    let mut config = config(&["10.0.0.1:9092"]);
    config.rebootstrap_trigger = Duration::ZERO;
    let mut world = World::new(config, kafka);
    world.use_topic("a");
    world.run_ms(10);
    world.cluster.refresh(world.now);
    world.run_ms(5_000);
    assert_eq!(world.leader("a", 0), Some((1, 5)));
    assert!(world.counts.dials.len() < 4, "{}", world.counts.dials.len());
}
