//! The record that begins a batch, or is large: it may end the batch before, pays for memory, and may be refused. The rest of the path is in `append`.

use std::sync::Arc;

use milena_wire::{RecordSize, single_record_batch_bound};

use crate::append::{Claim, Entry, Payer, told, write};
use crate::chunk::{CHUNK_QUIET, Chunk};
use crate::core::Core;
use crate::latch::LatchGuard;
use crate::lent::Lent;
use crate::memory::Funds;
use crate::open::{OpenBatch, Place, first_chunk, first_wish, little_chunk, worth_reserving};
use crate::queue::PartitionQueue;
use crate::sticky::Sticky;
use crate::tail::Tail;
use crate::tokens::{self, Tokens};
use crate::topic::{Target, Topic};
use crate::{Pace, Refused, Urgency};

impl Topic {
    /// Begins a new batch with a record that found no open batch with room, or is large.
    #[cold]
    pub(crate) fn begin<C: Claim>(
        &self,
        queue: &Arc<PartitionQueue>,
        tail: LatchGuard<'_, Tail>,
        target: Target,
        entry: &Entry<'_>,
        payer: &mut Payer,
        claim: C,
    ) -> Result<C::Handle, Refused> {
        let core = &self.core;
        // Records that waited for their topic were accepted before the accumulator was closed.
        if tail.refusing && !matches!(payer, Payer::Forced) {
            return Err(Refused::Closed);
        }
        self.refuse_too_large(entry)?;
        let mut tail = match self.join(queue, tail, target, entry, payer, claim) {
            Ok(done) => return done,
            Err(no_room) => no_room,
        };
        // Whether the sender must be told that a batch was closed.
        let mut tell = queue.close_full(&mut tail);
        // A batch ends here: the moment to move on that spoils no batch.
        if let Some(choice) = target.choice().filter(|choice| Sticky::is_due(*choice, core.config.sticky_bytes)) {
            drop(tail);
            if tell {
                core.wake_sender();
            }
            return self.put(Target::stuck_to(self.sticky.move_on(choice, self)), entry, payer, claim);
        }
        if entry.pace == Pace::Sender && queue.is_behind() {
            drop(tail);
            if tell {
                core.wake_sender();
            }
            return Err(Refused::Behind { partition: queue.partition() });
        }
        let size = Place::FIRST.size(&entry.record.parts);
        let mut tokens = Tokens::default();
        let room = claim.token().is_none() || tokens.grow(core, size.total, payer.funds());
        let bought = if room { self.buy_first(entry, size, tail.last_batch, payer) } else { Err(None) };
        let (chunk, lent) = match bought {
            Ok(bought) => bought,
            Err(unused) => {
                let wish = match entry.record.large_value() {
                    None => first_wish(core, tail.last_batch),
                    Some(_) => CHUNK_QUIET,
                };
                drop(tail);
                drop(unused);
                if tell {
                    core.wake_sender();
                }
                return Err(self.lacks_memory(size.total, wish, claim));
            }
        };
        let home = Arc::clone(queue.home());
        let open = tail.open.insert(OpenBatch::new(home, chunk, entry.clock.now(), entry.timestamp_ms));
        open.story.tokens = tokens;
        open.urgent = entry.urgency == Urgency::Now;
        let urgent = open.urgent;
        let promise = write_large(core, open, Place::FIRST, size, entry, claim, lent);
        let bytes = open.wire_bytes();
        tell |=
            if bytes >= core.config.batch_size { queue.close_full(&mut tail) } else { queue.announce(&tail, urgent) };
        drop(tail);
        if tell {
            core.wake_sender();
        }
        if let Some(choice) = target.choice() {
            self.sticky.used(choice, bytes, core.config.sticky_bytes, self);
        }
        Ok(claim.handle(promise, entry.record, entry.timestamp_ms))
    }

