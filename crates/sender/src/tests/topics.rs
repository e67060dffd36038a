//! Topics that do not exist, appear, vanish, grow, are refused, and are created again.

use std::time::Duration;

use milena_accumulator::{FailureKind, Fate};
use milena_wire::{ErrorCode, TopicId};

use super::world::*;
use crate::{Command, CommandResult, Guarantee, RecreatedTopic};

#[test]
fn a_topic_that_does_not_exist_fails_its_records_after_the_grace_and_not_before() {
    let mut world = World::new();
    let a = world.append("nope", None, "a", milena_accumulator::Urgency::Linger);
    world.run_for(9_900);
    assert!(!a.is_done());
    world.run_for(1_000);
    let error = outcome(a).unwrap_err();
    assert_eq!((error.kind(), error.fate()), (FailureKind::TopicUnknown, Fate::NotWritten));
    assert!(error.to_string().contains("nope"), "{error}");
    assert!(world.metadata_requests < 30, "{}", world.metadata_requests);
}

#[test]
fn a_topic_that_is_created_within_the_grace_gets_its_records_in_order() {
    let mut world = World::new();
    let deliveries: Vec<_> =
        (0..5).map(|n| world.append("late", Some(0), &n.to_string(), milena_accumulator::Urgency::Linger)).collect();
    world.run_for(5_000);
    world.add_topic("late", 1);
    world.run_for(3_000);
    deliveries.into_iter().for_each(|delivery| {
        delivered(delivery);
    });
    assert_eq!(world.partition("late", 0).log.values.concat(), "01234");
}

#[test]
fn a_second_record_for_a_missing_topic_has_its_own_grace() {
    let mut world = World::new();
    let a = world.append("nope", None, "a", milena_accumulator::Urgency::Linger);
    world.run_for(11_000);
    failed(a);
    let b = world.append("nope", None, "b", milena_accumulator::Urgency::Linger);
    world.run_for(3_000);
    assert!(!b.is_done());
    world.add_topic("nope", 1);
    world.run_for(3_000);
    delivered(b);
}

#[test]
fn names_of_topics_that_never_were_are_forgotten() {
    let mut world = World::new().warm();
    for round in 0..20 {
        let name = format!("nope-{round}");
        let a = world.append(&name, None, "a", milena_accumulator::Urgency::Linger);
        world.run_for(11_000);
        assert_eq!(failed(a), (FailureKind::TopicUnknown, Fate::NotWritten));
    }
    assert_eq!(world.sender.topics.list.len(), 2, "one place, used again and again");
    // A name that was forgotten is as good as a new one.
    world.add_topic("nope-3", 1);
    let b = world.append("nope-3", None, "b", milena_accumulator::Urgency::Linger);
    let other = world.append("nope-4", None, "c", milena_accumulator::Urgency::Linger);
    world.run_for(11_000);
    delivered(b);
    failed(other);
}

#[test]
fn records_for_a_cluster_that_never_answers_expire_as_not_written() {
    let mut world = World::new();
    world.down = vec![1, 2, 3];
    let a = world.queue("a");
    world.run_for(119_000);
    assert!(!a.is_done());
    world.run_for(1_001);
    let error = outcome(a).unwrap_err();
    assert_eq!((error.kind(), error.fate()), (FailureKind::DeliveryTimeout, Fate::NotWritten));
    assert!(error.to_string().contains("10.0.0.1:9092"), "names who could not be reached: {error}");
}

#[test]
fn an_invalid_topic_name_fails_at_once() {
    let mut world = World::new();
    world.add_topic("b@d", 1);
    world.topics.get_mut("b@d").unwrap().error = ErrorCode::INVALID_TOPIC_EXCEPTION;
    let a = world.append("b@d", None, "a", milena_accumulator::Urgency::Linger);
    world.run_for(100);
    assert_eq!(failed(a).1, Fate::NotWritten);
}

#[test]
fn a_topic_without_rights_fails_its_records_and_recovers_when_they_are_granted() {
    let mut world = World::new();
    world.add_topic("secret", 1);
    world.topics.get_mut("secret").unwrap().error = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
    let a = world.append("secret", Some(0), "a", milena_accumulator::Urgency::Linger);
    world.run_for(100);
    assert_eq!(failed(a), (FailureKind::Authorization, Fate::NotWritten));
    let b = world.append("secret", Some(0), "b", milena_accumulator::Urgency::Linger);
    world.run_for(2_000);
    assert_eq!(failed(b), (FailureKind::Authorization, Fate::NotWritten));
    world.topics.get_mut("secret").unwrap().error = ErrorCode::NONE;
    let c = world.append("secret", Some(0), "c", milena_accumulator::Urgency::Linger);
    world.run_for(2_000);
    delivered(c);
}

