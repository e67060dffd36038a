//! What a producer is told at its start: typed values, checked together.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use milena_accumulator::PartitionerKind;
use milena_client::sasl::SaslMechanism;
use milena_cluster::HostPort;
use milena_sender::{Guarantee, RecreatedTopic, RefusedIdentity};
use milena_wire::{BATCH_HEADER_LEN, Compression, ErrorCode};

/// Room for the smallest answers a broker gives: its versions, and the metadata of a small cluster.
const MIN_FRAME: usize = 1024;

/// More only wait for each other; and they are started whether or not there is work for them.
const MAX_COMPRESSION_THREADS: usize = 256;

/// A producer's settings, all resolved. Printed, it lists them under Kafka's names, or under the
/// builder's where Kafka has none.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProducerConfig {
    /// `bootstrap.servers`: where the cluster is first asked for.
    pub bootstrap: Vec<HostPort>,
    /// `client.id`: named in every request, in the broker's logs and quotas. Default: `milena`.
    pub client_id: String,
    /// What is promised for each record; Kafka's `acks` and `enable.idempotence` in one choice. Default: exactly once.
    pub guarantee: Guarantee,
    /// `linger.ms`: the longest a record waits for others to share its batch. Default: 5 ms.
    pub linger: Duration,
    /// `batch.size`: a batch is closed when its uncompressed bytes, 61-byte header included, would exceed this.
    /// Default: 256 KiB. A larger record gets a batch of its own.
    pub batch_size: usize,
    /// Largest record accepted, in bytes of a batch that holds it alone, before compression. Default: 1 MiB, Kafka's
    /// `max.request.size`; a broker's own limit is its topic's `max.message.bytes`.
    pub max_record_size: usize,
    /// Largest request, in bytes. Default: 8 MiB. A larger batch still gets a request of its own.
    pub max_request_size: usize,
    /// `buffer.memory`: bytes held for records that have no outcome yet. Default: 32 MiB.
    pub buffer_memory: usize,
    /// `max.block.ms`: the longest `enqueue` waits for memory. Default: 60 s.
    pub max_block: Duration,
    /// `compression.type` and its level. Default: none.
    pub compression: Compression,
    /// Threads that compress, 1 to 256. Default: one per core, at most four. Unused without compression.
    pub compression_threads: usize,
    /// How a record without a partition gets one. Default: murmur2 of the key; sticky, adaptive without a key.
    pub partitioner: PartitionerKind,
    /// Bytes of keyless records that go to one partition before the next is chosen, at least 1. Default: 16 KiB.
    pub sticky_bytes: usize,
    /// `partitioner.adaptive.partitioning.enable`: keyless records prefer partitions with short queues. Default: on.
    pub adaptive: bool,
    /// `delivery.timeout.ms`: how long after it was enqueued a record has its outcome at the latest. Default: 120 s.
    pub delivery_timeout: Duration,
    /// `request.timeout.ms`: how long one request may take. Default: 30 s.
    pub request_timeout: Duration,
    /// `retry.backoff.ms`: wait before a retry; doubles, ±20 %. A batch's first retry with a leader comes after a tenth of it. Default: 100 ms.
    pub retry_backoff: Duration,
    /// `retry.backoff.max.ms`: the longest wait between retries. Default: 1 s.
    pub retry_backoff_max: Duration,
    /// `retries`: how often one batch is sent again. Default: 2147483647, which is without limit; the delivery timeout ends it.
    pub retries: u32,
    /// Broker's codes after which a batch fails though it could be sent again. Lost answers count as `NETWORK_EXCEPTION` and
    /// `REQUEST_TIMED_OUT`. The fate stays true: what may be on the log fails as maybe written. Default: none.
    pub fail_at_once: Vec<ErrorCode>,
    /// `max.in.flight.requests.per.connection`: unanswered requests per broker. Default: 5.
    pub max_in_flight: usize,
    /// Unanswered batches per partition. Default: 5 with exactly once (the broker remembers five), 1 at least once (a
    /// retry then cannot reorder), without limit at most once.
    pub partition_in_flight: Option<usize>,
    /// `topic.metadata.propagation.max.ms`: how long records for a topic or partition that the cluster does not know, or knows no
    /// more, wait for it. Default: 10 s.
    pub unknown_topic_grace: Duration,
    /// What becomes of unsent records when their topic is deleted and created again. Default: they fail.
    pub recreated_topic: RecreatedTopic,
    /// `milena.refused.identity`: what becomes of waiting records when a broker does not accept who this producer says it is, or is not who it
    /// should be, or a token endpoint refuses it: wrong password, unknown issuer. Default: they go on waiting, up to `delivery.timeout.ms`.
    pub refused_identity: RefusedIdentity,
    /// `allow.auto.create.topics`: whether asking for a topic may create it, if the broker allows it. Default: on.
    pub auto_create_topics: bool,
    /// `metadata.max.age.ms`: metadata is asked for again after this long without a reason. Default: 5 min.
    pub metadata_max_age: Duration,
    /// `metadata.max.idle.ms`: a topic not produced to for this long is forgotten. Default: 5 min.
    pub metadata_max_idle: Duration,
    /// `metadata.recovery.strategy`: whether to start again from the bootstrap list when no broker answers (KIP-899).
    /// Default: on.
    pub rebootstrap: bool,
    /// `metadata.recovery.rebootstrap.trigger.ms`: how long no metadata arrives before that; less than 1 s counts as 1 s. Default: 5 min.
    pub rebootstrap_trigger: Duration,
    /// `socket.connection.setup.timeout.ms`: how long a connection may take to become usable; doubles (KIP-601). Default: 10 s.
    pub connect_timeout: Duration,
    /// `socket.connection.setup.timeout.max.ms`: its upper bound. Default: 30 s.
    pub connect_timeout_max: Duration,
    /// `reconnect.backoff.ms`: wait before a broker is tried again; doubles, ±20 %. Default: 50 ms.
    pub reconnect_backoff: Duration,
    /// `reconnect.backoff.max.ms`: its upper bound. Default: 1 s.
    pub reconnect_backoff_max: Duration,
    /// `connections.max.idle.ms`: an unused connection is closed after this long. Default: 9 min.
    pub idle_timeout: Duration,
    /// `receive.message.max.bytes`: the largest answer accepted, in bytes; a port that is no broker's must not make the client reserve more. Default: 100 MiB.
    pub max_frame: usize,
    /// How connections authenticate: `sasl.mechanism` and what belongs to it. Default: they do not.
    pub sasl: Option<Arc<dyn SaslMechanism>>,
    /// How long a producer whose last handle is dropped goes on delivering. Default: 30 s.
    pub drop_timeout: Duration,
}

