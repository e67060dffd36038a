//! What an embedded cluster is made of, before it starts.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use milena_wire::ProducerEpoch;

use crate::core::{CoreConfig, Keep};
use crate::profile::Profile;
use crate::sasl::SaslServer;

use super::EmbeddedCluster;
use super::security::Security;

/// Settings of an [`EmbeddedCluster`]; every one has a default, so `EmbeddedCluster::builder().start().await` works.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is started"]
pub struct Builder {
    pub(super) core: CoreConfig,
    pub(super) listen: String,
    pub(super) advertise: Option<String>,
    pub(super) tcp: bool,
    pub(super) data_dir: Option<PathBuf>,
    pub(super) threads: usize,
    pub(super) frame_max: usize,
    pub(super) secure: Security,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            core: CoreConfig::default(),
            listen: "127.0.0.1:0".to_owned(),
            advertise: None,
            tcp: true,
            data_dir: None,
            threads: 1,
            frame_max: 100 * 1024 * 1024,
            secure: Security::default(),
        }
    }
}

impl Builder {
    /// Number of nodes, with ids from 1. Default 1; at least 1, at most 256.
    pub fn nodes(mut self, nodes: usize) -> Self {
        self.core.nodes = nodes.clamp(1, 256);
        self
    }

    /// Partitions of a topic that is created automatically. Default 1.
    pub fn partitions(mut self, partitions: i32) -> Self {
        self.core.default_partitions = partitions.max(1);
        self
    }

    /// Replicas of a topic that is created automatically, capped by the number of nodes. Default 3.
    pub fn replication(mut self, replicas: i16) -> Self {
        self.core.default_replication = replicas.max(1);
        self
    }

    /// Partitions of all topics together, at most; who asks for more is refused with `INVALID_PARTITIONS`. Default 100,000, which take
    /// some 50 MB.
    pub fn partitions_max(mut self, partitions: usize) -> Self {
        self.core.partitions_max = partitions;
        self
    }

    /// Which release to imitate. Default [`Profile::V4_3`].
    pub fn profile(mut self, profile: Profile) -> Self {
        self.core.profile = profile;
        self
    }

    /// Where the nodes listen. Default `127.0.0.1:0`. With a port, node `i` listens on `port + i - 1`.
    pub fn listen(mut self, address: &str) -> Self {
        address.clone_into(&mut self.listen);
        self
    }

    /// The host name the nodes tell clients. Default: the address they listen on, `127.0.0.1` if that is all addresses.
    pub fn advertise(mut self, host: &str) -> Self {
        self.advertise = Some(host.to_owned());
        self
    }

    /// No TCP: only [`EmbeddedCluster::memory_connector`] reaches the nodes, which advertise made-up addresses.
    pub fn memory_only(mut self) -> Self {
        self.tcp = false;
        self
    }

    /// Keeps the log in Kafka's segment format below this folder, one folder per partition, and resumes from what is
    /// there: records, producer state, topic ids. Settings of topics are not kept. Default: in memory only.
    pub fn data_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(dir.into());
        self
    }

    /// Whether Metadata creates topics that do not exist. Default true.
    pub fn auto_create_topics(mut self, auto_create: bool) -> Self {
        self.core.auto_create_topics = auto_create;
        self
    }

    /// How many records are kept in memory. Default [`Keep::All`]. Ignored with a data folder.
    pub fn keep(mut self, keep: Keep) -> Self {
        self.core.keep = keep;
        self
    }

    /// Below how many in-sync replicas acks=all is refused. Default 1. A topic's `min.insync.replicas` wins.
    pub fn min_insync_replicas(mut self, replicas: i16) -> Self {
        self.core.min_insync_replicas = replicas.max(1);
        self
    }

    /// Largest batch in bytes, header included. Default 1,048,588. A topic's `max.message.bytes` wins.
    pub fn max_message_bytes(mut self, bytes: usize) -> Self {
        self.core.max_message_bytes = bytes;
        self
    }

    /// How long a follower takes to copy an append; what acks=all waits for. Default zero: at once.
    pub fn replication_lag(mut self, lag: Duration) -> Self {
        self.core.replication_lag = lag;
        self
    }

    /// How long a silent follower stays in sync (`replica.lag.time.max.ms`). Default 30 s.
    pub fn replica_lag_max(mut self, lag: Duration) -> Self {
        self.core.replica_lag_max = lag;
        self
    }

    /// Whether each record is looked at (offset deltas, lengths, null keys on compacted topics), as Kafka does.
    /// Default true,
    /// except with [`Keep::Nothing`]. CRC, sizes, counts and sequences are always checked.
    pub fn check_records(mut self, check: bool) -> Self {
        self.core.check_records = Some(check);
        self
    }

    /// Threads that serve connections. Default 1. They are the cluster's own, so a caller that blocks does not stop it.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// Largest request in bytes (`socket.request.max.bytes`); a longer one ends its connection. Default 100 MiB.
    pub fn frame_max(mut self, bytes: usize) -> Self {
        self.frame_max = bytes;
        self
    }

    /// Epoch that a new producer id comes with, as if the id had been in use for long. Default 0.
    pub fn first_epoch(mut self, epoch: ProducerEpoch) -> Self {
        self.core.first_epoch = epoch;
        self
    }

    /// All nodes speak TLS and nothing else, also through [`EmbeddedCluster::memory_connector`]. Default: plain text.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: milena_tls::TlsServer) -> Self {
        self.secure.tls = Some(tls);
        self
    }

    /// All nodes want their clients to authenticate by SASL. Default: they do not.
    pub fn sasl(mut self, sasl: SaslServer) -> Self {
        self.secure.sasl = Some(sasl);
        self
    }

    /// Decides topic ids and nothing else. Default 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.core.seed = seed;
        self
    }

    /// What counts without sockets.
    pub(crate) fn into_parts(self) -> (CoreConfig, Option<SaslServer>) {
        (self.core, self.secure.sasl)
    }

    /// Starts the nodes; they listen when this returns.
    ///
    /// # Errors
    ///
    /// If an address cannot be bound or the data folder cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops what was started.
    pub async fn start(self) -> io::Result<EmbeddedCluster> {
        EmbeddedCluster::start(self).await
    }

    /// [`start`](Self::start) for a thread that is not in an async runtime.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_blocking(self) -> io::Result<EmbeddedCluster> {
        EmbeddedCluster::start_blocking(self)
    }
}
