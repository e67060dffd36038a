use std::sync::Arc;

use milena_wire::{PartitionId, crc32_ieee, murmur2};

use crate::test_support::*;
use crate::*;

fn rig(partitioner: PartitionerKind, partitions: usize) -> Rig {
    Rig::with_partitions(AccumulatorConfig { partitioner, ..AccumulatorConfig::default() }, partitions)
}

/// The partition a record goes to. Everything queued is taken away.
fn partition_of(rig: &Rig, record: &RecordRef<'_>) -> i32 {
    let delivery = rig.append(record);
    let mut partition = None;
    for batch in rig.drain() {
        partition = Some(batch.partition().0);
        batch.settle(delivered(0));
    }
    drop(delivery);
    partition.unwrap()
}

#[test]
fn keys_go_where_java_sends_them() {
    // Key, then its partition among 3, 4, 6, 10, 12, 50 and 100.
    let vectors: [(&[u8], [i32; 7]); 8] = [
        (b"", [0, 1, 3, 1, 9, 31, 81]),
        (b"a", [1, 0, 4, 4, 4, 24, 24]),
        (b"abc", [0, 3, 3, 7, 3, 7, 7]),
        (b"21", [0, 0, 0, 0, 0, 40, 40]),
        (b"foobar", [0, 2, 0, 6, 6, 16, 66]),
        (b"a-little-bit-longer-string", [2, 3, 5, 9, 11, 19, 19]),
        (b"kafka", [1, 0, 4, 0, 4, 30, 80]),
        (&[0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86], [1, 2, 4, 4, 10, 34, 34]),
    ];
    for (at, count) in [3, 4, 6, 10, 12, 50, 100].into_iter().enumerate() {
        for kind in [PartitionerKind::Java, PartitionerKind::Murmur2, PartitionerKind::Murmur2Random] {
            let rig = rig(kind, count);
            for (key, expected) in &vectors {
                assert_eq!(partition_of(&rig, &anywhere(keyed(key, b""))), expected[at], "{key:?} among {count}");
            }
        }
    }
}

#[test]
fn keys_count_all_partitions_whether_they_have_a_leader_or_not() {
    let rig = rig(PartitionerKind::Java, 0);
    rig.shape(&TopicShape { partitions: 10, with_leader: vec![PartitionId(0)] });
    assert_eq!(partition_of(&rig, &anywhere(keyed(b"abc", b""))), 7);
}

#[test]
fn an_explicit_partition_goes_before_everything() {
    for kind in [PartitionerKind::Java, PartitionerKind::Manual, PartitionerKind::RoundRobin] {
        let rig = rig(kind, 4);
        assert_eq!(partition_of(&rig, &to_partition(3, keyed(b"abc", b""))), 3);
        for partition in [4, -1] {
            let record = to_partition(partition, value(b""));
            let refused = rig.accumulator.append(at(0), &record, Urgency::Linger, None).unwrap_err();
            assert_eq!(refused, Refused::NoSuchPartition { partition: PartitionId(partition), count: 4 });
        }
    }
}

#[test]
fn librdkafkas_partitioners_hash_as_librdkafka_does() {
    let crc = |key: &[u8]| (crc32_ieee(key) % 7).cast_signed();
    let consistent = rig(PartitionerKind::Consistent, 7);
    let consistent_random = rig(PartitionerKind::ConsistentRandom, 7);
    for key in [&b"a"[..], b"key", b"kafka"] {
        assert_eq!(partition_of(&consistent, &anywhere(keyed(key, b""))), crc(key));
        assert_eq!(partition_of(&consistent_random, &anywhere(keyed(key, b""))), crc(key));
    }
    assert_eq!(partition_of(&consistent, &anywhere(keyed(b"", b""))), crc(b""));
    assert_eq!(partition_of(&consistent, &anywhere(value(b""))), crc(b""));
    let murmur = rig(PartitionerKind::Murmur2, 7);
    let empty = (murmur2(b"").cast_unsigned() & 0x7fff_ffff) % 7;
    assert_eq!(partition_of(&murmur, &anywhere(value(b""))), empty.cast_signed());
}

#[test]
fn keys_go_where_sarama_sends_them() {
    // librdkafka's vectors, which are from Go.
    let vectors: [(&[u8], u32); 6] = [
        (b"kafka", 0x0d33_c4e1),
        (b"giberish123456789", 0x77a5_8295),
        (b"1234", 0x023b_dd03),
        (b"234", 0x2dea_3cd2),
        (b"4", 0x310c_a263),
        (b"", 0x7ee3_623b),
    ];
    for kind in [PartitionerKind::Fnv1a, PartitionerKind::Fnv1aRandom] {
        for count in [1, 7, 100] {
            let rig = rig(kind.clone(), count);
            for (key, hash) in vectors {
                let expected = usize::try_from(hash).unwrap() % count;
                let partition = partition_of(&rig, &anywhere(keyed(key, b"")));
                assert_eq!(usize::try_from(partition), Ok(expected), "{kind:?} {key:?} among {count}");
            }
        }
    }
    assert_eq!(
        partition_of(&rig(PartitionerKind::Fnv1a, 7), &anywhere(value(b""))),
        (0x7ee3_623b_u32 % 7).cast_signed()
    );
}

