//! Full batches that wait for company while an answer is outstanding, and what ends their waiting; and what a request takes along.

use std::time::Duration;

use milena_accumulator::{Delivery, ENOUGH_BYTES, Urgency};

use super::world::*;
use crate::Command;

/// A batch of one record is full here. No answer comes until it is released, and one request is outstanding.
fn outstanding() -> (World, Vec<Delivery>) {
    let mut world = World::with(|setup| {
        setup.sender.linger = Duration::from_secs(5);
        setup.accumulator.batch_size = 1000;
    })
    .warm();
    world.hold_answers = true;
    let first = vec![full(&mut world, 0)];
    assert_eq!(world.requests, 1, "with no answer outstanding a full batch leaves at once");
    (world, first)
}

fn full(world: &mut World, partition: i32) -> Delivery {
    queued(world, partition, 1000)
}

fn queued(world: &mut World, partition: i32, size: usize) -> Delivery {
    let delivery = world.append("t", Some(partition), &"x".repeat(size), Urgency::Linger);
    world.run();
    delivery
}

/// Once answers come again, and whatever lingers has done so.
pub(super) fn all_arrive(mut world: World, deliveries: Vec<Delivery>) {
    world.hold_answers = false;
    world.release_answers();
    world.run_for(60_000);
    deliveries.into_iter().for_each(|delivery| {
        delivered(delivery);
    });
}

#[test]
fn they_leave_together_with_the_next_answer() {
    let (mut world, mut deliveries) = outstanding();
    deliveries.extend([1, 2, 3].map(|partition| full(&mut world, partition)));
    assert_eq!(world.requests, 1);
    world.release_one();
    world.run();
    assert_eq!((world.requests, world.seen.len()), (2, 4), "one request for three batches");
    all_arrive(world, deliveries);
}

#[test]
fn they_wait_no_longer_than_they_may_linger() {
    let (mut world, mut deliveries) = outstanding();
    deliveries.push(full(&mut world, 1));
    world.run_for(4999);
    assert_eq!(world.requests, 1);
    world.run_for(1);
    assert_eq!(world.requests, 2);
    all_arrive(world, deliveries);
}

#[test]
fn enough_of_them_wait_for_nothing() {
    let (mut world, mut deliveries) = outstanding();
    while world.requests == 1 {
        deliveries.push(full(&mut world, 1));
        assert!(deliveries.len() <= ENOUGH_BYTES / 1000 + 1, "{} batches wait", deliveries.len());
    }
    assert!(deliveries.len() > ENOUGH_BYTES / 1100);
    all_arrive(world, deliveries);
}

/// How often the sender hears of anything during so many records of a size.
fn heard(world: &mut World, deliveries: &mut Vec<Delivery>, partition: i32, records: usize, size: usize) -> usize {
    let before = world.inputs;
    deliveries.extend((0..records).map(|_| queued(world, partition, size)));
    world.inputs - before
}

#[test]
fn batches_that_cannot_leave_yet_are_told_of_once_they_are_enough_and_no_more() {
    let (mut world, mut deliveries) = outstanding();
    // One partition takes all the room that the broker has.
    heard(&mut world, &mut deliveries, 0, 2 * ENOUGH_BYTES / 1000, 1000);
    let requests = world.requests;
    let often = heard(&mut world, &mut deliveries, 1, 2 * ENOUGH_BYTES / 1000, 1000);
    assert_eq!(often, 2, "of the first of them, and when they are enough");
    assert_eq!(heard(&mut world, &mut deliveries, 1, 200, 1000), 0, "nothing can be done about any of these");
    assert_eq!(world.requests, requests);
    all_arrive(world, deliveries);
}

