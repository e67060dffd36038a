//! Whole frames: size, header, body.

use kafka_protocol::protocol::StrBytes;

use super::produce::{ProducePartition, ProduceRequest, ProduceRequestIn, ProduceTopic};
use super::*;
use crate::ids::{CorrelationId, PartitionId, TopicId, TopicName};
use crate::{ApiKey, ErrorCode, Frame, RequestHeader, ResponseHeader};

fn request(topics: usize, partitions: i32) -> ProduceRequest {
    let partition = |index: i32| ProducePartition {
        index: PartitionId(index),
        header: [u8::try_from(index % 251).unwrap(); 61],
        payload: (0..index % 4).map(|part| Bytes::from(vec![7; 100 * usize::try_from(part + 1).unwrap()])).collect(),
    };
    let topic = |n: usize| ProduceTopic {
        name: format!("topic-{n}").as_str().into(),
        id: TopicId([u8::try_from(n).unwrap(); 16]),
        partitions: (0..partitions).map(partition).collect(),
    };
    ProduceRequest { transactional_id: None, acks: -1, timeout_ms: 30_000, topics: (0..topics).map(topic).collect() }
}

/// The frame as the other implementation would make it, payloads joined.
fn reference(request: &ProduceRequest, version: i16, correlation: i32, client_id: Option<&str>) -> Vec<u8> {
    use theirs::produce_request::{PartitionProduceData, TopicProduceData};
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let records = [&partition.header[..], &partition.payload.concat()].concat();
            PartitionProduceData::default().with_index(partition.index.0).with_records(Some(records.into()))
        });
        TopicProduceData::default()
            .with_name(StrBytes::from_string(topic.name.to_string()).into())
            .with_topic_id(topic.id.0.to_vec().try_into().unwrap())
            .with_partition_data(partitions.collect())
    });
    let theirs = theirs::ProduceRequest::default()
        .with_transactional_id(request.transactional_id.clone().map(|id| StrBytes::from_string(id).into()))
        .with_acks(request.acks)
        .with_timeout_ms(request.timeout_ms)
        .with_topic_data(topics.collect());
    let mut message = BytesMut::new();
    theirs::RequestHeader::default()
        .with_request_api_key(0)
        .with_request_api_version(version)
        .with_correlation_id(correlation)
        .with_client_id(client_id.map(|id| StrBytes::from_string(id.to_owned())))
        .encode(&mut message, theirs::ApiKey::Produce.request_header_version(version))
        .unwrap();
    theirs.encode(&mut message, version).unwrap();
    [&u32::try_from(message.len()).unwrap().to_be_bytes(), &message[..]].concat()
}

#[test]
fn batches_are_grouped_by_topic_in_the_order_they_come() {
    let batch = |topic: &str, id: u8, index: i32| {
        let partition = ProducePartition { index: PartitionId(index), header: [0; 61], payload: crate::Payload::new() };
        (TopicName::new(topic), TopicId([id; 16]), partition)
    };
    let mut request = ProduceRequest::default();
    request.extend([batch("b", 1, 3), batch("a", 2, 0), batch("b", 1, 1)]);
    // A topic that was deleted and created again is another one.
    request.extend([batch("a", 9, 0), batch("b", 1, 2)]);
    let grouped: Vec<(&str, u8, Vec<i32>)> = request
        .topics
        .iter()
        .map(|topic| (topic.name.as_str(), topic.id.0[0], topic.partitions.iter().map(|p| p.index.0).collect()))
        .collect();
    assert_eq!(grouped, [("b", 1, vec![3, 1, 2]), ("a", 2, vec![0]), ("a", 9, vec![0])]);
}

/// In version 13 the name is not sent, before it the id is not.
fn as_received(mut request: ProduceRequestIn, sent: &ProduceRequest) -> ProduceRequestIn {
    for (topic, sent) in request.topics.iter_mut().zip(&sent.topics) {
        topic.name = sent.name.clone();
        topic.id = sent.id;
    }
    request
}

