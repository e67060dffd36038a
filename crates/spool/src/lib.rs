//! Records that could not be delivered, kept on disk until they can be, and their replay.
//!
//! ```text
//! DIR/.lock                                       one process at a time
//!     spool.version                               the format
//!     topics/<topic>/topic.id                     the topic's id when its records came here
//!                    <partition>/00..00.log       Kafka record batches v2, as they were sealed; Kafka's DumpLogSegments reads them
//!                                00..00.fates     a line for each batch: whether it may be written, why it is here
//!                                replay           how far the replay is, replaced in one step before each send
//!                                aside/           batches that the replay put aside
//!                    unassigned/                  the same for records whose partition is not known yet
//! ```
//!
//! - [`Spool`] owns the files: [`open`](Spool::open), [`append`](Spool::append), [`pending`](Spool::pending).
//! - [`replay`] decides how what is in there is sent, and what an answer means; whoever sends it carries that out.
//! - [`Recovered`] says what opening found wrong: torn ends that were cut off, damaged files that were set aside.
//!
//! **The law of this crate: what is on the disk decides.** Nothing is sent before the disk says what is sent and under which identity,
//! and nothing is let go of before the disk says that it is done.

mod assign;
mod batch;
mod disk;
mod error;
mod fates;
mod folder;
#[cfg(feature = "hostile")]
pub mod hostile;
mod names;
mod progress;
mod recovered;
pub mod replay;
mod scan;
mod spool;
#[cfg(test)]
mod tests;

pub use assign::ASSIGNED_AT_ONCE;
pub use batch::{Head, Pending, Place, SpooledBatch};
pub use error::SpoolError;
pub use milena_sequence::{Fate, Identity, Stamp};
pub use progress::{Progress, Trying};
pub use recovered::{Damage, Recovered, Torn};
pub use spool::{Fsync, Source, Spool, SpoolConfig};
