use std::fs;
use std::path::Path;

use bytes::Bytes;
use milena_wire::{
    BATCH_HEADER_LEN, BatchHeader, BatchView, Codec, LeaderEpoch, Offset, RecordParts, put_record, record_size,
};

use super::{LogConfig, PartitionLog, Recovery};
use crate::format::{FileKind, segment_name};
use crate::place;

/// A batch of `values`, placed at `base`.
fn batch(base: i64, timestamp: i64, values: &[&str]) -> ([u8; BATCH_HEADER_LEN], Bytes) {
    let mut payload = Vec::new();
    for (delta, value) in (0..).zip(values) {
        let parts = RecordParts { key: None, value: Some(value.as_bytes()), headers: &[] };
        put_record(&mut payload, record_size(delta, 0, &parts), delta, 0, &parts);
    }
    let payload = Bytes::from(payload);
    let count = i32::try_from(values.len()).unwrap();
    let header = BatchHeader::of_records(Codec::None, count, timestamp, timestamp);
    let mut bytes = header.encode(std::slice::from_ref(&payload));
    place(&mut bytes, Offset(base), LeaderEpoch(3));
    (bytes, payload)
}

fn append(log: &mut PartitionLog, values: &[&str]) {
    let base = log.end_offset().0;
    let (header, payload) = batch(base, 1_000 + base, values);
    log.append(&header, &[payload]).unwrap();
}

fn open(dir: &Path, config: LogConfig) -> (PartitionLog, Recovery) {
    PartitionLog::open(dir, config, |_| {}).unwrap()
}

/// Base offset of each batch in `bytes`, which must be whole and valid.
fn bases(mut bytes: &[u8]) -> Vec<i64> {
    let mut bases = Vec::new();
    while !bytes.is_empty() {
        let (view, rest) = BatchView::parse(bytes).unwrap();
        view.verify_crc().unwrap();
        bases.push(view.header().base_offset.0);
        bytes = rest;
    }
    bases
}

fn log_file(dir: &Path) -> std::path::PathBuf {
    dir.join(segment_name(Offset(0), FileKind::Log))
}

#[test]
fn a_log_resumes_where_it_ended_and_shows_what_it_holds() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, found) = open(dir.path(), LogConfig::default());
    assert_eq!(found, Recovery::default());
    append(&mut log, &["a", "b"]);
    append(&mut log, &["c"]);
    log.close().unwrap();

    let mut seen = Vec::new();
    let (mut log, found) = PartitionLog::open(dir.path(), LogConfig::default(), |header| {
        seen.push((header.base_offset, header.record_count, header.leader_epoch));
    })
    .unwrap();
    assert_eq!(found, Recovery { batches: 2, torn_bytes: 0 });
    assert_eq!(seen, [(Offset(0), 2, LeaderEpoch(3)), (Offset(2), 1, LeaderEpoch(3))]);
    assert_eq!(log.end_offset(), Offset(3));
    append(&mut log, &["d"]);
    assert_eq!(bases(&log.read(Offset(0), usize::MAX >> 1).unwrap()), [0, 2, 3]);
}

#[test]
fn a_write_torn_at_any_byte_costs_that_batch_and_nothing_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), LogConfig::default());
    append(&mut log, &["first", "second"]);
    let intact = log.size();
    append(&mut log, &["torn"]);
    let whole = log.size();
    log.close().unwrap();
    let bytes = fs::read(log_file(dir.path())).unwrap();

    for len in intact..whole {
        fs::write(log_file(dir.path()), &bytes[..usize::try_from(len).unwrap()]).unwrap();
        let (mut log, found) = open(dir.path(), LogConfig::default());
        assert_eq!(found, Recovery { batches: 1, torn_bytes: len - intact }, "cut at byte {len}");
        assert_eq!(log.end_offset(), Offset(2));
        append(&mut log, &["again"]);
        assert_eq!(bases(&log.read(Offset(0), 1 << 20).unwrap()), [0, 2]);
    }
}

#[test]
fn a_byte_damaged_anywhere_that_counts_ends_the_log_before_its_batch() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), LogConfig::default());
    append(&mut log, &["kept"]);
    let intact = usize::try_from(log.size()).unwrap();
    append(&mut log, &["damaged"]);
    log.close().unwrap();
    let bytes = fs::read(log_file(dir.path())).unwrap();

    for at in intact..bytes.len() {
        // The leader epoch is covered by no checksum, in Kafka neither; a larger base offset is a gap, which is legal.
        if (intact..intact + 8).contains(&at) || (intact + 12..intact + 16).contains(&at) {
            continue;
        }
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x40;
        fs::write(log_file(dir.path()), &damaged).unwrap();
        let (log, found) = open(dir.path(), LogConfig::default());
        assert_eq!(found.batches, 1, "byte {at}");
        assert_eq!(log.end_offset(), Offset(1), "byte {at}");
    }
}

#[test]
fn segments_roll_at_their_limit_and_reading_goes_on_across_them() {
    let dir = tempfile::tempdir().unwrap();
    let config = LogConfig { segment_bytes: 400, index_interval_bytes: 100 };
    let (mut log, _) = open(dir.path(), config);
    for _ in 0..20 {
        append(&mut log, &["some value", "another"]);
    }
    let all: Vec<i64> = (0..20).map(|i| i * 2).collect();
    assert!(log.segments.len() > 2);
    assert_eq!(bases(&log.read(Offset(0), 1 << 20).unwrap()), all);
    for from in 0..40 {
        let read = log.read(Offset(from), 1 << 20).unwrap();
        assert_eq!(bases(&read)[0], from - from % 2, "from {from}, inside a batch or not");
        assert_eq!(bases(&log.read(Offset(from), 1).unwrap()), [from - from % 2], "at least one batch");
    }
    assert_eq!(log.read(Offset(40), 1 << 20).unwrap(), Bytes::new());
    log.close().unwrap();

    let (mut log, found) = open(dir.path(), config);
    assert_eq!(found, Recovery { batches: 20, torn_bytes: 0 });
    assert_eq!(bases(&log.read(Offset(7), 1 << 20).unwrap())[0], 6);
}