#[test]
fn a_topic_that_vanishes_and_returns_loses_nothing() {
    let mut world = World::new().warm();
    let id = world.topics["t"].id;
    let partitions = std::mem::take(&mut world.topics.get_mut("t").unwrap().partitions);
    world.topics.get_mut("t").unwrap().error = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    for _ in 0..3 {
        world.refresh();
    }
    let a = world.send("a");
    world.run_for(9_000);
    assert!(!a.is_done(), "it has as much time to come back as an unknown topic to appear");
    let topic = world.topics.get_mut("t").unwrap();
    topic.partitions = partitions;
    topic.error = ErrorCode::NONE;
    assert_eq!(topic.id, id);
    world.run_for(3_000);
    delivered(a);
    assert_eq!(world.log(), ["warm", "a"]);
    assert_eq!(world.seen.last().unwrap().stamp, (7000, 0, 1), "the sequence goes on");
}

#[test]
fn a_topic_that_vanishes_for_good_fails_its_records_after_the_grace_with_their_true_fates() {
    let mut world = World::new().warm();
    world.fault(Fault::Cut { append: true });
    (0..20).for_each(|_| world.fault(Fault::Refuse(3)));
    let maybe = world.send("maybe");
    world.topics.get_mut("t").unwrap().error = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    for _ in 0..2 {
        world.refresh();
    }
    let queued = world.send("queued");
    world.run_for(5_000);
    assert!(!maybe.is_done() && !queued.is_done());
    world.run_for(5_100);
    assert_eq!(failed(maybe), (FailureKind::TopicUnknown, Fate::MaybeWritten));
    let error = outcome(queued).unwrap_err();
    assert_eq!((error.kind(), error.fate()), (FailureKind::TopicUnknown, Fate::NotWritten));
    assert!(error.to_string().contains("UNKNOWN_TOPIC_OR_PARTITION"), "{error}");
    let later = world.send("later");
    world.run_for(9_900);
    assert!(!later.is_done(), "what comes later has a grace of its own");
    world.run_for(200);
    assert_eq!(failed(later), (FailureKind::TopicUnknown, Fate::NotWritten));
    assert!(world.metadata_requests < 80, "{}", world.metadata_requests);
    world.topics.get_mut("t").unwrap().error = ErrorCode::NONE;
    world.partition("t", 0).faults.clear();
    let back = world.send("back");
    world.run_for(3_000);
    delivered(back);
    assert_eq!(world.log(), ["warm", "maybe", "back"]);
}

#[test]
fn a_partition_that_stays_out_of_the_metadata_fails_its_records_whatever_else_is_said_in_between() {
    let mut world = World::new().warm();
    world.down = vec![1];
    world.cut(1);
    let gone = world.send_to("t", 3, "gone");
    world.topics.get_mut("t").unwrap().partitions.truncate(3);
    for _ in 0..4 {
        world.refresh();
    }
    world.down.clear();
    for code in [5, 3, 5, 0, 5] {
        world.topics.get_mut("t").unwrap().error = ErrorCode(code);
        world.run_for(800);
    }
    assert!(!gone.is_done());
    world.run_for(6_000);
    assert_eq!(failed(gone), (FailureKind::TopicUnknown, Fate::NotWritten));
    world.topics.get_mut("t").unwrap().error = ErrorCode::NONE;
    let other = world.send_to("t", 2, "other");
    world.run_for(3_000);
    delivered(other);
}

#[test]
fn a_partition_without_a_leader_waits_for_one() {
    let mut world = World::new().warm();
    world.move_leader("t", 0, -1);
    world.refresh();
    let a = world.send("a");
    world.run_for(30_000);
    assert!(!a.is_done());
    assert!(world.metadata_requests < 60, "{}", world.metadata_requests);
    world.move_leader("t", 0, 3);
    world.run_for(3_000);
    delivered(a);
}

#[test]
fn a_partition_without_a_leader_expires_its_batches_as_not_written() {
    let mut world = World::new().warm();
    world.move_leader("t", 0, -1);
    world.refresh();
    let a = world.send("a");
    world.run_for(120_001);
    let error = outcome(a).unwrap_err();
    assert_eq!((error.kind(), error.fate()), (FailureKind::DeliveryTimeout, Fate::NotWritten));
    assert!(error.to_string().contains("no leader"), "{error}");
}

#[test]
fn new_partitions_are_used_when_they_appear() {
    let mut world = World::new().warm();
    world.add_topic("grow", 1);
    delivered({
        let a = world.send_to("grow", 0, "a");
        world.run_for(500);
        a
    });
    let id = world.topics["grow"].id;
    world.add_topic("grow", 3);
    world.topics.get_mut("grow").unwrap().id = id;
    world.refresh();
    assert_eq!(world.accumulator.topic_partitions("grow"), Some(3));
    delivered(world.send_to("grow", 2, "c"));
}

fn recreate(world: &mut World) {
    world.add_topic("t", 4);
    world.topics.get_mut("t").unwrap().id = TopicId([99; 16]);
}

