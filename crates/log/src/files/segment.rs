//! One segment: a file of batches and the two indexes beside it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use milena_wire::{BATCH_HEADER_LEN, BatchHeader, Offset};

use super::{LogConfig, write_all_vectored};
use crate::format::{FileKind, IndexBuilder, OffsetEntry, TimeEntry, segment_name};

#[derive(Debug)]
pub(super) struct Segment {
    base: Offset,
    next: Offset,
    /// Bytes of `log`, all of them valid batches.
    size: u64,
    limit: u32,
    interval: u32,
    log: File,
    offset_index: File,
    time_index: File,
    /// What `offset_index` holds, for lookups.
    entries: Vec<OffsetEntry>,
    /// What `time_index` holds; needed again when the segment is cut.
    time_entries: Vec<TimeEntry>,
    builder: IndexBuilder,
}

impl Segment {
    pub(super) fn create(dir: &Path, base: Offset, config: LogConfig) -> io::Result<Self> {
        let open = |kind| {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(true);
            options.open(path(dir, base, kind))
        };
        Self::with_log(dir, base, config, open(FileKind::Log)?)
    }

    /// Around an open file of batches, of which none is known yet; the indexes start empty.
    pub(super) fn with_log(dir: &Path, base: Offset, config: LogConfig, log: File) -> io::Result<Self> {
        let index = |kind| {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(true);
            options.open(path(dir, base, kind))
        };
        Ok(Self {
            base,
            next: base,
            size: 0,
            limit: config.segment_bytes.min(i32::MAX.cast_unsigned()),
            interval: config.index_interval_bytes,
            log,
            offset_index: index(FileKind::OffsetIndex)?,
            time_index: index(FileKind::TimeIndex)?,
            entries: Vec::new(),
            time_entries: Vec::new(),
            builder: IndexBuilder::new(config.index_interval_bytes),
        })
    }

    /// Deletes a segment's files and tells how many bytes of batches they held.
    pub(super) fn remove(dir: &Path, base: Offset) -> io::Result<u64> {
        let log = path(dir, base, FileKind::Log);
        let size = fs::metadata(&log)?.len();
        fs::remove_file(log)?;
        for kind in [FileKind::OffsetIndex, FileKind::TimeIndex] {
            match fs::remove_file(path(dir, base, kind)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(size)
    }

    pub(super) fn base(&self) -> Offset {
        self.base
    }

    pub(super) fn next_offset(&self) -> Offset {
        self.next
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn has_room(&self, batch: &BatchHeader, size: usize) -> bool {
        let relative = last_offset(batch).0 - self.base.0;
        relative <= i64::from(i32::MAX) && (self.size == 0 || self.size + size as u64 <= u64::from(self.limit))
    }

    pub(super) fn append(
        &mut self,
        header: &[u8; BATCH_HEADER_LEN],
        fields: &BatchHeader,
        payload: &[Bytes],
    ) -> io::Result<()> {
        let written = self
            .log
            .seek(SeekFrom::Start(self.size))
            .and_then(|_| write_all_vectored(&mut self.log, header, payload))
            .and_then(|()| self.note(fields));
        if written.is_err() {
            // Half a batch would be taken for the log's end at the next start anyway.
            self.log.set_len(self.size)?;
        }
        written
    }

    /// Takes note of the batch that the file has at its end.
    pub(super) fn note(&mut self, batch: &BatchHeader) -> io::Result<()> {
        let last = last_offset(batch);
        let position = u32::try_from(self.size).unwrap_or(u32::MAX);
        let (offset, time) = self.builder.on_batch(position, batch.total_len(), last, batch.max_timestamp);
        if let Some(entry) = offset {
            self.offset_index.write_all(&entry.encode(self.base))?;
            self.entries.push(entry);
        }
        if let Some(entry) = time {
            self.push_time(entry)?;
        }
        self.size += batch.total_len() as u64;
        self.next = Offset(last.0.saturating_add(1));
        Ok(())
    }

    fn push_time(&mut self, entry: TimeEntry) -> io::Result<()> {
        self.time_index.write_all(&entry.encode(self.base))?;
        self.time_entries.push(entry);
        Ok(())
    }

    /// Completes the time index.
    pub(super) fn seal(&mut self) -> io::Result<()> {
        match self.builder.on_roll() {
            Some(entry) => self.push_time(entry),
            None => Ok(()),
        }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.log.sync_data()?;
        self.offset_index.sync_data()?;
        self.time_index.sync_data()
    }

    /// Appends to `out` the whole batches from the one that holds `from` on that fit into `max`; one at least if `force`. Whether they are all there are.
    pub(super) fn read(&mut self, from: Offset, max: usize, force: bool, out: &mut BytesMut) -> io::Result<bool> {
        let Some(mut at) = self.position_of(from)? else {
            return Ok(true);
        };
        let mut end = at;
        while end < self.size {
            let len = self.header_at(end)?.total_len() as u64;
            let first = force && end == at;
            if !first && end + len - at > max as u64 {
                break;
            }
            end += len;
        }
        let start = out.len();
        out.resize(start + usize::try_from(end - at).map_err(io::Error::other)?, 0);
        self.log.seek(SeekFrom::Start(at))?;
        while at < end {
            let done = usize::try_from(end - at).map_err(io::Error::other)?;
            let rest = out.len() - done;
            let read = self.log.read(&mut out[rest..])?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            at += read as u64;
        }
        Ok(end == self.size)
    }

    pub(super) fn truncate_to(&mut self, end: Offset) -> io::Result<()> {
        if end >= self.next {
            return Ok(());
        }
        let position = self.position_of(end)?.unwrap_or(self.size);
        self.log.set_len(position)?;
        // Index entries depend on all batches before them: build them anew from what is left.
        self.offset_index.set_len(0)?;
        self.offset_index.rewind()?;
        self.time_index.set_len(0)?;
        self.time_index.rewind()?;
        self.entries.clear();
        self.time_entries.clear();
        self.builder = IndexBuilder::new(self.interval);
        self.size = 0;
        self.next = self.base;
        while self.size < position {
            let header = self.header_at(self.size)?;
            self.note(&header)?;
        }
        Ok(())
    }

    /// Position of the first batch whose last offset is `offset` or later.
    fn position_of(&mut self, offset: Offset) -> io::Result<Option<u64>> {
        let after = self.entries.partition_point(|entry| entry.offset <= offset);
        let mut at = after.checked_sub(1).map_or(0, |i| u64::from(self.entries[i].position));
        while at < self.size {
            let header = self.header_at(at)?;
            if last_offset(&header) >= offset {
                return Ok(Some(at));
            }
            at += header.total_len() as u64;
        }
        Ok(None)
    }

    fn header_at(&mut self, position: u64) -> io::Result<BatchHeader> {
        let mut head = [0; BATCH_HEADER_LEN];
        self.log.seek(SeekFrom::Start(position))?;
        self.log.read_exact(&mut head)?;
        BatchHeader::decode(&head).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

pub(super) fn path(dir: &Path, base: Offset, kind: FileKind) -> PathBuf {
    dir.join(segment_name(base, kind))
}

/// Whether an offset is left behind the batch: what a file says of offsets is not covered by any checksum.
pub(super) fn leaves_room(batch: &BatchHeader) -> bool {
    last_offset(batch).0 < i64::MAX
}

pub(super) fn last_offset(batch: &BatchHeader) -> Offset {
    Offset(batch.base_offset.0.saturating_add(i64::from(batch.last_offset_delta)))
}
