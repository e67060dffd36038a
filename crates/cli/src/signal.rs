//! Ctrl-C: the first asks for an orderly end, the second for a quick one, the third ends the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set once the user asked to stop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(crate) fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Listens for SIGINT and SIGTERM on a thread of its own; `first` and `second` run there.
    pub(crate) fn on_signal(&self, first: impl FnOnce() + Send + 'static, second: impl FnOnce() + Send + 'static) {
        let stop = self.clone();
        std::thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
            runtime.block_on(async move {
                if !next_signal().await {
                    return;
                }
                stop.ask();
                first();
                if !next_signal().await {
                    return;
                }
                // Whatever it waits for must not keep the third from being heard.
                std::thread::spawn(second);
                if next_signal().await {
                    std::process::exit(130);
                }
            });
        });
    }
}

#[cfg(unix)]
async fn next_signal() -> bool {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return false };
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.is_ok(),
        received = terminate.recv() => received.is_some(),
    }
}

#[cfg(not(unix))]
async fn next_signal() -> bool {
    tokio::signal::ctrl_c().await.is_ok()
}
