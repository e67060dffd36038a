//! What the producer does next: batches stamped, sent, retried, expired and settled; no I/O and no clock.

mod api;
mod config;
mod metrics;
mod sender;

pub use api::{
    Command, CommandError, CommandErrorKind, CommandId, CommandResult, Input, Output, SealTicket, TopicPartitions,
};
pub use config::{Guarantee, RecreatedTopic, SenderConfig};
pub use metrics::{Counters, Histogram, Metrics, MetricsSnapshot, Tally};
pub use sender::Sender;
