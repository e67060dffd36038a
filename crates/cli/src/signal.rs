//! Ctrl-C and SIGTERM: the first asks for an orderly end, the second for a quick one, the third ends the process.

use std::io;
use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::sync::watch;

/// How a shell reports that SIGINT ended a process.
const INTERRUPTED: i32 = 130;

/// Tells whether the user asked to stop.
#[derive(Clone, Debug)]
pub(crate) struct Stop(Arc<watch::Sender<bool>>);

impl Stop {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    pub(crate) fn is_asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Asks to stop.
    pub(crate) fn ask(&self) {
        self.0.send_replace(true);
    }

    /// Waits until it is asked to stop.
    pub(crate) async fn asked(&self) {
        let mut asked = self.0.subscribe();
        // The sender is `self`: it cannot be gone.
        drop(asked.wait_for(|asked| *asked).await);
    }

    /// From the return of this call on, a signal asks to stop and runs `first` on a thread of `runtime`; the next one
    /// runs `second` on a thread that may block.
    ///
    /// # Errors
    ///
    /// The system refuses to hand over its signals.
    pub(crate) fn on_signal(
        &self,
        runtime: &Runtime,
        first: impl FnOnce() + Send + 'static,
        second: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        let _entered = runtime.enter();
        let mut signals = Signals::listen()?;
        let stop = self.clone();
        runtime.spawn(async move {
            signals.next().await;
            stop.ask();
            first();
            signals.next().await;
            // Whatever it waits for must not keep the third from being heard.
            tokio::task::spawn_blocking(second);
            signals.next().await;
            std::process::exit(INTERRUPTED);
        });
        Ok(())
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            Some(()) = self.interrupt.recv() => {}
            Some(()) = self.terminate.recv() => {}
            else => std::future::pending().await,
        }
    }
}

#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self(tokio::signal::windows::ctrl_c()?))
    }

    async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending().await
        }
    }
}
