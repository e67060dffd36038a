//! Random appends against the simplest model there is: a list per partition.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use milena_wire::{Codec, Compression};

use crate::test_support::*;
use crate::*;

#[derive(Clone, Debug)]
enum Step {
    Append {
        partition: usize,
        record: ReadRecord,
        urgent: bool,
    },
    /// The sender takes one batch.
    Take {
        partition: usize,
        open_too: bool,
    },
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => vec(any::<u8>(), 0..40),
        2 => (0..3_000usize).prop_map(|len| vec![b'm'; len]),
        1 => (60_000..140_000usize).prop_map(|len| vec![b'L'; len]),
    ]
}

fn record() -> impl Strategy<Value = ReadRecord> {
    let header = ("[a-zé]{0,6}", option::of(vec(any::<u8>(), 0..10)));
    let timestamp = prop_oneof![Just(0), 0..2_000_000_000_000i64, Just(i64::MAX)];
    (option::of(vec(any::<u8>(), 0..20)), option::of(bytes()), vec(header, 0..4), timestamp)
        .prop_map(|(key, value, headers, timestamp)| ReadRecord { key, value, headers, timestamp })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3usize, record(), prop::bool::weighted(0.1))
            .prop_map(|(partition, record, urgent)| Step::Append { partition, record, urgent }),
        1 => (0..3usize, any::<bool>()).prop_map(|(partition, open_too)| Step::Take { partition, open_too }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_taken_is_what_was_appended(
        steps in vec(step(), 1..80),
        batch_size in prop_oneof![Just(1usize), 100..2_000usize, Just(16 << 10), Just(256 << 10)],
        codec in prop_oneof![3 => Just(Codec::None), 1 => Just(Codec::Lz4)],
    ) {
        let compression = Compression::new(codec);
        let config = AccumulatorConfig { batch_size, compression, ..AccumulatorConfig::default() };
        let rig = Rig::with_partitions(config, 3);
        let mut appended: [Vec<ReadRecord>; 3] = Default::default();
        let mut taken: [Vec<ReadRecord>; 3] = Default::default();
        let mut deliveries: [Vec<Delivery>; 3] = Default::default();
        let mut queues: [Option<std::sync::Arc<PartitionQueue>>; 3] = Default::default();
        let mut take = |queue: &PartitionQueue, how| -> Result<bool, TestCaseError> {
            let Some(batch) = queue.close_head(how) else { return Ok(false) };
            prop_assert!(batch.bytes() <= batch_size || batch.count().get() == 1);
            let (bytes, count) = (batch.bytes(), batch.count());
            let batch = batch.seal();
            prop_assert_eq!((batch.bytes(), batch.count()), (bytes, count));
            let into = &mut taken[usize::try_from(batch.partition().0).unwrap()];
            let base = into.len();
            into.extend(read(&batch));
            batch.settle(delivered(base.try_into().unwrap()));
            Ok(true)
        };
        for step in &steps {
            match step {
                Step::Append { partition, record, urgent } => {
                    let urgency = if *urgent { Urgency::Now } else { Urgency::Linger };
                    let delivery = record.with_refs(|parts| {
                        let id = i32::try_from(*partition).unwrap();
                        let record = RecordRef { timestamp_ms: Some(record.timestamp), ..to_partition(id, parts) };
                        rig.accumulator.append(at(0), &record, urgency, None)
                    });
                    deliveries[*partition].push(delivery.expect("32 MiB are enough"));
                    appended[*partition].push(record.clone());
                }
                Step::Take { partition, open_too } => {
                    for queue in rig.ready() {
                        let at = usize::try_from(queue.partition().0).unwrap();
                        queues[at] = Some(queue);
                    }
                    if let Some(queue) = &queues[*partition] {
                        take(queue, if *open_too { Take::OpenToo } else { Take::ClosedOnly })?;
                        let _ = queue.view();
                    }
                }
            }
        }
        for queue in rig.ready() {
            let at = usize::try_from(queue.partition().0).unwrap();
            queues[at] = Some(queue);
        }
        for queue in queues.iter().flatten() {
            while take(queue, Take::OpenToo)? {}
            prop_assert!(queue.go_idle());
        }
        prop_assert_eq!(&taken, &appended);
        for (records, deliveries) in appended.iter().zip(deliveries) {
            for ((offset, record), delivery) in (0..).zip(records).zip(deliveries) {
                let receipt = delivery.wait().unwrap();
                prop_assert_eq!(receipt.offset.unwrap().0, offset);
                prop_assert_eq!(receipt.timestamp_ms, record.timestamp);
                prop_assert_eq!(receipt.key_size, record.key.as_ref().map(Vec::len));
                prop_assert_eq!(receipt.value_size, record.value.as_ref().map(Vec::len));
            }
        }
        prop_assert_eq!(rig.accumulator.memory().used, 0);
    }
}
