//! A process or a machine that ends at any change of the disk, and in the middle of any write.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::support::{append, batch, config, drain, open, partition, take};
use crate::disk::{Disk, RealDisk};
use crate::{Fsync, Source, Spool};

/// The real disk, until the world stops; and what of it survives when the machine stops.
#[derive(Debug)]
struct Mortal {
    /// Changes until the end.
    left: Mutex<usize>,
    /// Whether half of the last write is done.
    half: bool,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    files: u64,
    /// Names as they are, and as they survive.
    live: BTreeMap<PathBuf, u64>,
    names: BTreeMap<PathBuf, u64>,
    contents: BTreeMap<u64, Vec<u8>>,
    live_dirs: BTreeSet<PathBuf>,
    dirs: BTreeSet<PathBuf>,
}

impl Kept {
    fn file(&mut self, path: &Path) -> u64 {
        self.files += 1;
        let new = self.files;
        *self.live.entry(path.to_owned()).or_insert(new)
    }
}

impl Mortal {
    fn new(left: usize, half: bool) -> Arc<Self> {
        Arc::new(Self { left: Mutex::new(left), half, kept: Mutex::default() })
    }

    /// Whether the change is the last one, of which only half is done.
    fn live(&self) -> io::Result<bool> {
        let mut left = self.left.lock();
        if *left == 0 {
            return Err(io::Error::other("the end"));
        }
        *left -= 1;
        Ok(*left == 0 && self.half)
    }

    fn is_over(&self) -> bool {
        *self.left.lock() == 0
    }

    /// What is there after the machine has started again.
    fn lose_what_is_not_synced(&self, root: &Path) {
        let kept = self.kept.lock();
        for path in kept.live.keys() {
            let _gone_already = fs::remove_file(path);
        }
        for dir in kept.live_dirs.iter().rev() {
            let _gone_already = fs::remove_dir(dir);
        }
        for dir in &kept.dirs {
            fs::create_dir(dir).unwrap();
        }
        for (path, file) in &kept.names {
            let parent = path.parent().unwrap();
            if parent == root || parent.exists() {
                fs::write(path, kept.contents.get(file).cloned().unwrap_or_default()).unwrap();
            }
        }
    }
}

impl Disk for Mortal {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.live()?;
        self.kept.lock().live_dirs.insert(path.to_owned());
        RealDisk.create_dir(path)
    }

    fn write_at(&self, path: &Path, position: u64, parts: &[&[u8]]) -> io::Result<()> {
        let half = self.live()?;
        self.kept.lock().file(path);
        let all = parts.concat();
        RealDisk.write_at(path, position, &[if half { &all[..all.len() / 2] } else { &all }])
    }

    fn write_new(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let half = self.live()?;
        let mut kept = self.kept.lock();
        let file = kept.file(path);
        if half {
            return RealDisk.write_new(path, &bytes[..bytes.len() / 2]);
        }
        kept.contents.insert(file, bytes.to_vec());
        RealDisk.write_new(path, bytes)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.live()?;
        let mut kept = self.kept.lock();
        let file = kept.live.remove(from).unwrap();
        kept.live.insert(to.to_owned(), file);
        RealDisk.rename(from, to)
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        self.live()?;
        let mut kept = self.kept.lock();
        let file = kept.file(path);
        kept.contents.insert(file, fs::read(path)?);
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.live()?;
        let mut kept = self.kept.lock();
        let here = |name: &PathBuf| name.parent() == Some(path);
        kept.names.retain(|name, _| !here(name));
        let live: Vec<_> = kept.live.iter().filter(|(name, _)| here(name)).map(|(n, f)| (n.clone(), *f)).collect();
        kept.names.extend(live);
        let dirs: Vec<_> = kept.live_dirs.iter().filter(|dir| here(dir)).cloned().collect();
        kept.dirs.extend(dirs);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.live()?;
        self.kept.lock().live.remove(path);
        RealDisk.remove(path)
    }
}

/// What was promised before the end, by folder.
#[derive(Debug, Default)]
struct Promised {
    /// In the spool, and not done with.
    there: Vec<String>,
    /// Was being written.
    perhaps: Option<String>,
    /// The first of `there` was being done with.
    perhaps_done: bool,
}

