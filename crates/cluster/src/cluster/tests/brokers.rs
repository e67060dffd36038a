//! Connections for produce requests: when they are made, what is lost with them, and who hears of it.

use std::time::Duration;

use milena_wire::message::produce::{ProduceResponse, ProduceTopicResponse};
use milena_wire::{ApiKey, ApiVersion, BrokerId, CorrelationId, TopicId};

use super::world::{Kafka, Topic, World, closed, config, produce};
use crate::config::HostPort;
use crate::errors::{ConnErrorKind, LostCause};
use crate::{Input, Room};

const ONE: BrokerId = BrokerId(1);
const TWO: BrokerId = BrokerId(2);
const NOTHING: [&str; 0] = [];

/// A cluster whose three brokers lead a partition each; metadata is known.
fn world() -> World<Kafka> {
    let kafka = Kafka::of(3).with_topic("a", Topic::led_by(&[(1, 5), (2, 5), (3, 5)]));
    let mut world = World::new(config(&["10.0.0.3:9092"]), kafka);
    world.use_topic("a");
    world.run_ms(10);
    assert_eq!(world.take_events(), ["metadata"]);
    world
}

/// As [`world`], connected to brokers 1 and 2.
fn connected() -> World<Kafka> {
    let mut world = world();
    assert_eq!(room(&mut world, ONE), Room::Wait);
    assert_eq!(room(&mut world, TWO), Room::Wait);
    world.run_ms(10);
    assert_eq!(world.take_events(), ["room 1", "room 2"]);
    world
}

fn room(world: &mut World<Kafka>, broker: BrokerId) -> Room {
    let room = world.cluster.produce_room(world.now, broker);
    world.drain();
    room
}

fn send(world: &mut World<Kafka>, broker: BrokerId, acks: i16) {
    world.cluster.send_produce(world.now, broker, &produce("a", acks));
    world.drain();
}

#[test]
fn asking_for_room_again_and_again_makes_one_connection() {
    let mut world = world();
    for _ in 0..100 {
        assert_eq!(room(&mut world, ONE), Room::Wait);
    }
    world.run_ms(10);
    assert_eq!(world.take_events(), ["room 1"]);
    assert_eq!(world.counts.dials.len(), 2, "one for control, one for produce");
    assert!(matches!(room(&mut world, ONE), Room::Ready { .. }));
    assert_eq!(room(&mut world, BrokerId(99)), Room::Wait, "nobody knows that one");
    world.run_ms(1_000);
    assert_eq!(world.counts.dials.len(), 2);
}

#[test]
fn a_broker_that_hangs_loses_everything_on_its_connection_and_nothing_elsewhere() {
    let mut world = connected();
    world.script.silent.insert(ApiKey::PRODUCE);
    send(&mut world, ONE, -1);
    world.run_ms(20_000);
    send(&mut world, ONE, -1);
    world.script.silent.clear();
    send(&mut world, TWO, -1);
    world.run_ms(9_999);
    assert_eq!(world.take_events(), ["produced 2"]);
    world.run_ms(2);
    let lost = "lost 1 MaybeSent REQUEST_TIMED_OUT (7) RequestTimeout";
    assert_eq!(world.take_events()[..2], [lost, lost], "the younger one as well");
    assert_eq!(world.cluster.broker_error(ONE).unwrap().what, ConnErrorKind::RequestTimeout);
    assert!(matches!(room(&mut world, TWO), Room::Ready { .. }));
    assert_eq!(room(&mut world, ONE), Room::Wait);
    world.run_ms(1_000);
    assert!(world.take_events().contains(&"room 1".to_owned()));
    send(&mut world, ONE, -1);
    world.run_ms(10);
    assert!(world.take_events().contains(&"produced 1".to_owned()), "on a fresh connection");
    assert!(world.cluster.broker_error(ONE).is_none());
}

#[test]
fn a_connection_that_breaks_with_requests_on_it_may_have_sent_them() {
    let mut world = connected();
    world.script.silent.insert(ApiKey::PRODUCE);
    send(&mut world, ONE, -1);
    world.run_ms(10);
    let conn = world.conn_to("10.0.0.1:9092");
    world.break_conn(conn, LostCause::Io { kind: std::io::ErrorKind::ConnectionReset, text: "reset".to_owned() });
    assert_eq!(world.take_events(), ["lost 1 MaybeSent NETWORK_EXCEPTION (13) Closed"]);
    world.run_ms(200);
    assert_eq!(world.take_events(), ["metadata"], "the leader may have moved");
}

