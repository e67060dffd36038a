//! Where the handles of a batch and its outcome meet.

use std::fmt;
use std::sync::Arc;
use std::task::Waker;

use milena_mutants::Mutant;
use milena_wire::{PartitionId, TopicName};

use crate::dropped::{Dropped, Timing};
use crate::sync::{AtomicBool, Mutex, OnceLock, Ordering};
use crate::waiters::{Seat, Waiters};
use crate::{Hooks, Outcome, names};

/// Where records are going, and whom to tell of what nobody else hears.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) topic: &'static TopicName,
    /// None while the topic's partitions are not known.
    pub(crate) partition: Option<PartitionId>,
    pub(crate) hooks: Arc<dyn Hooks>,
}

impl Home {
    pub(crate) fn new(topic: &TopicName, partition: Option<PartitionId>, hooks: &Arc<dyn Hooks>) -> Arc<Self> {
        Arc::new(Self { topic: names::lasting(topic), partition, hooks: Arc::clone(hooks) })
    }
}

/// Shared by a batch and the handles of its records.
///
/// It is made by the thread that begins the batch, and often freed by another. Blocks of up to 128 bytes glibc's allocator takes back from
/// another thread without that thread's lock, for which they otherwise queue, batch by batch; so what is seldom used is boxed.
pub(crate) struct BatchCell {
    home: Arc<Home>,
    /// Written once. It is written before `waiters` are woken and before `dropped` is settled.
    verdict: OnceLock<Verdict>,
    waiters: Mutex<Option<Box<Waiters>>>,
    dropped: Dropped,
    /// Somebody wants the records not to linger. Written under the lock of `waiters`, which whoever forwards takes after the
    /// verdict: so either the wish is seen there, or who has it sees where the records went.
    hurried: AtomicBool,
}

enum Verdict {
    Settled(Outcome),
    /// The records went on to other batches: in order of `first`, without gaps.
    Forwarded(Box<[Piece]>),
}

/// Some records of a batch that went on to another.
pub(crate) struct Piece {
    /// Index of the first of them, in the batch they come from.
    pub(crate) first: u32,
    /// Where they are now.
    pub(crate) cell: Arc<BatchCell>,
    /// Index of the first of them, there.
    pub(crate) at: u32,
}

/// What a cell knows of one record.
pub(crate) enum Status<'a> {
    Open,
    Settled(&'a Outcome),
    Moved(&'a Arc<BatchCell>, u32),
}

/// Where a record is, after so many moves.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) cell: &'a Arc<BatchCell>,
    pub(crate) index: u32,
    pub(crate) moves: u32,
}

impl<'a> Place<'a> {
    #[inline]
    pub(crate) fn status(self) -> Status<'a> {
        self.cell.status(self.index)
    }
}

impl BatchCell {
    pub(crate) fn new(home: Arc<Home>) -> Arc<Self> {
        Arc::new(Self {
            home,
            verdict: OnceLock::new(),
            waiters: Mutex::default(),
            dropped: Dropped::default(),
            hurried: AtomicBool::new(false),
        })
    }

    pub(crate) fn home(&self) -> &Arc<Home> {
        &self.home
    }

    #[inline]
    pub(crate) fn status(&self, index: u32) -> Status<'_> {
        match self.verdict.get() {
            None => Status::Open,
            Some(Verdict::Settled(outcome)) => Status::Settled(outcome),
            Some(Verdict::Forwarded(pieces)) => {
                // Pieces are in order and the first begins at 0.
                let piece = &pieces[pieces.partition_point(|piece| piece.first <= index) - 1];
                let further = if Mutant::PiecesKeepIndex.lives() { 0 } else { index - piece.first };
                Status::Moved(&piece.cell, piece.at + further)
            }
        }
    }

    /// Where the record at `index` is by now.
    #[inline]
    pub(crate) fn follow(self: &Arc<Self>, index: u32) -> Place<'_> {
        let mut place = Place { cell: self, index, moves: 0 };
        while let Status::Moved(cell, index) = place.status() {
            place = Place { cell, index, moves: place.moves + 1 };
        }
        place
    }

    /// Has `waker` woken when there is news. Call [`status`](Self::status) afterwards: the news may have come before.
    ///
    /// `seat` is what the handle was given here before.
    pub(crate) fn register(&self, waker: &Waker, seat: &mut Seat) {
        let old = self.waiters.lock().get_or_insert_default().seat(waker, seat);
        drop(old);
    }

    /// Notes that the records should not linger wherever they go next. False if they have gone already: ask where.
    pub(crate) fn hurry(&self) -> bool {
        let _forwarding_waits = self.waiters.lock();
        if matches!(self.verdict.get(), Some(Verdict::Forwarded(_))) {
            return false;
        }
        self.hurried.store(true, Ordering::Relaxed);
        true
    }

    /// Whether anybody called [`hurry`](Self::hurry). Final once the records were forwarded.
    pub(crate) fn is_hurried(&self) -> bool {
        self.hurried.load(Ordering::Relaxed)
    }

    /// Gives all records their outcome. Called once, instead of [`forward`](Self::forward).
    pub(crate) fn settle(&self, outcome: Outcome) {
        let failure = match &outcome {
            Outcome::Failed(failure) if failure.is_final() => Some(Arc::clone(failure)),
            Outcome::Failed(_) | Outcome::Delivered { .. } | Outcome::Unacknowledged => None,
        };
        let dropped = self.publish(Verdict::Settled(outcome));
        let Some(failure) = failure else { return };
        let unheard: u32 = dropped.iter().map(|run| run.end - run.start).sum();
        if unheard > 0 {
            self.home.hooks.unobserved(&failure, unheard);
        }
    }

    /// Sends the records on to other batches, which are not settled yet; their handles follow. Called once, instead of [`settle`](Self::settle).
    pub(crate) fn forward(&self, pieces: Vec<Piece>) {
        debug_assert!(pieces.first().is_some_and(|piece| piece.first == 0));
        for index in self.publish(Verdict::Forwarded(pieces.into_boxed_slice())).into_iter().flatten() {
            if let Status::Moved(cell, index) = self.status(index) {
                cell.abandon(index);
            }
        }
    }

    fn publish(&self, verdict: Verdict) -> Vec<std::ops::Range<u32>> {
        let fresh = self.verdict.set(verdict).is_ok();
        debug_assert!(fresh, "a batch has one outcome");
        let dropped = self.dropped.settle();
        let waiters = self.waiters.lock().take();
        if let Some(waiters) = waiters {
            waiters.wake();
        }
        dropped
    }

    /// Nobody will hear of the record at `index` any more.
    pub(crate) fn abandon(&self, index: u32) {
        let mut cell = self;
        let mut index = index;
        loop {
            if cell.dropped.note(index) == Timing::BeforeOutcome {
                return;
            }
            match cell.status(index) {
                Status::Moved(next, there) => (cell, index) = (next, there),
                Status::Settled(Outcome::Failed(failure)) if failure.is_final() => {
                    return cell.home.hooks.unobserved(failure, 1);
                }
                Status::Settled(_) | Status::Open => return,
            }
        }
    }
}

#[cfg(target_pointer_width = "64")]
#[cfg(not(shuttle))]
const _: () =
    assert!(size_of::<BatchCell>() + 2 * size_of::<usize>() <= 120, "with its counts and the allocator's word");

impl fmt::Debug for BatchCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.verdict.get() {
            None => "open",
            Some(Verdict::Settled(_)) => "settled",
            Some(Verdict::Forwarded(_)) => "forwarded",
        };
        write!(f, "BatchCell({} {:?}: {state})", self.home.topic, self.home.partition)
    }
}
