//! The format, without files.

mod index;
mod metadata;
mod names;

pub use index::{IndexBuilder, OffsetEntry, TimeEntry};
pub use metadata::{PARTITION_METADATA, decode_partition_metadata, encode_partition_metadata};
pub use names::{FileKind, parse_partition_dir, parse_segment_name, partition_dir, segment_name};

use milena_wire::{BATCH_HEADER_LEN, LeaderEpoch, Offset};

/// Gives a validated batch its place on the log: base offset and leader epoch, written into its header.
///
/// Both lie in front of what the CRC covers, so it stays valid.
pub fn place(header: &mut [u8; BATCH_HEADER_LEN], base: Offset, epoch: LeaderEpoch) {
    header[..8].copy_from_slice(&base.0.to_be_bytes());
    header[12..16].copy_from_slice(&epoch.0.to_be_bytes());
}
