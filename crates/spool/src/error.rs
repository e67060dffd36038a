//! What can go wrong with a spool, and what to do about it.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a spool could not do what it was asked. Whatever it is, what was in the spool before still is.
#[derive(Debug)]
#[non_exhaustive]
pub enum SpoolError {
    /// The batch would take the spool beyond its bound.
    Full {
        /// Bytes in use.
        used: u64,
        /// The bound.
        max: u64,
        /// What the batch would take.
        wanted: u64,
    },
    /// The disk has no room left.
    NoSpace {
        /// The file that was to grow.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The folder or a file in it may not be written.
    ReadOnly {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another process has the spool open.
    Locked {
        /// Its folder.
        dir: PathBuf,
    },
    /// A file holds what no spool wrote there.
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// Where in it, in bytes.
        position: u64,
        /// What is wrong.
        what: String,
    },
    /// The folder holds a spool of another format.
    Version {
        /// The file that says so.
        path: PathBuf,
        /// What it says.
        found: String,
    },
    /// A topic whose name is no legal folder name, or differs from another one's only in case on a disk that does not care.
    TopicName {
        /// The name.
        topic: String,
        /// Why it is refused.
        why: &'static str,
    },
    /// A batch whose header does not fit its records.
    BadBatch(String),
    /// An append failed, and what it may have left on the disk could not be taken back: the batch may be in the spool at the next start.
    Uncertain {
        /// Why the append failed.
        cause: Box<Self>,
        /// Why it could not be taken back.
        undoing: Box<Self>,
    },
    /// Anything else that the file system refuses.
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl SpoolError {
    /// Sorts an error of the file system.
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::NoSpace { path, source }
            }
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => Self::ReadOnly { path, source },
            _ => Self::Io { path, source },
        }
    }
}

impl fmt::Display for SpoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { used, max, wanted } => write!(
                f,
                "the spool is full: it holds {used} bytes of at most {max}, and {wanted} more were to come; replay it, or give it a larger bound"
            ),
            Self::NoSpace { path, .. } => {
                write!(f, "no room left on the disk for {}; free some, nothing in the spool is lost", path.display())
            }
            Self::ReadOnly { path, .. } => write!(
                f,
                "{} cannot be written; give this user the right to write there, or name another folder",
                path.display()
            ),
            Self::Locked { dir } => write!(
                f,
                "the spool in {} is open in another process; stop that producer or replay first, two would send the same records twice",
                dir.display()
            ),
            Self::Corrupt { path, position, what } => {
                write!(f, "{} is damaged at byte {position}: {what}; all else in the spool is whole", path.display())
            }
            Self::Version { path, found } => write!(
                f,
                "{} says {found:?}, which is no format of this version's; use the version that wrote it, or name an empty folder",
                path.display()
            ),
            Self::TopicName { topic, why } => write!(f, "topic {topic:?} cannot be spooled: {why}"),
            Self::BadBatch(why) => write!(f, "the batch cannot be spooled: {why}"),
            Self::Uncertain { cause, undoing } => {
                write!(
                    f,
                    "{cause}; what was written of it could not be taken back ({undoing}), so it may be found at the next start"
                )
            }
            Self::Io { path, .. } => write!(f, "the spool's {} cannot be used", path.display()),
        }
    }
}

impl Error for SpoolError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NoSpace { source, .. } | Self::ReadOnly { source, .. } | Self::Io { source, .. } => Some(source),
            Self::Uncertain { cause, .. } => Some(cause),
            _ => None,
        }
    }
}
