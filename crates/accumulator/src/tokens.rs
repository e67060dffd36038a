//! The tokens of a batch's records, in chunks: counted against the memory, and used again, as the records' bytes are.

use std::sync::Arc;

use bytes::{Buf, BufMut};
use milena_mutants::Mutant;
use smallvec::SmallVec;

use crate::chunk::{CHUNK_MAX, CHUNK_QUIET, Chunk, capacity_for};
use crate::core::Core;
use crate::hooks::Tagged;
use crate::memory::{Funds, Memory};
use crate::open::first_wish;

/// Bytes of one token with what is kept beside it.
pub(crate) const SIZE: usize = 8 + 8 + 4;

/// What an append with a token should reserve for it, beside what the record takes.
pub(crate) const WORTH_RESERVING: usize = CHUNK_QUIET;

/// Tokens, in the order of their records. No larger than a [`BatchCell`](crate::cell::BatchCell), and for the same reason.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    /// All but the last are full. Two are enough for 153 records; where a batch has more, an allocation is shared by more.
    chunks: SmallVec<[Chunk; 2]>,
    count: usize,
}

impl Tokens {
    /// Whether one more can be [`push`](Self::push)ed into memory that is counted already.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        self.chunks.last().is_some_and(|last| last.room() >= SIZE)
    }

    /// Makes room for the token of a record that takes `record` bytes, and leaves as much of a reservation; `false` if the funds do not
    /// suffice.
    #[cold]
    pub(crate) fn grow(&mut self, core: &Core, record: usize, funds: Funds<'_>) -> bool {
        let limit = core.memory.limit();
        let capacity = match &funds {
            Funds::Reserved(reserved) if **reserved >= WORTH_RESERVING + capacity_for(record, limit) => WORTH_RESERVING,
            Funds::Reserved(_) => SIZE,
            // As with the records' chunks: twice the last, but only a sixteenth of the memory.
            Funds::Budget | Funds::Forced => {
                let most = (limit / 16).clamp(CHUNK_QUIET, CHUNK_MAX);
                let least = first_wish(core, 0);
                let wish = self.chunks.last().map_or(least, |last| last.capacity() * 2);
                wish.next_power_of_two().clamp(least, 1 << most.ilog2())
            }
        };
        core.memory.chunk(capacity, SIZE, funds).map(|chunk| self.chunks.push(chunk)).is_some()
    }

    /// Adds the token of a record behind all others. Without room the memory is charged all the same.
    #[inline]
    pub(crate) fn push(&mut self, memory: &Arc<Memory>, tagged: Tagged) {
        match self.chunks.last_mut() {
            Some(last) if last.room() >= SIZE => write(last, tagged),
            _ => {
                let mut chunk = memory.forced_chunk(if self.count == 0 { SIZE } else { CHUNK_QUIET }, SIZE);
                write(&mut chunk, tagged);
                self.chunks.push(chunk);
            }
        }
        self.count += 1;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn iter(&self) -> Iter<impl Iterator<Item = Tagged>> {
        let tokens = self.chunks.iter().flat_map(|chunk| chunk.as_ref().chunks_exact(SIZE)).map(read);
        Iter { tokens, left: self.count - usize::from(Mutant::LastTokenIsLost.lives()) }
    }
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Tokens>() + 2 * size_of::<usize>() <= 120);

fn write(chunk: &mut Chunk, tagged: Tagged) {
    let mut free = chunk.free();
    free.put_u64_ne(tagged.token);
    free.put_i64_ne(tagged.timestamp_ms);
    free.put_u32_ne(tagged.index);
    chunk.advance(SIZE);
}

/// `bytes` are as many as [`write()`] wrote.
fn read(mut bytes: &[u8]) -> Tagged {
    Tagged { token: bytes.get_u64_ne(), timestamp_ms: bytes.get_i64_ne(), index: bytes.get_u32_ne() }
}

/// Tokens of which it is known how many they are.
pub(crate) struct Iter<I> {
    tokens: I,
    left: usize,
}

impl<I: Iterator<Item = Tagged>> Iterator for Iter<I> {
    type Item = Tagged;

    fn next(&mut self) -> Option<Tagged> {
        if Mutant::LastTokenIsLost.lives() && self.left == 0 {
            return None;
        }
        let tagged = self.tokens.next()?;
        self.left -= 1;
        Some(tagged)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<I: Iterator<Item = Tagged>> ExactSizeIterator for Iter<I> {}
