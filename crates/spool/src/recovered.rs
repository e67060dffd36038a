//! What opening a spool found.

use std::fmt;
use std::path::PathBuf;

use crate::Pending;

/// What opening a spool found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Recovered {
    /// What waits to be replayed, in all.
    pub pending: Pending,
    /// Ends that were cut off.
    pub torn: Vec<Torn>,
    /// Files that were damaged.
    pub damaged: Vec<Damage>,
}

impl Recovered {
    /// Whether everything was as it should be.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.torn.is_empty() && self.damaged.is_empty()
    }
}

/// An append that a crash cut short. Unless the spool was opened without syncing, nobody was told that these records are spooled.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Torn {
    /// The file.
    pub path: PathBuf,
    /// How many bytes were cut off.
    pub bytes: u64,
    /// How many records these were meant to be, as far as the sidecar says.
    pub records: u64,
}

impl fmt::Display for Torn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, bytes, records } = self;
        write!(f, "{} ended within a write: {bytes} bytes cut off, meant to be {records} records", path.display())
    }
}

/// A file that holds what no spool wrote. Whatever of it could be read is in the spool; the file as it was is kept beside it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// Where in it the damage begins, in bytes.
    pub position: u64,
    /// Records that are lost from the spool, as far as can be told.
    pub lost_records: u64,
    /// A copy of the file as it was found. It is never deleted.
    pub kept_as: PathBuf,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, position, lost_records, kept_as, what } = self;
        write!(
            f,
            "{} is damaged at byte {position} ({what}); {lost_records} records are lost; as it was found it is kept as {}",
            path.display(),
            kept_as.display()
        )
    }
}
