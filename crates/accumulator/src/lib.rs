//! Partition queues, open batches, the memory budget, partitioners and delivery handles of the milena producer.

mod config;
mod hooks;
mod outcome;
mod partitioner;
mod record;
mod skeleton;

pub use config::AccumulatorConfig;
pub use hooks::{BatchReport, Hooks, Reported};
pub use outcome::{Failure, FailureKind, Fate, Outcome};
pub use partitioner::{CustomPartitioner, PartitionRequest, PartitionerKind};
pub use record::{At, RecordRef, Refused, Urgency};
pub use skeleton::*;
