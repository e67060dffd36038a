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

#[cfg(test)]
mod tests {
    use super::*;

    /// Java's own unit vectors (`UtilsTest.testMurmur2`), and more for the tails and the signs.
    const VECTORS: [(&[u8], i32); 15] = [
        (b"", 275_646_681),
        (b"a", -1_563_381_124),
        (b"ab", 316_155_434),
        (b"abc", 479_470_107),
        (b"abcd", -1_323_649_548),
        (b"21", -973_932_308),
        (b"foobar", -790_332_482),
        (b"a-little-bit-long-string", -985_981_536),
        (b"a-little-bit-longer-string", -1_486_304_829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        (b"kafka", -798_503_068),
        (b"key", -1_079_937_367),
        (&[0], 375_494_588),
        (&[0xff; 4], 644_171_429),
        (&[0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86], -47_880_214),
    ];

    #[test]
    fn keys_hash_as_in_java() {
        for (key, hash) in VECTORS {
            assert_eq!(murmur2(key), hash, "{key:?}");
        }
    }

    #[test]
    fn negative_hashes_are_masked_not_negated() {
        let partition = |key: &[u8], count| (murmur2(key) & 0x7fff_ffff) % count;
        assert_eq!([3, 4, 6, 10, 12, 50, 100].map(|count| partition(b"foobar", count)), [0, 2, 0, 6, 6, 16, 66]);
        assert_eq!([3, 4, 6, 10, 12, 50, 100].map(|count| partition(b"kafka", count)), [1, 0, 4, 0, 4, 30, 80]);
        assert_eq!([3, 4, 6, 10, 12, 50, 100].map(|count| partition(b"", count)), [0, 1, 3, 1, 9, 31, 81]);
    }

    #[test]
    fn ten_thousand_random_keys_hash_as_in_java() {
        // Folded by the same rule over `Utils.murmur2` of kafka-clients 4.3.1, after every 2,500 keys.
        let folds = [
            -7_146_927_887_587_393_240,
            4_505_128_049_740_684_680,
            -7_428_381_606_750_335_503,
            2_245_553_007_799_809_525,
        ];
        let (mut state, mut fold) = (42_u64, 0_i64);
        for i in 0..10_000 {
            let mut key = vec![0; i % 131];
            for byte in &mut key {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                *byte = state.to_be_bytes()[0];
            }
            fold = fold.wrapping_mul(31).wrapping_add(i64::from(murmur2(&key)));
            if i % 2500 == 2499 {
                assert_eq!(fold, folds[i / 2500], "between keys {} and {i}", i - 2499);
            }
        }
    }
}
