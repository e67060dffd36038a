//! What the producer does next: batches stamped, sent, retried, expired and settled; no I/O and no clock.
//!
//! [`Sender`] is one machine: inputs in, outputs out, time as an argument. Inside, each file is one concern:
//!
//! - `partition`: one partition's batches from the queue to their outcome, and what it could do next
//! - `drain`, `requests`: which batches share the next request to a broker, and how its answer finds them
//! - `pressure`: what lingers while callers wait for memory
//! - `seal`: encoding and compression, elsewhere and in parallel, back in order
//! - `answers`: what an answer or its loss means, by the verdicts of [`milena_sequence`]
//! - `outcomes`: every batch gets exactly one, in time, and its fate is true
//! - `topics`, `identity`: records that wait for a topic, leaders that move, topics created again, producer ids
//! - `flush`, `commands`: what users ask for besides producing
//! - `metrics`, `health`: what they can read at any time
//!
//! A partition is looked at (`touch`) whenever something about it changed. That lists it with its broker if it has something to send, or sets
//! a timer; nothing is ever searched for.

mod answers;
mod api;
mod backoff;
mod commands;
mod config;
mod diverting;
mod drain;
mod few;
mod flush;
mod health;
mod identity;
mod metrics;
mod outcomes;
mod partition;
mod pressure;
mod quiet;
mod refused;
mod requests;
mod seal;
mod sender;
mod slots;
mod timers;
mod topics;

#[cfg(test)]
mod tests;

pub use api::{
    Command, CommandError, CommandErrorKind, CommandId, CommandResult, Input, Lost, Output, SealTicket, TopicPartitions,
};
pub use config::{Guarantee, RecreatedTopic, RefusedIdentity, SenderConfig};
pub use health::{Health, HealthBoard};
pub use metrics::{Counters, Histogram, Metrics, MetricsSnapshot, Tally};
pub use sender::Sender;
