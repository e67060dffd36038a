//! What the tests of this crate share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use milena_wire::{
    BATCH_HEADER_LEN, BatchHeader, BatchView, HeaderRef, Offset, PartitionId, RecordParts, RecordView, Timestamp,
    TopicName,
};
use parking_lot::Mutex;

use crate::core::Core;
use crate::*;

pub(crate) fn core_with(buffer_memory: usize) -> Arc<Core> {
    let config = AccumulatorConfig { buffer_memory, ..AccumulatorConfig::default() };
    Arc::new(Core::new(config, Arc::new(Heard::default())))
}

/// Hooks that remember.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) wakes: AtomicUsize,
    pub(crate) reports: Mutex<Vec<BatchReport>>,
    pub(crate) unobserved: AtomicUsize,
    pub(crate) diverted: Mutex<Vec<Diverted>>,
}

impl Hooks for Heard {
    fn wake(&self) {
        self.wakes.fetch_add(1, Ordering::SeqCst);
    }

    fn report(&self, report: BatchReport) {
        self.reports.lock().push(report);
    }

    fn unobserved(&self, _: &Arc<Failure>, records: u32) {
        self.unobserved.fetch_add(records as usize, Ordering::SeqCst);
    }

    fn divert(&self, batch: Diverted) {
        self.diverted.lock().push(batch);
    }
}

impl Heard {
    pub(crate) fn wakes(&self) -> usize {
        self.wakes.load(Ordering::SeqCst)
    }

    pub(crate) fn unobserved(&self) -> usize {
        self.unobserved.load(Ordering::SeqCst)
    }
}

