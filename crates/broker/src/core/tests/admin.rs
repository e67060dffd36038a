//! What is asked besides Produce.

use std::time::Duration;

use milena_wire::message::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use milena_wire::message::create_topics::{CreatableTopic, CreateTopicsRequest, CreateTopicsResponse};
use milena_wire::message::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic, FetchedPartition};
use milena_wire::message::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use milena_wire::message::list_offsets::{
    EARLIEST, LATEST, ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic, MAX_TIMESTAMP,
};
use milena_wire::message::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use milena_wire::{
    ApiKey, ApiVersion, BatchView, BrokerId, ErrorCode, Frame, LeaderEpoch, Offset, ProducerEpoch, Reader,
    ResponseHeader, TopicId, TopicName,
};

use super::kit::*;
use crate::core::{Answer, NodeState};
use crate::profile::Profile;

/// The body of a response, as `bytes::Bytes`.
fn body(frame: &Frame, api: ApiKey, version: ApiVersion) -> bytes::Bytes {
    let bytes = unframed(frame);
    let mut reader = Reader::new(&bytes);
    ResponseHeader::decode(api, version, &mut reader).unwrap();
    let at = reader.position();
    bytes.slice(at..)
}

fn ask(kit: &mut Kit, request: &Frame, api: ApiKey, version: ApiVersion) -> bytes::Bytes {
    match kit.send(node(1), &unframed(request)) {
        Ok(Answer::Send(frame)) => body(&frame, api, version),
        other => panic!("{other:?}"),
    }
}

fn metadata(kit: &mut Kit, name: &str, version: ApiVersion) -> MetadataResponse {
    let topic = MetadataRequestTopic { name: Some(name.into()), ..Default::default() };
    let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
    let frame = request.encode_frame(version, CORRELATION, None);
    MetadataResponse::decode(version, &ask(kit, &frame, ApiKey::METADATA, version)).unwrap()
}

#[test]
fn a_version_that_is_not_known_is_answered_in_version_zero() {
    let request = ApiVersionsRequest { client_software_name: "milena".into(), client_software_version: "0.1".into() };
    for (profile, told) in [(Profile::V2_1, 0), (Profile::V4_3, 1)] {
        let mut kit = Kit::with(1, |config| config.profile = profile);
        let mut frame = request.encode_frame(ApiVersion(4), CORRELATION, None).to_vec();
        frame[6..8].copy_from_slice(&99_i16.to_be_bytes());
        let Ok(Answer::Send(answer)) = kit.send(node(1), &frame.split_off(4).into()) else { panic!() };
        let response = ApiVersionsResponse::decode(ApiVersion(4), &unframed(&answer)[4..]).unwrap();
        assert_eq!((response.error, response.apis.len()), (ErrorCode::UNSUPPORTED_VERSION, told), "{profile:?}");
    }
}

#[test]
fn api_versions_tells_what_the_profile_has_and_refuses_odd_names() {
    let mut kit = Kit::new();
    let mut request =
        ApiVersionsRequest { client_software_name: "milena".into(), client_software_version: "0.1".into() };
    let v4 = ApiVersion(4);
    let frame = request.encode_frame(v4, CORRELATION, None);
    let response = ApiVersionsResponse::decode(v4, &ask(&mut kit, &frame, ApiKey::API_VERSIONS, v4)).unwrap();
    assert_eq!(response.range(ApiKey::PRODUCE), Some((ApiVersion(0), ApiVersion(13))));
    request.client_software_name = "no spaces".into();
    let frame = request.encode_frame(v4, CORRELATION, None);
    let response = ApiVersionsResponse::decode(v4, &ask(&mut kit, &frame, ApiKey::API_VERSIONS, v4)).unwrap();
    assert_eq!(response.error, ErrorCode::INVALID_REQUEST);
}

