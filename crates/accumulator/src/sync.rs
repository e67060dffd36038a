//! The locks and atomics of this crate, in one place, so that a model checker's can take theirs.
//!
//! `just shuttle` puts shuttle's here and explores interleavings (see `interleavings.rs`). It runs one thread at a time and takes every atomic
//! for sequentially consistent: what it shows is that no order of steps does harm, not that the memory orderings named here suffice.

#[cfg(not(shuttle))]
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};
#[cfg(not(shuttle))]
pub(crate) use std::sync::OnceLock;
#[cfg(not(shuttle))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
#[cfg(not(shuttle))]
pub(crate) use std::thread_local;

#[cfg(shuttle)]
pub(crate) use self::checked::{Condvar, Mutex, MutexGuard, OnceLock, RwLock};
#[cfg(shuttle)]
pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
#[cfg(shuttle)]
pub(crate) use shuttle::thread_local;

/// shuttle's locks with parking_lot's manners.
#[cfg(shuttle)]
mod checked {
    use std::ops::{Deref, DerefMut};
    use std::time::Instant;

    use shuttle::sync::atomic::{AtomicBool, Ordering};
    use shuttle::sync::{PoisonError, RwLockReadGuard, RwLockWriteGuard};

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

    const HELD: &str = "a guard is without its lock only inside `Condvar::wait`";

    /// Empty only inside [`Condvar::wait`].
    pub(crate) struct MutexGuard<'a, T>(Option<shuttle::sync::MutexGuard<'a, T>>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(shuttle::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            MutexGuard(Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)))
        }
    }

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            self.0.as_ref().expect(HELD)
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            self.0.as_mut().expect(HELD)
        }
    }

    #[derive(Debug, Default)]
    pub(crate) struct Condvar(shuttle::sync::Condvar);

    pub(crate) struct WaitResult;

    impl Condvar {
        pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
            let inner = self.0.wait(guard.0.take().expect(HELD)).unwrap_or_else(PoisonError::into_inner);
            guard.0 = Some(inner);
        }

        /// No time passes here.
        pub(crate) fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, _: Instant) -> WaitResult {
            self.wait(guard);
            WaitResult
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }
    }

    impl WaitResult {
        pub(crate) fn timed_out(&self) -> bool {
            false
        }
    }

    #[derive(Debug, Default)]
    pub(crate) struct RwLock<T>(shuttle::sync::RwLock<T>);

    impl<T> RwLock<T> {
        pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
            self.0.read().unwrap_or_else(PoisonError::into_inner)
        }

        pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
            self.0.write().unwrap_or_else(PoisonError::into_inner)
        }
    }

    /// std's, with a flag in front of it that makes each look a step of its own.
    pub(crate) struct OnceLock<T> {
        is_set: AtomicBool,
        value: std::sync::OnceLock<T>,
    }

    impl<T> OnceLock<T> {
        pub(crate) fn new() -> Self {
            Self { is_set: AtomicBool::new(false), value: std::sync::OnceLock::new() }
        }

        pub(crate) fn set(&self, value: T) -> Result<(), T> {
            let set = self.value.set(value);
            self.is_set.store(true, Ordering::SeqCst);
            set
        }

        pub(crate) fn get(&self) -> Option<&T> {
            if self.is_set.load(Ordering::SeqCst) { self.value.get() } else { None }
        }
    }
}
