//! The script.

use std::time::Duration;

use milena_wire::message::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use milena_wire::{ApiKey, ApiVersion, ErrorCode, PartitionId, Reader, ResponseHeader};

use super::kit::*;
use crate::core::Answer;
use crate::script::{Reaction, Rule};

fn produce(reaction: Reaction) -> Rule {
    Rule::on(ApiKey::PRODUCE, reaction)
}

#[test]
fn an_error_is_answered_as_often_as_told_and_nothing_is_appended() {
    let mut kit = Kit::new();
    kit.core.add_rule(produce(Reaction::Error(ErrorCode::KAFKA_STORAGE_ERROR)).skip(1).times(2));
    let codes: Vec<_> = (0..4).map(|_| kit.code(Draft::of(&["a"]).bytes())).collect();
    let refused = ErrorCode::KAFKA_STORAGE_ERROR;
    assert_eq!(codes, [ErrorCode::NONE, refused, refused, ErrorCode::NONE]);
    assert_eq!(kit.values().len(), 2);
    assert_eq!(kit.core.script_pending(), 0);
}

#[test]
fn an_error_after_the_append_leaves_the_record() {
    let mut kit = Kit::new();
    kit.core.add_rule(produce(Reaction::ErrorAfterAppend(ErrorCode::NOT_LEADER_OR_FOLLOWER)));
    let answer = kit.produce(&kit.produce_of(Draft::of(&["a"]).bytes()));
    assert_eq!((answer.error, answer.base_offset.0), (ErrorCode::NOT_LEADER_OR_FOLLOWER, -1));
    assert_eq!(kit.values(), ["a"]);
}

#[test]
fn rules_strike_only_the_node_topic_and_partition_they_name() {
    let mut kit = Kit::new();
    let error = || Reaction::Error(ErrorCode::INVALID_RECORD);
    kit.core.add_rule(produce(error()).node(node(2)));
    kit.core.add_rule(produce(error()).topic("other"));
    kit.core.add_rule(produce(error()).partition(PartitionId(1)));
    kit.core.add_rule(Rule::on(ApiKey::FETCH, Reaction::CloseBefore));
    assert_eq!(kit.code(Draft::of(&["a"]).bytes()), ErrorCode::NONE);
    assert_eq!(kit.core.script_pending(), 4);
    kit.core.add_rule(produce(error()).topic("t").partition(P0).node(node(1)));
    assert_eq!(kit.code(Draft::of(&["a"]).bytes()), ErrorCode::INVALID_RECORD);
}

#[test]
fn a_delayed_request_runs_later_whoever_still_waits_for_it() {
    let mut kit = Kit::new();
    kit.core.add_rule(produce(Reaction::Delay(Duration::from_secs(1))));
    let zombie = kit.produce_of(Draft::of(&["zombie"]).stamped(1, 0, 0).bytes()).frame();
    let ticket = kit.send(node(1), &zombie).unwrap_err();
    assert!(kit.values().is_empty());
    // The same batch, sent again because the connection died.
    assert_eq!(kit.code(Draft::of(&["zombie"]).stamped(1, 0, 0).bytes()), ErrorCode::NONE);
    kit.pass(Duration::from_secs(1));
    assert!(kit.answer(ticket).is_some());
    assert_eq!(kit.values(), ["zombie"], "a duplicate when it came");
}

#[test]
fn a_delayed_answer_is_to_a_request_that_ran_at_once() {
    let mut kit = Kit::new();
    kit.core.add_rule(produce(Reaction::DelayAnswer(Duration::from_secs(1))));
    let frame = kit.produce_of(Draft::of(&["a"]).bytes()).frame();
    let ticket = kit.send(node(1), &frame).unwrap_err();
    assert_eq!(kit.values(), ["a"]);
    kit.pass(Duration::from_secs(1));
    assert!(matches!(kit.answer(ticket), Some(Answer::Send(_))));
}

#[test]
fn connections_close_before_or_after_the_append_or_in_the_middle_of_the_answer() {
    let mut kit = Kit::new();
    let frame = kit.produce_of(Draft::of(&["a"]).bytes()).frame();
    kit.core.add_rule(produce(Reaction::CloseBefore));
    assert!(matches!(kit.send(node(1), &frame), Ok(Answer::Close)));
    assert!(kit.values().is_empty());
    kit.core.add_rule(produce(Reaction::CloseAfter));
    assert!(matches!(kit.send(node(1), &frame), Ok(Answer::Close)));
    kit.core.add_rule(produce(Reaction::CutAnswer));
    assert!(matches!(kit.send(node(1), &frame), Ok(Answer::SendHalf(_))));
    kit.core.add_rule(produce(Reaction::Silence));
    assert!(matches!(kit.send(node(1), &frame), Ok(Answer::Silence)));
    assert_eq!(kit.values().len(), 3);
}