/// Partitions a keyless (or empty-keyed) record of 100 bytes goes to, one record after the other.
fn walk(rig: &Rig, records: usize, key: Option<&[u8]>) -> Vec<i32> {
    let bytes = [0; 100];
    let record = anywhere(milena_wire::RecordParts { key, value: Some(&bytes), headers: &[] });
    (0..records).map(|_| partition_of(rig, &record)).collect()
}

#[test]
fn keyless_records_of_every_sticky_partitioner_stick() {
    let kinds = [
        (PartitionerKind::Java, None),
        (PartitionerKind::Murmur2Random, None),
        (PartitionerKind::ConsistentRandom, None),
        (PartitionerKind::ConsistentRandom, Some(&b""[..])),
        (PartitionerKind::Fnv1aRandom, None),
        (PartitionerKind::IgnoreKeys, Some(b"key")),
    ];
    for (kind, key) in kinds {
        let rig = rig(kind.clone(), 100);
        let walk = walk(&rig, 300, key);
        let moves = walk.windows(2).filter(|pair| pair[0] != pair[1]).count();
        // Some 107 (and the batch header) bytes each, 16 KiB: every hundred records or so, since each batch ends with its record here.
        assert!((1..=3).contains(&moves), "{kind:?}: {moves}");
    }
}

#[test]
fn a_sticky_choice_lasts_its_quantum_and_at_most_twice_that() {
    let config = AccumulatorConfig { sticky_bytes: 1_000, ..AccumulatorConfig::default() };
    let rig = Rig::with_partitions(config, 1_000);
    let partitions: Vec<i32> = {
        // Nothing is taken, so no batch ends: the choice moves at twice its quantum.
        let deliveries: Vec<_> = (0..60).map(|_| rig.append(&anywhere(value(&[0; 93])))).collect();
        rig.drain().into_iter().for_each(|batch| batch.settle(delivered(0)));
        deliveries.into_iter().map(|delivery| delivery.wait().unwrap().partition.0).collect()
    };
    let runs: Vec<usize> = partitions.chunk_by(|a, b| a == b).map(<[i32]>::len).collect();
    // 100 bytes each, and 61 for the batch: the 20th record makes it 2,061.
    assert_eq!(runs, [20, 20, 20], "{partitions:?}");
    // Each batch is taken, so a choice moves as soon as it had its quantum: 161 bytes each, the seventh makes it 1,127.
    let partitions = walk_with(&rig, 28, &[0; 93]);
    let runs: Vec<usize> = partitions.chunk_by(|a, b| a == b).map(<[i32]>::len).collect();
    assert_eq!(runs, [7, 7, 7, 7], "{partitions:?}");
}

fn walk_with(rig: &Rig, records: usize, bytes: &[u8]) -> Vec<i32> {
    (0..records).map(|_| partition_of(rig, &anywhere(value(bytes)))).collect()
}

#[test]
fn two_threads_make_their_own_sticky_choices() {
    let rig = rig(PartitionerKind::Java, 1_000);
    let append = || {
        let delivery = rig.append(&anywhere(value(b"x")));
        drop(delivery);
    };
    append();
    // Slots are given out in turn, so of two new threads at least one has another slot than this one.
    std::thread::scope(|scope| {
        scope.spawn(append).join().unwrap();
        scope.spawn(append).join().unwrap();
    });
    assert!(rig.ready().len() >= 2);
}

#[test]
fn keyless_records_avoid_partitions_without_a_leader_unless_all_are() {
    for kind in [PartitionerKind::Java, PartitionerKind::RoundRobin, PartitionerKind::Random] {
        for adaptive in [false, true] {
            let config = AccumulatorConfig {
                partitioner: kind.clone(),
                sticky_bytes: 1,
                adaptive,
                ..AccumulatorConfig::default()
            };
            let rig = Rig::bare(config);
            rig.shape(&TopicShape { partitions: 5, with_leader: vec![PartitionId(1), PartitionId(4)] });
            let mut seen = walk_with(&rig, 100, b"x");
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen, [1, 4], "{kind:?}");
            rig.shape(&TopicShape { partitions: 5, with_leader: Vec::new() });
            let mut seen = walk_with(&rig, 200, b"x");
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen, [0, 1, 2, 3, 4], "{kind:?}");
        }
    }
}

#[test]
fn a_sticky_choice_beyond_a_shrunken_topic_is_made_anew() {
    let rig = rig(PartitionerKind::Java, 1_000);
    let before = partition_of(&rig, &anywhere(value(b"x")));
    assert!(before >= 1, "the seed of this test should choose another");
    rig.shape(&all_leaders(1));
    assert_eq!(partition_of(&rig, &anywhere(value(b"x"))), 0);
}

