//! The main paths.

use milena_sequence::Fate;
use milena_wire::{ErrorCode, PartitionId, TopicId};

use super::support::{append, batch, drain, files, open, open_clean, partition, source, stamp, take, topic, values};
use crate::{Pending, Place, Progress, SpoolError, Trying};

#[test]
fn what_goes_in_comes_out_in_order_after_a_restart_too() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (partition("t", 0), partition("u", 3));
    let mut spool = open_clean(dir.path());
    for i in 0..20 {
        append(&mut spool, &a, &[&format!("a{i}"), &format!("a{i}+")]);
        append(&mut spool, &b, &[&format!("b{i}")]);
    }
    drop(spool);
    let mut spool = open_clean(dir.path());
    append(&mut spool, &b, &["b20"]);
    let pending: Vec<_> = spool.pending().map(|(source, pending)| (source.clone(), pending.records)).collect();
    assert_eq!(pending, [(a.clone(), 40), (b.clone(), 21)]);
    let expected: Vec<String> = (0..20).flat_map(|i| [format!("a{i}"), format!("a{i}+")]).collect();
    assert_eq!(drain(&mut spool, &a), expected);
    assert_eq!(drain(&mut spool, &b), (0..21).map(|i| format!("b{i}")).collect::<Vec<_>>());
    assert_eq!(spool.pending().count(), 0);
    assert_eq!(spool.used(), 0);
}

#[test]
fn a_batch_keeps_its_fate_its_cause_and_its_stamp() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open_clean(dir.path());
    let sent = stamp(41);
    let mut given = batch(&["x", "y"]);
    given.header.producer_id = sent.identity.producer_id;
    given.header.producer_epoch = sent.identity.epoch;
    given.header.base_sequence = sent.sequence.get();
    given.fate = Fate::MaybeWritten;
    given.code = ErrorCode::REQUEST_TIMED_OUT;
    given.cause = "no answer\nin time".to_owned();
    spool.append(&topic("t"), Some(PartitionId(1)), &given).unwrap();
    drop(spool);
    let head = open_clean(dir.path()).head(&partition("t", 1)).unwrap().unwrap();
    assert_eq!((head.fate, head.code, head.when_ms), (Fate::MaybeWritten, ErrorCode::REQUEST_TIMED_OUT, 2_000));
    assert_eq!((head.cause.as_str(), head.stamp()), ("no answer in time", Some(sent)));
    assert_eq!(head.payload, given.payload[0]);
    // Sent again as that, it is byte for byte what was sent first.
    assert_eq!(head.header_as(sent), given.header.encode(&given.payload));
}

#[test]
fn progress_is_kept_and_what_is_done_is_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let from = partition("t", 0);
    let mut spool = open_clean(dir.path());
    for value in ["a", "b", "c", "d", "e", "f", "g"] {
        append(&mut spool, &from, &[value]);
    }
    let before = spool.used();
    for _ in 0..5 {
        take(&mut spool, &from).unwrap();
    }
    assert!(spool.used() < before);
    let progress = Progress {
        own: Some(stamp(5)),
        trying: Some(Trying { stamp: stamp(5), own: true, since_ms: 9 }),
        ..spool.progress(&from).unwrap()
    };
    spool.save_progress(&from, progress).unwrap();
    drop(spool);
    let mut spool = open_clean(dir.path());
    assert_eq!(spool.progress(&from), Some(progress));
    assert_eq!(drain(&mut spool, &from), ["f", "g"]);
    assert_eq!(files(&dir.path().join("topics/t/0")), ["replay"]);
    // Offsets are never used again: the replay's sequences hang on them.
    append(&mut spool, &from, &["h"]);
    assert_eq!(spool.head(&from).unwrap().unwrap().offset(), 7);
}

#[test]
fn a_batch_that_is_appended_while_its_folder_is_read_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let from = partition("t", 0);
    let mut spool = open_clean(dir.path());
    append(&mut spool, &from, &["a"]);
    assert_eq!(values(&spool.head(&from).unwrap().unwrap()), ["a"]);
    append(&mut spool, &from, &["b"]);
    assert_eq!(drain(&mut spool, &from), ["a", "b"]);
    assert!(spool.head(&from).unwrap().is_none());
    append(&mut spool, &from, &["c"]);
    assert_eq!(drain(&mut spool, &from), ["c"]);
}

