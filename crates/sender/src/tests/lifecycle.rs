//! Flush, purge, close, and what else users ask for.

use std::time::Duration;

use milena_accumulator::{FailureKind, Fate, Urgency};
use milena_wire::{Codec, Compression, Timestamp};

use super::world::*;
use crate::{Command, CommandErrorKind, CommandResult};

fn lingering() -> World {
    World::with(|s| s.sender.linger = Duration::from_secs(60)).warm()
}

fn at(world: &World, ms: u64) -> Timestamp {
    Timestamp::from_millis(world.now_ms() + ms)
}

#[test]
fn a_flush_overrides_linger_and_ends_when_all_is_settled() {
    let mut world = lingering();
    let deliveries: Vec<_> = (0..4).map(|p| world.append("t", Some(p), "x", Urgency::Linger)).collect();
    world.run();
    world.hold_answers = true;
    let flush = world.command(Command::Flush);
    world.run_for(100);
    assert!(!world.done.contains_key(&flush));
    world.release_answers();
    assert!(matches!(world.done[&flush], CommandResult::Flushed));
    deliveries.into_iter().for_each(|delivery| {
        delivered(delivery);
    });
}

#[test]
fn a_flush_of_nothing_ends_at_once() {
    let mut world = World::new();
    let flush = world.command(Command::Flush);
    assert!(matches!(world.done[&flush], CommandResult::Flushed));
}

#[test]
fn later_records_do_not_delay_a_flush() {
    let mut world = lingering();
    let a = world.queue("a");
    world.run();
    world.hold_answers = true;
    let flush = world.command(Command::Flush);
    let b = world.queue("b");
    world.run();
    world.release_answers();
    world.run_for(10);
    delivered(a);
    assert!(matches!(world.done[&flush], CommandResult::Flushed));
    assert!(!b.is_done(), "it lingers");
}

#[test]
fn a_flush_does_not_override_backoff() {
    let mut world = World::new().warm();
    world.fault(Fault::Refuse(19));
    world.fault(Fault::Refuse(19));
    let a = world.send("a");
    let flush = world.command(Command::Flush);
    assert_eq!(world.seen.len(), 1);
    world.run_for(7);
    assert_eq!(world.seen.len(), 1, "the first wait is a tenth");
    world.run_for(6);
    assert_eq!(world.seen.len(), 2);
    world.run_for(70);
    assert_eq!(world.seen.len(), 2);
    world.run_for(50);
    delivered(a);
    assert!(world.done.contains_key(&flush));
}

#[test]
fn a_flush_waits_for_records_of_topics_not_yet_known() {
    let mut world = World::with(|s| s.sender.linger = Duration::from_secs(60));
    let a = world.append("t", Some(2), "a", Urgency::Linger);
    let b = world.append("nope", Some(0), "b", Urgency::Linger);
    let flush = world.command(Command::Flush);
    world.run_for(9_000);
    delivered(a);
    assert!(!world.done.contains_key(&flush));
    world.run_for(3_000);
    failed(b);
    assert!(matches!(world.done[&flush], CommandResult::Flushed));
}

#[test]
fn later_records_of_a_topic_not_yet_known_do_not_delay_a_flush() {
    let mut world = World::with(|s| s.sender.delivery_timeout = Duration::from_secs(5));
    world.down = vec![1, 2, 3];
    let a = world.append("t", Some(2), "a", Urgency::Linger);
    let flush = world.command(Command::Flush);
    for _ in 0..60 {
        world.run_for(100);
        drop(world.append("t", Some(2), "later", Urgency::Linger));
    }
    failed(a);
    assert!(matches!(world.done[&flush], CommandResult::Flushed), "its record has its outcome");
}

#[test]
fn a_flush_that_began_before_a_topic_was_known_waits_for_no_later_batch() {
    for ahead in [false, true] {
        let mut world = World::with(|s| {
            s.accumulator.batch_size = 100;
            s.sender.seal_inline = !ahead;
        });
        world.down = vec![1, 2, 3];
        let a = world.append("t", Some(2), &"a".repeat(30), Urgency::Linger);
        let flush = world.command(Command::Flush);
        world.run_for(100);
        let later: Vec<_> =
            "bc".chars().map(|x| world.append("t", Some(2), &x.to_string().repeat(30), Urgency::Linger)).collect();
        world.down.clear();
        world.hold_answers = true;
        while world.held_answers() == 0 {
            world.run_for(10);
        }
        world.release_one();
        delivered(a);
        assert!(matches!(world.done[&flush], CommandResult::Flushed), "sealed ahead: {ahead}");
        assert!(later.iter().all(|later| !later.is_done()));
    }
}