#[test]
fn a_recreated_topic_never_gets_what_may_be_on_the_old_one() {
    let mut world = World::new().warm();
    world.hold_answers = true;
    let in_flight = world.send("in flight");
    let waiting: Vec<_> = (0..8).map(|n| world.send(&n.to_string())).collect();
    recreate(&mut world);
    world.refresh();
    assert_eq!(failed(in_flight), (FailureKind::TopicRecreated, Fate::MaybeWritten));
    let fates: Vec<Fate> = waiting.into_iter().map(|delivery| failed(delivery).1).collect();
    assert!(fates.contains(&Fate::NotWritten) && fates.contains(&Fate::MaybeWritten), "{fates:?}");
    world.release_answers();
    delivered(world.send("new"));
    assert_eq!(world.log(), ["new"]);
    assert_eq!(world.seen.last().unwrap().stamp, (7000, 1, 0), "a new stream");
}

#[test]
fn unsent_records_go_to_the_recreated_topic_if_the_user_wants_that() {
    let mut world = World::with(|s| s.sender.recreated_topic = RecreatedTopic::Send).warm();
    world.move_leader("t", 0, -1);
    world.refresh();
    let a = world.send("a");
    recreate(&mut world);
    world.run_for(3_000);
    delivered(a);
    assert_eq!(world.log(), ["a"]);
}

#[test]
fn a_request_for_a_topic_id_that_is_gone_is_told_apart_from_one_for_the_new() {
    let mut world = World::with(|s| s.sender.guarantee = Guarantee::ExactlyOnce).warm();
    recreate(&mut world);
    // The client does not know yet: the broker answers UNKNOWN_TOPIC_ID, which may follow an append.
    let a = world.send("a");
    world.run_for(3_000);
    assert_eq!(failed(a), (FailureKind::TopicRecreated, Fate::MaybeWritten));
    assert!(world.log().is_empty());
}

#[test]
fn topics_in_use_are_kept_and_idle_ones_come_back_when_used() {
    let mut world = World::with(|s| s.cluster.metadata_max_idle = Duration::from_secs(60)).warm();
    world.run_for(300_000);
    let a = world.send("a");
    world.run_for(500);
    delivered(a);
}

#[test]
fn a_thousand_partitions_without_a_leader_ask_once_per_backoff() {
    let mut world = World::new();
    world.add_topic("wide", 1000);
    let warm = world.send_to("wide", 0, "warm");
    world.run_for(500);
    delivered(warm);
    for partition in 0..1000 {
        world.move_leader("wide", partition, -1);
    }
    world.refresh();
    let before = world.metadata_requests;
    let deliveries: Vec<_> = (0..1000).map(|p| world.send_to("wide", p, "x")).collect();
    world.run_for(10_000);
    assert!(world.metadata_requests - before < 20, "{}", world.metadata_requests - before);
    for partition in 0..1000 {
        world.move_leader("wide", partition, 2);
    }
    world.run_for(5_000);
    deliveries.into_iter().for_each(|delivery| {
        delivered(delivery);
    });
    let requests: std::collections::BTreeSet<usize> =
        world.seen.iter().filter(|s| s.node == 2).map(|s| s.request).collect();
    assert!(requests.len() < 20, "{} requests for 1000 partitions", requests.len());
}

#[test]
fn a_topic_that_is_used_all_the_time_is_never_forgotten() {
    let mut world = World::with(|s| {
        s.cluster.metadata_max_idle = Duration::from_secs(60);
        s.cluster.metadata_max_age = Duration::from_secs(10);
    })
    .warm();
    for n in 0..600 {
        let a = world.send(&n.to_string());
        world.run_for(300);
        delivered(a);
    }
    assert!(matches!(world.sender.cluster.topic(&name("t")), milena_cluster::TopicState::Known(_)));
    world.move_leader("t", 0, 2);
    let a = world.send("moved");
    world.run_for(2_000);
    delivered(a);
}

#[test]
fn an_outage_longer_than_an_idle_topic_is_remembered_takes_nobody_s_topic() {
    let mut world = World::with(|s| s.cluster.metadata_max_idle = Duration::from_secs(60));
    world.add_topic("asked", 1);
    world.down = vec![1, 2, 3];
    let deadline = world.now + Duration::from_secs(3_600);
    let asked = world.command(Command::PartitionsFor { topic: name("asked"), deadline });
    // Some expire, but there is always one that waits: none is the first.
    for n in 0..30 {
        let _waits = world.send(&n.to_string());
        world.run_for(10_000);
    }
    world.down.clear();
    world.run_for(5_000);
    let back = world.send("back");
    world.run_for(1_000);
    delivered(back);
    assert!(matches!(world.done[&asked], CommandResult::Partitions(Ok(_))), "{:?}", world.done.get(&asked));
}

#[test]
fn a_topic_with_records_that_wait_for_a_leader_is_not_forgotten() {
    let mut world = World::with(|s| {
        s.cluster.metadata_max_idle = Duration::from_secs(60);
        s.cluster.metadata_max_age = Duration::from_secs(10);
        s.sender.delivery_timeout = Duration::from_secs(3_600);
    })
    .warm();
    world.move_leader("t", 0, -1);
    world.refresh();
    let a = world.send("a");
    world.run_for(300_000);
    world.move_leader("t", 0, 2);
    world.run_for(20_000);
    delivered(a);
}
