//! The producer for plain threads.

use std::time::Duration;

use milena_accumulator::{Delivery, Pace, Receipt, Refused, Urgency};

use crate::block_on::block_on;
use crate::error::{CloseError, EnqueueError, FlushError, NotReady, Rejected, SendError};
use crate::{Producer, Purge, Record, TopicPartitions};

/// A view of a [`Producer`] whose calls park the thread instead of returning futures. Needs no async runtime.
///
/// Inside an async task these calls would block the executor's thread. Inside a delivery handler that is called by the I/O thread
/// ([`HandlerThread::Io`](crate::HandlerThread::Io)) they panic where they would have to wait.
#[derive(Clone, Copy, Debug)]
pub struct Blocking<'p>(&'p Producer);

impl Producer {
    /// The same producer, for plain threads.
    #[must_use]
    pub fn blocking(&self) -> Blocking<'_> {
        Blocking(self)
    }
}

impl Blocking<'_> {
    /// As [`Producer::enqueue`]. The [`Delivery`] has a blocking [`wait`](Delivery::wait).
    ///
    /// # Errors
    ///
    /// The record was not taken.
    #[inline(always)]
    pub fn enqueue<'a>(self, record: impl Into<Record<'a>>) -> Result<Delivery, EnqueueError> {
        match self.0.shared.enter(record.into(), Urgency::Linger, Pace::Sender) {
            Ok(delivery) => Ok(delivery),
            Err((refused, record)) => self.enqueue_after(refused, record),
        }
    }

    /// As [`Producer::try_enqueue`], which does not wait anyway.
    ///
    /// # Errors
    ///
    /// Hands the record back with the reason.
    #[expect(clippy::result_large_err, reason = "the record comes back as it was given, without an allocation")]
    #[inline(always)]
    pub fn try_enqueue<'a>(self, record: impl Into<Record<'a>>) -> Result<Delivery, Rejected<'a>> {
        self.0.try_enqueue(record)
    }

    /// As [`Producer::enqueue_with`].
    ///
    /// # Errors
    ///
    /// The record was not taken.
    #[inline(always)]
    pub fn enqueue_with<'a>(self, record: impl Into<Record<'a>>, token: u64) -> Result<(), EnqueueError> {
        match self.0.shared.enter_with_token(record.into(), Pace::Sender, token) {
            Ok(()) => Ok(()),
            Err((refused, record)) => self.enqueue_with_after(refused, record, token),
        }
    }

    #[cold]
    #[inline(never)]
    fn enqueue_after(self, refused: Refused, record: Record<'_>) -> Result<Delivery, EnqueueError> {
        let refused = self.0.shared.catch_up_blocking(refused, &record);
        block_on(self.0.append_after(refused, &record, Urgency::Linger))
    }

    #[cold]
    #[inline(never)]
    fn enqueue_with_after(self, refused: Refused, record: Record<'_>, token: u64) -> Result<(), EnqueueError> {
        let refused = self.0.shared.catch_up_blocking(refused, &record);
        block_on(self.0.append_with_token_after(refused, &record, token))
    }

    /// As [`Producer::send`].
    ///
    /// # Errors
    ///
    /// As [`Producer::send`].
    pub fn send<'a>(self, record: impl Into<Record<'a>>) -> Result<Receipt, SendError> {
        block_on(self.0.send(record))
    }

    /// As [`Producer::send_all`].
    pub fn send_all<'a, I>(self, records: I) -> Vec<Result<Receipt, SendError>>
    where
        I: IntoIterator,
        I::Item: Into<Record<'a>>,
    {
        block_on(self.0.send_all(records))
    }

    /// As [`Producer::flush`].
    ///
    /// # Errors
    ///
    /// As [`Producer::flush`].
    pub fn flush(self) -> Result<(), FlushError> {
        block_on(self.0.flush())
    }

    /// As [`Producer::close`].
    ///
    /// # Errors
    ///
    /// As [`Producer::close`].
    pub fn close(self, timeout: Duration) -> Result<(), CloseError> {
        block_on(self.0.close(timeout))
    }

    /// As [`Producer::wait_ready`].
    ///
    /// # Errors
    ///
    /// As [`Producer::wait_ready`].
    pub fn wait_ready(self, timeout: Duration) -> Result<(), NotReady> {
        block_on(self.0.wait_ready(timeout))
    }

    /// As [`Producer::prepare`].
    ///
    /// # Errors
    ///
    /// As [`Producer::prepare`].
    pub fn prepare(self, topics: &[&str], timeout: Duration) -> Result<(), NotReady> {
        block_on(self.0.prepare(topics, timeout))
    }

    /// As [`Producer::partitions_for`].
    ///
    /// # Errors
    ///
    /// As [`Producer::partitions_for`].
    pub fn partitions_for(self, topic: &str, timeout: Duration) -> Result<TopicPartitions, NotReady> {
        block_on(self.0.partitions_for(topic, timeout))
    }

    /// As [`Producer::purge`].
    ///
    /// # Errors
    ///
    /// As [`Producer::purge`].
    pub fn purge(self, what: Purge) -> Result<u64, FlushError> {
        block_on(self.0.purge(what))
    }
}
