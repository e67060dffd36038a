//! What the sender sees of a partition's queue: the closed batches, and since when there is an open one.
//!
//! It has a lock of its own. Callers take that when a batch begins, ends or becomes urgent, so the sender can look as often as it likes; the lock
//! of the [`Tail`](crate::tail::Tail), which they take for each record, it hardly ever needs. (With one lock for both, the sender waited at it for
//! most of its time, and each of its looks cost the callers the cache line.)

use std::collections::VecDeque;
use std::sync::Arc;

use milena_mutants::Mutant;
use milena_wire::Timestamp;

use crate::ClosedBatch;
use crate::behind;
use crate::cell::BatchCell;
use crate::queue::{ENOUGH_BYTES, QueueView};

/// Behind the lock of the line, which is taken after the tail's, never before it.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// Oldest first.
    closed: VecDeque<ClosedBatch>,
    /// Wire bytes of `closed`, uncompressed.
    closed_bytes: usize,
    /// One of `closed` should not wait.
    closed_urgent: bool,
    /// The open batch, as it was announced.
    open: Option<Begun>,
    notice: Notice,
    /// Those who wait for the sender to catch up, if anybody ever did.
    pub(crate) behind: Option<Box<behind::Waiting>>,
}

/// What the line knows of an open batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun {
    /// When its first record came.
    pub(crate) since: Timestamp,
    pub(crate) urgent: bool,
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
    /// It saw something to send, urgent or enough, and will look again by itself.
    Busy,
}

impl Line {
    /// Notes that a record went in, and what the open batch is since then; whether the sender must be told. `pressing`: a batch was closed, or
    /// the open one is urgent.
    pub(crate) fn note(&mut self, open: Option<Begun>, pressing: bool) -> bool {
        self.open = open;
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

    /// The open batch was closed: it is behind all others now.
    pub(crate) fn push(&mut self, batch: ClosedBatch, urgent: bool) {
        self.open = None;
        self.closed_urgent |= urgent;
        self.closed_bytes += batch.bytes();
        self.closed.push_back(batch);
    }

    /// The open batch was taken without being listed here.
    pub(crate) fn skip(&mut self) {
        self.open = None;
    }

    /// The sender takes the oldest batch that is closed.
    pub(crate) fn pop(&mut self) -> Option<ClosedBatch> {
        let newest = Mutant::NewestFirst.lives();
        let batch = if newest { self.closed.pop_back() } else { self.closed.pop_front() }?;
        self.closed_bytes -= batch.bytes();
        self.closed_urgent &= !self.closed.is_empty();
        Some(batch)
    }

    /// Everything that is closed.
    pub(crate) fn drain(&mut self) -> Vec<ClosedBatch> {
        self.closed_bytes = 0;
        self.closed_urgent = false;
        std::mem::take(&mut self.closed).into()
    }

    pub(crate) fn closed(&self) -> impl Iterator<Item = &ClosedBatch> {
        self.closed.iter()
    }

    pub(crate) fn open(&self) -> Option<Begun> {
        self.open
    }

    /// Makes the batch of `cell` urgent, if it is closed. None if it is not here; else whether it was urgent before.
    pub(crate) fn hurry(&mut self, cell: &Arc<BatchCell>) -> Option<bool> {
        let here = self.closed.iter().any(|batch| Arc::ptr_eq(batch.story.cell(), cell));
        here.then(|| std::mem::replace(&mut self.closed_urgent, true))
    }

    /// Batches, the open one included.
    pub(crate) fn depth(&self) -> usize {
        self.closed.len() + usize::from(self.open.is_some())
    }

    fn is_urgent(&self) -> bool {
        self.closed_urgent || self.open.is_some_and(|open| open.urgent)
    }

    /// The sender saw this.
    pub(crate) fn seen(&mut self, linger_zero: bool) {
        self.notice = if self.depth() == 0 {
            Notice::Idle
        } else if self.is_urgent() || linger_zero || self.closed_bytes >= ENOUGH_BYTES {
            Notice::Busy
        } else if !self.closed.is_empty() {
            Notice::Full
        } else {
            Notice::Lingering
        };
    }

    /// The sender took something and will look again.
    pub(crate) fn taken(&mut self) {
        self.notice = Notice::Busy;
    }

    /// Says that the next record is to be announced, if nothing is here.
    pub(crate) fn go_idle(&mut self) -> bool {
        let empty = self.depth() == 0;
        if empty {
            self.notice = Notice::Idle;
        }
        empty
    }

    /// When the first record of the oldest batch came.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        self.closed.front().map(ClosedBatch::created).or_else(|| self.open.map(|open| open.since))
    }

    pub(crate) fn view(&self, linger_zero: bool) -> QueueView {
        QueueView {
            closed: self.closed.len(),
            open_since: self.open.map(|open| open.since),
            oldest: self.oldest(),
            urgent: self.is_urgent() || linger_zero,
            closed_bytes: self.closed_bytes,
        }
    }
}
