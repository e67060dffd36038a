//! A Kafka producer in Rust alone: every record ends in exactly one outcome.
//!
//! Start with [`Producer::builder`]. In reading order:
//!
//! - [`Record`] is what is produced, [`Producer`] takes it.
//! - [`Delivery`] is the handle to its one outcome: a [`Receipt`] or a [`DeliveryError`], whose [`Fate`] says whether the
//!   record may be on the log in spite of the error.
//! - [`ProducerConfig`] lists every setting with its default; [`Guarantee`] is the one that matters most.
//! - [`FailurePolicy`] says what becomes of failed records besides: a callback gets them back, or a dead-letter topic.
//! - `tls` (a feature, on by default) has what [`ProducerBuilder::tls`] takes: trusted certificates, and who this client is.
//! - [`DeliveryHandler`] hears of records that were queued with a token instead of a handle, and of failures nobody saw.
//! - [`property`] reads settings under Java's and librdkafka's names, and [`Producer::from_settings`] takes them.
//! - [`sasl`] has the mechanisms that [`ProducerBuilder::sasl`] takes.
//! - [`SpoolPolicy`] keeps on disk what cannot be delivered, and [`Replay`] sends it.
//! - [`Producer::health`] and [`Producer::metrics`] say how it is and what it has done.

mod alarm;
mod block_on;
mod blocking;
mod builder;
mod clock;
mod commands;
mod config;
mod dead_letter;
mod driver;
mod error;
mod handler;
mod headers;
mod health;
mod letter_topic;
mod letters;
mod notices;
mod pace;
mod patience;
mod producer;
mod properties;
mod record;
mod replay;
mod runtime;
mod seal;
mod security;
mod seed;
mod spool_policy;
mod spooler;
mod timeout;
mod watch;
mod world;

pub use milena_accumulator::{
    BatchReport, CustomPartitioner, Delivery, DeliveryError, Failure, FailureKind, Fate, MemoryUse, Outcome,
    PartitionRequest, PartitionerKind, Receipt, ReceiptTopic, Reported,
};
pub use milena_client::{property, sasl};
pub use milena_cluster::{ClusterState, ConnError, ConnErrorKind, HostPort, LooksLike};
pub use milena_pool::{
    BoxFuture, Connector, Keepalive, Resolver, Secure, Secured, Stream, SystemResolver, Target, TcpConnector,
};
pub use milena_replay::{Panicked, Replay, ReplayConfig, ReplayEvent, SharedSpool};
pub use milena_sender::{
    Counters, Guarantee, Histogram, MetricsSnapshot, RecreatedTopic, RefusedIdentity, Tally, TopicPartitions,
};
pub use milena_spool as spool;
pub use milena_spool::Fsync;
#[cfg(feature = "tls")]
pub use milena_tls as tls;
pub use milena_wire::{
    BrokerId, Codec, Compression, ErrorCode, HeaderRef, LevelError, Offset, PartitionId, RecordParts, TlsError,
    TlsFault, TopicId, TopicName,
};

pub use blocking::Blocking;
pub use builder::ProducerBuilder;
pub use config::{ConfigError, ConfigProblem, ProducerConfig};
pub use dead_letter::{DeadLetter, DeadLetterTopic, FailurePolicy, dead_letter_headers};
pub use error::{
    CloseError, EnqueueError, FlushError, NotReady, NotReadyKind, Rejected, SendError, UnobservedFailures,
};
pub use handler::{DeliveryHandler, HandlerThread};
pub use health::{BrokerHealth, BrokerState, ClusterHealth, Health, LastError, ProducerState, SpoolHealth};
pub use producer::{Producer, Purge};
pub use record::{Payload, Record};
pub use runtime::Io;
pub use spool_policy::SpoolPolicy;