#[test]
fn a_flush_ends_when_its_batches_failed() {
    let mut world = lingering();
    world.fault(Fault::Refuse(87));
    let a = world.queue("a");
    world.run();
    let flush = world.command(Command::Flush);
    failed(a);
    assert!(world.done.contains_key(&flush));
}

#[test]
fn a_flush_waits_for_the_pieces_of_a_split_batch() {
    let mut world = lingering();
    world.fault(Fault::Refuse(10));
    let deliveries: Vec<_> = (0..4).map(|n| world.queue(&n.to_string())).collect();
    world.run();
    world.hold_answers = true;
    let flush = world.command(Command::Flush);
    while world.held_answers() > 0 {
        assert!(!world.done.contains_key(&flush));
        world.release_one();
    }
    assert!(world.done.contains_key(&flush));
    deliveries.into_iter().for_each(|delivery| {
        delivered(delivery);
    });
}

#[test]
fn a_flush_during_an_outage_ends_with_the_delivery_timeout() {
    let mut world = lingering();
    world.down = vec![1, 2, 3];
    world.cut(1);
    let a = world.queue("a");
    let flush = world.command(Command::Flush);
    world.run_for(119_000);
    assert!(!world.done.contains_key(&flush));
    world.run_for(2_000);
    assert_eq!(failed(a), (FailureKind::DeliveryTimeout, Fate::NotWritten));
    assert!(world.done.contains_key(&flush));
}

#[test]
fn a_purge_of_what_is_queued_leaves_what_is_in_flight() {
    let mut world = World::new().warm();
    world.hold_answers = true;
    let in_flight: Vec<_> = (0..5).map(|n| world.send(&n.to_string())).collect();
    let queued = world.send("queued");
    let purge = world.command(Command::Purge { queued: true, in_flight: false });
    assert!(matches!(world.done[&purge], CommandResult::Purged { records: 1 }));
    assert_eq!(failed(queued), (FailureKind::Purged, Fate::NotWritten));
    world.release_answers();
    in_flight.into_iter().for_each(|delivery| {
        delivered(delivery);
    });
    delivered(world.send("after"));
    assert_eq!(world.log().concat(), "warm01234after");
}

#[test]
fn a_purge_of_what_is_in_flight_says_that_it_may_be_written_and_keeps_the_sequences_valid() {
    let mut world = World::new().warm();
    world.hold_answers = true;
    let in_flight: Vec<_> = (0..3).map(|n| world.send(&n.to_string())).collect();
    let purge = world.command(Command::Purge { queued: false, in_flight: true });
    assert!(matches!(world.done[&purge], CommandResult::Purged { records: 3 }));
    for delivery in in_flight {
        assert_eq!(failed(delivery), (FailureKind::Purged, Fate::MaybeWritten));
    }
    let after = world.send("after");
    assert!(!after.is_done());
    world.release_answers();
    delivered(after);
    assert_eq!(world.log().concat(), "warm012after");
}

#[test]
fn a_purge_reaches_lingering_and_waiting_records() {
    let mut world = lingering();
    let a = world.queue("a");
    let b = world.append("nope", None, "b", Urgency::Linger);
    world.run();
    let purge = world.command(Command::Purge { queued: true, in_flight: true });
    assert!(matches!(world.done[&purge], CommandResult::Purged { records: 2 }));
    assert_eq!(failed(a), (FailureKind::Purged, Fate::NotWritten));
    assert_eq!(failed(b), (FailureKind::Purged, Fate::NotWritten));
}

#[test]
fn a_purge_reaches_batches_that_are_with_the_codec() {
    let mut world = World::with(|s| {
        s.sender.seal_inline = false;
        s.accumulator.compression = Compression::new(Codec::Lz4);
    })
    .warm();
    world.hold_seals = true;
    let a = world.send("a");
    assert_eq!(world.seals.len(), 1);
    let purge = world.command(Command::Purge { queued: true, in_flight: true });
    assert!(matches!(world.done[&purge], CommandResult::Purged { records: 1 }), "{:?}", world.done[&purge]);
    assert!(a.is_done(), "nobody waits for a codec to hear that nothing was sent");
    world.hold_seals = false;
    world.release_seal(0);
    assert_eq!(failed(a), (FailureKind::Purged, Fate::NotWritten));
    delivered(world.send("b"));
    assert_eq!(world.log(), ["warm", "b"]);
}

