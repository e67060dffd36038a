//! Who is there, what they speak, and who leads what.

use milena_wire::message::api_versions::{ApiRange, ApiVersionsRequest, ApiVersionsResponse};
use milena_wire::message::describe_cluster::{ClusterBroker, DescribeClusterResponse};
use milena_wire::message::find_coordinator::{Coordinator, FindCoordinatorRequest, FindCoordinatorResponse};
use milena_wire::message::metadata::{
    MetadataBroker, MetadataPartition, MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataTopic,
};
use milena_wire::{ApiVersion, BrokerId, ErrorCode, LeaderEpoch, PartitionId, TopicId, TopicName};

use super::request::Meta;
use super::topic::{Topic, is_legal_name};
use super::{At, Core, NodeState};
use crate::profile::Profile;

/// From this version on the name of a topic may be null.
const NULLABLE_NAME: ApiVersion = ApiVersion(12);

impl Core {
    pub(super) fn metadata(
        &mut self,
        at: At,
        node: BrokerId,
        meta: &Meta,
        request: &MetadataRequest,
    ) -> MetadataResponse {
        let topics = match &request.topics {
            None => self.topics.values().map(|topic| self.describe_topic(topic)).collect(),
            Some(wanted) => wanted
                .iter()
                .map(|topic| self.metadata_of(at, meta, topic, request.allow_auto_topic_creation))
                .collect(),
        };
        MetadataResponse {
            brokers: self
                .present()
                .map(|(node, host, port)| MetadataBroker { node, host: host.to_owned(), port, rack: None })
                .collect(),
            cluster_id: Some(self.cluster_id()),
            controller: self.controller(),
            topics: self.as_frozen(node, topics),
            ..Default::default()
        }
    }

    /// The topics with the leaders that a frozen node goes on telling.
    fn as_frozen(&self, node: BrokerId, mut topics: Vec<MetadataTopic>) -> Vec<MetadataTopic> {
        let Some(frozen) = self.nodes.get(&node).and_then(|node| node.frozen.as_ref()) else {
            return topics;
        };
        for topic in &mut topics {
            for partition in &mut topic.partitions {
                if let Some((leader, epoch)) = frozen.get(&(topic.id, partition.index)) {
                    partition.leader = leader.unwrap_or(BrokerId(-1));
                    partition.leader_epoch = *epoch;
                    partition.error = leader.map_or(ErrorCode::LEADER_NOT_AVAILABLE, |_| ErrorCode::NONE);
                }
            }
        }
        topics
    }

    fn metadata_of(&mut self, at: At, meta: &Meta, wanted: &MetadataRequestTopic, may_create: bool) -> MetadataTopic {
        let error = match &wanted.name {
            Some(name) => match self.topics.get(name) {
                Some(topic) => return self.describe_topic(topic),
                None if !is_legal_name(name.as_str()) => ErrorCode::INVALID_TOPIC_EXCEPTION,
                None if may_create && self.config.auto_create_topics => self.create_automatically(at, name),
                None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            },
            None => match self.names.get(&wanted.id).and_then(|name| self.topics.get(name)) {
                Some(topic) => return self.describe_topic(topic),
                None => ErrorCode::UNKNOWN_TOPIC_ID,
            },
        };
        let unnamed = (meta.version < NULLABLE_NAME).then(|| TopicName::new(""));
        MetadataTopic { error, name: wanted.name.clone().or(unnamed), id: wanted.id, ..Default::default() }
    }

    /// Creates a topic because somebody asked about it, and says what Kafka says meanwhile.
    fn create_automatically(&mut self, at: At, name: &TopicName) -> ErrorCode {
        let partitions = self.config.default_partitions;
        let replicas = self.config.default_replication.min(i16::try_from(self.nodes.len()).unwrap_or(i16::MAX));
        match self.create_topic(at, name, partitions, replicas, std::collections::BTreeMap::new()) {
            Err(refusal) => refusal.code,
            // Brokers with ZooKeeper told it like this; those with KRaft do not know the topic until it is there.
            Ok(_) if self.config.profile <= Profile::V2_8 => ErrorCode::LEADER_NOT_AVAILABLE,
            Ok(_) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        }
    }

