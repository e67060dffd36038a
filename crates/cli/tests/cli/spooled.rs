//! Spools to replay.

use std::path::Path;

use bytes::{Bytes, BytesMut};
use milena::spool::{Fate, Identity, Spool, SpoolConfig, SpooledBatch, Stamp};
use milena_wire::batch::{RecordParts, put_record, record_size};
use milena_wire::{BatchHeader, Codec, ErrorCode, PartitionId, ProducerEpoch, ProducerId, TopicName};
use tempfile::TempDir;

/// In memory where there is such a folder: a disk takes a hundred times longer.
pub(crate) fn scratch() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

pub(crate) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

pub(crate) fn batch(values: &[&str], fate: Fate, stamp: Option<Stamp>) -> SpooledBatch {
    let mut payload = BytesMut::new();
    for (at, value) in (0..).zip(values) {
        let parts = RecordParts { value: Some(value.as_bytes()), ..RecordParts::default() };
        put_record(&mut payload, record_size(at, 0, &parts), at, 0, &parts);
    }
    let count = i32::try_from(values.len()).unwrap();
    let none = Identity { producer_id: ProducerId(-1), epoch: ProducerEpoch(-1) };
    let identity = stamp.map_or(none, |stamp| stamp.identity);
    let header = BatchHeader {
        producer_id: identity.producer_id,
        producer_epoch: identity.epoch,
        base_sequence: stamp.map_or(-1, |stamp| stamp.sequence.get()),
        ..BatchHeader::of_records(Codec::None, count, now_ms(), now_ms())
    };
    let (code, cause) = (ErrorCode::REQUEST_TIMED_OUT, "an outage".to_owned());
    SpooledBatch { header, payload: vec![Bytes::from(payload)], fate, code, cause, now_ms: now_ms() }
}

pub(crate) fn fresh(values: &[&str]) -> SpooledBatch {
    batch(values, Fate::NotWritten, None)
}

pub(crate) fn open(dir: &Path) -> Spool {
    Spool::open(SpoolConfig::new(dir)).unwrap().0
}

pub(crate) fn fill(dir: &Path, topic: &str, partition: Option<i32>, batches: &[SpooledBatch]) {
    let mut spool = open(dir);
    for batch in batches {
        spool.append(&TopicName::new(topic), partition.map(PartitionId), batch).unwrap();
    }
}

/// splitmix64.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}
