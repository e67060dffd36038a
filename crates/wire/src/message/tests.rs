//! Every message in every version, against another implementation and against bytes that are no message.

mod fields;
mod frames;
mod hostile;
mod oracle;
mod sizes;

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

/// What a version cannot carry although it has the field: undone by the last column of [`for_each_message`].
mod fix {
    use super::*;

    pub(super) fn as_is<T>(_: &mut T, _: i16) {}

    /// Versions before 10 know topics by name only.
    pub(super) fn name_topics_asked(message: &mut metadata::MetadataRequest, version: i16) {
        for topic in message.topics.iter_mut().flatten().filter(|_| version < 10) {
            topic.name.get_or_insert_with(|| "topic".into());
        }
    }

    /// Versions before 12 know topics by name only.
    pub(super) fn name_topics(message: &mut metadata::MetadataResponse, version: i16) {
        for topic in message.topics.iter_mut().filter(|_| version < 12) {
            topic.name.get_or_insert_with(|| "topic".into());
        }
    }

    /// Versions before 6 know topics by name only.
    pub(super) fn name_deleted(message: &mut delete_topics::DeleteTopicsResponse, version: i16) {
        for topic in message.topics.iter_mut().filter(|_| version < 6) {
            topic.name.get_or_insert_with(|| "topic".into());
        }
    }
}

/// Calls `$check!(name, Api, Ours, Theirs, fix)` for each message.
macro_rules! for_each_message {
    ($check:ident) => {
        for_each_message! { $check:
            PRODUCE, produce::ProduceRequestIn, ProduceRequest, as_is;
            PRODUCE, produce::ProduceResponse, ProduceResponse, as_is;
            FETCH, fetch::FetchRequest, FetchRequest, as_is;
            FETCH, fetch::FetchResponse, FetchResponse, as_is;
            LIST_OFFSETS, list_offsets::ListOffsetsRequest, ListOffsetsRequest, as_is;
            LIST_OFFSETS, list_offsets::ListOffsetsResponse, ListOffsetsResponse, as_is;
            METADATA, metadata::MetadataRequest, MetadataRequest, name_topics_asked;
            METADATA, metadata::MetadataResponse, MetadataResponse, name_topics;
            FIND_COORDINATOR, find_coordinator::FindCoordinatorRequest, FindCoordinatorRequest, as_is;
            FIND_COORDINATOR, find_coordinator::FindCoordinatorResponse, FindCoordinatorResponse, as_is;
            SASL_HANDSHAKE, sasl_handshake::SaslHandshakeRequest, SaslHandshakeRequest, as_is;
            SASL_HANDSHAKE, sasl_handshake::SaslHandshakeResponse, SaslHandshakeResponse, as_is;
            API_VERSIONS, api_versions::ApiVersionsRequest, ApiVersionsRequest, as_is;
            API_VERSIONS, api_versions::ApiVersionsResponse, ApiVersionsResponse, as_is;
            CREATE_TOPICS, create_topics::CreateTopicsRequest, CreateTopicsRequest, as_is;
            CREATE_TOPICS, create_topics::CreateTopicsResponse, CreateTopicsResponse, as_is;
            DELETE_TOPICS, delete_topics::DeleteTopicsRequest, DeleteTopicsRequest, as_is;
            DELETE_TOPICS, delete_topics::DeleteTopicsResponse, DeleteTopicsResponse, name_deleted;
            INIT_PRODUCER_ID, init_producer_id::InitProducerIdRequest, InitProducerIdRequest, as_is;
            INIT_PRODUCER_ID, init_producer_id::InitProducerIdResponse, InitProducerIdResponse, as_is;
            OFFSET_FOR_LEADER_EPOCH, offset_for_leader_epoch::OffsetForLeaderEpochRequest, OffsetForLeaderEpochRequest, as_is;
            OFFSET_FOR_LEADER_EPOCH, offset_for_leader_epoch::OffsetForLeaderEpochResponse, OffsetForLeaderEpochResponse, as_is;
            DESCRIBE_CONFIGS, describe_configs::DescribeConfigsRequest, DescribeConfigsRequest, as_is;
            DESCRIBE_CONFIGS, describe_configs::DescribeConfigsResponse, DescribeConfigsResponse, as_is;
            SASL_AUTHENTICATE, sasl_authenticate::SaslAuthenticateRequest, SaslAuthenticateRequest, as_is;
            SASL_AUTHENTICATE, sasl_authenticate::SaslAuthenticateResponse, SaslAuthenticateResponse, as_is;
            CREATE_PARTITIONS, create_partitions::CreatePartitionsRequest, CreatePartitionsRequest, as_is;
            CREATE_PARTITIONS, create_partitions::CreatePartitionsResponse, CreatePartitionsResponse, as_is;
            DESCRIBE_CLUSTER, describe_cluster::DescribeClusterRequest, DescribeClusterRequest, as_is;
            DESCRIBE_CLUSTER, describe_cluster::DescribeClusterResponse, DescribeClusterResponse, as_is;
        }
    };
    ($check:ident: $($api:ident, $module:ident::$ours:ident, $theirs:ident, $fix:ident;)*) => {$(
        $check!(stringify!($theirs), crate::message::versions::$api, $module::$ours, theirs::$theirs, fix::$fix);
    )*};
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
