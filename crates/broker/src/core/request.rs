//! A request frame, understood as far as it can be without knowing the cluster.

use bytes::Bytes;
use milena_wire::message::{
    api_versions::ApiVersionsRequest, create_partitions::CreatePartitionsRequest, create_topics::CreateTopicsRequest,
    delete_topics::DeleteTopicsRequest, describe_cluster::DescribeClusterRequest,
    describe_configs::DescribeConfigsRequest, fetch::FetchRequest, find_coordinator::FindCoordinatorRequest,
    init_producer_id::InitProducerIdRequest, list_offsets::ListOffsetsRequest, metadata::MetadataRequest,
    offset_for_leader_epoch::OffsetForLeaderEpochRequest, produce::ProduceRequestIn,
};
use milena_wire::{
    ApiKey, ApiVersion, CorrelationId, DecodeError, PartitionId, Reader, RequestHeader, TopicId, TopicName,
};

use super::check::Candidate;
use crate::profile::Profile;
use crate::script::{Reaction, Rule};

/// What an answer needs of its request.
#[derive(Clone, Debug)]
pub(crate) struct Meta {
    pub(crate) api: ApiKey,
    pub(crate) version: ApiVersion,
    pub(crate) correlation: CorrelationId,
    /// What the script does to the answer.
    pub(super) twist: Option<Rule>,
}

impl Meta {
    /// The scripted reaction to the request, if there is one.
    pub(super) fn reaction(&self) -> Option<&Reaction> {
        self.twist.as_ref().map(|rule| &rule.reaction)
    }
}

/// A request with its batches examined.
#[derive(Debug)]
pub(crate) enum Request {
    Produce(Produce),
    Fetch(FetchRequest),
    ListOffsets(ListOffsetsRequest),
    Metadata(MetadataRequest),
    FindCoordinator(FindCoordinatorRequest),
    /// With `None`, one of a version that is not offered.
    ApiVersions(Option<ApiVersionsRequest>),
    CreateTopics(CreateTopicsRequest),
    DeleteTopics(DeleteTopicsRequest),
    InitProducerId(InitProducerIdRequest),
    OffsetForLeaderEpoch(OffsetForLeaderEpochRequest),
    DescribeConfigs(DescribeConfigsRequest),
    CreatePartitions(CreatePartitionsRequest),
    DescribeCluster,
}

/// A Produce request whose batches have been examined.
#[derive(Debug)]
pub(crate) struct Produce {
    pub(crate) acks: i16,
    pub(crate) timeout_ms: i32,
    pub(crate) topics: Vec<ProduceTopic>,
}

#[derive(Debug)]
pub(crate) struct ProduceTopic {
    /// Empty if the request names the id.
    pub(crate) name: TopicName,
    /// Zero if the request names the name.
    pub(crate) id: TopicId,
    pub(crate) partitions: Vec<(PartitionId, Candidate)>,
}

/// Reads one request frame, its size taken off. Needs no lock: the costly part of a Produce request is done here.
///
/// # Errors
///
/// When it cannot be understood, or is one that `profile` does not offer: then the connection is of no more use.
pub(crate) fn read(frame: &Bytes, profile: Profile, check_records: bool) -> Result<(Meta, Request), DecodeError> {
    let mut reader = Reader::shared(frame);
    let RequestHeader { api_key, version, correlation, .. } = RequestHeader::decode(&mut reader)?;
    let meta = Meta { api: api_key, version, correlation, twist: None };
    if !profile.offers(api_key, version) {
        if api_key == ApiKey::API_VERSIONS {
            return Ok((meta, Request::ApiVersions(None)));
        }
        return Err(reader_error(&reader, "API or version that is not offered"));
    }
    let r = &mut reader;
    let request = match api_key {
        ApiKey::PRODUCE => Request::Produce(examine(ProduceRequestIn::decode(version, r)?, version, check_records)),
        ApiKey::FETCH => Request::Fetch(FetchRequest::decode(version, r)?),
        ApiKey::LIST_OFFSETS => Request::ListOffsets(ListOffsetsRequest::decode(version, r)?),
        ApiKey::METADATA => Request::Metadata(MetadataRequest::decode(version, r)?),
        ApiKey::FIND_COORDINATOR => Request::FindCoordinator(FindCoordinatorRequest::decode(version, r)?),
        ApiKey::API_VERSIONS => Request::ApiVersions(Some(ApiVersionsRequest::decode(version, r)?)),
        ApiKey::CREATE_TOPICS => Request::CreateTopics(CreateTopicsRequest::decode(version, r)?),
        ApiKey::DELETE_TOPICS => Request::DeleteTopics(DeleteTopicsRequest::decode(version, r)?),
        ApiKey::INIT_PRODUCER_ID => Request::InitProducerId(InitProducerIdRequest::decode(version, r)?),
        ApiKey::OFFSET_FOR_LEADER_EPOCH => {
            Request::OffsetForLeaderEpoch(OffsetForLeaderEpochRequest::decode(version, r)?)
        }
        ApiKey::DESCRIBE_CONFIGS => Request::DescribeConfigs(DescribeConfigsRequest::decode(version, r)?),
        ApiKey::CREATE_PARTITIONS => Request::CreatePartitions(CreatePartitionsRequest::decode(version, r)?),
        // What it asks for makes no difference here, but it has to be well-formed.
        ApiKey::DESCRIBE_CLUSTER => DescribeClusterRequest::decode(version, r).map(|_| Request::DescribeCluster)?,
        _ => return Err(reader_error(r, "API that is not offered")),
    };
    Ok((meta, request))
}

/// The API a frame calls, if it is long enough to say.
pub(crate) fn peek_api(frame: &[u8]) -> Option<ApiKey> {
    frame.first_chunk().map(|key| ApiKey(i16::from_be_bytes(*key)))
}

fn reader_error(reader: &Reader<'_>, what: &'static str) -> DecodeError {
    reader.error(what)
}

fn examine(request: ProduceRequestIn, version: ApiVersion, check_records: bool) -> Produce {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter();
        let partitions = partitions.map(|p| (p.index, Candidate::examine(p.records, version, check_records)));
        ProduceTopic { name: topic.name, id: topic.id, partitions: partitions.collect() }
    });
    Produce { acks: request.acks, timeout_ms: request.timeout_ms, topics: topics.collect() }
}
