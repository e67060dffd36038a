//! Draining: which batches go into the next request to a broker.
//!
//! A broker has a list of partitions that are *due* (something there is to be sent now) and one of those that are *active* (something there could be
//! sent). A request starts with the due ones, first come, first served. With less than [`ENOUGH_BYTES`] it is filled up with what other active partitions of the
//! broker have, lingering or not: the request goes out anyway, and costs less than one of their own. From then on it would gain them nothing, and small batches
//! cost: they linger on. A partition whose gate is shut is passed over; it never stops the others.
//!
//! While bytes handed to the connection are not written yet, no open batch is closed: it grows instead.
//!
//! A request costs client and broker about as much as a batch of 16 KiB does. So a batch that is full before its linger is over does not leave
//! alone while answers are outstanding: it waits for company ([`ENOUGH_BYTES`]), for an answer, or for the end of its linger, whichever is first.
//! A batch that somebody waits for never does.

use std::collections::VecDeque;

use milena_accumulator::{ENOUGH_BYTES, Stamp, Take};
use milena_cluster::{ConnId, Room};
use milena_mutants::Mutant;
use milena_sequence::{Gate, Sent, Turn};
use milena_wire::message::produce::ProducePartition;
use milena_wire::{BrokerId, RecordCount};
use smallvec::SmallVec;

use crate::requests::{Builder, Item, Limits};
use crate::sender::Sender;

/// What is to be sent to one broker.
#[derive(Debug, Default)]
pub(crate) struct Broker {
    due: VecDeque<usize>,
    active: VecDeque<usize>,
    /// Produce requests handed to the connection and not reported as written.
    unwritten: usize,
    /// Produce requests that have no answer yet.
    unanswered: usize,
    /// Something in `due` must not wait for company.
    pressing: bool,
    conn: Option<ConnId>,
}

impl Broker {
    pub(crate) fn press(&mut self) {
        self.pressing = true;
    }

    pub(crate) fn has_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// A produce request has come to its end.
    pub(crate) fn note_answer(&mut self) {
        self.unanswered = self.unanswered.saturating_sub(1);
    }

    pub(crate) fn list_due(&mut self, slot: usize, listed: &mut Option<BrokerId>, here: BrokerId) {
        if *listed != Some(here) {
            *listed = Some(here);
            self.due.push_back(slot);
        }
    }

    pub(crate) fn list_active(&mut self, slot: usize, listed: &mut Option<BrokerId>, here: BrokerId) {
        if *listed != Some(here) {
            *listed = Some(here);
            self.active.push_back(slot);
        }
    }
}

/// Slots of partitions that are to be looked at once the request is sent.
type Taken = SmallVec<[usize; 16]>;

/// What came of asking one partition for a batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Took {
    Batch,
    /// Nothing now; an event or a timer brings it back.
    Nothing,
    /// It has an open batch, which is to grow until the connection is free.
    Later,
    /// It has a batch for which there is no room in this request.
    NoRoom,
}

impl Sender {
    /// Sends as many requests to a broker as it has room and work for.
    pub(crate) fn drain(&mut self, broker: BrokerId) {
        while self.brokers.get(&broker).is_some_and(|lists| !lists.due.is_empty()) {
            let Room::Ready { .. } = self.cluster.produce_room(self.now, broker) else { return };
            if self.waits_for_company(broker) {
                return;
            }
            let limits = Limits { bytes: self.config.max_request_size, slices: self.config.max_request_slices };
            let mut builder = Builder::new(limits, self.requests_begun + 1);
            let mut taken = Taken::new();
            self.requests_begun += 1;
            let grow = self.brokers.get(&broker).is_some_and(|lists| lists.unwritten > 0);
            self.take_due(broker, grow, &mut builder, &mut taken);
            if builder.is_empty() {
                return;
            }
            if !grow && self.config.seal_inline {
                self.take_companions(broker, &mut builder, &mut taken);
            }
            self.send(broker, builder);
            for slot in taken {
                self.touch(slot);
            }
        }
    }

    fn waits_for_company(&self, broker: BrokerId) -> bool {
        let Some(lists) = self.brokers.get(&broker) else { return false };
        if lists.pressing || lists.unanswered == 0 || self.pressure.is_on || self.hurry().all {
            return false;
        }
        let mut bytes = 0;
        // Each has a full batch at least: few are looked at.
        lists.due.iter().filter_map(|slot| self.partitions.get(*slot)).all(|partition| {
            bytes += partition.full_bytes;
            bytes < ENOUGH_BYTES
        })
    }

