//! Records get their partition, and the process is killed at every step of it, and at every step of the start that completes it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::BytesMut;
use milena_sequence::Fate;
use milena_wire::batch::{RecordParts, put_record, record_size};
use milena_wire::{BatchView, ErrorCode, TopicName};

use super::crash::{Fuse, MortalDisk};
use super::model::scratch;
use super::world::batch;
use crate::{Head, Place, Progress, Source, Spool, SpoolConfig, SpoolError, SpooledBatch};

const TOPIC: &str = "t";
/// A key, if there is one, and a value.
type Line = (Option<&'static str>, &'static str);
const BATCHES: [&[Line]; 3] = [
    &[(Some("k1"), "1"), (Some("k2"), "2"), (None, "3"), (Some("k3"), "4"), (None, "5")],
    &[(Some("k2"), "6")],
    &[(None, "7"), (Some("k1"), "8"), (Some("k3"), "9")],
];

fn spooled(lines: &[Line]) -> SpooledBatch {
    let mut payload = BytesMut::new();
    for (at, (key, value)) in (0..).zip(lines) {
        let parts =
            RecordParts { key: key.map(str::as_bytes), value: Some(value.as_bytes()), ..RecordParts::default() };
        put_record(&mut payload, record_size(at, 0, &parts), at, 0, &parts);
    }
    let (header, _) = batch(&vec![0; lines.len()], 1_700_000_000_000, None);
    let (code, cause) = (ErrorCode::NONE, String::new());
    SpooledBatch { header, payload: vec![payload.freeze()], fate: Fate::NotWritten, code, cause, now_ms: 1 }
}

fn open(dir: &Path, half_steps: u64) -> Result<Spool, SpoolError> {
    let fuse = Arc::new(Fuse::default());
    fuse.set(half_steps);
    let config = SpoolConfig { segment_bytes: 200, ..SpoolConfig::new(dir) };
    Spool::open_on(Arc::new(MortalDisk(fuse)), config).map(|(spool, _)| spool)
}

/// Keys and values of a batch.
fn lines_of(head: &Head) -> Vec<(Option<String>, String)> {
    let mut bytes = head.header.encode(std::slice::from_ref(&head.payload)).to_vec();
    bytes.extend_from_slice(&head.payload);
    let (view, _) = BatchView::parse(&bytes).unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let records = view.records(1 << 20).unwrap();
    let records = records.iter().map(|record| record.unwrap());
    records.map(|record| (record.key.map(text), text(record.value.unwrap()))).collect()
}

/// What each partition holds, in order.
fn drained(mut spool: Spool) -> BTreeMap<Place, Vec<(Option<String>, String)>> {
    let mut found = BTreeMap::new();
    let sources: Vec<Source> = spool.pending().map(|(source, _)| source.clone()).collect();
    for source in sources {
        let lines: &mut Vec<_> = found.entry(source.place).or_default();
        while let Some(head) = spool.head(&source).unwrap() {
            lines.extend(lines_of(&head));
            let next = head.offset() + i64::from(head.count().get());
            spool.save_progress(&source, Progress { next, ..Progress::default() }).unwrap();
        }
    }
    found
}

fn filled() -> tempfile::TempDir {
    let dir = scratch();
    let mut spool = open(dir.path(), u64::MAX).unwrap();
    for lines in BATCHES {
        spool.append(&TopicName::new(TOPIC), None, &spooled(lines)).unwrap();
    }
    dir
}

#[test]
fn each_record_gets_one_partition_wherever_the_process_is_killed() {
    let whole = filled();
    let mut spool = open(whole.path(), u64::MAX).unwrap();
    assert_eq!(spool.assign(&TopicName::new(TOPIC), 3, usize::MAX).unwrap(), 9);
    let expected = drained(spool);
    assert!(expected.len() > 1 && !expected.contains_key(&Place::Unassigned), "{expected:?}");
    let all = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];
    let mut killed_at = 0;
    loop {
        // Once in the middle of it; once more at the start after that, at each of its steps in turn; then it goes on.
        let mut starts = 0;
        loop {
            let dir = filled();
            let mut spool = open(dir.path(), killed_at).ok();
            let done = spool.as_mut().is_some_and(|spool| spool.assign(&TopicName::new(TOPIC), 3, usize::MAX).is_ok());
            drop(spool);
            let started = open(dir.path(), starts).is_ok();
            let mut spool = open(dir.path(), u64::MAX).unwrap();
            // The topic may have got more partitions meanwhile, which what was begun must not see.
            let partitions = if (killed_at + starts) % 2 == 0 { 3 } else { 5 };
            spool.assign(&TopicName::new(TOPIC), partitions, usize::MAX).unwrap();
            let found = drained(spool);
            if partitions == 3 {
                assert_eq!(found, expected, "killed after {killed_at} half-steps, then {starts}");
            }
            let mut values: Vec<&str> = found.values().flatten().map(|(_, value)| value.as_str()).collect();
            values.sort();
            assert_eq!(values, all, "killed after {killed_at} half-steps, then {starts}: {found:?}");
            if done && started {
                assert!(killed_at > 20, "{killed_at}");
                return;
            }
            if started {
                break;
            }
            starts += 1;
        }
        killed_at += 1;
    }
}

/// Takes what the partitions hold, as a replay does.
fn replayed(spool: &mut Spool) -> Vec<String> {
    let mut found = Vec::new();
    let sources: Vec<Source> = spool.pending().map(|(source, _)| source.clone()).collect();
    for source in sources.into_iter().filter(|source| source.place != Place::Unassigned) {
        while let Some(head) = spool.head(&source).unwrap() {
            found.extend(lines_of(&head).into_iter().map(|(_, value)| value));
            let next = head.offset() + i64::from(head.count().get());
            spool.save_progress(&source, Progress { next, ..Progress::default() }).unwrap();
        }
    }
    found
}

#[test]
fn a_disk_that_refuses_for_a_while_doubles_nothing_though_the_rest_was_replayed_meanwhile() {
    let mut refused_at = 0;
    loop {
        let dir = filled();
        let fuse = Arc::new(Fuse::default());
        fuse.set(u64::MAX);
        let config = || SpoolConfig { segment_bytes: 200, ..SpoolConfig::new(dir.path()) };
        let (mut spool, _) = Spool::open_on(Arc::new(MortalDisk(Arc::clone(&fuse))), config()).unwrap();
        fuse.set(refused_at);
        let done = spool.assign(&TopicName::new(TOPIC), 3, usize::MAX).is_ok();
        fuse.set(u64::MAX);
        let mut found = replayed(&mut spool);
        drop(spool);
        // A start at which the disk refuses again, and one at which it does not.
        drop(open(dir.path(), 3));
        let mut spool = open(dir.path(), u64::MAX).unwrap();
        spool.assign(&TopicName::new(TOPIC), 3, usize::MAX).unwrap();
        found.extend(replayed(&mut spool));
        found.sort();
        assert_eq!(found, ["1", "2", "3", "4", "5", "6", "7", "8", "9"], "refused after {refused_at} half-steps");
        assert_eq!(spool.pending().count(), 0);
        assert_eq!(spool.used(), 0, "what is done with is deleted");
        if done {
            assert!(refused_at > 20, "{refused_at}");
            return;
        }
        refused_at += 1;
    }
}
