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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_checksums_give_their_catalogue_values() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32_ieee(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32c(b""), 0);
    }

    #[test]
    fn appending_slices_equals_one_pass() {
        let bytes: Vec<u8> = (0..=255).cycle().take(5000).collect();
        let slices: Vec<Bytes> = bytes[100..].chunks(333).map(Bytes::copy_from_slice).collect();
        assert_eq!(crc32c_append_all(crc32c(&bytes[..100]), &slices), crc32c(&bytes));
    }
}