    fn take_due(&mut self, broker: BrokerId, grow: bool, builder: &mut Builder, taken: &mut Taken) {
        let mut due = match self.brokers.get_mut(&broker) {
            Some(lists) => std::mem::take(&mut lists.due),
            None => return,
        };
        let mut later = VecDeque::new();
        while let Some(slot) = due.pop_front() {
            let Some(partition) = self.partitions.get_mut(slot) else { continue };
            if partition.due_at != Some(broker) {
                continue;
            }
            if partition.leader() != Some(broker) {
                partition.due_at = None;
                continue;
            }
            let took = if partition.is_due { self.take(slot, grow, builder) } else { Took::Nothing };
            match took {
                Took::Later => {
                    later.push_back(slot);
                    continue;
                }
                Took::NoRoom => {
                    due.push_front(slot);
                    break;
                }
                Took::Batch | Took::Nothing => taken.push(slot),
            }
            if let Some(partition) = self.partitions.get_mut(slot) {
                partition.due_at = None;
                partition.asked_for = self.requests_begun;
            }
        }
        if let Some(lists) = self.brokers.get_mut(&broker) {
            // Meanwhile listed ones come after those that waited before.
            due.append(&mut later);
            due.append(&mut lists.due);
            // What is left has waited long enough.
            lists.pressing = !due.is_empty();
            lists.due = due;
        }
        if builder.is_empty() {
            for slot in std::mem::take(taken) {
                self.touch(slot);
            }
        }
    }

    /// Goes once round the active partitions, until the request is large enough.
    ///
    /// Those that were asked are active no more until they are looked at again, which is once the
    /// request is sent for those in it, and with their next news for the others.
    fn take_companions(&mut self, broker: BrokerId, builder: &mut Builder, taken: &mut Taken) {
        let round = self.brokers.get(&broker).map_or(0, |lists| lists.active.len());
        for _ in 0..round {
            if builder.bytes() >= ENOUGH_BYTES {
                return;
            }
            let Some(slot) = self.brokers.get_mut(&broker).and_then(|lists| lists.active.pop_front()) else { return };
            let Some(partition) = self.partitions.get_mut(slot) else { continue };
            if partition.active_at != Some(broker) {
                continue;
            }
            let asked = partition.asked_for == self.requests_begun;
            let took = match () {
                () if asked || partition.leader() != Some(broker) => Took::Nothing,
                () if builder.is_half_full() && !partition.head_fits(builder) => Took::NoRoom,
                () => self.take(slot, false, builder),
            };
            if took == Took::NoRoom {
                if let Some(lists) = self.brokers.get_mut(&broker) {
                    lists.active.push_front(slot);
                }
                // If its batch was closed all the same, its queue tells no more news: then it has to be due.
                taken.push(slot);
                return;
            }
            if let Some(partition) = self.partitions.get_mut(slot) {
                partition.active_at = None;
            }
            if took == Took::Batch {
                taken.push(slot);
            }
        }
    }