#[test]
fn answers_are_spoiled_as_told() {
    let mut kit = Kit::new();
    let request = kit.produce_of(Draft::of(&["a"]).bytes());
    let send = |kit: &mut Kit, reaction| {
        kit.core.add_rule(produce(reaction));
        match kit.send(node(1), &request.frame()) {
            Ok(Answer::Send(frame)) => frame,
            other => panic!("{other:?}"),
        }
    };
    let good = match kit.send(node(1), &request.frame()) {
        Ok(Answer::Send(frame)) => frame.to_vec(),
        other => panic!("{other:?}"),
    };
    let wrong = send(&mut kit, Reaction::WrongCorrelation).to_vec();
    assert_eq!(wrong[4..8], (CORRELATION.0 + 1).to_be_bytes());
    let garbage = send(&mut kit, Reaction::Garble).to_vec();
    assert_eq!((garbage.len(), &garbage[..8]), (good.len(), &good[..8]));
    let mut reader = Reader::new(&garbage[4..]);
    let undecodable = ResponseHeader::decode(ApiKey::PRODUCE, V13, &mut reader)
        .and_then(|_| milena_wire::message::produce::ProduceResponse::decode(V13, reader.rest()));
    assert!(undecodable.is_err());
    let throttled = send(&mut kit, Reaction::Throttle(Duration::from_millis(1_500)));
    assert_eq!(produce_response(&throttled, V13).throttle_ms, 1_500);
    let omitted = send(&mut kit, Reaction::Omit);
    assert!(produce_response(&omitted, V13).topics.is_empty());
    assert_eq!(kit.values().len(), 5, "all of them were appended");
}

#[test]
fn other_apis_fail_where_they_have_their_errors() {
    let mut kit = Kit::new();
    kit.core.add_rule(Rule::on(ApiKey::METADATA, Reaction::Error(ErrorCode::TOPIC_AUTHORIZATION_FAILED)).topic("t"));
    let topic = MetadataRequestTopic { name: Some("t".into()), ..Default::default() };
    let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
    let frame = unframed(&request.encode_frame(ApiVersion(12), CORRELATION, None));
    for expected in [ErrorCode::TOPIC_AUTHORIZATION_FAILED, ErrorCode::NONE] {
        let Ok(Answer::Send(answer)) = kit.send(node(1), &frame) else { panic!() };
        let bytes = unframed(&answer);
        let mut reader = Reader::new(&bytes);
        ResponseHeader::decode(ApiKey::METADATA, ApiVersion(12), &mut reader).unwrap();
        let response = MetadataResponse::decode(ApiVersion(12), reader.rest()).unwrap();
        assert_eq!(response.topics[0].error, expected);
        assert_eq!(response.topics[0].partitions.is_empty(), expected != ErrorCode::NONE);
    }
}

#[test]
fn an_error_for_one_topic_spares_the_others_of_the_request_and_creates_nothing() {
    let mut kit = Kit::new();
    kit.core.add_rule(Rule::on(ApiKey::METADATA, Reaction::Error(ErrorCode::LEADER_NOT_AVAILABLE)).topic("new"));
    let named = |name: &str| MetadataRequestTopic { name: Some(name.into()), ..Default::default() };
    let request = MetadataRequest { topics: Some(vec![named("t"), named("new")]), ..Default::default() };
    let frame = unframed(&request.encode_frame(ApiVersion(12), CORRELATION, None));
    let Ok(Answer::Send(answer)) = kit.send(node(1), &frame) else { panic!() };
    let bytes = unframed(&answer);
    let mut reader = Reader::new(&bytes);
    ResponseHeader::decode(ApiKey::METADATA, ApiVersion(12), &mut reader).unwrap();
    let response = MetadataResponse::decode(ApiVersion(12), reader.rest()).unwrap();
    let codes: Vec<_> = response.topics.iter().map(|topic| topic.error).collect();
    assert_eq!(codes, [ErrorCode::NONE, ErrorCode::LEADER_NOT_AVAILABLE]);
    assert_eq!(kit.core.partition_count(&"new".into()), None);
}

#[test]
fn metadata_may_leave_out_a_partition_or_all_of_them() {
    let mut kit = Kit::without_topic(1, |_| {});
    kit.create("t", 3, &[]);
    let named = MetadataRequestTopic { name: Some("t".into()), ..Default::default() };
    let request = MetadataRequest { topics: Some(vec![named]), ..Default::default() };
    let frame = unframed(&request.encode_frame(ApiVersion(12), CORRELATION, None));
    let omit = || Rule::on(ApiKey::METADATA, Reaction::Omit).topic("t");
    kit.core.add_rule(omit().partition(PartitionId(1)));
    kit.core.add_rule(omit());
    for expected in [vec![0, 2], vec![], vec![0, 1, 2]] {
        let Ok(Answer::Send(answer)) = kit.send(node(1), &frame) else { panic!() };
        let bytes = unframed(&answer);
        let mut reader = Reader::new(&bytes);
        ResponseHeader::decode(ApiKey::METADATA, ApiVersion(12), &mut reader).unwrap();
        let response = MetadataResponse::decode(ApiVersion(12), reader.rest()).unwrap();
        assert_eq!(response.topics[0].error, ErrorCode::NONE);
        let told: Vec<i32> = response.topics[0].partitions.iter().map(|p| p.index.0).collect();
        assert_eq!(told, expected);
    }
}
