//! What a handle holds of its batch.
//!
//! An `Arc` of the batch's cell in every handle would be counted up when its record is appended and down when its outcome was heard: two
//! atomic operations, of which each waits until the processor has finished the stores in front of it. So the handles' share is counted
//! without any, in two places that each have one writer:
//!
//! ```text
//! given out     by the batch's story, in a plain number, under the lock that an append holds anyway
//! given back    by the thread that drops them, in a plain number, for some batches at a time (`Returned`)
//!
//! Locker   balance = OPEN - given back        while records can be appended
//!                  = given out - given back   afterwards; at 0 it lets go of the cell and is free for another batch
//! ```
//!
//! A locker lives for ever: that is what makes a stake a reference that nobody has to count. There are as many as there were batches at
//! once of which somebody had a handle; each is 32 bytes, and is used again. What a thread has in mind, of [`BATCHES`] batches at most, it
//! keeps with all that belongs to them (their cells, and the hooks these know of), until it drops handles of other batches or ends; not so
//! a batch whose handles were all dropped by this thread once their outcome was known.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use crate::cell::{BatchCell, Place};
use crate::sync::{AtomicU64, Mutex, Ordering, thread_local};

/// Beyond any number of records in a batch.
const OPEN: u64 = 1 << 32;

/// Keeps the cell of a batch for whoever has a stake in it.
#[repr(align(32))]
struct Locker {
    /// None while it is free.
    cell: Mutex<Option<Arc<BatchCell>>>,
    balance: AtomicU64,
}

/// What a handle has of the batch that its record was appended to: a share in the batch's cell, which is given back when this is dropped.
pub(crate) struct Stake {
    locker: &'static Locker,
    /// The record's place in the batch.
    index: u32,
    /// Whether the outcome was handed out: if not, nobody will hear of it when this is dropped. Not a `bool`, of which an `Option` of this
    /// would take its mark, so that it could not be moved in whole words.
    heard: u32,
}

/// A stake that is counted, and nobody's yet, with the size of its record: so much as goes through two registers.
#[must_use = "a stake that nobody keeps is never given back"]
pub(crate) struct Promise {
    locker: &'static Locker,
    index: u32,
    total: u32,
}

/// Whoever gives stakes in a cell: its batch.
#[derive(Default)]
pub(crate) struct Stakes {
    locker: Option<&'static Locker>,
    given: u32,
}

/// Stakes of one batch that were dropped in this thread, and that its locker has not heard of. If there is a locker there is at least one,
/// so that the locker is this batch's still.
struct Returned {
    locker: Cell<Option<&'static Locker>>,
    count: Cell<u32>,
    /// How many the batch gave, if it had ended when the first of them was dropped.
    due: Cell<u32>,
    /// The locker's. Taken out while somebody looks at it.
    cell: Cell<Option<Arc<BatchCell>>>,
}

#[cfg(not(shuttle))]
static FREE: Mutex<Vec<&'static Locker>> = Mutex::new(Vec::new());

#[cfg(shuttle)]
shuttle::lazy_static! {
    static ref FREE: Mutex<Vec<&'static Locker>> = Mutex::new(Vec::new());
}

/// Of how many batches a thread keeps count at a time: records with keys are heard of in turns.
const BATCHES: usize = 16;

thread_local! {
    static RETURNED: [Returned; BATCHES] = const { [const { Returned::none() }; BATCHES] };
}

impl Stakes {
    #[inline(always)]
    pub(crate) fn promise(&mut self, cell: &Arc<BatchCell>, index: u32, total: usize) -> Promise {
        self.given += 1;
        let locker = match self.locker {
            Some(locker) => locker,
            None => self.rent(cell),
        };
        // Records of 2 GiB and more were refused before.
        Promise { locker, index, total: u32::try_from(total).unwrap_or(u32::MAX) }
    }

    #[cold]
    fn rent(&mut self, cell: &Arc<BatchCell>) -> &'static Locker {
        let locker = Locker::rent(Arc::clone(cell));
        self.locker = Some(locker);
        locker
    }

    /// No more will be given. To be called before the outcome can be heard.
    pub(crate) fn end(&mut self, cell: &BatchCell) {
        if let Some(locker) = self.locker.take() {
            cell.set_stakes(self.given);
            locker.settle(OPEN - u64::from(self.given));
        }
    }
}

