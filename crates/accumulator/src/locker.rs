//! What keeps a batch's cell for as long as somebody has a stake in it. `stake.rs` says what for.

use std::sync::Arc;

use crate::cell::BatchCell;
use crate::mind::MANY;
use crate::sync::{AtomicU64, AtomicUsize, Mutex, Ordering};

/// Beyond any number of records in a batch.
const OPEN: u64 = 1 << 32;

/// How many lockers are made at first; afterwards as many again as there are, up to [`MANY`]. So most of them lie side by side, and have places
/// of their own in every thread's mind.
const FIRST: usize = if cfg!(shuttle) { 1 } else { 64 };

/// Keeps the cell of a batch for whoever has a stake in it.
#[repr(align(32))]
pub(crate) struct Locker {
    /// None while it is free.
    cell: Mutex<Option<Arc<BatchCell>>>,
    balance: AtomicU64,
    /// The thread that last had the batch in mind, and has no more, by an address that is its own as long as it runs.
    left_by: AtomicUsize,
}

#[cfg(target_pointer_width = "64")]
#[cfg(not(shuttle))]
const _: () =
    assert!(size_of::<Locker>() == 32, "of the next larger size every second place in a mind would stay empty");

/// All lockers that are free.
struct Free {
    lockers: Vec<&'static Locker>,
    /// How many there are, free or not.
    made: usize,
}

#[cfg(not(shuttle))]
static FREE: Mutex<Free> = Mutex::new(Free::none());

#[cfg(shuttle)]
shuttle::lazy_static! {
    static ref FREE: Mutex<Free> = Mutex::new(Free::none());
}

impl Free {
    const fn none() -> Self {
        Self { lockers: Vec::new(), made: 0 }
    }

    #[inline]
    fn take(&mut self) -> &'static Locker {
        self.lockers.pop().unwrap_or_else(|| self.make())
    }

    #[cold]
    fn make(&mut self) -> &'static Locker {
        let more = self.made.clamp(FIRST, MANY);
        let locker = || Locker { cell: Mutex::new(None), balance: AtomicU64::new(OPEN), left_by: AtomicUsize::new(0) };
        let made: &'static [Locker] = Vec::from_iter(std::iter::repeat_with(locker).take(more)).leak();
        self.made += more;
        let (one, others) = made.split_first().expect("these are some");
        self.lockers.extend(others);
        one
    }
}

impl Locker {
    /// One for a batch that takes records.
    pub(crate) fn rent(cell: Arc<BatchCell>) -> &'static Self {
        let locker = FREE.lock().take();
        locker.leave(0);
        *locker.cell.lock() = Some(cell);
        locker
    }

    /// The batch takes no more records, and has given so many stakes.
    pub(crate) fn close(&'static self, given: u32) {
        self.settle(OPEN - u64::from(given));
    }

    pub(crate) fn cell(&self) -> Arc<BatchCell> {
        self.cell.lock().clone().expect("a locker is not free as long as somebody has a stake in it")
    }

    /// How many stakes are out that it has not heard of yet. Other threads may give back some of them meanwhile; as long as the batch takes
    /// records it is more than there are.
    pub(crate) fn balance(&self) -> u64 {
        self.balance.load(Ordering::Relaxed)
    }

    /// Takes `count` off the balance.
    pub(crate) fn settle(&'static self, count: u64) {
        if self.balance.fetch_sub(count, Ordering::AcqRel) != count {
            return;
        }
        self.balance.store(OPEN, Ordering::Relaxed);
        let cell = self.cell.lock().take();
        FREE.lock().lockers.push(self);
        drop(cell);
    }

    /// Its place among so many. Lockers lie at multiples of 32.
    #[inline(always)]
    pub(crate) fn place(&self, of: usize) -> usize {
        (std::ptr::from_ref(self).addr() >> 5) % of
    }

    /// Whether that thread had it in mind, and lost it for another.
    pub(crate) fn was_left_by(&self, thread: usize) -> bool {
        self.left_by.load(Ordering::Relaxed) == thread
    }

    /// A hint for [`was_left_by`](Self::was_left_by), no more: threads that leave it at once overwrite each other's.
    pub(crate) fn leave(&self, thread: usize) {
        self.left_by.store(thread, Ordering::Relaxed);
    }
}
