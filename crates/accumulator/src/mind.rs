//! The batches that a thread has in mind, as it has just dropped handles of theirs. `stake.rs` says what for.

use std::cell::{Cell, OnceCell};
use std::sync::Arc;

use crate::cell::BatchCell;
use crate::locker::Locker;
use crate::sync::thread_local;

/// How many batches a thread has in mind: records with keys are heard of in turns. In a model so few that batches are lost for others.
pub(crate) const FEW: usize = if cfg!(shuttle) { 1 } else { 16 };

/// The same for a thread that hears of more than [`FEW`] in turns. It takes 48 KiB.
pub(crate) const MANY: usize = if cfg!(shuttle) { 2 } else { 2048 };

/// A thread gets [`MANY`] places once it has come back to batches that it had lost for others so many more times than to batches it had not.
const OFTEN: u32 = if cfg!(shuttle) { 2 } else { 64 };

thread_local! {
    static MIND: Mind = const { Mind::new() };
}

/// What the current thread has in mind.
struct Mind {
    few: [Returned; FEW],
    /// In place of `few`, once there are many.
    many: OnceCell<Box<[Returned]>>,
    /// How much more often this thread came back to a batch that it had lost than that it began with one for the first time, counted from the
    /// last time that it was not more often.
    comebacks: Cell<u32>,
}

/// Stakes of one batch that were dropped in this thread, and that its locker has not heard of. If there is a locker there is at least one,
/// so that the locker is this batch's still.
struct Returned {
    locker: Cell<Option<&'static Locker>>,
    count: Cell<u32>,
    /// How many were out when the first of them was dropped, if the batch took no more records.
    due: Cell<u32>,
    /// The locker's. Taken out while somebody looks at it.
    cell: Cell<Option<Arc<BatchCell>>>,
}

/// The locker's cell, if this thread has it in mind. It is to be [taken back](take_back).
///
/// What goes in and out of `MIND` here fits a register. A larger result would go through memory, and be waited for.
#[inline(always)]
pub(crate) fn lend(locker: &'static Locker) -> Option<Arc<BatchCell>> {
    // Fails only while the thread ends.
    MIND.try_with(|mind| mind.of(locker).lend(locker)).ok().flatten()
}

#[inline(always)]
pub(crate) fn take_back(locker: &'static Locker, cell: Arc<BatchCell>) {
    let _ = MIND.try_with(|mind| mind.of(locker).take_back(locker, cell));
}

/// As [`take_back`], and gives a stake back.
#[inline(always)]
pub(crate) fn take_back_with_stake(locker: &'static Locker, cell: Arc<BatchCell>) {
    if MIND.try_with(|mind| mind.add_lent(locker, cell)).is_err() {
        locker.settle(1);
    }
}

/// Gives a stake back. `cell` is the locker's, asked for if it has to be.
#[inline(always)]
pub(crate) fn give_back(locker: &'static Locker, cell: impl FnOnce(&Locker) -> Arc<BatchCell>) {
    if MIND.try_with(|mind| mind.add(locker, cell)).is_err() {
        locker.settle(1);
    }
}

impl Mind {
    const fn new() -> Self {
        Self { few: [const { Returned::none() }; FEW], many: OnceCell::new(), comebacks: Cell::new(0) }
    }

    /// The place for this locker's.
    #[inline(always)]
    fn of(&self, locker: &'static Locker) -> &Returned {
        match self.many.get() {
            None => &self.few[locker.place(FEW)],
            Some(many) => &many[locker.place(MANY)],
        }
    }

    /// Counts a stake that was dropped.
    #[inline(always)]
    fn add(&self, locker: &'static Locker, cell: impl FnOnce(&Locker) -> Arc<BatchCell>) {
        let place = self.of(locker);
        if place.is_of(locker) { place.count_one() } else { self.begin(locker, cell(locker)) }
    }

    #[inline(always)]
    fn add_lent(&self, locker: &'static Locker, cell: Arc<BatchCell>) {
        let place = self.of(locker);
        if !place.is_of(locker) {
            return self.begin(locker, cell);
        }
        place.cell.set(Some(cell));
        place.count_one();
    }

    /// Counts the first one of a batch that this thread did not have in mind.
    #[cold]
    fn begin(&self, locker: &'static Locker, cell: Arc<BatchCell>) {
        let thread = std::ptr::from_ref(self).addr();
        let widens = self.many.get().is_none() && self.would_gain(locker.was_left_by(thread)) && self.widen();
        let place = self.of(locker);
        if let Some(other) = place.locker.get() {
            other.leave(thread);
        }
        place.begin(locker, cell);
        if widens {
            self.few.iter().for_each(Returned::end);
        }
    }

    /// Whether more places would help: they do if this thread comes `back` to batches, and not if it hears of a record here and there.
    fn would_gain(&self, back: bool) -> bool {
        let comebacks = if back { self.comebacks.get() + 1 } else { self.comebacks.get().saturating_sub(1) };
        self.comebacks.set(comebacks);
        comebacks == OFTEN
    }

    fn widen(&self) -> bool {
        self.many.set(Vec::from_iter((0..MANY).map(|_| Returned::none())).into()).is_ok()
    }
}

impl Returned {
    const fn none() -> Self {
        Self { locker: Cell::new(None), count: Cell::new(0), due: Cell::new(0), cell: Cell::new(None) }
    }

    #[inline(always)]
    fn is_of(&self, locker: &'static Locker) -> bool {
        self.locker.get().is_some_and(|own| std::ptr::eq(own, locker))
    }

    #[inline(always)]
    fn lend(&self, locker: &'static Locker) -> Option<Arc<BatchCell>> {
        if self.is_of(locker) { self.cell.take() } else { None }
    }

    #[inline(always)]
    fn take_back(&self, locker: &'static Locker, cell: Arc<BatchCell>) {
        // Who looked may have called the user, who may have dropped handles.
        if self.is_of(locker) {
            self.cell.set(Some(cell));
        }
    }

    #[inline(always)]
    fn count_one(&self) {
        let count = self.count.get() + 1;
        self.count.set(count);
        // Most handles of a batch are dropped by one thread, once they were heard. Then the last of them leaves nothing behind, if no other
        // thread has any in mind.
        if count == self.due.get() {
            self.end();
        }
    }

    fn begin(&self, locker: &'static Locker, cell: Arc<BatchCell>) {
        self.due.set(u32::try_from(locker.balance()).unwrap_or(u32::MAX));
        let_go((self.locker.replace(Some(locker)), self.count.replace(1), self.cell.replace(Some(cell))));
        // What was dropped with another batch's cell may have been the user's, who may have dropped handles.
        if self.is_of(locker) && self.due.get() == 1 {
            self.end();
        }
    }

    #[cold]
    fn end(&self) {
        let_go((self.locker.take(), self.count.take(), self.cell.take()));
    }
}

impl Drop for Returned {
    fn drop(&mut self) {
        self.end();
    }
}

/// What goes with a cell may be the user's: it is dropped last, and under no lock.
fn let_go((locker, count, _cell): (Option<&'static Locker>, u32, Option<Arc<BatchCell>>)) {
    if let Some(locker) = locker {
        locker.settle(u64::from(count));
    }
}

/// Whether the current thread has places for many, and how many batches are in mind where it has them while they are few.
#[cfg(test)]
#[cfg(not(shuttle))]
pub(crate) fn of_this_thread() -> (bool, usize) {
    MIND.with(|mind| (mind.many.get().is_some(), mind.few.iter().filter(|place| place.locker.get().is_some()).count()))
}
