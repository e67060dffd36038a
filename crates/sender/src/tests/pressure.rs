//! What lingers while callers wait for memory.

use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use milena_accumulator::{Delivery, Reserve, Urgency};
use milena_wire::ErrorCode;

use super::company::all_arrive;
use super::world::*;

/// Somebody waits for all of the memory.
fn want_all(world: &mut World) -> Pin<Box<Reserve>> {
    let limit = world.accumulator.memory().limit;
    let mut waiting = Box::pin(world.accumulator.reserve(limit));
    assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    world.run();
    waiting
}

fn lingering(world: &mut World, partition: i32) -> Delivery {
    let delivery = world.append("t", Some(partition), "lingers", Urgency::Linger);
    world.run();
    delivery
}

/// One request is outstanding, two batches linger, and somebody waits for memory.
fn short_of_memory() -> (World, Vec<Delivery>, Pin<Box<Reserve>>) {
    let mut world = World::with(|setup| setup.sender.linger = Duration::from_secs(60)).warm();
    world.hold_answers = true;
    let mut deliveries = vec![world.append("t", Some(0), "first", Urgency::Now)];
    world.run();
    deliveries.extend([1, 2].map(|partition| lingering(&mut world, partition)));
    assert_eq!(world.requests, 1);
    let waiting = want_all(&mut world);
    (world, deliveries, waiting)
}

#[test]
fn while_an_answer_is_outstanding_batches_linger_on_for_a_little_and_leave_together() {
    let (mut world, deliveries, waiting) = short_of_memory();
    world.run_for(4);
    assert_eq!(world.requests, 1, "that answer brings memory back, too");
    world.run_for(1);
    assert_eq!((world.requests, world.seen.len()), (2, 3), "one request for both");
    drop(waiting);
    all_arrive(world, deliveries);
}

#[test]
fn with_the_last_answer_they_leave_at_once() {
    let (mut world, deliveries, waiting) = short_of_memory();
    world.release_one();
    world.run();
    assert_eq!((world.requests, world.seen.len()), (2, 3));
    drop(waiting);
    all_arrive(world, deliveries);
}

#[test]
fn what_begins_to_linger_meanwhile_has_as_long() {
    let (mut world, mut deliveries, waiting) = short_of_memory();
    world.run_for(5);
    drop(waiting);
    deliveries.push(lingering(&mut world, 3));
    let waiting = want_all(&mut world);
    world.run_for(4);
    assert_eq!(world.requests, 2);
    world.run_for(1);
    assert_eq!(world.requests, 3);
    drop(waiting);
    all_arrive(world, deliveries);
}

#[test]
fn who_gives_up_waiting_lets_them_linger_to_the_end() {
    let (mut world, deliveries, waiting) = short_of_memory();
    drop(waiting);
    world.run_for(1_000);
    assert_eq!(world.requests, 1);
    all_arrive(world, deliveries);
}

/// The answer that brings room for it makes the partition be looked at again.
#[test]
fn what_has_lingered_long_enough_leaves_with_the_answer_that_makes_room_for_it() {
    let mut world = World::with(|setup| {
        setup.sender.linger = Duration::from_secs(60);
        setup.cluster.max_in_flight = 1;
    });
    world.partition("t", 3).leader = 2;
    let mut world = world.warm();
    let warm = world.send_to("t", 3, "warm");
    world.run_for(50);
    delivered(warm);
    world.hold_answers = true;
    let mut deliveries = vec![world.send("outstanding"), world.send_to("t", 3, "outstanding elsewhere")];
    deliveries.push(lingering(&mut world, 0));
    let waiting = want_all(&mut world);
    world.run_for(6);
    let requests = world.requests;
    world.release_one();
    world.run();
    assert_eq!(world.requests, requests + 1);
    drop(waiting);
    all_arrive(world, deliveries);
}

/// Nothing is outstanding and nothing can be sent: the machine must come to rest all the same.
#[test]
fn a_batch_that_backs_off_keeps_its_time() {
    let mut world = World::with(|setup| setup.sender.linger = Duration::from_secs(60)).warm();
    world.fault(Fault::Refuse(ErrorCode::NOT_ENOUGH_REPLICAS.0));
    let delivery = world.append("t", Some(0), "refused once", Urgency::Now);
    world.run();
    assert_eq!(world.requests, 1);
    let waiting = want_all(&mut world);
    assert_eq!(world.requests, 1, "it backs off");
    world.run_for(1_000);
    drop((delivered(delivery), waiting));
}
