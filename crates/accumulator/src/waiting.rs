//! Records whose topic's partitions are not known yet: copied, counted, and moved in order once they are.

use std::collections::VecDeque;
use std::sync::Arc;

use milena_wire::{HeaderRef, PartitionId, RecordCount, RecordParts, Timestamp, put_record, single_record_batch_bound};

use crate::append::{Claim, Detour, Entry, Payer};
use crate::cell::{BatchCell, Home, Piece};
use crate::core::Core;
use crate::diverted::Body;
use crate::hooks::Tagged;
use crate::open::{Place, worth_reserving};
use crate::reserve::Reservation;
use crate::story::Story;
use crate::topic::Topic;
use crate::{At, Diverted, Failure, FailureKind, Fate, Outcome, RecordRef, Refused, Urgency};

/// What a waiting record costs beside its bytes: its place in the queue, its cell, the allocator's share.
const OVERHEAD: usize = 512;

#[derive(Debug, Default)]
pub(crate) struct Waiting {
    records: VecDeque<WaitingRecord>,
    /// The partitions are known and everything was moved: look the topic up again.
    pub(crate) moved: bool,
    /// The accumulator was closed.
    pub(crate) refusing: bool,
}

#[derive(Debug)]
pub(crate) struct WaitingRecord {
    story: Story,
    token: Option<u64>,
    partition: Option<PartitionId>,
    timestamp_ms: i64,
    created: Timestamp,
    urgency: Urgency,
    fields: OwnedFields,
    /// Dropped last: the memory comes back after the outcome was told.
    _counted: Reservation,
}

/// The claim of a record that is moved to a partition: its handle, if there is one, is told where it went.
#[derive(Clone, Copy)]
struct Moved {
    token: Option<u64>,
}

impl Claim for Moved {
    type Handle = (Arc<BatchCell>, u32);
    type Promise = (Arc<BatchCell>, u32);

    fn token(self) -> Option<u64> {
        self.token
    }

    fn promise(self, story: &mut Story, index: u32, _: usize) -> Self::Promise {
        (Arc::clone(story.cell()), index)
    }

    fn handle(self, promise: Self::Promise, _: &RecordRef<'_>, _: i64) -> Self::Handle {
        promise
    }
}

/// A copy of a record's fields.
#[derive(Debug)]
struct OwnedFields {
    /// The headers' keys, joined.
    text: String,
    /// Key, value and the headers' values, joined.
    bytes: Vec<u8>,
    key: Option<usize>,
    value: Option<usize>,
    headers: Vec<HeaderLens>,
}

/// Bytes of a header's key, and of its value.
type HeaderLens = (usize, Option<usize>);

impl Topic {
    /// Queues a record until the partitions are known.
    #[cold]
    pub(crate) fn wait<C: Claim>(&self, entry: &Entry<'_>, payer: &mut Payer, claim: C) -> Result<C::Handle, Detour> {
        let parts = &entry.record.parts;
        // A header may be two bytes on the wire.
        let headers = parts.headers.len() * size_of::<HeaderLens>();
        let cost = (single_record_batch_bound(parts) + OVERHEAD + headers).min(self.core.memory.limit());
        let total = Place::FIRST.size(parts).total;
        if !self.core.memory.charge(cost, payer.funds()) {
            let bytes = worth_reserving(&self.core, total, 0).max(cost);
            return Err(Refused::Memory { bytes }.into());
        }
        let mut counted = Reservation::counted(&self.core.memory, cost);
        let home = Home::new(&self.name, entry.record.partition, &self.core.hooks);
        let mut story = Story::new(home);
        let token = claim.token();
        if let Some(token) = token {
            // Out of what was charged just now, which is more.
            story.tokens.grow_by_one(&self.core.memory, counted.funds());
            let tagged = Tagged { token, timestamp_ms: entry.timestamp_ms, index: 0 };
            story.tokens.push(&self.core.memory, tagged);
        }
        let mut record = WaitingRecord {
            story,
            token,
            partition: entry.record.partition,
            timestamp_ms: entry.timestamp_ms,
            created: entry.clock.now(),
            urgency: entry.urgency,
            fields: OwnedFields::copy(parts),
            _counted: counted,
        };
        let (first, promise) = {
            let mut waiting = self.waiting.lock();
            if waiting.moved || waiting.refusing {
                let detour = if waiting.moved { Detour::Stale } else { Refused::Closed.into() };
                drop(waiting);
                record.forget();
                return Err(detour);
            }
            let first = waiting.records.is_empty();
            let promise = claim.promise(&mut record.story, 0, total);
            waiting.records.push_back(record);
            if first {
                self.core.list_topic(&self.name);
            }
            (first, promise)
        };
        if first {
            self.core.wake_sender();
        }
        Ok(claim.handle(promise, entry.record, entry.timestamp_ms))
    }

