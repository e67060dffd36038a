//! Compression on threads of its own, so that neither callers nor the I/O thread wait for a codec.

use std::io;
use std::sync::Arc;
use std::thread;

use milena_accumulator::SealJob;
use milena_sender::{Input, SealTicket};
use parking_lot::Mutex;
use tokio::sync::mpsc;

/// A fixed number of threads that seal batches. Order does not matter here: the sender keeps each partition's order by
/// its tickets. The queue is bounded by the memory budget that every batch in it holds.
#[derive(Debug)]
pub(crate) struct SealPool {
    jobs: std::sync::mpsc::Sender<(SealTicket, SealJob)>,
    sealed: mpsc::UnboundedReceiver<Input>,
}

impl SealPool {
    /// Starts `threads` workers; none are needed where the sender seals by itself.
    pub(crate) fn start(name: &str, threads: usize) -> io::Result<Self> {
        let (done, sealed) = mpsc::unbounded_channel();
        let (jobs, queue) = std::sync::mpsc::channel::<(SealTicket, SealJob)>();
        let queue = Arc::new(Mutex::new(queue));
        for index in 0..threads {
            let queue = Arc::clone(&queue);
            let done = done.clone();
            thread::Builder::new().name(format!("{name}-seal-{index}")).spawn(move || {
                loop {
                    // The lock is held while waiting: the next job wakes exactly one worker.
                    let job = queue.lock().recv();
                    let Ok((ticket, batch)) = job else { return };
                    if done.send(Input::Sealed { ticket, batch: batch.seal() }).is_err() {
                        return;
                    }
                }
            })?;
        }
        Ok(Self { jobs, sealed })
    }

    /// Queues one batch.
    pub(crate) fn seal(&self, ticket: SealTicket, batch: SealJob) {
        // Workers end only when this end is dropped; a batch that never comes back ends at its delivery timeout.
        drop(self.jobs.send((ticket, batch)));
    }

    /// A batch that is sealed by now.
    pub(crate) fn try_next(&mut self) -> Option<Input> {
        self.sealed.try_recv().ok()
    }

    /// The next sealed batch. Cancel-safe. Pends for ever without threads.
    pub(crate) async fn next(&mut self) -> Input {
        match self.sealed.recv().await {
            Some(input) => input,
            None => std::future::pending().await,
        }
    }
}
