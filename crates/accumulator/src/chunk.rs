//! Pieces of batch memory.

use std::fmt;
use std::sync::Arc;

use milena_wire::Sink;

use crate::memory::Memory;

/// Capacity of the smallest chunk. A batch begins with so little where there are so many partitions that [`CHUNK_QUIET`] for each would be more
/// than half of the memory: room for a record or two of each at once.
pub(crate) const CHUNK_MIN: usize = 1 << 8;
/// Capacity of a quiet partition's first chunk: 10,000 of them fit into a third of the default memory.
pub(crate) const CHUNK_QUIET: usize = 1 << 10;
/// Capacity of a busy partition's chunks. Larger ones cost the granularity of the budget and save nothing.
pub(crate) const CHUNK_MAX: usize = 64 << 10;
/// Powers of two from [`CHUNK_MIN`] to [`CHUNK_MAX`].
pub(crate) const CLASSES: usize = (CHUNK_MAX / CHUNK_MIN).ilog2() as usize + 1;

/// Whether buffers of this capacity are kept for reuse; others are made to measure for one record.
pub(crate) fn is_pooled(capacity: usize) -> bool {
    capacity.is_power_of_two() && (CHUNK_MIN..=CHUNK_MAX).contains(&capacity)
}

/// The class of a pooled capacity.
pub(crate) fn class_of(capacity: usize) -> usize {
    (capacity / CHUNK_MIN).ilog2() as usize
}

pub(crate) fn class_capacity(class: usize) -> usize {
    CHUNK_MIN << class
}

/// The least capacity that holds `need` bytes: pooled if possible, never more than `limit` unless `need` is.
pub(crate) fn capacity_for(need: usize, limit: usize) -> usize {
    if need > CHUNK_MAX {
        return need;
    }
    let pooled = need.next_power_of_two().max(CHUNK_MIN);
    if pooled <= limit { pooled } else { need }
}

/// Encoded records, in a buffer that goes back to the pool when the last reader drops it.
pub(crate) struct Chunk {
    /// All of it is counted, and initialised, so that writing is a matter of slices.
    buffer: Box<[u8]>,
    /// How much of it was written; the rest is whatever it held before.
    written: usize,
    memory: Arc<Memory>,
}

impl Chunk {
    pub(crate) fn new(memory: Arc<Memory>, buffer: Box<[u8]>) -> Self {
        Self { buffer, written: 0, memory }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.buffer.len()
    }

    #[inline]
    pub(crate) fn room(&self) -> usize {
        self.buffer.len() - self.written
    }

    /// To be written anew.
    pub(crate) fn emptied(mut self) -> Self {
        self.written = 0;
        self
    }

    /// What can still be written. [`advance`](Self::advance) says how much was.
    #[inline]
    pub(crate) fn free(&mut self) -> &mut [u8] {
        &mut self.buffer[self.written..]
    }

    #[inline]
    pub(crate) fn advance(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.room());
        self.written += bytes;
    }
}

impl Sink for Chunk {
    fn put(&mut self, bytes: &[u8]) {
        self.free()[..bytes.len()].copy_from_slice(bytes);
        self.advance(bytes.len());
    }
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.written]
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        self.memory.put_back(std::mem::take(&mut self.buffer));
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chunk({} of {})", self.written, self.capacity())
    }
}

/// Writes a record across the seam of two chunks.
pub(crate) struct Seam<'a> {
    first: &'a mut Chunk,
    second: &'a mut Chunk,
}

impl<'a> Seam<'a> {
    /// `second` is empty and takes what `first` has no room for.
    pub(crate) fn new(first: &'a mut Chunk, second: &'a mut Chunk) -> Self {
        Self { first, second }
    }
}

impl Sink for Seam<'_> {
    fn put(&mut self, bytes: &[u8]) {
        let (head, tail) = bytes.split_at(bytes.len().min(self.first.room()));
        self.first.put(head);
        self.second.put(tail);
    }
}
