//! How long callers wait for memory at most: one timer for all of them.
//!
//! A busy producer's callers wait for memory thousands of times a second, and hardly ever for long. A timer for each wait would be a task that the
//! I/O thread is woken for twice. As all may wait equally long, whoever begins last gives up last, so the timer of the first serves the
//! others too; once it is over it goes on with whoever is first then.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

/// Those who wait, and when they give up.
pub(crate) struct Patience {
    line: Arc<Mutex<Line>>,
    /// Of the runtime that counts the time. When that ends the wait has to be ended otherwise.
    io: Handle,
}

#[derive(Default)]
struct Line {
    waiting: BTreeMap<Key, Waker>,
    places: u64,
    /// The timer, if there is one, and when it is over.
    armed: Option<(Instant, AbortHandle)>,
}

/// First who gives up first.
type Key = (Instant, u64);

/// Somebody who waits; not any more when this is dropped.
pub(crate) struct Place<'a> {
    patience: &'a Patience,
    key: Key,
}

impl Patience {
    pub(crate) fn new(io: Handle) -> Self {
        Self { line: Arc::default(), io }
    }

    /// Has `waker` woken when `deadline` has passed, or later.
    pub(crate) fn wait(&self, deadline: Instant, waker: &Waker) -> Place<'_> {
        let waker = waker.clone();
        let mut line = self.line.lock();
        line.places += 1;
        let key = (deadline, line.places);
        line.waiting.insert(key, waker);
        if line.armed.as_ref().is_none_or(|(armed, _)| deadline < *armed) {
            // Under the lock: of two threads that do this at once the one that gives up first has to be the last.
            let timer = self.io.spawn(count_down(Arc::clone(&self.line), deadline)).abort_handle();
            if let Some((_, later)) = line.armed.replace((deadline, timer)) {
                later.abort();
            }
        }
        drop(line);
        Place { patience: self, key }
    }
}

impl Drop for Patience {
    fn drop(&mut self) {
        if let Some((_, timer)) = self.line.lock().armed.take() {
            timer.abort();
        }
    }
}

impl Place<'_> {
    /// Whether its waker was taken to be woken.
    pub(crate) fn is_over(&self) -> bool {
        !self.patience.line.lock().waiting.contains_key(&self.key)
    }

    /// As [`Patience::wait`], for a task that may be another by now.
    pub(crate) fn renew(&self, waker: &Waker) {
        let is_known = |known: &Waker| known.will_wake(waker);
        if self.patience.line.lock().waiting.get(&self.key).is_none_or(is_known) {
            return;
        }
        // To clone or drop one may be the user's code.
        let waker = waker.clone();
        let old = match self.patience.line.lock().waiting.get_mut(&self.key) {
            Some(known) => std::mem::replace(known, waker),
            None => waker, // its time is up: it is being woken
        };
        drop(old);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let waker = self.patience.line.lock().waiting.remove(&self.key);
        drop(waker);
    }
}

/// The timer.
async fn count_down(line: Arc<Mutex<Line>>, mut until: Instant) {
    loop {
        tokio::time::sleep_until(until.into()).await;
        // By the clock that the timer went by, which in a test of the user's may not be the real one.
        let now = tokio::time::Instant::now().into_std();
        let (due, next) = line.lock().expire(until, now);
        for waker in due {
            if catch_unwind(AssertUnwindSafe(|| waker.wake())).is_err() {
                tracing::error!("a waker panicked; whoever else waits for memory is woken all the same");
            }
        }
        match next {
            Some(next) => until = next,
            None => return,
        }
    }
}

impl Line {
    /// Who has waited long enough, and until when the timer that was over at `until` is to go on, if it is.
    fn expire(&mut self, until: Instant, now: Instant) -> (Vec<Waker>, Option<Instant>) {
        let mut due = Vec::new();
        while let Some(first) = self.waiting.first_entry().filter(|first| first.key().0 <= now) {
            due.push(first.remove());
        }
        let Some((armed, _)) = self.armed.as_mut().filter(|(armed, _)| *armed == until) else {
            // Another took its place.
            return (due, None);
        };
        match self.waiting.first_key_value() {
            Some(((deadline, _), _)) => {
                *armed = *deadline;
                (due, Some(*deadline))
            }
            None => {
                self.armed = None;
                (due, None)
            }
        }
    }
}

