//! Requests and responses against the ones that Kafka's generated classes write, in every version spoken here: both directions, byte for byte.
//!
//! The values are those of `golden/java/Golden.java`, line by line.

use bytes::Bytes;
use milena_wire::message::api_versions::{
    ApiRange, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeature, SupportedFeature,
};
use milena_wire::message::create_topics::{
    CreatableConfig, CreatableTopic, CreateTopicsRequest, CreateTopicsResponse, CreatedTopic,
};
use milena_wire::message::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use milena_wire::message::metadata::{
    MetadataBroker, MetadataPartition, MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataTopic,
};
use milena_wire::message::produce::{
    ProducePartition, ProducePartitionResponse, ProduceRequest, ProduceRequestIn, ProduceResponse, ProduceTopic,
    ProduceTopicResponse, RecordError,
};
use milena_wire::message::{CurrentLeader, NodeEndpoint};
use milena_wire::{
    ApiKey, ApiVersion, BATCH_HEADER_LEN, BatchHeader, BrokerId, Codec, CorrelationId, ErrorCode, Frame, LeaderEpoch,
    Offset, PartitionId, ProducerEpoch, ProducerId, Reader, RecordParts, RequestHeader, ResponseHeader, TopicId,
    TopicName, put_record, record_size,
};
use protocol_tests::golden::{self, GoldenMessage};

const T: i64 = 1_700_000_000_123;
const CORRELATION: CorrelationId = CorrelationId(0x0102_0304);

fn alpha_id() -> TopicId {
    TopicId([1, 2, 3, 4, 5, 6, 7, 8, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18])
}

fn beta_id() -> TopicId {
    TopicId([0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38])
}

/// The messages of one API, direction and set of cases, in versions that are spoken here.
fn vectors(api: &str, key: ApiKey, is_request: bool, cases: &[&str]) -> Vec<GoldenMessage> {
    let (oldest, newest) = milena_wire::client_range(key).expect("an API that is spoken here");
    let wanted = |message: &GoldenMessage| {
        let case = message.case.trim_end_matches("-no-client-id");
        message.api == api
            && message.is_request == is_request
            && cases.contains(&case)
            && (oldest..=newest).contains(&message.version)
    };
    let found: Vec<_> = golden::messages().into_iter().filter(wanted).collect();
    for version in oldest.0..=newest.0 {
        assert!(found.iter().any(|m| m.version == ApiVersion(version)), "no {api} {cases:?} in version {version}");
    }
    found
}

fn client_id(message: &GoldenMessage) -> Option<&'static str> {
    (!message.case.ends_with("-no-client-id")).then_some("milena")
}

/// `encode(version, correlation, client id)` writes what Java writes, and the header is read back.
fn check_request(
    message: &GoldenMessage,
    key: ApiKey,
    encode: impl Fn(ApiVersion, CorrelationId, Option<&str>) -> Frame,
) {
    let what = format!("{} {} {}", message.api, message.version, message.case);
    let frame = encode(message.version, CORRELATION, client_id(message));
    assert_eq!(frame.to_vec(), message.frame(), "{what}");
    assert_eq!(frame.len(), message.frame().len(), "{what}");
    let mut reader = Reader::new(&message.header);
    let header = RequestHeader::decode(&mut reader).expect("a header that can be read");
    reader.finish().expect("nothing is left of the header");
    let expected = RequestHeader {
        api_key: key,
        version: message.version,
        correlation: CORRELATION,
        client_id: client_id(message).map(str::to_owned),
    };
    assert_eq!(header, expected, "{what}");
}

fn check_response(message: &GoldenMessage, key: ApiKey, frame: &Frame) {
    let what = format!("{} {} {}", message.api, message.version, message.case);
    assert_eq!(frame.to_vec(), message.frame(), "{what}");
    let mut reader = Reader::new(&message.header);
    let header = ResponseHeader::decode(key, message.version, &mut reader).expect("a header that can be read");
    reader.finish().expect("nothing is left of the header");
    assert_eq!(header, ResponseHeader { correlation: CORRELATION }, "{what}");
}

/// Checks that a message's every prefix is refused rather than misread.
fn check_truncated<T>(message: &GoldenMessage, decode: impl Fn(&[u8]) -> Option<T>) {
    for len in 0..message.body.len() {
        assert!(decode(&message.body[..len]).is_none(), "{} {} cut at {len}", message.api, message.version);
    }
}

// ---- Produce --------------------------------------------------------------------------------------------------------