    /// Takes what waits. If nothing does, `done` is called before anything else can begin to wait, and nothing ever will again.
    pub(crate) fn take_waiting(&self, done: impl FnOnce()) -> VecDeque<WaitingRecord> {
        let mut waiting = self.waiting.lock();
        if waiting.records.is_empty() {
            done();
            waiting.moved = true;
        }
        std::mem::take(&mut waiting.records)
    }

    /// Records that wait, and the bytes of their fields.
    pub(crate) fn waiting_content(&self) -> (u64, u64) {
        let waiting = self.waiting.lock();
        let bytes = waiting.records.iter().map(|record| record.fields.bytes.len() + record.fields.text.len());
        (waiting.records.len() as u64, bytes.sum::<usize>() as u64)
    }

    /// Fails what waits.
    pub(crate) fn fail_waiting(&self, failure: &Arc<Failure>) -> usize {
        let records = std::mem::take(&mut self.waiting.lock().records);
        let count = records.len();
        records.into_iter().for_each(|record| record.fail(&self.core, Arc::clone(failure)));
        count
    }

    /// Fails what was created at or before `before`; how many that were, and when the oldest of the rest was created.
    pub(crate) fn expire_waiting(&self, before: Timestamp, failure: &Arc<Failure>) -> (usize, Option<Timestamp>) {
        let (expired, oldest) = {
            let mut waiting = self.waiting.lock();
            let fresh = waiting.records.iter().position(|record| record.created > before);
            let fresh = fresh.unwrap_or(waiting.records.len());
            let rest = waiting.records.split_off(fresh);
            let expired = std::mem::replace(&mut waiting.records, rest);
            (expired, waiting.records.front().map(|record| record.created))
        };
        let count = expired.len();
        expired.into_iter().for_each(|record| record.fail(&self.core, Arc::clone(failure)));
        (count, oldest)
    }
}

impl WaitingRecord {
    /// Puts the record where it belongs, now that `topic` has partitions. `false`: it belongs nowhere and has failed.
    pub(crate) fn move_to(self, topic: &Topic) -> bool {
        let headers = self.fields.headers();
        let parts = self.fields.parts(&headers);
        let target = match topic.choose(self.partition, &parts) {
            Ok(target) => target,
            Err(refused) => {
                let failure = self.failure_of(topic, &refused);
                drop(headers);
                self.fail(&topic.core, failure);
                return false;
            }
        };
        let entry = Entry {
            record: &RecordRef {
                topic: topic.name.as_str(),
                partition: self.partition,
                parts,
                timestamp_ms: Some(self.timestamp_ms),
                shared: None,
            },
            timestamp_ms: self.timestamp_ms,
            clock: &At { now: self.created, wall_ms: self.timestamp_ms },
            urgency: self.urgency,
        };
        match topic.put(target, &entry, &mut Payer::Forced, Moved { token: self.token }) {
            Ok((cell, at)) => {
                let (old, _) = self.story.end();
                if self.token.is_none() {
                    old.forward(vec![Piece { first: 0, cell: Arc::clone(&cell), at }]);
                    if old.is_hurried()
                        && let Some(queue) = cell.home().partition.and_then(|partition| topic.queue_of(partition))
                    {
                        queue.hurry(&cell);
                    }
                }
                true
            }
            Err(refused) => {
                let failure = self.failure_of(topic, &refused);
                drop(headers);
                self.fail(&topic.core, failure);
                false
            }
        }
    }

