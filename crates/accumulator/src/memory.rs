//! The memory budget: what may be held, who waits for it, and the chunks that wait to be used again.
//!
//! Every byte is counted from the moment it is promised (to a chunk, or to a [`Reservation`](crate::Reservation)) until its owner is
//! dropped. Who finds the memory full waits in line: whatever comes back goes to the first in line, and nobody overtakes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::task::Waker;

use crate::ahead;
use crate::chunk::{Chunk, class_of, is_pooled};
use crate::lately::Lately;
use crate::sync::{Mutex, MutexGuard};
use crate::wake::wake_all;

/// How the memory is used at one moment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct MemoryUse {
    /// The configured limit, in bytes.
    pub limit: usize,
    /// Bytes promised or held. Above the limit for a short time only, while batches are compressed, split, or moved to a topic just
    /// learnt of: those cannot wait, because what they wait for is themselves.
    pub used: usize,
    /// How many callers wait for memory.
    pub waiting: usize,
}

/// What of one topic the sender has not taken yet.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Queued {
    /// Records.
    pub records: u64,
    /// Their uncompressed wire bytes, batch headers included.
    pub bytes: u64,
}

pub(crate) struct Memory {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    used: usize,
    /// Chunks to use again with what they held last, by class, last in first out: the last is likely still in the processor's cache.
    free: [Vec<Box<[u8]>>; crate::chunk::CLASSES],
    /// Capacity of all of `free`. After each chunk taken or given back, and each charge, `used + free_bytes` is neither above what was lately
    /// used at once, and a little more ([`SPARE`]), nor above the limit, unless `used` alone is.
    free_bytes: usize,
    lately: Lately,
    next_ticket: Ticket,
    /// In line; the lowest ticket is first.
    line: BTreeMap<Ticket, Waiting>,
    /// Out of the line with what they asked for, which is counted in `used`, but not yet fetched.
    granted: BTreeMap<Ticket, usize>,
    closed: bool,
}

struct Waiting {
    bytes: usize,
    waker: Waker,
}

/// A place in the line.
pub(crate) type Ticket = u64;

/// How a place in the line stands.
pub(crate) enum Turn {
    Granted,
    Waiting,
    Closed,
}

/// So small a part of the memory is kept beside what was lately used at once: a chunk of another size than those that are free would else cost one of
/// them, and the next one that.
const SPARE: usize = 32;

/// Who pays for a chunk.
pub(crate) enum Funds<'a> {
    /// The budget, if nobody waits and there is enough left.
    Budget,
    /// A reservation, which shrinks.
    Reserved(&'a mut usize),
    /// The budget, whether or not there is enough left.
    Forced,
}

