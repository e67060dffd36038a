//! What decoding costs in memory when the bytes lie about their lengths: little, whatever they claim.
//!
//! One test, so that nothing else allocates while it counts.

use std::alloc::System;

use bytes::Bytes;
use milena_wire::message::{
    api_versions, create_partitions, create_topics, delete_topics, describe_cluster, describe_configs, fetch,
    find_coordinator, init_producer_id, list_offsets, metadata, offset_for_leader_epoch, produce,
};
use milena_wire::{ApiKey, ApiVersion, Reader, client_range};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The most that a byte of any message below costs.
const LARGER: usize = 20;

type Decode = fn(ApiVersion, &Bytes) -> bool;

const REQUESTS: [(ApiKey, Decode); 13] = [
    (ApiKey::PRODUCE, |v, b| produce::ProduceRequestIn::decode(v, &mut Reader::shared(b)).is_ok()),
    (ApiKey::FETCH, |v, b| fetch::FetchRequest::decode(v, &mut Reader::new(b)).is_ok()),
    (ApiKey::LIST_OFFSETS, |v, b| list_offsets::ListOffsetsRequest::decode(v, &mut Reader::new(b)).is_ok()),
    (ApiKey::METADATA, |v, b| metadata::MetadataRequest::decode(v, &mut Reader::new(b)).is_ok()),
    (ApiKey::FIND_COORDINATOR, |v, b| find_coordinator::FindCoordinatorRequest::decode(v, &mut Reader::new(b)).is_ok()),
    (ApiKey::API_VERSIONS, |v, b| api_versions::ApiVersionsRequest::decode(v, &mut Reader::new(b)).is_ok()),
    (ApiKey::CREATE_TOPICS, |v, b| create_topics::CreateTopicsRequest::decode(v, &mut Reader::new(b)).is_ok()),
    (ApiKey::DELETE_TOPICS, |v, b| delete_topics::DeleteTopicsRequest::decode(v, &mut Reader::new(b)).is_ok()),
    (ApiKey::INIT_PRODUCER_ID, |v, b| init_producer_id::InitProducerIdRequest::decode(v, &mut Reader::new(b)).is_ok()),
    (ApiKey::OFFSET_FOR_LEADER_EPOCH, |v, b| {
        offset_for_leader_epoch::OffsetForLeaderEpochRequest::decode(v, &mut Reader::new(b)).is_ok()
    }),
    (ApiKey::DESCRIBE_CONFIGS, |v, b| describe_configs::DescribeConfigsRequest::decode(v, &mut Reader::new(b)).is_ok()),
    (ApiKey::CREATE_PARTITIONS, |v, b| {
        create_partitions::CreatePartitionsRequest::decode(v, &mut Reader::new(b)).is_ok()
    }),
    (ApiKey::DESCRIBE_CLUSTER, |v, b| describe_cluster::DescribeClusterRequest::decode(v, &mut Reader::new(b)).is_ok()),
];

const RESPONSES: [(ApiKey, Decode); 13] = [
    (ApiKey::PRODUCE, |v, b| produce::ProduceResponse::decode(v, b).is_ok()),
    (ApiKey::FETCH, |v, b| fetch::FetchResponse::decode(v, b).is_ok()),
    (ApiKey::LIST_OFFSETS, |v, b| list_offsets::ListOffsetsResponse::decode(v, b).is_ok()),
    (ApiKey::METADATA, |v, b| metadata::MetadataResponse::decode(v, b).is_ok()),
    (ApiKey::FIND_COORDINATOR, |v, b| find_coordinator::FindCoordinatorResponse::decode(v, b).is_ok()),
    (ApiKey::API_VERSIONS, |v, b| api_versions::ApiVersionsResponse::decode(v, b).is_ok()),
    (ApiKey::CREATE_TOPICS, |v, b| create_topics::CreateTopicsResponse::decode(v, b).is_ok()),
    (ApiKey::DELETE_TOPICS, |v, b| delete_topics::DeleteTopicsResponse::decode(v, b).is_ok()),
    (ApiKey::INIT_PRODUCER_ID, |v, b| init_producer_id::InitProducerIdResponse::decode(v, b).is_ok()),
    (ApiKey::OFFSET_FOR_LEADER_EPOCH, |v, b| {
        offset_for_leader_epoch::OffsetForLeaderEpochResponse::decode(v, b).is_ok()
    }),
    (ApiKey::DESCRIBE_CONFIGS, |v, b| describe_configs::DescribeConfigsResponse::decode(v, b).is_ok()),
    (ApiKey::CREATE_PARTITIONS, |v, b| create_partitions::CreatePartitionsResponse::decode(v, b).is_ok()),
    (ApiKey::DESCRIBE_CLUSTER, |v, b| describe_cluster::DescribeClusterResponse::decode(v, b).is_ok()),
];

