//! What the spool, or the disk below it, refuses: a clear error, and all that was there before still is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use milena_wire::TopicId;
use parking_lot::Mutex;

use super::support::{append, batch, config, drain, files, open_clean, partition, topic};
use crate::disk::{Disk, RealDisk};
use crate::replay::{Aside, Unresolved};
use crate::{Fate, Fsync, Progress, Spool, SpoolConfig, SpoolError};

#[test]
fn a_bound_is_kept_and_space_comes_back_with_the_replay() {
    let dir = tempfile::tempdir().unwrap();
    let from = partition("t", 0);
    let (mut spool, _) = Spool::open(SpoolConfig { max_bytes: 1_000, ..config(dir.path()) }).unwrap();
    let mut taken = Vec::new();
    let error = loop {
        let value = taken.len().to_string();
        match spool.append(&from.topic, from.place.partition(), &batch(&[&value])) {
            Ok(()) => taken.push(value),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SpoolError::Full { max: 1_000, .. }), "{error}");
    assert!(taken.len() > 3);
    assert_eq!(drain(&mut spool, &from), taken);
    append(&mut spool, &from, &["again"]);
}

/// A disk that refuses to write, or to sync, with some error, until it is mended.
#[derive(Debug, Default)]
struct Refusing {
    writes: Mutex<Option<io::ErrorKind>>,
    syncs: Mutex<Option<io::ErrorKind>>,
    /// Which files were synced.
    synced: Mutex<Vec<PathBuf>>,
}

impl Refusing {
    fn check(&self) -> io::Result<()> {
        self.writes.lock().map_or(Ok(()), |kind| Err(kind.into()))
    }
}

impl Disk for Refusing {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.check().and_then(|()| RealDisk.create_dir(path))
    }

    fn write_at(&self, path: &Path, position: u64, parts: &[&[u8]]) -> io::Result<()> {
        if let Err(error) = self.check()
            && !parts.is_empty()
        {
            // As a full disk does: some of it, then no more. Cutting off goes.
            RealDisk.write_at(path, position, &[&parts[0][..1]])?;
            return Err(error);
        }
        RealDisk.write_at(path, position, parts)
    }

    fn write_new(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.check().and_then(|()| RealDisk.write_new(path, bytes))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        self.synced.lock().push(path.to_owned());
        self.syncs.lock().map_or_else(|| RealDisk.sync(path), |kind| Err(kind.into()))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.sync_dir(path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }
}

#[test]
fn a_full_disk_refuses_one_batch_and_harms_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let from = partition("t", 0);
    let disk = Arc::new(Refusing::default());
    let (mut spool, _) = Spool::open_on(Arc::clone(&disk) as _, config(dir.path())).unwrap();
    append(&mut spool, &from, &["a"]);
    *disk.writes.lock() = Some(io::ErrorKind::StorageFull);
    for to in [&from, &partition("other", 1)] {
        let error = spool.append(&to.topic, to.place.partition(), &batch(&["b"])).unwrap_err();
        assert!(matches!(error, SpoolError::NoSpace { .. }), "{error}");
        assert!(error.to_string().contains("no room left on the disk"));
    }
    *disk.writes.lock() = None;
    append(&mut spool, &from, &["c"]);
    drop(spool);
    let mut spool = open_clean(dir.path());
    assert_eq!(drain(&mut spool, &from), ["a", "c"]);
    assert_eq!(spool.pending().count(), 0);
}

#[test]
fn a_full_disk_that_has_room_for_something_smaller_uses_no_offset_twice() {
    let dir = tempfile::tempdir().unwrap();
    let from = partition("t", 0);
    let disk = Arc::new(Refusing::default());
    let (mut spool, _) = Spool::open_on(Arc::clone(&disk) as _, config(dir.path())).unwrap();
    append(&mut spool, &from, &["a"]);
    *disk.writes.lock() = Some(io::ErrorKind::StorageFull);
    // It would have begun another segment.
    spool.append(&from.topic, from.place.partition(), &batch(&[&"x".repeat(300)])).unwrap_err();
    *disk.writes.lock() = None;
    append(&mut spool, &from, &["b"]);
    drop(spool);
    assert_eq!(files(&dir.path().join("topics/t/0")).len(), 2, "one segment");
    let mut spool = open_clean(dir.path());
    append(&mut spool, &from, &["c"]);
    assert_eq!(drain(&mut spool, &from), ["a", "b", "c"]);
    assert_eq!(spool.pending().count(), 0);
}

