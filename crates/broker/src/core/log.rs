//! One partition's log: in memory, or on a disk that somebody else touches.

use std::collections::VecDeque;
use std::io;

use bytes::Bytes;
use milena_wire::{BATCH_HEADER_LEN, BatchHeader, Offset, PartitionId, TopicId, TopicName};

use super::config::Keep;
use super::stored::StoredBatch;

/// Bytes read at a time where a log on a disk is searched.
const SEARCH_STEP: usize = 1 << 20;

/// Where logs are kept that outlive the process. The core decides what is written; this does it.
pub(crate) trait Disk: Send {
    /// The log of a partition, created if need be; shows each batch it holds already.
    fn open(
        &mut self,
        topic: &TopicName,
        id: TopicId,
        partition: PartitionId,
        on_batch: &mut dyn FnMut(&BatchHeader),
    ) -> io::Result<Box<dyn DiskLog>>;
    /// Deletes a partition's log, which nobody has open.
    fn remove(&mut self, topic: &TopicName, partition: PartitionId) -> io::Result<()>;
    /// Remembers that producer ids below `before` may have been given out.
    fn promise_producer_ids(&mut self, before: i64) -> io::Result<()>;
}

/// One partition's log on a disk.
pub(crate) trait DiskLog: Send {
    fn end(&self) -> Offset;
    fn append(&mut self, header: &[u8; BATCH_HEADER_LEN], payload: &Bytes) -> io::Result<()>;
    /// Whole batches from the one that holds `from`; at least one unless there is none.
    fn read(&mut self, from: Offset, max_bytes: usize) -> io::Result<Bytes>;
    fn truncate(&mut self, end: Offset) -> io::Result<()>;
    /// Writes what is buffered and completes the indexes; nothing is appended afterwards.
    fn close(self: Box<Self>) -> io::Result<()>;
}

/// A log from its start offset to its end offset.
pub(crate) struct Log {
    start: i64,
    end: i64,
    kept: Kept,
}

enum Kept {
    Memory { keep: Keep, bytes: usize, batches: VecDeque<StoredBatch> },
    Disk(Box<dyn DiskLog>),
}

impl Log {
    pub(crate) fn in_memory(keep: Keep) -> Self {
        Self { start: 0, end: 0, kept: Kept::Memory { keep, bytes: 0, batches: VecDeque::new() } }
    }

    pub(crate) fn on_disk(log: Box<dyn DiskLog>) -> Self {
        Self { start: 0, end: log.end().0, kept: Kept::Disk(log) }
    }

    pub(crate) fn start(&self) -> Offset {
        Offset(self.start)
    }

    pub(crate) fn end(&self) -> Offset {
        Offset(self.end)
    }

    /// Appends a batch that begins at the end.
    pub(crate) fn append(
        &mut self,
        header: BatchHeader,
        raw: [u8; BATCH_HEADER_LEN],
        payload: Bytes,
    ) -> io::Result<()> {
        let end = header.base_offset.0 + i64::from(header.last_offset_delta) + 1;
        match &mut self.kept {
            Kept::Memory { keep: Keep::Nothing, .. } => self.start = end,
            Kept::Memory { keep, bytes, batches } => {
                let batch = StoredBatch { header, raw_header: Bytes::copy_from_slice(&raw), payload };
                *bytes += batch.size();
                batches.push_back(batch);
                if let Keep::Bytes(limit) = *keep {
                    while *bytes > limit && batches.len() > 1 {
                        if let Some(old) = batches.pop_front() {
                            *bytes -= old.size();
                            self.start = old.last_offset().0 + 1;
                        }
                    }
                }
            }
            Kept::Disk(log) => log.append(&raw, &payload)?,
        }
        self.end = end;
        Ok(())
    }

    /// Whole batches from the one that holds `from`, none that reaches `limit` or beyond: as many as fit into
    /// `max_bytes`, and the first in any case if `force`.
    pub(crate) fn read(
        &mut self,
        from: Offset,
        limit: Offset,
        max_bytes: usize,
        force: bool,
    ) -> io::Result<Vec<Bytes>> {
        let mut slices = Vec::new();
        let mut room = max_bytes;
        for batch in self.batches(from, limit, max_bytes)? {
            if batch.size() > room && !(force && slices.is_empty()) {
                break;
            }
            room = room.saturating_sub(batch.size());
            slices.push(batch.raw_header);
            slices.push(batch.payload);
        }
        Ok(slices)
    }