fn sample(index: i32, value: &str, producer_id: i64, epoch: i16, sequence: i32) -> ProducePartition {
    let mut payload = Vec::new();
    let records = [(Some(&b"k"[..]), value), (None, "second")];
    for (delta, (key, value)) in (0..).zip(records) {
        let parts = RecordParts { key, value: Some(value.as_bytes()), headers: &[] };
        put_record(&mut payload, record_size(delta, delta.into(), &parts), delta, delta.into(), &parts);
    }
    let header = BatchHeader {
        producer_id: ProducerId(producer_id),
        producer_epoch: ProducerEpoch(epoch),
        base_sequence: sequence,
        ..BatchHeader::of_records(Codec::None, 2, T, T + 1)
    };
    // In two pieces, as a batch is that spans chunks.
    let mut payload = Bytes::from(payload);
    let payload = vec![payload.split_to(5), payload];
    ProducePartition { index: PartitionId(index), header: header.encode(&payload), payload: payload.into() }
}

fn produce_request(case: &str) -> ProduceRequest {
    let alpha = vec![sample(0, "alpha-0", 4242, 7, 0), sample(300, "alpha-300", 4242, 7, 11)];
    let beta = vec![sample(1, "beta-1", -1, -1, -1)];
    let transactional = case == "transactional-acks-1";
    ProduceRequest {
        transactional_id: transactional.then(|| "tx".to_owned()),
        acks: if transactional { 1 } else { -1 },
        timeout_ms: 30_000,
        topics: vec![
            ProduceTopic { name: TopicName::new("alpha"), id: alpha_id(), partitions: alpha },
            ProduceTopic { name: TopicName::new("beta"), id: beta_id(), partitions: beta },
        ],
    }
}

#[test]
fn produce_requests_are_byte_for_byte_what_java_writes() {
    for message in vectors("produce", ApiKey::PRODUCE, true, &["main", "transactional-acks-1"]) {
        let request = produce_request(message.case);
        check_request(&message, ApiKey::PRODUCE, |v, correlation, client| request.encode_frame(v, correlation, client));
    }
}

#[test]
fn produce_requests_of_java_are_read_with_their_batches_whole() {
    for message in vectors("produce", ApiKey::PRODUCE, true, &["main", "transactional-acks-1"]) {
        let request = produce_request(message.case);
        let read = ProduceRequestIn::decode(message.version, &mut Reader::new(&message.body)).expect("a request");
        assert_eq!((read.acks, read.timeout_ms), (request.acks, request.timeout_ms));
        assert_eq!(read.transactional_id, request.transactional_id);
        assert_eq!(read.topics.len(), 2);
        for (topic, expected) in read.topics.iter().zip(&request.topics) {
            if message.version.0 >= 13 {
                assert_eq!(topic.id, expected.id);
            } else {
                assert_eq!(topic.name, expected.name);
            }
            assert_eq!(topic.partitions.len(), expected.partitions.len());
            for (partition, expected) in topic.partitions.iter().zip(&expected.partitions) {
                assert_eq!(partition.index, expected.index);
                let records = partition.records.as_ref().expect("records");
                assert_eq!(&records[..BATCH_HEADER_LEN], expected.header);
                assert_eq!(&records[BATCH_HEADER_LEN..], expected.payload.concat());
            }
        }
        check_truncated(&message, |body| ProduceRequestIn::decode(message.version, &mut Reader::new(body)).ok());
    }
}

fn produce_response(v: i16) -> ProduceResponse {
    let ok = ProducePartitionResponse {
        index: PartitionId(0),
        base_offset: Offset(1_000_000_000_001),
        log_start_offset: Offset(if v >= 5 { 12 } else { -1 }),
        ..ProducePartitionResponse::default()
    };
    let moved = ProducePartitionResponse {
        index: PartitionId(300),
        error: ErrorCode::NOT_LEADER_OR_FOLLOWER,
        base_offset: Offset(-1),
        log_append_time_ms: T,
        log_start_offset: Offset(-1),
        error_message: (v >= 8).then(|| "moved".to_owned()),
        current_leader: if v >= 10 {
            CurrentLeader { leader: BrokerId(3), epoch: LeaderEpoch(9) }
        } else {
            CurrentLeader::default()
        },
        ..ProducePartitionResponse::default()
    };
    let endpoint = NodeEndpoint {
        node: BrokerId(3),
        host: "broker-3.example".to_owned(),
        port: 9092,
        rack: Some("r1".to_owned()),
    };
    let errors =
        vec![RecordError { index: 1, message: Some("no key".to_owned()) }, RecordError { index: 2, message: None }];
    let bad = ProducePartitionResponse {
        index: PartitionId(1),
        error: ErrorCode::INVALID_RECORD,
        base_offset: Offset(-1),
        log_start_offset: Offset(-1),
        record_errors: if v >= 8 { errors } else { Vec::new() },
        ..ProducePartitionResponse::default()
    };
    let topic = |name, id, partitions| ProduceTopicResponse {
        name: if v >= 13 { TopicName::new("") } else { TopicName::new(name) },
        id: if v >= 13 { id } else { TopicId::ZERO },
        partitions,
    };
    ProduceResponse {
        topics: vec![topic("alpha", alpha_id(), vec![ok, moved]), topic("beta", beta_id(), vec![bad])],
        throttle_ms: 17,
        node_endpoints: if v >= 10 { vec![endpoint] } else { Vec::new() },
    }
}