    /// Writes a large record into the open batch, if there is one with room for it.
    fn join<'a, C: Claim>(
        &self,
        queue: &Arc<PartitionQueue>,
        mut tail: LatchGuard<'a, Tail>,
        target: Target,
        entry: &Entry<'_>,
        payer: &mut Payer,
        claim: C,
    ) -> Result<Result<C::Handle, Refused>, LatchGuard<'a, Tail>> {
        let core = &self.core;
        let limit = core.config.batch_size;
        if tail.refusing && !matches!(payer, Payer::Forced) {
            return Err(tail);
        }
        let Some(open) = &mut tail.open else { return Err(tail) };
        let place = open.next(entry.timestamp_ms);
        let size = place.size(&entry.record.parts);
        if !open.has_room(size.total, limit) {
            return Err(tail);
        }
        let room = claim.token().is_none()
            || open.story.tokens.has_room()
            || open.story.tokens.grow(core, size.total, payer.funds());
        let lent = entry
            .record
            .large_value()
            .filter(|_| room)
            .map(|value| Lent::new(value.clone(), &core.memory, payer.funds()));
        let (copied, wish) = match &lent {
            None => (size.total, limit),
            Some(_) => (size.total - entry.record.parts.value.map_or(0, <[u8]>::len), CHUNK_QUIET),
        };
        let paid = room && !matches!(lent, Some(None));
        let grown = |open: &mut OpenBatch, funds: Funds<'_>| match &lent {
            None => open.grow(core, copied, limit, funds),
            Some(_) => open.grow_little(core, copied, funds),
        };
        if !paid || !open.is_prepared(copied) && !grown(open, payer.funds()) {
            drop(tail);
            drop(lent);
            return Ok(Err(self.lacks_memory(size.total, wish, claim)));
        }
        let promise = write_large(core, open, place, size, entry, claim, lent.flatten());
        let tell =
            entry.urgency == Urgency::Now && !std::mem::replace(&mut open.urgent, true) && queue.announce(&tail, true);
        drop(tail);
        if tell {
            core.wake_sender();
        }
        if let Some(choice) = target.choice() {
            self.sticky.used(choice, size.total, core.config.sticky_bytes, self);
        }
        Ok(Ok(claim.handle(promise, entry.record, entry.timestamp_ms)))
    }

    /// The first chunk of a batch, and the record's value, if that is large and need not be copied. If the funds do not suffice it
    /// hands back what it got, to be dropped once the lock of the partition's tail is free.
    fn buy_first(
        &self,
        entry: &Entry<'_>,
        size: RecordSize,
        last_batch: usize,
        payer: &mut Payer,
    ) -> Result<(Chunk, Option<Lent>), Option<Lent>> {
        let core = &self.core;
        let Some(value) = entry.record.large_value() else {
            return Ok((first_chunk(core, size.total, last_batch, payer.funds()).ok_or(None)?, None));
        };
        let lent = Lent::new(value.clone(), &core.memory, payer.funds()).ok_or(None)?;
        match little_chunk(core, size.total - value.len(), payer.funds()) {
            Some(chunk) => Ok((chunk, Some(lent))),
            None => Err(Some(lent)),
        }
    }

    /// What to reserve for a record that takes `total` bytes, where a chunk of `wish` would be bought.
    #[cold]
    pub(crate) fn lacks_memory(&self, total: usize, wish: usize, claim: impl Claim) -> Refused {
        let tokens = if claim.token().is_some() { tokens::WORTH_RESERVING } else { 0 };
        let bytes = worth_reserving(&self.core, total, wish).saturating_add(tokens).min(self.core.memory.limit());
        Refused::Memory { bytes }
    }

    pub(crate) fn refuse_too_large(&self, entry: &Entry<'_>) -> Result<(), Refused> {
        let size = single_record_batch_bound(&entry.record.parts);
        let limit = self.core.config.max_record_size.min(self.core.memory.limit());
        if size > limit { Err(Refused::RecordTooLarge { size, limit }) } else { Ok(()) }
    }
}

/// As [`write()`], of a record whose value may be `lent`.
fn write_large<C: Claim>(
    core: &Core,
    open: &mut OpenBatch,
    place: Place,
    size: RecordSize,
    entry: &Entry<'_>,
    claim: C,
    lent: Option<Lent>,
) -> C::Promise {
    let Entry { record, timestamp_ms, .. } = *entry;
    let Some(lent) = lent else { return write(core, open, place, size, record, timestamp_ms, claim) };
    open.put_around(place, size, timestamp_ms, &record.parts, lent);
    told(core, open, place, size, timestamp_ms, claim)
}