impl Memory {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, state: Mutex::new(State::default()) })
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn usage(&self) -> MemoryUse {
        let state = self.state.lock();
        MemoryUse { limit: self.limit, used: state.used, waiting: state.line.len() }
    }

    /// An empty chunk of `capacity` bytes, for records of which the first takes `first` bytes, or none if the funds do not suffice.
    pub(crate) fn chunk(self: &Arc<Self>, capacity: usize, first: usize, funds: Funds<'_>) -> Option<Chunk> {
        let mut state = self.state.lock();
        if !state.pay(capacity, funds, self.limit) {
            return None;
        }
        Some(self.paid_chunk(state, capacity, first))
    }

    /// An empty chunk of `capacity` bytes, whether or not there is enough left.
    pub(crate) fn forced_chunk(self: &Arc<Self>, capacity: usize, first: usize) -> Chunk {
        let mut state = self.state.lock();
        state.promise(capacity);
        self.paid_chunk(state, capacity, first)
    }

    fn paid_chunk(self: &Arc<Self>, mut state: MutexGuard<'_, State>, capacity: usize, first: usize) -> Chunk {
        let mut trimmed = Vec::new();
        let again = if is_pooled(capacity) { state.free[class_of(capacity)].pop() } else { None };
        if again.is_some() {
            state.free_bytes -= capacity;
        }
        state.note_taken(capacity, self.limit, &mut trimmed);
        drop(state);
        drop(trimmed);
        let buffer = match again {
            Some(mut buffer) => {
                ahead::begin(&mut buffer, first);
                buffer
            }
            // It may be large, and most of it never be written to: its pages are the system's still.
            None => vec![0; capacity].into_boxed_slice(),
        };
        Chunk::new(Arc::clone(self), buffer)
    }

    /// Takes a chunk's buffer back, together with its share of the budget.
    pub(crate) fn put_back(&self, buffer: Box<[u8]>) {
        let capacity = buffer.len();
        let mut trimmed = Vec::new();
        let wakers = {
            let mut state = self.state.lock();
            state.used -= capacity;
            if is_pooled(capacity) && !state.closed {
                state.free[class_of(capacity)].push(buffer);
                state.free_bytes += capacity;
            }
            let wakers = state.grant(self.limit);
            state.trim(self.limit, &mut trimmed);
            wakers
        };
        drop(trimmed);
        wake_all(wakers);
    }

    /// Counts `bytes` that somebody holds elsewhere; `false` if the funds do not suffice.
    pub(crate) fn charge(&self, bytes: usize, funds: Funds<'_>) -> bool {
        let mut trimmed = Vec::new();
        let mut state = self.state.lock();
        let paid = state.pay(bytes, funds, self.limit);
        if paid {
            state.note_taken(bytes, self.limit, &mut trimmed);
        }
        drop(state);
        paid
    }

    /// Counts `bytes` no more.
    pub(crate) fn release(&self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        let wakers = {
            let mut state = self.state.lock();
            state.used -= bytes;
            state.grant(self.limit)
        };
        wake_all(wakers);
    }

    /// Joins the line, or passes it if it is empty and there is enough left.
    pub(crate) fn join(&self, bytes: usize, waker: &Waker) -> (Turn, Ticket) {
        // To clone or drop one may be the user's code.
        let waker = waker.clone();
        let mut state = self.state.lock();
        if state.closed {
            return (Turn::Closed, 0);
        }
        if state.pay(bytes, Funds::Budget, self.limit) {
            return (Turn::Granted, 0);
        }
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.line.insert(ticket, Waiting { bytes, waker });
        (Turn::Waiting, ticket)
    }

    /// Asks how a place in the line stands. After [`Turn::Granted`] and [`Turn::Closed`] the place is gone.
    pub(crate) fn turn(&self, ticket: Ticket, waker: &Waker) -> Turn {
        // As it is cloned before, the one it takes the place of is dropped behind the lock.
        let mut waker = waker.clone();
        let mut state = self.state.lock();
        if state.granted.remove(&ticket).is_some() {
            return Turn::Granted;
        }
        match state.line.get_mut(&ticket) {
            Some(waiting) => {
                std::mem::swap(&mut waiting.waker, &mut waker);
                Turn::Waiting
            }
            None => Turn::Closed,
        }
    }

    /// Gives a place in the line up, and what it may have been granted in the meantime; the next in line gets it.
    pub(crate) fn leave(&self, ticket: Ticket) {
        let (left, wakers) = {
            let mut state = self.state.lock();
            if let Some(bytes) = state.granted.remove(&ticket) {
                state.used -= bytes;
            }
            let left = state.line.remove(&ticket);
            // Also when it only waited: if it was first and asked for much, the second may fit.
            (left, state.grant(self.limit))
        };
        drop(left);
        wake_all(wakers);
    }

    /// Lets nobody wait any more. What is held stays counted.
    pub(crate) fn close(&self) {
        let line = {
            let mut state = self.state.lock();
            state.closed = true;
            std::mem::take(&mut state.line)
        };
        wake_all(line.into_values().map(|waiting| waiting.waker));
    }

    /// Frees the chunks that wait to be used again.
    pub(crate) fn trim(&self) {
        let mut state = self.state.lock();
        let free = std::mem::take(&mut state.free);
        state.free_bytes = 0;
        drop(state);
        drop(free);
    }
}

impl State {
    fn pay(&mut self, bytes: usize, funds: Funds<'_>, limit: usize) -> bool {
        match funds {
            Funds::Budget => {
                if !self.line.is_empty() || !self.fits(bytes, limit) {
                    return false;
                }
            }
            Funds::Reserved(reserved) => {
                let Some(rest) = reserved.checked_sub(bytes) else { return false };
                *reserved = rest;
                return true; // a reservation is counted already
            }
            Funds::Forced => {}
        }
        self.promise(bytes);
        true
    }

    fn promise(&mut self, bytes: usize) {
        self.used += bytes;
        self.lately.saw(self.used);
    }

