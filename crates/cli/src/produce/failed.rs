//! The lines of records that failed, kept for another try.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use milena::{BatchReport, Fate, Outcome};
use parking_lot::Mutex;

/// Lines that have no outcome yet, by their token. Bounded by the producer's own buffer, since each stands for a record in it.
pub(super) struct Failed {
    state: Mutex<State>,
}

struct State {
    open: HashMap<u64, Vec<u8>>,
    file: BufWriter<File>,
    error: Option<io::Error>,
}

impl Failed {
    /// Makes the file, even if nothing will fail: a script then finds it. What it has stays for now.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = BufWriter::new(OpenOptions::new().write(true).create(true).truncate(false).open(path)?);
        Ok(Self { state: Mutex::new(State { open: HashMap::new(), file, error: None }) })
    }

    /// Takes out what an earlier run left. To be called before anything can fail.
    pub(super) fn empty(&self) -> io::Result<()> {
        let state = self.state.lock();
        let file = state.file.get_ref();
        // A pipe or a terminal has nothing to take out.
        if file.metadata()?.is_file() { file.set_len(0) } else { Ok(()) }
    }

    /// Keeps a line until its record has an outcome.
    pub(super) fn keep(&self, token: u64, line: &[u8]) {
        self.state.lock().open.insert(token, line.to_vec());
    }

    /// The record was not even taken.
    pub(super) fn refused(&self, token: u64) {
        self.state.lock().write(token);
    }

    /// The line was never counted.
    pub(super) fn forget(&self, token: u64) {
        self.state.lock().open.remove(&token);
    }

    /// A batch has its outcome.
    pub(super) fn settle(&self, report: &BatchReport) {
        let mut state = self.state.lock();
        let failed = matches!(report.outcome(), Outcome::Failed(failure) if failure.fate != Fate::Spooled);
        for record in report.records() {
            if failed {
                state.write(record.token);
            } else {
                state.open.remove(&record.token);
            }
        }
    }

    /// Writes out what is buffered; the first error of all.
    pub(super) fn finish(&self) -> Option<io::Error> {
        let mut state = self.state.lock();
        let flushed = state.file.flush();
        state.error.take().or_else(|| flushed.err())
    }
}

impl State {
    fn write(&mut self, token: u64) {
        let Some(mut line) = self.open.remove(&token) else { return };
        line.push(b'\n');
        if let Err(error) = self.file.write_all(&line) {
            self.error.get_or_insert(error);
        }
    }
}

/// Whether both name the same file, however they name it; no path is standard input.
#[cfg(unix)]
pub(super) fn is_same_file(input: Option<&Path>, failed: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let input = std::fs::metadata(input.unwrap_or_else(|| "/dev/stdin".as_ref()));
    let Ok((input, failed)) = input.and_then(|input| Ok((input, std::fs::metadata(failed)?))) else { return false };
    input.is_file() && (input.dev(), input.ino()) == (failed.dev(), failed.ino())
}

/// Whether both name the same file, however they name it; no path is standard input.
#[cfg(not(unix))]
pub(super) fn is_same_file(input: Option<&Path>, failed: &Path) -> bool {
    let input = input.map(Path::canonicalize).and_then(Result::ok);
    input.is_some_and(|input| failed.canonicalize().is_ok_and(|failed| failed == input))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_line_is_kept_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("failed.txt");
        let failed = Failed::open(&path).unwrap();
        failed.keep(1, b"delivered later");
        failed.keep(2, b"key:refused");
        failed.refused(2);
        assert!(failed.finish().is_none());
        assert_eq!(std::fs::read(&path).unwrap(), b"key:refused\n");
    }
}
