//! A large value that is sent from where it lies.
//!
//! If the value of a record is large, and a buffer that can be shared, it is not copied: what is around it is in the batch's chunks, and the
//! value goes between their bytes where it belongs. The value counts against the memory like any other, until nobody needs it any more.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use milena_wire::{Payload, Sink};
use smallvec::SmallVec;

use crate::chunk::Chunk;
use crate::memory::{Funds, Memory};

/// A value of the caller's, counted against the memory.
pub(crate) struct Lent {
    value: Bytes,
    memory: Arc<Memory>,
}

impl Lent {
    /// None if the funds do not suffice.
    pub(crate) fn new(value: Bytes, memory: &Arc<Memory>, funds: Funds<'_>) -> Option<Self> {
        memory.charge(value.len(), funds).then(|| Self { value, memory: Arc::clone(memory) })
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.value
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.memory.release(self.value.len());
    }
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lent({})", self.value.len())
    }
}

/// A value, and where it belongs among the bytes that the batch's chunks hold.
#[derive(Debug)]
pub(crate) struct Insert {
    at: usize,
    value: Lent,
}

/// The slices of a batch, in order, without its being taken apart. `inserts` are in order.
pub(crate) fn slices<'a>(chunks: &'a [Chunk], inserts: &'a [Insert]) -> SmallVec<[&'a [u8]; 1]> {
    let chunks = chunks.iter().map(AsRef::as_ref);
    weave(chunks, inserts.iter().map(|insert| (insert.at, insert.value.as_ref())), |chunk: &&'a [u8], range| {
        &chunk[range]
    })
}

/// The slices of a batch, in order. `inserts` are in order.
pub(crate) fn frozen(chunks: SmallVec<[Chunk; 1]>, inserts: Vec<Insert>) -> Payload {
    let chunks = chunks.into_iter().map(Bytes::from_owner);
    if inserts.is_empty() {
        return chunks.collect();
    }
    let inserts = inserts.into_iter().map(|insert| (insert.at, Bytes::from_owner(insert.value)));
    weave(chunks, inserts, |chunk, range| chunk.slice(range))
}

/// Cuts chunks where values belong, and puts those there.
fn weave<T: AsRef<[u8]>>(
    chunks: impl Iterator<Item = T>,
    inserts: impl Iterator<Item = (usize, T)>,
    cut: impl Fn(&T, Range<usize>) -> T,
) -> SmallVec<[T; 1]> {
    let mut inserts = inserts.peekable();
    let mut slices = SmallVec::with_capacity(2 * inserts.size_hint().0 + chunks.size_hint().0);
    let mut before = 0;
    for chunk in chunks {
        let len = chunk.as_ref().len();
        let mut from = 0;
        while let Some((at, value)) = inserts.next_if(|(at, _)| *at <= before + len) {
            let to = at - before;
            slices.extend((from < to).then(|| cut(&chunk, from..to)));
            slices.push(value);
            from = to;
        }
        slices.extend((from < len).then(|| cut(&chunk, from..len)));
        before += len;
    }
    slices
}

/// Takes a record but for its value, for which it notes the place.
pub(crate) struct Around<'a, S> {
    rest: &'a mut S,
    written: usize,
    value: &'a [u8],
    at: Option<usize>,
}

impl<'a, S: Sink> Around<'a, S> {
    /// `value` is the record's, not one equal to it. `written` is what the batch's chunks hold already.
    pub(crate) fn new(rest: &'a mut S, written: usize, value: &'a [u8]) -> Self {
        Self { rest, written, value, at: None }
    }

    /// Once the record is written.
    pub(crate) fn insert(self, value: Lent) -> Option<Insert> {
        self.at.map(|at| Insert { at, value })
    }
}

impl<S: Sink> Sink for Around<'_, S> {
    fn put(&mut self, bytes: &[u8]) {
        if self.at.is_none() && std::ptr::eq(bytes, self.value) {
            self.at = Some(self.written);
        } else {
            self.rest.put(bytes);
            self.written += bytes.len();
        }
    }
}