impl Promise {
    #[inline(always)]
    pub(crate) fn keep(self) -> Stake {
        Stake { locker: self.locker, index: self.index, heard: 0 }
    }

    /// Bytes of the record in its batch.
    #[inline(always)]
    pub(crate) fn total(&self) -> u32 {
        self.total
    }
}

impl Stake {
    /// Lets `see` look at where the record is, if this thread has just dropped another stake in the same batch; else there is
    /// [`cell`](Self::cell).
    ///
    /// What goes in and out of `RETURNED` here fits a register. A larger result would go through memory, and be waited for.
    #[inline(always)]
    pub(crate) fn look<R>(&self, see: impl FnOnce(Place<'_>) -> R) -> Option<R> {
        // Fails only while the thread ends.
        let cell = RETURNED.try_with(|all| Returned::of(all, self.locker).lend(self.locker)).ok().flatten()?;
        let seen = see(cell.follow(self.index));
        let _ = RETURNED.try_with(|all| Returned::of(all, self.locker).take_back(self.locker, cell));
        Some(seen)
    }

    /// The cell of the batch that the record was appended to.
    #[cold]
    pub(crate) fn cell(&self) -> Arc<BatchCell> {
        self.locker.cell()
    }

    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// The outcome was handed out.
    #[inline]
    pub(crate) fn set_heard(&mut self) {
        self.heard = 1;
    }

    /// Drops a stake whose outcome was handed out, for which `cell` was asked already.
    pub(crate) fn give_back(self, cell: Arc<BatchCell>) {
        let locker = self.locker;
        std::mem::forget(self);
        if RETURNED.try_with(|all| Returned::of(all, locker).add(locker, |_| cell)).is_err() {
            locker.settle(1);
        }
    }
}

impl Drop for Stake {
    #[inline(always)]
    fn drop(&mut self) {
        // Given back whatever the hooks do.
        let _back = Back(self.locker);
        if self.heard == 0 && self.look(|place| place.cell.abandon(place.index)).is_none() {
            self.cell().abandon(self.index);
        }
    }
}

/// A stake to be given back.
struct Back(&'static Locker);

impl Drop for Back {
    #[inline(always)]
    fn drop(&mut self) {
        if RETURNED.try_with(|all| Returned::of(all, self.0).add(self.0, Locker::cell)).is_err() {
            self.0.settle(1);
        }
    }
}

impl Returned {
    const fn none() -> Self {
        Self { locker: Cell::new(None), count: Cell::new(0), due: Cell::new(0), cell: Cell::new(None) }
    }

    /// The place for this locker's among all of the thread's. Lockers lie at multiples of 32.
    #[inline(always)]
    fn of<'a>(all: &'a [Self; BATCHES], locker: &'static Locker) -> &'a Self {
        &all[(std::ptr::from_ref(locker).addr() >> 5) % BATCHES]
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

    /// Counts a stake that was dropped.
    #[inline(always)]
    fn add(&self, locker: &'static Locker, cell: impl FnOnce(&Locker) -> Arc<BatchCell>) {
        if !self.is_of(locker) {
            return self.begin(locker, cell(locker));
        }
        let count = self.count.get() + 1;
        self.count.set(count);
        // Most handles of a batch are dropped by one thread, once they were heard. Then the last of them leaves nothing behind.
        if count == self.due.get() {
            self.end();
        }
    }

    /// Counts the first one of another batch.
    #[cold]
    fn begin(&self, locker: &'static Locker, cell: Arc<BatchCell>) {
        self.due.set(cell.stakes());
        let before = (self.locker.replace(Some(locker)), self.count.replace(1), self.cell.replace(Some(cell)));
        give_back(before);
        if self.is_of(locker) && self.due.get() == 1 {
            self.end();
        }
    }

    #[cold]
    fn end(&self) {
        give_back((self.locker.take(), self.count.take(), self.cell.take()));
    }
}

impl Drop for Returned {
    fn drop(&mut self) {
        self.end();
    }
}

/// What goes with a cell may be the user's: it is dropped last, and under no lock.
fn give_back((locker, count, _cell): (Option<&'static Locker>, u32, Option<Arc<BatchCell>>)) {
    if let Some(locker) = locker {
        locker.settle(u64::from(count));
    }
}

impl Locker {
    fn rent(cell: Arc<BatchCell>) -> &'static Self {
        let free = FREE.lock().pop();
        let locker =
            free.unwrap_or_else(|| Box::leak(Box::new(Self { cell: Mutex::new(None), balance: AtomicU64::new(OPEN) })));
        *locker.cell.lock() = Some(cell);
        locker
    }

    fn cell(&self) -> Arc<BatchCell> {
        self.cell.lock().clone().expect("a locker is not free as long as somebody has a stake in it")
    }

    /// Takes `count` off the balance.
    fn settle(&'static self, count: u64) {
        if self.balance.fetch_sub(count, Ordering::AcqRel) != count {
            return;
        }
        self.balance.store(OPEN, Ordering::Relaxed);
        let cell = self.cell.lock().take();
        FREE.lock().push(self);
        drop(cell);
    }
}

impl fmt::Debug for Stakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} stakes", self.given)
    }
}

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests {
    use std::sync::Weak;
    use std::thread;

    use milena_wire::{PartitionId, TopicName};

    use super::*;
    use crate::Hooks;
    use crate::cell::Home;
    use crate::test_support::Heard;

    /// A batch, and so many stakes in it.
    fn batch(count: u32) -> (Stakes, Arc<BatchCell>, Vec<Stake>) {
        let hooks = Arc::new(Heard::default()) as Arc<dyn Hooks>;
        let cell = BatchCell::new(Home::new(&TopicName::new("letters"), Some(PartitionId(0)), &hooks));
        let mut stakes = Stakes::default();
        let given = (0..count).map(|index| stakes.promise(&cell, index, 1).keep()).collect();
        (stakes, cell, given)
    }

    fn ended(mut stakes: Stakes, cell: Arc<BatchCell>) -> Weak<BatchCell> {
        stakes.end(&cell);
        Arc::downgrade(&cell)
    }

    #[test]
    fn the_last_stake_that_is_dropped_leaves_nothing_behind() {
        for count in [1, 2, 300] {
            let (stakes, cell, mut given) = batch(count);
            let cell = ended(stakes, cell);
            let last = given.pop();
            drop(given);
            assert!(cell.upgrade().is_some(), "{count}: there is a stake in it");
            drop(last);
            assert!(cell.upgrade().is_none(), "{count}");
        }
    }

    #[test]
    fn stakes_in_two_batches_may_be_dropped_in_turns() {
        let (one, other) = (batch(4), batch(4));
        let cells = [ended(one.0, one.1), ended(other.0, other.1)];
        for (count, (one, other)) in one.2.into_iter().zip(other.2).enumerate() {
            assert!(cells.iter().all(|cell| cell.upgrade().is_some()), "after {count}");
            drop((one, other));
        }
        drop(batch(1));
        assert!(cells.iter().all(|cell| cell.upgrade().is_none()));
    }

    #[test]
    fn a_thread_that_ends_gives_back_what_it_had_in_mind() {
        let (stakes, cell, mut given) = batch(10);
        let rest = given.split_off(4);
        // Before the batch has ended, so that the thread cannot know which is the last.
        thread::spawn(move || drop(given)).join().unwrap();
        let cell = ended(stakes, cell);
        thread::spawn(move || drop(rest)).join().unwrap();
        assert!(cell.upgrade().is_none());
    }

    #[test]
    fn a_stake_sees_its_own_batch_whatever_was_dropped_before() {
        let mut batches: Vec<_> = (0..3 * BATCHES).map(|_| batch(4)).collect();
        for _ in 0..3 {
            for (_, cell, given) in &mut batches {
                drop(given.pop());
                // There is none that was dropped later.
                assert_eq!(given[0].look(|place| Arc::ptr_eq(place.cell, cell)), Some(true));
            }
            for (_, cell, given) in &batches {
                assert!(Arc::ptr_eq(&given[0].cell(), cell));
                assert_ne!(given[0].look(|place| Arc::ptr_eq(place.cell, cell)), Some(false));
            }
        }
        let cells: Vec<_> = batches.into_iter().map(|(stakes, cell, given)| (ended(stakes, cell), given)).collect();
        let cells: Vec<_> = thread::spawn(|| cells.into_iter().map(|(cell, _given)| cell).collect()).join().unwrap();
        // What this thread has in mind goes with other batches: so many that they take all places.
        (0..100 * BATCHES).for_each(|_| drop(batch(1)));
        let held = cells.iter().filter(|cell| cell.upgrade().is_some()).count();
        assert!(held <= BATCHES, "{held}");
    }
}
