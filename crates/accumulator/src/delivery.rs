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

/// Encoded sizes of a record.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    /// The key's in the upper half, the value's in the lower: one word, as it will be moved. Two halves that were written one by one and are
    /// read as a word are awaited, and all stores in front of them.
    fields: u64,
    encoded: u32,
}

impl Sizes {
    /// A field that is null; records of 2 GiB and more were refused before.
    const NULL: u64 = u32::MAX as u64;

    #[inline]
    pub(crate) fn new(parts: &RecordParts<'_>, encoded: u32) -> Self {
        let size = |field: Option<&[u8]>| field.map_or(Self::NULL, |bytes| bytes.len() as u64);
        Self { fields: size(parts.key) << 32 | size(parts.value), encoded }
    }

    #[inline]
    fn key(self) -> Option<usize> {
        Self::field(self.fields >> 32)
    }

    #[inline]
    fn value(self) -> Option<usize> {
        Self::field(self.fields & Self::NULL)
    }

    #[inline]
    fn field(size: u64) -> Option<usize> {
        if size == Self::NULL { None } else { usize::try_from(size).ok() }
    }

    #[inline(always)]
    fn receipt(self, acknowledged: Acknowledged) -> Receipt {
        let Acknowledged { topic, partition, offset, timestamp_ms, by_a_broker } = acknowledged;
        Receipt {
            topic: ReceiptTopic::of(topic),
            partition,
            offset,
            timestamp_ms,
            acknowledged: by_a_broker,
            key_size: self.key(),
            value_size: self.value(),
            encoded_size: self.encoded as usize,
        }
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
    ///
    /// # Panics
    ///
    /// If it would have to wait where outcomes are made known: in a delivery handler that is called by the I/O thread.
    #[inline]
    pub fn wait(mut self) -> Result<Receipt, DeliveryError> {
        // Once its batch is settled, a record's outcome costs no allocation, and neither a lock nor a reference count if this thread has just
        // heard of another record of that batch.
        let timestamp_ms = self.timestamp_ms;
        match self.stake.look_last(|place| Acknowledged::at(place, timestamp_ms)) {
            Some(acknowledged) => Ok(self.sizes.receipt(acknowledged)),
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
    ///
    /// # Panics
    ///
    /// As [`wait`](Self::wait).
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
        self.stake.look(|place| Acknowledged::at(place, self.timestamp_ms))?
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
        self.sizes.receipt(acknowledged)
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
    /// If the outcome of the record there is known, and is that.
    #[inline(always)]
    fn at(place: Place<'_>, timestamp_ms: i64) -> Option<Self> {
        match place.status() {
            Status::Settled(outcome) => Self::of(outcome, place, timestamp_ms),
            Status::Open | Status::Moved(..) => None,
        }
    }

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
