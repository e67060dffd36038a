//! One folder of the spool: segments, their sidecars, and how far the replay is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use milena_log::format::{FileKind, segment_name};
use milena_log::place;
use milena_sequence::Fate;
use milena_wire::{BATCH_HEADER_LEN, BatchHeader, BatchView, ErrorCode, LeaderEpoch, Offset, PartitionId};

use crate::batch::{Head, Pending, SpooledBatch};
use crate::disk::{Disk, replace};
use crate::fates::{self, FateLine};
use crate::progress::Progress;
use crate::scan::{self, Entry};
use crate::{Recovered, SpoolError};

mod open;

#[cfg(feature = "hostile")]
pub(crate) use open::whole;

/// Name of the file that says how far the replay is.
const PROGRESS: &str = "replay";

#[derive(Debug)]
pub(crate) struct Folder {
    dir: PathBuf,
    /// Each starts where the one before ends, or later.
    segments: Vec<Segment>,
    progress: Progress,
    /// The progress was there and could not be read: nobody knows what was sent.
    progress_lost: bool,
    pending: Pending,
    /// The last batch that came from `unassigned` came from there.
    last_origin: Option<i64>,
    /// The segment that `entries` are of.
    cursor: Option<Cursor>,
}

#[derive(Debug)]
struct Segment {
    base: i64,
    next: i64,
    log_len: u64,
    fates_len: u64,
    unsynced: bool,
}

#[derive(Debug)]
struct Cursor {
    base: i64,
    entries: Vec<Entry>,
}

/// What an append needs to know beyond the batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How {
    pub(crate) segment_bytes: u64,
    pub(crate) sync: bool,
    /// The offset it is to have, if that is given.
    pub(crate) at: Option<i64>,
    pub(crate) origin: Option<i64>,
    /// As [`Head::named`].
    pub(crate) named: Option<PartitionId>,
}

/// Makes `dir`, below which there is nothing yet, and its name survive a crash.
pub(crate) fn create_dir(disk: &dyn Disk, dir: &Path) -> Result<(), SpoolError> {
    disk.create_dir(dir).map_err(|error| SpoolError::io(dir, error))?;
    dir.parent().map_or(Ok(()), |parent| disk.sync_dir(parent).map_err(|error| SpoolError::io(parent, error)))
}