/// A producer with a codec that does not come back.
fn with_the_codec() -> World {
    let mut world = World::with(|s| {
        s.sender.seal_inline = false;
        s.accumulator.compression = Compression::new(Codec::Lz4);
        s.accumulator.batch_size = 300;
    })
    .warm();
    world.hold_seals = true;
    world
}

#[test]
fn the_deadline_of_a_close_does_not_wait_for_the_codec_and_counts_what_is_there() {
    let mut world = with_the_codec();
    let [a, b, c] = ["a", "b", "c"].map(|value| world.queue(&value.repeat(150)));
    world.run();
    assert_eq!(world.seals.len(), 2);
    // One is back, and waits for the one before it.
    world.release_seal(1);
    let deadline = at(&world, 1_000);
    let close = world.command(Command::Close { deadline });
    world.run_for(1_000);
    assert!(matches!(world.done[&close], CommandResult::Closed { cut_off: 3, .. }), "{:?}", world.done.get(&close));
    assert!(world.closed);
    assert_eq!(failed(a), (FailureKind::Closed, Fate::NotWritten));
    assert_eq!(failed(b), (FailureKind::Closed, Fate::NotWritten));
    assert_eq!(failed(c), (FailureKind::Closed, Fate::NotWritten));
}

#[test]
fn the_delivery_timeout_does_not_wait_for_the_codec() {
    let mut world = with_the_codec();
    let a = world.send("a");
    world.run_for(60_000);
    let later = world.send("later");
    world.run_for(60_000);
    assert_eq!(failed(a), (FailureKind::DeliveryTimeout, Fate::NotWritten));
    assert!(!later.is_done());
    world.release_seal(1);
    world.run_for(100);
    delivered(later);
    world.release_seal(0);
    assert_eq!(world.log(), ["warm", "later"]);
}

#[test]
fn a_close_delivers_what_there_is() {
    let mut world = lingering();
    let a = world.queue("a");
    let deadline = at(&world, 5_000);
    let close = world.command(Command::Close { deadline });
    delivered(a);
    assert!(matches!(world.done[&close], CommandResult::Closed { cut_off: 0, .. }));
    assert!(world.closed);
}

#[test]
fn a_close_waits_for_retries() {
    let mut world = World::new().warm();
    world.fault(Fault::Cut { append: true });
    let a = world.send("a");
    let deadline = at(&world, 5_000);
    let close = world.command(Command::Close { deadline });
    assert!(!world.closed);
    world.run_for(3_000);
    delivered(a);
    assert!(matches!(world.done[&close], CommandResult::Closed { cut_off: 0, .. }));
}

#[test]
fn the_deadline_of_a_close_settles_everything_with_its_true_fate() {
    let mut world = World::new().warm();
    world.hold_answers = true;
    let in_flight: Vec<_> = (0..5).map(|n| world.send(&n.to_string())).collect();
    let queued = world.send("queued");
    let unknown = world.append("nope", None, "x", Urgency::Linger);
    world.run();
    let deadline = at(&world, 5_000);
    let close = world.command(Command::Close { deadline });
    world.run_for(4_999);
    assert!(!world.closed);
    world.run_for(1);
    assert!(matches!(world.done[&close], CommandResult::Closed { cut_off: 7, .. }), "{:?}", world.done[&close]);
    assert!(world.closed);
    for delivery in in_flight {
        assert_eq!(failed(delivery), (FailureKind::Closed, Fate::MaybeWritten));
    }
    assert_eq!(failed(queued), (FailureKind::Closed, Fate::NotWritten));
    assert_eq!(failed(unknown), (FailureKind::Closed, Fate::NotWritten));
}

#[test]
fn a_close_with_its_deadline_in_the_past_settles_at_once() {
    let mut world = lingering();
    world.hold_answers = true;
    let a = world.queue("a");
    let close = world.command(Command::Close { deadline: Timestamp::ZERO });
    assert!(world.done.contains_key(&close) && world.closed);
    assert_eq!(failed(a).0, FailureKind::Closed);
}