#[test]
fn produce_responses_of_java_are_read_and_written_whole() {
    for message in vectors("produce", ApiKey::PRODUCE, false, &["main", "empty"]) {
        let empty = message.case == "empty";
        let expected = if empty { ProduceResponse::default() } else { produce_response(message.version.0) };
        let read = ProduceResponse::decode(message.version, &message.body).expect("a response");
        assert_eq!(read, expected, "{}", message.version);
        check_response(&message, ApiKey::PRODUCE, &expected.encode_frame(message.version, CORRELATION));
        check_truncated(&message, |body| ProduceResponse::decode(message.version, body).ok());
    }
}

// ---- Metadata -------------------------------------------------------------------------------------------------------

fn metadata_request(case: &str, v: i16) -> MetadataRequest {
    let named = |name| MetadataRequestTopic { name: Some(TopicName::new(name)), ..MetadataRequestTopic::default() };
    let case = case.trim_end_matches("-no-client-id");
    MetadataRequest {
        topics: match case {
            "all" => None,
            "no-topics" => Some(Vec::new()),
            "by-id" => Some(vec![MetadataRequestTopic { id: alpha_id(), name: None }]),
            _ => Some(vec![named("alpha"), named("beta")]),
        },
        allow_auto_topic_creation: v < 4 || case == "auto-create",
        ..MetadataRequest::default()
    }
}

#[test]
fn metadata_requests_are_byte_for_byte_what_java_writes() {
    for message in vectors("metadata", ApiKey::METADATA, true, &["main", "auto-create", "all", "no-topics", "by-id"]) {
        let request = metadata_request(message.case, message.version.0);
        check_request(&message, ApiKey::METADATA, |v, correlation, client| {
            request.encode_frame(v, correlation, client)
        });
        let read = MetadataRequest::decode(message.version, &mut Reader::new(&message.body)).expect("a request");
        assert_eq!(read, request, "{} {}", message.version, message.case);
        check_truncated(&message, |body| MetadataRequest::decode(message.version, &mut Reader::new(body)).ok());
    }
}

fn metadata_response(v: i16) -> MetadataResponse {
    let ids = |ids: &[i32]| ids.iter().copied().map(BrokerId).collect::<Vec<_>>();
    let broker = |node, host: &str, port, rack: Option<&str>| MetadataBroker {
        node: BrokerId(node),
        host: host.to_owned(),
        port,
        rack: rack.map(str::to_owned),
    };
    let led = MetadataPartition {
        index: PartitionId(0),
        leader: BrokerId(1),
        leader_epoch: LeaderEpoch(if v >= 7 { 12 } else { -1 }),
        replicas: ids(&[1, 7]),
        isr: ids(&[1]),
        offline: if v >= 5 { ids(&[7]) } else { Vec::new() },
        ..MetadataPartition::default()
    };
    let leaderless = MetadataPartition {
        error: ErrorCode::LEADER_NOT_AVAILABLE,
        index: PartitionId(1),
        leader: BrokerId(-1),
        leader_epoch: LeaderEpoch(if v >= 7 { 13 } else { -1 }),
        replicas: ids(&[7]),
        ..MetadataPartition::default()
    };
    let mut alpha = MetadataTopic {
        name: Some(TopicName::new("alpha")),
        is_internal: v >= 1,
        partitions: vec![led, leaderless],
        ..MetadataTopic::default()
    };
    if v >= 8 {
        alpha.authorized_operations = 0x0df8;
    }
    if v >= 10 {
        alpha.id = alpha_id();
    }
    let missing = MetadataTopic {
        error: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        name: Some(TopicName::new("missing")),
        ..MetadataTopic::default()
    };
    let mut response = MetadataResponse {
        throttle_ms: if v >= 3 { 23 } else { 0 },
        brokers: vec![broker(1, "broker-1.example", 9092, None), broker(7, "::1", 65535, Some("rack-a"))],
        cluster_id: (v >= 2).then(|| "cluster-x".to_owned()),
        controller: BrokerId(7),
        topics: vec![alpha, missing],
        ..MetadataResponse::default()
    };
    if (8..=10).contains(&v) {
        response.cluster_authorized_operations = 0x0af8;
    }
    response
}

