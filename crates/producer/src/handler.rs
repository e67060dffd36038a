//! What a user's own code hears of deliveries, beside the handles.

use std::sync::Arc;

use milena_accumulator::{BatchReport, Failure};

/// Hears of deliveries and failures on a thread of its own, which may block or panic without harm to any delivery.
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

pub(crate) fn log_unobserved(failure: &Failure, records: u32) {
    tracing::error!(records, fate = ?failure.fate, "records failed and nobody was waiting for their outcome: {failure}");
}
