//! A partition of which records wait in a spool: nothing of it overtakes them, and nothing is given out in another order.

use std::time::Duration;

use milena_accumulator::{FailureKind, Fate, Urgency};
use milena_wire::{ErrorCode, PartitionId};

use super::world::*;
use crate::{Command, CommandResult, Guarantee, Input, RefusedIdentity};

fn spooling(change: impl FnOnce(&mut Setup)) -> World {
    World::with(|setup| {
        setup.accumulator.divert = true;
        setup.sender.spool = true;
        setup.sender.linger = Duration::ZERO;
        change(setup);
    })
}

/// What was given out so far: values, kind, fate.
fn given_out(world: &World) -> Vec<(String, FailureKind, Fate)> {
    let mut all = Vec::new();
    for batch in world.hooks.diverted.lock().unwrap().iter() {
        for record in batch.records().unwrap().iter() {
            let value = String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap();
            all.push((value, batch.failure().kind, batch.failure().fate));
        }
    }
    all
}

fn values(world: &World) -> Vec<String> {
    given_out(world).into_iter().map(|(value, ..)| value).collect()
}

fn end(world: &mut World, partition: Option<i32>, seen: u64) {
    world.input(Input::DivertEnd { topic: name("t"), partition: partition.map(PartitionId), seen });
    world.run_for(10);
}

#[test]
fn what_comes_after_a_kept_batch_is_given_out_unsent_until_all_of_it_was_seen() {
    let mut world = spooling(|s| s.sender.retries = 0).warm();
    world.fault(Fault::Refuse(19));
    let _a = world.send("a");
    world.run_for(10);
    let _b = world.send("b");
    let _c = world.send("c");
    world.run_for(10);
    let told = given_out(&world);
    assert_eq!(told[0].1, FailureKind::RetriesExhausted);
    let behind = (FailureKind::BehindSpooled, Fate::NotWritten);
    assert_eq!(
        told[1..].iter().map(|(value, kind, fate)| (value.as_str(), (*kind, *fate))).collect::<Vec<_>>(),
        [("b", behind), ("c", behind)]
    );
    end(&mut world, Some(0), 2);
    let d = world.send("d");
    world.run_for(500);
    assert_eq!(values(&world), ["a", "b", "c"], "an end that has not seen all holds");
    assert_eq!(world.log(), ["warm"], "and ends nothing");
    end(&mut world, Some(0), 3);
    let e = world.send("e");
    world.run_for(1_000);
    delivered(d);
    delivered(e);
    assert_eq!(world.log(), ["warm", "d", "e"]);
    // Counted on, not anew.
    world.fault(Fault::Refuse(19));
    let _f = world.send("f");
    world.run_for(10);
    let _g = world.send("g");
    world.run_for(10);
    end(&mut world, Some(0), 2);
    assert_eq!(values(&world), ["a", "b", "c", "f", "g"]);
    end(&mut world, Some(0), 5);
    let i = world.send("i");
    world.run_for(1_000);
    delivered(i);
}

#[test]
fn what_was_sent_before_ends_first_and_keeps_its_place() {
    let mut world = spooling(|s| s.sender.retries = 0).warm();
    world.hold_answers = true;
    world.fault(Fault::Refuse(19));
    let deliveries = ["a", "b", "c"].map(|value| world.send(value));
    // Not sent yet when the first one fails.
    let more = ["d", "e", "f", "g"].map(|value| world.send(value));
    assert!(world.held_answers() >= 3);
    world.release_one();
    world.run();
    assert_eq!(values(&world), ["a"], "the rest waits for what was sent");
    world.release_answers();
    world.hold_answers = false;
    world.run_for(5_000);
    assert_eq!(values(&world), ["a", "b", "c", "d", "e", "f", "g"]);
    assert!(given_out(&world).iter().all(|(.., fate)| *fate == Fate::NotWritten));
    assert_eq!(world.log(), ["warm"]);
    drop((deliveries, more));
}

#[test]
fn a_request_for_another_partition_takes_nothing_along() {
    let mut world = spooling(|s| {
        s.sender.guarantee = Guarantee::AtLeastOnce { all_replicas: true };
        s.sender.partition_in_flight = Some(2);
        s.sender.retries = 0;
    })
    .warm();
    world.hold_answers = true;
    world.fault(Fault::Refuse(19));
    let _deliveries = ["a", "b", "c"].map(|value| world.send(value));
    world.release_one();
    world.run();
    let _other = world.send_to("t", 1, "x");
    world.release_answers();
    world.hold_answers = false;
    world.run_for(1_000);
    assert_eq!(values(&world), ["a", "c"]);
    assert_eq!(world.log(), ["warm", "b"]);
}

