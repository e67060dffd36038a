//! Fetch (API 1): record batches from the log.

use bytes::Bytes;

use super::leader::{CurrentLeader, NodeEndpoint};
use super::schema::Field;
use super::slices::Slices;
use super::versions::FETCH;
use crate::ids::{ApiVersion, BrokerId, LeaderEpoch, Offset, PartitionId, ProducerId, TopicId, TopicName};
use crate::{DecodeError, ErrorCode, Reader};

message! {
    /// Asks for records.
    pub struct FetchRequest {
        /// The follower that asks; `-1` for a client. Versions to 14.
        replica: BrokerId [0..=14];
        /// How long to wait until there are `min_bytes`, in milliseconds.
        max_wait_ms: i32 [0..];
        /// How many bytes to wait for.
        min_bytes: i32 [0..];
        /// How many bytes to answer with at most; a first batch that is larger is sent all the same.
        max_bytes: i32 [3..] = i32::MAX;
        /// `0` to see all records, `1` only those of committed transactions.
        isolation_level: i8 [4..];
        /// The fetch session (KIP-227); `0` for none or a new one.
        session_id: i32 [7..];
        /// Its epoch; `0` to start one, `-1` to have none.
        session_epoch: i32 [7..] = -1;
        /// From which topics; in a session, what is new or changed.
        topics: Vec<FetchTopic> [0..];
        /// What to drop from the session.
        forgotten: Vec<ForgottenTopic> [7..];
        /// Where the caller is, to be sent to a near replica.
        rack: String [11..];
    } tagged {
        /// The cluster the caller means.
        0 => cluster_id: Option<String> [12..] = None;
        /// The follower that asks. From version 15.
        1 => replica_state: ReplicaState [15..] = ReplicaState::default();
    }

    /// Who asks, from version 15.
    pub struct ReplicaState {
        /// The follower; `-1` for a client.
        replica: BrokerId [0..];
        /// Its epoch; `-1` if unknown.
        epoch: i64 [0..] = -1;
    }

    /// Which of a topic's partitions.
    pub struct FetchTopic {
        /// The name; empty from version 13.
        name: TopicName [0..=12];
        /// The id; zero before version 13.
        id: TopicId [13..];
        /// The partitions.
        partitions: Vec<FetchPartition> [0..];
    }

    /// What to read of a partition.
    pub struct FetchPartition {
        /// The partition.
        index: PartitionId [0..];
        /// The leader epoch the caller knows, so that an old leader does not answer.
        current_leader_epoch: LeaderEpoch [9..];
        /// Where to start.
        offset: Offset [0..] = Offset(0);
        /// The epoch of the last record read; negative if unknown. If the log differs, that is answered.
        last_fetched_epoch: LeaderEpoch [12..];
        /// Where a follower's log starts; negative for a client.
        log_start_offset: Offset [5..];
        /// How many bytes of this partition to answer with at most.
        max_bytes: i32 [0..];
    } tagged {
        /// The follower's log directory.
        0 => replica_directory: TopicId [17..] = TopicId::ZERO;
        /// The high watermark a follower knows.
        1 => high_watermark: Offset [18..] = Offset(i64::MAX);
    }

    /// What to drop from a fetch session.
    pub struct ForgottenTopic {
        /// The name; empty from version 13.
        name: TopicName [7..=12];
        /// The id; zero before version 13.
        id: TopicId [13..];
        /// The partitions.
        partitions: Vec<PartitionId> [7..];
    }

    /// The records.
    pub struct FetchResponse {
        /// How long to keep quiet on this connection, in milliseconds (KIP-219).
        throttle_ms: i32 [1..];
        /// Whether the request as a whole could be served.
        error: ErrorCode [7..];
        /// The fetch session; `0` for none.
        session_id: i32 [7..];
        /// By topic; in a session, what has something to tell.
        topics: Vec<FetchedTopic> [0..];
    } tagged {
        /// How to reach the leaders named in this response.
        0 => node_endpoints: Vec<NodeEndpoint> [16..] = Vec::new();
    }

    /// The records of one topic.
    pub struct FetchedTopic {
        /// The name; empty from version 13.
        name: TopicName [0..=12];
        /// The id; zero before version 13.
        id: TopicId [13..];
        /// By partition.
        partitions: Vec<FetchedPartition> [0..];
    }

    /// The records of one partition.
    pub struct FetchedPartition {
        /// The partition.
        index: PartitionId [0..];
        /// Whether it could be read.
        error: ErrorCode [0..];
        /// The offset behind the last record that all in-sync replicas have.
        high_watermark: Offset [0..];
        /// The offset behind the last record that no open transaction can undo.
        last_stable_offset: Offset [4..];
        /// Where the log starts.
        log_start_offset: Offset [5..];
        /// Transactions to skip the records of, if only committed ones are wanted; `None` if all are.
        aborted: Option<Vec<AbortedTransaction>> [4..];
        /// A nearer replica to read from; negative for none.
        preferred_read_replica: BrokerId [11..];
        /// Record batches, the last perhaps cut short.
        records: Option<Slices> [0..];
    } tagged {
        /// Where the log differs from what the caller has read, if it does.
        0 => diverging: DivergingEpoch [12..] = DivergingEpoch::default();
        /// The leader, if this broker is not and knows better.
        1 => current_leader: CurrentLeader [12..] = CurrentLeader::default();
    }

    /// Where a log differs from another; negative if it does not.
    pub struct DivergingEpoch {
        /// The last epoch they share.
        epoch: LeaderEpoch [0..];
        /// The offset behind its last record.
        end_offset: Offset [0..];
    }

    /// A transaction that was aborted.
    pub struct AbortedTransaction {
        /// Whose.
        producer_id: ProducerId [4..];
        /// Where it started.
        first_offset: Offset [4..];
    }
}

request!(FetchRequest, FETCH);

impl FetchResponse {
    /// Reads the body that follows the response header, to its end. Records share `body`.
    ///
    /// # Errors
    ///
    /// When the version is not spoken here, or the bytes are not such a response.
    pub fn decode(version: ApiVersion, body: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::shared(body);
        let response = Self::read(&mut reader, FETCH.check(version)?)?;
        reader.finish()?;
        Ok(response)
    }

    response!(encode FETCH);
}
