//! Responses of every kind, so that a script can spoil them in one place.

use milena_wire::message::{
    Slices, api_versions::ApiVersionsResponse, create_partitions::CreatePartitionsResponse,
    create_topics::CreateTopicsResponse, delete_topics::DeleteTopicsResponse,
    describe_cluster::DescribeClusterResponse, describe_configs::DescribeConfigsResponse, fetch::FetchResponse,
    find_coordinator::FindCoordinatorResponse, init_producer_id::InitProducerIdResponse,
    list_offsets::ListOffsetsResponse, metadata::MetadataResponse,
    offset_for_leader_epoch::OffsetForLeaderEpochResponse, produce::ProduceResponse,
};
use milena_wire::{
    ApiVersion, BrokerId, CorrelationId, ErrorCode, Frame, Offset, PartitionId, ProducerEpoch, ProducerId, TopicName,
};

macro_rules! responses {
    ($($kind:ident($ty:ty)),* $(,)?) => {
        #[derive(Clone, Debug)]
        pub(super) enum Response {
            $($kind($ty),)*
        }

        $(impl From<$ty> for Response {
            fn from(response: $ty) -> Self {
                Self::$kind(response)
            }
        })*

        impl Response {
            pub(super) fn encode(&self, version: ApiVersion, correlation: CorrelationId) -> Frame {
                match self {
                    $(Self::$kind(response) => response.encode_frame(version, correlation),)*
                }
            }

            pub(super) fn throttle(&mut self, ms: i32) {
                match self {
                    $(Self::$kind(response) => response.throttle_ms = ms,)*
                }
            }
        }
    };
}

responses! {
    Produce(ProduceResponse),
    Fetch(FetchResponse),
    ListOffsets(ListOffsetsResponse),
    Metadata(MetadataResponse),
    FindCoordinator(FindCoordinatorResponse),
    ApiVersions(ApiVersionsResponse),
    CreateTopics(CreateTopicsResponse),
    DeleteTopics(DeleteTopicsResponse),
    InitProducerId(InitProducerIdResponse),
    OffsetForLeaderEpoch(OffsetForLeaderEpochResponse),
    DescribeConfigs(DescribeConfigsResponse),
    CreatePartitions(CreatePartitionsResponse),
    DescribeCluster(DescribeClusterResponse),
}

impl Response {
    /// Puts `code` where the API has its errors; only for `topic` where the API is about topics and one is given.
    ///
    /// Produce has its errors put in partition by partition, where it is handled.
    pub(super) fn fail(&mut self, code: ErrorCode, topic: Option<&TopicName>) {
        let meant = |name: &TopicName| topic.is_none_or(|topic| topic == name);
        match self {
            Self::Produce(_) => {}
            Self::Fetch(response) => {
                for topic in &mut response.topics {
                    for partition in &mut topic.partitions {
                        partition.error = code;
                        partition.records = Some(Slices::default());
                    }
                }
            }
            Self::ListOffsets(response) => {
                for topic in response.topics.iter_mut().filter(|topic| meant(&topic.name)) {
                    for partition in &mut topic.partitions {
                        partition.error = code;
                        partition.offset = Offset(-1);
                    }
                }
            }
            Self::Metadata(response) => {
                for topic in response.topics.iter_mut().filter(|topic| topic.name.as_ref().is_none_or(meant)) {
                    topic.error = code;
                    topic.partitions.clear();
                }
            }
            Self::FindCoordinator(response) => {
                response.error = code;
                response.coordinators.iter_mut().for_each(|coordinator| coordinator.error = code);
            }
            Self::ApiVersions(response) => response.error = code,
            Self::CreateTopics(response) => {
                response.topics.iter_mut().filter(|topic| meant(&topic.name)).for_each(|topic| topic.error = code);
            }
            Self::DeleteTopics(response) => {
                let topics = response.topics.iter_mut();
                topics.filter(|t| t.name.as_ref().is_none_or(meant)).for_each(|topic| topic.error = code);
            }
            Self::InitProducerId(response) => {
                response.error = code;
                response.producer_id = ProducerId::NONE;
                response.producer_epoch = ProducerEpoch::NONE;
            }
            Self::OffsetForLeaderEpoch(response) => {
                for topic in response.topics.iter_mut().filter(|topic| meant(&topic.name)) {
                    topic.partitions.iter_mut().for_each(|partition| partition.error = code);
                }
            }
            Self::DescribeConfigs(response) => response.results.iter_mut().for_each(|result| result.error = code),
            Self::CreatePartitions(response) => {
                response.topics.iter_mut().filter(|topic| meant(&topic.name)).for_each(|topic| topic.error = code);
            }
            Self::DescribeCluster(response) => {
                response.error = code;
                response.brokers.clear();
                response.controller = BrokerId(-1);
            }
        }
    }

    /// Leaves a partition, or all partitions, of the topics meant out of a Metadata response.
    pub(super) fn omit(&mut self, topic: Option<&TopicName>, partition: Option<PartitionId>) {
        let Self::Metadata(response) = self else {
            return;
        };
        let meant = |name: &TopicName| topic.is_none_or(|topic| topic == name);
        for topic in response.topics.iter_mut().filter(|topic| topic.name.as_ref().is_none_or(meant)) {
            topic.partitions.retain(|found| partition.is_some_and(|index| index != found.index));
        }
    }
}
