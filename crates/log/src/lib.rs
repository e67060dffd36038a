//! Kafka's log on disk: a folder per partition, segments of record batches, and sparse indexes beside them.
//!
//! ```text
//! <topic>-<partition>/00000000000000000000.log         batches, back to back, as they were produced
//!                     00000000000000000000.index       last offset of a batch (relative) -> its position, every 4 KiB
//!                     00000000000000000000.timeindex   largest timestamp so far -> last offset of its batch (relative)
//!                     partition.metadata               the topic's id
//! ```
//!
//! [`mod@format`] decides and touches no file: names, [`place`], index entries, [`IndexBuilder`]. [`PartitionLog`] owns the
//! files: it appends, recovers a torn tail, reads, truncates and resumes. Kafka's own `DumpLogSegments` reads what it
//! writes. One law: what is in a segment before the first invalid batch is the log, and nothing after it is.

mod files;
pub mod format;

pub use files::{LogConfig, PartitionLog, Recovery};
pub use format::{IndexBuilder, place};