    /// The batches from the one that holds `from` that end before `limit`: about `max_bytes` of them.
    pub(crate) fn batches(&mut self, from: Offset, limit: Offset, max_bytes: usize) -> io::Result<Vec<StoredBatch>> {
        let mut found = Vec::new();
        match &mut self.kept {
            Kept::Memory { batches, .. } => {
                let first = batches.partition_point(|batch| batch.last_offset() < from);
                let mut bytes = 0;
                for batch in batches.range(first..).take_while(|batch| batch.last_offset() < limit) {
                    if bytes > max_bytes {
                        break;
                    }
                    bytes += batch.size();
                    found.push(batch.clone());
                }
            }
            Kept::Disk(log) => {
                let mut rest = log.read(from, max_bytes)?;
                while !rest.is_empty() {
                    let header = BatchHeader::decode(&rest).map_err(io::Error::other)?;
                    let mut batch = rest.split_to(header.total_len().min(rest.len()));
                    let raw_header = batch.split_to(BATCH_HEADER_LEN);
                    let batch = StoredBatch { header, raw_header, payload: batch };
                    if batch.last_offset() >= limit {
                        break;
                    }
                    found.push(batch);
                }
            }
        }
        Ok(found)
    }

    /// The first batch below `limit` whose largest timestamp is `timestamp_ms` or later.
    pub(crate) fn batch_at_time(&mut self, timestamp_ms: i64, limit: Offset) -> io::Result<Option<StoredBatch>> {
        let mut from = self.start();
        loop {
            let batches = self.batches(from, limit, SEARCH_STEP)?;
            let Some(last) = batches.last() else {
                return Ok(None);
            };
            from = Offset(last.last_offset().0 + 1);
            if let Some(found) = batches.into_iter().find(|batch| batch.header.max_timestamp >= timestamp_ms) {
                return Ok(Some(found));
            }
        }
    }

    /// The first of the batches below `limit` with the greatest timestamp.
    pub(crate) fn latest_batch(&mut self, limit: Offset) -> io::Result<Option<StoredBatch>> {
        let mut from = self.start();
        let mut latest: Option<StoredBatch> = None;
        loop {
            let batches = self.batches(from, limit, SEARCH_STEP)?;
            let Some(last) = batches.last() else {
                return Ok(latest);
            };
            from = Offset(last.last_offset().0 + 1);
            for batch in batches {
                if latest.as_ref().is_none_or(|latest| batch.header.max_timestamp > latest.header.max_timestamp) {
                    latest = Some(batch);
                }
            }
        }
    }

    /// Cuts off everything from `end` on.
    pub(crate) fn truncate(&mut self, end: Offset) -> io::Result<()> {
        if end.0 >= self.end {
            return Ok(());
        }
        match &mut self.kept {
            Kept::Memory { bytes, batches, .. } => {
                while batches.back().is_some_and(|batch| batch.last_offset() >= end) {
                    if let Some(cut) = batches.pop_back() {
                        *bytes -= cut.size();
                    }
                }
            }
            Kept::Disk(log) => log.truncate(end)?,
        }
        self.end = end.0;
        self.start = self.start.min(self.end);
        Ok(())
    }

    /// Moves the start of the log to `start`, as DeleteRecords does.
    pub(crate) fn delete_before(&mut self, start: Offset) {
        self.start = start.0.clamp(self.start, self.end);
        if let Kept::Memory { bytes, batches, .. } = &mut self.kept {
            while batches.front().is_some_and(|batch| batch.last_offset().0 < self.start) {
                if let Some(old) = batches.pop_front() {
                    *bytes -= old.size();
                }
            }
        }
    }

    pub(crate) fn close(self) -> io::Result<()> {
        match self.kept {
            Kept::Memory { .. } => Ok(()),
            Kept::Disk(log) => log.close(),
        }
    }
}
