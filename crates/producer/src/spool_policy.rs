//! What a spool is told at its start.

use std::path::PathBuf;
use std::time::Duration;

use milena_spool::{Fsync, SpoolConfig};

/// Keeps records on this machine's disk that could not be delivered, and sends them when the cluster is back.
///
/// Records that failed for a reason that time may mend ([`Failure::may_mend`](crate::Failure::may_mend): the delivery timeout, a topic that is not known,
/// a close that came too early) are written to segment files in `dir`, and end with the fate [`Fate::Spooled`](crate::Fate::Spooled). From then on all
/// records of their partition queue behind them there. A replay of the producer's own sends them in order; when it has caught up, new records go straight to
/// the cluster again. What an earlier process left in `dir` is sent as well.
///
/// **`Spooled` is an error of the [`Delivery`](crate::Delivery), not a success**: the record is not on the cluster, has no offset, and is only as safe as
/// this disk. It counts as no unobserved failure, and becomes no dead letter.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SpoolPolicy {
    /// The spool's folder; made if need be. One producer or replay at a time has it.
    pub dir: PathBuf,
    /// Most bytes there. What comes when they are used up fails as it would without a spool. Default: 1 GiB.
    pub max_bytes: u64,
    /// When what is written survives a crash of the machine; a crash of the process loses nothing in any case. Default: before the outcome is told.
    pub fsync: Fsync,
    /// Whether the replay sends again also what may be written already and cannot be resolved. Default: no; it is put aside.
    pub accept_duplicates: bool,
    /// How long brokers remember a silent producer at least: what is older and may be written is put aside. Default: 23 h; Kafka's own default
    /// (`producer.id.expiration.ms`) is 24 h.
    pub broker_memory: Duration,
    /// How long the replay leaves a partition alone that it could not go on with; less than 10 ms counts as 10 ms. Default: 10 s.
    pub retry_after: Duration,
}

impl SpoolPolicy {
    /// The defaults, in `dir`.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        let SpoolConfig { dir, max_bytes, fsync, .. } = SpoolConfig::new(dir);
        Self {
            dir,
            max_bytes,
            fsync,
            accept_duplicates: false,
            broker_memory: Duration::from_secs(23 * 60 * 60),
            retry_after: Duration::from_secs(10),
        }
    }

    /// Sets [`max_bytes`](Self::max_bytes).
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets [`fsync`](Self::fsync).
    #[must_use]
    pub fn fsync(mut self, fsync: Fsync) -> Self {
        self.fsync = fsync;
        self
    }

    /// Sets [`accept_duplicates`](Self::accept_duplicates).
    #[must_use]
    pub fn accept_duplicates(mut self, accept: bool) -> Self {
        self.accept_duplicates = accept;
        self
    }

    /// Sets [`broker_memory`](Self::broker_memory).
    #[must_use]
    pub fn broker_memory(mut self, memory: Duration) -> Self {
        self.broker_memory = memory;
        self
    }

    /// Sets [`retry_after`](Self::retry_after).
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = wait;
        self
    }

    pub(crate) fn config(&self) -> SpoolConfig {
        SpoolConfig { max_bytes: self.max_bytes, fsync: self.fsync, ..SpoolConfig::new(&self.dir) }
    }
}
