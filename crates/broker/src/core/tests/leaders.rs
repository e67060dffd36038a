//! Nodes stop, pause and come back; leaders move; logs are cut.

use std::time::Duration;

use milena_wire::{BrokerId, ErrorCode, LeaderEpoch};

use super::kit::*;
use crate::core::{Answer, NodeState};

fn set(kit: &mut Kit, id: i32, state: NodeState) {
    let at = kit.at();
    kit.core.set_state(at, node(id), state);
}

fn leader(kit: &Kit) -> (Option<BrokerId>, i32) {
    let (leader, LeaderEpoch(epoch)) = kit.core.leader(&"t".into(), P0).unwrap();
    (leader, epoch)
}

#[test]
fn a_stopped_leader_hands_over_and_the_epoch_rises() {
    let mut kit = Kit::with(3, |_| {});
    kit.code(Draft::of(&["a"]).stamped(1, 0, 0).bytes());
    set(&mut kit, 1, NodeState::Stopped);
    assert_eq!(leader(&kit), (Some(node(2)), 1));
    let request = kit.produce_of(Draft::of(&["a"]).stamped(1, 0, 0).bytes());
    let answer = kit.produce_to(node(2), &request);
    assert_eq!((answer.error, answer.base_offset.0), (ErrorCode::NONE, 0), "the new leader knows the producer");
    assert_eq!(kit.values(), ["a"]);
}

#[test]
fn the_last_replica_in_sync_takes_its_partition_down_with_it_and_brings_it_back() {
    let mut kit = Kit::with(2, |_| {});
    set(&mut kit, 2, NodeState::Stopped);
    kit.code(Draft::of(&["a"]).bytes());
    set(&mut kit, 1, NodeState::Stopped);
    set(&mut kit, 2, NodeState::Running);
    assert_eq!(leader(&kit), (None, 1), "node 2 does not have everything");
    set(&mut kit, 1, NodeState::Running);
    assert_eq!(leader(&kit), (Some(node(1)), 2));
    assert_eq!(kit.values(), ["a"]);
}

#[test]
fn an_unclean_election_loses_what_the_new_leader_never_had() {
    let mut kit = Kit::with(2, |_| {});
    kit.code(Draft::of(&["both"]).stamped(1, 0, 0).bytes());
    set(&mut kit, 2, NodeState::Stopped);
    kit.code(Draft::of(&["one"]).stamped(1, 0, 1).bytes());
    set(&mut kit, 1, NodeState::Stopped);
    set(&mut kit, 2, NodeState::Running);
    let at = kit.at();
    kit.core.elect_unclean(at, &"t".into(), P0, node(2)).unwrap();
    assert_eq!(kit.values(), ["both"]);
    let request = kit.produce_of(Draft::of(&["three"]).stamped(1, 0, 2).bytes());
    assert_eq!(kit.produce_to(node(2), &request).error, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    let request = kit.produce_of(Draft::of(&["one again"]).stamped(1, 0, 1).bytes());
    assert_eq!(kit.produce_to(node(2), &request).error, ErrorCode::NONE);
}

#[test]
fn leaders_move_only_to_replicas_in_sync_that_run_or_by_reassignment() {
    let mut kit = Kit::with(3, |_| {});
    let at = kit.at();
    assert_eq!(kit.core.move_leader(at, &"t".into(), P0, None).unwrap(), node(2));
    assert_eq!(leader(&kit), (Some(node(2)), 1));
    set(&mut kit, 3, NodeState::Stopped);
    let refused = kit.core.move_leader(at, &"t".into(), P0, Some(node(3))).unwrap_err();
    assert_eq!(refused.code, ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE);
    assert_eq!(kit.core.move_leader(at, &"t".into(), P0, None).unwrap(), node(1));

    let mut kit = Kit::without_topic(2, |_| {});
    let at = kit.at();
    kit.core.create_topic(at, &"t".into(), 1, 1, std::collections::BTreeMap::new()).unwrap();
    kit.code(Draft::of(&["a"]).bytes());
    assert_eq!(kit.core.move_leader(at, &"t".into(), P0, None).unwrap_err().code, ErrorCode::ELECTION_NOT_NEEDED);
    assert_eq!(kit.core.move_leader(at, &"t".into(), P0, Some(node(2))).unwrap(), node(2));
    assert_eq!(kit.values(), ["a"], "a reassigned partition keeps its log");
}

#[test]
fn a_paused_follower_holds_acks_all_up_until_it_is_out_of_sync() {
    let mut kit = Kit::with(2, |config| config.replica_lag_max = Duration::from_secs(10));
    set(&mut kit, 2, NodeState::Paused);
    let frame = kit.produce_of(Draft::of(&["a"]).bytes()).frame();
    let ticket = kit.send(node(1), &frame).unwrap_err();
    kit.pass(Duration::from_secs(9));
    assert!(kit.answer(ticket).is_none());
    kit.pass(Duration::from_secs(1));
    let Some(Answer::Send(frame)) = kit.answer(ticket) else { panic!("out of sync by now") };
    assert_eq!(only(&frame, V13).error, ErrorCode::NONE);
}

#[test]
fn a_follower_that_is_resumed_catches_up() {
    let mut kit = Kit::with(2, |_| {});
    set(&mut kit, 2, NodeState::Paused);
    let frame = kit.produce_of(Draft::of(&["a"]).bytes()).frame();
    let ticket = kit.send(node(1), &frame).unwrap_err();
    set(&mut kit, 2, NodeState::Running);
    assert!(kit.answer(ticket).is_some());
    kit.pass(Duration::from_secs(60));
    assert_eq!(kit.code(Draft::of(&["b"]).bytes()), ErrorCode::NONE, "and stays in sync");
}

#[test]
fn a_frozen_node_tells_old_leaders_and_others_the_new_one() {
    use milena_wire::message::metadata::{MetadataRequest, MetadataResponse};
    use milena_wire::{ApiKey, Reader, ResponseHeader};

    let mut kit = Kit::with(2, |_| {});
    kit.core.freeze_metadata(node(2), true);
    let at = kit.at();
    kit.core.move_leader(at, &"t".into(), P0, Some(node(2))).unwrap();
    let frame = unframed(&MetadataRequest { topics: None, ..Default::default() }.encode_frame(V13, CORRELATION, None));
    let told = |kit: &mut Kit, by: i32| {
        let Ok(Answer::Send(answer)) = kit.send(node(by), &frame) else { panic!() };
        let bytes = unframed(&answer);
        let mut reader = Reader::new(&bytes);
        ResponseHeader::decode(ApiKey::METADATA, V13, &mut reader).unwrap();
        let mut response = MetadataResponse::decode(V13, reader.rest()).unwrap();
        let partition = response.topics.remove(0).partitions.remove(0);
        (partition.leader, partition.leader_epoch.0)
    };
    assert_eq!(told(&mut kit, 1), (node(2), 1));
    assert_eq!(told(&mut kit, 2), (node(1), 0));
    kit.core.freeze_metadata(node(2), false);
    assert_eq!(told(&mut kit, 2), (node(2), 1));
}