#[test]
fn a_produce_frame_is_what_the_oracle_writes_and_a_broker_reads() {
    for version in versions(&super::super::versions::PRODUCE) {
        for (topics, partitions, client_id) in [(0, 0, None), (1, 1, Some("me")), (3, 7, Some(""))] {
            let mut sent = request(topics, partitions);
            sent.transactional_id = client_id.map(|_| "transaction".to_owned());
            let frame = sent.encode_frame(ApiVersion(version.number), CorrelationId(77), client_id);
            let bytes = frame.to_vec();
            assert_eq!(frame.len(), bytes.len());
            assert_eq!(bytes, reference(&sent, version.number, 77, client_id), "v{}", version.number);

            let message = Bytes::from(bytes).slice(4..);
            let mut reader = Reader::shared(&message);
            let header = RequestHeader::decode(&mut reader).unwrap();
            assert_eq!(header.api_key, ApiKey::PRODUCE);
            assert_eq!(header.version.0, version.number);
            assert_eq!(header.correlation, CorrelationId(77));
            assert_eq!(header.client_id.as_deref(), client_id);
            let received = ProduceRequestIn::decode(header.version, &mut reader).unwrap();
            assert_eq!(received.acks, -1);
            assert_eq!(received.topics.len(), topics);
            for topic in &received.topics {
                assert!(topic.id.is_zero() || version.number >= 13);
                assert_eq!(topic.name.as_str().is_empty(), version.number >= 13);
            }
            for (topic, sent) in as_received(received, &sent).topics.iter().zip(&sent.topics) {
                assert_eq!((&topic.name, topic.id), (&sent.name, sent.id));
                for (partition, sent) in topic.partitions.iter().zip(&sent.partitions) {
                    let records = partition.records.clone().unwrap();
                    assert_eq!(partition.index, sent.index);
                    assert_eq!(records, [&sent.header[..], &sent.payload.concat()].concat());
                    assert!(message.as_ptr_range().contains(&records.as_ptr()), "records are a slice of the request");
                }
            }
        }
    }
}

#[test]
fn a_produce_frame_shares_its_payload_and_carves_the_rest_from_one_allocation() {
    for version in versions(&super::super::versions::PRODUCE) {
        let sent = request(5, 40);
        let frame = sent.encode_frame(ApiVersion(version.number), CorrelationId(1), Some("client"));
        let payload: Vec<&Bytes> =
            sent.topics.iter().flat_map(|topic| &topic.partitions).flat_map(|partition| &partition.payload).collect();
        let (shared, own): (Vec<&Bytes>, Vec<&Bytes>) =
            frame.parts().iter().partition(|part| payload.iter().any(|payload| payload.as_ptr() == part.as_ptr()));
        assert_eq!(shared, payload);
        for (one, next) in own.iter().zip(&own[1..]) {
            assert_eq!(one.as_ptr_range().end, next.as_ptr(), "v{}: the protocol slices adjoin", version.number);
        }
        // One in front of each payload, and what ends the last structs, if anything does.
        assert!(own.len() <= 5 * 40 + 1);
    }
}

/// Reads the header of a request frame and leaves the body.
fn open_request(frame: &Frame) -> (RequestHeader, Bytes) {
    let bytes = Bytes::from(frame.to_vec());
    let size = i32::from_be_bytes(*bytes.first_chunk().unwrap());
    assert_eq!(usize::try_from(size).unwrap(), bytes.len() - 4);
    let mut reader = Reader::new(&bytes[4..]);
    let header = RequestHeader::decode(&mut reader).unwrap();
    (header, Bytes::copy_from_slice(reader.rest()))
}

