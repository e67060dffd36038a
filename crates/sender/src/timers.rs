//! Deadlines of many owners in one heap. An owner remembers which entry is its own; any other is stale and is skipped.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use milena_wire::Timestamp;

/// Whose deadline it is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Timer {
    /// Linger, backoff or the delivery deadline of the partition in this slot.
    Partition(usize),
    /// Grace or the delivery deadline of records that wait for this topic.
    Topic(usize),
    /// Ask for a producer id again.
    Identity,
    /// A command's deadline, or the producer's close.
    Command,
    /// What lingers while somebody waits for memory.
    Pressure,
}

#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Timestamp, Timer)>>,
}

impl Timers {
    /// Makes sure that `timer` fires at `at` or before; `own` is the owner's note of its entry.
    pub(crate) fn schedule(&mut self, own: &mut Option<Timestamp>, timer: Timer, at: Timestamp) {
        if at < Timestamp::NEVER && own.is_none_or(|current| at < current) {
            *own = Some(at);
            self.heap.push(Reverse((at, timer)));
        }
    }

    /// The next entry that is due, stale ones included.
    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<(Timestamp, Timer)> {
        self.heap.peek().filter(|Reverse((at, _))| *at <= now)?;
        self.heap.pop().map(|Reverse(entry)| entry)
    }

    pub(crate) fn peek(&self) -> Option<(Timestamp, Timer)> {
        self.heap.peek().map(|Reverse(entry)| *entry)
    }

    /// Removes the entry that [`peek`](Self::peek) showed, which the caller knows to be stale.
    pub(crate) fn drop_first(&mut self) {
        self.heap.pop();
    }
}
