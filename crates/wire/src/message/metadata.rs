//! Metadata (API 3): which brokers there are, and who leads what.

use super::versions::METADATA;
use crate::ErrorCode;
use crate::ids::{BrokerId, LeaderEpoch, PartitionId, TopicId, TopicName};

/// No authorized operations were asked for.
const NOT_ASKED: i32 = i32::MIN;

message! {
    /// Asks about the cluster and some of its topics.
    pub struct MetadataRequest {
        /// The topics; `None` is all of them, an empty list none.
        topics: Option<Vec<MetadataRequestTopic>> [0..];
        /// Whether to create topics that do not exist. Versions before 4 always do, if the broker is configured to.
        allow_auto_topic_creation: bool [4..] = true;
        /// Whether to say what the caller may do to the cluster.
        include_cluster_authorized_operations: bool [8..=10];
        /// Whether to say what the caller may do to each topic.
        include_topic_authorized_operations: bool [8..];
    }

    /// A topic asked about.
    pub struct MetadataRequestTopic {
        /// By id.
        id: TopicId [10..];
        /// By name; `None`, from version 10, if by id.
        name: Option<TopicName> [0..];
    }

    /// The cluster as one broker sees it.
    pub struct MetadataResponse {
        /// How long to keep quiet on this connection, in milliseconds (KIP-219).
        throttle_ms: i32 [3..];
        /// The live brokers.
        brokers: Vec<MetadataBroker> [0..];
        /// The cluster's id.
        cluster_id: Option<String> [2..];
        /// The controller, or some broker that forwards to it; negative if unknown.
        controller: BrokerId [1..];
        /// The topics asked about.
        topics: Vec<MetadataTopic> [0..];
        /// A bit for each thing the caller may do; `i32::MIN` if not asked.
        cluster_authorized_operations: i32 [8..=10] = NOT_ASKED;
        /// [`ErrorCode::REBOOTSTRAP_REQUIRED`], for one (KIP-1102).
        error: ErrorCode [13..];
    }

    /// A broker and how to reach it.
    pub struct MetadataBroker {
        /// Its id.
        node: BrokerId [0..];
        /// Its host name or address.
        host: String [0..];
        /// Its port.
        port: i32 [0..];
        /// Its rack, if it has one.
        rack: Option<String> [1..];
    }

    /// A topic.
    pub struct MetadataTopic {
        /// Why there is nothing to tell, or [`ErrorCode::NONE`].
        error: ErrorCode [0..];
        /// The name; `None`, from version 12, if it was asked for by an id the broker does not know.
        name: Option<TopicName> [0..];
        /// The id; zero before version 10.
        id: TopicId [10..];
        /// Whether it is one of Kafka's own topics.
        is_internal: bool [1..];
        /// Its partitions, in no particular order.
        partitions: Vec<MetadataPartition> [0..];
        /// A bit for each thing the caller may do; `i32::MIN` if not asked.
        authorized_operations: i32 [8..] = NOT_ASKED;
    }

    /// A partition.
    pub struct MetadataPartition {
        /// [`ErrorCode::LEADER_NOT_AVAILABLE`], for one; the other fields may be good all the same.
        error: ErrorCode [0..];
        /// Its index.
        index: PartitionId [0..];
        /// Its leader; negative if it has none.
        leader: BrokerId [0..];
        /// The leader's epoch; unknown before version 7.
        leader_epoch: LeaderEpoch [7..];
        /// Where it is kept.
        replicas: Vec<BrokerId> [0..];
        /// Which of these are in sync.
        isr: Vec<BrokerId> [0..];
        /// Which of these are offline.
        offline: Vec<BrokerId> [5..];
    }
}

request!(MetadataRequest, METADATA);
response!(MetadataResponse, METADATA);