#[test]
fn metadata_responses_of_java_are_read_and_written_whole() {
    for message in vectors("metadata", ApiKey::METADATA, false, &["main", "unknown-id", "rebootstrap"]) {
        let none = MetadataResponse { controller: BrokerId(-1), ..MetadataResponse::default() };
        let expected = match message.case {
            "unknown-id" => {
                let topic =
                    MetadataTopic { error: ErrorCode::UNKNOWN_TOPIC_ID, id: beta_id(), ..MetadataTopic::default() };
                MetadataResponse { topics: vec![topic], ..none }
            }
            "rebootstrap" => MetadataResponse { error: ErrorCode(129), ..none },
            _ => metadata_response(message.version.0),
        };
        let read = MetadataResponse::decode(message.version, &message.body).expect("a response");
        assert_eq!(read, expected, "{} {}", message.version, message.case);
        check_response(&message, ApiKey::METADATA, &expected.encode_frame(message.version, CORRELATION));
        check_truncated(&message, |body| MetadataResponse::decode(message.version, body).ok());
    }
}

// ---- ApiVersions ----------------------------------------------------------------------------------------------------

#[test]
fn api_versions_requests_are_byte_for_byte_what_java_writes() {
    for message in vectors("apiversions", ApiKey::API_VERSIONS, true, &["main"]) {
        let named = message.version.0 >= 3;
        let request = ApiVersionsRequest {
            client_software_name: if named { "milena".to_owned() } else { String::new() },
            client_software_version: if named { "0.1.0".to_owned() } else { String::new() },
        };
        let key = ApiKey::API_VERSIONS;
        check_request(&message, key, |v, correlation, client| request.encode_frame(v, correlation, client));
        let read = ApiVersionsRequest::decode(message.version, &mut Reader::new(&message.body)).expect("a request");
        assert_eq!(read, request);
    }
}

fn api_versions_response(v: i16) -> ApiVersionsResponse {
    let range = |key, min, max| ApiRange { key: ApiKey(key), min: ApiVersion(min), max: ApiVersion(max) };
    let mut response = ApiVersionsResponse {
        apis: vec![range(0, 3, 13), range(3, 0, 13), range(9999, 1, 2)],
        throttle_ms: if v >= 1 { 5 } else { 0 },
        ..ApiVersionsResponse::default()
    };
    if v >= 3 {
        let name = || "metadata.version".to_owned();
        response.supported_features = vec![SupportedFeature { name: name(), min: 1, max: 25 }];
        response.finalized_features_epoch = 88;
        response.finalized_features = vec![FinalizedFeature { name: name(), max_level: 20, min_level: 20 }];
        response.zk_migration_ready = true;
    }
    response
}

#[test]
fn api_versions_responses_of_java_are_read_and_written_whole() {
    for message in vectors("apiversions", ApiKey::API_VERSIONS, false, &["main"]) {
        let expected = api_versions_response(message.version.0);
        let read = ApiVersionsResponse::decode(message.version, &message.body).expect("a response");
        assert_eq!(read, expected, "{}", message.version);
        check_response(&message, ApiKey::API_VERSIONS, &expected.encode_frame(message.version, CORRELATION));
        check_truncated(&message, |body| ApiVersionsResponse::decode(message.version, body).ok());
    }
}

#[test]
fn an_api_versions_refusal_is_understood_in_whatever_version_it_comes() {
    for message in vectors("apiversions", ApiKey::API_VERSIONS, false, &["unsupported"]) {
        let read = ApiVersionsResponse::decode(message.version, &message.body).expect("a response");
        assert_eq!(read.error, ErrorCode::UNSUPPORTED_VERSION, "{}", message.version);
        assert!(read.apis.is_empty());
    }
}

