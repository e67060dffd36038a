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
            let mut looks = 0;
            loop {
                if !self.0.is_locked()
                    && let Some(guard) = self.0.try_lock()
                {
                    return guard;
                }
                looks += 1;
                if looks <= LOOKS {
                    spin_loop();
                } else if looks <= LOOKS + YIELDS {
                    thread::yield_now();
                } else {
                    thread::sleep(NAP);
                }
            }
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
    use std::sync::mpsc::channel;
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
    fn who_waits_longer_than_it_looks_gets_it_in_the_end() {
        let latch = Latch::new("held");
        let (tell, told) = channel();
        thread::scope(|scope| {
            let held = latch.lock();
            let waiter = scope.spawn(|| {
                tell.send(()).unwrap();
                std::mem::replace(&mut *latch.lock(), "had")
            });
            told.recv().unwrap();
            thread::sleep(std::time::Duration::from_millis(5));
            drop(held);
            assert_eq!(waiter.join().unwrap(), "held");
        });
        assert_eq!(*latch.lock(), "had");
    }
}
