//! Every message in every version, against another implementation and against bytes that are no message.

mod fields;
mod frames;
mod hostile;
mod oracle;

use std::fmt::Debug;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::{Decodable, Encodable};

use super::schema::sample::Dice;
use super::schema::{Field, Version, Writer};
use super::versions::Api;
use super::*;
use crate::ids::ApiVersion;
use crate::primitive::Reader;

/// The body of a message as we write it.
fn body<T: Field>(value: &T, version: Version) -> Bytes {
    let mut out = Writer::new(0, 0);
    value.write(&mut out, version);
    Bytes::from(out.finish().to_vec()).slice(4..)
}

/// A body, read to its end.
fn parse<T: Field>(bytes: &[u8], version: Version) -> Result<T, crate::DecodeError> {
    let mut reader = Reader::new(bytes);
    let value = T::read(&mut reader, version)?;
    reader.finish()?;
    Ok(value)
}

fn versions(api: &Api) -> impl Iterator<Item = Version> {
    (api.oldest..=api.newest).map(|number| api.version(ApiVersion(number)))
}

/// Calls `$check::<Ours, Theirs>(name, api, fix)` for each message; `fix` undoes what a version cannot carry.
macro_rules! for_each_message {
    ($check:ident) => {{
        use crate::message::versions as v;
        $check::<produce::ProduceRequestIn, theirs::ProduceRequest>("ProduceRequest", &v::PRODUCE, |_, _| ());
        $check::<produce::ProduceResponse, theirs::ProduceResponse>("ProduceResponse", &v::PRODUCE, |_, _| ());
        $check::<fetch::FetchRequest, theirs::FetchRequest>("FetchRequest", &v::FETCH, |_, _| ());
        $check::<fetch::FetchResponse, theirs::FetchResponse>("FetchResponse", &v::FETCH, |_, _| ());
        $check::<list_offsets::ListOffsetsRequest, theirs::ListOffsetsRequest>(
            "ListOffsetsRequest",
            &v::LIST_OFFSETS,
            |_, _| (),
        );
        $check::<list_offsets::ListOffsetsResponse, theirs::ListOffsetsResponse>(
            "ListOffsetsResponse",
            &v::LIST_OFFSETS,
            |_, _| (),
        );
        $check::<metadata::MetadataRequest, theirs::MetadataRequest>(
            "MetadataRequest",
            &v::METADATA,
            |message, version| {
                for topic in message.topics.iter_mut().flatten().filter(|_| version < 10) {
                    topic.name.get_or_insert_with(|| "topic".into());
                }
            },
        );
        $check::<metadata::MetadataResponse, theirs::MetadataResponse>(
            "MetadataResponse",
            &v::METADATA,
            |message, version| {
                for topic in message.topics.iter_mut().filter(|_| version < 12) {
                    topic.name.get_or_insert_with(|| "topic".into());
                }
            },
        );
        $check::<find_coordinator::FindCoordinatorRequest, theirs::FindCoordinatorRequest>(
            "FindCoordinatorRequest",
            &v::FIND_COORDINATOR,
            |_, _| (),
        );
        $check::<find_coordinator::FindCoordinatorResponse, theirs::FindCoordinatorResponse>(
            "FindCoordinatorResponse",
            &v::FIND_COORDINATOR,
            |_, _| (),
        );
        $check::<api_versions::ApiVersionsRequest, theirs::ApiVersionsRequest>(
            "ApiVersionsRequest",
            &v::API_VERSIONS,
            |_, _| (),
        );
        $check::<api_versions::ApiVersionsResponse, theirs::ApiVersionsResponse>(
            "ApiVersionsResponse",
            &v::API_VERSIONS,
            |_, _| (),
        );
        $check::<create_topics::CreateTopicsRequest, theirs::CreateTopicsRequest>(
            "CreateTopicsRequest",
            &v::CREATE_TOPICS,
            |_, _| (),
        );
        $check::<create_topics::CreateTopicsResponse, theirs::CreateTopicsResponse>(
            "CreateTopicsResponse",
            &v::CREATE_TOPICS,
            |_, _| (),
        );
        $check::<delete_topics::DeleteTopicsRequest, theirs::DeleteTopicsRequest>(
            "DeleteTopicsRequest",
            &v::DELETE_TOPICS,
            |_, _| (),
        );
        $check::<delete_topics::DeleteTopicsResponse, theirs::DeleteTopicsResponse>(
            "DeleteTopicsResponse",
            &v::DELETE_TOPICS,
            |message, version| {
                for topic in message.topics.iter_mut().filter(|_| version < 6) {
                    topic.name.get_or_insert_with(|| "topic".into());
                }
            },
        );
        $check::<init_producer_id::InitProducerIdRequest, theirs::InitProducerIdRequest>(
            "InitProducerIdRequest",
            &v::INIT_PRODUCER_ID,
            |_, _| (),
        );
        $check::<init_producer_id::InitProducerIdResponse, theirs::InitProducerIdResponse>(
            "InitProducerIdResponse",
            &v::INIT_PRODUCER_ID,
            |_, _| (),
        );
        $check::<offset_for_leader_epoch::OffsetForLeaderEpochRequest, theirs::OffsetForLeaderEpochRequest>(
            "OffsetForLeaderEpochRequest",
            &v::OFFSET_FOR_LEADER_EPOCH,
            |_, _| (),
        );
        $check::<offset_for_leader_epoch::OffsetForLeaderEpochResponse, theirs::OffsetForLeaderEpochResponse>(
            "OffsetForLeaderEpochResponse",
            &v::OFFSET_FOR_LEADER_EPOCH,
            |_, _| (),
        );
        $check::<describe_configs::DescribeConfigsRequest, theirs::DescribeConfigsRequest>(
            "DescribeConfigsRequest",
            &v::DESCRIBE_CONFIGS,
            |_, _| (),
        );
        $check::<describe_configs::DescribeConfigsResponse, theirs::DescribeConfigsResponse>(
            "DescribeConfigsResponse",
            &v::DESCRIBE_CONFIGS,
            |_, _| (),
        );
        $check::<create_partitions::CreatePartitionsRequest, theirs::CreatePartitionsRequest>(
            "CreatePartitionsRequest",
            &v::CREATE_PARTITIONS,
            |_, _| (),
        );
        $check::<create_partitions::CreatePartitionsResponse, theirs::CreatePartitionsResponse>(
            "CreatePartitionsResponse",
            &v::CREATE_PARTITIONS,
            |_, _| (),
        );
        $check::<describe_cluster::DescribeClusterRequest, theirs::DescribeClusterRequest>(
            "DescribeClusterRequest",
            &v::DESCRIBE_CLUSTER,
            |_, _| (),
        );
        $check::<describe_cluster::DescribeClusterResponse, theirs::DescribeClusterResponse>(
            "DescribeClusterResponse",
            &v::DESCRIBE_CLUSTER,
            |_, _| (),
        );
    }};
}
use for_each_message;

/// Bodies of one message, several of each version.
fn samples<Ours: Field>(api: &Api, fix: fn(&mut Ours, i16), seeds: u64) -> impl Iterator<Item = (Version, Ours)> {
    versions(api).flat_map(move |version| {
        (0..seeds).map(move |seed| {
            let mut value = Ours::sample(&mut Dice::new(seed), version);
            fix(&mut value, version.number);
            (version, value)
        })
    })
}
