//! The files of one partition.

mod recover;
mod segment;

#[cfg(test)]
mod tests;

use std::fs::{self, DirEntry, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use milena_wire::{BATCH_HEADER_LEN, BatchHeader, Offset};

use crate::format::{FileKind, parse_segment_name};
use segment::{Segment, leaves_room};

/// How a partition's log is cut into files.
#[derive(Clone, Copy, Debug)]
pub struct LogConfig {
    /// A segment takes no batch that would make it larger (`segment.bytes`). Default 1 GiB; at most 2 GiB.
    pub segment_bytes: u32,
    /// Bytes between index entries (`index.interval.bytes`). Default 4096.
    pub index_interval_bytes: u32,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { segment_bytes: 1024 * 1024 * 1024, index_interval_bytes: 4096 }
    }
}

/// What [`PartitionLog::open`] found.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Recovery {
    /// Valid batches.
    pub batches: u64,
    /// Bytes behind the last valid batch, cut off: a write that was torn.
    pub torn_bytes: u64,
}

/// One partition's log, open for appending. One process at a time may have it open.
///
/// Nothing is synced to the disk before [`flush`](Self::flush): as in Kafka, what survives a crash of the process is
/// what was appended, and what survives a crash of the machine is what was flushed.
#[derive(Debug)]
pub struct PartitionLog {
    dir: PathBuf,
    config: LogConfig,
    /// Never empty; the last one is appended to. Each starts where the one before ends, or later.
    segments: Vec<Segment>,
}

impl PartitionLog {
    /// Opens the log in `dir`, which is created if need be. Each valid batch is shown to `on_batch`, oldest first.
    ///
    /// All segments are read and their CRCs checked; the log ends before the first batch that is not valid, or does not
    /// follow on the one before. Indexes are written anew.
    ///
    /// # Errors
    ///
    /// When the folder or its files cannot be read, written or cut.
    pub fn open(
        dir: impl Into<PathBuf>,
        config: LogConfig,
        mut on_batch: impl FnMut(&BatchHeader),
    ) -> io::Result<(Self, Recovery)> {
        let dir = dir.into();
        fs::create_dir_all(&dir)?;
        let mut bases = segment_bases(&dir)?;
        bases.sort_unstable();
        let mut recovery = Recovery::default();
        let mut segments: Vec<Segment> = Vec::new();
        let mut torn = false;
        for base in bases {
            let least = segments.last().map_or(Offset(0), Segment::next_offset);
            if torn || base < least {
                recovery.torn_bytes += Segment::remove(&dir, base)?;
                continue;
            }
            let (segment, found) = recover::segment(&dir, base, config, &mut on_batch)?;
            torn = found.torn_bytes > 0;
            recovery.batches += found.batches;
            recovery.torn_bytes += found.torn_bytes;
            segments.push(segment);
        }
        if segments.is_empty() {
            segments.push(Segment::create(&dir, Offset(0), config)?);
        }
        Ok((Self { dir, config, segments }, recovery))
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the log starts.
    #[must_use]
    pub fn start_offset(&self) -> Offset {
        self.segments.first().map_or(Offset(0), Segment::base)
    }

    /// The offset the next record gets.
    #[must_use]
    pub fn end_offset(&self) -> Offset {
        self.segments.last().map_or(Offset(0), Segment::next_offset)
    }

    /// Bytes of all segments.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.segments.iter().map(Segment::size).sum()
    }

    /// Appends one validated batch that has its [`place`](crate::place): `header` and then `payload`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the batch does not follow on the log's end, no offset is left behind it, or its header does not decode; otherwise what the
    /// file system says. After an error the segment ends where it ended before.
    pub fn append(&mut self, header: &[u8; BATCH_HEADER_LEN], payload: &[Bytes]) -> io::Result<()> {
        let fields = BatchHeader::decode(header).map_err(invalid)?;
        if fields.base_offset < self.end_offset() {
            return Err(invalid("the batch begins before the log's end"));
        }
        if !leaves_room(&fields) {
            return Err(invalid("no offset is left behind the batch"));
        }
        let size = BATCH_HEADER_LEN + payload.iter().map(Bytes::len).sum::<usize>();
        if size != fields.total_len() {
            return Err(invalid("the batch is not as long as its header says"));
        }
        if !self.active()?.has_room(&fields, size) {
            let next = fields.base_offset;
            self.active()?.seal()?;
            let segment = Segment::create(&self.dir, next, self.config)?;
            self.segments.push(segment);
        }
        self.active()?.append(header, &fields, payload)
    }

    /// Whole batches from the one that holds `from` on: as many as fit into `max_bytes`, and at least one unless there is none.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub fn read(&mut self, from: Offset, max_bytes: usize) -> io::Result<Bytes> {
        let mut out = BytesMut::new();
        for segment in &mut self.segments {
            // One that a crash or somebody left empty is no end.
            if segment.next_offset() <= from || segment.size() == 0 {
                continue;
            }
            let room = max_bytes.saturating_sub(out.len());
            // What did not fit is not passed over for something smaller behind it.
            if !segment.read(from, room, out.is_empty(), &mut out)? {
                break;
            }
        }
        Ok(out.freeze())
    }

    /// Cuts off all batches that hold `end` or later offsets.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub fn truncate_to(&mut self, end: Offset) -> io::Result<()> {
        while self.segments.len() > 1 && self.active()?.base() >= end {
            if let Some(segment) = self.segments.pop() {
                Segment::remove(&self.dir, segment.base())?;
            }
        }
        self.active()?.truncate_to(end)
    }

    /// Syncs the active segment to the disk.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub fn flush(&mut self) -> io::Result<()> {
        self.active()?.flush()
    }

    /// Ends the log in order: completes the indexes as Kafka does at a shutdown, and syncs.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub fn close(mut self) -> io::Result<()> {
        let active = self.active()?;
        active.seal()?;
        active.flush()
    }

    fn active(&mut self) -> io::Result<&mut Segment> {
        self.segments.last_mut().ok_or_else(|| io::Error::other("a log without segments"))
    }
}

fn segment_bases(dir: &Path) -> io::Result<Vec<Offset>> {
    let base_of = |entry: io::Result<DirEntry>| -> io::Result<Option<Offset>> {
        let name = entry?.file_name();
        let parsed = name.to_str().and_then(parse_segment_name);
        Ok(parsed.filter(|(_, kind)| *kind == FileKind::Log).map(|(base, _)| base))
    };
    fs::read_dir(dir)?.filter_map(|entry| base_of(entry).transpose()).collect()
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

/// Writes all of `parts`, in few system calls.
fn write_all_vectored(file: &mut File, head: &[u8], parts: &[Bytes]) -> io::Result<()> {
    let mut slices: Vec<io::IoSlice<'_>> = Vec::with_capacity(parts.len() + 1);
    slices.push(io::IoSlice::new(head));
    slices.extend(parts.iter().map(|part| io::IoSlice::new(part)));
    let mut rest = slices.as_mut_slice();
    while !rest.is_empty() {
        match file.write_vectored(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => io::IoSlice::advance_slices(&mut rest, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        // Empty slices would make a complete write look like one of no bytes.
        while rest.first().is_some_and(|slice| slice.is_empty()) {
            rest = &mut rest[1..];
        }
    }
    Ok(())
}
