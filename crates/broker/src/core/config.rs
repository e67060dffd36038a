//! Settings of the core.

use std::time::Duration;

use milena_wire::ProducerEpoch;

use crate::profile::Profile;

/// How much of each partition's log stays in memory.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Keep {
    /// All of it.
    #[default]
    All,
    /// About this many bytes per partition; the oldest batches go first and the log start offset follows.
    Bytes(usize),
    /// Nothing: batches are checked, counted and given offsets, and dropped. A sink for benchmarks.
    Nothing,
}

#[derive(Clone, Debug)]
pub(crate) struct CoreConfig {
    pub(crate) nodes: usize,
    pub(crate) profile: Profile,
    pub(crate) default_partitions: i32,
    pub(crate) default_replication: i16,
    /// Of all topics together.
    pub(crate) partitions_max: usize,
    pub(crate) auto_create_topics: bool,
    pub(crate) keep: Keep,
    pub(crate) min_insync_replicas: i16,
    pub(crate) max_message_bytes: usize,
    pub(crate) segment_bytes: usize,
    pub(crate) replication_lag: Duration,
    pub(crate) replica_lag_max: Duration,
    /// `None`: unless nothing is kept.
    pub(crate) check_records: Option<bool>,
    /// Epoch that a new producer id comes with.
    pub(crate) first_epoch: ProducerEpoch,
    pub(crate) seed: u64,
}

impl CoreConfig {
    pub(crate) fn checks_records(&self) -> bool {
        self.check_records.unwrap_or(self.keep != Keep::Nothing)
    }
}

impl Default for CoreConfig {
    fn default() -> Self {
        Self {
            nodes: 1,
            profile: Profile::default(),
            default_partitions: 1,
            default_replication: 3,
            partitions_max: 100_000,
            auto_create_topics: true,
            keep: Keep::All,
            min_insync_replicas: 1,
            max_message_bytes: 1_048_588,
            segment_bytes: 1024 * 1024 * 1024,
            replication_lag: Duration::ZERO,
            replica_lag_max: Duration::from_secs(30),
            check_records: None,
            first_epoch: ProducerEpoch(0),
            seed: 0,
        }
    }
}
