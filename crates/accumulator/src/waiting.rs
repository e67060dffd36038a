//! Records whose topic's partitions are not known yet: in batches as all others, and counted as these are. What becomes of them once the
//! partitions are known is in `moving.rs`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use milena_wire::Timestamp;

use crate::append::{Claim, Detour, Entry, Payer, make_room, write};
use crate::cell::Home;
use crate::chunk::capacity_for;
use crate::core::Core;
use crate::open::{OpenBatch, Place, first_chunk, first_wish};
use crate::reserve::Reservation;
use crate::tokens::{self, Tokens};
use crate::topic::Topic;
use crate::{ClosedBatch, Failure, Refused, Urgency};

/// What a batch that waits costs beside its bytes: its place in the queue, its cell, the allocator's share. Records that name one partition
/// after the other have a batch each.
const OVERHEAD: usize = 512;

/// Records that come within this time may share a batch. They expire together, so that a record has at most so much less time than it should.
const TOGETHER: Duration = Duration::from_millis(50);

#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// Oldest first. The last may take more records.
    batches: VecDeque<Box<WaitingBatch>>,
    /// The partitions are known and everything was moved: look the topic up again.
    moved: bool,
    /// The accumulator was closed.
    pub(crate) refusing: bool,
}

/// Records in order, all of which name the same partition, or none. They share what a batch shares: its age, and whether they may linger.
#[derive(Debug)]
pub(crate) struct WaitingBatch {
    pub(crate) batch: OpenBatch,
    /// Dropped last, as everywhere.
    counted: Reservation,
}

/// What was bought for a record that did not go in. It goes back behind the lock, as that may wake others.
#[derive(Default)]
struct InVain {
    _counted: Option<Reservation>,
    _tokens: Tokens,
}

impl Topic {
    /// Queues a record until the partitions are known.
    #[cold]
    pub(crate) fn wait<C: Claim>(&self, entry: &Entry<'_>, payer: &mut Payer, claim: C) -> Result<C::Handle, Detour> {
        let core = &self.core;
        let (first, queued) = {
            let mut waiting = self.waiting.lock();
            if waiting.moved {
                return Err(Detour::Stale);
            }
            if waiting.refusing {
                return Err(Refused::Closed.into());
            }
            let first = waiting.batches.is_empty();
            let queued = self.queue(&mut waiting.batches, entry, payer, claim);
            if first && queued.is_ok() {
                core.list_topic(&self.name);
            }
            (first, queued)
        };
        let Ok(promise) = queued else {
            let total = Place::FIRST.size(&entry.record.parts).total;
            return Err(self.lacks_memory(total + OVERHEAD, first_wish(core, 0), claim).into());
        };
        if first {
            core.wake_sender();
        }
        Ok(claim.handle(promise, entry.record, entry.timestamp_ms))
    }

    /// Puts a record behind all that wait.
    fn queue<C: Claim>(
        &self,
        batches: &mut VecDeque<Box<WaitingBatch>>,
        entry: &Entry<'_>,
        payer: &mut Payer,
        claim: C,
    ) -> Result<C::Promise, InVain> {
        let core = &self.core;
        let Entry { record, timestamp_ms, .. } = *entry;
        let now = entry.clock.now();
        if !batches.back().is_some_and(|last| last.takes(core, entry, now)) {
            batches.push_back(Box::new(self.begin_waiting(entry, now, payer, claim)?));
        }
        let Some(last) = batches.back_mut() else { return Err(InVain::default()) };
        let open = &mut last.batch;
        let place = open.next(timestamp_ms);
        let size = place.size(&record.parts);
        if !make_room(core, open, size.total, claim, payer) {
            return Err(InVain::default());
        }
        open.urgent |= entry.urgency == Urgency::Now;
        Ok(write(core, open, place, size, record, timestamp_ms, claim))
    }