    /// Bytes that were promised are held now: what is kept for reuse ages by that, and makes room for it.
    fn note_taken(&mut self, bytes: usize, limit: usize, trimmed: &mut Vec<Box<[u8]>>) {
        self.lately.took(bytes, self.used, limit);
        self.trim(limit, trimmed);
    }

    fn fits(&self, bytes: usize, limit: usize) -> bool {
        self.used.checked_add(bytes).is_some_and(|used| used <= limit)
    }

    /// Serves the line from its front, as far as the memory goes.
    fn grant(&mut self, limit: usize) -> Vec<Waker> {
        let mut wakers = Vec::new();
        while let Some(first) = self.line.first_entry() {
            let bytes = first.get().bytes;
            if self.used.checked_add(bytes).is_none_or(|used| used > limit) {
                break;
            }
            let (ticket, waiting) = first.remove_entry();
            self.promise(bytes);
            self.granted.insert(ticket, bytes);
            wakers.push(waiting.waker);
        }
        wakers
    }

    /// Drops free chunks (into `out`, so that the allocator is called outside the lock) that would take the process beyond the limit, or
    /// beyond what it lately needed: with many partitions the sizes of chunks that are wanted change, and those of before would pile up.
    /// The largest go first, since few calls of the allocator give back most.
    fn trim(&mut self, limit: usize, out: &mut Vec<Box<[u8]>>) {
        let limit = limit.min(self.lately.most().saturating_add(limit / SPARE));
        let mut class = self.free.len();
        while self.free_bytes > 0 && !self.fits(self.free_bytes, limit) && class > 0 {
            match self.free[class - 1].pop() {
                Some(buffer) => {
                    self.free_bytes -= crate::chunk::class_capacity(class - 1);
                    out.push(buffer);
                }
                None => class -= 1,
            }
        }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.usage().fmt(f)
    }
}

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests {
    use super::*;

    fn take(memory: &Arc<Memory>, chunks: usize, capacity: usize) -> Vec<Chunk> {
        (0..chunks).map(|_| memory.chunk(capacity, 0, Funds::Budget).unwrap()).collect()
    }

    /// What may be kept of a memory of 1 MiB beside what was lately used at once.
    const SPARED: usize = (1 << 20) / SPARE;

    fn kept(memory: &Memory) -> usize {
        memory.state.lock().free_bytes
    }

    #[test]
    fn chunks_that_nobody_wants_any_more_are_not_kept_beyond_what_was_lately_used_at_once() {
        let memory = Memory::new(1 << 20);
        drop(take(&memory, 100, 1 << 10));
        assert_eq!(kept(&memory), 100 << 10, "all that was used may be wanted again");
        let large = take(&memory, 1, 64 << 10);
        assert_eq!(kept(&memory), (36 << 10) + SPARED);
        drop(large);
        assert_eq!(kept(&memory), (100 << 10) + SPARED);
        // With those, 4 MiB were taken twice: what was used before that is long ago.
        for taken in 2..=127 {
            assert_eq!(kept(&memory), (100 << 10) + SPARED, "before large chunk {taken}");
            drop(take(&memory, 1, 64 << 10));
        }
        assert_eq!(kept(&memory), (64 << 10) + SPARED, "the small ones are gone but for what is spared");
    }

    #[test]
    fn what_is_held_elsewhere_or_reserved_counts_as_used_and_ages_what_is_kept() {
        let memory = Memory::new(1 << 20);
        drop(take(&memory, 10, 1 << 10));
        assert!(memory.charge(200 << 10, Funds::Budget));
        drop(take(&memory, 1, 16 << 10));
        assert_eq!(
            kept(&memory),
            (10 << 10) + (16 << 10),
            "beside what is charged there is room for what was used with it"
        );
        memory.release(200 << 10);
        let (Turn::Granted, _) = memory.join(400 << 10, Waker::noop()) else { panic!("there is enough") };
        memory.release(400 << 10);
        drop(take(&memory, 300, 1 << 10));
        assert_eq!(kept(&memory), 316 << 10, "as much as the reservation was would be kept");
        for _ in 0..84 {
            assert!(memory.charge(100 << 10, Funds::Budget));
            memory.release(100 << 10);
        }
        assert_eq!(kept(&memory), SPARED, "for 8 MiB nothing but what is held elsewhere was needed");
    }
}
