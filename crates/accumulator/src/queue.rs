use std::fmt;
use std::sync::Arc;
use std::task::Waker;

use milena_mutants::Mutant;
use milena_wire::{PartitionId, Timestamp, TopicName};

use crate::ClosedBatch;
use crate::cell::{BatchCell, Home};
use crate::core::Core;
use crate::latch::{Latch, LatchGuard};
use crate::line::{Begun, Line};
use crate::open::OpenBatch;
use crate::sync::{AtomicBool, AtomicU32, AtomicUsize, Mutex, Ordering};
use crate::tail::Tail;
use crate::wake::wake_all;

/// The batches of one partition that the sender has not taken yet: closed ones, oldest first, and the open one.
///
/// The sender hears of a queue through [`Accumulator::take_ready`](crate::Accumulator::take_ready). From then on it depends on what the sender
/// saw last, by [`view`](Self::view), or by [`close_head`](Self::close_head) finding nothing to take:
///
/// - an open batch that may linger: it hears again if that batch is closed by size or becomes urgent, and keeps a timer for lingering;
/// - full batches: it may leave them for a while, and hears again if one of them or the open one becomes urgent, and if there are
///   [`ENOUGH_BYTES`] of them;
/// - something urgent, or [`ENOUGH_BYTES`] of full batches: it does not hear again, because it will come back by itself, even if it cannot send
///   them yet (to be woken for each batch cost a sixth of the records per second that a loaded producer could send);
/// - nothing (also by [`go_idle`](Self::go_idle) saying yes): it hears again with the next record.
///
/// As long as it has not looked since it heard, it does not hear again either: what keeps it from looking will bring it back.
pub struct PartitionQueue {
    pub(crate) core: Arc<Core>,
    home: Arc<Home>,
    partition: PartitionId,
    slot: usize,
    /// Locked before the line, never after it.
    tail: Apart<Latch<Tail>>,
    pub(crate) line: Mutex<Line>,
    /// In the list that `take_ready` empties.
    listed: AtomicBool,
    /// Batches in this queue, for the adaptive partitioner, who takes no locks.
    pub(crate) depth: AtomicU32,
    /// Batches the sender took and has not sent.
    backlog: AtomicU32,
    /// So many batches are to be taken before anybody waits for the sender again. Written under the lock of the line.
    pub(crate) not_waited_for: AtomicUsize,
}

/// On cache lines of its own: what the sender does beside it is not to slow down those who write there.
#[derive(Debug)]
#[repr(align(64))]
struct Apart<T>(T);

/// Full batches of so many bytes are worth a request of their own: as much as goes into a socket at once.
pub const ENOUGH_BYTES: usize = 64 << 10;

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
    /// A batch should not linger.
    pub urgent: bool,
    /// Uncompressed wire bytes of the closed batches.
    pub closed_bytes: usize,
}

