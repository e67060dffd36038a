//! Large shared values, which are sent from where they lie.

use bytes::Bytes;
use milena_wire::{Codec, Compression, HeaderRef, RecordParts};

use crate::test_support::*;
use crate::{AccumulatorConfig, RecordRef, Refused, Take, Urgency};

const LARGE: usize = 40_000;

fn config() -> AccumulatorConfig {
    AccumulatorConfig { batch_size: 20_000, buffer_memory: 1 << 20, ..AccumulatorConfig::default() }
}

fn large() -> Bytes {
    (0..LARGE).map(|i| u8::try_from(i % 251).unwrap()).collect::<Vec<_>>().into()
}

fn shared<'a>(buffer: &'a Bytes, parts: RecordParts<'a>) -> RecordRef<'a> {
    RecordRef { shared: Some(buffer), ..to_partition(0, parts) }
}

#[test]
fn a_large_shared_value_is_not_copied_and_the_batch_is_the_same_as_with_a_copy() {
    let buffer = large();
    let headers = [HeaderRef { key: "h", value: Some(b"1") }, HeaderRef { key: "n", value: None }];
    for key in [None, Some(&b"key"[..])] {
        for headers in [&[][..], &headers] {
            let parts = RecordParts { key, value: Some(&buffer), headers };
            let rig = Rig::with_partitions(config(), 1);
            let _copied = rig.append(&to_partition(0, parts));
            let _shared = rig.append(&shared(&buffer, parts));
            let batches = rig.drain();
            assert!(batches[1].payload().iter().any(|slice| slice.as_ptr() == buffer.as_ptr() && slice.len() == LARGE));
            assert!(batches[0].payload().iter().all(|slice| slice.as_ptr() != buffer.as_ptr()));
            assert_eq!(batches[0].payload().concat(), batches[1].payload().concat());
            assert_eq!(batches[0].header(None)[..], batches[1].header(None)[..], "its CRC is the same, too");
            assert_eq!(read(&batches[0]), read(&batches[1]));
        }
    }
}

#[test]
fn large_and_small_values_share_a_batch_in_whatever_order_they_come() {
    let buffers = [large(), large().slice(1..), Bytes::from(vec![9; 8 << 10])];
    let small = [vec![1; 10], vec![2; 1000], vec![3; 5000]];
    let headers = [HeaderRef { key: "h", value: Some(b"1") }];
    let rig = || Rig::with_partitions(AccumulatorConfig { batch_size: 1 << 20, buffer_memory: 4 << 20, ..config() }, 1);
    for order in 0..3_usize.pow(5) {
        let (lent, copied) = (rig(), rig());
        // Each digit is a run of one kind: large ones, small ones that move the seam of the chunks about, or both.
        for run in 0..5 {
            let kind = order / 3_usize.pow(run) % 3;
            for (buffer, value) in buffers.iter().zip(&small) {
                if kind != 1 {
                    let parts = RecordParts { key: Some(b"key"), value: Some(buffer), headers: &headers };
                    drop((lent.append(&shared(buffer, parts)), copied.append(&to_partition(0, parts))));
                }
                if kind != 0 {
                    let parts = RecordParts { key: None, value: Some(value), headers: &[] };
                    drop((lent.append(&to_partition(0, parts)), copied.append(&to_partition(0, parts))));
                }
            }
        }
        let ([lent], [copied]) = (&lent.drain()[..], &copied.drain()[..]) else { panic!("one batch each") };
        assert_eq!(lent.payload().concat(), copied.payload().concat());
        assert_eq!(lent.header(None)[..], copied.header(None)[..], "its CRC is the same, too");
        let kept = |slice: &&Bytes| buffers.iter().any(|buffer| slice.as_ptr() == buffer.as_ptr());
        let large = (0..5).filter(|run| order / 3_usize.pow(*run) % 3 != 1).count() * buffers.len();
        assert_eq!(lent.payload().iter().filter(kept).count(), large, "each is sent from where it lies");
        assert!(lent.payload().iter().all(|slice| !slice.is_empty()));
    }
}

/// The open batch has room for the record; its value is more than the memory has.
#[test]
fn one_that_would_join_a_batch_waits_for_memory_like_any_other() {
    let buffer = large();
    let config = AccumulatorConfig { batch_size: 1 << 20, buffer_memory: 100_000, max_record_size: 90_000, ..config() };
    let rig = Rig::with_partitions(config, 1);
    let _first = [(); 2].map(|()| rig.append(&shared(&buffer, value(&buffer))));
    let used = rig.accumulator.memory().used;
    let refused = rig.accumulator.append(at(0), &shared(&buffer, value(&buffer)), Urgency::Linger, None);
    let Err(Refused::Memory { bytes }) = refused else { panic!("{refused:?}") };
    assert_eq!(rig.accumulator.memory().used, used);
    let batches = rig.drain();
    assert_eq!(values(&batches[0]), [buffer.to_vec(), buffer.to_vec()], "they share a batch");
    drop(batches);
    // The open batch has room again, and nothing of the memory is left but what was reserved.
    let memory = crate::park::block_on(rig.accumulator.reserve(bytes)).unwrap();
    let _small = rig.append(&to_partition(0, value(b"begins the batch")));
    let rest = rig.accumulator.memory();
    let _rest = crate::park::block_on(rig.accumulator.reserve(rest.limit - rest.used)).unwrap();
    let record = shared(&buffer, value(&buffer));
    let _third = rig.accumulator.append(at(0), &record, Urgency::Linger, Some(memory)).expect("it was enough");
    assert_eq!(values(&rig.drain()[0]), [b"begins the batch".to_vec(), buffer.to_vec()]);
}