impl Folder {
    /// A new one in an empty folder.
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            segments: Vec::new(),
            progress: Progress::default(),
            progress_lost: false,
            pending: Pending::default(),
            last_origin: None,
            cursor: None,
        }
    }

    pub(crate) fn pending(&self) -> Pending {
        self.pending
    }

    pub(crate) fn progress(&self) -> Progress {
        self.progress
    }

    /// Whether it is unknown what was sent already.
    pub(crate) fn progress_lost(&self) -> bool {
        self.progress_lost
    }

    pub(crate) fn progress_path(&self) -> PathBuf {
        self.dir.join(PROGRESS)
    }

    pub(crate) fn last_origin(&self) -> Option<i64> {
        self.last_origin
    }

    /// Bytes of batches and sidecars.
    pub(crate) fn size(&self) -> u64 {
        self.segments.iter().map(|segment| segment.log_len + segment.fates_len).sum()
    }

    /// The offset that the next record gets.
    pub(crate) fn end(&self) -> i64 {
        // What was sent but not synced may be gone after a crash of the machine; its offsets are not used again.
        let used = self.progress.next + i64::from(self.progress.trying.is_some());
        // One that is empty may begin before the end of the one in front of it.
        self.segments.iter().map(|segment| segment.next).fold(used, i64::max)
    }

    fn log_path(&self, base: i64) -> PathBuf {
        self.dir.join(segment_name(Offset(base), FileKind::Log))
    }

    fn fates_path(&self, base: i64) -> PathBuf {
        self.dir.join(format!("{base:020}.fates"))
    }

    /// Appends a batch; when this fails the folder is as it was. Its sidecar line goes first: a line without a batch means nothing,
    /// a batch without its line would be taken for one that may be written.
    pub(crate) fn append(&mut self, disk: &dyn Disk, batch: &SpooledBatch, how: How) -> Result<(), SpoolError> {
        let offset = how.at.unwrap_or_else(|| self.end());
        let (header, line) = encode(batch, offset, how)?;
        let text = line.encode();
        let size = (BATCH_HEADER_LEN + batch.payload_len()) as u64;
        let room = self.segments.last().is_some_and(|last| {
            let relative = offset.saturating_add(i64::from(line.count)) - last.base;
            // One file has one segment: an empty one takes what is too large for any.
            (last.log_len == 0 || last.log_len + size <= how.segment_bytes) && relative <= i64::from(i32::MAX)
        });
        let fresh = Segment { base: offset, next: offset, log_len: 0, fates_len: 0, unsynced: false };
        let segment = if room { self.segments.last().unwrap_or(&fresh) } else { &fresh };
        if let Err(error) = self.write(disk, segment, [line.encode().as_bytes(), &header], &batch.payload, how.sync) {
            return Err(match self.undo(disk, segment) {
                Ok(()) => error,
                Err(undoing) => SpoolError::Uncertain { cause: Box::new(error), undoing: Box::new(undoing) },
            });
        }
        if !room {
            self.segments.push(fresh);
        }
        if let Some(segment) = self.segments.last_mut() {
            // A sync is of the whole file.
            segment.unsynced = !how.sync;
        }
        self.note(&header, line, size, text.len() as u64);
        Ok(())
    }

    fn write(
        &self,
        disk: &dyn Disk,
        segment: &Segment,
        [line, header]: [&[u8]; 2],
        payload: &[Bytes],
        sync: bool,
    ) -> Result<(), SpoolError> {
        let (log, fates) = (self.log_path(segment.base), self.fates_path(segment.base));
        let at = |path: &Path, result: io::Result<()>| result.map_err(|error| SpoolError::io(path, error));
        at(&fates, disk.write_at(&fates, segment.fates_len, &[line]))?;
        let mut parts: Vec<&[u8]> = vec![header];
        parts.extend(payload.iter().map(Bytes::as_ref));
        at(&log, disk.write_at(&log, segment.log_len, &parts))?;
        if sync {
            at(&fates, disk.sync(&fates))?;
            at(&log, disk.sync(&log))?;
        }
        if segment.log_len == 0 {
            at(&self.dir, disk.sync_dir(&self.dir))?;
        }
        Ok(())
    }

    /// Takes back what an append that failed may have left behind the end of `segment`: nobody may find it there later, and send it. Of a segment that
    /// was to begin with it nothing is left: what comes next may go elsewhere.
    fn undo(&self, disk: &dyn Disk, segment: &Segment) -> Result<(), SpoolError> {
        let of = [(self.log_path(segment.base), segment.log_len), (self.fates_path(segment.base), segment.fates_len)];
        for (path, len) in of {
            let undone = match fs::metadata(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error),
                Ok(meta) if meta.len() <= len => Ok(()),
                Ok(_) => disk.write_at(&path, len, &[]).and_then(|()| disk.sync(&path)),
            };
            let undone = undone.and_then(|()| if segment.log_len == 0 { removed(disk, &path) } else { Ok(()) });
            undone.map_err(|error| SpoolError::io(&path, error))?;
        }
        Ok(())
    }

    /// Takes note of a batch that is on the disk now.
    fn note(&mut self, header: &[u8; BATCH_HEADER_LEN], line: FateLine, size: u64, text: u64) {
        let (Some(segment), Ok(header)) = (self.segments.last_mut(), BatchHeader::decode(header)) else {
            return;
        };
        let position = segment.log_len;
        segment.log_len += size;
        segment.fates_len += text;
        segment.next = line.offset + i64::from(line.count);
        self.last_origin = self.last_origin.max(line.origin);
        let entry = Entry { position, header, fate: Some(line) };
        let base = segment.base;
        self.count(&entry);
        if let Some(cursor) = self.cursor.as_mut().filter(|cursor| cursor.base == base) {
            cursor.entries.push(entry);
        }
    }

    fn count(&mut self, entry: &Entry) {
        if entry.offset() >= self.progress.next {
            self.pending.batches += 1;
            self.pending.records += entry.header.record_count.unsigned_abs() as u64;
            self.pending.bytes += entry.header.total_len() as u64;
        }
    }

    /// The batch that is next; `None` when everything is done.
    pub(crate) fn head(&mut self) -> Result<Option<Head>, SpoolError> {
        self.head_from(self.progress.next)
    }

    /// The first batch from offset `next` on.
    pub(crate) fn head_from(&mut self, next: i64) -> Result<Option<Head>, SpoolError> {
        for i in 0..self.segments.len() {
            if self.segments[i].next <= next {
                continue;
            }
            let base = self.segments[i].base;
            self.load(i)?;
            let entries = self.cursor.as_ref().map_or(&[][..], |cursor| &cursor.entries);
            let from = entries.partition_point(|entry| entry.offset() < next);
            if let Some(entry) = entries.get(from) {
                return self.read(base, entry).map(Some);
            }
        }
        Ok(None)
    }

    /// Reads which batches a segment holds, unless that is known.
    fn load(&mut self, i: usize) -> Result<(), SpoolError> {
        let Segment { base, .. } = self.segments[i];
        if self.cursor.as_ref().is_some_and(|cursor| cursor.base == base) {
            return Ok(());
        }
        let (log, fates) = (read(&self.log_path(base))?, read(&self.fates_path(base))?);
        let entries = scan::scan(&log, base, &fates::decode(&fates), None, self.progress.next).entries;
        self.cursor = Some(Cursor { base, entries });
        Ok(())
    }

    fn read(&self, base: i64, entry: &Entry) -> Result<Head, SpoolError> {
        let path = self.log_path(base);
        let mut bytes = vec![0; entry.header.total_len()];
        let whole = read_at(&path, entry.position, &mut bytes).map_err(|error| SpoolError::io(&path, error));
        whole?;
        // Disks rot between opening and reading.
        let sound = BatchView::parse(&bytes).is_ok_and(|(view, _)| {
            view.header().crc == entry.header.crc && view.bytes().len() == bytes.len() && view.verify_crc().is_ok()
        });
        if !sound {
            let what =
                "the batch has changed since the spool was opened; open it again to set the file aside".to_owned();
            return Err(SpoolError::Corrupt { path, position: entry.position, what });
        }
        let payload = Bytes::from(bytes).slice(BATCH_HEADER_LEN..);
        let lost = || FateLine {
            offset: entry.offset(),
            count: entry.header.record_count,
            batch_crc: entry.header.crc,
            fate: Fate::MaybeWritten,
            code: ErrorCode::NONE,
            when_ms: 0,
            origin: None,
            named: None,
            cause: "its line in the sidecar was damaged".to_owned(),
        };
        let FateLine { fate, code, when_ms, named, cause, .. } = entry.fate.clone().unwrap_or_else(lost);
        Ok(Head { header: entry.header, payload, fate, code, cause, when_ms, named })
    }

    /// Makes `progress` the truth, on the disk first. What is done with stays until [`reclaim`](Self::reclaim).
    pub(crate) fn save(&mut self, disk: &dyn Disk, progress: Progress) -> Result<(), SpoolError> {
        let path = self.progress_path();
        let done = if progress.next > self.progress.next { self.head()? } else { None };
        replace(disk, &path, progress.encode().as_bytes()).map_err(|error| SpoolError::io(&path, error))?;
        self.progress = progress;
        self.progress_lost = false;
        if let Some(head) = done.filter(|head| head.offset() < progress.next) {
            self.pending.batches = self.pending.batches.saturating_sub(1);
            self.pending.records = self.pending.records.saturating_sub(head.count().as_usize() as u64);
            self.pending.bytes = self.pending.bytes.saturating_sub(head.header.total_len() as u64);
        }
        Ok(())
    }

    /// Deletes segments of which everything is done, but for the last one if it has a copy of a batch at `copies` or behind it: nothing else is
    /// appended to a partition as long as there are records without one.
    pub(crate) fn reclaim(&mut self, disk: &dyn Disk, copies: Option<i64>) -> Result<(), SpoolError> {
        let kept = usize::from(copies.is_some_and(|from| self.last_origin >= Some(from)));
        while let Some(first) = self.segments.first()
            && first.next <= self.progress.next
            && self.segments.len() > kept
        {
            let base = first.base;
            for path in [self.log_path(base), self.fates_path(base)] {
                removed(disk, &path).map_err(|error| SpoolError::io(&path, error))?;
            }
            self.cursor.take_if(|cursor| cursor.base == base);
            self.segments.remove(0);
        }
        Ok(())
    }

    /// Whether a crash of the machine may take something.
    pub(crate) fn is_unsynced(&self) -> bool {
        self.segments.iter().any(|segment| segment.unsynced)
    }

    /// Makes everything survive a crash of the machine.
    pub(crate) fn sync(&mut self, disk: &dyn Disk) -> Result<(), SpoolError> {
        for i in 0..self.segments.len() {
            let Segment { base, log_len, fates_len, unsynced, .. } = self.segments[i];
            if !unsynced {
                continue;
            }
            for (path, len) in [(self.fates_path(base), fates_len), (self.log_path(base), log_len)] {
                // A sidecar that was lost is not there.
                if len > 0 {
                    disk.sync(&path).map_err(|error| SpoolError::io(&path, error))?;
                }
            }
            self.segments[i].unsynced = false;
        }
        Ok(())
    }

    fn recovered(&mut self, recovered: &mut Recovered) {
        recovered.pending.batches += self.pending.batches;
        recovered.pending.records += self.pending.records;
        recovered.pending.bytes += self.pending.bytes;
    }
}