/// A waker that counts.
#[derive(Debug, Default)]
pub(crate) struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Bell {
    pub(crate) fn new() -> (Arc<Self>, Waker) {
        let bell = Arc::new(Self::default());
        (Arc::clone(&bell), Waker::from(bell))
    }

    pub(crate) fn rings(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// An accumulator and what its hooks heard.
pub(crate) struct Rig {
    pub(crate) accumulator: Accumulator,
    pub(crate) heard: Arc<Heard>,
}

pub(crate) const TOPIC: &str = "letters";

pub(crate) fn at(millis: u64) -> At {
    At { now: Timestamp::from_millis(millis), wall_ms: 1_700_000_000_000 + millis.cast_signed() }
}

pub(crate) fn value(value: &[u8]) -> RecordParts<'_> {
    RecordParts { key: None, value: Some(value), headers: &[] }
}

pub(crate) fn keyed<'a>(key: &'a [u8], value: &'a [u8]) -> RecordParts<'a> {
    RecordParts { key: Some(key), value: Some(value), headers: &[] }
}

pub(crate) fn to_partition(partition: i32, parts: RecordParts<'_>) -> RecordRef<'_> {
    RecordRef { topic: TOPIC, partition: Some(PartitionId(partition)), parts, timestamp_ms: None, shared: None }
}

pub(crate) fn anywhere(parts: RecordParts<'_>) -> RecordRef<'_> {
    RecordRef { topic: TOPIC, partition: None, parts, timestamp_ms: None, shared: None }
}

pub(crate) fn failure(kind: FailureKind) -> Failure {
    Failure::new(kind, Fate::NotWritten, TopicName::new(TOPIC), None)
}

pub(crate) fn delivered(base: i64) -> Outcome {
    Outcome::Delivered { base_offset: Some(Offset(base)), log_append_time_ms: None }
}

pub(crate) fn all_leaders(partitions: usize) -> TopicShape {
    TopicShape { partitions, with_leader: (0..partitions).map(|id| PartitionId(i32::try_from(id).unwrap())).collect() }
}

impl Rig {
    /// No topic is known yet.
    pub(crate) fn bare(config: AccumulatorConfig) -> Self {
        let heard = Arc::new(Heard::default());
        Self { accumulator: Accumulator::new(config, 7, Arc::clone(&heard) as Arc<dyn Hooks>), heard }
    }

    /// `TOPIC` has this many partitions, all with leaders.
    pub(crate) fn with_partitions(config: AccumulatorConfig, partitions: usize) -> Self {
        let rig = Self::bare(config);
        rig.shape(&all_leaders(partitions));
        rig
    }

    pub(crate) fn shape(&self, shape: &TopicShape) {
        self.accumulator.set_topic(at(0), &TopicName::new(TOPIC), shape);
    }

    pub(crate) fn append(&self, record: &RecordRef<'_>) -> Delivery {
        self.accumulator.append(at(0), record, Urgency::Linger, None).expect("there is room")
    }

    pub(crate) fn ready(&self) -> Vec<Arc<PartitionQueue>> {
        let mut ready = Vec::new();
        self.accumulator.take_ready(&mut ready);
        ready
    }

    /// Takes all batches of all announced queues, in order per queue.
    pub(crate) fn drain(&self) -> Vec<SealedBatch> {
        let mut batches = Vec::new();
        for queue in self.ready() {
            while let Some(batch) = queue.close_head(Take::OpenToo) {
                batches.push(batch.seal());
            }
            assert!(queue.go_idle());
        }
        batches
    }
}

/// A record as it was read back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ReadRecord {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
    pub(crate) timestamp: i64,
}

impl ReadRecord {
    pub(crate) fn of(record: &RecordView<'_>) -> Self {
        Self {
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: record
                .headers()
                .map(|header| (header.key_text().into_owned(), header.value.map(<[u8]>::to_vec)))
                .collect(),
            timestamp: record.timestamp,
        }
    }

    pub(crate) fn with_refs<R>(&self, then: impl FnOnce(RecordParts<'_>) -> R) -> R {
        let headers: Vec<HeaderRef<'_>> =
            self.headers.iter().map(|(key, value)| HeaderRef { key, value: value.as_deref() }).collect();
        then(RecordParts { key: self.key.as_deref(), value: self.value.as_deref(), headers: &headers })
    }
}

/// Reads a batch as a broker would: the CRC, every header field, and every record.
pub(crate) fn read(batch: &SealedBatch) -> Vec<ReadRecord> {
    let mut wire = batch.header(None).to_vec();
    batch.payload().iter().for_each(|part| wire.extend_from_slice(part));
    assert_eq!(wire.len(), batch.wire_size());
    let (header, read) = read_wire(&wire);
    assert_eq!(header.record_count, batch.count().get());
    assert_eq!(header.last_offset_delta, batch.count().get() - 1);
    let (view, _) = BatchView::parse(&wire).expect("a batch");
    assert_eq!(view.records(1 << 30).expect("records").payload().len() + BATCH_HEADER_LEN, batch.bytes());
    read
}

/// As [`read`].
pub(crate) fn read_wire(wire: &[u8]) -> (BatchHeader, Vec<ReadRecord>) {
    let (view, rest) = BatchView::parse(wire).expect("a batch");
    assert!(rest.is_empty());
    view.verify_crc().expect("the CRC");
    let header = *view.header();
    let records = view.records(1 << 30).expect("records");
    let mut most = i64::MIN;
    let read: Vec<ReadRecord> = (0..)
        .zip(&records)
        .map(|(index, record)| {
            let record = record.expect("a record");
            assert_eq!(record.offset_delta, index);
            most = most.max(record.timestamp);
            ReadRecord::of(&record)
        })
        .collect();
    assert_eq!(read.len(), usize::try_from(header.record_count).unwrap());
    assert_eq!(read[0].timestamp, header.base_timestamp);
    assert_eq!(most, header.max_timestamp);
    (header, read)
}

pub(crate) fn values(batch: &SealedBatch) -> Vec<Vec<u8>> {
    read(batch).into_iter().map(|record| record.value.expect("a value")).collect()
}
