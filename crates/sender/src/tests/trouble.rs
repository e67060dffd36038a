//! Trouble is cheap: what refusals and wandering leaders cost, in made-up time and in requests. Answers take no time here, so all the time that
//! passes was waited.

use milena_accumulator::Urgency;
use milena_wire::ErrorCode;

use super::world::*;

const PARTITIONS: usize = 4;
const RECORDS: usize = 20_000;

/// One request in eight, scattered, with errors that say nothing about a leader and with some that do.
fn one_in_eight(request: usize) -> Option<ErrorCode> {
    let scattered = (request as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    let codes = [
        ErrorCode::NOT_ENOUGH_REPLICAS,
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ErrorCode::REQUEST_TIMED_OUT,
        ErrorCode::LEADER_NOT_AVAILABLE,
        ErrorCode::NETWORK_EXCEPTION,
    ];
    scattered.is_multiple_of(8).then(|| codes[usize::try_from(scattered / 8 % 5).unwrap()])
}

/// Sends `RECORDS` to a world in trouble; returns the milliseconds until all are delivered.
fn cost(world: &mut World, moves: bool) -> u64 {
    let started = world.now_ms();
    let deliveries: Vec<_> = (0..RECORDS)
        .map(|n| {
            let partition = i32::try_from(n % PARTITIONS).unwrap();
            world.append("t", Some(partition), &format!("{n:060}"), Urgency::Linger)
        })
        .collect();
    world.run();
    for step in 0_u64.. {
        if deliveries.iter().all(milena_accumulator::Delivery::is_done) {
            break;
        }
        assert!(world.now_ms() < started + 100_000, "it does not end");
        // 50, 100, 150, 200 or 250 ms apart.
        if moves && world.now_ms().is_multiple_of(50) && step * 7 % 5 < 2 {
            for partition in 0..PARTITIONS {
                let leader = world.partition("t", partition).leader;
                world.move_leader("t", partition, leader % 3 + 1);
            }
        }
        world.run_for(10);
    }
    deliveries.into_iter().for_each(|delivery| {
        delivered(delivery);
    });
    for partition in 0..PARTITIONS {
        let log = &world.partition("t", partition).log.values;
        let numbers = log.iter().filter_map(|value| value.parse::<usize>().ok()).collect::<Vec<_>>();
        let expected: Vec<usize> = (0..RECORDS).filter(|n| n % PARTITIONS == partition).collect();
        assert_eq!(numbers, expected, "each once, in order");
    }
    world.now_ms() - started
}

fn world() -> World {
    let mut world = World::with(|s| {
        s.accumulator.batch_size = 4096;
        s.sender.max_request_size = 16 * 1024;
    });
    world.refuse = None;
    world.warm()
}

#[test]
fn one_refusal_in_eight_costs_little_time_and_few_attempts() {
    let mut calm = world();
    assert_eq!(cost(&mut calm, false), 0);
    let mut world = world();
    world.refuse = Some(one_in_eight);
    let ms = cost(&mut world, false);
    let refusals = (1..=world.requests).filter(|request| one_in_eight(*request).is_some()).count();
    assert!(refusals > 20, "{refusals} in {} requests", world.requests);
    // Partitions wait at the same time. Were each wait a whole backoff of 100 ms, it would be a second.
    assert!(ms <= 250, "{ms} ms for {refusals} refusals");
    let (attempts, batches) = (world.seen.len(), calm.seen.len());
    assert!(attempts <= batches + batches / 2, "{attempts} attempts for {batches} batches");
}

#[test]
fn leaders_that_wander_cost_little_time_and_few_attempts() {
    let mut calm = world();
    cost(&mut calm, false);
    let mut world = world();
    world.refuse = Some(one_in_eight);
    let ms = cost(&mut world, true);
    assert!(ms <= 1000, "{ms} ms");
    let (attempts, batches) = (world.seen.len(), calm.seen.len());
    assert!(attempts <= batches + batches / 2, "{attempts} attempts for {batches} batches");
    assert!(world.metadata_requests as u64 <= 5 + ms / 50, "{} in {ms} ms", world.metadata_requests);
}
