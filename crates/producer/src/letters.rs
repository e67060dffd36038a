//! Failed batches on their way to become dead letters, and the thread that makes them.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};
use std::{fmt, io};

use milena_accumulator::{Diverted, Failure};
use milena_sender::Metrics;
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::dead_letter::{DeadLetter, FailurePolicy, To};
use crate::letter_topic::{Kit, LetterTopic};
use crate::timeout::within;

/// How long one call of a callback may take before a flush waits for it no longer.
const STUCK: Duration = Duration::from_secs(1);

/// How long a letter is waited for that was cut off by a close.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The queue between whoever settles failed batches and the thread that makes dead letters of them. The batches hold their memory, so
/// `buffer_memory` bounds it.
pub(crate) struct Letters {
    /// None: a callback gets them, which is the thread's.
    topic: Option<Box<LetterTopic>>,
    state: Mutex<State>,
    news: Condvar,
    lost: AtomicU64,
    metrics: OnceLock<Weak<Metrics>>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Item>,
    /// Records in `queue` or in hand.
    pending: u64,
    /// Records that the policy was given and is done with.
    done: u64,
    /// No batch will come any more.
    ended: bool,
    /// Who closes, and waits for the thread to do its part.
    closers: usize,
    /// The thread is gone.
    silent: bool,
    thread: Option<ThreadId>,
}

enum Item {
    Batch(Box<Diverted>),
    /// To be answered when everything before it is kept, or lost.
    Flush(oneshot::Sender<()>),
    /// The same, and nothing is kept any more.
    Close(Instant, oneshot::Sender<()>),
}

impl Letters {
    /// Starts the thread, which ends after [`end`](Self::end).
    pub(crate) fn start(policy: FailurePolicy, kit: Kit) -> io::Result<Arc<Self>> {
        let name = format!("{}-letters", kit.config.client_id);
        let letters = Arc::new_cyclic(|letters| Self {
            topic: match &policy.to {
                To::Callback(_) => None,
                To::Topic(topic) => Some(Box::new(LetterTopic::new(topic.clone(), kit, Weak::clone(letters)))),
            },
            state: Mutex::default(),
            news: Condvar::new(),
            lost: AtomicU64::new(0),
            metrics: OnceLock::new(),
        });
        let working = Arc::clone(&letters);
        thread::Builder::new().name(name).spawn(move || working.work(policy))?;
        Ok(letters)
    }

    /// Counts letters here.
    pub(crate) fn count_in(&self, metrics: &Arc<Metrics>) {
        // It is called once; a second time would change nothing.
        let _ = self.metrics.set(Arc::downgrade(metrics));
    }

    /// A batch failed, and its callers have heard of it.
    pub(crate) fn push(&self, batch: Diverted) {
        let mut state = self.state.lock();
        if !state.silent {
            state.pending += batch.count().as_usize() as u64;
            state.queue.push_back(Item::Batch(Box::new(batch)));
            drop(state);
            self.news.notify_one();
        }
    }

    /// Waits until every letter so far is kept or lost; but not for a callback whose call takes longer than a second.
    pub(crate) async fn flush(&self) {
        let Some(done) = self.flushed() else { return };
        let mut done = std::pin::pin!(done);
        if self.topic.is_some() {
            // An error means that the thread is gone, and nothing left to wait for.
            drop(done.await);
            return;
        }
        loop {
            let before = self.state.lock().done;
            if within(STUCK, async { drop(done.as_mut().await) }).await {
                return;
            }
            if self.state.lock().done == before {
                tracing::warn!("the callback for dead letters is stuck; it has not been given all of them yet");
                return;
            }
        }
    }

    /// Nothing if there is nothing to wait for, or it is this thread that would wait for itself.
    fn flushed(&self) -> Option<oneshot::Receiver<()>> {
        let idle = self.topic.as_ref().is_none_or(|topic| !topic.is_started());
        let mut state = self.state.lock();
        if state.silent || state.thread == Some(thread::current().id()) || (idle && state.pending == 0) {
            return None;
        }
        let (done, waiting) = oneshot::channel();
        state.queue.push_back(Item::Flush(done));
        drop(state);
        self.news.notify_one();
        Some(waiting)
    }

    /// Keeps the thread waiting for a [`close`](Closing::finish) when there is nothing else to do.
    pub(crate) fn closing(self: &Arc<Self>) -> Closing {
        self.state.lock().closers += 1;
        Closing(Arc::clone(self))
    }

    /// The producer has ended: what is queued becomes letters, then the thread ends.
    pub(crate) fn end(&self) {
        self.state.lock().ended = true;
        self.news.notify_one();
    }