impl ProducerConfig {
    pub(crate) fn new(bootstrap: Vec<HostPort>) -> Self {
        Self {
            bootstrap,
            client_id: "milena".into(),
            guarantee: Guarantee::ExactlyOnce,
            linger: Duration::from_millis(5),
            batch_size: 256 * 1024,
            max_record_size: 1024 * 1024,
            max_request_size: 8 * 1024 * 1024,
            buffer_memory: 32 * 1024 * 1024,
            max_block: Duration::from_secs(60),
            compression: Compression::NONE,
            compression_threads: std::thread::available_parallelism().map_or(1, usize::from).min(4),
            partitioner: PartitionerKind::default(),
            sticky_bytes: 16 * 1024,
            adaptive: true,
            delivery_timeout: Duration::from_secs(120),
            request_timeout: Duration::from_secs(30),
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: Duration::from_secs(1),
            retries: i32::MAX.unsigned_abs(),
            fail_at_once: Vec::new(),
            max_in_flight: 5,
            partition_in_flight: None,
            unknown_topic_grace: Duration::from_secs(10),
            recreated_topic: RecreatedTopic::Fail,
            refused_identity: RefusedIdentity::Wait,
            auto_create_topics: true,
            metadata_max_age: Duration::from_secs(300),
            metadata_max_idle: Duration::from_secs(300),
            rebootstrap: true,
            rebootstrap_trigger: Duration::from_secs(300),
            connect_timeout: Duration::from_secs(10),
            connect_timeout_max: Duration::from_secs(30),
            reconnect_backoff: Duration::from_millis(50),
            reconnect_backoff_max: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(540),
            max_frame: milena_pool::DEFAULT_MAX_FRAME,
            sasl: None,
            drop_timeout: Duration::from_secs(30),
        }
    }

