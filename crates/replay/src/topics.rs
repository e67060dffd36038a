//! Whether a folder's topic is there, and is the one its records are for.

use std::time::Duration;

use milena_cluster::{Cluster, TopicState};
use milena_spool::replay::Stop;
use milena_wire::{ErrorCode, PartitionId, Timestamp, TopicId, TopicName};

/// What is known of a folder's topic.
#[derive(Debug)]
pub(crate) enum Standing {
    /// It is there, with so many partitions.
    There {
        /// Its id, zero if brokers tell none.
        id: TopicId,
        partitions: i32,
    },
    /// Not known yet; until then it may turn up.
    Wait(Option<Timestamp>),
    /// Nothing can be sent there.
    Not(Stop),
}

/// `noted` is the id that the topic had when its records came into the spool.
pub(crate) fn standing(
    cluster: &Cluster,
    now: Timestamp,
    grace: Duration,
    topic: &TopicName,
    partition: Option<PartitionId>,
    noted: Option<TopicId>,
) -> Standing {
    match cluster.topic(topic) {
        TopicState::Unasked | TopicState::Asking => Standing::Wait(None),
        TopicState::Missing { code, first_answer, .. } => {
            let until = first_answer + grace;
            if until > now { Standing::Wait(Some(until)) } else { Standing::Not(Stop::Missing(code)) }
        }
        TopicState::Failed { code } => Standing::Not(Stop::Refused(code)),
        TopicState::Known(info) => {
            let partitions = i32::try_from(info.partitions.len()).unwrap_or(i32::MAX);
            let other = |noted: TopicId| !info.id.is_zero() && noted != info.id;
            if noted.is_some_and(other) {
                Standing::Not(Stop::Recreated)
            } else if partition.is_some_and(|partition| partition.0 >= partitions) {
                Standing::Not(Stop::Missing(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))
            } else {
                Standing::There { id: info.id, partitions }
            }
        }
    }
}