    /// Letters were lost.
    pub(crate) fn lose(&self, records: u64, why: &dyn fmt::Display) {
        self.lost.fetch_add(records, Ordering::Relaxed);
        if let Some(metrics) = self.metrics.get().and_then(Weak::upgrade) {
            metrics.dead_letters_lost(records);
        }
        tracing::error!(records, "dead letters are lost: {why}");
    }

    fn work(&self, policy: FailurePolicy) {
        self.state.lock().thread = Some(thread::current().id());
        while let Some(item) = self.next() {
            match item {
                Item::Batch(batch) => self.keep(&policy, &batch),
                Item::Flush(done) => {
                    if let Some(topic) = &self.topic {
                        topic.flush();
                    }
                    // Who waited may have given up.
                    let _ = done.send(());
                }
                Item::Close(deadline, done) => {
                    if let Some(topic) = &self.topic {
                        topic.close(deadline);
                    }
                    let _ = done.send(());
                }
            }
        }
        if let Some(topic) = &self.topic {
            topic.let_go();
        }
        // The user's code may own the other end of what somebody waits for, while a handle or a thread that produced still holds this.
        if catch_unwind(AssertUnwindSafe(|| drop(policy))).is_err() {
            tracing::error!("a callback for dead letters panicked while it was dropped");
        }
    }

    /// The next thing to do; `None` once the producer has ended and everything is done.
    fn next(&self) -> Option<Item> {
        let mut state = self.state.lock();
        loop {
            if let Some(item) = state.queue.pop_front() {
                return Some(item);
            }
            if state.ended && state.closers == 0 {
                state.silent = true;
                return None;
            }
            self.news.wait(&mut state);
        }
    }

    fn keep(&self, policy: &FailurePolicy, batch: &Diverted) {
        let mut rest = batch.count().as_usize() as u64;
        if self.wants(policy, batch.failure()) {
            if let Some(metrics) = self.metrics.get().and_then(Weak::upgrade) {
                metrics.dead_letters(rest);
            }
            match batch.records() {
                Ok(records) => {
                    for record in records.iter().map_while(Result::ok) {
                        self.keep_one(policy, DeadLetter::of(batch, &record));
                        rest -= 1;
                        let mut state = self.state.lock();
                        state.pending -= 1;
                        state.done += 1;
                    }
                    if rest > 0 {
                        self.lose(rest, &"the failed batch does not read back");
                    }
                }
                Err(error) => self.lose(rest, &format_args!("the failed batch does not read back: {error}")),
            }
        }
        let mut state = self.state.lock();
        state.pending -= rest;
        state.done += rest;
    }

    fn wants(&self, policy: &FailurePolicy, failure: &Failure) -> bool {
        if self.topic.as_ref().is_some_and(|topic| failure.topic.as_str() == topic.name()) {
            return false;
        }
        // Nothing of ours is touched by the call. A choice that panics has not refused.
        catch_unwind(AssertUnwindSafe(|| (policy.wanted)(failure))).unwrap_or_else(|_| {
            tracing::error!("the choice of dead letters panicked; the records become dead letters");
            true
        })
    }

    fn keep_one(&self, policy: &FailurePolicy, letter: DeadLetter) {
        if let To::Callback(take) = &policy.to {
            let failure = Arc::clone(&letter.failure);
            if catch_unwind(AssertUnwindSafe(|| take(letter))).is_err() {
                self.lose(1, &format_args!("the callback panicked; the record's failure was: {failure}"));
            }
        } else if let Some(topic) = &self.topic
            && let Err(failure) = topic.keep(letter)
        {
            self.lose(1, &failure);
        }
    }
}

/// Somebody who closes.
pub(crate) struct Closing(Arc<Letters>);

impl Closing {
    /// Waits for the letters of a producer that has ended, for `left` at most, and cuts short what is under way then. How many were lost in
    /// the producer's life.
    pub(crate) async fn finish(self, left: Duration) -> u64 {
        let letters = &self.0;
        let waiting = {
            let mut state = letters.state.lock();
            if state.silent || state.thread == Some(thread::current().id()) {
                return letters.lost.load(Ordering::Relaxed);
            }
            let (done, waiting) = oneshot::channel();
            state.queue.push_back(Item::Close(Instant::now() + left, done));
            waiting
        };
        letters.news.notify_one();
        let mut waiting = std::pin::pin!(waiting);
        if !within(left, async { drop(waiting.as_mut().await) }).await
            && let Some(topic) = &letters.topic
        {
            topic.cut_short();
            within(LAST_WORDS, async { drop(waiting.as_mut().await) }).await;
        }
        letters.lost.load(Ordering::Relaxed) + letters.state.lock().pending
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.state.lock().closers -= 1;
        self.0.news.notify_one();
    }
}

impl fmt::Debug for Letters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Letters").field("topic", &self.topic).finish_non_exhaustive()
    }
}
