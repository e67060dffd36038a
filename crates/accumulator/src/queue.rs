use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use milena_mutants::Mutant;
use milena_wire::{PartitionId, Timestamp, TopicName};

use crate::ClosedBatch;
use crate::cell::{BatchCell, Home};
use crate::core::Core;
use crate::latch::{Latch, LatchGuard};
use crate::open::OpenBatch;
use crate::sync::{AtomicBool, AtomicU32, Ordering};

/// The batches of one partition that the sender has not taken yet: closed ones, oldest first, and the open one.
///
/// The sender hears of a queue through [`Accumulator::take_ready`](crate::Accumulator::take_ready). From then on it depends on what the sender
/// saw last, by [`view`](Self::view), or by [`close_head`](Self::close_head) finding nothing to take:
///
/// - an open batch that may linger: it hears again if that batch is closed by size or becomes urgent, and keeps a timer for lingering;
/// - full batches: it may leave them for a while, and hears again if one of them or the open one becomes urgent, and if there are
///   [`ENOUGH_BYTES`] of them;
/// - something to send, which it cannot send yet: it does not hear again, because it will come back by itself;
/// - nothing (also by [`go_idle`](Self::go_idle) saying yes): it hears again with the next record.
pub struct PartitionQueue {
    core: Arc<Core>,
    home: Arc<Home>,
    partition: PartitionId,
    slot: usize,
    state: Latch<QueueState>,
    /// In the list that `take_ready` empties.
    listed: AtomicBool,
    /// Batches in this queue, for the adaptive partitioner, who takes no locks.
    depth: AtomicU32,
    /// Batches the sender took and has not sent.
    backlog: AtomicU32,
}

/// Full batches of so many bytes are worth a request of their own: as much as goes into a socket at once.
pub const ENOUGH_BYTES: usize = 64 << 10;

/// Bytes of a record from which on it is not the caller's thread that limits the rate.
const LARGE: usize = 512;

/// Bytes of a batch up to which they are read under the partition's lock: those of the default `batch.size`.
const READ_AT_ONCE: usize = 256 << 10;

/// Behind the partition lock.
#[derive(Debug, Default)]
pub(crate) struct QueueState {
    pub(crate) open: Option<OpenBatch>,
    closed: VecDeque<ClosedBatch>,
    /// Wire bytes of `closed`, uncompressed.
    closed_bytes: usize,
    /// One of `closed` should not wait.
    closed_urgent: bool,
    notice: Notice,
    /// Bytes in the chunks of the last batch that was closed, from which the size of the next one's first chunk is guessed.
    pub(crate) last_batch: usize,
    /// The accumulator was closed: no more records.
    pub(crate) refusing: bool,
}

/// What the sender knows of a queue.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Notice {
    /// Nothing is in it.
    #[default]
    Idle,
    /// It was told, and has not looked yet.
    Told,
    /// It saw an open batch and waits for its linger time to pass.
    Lingering,
    /// It saw full batches that nobody waits for.
    Full,
    /// It saw something to send and will look again by itself.
    Busy,
}

/// How much of a queue [`PartitionQueue::close_head`] may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Take {
    /// A batch that is closed already.
    ClosedOnly,
    /// The open batch too, if nothing closed is in front of it.
    OpenToo,
}

/// A queue at one moment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct QueueView {
    /// Closed batches.
    pub closed: usize,
    /// When the open batch's first record came; none without an open batch.
    pub open_since: Option<Timestamp>,
    /// When the first record of the oldest batch came, closed or open: what the delivery timeout counts from.
    pub oldest: Option<Timestamp>,
    /// Uncompressed wire bytes of the batch that [`close_head`](PartitionQueue::close_head) would take.
    pub head_bytes: usize,
    /// A batch should not linger.
    pub urgent: bool,
    /// Uncompressed wire bytes of the closed batches.
    pub closed_bytes: usize,
    /// Uncompressed wire bytes of all batches.
    pub bytes: usize,
}

impl QueueState {
    /// Notes that a record went in; whether the sender must be told. `pressing`: a batch was closed, or the open one is urgent.
    #[inline]
    fn note(&mut self, pressing: bool) -> bool {
        let tell = match self.notice {
            Notice::Idle => true,
            Notice::Lingering => pressing,
            Notice::Full => self.is_urgent() || self.closed_bytes >= ENOUGH_BYTES,
            Notice::Told | Notice::Busy => false,
        };
        if tell {
            self.notice = Notice::Told;
        }
        tell
    }