#[test]
fn keyless_records_spread_when_a_topic_of_one_partition_grows() {
    let rig = rig(PartitionerKind::Java, 1);
    assert_eq!(walk_with(&rig, 3, b"x"), [0, 0, 0]);
    rig.shape(&all_leaders(6));
    let mut seen = walk_with(&rig, 100, &[0; 20_000]);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, [0, 1, 2, 3, 4, 5]);
}

#[test]
fn longer_backlogs_draw_fewer_records() {
    let config = AccumulatorConfig { sticky_bytes: 1, ..AccumulatorConfig::default() };
    let rig = Rig::with_partitions(config, 3);
    let _all: Vec<_> = (0..3).map(|p| rig.append(&to_partition(p, value(b"x")))).collect();
    for queue in rig.ready() {
        queue.set_backlog([0, 3, 1][queue.slot()]);
        queue.close_head(Take::OpenToo).unwrap().settle(delivered(0));
        assert!(queue.go_idle());
    }
    let mut seen = [0; 3];
    walk_with(&rig, 8_000, b"x").into_iter().for_each(|p| seen[usize::try_from(p).unwrap()] += 1);
    // Weights 4, 1, 3.
    for (seen, expected) in seen.into_iter().zip([4_000i32, 1_000, 3_000]) {
        assert!((expected - seen).abs() < 300, "{seen} instead of {expected}");
    }
}

#[test]
fn equal_queues_share_records_equally() {
    for adaptive in [false, true] {
        let config = AccumulatorConfig { sticky_bytes: 1, adaptive, ..AccumulatorConfig::default() };
        let rig = Rig::with_partitions(config, 4);
        let mut seen = [0i32; 4];
        walk_with(&rig, 8_000, b"x").into_iter().for_each(|p| seen[usize::try_from(p).unwrap()] += 1);
        assert!(seen.iter().all(|n| (n - 2_000).abs() < 250), "{seen:?}");
    }
}

#[test]
fn round_robin_takes_turns() {
    let rig = rig(PartitionerKind::RoundRobin, 3);
    assert_eq!(walk_with(&rig, 7, b"x"), [0, 1, 2, 0, 1, 2, 0]);
}

#[test]
fn random_reaches_every_partition() {
    let rig = rig(PartitionerKind::Random, 3);
    let mut seen = walk_with(&rig, 100, b"x");
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, [0, 1, 2]);
}

#[test]
fn manual_refuses_a_record_without_a_partition() {
    let rig = rig(PartitionerKind::Manual, 3);
    let refused = rig.accumulator.append(at(0), &anywhere(keyed(b"k", b"v")), Urgency::Linger, None).unwrap_err();
    assert!(matches!(refused, Refused::Partitioner { .. }), "{refused:?}");
}

/// Answers with the number in the value; panics at 99; appends to itself at 50.
#[derive(Default)]
struct Custom(parking_lot::Mutex<Option<Accumulator>>);

impl CustomPartitioner for Custom {
    fn partition(&self, record: &PartitionRequest<'_>) -> PartitionId {
        let number = record.parts.value.map_or(0, |value| value[0]);
        assert_ne!(number, 99, "no such number");
        if number == 50 {
            let accumulator = self.0.lock().clone().unwrap();
            let inner = RecordRef {
                topic: record.topic,
                partition: None,
                parts: value(&[1]),
                timestamp_ms: None,
                shared: None,
            };
            drop(accumulator.append(at(0), &inner, Urgency::Linger, None).unwrap());
            return PartitionId(2);
        }
        PartitionId(i32::from(number))
    }
}

#[test]
fn a_partitioner_of_ones_own_may_fail_for_its_record_only_and_may_append() {
    let custom = Arc::new(Custom::default());
    let rig = rig(PartitionerKind::Custom(Arc::clone(&custom) as Arc<dyn CustomPartitioner>), 3);
    *custom.0.lock() = Some(rig.accumulator.clone());
    let append = |number| rig.accumulator.append(at(0), &anywhere(value(&[number])), Urgency::Linger, None);
    let message = |number| match append(number) {
        Err(Refused::Partitioner { message }) => message,
        other => panic!("{other:?}"),
    };
    let first = append(2).unwrap();
    assert!(message(3).contains("chose partition 3 of topic letters, which has 3"));
    assert!(message(99).contains("no such number"));
    let recursive = append(50).unwrap();
    let mut taken: Vec<_> = rig.drain().iter().map(|batch| (batch.partition().0, values(batch))).collect();
    taken.sort();
    assert_eq!(taken, [(1, vec![vec![1]]), (2, vec![vec![2], vec![50]])]);
    drop((first, recursive));
    *custom.0.lock() = None;
}