#[test]
fn what_a_kill_left_empty_begins_no_second_segment_and_hides_no_record() {
    // As if a segment had been begun with a batch, whose sidecar alone was made; and what came next went into the one before, or not.
    for base in [1, 2] {
        let dir = tempfile::tempdir().unwrap();
        let from = partition("t", 0);
        let mut spool = open_clean(dir.path());
        append(&mut spool, &from, &["a"]);
        append(&mut spool, &from, &["b"]);
        drop(spool);
        fs::write(dir.path().join(format!("topics/t/0/{base:020}.fates")), "").unwrap();
        let mut spool = open_clean(dir.path());
        let large = "x".repeat(300);
        append(&mut spool, &from, &[&large]);
        append(&mut spool, &from, &["c"]);
        assert_eq!(drain(&mut spool, &from), ["a", "b", &large, "c"], "{base}");
        drop(spool);
        assert_eq!(open_clean(dir.path()).pending().count(), 0);
    }
}

#[test]
fn what_is_copied_is_synced_first_whatever_the_policy() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(Refusing::default());
    let config = SpoolConfig { fsync: Fsync::Never, ..config(dir.path()) };
    let (mut spool, _) = Spool::open_on(Arc::clone(&disk) as _, config).unwrap();
    spool.append(&topic("t"), None, &batch(&["a"])).unwrap();
    append(&mut spool, &partition("u", 0), &["b"]);
    assert!(disk.synced.lock().is_empty(), "{:?}", disk.synced.lock());
    spool.assign(&topic("t"), 1, usize::MAX).unwrap();
    let why = Aside {
        progress: Progress { next: 1, ..Progress::default() },
        stamp: None,
        fate: Fate::NotWritten,
        why: Unresolved::Unstamped,
    };
    spool.set_aside(&partition("u", 0), &why).unwrap();
    let synced = disk.synced.lock().clone();
    let at = |below: &str| synced.iter().position(|path| path.ends_with(format!("{below}/{:020}.log", 0)));
    for (original, copy) in [("t/unassigned", "t/0"), ("u/0", "u/0/aside")] {
        assert!(at(original).is_some() && at(original) < at(copy), "{original} before {copy}: {synced:?}");
    }
}

#[test]
fn a_topics_id_goes_with_its_last_record_though_a_kill_left_it() {
    let dir = tempfile::tempdir().unwrap();
    let from = partition("t", 0);
    let mut spool = open_clean(dir.path());
    append(&mut spool, &from, &["a"]);
    spool.note_topic_id(&from.topic, TopicId([7; 16])).unwrap();
    let path = dir.path().join("topics/t/topic.id");
    let text = fs::read(&path).unwrap();
    assert_eq!(drain(&mut spool, &from), ["a"]);
    drop(spool);
    assert!(!path.exists());
    fs::write(&path, text).unwrap();
    let mut spool = open_clean(dir.path());
    append(&mut spool, &from, &["b"]);
    assert_eq!(spool.topic_id(&from.topic), None, "it may be another topic by now");
}

#[test]
fn a_disk_that_turns_read_only_is_told_as_that() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(Refusing::default());
    let (mut spool, _) = Spool::open_on(Arc::clone(&disk) as _, config(dir.path())).unwrap();
    *disk.writes.lock() = Some(io::ErrorKind::ReadOnlyFilesystem);
    let error = spool.append(&topic("t"), None, &batch(&["b"])).unwrap_err();
    assert!(matches!(error, SpoolError::ReadOnly { .. }), "{error}");
    assert!(error.to_string().contains("cannot be written"));
}

