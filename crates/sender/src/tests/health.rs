//! What somebody who watches is told of partitions and brokers.

use std::time::Duration;

use milena_accumulator::{FailureKind, Fate};
use milena_cluster::{BrokerState, ClusterState};
use milena_wire::{BrokerId, Timestamp};

use super::world::*;

fn waiting(world: &World) -> (usize, usize) {
    let health = world.sender.health().read();
    (health.without_leader, health.resolving)
}

#[test]
fn a_partition_without_a_leader_is_told_of_while_it_has_records() {
    let mut world = World::new().warm();
    world.move_leader("t", 0, -1);
    world.refresh();
    world.run_for(100);
    assert_eq!(waiting(&world), (0, 0), "nothing waits for it");
    let stuck = world.send("stuck");
    world.run_for(1_000);
    assert_eq!(waiting(&world), (1, 0));
    world.move_leader("t", 0, 1);
    world.run_for(3_000);
    delivered(stuck);
    assert_eq!(waiting(&world), (0, 0));
}

#[test]
fn a_partition_is_resolving_until_the_probe_says_what_became_of_the_lost_batch() {
    let mut world = World::with(|s| s.sender.delivery_timeout = Duration::from_secs(10)).warm();
    for _ in 0..200 {
        world.fault(Fault::Refuse(7));
    }
    let lost = world.send("lost");
    world.run_for(9_000);
    assert_eq!(waiting(&world), (0, 0), "it may still be delivered");
    world.run_for(1_000);
    assert_eq!(failed(lost), (FailureKind::DeliveryTimeout, Fate::MaybeWritten));
    assert_eq!(waiting(&world), (0, 1));
    world.partition("t", 0).faults.clear();
    let probe = world.send("probe");
    world.run_for(1_000);
    delivered(probe);
    assert_eq!(waiting(&world), (0, 0));
}

#[test]
fn the_cluster_and_its_broker_are_told_of_with_the_time_of_each_change() {
    let mut world = World::new();
    assert_eq!(world.sender.health().read().cluster.state, ClusterState::Unknown);
    world = world.warm();
    let health = world.sender.health().read().cluster;
    assert_eq!((health.state, health.brokers[&BrokerId(1)].state), (ClusterState::Reachable, BrokerState::Up));
    world.run_for(500);
    let before = Timestamp::from_millis(world.now_ms());
    world.down = world.nodes.clone();
    for node in world.nodes.clone() {
        world.cut(node);
    }
    let unsent = world.send("unsent");
    world.run_for(2_000);
    let health = world.sender.health().read().cluster;
    let broker = &health.brokers[&BrokerId(1)];
    assert_eq!((health.state, broker.state), (ClusterState::Unreachable, BrokerState::Down));
    assert_eq!((health.since, broker.since), (before, before), "not since the last attempt");
    assert!(broker.last_error.as_ref().is_some_and(|last| last.at > before), "that is the last attempt's");
    world.down.clear();
    world.run_for(3_000);
    delivered(unsent);
    let health = world.sender.health().read().cluster;
    assert_eq!((health.state, health.brokers[&BrokerId(1)].state), (ClusterState::Reachable, BrokerState::Up));
    assert!(health.last_error.is_some(), "what went wrong is still told");
}
