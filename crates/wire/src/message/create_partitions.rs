//! CreatePartitions (API 37): more partitions for topics that exist.

use super::versions::CREATE_PARTITIONS;
use crate::ErrorCode;
use crate::ids::{BrokerId, TopicName};

message! {
    /// Asks for partitions to be added.
    pub struct CreatePartitionsRequest {
        /// To which topics.
        topics: Vec<TopicToExtend> [0..];
        /// How long to wait until they exist, in milliseconds.
        timeout_ms: i32 [0..] = 60_000;
        /// Whether to say only whether they could be added.
        validate_only: bool [0..];
    }

    /// A topic that is to have more partitions.
    pub struct TopicToExtend {
        /// Its name.
        name: TopicName [0..];
        /// How many it is to have in all.
        count: i32 [0..];
        /// Where to keep each new one; `None` to leave that to the cluster.
        assignments: Option<Vec<NewAssignment>> [0..];
    }

    /// Where to keep a new partition.
    pub struct NewAssignment {
        /// The brokers, the preferred leader first.
        brokers: Vec<BrokerId> [0..];
    }

    /// Which topics were extended.
    pub struct CreatePartitionsResponse {
        /// How long to keep quiet on this connection, in milliseconds (KIP-219).
        throttle_ms: i32 [0..];
        /// One answer for each topic.
        topics: Vec<ExtendedTopic> [0..];
    }

    /// What became of one topic.
    pub struct ExtendedTopic {
        /// Its name.
        name: TopicName [0..];
        /// Whether it was extended.
        error: ErrorCode [0..];
        /// What the broker has to say about the error.
        error_message: Option<String> [0..];
    }
}

request!(CreatePartitionsRequest, CREATE_PARTITIONS);
response!(CreatePartitionsResponse, CREATE_PARTITIONS);
