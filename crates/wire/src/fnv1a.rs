//! FNV-1a of 32 bits, by which sarama, and librdkafka's `fnv1a`, choose partitions.

/// FNV-1a of `bytes`, 32 bits.
#[must_use]
pub fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_authors() {
        for (bytes, hash) in [(&b""[..], 0x811c_9dc5), (b"a", 0xe40c_292c), (b"foobar", 0xbf9c_f968)] {
            assert_eq!(fnv1a(bytes), hash, "{bytes:?}");
        }
    }
}