impl PartitionQueue {
    pub(crate) fn new(core: &Arc<Core>, topic: &TopicName, partition: PartitionId) -> Arc<Self> {
        Arc::new(Self {
            home: Home::new(topic, Some(partition), &core.hooks),
            partition,
            slot: core.claim_slot(),
            tail: Apart(Latch::new(Tail::default())),
            line: Mutex::new(Line::default()),
            listed: AtomicBool::new(false),
            depth: AtomicU32::new(0),
            backlog: AtomicU32::new(0),
            not_waited_for: AtomicUsize::new(0),
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

    /// What is in it. Callers are not in the way of this, nor it in theirs.
    #[must_use]
    pub fn view(&self) -> QueueView {
        let mut line = self.line.lock();
        let linger_zero = self.core.config.linger_zero;
        line.seen(linger_zero);
        line.view(linger_zero)
    }

    /// When the first record of the oldest batch came. Unlike [`view`](Self::view) this does not change what the sender is told of.
    #[must_use]
    pub fn oldest(&self) -> Option<Timestamp> {
        self.line.lock().oldest()
    }

    /// Uncompressed wire bytes of the batch that [`close_head`](Self::close_head) would take, as far as can be told while it is open.
    #[must_use]
    pub fn head_bytes(&self) -> usize {
        if let Some(first) = self.line.lock().closed().next() {
            return first.bytes();
        }
        self.tail.0.lock().open.as_ref().map_or(0, OpenBatch::wire_bytes)
    }

    /// How many of its batches, the open one included, hold a record that came at `at` or before.
    #[must_use]
    pub fn batches_since(&self, at: Timestamp) -> usize {
        let line = self.line.lock();
        let closed = line.closed().take_while(|batch| batch.created() <= at).count();
        closed + usize::from(line.open().is_some_and(|open| open.since <= at))
    }

    /// Records in it, and the uncompressed wire bytes of their batches. Other than [`view`](Self::view) no look that the sender takes.
    pub(crate) fn content(&self) -> (u64, u64) {
        let tail = self.tail.0.lock();
        let open = tail.open.as_ref().map(|open| (open.count(), open.wire_bytes()));
        let line = self.line.lock();
        let closed = line.closed().map(|batch| (batch.count().as_usize() as u64, batch.bytes() as u64));
        let open = open.map(|(records, bytes)| (u64::from(records), bytes as u64));
        closed.chain(open).fold((0, 0), |all, batch| (all.0 + batch.0, all.1 + batch.1))
    }

    /// Takes the oldest batch.
    pub fn close_head(&self, take: Take) -> Option<ClosedBatch> {
        let mut line = self.line.lock();
        let closed = line.pop();
        if closed.is_some() || take == Take::ClosedOnly || line.open().is_none() {
            let caught_up = self.took(&mut line, closed.is_some());
            drop(line);
            wake_all(caught_up.into_iter().flatten());
            return closed;
        }
        drop(line);
        // The tail is locked first. Somebody may have closed its batch meanwhile.
        let mut tail = self.tail.0.lock();
        let mut line = self.line.lock();
        let batch = line.pop().or_else(|| {
            // Not by way of the list of closed ones, for which a quiet partition then needs no room.
            line.skip();
            tail.close(&self.core)
        });
        let caught_up = self.took(&mut line, batch.is_some());
        drop(line);
        drop(tail);
        wake_all(caught_up.into_iter().flatten());
        batch
    }

    /// Who waited for this, to be woken under no lock.
    fn took(&self, line: &mut Line, some: bool) -> Option<impl Iterator<Item = Waker> + use<>> {
        if some {
            line.taken();
            self.publish_depth(line);
            self.note_taken(line)
        } else {
            line.seen(self.core.config.linger_zero);
            None
        }
    }

    /// Says that nothing more is to be done here, if that is so: the queue is empty, and the next record will be announced.
    #[must_use]
    pub fn go_idle(&self) -> bool {
        self.line.lock().go_idle()
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
    pub(crate) fn lock(&self) -> LatchGuard<'_, Tail> {
        self.tail.0.lock()
    }

    /// Closes the batch that was written into, if there is one. If the sender must be told of that, the queue is listed, and the sender has to be
    /// woken once `tail` is released.
    ///
    /// That is noted in one step with the closing: a sender that looks in between, for something else, would be taken for one that knows.
    #[must_use]
    pub(crate) fn close_full(self: &Arc<Self>, tail: &mut Tail) -> bool {
        let urgent = tail.open.as_ref().is_some_and(|open| open.urgent);
        let Some(batch) = tail.close_full(&self.core) else { return false };
        let mut line = self.line.lock();
        line.push(batch, urgent);
        self.note(&mut line, None, true)
    }

    /// Notes that a record went in, as `pressing` as it is; for the rest as [`close_full`](Self::close_full).
    #[must_use]
    pub(crate) fn announce(self: &Arc<Self>, tail: &Tail, pressing: bool) -> bool {
        self.note(&mut self.line.lock(), tail.begun(), pressing)
    }

    fn note(self: &Arc<Self>, line: &mut Line, open: Option<Begun>, pressing: bool) -> bool {
        let tell = line.note(open, pressing);
        self.publish_depth(line);
        if tell {
            self.core.list(self);
        }
        tell
    }

    /// Makes the batch of `cell` urgent, if it is here. Says whether it is.
    pub(crate) fn hurry(self: &Arc<Self>, cell: &Arc<BatchCell>) -> bool {
        let mut tail = self.tail.0.lock();
        let tell = match tail.open.as_mut().filter(|open| Arc::ptr_eq(open.story.cell(), cell)) {
            Some(open) => !std::mem::replace(&mut open.urgent, true) && self.announce(&tail, true),
            None => {
                let mut line = self.line.lock();
                let Some(was_urgent) = line.hurry(cell) else { return false };
                !was_urgent && self.note(&mut line, tail.begun(), true)
            }
        };
        drop(tail);
        if tell {
            self.core.wake_sender();
        }
        true
    }

    pub(crate) fn home(&self) -> &Arc<Home> {
        &self.home
    }

    fn publish_depth(&self, line: &Line) {
        self.depth.store(u32::try_from(line.depth()).unwrap_or(u32::MAX), Ordering::Relaxed);
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
        self.tail.0.lock().refusing = true;
        self.wait_no_more();
    }

    /// Takes everything, for good.
    pub(crate) fn empty(&self) -> Vec<ClosedBatch> {
        let mut tail = self.tail.0.lock();
        tail.refusing = true;
        let last = tail.close(&self.core);
        let mut line = self.line.lock();
        line.skip();
        let mut batches = line.drain();
        self.publish_depth(&line);
        batches.extend(last);
        drop((line, tail));
        self.wait_no_more();
        batches
    }
}

impl fmt::Debug for PartitionQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PartitionQueue({} {}, {} batches)", self.topic(), self.partition, self.load())
    }
}
