//! What a producer is answered, and when.

use std::time::Duration;

use milena_wire::{ApiVersion, ErrorCode, Offset, PartitionId, TopicId};

use super::kit::*;
use crate::core::{Answer, Keep, NodeState};
use crate::profile::Profile;

const LAG: Duration = Duration::from_millis(50);

fn lagging(nodes: usize) -> Kit {
    Kit::with(nodes, |config| config.replication_lag = LAG)
}

/// Sends with acks=all to node 1 of a cluster that lags.
fn waiting(kit: &mut Kit, values: &[&str]) -> crate::core::Ticket {
    let frame = kit.produce_of(Draft::of(values).bytes()).frame();
    kit.send(node(1), &frame).expect_err("it waits for the followers")
}

fn code(kit: &mut Kit, ticket: crate::core::Ticket) -> Option<ErrorCode> {
    match kit.answer(ticket)? {
        Answer::Send(frame) => Some(only(&frame, V13).error),
        other => panic!("{other:?}"),
    }
}

#[test]
fn acks_all_is_answered_when_the_followers_have_it_and_acks_one_at_once() {
    let mut kit = lagging(3);
    let ticket = waiting(&mut kit, &["a"]);
    let mut request = kit.produce_of(Draft::of(&["b"]).bytes());
    request.acks = 1;
    assert_eq!(kit.produce(&request).base_offset, Offset(1));
    kit.pass(LAG - Duration::from_millis(1));
    assert_eq!(code(&mut kit, ticket), None);
    kit.pass(Duration::from_millis(1));
    assert_eq!(code(&mut kit, ticket), Some(ErrorCode::NONE));
    assert_eq!(kit.core.next_timer(), None, "no timer is left behind but that of the second batch");
}

#[test]
fn a_duplicate_waits_for_the_followers_as_its_original_does() {
    let mut kit = lagging(3);
    let frame = kit.produce_of(Draft::of(&["a"]).stamped(1, 0, 0).bytes()).frame();
    let first = kit.send(node(1), &frame).unwrap_err();
    let second = kit.send(node(1), &frame).unwrap_err();
    kit.pass(LAG);
    assert_eq!(code(&mut kit, first), Some(ErrorCode::NONE));
    assert_eq!(code(&mut kit, second), Some(ErrorCode::NONE));
    assert_eq!(kit.values(), ["a"]);
}

#[test]
fn too_few_replicas_in_sync_refuse_before_the_append() {
    let mut kit = Kit::without_topic(3, |_| {});
    kit.create("t", 1, &[("min.insync.replicas", "2")]);
    for id in [2, 3] {
        let at = kit.at();
        kit.core.set_state(at, node(id), NodeState::Stopped);
    }
    assert_eq!(kit.code(Draft::of(&["a"]).bytes()), ErrorCode::NOT_ENOUGH_REPLICAS);
    assert!(kit.values().is_empty());
    let mut request = kit.produce_of(Draft::of(&["b"]).bytes());
    request.acks = 1;
    assert_eq!(kit.produce(&request).error, ErrorCode::NONE, "acks=1 does not ask");
}

#[test]
fn replicas_that_leave_after_the_append_leave_it_there() {
    let mut kit = Kit::without_topic(2, |config| config.replication_lag = LAG);
    kit.create("t", 1, &[("min.insync.replicas", "2")]);
    let ticket = waiting(&mut kit, &["a"]);
    let at = kit.at();
    kit.core.set_state(at, node(2), NodeState::Stopped);
    assert_eq!(code(&mut kit, ticket), Some(ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND));
    assert_eq!(kit.values(), ["a"]);
}

#[test]
fn a_wait_that_ends_is_answered_and_the_record_stays() {
    let mut kit = Kit::with(2, |config| config.replication_lag = Duration::from_secs(60));
    let mut request = kit.produce_of(Draft::of(&["a"]).bytes());
    request.timeout_ms = 100;
    let ticket = kit.send(node(1), &request.frame()).unwrap_err();
    kit.pass(Duration::from_millis(99));
    assert_eq!(code(&mut kit, ticket), None);
    kit.pass(Duration::from_millis(1));
    assert_eq!(code(&mut kit, ticket), Some(ErrorCode::REQUEST_TIMED_OUT));
    assert_eq!(kit.values(), ["a"]);
}

