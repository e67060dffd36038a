//! The way of a record from the caller into its batch. This is the path that every record takes, so it is all here.
//!
//! For a topic that is known and a batch that has room it costs: one comparison of the topic's name with this thread's last topic, the
//! choice of a partition, one lock, the encoding, and one reference count for the handle. It allocates nothing, reads no clock, makes no
//! `String`, and wakes nobody. The rest (`begin`) is per batch or per chunk.

use milena_wire::{RecordSize, Timestamp, single_record_batch_bound};
use std::sync::Arc;

use crate::accumulator::Accumulator;
use crate::cell::BatchCell;
use crate::delivery::{Delivery, Sizes};
use crate::hooks::Tagged;
use crate::memory::Funds;
use crate::open::{OpenBatch, Place, first_chunk, first_wish, worth_reserving};
use crate::queue::{PartitionQueue, QueueState};
use crate::reserve::Reservation;
use crate::sticky::Sticky;
use crate::sync::MutexGuard;
use crate::topic::{Target, Topic};
use crate::{At, RecordRef, Refused, Urgency};

/// A record on its way in.
pub(crate) struct Entry<'a> {
    pub(crate) record: &'a RecordRef<'a>,
    pub(crate) timestamp_ms: i64,
    pub(crate) created: Timestamp,
    pub(crate) urgency: Urgency,
    pub(crate) claim: Claim,
}

/// How its caller will hear of it.
#[derive(Clone, Copy)]
pub(crate) enum Claim {
    Handle,
    Token(u64),
}

/// Who pays for chunks.
pub(crate) enum Payer {
    Budget,
    Reserved(Reservation),
    /// For what must not wait.
    Forced,
}

/// Where a record without a token went, so that a handle can be made.
pub(crate) struct Placed {
    pub(crate) cell: Arc<BatchCell>,
    pub(crate) index: u32,
    total: usize,
}

/// Why a record did not go in.
pub(crate) enum Detour {
    /// The topic was described anew: look it up again.
    Stale,
    Refused(Refused),
}

impl Accumulator {
    /// Appends a record. `payer` outlives every lock taken here: dropping what is left of a reservation may wake others.
    pub(crate) fn enter(
        &self,
        at: At,
        record: &RecordRef<'_>,
        urgency: Urgency,
        payer: &mut Payer,
        claim: Claim,
    ) -> Result<Option<Delivery>, Refused> {
        let timestamp_ms = match record.timestamp_ms {
            None => at.wall_ms.max(0),
            Some(timestamp_ms) if timestamp_ms >= 0 => timestamp_ms,
            Some(timestamp_ms) => return Err(Refused::InvalidTimestamp { timestamp_ms }),
        };
        let entry = Entry { record, timestamp_ms, created: at.now, urgency, claim };
        loop {
            let topic = self.topic(record.topic)?;
            let result = topic.enter(&entry, payer);
            self.keep(topic);
            match result {
                Ok(delivery) => return Ok(delivery),
                Err(Detour::Refused(refused)) => return Err(refused),
                Err(Detour::Stale) => {}
            }
        }
    }
}

impl Topic {
    #[inline]
    fn enter(&self, entry: &Entry<'_>, payer: &mut Payer) -> Result<Option<Delivery>, Detour> {
        let parts = &entry.record.parts;
        if self.queues.is_empty() {
            self.refuse_too_large(entry)?;
            return self.wait(entry, payer);
        }
        let target = self.choose(entry.record.partition, parts)?;
        let placed = self.put(target, entry, payer)?;
        Ok(placed.map(|placed| {
            Delivery::new(placed.cell, placed.index, Sizes::new(parts, placed.total), entry.timestamp_ms)
        }))
    }

