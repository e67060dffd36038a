//! What the producer has queued: partition queues, open batches, the memory budget, partitioners and delivery handles.
//!
//! A record is copied once, by [`Accumulator::append`], straight into the wire format of its partition's open batch. From then on only batches
//! move: a full one is *closed*, the sender takes it ([`PartitionQueue::close_head`]) and *seals* it ([`ClosedBatch::seal`]), sends it as
//! often as it takes, and in the end *settles* it ([`SealedBatch::settle`]), which is when the [`Delivery`] of each record knows its [`Outcome`].
//!
//! There is no I/O here, no clock but the one that is passed in, and no randomness but the seed's. User code (wakers, hooks, partitioners)
//! runs under no lock.
//!
//! In reading order:
//! - [`Accumulator`] is what callers and the sender share; `append.rs` is the path of every record.
//! - [`PartitionQueue`], [`ClosedBatch`], [`SealedBatch`] are a batch's stations.
//! - [`Diverted`] is a failed batch that still has its records, for whoever can do more with them.
//! - [`Delivery`] and [`Hooks`] are how callers hear of outcomes; [`Failure`] says what went wrong.
//! - [`Reserve`] is the line in which callers wait for memory, [`CatchUp`] how they wait for a sender that is behind.
//! - [`PartitionerKind`] chooses partitions.

mod accumulator;
mod ahead;
mod append;
mod begin;
mod behind;
mod cell;
mod chunk;
mod closed;
mod config;
mod core;
mod delivery;
mod diverted;
mod dropped;
mod hooks;
mod inner;
#[cfg(test)]
#[cfg(shuttle)]
mod interleavings;
mod latch;
mod lately;
mod lent;
mod line;
mod locker;
mod memory;
mod mind;
mod moving;
mod names;
mod open;
mod outcome;
mod park;
mod partitioner;
mod queue;
mod receipt;
mod record;
mod reserve;
mod rng;
mod sealed;
mod split;
mod squeeze;
mod stake;
mod sticky;
mod story;
mod sync;
mod table;
mod tail;
#[cfg(test)]
#[cfg(not(shuttle))]
mod test_support;
#[cfg(test)]
#[cfg(not(shuttle))]
mod tests;
mod tokens;
mod topic;
mod waiters;
mod waiting;
mod wake;

pub use accumulator::Accumulator;
pub use behind::CatchUp;
pub use closed::{ClosedBatch, OwedBatch, SealJob, SealedBytes};
pub use config::AccumulatorConfig;
pub use delivery::{Delivery, DeliveryError};
pub use diverted::Diverted;
pub use hooks::{BatchReport, Hooks, Reported};
pub use memory::{MemoryUse, Queued};
pub use outcome::{Failure, FailureKind, Fate, Outcome};
pub use park::{may_wait, ready_to_wait, without_waiting};
pub use partitioner::{CustomPartitioner, PartitionRequest, PartitionerKind};
pub use queue::{ENOUGH_BYTES, PartitionQueue, QueueView, Take};
pub use receipt::{Receipt, ReceiptTopic};
pub use record::{At, Clock, Pace, RecordRef, Refused, Urgency};
pub use reserve::{Closed, Reservation, Reserve};
pub use sealed::{SealedBatch, Stamp};
pub use topic::TopicShape;
