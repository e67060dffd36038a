//! Hashes of keys, and so their partitions, against Java's and librdkafka's.

use milena_wire::{crc32_ieee, murmur2};
use protocol_tests::golden::{self, LIBRDKAFKA_PARTITIONS, MURMUR2, MURMUR2_10000};

/// How both turn a hash into a partition: without its sign bit, modulo.
fn java_partition(key: &[u8], partitions: i32) -> i32 {
    (murmur2(key) & i32::MAX) % partitions
}

#[test]
fn murmur2_gives_javas_own_unit_vectors() {
    // From Kafka's UtilsTest.testMurmur2.
    let known: [(&[u8], i32); 6] = [
        (b"21", -973_932_308),
        (b"foobar", -790_332_482),
        (b"a-little-bit-long-string", -985_981_536),
        (b"a-little-bit-longer-string", -1_486_304_829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        (b"abc", 479_470_107),
    ];
    for (key, hash) in known {
        assert_eq!(murmur2(key), hash, "{}", String::from_utf8_lossy(key));
    }
    let mut compared = 0;
    for line in MURMUR2.lines() {
        let [key, hash, partition] = golden::words(line);
        let bytes = golden::data(key).expect("a key");
        assert_eq!(murmur2(&bytes).to_string(), hash, "{key}");
        assert_eq!(java_partition(&bytes, 12).to_string(), partition, "{key}");
        compared += 1;
    }
    assert_eq!(compared, 16);
}

fn splitmix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[test]
fn murmur2_gives_javas_hash_and_partition_of_ten_thousand_random_keys() {
    let mut state = 1;
    let mut compared = 0;
    for (index, golden) in (0..).zip(MURMUR2_10000.chunks_exact(5)) {
        let len = splitmix64(&mut state) % 50;
        let key: Vec<u8> = (0..len).map(|_| splitmix64(&mut state).to_le_bytes()[0]).collect();
        let (hash, partition) = golden.split_at(4);
        assert_eq!(murmur2(&key).to_be_bytes(), hash, "key {index}: {key:02x?}");
        assert_eq!(java_partition(&key, 1 + index % 127), i32::from(partition[0]), "key {index}: {key:02x?}");
        compared += 1;
    }
    assert_eq!(compared, 10_000);
}

#[test]
fn crc32_and_murmur2_give_the_partitions_that_librdkafka_chooses() {
    let mut compared = 0;
    for line in LIBRDKAFKA_PARTITIONS.lines() {
        let [partitioner, key, partition] = golden::words(line);
        let bytes = golden::data(key).expect("a key");
        let chosen = match partitioner {
            "consistent" => i64::from(crc32_ieee(&bytes) % 7),
            _ => i64::from(java_partition(&bytes, 7)),
        };
        assert_eq!(chosen.to_string(), partition, "{partitioner} {key}");
        compared += 1;
    }
    assert_eq!(compared, 400);
}