#[test]
fn batches_without_a_leader_are_told_of_once() {
    let mut world = World::with(|setup| setup.accumulator.batch_size = 1000).warm();
    world.move_leader("t", 1, -1);
    world.refresh();
    let mut deliveries = Vec::new();
    // Three to a batch.
    assert!(heard(&mut world, &mut deliveries, 1, 1, 300) > 0);
    assert_eq!(heard(&mut world, &mut deliveries, 1, 20, 300), 0, "what is missing is asked for at its own pace");
    world.move_leader("t", 1, 1);
    all_arrive(world, deliveries);
}

#[test]
fn a_record_that_somebody_waits_for_takes_those_in_front_of_it_along() {
    let (mut world, mut deliveries) = outstanding();
    deliveries.push(full(&mut world, 0));
    assert_eq!(world.requests, 1);
    deliveries.push(world.send_to("t", 0, "now"));
    assert_eq!(world.requests, 3, "both batches, one after the other");
    all_arrive(world, deliveries);
}

#[test]
fn who_begins_to_wait_for_one_ends_its_waiting() {
    let (mut world, mut deliveries) = outstanding();
    let waited_for = full(&mut world, 1);
    assert_eq!(world.requests, 1);
    world.accumulator.hurry(&waited_for);
    world.run();
    assert_eq!(world.requests, 2);
    deliveries.push(waited_for);
    all_arrive(world, deliveries);
}

#[test]
fn a_flush_and_a_lack_of_memory_end_their_waiting() {
    let (mut world, mut deliveries) = outstanding();
    deliveries.push(full(&mut world, 1));
    world.command(Command::Flush);
    assert_eq!(world.requests, 2);
    deliveries.push(full(&mut world, 2));
    assert_eq!(world.requests, 2);
    let limit = world.accumulator.memory().limit;
    let mut waiting = Box::pin(world.accumulator.reserve(limit));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    world.run();
    assert_eq!(world.requests, 3);
    drop(waiting);
    all_arrive(world, deliveries);
}

#[test]
fn a_connection_that_is_lost_leaves_nobody_waiting() {
    let (mut world, mut deliveries) = outstanding();
    deliveries.push(full(&mut world, 1));
    world.hold_answers = false;
    world.cut(1);
    world.run_for(1000);
    deliveries.into_iter().for_each(|delivery| {
        delivered(delivery);
    });
}

/// Records of these sizes linger in partitions 1, 2 and so on when somebody sends a record of `size` bytes to partition 0. How many batches leave?
fn taken_along(size: usize, lingering: &[usize]) -> usize {
    let mut world = World::with(|setup| {
        setup.sender.linger = Duration::from_secs(5);
        setup.accumulator.batch_size = 2 * ENOUGH_BYTES;
    })
    .warm();
    let mut deliveries: Vec<_> =
        (1..).zip(lingering).map(|(partition, size)| queued(&mut world, partition, *size)).collect();
    assert_eq!(world.requests, 0);
    deliveries.push(world.append("t", Some(0), &"x".repeat(size), Urgency::Now));
    world.run();
    let (requests, batches) = (world.requests, world.seen.len());
    assert_eq!(requests, 1);
    world.run_for(4999);
    assert_eq!(world.requests, 1, "the others linger on");
    world.run_for(1);
    assert_eq!(world.seen.len(), lingering.len() + 1, "and no longer");
    all_arrive(world, deliveries);
    batches - 1
}

#[test]
fn a_request_takes_along_what_lingers_until_it_is_large_enough() {
    assert_eq!(taken_along(10, &[10, 10]), 2);
    assert_eq!(taken_along(10, &[10, ENOUGH_BYTES]), 2, "the last of them makes it large");
    assert_eq!(taken_along(10, &[ENOUGH_BYTES, 10]), 1);
    assert_eq!(taken_along(ENOUGH_BYTES, &[10, 10]), 0, "alone it is large enough");
    assert_eq!(taken_along(ENOUGH_BYTES / 3, &[ENOUGH_BYTES / 3, ENOUGH_BYTES / 3, 10]), 2, "together they are");
}
