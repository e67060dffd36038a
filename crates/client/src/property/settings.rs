//! What a set of properties means.

use std::path::PathBuf;
use std::time::Duration;

use milena_cluster::HostPort;
use milena_wire::Compression;

use crate::sasl::SaslSettings;
use crate::security::{SecurityProtocol, TlsSettings};

/// Settings read from properties. A field is `Some` only if it was set.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Settings {
    /// What any client may be told.
    pub client: ClientSettings,
    /// What a producer may be told.
    pub producer: ProducerSettings,
    /// Properties that are known but have no effect here, with the reason. Worth a line in the log.
    pub ignored: Vec<Ignored>,
}

impl Settings {
    /// What whoever chose these settings should hear of, a sentence each: properties without effect, and what is given up by implication.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        let ignored = self.ignored.iter().map(|ignored| format!("{} has no effect: {}", ignored.key, ignored.reason));
        let given_up = match (self.producer.acks, self.producer.enable_idempotence) {
            (Some(Acks::Leader), None) => {
                Some("acks=1 gives up idempotence: records can be on the log twice, and be lost with their leader")
            }
            (Some(Acks::None), None) => {
                Some("acks=0 gives up idempotence and every answer: nobody hears of what is lost")
            }
            _ => None,
        };
        let meant = "enable.idempotence=false says that this is meant";
        ignored.chain(given_up.map(|given_up| format!("{given_up}; {meant}")))
    }
}

/// A property that was accepted and has no effect.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Ignored {
    /// The name as it was written.
    pub key: String,
    /// Where it was written, as in [`Problem`](super::Problem).
    pub source: String,
    /// The line in that source, from 1. `None` for single pairs.
    pub line: Option<usize>,
    /// Why it has no effect.
    pub reason: &'static str,
}

/// What any client may be told.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ClientSettings {
    /// `bootstrap.servers`: at least one.
    pub bootstrap: Option<Vec<HostPort>>,
    /// `client.id`.
    pub client_id: Option<String>,
    /// `request.timeout.ms`.
    pub request_timeout: Option<Duration>,
    /// `retry.backoff.ms`.
    pub retry_backoff: Option<Duration>,
    /// `retry.backoff.max.ms`.
    pub retry_backoff_max: Option<Duration>,
    /// `reconnect.backoff.ms`.
    pub reconnect_backoff: Option<Duration>,
    /// `reconnect.backoff.max.ms`.
    pub reconnect_backoff_max: Option<Duration>,
    /// `socket.connection.setup.timeout.ms`.
    pub connect_timeout: Option<Duration>,
    /// `socket.connection.setup.timeout.max.ms`.
    pub connect_timeout_max: Option<Duration>,
    /// `connections.max.idle.ms`; [`Duration::MAX`] for never.
    pub idle_timeout: Option<Duration>,
    /// `metadata.max.age.ms`.
    pub metadata_max_age: Option<Duration>,
    /// `metadata.max.idle.ms`.
    pub metadata_max_idle: Option<Duration>,
    /// `metadata.recovery.strategy`: whether it is `rebootstrap`.
    pub rebootstrap: Option<bool>,
    /// `metadata.recovery.rebootstrap.trigger.ms`.
    pub rebootstrap_trigger: Option<Duration>,
    /// `send.buffer.bytes`. Not set by `-1`, which is the default: the system's choice.
    pub send_buffer: Option<u32>,
    /// `receive.buffer.bytes`. Not set by `-1`, which is the default: the system's choice.
    pub receive_buffer: Option<u32>,
    /// librdkafka's `socket.nagle.disable`.
    pub nodelay: Option<bool>,
    /// librdkafka's `socket.keepalive.enable`.
    pub keepalive: Option<bool>,
    /// librdkafka's `receive.message.max.bytes`: the largest answer accepted.
    pub max_frame: Option<usize>,
    /// `allow.auto.create.topics`.
    pub auto_create_topics: Option<bool>,
    /// `security.protocol`.
    pub security_protocol: Option<SecurityProtocol>,
    /// `ssl.…`. They count if the protocol has TLS.
    pub tls: TlsSettings,
    /// `sasl.*`.
    pub sasl: SaslSettings,
}