/// Deletes a file, which may be gone already.
fn removed(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The batch's header with its place in the spool, and the line beside it.
fn encode(batch: &SpooledBatch, offset: i64, how: How) -> Result<([u8; BATCH_HEADER_LEN], FateLine), SpoolError> {
    let BatchHeader { record_count, last_offset_delta, .. } = batch.header;
    if record_count < 1 || last_offset_delta != record_count - 1 {
        return Err(SpoolError::BadBatch(format!(
            "its header counts {record_count} records, the last of them at {last_offset_delta}"
        )));
    }
    if i32::try_from(BATCH_HEADER_LEN + batch.payload_len()).is_err() {
        return Err(SpoolError::BadBatch("it is larger than 2 GiB".to_owned()));
    }
    let mut header = batch.header.encode(&batch.payload);
    place(&mut header, Offset(offset), LeaderEpoch(-1));
    let fields = BatchHeader::decode(&header).map_err(|error| SpoolError::BadBatch(error.to_string()))?;
    let line = FateLine {
        offset,
        count: record_count,
        batch_crc: fields.crc,
        fate: batch.fate,
        code: batch.code,
        when_ms: batch.now_ms,
        origin: how.origin,
        named: how.named,
        cause: batch.cause.clone(),
    };
    Ok((header, line))
}

/// A file's bytes; none if there is no such file.
fn read(path: &Path) -> Result<Vec<u8>, SpoolError> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        result => result.map_err(|error| SpoolError::io(path, error)),
    }
}

fn read_at(path: &Path, position: u64, bytes: &mut [u8]) -> io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = fs::File::open(path)?;
    file.seek(SeekFrom::Start(position))?;
    file.read_exact(bytes)
}
