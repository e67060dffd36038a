//! The way of a record from the caller into its batch. This is the path that every record takes, so it is all here.
//!
//! For a topic that is known and a batch that has room (`enter_quickly`) it costs: one comparison of the topic's name with this thread's last
//! topic, the choice of a partition, one lock, and the encoding. It allocates nothing, counts no reference, reads no clock, makes no `String`,
//! and wakes nobody. The rest (`enter_slowly`, `begin.rs`) is per batch, for large records, and for whoever has to wait.
//!
//! What bounds it is no count of instructions: the lock waits until the processor has finished the stores in front of it, and so does every
//! read that is wider than the write it reads from. Hence the shapes here, all by measurement (docs/performance.md): what goes from function to
//! function fits two registers, the handle is made last, and in the caller's own function.

use milena_wire::RecordSize;

use crate::accumulator::Accumulator;
use crate::core::Core;
use crate::delivery::{Delivery, Sizes};
use crate::hooks::Tagged;
use crate::memory::Funds;
use crate::open::{OpenBatch, Place};
use crate::reserve::Reservation;
use crate::stake::Promise;
use crate::story::Story;
use crate::topic::{Target, Topic};
use crate::{Clock, Pace, RecordRef, Refused, Urgency};

/// A record on its way in.
pub(crate) struct Entry<'a> {
    pub(crate) record: &'a RecordRef<'a>,
    pub(crate) timestamp_ms: i64,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) urgency: Urgency,
    pub(crate) pace: Pace,
}

/// How a record's caller will hear of its outcome.
pub(crate) trait Claim: Copy {
    /// What the caller gets at once.
    type Handle;

    /// What is known of the handle once the record is written.
    type Promise;

    /// What the report will call the record, if its caller waits for a report.
    fn token(self) -> Option<u64>;

    /// For a record that goes to `index` of a batch and takes `total` bytes there.
    fn promise(self, story: &mut Story, index: u32, total: usize) -> Self::Promise;

    fn handle(self, promise: Self::Promise, record: &RecordRef<'_>, timestamp_ms: i64) -> Self::Handle;
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
    type Promise = Promise;

    #[inline]
    fn token(self) -> Option<u64> {
        None
    }

    #[inline(always)]
    fn promise(self, story: &mut Story, index: u32, total: usize) -> Promise {
        story.promise(index, total)
    }

    #[inline(always)]
    fn handle(self, promise: Promise, record: &RecordRef<'_>, timestamp_ms: i64) -> Delivery {
        let sizes = Sizes::new(&record.parts, promise.total());
        Delivery::new(promise.keep(), sizes, timestamp_ms)
    }
}

impl Claim for ByToken {
    type Handle = ();
    type Promise = ();

    #[inline]
    fn token(self) -> Option<u64> {
        Some(self.0)
    }

    #[inline]
    fn promise(self, _: &mut Story, _: u32, _: usize) {}

    #[inline]
    fn handle(self, (): (), _: &RecordRef<'_>, _: i64) {}
}

impl Accumulator {
    /// Appends a record. `memory` pays for a chunk, if one is needed.
    ///
    /// All of this but `enter_quickly` becomes part of the caller's own code, so that the handle is made there where it will be: one that is
    /// handed on in memory is read again at once, by reads that are wider than the writes were and wait for all of them.
    #[inline(always)]
    pub(crate) fn enter<C: Claim>(
        &self,
        clock: &dyn Clock,
        record: &RecordRef<'_>,
        urgency: Urgency,
        pace: Pace,
        memory: Option<Reservation>,
        claim: C,
    ) -> Result<C::Handle, Refused> {
        let timestamp_ms = match record.timestamp_ms {
            None => clock.wall_ms().max(0),
            Some(timestamp_ms) if timestamp_ms >= 0 => timestamp_ms,
            Some(timestamp_ms) => return Err(Refused::InvalidTimestamp { timestamp_ms }),
        };
        match self.enter_quickly(record, timestamp_ms, urgency, claim) {
            Some(promise) => {
                let handle = claim.handle(promise, record, timestamp_ms);
                drop(memory);
                Ok(handle)
            }
            None => self.enter_slowly(&Entry { record, timestamp_ms, clock, urgency, pace }, memory, claim),
        }
    }

    /// Appends a record where all that is needed for it is there.
    #[inline(never)]
    fn enter_quickly<C: Claim>(
        &self,
        record: &RecordRef<'_>,
        timestamp_ms: i64,
        urgency: Urgency,
        claim: C,
    ) -> Option<C::Promise> {
        let topic = self.topic(record.topic).ok()?;
        let target = topic.choose_quickly(record.partition, record.parts.key);
        let promise = target.and_then(|target| topic.put_quickly(target, record, timestamp_ms, urgency, claim));
        self.keep(topic);
        promise
    }

