use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use milena_wire::{BATCH_HEADER_LEN, Codec, Compression, PartitionId, RecordParts, Timestamp};

use crate::test_support::*;
use crate::*;

fn small_batches() -> AccumulatorConfig {
    AccumulatorConfig { batch_size: 200, ..AccumulatorConfig::default() }
}

#[test]
fn a_record_that_does_not_fit_closes_the_batch_and_begins_another() {
    let rig = Rig::with_partitions(small_batches(), 1);
    let deliveries: Vec<_> = (0..4).map(|i| rig.append(&to_partition(0, value(&[i; 50])))).collect();
    let queue = rig.ready().pop().unwrap();
    let view = queue.view();
    assert_eq!((view.closed, view.open_since), (1, Some(Timestamp::ZERO)));
    let first = queue.close_head(Take::ClosedOnly).unwrap();
    assert_eq!(first.count().get(), 2);
    assert!(first.bytes() <= 200);
    assert!(queue.close_head(Take::ClosedOnly).is_none());
    let second = queue.close_head(Take::OpenToo).unwrap();
    assert_eq!(values(&first.seal()), [[0; 50], [1; 50]]);
    assert_eq!(values(&second.seal()), [[2; 50], [3; 50]]);
    drop(deliveries);
}

#[test]
fn a_batch_may_be_filled_to_its_last_byte_and_no_further() {
    let closed_after = |last: usize| {
        let rig = Rig::with_partitions(small_batches(), 1);
        // 61 bytes of header, 39 of the first record; of the second nine beside its value.
        drop(rig.append(&to_partition(0, value(&[0; 32]))));
        drop(rig.append(&to_partition(0, value(&vec![0; last]))));
        let queue = rig.ready().pop().unwrap();
        (queue.view().closed, queue.head_bytes())
    };
    assert_eq!(closed_after(90), (0, 199));
    assert_eq!(closed_after(91), (0, 200));
    assert_eq!(closed_after(92).0, 1);
}

#[test]
fn a_record_larger_than_a_batch_gets_a_closed_batch_of_its_own() {
    let rig = Rig::with_partitions(small_batches(), 1);
    let _small = rig.append(&to_partition(0, value(b"small")));
    let _large = rig.append(&to_partition(0, value(&[7; 5_000])));
    let _after = rig.append(&to_partition(0, value(b"after")));
    let queue = rig.ready().pop().unwrap();
    assert_eq!(queue.view().closed, 2);
    let sizes: Vec<_> = std::iter::from_fn(|| queue.close_head(Take::OpenToo)).map(|b| values(&b.seal())).collect();
    assert_eq!(sizes, [vec![b"small".to_vec()], vec![vec![7; 5_000]], vec![b"after".to_vec()]]);
}

#[test]
fn a_record_above_the_limit_is_refused_with_its_size_and_the_limit_and_disturbs_nothing() {
    let config = AccumulatorConfig { max_record_size: 1_000, ..small_batches() };
    let rig = Rig::with_partitions(config, 1);
    let _first = rig.append(&to_partition(0, value(b"first")));
    let refused =
        rig.accumulator.append(at(0), &to_partition(0, value(&[0; 1_000])), Urgency::Linger, None).unwrap_err();
    // 61 + 21, a null key, two bytes of length, the value, no headers.
    assert_eq!(refused, Refused::RecordTooLarge { size: 82 + 1 + 2 + 1_000 + 1, limit: 1_000 });
    let _exact = rig.append(&to_partition(0, value(&[0; 1_000 - 86])));
    let queue = rig.ready().pop().unwrap();
    assert_eq!(queue.view().closed, 2);
}

#[test]
fn a_negative_timestamp_is_refused() {
    let rig = Rig::with_partitions(AccumulatorConfig::default(), 1);
    let record = RecordRef { timestamp_ms: Some(-1), ..to_partition(0, value(b"")) };
    let refused = rig.accumulator.append(at(0), &record, Urgency::Linger, None).unwrap_err();
    assert_eq!(refused, Refused::InvalidTimestamp { timestamp_ms: -1 });
}

#[test]
fn timestamps_may_go_backwards_within_a_batch() {
    let rig = Rig::with_partitions(AccumulatorConfig::default(), 1);
    let times = [5_000, 1, i64::MAX, 0, 5_000];
    let handles: Vec<_> = times
        .iter()
        .map(|t| rig.append(&RecordRef { timestamp_ms: Some(*t), ..to_partition(0, value(b"x")) }))
        .collect();
    let batch = rig.drain().pop().unwrap();
    let seen: Vec<_> = read(&batch).iter().map(|record| record.timestamp).collect();
    assert_eq!(seen, times);
    batch.settle(delivered(0));
    let told: Vec<_> = handles.into_iter().map(|handle| handle.wait().unwrap().timestamp_ms).collect();
    assert_eq!(told, times);
}

