//! The handle of a replay that runs.

use std::any::Any;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
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
    thread: Option<JoinHandle<Result<(), Panicked>>>,
}

/// A replay was ended by a panic: a bug of it, or of the callback that is told its events. What is in the spool is as safe as after any kill, and the
/// next replay goes on there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Panicked {
    /// What the panic said, if it was text.
    pub message: String,
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the replay panicked: {}", self.message)
    }
}

impl std::error::Error for Panicked {}

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
            let mut runner = {
                let _inside = runtime.enter();
                Runner::new(spool, sockets, config, heard, Box::new(events))
            };
            // Nothing of it is used afterwards but the callback.
            let ended = catch_unwind(AssertUnwindSafe(|| runtime.block_on(runner.run())));
            let ended = ended.map_err(|panic| {
                let panicked = Panicked { message: text(&*panic) };
                tracing::error!("{panicked}");
                let told = ReplayEvent::Panicked { message: panicked.message.clone() };
                if catch_unwind(AssertUnwindSafe(|| (runner.events)(told))).is_err() {
                    tracing::error!("whoever hears of the replay panicked, too");
                }
                panicked
            });
            drop(runner);
            // A lookup of a name may go on for half a minute, and nobody wants to know any more.
            runtime.shutdown_background();
            ended
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

    /// Waits for its end. Called by its own callback it does not wait.
    ///
    /// # Errors
    ///
    /// [`Panicked`], which was told as a [`ReplayEvent::Panicked`] as well.
    pub fn join(mut self) -> Result<(), Panicked> {
        self.end()
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn end(&mut self) -> Result<(), Panicked> {
        // Its own callback may hold the last handle.
        match self.thread.take().filter(|thread| thread.thread().id() != thread::current().id()) {
            Some(thread) => thread.join().unwrap_or_else(|panic| Err(Panicked { message: text(&*panic) })),
            None => Ok(()),
        }
    }
}

/// What a panic says.
fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it did not say why").to_owned()
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.signals.drop.store(true, Ordering::Release);
        self.signals.bell.notify_one();
        if let Err(panicked) = self.end() {
            // Told and logged already.
            drop(panicked);
        }
    }
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay").field("is_over", &self.is_over()).finish_non_exhaustive()
    }
}