/// Fills and empties two partitions until the world ends.
fn live(spool: &mut Spool, promised: &mut BTreeMap<Source, Promised>) -> Option<()> {
    let (a, b) = (partition("t", 0), partition("u", 7));
    for round in 0..9 {
        for folder in [&a, &b] {
            let value = format!("{}{round}", folder.topic);
            let of = promised.entry(folder.clone()).or_default();
            of.perhaps = Some(value.clone());
            spool.append(&folder.topic, folder.place.partition(), &batch(&[&value])).ok()?;
            of.there.extend(of.perhaps.take());
        }
        if round > 1 {
            let of = promised.get_mut(&a)?;
            let head = spool.head(&a).ok()??;
            of.perhaps_done = true;
            let next = head.offset() + i64::from(head.count().get());
            let before = spool.progress(&a)?;
            spool.save_progress(&a, crate::Progress { next, ..before }).ok()?;
            of.there.remove(0);
            of.perhaps_done = false;
        }
    }
    Some(())
}

fn end_everywhere(machine: bool, half: bool) -> usize {
    for ends_at in 1.. {
        let dir = tempfile::tempdir().unwrap();
        let mortal = Mortal::new(ends_at, half);
        let mut promised = BTreeMap::new();
        if let Ok((mut spool, _)) = Spool::open_on(Arc::clone(&mortal) as _, config(dir.path())) {
            live(&mut spool, &mut promised);
        }
        if !mortal.is_over() {
            return ends_at;
        }
        if machine {
            mortal.lose_what_is_not_synced(dir.path());
        }
        let (mut spool, recovered) = open(dir.path());
        assert_eq!(recovered.damaged, [], "a crash is no damage, at {ends_at}");
        for (folder, promised) in promised {
            append(&mut spool, &folder, &["new"]);
            let found = drain(&mut spool, &folder);
            let Promised { there, perhaps, perhaps_done } = promised;
            let fitting = [0, usize::from(perhaps_done)].into_iter().flat_map(|from| {
                let there = there.clone();
                [None, perhaps.clone()].map(|perhaps| {
                    let rest = there[from..].iter().cloned().chain(perhaps);
                    rest.chain(["new".to_owned()]).collect::<Vec<_>>()
                })
            });
            let fitting: Vec<_> = fitting.collect();
            assert!(fitting.contains(&found), "{found:?} of {fitting:?}, at {ends_at}, {machine} {half}");
        }
    }
    unreachable!("the world ends")
}

#[test]
fn a_process_that_ends_anywhere_loses_nothing_that_was_promised_and_makes_nothing_up() {
    assert!(end_everywhere(false, false) > 100);
    end_everywhere(false, true);
}

#[test]
fn a_machine_that_ends_anywhere_loses_nothing_that_was_promised_and_makes_nothing_up() {
    end_everywhere(true, false);
    end_everywhere(true, true);
}

#[test]
fn an_append_that_fails_leaves_nothing_that_a_later_start_would_find() {
    for ends_at in 1..30 {
        let dir = tempfile::tempdir().unwrap();
        let from = partition("t", 0);
        let mortal = Mortal::new(ends_at, true);
        let Ok((mut spool, _)) = Spool::open_on(Arc::clone(&mortal) as _, config(dir.path())) else { continue };
        let error = loop {
            if let Err(error) = spool.append(&from.topic, from.place.partition(), &batch(&["x"])) {
                break error;
            }
        };
        let certain = !matches!(error, crate::SpoolError::Uncertain { .. });
        let told = spool.pending().map(|(_, pending)| pending.records).sum::<u64>();
        drop(spool);
        let (_spool, recovered) = open(dir.path());
        assert!(!certain || recovered.pending.records == told, "{error}, at {ends_at}");
    }
}

#[test]
fn without_syncing_a_process_that_ends_loses_nothing_either() {
    let dir = tempfile::tempdir().unwrap();
    let from = partition("t", 0);
    let config = crate::SpoolConfig { fsync: Fsync::Never, ..config(dir.path()) };
    let (mut spool, _) = Spool::open(config).unwrap();
    append(&mut spool, &from, &["a"]);
    append(&mut spool, &from, &["b"]);
    drop(spool);
    let (mut spool, recovered) = open(dir.path());
    assert!(recovered.is_clean());
    assert!(take(&mut spool, &from).is_some() && take(&mut spool, &from).is_some());
}