#[test]
fn a_topic_asked_about_is_created_and_there_the_second_time() {
    for (profile, meanwhile) in
        [(Profile::V2_8, ErrorCode::LEADER_NOT_AVAILABLE), (Profile::V4_3, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)]
    {
        let mut kit = Kit::without_topic(3, |config| {
            config.default_partitions = 2;
            config.profile = profile;
        });
        let version = ApiVersion(11);
        assert_eq!(metadata(&mut kit, "new", version).topics[0].error, meanwhile);
        let response = metadata(&mut kit, "new", version);
        assert_eq!(response.topics[0].error, ErrorCode::NONE);
        assert_eq!(response.topics[0].partitions.len(), 2);
        assert_eq!(response.topics[0].partitions[1].leader, node(2));
        assert_eq!(response.brokers.len(), 3);
        assert_eq!(metadata(&mut kit, "no/slash", version).topics[0].error, ErrorCode::INVALID_TOPIC_EXCEPTION);
    }
    let mut kit = Kit::without_topic(1, |config| config.auto_create_topics = false);
    for _ in 0..2 {
        let error = metadata(&mut kit, "new", ApiVersion(12)).topics[0].error;
        assert_eq!(error, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    }
}

#[test]
fn metadata_shows_stopped_nodes_as_gone_and_partitions_without_leader() {
    let mut kit = Kit::with(2, |_| {});
    let at = kit.at();
    kit.core.set_state(at, node(2), NodeState::Stopped);
    let response = metadata(&mut kit, "t", V13);
    assert_eq!(response.brokers.iter().map(|b| b.node).collect::<Vec<_>>(), [node(1)]);
    assert_eq!(response.topics[0].partitions[0].offline, [node(2)]);
    assert_eq!(response.topics[0].partitions[0].isr, [node(1)]);
    kit.core.set_state(at, node(1), NodeState::Stopped);
    kit.core.set_state(at, node(2), NodeState::Running);
    let partition = metadata(&mut kit, "t", V13).topics.remove(0).partitions.remove(0);
    assert_eq!((partition.error, partition.leader), (ErrorCode::LEADER_NOT_AVAILABLE, BrokerId(-1)));
}

#[test]
fn topics_are_found_by_id_and_unknown_ids_have_their_code() {
    let mut kit = Kit::new();
    for (id, error) in [(kit.id("t"), ErrorCode::NONE), (TopicId([1; 16]), ErrorCode::UNKNOWN_TOPIC_ID)] {
        let request =
            MetadataRequest { topics: Some(vec![MetadataRequestTopic { id, name: None }]), ..Default::default() };
        let frame = request.encode_frame(V13, CORRELATION, None);
        let response = MetadataResponse::decode(V13, &ask(&mut kit, &frame, ApiKey::METADATA, V13)).unwrap();
        assert_eq!(response.topics[0].error, error);
    }
}

#[test]
fn every_producer_gets_an_id_of_its_own_and_transactions_are_refused() {
    let mut kit = Kit::new();
    let v5 = ApiVersion(5);
    let mut init = |transactional_id: Option<&str>| {
        let request =
            InitProducerIdRequest { transactional_id: transactional_id.map(str::to_owned), ..Default::default() };
        let frame = request.encode_frame(v5, CORRELATION, None);
        InitProducerIdResponse::decode(v5, &ask(&mut kit, &frame, ApiKey::INIT_PRODUCER_ID, v5)).unwrap()
    };
    let (first, second) = (init(None), init(None));
    assert_ne!(first.producer_id, second.producer_id);
    assert_eq!((first.error, first.producer_epoch.0), (ErrorCode::NONE, 0));
    assert_eq!(init(Some("tx")).error, ErrorCode::COORDINATOR_NOT_AVAILABLE);
    assert_eq!(init(Some("")).error, ErrorCode::INVALID_REQUEST);
}

#[test]
fn producer_ids_come_with_the_epoch_that_was_asked_for() {
    let mut kit = Kit::with(1, |config| config.first_epoch = ProducerEpoch(32_766));
    let v5 = ApiVersion(5);
    let frame = InitProducerIdRequest::default().encode_frame(v5, CORRELATION, None);
    let answer = InitProducerIdResponse::decode(v5, &ask(&mut kit, &frame, ApiKey::INIT_PRODUCER_ID, v5)).unwrap();
    assert_eq!(answer.producer_epoch, ProducerEpoch(32_766));
}

#[test]
fn topics_that_cannot_be_are_not_created() {
    let mut kit = Kit::new();
    let v7 = ApiVersion(7);
    let topic = |name: &str, partitions, replication_factor| CreatableTopic {
        name: name.into(),
        partitions,
        replication_factor,
        ..Default::default()
    };
    let request = CreateTopicsRequest {
        topics: vec![topic("new", 3, 1), topic("t", 1, 1), topic("..", 1, 1), topic("a", 0, 1), topic("b", 1, 2)],
        ..Default::default()
    };
    let frame = request.encode_frame(v7, CORRELATION, None);
    let response = CreateTopicsResponse::decode(v7, &ask(&mut kit, &frame, ApiKey::CREATE_TOPICS, v7)).unwrap();
    let codes: Vec<_> = response.topics.iter().map(|topic| topic.error).collect();
    assert_eq!(
        codes,
        [
            ErrorCode::NONE,
            ErrorCode::TOPIC_ALREADY_EXISTS,
            ErrorCode::INVALID_TOPIC_EXCEPTION,
            ErrorCode::INVALID_PARTITIONS,
            ErrorCode::INVALID_REPLICATION_FACTOR
        ]
    );
    assert_eq!(kit.core.partition_count(&"new".into()), Some(3));
    assert!(kit.core.create_partitions(&"new".into(), 3, false).is_err());
    kit.core.create_partitions(&"new".into(), 5, false).unwrap();
    assert_eq!(kit.core.partition_count(&"new".into()), Some(5));
}

#[test]
fn a_cluster_has_room_for_so_many_partitions_whoever_asks() {
    let mut kit = Kit::with(1, |config| config.partitions_max = 10);
    let have = kit.core.partition_count(&"t".into()).unwrap();
    let room = i32::try_from(10 - have).unwrap();
    let v7 = ApiVersion(7);
    let mut create = |name: &str, partitions| {
        let topic = CreatableTopic { name: name.into(), partitions, replication_factor: 1, ..Default::default() };
        let frame =
            CreateTopicsRequest { topics: vec![topic], ..Default::default() }.encode_frame(v7, CORRELATION, None);
        let body = ask(&mut kit, &frame, ApiKey::CREATE_TOPICS, v7);
        CreateTopicsResponse::decode(v7, &body).unwrap().topics[0].error
    };
    assert_eq!(create("huge", i32::MAX), ErrorCode::INVALID_PARTITIONS);
    assert_eq!(create("large", room + 1), ErrorCode::INVALID_PARTITIONS);
    assert_eq!(create("a", room - 1), ErrorCode::NONE);
    assert_eq!(create("b", 2), ErrorCode::INVALID_PARTITIONS, "all topics count together");
    assert_eq!(create("b", 1), ErrorCode::NONE);
    assert_eq!(kit.core.create_partitions(&"b".into(), 2, false).unwrap_err().code, ErrorCode::INVALID_PARTITIONS);
    kit.core.delete_topic(&"a".into()).unwrap();
    kit.core.create_partitions(&"b".into(), room, false).unwrap();
    assert!(kit.core.create_partitions(&"b".into(), room + 1, false).is_err(), "what was deleted and made is counted");
}

fn fetch_request(kit: &Kit, offset: i64, min_bytes: i32) -> FetchRequest {
    let partition = FetchPartition { index: P0, offset: Offset(offset), max_bytes: 1 << 20, ..Default::default() };
    let topic = FetchTopic { name: TopicName::new(""), id: kit.id("t"), partitions: vec![partition] };
    FetchRequest { max_wait_ms: 500, min_bytes, topics: vec![topic], ..Default::default() }
}

fn fetched(frame: &Frame) -> FetchedPartition {
    let v = ApiVersion(17);
    let mut response = FetchResponse::decode(v, &body(frame, ApiKey::FETCH, v)).unwrap();
    assert_eq!((response.error, response.session_id), (ErrorCode::NONE, 0));
    response.topics.remove(0).partitions.remove(0)
}

fn fetch(kit: &mut Kit, request: &FetchRequest) -> Result<FetchedPartition, crate::core::Ticket> {
    let frame = unframed(&request.encode_frame(ApiVersion(17), CORRELATION, None));
    kit.send(node(1), &frame).map(|answer| match answer {
        Answer::Send(frame) => fetched(&frame),
        other => panic!("{other:?}"),
    })
}

#[test]
fn fetch_gives_whole_batches_with_offsets_from_the_one_that_holds_the_offset() {
    let mut kit = Kit::new();
    for values in [["a", "b"], ["c", "d"], ["e", "f"]] {
        kit.code(Draft::of(&values).bytes());
    }
    let request = fetch_request(&kit, 3, 1);
    let answer = fetch(&mut kit, &request).unwrap();
    assert_eq!((answer.high_watermark, answer.log_start_offset), (Offset(6), Offset(0)));
    let records = answer.records.unwrap().joined();
    let (first, rest) = BatchView::parse(&records).unwrap();
    first.verify_crc().unwrap();
    assert_eq!((first.header().base_offset, first.header().leader_epoch), (Offset(2), LeaderEpoch(0)));
    let (second, rest) = BatchView::parse(rest).unwrap();
    assert_eq!(second.header().base_offset, Offset(4));
    assert!(rest.is_empty());
}

#[test]
fn fetch_gives_one_batch_at_least_and_no_more_than_fits() {
    let mut kit = Kit::new();
    let size = i32::try_from(Draft::of(&["a"]).bytes().len()).unwrap();
    for _ in 0..5 {
        kit.code(Draft::of(&["a"]).bytes());
    }
    for (max, batches) in [(1, 1), (size, 1), (2 * size, 2), (3 * size - 1, 2)] {
        let mut request = fetch_request(&kit, 0, 1);
        request.max_bytes = max;
        let bytes = fetch(&mut kit, &request).unwrap().records.unwrap().len();
        assert_eq!(bytes, usize::try_from(size * batches).unwrap(), "at most {max}");
    }
}

#[test]
fn fetch_waits_for_records_and_gives_up_in_time() {
    let mut kit = Kit::new();
    let request = fetch_request(&kit, 0, 1);
    let ticket = fetch(&mut kit, &request).unwrap_err();
    kit.code(Draft::of(&["a"]).bytes());
    let Some(Answer::Send(frame)) = kit.answer(ticket) else { panic!("the record ends the wait") };
    assert!(!fetched(&frame).records.unwrap().is_empty());
    assert_eq!(kit.core.next_timer(), None, "the wait's timer is gone");

    let request = fetch_request(&kit, 1, 1);
    let ticket = fetch(&mut kit, &request).unwrap_err();
    kit.pass(Duration::from_millis(499));
    assert!(kit.answer(ticket).is_none());
    kit.pass(Duration::from_millis(1));
    let Some(Answer::Send(frame)) = kit.answer(ticket) else { panic!("time is up") };
    assert!(fetched(&frame).records.unwrap().is_empty());
}

#[test]
fn readers_see_only_what_all_replicas_in_sync_have() {
    let mut kit = Kit::with(2, |config| config.replication_lag = Duration::from_millis(50));
    let mut request = kit.produce_of(Draft::of(&["a"]).bytes());
    request.acks = 1;
    kit.produce(&request);
    let request = fetch_request(&kit, 0, 0);
    let answer = fetch(&mut kit, &request).unwrap();
    assert_eq!((answer.high_watermark, answer.records.unwrap().len()), (Offset(0), 0));
    kit.pass(Duration::from_millis(50));
    assert_eq!(fetch(&mut kit, &request).unwrap().high_watermark, Offset(1));
}

#[test]
fn fetch_refuses_offsets_and_epochs_that_are_not_there() {
    let mut kit = Kit::new();
    kit.code(Draft::of(&["a"]).bytes());
    let request = fetch_request(&kit, 2, 1);
    assert_eq!(fetch(&mut kit, &request).unwrap().error, ErrorCode::OFFSET_OUT_OF_RANGE);
    let mut request = fetch_request(&kit, 0, 1);
    request.topics[0].partitions[0].current_leader_epoch = LeaderEpoch(4);
    assert_eq!(fetch(&mut kit, &request).unwrap().error, ErrorCode::UNKNOWN_LEADER_EPOCH);
    let mut request = fetch_request(&kit, 0, 1);
    request.topics[0].id = TopicId([3; 16]);
    let refused = fetch(&mut kit, &request).unwrap();
    assert_eq!(refused.error, ErrorCode::UNKNOWN_TOPIC_ID);
    assert!(refused.records.is_some(), "librdkafka reads no null records");
}

#[test]
fn the_latest_record_is_found_though_there_is_no_later_time() {
    let mut kit = Kit::with(1, |config| config.profile = Profile::V3_9);
    for (value, timestamp) in [("a", 10), ("b", i64::MAX), ("c", i64::MAX)] {
        let draft = Draft::of(&[value]).edit(|h| (h.base_timestamp, h.max_timestamp) = (timestamp, timestamp));
        kit.code(draft.bytes());
    }
    let partition = ListOffsetsPartition { index: P0, timestamp_ms: MAX_TIMESTAMP, ..Default::default() };
    let topic = ListOffsetsTopic { name: "t".into(), partitions: vec![partition] };
    let request = ListOffsetsRequest { topics: vec![topic], ..Default::default() };
    let v9 = ApiVersion(9);
    let frame = request.encode_frame(v9, CORRELATION, None);
    let response = ListOffsetsResponse::decode(v9, &ask(&mut kit, &frame, ApiKey::LIST_OFFSETS, v9)).unwrap();
    let answer = &response.topics[0].partitions[0];
    assert_eq!((answer.offset.0, answer.timestamp_ms), (1, i64::MAX));
}

#[test]
fn offsets_are_found_at_the_ends_and_by_time() {
    let mut kit = Kit::new();
    for (value, timestamp) in [("a", 10), ("b", 30), ("c", 20)] {
        let draft = Draft::of(&[value]).edit(|h| (h.base_timestamp, h.max_timestamp) = (timestamp, timestamp));
        kit.code(draft.bytes());
    }
    let v9 = ApiVersion(9);
    for (timestamp_ms, offset, found) in
        [(EARLIEST, 0, -1), (LATEST, 3, -1), (MAX_TIMESTAMP, 1, 30), (0, 0, 10), (11, 1, 30), (30, 1, 30), (31, -1, -1)]
    {
        let partition = ListOffsetsPartition { index: P0, timestamp_ms, ..Default::default() };
        let topic = ListOffsetsTopic { name: "t".into(), partitions: vec![partition] };
        let request = ListOffsetsRequest { topics: vec![topic], ..Default::default() };
        let frame = request.encode_frame(v9, CORRELATION, None);
        let response = ListOffsetsResponse::decode(v9, &ask(&mut kit, &frame, ApiKey::LIST_OFFSETS, v9)).unwrap();
        let answer = &response.topics[0].partitions[0];
        assert_eq!((answer.offset.0, answer.timestamp_ms), (offset, found), "asked for {timestamp_ms}");
    }
}

#[test]
fn waits_that_end_or_are_given_up_leave_nothing_behind() {
    let mut kit = Kit::with(2, |config| config.replication_lag = Duration::from_millis(50));
    let idle = |kit: &Kit| kit.core.topics["t"].partitions[0].waiting.is_empty() && kit.core.waiting.is_empty();
    let request = fetch_request(&kit, 0, 1);
    for _ in 0..3 {
        let ticket = fetch(&mut kit, &request).unwrap_err();
        kit.pass(Duration::from_millis(500));
        assert!(kit.answer(ticket).is_some());
        assert!(idle(&kit), "the wait timed out");
    }
    let ticket = fetch(&mut kit, &request).unwrap_err();
    kit.core.abandon(ticket);
    assert!(idle(&kit) && kit.core.next_timer().is_none(), "nobody wants to read any more");
    let frame = kit.produce_of(Draft::of(&["a"]).bytes()).frame();
    let ticket = kit.send(node(1), &frame).unwrap_err();
    kit.core.abandon(ticket);
    kit.pass(Duration::from_millis(50));
    assert!(kit.answer(ticket).is_some(), "a request that writes runs to its end");
    assert!(idle(&kit) && kit.core.next_timer().is_none());
}
