//! Where the producer's I/O runs: a thread of its own, or the caller's runtime.

use std::future::Future;
use std::io;
use std::thread;

use tokio::runtime::{Builder, Handle};

/// Who drives sockets and timers.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Io {
    /// A thread of the producer's own. A caller that computes for a long time without an await delays nothing. The default.
    #[default]
    OwnThread,
    /// Tasks on this tokio runtime, which must have I/O and time enabled. Whatever blocks that runtime blocks delivery too,
    /// and when it shuts down every open delivery fails.
    ///
    /// If the runtime's one thread is the one that produces, records do not cross from one processor to another, which saves
    /// CPU at the price of a second processor's help (`docs/performance.md`, *one thread for all*). Such a program has to yield
    /// every few hundred records (`tokio::task::yield_now`): an [`enqueue`](crate::Producer::enqueue) that finds memory is done
    /// at once, and nothing is sent while the thread goes on producing.
    Runtime(Handle),
}

impl Io {
    /// Starts `main` and returns the handle of the runtime it runs on.
    pub(crate) fn start(&self, name: &str, main: impl Future<Output = ()> + Send + 'static) -> io::Result<Handle> {
        match self {
            Self::Runtime(handle) => {
                handle.spawn(main);
                Ok(handle.clone())
            }
            Self::OwnThread => {
                let runtime = Builder::new_current_thread().enable_all().build()?;
                let handle = runtime.handle().clone();
                thread::Builder::new().name(format!("{name}-io")).spawn(move || runtime.block_on(main))?;
                Ok(handle)
            }
        }
    }
}