    fn describe_topic(&self, topic: &Topic) -> MetadataTopic {
        let partitions = (0..).zip(&topic.partitions).map(|(index, partition)| {
            let is_down = |node: &BrokerId| self.state(*node) == NodeState::Stopped;
            MetadataPartition {
                error: if partition.leader.is_some() { ErrorCode::NONE } else { ErrorCode::LEADER_NOT_AVAILABLE },
                index: PartitionId(index),
                leader: partition.leader.unwrap_or(BrokerId(-1)),
                leader_epoch: partition.epoch,
                replicas: partition.replicas.clone(),
                isr: partition.isr.clone(),
                offline: partition.replicas.iter().copied().filter(is_down).collect(),
            }
        });
        MetadataTopic {
            name: Some(topic.name.clone()),
            id: topic.id,
            partitions: partitions.collect(),
            ..Default::default()
        }
    }

    pub(super) fn describe_cluster(&self) -> DescribeClusterResponse {
        let brokers = self.present().map(|(node, host, port)| ClusterBroker {
            node,
            host: host.to_owned(),
            port,
            ..Default::default()
        });
        DescribeClusterResponse {
            cluster_id: self.cluster_id(),
            controller: self.controller(),
            brokers: brokers.collect(),
            ..Default::default()
        }
    }

    pub(super) fn api_versions(&self, request: Option<&ApiVersionsRequest>) -> ApiVersionsResponse {
        let is_word = |text: &str| {
            let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
            let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
            edge(text.bytes().next()) && edge(text.bytes().last()) && text.bytes().all(inner)
        };
        let error = match request {
            None => ErrorCode::UNSUPPORTED_VERSION,
            // Versions before 3 do not say who asks.
            Some(r) if r.client_software_name.is_empty() && r.client_software_version.is_empty() => ErrorCode::NONE,
            Some(r) if is_word(&r.client_software_name) && is_word(&r.client_software_version) => ErrorCode::NONE,
            Some(_) => return ApiVersionsResponse { error: ErrorCode::INVALID_REQUEST, ..Default::default() },
        };
        let ranges = self.config.profile.ranges().into_iter();
        // To a version it does not know, a broker tells which it does know; before 2.4, nothing.
        let told = ranges.filter(|(key, ..)| match error {
            ErrorCode::NONE => true,
            _ => self.config.profile > Profile::V2_1 && *key == milena_wire::ApiKey::API_VERSIONS,
        });
        ApiVersionsResponse {
            error,
            apis: told.map(|(key, min, max)| ApiRange { key, min, max }).collect(),
            ..Default::default()
        }
    }

    /// There are no groups and no transactions here.
    pub(super) fn find_coordinator(request: &FindCoordinatorRequest) -> FindCoordinatorResponse {
        let error = ErrorCode::COORDINATOR_NOT_AVAILABLE;
        let message = Some("this broker has no groups and no transactions".to_owned());
        let coordinators = request.keys.iter().map(|key| Coordinator {
            key: key.clone(),
            node: BrokerId(-1),
            host: String::new(),
            port: -1,
            error,
            error_message: message.clone(),
        });
        FindCoordinatorResponse {
            error,
            error_message: message.clone(),
            node: BrokerId(-1),
            port: -1,
            coordinators: coordinators.collect(),
            ..Default::default()
        }
    }

    /// Leader and epoch of a partition of the topic with this id.
    pub(super) fn leader_of(&self, topic: TopicId, index: PartitionId) -> Option<(Option<BrokerId>, LeaderEpoch)> {
        let topic = self.topics.get(self.names.get(&topic)?)?;
        let partition = topic.partitions.get(usize::try_from(index.0).ok()?)?;
        Some((partition.leader, partition.epoch))
    }

    pub(crate) fn state(&self, node: BrokerId) -> NodeState {
        self.nodes.get(&node).map_or(NodeState::Stopped, |node| node.state)
    }

    /// The nodes that are not stopped.
    fn present(&self) -> impl Iterator<Item = (BrokerId, &str, i32)> {
        let there = self.nodes.iter().filter(|(_, node)| node.state != NodeState::Stopped);
        there.map(|(id, node)| (*id, node.host.as_str(), i32::from(node.port)))
    }

    fn controller(&self) -> BrokerId {
        self.present().next().map_or(BrokerId(-1), |(node, ..)| node)
    }

    fn cluster_id(&self) -> String {
        format!("milena-{:015x}", self.config.seed & 0xfff_ffff_ffff_ffff)
    }
}