#[test]
fn another_partition_goes_on() {
    let mut world = spooling(|s| s.sender.retries = 0).warm();
    world.input(Input::Divert { topic: name("t"), partition: Some(PartitionId(0)) });
    let _a = world.send("a");
    let b = world.send_to("t", 1, "b");
    world.run_for(1_000);
    delivered(b);
    assert_eq!(values(&world), ["a"]);
}

#[test]
fn records_without_a_topic_keep_back_all_of_its_partitions_once_it_comes() {
    let mut world = spooling(|s| s.sender.unknown_topic_grace = Duration::from_secs(5));
    let _a = world.append("new", None, "a", Urgency::Linger);
    world.run_for(20_000);
    assert_eq!(given_out(&world), [("a".to_owned(), FailureKind::TopicUnknown, Fate::NotWritten)]);
    world.add_topic("new", 2);
    let _b = world.append("new", Some(1), "b", Urgency::Now);
    world.run_for(20_000);
    assert_eq!(values(&world), ["a", "b"]);
    // "a" went to partition 0 in the spool, and "b" to 1.
    for partition in [0, 1] {
        world.input(Input::Divert { topic: name("new"), partition: Some(PartitionId(partition)) });
    }
    world.input(Input::DivertEnd { topic: name("new"), partition: None, seen: 1 });
    let _c = world.append("new", Some(0), "c", Urgency::Now);
    world.run_for(1_000);
    assert_eq!(values(&world), ["a", "b", "c"]);
    world.input(Input::DivertEnd { topic: name("new"), partition: Some(PartitionId(1)), seen: 1 });
    let d = world.append("new", Some(1), "d", Urgency::Now);
    world.run_for(1_000);
    delivered(d);
    assert_eq!(values(&world), ["a", "b", "c"]);
}

#[test]
fn an_open_batch_lingers_before_it_is_given_out_though_there_is_no_leader() {
    let mut world = spooling(|s| s.sender.linger = Duration::from_millis(50)).warm();
    world.input(Input::Divert { topic: name("t"), partition: Some(PartitionId(0)) });
    world.partition("t", 0).leader = -1;
    world.refresh();
    world.run_for(10);
    let _a = world.queue("a");
    world.run_for(20);
    let _b = world.queue("b");
    assert_eq!(values(&world), [""; 0]);
    world.run_for(100);
    assert_eq!(values(&world), ["a", "b"]);
    assert_eq!(world.hooks.diverted.lock().unwrap().len(), 1, "in one batch");
}

#[test]
fn what_time_does_not_mend_is_not_kept_and_keeps_nothing_back() {
    let mut world = spooling(|_| {}).warm();
    world.fault(Fault::Refuse(87));
    let _a = world.send("a");
    let b = world.send("b");
    world.run_for(1_000);
    delivered(b);
    assert_eq!(values(&world), ["a"]);
    assert_eq!(world.sender.metrics().snapshot().total.failed_not_written.records, 1);
}

#[test]
fn a_close_gives_out_what_it_cuts_off_and_counts_none_of_it_as_lost() {
    let mut world = spooling(|s| s.sender.guarantee = Guarantee::AtLeastOnce { all_replicas: true }).warm();
    world.hold_answers = true;
    let _deliveries = ["a", "b"].map(|value| world.send(value));
    let deadline = milena_wire::Timestamp::from_millis(world.now_ms() + 100);
    let close = world.command(Command::Close { deadline });
    world.run_for(200);
    assert!(matches!(world.done[&close], CommandResult::Closed { cut_off: 0, .. }));
    let told = given_out(&world);
    assert_eq!(
        told.iter().map(|(value, _, fate)| (value.as_str(), *fate)).collect::<Vec<_>>(),
        [("a", Fate::MaybeWritten), ("b", Fate::NotWritten)]
    );
    let counters = world.sender.metrics().snapshot().total;
    assert_eq!((counters.failed_not_written.records, counters.failed_maybe_written.records), (0, 0));
}