    /// Closes the open batch, if there is one.
    pub(crate) fn close_open(&mut self, core: &Arc<Core>) -> bool {
        let urgent = self.open.as_ref().is_some_and(|open| open.urgent);
        let Some(batch) = self.take_open(core) else { return false };
        self.closed_urgent |= urgent;
        self.closed_bytes += batch.bytes();
        self.closed.push_back(batch);
        true
    }

    /// The open batch, closed. Not by way of the list of closed ones, for which a quiet partition then needs no room.
    fn take_open(&mut self, core: &Arc<Core>) -> Option<ClosedBatch> {
        let batch = self.open.take()?.close(core)?;
        self.last_batch = batch.copied();
        Some(batch)
    }

    fn take_closed(&mut self) -> Option<ClosedBatch> {
        let newest = Mutant::NewestFirst.lives();
        let batch = if newest { self.closed.pop_back() } else { self.closed.pop_front() }?;
        self.closed_bytes -= batch.bytes();
        Some(batch)
    }

    /// As [`close_open`](Self::close_open), for the thread that has written the batch: if its records are large, their bytes are read for
    /// the CRC now, while they are likely in this processor's cache. (With small ones it is the caller's thread that limits the rate. Of
    /// more than a usual batch it is left to the I/O thread, as others may wait at the partition's lock.)
    pub(crate) fn close_full(&mut self, core: &Arc<Core>) -> bool {
        let closed = self.close_open(core);
        if closed
            && let Some(batch) = self
                .closed
                .back_mut()
                .filter(|batch| batch.bytes() >= LARGE * batch.count().as_usize() && batch.bytes() <= READ_AT_ONCE)
        {
            batch.read();
        }
        closed
    }

    pub(crate) fn depth(&self) -> usize {
        self.closed.len() + usize::from(self.open.is_some())
    }

    fn is_urgent(&self) -> bool {
        self.closed_urgent || self.open.as_ref().is_some_and(|open| open.urgent)
    }

    /// The sender saw this.
    fn seen(&mut self, linger_zero: bool) {
        self.notice = if self.depth() == 0 {
            Notice::Idle
        } else if self.is_urgent() || linger_zero {
            Notice::Busy
        } else if !self.closed.is_empty() {
            Notice::Full
        } else {
            Notice::Lingering
        };
    }
}

