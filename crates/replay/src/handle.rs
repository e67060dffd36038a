//! The handle of a replay that runs.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use milena_spool::Spool;
use parking_lot::Mutex;
use tokio::runtime::Builder;
use tokio::sync::Notify;

use crate::runner::Runner;
use crate::{ReplayConfig, ReplayEvent, Sockets};

/// A spool that a producer appends to while a replay works on it.
pub type SharedSpool = Arc<Mutex<Spool>>;

/// A replay that runs on a thread of its own.
///
/// Dropped, it stops as if it had been killed: the next one goes on where it was.
pub struct Replay {
    signals: Arc<Signals>,
    thread: Option<JoinHandle<()>>,
}

/// What the handle tells the runner.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    pub(crate) bell: Notify,
    pub(crate) look: AtomicBool,
    pub(crate) stop: AtomicBool,
    pub(crate) drop: AtomicBool,
}

impl Replay {
    /// Starts to send what is in `spool`. `events` is called on the replay's thread, without a lock on the spool; while it blocks, nothing is sent.
    ///
    /// # Errors
    ///
    /// The operating system refused a thread.
    pub fn start(
        spool: SharedSpool,
        sockets: Sockets,
        config: ReplayConfig,
        events: impl FnMut(ReplayEvent) + Send + 'static,
    ) -> io::Result<Self> {
        let signals = Arc::new(Signals::default());
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let heard = Arc::clone(&signals);
        let name = format!("{}-replay", sockets.cluster.client_id);
        let thread = thread::Builder::new().name(name).spawn(move || {
            runtime.block_on(async move { Runner::new(spool, sockets, config, heard, Box::new(events)).run().await });
        })?;
        Ok(Self { signals, thread: Some(thread) })
    }

    /// Has it look at the spool again, to which something may have been appended.
    pub fn wake(&self) {
        self.signals.look.store(true, Ordering::Release);
        self.signals.bell.notify_one();
    }

    /// Has it end soon: what is in flight is awaited for a while, nothing new is sent.
    pub fn stop(&self) {
        self.signals.stop.store(true, Ordering::Release);
        self.signals.bell.notify_one();
    }

    /// Waits for its end.
    pub fn join(mut self) {
        self.end();
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn end(&mut self) {
        if let Some(thread) = self.thread.take()
            // Its own callback may hold the last handle.
            && thread.thread().id() != thread::current().id()
        {
            // A panic in there was a panic of the callback, and has been printed.
            drop(thread.join());
        }
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.signals.drop.store(true, Ordering::Release);
        self.signals.bell.notify_one();
        self.end();
    }
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay").field("is_over", &self.is_over()).finish_non_exhaustive()
    }
}
