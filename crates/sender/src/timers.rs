//! Deadlines of many owners in one heap. An owner remembers which entry is its own; any other is stale and is skipped, and now and then all of
//! those are taken out: else each batch of a partition would leave one behind until its delivery timeout.

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
    /// Entries that were of use when that was looked at last.
    useful: usize,
}

/// So few entries are never looked through.
const FEW: usize = 64;

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

    /// Whether more than half of the entries may be stale.
    pub(crate) fn is_crowded(&self) -> bool {
        self.heap.len() > FEW + 2 * self.useful
    }

    /// Takes out all entries that are not their owner's own.
    pub(crate) fn clear_out(&mut self, is_own: impl Fn(Timestamp, Timer) -> bool) {
        self.heap.retain(|Reverse((at, timer))| is_own(*at, *timer));
        self.useful = self.heap.len();
        self.heap.shrink_to(FEW + 2 * self.useful);
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    /// Removes the entry that [`peek`](Self::peek) showed, which the caller knows to be stale.
    pub(crate) fn drop_first(&mut self) {
        self.heap.pop();
    }
}
