use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use milena_wire::{Offset, PartitionId, RecordParts, TopicName};

use crate::cell::{BatchCell, Status};
use crate::park;
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
    cell: Arc<BatchCell>,
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
        Self { cell, index, seat: Seat::NONE, heard: false, sizes, timestamp_ms }
    }

    /// The batch that holds the record now: the last of those it was moved to.
    pub(crate) fn cell(&self) -> &Arc<BatchCell> {
        let (mut cell, mut index) = (&self.cell, self.index);
        while let Status::Moved(next, there) = cell.status(index) {
            (cell, index) = (next, there);
        }
        cell
    }

    /// Whether the outcome is known, so that neither awaiting nor waiting will take any time.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let (mut cell, mut index) = (&self.cell, self.index);
        loop {
            match cell.status(index) {
                Status::Open => return false,
                Status::Settled(_) => return true,
                Status::Moved(next, there) => (cell, index) = (next, there),
            }
        }
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
    pub fn wait(mut self) -> Result<Receipt, DeliveryError> {
        // Once its batch is settled, a record's outcome costs neither a lock nor an allocation.
        match self.hear() {
            Some(result) => result,
            None => park::block_on(&mut self),
        }
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

    /// The outcome, if it is known.
    fn hear(&mut self) -> Option<Result<Receipt, DeliveryError>> {
        loop {
            match self.cell.status(self.index) {
                Status::Open => return None,
                Status::Settled(outcome) => {
                    self.heard = true;
                    return Some(self.result(outcome));
                }
                Status::Moved(..) => self.follow(),
            }
        }
    }

    /// Moves on with the record, if it went to another batch.
    fn follow(&mut self) {
        while let Status::Moved(cell, index) = self.cell.status(self.index) {
            let next = Arc::clone(cell);
            self.index = index;
            self.cell = next;
            self.seat = Seat::NONE;
        }
    }

    /// Whether the outcome is known; if not, the task is woken when it is worth another look.
    fn poll_settled(&mut self, cx: &Context<'_>) -> bool {
        loop {
            self.follow();
            if matches!(self.cell.status(self.index), Status::Settled(_)) {
                return true;
            }
            self.cell.register(cx.waker(), &mut self.seat);
            // News may have come between the look and the registration.
            if matches!(self.cell.status(self.index), Status::Open) {
                return false;
            }
        }
    }

    fn result(&self, outcome: &Outcome) -> Result<Receipt, DeliveryError> {
        let size = |n: i32| usize::try_from(n).ok();
        match outcome {
            Outcome::Failed(failure) => Err(DeliveryError(Arc::clone(failure))),
            Outcome::Delivered { .. } | Outcome::Unacknowledged => Ok(Receipt {
                topic: self.cell.home().topic.clone(),
                // Only failures befall a record that has no partition yet.
                partition: self.cell.home().partition.unwrap_or(PartitionId(-1)),
                offset: outcome.offset_of(self.index),
                timestamp_ms: outcome.timestamp_of(self.timestamp_ms),
                acknowledged: matches!(outcome, Outcome::Delivered { .. }),
                key_size: size(self.sizes.key),
                value_size: size(self.sizes.value),
                encoded_size: self.sizes.encoded as usize,
            }),
        }
    }
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
        if !self.heard {
            self.cell.abandon(self.index);
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Delivery({} of {:?})", self.index, self.cell)
    }
}

/// A record was delivered, or was handed over without asking for an answer.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Receipt {
    /// Its topic.
    pub topic: TopicName,
    /// Its partition.
    pub partition: PartitionId,
    /// Its place in the log; unknown without an answer, and when the broker recognised a duplicate and did not say.
    pub offset: Option<Offset>,
    /// Milliseconds since 1970: the broker's if the topic uses log append time, else the record's own.
    pub timestamp_ms: i64,
    /// Whether a broker acknowledged it. Without (`acks=0`) it may be lost.
    pub acknowledged: bool,
    /// Bytes of the key; none for a null key.
    pub key_size: Option<usize>,
    /// Bytes of the value; none for a null value.
    pub value_size: Option<usize>,
    /// Bytes of the record when it was appended, uncompressed. It can be a few more or less in the batch that carried it, if the record
    /// waited for its topic to become known or its batch was split.
    pub encoded_size: usize,
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
