//! When those who wait for a broker are told that it refuses who this client is, and when they are not.

use std::collections::BTreeSet;
use std::time::Duration;

use milena_wire::{BrokerId, Timestamp};

use super::world::{Kafka, Topic, World, config, describe};
use crate::{Event, Room};

fn kafka() -> Kafka {
    Kafka::of(3).with_topic("a", Topic::led_by(&[(1, 1), (2, 1), (3, 1)]))
}

fn refusals(world: &World<Kafka>) -> Vec<String> {
    world.events.iter().filter(|event| matches!(event, Event::Refused { .. })).map(describe).collect()
}

const ALL: [&str; 3] = ["10.0.0.1:9092", "10.0.0.2:9092", "10.0.0.3:9092"];

#[test]
fn a_client_that_everybody_refuses_hears_it_from_the_second_refusal_on_and_is_tried_on_with_backoff() {
    let mut world = World::new(config(&ALL[..1]), kafka());
    world.script.refusing = BTreeSet::from([1]);
    world.use_topic("a");
    world.run_until("an attempt", |world| world.counts.dials.len() == 1);
    world.run_ms(40);
    assert_eq!(refusals(&world), [""; 0], "one may have been a mistake");
    world.run_ms(200);
    assert_eq!(refusals(&world), ["refused None by 10.0.0.1:9092"]);
    assert!(!world.cluster.was_accepted());
    world.run(Duration::from_secs(60));
    let (dials, told) = (world.counts.dials.len(), refusals(&world).len());
    assert!((50..90).contains(&dials), "{dials} attempts in a minute, about one a second in the end");
    assert_eq!(told, dials - 1, "each attempt tells it again");
    world.script.refusing.clear();
    world.run_until("the topic", |world| world.is_known("a"));
    assert!(world.cluster.was_accepted());
    let before = refusals(&world).len();
    world.run(Duration::from_secs(60));
    assert_eq!(refusals(&world).len(), before);
}

#[test]
fn one_bootstrap_server_that_accepts_is_enough() {
    for seed in 0..20 {
        let mut world = World::seeded(config(&ALL), kafka(), seed);
        world.script.refusing = BTreeSet::from([1, 2]);
        world.use_topic("a");
        world.run_until("the topic", |world| world.is_known("a"));
        assert_eq!(refusals(&world), [""; 0]);
    }
}

#[test]
fn servers_that_are_away_do_not_hide_that_the_others_refuse() {
    let mut world = World::new(config(&ALL), kafka());
    world.script.refusing = BTreeSet::from([2]);
    world.script.down = BTreeSet::from([1, 3]);
    world.use_topic("a");
    world.run(Duration::from_secs(2));
    assert!(!refusals(&world).is_empty());
    assert!(refusals(&world).iter().all(|told| told == "refused None by 10.0.0.2:9092"), "{:?}", refusals(&world));
}

#[test]
fn three_of_many_servers_stand_for_all() {
    let kafka = Kafka::of(50);
    let all: Vec<String> = kafka.brokers.values().map(ToString::to_string).collect();
    let mut world = World::new(config(&all.iter().map(String::as_str).collect::<Vec<_>>()), kafka);
    world.script.refusing = (1..=50).collect();
    world.use_topic("a");
    world.run_until("a refusal", |world| !refusals(world).is_empty());
    assert_eq!(world.counts.dials.len(), 3);
    assert_eq!(world.now, Timestamp::from_millis(1_000), "none of them waits for another");
}

#[test]
fn servers_that_are_all_away_refuse_nobody() {
    let mut world = World::new(config(&ALL), kafka());
    world.script.down = BTreeSet::from([1, 2, 3]);
    world.use_topic("a");
    world.run(Duration::from_secs(60));
    assert_eq!(refusals(&world), [""; 0]);
}

#[test]
fn a_leader_that_refuses_is_told_of_by_name_and_the_others_are_not() {
    let mut world = World::new(config(&ALL[..1]), kafka());
    world.script.refusing = BTreeSet::from([2]);
    world.use_topic("a");
    world.run_until("leaders", |world| world.leader("a", 2).is_some());
    for broker in [1, 2, 3].map(BrokerId) {
        assert_eq!(world.cluster.produce_room(world.now, broker), Room::Wait);
    }
    world.run(Duration::from_secs(10));
    assert!(matches!(world.cluster.produce_room(world.now, BrokerId(3)), Room::Ready { .. }));
    let told = refusals(&world);
    assert!((5..30).contains(&told.len()), "{} in ten seconds", told.len());
    assert!(told.iter().all(|told| told == "refused Some(BrokerId(2)) by 10.0.0.2:9092"), "{told:?}");
    // Another kind of failure in between, such as a restart, starts the count over.
    world.script.refusing.clear();
    world.script.down = BTreeSet::from([2]);
    world.run(Duration::from_secs(5));
    let before = refusals(&world).len();
    world.script.down.clear();
    world.script.refusing = BTreeSet::from([2]);
    let dials = world.counts.dials.len();
    world.run_until("an attempt", |world| world.counts.dials.len() == dials + 1);
    world.run_ms(10);
    assert_eq!(refusals(&world).len(), before);
    world.run_until("another", |world| world.counts.dials.len() == dials + 2);
    world.run_ms(10);
    assert_eq!(refusals(&world).len(), before + 1);
}