#[test]
fn every_close_is_answered_and_the_sender_closes_once() {
    let mut world = World::new().warm();
    let deadline = at(&world, 1_000);
    let first = world.command(Command::Close { deadline });
    let second = world.command(Command::Close { deadline });
    assert!(world.done.contains_key(&first) && world.done.contains_key(&second));
}

#[test]
fn a_flush_that_a_close_cuts_off_still_ends() {
    let mut world = World::new().warm();
    world.hold_answers = true;
    let a = world.send("a");
    let flush = world.command(Command::Flush);
    let deadline = at(&world, 1_000);
    world.command(Command::Close { deadline });
    world.run_for(1_000);
    failed(a);
    assert!(matches!(world.done[&flush], CommandResult::Flushed));
}

#[test]
fn readiness_is_the_clusters_first_answer() {
    let mut world = World::new();
    let deadline = at(&world, 5_000);
    let ready = world.command(Command::WaitReady { deadline });
    world.run_for(100);
    assert!(matches!(world.done[&ready], CommandResult::Ready(Ok(()))));
}

#[test]
fn readiness_that_does_not_come_ends_at_its_deadline_and_names_the_cause() {
    let mut world = World::new();
    world.down = vec![1, 2, 3];
    let deadline = at(&world, 2_000);
    let ready = world.command(Command::WaitReady { deadline });
    world.run_for(1_999);
    assert!(world.done.is_empty());
    world.run_for(1);
    let CommandResult::Ready(Err(error)) = &world.done[&ready] else { panic!() };
    assert_eq!(error.kind, CommandErrorKind::TimedOut);
    assert!(error.cause.as_ref().is_some_and(|cause| cause.to_string().contains("10.0.0.1:9092")));
}

#[test]
fn the_partitions_of_a_topic_are_told_with_their_leaders() {
    let mut world = World::new();
    let deadline = at(&world, 5_000);
    let command = world.command(Command::PartitionsFor { topic: name("t"), deadline });
    world.run_for(100);
    let CommandResult::Partitions(Ok(known)) = &world.done[&command] else { panic!("{:?}", world.done) };
    assert_eq!(known.leaders.len(), 4);
    assert_eq!(known.leaders[0].1.map(|broker| broker.0), Some(1));
}

#[test]
fn asking_for_a_topic_that_does_not_exist_ends_with_that_answer() {
    let mut world = World::new();
    let deadline = at(&world, 60_000);
    let command = world.command(Command::PartitionsFor { topic: name("nope"), deadline });
    world.run_for(11_000);
    let CommandResult::Partitions(Err(error)) = &world.done[&command] else { panic!("{:?}", world.done) };
    assert_eq!(error.kind, CommandErrorKind::TopicUnknown);
    assert!(error.to_string().contains("nope"));
}

#[test]
fn preparing_topics_connects_to_their_leaders() {
    let mut world = World::new();
    world.add_topic("u", 1);
    world.move_leader("u", 0, 2);
    let deadline = at(&world, 5_000);
    let command = world.command(Command::Prepare { topics: vec![name("t"), name("u")], deadline });
    world.run_for(500);
    assert!(matches!(world.done[&command], CommandResult::Prepared(Ok(()))));
}

#[test]
fn a_question_that_is_open_at_the_close_is_answered() {
    let mut world = World::new();
    world.down = vec![1, 2, 3];
    let deadline = at(&world, 60_000);
    let question = world.command(Command::WaitReady { deadline });
    let deadline = at(&world, 1_000);
    world.command(Command::Close { deadline });
    let CommandResult::Ready(Err(error)) = &world.done[&question] else { panic!("{:?}", world.done) };
    assert_eq!(error.kind, CommandErrorKind::Closed);
}

#[test]
fn a_question_that_nobody_waits_for_is_forgotten_and_what_was_begun_goes_on() {
    let mut world = World::new();
    world.down = world.nodes.clone();
    let deadline = world.now + Duration::from_secs(3_600);
    let asked = world.command(Command::WaitReady { deadline });
    let delivery = world.send("queued");
    let flushed = world.command(Command::Flush);
    for id in [asked, flushed] {
        world.input(crate::Input::GiveUp { id: crate::CommandId(id) });
    }
    world.down.clear();
    world.run_for(3_000);
    delivered(delivery);
    assert!(!world.done.contains_key(&asked), "it was answered");
    assert!(world.done.contains_key(&flushed));
}
