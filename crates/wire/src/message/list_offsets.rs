//! ListOffsets (API 2): where a partition's log starts, ends, or reaches a time.

use super::versions::LIST_OFFSETS;
use crate::ErrorCode;
use crate::ids::{BrokerId, LeaderEpoch, Offset, PartitionId, TopicName};

/// Asks for the end of the log: the next offset to be written that a reader can see.
pub const LATEST: i64 = -1;
/// Asks for the start of the log.
pub const EARLIEST: i64 = -2;
/// Asks for the record with the greatest timestamp (version 7 on).
pub const MAX_TIMESTAMP: i64 = -3;

message! {
    /// Asks for offsets.
    pub struct ListOffsetsRequest {
        /// The follower that asks; `-1` for a client.
        replica: BrokerId [0..];
        /// `0` to see all records, `1` only those of committed transactions.
        isolation_level: i8 [2..];
        /// Of which topics.
        topics: Vec<ListOffsetsTopic> [0..];
        /// How long to wait for offsets kept in remote storage, in milliseconds.
        timeout_ms: i32 [10..];
    }

    /// Which of a topic's partitions.
    pub struct ListOffsetsTopic {
        /// Its name.
        name: TopicName [0..];
        /// The partitions.
        partitions: Vec<ListOffsetsPartition> [0..];
    }

    /// What to find in a partition.
    pub struct ListOffsetsPartition {
        /// The partition.
        index: PartitionId [0..];
        /// The leader epoch the caller knows, so that an old leader does not answer.
        current_leader_epoch: LeaderEpoch [4..];
        /// The first record at or after this time in milliseconds, or one of [`LATEST`], [`EARLIEST`], [`MAX_TIMESTAMP`].
        timestamp_ms: i64 [0..] = LATEST;
    }

    /// The offsets.
    pub struct ListOffsetsResponse {
        /// How long to keep quiet on this connection, in milliseconds (KIP-219).
        throttle_ms: i32 [2..];
        /// By topic.
        topics: Vec<ListOffsetsTopicResponse> [0..];
    }

    /// The offsets in one topic.
    pub struct ListOffsetsTopicResponse {
        /// Its name.
        name: TopicName [0..];
        /// By partition.
        partitions: Vec<ListOffsetsPartitionResponse> [0..];
    }

    /// The offset in one partition.
    pub struct ListOffsetsPartitionResponse {
        /// The partition.
        index: PartitionId [0..];
        /// Whether it could be looked up.
        error: ErrorCode [0..];
        /// The timestamp of the record found; `-1` if none was, or the start or end was asked for.
        timestamp_ms: i64 [1..] = -1;
        /// The offset; negative if there is no such record.
        offset: Offset [1..];
        /// The leader epoch of the record found.
        leader_epoch: LeaderEpoch [4..];
    }
}

request!(ListOffsetsRequest, LIST_OFFSETS);
response!(ListOffsetsResponse, LIST_OFFSETS);