    /// A batch with room for this record.
    fn begin_waiting(
        &self,
        entry: &Entry<'_>,
        now: Timestamp,
        payer: &mut Payer,
        claim: impl Claim,
    ) -> Result<WaitingBatch, InVain> {
        let core = &self.core;
        let total = Place::FIRST.size(&entry.record.parts).total;
        // A record that may be as large as the memory must find room there, and its token, too.
        let limit = core.memory.limit();
        let token = if claim.token().is_some() { tokens::SIZE } else { 0 };
        let overhead = OVERHEAD.min(limit.saturating_sub(capacity_for(total, limit) + token));
        let mut tokens = Tokens::default();
        if !core.memory.charge(overhead, payer.funds()) {
            return Err(InVain::default());
        }
        let counted = Reservation::counted(&core.memory, overhead);
        let room = claim.token().is_none() || tokens.grow(core, total, payer.funds());
        let chunk = if room { first_chunk(core, total, 0, payer.funds()) } else { None };
        let Some(chunk) = chunk else { return Err(InVain { _counted: Some(counted), _tokens: tokens }) };
        let home = Home::new(&self.name, entry.record.partition, &core.hooks);
        let mut batch = OpenBatch::new(home, chunk, now, entry.timestamp_ms);
        batch.story.tokens = tokens;
        Ok(WaitingBatch { batch, counted })
    }

    /// Takes what waits. If nothing does, `done` is called before anything else can begin to wait, and nothing ever will again.
    pub(crate) fn take_waiting(&self, done: impl FnOnce()) -> VecDeque<Box<WaitingBatch>> {
        let mut waiting = self.waiting.lock();
        if waiting.batches.is_empty() {
            done();
            waiting.moved = true;
        }
        std::mem::take(&mut waiting.batches)
    }

    /// Records that wait, and the uncompressed wire bytes of their batches.
    pub(crate) fn waiting_content(&self) -> (u64, u64) {
        let waiting = self.waiting.lock();
        let each = waiting.batches.iter().map(|waiting| &waiting.batch);
        each.fold((0, 0), |all, batch| (all.0 + u64::from(batch.count()), all.1 + batch.wire_bytes() as u64))
    }

    /// Fails what waits; how many records that were.
    pub(crate) fn fail_waiting(&self, failure: &Arc<Failure>) -> usize {
        let batches = std::mem::take(&mut self.waiting.lock().batches);
        self.fail_taken(batches, failure)
    }

    /// Fails the batches that were created at or before `before`; how many records that were, and when the oldest of the rest was created.
    pub(crate) fn expire_waiting(&self, before: Timestamp, failure: &Arc<Failure>) -> (usize, Option<Timestamp>) {
        let (expired, oldest) = {
            let mut waiting = self.waiting.lock();
            let fresh = waiting.batches.partition_point(|waiting| waiting.batch.created <= before);
            let rest = waiting.batches.split_off(fresh);
            let expired = std::mem::replace(&mut waiting.batches, rest);
            (expired, waiting.batches.front().map(|waiting| waiting.batch.created))
        };
        (self.fail_taken(expired, failure), oldest)
    }

    fn fail_taken(&self, batches: VecDeque<Box<WaitingBatch>>, failure: &Arc<Failure>) -> usize {
        batches.into_iter().map(|waiting| waiting.fail(&self.core, Arc::clone(failure))).sum()
    }
}

impl WaitingBatch {
    /// Whether this record may join the others.
    fn takes(&self, core: &Core, entry: &Entry<'_>, now: Timestamp) -> bool {
        let open = &self.batch;
        let total = open.next(entry.timestamp_ms).size(&entry.record.parts).total;
        open.story.partition() == entry.record.partition
            && open.has_room(total, core.config.batch_size)
            && now.since(open.created) < TOGETHER
    }

    /// The batch, and what is to be dropped once it has gone its way: the memory comes back after the outcome was told.
    pub(crate) fn close(self, core: &Arc<Core>) -> (Option<ClosedBatch>, Reservation) {
        (self.batch.close(core), self.counted)
    }

    /// Fails all of it; how many records that were.
    pub(crate) fn fail(self, core: &Arc<Core>, failure: Arc<Failure>) -> usize {
        let (Some(batch), _counted) = self.close(core) else { return 0 };
        let records = batch.count().as_usize();
        batch.fail(failure, false);
        records
    }
}
