//! Failures that nobody looked at: counted, reported once, never lost.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::{fmt, io, thread};

use milena_accumulator::{BatchReport, Failure, Hooks};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::error::UnobservedFailures;

/// Hears of deliveries and failures on a thread of its own, which may block or panic without harm to any delivery.
///
/// For records that were enqueued with a token ([`enqueue_with`](crate::Producer::enqueue_with)) instead of a handle.
pub trait DeliveryHandler: Send + Sync + 'static {
    /// All records of one batch that carry tokens have their outcome.
    ///
    /// The batch's memory counts against `buffer_memory` until the last copy of `report` is dropped: a handler that lags
    /// behind makes callers wait, and does not fill the process's memory.
    fn on_batch(&self, report: BatchReport);

    /// `records` failed and their [`Delivery`](crate::Delivery) had been dropped. By default an error event is logged.
    fn on_unobserved(&self, failure: &Arc<Failure>, records: u32) {
        log_unobserved(failure, records);
    }
}

/// A handler that others share.
impl<T: DeliveryHandler + ?Sized> DeliveryHandler for Arc<T> {
    fn on_batch(&self, report: BatchReport) {
        (**self).on_batch(report);
    }

    fn on_unobserved(&self, failure: &Arc<Failure>, records: u32) {
        (**self).on_unobserved(failure, records);
    }
}

/// The handler of a producer that was given none.
#[derive(Debug)]
pub(crate) struct LogOnly;

impl DeliveryHandler for LogOnly {
    fn on_batch(&self, _: BatchReport) {}
}

fn log_unobserved(failure: &Failure, records: u32) {
    tracing::error!(records, fate = ?failure.fate, "records failed and nobody was waiting for their outcome: {failure}");
}

enum Notice {
    Report(BatchReport),
    Unobserved(Arc<Failure>, u32),
}

/// The accumulator's ear: wakes the driver, keeps the account of unobserved failures, feeds the handler's thread.
pub(crate) struct Watch {
    pub(crate) wake: Notify,
    unseen: Mutex<Option<UnobservedFailures>>,
    /// Unbounded, because each notice holds its batch's memory until it was handled: `buffer_memory` is the bound.
    notices: Mutex<Sender<Notice>>,
}

impl Watch {
    /// Starts the handler's thread, which ends with the last reference to the watch.
    pub(crate) fn start(name: &str, handler: Arc<dyn DeliveryHandler>) -> io::Result<Arc<Self>> {
        let (notices, queue) = channel();
        thread::Builder::new().name(format!("{name}-handler")).spawn(move || listen(&queue, &*handler))?;
        Ok(Arc::new(Self { wake: Notify::new(), unseen: Mutex::new(None), notices: Mutex::new(notices) }))
    }

    /// Takes the unobserved failures since the last call, whichever clone made it.
    pub(crate) fn take_unobserved(&self) -> Option<UnobservedFailures> {
        self.unseen.lock().take()
    }

    fn tell(&self, notice: Notice) {
        // The thread outlives every sender; it cannot be gone.
        drop(self.notices.lock().send(notice));
    }
}

impl Hooks for Watch {
    fn wake(&self) {
        self.wake.notify_one();
    }

    fn report(&self, report: BatchReport) {
        self.tell(Notice::Report(report));
    }

    fn unobserved(&self, failure: &Arc<Failure>, records: u32) {
        {
            let mut unseen = self.unseen.lock();
            match &mut *unseen {
                Some(failures) => failures.records += u64::from(records),
                None => *unseen = Some(UnobservedFailures { records: records.into(), first: Arc::clone(failure) }),
            }
        }
        self.tell(Notice::Unobserved(Arc::clone(failure), records));
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

fn listen(queue: &Receiver<Notice>, handler: &dyn DeliveryHandler) {
    while let Ok(notice) = queue.recv() {
        let told = catch_unwind(AssertUnwindSafe(|| match notice {
            Notice::Report(report) => handler.on_batch(report),
            Notice::Unobserved(failure, records) => handler.on_unobserved(&failure, records),
        }));
        if told.is_err() {
            tracing::error!("a delivery handler panicked; the records it was told of keep their outcome");
        }
    }
}