#[test]
fn what_never_left_with_a_connection_that_breaks_was_not_sent() {
    let mut world = connected();
    world.script.silent.insert(ApiKey::PRODUCE);
    world.jammed = true;
    send(&mut world, ONE, -1);
    send(&mut world, ONE, -1);
    let conn = world.conn_to("10.0.0.1:9092");
    world.conns.remove(&conn);
    world.closed.insert(conn);
    // Its first frame asked for versions, the second was the first of these.
    world.cluster.handle(world.now, Input::Lost { conn, cause: closed(), begun: Some(2) });
    world.drain();
    let events = world.take_events();
    assert!(events[0].starts_with("lost 1 MaybeSent NETWORK_EXCEPTION (13)"), "{events:?}");
    assert!(events[1].starts_with("lost 1 NotSent NETWORK_EXCEPTION (13)"), "{events:?}");
}

#[test]
fn a_produce_request_has_a_carrier_while_it_is_in_flight_and_none_if_it_was_never_sent() {
    let mut world = connected();
    let id = world.cluster.send_produce(world.now, ONE, &produce("a", -1));
    world.drain();
    assert_eq!(world.cluster.carrier(ONE, id), Some(world.conn_to("10.0.0.1:9092")));
    assert_eq!(world.cluster.carrier(TWO, id), None);
    world.run_ms(10);
    assert_eq!(world.cluster.carrier(ONE, id), None);
    let id = world.cluster.send_produce(world.now, BrokerId(3), &produce("a", -1));
    world.drain();
    assert_eq!(world.cluster.carrier(BrokerId(3), id), None);
}

#[test]
fn a_response_that_makes_no_sense_ends_the_connection() {
    for frame in [&b"\0\0\0\x01\0\xff\xff\xff"[..], b"", b"\0\0", b"\0\0\0\x63", b"\0\0\0\x01\xff\xff\xff\xff\xff"] {
        let mut world = connected();
        world.script.silent.insert(ApiKey::PRODUCE);
        send(&mut world, ONE, -1);
        world.run_ms(10);
        let conn = world.conn_to("10.0.0.1:9092");
        world.cluster.handle(world.now, Input::Received { conn, frame: frame.into() });
        world.drain();
        let events = world.take_events();
        assert!(events[0].starts_with("lost 1 MaybeSent NETWORK_EXCEPTION (13)"), "{frame:?}: {events:?}");
        assert!(!world.conns.contains_key(&conn), "{frame:?}");
        world.cluster.handle(world.now, Input::Received { conn, frame: frame.into() });
        world.cluster.handle(world.now, Input::Lost { conn, cause: closed(), begun: None });
        world.drain();
        assert_eq!(world.take_events(), NOTHING, "what is still reported of it is ignored");
    }
}

#[test]
fn an_answer_that_lists_more_than_was_sent_is_not_even_read() {
    let answered = |topics: usize| {
        let mut world = connected();
        world.script.silent.insert(ApiKey::PRODUCE);
        send(&mut world, ONE, -1);
        world.run_ms(10);
        let conn = world.conn_to("10.0.0.1:9092");
        let topics = (0..topics).map(|_| ProduceTopicResponse::default()).collect();
        let response = ProduceResponse { topics, ..ProduceResponse::default() };
        let frame = bytes::Bytes::from(response.encode_frame(ApiVersion(13), CorrelationId(1)).to_vec()).slice(4..);
        world.cluster.handle(world.now, Input::Received { conn, frame });
        world.drain();
        world.take_events()
    };
    // One topic and one partition were sent, and sixteen that nobody asked about do not matter.
    let events = answered(18);
    assert!(!events[0].starts_with("lost"), "{events:?}");
    let events = answered(19);
    assert!(events[0].starts_with("lost 1 MaybeSent NETWORK_EXCEPTION (13) Malformed"), "{events:?}");
}

#[test]
fn an_idle_connection_is_closed_without_a_word_and_made_again_when_needed() {
    let mut world = connected();
    let before = world.counts.of(ApiKey::METADATA);
    for _ in 0..10 {
        world.run(Duration::from_secs(60));
        world.use_topic("a");
    }
    assert_eq!(world.conns.len(), 1, "control alone is in use, for metadata by age");
    assert!(world.take_events().iter().all(|event| event == "metadata"));
    assert!(world.cluster.last_error().is_none() && world.cluster.broker_error(ONE).is_none());
    assert!(world.counts.of(ApiKey::METADATA) <= before + 2, "no refresh for that");
    assert_eq!(room(&mut world, ONE), Room::Wait);
    world.run_ms(10);
    send(&mut world, ONE, -1);
    world.run_ms(10);
    assert_eq!(world.take_events(), ["room 1", "produced 1"]);
}

