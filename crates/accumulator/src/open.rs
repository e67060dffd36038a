//! The batch that a partition's records are written into.

use std::sync::Arc;

use milena_wire::{
    BATCH_HEADER_LEN, RecordCount, RecordParts, RecordSize, RecordView, Timestamp, put_record, record_size,
    write_record,
};
use smallvec::SmallVec;

use crate::ClosedBatch;
use crate::ahead;
use crate::cell::Home;
use crate::chunk::{CHUNK_MAX, CHUNK_MIN, CHUNK_QUIET, Chunk, Seam, capacity_for};
use crate::core::Core;
use crate::lent::{Around, Insert, Lent};
use crate::memory::Funds;
use crate::story::Story;

/// A batch that still grows. Its first record's timestamp is its base timestamp, so that the size of each record is known when it comes.
#[derive(Debug)]
pub(crate) struct OpenBatch {
    /// Dropped before the chunks, as everywhere: who hears of the outcome may find the memory taken.
    pub(crate) story: Story,
    full: Vec<Chunk>,
    /// The values that are not in a chunk.
    inserts: Vec<Insert>,
    /// Behind `full`. Records are written here; if it is empty, the next begins in what room the last of `full` has.
    last: Chunk,
    /// Encoded records, without the batch header.
    bytes: usize,
    count: u32,
    base_timestamp: i64,
    max_timestamp: i64,
    pub(crate) created: Timestamp,
    /// Not to linger.
    pub(crate) urgent: bool,
}

/// Where the next record of a batch goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) index: u32,
    pub(crate) offset_delta: i32,
    pub(crate) timestamp_delta: i64,
}

impl Place {
    /// In front of a batch of its own.
    pub(crate) const FIRST: Self = Self { index: 0, offset_delta: 0, timestamp_delta: 0 };

    #[inline]
    pub(crate) fn size(self, parts: &RecordParts<'_>) -> RecordSize {
        record_size(self.offset_delta, self.timestamp_delta, parts)
    }
}

impl OpenBatch {
    pub(crate) fn new(home: Arc<Home>, first: Chunk, created: Timestamp, timestamp_ms: i64) -> Self {
        Self {
            full: Vec::new(),
            inserts: Vec::new(),
            last: first,
            bytes: 0,
            count: 0,
            base_timestamp: timestamp_ms,
            max_timestamp: timestamp_ms,
            created,
            urgent: false,
            story: Story::new(home),
        }
    }

    #[inline]
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Uncompressed size on the wire, header included.
    pub(crate) fn wire_bytes(&self) -> usize {
        BATCH_HEADER_LEN + self.bytes
    }

    /// Where a record of this timestamp would go.
    #[inline]
    pub(crate) fn next(&self, timestamp_ms: i64) -> Place {
        // Neither overflows: a record takes at least seven bytes of a batch below 2 GiB, and timestamps are not negative.
        Place {
            index: self.count,
            offset_delta: self.count.cast_signed(),
            timestamp_delta: timestamp_ms.wrapping_sub(self.base_timestamp),
        }
    }

    /// Whether `total` more bytes keep the batch within `limit`, header included. A batch's first record always fits.
    #[inline]
    pub(crate) fn has_room(&self, total: usize, limit: usize) -> bool {
        self.count == 0 || self.wire_bytes() + total <= limit
    }

    /// Whether `total` bytes can be written without [`grow`](Self::grow)ing.
    #[inline]
    pub(crate) fn is_prepared(&self, total: usize) -> bool {
        self.last.room() >= total
    }

    /// Adds a chunk, so that `total` bytes can be written; `false` if the funds do not suffice.
    #[cold]
    pub(crate) fn grow(&mut self, core: &Core, total: usize, limit: usize, funds: Funds<'_>) -> bool {
        let need = total - self.last.room();
        // Twice the last, but not more than the batch can still take.
        let left = limit.saturating_sub(self.wire_bytes()).min(CHUNK_MAX);
        let wish = (self.last.capacity() * 2).min(left.next_power_of_two());
        let capacity = chunk_capacity(core, need, wish, &funds);
        let Some(chunk) = core.memory.chunk(capacity, total, funds) else { return false };
        self.full.push(std::mem::replace(&mut self.last, chunk));
        true
    }

