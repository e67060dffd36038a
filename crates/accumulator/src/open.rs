//! The batch that a partition's records are written into.

use std::sync::Arc;

use milena_wire::{BATCH_HEADER_LEN, RecordCount, RecordParts, RecordSize, Timestamp, put_record, record_size};

use crate::ClosedBatch;
use crate::cell::Home;
use crate::chunk::{CHUNK_MAX, CHUNK_MIN, Chunk, Seam, capacity_for};
use crate::core::Core;
use crate::memory::Funds;
use crate::story::Story;

/// A batch that still grows. Its first record's timestamp is its base timestamp, so that the size of each record is known when it comes.
#[derive(Debug)]
pub(crate) struct OpenBatch {
    /// All but the last are full. Never empty.
    chunks: Vec<Chunk>,
    /// Encoded records, without the batch header.
    bytes: usize,
    count: u32,
    base_timestamp: i64,
    max_timestamp: i64,
    pub(crate) created: Timestamp,
    /// Not to linger.
    pub(crate) urgent: bool,
    pub(crate) story: Story,
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
            chunks: vec![first],
            bytes: 0,
            count: 0,
            base_timestamp: timestamp_ms,
            max_timestamp: timestamp_ms,
            created,
            urgent: false,
            story: Story::new(home),
        }
    }

    /// Uncompressed size on the wire, header included.
    #[inline]
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

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
        self.last().room() >= total
    }

    /// Adds a chunk, so that `total` bytes can be written; `false` if the funds do not suffice.
    #[cold]
    pub(crate) fn grow(&mut self, core: &Core, total: usize, limit: usize, funds: Funds<'_>) -> bool {
        let need = total - self.last().room();
        // Twice the last, but not more than the batch can still take.
        let left = limit.saturating_sub(self.wire_bytes()).min(CHUNK_MAX);
        let wish = (self.last().capacity() * 2).min(left.next_power_of_two());
        let capacity = chunk_capacity(core, need, wish, &funds);
        match core.memory.chunk(capacity, funds) {
            Some(chunk) => {
                self.chunks.push(chunk);
                true
            }
            None => false,
        }
    }

    /// Writes a record for which [`is_prepared`](Self::is_prepared) or [`grow`](Self::grow) said yes.
    #[inline]
    pub(crate) fn put(&mut self, place: Place, size: RecordSize, timestamp_ms: i64, parts: &RecordParts<'_>) {
        let last = self.chunks.len() - 1;
        if last > 0 && self.chunks[last].as_ref().is_empty() {
            let mut seam = self.seam();
            put_record(&mut seam, size, place.offset_delta, place.timestamp_delta, parts);
        } else {
            let buffer = self.chunks[last].buffer();
            put_record(buffer, size, place.offset_delta, place.timestamp_delta, parts);
        }
        self.count_in(size.total, timestamp_ms);
    }

    /// The last two chunks, the last of which is empty, as one place to write to.
    pub(crate) fn seam(&mut self) -> Seam<'_> {
        match self.chunks.as_mut_slice() {
            [.., first, second] => Seam::new(first, second),
            _ => unreachable!("called with two chunks or more"),
        }
    }

    /// Whether a record has to be written across the [`seam`](Self::seam).
    pub(crate) fn is_at_seam(&self) -> bool {
        self.chunks.len() > 1 && self.last().as_ref().is_empty()
    }

    pub(crate) fn last_buffer(&mut self) -> &mut Vec<u8> {
        let last = self.chunks.len() - 1;
        self.chunks[last].buffer()
    }

    #[inline]
    pub(crate) fn count_in(&mut self, total: usize, timestamp_ms: i64) {
        self.bytes += total;
        self.count += 1;
        self.max_timestamp = self.max_timestamp.max(timestamp_ms);
    }

    /// No record goes in any more.
    pub(crate) fn close(self, core: &Arc<Core>) -> ClosedBatch {
        let count = RecordCount::new(self.count as usize).expect("an open batch is made for its first record");
        ClosedBatch {
            core: Arc::clone(core),
            story: self.story,
            chunks: self.chunks,
            bytes: self.bytes,
            count,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            created: self.created,
        }
    }

    #[inline]
    fn last(&self) -> &Chunk {
        &self.chunks[self.chunks.len() - 1]
    }
}

/// Capacity of a chunk of which `need` bytes are used at once. `wish` is a power of two.
///
/// A reservation buys the largest chunk it can pay for: who waited for memory should not have to wait again for the next record.
pub(crate) fn chunk_capacity(core: &Core, need: usize, wish: usize, funds: &Funds<'_>) -> usize {
    let least = capacity_for(need, core.memory.limit());
    match funds {
        Funds::Reserved(reserved) => {
            let affordable = 1 << reserved.checked_ilog2().unwrap_or(0);
            affordable.min(CHUNK_MAX).max(least)
        }
        // A sixteenth of the memory, so that a small budget is not spent on a few partitions.
        Funds::Budget | Funds::Forced => {
            let most = (core.memory.limit() / 16).clamp(CHUNK_MIN, CHUNK_MAX);
            wish.min(1 << most.ilog2()).max(least)
        }
    }
}

/// The first chunk of a partition's batch: as large as its last batch, if every partition could do so in half the memory.
pub(crate) fn first_wish(core: &Core, last_batch: usize) -> usize {
    let fair = core.memory.limit() / 2 / core.queues().max(1);
    let wish = last_batch.min(fair).clamp(CHUNK_MIN, CHUNK_MAX);
    // Up if the last batch needs it, down if the share does.
    let up = wish.next_power_of_two();
    if up <= fair.max(CHUNK_MIN) { up } else { up / 2 }
}

/// The first batch of a queue: its first chunk, or none if the funds do not suffice.
pub(crate) fn first_chunk(core: &Core, total: usize, last_batch: usize, funds: Funds<'_>) -> Option<Chunk> {
    let capacity = chunk_capacity(core, total, first_wish(core, last_batch), &funds);
    core.memory.chunk(capacity, funds)
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

    #[test]
    fn a_first_chunk_is_as_large_as_the_last_batch_while_every_partition_can_have_one() {
        let core = core_with(32 << 20);
        core.claim_slot();
        assert_eq!(first_wish(&core, 0), CHUNK_MIN);
        assert_eq!(first_wish(&core, 5_000), 8 << 10);
        assert_eq!(first_wish(&core, 16 << 10), 16 << 10);
        assert_eq!(first_wish(&core, 256 << 10), CHUNK_MAX);
        while core.claim_slot() < 9_999 {}
        assert_eq!(first_wish(&core, 256 << 10), CHUNK_MIN);
    }
}