#[test]
fn a_connection_is_not_trusted_after_long_silence_even_before_the_timer_runs() {
    let mut world = connected();
    world.now = world.now + Duration::from_secs(541);
    assert_eq!(world.cluster.produce_room(world.now, ONE), Room::Wait);
    let dials = world.counts.dials.len();
    world.run_ms(10);
    assert!(world.counts.dials.len() > dials);
    assert!(world.take_events().contains(&"room 1".to_owned()));
}

#[test]
fn a_reset_while_idle_is_no_error_and_loses_no_request() {
    let mut world = connected();
    send(&mut world, ONE, -1);
    world.run_ms(5_000);
    world.take_events();
    let conn = world.conn_to("10.0.0.1:9092");
    world.break_conn(conn, LostCause::Io { kind: std::io::ErrorKind::ConnectionReset, text: "reset".to_owned() });
    assert_eq!(world.take_events(), NOTHING);
    assert!(world.cluster.last_error().is_none() && world.cluster.broker_error(ONE).is_none());
    assert_eq!(room(&mut world, ONE), Room::Wait);
    world.run_ms(1);
    send(&mut world, ONE, -1);
    world.run_ms(1);
    assert_eq!(world.take_events(), ["room 1", "produced 1"], "at once");
}

#[test]
fn room_is_limited_and_announced_when_there_is_some_again() {
    let mut world = connected();
    world.script.silent.insert(ApiKey::PRODUCE);
    for sent in 0..5 {
        let Room::Ready { slots, .. } = room(&mut world, ONE) else { panic!("room after {sent}") };
        assert_eq!(slots, 2.min(5 - sent));
        send(&mut world, ONE, -1);
        world.run_ms(1);
    }
    assert_eq!(room(&mut world, ONE), Room::Wait);
    world.take_events();
    let conn = world.conn_to("10.0.0.1:9092");
    let frame = b"\0\0\0\x01\0\x01\0\0\0\0\0";
    world.cluster.handle(world.now, Input::Received { conn, frame: frame[..].into() });
    world.drain();
    assert_eq!(world.take_events(), ["produced 1", "room 1"]);
    assert!(matches!(room(&mut world, ONE), Room::Ready { slots: 1, .. }));
}

#[test]
fn frames_that_cannot_be_written_leave_no_room() {
    let mut world = connected();
    world.jammed = true;
    send(&mut world, ONE, -1);
    send(&mut world, ONE, -1);
    assert_eq!(room(&mut world, ONE), Room::Wait);
    world.take_events();
    let conn = world.conn_to("10.0.0.1:9092");
    world.cluster.handle(world.now, Input::Written { conn });
    world.drain();
    assert_eq!(world.take_events(), ["room 1"]);
}

#[test]
fn without_room_a_request_is_not_sent() {
    let mut world = connected();
    let lost = "lost 3 NotSent NETWORK_EXCEPTION (13) NotReady";
    send(&mut world, BrokerId(3), -1);
    assert_eq!(world.take_events(), [lost]);
    world.jammed = true;
    for _ in 0..3 {
        send(&mut world, ONE, -1);
    }
    assert_eq!(world.take_events(), ["lost 1 NotSent NETWORK_EXCEPTION (13) NotReady"]);
    assert_eq!(world.counts.of(ApiKey::PRODUCE), 2);
}

#[test]
fn a_request_without_acknowledgement_is_done_when_it_is_written() {
    let mut world = connected();
    world.jammed = true;
    send(&mut world, ONE, 0);
    world.run_ms(100);
    assert_eq!(world.take_events(), NOTHING);
    let conn = world.conn_to("10.0.0.1:9092");
    world.cluster.handle(world.now, Input::Written { conn });
    world.drain();
    assert_eq!(world.take_events(), ["unacknowledged 1"]);
    send(&mut world, ONE, 0);
    world.run_ms(40_000);
    assert!(world.take_events().contains(&"lost 1 MaybeSent REQUEST_TIMED_OUT (7) RequestTimeout".to_owned()));
}

