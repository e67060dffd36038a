//! The way of a record from the caller into its batch. This is the path that every record takes, so it is all here.
//!
//! For a topic that is known and a batch that has room it costs: one comparison of the topic's name with this thread's last topic, the
//! choice of a partition, one lock, the encoding, and one reference count for the handle. It allocates nothing, reads no clock, makes no
//! `String`, and wakes nobody. The rest (`begin.rs`) is per batch, and for large records.
//!
//! What is `#[inline(always)]` here is so by measurement: it becomes one function per way to hear of an outcome, through which the record
//! goes in registers. Loops and rare calls of it are kept out of it (`enter_slowly`, `put_again`), since they bring it back to the stack.

use milena_wire::RecordSize;
use std::sync::Arc;

use crate::accumulator::Accumulator;
use crate::cell::BatchCell;
use crate::core::Core;
use crate::delivery::{Delivery, Sizes};
use crate::hooks::Tagged;
use crate::memory::Funds;
use crate::open::{OpenBatch, Place};
use crate::reserve::Reservation;
use crate::topic::{Target, Topic};
use crate::{Clock, RecordRef, Refused, Urgency};

/// A record on its way in.
pub(crate) struct Entry<'a> {
    pub(crate) record: &'a RecordRef<'a>,
    pub(crate) timestamp_ms: i64,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) urgency: Urgency,
}

/// How a record's caller will hear of its outcome.
pub(crate) trait Claim: Copy {
    /// What the caller gets at once.
    type Handle;

    /// What the report will call the record, if its caller waits for a report.
    fn token(self) -> Option<u64>;

    /// What the handle holds of its batch.
    type Stake;

    /// Taken before the record is written: a counter is counted up by an instruction that waits for all stores in front of it.
    fn stake(self, cell: &Arc<BatchCell>) -> Self::Stake;

    /// For a record that went to `index` of the batch and takes `total` bytes there.
    fn handle(self, stake: Self::Stake, index: u32, entry: &Entry<'_>, total: usize) -> Self::Handle;
}

/// By a [`Delivery`].
#[derive(Clone, Copy)]
pub(crate) struct ByHandle;

/// By a report that names this token.
#[derive(Clone, Copy)]
pub(crate) struct ByToken(pub(crate) u64);

/// Who pays for chunks.
pub(crate) enum Payer {
    Budget,
    Reserved(Reservation),
    /// For what must not wait.
    Forced,
}

/// Why a record did not go in.
pub(crate) enum Detour {
    /// The topic was described anew: look it up again.
    Stale,
    Refused(Refused),
}

impl Claim for ByHandle {
    type Handle = Delivery;

    #[inline]
    fn token(self) -> Option<u64> {
        None
    }

    type Stake = Arc<BatchCell>;

    #[inline(always)]
    fn stake(self, cell: &Arc<BatchCell>) -> Arc<BatchCell> {
        Arc::clone(cell)
    }

    #[inline(always)]
    fn handle(self, cell: Arc<BatchCell>, index: u32, entry: &Entry<'_>, total: usize) -> Delivery {
        Delivery::new(cell, index, Sizes::new(&entry.record.parts, total), entry.timestamp_ms)
    }
}

impl Claim for ByToken {
    type Handle = ();

    #[inline]
    fn token(self) -> Option<u64> {
        Some(self.0)
    }

    type Stake = ();

    #[inline]
    fn stake(self, _: &Arc<BatchCell>) {}

    #[inline]
    fn handle(self, (): (), _: u32, _: &Entry<'_>, _: usize) {}
}

impl Accumulator {
    /// Appends a record. `payer` outlives every lock taken here: dropping what is left of a reservation may wake others.
    #[inline(always)]
    pub(crate) fn enter<C: Claim>(
        &self,
        clock: &dyn Clock,
        record: &RecordRef<'_>,
        urgency: Urgency,
        payer: &mut Payer,
        claim: C,
    ) -> Result<C::Handle, Refused> {
        let timestamp_ms = match record.timestamp_ms {
            None => clock.wall_ms().max(0),
            Some(timestamp_ms) if timestamp_ms >= 0 => timestamp_ms,
            Some(timestamp_ms) => return Err(Refused::InvalidTimestamp { timestamp_ms }),
        };
        let entry = Entry { record, timestamp_ms, clock, urgency };
        let topic = match self.last_topic(record.topic) {
            Some(topic) => topic,
            None => self.find_topic(record.topic)?,
        };
        let Some(target) = topic.choose_quickly(record.partition, record.parts.key) else {
            return self.enter_slowly(topic, &entry, payer, claim);
        };
        let result = topic.put(target, &entry, payer, claim);
        self.keep(topic);
        result
    }

