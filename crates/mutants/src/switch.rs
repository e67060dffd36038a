//! Which mutant lives: none without `--cfg milena_mutants`, else at most one per thread.

#[cfg(not(milena_mutants))]
use crate::Mutant;

#[cfg(not(milena_mutants))]
impl Mutant {
    /// Whether this is to be broken: never, in a build without `--cfg milena_mutants`.
    #[inline(always)]
    #[must_use]
    pub const fn lives(self) -> bool {
        false
    }
}

#[cfg(milena_mutants)]
mod bred {
    use std::cell::Cell;

    use crate::Mutant;

    thread_local! {
        static LIVING: Cell<Option<Mutant>> = const { Cell::new(None) };
        static ASKED: Cell<u64> = const { Cell::new(0) };
    }

    /// Ends a mutant, also when what it broke panics.
    struct End;

    impl Drop for End {
        fn drop(&mut self) {
            LIVING.set(None);
        }
    }

    impl Mutant {
        /// Whether this is to be broken now, on this thread.
        #[must_use]
        pub fn lives(self) -> bool {
            let lives = LIVING.get() == Some(self);
            ASKED.set(ASKED.get() + u64::from(lives));
            lives
        }

        /// Calls `run` with this one alive on this thread; also says how often the broken place was come by.
        pub fn breed<T>(self, run: impl FnOnce() -> T) -> (T, u64) {
            ASKED.set(0);
            LIVING.set(Some(self));
            let _end = End;
            (run(), ASKED.get())
        }
    }
}