#[test]
fn the_sender_hears_once_of_first_data_and_once_of_a_batch_closed_while_it_lingers() {
    let rig = Rig::with_partitions(small_batches(), 1);
    let woken = |n| assert_eq!(rig.heard.wakes(), n);
    let append = || drop(rig.append(&to_partition(0, value(&[0; 50]))));
    append();
    woken(1);
    append(); // the batch is full but for a few bytes, and open
    woken(1);
    let queue = rig.ready().pop().unwrap();
    assert_eq!(queue.view().closed, 0); // so the sender waits for the linger time
    append(); // closes the first
    woken(2);
    append();
    append(); // closes the second, of which the sender will learn by itself
    woken(2);
    let queue2 = rig.ready().pop().unwrap();
    assert_eq!(queue2.slot(), queue.slot());
    assert_eq!(queue.view().closed, 2);
    append();
    append();
    woken(2); // it saw closed batches and will come back
    while queue.close_head(Take::OpenToo).map(|batch| batch.settle(delivered(0))).is_some() {}
    assert!(queue.go_idle());
    assert!(rig.ready().is_empty());
    append();
    woken(3);
    assert!(!queue.go_idle());
    assert_eq!(rig.ready().len(), 1);
}

#[test]
fn the_sender_hears_no_more_of_full_batches_once_it_has_seen_enough_of_them() {
    let config = AccumulatorConfig { batch_size: 10_000, ..AccumulatorConfig::default() };
    let rig = Rig::with_partitions(config, 1);
    let append = || drop(rig.append(&to_partition(0, value(&[0; 10_000]))));
    append();
    let queue = rig.ready().pop().unwrap();
    assert!(queue.view().closed_bytes < ENOUGH_BYTES);
    (0..5).for_each(|_| append());
    assert_eq!(rig.heard.wakes(), 1, "not enough yet");
    append();
    assert_eq!(rig.heard.wakes(), 2);
    assert_eq!(rig.ready().len(), 1);
    assert!(queue.view().closed_bytes >= ENOUGH_BYTES);
    (0..5).for_each(|_| append());
    assert_eq!(rig.heard.wakes(), 2, "it has seen enough, and comes back by itself");
    assert!(rig.ready().is_empty());
    rig.drain().into_iter().for_each(|batch| batch.settle(delivered(0)));
}

#[test]
fn a_look_at_the_age_of_a_queue_changes_nothing_that_the_sender_hears() {
    let rig = Rig::with_partitions(small_batches(), 1);
    let append = || drop(rig.append(&to_partition(0, value(&[0; 50]))));
    append();
    let queue = rig.ready().pop().unwrap();
    assert_eq!(queue.oldest(), Some(Timestamp::from_millis(0)));
    (0..3).for_each(|_| append());
    assert_eq!(rig.heard.wakes(), 1, "it was told, and has not looked yet what to do about it");
    assert_eq!(queue.view().closed, 1);
    append();
    assert_eq!(rig.heard.wakes(), 1, "full batches");
    while queue.close_head(Take::OpenToo).map(|batch| batch.settle(delivered(0))).is_some() {}
    assert_eq!(queue.oldest(), None);
}

#[test]
fn an_urgent_record_wakes_a_sender_that_lingers() {
    let rig = Rig::with_partitions(AccumulatorConfig::default(), 1);
    let append = |urgency| drop(rig.accumulator.append(at(0), &to_partition(0, value(b"x")), urgency, None).unwrap());
    append(Urgency::Linger);
    let queue = rig.ready().pop().unwrap();
    assert!(!queue.view().urgent);
    append(Urgency::Linger);
    assert!(rig.ready().is_empty());
    append(Urgency::Now);
    assert_eq!(rig.heard.wakes(), 2);
    append(Urgency::Now);
    assert_eq!(rig.ready().len(), 1);
    assert!(queue.view().urgent);
    queue.close_head(Take::OpenToo).unwrap().settle(delivered(0));
    assert!(queue.go_idle());
    append(Urgency::Linger);
    assert!(!rig.ready().pop().unwrap().view().urgent, "urgency belongs to a batch");
}

#[test]
fn with_no_linger_every_batch_is_urgent() {
    let rig = Rig::with_partitions(AccumulatorConfig { linger_zero: true, ..AccumulatorConfig::default() }, 1);
    let _delivery = rig.append(&to_partition(0, value(b"x")));
    assert!(rig.ready().pop().unwrap().view().urgent);
}