impl PartitionQueue {
    pub(crate) fn new(core: &Arc<Core>, topic: TopicName, partition: PartitionId) -> Arc<Self> {
        Arc::new(Self {
            home: Home::new(&topic, Some(partition), &core.hooks),
            partition,
            slot: core.claim_slot(),
            state: Latch::new(QueueState::default()),
            listed: AtomicBool::new(false),
            depth: AtomicU32::new(0),
            backlog: AtomicU32::new(0),
            core: Arc::clone(core),
        })
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &TopicName {
        self.home.topic
    }

    /// The partition.
    #[must_use]
    pub fn partition(&self) -> PartitionId {
        self.partition
    }

    /// A number of its own among all queues of the accumulator, counted from 0 without gaps: an index for what the sender keeps per queue.
    #[must_use]
    pub fn slot(&self) -> usize {
        self.slot
    }

    /// What is in it.
    #[must_use]
    pub fn view(&self) -> QueueView {
        let mut state = self.state.lock();
        let linger_zero = self.core.config.linger_zero;
        state.seen(linger_zero);
        let open = state.open.as_ref();
        let first = state.closed.front();
        let open_bytes = open.map_or(0, OpenBatch::wire_bytes);
        QueueView {
            closed: state.closed.len(),
            open_since: open.map(|open| open.created),
            oldest: first.map(ClosedBatch::created).or_else(|| open.map(|open| open.created)),
            head_bytes: first.map_or(open_bytes, ClosedBatch::bytes),
            urgent: state.is_urgent() || linger_zero,
            closed_bytes: state.closed_bytes,
            bytes: state.closed_bytes + open_bytes,
        }
    }

    /// How many of its batches, the open one included, hold a record that came at `at` or before.
    #[must_use]
    pub fn batches_since(&self, at: Timestamp) -> usize {
        let state = self.state.lock();
        let closed = state.closed.iter().take_while(|batch| batch.created() <= at).count();
        closed + usize::from(state.open.as_ref().is_some_and(|open| open.created <= at))
    }

    /// Records in it, and the uncompressed wire bytes of their batches. Other than [`view`](Self::view) no look that the sender takes.
    pub(crate) fn content(&self) -> (u64, u64) {
        let state = self.state.lock();
        let closed: u64 = state.closed.iter().map(|batch| batch.count().as_usize() as u64).sum();
        let (records, bytes) = state.open.as_ref().map_or((0, 0), |open| (u64::from(open.count()), open.wire_bytes()));
        (closed + records, (state.closed_bytes + bytes) as u64)
    }

    /// Takes the oldest batch.
    pub fn close_head(&self, take: Take) -> Option<ClosedBatch> {
        let mut state = self.state.lock();
        let batch = match take {
            Take::OpenToo if state.closed.is_empty() => state.take_open(&self.core),
            _ => state.take_closed(),
        };
        match &batch {
            Some(_) => {
                state.closed_urgent &= !state.closed.is_empty();
                state.notice = Notice::Busy;
                self.publish_depth(&state);
            }
            None => state.seen(self.core.config.linger_zero),
        }
        batch
    }

    /// Says that nothing more is to be done here, if that is so: the queue is empty, and the next record will be announced.
    #[must_use]
    pub fn go_idle(&self) -> bool {
        let mut state = self.state.lock();
        let empty = state.depth() == 0;
        if empty {
            state.notice = Notice::Idle;
        }
        empty
    }

    /// Tells the adaptive partitioner how many batches of this partition were taken from here and wait to be sent.
    pub fn set_backlog(&self, batches: usize) {
        self.backlog.store(u32::try_from(batches).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// Batches that wait to be sent, here and at the sender.
    pub(crate) fn load(&self) -> u32 {
        self.depth.load(Ordering::Relaxed).saturating_add(self.backlog.load(Ordering::Relaxed))
    }

    #[inline]
    pub(crate) fn lock(&self) -> LatchGuard<'_, QueueState> {
        self.state.lock()
    }

    /// Notes that a record went in, as `pressing` as it is, and lists the queue if the sender must be told. Then it must be woken, once
    /// `state` is released.
    #[inline]
    pub(crate) fn announce(self: &Arc<Self>, state: &mut QueueState, pressing: bool) -> bool {
        let tell = state.note(pressing);
        if tell {
            self.core.list(self);
        }
        tell
    }

    /// Makes the batch of `cell` urgent, if it is here. Says whether it is.
    pub(crate) fn hurry(self: &Arc<Self>, cell: &Arc<BatchCell>) -> bool {
        let mut state = self.state.lock();
        let was_urgent = if let Some(open) = state.open.as_mut().filter(|open| Arc::ptr_eq(open.story.cell(), cell)) {
            std::mem::replace(&mut open.urgent, true)
        } else if state.closed.iter().any(|batch| Arc::ptr_eq(batch.story.cell(), cell)) {
            std::mem::replace(&mut state.closed_urgent, true)
        } else {
            return false;
        };
        let tell = !was_urgent && self.announce(&mut state, true);
        drop(state);
        if tell {
            self.core.wake_sender();
        }
        true
    }

    pub(crate) fn home(&self) -> &Arc<Home> {
        &self.home
    }

    pub(crate) fn publish_depth(&self, state: &QueueState) {
        self.depth.store(u32::try_from(state.depth()).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// Whether it has to be put on the list, being on it no longer.
    pub(crate) fn list(&self) -> bool {
        !self.listed.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn unlist(&self) {
        self.listed.store(Mutant::QueueStaysListed.lives(), Ordering::Release);
    }

    /// Takes no more records.
    pub(crate) fn refuse(&self) {
        self.state.lock().refusing = true;
    }

    /// Takes everything, for good.
    pub(crate) fn empty(&self) -> Vec<ClosedBatch> {
        let mut state = self.state.lock();
        state.refusing = true;
        state.close_open(&self.core);
        state.closed_bytes = 0;
        state.closed_urgent = false;
        let batches = std::mem::take(&mut state.closed);
        self.publish_depth(&state);
        batches.into()
    }
}

impl fmt::Debug for PartitionQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PartitionQueue({} {}, {} batches)", self.topic(), self.partition, self.load())
    }
}