    /// As [`grow`](Self::grow), for what goes around a lent value.
    pub(crate) fn grow_little(&mut self, core: &Core, total: usize, funds: Funds<'_>) -> bool {
        let Some(chunk) = little_chunk(core, total - self.last.room(), funds) else { return false };
        self.full.push(std::mem::replace(&mut self.last, chunk));
        true
    }

    /// Writes a record for which [`is_prepared`](Self::is_prepared) or [`grow`](Self::grow) said yes.
    #[inline(always)]
    pub(crate) fn put(&mut self, place: Place, size: RecordSize, timestamp_ms: i64, parts: &RecordParts<'_>) {
        match self.full.last_mut() {
            Some(full) if self.last.as_ref().is_empty() => {
                let mut seam = Seam::new(full, &mut self.last);
                put_record(&mut seam, size, place.offset_delta, place.timestamp_delta, parts);
            }
            _ => {
                write_record(self.last.free(), size, place.offset_delta, place.timestamp_delta, parts);
                self.last.advance(size.total);
                ahead::go_on(self.last.free(), size.total);
            }
        }
        self.count_in(size.total, timestamp_ms);
    }

    /// As [`put`](Self::put), but the value is `lent`: there has to be room for the rest only.
    pub(crate) fn put_around(
        &mut self,
        place: Place,
        size: RecordSize,
        timestamp_ms: i64,
        parts: &RecordParts<'_>,
        lent: Lent,
    ) {
        let value = parts.value.unwrap_or_default();
        let written = self.full.iter().chain([&self.last]).map(|chunk| chunk.as_ref().len()).sum();
        let insert = match self.full.last_mut() {
            Some(full) if self.last.as_ref().is_empty() => {
                let mut seam = Seam::new(full, &mut self.last);
                let mut around = Around::new(&mut seam, written, value);
                put_record(&mut around, size, place.offset_delta, place.timestamp_delta, parts);
                around.insert(lent)
            }
            _ => {
                let mut around = Around::new(&mut self.last, written, value);
                put_record(&mut around, size, place.offset_delta, place.timestamp_delta, parts);
                around.insert(lent)
            }
        };
        self.inserts.extend(insert);
        self.count_in(size.total, timestamp_ms);
    }

    /// Writes a record that was written before, behind all others, and says where that is. A chunk that is needed for it grows up to what a batch
    /// of `limit` takes.
    pub(crate) fn put_again(&mut self, core: &Core, limit: usize, record: &RecordView<'_>) -> Place {
        let place = self.next(record.timestamp);
        let total = record.size_at(place.offset_delta, place.timestamp_delta).total;
        if !self.is_prepared(total) {
            // Forced funds always suffice.
            self.grow(core, total, limit, Funds::Forced);
        }
        match self.full.last_mut() {
            Some(full) if self.last.as_ref().is_empty() => {
                record.put_at(&mut Seam::new(full, &mut self.last), place.offset_delta, place.timestamp_delta);
            }
            _ => record.put_at(&mut self.last, place.offset_delta, place.timestamp_delta),
        }
        self.count_in(total, record.timestamp);
        place
    }

    #[inline]
    fn count_in(&mut self, total: usize, timestamp_ms: i64) {
        self.bytes += total;
        self.count += 1;
        self.max_timestamp = self.max_timestamp.max(timestamp_ms);
    }

    /// No record goes in any more. None if none ever did.
    pub(crate) fn close(self, core: &Arc<Core>) -> Option<ClosedBatch> {
        let Self { full, last, inserts, bytes, count, base_timestamp, max_timestamp, created, story, urgent: _ } = self;
        let count = RecordCount::new(count as usize)?;
        // Most batches are one chunk.
        let mut chunks = SmallVec::from_vec(full);
        chunks.push(last);
        let core = Arc::clone(core);
        Some(ClosedBatch {
            core,
            story,
            chunks,
            inserts,
            bytes,
            count,
            base_timestamp,
            max_timestamp,
            created,
            crc: None,
        })
    }
}

