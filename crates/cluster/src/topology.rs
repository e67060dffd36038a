//! Who leads what: the part of the metadata that others read.

use milena_wire::{BrokerId, ErrorCode, LeaderEpoch, PartitionId, Timestamp, TopicId, TopicName};

/// What is known of one partition.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PartitionInfo {
    /// The leader; `None` while there is none, or none is known.
    pub leader: Option<BrokerId>,
    /// The leader's epoch; [`LeaderEpoch::UNKNOWN`] from brokers that tell none or none that can be relied on
    /// (Metadata below version 9).
    pub epoch: LeaderEpoch,
    /// The last error the metadata had for the partition, else `NONE`.
    pub code: ErrorCode,
    /// How many answers in a row left the partition out. From 3 on it is taken as gone: it has no leader, and the
    /// code is `UNKNOWN_TOPIC_OR_PARTITION`; at the end of the topic such partitions are cut off.
    pub omitted: u32,
}

/// What is known of one topic.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TopicInfo {
    /// Changes when the topic is deleted and created again; zero from brokers that tell none (Metadata below 10).
    pub id: TopicId,
    /// By partition id, without gaps; never empty.
    pub partitions: Vec<PartitionInfo>,
}

/// Where a partition's records go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Leader {
    /// The broker.
    pub broker: BrokerId,
    /// Its epoch as leader of the partition, or [`LeaderEpoch::UNKNOWN`].
    pub epoch: LeaderEpoch,
    /// The topic's id, or zero.
    pub topic_id: TopicId,
}

/// What is known about a topic.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TopicState<'a> {
    /// Nobody asked, or the topic was not used for long and forgotten.
    Unasked,
    /// No answer yet.
    Asking,
    /// The cluster says that there is no such topic, or none with partitions yet. It is asked again with backoff
    /// for as long as the topic is in use.
    Missing {
        /// What the last answer said, `UNKNOWN_TOPIC_OR_PARTITION` if it just left the topic out or gave it no
        /// partitions.
        code: ErrorCode,
        /// When the first such answer in a row came.
        first_answer: Timestamp,
        /// How many such answers in a row came.
        answers: u32,
    },
    /// It exists. (A topic that was known is given up only after 3 answers in a row without it.)
    Known(&'a TopicInfo),
    /// The cluster refuses: the name is invalid, or this client is not authorized. A refusal for lack of
    /// authorization is checked again when the topic is used again.
    Failed {
        /// Why.
        code: ErrorCode,
    },
}

/// What a produce response tells about a partition's new leader (KIP-951).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LeaderHint {
    /// The topic.
    pub topic: TopicName,
    /// The partition.
    pub partition: PartitionId,
    /// The leader it is said to have.
    pub leader: BrokerId,
    /// The epoch it is said to have.
    pub epoch: LeaderEpoch,
}
