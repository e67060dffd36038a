//! Reaches what reads a spool's files, without a disk: for the tests that feed it with hostile bytes.

use milena_sequence::Fate;
use milena_wire::ErrorCode;

use crate::fates::{self, FateLine};
use crate::folder::whole;
use crate::progress::Progress;
use crate::scan::scan;

/// What opening a segment makes of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Kept {
    /// The segment, without what is damaged.
    pub log: Vec<u8>,
    /// Its sidecar.
    pub fates: Vec<u8>,
    /// Bytes that were set aside or cut off.
    pub lost: u64,
    /// First and one past the last offset of each batch.
    pub offsets: Vec<(i64, i64)>,
    /// Whether nothing was wrong.
    pub clean: bool,
}

/// Reads a segment of offsets from `base` on and its sidecar, as opening a spool does.
#[must_use]
pub fn segment(log: &[u8], sidecar: &[u8], base: i64, until: Option<i64>) -> Kept {
    let lines = fates::decode(sidecar);
    let found = scan(log, base, &lines, until, base);
    let named = found.entries.iter().filter_map(|entry| Some(entry.fate.as_ref()?.encode()));
    Kept {
        log: whole(log, &found),
        fates: named.collect::<String>().into_bytes(),
        lost: found.torn + found.gaps.iter().map(|gap| gap.len).sum::<u64>(),
        offsets: found.entries.iter().map(|entry| (entry.offset(), entry.end())).collect(),
        clean: found.gaps.is_empty() && found.torn == 0 && !found.mended && lines.damaged.is_empty(),
    }
}

/// The sidecar's line of a batch.
#[must_use]
pub fn fate(offset: i64, count: i32, batch_crc: u32, cause: &str) -> String {
    let (code, when_ms) = (ErrorCode::REQUEST_TIMED_OUT, 1_763_712_000_000);
    let line = FateLine {
        offset,
        count,
        batch_crc,
        fate: Fate::NotWritten,
        code,
        when_ms,
        origin: Some(offset),
        named: None,
        cause: cause.to_owned(),
    };
    line.encode()
}

/// Reads how far a replay is.
#[must_use]
pub fn progress(bytes: &[u8]) -> Option<Progress> {
    Progress::decode(bytes)
}

/// Writes how far a replay is.
#[must_use]
pub fn progress_text(progress: &Progress) -> String {
    progress.encode()
}
