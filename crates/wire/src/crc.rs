//! The two checksums: CRC-32C of record batches, and the IEEE CRC-32 that librdkafka partitions by.

use bytes::Bytes;

/// CRC-32C (Castagnoli) of `bytes`, as a record batch carries it.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    ::crc32c::crc32c(bytes)
}

/// CRC-32C of what gave `crc`, followed by `bytes`.
#[must_use]
pub fn crc32c_append(crc: u32, bytes: &[u8]) -> u32 {
    ::crc32c::crc32c_append(crc, bytes)
}

/// CRC-32C of what gave `crc`, followed by all of `slices`.
#[must_use]
pub fn crc32c_append_all(crc: u32, slices: &[Bytes]) -> u32 {
    slices.iter().fold(crc, |crc, slice| ::crc32c::crc32c_append(crc, slice))
}

/// CRC-32 (IEEE 802.3, as zlib's) of `bytes`: what librdkafka's `consistent` partitioners hash keys with.
#[must_use]
pub fn crc32_ieee(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}