/// Capacity of a chunk of which `need` bytes are used at once. `wish` is a power of two.
///
/// A reservation buys the largest chunk it can pay for: who waited for memory should not have to wait again for the next record.
pub(crate) fn chunk_capacity(core: &Core, need: usize, wish: usize, funds: &Funds<'_>) -> usize {
    match funds {
        Funds::Reserved(reserved) => {
            let least = capacity_for(need, **reserved);
            let affordable = 1 << reserved.checked_ilog2().unwrap_or(0);
            affordable.min(CHUNK_MAX).max(least)
        }
        // A sixteenth of the memory, so that a small budget is not spent on a few partitions.
        Funds::Budget | Funds::Forced => {
            let least = capacity_for(need, core.memory.limit());
            let most = (core.memory.limit() / 16).clamp(CHUNK_QUIET, CHUNK_MAX);
            wish.min(1 << most.ilog2()).max(least)
        }
    }
}

/// The first chunk of a partition's batch: as large as its last batch, if every partition could do so in a quarter of the memory; as much again is
/// on its way, and twice as much is left for batches that grow. For [`CHUNK_QUIET`] each it may be half of the memory.
pub(crate) fn first_wish(core: &Core, last_batch: usize) -> usize {
    let quarter = core.memory.limit() / 4 / core.queues().max(1);
    let fair = quarter.max(CHUNK_QUIET.min(quarter * 2));
    let wish = last_batch.max(CHUNK_QUIET).min(fair).clamp(CHUNK_MIN, CHUNK_MAX);
    // Up if the last batch needs it, down if the share does.
    let up = wish.next_power_of_two();
    if up <= fair.max(CHUNK_MIN) { up } else { up / 2 }
}

/// The first batch of a queue: its first chunk, or none if the funds do not suffice.
pub(crate) fn first_chunk(core: &Core, total: usize, last_batch: usize, funds: Funds<'_>) -> Option<Chunk> {
    let capacity = chunk_capacity(core, total, first_wish(core, last_batch), &funds);
    core.memory.chunk(capacity, total, funds)
}

/// A chunk for what goes around a lent value: a reservation has to pay for the value first.
pub(crate) fn little_chunk(core: &Core, need: usize, funds: Funds<'_>) -> Option<Chunk> {
    let most = match &funds {
        Funds::Reserved(reserved) => **reserved,
        Funds::Budget | Funds::Forced => core.memory.limit(),
    };
    let need = if most < CHUNK_QUIET { need } else { need.max(CHUNK_QUIET) };
    core.memory.chunk(capacity_for(need, most), need, funds)
}

/// As [`first_chunk`], for what must not wait.
pub(crate) fn forced_chunk(core: &Core, total: usize, last_batch: usize) -> Chunk {
    core.memory.forced_chunk(chunk_capacity(core, total, first_wish(core, last_batch), &Funds::Forced), total)
}

/// What an append that found no memory should reserve: enough wherever the record will go by then.
pub(crate) fn worth_reserving(core: &Core, total: usize, wish: usize) -> usize {
    // In another place a record is a few bytes larger: five for each of its two lengths, ten for its timestamp.
    let most = total + 20;
    capacity_for(most, core.memory.limit()).max(wish.min(core.memory.limit() / 16)).min(core.memory.limit())
}

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests {
    use super::*;
    use crate::test_support::core_with;
    use crate::tokens::Tokens;

    #[test]
    fn a_first_chunk_is_as_large_as_the_last_batch_while_every_partition_can_have_one() {
        let core = core_with(32 << 20);
        core.claim_slot();
        assert_eq!(first_wish(&core, 0), CHUNK_QUIET);
        assert_eq!(first_wish(&core, 5_000), 8 << 10);
        assert_eq!(first_wish(&core, 16 << 10), 16 << 10);
        assert_eq!(first_wish(&core, 256 << 10), CHUNK_MAX);
        while core.claim_slot() < 299 {}
        assert_eq!(first_wish(&core, 256 << 10), 16 << 10, "a quarter of the memory would be 28 KiB for each");
        while core.claim_slot() < 9_999 {}
        assert_eq!(first_wish(&core, 256 << 10), CHUNK_QUIET);
        while core.claim_slot() < 49_999 {}
        assert_eq!((first_wish(&core, 0), first_wish(&core, 256 << 10)), (CHUNK_MIN, CHUNK_MIN));
        let used = core.memory.usage().used;
        let mut tokens = Tokens::default();
        assert!(tokens.grow(&core, 100, Funds::Budget));
        assert_eq!(core.memory.usage().used - used, CHUNK_MIN, "tokens take no more");
    }
}
