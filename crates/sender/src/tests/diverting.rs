//! Failed batches are handed out with their records, on every way on which a batch can fail.

use std::time::Duration;

use milena_accumulator::{Delivery, FailureKind, Fate, Urgency};
use milena_wire::{Codec, Compression, TopicId};

use super::world::*;
use crate::{Command, Guarantee};

fn diverting(change: impl FnOnce(&mut Setup)) -> World {
    World::with(|setup| {
        setup.accumulator.divert = true;
        change(setup);
    })
}

/// What was handed out: values, kind, fate, and whether it has a stamp.
fn handed_out(world: &World) -> Vec<(Vec<String>, FailureKind, Fate, bool)> {
    let diverted = world.hooks.diverted.lock().unwrap();
    let told = diverted.iter().map(|batch| {
        let records = batch.records().unwrap();
        let text = |value: Option<&[u8]>| String::from_utf8(value.unwrap().to_vec()).unwrap();
        let values = records.iter().map(|record| text(record.unwrap().value)).collect();
        (values, batch.failure().kind, batch.failure().fate, batch.stamp().is_some())
    });
    told.collect()
}

/// Exactly these records were handed out, in this order and alone, and hear of their end once they are let go.
fn expect(mut world: World, deliveries: Vec<Delivery>, kind: FailureKind, expected: &[(&str, Fate)]) {
    let told = handed_out(&world);
    let values: Vec<_> =
        told.iter().flat_map(|(values, _, fate, _)| values.iter().map(|v| (v.as_str(), *fate))).collect();
    assert_eq!(values, expected);
    assert!(told.iter().all(|(_, told, _, _)| *told == kind), "{told:?}");
    assert!(deliveries.iter().all(|delivery| !delivery.is_done()));
    world.hooks.diverted.lock().unwrap().clear();
    for (delivery, (_, fate)) in deliveries.into_iter().zip(expected) {
        assert_eq!(failed(delivery), (kind, *fate));
    }
    world.run_for(200_000);
    assert_eq!(world.accumulator.memory().used, 0);
    assert!(world.hooks.diverted.lock().unwrap().is_empty(), "each once");
}

#[test]
fn a_batch_that_the_broker_refuses() {
    let mut world = diverting(|_| {}).warm();
    world.fault(Fault::Refuse(87));
    let a = world.send("a");
    expect(world, vec![a], FailureKind::InvalidRecord, &[("a", Fate::NotWritten)]);
}

#[test]
fn batches_that_reach_their_deadline_with_the_stamp_of_those_that_may_be_written() {
    let mut world = diverting(|s| s.sender.partition_in_flight = Some(1)).warm();
    world.hold_answers = true;
    let deliveries: Vec<_> = ["a", "b", "c"].map(|value| world.send(value)).into();
    world.run_for(121_000);
    assert!(matches!(handed_out(&world)[..], [(.., true), (.., false)]));
    let expected = [("a", Fate::MaybeWritten), ("b", Fate::NotWritten), ("c", Fate::NotWritten)];
    expect(world, deliveries, FailureKind::DeliveryTimeout, &expected);
}

#[test]
fn batches_that_are_purged_wherever_they_are() {
    let mut world = diverting(|s| s.sender.linger = Duration::from_secs(60)).warm();
    world.hold_answers = true;
    let mut deliveries = vec![world.send("a")];
    deliveries.push(world.queue("b"));
    deliveries.push(world.append("unknown", Some(0), "c", Urgency::Linger));
    world.command(Command::Purge { queued: true, in_flight: true });
    let expected = [("a", Fate::MaybeWritten), ("b", Fate::NotWritten), ("c", Fate::NotWritten)];
    expect(world, deliveries, FailureKind::Purged, &expected);
}

#[test]
fn batches_that_a_close_cuts_off_though_they_are_with_the_codec() {
    let mut world = diverting(|s| {
        s.accumulator.compression = Compression::new(Codec::Gzip);
        s.sender.seal_inline = false;
    })
    .warm();
    world.hold_seals = true;
    let deliveries: Vec<_> = ["a", "b"].map(|value| world.send(value)).into();
    assert_eq!(world.seals.len(), 1);
    let deadline = milena_wire::Timestamp::from_millis(world.now_ms() + 100);
    world.command(Command::Close { deadline });
    world.run_for(200);
    // The bytes come back to nobody.
    world.release_seal(0);
    expect(world, deliveries, FailureKind::Closed, &[("a", Fate::NotWritten), ("b", Fate::NotWritten)]);
}