    fn failure_of(&self, topic: &Topic, refused: &Refused) -> Arc<Failure> {
        let kind = match refused {
            Refused::NoSuchPartition { .. } => FailureKind::NoSuchPartition,
            Refused::Partitioner { .. } => FailureKind::Partitioner,
            Refused::RecordTooLarge { .. } => FailureKind::RecordTooLarge,
            _ => FailureKind::Closed,
        };
        let mut failure = Failure::new(kind, Fate::NotWritten, topic.name.clone(), self.partition);
        failure.message = Some(refused.to_string());
        Arc::new(failure)
    }

    fn fail(self, core: &Core, failure: Arc<Failure>) {
        let Self { story, timestamp_ms, created, fields, _counted: counted, .. } = self;
        if !core.config.divert {
            return story.settle(Outcome::Failed(failure), counted);
        }
        let headers = fields.headers();
        let parts = fields.parts(&headers);
        let size = Place::FIRST.size(&parts);
        let mut record = Vec::with_capacity(size.total);
        put_record(&mut record, size, Place::FIRST.offset_delta, Place::FIRST.timestamp_delta, &parts);
        let times = (timestamp_ms, timestamp_ms);
        let body = Body::plain([record.into()].into_iter().collect(), size.total, RecordCount::ONE, times, created);
        // What the copy of its fields cost is enough for the record.
        Diverted::hand_out(story, failure, Body { placed: false, _counted: Some(counted), ..body });
    }

    /// Lets go of a record that was not queued after all, without an outcome: nobody has a handle.
    fn forget(self) {
        drop(self.story.end());
    }
}

impl OwnedFields {
    fn copy(parts: &RecordParts<'_>) -> Self {
        let fields = [parts.key, parts.value].into_iter().chain(parts.headers.iter().map(|header| header.value));
        let mut bytes = Vec::with_capacity(fields.flatten().map(<[u8]>::len).sum());
        let mut text = String::with_capacity(parts.headers.iter().map(|header| header.key.len()).sum());
        let mut add = |field: Option<&[u8]>| {
            bytes.extend_from_slice(field.unwrap_or_default());
            field.map(<[u8]>::len)
        };
        let (key, value) = (add(parts.key), add(parts.value));
        let headers = parts
            .headers
            .iter()
            .map(|header| {
                text.push_str(header.key);
                (header.key.len(), add(header.value))
            })
            .collect();
        Self { text, bytes, key, value, headers }
    }

    fn headers(&self) -> Vec<HeaderRef<'_>> {
        let mut text = self.text.as_str();
        let mut bytes = &self.bytes[self.key.unwrap_or(0) + self.value.unwrap_or(0)..];
        let mut headers = Vec::with_capacity(self.headers.len());
        for (key, value) in &self.headers {
            let (head, rest) = text.split_at(*key);
            text = rest;
            headers.push(HeaderRef { key: head, value: take(&mut bytes, *value) });
        }
        headers
    }

    fn parts<'a>(&'a self, headers: &'a [HeaderRef<'a>]) -> RecordParts<'a> {
        let mut bytes = self.bytes.as_slice();
        let key = take(&mut bytes, self.key);
        let value = take(&mut bytes, self.value);
        RecordParts { key, value, headers }
    }
}

fn take<'a>(bytes: &mut &'a [u8], len: Option<usize>) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at(len?);
    *bytes = rest;
    Some(head)
}