#[test]
fn what_comes_while_the_spool_is_replayed_waits_a_second_and_goes_behind_it_in_one_batch() {
    let mut world = spooling(|_| {}).warm();
    world.input(Input::Divert { topic: name("t"), partition: Some(PartitionId(0)) });
    world.input(Input::DivertHold { topic: name("t"), partition: PartitionId(0) });
    let deliveries = ["a", "b"].map(|value| world.queue(value));
    world.run_for(900);
    assert_eq!(values(&world), [""; 0]);
    world.run_for(200);
    assert_eq!(values(&world), ["a", "b"]);
    assert_eq!(world.hooks.diverted.lock().unwrap().len(), 1);
    let c = world.send("c");
    end(&mut world, Some(0), 2);
    world.run_for(500);
    delivered(c);
    drop(deliveries);
}

#[test]
fn what_waits_for_the_end_of_a_replay_does_not_keep_memory_from_who_waits_for_it() {
    let mut world = spooling(|s| s.sender.linger = Duration::from_millis(2)).warm();
    world.input(Input::Divert { topic: name("t"), partition: Some(PartitionId(0)) });
    world.input(Input::DivertHold { topic: name("t"), partition: PartitionId(0) });
    world.hold_answers = true;
    let outstanding = world.send_to("t", 1, "outstanding");
    let held = world.queue("held");
    world.run_for(100);
    let mut waiting = Box::pin(world.accumulator.reserve(world.accumulator.memory().limit));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(std::future::Future::poll(waiting.as_mut(), &mut context).is_pending());
    world.run();
    assert_eq!(values(&world), [""; 0], "the answer may bring enough");
    world.run_for(5);
    assert_eq!(values(&world), ["held"]);
    drop((waiting, outstanding, held));
}

#[test]
fn a_close_waits_for_no_replay() {
    let mut world = spooling(|_| {}).warm();
    world.input(Input::Divert { topic: name("t"), partition: Some(PartitionId(0)) });
    world.input(Input::DivertHold { topic: name("t"), partition: PartitionId(0) });
    let _a = world.send("a");
    let deadline = milena_wire::Timestamp::from_millis(world.now_ms() + 60_000);
    world.command(Command::Close { deadline });
    assert_eq!(values(&world), ["a"]);
    assert!(world.closed);
}

/// A leader that refuses who this producer is ends what waits for it; what its predecessor has may yet fail, and comes first.
#[test]
fn what_waits_for_a_leader_that_refuses_is_not_given_out_ahead_of_what_its_predecessor_has() {
    let mut world = spooling(|s| {
        s.sender.refused_identity = RefusedIdentity::Fail;
        s.sender.guarantee = Guarantee::AtLeastOnce { all_replicas: false };
    })
    .warm();
    world.hold_answers = true;
    let _a = world.send("a");
    world.refusing = vec![2];
    for partition in [0, 1] {
        world.move_leader("t", partition, 2);
    }
    world.refresh();
    let _b = world.send("b");
    let _other = world.send_to("t", 1, "other");
    world.run_for(2_000);
    assert_eq!(values(&world), ["other"], "the refusal was heard");
    world.fault(Fault::Cut { append: false });
    world.cut(1);
    world.run_for(3_000);
    let told = given_out(&world);
    assert_eq!(values(&world), ["other", "a", "b"]);
    assert_eq!(told[1].1, FailureKind::Authentication);
    assert_eq!(told[1].2, Fate::MaybeWritten);
}

#[test]
fn what_waits_for_a_topic_that_is_gone_is_not_given_out_ahead_of_what_a_leader_has() {
    let mut world = spooling(|_| {}).warm();
    world.hold_answers = true;
    let _a = world.send("a");
    world.topics.get_mut("t").unwrap().error = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    for _ in 0..3 {
        world.refresh();
    }
    let _b = world.send("b");
    world.run_for(20_000);
    assert_eq!(values(&world), [""; 0], "an answer is still awaited");
    world.run_for(60_000);
    assert_eq!(values(&world), ["a", "b"]);
}

#[test]
fn a_code_that_fails_at_once_does_not_give_out_what_is_behind_a_batch_that_is_sent_again() {
    let mut world = spooling(|s| s.sender.fail_at_once = vec![ErrorCode::NOT_ENOUGH_REPLICAS]).warm();
    world.hold_answers = true;
    // The first is sent again after 6, and refused like the second by then.
    for code in [6, 19, 19, 19] {
        world.fault(Fault::Refuse(code));
    }
    let _deliveries = ["a", "b"].map(|value| world.send(value));
    assert_eq!(world.held_answers(), 2);
    world.release_answers();
    world.hold_answers = false;
    world.run_for(5_000);
    assert_eq!(values(&world), ["a", "b"]);
}