    /// Appends any record.
    #[cold]
    #[inline(never)]
    fn enter_slowly<C: Claim>(
        &self,
        entry: &Entry<'_>,
        memory: Option<Reservation>,
        claim: C,
    ) -> Result<C::Handle, Refused> {
        // It outlives every lock that is taken here: dropping what is left of a reservation may wake others.
        let mut payer = memory.map_or(Payer::Budget, Payer::Reserved);
        loop {
            let topic = self.topic(entry.record.topic)?;
            let result = match topic.enter(entry, &mut payer, claim) {
                Err(Detour::Stale) => continue,
                Err(Detour::Refused(refused)) => Err(refused),
                Ok(handle) => Ok(handle),
            };
            self.keep(topic);
            return result;
        }
    }
}

impl Topic {
    /// Writes a record into a partition's open batch, if there is room, nothing to pay for and nobody to tell.
    #[inline(always)]
    fn put_quickly<C: Claim>(
        &self,
        target: Target,
        record: &RecordRef<'_>,
        timestamp_ms: i64,
        urgency: Urgency,
        claim: C,
    ) -> Option<C::Promise> {
        let queue = &self.queues[target.partition as usize];
        let mut tail = queue.lock();
        let refusing = tail.refusing;
        let open = tail.open.as_mut()?;
        let place = open.next(timestamp_ms);
        let size = place.size(&record.parts);
        let simple = open.has_room(size.total, self.core.config.batch_size)
            && open.is_prepared(size.total)
            && size.total <= self.core.small
            && (claim.token().is_none() || open.story.tokens.has_room())
            && (urgency == Urgency::Linger || open.urgent);
        if !simple || refusing {
            return None;
        }
        let promise = write(&self.core, open, place, size, record, timestamp_ms, claim);
        drop(tail);
        if let Some(choice) = target.choice() {
            self.sticky.used(choice, size.total, self.core.config.sticky_bytes, self);
        }
        Some(promise)
    }

    fn enter<C: Claim>(&self, entry: &Entry<'_>, payer: &mut Payer, claim: C) -> Result<C::Handle, Detour> {
        if self.queues.is_empty() {
            self.refuse_too_large(entry)?;
            return self.wait(entry, payer, claim);
        }
        let target = self.choose(entry.record.partition, &entry.record.parts)?;
        Ok(self.put(target, entry, payer, claim)?)
    }

    /// Writes a record into a partition's open batch, or begins one with it.
    pub(crate) fn put<C: Claim>(
        &self,
        target: Target,
        entry: &Entry<'_>,
        payer: &mut Payer,
        claim: C,
    ) -> Result<C::Handle, Refused> {
        let Entry { record, timestamp_ms, urgency, .. } = *entry;
        let limit = self.core.config.batch_size;
        let queue = &self.queues[target.partition as usize];
        let mut tail = queue.lock();
        // What was accepted before the end still goes in, batch by batch.
        let refusing = tail.refusing && !matches!(payer, Payer::Forced);
        let Some(open) = &mut tail.open else { return self.begin(queue, tail, target, entry, payer, claim) };
        let place = open.next(timestamp_ms);
        let size = place.size(&record.parts);
        if !open.has_room(size.total, limit) || size.total > self.core.small || refusing {
            return self.begin(queue, tail, target, entry, payer, claim);
        }
        if !make_room(&self.core, open, size.total, claim, payer) {
            return Err(self.lacks_memory(size.total, limit, claim));
        }
        let promise = write(&self.core, open, place, size, record, timestamp_ms, claim);
        let tell = urgency == Urgency::Now && !std::mem::replace(&mut open.urgent, true) && queue.announce(&tail, true);
        drop(tail);
        if tell {
            self.core.wake_sender();
        }
        if let Some(choice) = target.choice() {
            self.sticky.used(choice, size.total, self.core.config.sticky_bytes, self);
        }
        Ok(claim.handle(promise, record, timestamp_ms))
    }
}

/// Sees to it that a record of `total` bytes, and its token, can be written; `false` if the funds do not suffice.
pub(crate) fn make_room(core: &Core, open: &mut OpenBatch, total: usize, claim: impl Claim, payer: &mut Payer) -> bool {
    // The token's room first: for the record's a reservation is spent as far as it goes.
    let room =
        claim.token().is_none() || open.story.tokens.has_room() || open.story.tokens.grow(core, total, payer.funds());
    room && (open.is_prepared(total) || open.grow(core, total, core.config.batch_size, payer.funds()))
}

#[inline(always)]
pub(crate) fn write<C: Claim>(
    core: &Core,
    open: &mut OpenBatch,
    place: Place,
    size: RecordSize,
    record: &RecordRef<'_>,
    timestamp_ms: i64,
    claim: C,
) -> C::Promise {
    open.put(place, size, timestamp_ms, &record.parts);
    told(core, open, place, size, timestamp_ms, claim)
}

/// Sees to it that the record's caller will hear of its outcome.
#[inline(always)]
pub(crate) fn told<C: Claim>(
    core: &Core,
    open: &mut OpenBatch,
    place: Place,
    size: RecordSize,
    timestamp_ms: i64,
    claim: C,
) -> C::Promise {
    if let Some(token) = claim.token() {
        open.story.tokens.push(&core.memory, Tagged { token, timestamp_ms, index: place.index });
    }
    claim.promise(&mut open.story, place.index, size.total)
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
