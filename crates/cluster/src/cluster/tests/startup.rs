use milena_wire::message::init_producer_id::InitProducerIdRequest;

use super::world::{Kafka, Topic, World, config, describe};
use crate::{ControlRequest, Room};
use milena_wire::{ApiKey, BrokerId};

#[test]
fn a_new_topic_is_asked_for_at_once_and_its_leader_can_be_produced_to() {
    let kafka = Kafka::of(3).with_topic("a", Topic::led_by(&[(2, 5)]));
    let mut world = World::new(config(&["10.0.0.1:9092", "10.0.0.2:9092"]), kafka);
    world.use_topic("a");
    world.run_until("the leader", |world| world.leader("a", 0).is_some());
    assert_eq!(world.leader("a", 0), Some((2, 5)));
    assert_eq!(world.counts.of(ApiKey::METADATA), 1);
    assert_eq!(world.counts.dials.len(), 1, "one bootstrap address is enough");
    assert_eq!(world.cluster.produce_room(world.now, BrokerId(2)), Room::Wait);
    world.run_until("room", |world| world.events.iter().any(|event| describe(event) == "room 2"));
    let Room::Ready { version, slots } = world.cluster.produce_room(world.now, BrokerId(2)) else { panic!("room") };
    assert_eq!((version.0, slots), (13, 2));
    world.cluster.send_produce(world.now, BrokerId(2), &super::world::produce("a", -1));
    world.run_ms(10);
    assert_eq!(world.take_events(), ["metadata", "room 2", "produced 2"]);
}

#[test]
fn control_requests_use_whatever_connection_there_is() {
    let mut world = World::new(config(&["10.0.0.1:9092"]), Kafka::of(3));
    world.cluster.control(world.now, ControlRequest::InitProducerId(InitProducerIdRequest::default()));
    world.run_ms(10);
    assert_eq!(world.take_events(), ["metadata", "producer id 7"]);
    assert_eq!(world.counts.dials.len(), 1);
}
