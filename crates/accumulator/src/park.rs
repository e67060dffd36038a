//! Waiting on a plain thread for what is otherwise a future.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use crate::sync::{Condvar, Mutex, thread_local};

thread_local! {
    /// Whether this thread delivers right now, so that nothing is delivered while it waits.
    static DELIVERS: Cell<bool> = const { Cell::new(false) };
}

/// Runs `call` on a thread that delivers: within it [`ready_to_wait`] panics.
pub fn without_waiting<T>(call: impl FnOnce() -> T) -> T {
    let _before = Restored(DELIVERS.with(|delivers| delivers.replace(true)));
    call()
}

/// What [`DELIVERS`] was before, and will be again.
struct Restored(bool);

impl Drop for Restored {
    fn drop(&mut self) {
        DELIVERS.with(|delivers| delivers.set(self.0));
    }
}

/// Whether this thread may wait for something that the sender does: not within [`without_waiting`].
#[must_use]
pub fn may_wait() -> bool {
    !DELIVERS.with(Cell::get)
}

/// This thread is about to sleep until something is delivered.
///
/// # Panics
///
/// Within [`without_waiting`]: it would sleep for ever.
pub fn ready_to_wait() {
    assert!(
        may_wait(),
        "this thread drives the producer's sockets and would wait for itself: a delivery handler that waits needs a thread of its own \
         (HandlerThread::Own); `try_enqueue` does not wait"
    );
}

/// Lets one thread sleep until it is woken.
#[derive(Default)]
struct Parker {
    woken: Mutex<bool>,
    bell: Condvar,
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        *self.woken.lock() = true;
        self.bell.notify_one();
    }
}

impl Parker {
    fn park(&self) {
        let mut woken = self.woken.lock();
        while !*woken {
            self.bell.wait(&mut woken);
        }
        *woken = false;
    }

    /// `false` if nobody woke it in time.
    fn park_until(&self, deadline: Instant) -> bool {
        let mut woken = self.woken.lock();
        while !*woken {
            if self.bell.wait_until(&mut woken, deadline).timed_out() && !*woken {
                return false;
            }
        }
        *woken = false;
        true
    }
}

/// Drives `future` on this thread to its end.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let parker = Arc::new(Parker::default());
    let waker = Waker::from(Arc::clone(&parker));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        ready_to_wait();
        parker.park();
    }
}

/// Drives `future` on this thread for at most `timeout`.
///
/// The only place of this crate that reads a clock: a thread that sleeps is not part of a simulation.
#[expect(clippy::disallowed_methods, reason = "a sleeping thread needs the real time; nothing is decided by it")]
pub(crate) fn block_on_for<F: Future>(future: F, timeout: Duration) -> Option<F::Output> {
    let Some(deadline) = Instant::now().checked_add(timeout) else {
        return Some(block_on(future)); // longer than the clock can tell
    };
    let parker = Arc::new(Parker::default());
    let waker = Waker::from(Arc::clone(&parker));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(value);
        }
        ready_to_wait();
        if !parker.park_until(deadline) {
            return None;
        }
    }
}
