//! Wakers are the user's code, which may panic: whoever else waits is woken all the same, and whoever wakes goes on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

/// Wakes all. Not to be called under a lock.
pub(crate) fn wake_all(wakers: impl IntoIterator<Item = Waker>) {
    for waker in wakers {
        if catch_unwind(AssertUnwindSafe(|| waker.wake())).is_err() {
            tracing::error!("a waker panicked; whoever else waits is woken all the same");
        }
    }
}
