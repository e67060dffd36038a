//! What a user's own code hears of deliveries, beside the handles.

use std::sync::Arc;

use milena_accumulator::{BatchReport, Failure};

/// Hears of deliveries and failures, on a thread of its own unless it asks for another: there it may block or panic without harm to any
/// delivery.
///
/// For records that were enqueued with a token ([`enqueue_with`](crate::Producer::enqueue_with)) instead of a handle.
/// [`flush`](crate::Producer::flush) and [`close`](crate::Producer::close) return after it has heard of everything that
/// was settled by then. It is dropped when the producer has ended and it has heard of everything.
pub trait DeliveryHandler: Send + Sync + 'static {
    /// All records of one batch that carry tokens have their outcome.
    ///
    /// The batch's memory counts against `buffer_memory` until the last copy of `report` is dropped: a handler that lags
    /// behind makes callers wait, and does not fill the process's memory.
    fn on_batch(&self, report: BatchReport);

    /// `records` failed for this reason and their [`Delivery`](crate::Delivery) had been dropped. Handles that are dropped
    /// one after the other are told of together. By default an error event is logged.
    fn on_unobserved(&self, failure: &Arc<Failure>, records: u32) {
        log_unobserved(failure, records);
    }

    /// Where [`on_batch`](Self::on_batch) is called. Asked once, when the producer is built. By default on a thread of the handler's own.
    fn thread(&self) -> HandlerThread {
        HandlerThread::Own
    }
}

/// Who calls [`DeliveryHandler::on_batch`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum HandlerThread {
    /// A thread of the handler's own. It may take long, block, and wait for this producer. The default.
    #[default]
    Own,
    /// The thread that drives the producer's sockets ([`Io`](crate::Io)), as soon as it has dealt with a broker's answer; as Java's client does.
    ///
    /// No thread has to be woken, which takes longer than all else that the client does for an acknowledgement (`docs/performance.md`). But until
    /// the call returns nothing is sent and no answer is read: it should take microseconds, and hand on what takes longer. A panic in it is caught
    /// as on a thread of its own. What would have to wait for the producer, like a `blocking()` call that finds no memory, panics instead of
    /// waiting for ever; [`try_enqueue`](crate::Producer::try_enqueue) does not wait.
    ///
    /// What another thread settles, as when records come back from a spool, is told on the handler's own thread all the same, and so is
    /// [`on_unobserved`](DeliveryHandler::on_unobserved): both threads may call at once.
    Io,
}

/// A handler that others share.
impl<T: DeliveryHandler + ?Sized> DeliveryHandler for Arc<T> {
    fn on_batch(&self, report: BatchReport) {
        (**self).on_batch(report);
    }

    fn on_unobserved(&self, failure: &Arc<Failure>, records: u32) {
        (**self).on_unobserved(failure, records);
    }

    fn thread(&self) -> HandlerThread {
        (**self).thread()
    }
}

/// The handler of a producer that was given none.
#[derive(Debug)]
pub(crate) struct LogOnly;

impl DeliveryHandler for LogOnly {
    fn on_batch(&self, _: BatchReport) {}
}

pub(crate) fn log_unobserved(failure: &Failure, records: u32) {
    tracing::error!(records, fate = ?failure.fate, "records failed and nobody was waiting for their outcome: {failure}");
}
