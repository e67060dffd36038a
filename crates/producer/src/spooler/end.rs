//! The end of the spool's thread, a panic included: nobody waits for it afterwards, and nothing it had is without an outcome.

use std::sync::Arc;
use std::thread;

use milena_accumulator::{Diverted, Failure, Fate, Outcome};

use super::{Item, Spooler, Tools};
use crate::watch::Watch;

/// Dropped last of what the thread has.
pub(super) struct End {
    spooler: Arc<Spooler>,
    watch: Arc<Watch>,
}

impl End {
    pub(super) fn new(spooler: Arc<Spooler>, tools: &Tools) -> Self {
        Self { spooler, watch: Arc::clone(&tools.watch) }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if thread::panicking() {
            let dir = self.spooler.policy.dir.display();
            tracing::error!(
                "the thread of the spool {dir} panicked: nothing is kept or replayed any more, and records behind those in there fail, \
                 until the program is started again"
            );
            self.spooler.health.lock().gone = true;
        }
        let (ended, closers) = loop {
            let mut state = self.spooler.state.lock();
            let Some(item) = state.queue.pop_front() else {
                state.silent = true;
                break (state.ended, std::mem::take(&mut state.closers));
            };
            // Who waits for anything else hears of it as that is dropped.
            let Item::Batch(batch) = item else { continue };
            state.pending -= batch.count().as_usize() as u64;
            drop(state);
            self.spooler.note_cut_off(&batch);
            self.watch.fail_unkept(batch);
        };
        if ended {
            self.watch.end_telling();
        }
        for closer in closers {
            // Who waited may have given up.
            let _ = closer.send(());
        }
    }
}

/// The batch that is being written. If that panics it may be in the spool or not, and what is there is sent some day.
pub(super) struct InHand<'a>(pub(super) &'a mut Diverted);

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let mut failure = Failure::clone(self.0.failure());
            failure.fate = Fate::MaybeWritten;
            self.0.settle(Outcome::Failed(Arc::new(failure)));
        }
    }
}