#[test]
fn segments_behind_a_torn_one_are_not_part_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let config = LogConfig { segment_bytes: 200, index_interval_bytes: 100 };
    let (mut log, _) = open(dir.path(), config);
    for _ in 0..9 {
        append(&mut log, &["some value"]);
    }
    assert!(log.segments.len() > 2);
    log.close().unwrap();
    let first = fs::read(log_file(dir.path())).unwrap();
    fs::write(log_file(dir.path()), &first[..first.len() - 1]).unwrap();

    let (log, found) = open(dir.path(), config);
    assert_eq!(log.end_offset(), Offset(i64::try_from(found.batches).unwrap()));
    assert_eq!(log.segments.len(), 1);
    assert!(found.torn_bytes > first.len() as u64 - 1);
}

#[test]
fn truncation_cuts_whole_batches_and_appending_goes_on_there() {
    let dir = tempfile::tempdir().unwrap();
    let config = LogConfig { segment_bytes: 400, index_interval_bytes: 100 };
    let (mut log, _) = open(dir.path(), config);
    for _ in 0..12 {
        append(&mut log, &["some value", "another"]);
    }
    log.truncate_to(Offset(24)).unwrap();
    assert_eq!(log.end_offset(), Offset(24), "nothing to cut");
    log.truncate_to(Offset(11)).unwrap();
    assert_eq!(log.end_offset(), Offset(10), "offset 11 lies inside the batch of 10");
    append(&mut log, &["new"]);
    assert_eq!(bases(&log.read(Offset(0), 1 << 20).unwrap()), [0, 2, 4, 6, 8, 10]);
    log.truncate_to(Offset(0)).unwrap();
    assert_eq!((log.end_offset(), log.size()), (Offset(0), 0));
    log.close().unwrap();
    assert_eq!(open(dir.path(), config).1, Recovery::default());
}

#[test]
fn a_batch_that_does_not_fit_the_log_is_refused_and_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), LogConfig::default());
    append(&mut log, &["a", "b"]);
    let size = log.size();
    let (header, payload) = batch(1, 0, &["late"]);
    assert!(log.append(&header, std::slice::from_ref(&payload)).is_err());
    let (header, _) = batch(2, 0, &["short"]);
    assert!(log.append(&header, &[Bytes::from_static(b"x")]).is_err());
    assert_eq!((log.size(), log.end_offset()), (size, Offset(2)));
}

#[test]
fn a_batch_behind_which_no_offset_is_left_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let base = i64::MAX - 1;
    let file = dir.path().join(segment_name(Offset(base), FileKind::Log));
    for (values, batches) in [(&["a"][..], 1), (&["a", "b"], 0)] {
        let (header, payload) = batch(base, 0, values);
        fs::write(&file, [&header[..], &payload].concat()).unwrap();
        let (mut log, found) = open(dir.path(), LogConfig::default());
        assert_eq!(
            (found.batches, found.torn_bytes > 0, log.end_offset()),
            (batches, batches == 0, Offset(base + i64::from(batches == 1)))
        );
        let (header, payload) = batch(log.end_offset().0, 0, &["c", "d"]);
        let error = log.append(&header, &[payload]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    }
}

#[test]
fn an_empty_segment_between_others_hides_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (header, payload) = batch(4, 0, &["a"]);
    fs::write(dir.path().join(segment_name(Offset(4), FileKind::Log)), [&header[..], &payload].concat()).unwrap();
    fs::write(dir.path().join(segment_name(Offset(2), FileKind::Log)), []).unwrap();
    let (mut log, _) = open(dir.path(), LogConfig::default());
    assert_eq!((log.start_offset(), log.end_offset()), (Offset(2), Offset(5)));
    for from in 0..5 {
        assert_eq!(bases(&log.read(Offset(from), 1).unwrap()), [4], "from {from}");
    }
}

#[test]
fn what_is_read_ends_before_the_first_batch_that_does_not_fit() {
    let dir = tempfile::tempdir().unwrap();
    // Room for the first two; the third, which is as small as the first, begins a segment.
    let config = LogConfig { segment_bytes: 600, ..LogConfig::default() };
    let (mut log, _) = open(dir.path(), config);
    append(&mut log, &["small"]);
    let two = usize::try_from(log.size()).unwrap() * 2;
    append(&mut log, &[&"large".repeat(90)]);
    append(&mut log, &["small"]);
    assert_eq!(log.segments.len(), 2);
    assert_eq!(bases(&log.read(Offset(0), two).unwrap()), [0], "nothing is left out");
    assert_eq!(bases(&log.read(Offset(0), 1000).unwrap()), [0, 1, 2]);
}

#[test]
fn a_batch_too_far_from_an_empty_segments_base_begins_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), LogConfig::default());
    let far = 1 << 32;
    let (header, payload) = batch(far, 0, &["far"]);
    log.append(&header, &[payload]).unwrap();
    log.close().unwrap();
    let (mut log, found) = open(dir.path(), LogConfig::default());
    assert_eq!((found.batches, log.end_offset()), (1, Offset(far + 1)));
    assert_eq!(bases(&log.read(Offset(0), 1).unwrap()), [far]);
}