#[test]
fn headers_are_what_the_oracle_says_they_are() {
    fn check<T>(number: i16, ours: fn(ApiVersion) -> Frame, answer: fn(ApiVersion) -> Frame)
    where
        T: kafka_protocol::protocol::Request,
    {
        let key = theirs::ApiKey::try_from(number).unwrap();
        let (oldest, newest) = crate::client_range(ApiKey(number)).unwrap();
        for version in (oldest.0..=newest.0).map(ApiVersion) {
            let frame = ours(version).to_vec();
            let mut bytes = Bytes::from(frame.clone()).slice(4..);
            let header = theirs::RequestHeader::decode(&mut bytes, key.request_header_version(version.0)).unwrap();
            assert_eq!((header.request_api_key, header.request_api_version), (number, version.0));
            assert_eq!(header.correlation_id, 5);
            assert_eq!(header.client_id.as_deref(), Some("client"));
            T::decode(&mut bytes, version.0).unwrap();
            assert!(bytes.is_empty());

            let frame = answer(version).to_vec();
            let mut bytes = Bytes::from(frame.clone()).slice(4..);
            let header = theirs::ResponseHeader::decode(&mut bytes, key.response_header_version(version.0)).unwrap();
            assert_eq!(header.correlation_id, 5);
            T::Response::decode(&mut bytes, version.0).unwrap();
            assert!(bytes.is_empty());

            let mut reader = Reader::new(&frame[4..]);
            let header = ResponseHeader::decode(ApiKey(number), version, &mut reader).unwrap();
            assert_eq!(header.correlation, CorrelationId(5));
        }
    }
    macro_rules! check {
        ($($module:ident, $number:literal, $request:ident, $response:ident;)*) => {$(
            check::<theirs::$request>(
                $number,
                |version| $module::$request::default().encode_frame(version, CorrelationId(5), Some("client")),
                |version| $module::$response::default().encode_frame(version, CorrelationId(5)),
            );
        )*};
    }
    check! {
        produce, 0, ProduceRequest, ProduceResponse;
        fetch, 1, FetchRequest, FetchResponse;
        list_offsets, 2, ListOffsetsRequest, ListOffsetsResponse;
        metadata, 3, MetadataRequest, MetadataResponse;
        find_coordinator, 10, FindCoordinatorRequest, FindCoordinatorResponse;
        api_versions, 18, ApiVersionsRequest, ApiVersionsResponse;
        create_topics, 19, CreateTopicsRequest, CreateTopicsResponse;
        delete_topics, 20, DeleteTopicsRequest, DeleteTopicsResponse;
        init_producer_id, 22, InitProducerIdRequest, InitProducerIdResponse;
        offset_for_leader_epoch, 23, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse;
        describe_configs, 32, DescribeConfigsRequest, DescribeConfigsResponse;
        create_partitions, 37, CreatePartitionsRequest, CreatePartitionsResponse;
        describe_cluster, 60, DescribeClusterRequest, DescribeClusterResponse;
    }
}

#[test]
fn a_request_header_is_read_even_if_its_version_is_not_spoken() {
    let frame = api_versions::ApiVersionsRequest::default().encode_frame(ApiVersion(99), CorrelationId(3), None);
    let (header, body) = open_request(&frame);
    assert_eq!((header.version, header.client_id), (ApiVersion(99), None));
    let refused = api_versions::ApiVersionsRequest::decode(header.version, &mut Reader::new(&body));
    assert!(refused.is_err());
}

#[test]
fn a_broker_that_does_not_know_the_version_of_api_versions_is_understood() {
    let answer = api_versions::ApiVersionsResponse {
        error: ErrorCode::UNSUPPORTED_VERSION,
        apis: vec![api_versions::ApiRange { key: ApiKey::API_VERSIONS, min: ApiVersion(0), max: ApiVersion(2) }],
        ..Default::default()
    };
    let frame = answer.encode_frame(ApiVersion(4), CorrelationId(9)).to_vec();
    // Size, correlation id, error, one API: nothing that version 0 does not have.
    assert_eq!(frame.len(), 4 + 4 + 2 + 4 + 6);
    let read = api_versions::ApiVersionsResponse::decode(ApiVersion(4), &frame[8..]).unwrap();
    assert_eq!(read, answer);
    assert_eq!(read.range(ApiKey::API_VERSIONS), Some((ApiVersion(0), ApiVersion(2))));
    assert_eq!(read.range(ApiKey::PRODUCE), None);

    // A broker that refuses in the version that was asked for (not Kafka) is understood as well.
    let version = super::super::versions::API_VERSIONS.version(ApiVersion(3));
    assert_eq!(api_versions::ApiVersionsResponse::decode(ApiVersion(3), &body(&answer, version)).unwrap(), answer);
}

#[test]
fn fetched_records_are_shared_in_both_directions() {
    let records = Slices(vec![Bytes::from_static(b"one batch"), Bytes::from_static(b"another")]);
    let partition = fetch::FetchedPartition { records: Some(records.clone()), ..Default::default() };
    let topic = fetch::FetchedTopic { name: "t".into(), partitions: vec![partition], ..Default::default() };
    let answer = fetch::FetchResponse { topics: vec![topic], ..Default::default() };
    let frame = answer.encode_frame(ApiVersion(12), CorrelationId(1));
    for slice in &records.0 {
        assert!(frame.parts().iter().any(|part| part.as_ptr() == slice.as_ptr()), "not copied");
    }
    let message = Bytes::from(frame.to_vec()).slice(4 + 4 + 1..);
    let read = fetch::FetchResponse::decode(ApiVersion(12), &message).unwrap();
    assert_eq!(read, answer);
    let read = read.topics[0].partitions[0].records.clone().unwrap().joined();
    assert!(message.as_ptr_range().contains(&read.as_ptr()), "not copied");
}
