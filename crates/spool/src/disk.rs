//! Every change to the disk, one method each, so that a test can stop the world between any two of them.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// What changes the disk.
pub(crate) trait Disk: fmt::Debug + Send + Sync {
    /// Makes one folder, whose parent exists.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Writes `parts` at `position` of a file, which is made if need be, and cuts off what was behind.
    fn write_at(&self, path: &Path, position: u64, parts: &[&[u8]]) -> io::Result<()>;
    /// Writes a file that is not there yet, or is not needed any more, whole, and syncs it.
    fn write_new(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Puts a file in another's place in one step.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes what was written to a file survive a crash of the machine.
    fn sync(&self, path: &Path) -> io::Result<()>;
    /// The same for the names in a folder.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Deletes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// The real one.
#[derive(Debug)]
pub(crate) struct RealDisk;

impl Disk for RealDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn write_at(&self, path: &Path, position: u64, parts: &[&[u8]]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        if file.metadata()?.len() != position {
            // What an append that failed left behind.
            file.set_len(position)?;
        }
        file.seek(SeekFrom::Start(position))?;
        parts.iter().try_for_each(|part| file.write_all(part))
    }

    fn write_new(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        OpenOptions::new().write(true).open(path)?.sync_all()
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}

/// Replaces a file in one step that survives a crash at any point: either the old one is there, or the new one.
pub(crate) fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = draft_of(path);
    disk.write_new(&draft, bytes)?;
    disk.rename(&draft, path)?;
    path.parent().map_or(Ok(()), |dir| disk.sync_dir(dir))
}

/// Suffix of files that are not in their place yet; after a crash they mean nothing.
pub(crate) const DRAFT: &str = ".draft";

fn draft_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(DRAFT);
    PathBuf::from(name)
}
