use std::path::Path;

use bytes::{Bytes, BytesMut};
use milena_sequence::{Fate, Identity, Stamp};
use milena_wire::batch::{BatchView, RecordParts, put_record, record_size};
use milena_wire::{BatchHeader, Codec, ErrorCode, PartitionId, ProducerEpoch, ProducerId, Sequence, TopicName};

use crate::{Fsync, Head, Place, Progress, Recovered, Source, Spool, SpoolConfig, SpooledBatch};

/// A batch with these values, keyed if they contain a `=`.
pub(super) fn batch(values: &[&str]) -> SpooledBatch {
    let mut out = BytesMut::new();
    for (i, value) in (0..).zip(values) {
        let key = value.split_once('=').map(|(key, _)| key.as_bytes());
        let parts = RecordParts { key, value: Some(value.as_bytes()), headers: &[] };
        put_record(&mut out, record_size(i, 0, &parts), i, 0, &parts);
    }
    let count = i32::try_from(values.len()).unwrap();
    let header = BatchHeader::of_records(Codec::None, count, 1_000, 1_000);
    let payload = vec![out.freeze()];
    let cause = "the cluster is away".to_owned();
    SpooledBatch { header, payload, fate: Fate::NotWritten, code: ErrorCode::NONE, cause, now_ms: 2_000 }
}

pub(super) fn stamp(sequence: i32) -> Stamp {
    let identity = Identity { producer_id: ProducerId(77), epoch: ProducerEpoch(1) };
    Stamp { identity, sequence: Sequence::new(sequence).unwrap() }
}

pub(super) fn topic(name: &str) -> TopicName {
    TopicName::new(name)
}

pub(super) fn source(name: &str, place: Place) -> Source {
    Source { topic: topic(name), place }
}

pub(super) fn partition(name: &str, partition: i32) -> Source {
    source(name, Place::Partition(PartitionId(partition)))
}

/// Small segments, so that there are several of them.
pub(super) fn config(dir: &Path) -> SpoolConfig {
    SpoolConfig { segment_bytes: 250, fsync: Fsync::Always, ..SpoolConfig::new(dir) }
}

pub(super) fn open(dir: &Path) -> (Spool, Recovered) {
    Spool::open(config(dir)).unwrap()
}

/// One that has nothing to tell.
pub(super) fn open_clean(dir: &Path) -> Spool {
    let (spool, recovered) = open(dir);
    assert!(recovered.is_clean(), "{recovered:?}");
    spool
}

pub(super) fn append(spool: &mut Spool, to: &Source, values: &[&str]) {
    spool.append(&to.topic, to.place.partition(), &batch(values)).unwrap();
}

pub(super) fn values(head: &Head) -> Vec<String> {
    let mut bytes = head.header.encode(std::slice::from_ref(&head.payload)).to_vec();
    bytes.extend_from_slice(&head.payload);
    let (view, _) = BatchView::parse(&bytes).unwrap();
    let records = view.records(1 << 20).unwrap();
    let text = |bytes: Option<&[u8]>| Bytes::copy_from_slice(bytes.unwrap_or_default());
    records.iter().map(|record| String::from_utf8(text(record.unwrap().value).to_vec()).unwrap()).collect()
}

/// Takes the next batch as a replay does that is done with it at once.
pub(super) fn take(spool: &mut Spool, from: &Source) -> Option<Head> {
    let head = spool.head(from).unwrap()?;
    let next = head.offset() + i64::from(head.count().get());
    let progress = spool.progress(from).unwrap();
    spool.save_progress(from, Progress { next, trying: None, ..progress }).unwrap();
    Some(head)
}

/// All that waits in a folder, which is empty then.
pub(super) fn drain(spool: &mut Spool, from: &Source) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(head) = take(spool, from) {
        all.extend(values(&head));
    }
    all
}

/// The names of the files in a folder.
pub(super) fn files(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