#[test]
fn a_shared_value_counts_against_the_memory_until_its_batch_and_every_slice_of_it_are_gone() {
    let buffer = large();
    let rig = Rig::with_partitions(config(), 1);
    let delivery = rig.append(&shared(&buffer, value(&buffer)));
    assert!((LARGE..LARGE + 2048).contains(&rig.accumulator.memory().used), "{:?}", rig.accumulator.memory());
    let batch = rig.drain().pop().unwrap();
    let in_flight = batch.payload().to_vec();
    batch.settle(delivered(3));
    delivery.wait().unwrap();
    assert!(rig.accumulator.memory().used >= LARGE);
    drop(in_flight);
    assert_eq!(rig.accumulator.memory().used, 0);
}

#[test]
fn one_that_finds_the_memory_full_waits_for_as_much_as_it_takes_and_leaves_nothing_behind() {
    let buffer = large();
    let config = AccumulatorConfig { buffer_memory: 100_000, max_record_size: 90_000, ..config() };
    let rig = Rig::with_partitions(config, 1);
    let _first = rig.append(&shared(&buffer, value(&buffer)));
    let _second = rig.append(&shared(&buffer, value(&buffer)));
    let used = rig.accumulator.memory().used;
    let refused = rig.accumulator.append(at(0), &shared(&buffer, value(&buffer)), Urgency::Linger, None);
    let Err(Refused::Memory { bytes }) = refused else { panic!("{refused:?}") };
    assert_eq!(rig.accumulator.memory().used, used);
    rig.drain().into_iter().for_each(|batch| batch.settle(delivered(0)));
    assert_eq!(rig.accumulator.memory().used, 0);
    let memory = crate::park::block_on(rig.accumulator.reserve(bytes)).unwrap();
    let reserved = rig.accumulator.memory().used;
    let record = shared(&buffer, value(&buffer));
    let _third = rig.accumulator.append(at(0), &record, Urgency::Linger, Some(memory)).expect("it was enough");
    assert!(rig.accumulator.memory().used <= reserved);
    assert_eq!(values(&rig.drain()[0]), [buffer.to_vec()]);
}

/// A chunk of 64 KiB is what a copy of such values would be written into.
#[test]
fn what_goes_around_a_shared_value_takes_little_also_of_who_waited_for_memory() {
    let buffer = Bytes::from(vec![5; 20_000]);
    let rig = || {
        let config =
            AccumulatorConfig { batch_size: 256 << 10, buffer_memory: 4 << 20, ..AccumulatorConfig::default() };
        Rig::with_partitions(config, 1)
    };
    let filled = rig();
    let rest = crate::park::block_on(filled.accumulator.reserve(4 << 20)).unwrap();
    let refused = filled.accumulator.append(at(0), &shared(&buffer, value(&buffer)), Urgency::Linger, None);
    let Err(Refused::Memory { bytes }) = refused else { panic!("{refused:?}") };
    assert!(bytes <= 32 << 10, "{bytes}");
    drop(rest);

    let rig = rig();
    let key = [1; 90];
    for batch in 0..3 {
        for _ in 0..12 {
            let before = rig.accumulator.memory().used;
            let memory = crate::park::block_on(rig.accumulator.reserve(bytes)).unwrap();
            let record = shared(&buffer, keyed(&key, &buffer));
            drop(rig.accumulator.append(at(0), &record, Urgency::Linger, Some(memory)).expect("it was enough"));
            let took = rig.accumulator.memory().used - before;
            assert!(took <= buffer.len() + 1024, "{took} in batch {batch}");
        }
        drop(rig.drain());
        let before = rig.accumulator.memory().used;
        drop(rig.append(&to_partition(0, value(b"a small record begins a batch"))));
        assert!(rig.accumulator.memory().used - before <= 2048, "its chunk is as large as the last batch's were");
        drop(rig.drain());
    }
}

#[test]
fn what_is_small_or_another_buffer_or_to_be_compressed_is_copied_as_ever() {
    let buffer = large();
    let small = Bytes::from(vec![7; (8 << 10) - 1]);
    let other = large();
    let rig = Rig::with_partitions(config(), 1);
    let _small = rig.append(&shared(&small, value(&small)));
    let _other = rig.append(&shared(&other, value(&buffer)));
    let batches = rig.drain();
    assert_eq!(batches.iter().flat_map(values).collect::<Vec<_>>(), [small.to_vec(), buffer.to_vec()]);
    let kept = |slice: &Bytes| [small.as_ptr(), other.as_ptr(), buffer.as_ptr()].contains(&slice.as_ptr());
    assert!(!batches.iter().flat_map(|batch| batch.payload()).any(kept));

    let compression = Compression::new(Codec::Lz4);
    let rig = Rig::with_partitions(AccumulatorConfig { compression, ..config() }, 1);
    let _shared = rig.append(&shared(&buffer, value(&buffer)));
    let queue = rig.ready().pop().unwrap();
    let batch = queue.close_head(Take::OpenToo).unwrap().seal();
    assert_eq!((batch.codec(), values(&batch)), (Codec::Lz4, vec![buffer.to_vec()]));
}