#[test]
fn every_codec_seals_what_was_appended() {
    for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let config = AccumulatorConfig { compression: Compression::new(codec), ..AccumulatorConfig::default() };
        let rig = Rig::with_partitions(config, 1);
        let sent: Vec<Vec<u8>> = (0..2_000).map(|i| format!("line {i} of a long letter").into_bytes()).collect();
        sent.iter().for_each(|line| drop(rig.append(&to_partition(0, value(line)))));
        let batch = rig.drain().pop().unwrap();
        assert_eq!(batch.codec(), codec);
        assert_eq!(values(&batch), sent);
        if codec != Codec::None {
            assert!(batch.wire_size() < batch.bytes());
            let used = rig.accumulator.memory().used;
            assert!(
                (batch.wire_size() - BATCH_HEADER_LEN..batch.bytes()).contains(&used),
                "{codec:?}: the small buffer counts: {used}"
            );
        }
        batch.settle(delivered(0));
        assert_eq!(rig.accumulator.memory().used, 0, "{codec:?}");
    }
}

#[test]
fn a_batch_that_does_not_get_smaller_goes_uncompressed() {
    let config = AccumulatorConfig { compression: Compression::new(Codec::Gzip), ..AccumulatorConfig::default() };
    let rig = Rig::with_partitions(config, 1);
    let _delivery = rig.append(&to_partition(0, value(b"x")));
    let batch = rig.drain().pop().unwrap();
    assert_eq!(batch.codec(), Codec::None);
    assert_eq!(values(&batch), [b"x"]);
}

#[test]
fn after_close_records_are_refused_and_what_is_queued_stays() {
    let rig = Rig::with_partitions(AccumulatorConfig::default(), 1);
    let delivery = rig.append(&to_partition(0, value(b"before")));
    rig.accumulator.close();
    let again = |topic| {
        let record = RecordRef { topic, ..to_partition(0, value(b"after")) };
        rig.accumulator.append(at(0), &record, Urgency::Linger, None).unwrap_err()
    };
    assert_eq!(again(TOPIC), Refused::Closed);
    assert_eq!(again("another"), Refused::Closed);
    let batch = rig.drain().pop().unwrap();
    assert_eq!(values(&batch), [b"before"]);
    batch.settle(delivered(3));
    assert_eq!(delivery.wait().unwrap().offset.unwrap().0, 3);
}

#[test]
fn two_accumulators_used_in_turn_by_one_thread_keep_their_records_apart() {
    let rigs = [0, 1].map(|_| Rig::with_partitions(AccumulatorConfig::default(), 1));
    for i in 0..10u8 {
        drop(rigs[usize::from(i % 2)].append(&to_partition(0, value(&[i]))));
    }
    for (start, rig) in (0..).zip(&rigs) {
        let expected: Vec<Vec<u8>> = (0..5).map(|i| vec![start + 2 * i]).collect();
        assert_eq!(values(&rig.drain()[0]), expected);
    }
}

#[test]
fn records_of_many_threads_are_each_in_one_batch_and_each_threads_in_order() {
    const THREADS: u32 = 4;
    const EACH: u32 = 5_000;
    let config = AccumulatorConfig { batch_size: 4_000, buffer_memory: 64 << 10, ..AccumulatorConfig::default() };
    let rig = Rig::with_partitions(config, 3);
    let settled = AtomicUsize::new(0);
    let mut seen: Vec<Vec<(u32, u32)>> = vec![Vec::new(); 3];
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let rig = &rig;
            scope.spawn(move || {
                for i in 0..EACH {
                    let bytes = [thread.to_be_bytes(), i.to_be_bytes()].concat();
                    let record = to_partition((i % 3).cast_signed(), value(&bytes));
                    let mut memory = None;
                    loop {
                        match rig.accumulator.append(at(0), &record, Urgency::Linger, memory.take()) {
                            Ok(delivery) => break drop(delivery),
                            Err(Refused::Memory { bytes }) => {
                                memory = rig
                                    .accumulator
                                    .reserve(bytes)
                                    .wait_blocking(std::time::Duration::MAX)
                                    .map(Result::unwrap);
                            }
                            Err(refused) => panic!("{refused}"),
                        }
                    }
                }
            });
        }
        // The sender: takes until it has everything.
        while settled.load(Ordering::SeqCst) < (THREADS * EACH) as usize {
            for batch in rig.drain_once() {
                let partition = usize::try_from(batch.partition().0).unwrap();
                for bytes in values(&batch) {
                    let word = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
                    seen[partition].push((word(0), word(4)));
                }
                settled.fetch_add(batch.count().as_usize(), Ordering::SeqCst);
                batch.settle(delivered(0));
            }
            thread::yield_now();
        }
    });
    for (partition, seen) in (0..).zip(&seen) {
        for thread in 0..THREADS {
            let of_thread: Vec<u32> = seen.iter().filter(|(t, _)| *t == thread).map(|(_, i)| *i).collect();
            let expected: Vec<u32> = (0..EACH).filter(|i| i % 3 == partition).collect();
            assert_eq!(of_thread, expected);
        }
    }
    assert_eq!(rig.accumulator.memory().used, 0);
}

