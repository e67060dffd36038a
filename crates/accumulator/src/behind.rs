//! Callers wait a little for a sender that is behind.
//!
//! Whoever appends faster than the sender sends would fill the whole memory with closed batches. Each byte is then long out of the processors'
//! caches when it is sent, and so is the memory that the next record is written to. So callers that may wait do so before they begin a batch in a
//! partition that has more than its share of [`BEHIND_BYTES`].
//!
//! That is worth it only while the sender is fast. Who has waited in vain says so, and nobody waits for that partition until it has sent
//! [`UNTRIED`] times as much: where a broker is slow, or away, callers go on up to the whole memory, which is what it is for.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::core::Core;
use crate::line::Line;
use crate::park;
use crate::queue::PartitionQueue;
use crate::sync::Ordering;
use crate::wake::wake_all;

/// What may be queued of all partitions together before the sender is behind: enough for it to go on with, and it fits a processor's caches.
const BEHIND_BYTES: usize = if cfg!(shuttle) { 0 } else { 4 << 20 };

/// However many partitions there are, one of them may have so much,
const LEAST_BYTES: usize = if cfg!(shuttle) { 0 } else { 256 << 10 };

/// and so many batches.
const LEAST_BATCHES: usize = if cfg!(shuttle) { 1 } else { 4 };

/// Nobody waits again before the sender has taken so many times the batches that it was behind with.
const UNTRIED: usize = 8;

/// With more batches than this in a partition the sender is behind.
pub(crate) fn limit(core: &Core) -> usize {
    let share = (BEHIND_BYTES / core.queues().max(1)).max(LEAST_BYTES);
    (share / core.config.batch_size.max(1)).max(LEAST_BATCHES)
}

/// Those who wait for the sender to catch up with a partition.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// Down to how many batches. As the sender has a quarter less than when the first of them came, it has still enough to go on with until they
    /// have run; and a backlog from before is worked off while they go on.
    until: usize,
    next_ticket: Ticket,
    wakers: BTreeMap<Ticket, Waker>,
}

type Ticket = u64;

impl PartitionQueue {
    /// Whether the sender is behind, and worth waiting for.
    pub(crate) fn is_behind(&self) -> bool {
        let depth = self.depth.load(Ordering::Relaxed) as usize;
        depth > limit(&self.core) && self.not_waited_for.load(Ordering::Relaxed) == 0
    }

    /// Notes that the sender has taken a batch. Who waited for that is to be woken under no lock.
    pub(crate) fn note_taken(&self, line: &mut Line) -> Option<impl Iterator<Item = Waker> + use<>> {
        let untried = self.not_waited_for.load(Ordering::Relaxed);
        if untried > 0 {
            self.not_waited_for.store(untried - 1, Ordering::Relaxed);
        }
        let depth = line.depth();
        let waiting = line.behind.as_mut().filter(|waiting| depth <= waiting.until)?;
        Some(waiting.take())
    }

    /// Lets nobody wait for a while.
    pub(crate) fn wait_no_more(&self) {
        let mut line = self.line.lock();
        self.not_waited_for.store(UNTRIED * limit(&self.core), Ordering::Relaxed);
        let waiting = line.behind.as_mut().map(|waiting| waiting.take());
        drop(line);
        wake_all(waiting.into_iter().flatten());
    }

    /// Has `waker` woken when the sender has caught up; false if it has.
    fn wait(&self, waker: &Waker, ticket: &mut Option<Ticket>) -> bool {
        // To clone or drop one may be the user's code.
        let waker = waker.clone();
        let mut line = self.line.lock();
        let depth = line.depth();
        let old = match ticket {
            Some(ticket) => match line.behind.as_mut().and_then(|waiting| waiting.wakers.get_mut(ticket)) {
                Some(known) => std::mem::replace(known, waker),
                None => return false,
            },
            None if depth <= limit(&self.core) || self.not_waited_for.load(Ordering::Relaxed) > 0 => return false,
            None => {
                let waiting = line.behind.get_or_insert_default();
                if waiting.wakers.is_empty() {
                    waiting.until = depth - (limit(&self.core) / 4).max(1);
                }
                waiting.next_ticket += 1;
                waiting.wakers.insert(waiting.next_ticket, waker);
                *ticket = Some(waiting.next_ticket);
                return true;
            }
        };
        drop(line);
        drop(old);
        true
    }

    fn leave(&self, ticket: Ticket) {
        let waker = self.line.lock().behind.as_mut().and_then(|waiting| waiting.wakers.remove(&ticket));
        drop(waker);
    }
}

impl Waiting {
    fn take(&mut self) -> impl Iterator<Item = Waker> + use<> {
        std::mem::take(&mut self.wakers).into_values()
    }
}

/// Waits until the sender has caught up with a partition; made by [`Accumulator::catch_up`](crate::Accumulator::catch_up).
///
/// # Cancel safety
///
/// Dropping it stops the waiting alone.
#[must_use = "it waits when it is awaited"]
pub struct CatchUp {
    queue: Arc<PartitionQueue>,
    /// None before it waits.
    ticket: Option<Ticket>,
}

impl CatchUp {
    pub(crate) fn new(queue: Arc<PartitionQueue>) -> Self {
        Self { queue, ticket: None }
    }

    /// Says that the sender is too slow to be waited for: nobody does for a while.
    pub fn give_up(self) {
        self.queue.wait_no_more();
    }

    /// Waits on this thread, at most for `timeout`, and [gives up](Self::give_up) then; at once, if it is this thread that delivers.
    pub fn wait_blocking(mut self, timeout: Duration) {
        if !park::may_wait() || park::block_on_for(&mut self, timeout).is_none() {
            self.give_up();
        }
    }
}

impl Future for CatchUp {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Self { queue, ticket } = &mut *self;
        if queue.wait(context.waker(), ticket) { Poll::Pending } else { Poll::Ready(()) }
    }
}

impl Drop for CatchUp {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.queue.leave(ticket);
        }
    }
}

impl fmt::Debug for CatchUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CatchUp({:?})", self.queue)
    }
}
