//! What a segment and its sidecar really hold: a decision over their bytes.
//!
//! A batch is taken if it is whole, its CRC holds, and it follows on the one before. Behind damage the next batch is looked for, and
//! taken only if the sidecar names it: a record's value may hold a batch of its own, which is none of this log's. Nearly always a
//! batch's sidecar line puts right what the CRC does not cover, its offset.

use std::collections::{BTreeMap, BTreeSet};

use milena_wire::{BATCH_HEADER_LEN, BatchHeader, BatchView, Offset};

use crate::fates::{FateLine, FateLines};

/// A batch and where it is.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) position: u64,
    pub(crate) header: BatchHeader,
    /// `None` if the sidecar's line is lost: then the batch may have been written.
    pub(crate) fate: Option<FateLine>,
}

impl Entry {
    pub(crate) fn offset(&self) -> i64 {
        self.header.base_offset.0
    }

    pub(crate) fn end(&self) -> i64 {
        self.offset().saturating_add(i64::from(self.header.record_count))
    }
}

/// Bytes that are no batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Gap {
    pub(crate) position: u64,
    pub(crate) len: u64,
    pub(crate) what: &'static str,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) entries: Vec<Entry>,
    pub(crate) gaps: Vec<Gap>,
    /// Bytes at the end that an append left behind which was cut short.
    pub(crate) torn: u64,
    /// Whether an offset had to be put right.
    pub(crate) mended: bool,
    /// Records that the sidecar names and the log has lost.
    pub(crate) lost_records: u64,
}

/// Reads a segment that holds offsets from `base` on, `until` the next one's. Only the end of the last one can be torn. What is in front of
/// `done` may be gone already.
pub(crate) fn scan(log: &[u8], base: i64, fates: &FateLines, until: Option<i64>, done: i64) -> Found {
    // After a torn append its offset was used again: the later line counts.
    let named: BTreeMap<i64, &FateLine> = fates.lines.iter().map(|line| (line.offset, line)).collect();
    let mut found = Found::default();
    let mut next = base;
    let mut at = 0;
    let mut gap: Option<Gap> = None;
    while at < log.len() {
        match batch_at(&log[at..], next, &named, gap.is_some()) {
            Ok(batch) => {
                found.gaps.extend(gap.take());
                found.mended |= batch.mended;
                let len = batch.header.total_len();
                let entry = Entry { position: at as u64, header: batch.header, fate: batch.fate.cloned() };
                next = entry.end();
                found.entries.push(entry);
                at += len;
            }
            Err(what) => {
                gap.get_or_insert(Gap { position: at as u64, len: 0, what });
                at += 1;
                if let Some(gap) = &mut gap {
                    gap.len += 1;
                }
            }
        }
    }
    if let Some(gap) = gap {
        let rest = &log[usize::try_from(gap.position).unwrap_or(log.len())..];
        if until.is_none() && cut_short(rest) {
            found.torn = gap.len;
        } else {
            found.gaps.push(gap);
        }
    }
    let have: BTreeSet<i64> = found.entries.iter().map(Entry::offset).collect();
    // A line at the next segment's offset is of an append that failed here and was made there.
    let lines = named.range(..until.unwrap_or(i64::MAX)).map(|(_, line)| *line);
    let is_open = |line: &&FateLine| line.offset.saturating_add(i64::from(line.count)) > done;
    let lost = lines.filter(is_open).filter(|line| !have.contains(&line.offset));
    found.lost_records = lost.map(|line| u64::try_from(line.count).unwrap_or(0)).sum();
    found
}

struct Batch<'a> {
    header: BatchHeader,
    fate: Option<&'a FateLine>,
    mended: bool,
}

fn batch_at<'a>(
    bytes: &[u8],
    next: i64,
    named: &BTreeMap<i64, &'a FateLine>,
    searching: bool,
) -> Result<Batch<'a>, &'static str> {
    let (view, _) = BatchView::parse(bytes).map_err(|_| "no whole batch begins here")?;
    let mut header = *view.header();
    if searching && named.range(next..).all(|(_, line)| line.batch_crc != header.crc) {
        return Err("no batch of this segment begins here");
    }
    if view.verify_crc().is_err() {
        return Err("the batch is not what its checksum says");
    }
    if header.record_count < 1 || header.last_offset_delta != header.record_count - 1 {
        return Err("the batch's offsets are not those of its records");
    }
    let fits = |line: &FateLine| line.batch_crc == header.crc && line.count == header.record_count;
    let own = named.get(&header.base_offset.0).copied().filter(|line| fits(line));
    let fate = own.or_else(|| named.range(next..).map(|(_, line)| *line).find(|line| fits(line)));
    let mended = own.is_none() && fate.is_some();
    if let Some(line) = fate {
        header.base_offset = Offset(line.offset);
    }
    if header.base_offset.0 < next || header.base_offset.0.checked_add(i64::from(header.record_count)).is_none() {
        return Err("the batch does not follow on the one before");
    }
    Ok(Batch { header, fate, mended })
}

/// Whether this is the beginning of a batch, or room that was reserved for one and never written.
fn cut_short(rest: &[u8]) -> bool {
    if rest.len() < BATCH_HEADER_LEN || rest.iter().all(|b| *b == 0) {
        return true;
    }
    BatchHeader::decode(rest).is_ok_and(|header| header.total_len() > rest.len())
}