    /// Every rule that spans fields or bounds one, each broken one as a sentence.
    pub(crate) fn check(&self) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        let mut rule = |holds: bool, setting: &'static str, problem: String| {
            if !holds {
                problems.push(ConfigProblem { setting: setting.into(), problem });
            }
        };
        rule(!self.bootstrap.is_empty(), "bootstrap.servers", "names no broker; give at least one host:port".into());
        for (setting, duration) in self.durations() {
            // Kafka carries timeouts as int32 milliseconds.
            rule(
                duration.as_millis() <= i32::MAX as u128
                    || (setting == "connections.max.idle.ms" && duration == Duration::MAX),
                setting,
                format!("{} ms does not fit Kafka's 32-bit milliseconds", duration.as_millis()),
            );
        }
        let needed = self.linger.saturating_add(self.request_timeout);
        rule(
            self.delivery_timeout >= needed,
            "delivery.timeout.ms",
            format!(
                "{} ms is less than linger.ms + request.timeout.ms = {} ms: a record could expire before its first \
                 attempt ends (KIP-91)",
                self.delivery_timeout.as_millis(),
                needed.as_millis()
            ),
        );
        rule(
            i16::try_from(self.client_id.len()).is_ok() && !self.client_id.contains('\0'),
            "client.id",
            "must be at most 32767 bytes without a NUL: a request can carry no longer one, and threads are named by it"
                .into(),
        );
        for (setting, duration) in [
            ("request.timeout.ms", self.request_timeout),
            ("socket.connection.setup.timeout.ms", self.connect_timeout),
            ("connections.max.idle.ms", self.idle_timeout),
            ("metadata.max.age.ms", self.metadata_max_age),
            ("metadata.max.idle.ms", self.metadata_max_idle),
        ] {
            rule(!duration.is_zero(), setting, "must not be zero".into());
        }
        rule(self.max_in_flight >= 1, "max.in.flight.requests.per.connection", "must be at least 1".into());
        if let Some(batches) = self.partition_in_flight {
            rule(batches >= 1, "partition_in_flight", "must be at least 1".into());
            rule(
                self.guarantee != Guarantee::ExactlyOnce || batches <= 5,
                "partition_in_flight",
                format!(
                    "{batches} is more than 5, which is how many batches a broker remembers per producer; exactly-once \
                     needs that memory"
                ),
            );
        }
        rule(
            (1..=MAX_COMPRESSION_THREADS).contains(&self.compression_threads),
            "compression_threads",
            format!("{} is not between 1 and {MAX_COMPRESSION_THREADS}", self.compression_threads),
        );
        rule(
            self.sticky_bytes >= 1,
            "sticky_bytes",
            "must be at least 1; PartitionerKind::Random draws a partition for each record".into(),
        );
        rule(
            self.max_record_size > BATCH_HEADER_LEN,
            "max_record_size",
            format!(
                "{} leaves no room for a record behind the {BATCH_HEADER_LEN}-byte batch header",
                self.max_record_size
            ),
        );
        rule(
            self.max_record_size <= i32::MAX as usize / 2 && self.max_request_size <= i32::MAX as usize / 2,
            "max.request.size",
            "must stay below 1 GiB".into(),
        );
        rule(
            self.batch_size <= i32::MAX as usize / 2,
            "batch.size",
            format!("{} is more than 1 GiB; no broker accepts that", self.batch_size),
        );
        rule(
            self.max_request_size >= self.max_record_size,
            "max.request.size",
            format!("{} is less than max_record_size = {}", self.max_request_size, self.max_record_size),
        );
        rule(
            self.buffer_memory >= self.max_record_size,
            "buffer.memory",
            format!(
                "{} is less than the largest record accepted ({}), which could then never be enqueued",
                self.buffer_memory, self.max_record_size
            ),
        );
        rule(
            self.retry_backoff <= self.retry_backoff_max,
            "retry.backoff.ms",
            format!(
                "{} ms is more than retry.backoff.max.ms = {} ms",
                self.retry_backoff.as_millis(),
                self.retry_backoff_max.as_millis()
            ),
        );
        rule(
            self.connect_timeout <= self.connect_timeout_max,
            "socket.connection.setup.timeout.ms",
            format!(
                "{} ms is more than socket.connection.setup.timeout.max.ms = {} ms",
                self.connect_timeout.as_millis(),
                self.connect_timeout_max.as_millis()
            ),
        );
        rule(
            (MIN_FRAME..=i32::MAX as usize).contains(&self.max_frame),
            "receive.message.max.bytes",
            format!("{} is not between {MIN_FRAME} and {} bytes; answers would not fit", self.max_frame, i32::MAX),
        );
        rule(
            self.reconnect_backoff <= self.reconnect_backoff_max,
            "reconnect.backoff.ms",
            format!(
                "{} ms is more than reconnect.backoff.max.ms = {} ms",
                self.reconnect_backoff.as_millis(),
                self.reconnect_backoff_max.as_millis()
            ),
        );
        problems
    }

    fn durations(&self) -> [(&'static str, Duration); 15] {
        [
            ("linger.ms", self.linger),
            ("max.block.ms", self.max_block),
            ("delivery.timeout.ms", self.delivery_timeout),
            ("request.timeout.ms", self.request_timeout),
            ("retry.backoff.ms", self.retry_backoff),
            ("retry.backoff.max.ms", self.retry_backoff_max),
            ("topic.metadata.propagation.max.ms", self.unknown_topic_grace),
            ("metadata.max.age.ms", self.metadata_max_age),
            ("metadata.max.idle.ms", self.metadata_max_idle),
            ("metadata.recovery.rebootstrap.trigger.ms", self.rebootstrap_trigger),
            ("socket.connection.setup.timeout.ms", self.connect_timeout),
            ("socket.connection.setup.timeout.max.ms", self.connect_timeout_max),
            ("reconnect.backoff.ms", self.reconnect_backoff),
            ("reconnect.backoff.max.ms", self.reconnect_backoff_max),
            ("connections.max.idle.ms", self.idle_timeout),
        ]
    }
}

