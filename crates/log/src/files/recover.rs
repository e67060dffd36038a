//! Finds out where a segment really ends.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::path::Path;

use milena_wire::{BATCH_HEADER_LEN, BatchHeader, BatchView, Offset};

use super::segment::{Segment, last_offset, leaves_room, path};
use super::{LogConfig, Recovery};
use crate::format::FileKind;

/// So much is read at once, of segments that have it: most folders of a broker are small ones.
const READ_AHEAD: u64 = 1 << 20;

/// Opens an existing segment, cuts off what is not valid, and builds its indexes anew.
pub(super) fn segment(
    dir: &Path,
    base: Offset,
    config: LogConfig,
    on_batch: &mut impl FnMut(&BatchHeader),
) -> io::Result<(Segment, Recovery)> {
    let log = OpenOptions::new().read(true).write(true).open(path(dir, base, FileKind::Log))?;
    let len = log.metadata()?.len();
    let ahead = usize::try_from(len.min(READ_AHEAD)).map_err(io::Error::other)?;
    let mut scan = Scan { file: BufReader::with_capacity(ahead, log.try_clone()?), left: len, batch: Vec::new() };
    let mut segment = Segment::with_log(dir, base, config, log)?;
    let mut recovery = Recovery::default();
    while let Some(header) = scan.next()? {
        let in_order = header.base_offset >= segment.next_offset() && header.last_offset_delta >= 0;
        let relative = last_offset(&header).0.saturating_sub(base.0);
        if !in_order || !leaves_room(&header) || relative > i64::from(i32::MAX) {
            break;
        }
        segment.note(&header)?;
        on_batch(&header);
        recovery.batches += 1;
    }
    recovery.torn_bytes = len - segment.size();
    if recovery.torn_bytes > 0 {
        scan.file.get_ref().set_len(segment.size())?;
    }
    Ok((segment, recovery))
}

struct Scan {
    file: BufReader<File>,
    left: u64,
    batch: Vec<u8>,
}

impl Scan {
    /// The next batch's header if the batch is whole and its CRC is right.
    fn next(&mut self) -> io::Result<Option<BatchHeader>> {
        if self.left < BATCH_HEADER_LEN as u64 {
            return Ok(None);
        }
        self.batch.resize(BATCH_HEADER_LEN, 0);
        self.file.read_exact(&mut self.batch)?;
        let Ok(header) = BatchHeader::decode(&self.batch) else {
            return Ok(None);
        };
        let len = header.total_len();
        // A torn length may be anything; it is not believed beyond the file.
        if len as u64 > self.left {
            return Ok(None);
        }
        self.batch.resize(len, 0);
        self.file.read_exact(&mut self.batch[BATCH_HEADER_LEN..])?;
        self.left -= len as u64;
        let valid = BatchView::parse(&self.batch).is_ok_and(|(view, _)| view.verify_crc().is_ok());
        Ok(valid.then_some(header))
    }
}
