use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use milena_wire::{Offset, PartitionId, RecordParts};

use crate::cell::{BatchCell, Status};
use crate::park;
use crate::receipt::{Receipt, ReceiptTopic};
use crate::waiters::Seat;
use crate::{Failure, FailureKind, Fate, Outcome};

/// The outcome of one record, to come.
///
/// Await it, or [`wait`](Self::wait) for it on a plain thread. Dropping it does not take the record back; if the record then fails, the
/// failure counts as unobserved (see [`Hooks::unobserved`](crate::Hooks::unobserved)).
///
/// # Cancel safety
///
/// A future that awaits `&mut Delivery` can be dropped at any time and nothing is lost.
#[must_use = "a record is queued, not delivered: await this to learn what became of it"]
pub struct Delivery {
    /// None only while [`wait`](Self::wait) ends.
    cell: Option<Arc<BatchCell>>,
    index: u32,
    /// Among the waiters of `cell`.
    seat: Seat,
    /// The outcome was handed out.
    heard: bool,
    sizes: Sizes,
    timestamp_ms: i64,
}

/// Encoded sizes of a record; a null is -1.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    key: i32,
    value: i32,
    encoded: u32,
}

impl Sizes {
    #[inline]
    pub(crate) fn new(parts: &RecordParts<'_>, encoded: usize) -> Self {
        // Records of 2 GiB and more were refused before.
        let size = |field: Option<&[u8]>| field.map_or(-1, |bytes| i32::try_from(bytes.len()).unwrap_or(i32::MAX));
        Self { key: size(parts.key), value: size(parts.value), encoded: u32::try_from(encoded).unwrap_or(u32::MAX) }
    }
}

impl Delivery {
    #[inline]
    pub(crate) fn new(cell: Arc<BatchCell>, index: u32, sizes: Sizes, timestamp_ms: i64) -> Self {
        Self { cell: Some(cell), index, seat: Seat::NONE, heard: false, sizes, timestamp_ms }
    }

    /// The batch that holds the record now: the last of those it was moved to.
    pub(crate) fn cell(&self) -> Option<&Arc<BatchCell>> {
        self.place().map(|(cell, _)| cell)
    }

    /// Where the record is now.
    #[inline]
    fn place(&self) -> Option<(&Arc<BatchCell>, u32)> {
        let (mut cell, mut index) = (self.cell.as_ref()?, self.index);
        while let Status::Moved(next, there) = cell.status(index) {
            (cell, index) = (next, there);
        }
        Some((cell, index))
    }