impl Rig {
    /// As `drain`, while others append.
    fn drain_once(&self) -> Vec<SealedBatch> {
        let mut batches = Vec::new();
        for queue in self.ready() {
            loop {
                while let Some(batch) = queue.close_head(Take::OpenToo) {
                    batches.push(batch.seal());
                }
                if queue.go_idle() {
                    break;
                }
            }
        }
        batches
    }
}

#[test]
fn slots_are_dense_and_a_partition_keeps_its_queue() {
    let rig = Rig::with_partitions(AccumulatorConfig::default(), 2);
    rig.shape(&all_leaders(4));
    let deliveries: Vec<_> = (0..4).map(|p| rig.append(&to_partition(p, value(b"x")))).collect();
    let mut slots: Vec<_> = rig.ready().iter().map(|queue| (queue.partition().0, queue.slot())).collect();
    slots.sort_unstable();
    assert_eq!(slots, [(0, 0), (1, 1), (2, 2), (3, 3)]);
    rig.shape(&all_leaders(1));
    rig.shape(&all_leaders(4));
    let queue = &rig.accumulator;
    let parts = RecordParts { value: Some(b"y"), ..RecordParts::default() };
    let more = queue.append(at(0), &to_partition(3, parts), Urgency::Now, None).unwrap();
    let again = rig.ready().pop();
    assert!(again.is_none_or(|queue| (queue.partition(), queue.slot()) == (PartitionId(3), 3)));
    drop((deliveries, more));
}

/// Clocks that count how often they are read.
#[derive(Default)]
struct Read {
    now: AtomicUsize,
    wall_ms: AtomicUsize,
}

impl Clock for &Read {
    fn now(&self) -> Timestamp {
        self.now.fetch_add(1, Ordering::Relaxed);
        at(0).now
    }

    fn wall_ms(&self) -> i64 {
        self.wall_ms.fetch_add(1, Ordering::Relaxed);
        at(0).wall_ms
    }
}

#[test]
fn the_monotonic_clock_is_read_once_per_batch_and_the_wall_clock_once_per_record_without_a_timestamp() {
    let rig = Rig::with_partitions(AccumulatorConfig::default(), 1);
    let read = Read::default();
    for i in 0..10 {
        let timestamp_ms = (i % 2 == 0).then_some(at(0).wall_ms);
        let record = RecordRef { timestamp_ms, ..to_partition(0, value(b"x")) };
        drop(rig.accumulator.append(&read, &record, Urgency::Linger, None).unwrap());
    }
    assert_eq!(read.now.load(Ordering::Relaxed), 1);
    assert_eq!(read.wall_ms.load(Ordering::Relaxed), 5);
}

#[test]
fn who_fills_a_batch_reads_it_for_its_crc_unless_the_records_are_small_and_it_hears_of_each() {
    for (size, token, is_read) in [(100, false, false), (100, true, true), (600, false, true), (600, true, true)] {
        let rig = Rig::with_partitions(AccumulatorConfig { batch_size: 1500, ..AccumulatorConfig::default() }, 1);
        let bytes = vec![7; size];
        let record = to_partition(0, value(&bytes));
        while rig.ready().pop().is_none_or(|queue| queue.view().closed == 0) {
            if token {
                rig.accumulator.append_with_token(at(0), &record, Urgency::Linger, None, 1).unwrap();
            } else {
                drop(rig.append(&record));
            }
        }
        let queue = rig.accumulator.append(at(0), &record, Urgency::Now, None).map(|_| rig.ready().pop().unwrap());
        let batch = queue.unwrap().close_head(Take::ClosedOnly).unwrap();
        assert_eq!(batch.crc.is_some(), is_read, "{size} bytes, with a token: {token}");
        let sealed = batch.seal();
        assert_eq!(sealed.crc, milena_wire::PayloadCrc::of(sealed.payload()));
    }
}
