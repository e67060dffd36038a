//! Record batches, format v2 (KIP-98): written without allocating, read without trusting.
//!
//! ```text
//! | header, 61 bytes, never compressed                                 | records            |
//! | base offset, length, leader epoch, magic, CRC | attributes .. count | one compressed     |
//! |                                               |<---- CRC-32C covers this to the end --->|
//! ```
//!
//! [`put_record`] writes records, [`write_record`] where they will lie, and [`BatchHeader`] the 61 bytes in front of them; [`BatchView`] reads a batch back and [`Records`]
//! what is in it.

mod error;
mod header;
mod in_place;
#[cfg(test)]
mod java_tests;
mod record;
mod records;
#[cfg(test)]
mod tests;
mod view;

pub use error::BatchError;
pub use header::{Attributes, BATCH_HEADER_LEN, BatchHeader, TimestampType};
pub use in_place::write_record;
pub use record::{HeaderRef, RecordParts, RecordSize, Sink, put_record, record_size, single_record_batch_bound};
pub use records::{HeaderView, Headers, RecordIter, RecordTimes, RecordView, Records};
pub use view::BatchView;

/// The records of a batch as they go behind its header, in the slices they lie in. Most batches are of one slice, which needs no list.
pub type Payload = smallvec::SmallVec<[bytes::Bytes; 1]>;
