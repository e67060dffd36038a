//! Failed batches on their way to the disk, and the thread that writes them.
//!
//! ```text
//! sender ──Hooks::divert──▶ queue ──▶ this thread ──append──▶ spool ──▶ replay ──▶ cluster
//!    ▲                                    │ outcome: Spooled                 │
//!    └───────── Input::DivertEnd ─────────┴────────── CaughtUp ◀─────────────┘
//! ```
//!
//! - **A batch's memory counts until it is on the disk**: the queue holds it, so `buffer_memory` bounds the queue.
//! - **An outcome is told when it is true**: `Spooled` after the append, synced as the policy says; else the batch's own failure.
//! - **A partition is handed back only when nothing of it is left here.** The count of records that arrived goes with it, and the sender, which
//!   knows what it gave out, ignores it if more is under way.

mod end;
#[cfg(test)]
mod tests;
mod worker;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use milena_accumulator::{Accumulator, Diverted, FailureKind};
use milena_replay::{ReplayEvent, Sockets};
use milena_sender::{Input, Metrics};
use milena_spool::{Recovered, Spool};
use parking_lot::{Condvar, Mutex};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use crate::health::SpoolHealth;
use crate::spool_policy::SpoolPolicy;
use crate::timeout::within;
use crate::watch::Watch;

use worker::Worker;

/// The queue between whoever settles failed batches and the thread that writes them.
pub(crate) struct Spooler {
    policy: SpoolPolicy,
    state: Mutex<State>,
    news: Condvar,
    health: Mutex<SpoolHealth>,
    /// Records that a close cut off and the spool did not take.
    cut_off: AtomicU64,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Item>,
    /// Records in `queue` or in hand; or that were in hand when the thread panicked.
    pending: u64,
    /// No batch will come any more.
    ended: bool,
    /// The thread is gone, and the spool closed.
    silent: bool,
    closers: Vec<oneshot::Sender<()>>,
}

enum Item {
    Batch(Diverted),
    Replayed(ReplayEvent),
    /// To be answered when everything before it is on the disk, or failed.
    Flush(oneshot::Sender<()>),
}

/// What the thread does next.
#[expect(clippy::large_enum_variant, reason = "made to be matched at once; most are items")]
enum Next {
    Item(Item),
    /// It is the time until which it was to wait.
    Due,
    /// The producer has ended, and everything is done.
    End,
}

/// What the thread works with.
pub(crate) struct Tools {
    pub(crate) watch: Arc<Watch>,
    pub(crate) accumulator: Accumulator,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) inputs: UnboundedSender<Input>,
    pub(crate) sockets: Sockets,
}

impl Spooler {
    pub(crate) fn new(policy: SpoolPolicy, recovered: Recovered) -> Arc<Self> {
        for torn in &recovered.torn {
            tracing::warn!("spool: {torn}");
        }
        for damage in &recovered.damaged {
            tracing::error!("spool: {damage}");
        }
        let health = Mutex::new(SpoolHealth::new(&policy, recovered));
        Arc::new(Self { policy, state: Mutex::default(), news: Condvar::new(), health, cut_off: AtomicU64::new(0) })
    }

    /// Starts the thread, which ends after [`end`](Self::end). The sender hears first of what is in the spool already.
    pub(crate) fn start(self: &Arc<Self>, spool: Spool, tools: Tools) -> io::Result<()> {
        let started = Worker::new(Arc::clone(self), Arc::new(Mutex::new(spool)), tools).start();
        started.inspect_err(|_| self.state.lock().silent = true)
    }

    /// A batch failed, and its callers have not heard of it. Given back if nobody is left to keep it.
    pub(crate) fn push(&self, batch: Diverted) -> Option<Diverted> {
        let mut state = self.state.lock();
        if state.silent {
            drop(state);
            self.note_cut_off(&batch);
            return Some(batch);
        }
        state.pending += batch.count().as_usize() as u64;
        state.queue.push_back(Item::Batch(batch));
        drop(state);
        self.news.notify_one();
        None
    }

    fn replayed(&self, event: ReplayEvent) {
        self.state.lock().queue.push_back(Item::Replayed(event));
        self.news.notify_one();
    }

    /// Waits until every batch so far is on the disk, or failed.
    pub(crate) async fn flush(&self) {
        let (done, waiting) = oneshot::channel();
        {
            let mut state = self.state.lock();
            if state.silent || state.pending == 0 {
                return;
            }
            state.queue.push_back(Item::Flush(done));
        }
        self.news.notify_one();
        // An error means that the thread is gone, and nothing left to wait for.
        drop(waiting.await);
    }

    /// The producer has ended: what is queued is written, then the thread ends and lets go of the folder. Whether there is a thread that will: else its
    /// part at the end is left to the caller.
    pub(crate) fn end(&self) -> bool {
        let mut state = self.state.lock();
        state.ended = true;
        let lives = !state.silent;
        drop(state);
        self.news.notify_one();
        lives
    }

    /// A batch fails that the spool did not take.
    fn note_cut_off(&self, batch: &Diverted) {
        if batch.failure().kind == FailureKind::Closed {
            self.cut_off.fetch_add(batch.count().as_usize() as u64, Ordering::Relaxed);
        }
    }

    /// Waits for the end of the thread, for `left` at most. How many records are lost that a close cut off.
    pub(crate) async fn finish(&self, left: Duration) -> u64 {
        let waiting = {
            let mut state = self.state.lock();
            let (done, waiting) = oneshot::channel();
            if !state.silent {
                state.closers.push(done);
            }
            waiting
        };
        within(left, async { drop(waiting.await) }).await;
        self.cut_off.load(Ordering::Relaxed) + self.state.lock().pending
    }

    pub(crate) fn health(&self) -> SpoolHealth {
        self.health.lock().clone()
    }

    /// The next thing to do.
    fn next(&self, until: Option<Instant>) -> Next {
        let mut state = self.state.lock();
        loop {
            // First, or a queue that is never empty would put it off for ever.
            if until.is_some_and(|until| until <= Instant::now()) {
                return Next::Due;
            }
            if let Some(item) = state.queue.pop_front() {
                return Next::Item(item);
            }
            if state.ended {
                return Next::End;
            }
            match until {
                Some(until) => drop(self.news.wait_until(&mut state, until)),
                None => self.news.wait(&mut state),
            }
        }
    }

    /// What the replay tells, as long as it may take.
    fn next_of_replay(&self, until: Instant) -> Option<ReplayEvent> {
        let mut state = self.state.lock();
        loop {
            let at = state.queue.iter().position(|item| matches!(item, Item::Replayed(_)));
            if let Some(Item::Replayed(event)) = at.and_then(|at| state.queue.remove(at)) {
                return Some(event);
            }
            if self.news.wait_until(&mut state, until).timed_out() {
                return None;
            }
        }
    }
}

impl fmt::Debug for Spooler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spooler").field("policy", &self.policy).finish_non_exhaustive()
    }
}
