//! The lock of a partition, which every record takes and releases.
//!
//! parking_lot's, or std's, is released by an atomic operation that finds out whether anybody sleeps, and that waits until the record's bytes
//! have left the processor's store buffer. This one is released by a plain store, so that the next record's work begins while they leave: a
//! tenth of the time of a record of 100 bytes. The price is that whoever finds it taken is not woken but looks again. Mostly it is held for the
//! time of a copy, so that a look or two is enough; for some microseconds while a batch begins or grows, or its CRC is made; and for as long
//! as its holder is without a processor: then those who wait give theirs up.

#[cfg(not(shuttle))]
mod spinning {
    use std::hint::spin_loop;
    use std::thread;
    use std::time::Duration;

    use spin::mutex::{SpinMutex, SpinMutexGuard};

    /// Looks before the processor is given up: some microseconds.
    const LOOKS: u32 = 200;
    /// How often it is given up to whoever wants it, before there is a sleep.
    const YIELDS: u32 = 100;
    /// So that a holder that may not run while others are ready, by its priority, can run.
    const NAP: Duration = Duration::from_micros(20);

    #[derive(Debug, Default)]
    pub(crate) struct Latch<T>(SpinMutex<T>);

    pub(crate) type LatchGuard<'a, T> = SpinMutexGuard<'a, T>;

    impl<T> Latch<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(SpinMutex::new(value))
        }

        #[inline(always)]
        pub(crate) fn lock(&self) -> LatchGuard<'_, T> {
            match self.0.try_lock() {
                Some(guard) => guard,
                None => self.lock_late(),
            }
        }

        #[cold]
        #[inline(never)]
        fn lock_late(&self) -> LatchGuard<'_, T> {
            self.lock_between(pause)
        }

        /// Looks until it is free, with `pause` after each look in vain, which is told how many those were.
        pub(super) fn lock_between(&self, mut pause: impl FnMut(u32)) -> LatchGuard<'_, T> {
            let mut looks = 0_u32;
            loop {
                if !self.0.is_locked()
                    && let Some(guard) = self.0.try_lock()
                {
                    return guard;
                }
                looks = looks.saturating_add(1);
                pause(looks);
            }
        }
    }

    fn pause(looks: u32) {
        if looks <= LOOKS {
            spin_loop();
        } else if looks <= LOOKS + YIELDS {
            thread::yield_now();
        } else {
            thread::sleep(NAP);
        }
    }
}

#[cfg(not(shuttle))]
pub(crate) use self::spinning::{Latch, LatchGuard};
#[cfg(shuttle)]
pub(crate) use crate::sync::{Mutex as Latch, MutexGuard as LatchGuard};

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn no_count_is_lost_between_threads() {
        let latch = Latch::new(0_u64);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..50_000).for_each(|_| *latch.lock() += 1));
            }
        });
        assert_eq!(*latch.lock(), 200_000);
    }

    #[test]
    fn who_finds_it_taken_looks_until_it_is_free() {
        let latch = Latch::new(7);
        let mut held = Some(latch.lock());
        let mut pauses = Vec::new();
        let late = latch.lock_between(|looks| {
            pauses.push(looks);
            if looks == 400 {
                held = None;
            }
        });
        assert_eq!(*late, 7);
        assert!(pauses.into_iter().eq(1..=400), "after each look in vain, and no longer");
    }
}