/// What a producer may be told.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ProducerSettings {
    /// `acks`.
    pub acks: Option<Acks>,
    /// `enable.idempotence`.
    pub enable_idempotence: Option<bool>,
    /// `retries`.
    pub retries: Option<u32>,
    /// `max.in.flight.requests.per.connection`.
    pub max_in_flight: Option<usize>,
    /// `linger.ms`.
    pub linger: Option<Duration>,
    /// `batch.size`, in bytes.
    pub batch_size: Option<usize>,
    /// `buffer.memory`, in bytes.
    pub buffer_memory: Option<usize>,
    /// `max.request.size`, in bytes: the largest record and the largest request.
    pub max_request_size: Option<usize>,
    /// `max.block.ms`.
    pub max_block: Option<Duration>,
    /// librdkafka's `topic.metadata.propagation.max.ms`.
    pub unknown_topic_grace: Option<Duration>,
    /// `delivery.timeout.ms`.
    pub delivery_timeout: Option<Duration>,
    /// `compression.type` with the level that goes with it.
    pub compression: Option<Compression>,
    /// `partitioner` or `partitioner.class`.
    pub partitioner: Option<Partitioner>,
    /// `partitioner.ignore.keys`.
    pub ignore_keys: Option<bool>,
    /// `partitioner.adaptive.partitioning.enable`.
    pub adaptive: Option<bool>,
    /// `milena.refused.identity`: what becomes of waiting records when brokers refuse who the producer is.
    pub refused_identity: Option<OnRefusedIdentity>,
    /// `milena.dead.letter.topic`: where failed records go.
    pub dead_letter_topic: Option<String>,
    /// `milena.spool.…`: what is kept on disk. Counts if there is a folder.
    pub spool: SpoolSettings,
}

/// What becomes of records that wait for brokers who refuse who the producer is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OnRefusedIdentity {
    /// They go on waiting.
    Wait,
    /// They fail if no broker has ever accepted this producer.
    FailAtStart,
    /// They fail.
    Fail,
}

/// What a producer may be told of its spool.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SpoolSettings {
    /// `milena.spool.dir`.
    pub dir: Option<PathBuf>,
    /// `milena.spool.max.bytes`.
    pub max_bytes: Option<u64>,
    /// `milena.spool.fsync`.
    pub fsync: Option<SpoolFsync>,
    /// `milena.spool.accept.duplicates`.
    pub accept_duplicates: Option<bool>,
    /// `milena.spool.broker.memory.ms`.
    pub broker_memory: Option<Duration>,
}

/// When what is written to the spool is made to survive a crash of the machine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SpoolFsync {
    /// Before the outcome is told.
    Always,
    /// This long after the last time.
    Interval(Duration),
    /// When the system likes.
    Never,
}

/// Who must have a batch before it counts as delivered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Acks {
    /// `0`: nobody; no answer is sent.
    None,
    /// `1`: the leader alone.
    Leader,
    /// `all` or `-1`: all in-sync replicas.
    All,
}

/// How a record without a partition gets one, in the words of Java and librdkafka.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Partitioner {
    /// Java's built-in: murmur2 of the key; without a key, sticky.
    Java,
    /// Java's `UniformStickyPartitioner`: sticky, whatever the key (KIP-794).
    UniformSticky,
    /// Java's `RoundRobinPartitioner`: one partition after the other, whatever the key.
    RoundRobin,
    /// librdkafka's `random`: any partition for every record anew, whatever the key.
    Random,
    /// librdkafka's `consistent`: CRC-32 of the key; null counts as empty.
    Consistent,
    /// librdkafka's `consistent_random`, its default: CRC-32 of the key; without a key or with an empty one, sticky.
    ConsistentRandom,
    /// librdkafka's `murmur2`: murmur2 of the key; null counts as empty.
    Murmur2,
    /// librdkafka's `murmur2_random`: as [`Java`](Self::Java).
    Murmur2Random,
    /// librdkafka's `fnv1a`: FNV-1a of the key; null counts as empty.
    Fnv1a,
    /// librdkafka's `fnv1a_random`, and sarama's default: FNV-1a of the key; without a key, sticky.
    Fnv1aRandom,
}
