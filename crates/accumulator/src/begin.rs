//! The record that begins a batch: it ends the one before, pays for memory, and may be refused. The rest of the path is in `append`.

use std::sync::Arc;

use milena_wire::{BATCH_HEADER_LEN, RecordSize, single_record_batch_bound};

use crate::append::{Claim, Entry, Payer, told, write};
use crate::chunk::Chunk;
use crate::core::Core;
use crate::lent::Lent;
use crate::open::{OpenBatch, Place, first_chunk, first_wish, worth_reserving};
use crate::queue::{PartitionQueue, QueueState};
use crate::sticky::Sticky;
use crate::sync::MutexGuard;
use crate::tokens::{self, Tokens};
use crate::topic::{Target, Topic};
use crate::{Refused, Urgency};

impl Topic {
    /// Begins a new batch with a record that found no open batch with room.
    #[cold]
    pub(crate) fn begin<C: Claim>(
        &self,
        queue: &Arc<PartitionQueue>,
        mut state: MutexGuard<'_, QueueState>,
        target: Target,
        entry: &Entry<'_>,
        payer: &mut Payer,
        claim: C,
    ) -> Result<C::Handle, Refused> {
        let core = &self.core;
        // Records that waited for their topic were accepted before the accumulator was closed.
        if state.refusing && !matches!(payer, Payer::Forced) {
            return Err(Refused::Closed);
        }
        self.refuse_too_large(entry)?;
        let closed = state.close_full(core);
        if closed {
            queue.publish_depth(&state);
        }
        // A batch ends here: the moment to move on that spoils no batch.
        if let Some(choice) = target.choice().filter(|choice| Sticky::is_due(*choice, core.config.sticky_bytes)) {
            let tell = closed && queue.announce(&mut state, true);
            drop(state);
            if tell {
                core.wake_sender();
            }
            return self.put_again(Target::stuck_to(self.sticky.move_on(choice, self)), entry, payer, claim);
        }
        let size = Place::FIRST.size(&entry.record.parts);
        let mut tokens = Tokens::default();
        let room = claim.token().is_none() || tokens.grow(core, size.total, payer.funds());
        let bought = if room { self.buy_first(entry, size, state.last_batch, payer) } else { Err(None) };
        let (chunk, lent) = match bought {
            Ok(bought) => bought,
            Err(unused) => {
                let wish = first_wish(core, state.last_batch);
                let tell = closed && queue.announce(&mut state, true);
                drop(state);
                drop(unused);
                if tell {
                    core.wake_sender();
                }
                return Err(self.lacks_memory(size.total, wish, claim));
            }
        };
        let home = Arc::clone(queue.home());
        let open = state.open.insert(OpenBatch::new(home, chunk, entry.clock.now(), entry.timestamp_ms));
        open.story.tokens = tokens;
        open.urgent = entry.urgency == Urgency::Now;
        let mut pressing = closed || open.urgent;
        let handle = match lent {
            None => write(core, open, Place::FIRST, size, entry, claim),
            Some(lent) => write_around(core, open, size, entry, claim, lent),
        };
        let bytes = open.wire_bytes();
        if bytes >= core.config.batch_size {
            state.close_full(core);
            pressing = true;
        }
        queue.publish_depth(&state);
        let tell = queue.announce(&mut state, pressing);
        drop(state);
        if tell {
            core.wake_sender();
        }
        if let Some(choice) = target.choice() {
            self.sticky.used(choice, bytes, core.config.sticky_bytes, self);
        }
        Ok(handle)
    }

    /// The first chunk of a batch, and the record's value, if that fills the batch and need not be copied. If the funds do not suffice it
    /// hands back what it got, to be dropped once the partition's lock is free.
    fn buy_first(
        &self,
        entry: &Entry<'_>,
        size: RecordSize,
        last_batch: usize,
        payer: &mut Payer,
    ) -> Result<(Chunk, Option<Lent>), Option<Lent>> {
        let core = &self.core;
        let fills = size.total + BATCH_HEADER_LEN >= core.config.batch_size;
        let Some(value) = entry.record.large_value().filter(|_| fills) else {
            return Ok((first_chunk(core, size.total, last_batch, payer.funds()).ok_or(None)?, None));
        };
        let lent = Lent::new(value.clone(), &core.memory, payer.funds()).ok_or(None)?;
        match first_chunk(core, size.total - value.len(), 0, payer.funds()) {
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

/// As [`write()`], of the only record of a batch; its value is `lent`.
fn write_around<C: Claim>(
    core: &Core,
    open: &mut OpenBatch,
    size: RecordSize,
    entry: &Entry<'_>,
    claim: C,
    lent: Lent,
) -> C::Handle {
    let stake = claim.stake(open.story.cell());
    open.put_around(size, entry.timestamp_ms, &entry.record.parts, lent);
    told(core, open, Place::FIRST, size, entry, claim, stake)
}
