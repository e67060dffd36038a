//! Waiting on a plain thread for what is otherwise a future.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use crate::sync::{Condvar, Mutex};

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

/// Drives `future` on this thread; `None` if it has no result within `timeout`. Without one it waits as long as it takes.
///
/// The only place of this crate that reads a clock: a thread that sleeps is not part of a simulation.
#[expect(clippy::disallowed_methods, reason = "a sleeping thread needs the real time; nothing is decided by it")]
pub(crate) fn block_on<F: Future>(future: F, timeout: Option<Duration>) -> Option<F::Output> {
    // A timeout beyond what the clock can express is none.
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let parker = Arc::new(Parker::default());
    let waker = Waker::from(Arc::clone(&parker));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return Some(value);
        }
        let mut woken = parker.woken.lock();
        while !*woken {
            match deadline {
                None => parker.bell.wait(&mut woken),
                Some(deadline) => {
                    if parker.bell.wait_until(&mut woken, deadline).timed_out() && !*woken {
                        return None;
                    }
                }
            }
        }
        *woken = false;
    }
}
