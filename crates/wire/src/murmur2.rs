//! The hash by which Java's producer, and every producer that wants to agree with it, maps a key to a partition.

const SEED: u32 = 0x9747_b28c;
const M: u32 = 0x5bd1_e995;

/// Murmur2 of `bytes`, bit for bit as Kafka's `Utils.murmur2`.
///
/// A partition is `(murmur2(key) & 0x7fff_ffff) % partitions`: masked, not the absolute value.
#[must_use]
pub fn murmur2(bytes: &[u8]) -> i32 {
    // Java's length is an int; a longer slice cannot exist there.
    #[allow(clippy::cast_possible_truncation, reason = "the hash is defined modulo 2^32")]
    let mut h = SEED ^ bytes.len() as u32;
    let (groups, tail) = bytes.as_chunks::<4>();
    for group in groups {
        let k = u32::from_le_bytes(*group).wrapping_mul(M);
        h = h.wrapping_mul(M) ^ (k ^ (k >> 24)).wrapping_mul(M);
    }
    if !tail.is_empty() {
        for (i, byte) in tail.iter().enumerate() {
            h ^= u32::from(*byte) << (8 * i);
        }
        h = h.wrapping_mul(M);
    }
    h = (h ^ (h >> 13)).wrapping_mul(M);
    (h ^ (h >> 15)).cast_signed()
}