    /// Writes a record into a partition's open batch.
    #[inline]
    pub(crate) fn put(&self, target: Target, entry: &Entry<'_>, payer: &mut Payer) -> Result<Option<Placed>, Refused> {
        let limit = self.core.config.batch_size;
        let queue = &self.queues[target.partition as usize];
        let mut state = queue.lock();
        let refusing = state.refusing;
        let Some(open) = &mut state.open else { return self.begin(queue, state, target, entry, payer) };
        let place = open.next(entry.timestamp_ms);
        let size = place.size(&entry.record.parts);
        if !open.has_room(size.total, limit) || size.total > self.core.surely_fits || refusing {
            return self.begin(queue, state, target, entry, payer);
        }
        if !open.is_prepared(size.total) && !open.grow(&self.core, size.total, limit, payer.funds()) {
            return Err(Refused::Memory { bytes: worth_reserving(&self.core, size.total, limit) });
        }
        let placed = write(open, place, size, entry);
        let tell = entry.urgency == Urgency::Now
            && !std::mem::replace(&mut open.urgent, true)
            && queue.announce(&mut state, true);
        drop(state);
        if tell {
            self.core.wake_sender();
        }
        if let Some(choice) = target.choice {
            self.sticky.used(choice, size.total, self.core.config.sticky_bytes, self);
        }
        Ok(placed)
    }

    /// Begins a new batch with a record that found no open batch with room.
    #[cold]
    fn begin(
        &self,
        queue: &Arc<PartitionQueue>,
        mut state: MutexGuard<'_, QueueState>,
        target: Target,
        entry: &Entry<'_>,
        payer: &mut Payer,
    ) -> Result<Option<Placed>, Refused> {
        let core = &self.core;
        // Records that waited for their topic were accepted before the accumulator was closed.
        if state.refusing && !matches!(payer, Payer::Forced) {
            return Err(Refused::Closed);
        }
        self.refuse_too_large(entry)?;
        let closed = state.close_open(core);
        if closed {
            queue.publish_depth(&state);
        }
        // A batch ends here: the moment to move on that spoils no batch.
        if let Some(choice) = target.choice.filter(|choice| Sticky::is_due(*choice, core.config.sticky_bytes)) {
            let tell = closed && queue.announce(&mut state, true);
            drop(state);
            if tell {
                core.wake_sender();
            }
            return self.put(Target::stuck_to(self.sticky.move_on(choice, self)), entry, payer);
        }
        let size = Place::FIRST.size(&entry.record.parts);
        let Some(chunk) = first_chunk(core, size.total, state.last_batch, payer.funds()) else {
            let bytes = worth_reserving(core, size.total, first_wish(core, state.last_batch));
            let tell = closed && queue.announce(&mut state, true);
            drop(state);
            if tell {
                core.wake_sender();
            }
            return Err(Refused::Memory { bytes });
        };
        let home = Arc::clone(queue.home());
        let open = state.open.insert(OpenBatch::new(home, chunk, entry.created, entry.timestamp_ms));
        open.urgent = entry.urgency == Urgency::Now;
        let mut pressing = closed || open.urgent;
        let placed = write(open, Place::FIRST, size, entry);
        let bytes = open.wire_bytes();
        if bytes >= core.config.batch_size {
            state.close_open(core);
            pressing = true;
        }
        queue.publish_depth(&state);
        let tell = queue.announce(&mut state, pressing);
        drop(state);
        if tell {
            core.wake_sender();
        }
        if let Some(choice) = target.choice {
            self.sticky.used(choice, bytes, core.config.sticky_bytes, self);
        }
        Ok(placed)
    }

    fn refuse_too_large(&self, entry: &Entry<'_>) -> Result<(), Refused> {
        let size = single_record_batch_bound(&entry.record.parts);
        let limit = self.core.config.max_record_size.min(self.core.memory.limit());
        if size > limit { Err(Refused::RecordTooLarge { size, limit }) } else { Ok(()) }
    }
}

#[inline]
fn write(open: &mut OpenBatch, place: Place, size: RecordSize, entry: &Entry<'_>) -> Option<Placed> {
    open.put(place, size, entry.timestamp_ms, &entry.record.parts);
    match entry.claim {
        Claim::Handle => Some(Placed { cell: Arc::clone(open.story.cell()), index: place.index, total: size.total }),
        Claim::Token(token) => {
            open.story.tag(Tagged { token, timestamp_ms: entry.timestamp_ms, index: place.index });
            None
        }
    }
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