/// Bytes allocated while decoding, those freed again included.
fn cost(decode: Decode, version: ApiVersion, bytes: &Bytes) -> (bool, usize) {
    let region = Region::new(ALLOCATOR);
    let read = decode(version, bytes);
    (read, region.change().bytes_allocated)
}

/// `prefix`, then a count, then as many elements of `element` as fit in `total` bytes, then `suffix`.
fn dense(prefix: &[u8], count: impl Fn(usize) -> Vec<u8>, element: &[u8], suffix: &[u8], total: usize) -> Bytes {
    let elements = total / element.len();
    [prefix, &count(elements), &element.repeat(elements), suffix].concat().into()
}

fn compact(count: usize) -> Vec<u8> {
    let mut value = u32::try_from(count + 1).expect("a test's array is small");
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
    bytes
}

#[test]
fn decoding_costs_memory_in_proportion_to_the_bytes_that_came() {
    const SIZE: usize = 1 << 16;
    // Lengths of 2^31 - 1 and 2^32 - 2 wherever a length can be, and bytes that are plausible lengths everywhere.
    let lies = [
        Bytes::from(vec![0x7f; SIZE]),
        Bytes::from(vec![0xff; SIZE]),
        Bytes::from([0xff, 0xff, 0xff, 0xff, 0x0f].repeat(SIZE / 5)),
        Bytes::from([0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff].repeat(SIZE / 8)),
        Bytes::from([0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0x0f].repeat(SIZE / 9)),
        Bytes::from(vec![0; SIZE]),
        Bytes::from(vec![1; SIZE]),
        Bytes::from(vec![2; SIZE]),
        // 16383 elements of one byte or more.
        Bytes::from([&[0; 4][..], &[0x80, 0x80, 0x01], &[1; SIZE]].concat()),
        Bytes::from([&[0x80, 0x80, 0x01][..], &[1; SIZE]].concat()),
    ];
    for (key, decode) in REQUESTS.into_iter().chain(RESPONSES) {
        let (oldest, newest) = client_range(key).unwrap();
        for version in (oldest.0..=newest.0).map(ApiVersion) {
            for lie in &lies {
                let (_, bytes) = cost(decode, version, lie);
                assert!(bytes <= lie.len() * LARGER, "{key} v{version}: {bytes} bytes for {}", lie.len());
            }
        }
    }

    // The densest messages there are: they are true, and the most that so many bytes can cost.
    let (_, produce) = RESPONSES[0];
    let topics = dense(&[], compact, &[1, 1, 0], &[0, 0, 0, 0, 0], SIZE);
    let (read, bytes) = cost(produce, ApiVersion(9), &topics);
    assert!(read, "the message is a true one");
    assert!(bytes <= topics.len() * LARGER, "{bytes} bytes for {}", topics.len());
    assert!(bytes > topics.len() * 4, "the cost is measured: {bytes}");

    // Whoever knows how many topics there can be pays for no more.
    let limited: Decode = |v, b| produce::ProduceResponse::decode_up_to(v, b, 100).is_ok();
    assert_eq!(cost(limited, ApiVersion(9), &topics), (false, 0));
    let few = dense(&[], compact, &[1, 1, 0], &[0, 0, 0, 0, 0], 300);
    assert!(cost(limited, ApiVersion(9), &few).0, "a hundred topics");

    let (_, delete_topics) = REQUESTS[7];
    let names = dense(&[], compact, &[1], &[0, 0, 0, 0, 0], SIZE);
    let (read, bytes) = cost(delete_topics, ApiVersion(5), &names);
    assert!(read, "the message is a true one");
    assert!(bytes <= names.len() * LARGER, "{bytes} bytes for {}", names.len());
}
