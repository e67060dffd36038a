//! CreateTopics (API 19).

use super::versions::CREATE_TOPICS;
use crate::ErrorCode;
use crate::ids::{BrokerId, PartitionId, TopicId, TopicName};

message! {
    /// Asks for topics to be created.
    pub struct CreateTopicsRequest {
        /// The topics.
        topics: Vec<CreatableTopic> [0..];
        /// How long to wait until they exist, in milliseconds.
        timeout_ms: i32 [0..] = 60_000;
        /// Whether to say only whether they could be created.
        validate_only: bool [1..];
    }

    /// A topic to create.
    pub struct CreatableTopic {
        /// Its name.
        name: TopicName [0..];
        /// How many partitions; `-1` for the broker's default (version 4 on), or with assignments.
        partitions: i32 [0..] = -1;
        /// How many replicas of each; `-1` for the broker's default (version 4 on), or with assignments.
        replication_factor: i16 [0..] = -1;
        /// Where to keep each partition; empty to leave that to the cluster.
        assignments: Vec<CreatableAssignment> [0..];
        /// Settings that differ from the broker's.
        configs: Vec<CreatableConfig> [0..];
    }

    /// Where to keep a partition.
    pub struct CreatableAssignment {
        /// The partition.
        index: PartitionId [0..];
        /// The brokers, the preferred leader first.
        brokers: Vec<BrokerId> [0..];
    }

    /// A setting of a new topic.
    pub struct CreatableConfig {
        /// Its name, such as `retention.ms`.
        name: String [0..];
        /// Its value.
        value: Option<String> [0..];
    }

    /// Which topics were created.
    pub struct CreateTopicsResponse {
        /// How long to keep quiet on this connection, in milliseconds (KIP-219).
        throttle_ms: i32 [2..];
        /// One answer for each topic.
        topics: Vec<CreatedTopic> [0..];
    }

    /// What became of one topic.
    pub struct CreatedTopic {
        /// Its name.
        name: TopicName [0..];
        /// Its id; zero before version 7.
        id: TopicId [7..];
        /// Whether it was created.
        error: ErrorCode [0..];
        /// What the broker has to say about the error.
        error_message: Option<String> [1..];
        /// How many partitions it has; `-1` if not told.
        partitions: i32 [5..] = -1;
        /// How many replicas of each; `-1` if not told.
        replication_factor: i16 [5..] = -1;
        /// Its settings; `None` if the caller may not know.
        configs: Option<Vec<CreatedConfig>> [5..];
    } tagged {
        /// Why the settings were not told.
        0 => config_error: ErrorCode [5..] = ErrorCode::NONE;
    }

    /// A setting of a created topic.
    pub struct CreatedConfig {
        /// Its name.
        name: String [5..];
        /// Its value; `None` if it is a secret.
        value: Option<String> [5..];
        /// Whether it cannot be changed.
        read_only: bool [5..];
        /// Where it comes from, as in DescribeConfigs; `-1` if not told.
        source: i8 [5..] = -1;
        /// Whether it is a secret.
        sensitive: bool [5..];
    }
}

request!(CreateTopicsRequest, CREATE_TOPICS);
response!(CreateTopicsResponse, CREATE_TOPICS);
