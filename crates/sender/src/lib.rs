//! What the producer does next: batches stamped, sent, retried, expired and settled; no I/O and no clock.

mod answers;
mod api;
mod backoff;
mod commands;
mod config;
mod drain;
mod flush;
mod identity;
mod metrics;
mod outcomes;
mod partition;
mod quiet;
mod requests;
mod seal;
mod sender;
mod timers;
mod topics;

#[cfg(test)]
mod tests;

pub use api::{
    Command, CommandError, CommandErrorKind, CommandId, CommandResult, Input, Output, SealTicket, TopicPartitions,
};
pub use config::{Guarantee, RecreatedTopic, SenderConfig};
pub use metrics::{Counters, Histogram, Metrics, MetricsSnapshot, Tally};
pub use sender::Sender;