    /// For a topic whose partitions are not known, or whose partitioner takes its time.
    #[cold]
    fn enter_slowly<C: Claim>(
        &self,
        mut topic: Arc<Topic>,
        entry: &Entry<'_>,
        payer: &mut Payer,
        claim: C,
    ) -> Result<C::Handle, Refused> {
        loop {
            match topic.enter_slowly(entry, payer, claim) {
                Err(Detour::Stale) => topic = self.find_topic(entry.record.topic)?,
                Err(Detour::Refused(refused)) => return Err(refused),
                Ok(handle) => {
                    self.keep(topic);
                    return Ok(handle);
                }
            }
        }
    }
}

impl Topic {
    fn enter_slowly<C: Claim>(&self, entry: &Entry<'_>, payer: &mut Payer, claim: C) -> Result<C::Handle, Detour> {
        if self.queues.is_empty() {
            self.refuse_too_large(entry)?;
            return self.wait(entry, payer, claim);
        }
        let target = self.choose(entry.record.partition, &entry.record.parts)?;
        Ok(self.put_again(target, entry, payer, claim)?)
    }

    /// As [`put`](Self::put).
    #[cold]
    pub(crate) fn put_again<C: Claim>(
        &self,
        target: Target,
        entry: &Entry<'_>,
        payer: &mut Payer,
        claim: C,
    ) -> Result<C::Handle, Refused> {
        self.put(target, entry, payer, claim)
    }

    /// Writes a record into a partition's open batch.
    #[inline(always)]
    fn put<C: Claim>(
        &self,
        target: Target,
        entry: &Entry<'_>,
        payer: &mut Payer,
        claim: C,
    ) -> Result<C::Handle, Refused> {
        let limit = self.core.config.batch_size;
        let queue = &self.queues[target.partition as usize];
        let mut state = queue.lock();
        let refusing = state.refusing;
        let Some(open) = &mut state.open else { return self.begin(queue, state, target, entry, payer, claim) };
        let place = open.next(entry.timestamp_ms);
        let size = place.size(&entry.record.parts);
        if !open.has_room(size.total, limit) || size.total > self.core.small || refusing {
            return self.begin(queue, state, target, entry, payer, claim);
        }
        // The token's room first: for the record's a reservation is spent as far as it goes.
        let room = claim.token().is_none()
            || open.story.tokens.has_room()
            || open.story.tokens.grow(&self.core, size.total, payer.funds());
        if !room || !open.is_prepared(size.total) && !open.grow(&self.core, size.total, limit, payer.funds()) {
            return Err(self.lacks_memory(size.total, limit, claim));
        }
        let handle = write(&self.core, open, place, size, entry, claim);
        let tell = entry.urgency == Urgency::Now
            && !std::mem::replace(&mut open.urgent, true)
            && queue.announce(&mut state, true);
        drop(state);
        if tell {
            self.core.wake_sender();
        }
        if let Some(choice) = target.choice() {
            self.sticky.used(choice, size.total, self.core.config.sticky_bytes, self);
        }
        Ok(handle)
    }
}

#[inline(always)]
pub(crate) fn write<C: Claim>(
    core: &Core,
    open: &mut OpenBatch,
    place: Place,
    size: RecordSize,
    entry: &Entry<'_>,
    claim: C,
) -> C::Handle {
    let stake = claim.stake(open.story.cell());
    open.put(place, size, entry.timestamp_ms, &entry.record.parts);
    told(core, open, place, size, entry, claim, stake)
}

/// Sees to it that the record's caller will hear of its outcome.
#[inline(always)]
pub(crate) fn told<C: Claim>(
    core: &Core,
    open: &mut OpenBatch,
    place: Place,
    size: RecordSize,
    entry: &Entry<'_>,
    claim: C,
    stake: C::Stake,
) -> C::Handle {
    if let Some(token) = claim.token() {
        let tagged = Tagged { token, timestamp_ms: entry.timestamp_ms, index: place.index };
        open.story.tokens.push(&core.memory, tagged);
    }
    claim.handle(stake, place.index, entry, size.total)
}

impl Payer {
    pub(crate) fn funds(&mut self) -> Funds<'_> {
        match self {
            Self::Budget => Funds::Budget,
            Self::Reserved(reservation) => Funds::Reserved(reservation.funds()),
            Self::Forced => Funds::Forced,
        }
    }
}

impl From<Refused> for Detour {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}