impl fmt::Display for ProducerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bootstrap: Vec<_> = self.bootstrap.iter().map(ToString::to_string).collect();
        let (acks, idempotence) = match self.guarantee {
            Guarantee::ExactlyOnce => ("all", true),
            Guarantee::AtLeastOnce { all_replicas: true } => ("all", false),
            Guarantee::AtLeastOnce { all_replicas: false } => ("1", false),
            Guarantee::AtMostOnce => ("0", false),
            _ => ("?", false),
        };
        writeln!(f, "bootstrap.servers = {}", bootstrap.join(","))?;
        writeln!(f, "client.id = {}", self.client_id)?;
        writeln!(f, "acks = {acks}")?;
        writeln!(f, "enable.idempotence = {idempotence}")?;
        writeln!(f, "compression.type = {}", self.compression)?;
        for (name, bytes) in [
            ("batch.size", self.batch_size),
            ("max_record_size", self.max_record_size),
            ("max.request.size", self.max_request_size),
            ("buffer.memory", self.buffer_memory),
            ("sticky_bytes", self.sticky_bytes),
            ("receive.message.max.bytes", self.max_frame),
            ("compression_threads", self.compression_threads),
            ("max.in.flight.requests.per.connection", self.max_in_flight),
        ] {
            writeln!(f, "{name} = {bytes}")?;
        }
        for (name, duration) in self.durations() {
            match duration {
                Duration::MAX => writeln!(f, "{name} = -1")?,
                _ => writeln!(f, "{name} = {}", duration.as_millis())?,
            }
        }
        writeln!(f, "retries = {}", self.retries)?;
        let codes: Vec<_> = self.fail_at_once.iter().map(ToString::to_string).collect();
        writeln!(f, "fail_at_once = {}", if codes.is_empty() { "none".to_owned() } else { codes.join(", ") })?;
        match self.partition_in_flight {
            Some(batches) => writeln!(f, "partition_in_flight = {batches}")?,
            None => writeln!(f, "partition_in_flight = by the guarantee")?,
        }
        writeln!(f, "recreated_topic = {:?}", self.recreated_topic)?;
        let refused = match self.refused_identity {
            RefusedIdentity::FailAtStart => "fail-at-start",
            RefusedIdentity::Fail => "fail",
            _ => "wait",
        };
        writeln!(f, "milena.refused.identity = {refused}")?;
        let sasl = self.sasl.as_ref();
        writeln!(f, "sasl.mechanism = {}", sasl.map_or("none", |mechanism| mechanism.name()))?;
        writeln!(f, "drop_timeout = {}", self.drop_timeout.as_millis())?;
        writeln!(f, "partitioner = {}", partitioner_name(&self.partitioner))?;
        writeln!(f, "partitioner.adaptive.partitioning.enable = {}", self.adaptive)?;
        writeln!(f, "allow.auto.create.topics = {}", self.auto_create_topics)?;
        writeln!(f, "metadata.recovery.strategy = {}", if self.rebootstrap { "rebootstrap" } else { "none" })
    }
}

/// librdkafka's name, or one of the same kind where it has none.
fn partitioner_name(kind: &PartitionerKind) -> &'static str {
    match kind {
        PartitionerKind::Java | PartitionerKind::Murmur2Random => "murmur2_random",
        PartitionerKind::Murmur2 => "murmur2",
        PartitionerKind::Fnv1a => "fnv1a",
        PartitionerKind::Fnv1aRandom => "fnv1a_random",
        PartitionerKind::Consistent => "consistent",
        PartitionerKind::ConsistentRandom => "consistent_random",
        PartitionerKind::Random => "random",
        PartitionerKind::RoundRobin => "round_robin",
        PartitionerKind::IgnoreKeys => "ignore_keys",
        PartitionerKind::Manual => "manual",
        PartitionerKind::Custom(_) => "custom",
        _ => "?",
    }
}

/// One thing wrong with the settings.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ConfigProblem {
    /// The setting, under Kafka's name where it has one.
    pub setting: String,
    /// What is wrong with its value, and what would be right.
    pub problem: String,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, self.problem)
    }
}

/// Why no producer was built: every problem of its settings, not only the first.
#[derive(Debug)]
pub struct ConfigError {
    pub(crate) problems: Vec<ConfigProblem>,
    pub(crate) source: Option<std::io::Error>,
}

impl ConfigError {
    /// The problems, in the order of the settings.
    #[must_use]
    pub fn problems(&self) -> &[ConfigProblem] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.source.is_some() {
            return f.write_str("the producer's threads could not be started");
        }
        f.write_str("the producer's settings do not fit together:")?;
        for problem in &self.problems {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|error| error as _)
    }
}
