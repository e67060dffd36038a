//! What is said in events, by all producers of this process.

use std::io::{self, Write};
use std::sync::{Mutex, Once, PoisonError};

use tracing_subscriber::filter::LevelFilter;

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Listens from now on.
pub(crate) fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing_subscriber::fmt().with_ansi(false).with_max_level(LevelFilter::WARN).with_writer(|| Lines).init();
    });
}

/// The first line that has all these words.
pub(crate) fn line(words: &[&str]) -> Option<String> {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    let text = String::from_utf8_lossy(&lines);
    text.lines().find(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned)
}

/// Whether one line has all these words.
pub(crate) fn said(words: &[&str]) -> bool {
    line(words).is_some()
}