    /// Whether the outcome is known, so that neither awaiting nor waiting will take any time.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.place().is_some_and(|(cell, index)| matches!(cell.status(index), Status::Settled(_)))
    }

    /// Waits until the outcome is known, and leaves it for whoever awaits this handle or drops it.
    ///
    /// For who waits for many records and wants to hear of all or none: what is dropped after this was not heard.
    pub fn settled(&mut self) -> impl Future<Output = ()> + Unpin {
        poll_fn(|cx| if self.poll_settled(cx) { Poll::Ready(()) } else { Poll::Pending })
    }

    /// Waits on this thread for the outcome. Not for use in async code, whose executor it would block.
    ///
    /// # Errors
    ///
    /// [`DeliveryError`] if the record was not delivered.
    #[inline]
    pub fn wait(mut self) -> Result<Receipt, DeliveryError> {
        // Once its batch is settled, a record's outcome costs neither a lock nor an allocation, and its receipt gets the handle's own reference.
        if let Some((_, Status::Settled(outcome))) = self.status() {
            let acknowledged = match self.acknowledged(outcome) {
                Ok(acknowledged) => acknowledged,
                Err(error) => return self.fail(error),
            };
            if let Some(cell) = self.cell.take() {
                return Ok(self.receipt(acknowledged, cell));
            }
        }
        self.wait_long()
    }

    /// Ends [`wait`](Self::wait) with the error that was heard.
    #[cold]
    fn fail(mut self, error: DeliveryError) -> Result<Receipt, DeliveryError> {
        self.heard = true;
        Err(error)
    }

    #[cold]
    fn wait_long(mut self) -> Result<Receipt, DeliveryError> {
        park::block_on(&mut self)
    }

    /// Waits on this thread for the outcome, at most for `timeout`.
    ///
    /// # Errors
    ///
    /// The handle comes back if nothing is known in time; the record is still on its way.
    pub fn wait_timeout(mut self, timeout: Duration) -> Result<Result<Receipt, DeliveryError>, Self> {
        match self.hear() {
            Some(result) => Ok(result),
            None => park::block_on_for(&mut self, timeout).ok_or(self),
        }
    }

    /// The batch that the handle knows of, and what that knows of the record.
    #[inline]
    fn status(&self) -> Option<(&Arc<BatchCell>, Status<'_>)> {
        self.cell.as_ref().map(|cell| (cell, cell.status(self.index)))
    }

    /// The outcome, if it is known.
    fn hear(&mut self) -> Option<Result<Receipt, DeliveryError>> {
        self.follow();
        let (cell, Status::Settled(outcome)) = self.status()? else { return None };
        let result = self.acknowledged(outcome).map(|acknowledged| self.receipt(acknowledged, Arc::clone(cell)));
        self.heard = true;
        Some(result)
    }

    /// Moves on with the record, if it went to another batch.
    fn follow(&mut self) {
        while let Some((_, Status::Moved(cell, index))) = self.status() {
            let next = Arc::clone(cell);
            self.index = index;
            self.cell = Some(next);
            self.seat = Seat::NONE;
        }
    }

    /// Whether the outcome is known; if not, the task is woken when it is worth another look.
    fn poll_settled(&mut self, cx: &Context<'_>) -> bool {
        loop {
            self.follow();
            let Some(cell) = &self.cell else { return true };
            if matches!(cell.status(self.index), Status::Settled(_)) {
                return true;
            }
            cell.register(cx.waker(), &mut self.seat);
            // News may have come between the look and the registration.
            if matches!(cell.status(self.index), Status::Open) {
                return false;
            }
        }
    }

    /// What `outcome` says of this record.
    #[inline(always)]
    fn acknowledged(&self, outcome: &Outcome) -> Result<Acknowledged, DeliveryError> {
        match outcome {
            Outcome::Failed(failure) => Err(DeliveryError(Arc::clone(failure))),
            Outcome::Delivered { .. } | Outcome::Unacknowledged => Ok(Acknowledged {
                offset: outcome.offset_of(self.index),
                timestamp_ms: outcome.timestamp_of(self.timestamp_ms),
                by_a_broker: matches!(outcome, Outcome::Delivered { .. }),
            }),
        }
    }

    #[inline(always)]
    fn receipt(&self, acknowledged: Acknowledged, cell: Arc<BatchCell>) -> Receipt {
        let size = |n: i32| usize::try_from(n).ok();
        let Acknowledged { offset, timestamp_ms, by_a_broker } = acknowledged;
        Receipt {
            // Only failures befall a record that has no partition yet.
            partition: cell.home().partition.unwrap_or(PartitionId(-1)),
            offset,
            timestamp_ms,
            acknowledged: by_a_broker,
            key_size: size(self.sizes.key),
            value_size: size(self.sizes.value),
            encoded_size: self.sizes.encoded as usize,
            topic: ReceiptTopic::of(cell),
        }
    }
}

/// What a batch's outcome says of one of its records. Taken from it before the reference to the batch goes to the receipt.
struct Acknowledged {
    offset: Option<Offset>,
    timestamp_ms: i64,
    by_a_broker: bool,
}

impl Future for Delivery {
    type Output = Result<Receipt, DeliveryError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.hear() {
            Some(result) => Poll::Ready(result),
            None if self.poll_settled(cx) => self.hear().map_or(Poll::Pending, Poll::Ready),
            None => Poll::Pending,
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(cell) = self.cell.as_ref().filter(|_| !self.heard) {
            cell.abandon(self.index);
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Delivery({} of {:?})", self.index, self.cell)
    }
}

/// A record was not delivered; [`fate`](Self::fate) says whether it can be on the log nevertheless.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeliveryError(Arc<Failure>);

impl DeliveryError {
    /// Whether the record can be on the log.
    #[must_use]
    pub fn fate(&self) -> Fate {
        self.0.fate
    }

    /// The reason in one word.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        self.0.kind
    }

    /// All that is known.
    #[must_use]
    pub fn failure(&self) -> &Arc<Failure> {
        &self.0
    }
}

impl From<Arc<Failure>> for DeliveryError {
    fn from(failure: Arc<Failure>) -> Self {
        Self(failure)
    }
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl std::error::Error for DeliveryError {}
