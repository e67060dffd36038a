//! Files that are not as they were left: what is whole is kept, what is not is told, and nothing is deleted.

use std::fs;
use std::path::PathBuf;

use super::support::{append, drain, open, open_clean, partition, values};
use crate::{Fate, SpoolError};

/// A folder with six records in one-record batches, and the files of its first segment.
fn filled() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open_clean(dir.path());
    for value in ["a", "b", "c", "d", "e", "f"] {
        append(&mut spool, &partition("t", 0), &[value]);
    }
    drop(spool);
    let folder = dir.path().join("topics/t/0");
    let log = folder.join("00000000000000000000.log");
    let fates = folder.join("00000000000000000000.fates");
    (dir, log, fates)
}

#[test]
fn any_flipped_bit_of_a_segment_costs_one_batch_at_most_and_is_told() {
    let (dir, log, _) = filled();
    let whole = fs::read(&log).unwrap();
    drop(dir);
    for at in (0..whole.len()).step_by(5) {
        let (dir, log, _) = filled();
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&log, &bytes).unwrap();
        let (mut spool, recovered) = open(dir.path());
        let left = drain(&mut spool, &partition("t", 0));
        // The leader epoch means nothing in a spool, and no checksum covers it.
        if left.len() == 6 && recovered.is_clean() {
            continue;
        }
        assert!(left.len() >= 5, "byte {at}: {left:?}");
        assert!(left.is_sorted());
        let [damage] = recovered.damaged.as_slice() else { panic!("byte {at}: {recovered:?}") };
        assert_eq!((&damage.path, damage.lost_records), (&log, 6 - left.len() as u64), "byte {at}");
        assert_eq!(fs::read(&damage.kept_as).unwrap(), bytes);
        assert!(damage.to_string().contains(&log.display().to_string()));
        drop(spool);
        // Told once: the next start finds all as it should be.
        open_clean(dir.path());
    }
}

#[test]
fn a_torn_end_is_cut_off_and_said() {
    let (dir, ..) = filled();
    let mut last: Vec<_> = super::support::files(&dir.path().join("topics/t/0"));
    last.retain(|name| name.ends_with(".log"));
    let log = dir.path().join("topics/t/0").join(last.last().unwrap());
    let bytes = fs::read(&log).unwrap();
    fs::write(&log, &bytes[..bytes.len() - 3]).unwrap();
    let (mut spool, recovered) = open(dir.path());
    let [torn] = recovered.torn.as_slice() else { panic!("{recovered:?}") };
    assert_eq!((&torn.path, torn.records), (&log, 1));
    assert!(torn.to_string().contains("ended within a write"));
    assert_eq!(recovered.damaged, []);
    append(&mut spool, &partition("t", 0), &["g"]);
    assert_eq!(drain(&mut spool, &partition("t", 0)), ["a", "b", "c", "d", "e", "g"]);
}

#[test]
fn a_batch_whose_line_is_lost_may_be_written() {
    let (dir, _, fates) = filled();
    let text = fs::read_to_string(&fates).unwrap();
    fs::write(&fates, text.replacen("0 1", "0 2", 1)).unwrap();
    let (mut spool, recovered) = open(dir.path());
    assert_eq!(recovered.damaged[0].path, fates);
    let head = spool.head(&partition("t", 0)).unwrap().unwrap();
    assert_eq!((values(&head), head.fate), (vec!["a".to_owned()], Fate::MaybeWritten));
    assert_eq!(drain(&mut spool, &partition("t", 0)).len(), 6);
}

#[test]
fn a_progress_that_is_damaged_is_not_guessed() {
    let (dir, ..) = filled();
    let mut spool = open_clean(dir.path());
    super::support::take(&mut spool, &partition("t", 0)).unwrap();
    drop(spool);
    let path = dir.path().join("topics/t/0/replay");
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("next 1", "next 3")).unwrap();
    for _ in 0..2 {
        let (spool, recovered) = open(dir.path());
        assert_eq!(recovered.damaged[0].path, path);
        assert_eq!(spool.progress(&partition("t", 0)), None);
    }
}

#[test]
fn a_file_that_changes_under_an_open_spool_is_an_error_with_its_place() {
    let (dir, log, _) = filled();
    let mut spool = open_clean(dir.path());
    spool.head(&partition("t", 0)).unwrap();
    let mut bytes = fs::read(&log).unwrap();
    bytes[65] ^= 1;
    fs::write(&log, bytes).unwrap();
    let error = spool.head(&partition("t", 0)).unwrap_err();
    assert!(matches!(&error, SpoolError::Corrupt { path, position: 0, .. } if *path == log), "{error}");
}
