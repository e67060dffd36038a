//! OffsetForLeaderEpoch (API 23): where a leader epoch ended, for a reader that suspects a truncated log.

use super::versions::OFFSET_FOR_LEADER_EPOCH;
use crate::ErrorCode;
use crate::ids::{BrokerId, LeaderEpoch, Offset, PartitionId, TopicName};

message! {
    /// Asks where epochs ended.
    pub struct OffsetForLeaderEpochRequest {
        /// The follower that asks; `-1` for a client.
        replica: BrokerId [3..] = BrokerId(-2);
        /// In which topics.
        topics: Vec<OffsetForLeaderTopic> [0..];
    }

    /// Which of a topic's partitions.
    pub struct OffsetForLeaderTopic {
        /// Its name.
        name: TopicName [0..];
        /// The partitions.
        partitions: Vec<OffsetForLeaderPartition> [0..];
    }

    /// Which epoch of a partition.
    pub struct OffsetForLeaderPartition {
        /// The partition.
        index: PartitionId [0..];
        /// The leader epoch the caller knows, so that an old leader does not answer.
        current_leader_epoch: LeaderEpoch [2..];
        /// The epoch whose end is sought.
        leader_epoch: LeaderEpoch [0..];
    }

    /// Where the epochs ended.
    pub struct OffsetForLeaderEpochResponse {
        /// How long to keep quiet on this connection, in milliseconds (KIP-219).
        throttle_ms: i32 [2..];
        /// By topic.
        topics: Vec<OffsetForLeaderTopicResult> [0..];
    }

    /// Where the epochs of one topic ended.
    pub struct OffsetForLeaderTopicResult {
        /// Its name.
        name: TopicName [0..];
        /// By partition.
        partitions: Vec<EpochEnd> [0..];
    }

    /// Where an epoch of one partition ended.
    pub struct EpochEnd {
        /// Whether it could be looked up.
        error: ErrorCode [0..];
        /// The partition.
        index: PartitionId [0..];
        /// The largest epoch that is not above the one asked for.
        leader_epoch: LeaderEpoch [1..];
        /// The offset behind its last record; negative if unknown.
        end_offset: Offset [0..];
    }
}

request!(OffsetForLeaderEpochRequest, OFFSET_FOR_LEADER_EPOCH);
response!(OffsetForLeaderEpochResponse, OFFSET_FOR_LEADER_EPOCH);
