use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use milena_wire::{Offset, PartitionId, RecordParts, TopicName};

use crate::cell::{BatchCell, Place, Status};
use crate::park;
use crate::receipt::{Receipt, ReceiptTopic};
use crate::stake::Stake;
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
    stake: Stake,
    timestamp_ms: i64,
    sizes: Sizes,
    /// Among the waiters of the batch that the record was in when this was polled last.
    seat: Seat,
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
    pub(crate) fn new(parts: &RecordParts<'_>, encoded: u32) -> Self {
        // Records of 2 GiB and more were refused before.
        let size = |field: Option<&[u8]>| field.map_or(-1, |bytes| i32::try_from(bytes.len()).unwrap_or(i32::MAX));
        Self { key: size(parts.key), value: size(parts.value), encoded }
    }
}

impl Delivery {
    #[inline]
    pub(crate) fn new(stake: Stake, sizes: Sizes, timestamp_ms: i64) -> Self {
        Self { stake, timestamp_ms, sizes, seat: Seat::NONE }
    }

    /// The batch that holds the record now: the last of those it was moved to.
    pub(crate) fn cell(&self) -> Arc<BatchCell> {
        Arc::clone(self.stake.cell().follow(self.stake.index()).cell)
    }

    /// Whether the outcome is known, so that neither awaiting nor waiting will take any time.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.stake.cell().follow(self.stake.index()).status(), Status::Settled(_))
    }

    /// Waits until the outcome is known, and leaves it for whoever awaits this handle or drops it.
    ///
    /// For who waits for many records and wants to hear of all or none: what is dropped after this was not heard.
    pub fn settled(&mut self) -> impl Future<Output = ()> + Unpin {
        let cell = self.stake.cell();
        poll_fn(move |cx| if self.poll_settled(&cell, cx) { Poll::Ready(()) } else { Poll::Pending })
    }

    /// Waits on this thread for the outcome. Not for use in async code, whose executor it would block.
    ///
    /// # Errors
    ///
    /// [`DeliveryError`] if the record was not delivered.
    #[inline]
    pub fn wait(mut self) -> Result<Receipt, DeliveryError> {
        // Once its batch is settled, a record's outcome costs no allocation, and neither a lock nor a reference count if this thread has just
        // heard of another record of that batch.
        match self.acknowledged() {
            Some(acknowledged) => Ok(self.receipt(acknowledged)),
            None => self.wait_long(),
        }
    }

    #[cold]
    fn wait_long(mut self) -> Result<Receipt, DeliveryError> {
        let cell = self.stake.cell();
        match self.hear(&cell) {
            Some(result) => {
                self.stake.give_back(cell);
                result
            }
            None => park::block_on(&mut self),
        }
    }

    /// Waits on this thread for the outcome, at most for `timeout`.
    ///
    /// # Errors
    ///
    /// The handle comes back if nothing is known in time; the record is still on its way.
    pub fn wait_timeout(mut self, timeout: Duration) -> Result<Result<Receipt, DeliveryError>, Self> {
        let cell = self.stake.cell();
        match self.hear(&cell) {
            Some(result) => Ok(result),
            None => park::block_on_for(&mut self, timeout).ok_or(self),
        }
    }

    /// What a receipt is made of, if the record was delivered and this thread has just heard of another of its batch.
    ///
    /// No result yet: one that is handed on from place to place is copied each time, and a copy of what was just written waits until all
    /// stores in front of it are done.
    #[inline(always)]
    fn acknowledged(&self) -> Option<Acknowledged> {
        self.stake.look(|place| match place.status() {
            Status::Settled(outcome) => Acknowledged::of(outcome, place, self.timestamp_ms),
            Status::Open | Status::Moved(..) => None,
        })?
    }

    /// The outcome, if it is known to `cell`, in which the record was at first.
    fn hear(&mut self, cell: &Arc<BatchCell>) -> Option<Result<Receipt, DeliveryError>> {
        let place = cell.follow(self.stake.index());
        let Status::Settled(outcome) = place.status() else { return None };
        if let Outcome::Failed(failure) = outcome {
            self.stake.set_heard();
            return Some(Err(DeliveryError(Arc::clone(failure))));
        }
        Some(Ok(self.receipt(Acknowledged::of(outcome, place, self.timestamp_ms)?)))
    }

    #[cold]
    fn poll_long(&mut self, cx: &Context<'_>) -> Poll<Result<Receipt, DeliveryError>> {
        let cell = self.stake.cell();
        let settled = self.poll_settled(&cell, cx).then(|| self.hear(&cell));
        settled.flatten().map_or(Poll::Pending, Poll::Ready)
    }

    /// Whether the outcome is known; if not, the task is woken when it is worth another look.
    fn poll_settled(&mut self, cell: &Arc<BatchCell>, cx: &Context<'_>) -> bool {
        loop {
            let place = cell.follow(self.stake.index());
            if matches!(place.status(), Status::Settled(_)) {
                return true;
            }
            self.seat.set_moves(place.moves);
            place.cell.register(cx.waker(), &mut self.seat);
            // News may have come between the look and the registration.
            if matches!(place.status(), Status::Open) {
                return false;
            }
        }
    }

    #[inline(always)]
    fn receipt(&mut self, acknowledged: Acknowledged) -> Receipt {
        self.stake.set_heard();
        let size = |n: i32| usize::try_from(n).ok();
        let Acknowledged { topic, partition, offset, timestamp_ms, by_a_broker } = acknowledged;
        Receipt {
            topic: ReceiptTopic::of(topic),
            partition,
            offset,
            timestamp_ms,
            acknowledged: by_a_broker,
            key_size: size(self.sizes.key),
            value_size: size(self.sizes.value),
            encoded_size: self.sizes.encoded as usize,
        }
    }
}

/// What a batch's outcome says of one of its records that was delivered.
#[derive(Clone, Copy)]
struct Acknowledged {
    topic: &'static TopicName,
    partition: PartitionId,
    offset: Option<Offset>,
    timestamp_ms: i64,
    by_a_broker: bool,
}

impl Acknowledged {
    #[inline(always)]
    fn of(outcome: &Outcome, place: Place<'_>, timestamp_ms: i64) -> Option<Self> {
        let home = place.cell.home();
        let by_a_broker = match outcome {
            Outcome::Failed(_) => return None,
            Outcome::Delivered { .. } => true,
            Outcome::Unacknowledged => false,
        };
        Some(Self {
            topic: home.topic,
            // Only failures befall a record that has no partition yet.
            partition: home.partition.unwrap_or(PartitionId(-1)),
            offset: outcome.offset_of(place.index),
            timestamp_ms: outcome.timestamp_of(timestamp_ms),
            by_a_broker,
        })
    }
}

impl Future for Delivery {
    type Output = Result<Receipt, DeliveryError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.acknowledged() {
            Some(acknowledged) => Poll::Ready(Ok(self.receipt(acknowledged))),
            None => self.poll_long(cx),
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cell = self.stake.cell();
        let place = cell.follow(self.stake.index());
        write!(f, "Delivery({} of {:?})", place.index, place.cell)
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