#[test]
fn a_disk_that_does_not_sync_at_the_end_of_an_interval_takes_nothing_more() {
    let dir = tempfile::tempdir().unwrap();
    let from = partition("t", 0);
    let disk = Arc::new(Refusing::default());
    // Longer than slow disks take for one append.
    let fsync = Fsync::Interval(Duration::from_millis(200));
    let config = SpoolConfig { fsync, ..config(dir.path()) };
    let (mut spool, _) = Spool::open_on(Arc::clone(&disk) as _, config).unwrap();
    let mut kept = Vec::new();
    // Until one comes within the interval after the one before.
    while spool.sync_due().is_none() {
        kept.push(kept.len().to_string());
        append(&mut spool, &from, &[&kept[kept.len() - 1]]);
    }
    *disk.syncs.lock() = Some(io::ErrorKind::Other);
    while spool.sync_due().is_some_and(|at| at > Instant::now()) {
        std::thread::yield_now();
    }
    for _ in 0..3 {
        spool.append(&from.topic, from.place.partition(), &batch(&["refused"])).unwrap_err();
    }
    assert!(spool.sync_due().is_some());
    *disk.syncs.lock() = None;
    drop(spool);
    assert_eq!(drain(&mut open_clean(dir.path()), &from), kept);
}

#[test]
fn what_is_not_synced_is_due_even_if_another_process_wrote_it() {
    let dir = tempfile::tempdir().unwrap();
    let from = partition("t", 0);
    let open = |fsync| Spool::open(SpoolConfig { fsync, ..config(dir.path()) }).unwrap().0;
    let hourly = Fsync::Interval(Duration::from_secs(3_600));
    let mut spool = open(hourly);
    assert_eq!(spool.sync_due(), None);
    append(&mut spool, &from, &["a"]);
    assert!(spool.sync_due().is_some_and(|at| at > Instant::now() && !spool.sync_if_due().unwrap()));
    drop(spool);
    let mut spool = open(hourly);
    assert!(spool.sync_due().is_some());
    spool.sync().unwrap();
    assert_eq!(spool.sync_due(), None);
    drop(spool);
    // A sidecar that is lost cannot be synced, and need not be.
    std::fs::remove_file(dir.path().join("topics/t/0/00000000000000000000.fates")).unwrap();
    let mut spool = open(Fsync::Interval(Duration::ZERO));
    assert!(spool.sync_if_due().unwrap());
    assert_eq!(spool.sync_due(), None);
    drop(spool);
    assert_eq!(open(Fsync::Always).sync_due(), None);
}

#[test]
fn a_folder_that_is_no_folder_and_one_of_another_version_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "mine").unwrap();
    let error = Spool::open(SpoolConfig::new(&file)).unwrap_err();
    assert!(error.to_string().contains("file"), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    let spool = dir.path().join("spool");
    drop(open_clean(&spool));
    fs::write(spool.join("spool.version"), "milena-spool 2\n").unwrap();
    let error = Spool::open(SpoolConfig::new(&spool)).unwrap_err();
    assert!(matches!(&error, SpoolError::Version { found, .. } if found == "milena-spool 2\n"), "{error}");
}

#[test]
fn two_at_once_are_one_too_many() {
    let dir = tempfile::tempdir().unwrap();
    let first = open_clean(dir.path());
    let error = Spool::open(config(dir.path())).unwrap_err();
    assert!(matches!(error, SpoolError::Locked { .. }), "{error}");
    drop(first);
    open_clean(dir.path());
}

#[test]
fn a_topic_that_kafka_would_not_have_and_a_batch_that_is_none_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open_clean(dir.path());
    let error = spool.append(&topic("../up"), None, &batch(&["b"])).unwrap_err();
    assert!(matches!(error, SpoolError::TopicName { .. }), "{error}");
    let mut wrong = batch(&["b"]);
    wrong.header.record_count = 0;
    let error = spool.append(&topic("t"), None, &wrong).unwrap_err();
    assert!(matches!(error, SpoolError::BadBatch(_)), "{error}");
    assert_eq!(spool.pending().count(), 0);
}

#[test]
fn a_spool_that_is_closed_is_free_though_a_child_that_is_being_started_has_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _) = Spool::open(SpoolConfig::new(dir.path())).unwrap();
    let inherited = spool._lock.0.try_clone().unwrap();
    drop(spool);
    Spool::open(SpoolConfig::new(dir.path())).unwrap();
    drop(inherited);
}