#[test]
fn a_leader_that_moves_while_followers_copy_answers_not_leader_after_the_append() {
    let mut kit = lagging(3);
    let kept = waiting(&mut kit, &["kept"]);
    kit.pass(LAG);
    assert_eq!(code(&mut kit, kept), Some(ErrorCode::NONE));
    let lost = waiting(&mut kit, &["lost"]);
    assert_eq!(kit.values(), ["kept", "lost"], "it is on the leader's log");
    let at = kit.at();
    kit.core.move_leader(at, &"t".into(), P0, Some(node(2))).unwrap();
    let Some(Answer::Send(frame)) = kit.answer(lost) else { panic!("the move ends the wait") };
    let answer = only(&frame, V13);
    assert_eq!(answer.error, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    assert_eq!(answer.current_leader.leader, node(2));
    assert_eq!(kit.values(), ["kept"], "what the new leader had not copied is gone");
}

#[test]
fn a_topic_deleted_while_followers_copy_answers_unknown_topic_after_the_append() {
    let mut kit = lagging(3);
    let ticket = waiting(&mut kit, &["a"]);
    kit.core.delete_topic(&"t".into()).unwrap();
    kit.pass(Duration::ZERO);
    let at = kit.at();
    kit.core.wake(at);
    assert_eq!(code(&mut kit, ticket), Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
}

#[test]
fn a_node_that_does_not_lead_names_the_one_that_does_from_version_ten() {
    let mut kit = Kit::with(3, |_| {});
    let mut request = kit.produce_of(Draft::of(&["a"]).bytes());
    let Ok(Answer::Send(frame)) = kit.send(node(3), &request.frame()) else { panic!() };
    let response = produce_response(&frame, V13);
    assert_eq!(response.topics[0].partitions[0].error, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    assert_eq!(response.topics[0].partitions[0].current_leader.leader, node(1));
    assert_eq!(response.topics[0].partitions[0].current_leader.epoch.0, 0);
    assert_eq!(response.node_endpoints.len(), 1);
    assert_eq!((response.node_endpoints[0].node, response.node_endpoints[0].port), (node(1), 9000));
    request.version = ApiVersion(9);
    let answer = kit.produce_to(node(3), &request);
    assert_eq!(answer.error, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    assert_eq!(answer.current_leader.leader, node(-1));
}

#[test]
fn unknown_topics_partitions_and_ids_have_their_codes() {
    let mut kit = Kit::new();
    let request = kit.produce_of(Draft::of(&["a"]).bytes());
    let mut other = request.clone();
    other.partition = PartitionId(1);
    assert_eq!(kit.produce(&other).error, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let mut other = request.clone();
    other.id = TopicId([9; 16]);
    assert_eq!(kit.produce(&other).error, ErrorCode::UNKNOWN_TOPIC_ID);
    let mut other = request;
    (other.version, other.topic) = (ApiVersion(12), "nobody".into());
    assert_eq!(kit.produce(&other).error, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}

#[test]
fn a_recreated_topic_has_a_new_id_and_nothing_of_the_old_one() {
    let mut kit = Kit::new();
    kit.code(Draft::of(&["a"]).stamped(1, 0, 0).bytes());
    let old = kit.produce_of(Draft::of(&["b"]).stamped(1, 0, 1).bytes());
    let at = kit.at();
    let id = kit.core.recreate_topic(at, &"t".into(), 2).unwrap();
    assert_ne!(id, old.id);
    assert_eq!(kit.produce(&old).error, ErrorCode::UNKNOWN_TOPIC_ID);
    assert!(kit.values().is_empty());
    assert_eq!(kit.code(Draft::of(&["b"]).stamped(1, 0, 1).bytes()), ErrorCode::NONE, "no producer state either");
}

#[test]
fn acks_zero_has_no_answer_and_ends_the_connection_when_refused() {
    let mut kit = Kit::new();
    let mut request = kit.produce_of(Draft::of(&["a"]).bytes());
    request.acks = 0;
    assert!(matches!(kit.send(node(1), &request.frame()), Ok(Answer::Nothing)));
    assert_eq!(kit.values(), ["a"]);
    request.partition = PartitionId(9);
    assert!(matches!(kit.send(node(1), &request.frame()), Ok(Answer::Close)));
}

#[test]
fn other_acks_do_not_exist() {
    let mut kit = Kit::new();
    let mut request = kit.produce_of(Draft::of(&["a"]).bytes());
    request.acks = 2;
    assert_eq!(kit.produce(&request).error, ErrorCode::INVALID_REQUIRED_ACKS);
}

#[test]
fn a_sink_counts_and_checks_and_keeps_nothing() {
    let mut kit = Kit::with(1, |config| config.keep = Keep::Nothing);
    assert_eq!(kit.code(Draft::of(&["a", "b"]).stamped(1, 0, 0).bytes()), ErrorCode::NONE);
    let next = kit.produce(&kit.produce_of(Draft::of(&["c"]).stamped(1, 0, 2).bytes()));
    assert_eq!(next.base_offset, Offset(2));
    let gap = Draft::of(&["d"]).stamped(1, 0, 4);
    assert_eq!(kit.code(gap.bytes()), ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    let mut corrupt = Draft::of(&["e"]).bytes();
    *corrupt.last_mut().unwrap() ^= 1;
    assert_eq!(kit.code(corrupt), ErrorCode::CORRUPT_MESSAGE);
    assert!(kit.values().is_empty());
}

#[test]
fn a_bounded_log_drops_its_oldest_batches_and_says_where_it_starts() {
    let size = Draft::of(&["0"]).bytes().len();
    let mut kit = Kit::with(1, |config| config.keep = Keep::Bytes(3 * size));
    for value in ["0", "1", "2", "3", "4"] {
        kit.code(Draft::of(&[value]).bytes());
    }
    assert_eq!(kit.values(), ["2", "3", "4"]);
    let answer = kit.produce(&kit.produce_of(Draft::of(&["5"]).bytes()));
    assert_eq!((answer.base_offset, answer.log_start_offset), (Offset(5), Offset(3)));
}

#[test]
fn brokers_of_2_1_forget_producers_whose_records_were_deleted() {
    for (profile, expected) in [(Profile::V2_1, ErrorCode::UNKNOWN_PRODUCER_ID), (Profile::V4_3, ErrorCode::NONE)] {
        let mut kit = Kit::with(1, |config| config.profile = profile);
        kit.code(Draft::of(&["a"]).stamped(1, 0, 0).bytes());
        kit.core.delete_records(&"t".into(), P0, Offset(1)).unwrap();
        assert_eq!(kit.code(Draft::of(&["b"]).stamped(1, 0, 1).bytes()), expected, "{profile:?}");
    }
}

#[test]
fn codes_that_are_younger_than_the_release_or_the_version_are_told_as_older_ones() {
    let mut old = Kit::with(1, |config| config.profile = Profile::V2_1);
    let control = Draft::of(&["a"]).edit(|h| h.attributes = h.attributes.control());
    assert_eq!(old.code(control.bytes()), ErrorCode::CORRUPT_MESSAGE);
    let mut kit = Kit::new();
    let mut request = kit.produce_of(Draft::of(&["a"]).bytes());
    for (version, told) in [(3, ErrorCode::NOT_LEADER_OR_FOLLOWER), (4, ErrorCode::KAFKA_STORAGE_ERROR)] {
        let failure = crate::script::Reaction::Error(ErrorCode::KAFKA_STORAGE_ERROR);
        kit.core.add_rule(crate::script::Rule::on(milena_wire::ApiKey::PRODUCE, failure));
        request.version = ApiVersion(version);
        assert_eq!(kit.produce(&request).error, told);
    }
}