    /// Moves the next batch of a partition into the request, if its gate is open and it fits.
    fn take(&mut self, slot: usize, grow: bool, builder: &mut Builder) -> Took {
        let Some(partition) = self.partitions.get(slot) else { return Took::Nothing };
        let Some(route) = partition.route else { return Took::Nothing };
        let key = match partition.stream.gate(route) {
            Gate::Wait(_) => return Took::Nothing,
            Gate::Open(Turn::Resend(key)) => key,
            Gate::Open(Turn::New) => match self.take_new(slot, grow) {
                Ok(key) => key,
                Err(took) => return took,
            },
        };
        let Some(partition) = self.partitions.get_mut(slot) else { return Took::Nothing };
        let Some(batch) = partition.batches.get_mut(&key).filter(|batch| batch.not_before <= self.now) else {
            return Took::Nothing;
        };
        if !builder.fits(batch.sealed.wire_size(), batch.sealed.payload().len()) {
            return Took::NoRoom;
        }
        let count: RecordCount = batch.sealed.count();
        let sent: Sent = if partition.front.front() == Some(&key) {
            partition.front.pop_front();
            partition.stream.send_new(key, count, route)
        } else {
            match partition.stream.resend(key, route) {
                Some(sent) => sent,
                None => return Took::Nothing,
            }
        };
        let stamp = sent.stamp.map(|stamp| Stamp {
            producer_id: stamp.identity.producer_id,
            epoch: stamp.identity.epoch,
            sequence: stamp.sequence,
        });
        let again = batch.attempts > 0;
        batch.attempts += 1;
        let (created, wire_size) = (batch.sealed.created(), batch.sealed.wire_size());
        let produce = ProducePartition {
            index: partition.index,
            header: batch.sealed.header(stamp),
            payload: batch.sealed.payload().clone(),
        };
        let item = Item { partition: partition.index, slot, key, attempt: sent.attempt };
        let topic = partition.topic;
        let topic = &mut self.topics.list[topic];
        builder.push(&mut topic.last_place, &topic.name, route.topic, item, produce);
        let queued = self.now.since(created);
        self.metrics.update_topic(topic, |m, topic| {
            m.sent(topic, count.as_usize() as u64, wire_size as u64, again);
            if !again {
                m.numbers.queue_time.record(u64::try_from(queued.as_micros()).unwrap_or(u64::MAX));
            }
        });
        Took::Batch
    }

    /// The batch that is stamped next: the first of those that are sealed, else one closed now.
    fn take_new(&mut self, slot: usize, grow: bool) -> Result<milena_sequence::BatchKey, Took> {
        let partition = self.partitions.get(slot).ok_or(Took::Nothing)?;
        if partition.diverts {
            return Err(Took::Nothing);
        }
        if let Some(key) = partition.front.front() {
            return Ok(*key);
        }
        if !partition.sealing.is_empty() || partition.queue_idle {
            return Err(Took::Nothing);
        }
        let take = if grow { Take::ClosedOnly } else { Take::OpenToo };
        match partition.queue.close_head(take) {
            Some(batch) => self.seal(slot, batch),
            None if grow => return Err(Took::Later),
            None => return Err(Took::Nothing),
        }
        // With a codec it comes back later.
        self.partitions.get(slot).and_then(|partition| partition.front.front().copied()).ok_or(Took::Nothing)
    }

    fn send(&mut self, broker: BrokerId, builder: Builder) {
        let timeout_ms = i32::try_from(self.config.request_timeout.as_millis()).unwrap_or(i32::MAX);
        let (produce, request) = builder.build(broker, self.config.guarantee.acks(), timeout_ms, self.now);
        let id = self.cluster.send_produce(self.now, broker, &produce);
        self.requests.insert(id, request);
        self.collect_cluster();
        self.brokers.entry(broker).or_default().unanswered += 1;
        if let Some(conn) = self.cluster.carrier(broker, id) {
            self.conns.insert(conn, broker);
            let lists = self.brokers.entry(broker).or_default();
            if lists.conn != Some(conn) {
                lists.conn = Some(conn);
                lists.unwritten = 0;
            }
            lists.unwritten += 1;
        }
        self.metrics.update(|m| {
            m.numbers.requests += 1;
            m.numbers.requests_in_flight += 1;
        });
    }

    /// Notes what a connection's news mean for the bytes handed to it.
    pub(crate) fn note_connection(&mut self, input: &milena_cluster::Input) {
        match input {
            milena_cluster::Input::Written { conn } => {
                let Some(broker) = self.conns.get(conn).copied() else { return };
                let Some(lists) = self.brokers.get_mut(&broker) else { return };
                lists.unwritten = lists.unwritten.saturating_sub(1);
                if lists.unwritten == 0 {
                    self.dirty.insert(broker);
                }
            }
            milena_cluster::Input::Lost { conn, .. } => self.forget_connection(*conn),
            _ => {}
        }
    }

    pub(crate) fn forget_connection(&mut self, conn: ConnId) {
        let Some(broker) = self.conns.remove(&conn) else { return };
        if let Some(lists) = self.brokers.get_mut(&broker)
            && lists.conn == Some(conn)
        {
            lists.conn = None;
            if !Mutant::UnwrittenStaysCounted.lives() {
                lists.unwritten = 0;
            }
        }
        self.dirty.insert(broker);
    }
}
