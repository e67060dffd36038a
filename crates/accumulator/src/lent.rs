//! A large value that is sent from where it lies.
//!
//! A record that fills a batch by itself, and whose value is a buffer that can be shared, is not copied: its batch is what goes in front of
//! the value, the value, and what goes behind it. The value counts against the memory like any other, until nobody needs it any more.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use milena_wire::Sink;

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

/// The value of a batch's only record, and where in the batch's chunk it belongs.
#[derive(Debug)]
pub(crate) struct Insert {
    at: usize,
    value: Lent,
}

impl Insert {
    /// The batch's slices, in order.
    pub(crate) fn into(self, chunk: Bytes) -> Vec<Bytes> {
        let (front, back) = (chunk.slice(..self.at), chunk.slice(self.at..));
        vec![front, Bytes::from_owner(self.value), back]
    }
}

/// Takes a record but for its value, for which it notes the place.
pub(crate) struct Around<'a> {
    chunk: &'a mut Chunk,
    value: &'a [u8],
    at: Option<usize>,
}

impl<'a> Around<'a> {
    /// `value` is the record's, not one equal to it.
    pub(crate) fn new(chunk: &'a mut Chunk, value: &'a [u8]) -> Self {
        Self { chunk, value, at: None }
    }

    /// Once the record is written.
    pub(crate) fn insert(self, value: Lent) -> Option<Insert> {
        self.at.map(|at| Insert { at, value })
    }
}

impl Sink for Around<'_> {
    fn put(&mut self, bytes: &[u8]) {
        if self.at.is_none() && std::ptr::eq(bytes, self.value) {
            self.at = Some(self.chunk.as_ref().len());
        } else {
            self.chunk.put(bytes);
        }
    }
}