#[test]
fn records_that_rotted_before_they_got_a_partition_are_told_and_not_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let unassigned = source("t", Place::Unassigned);
    append(&mut open_clean(dir.path()), &unassigned, &["a"]);
    let mut spool = open_clean(dir.path());
    let path = dir.path().join(format!("topics/t/unassigned/{:020}.log", 0));
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let error = spool.assign(&topic("t"), 1, usize::MAX).unwrap_err();
    assert!(matches!(error, SpoolError::Corrupt { .. }), "{error}");
    assert_eq!(spool.pending_in(&unassigned).batches, 1);
}

#[test]
fn records_without_a_partition_get_one_by_their_key_behind_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let unassigned = source("t", Place::Unassigned);
    let mut spool = open_clean(dir.path());
    append(&mut spool, &partition("t", 0), &["first"]);
    append(&mut spool, &unassigned, &["k1=a", "k2=b", "no key", "k1=c"]);
    append(&mut spool, &unassigned, &["k2=d", "k1=e"]);
    let assigned = [1, usize::MAX].map(|batches| spool.assign(&topic("t"), 4, batches).unwrap());
    assert_eq!(assigned, [4, 2], "the first batch, then all others");
    assert_eq!(spool.head(&unassigned).unwrap().map(|head| head.offset()), None);
    let all: Vec<(i32, Vec<String>)> = (0..4).map(|p| (p, drain(&mut spool, &partition("t", p)))).collect();
    let home = |value: &str| all.iter().find(|(_, values)| values.iter().any(|v| v == value)).unwrap().0;
    assert_eq!(all.iter().map(|(_, values)| values.len()).sum::<usize>(), 7);
    for (key, values) in [("k1", ["k1=a", "k1=c", "k1=e"].as_slice()), ("k2", &["k2=b", "k2=d"])] {
        let expected = (milena_wire::murmur2(key.as_bytes()) & i32::MAX) % 4;
        assert!(values.iter().all(|value| home(value) == expected), "{key}");
        let there: Vec<&String> =
            all[usize::try_from(expected).unwrap()].1.iter().filter(|v| v.starts_with(key)).collect();
        assert_eq!(there, values);
    }
    assert_eq!(all[0].1[0], "first");
}

#[test]
fn records_that_come_with_a_partition_keep_it_and_their_place_behind_those_that_have_none() {
    let dir = tempfile::tempdir().unwrap();
    let to = |p| partition("t", p);
    let mut spool = open_clean(dir.path());
    append(&mut spool, &to(0), &["1"]);
    append(&mut spool, &source("t", Place::Unassigned), &["2"]);
    append(&mut spool, &to(0), &["3"]);
    append(&mut spool, &to(7), &["4"]);
    append(&mut spool, &source("t", Place::Unassigned), &["5"]);
    append(&mut spool, &partition("other", 0), &["else"]);
    assert_eq!(spool.pending_in(&to(0)).records, 1);
    drop(spool);
    let mut spool = open_clean(dir.path());
    assert_eq!(spool.assign(&topic("t"), 1, usize::MAX).unwrap(), 4);
    append(&mut spool, &to(0), &["6"]);
    assert_eq!(drain(&mut spool, &to(0)), ["1", "2", "3", "5", "6"]);
    assert_eq!(
        (drain(&mut spool, &to(7)), drain(&mut spool, &partition("other", 0))),
        (vec!["4".into()], vec!["else".into()])
    );
}

#[test]
fn the_topics_id_is_kept_until_nothing_of_the_topic_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let (from, id) = (partition("t", 0), TopicId([7; 16]));
    let mut spool = open_clean(dir.path());
    spool.note_topic_id(&topic("t"), id).unwrap();
    assert_eq!(spool.topic_id(&topic("t")), None, "nothing of it is here");
    append(&mut spool, &from, &["a"]);
    spool.note_topic_id(&topic("t"), id).unwrap();
    spool.note_topic_id(&topic("t"), TopicId([8; 16])).unwrap();
    drop(spool);
    let mut spool = open_clean(dir.path());
    assert_eq!(spool.topic_id(&topic("t")), Some(id));
    drain(&mut spool, &from);
    assert_eq!(spool.topic_id(&topic("t")), None);
    drop(spool);
    assert_eq!(open_clean(dir.path()).topic_id(&topic("t")), None);
}

#[test]
fn recovered_counts_what_waits() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open_clean(dir.path());
    append(&mut spool, &partition("t", 0), &["a", "b"]);
    append(&mut spool, &source("t", Place::Unassigned), &["c"]);
    drop(spool);
    let (_spool, recovered) = open(dir.path());
    let Pending { batches, records, .. } = recovered.pending;
    assert_eq!((batches, records), (2, 3));
}