impl fmt::Debug for Patience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Patience").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;
    use std::time::Duration;

    use super::*;

    #[derive(Default)]
    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn bell() -> (Arc<Bell>, Waker) {
        let bell = Arc::new(Bell::default());
        (Arc::clone(&bell), bell.into())
    }

    fn rung(bell: &Bell) -> usize {
        bell.0.load(Ordering::SeqCst)
    }

    fn timers() -> usize {
        Handle::current().metrics().num_alive_tasks()
    }

    #[tokio::test]
    async fn one_timer_serves_a_thousand_waits_and_ends_with_the_last() {
        let patience = Patience::new(Handle::current());
        let (bell, waker) = bell();
        let deadline = Instant::now() + Duration::from_millis(1);
        for later in 0..1_000 {
            drop(patience.wait(deadline + Duration::from_nanos(later), &waker));
            assert_eq!(timers(), 1);
        }
        while timers() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(rung(&bell), 0, "nobody waited any more");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn who_gives_up_first_is_woken_however_many_begin_to_wait_at_once() {
        for _ in 0..200 {
            let patience = Arc::new(Patience::new(Handle::current()));
            let now = Instant::now();
            let waits: Vec<_> = (0..3)
                .map(|earlier| {
                    let patience = Arc::clone(&patience);
                    let deadline = now + Duration::from_millis(1) - Duration::from_micros(100 * earlier);
                    let (bell, waker) = bell();
                    tokio::task::spawn_blocking(move || {
                        let _place = patience.wait(deadline, &waker);
                        while rung(&bell) == 0 {
                            std::thread::yield_now();
                        }
                    })
                })
                .collect();
            for wait in waits {
                wait.await.unwrap();
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_not_the_real_one_ends_a_wait_too() {
        let patience = Patience::new(Handle::current());
        let (bell, waker) = bell();
        let place = patience.wait(Instant::now() + Duration::from_secs(3_600), &waker);
        tokio::time::sleep(Duration::from_secs(3_601)).await;
        assert_eq!((rung(&bell), timers()), (1, 0));
        place.renew(&waker);
    }

    #[tokio::test]
    async fn a_waker_that_panics_takes_nobody_else_s() {
        struct Panics;
        impl Wake for Panics {
            fn wake(self: Arc<Self>) {
                panic!("a waker that panics");
            }
        }
        let patience = Patience::new(Handle::current());
        let now = Instant::now();
        let (bell, waker) = bell();
        let _first = patience.wait(now, &Arc::new(Panics).into());
        let _second = patience.wait(now, &waker);
        while rung(&bell) == 0 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn each_is_woken_at_its_own_time_whoever_came_first() {
        let patience = Patience::new(Handle::current());
        let now = Instant::now();
        let (late, late_waker) = bell();
        let (early, early_waker) = bell();
        let (never, never_waker) = bell();
        let never_place = patience.wait(now + Duration::from_secs(3_600), &never_waker);
        let late_place = patience.wait(now + Duration::from_millis(4), &never_waker);
        late_place.renew(&late_waker);
        let early_place = patience.wait(now + Duration::from_millis(2), &early_waker);
        while rung(&early) == 0 {
            tokio::task::yield_now().await;
        }
        assert!(now.elapsed() >= Duration::from_millis(2));
        while rung(&late) == 0 {
            tokio::task::yield_now().await;
        }
        assert!(now.elapsed() >= Duration::from_millis(4));
        assert_eq!((rung(&early), rung(&late), rung(&never)), (1, 1, 0));
        assert_eq!(timers(), 1);
        drop((late_place, early_place, never_place));
        drop(patience);
        while timers() > 0 {
            tokio::task::yield_now().await;
        }
    }
}