#[test]
fn a_throttled_broker_gets_nothing_until_the_throttle_is_over() {
    let mut world = connected();
    world.script.produce_throttle_ms = 3_000;
    send(&mut world, ONE, -1);
    world.run_ms(1);
    assert_eq!(world.take_events(), ["produced 1"]);
    assert_eq!(room(&mut world, ONE), Room::Wait);
    assert!(matches!(room(&mut world, TWO), Room::Ready { .. }), "the others may go on");
    world.run_ms(2_998);
    assert_eq!(world.take_events(), NOTHING);
    world.run_ms(2);
    assert_eq!(world.take_events(), ["room 1"]);
    assert!(matches!(room(&mut world, ONE), Room::Ready { .. }));
}

#[test]
fn an_old_broker_that_throttles_has_waited_itself() {
    let mut world = world();
    world.script.newest.insert(ApiKey::PRODUCE, 5);
    world.script.produce_throttle_ms = 3_000;
    room(&mut world, ONE);
    world.run_ms(1);
    send(&mut world, ONE, -1);
    world.run_ms(1);
    assert!(matches!(room(&mut world, ONE), Room::Ready { .. }));
}

#[test]
fn a_topic_without_id_is_sent_by_name() {
    let mut world = connected();
    let mut request = produce("a", -1);
    request.topics[0].id = TopicId::ZERO;
    world.cluster.send_produce(world.now, ONE, &request);
    send(&mut world, ONE, -1);
    world.run_ms(1);
    let versions = world.counts.requests.iter().filter(|(_, api, ..)| *api == ApiKey::PRODUCE);
    assert_eq!(versions.map(|(_, _, version, _)| version.0).collect::<Vec<_>>(), [12, 13]);
}

#[test]
fn a_broker_that_is_down_is_tried_for_as_long_as_somebody_waits() {
    let mut world = world();
    world.script.down.insert(1);
    assert_eq!(room(&mut world, ONE), Room::Wait);
    for _ in 0..10 {
        world.run(Duration::from_secs(60));
        world.use_topic("a");
    }
    let dials = world.counts.dials.iter().filter(|(_, addr)| addr.to_string() == "10.0.0.1:9092").count();
    assert!((500..760).contains(&dials), "about once a second: {dials}");
    assert!(world.take_events().iter().all(|event| event == "metadata" || event == "room 1"));
    assert_eq!(world.cluster.broker_error(ONE).unwrap().what, ConnErrorKind::Refused);
    room(&mut world, ONE);
    world.script.down.clear();
    world.run_ms(1_100);
    assert!(world.take_events().contains(&"room 1".to_owned()));
    assert!(matches!(room(&mut world, ONE), Room::Ready { .. }));
}

#[test]
fn a_broker_nobody_waits_for_any_more_is_let_go() {
    let mut world = world();
    world.script.down.insert(1);
    room(&mut world, ONE);
    world.run(Duration::from_secs(600));
    assert!(world.take_events().contains(&"room 1".to_owned()), "whoever waits is asked whether it still does");
    let dials = world.counts.dials.len();
    world.run(Duration::from_secs(600));
    assert_eq!(world.counts.dials.len(), dials);
}

#[test]
fn a_broker_that_moves_keeps_its_identity() {
    let mut world = connected();
    world.script.brokers.insert(1, HostPort::new("10.0.0.77", 9092));
    world.script.silent.insert(ApiKey::PRODUCE);
    send(&mut world, ONE, -1);
    world.cluster.refresh(world.now);
    world.run_ms(1_000);
    assert_eq!(world.take_events(), ["metadata"]);
    assert_eq!(room(&mut world, ONE), Room::Wait, "nothing new goes to the old address");
    let conn = world.conn_to("10.0.0.1:9092");
    let frame = b"\0\0\0\x01\0\x01\0\0\0\0\0";
    world.cluster.handle(world.now, Input::Received { conn, frame: frame[..].into() });
    world.run_ms(10);
    assert_eq!(world.take_events(), ["produced 1", "room 1"]);
    world.conn_to("10.0.0.77:9092");
    assert_eq!(world.leader("a", 0), Some((1, 5)));
}

#[test]
fn two_brokers_at_one_address_are_two_connections() {
    let mut world = world();
    world.script.brokers.insert(1, HostPort::new("10.0.0.2", 9092));
    world.cluster.refresh(world.now);
    world.run_ms(1_000);
    room(&mut world, ONE);
    room(&mut world, TWO);
    world.run_ms(10);
    assert_eq!(world.take_events(), ["metadata", "room 1", "room 2"]);
    send(&mut world, ONE, -1);
    send(&mut world, TWO, -1);
    world.run_ms(10);
    assert_eq!(world.take_events(), ["produced 1", "produced 2"]);
}
