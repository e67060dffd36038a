//! A bound on waiting that needs no runtime: for the end of a producer, when its own is gone.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// Waits for `future`, but not longer than `limit`; whether it is done. A thread counts the time, so this is not for
/// frequent use.
pub(crate) async fn within(limit: Duration, future: impl Future<Output = ()>) -> bool {
    let mut future = pin!(future);
    if poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await {
        return true;
    }
    let (expired, expiry) = oneshot::channel::<()>();
    let (done, cancelled) = std::sync::mpsc::channel::<()>();
    let deadline = Instant::now() + limit;
    let counts = move || {
        // Ends early when `done` is dropped.
        let _ = cancelled.recv_timeout(deadline.saturating_duration_since(Instant::now()));
        drop(expired);
    };
    if let Err(error) = thread::Builder::new().name("milena-timeout".into()).spawn(counts) {
        tracing::warn!(%error, "no thread can be started to count the time of a wait; it is looked at again and again");
        return until(deadline, future).await;
    }
    let mut expiry = pin!(expiry);
    let in_time = poll_fn(|context| {
        if future.as_mut().poll(context).is_ready() {
            return Poll::Ready(true);
        }
        expiry.as_mut().poll(context).map(|_| false)
    })
    .await;
    drop(done);
    in_time
}

/// As [`within`], where nobody else counts the time: asks the clock with each of its turns, and for another turn.
async fn until(deadline: Instant, mut future: Pin<&mut impl Future<Output = ()>>) -> bool {
    poll_fn(|context| {
        if future.as_mut().poll(context).is_ready() {
            return Poll::Ready(true);
        }
        if Instant::now() >= deadline {
            return Poll::Ready(false);
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block_on::block_on;

    #[test]
    fn what_never_ends_is_not_waited_for_and_what_is_done_is_not_timed() {
        assert!(!block_on(within(Duration::ZERO, std::future::pending())));
        assert!(block_on(within(Duration::from_secs(3_600), std::future::ready(()))));
    }

    #[test]
    fn a_wait_that_no_thread_can_be_started_for_is_bounded_too() {
        assert!(!block_on(until(Instant::now() + Duration::from_millis(1), pin!(std::future::pending()))));
        let (tx, rx) = oneshot::channel::<()>();
        let sender = thread::spawn(move || tx.send(()));
        let in_time = Instant::now() + Duration::from_secs(3_600);
        assert!(block_on(until(in_time, pin!(async { drop(rx.await) }))));
        sender.join().unwrap().unwrap();
    }

    #[test]
    fn what_ends_in_time_ends_the_wait() {
        let (tx, rx) = oneshot::channel::<()>();
        let sender = thread::spawn(move || tx.send(()));
        assert!(block_on(within(Duration::from_secs(3_600), async { drop(rx.await) })));
        sender.join().unwrap().unwrap();
    }
}
