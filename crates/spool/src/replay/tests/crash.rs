//! A disk on which the process is killed, before or after one of its operations.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::disk::{Disk, RealDisk};

/// Half-steps until the kill: an even number left is before an operation, an odd one is behind it.
#[derive(Debug, Default)]
pub(super) struct Fuse(AtomicU64);

impl Fuse {
    pub(super) fn set(&self, half_steps: u64) {
        self.0.store(half_steps, Ordering::Relaxed);
    }

    /// Whether the process still lives after another half-step.
    fn burn(&self) -> bool {
        let left = self.0.load(Ordering::Relaxed);
        self.0.store(left.saturating_sub(1), Ordering::Relaxed);
        left > 0
    }
}

#[derive(Debug)]
pub(super) struct MortalDisk(pub(super) Arc<Fuse>);

impl MortalDisk {
    fn run(&self, operation: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let killed = || io::Error::other("killed");
        if !self.0.burn() {
            return Err(killed());
        }
        operation()?;
        if self.0.burn() { Ok(()) } else { Err(killed()) }
    }
}

/// What is written survives a kill of the process, synced or not, so nothing is synced here.
impl Disk for MortalDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.run(|| RealDisk.create_dir(path))
    }

    fn write_at(&self, path: &Path, position: u64, parts: &[&[u8]]) -> io::Result<()> {
        self.run(|| RealDisk.write_at(path, position, parts))
    }

    fn write_new(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.run(|| fs::write(path, bytes))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.run(|| RealDisk.rename(from, to))
    }

    fn sync(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.run(|| RealDisk.remove(path))
    }
}