// ---- InitProducerId -------------------------------------------------------------------------------------------------

#[test]
fn init_producer_id_requests_are_byte_for_byte_what_java_writes() {
    for message in vectors("initproducerid", ApiKey::INIT_PRODUCER_ID, true, &["main", "transactional"]) {
        let request = if message.case == "transactional" {
            let known = message.version.0 >= 3;
            InitProducerIdRequest {
                transactional_id: Some("tx".to_owned()),
                transaction_timeout_ms: 1,
                producer_id: ProducerId(if known { 4242 } else { -1 }),
                producer_epoch: ProducerEpoch(if known { 7 } else { -1 }),
            }
        } else {
            InitProducerIdRequest { transaction_timeout_ms: 60_000, ..InitProducerIdRequest::default() }
        };
        let key = ApiKey::INIT_PRODUCER_ID;
        check_request(&message, key, |v, correlation, client| request.encode_frame(v, correlation, client));
        let read = InitProducerIdRequest::decode(message.version, &mut Reader::new(&message.body)).expect("a request");
        assert_eq!(read, request, "{}", message.version);
        check_truncated(&message, |body| InitProducerIdRequest::decode(message.version, &mut Reader::new(body)).ok());
    }
}

#[test]
fn init_producer_id_responses_of_java_are_read_and_written_whole() {
    for message in vectors("initproducerid", ApiKey::INIT_PRODUCER_ID, false, &["main", "refused"]) {
        let expected = if message.case == "main" {
            InitProducerIdResponse {
                throttle_ms: 3,
                error: ErrorCode::NONE,
                producer_id: ProducerId(4242),
                producer_epoch: ProducerEpoch(7),
            }
        } else {
            InitProducerIdResponse {
                throttle_ms: 0,
                error: ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
                producer_id: ProducerId(-1),
                producer_epoch: ProducerEpoch(-1),
            }
        };
        let read = InitProducerIdResponse::decode(message.version, &message.body).expect("a response");
        assert_eq!(read, expected, "{}", message.version);
        check_response(&message, ApiKey::INIT_PRODUCER_ID, &expected.encode_frame(message.version, CORRELATION));
        check_truncated(&message, |body| InitProducerIdResponse::decode(message.version, body).ok());
    }
}

// ---- CreateTopics ---------------------------------------------------------------------------------------------------

#[test]
fn create_topics_requests_are_byte_for_byte_what_java_writes() {
    let config = CreatableConfig { name: "max.message.bytes".to_owned(), value: Some("1000".to_owned()) };
    let topic = CreatableTopic {
        name: TopicName::new("alpha"),
        partitions: 6,
        replication_factor: 3,
        configs: vec![config],
        ..CreatableTopic::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 5000, validate_only: false };
    for message in vectors("createtopics", ApiKey::CREATE_TOPICS, true, &["main"]) {
        let key = ApiKey::CREATE_TOPICS;
        check_request(&message, key, |v, correlation, client| request.encode_frame(v, correlation, client));
        let read = CreateTopicsRequest::decode(message.version, &mut Reader::new(&message.body)).expect("a request");
        assert_eq!(read, request, "{}", message.version);
    }
}

#[test]
fn create_topics_responses_of_java_are_read_and_written_whole() {
    for message in vectors("createtopics", ApiKey::CREATE_TOPICS, false, &["main"]) {
        let v = message.version.0;
        let mut made = CreatedTopic {
            name: TopicName::new("alpha"),
            error_message: Some(String::new()), // Java's default, where ours is null
            ..CreatedTopic::default()
        };
        let mut refused = CreatedTopic {
            name: TopicName::new("beta"),
            error: ErrorCode::TOPIC_ALREADY_EXISTS,
            error_message: Some("there already".to_owned()),
            ..CreatedTopic::default()
        };
        if v >= 5 {
            made.partitions = 6;
            made.replication_factor = 3;
            made.configs = Some(Vec::new());
            refused.configs = Some(Vec::new());
        }
        if v >= 7 {
            made.id = alpha_id();
        }
        let expected = CreateTopicsResponse { throttle_ms: 2, topics: vec![made, refused] };
        let read = CreateTopicsResponse::decode(message.version, &message.body).expect("a response");
        assert_eq!(read, expected, "{v}");
        check_response(&message, ApiKey::CREATE_TOPICS, &expected.encode_frame(message.version, CORRELATION));
        check_truncated(&message, |body| CreateTopicsResponse::decode(message.version, body).ok());
    }
}