#[test]
fn batches_of_a_producer_that_cannot_go_on() {
    let mut world = diverting(|s| s.sender.partition_in_flight = Some(1)).warm();
    world.fault(Fault::Refuse(90));
    world.hold_answers = true;
    let deliveries: Vec<_> = ["a", "b"].map(|value| world.send(value)).into();
    world.release_answers();
    world.run();
    expect(world, deliveries, FailureKind::Fatal, &[("a", Fate::NotWritten), ("b", Fate::NotWritten)]);
}

#[test]
fn batches_of_a_topic_that_was_created_again() {
    let mut world = diverting(|s| s.sender.partition_in_flight = Some(1)).warm();
    world.hold_answers = true;
    let deliveries: Vec<_> = ["a", "b"].map(|value| world.send(value)).into();
    world.topics.get_mut("t").unwrap().id = TopicId([99; 16]);
    world.refresh();
    world.run_for(10);
    let expected = [("a", Fate::MaybeWritten), ("b", Fate::NotWritten)];
    expect(world, deliveries, FailureKind::TopicRecreated, &expected);
}

#[test]
fn records_of_a_topic_that_never_comes() {
    let mut world = diverting(|_| {});
    let deliveries: Vec<_> = ["a", "b"].map(|value| world.append("nope", None, value, Urgency::Linger)).into();
    world.run_for(20_000);
    expect(world, deliveries, FailureKind::TopicUnknown, &[("a", Fate::NotWritten), ("b", Fate::NotWritten)]);
}

#[test]
fn records_that_the_broker_names_and_not_those_beside_them() {
    let mut world = diverting(|s| s.sender.linger = Duration::from_millis(5)).warm();
    world.fault(Fault::Records(87, vec![(1, "no")]));
    let mut deliveries: Vec<_> = ["a", "b", "c"].map(|value| world.queue(value)).into();
    world.run_for(3_000);
    let named = deliveries.remove(1);
    deliveries.into_iter().for_each(|delivery| {
        delivered(delivery);
    });
    assert_eq!(world.log(), ["warm", "a", "c"]);
    expect(world, vec![named], FailureKind::InvalidRecord, &[("b", Fate::NotWritten)]);
}

#[test]
fn pieces_of_a_batch_that_was_too_large_and_still_are() {
    let mut world = diverting(|s| s.sender.linger = Duration::from_millis(5)).warm();
    world.fault(Fault::Refuse(10));
    world.fault(Fault::Refuse(10));
    let mut deliveries: Vec<_> = ["a", "b"].map(|value| world.queue(value)).into();
    world.run_for(3_000);
    delivered(deliveries.remove(1));
    expect(world, deliveries, FailureKind::RecordTooLarge, &[("a", Fate::NotWritten)]);
}

#[test]
fn batches_that_go_down_with_their_sender() {
    let mut world = diverting(|s| {
        s.sender.partition_in_flight = Some(1);
        s.sender.guarantee = Guarantee::AtLeastOnce { all_replicas: true };
    })
    .warm();
    world.hold_answers = true;
    let deliveries = ["a", "b"].map(|value| world.send(value));
    let World { sender, hooks, accumulator, .. } = world;
    drop(sender);
    let told: Vec<_> = hooks.diverted.lock().unwrap().iter().map(|b| (b.failure().kind, b.failure().fate)).collect();
    // What the sender has not taken is failed by whoever drives it.
    assert_eq!(told, [(FailureKind::RuntimeGone, Fate::MaybeWritten)]);
    accumulator.abandon(|topic, partition| {
        milena_accumulator::Failure::new(FailureKind::RuntimeGone, Fate::NotWritten, topic.clone(), partition)
    });
    assert_eq!(hooks.diverted.lock().unwrap().len(), 2);
    hooks.diverted.lock().unwrap().clear();
    let fates = deliveries.map(|delivery| failed(delivery).1);
    assert_eq!(fates, [Fate::MaybeWritten, Fate::NotWritten]);
}

#[test]
fn without_the_policy_nobody_is_given_anything() {
    let mut world = World::new().warm();
    world.fault(Fault::Refuse(87));
    let a = world.send("a");
    let b = world.append("nope", None, "b", Urgency::Linger);
    world.run_for(20_000);
    assert_eq!(failed(a).0, FailureKind::InvalidRecord);
    assert_eq!(failed(b).0, FailureKind::TopicUnknown);
    assert!(world.hooks.diverted.lock().unwrap().is_empty());
}
