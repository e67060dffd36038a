//! What the spool, or the disk below it, refuses: a clear error, and all that was there before still is.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::support::{append, batch, config, drain, open_clean, partition, topic};
use crate::disk::{Disk, RealDisk};
use crate::{Spool, SpoolConfig, SpoolError};

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

/// A disk that refuses to write with some error, until it is mended.
#[derive(Debug)]
struct Refusing(Mutex<Option<io::ErrorKind>>);

impl Refusing {
    fn check(&self) -> io::Result<()> {
        self.0.lock().map_or(Ok(()), |kind| Err(kind.into()))
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
        RealDisk.sync(path)
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
    let disk = Arc::new(Refusing(Mutex::new(None)));
    let (mut spool, _) = Spool::open_on(Arc::clone(&disk) as _, config(dir.path())).unwrap();
    append(&mut spool, &from, &["a"]);
    *disk.0.lock() = Some(io::ErrorKind::StorageFull);
    for to in [&from, &partition("other", 1)] {
        let error = spool.append(&to.topic, to.place.partition(), &batch(&["b"])).unwrap_err();
        assert!(matches!(error, SpoolError::NoSpace { .. }), "{error}");
        assert!(error.to_string().contains("no room left on the disk"));
    }
    *disk.0.lock() = None;
    append(&mut spool, &from, &["c"]);
    drop(spool);
    let mut spool = open_clean(dir.path());
    assert_eq!(drain(&mut spool, &from), ["a", "c"]);
    assert_eq!(spool.pending().count(), 0);
}

#[test]
fn a_disk_that_turns_read_only_is_told_as_that() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(Refusing(Mutex::new(None)));
    let (mut spool, _) = Spool::open_on(Arc::clone(&disk) as _, config(dir.path())).unwrap();
    *disk.0.lock() = Some(io::ErrorKind::ReadOnlyFilesystem);
    let error = spool.append(&topic("t"), None, &batch(&["b"])).unwrap_err();
    assert!(matches!(error, SpoolError::ReadOnly { .. }), "{error}");
    assert!(error.to_string().contains("cannot be written"));
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
