//! Outcomes: every batch gets exactly one, in time, and says truly whether it may be on the log.

use std::collections::VecDeque;
use std::sync::Arc;

use milena_accumulator::{ClosedBatch, Failure, FailureKind, Outcome, Take};
use milena_cluster::TopicState;
use milena_mutants::Mutant;
use milena_sequence::{BatchKey, Fate};
use milena_wire::{ErrorCode, Timestamp, TopicName};

use crate::config::RecreatedTopic;
use crate::partition::{LastError, Partition, Sealing};
use crate::sender::Sender;

pub(crate) fn fate(fate: Fate) -> milena_accumulator::Fate {
    match fate {
        Fate::NotWritten => milena_accumulator::Fate::NotWritten,
        Fate::MaybeWritten => milena_accumulator::Fate::MaybeWritten,
    }
}

impl Sender {
    /// Gives a sealed batch a good outcome.
    pub(crate) fn settle(&mut self, slot: usize, key: BatchKey, outcome: Outcome) {
        let Some(partition) = self.partitions.get_mut(slot) else { return };
        let Some(batch) = partition.batches.remove(&key) else { return };
        let (records, bytes) = (batch.sealed.count().as_usize() as u64, batch.sealed.wire_size() as u64);
        let topic = &mut self.topics.list[partition.topic];
        self.metrics.update_topic(topic, |m, topic| m.delivered(topic, records, bytes));
        batch.sealed.settle(outcome);
        partition.close_ordinal(batch.ordinal);
        self.check_partition_flushes(slot);
    }

    /// Gives a sealed batch, which the stream holds no more (or as a tombstone), a bad outcome.
    pub(crate) fn fail(&mut self, slot: usize, key: BatchKey, kind: FailureKind, truth: Fate) {
        let Some(partition) = self.partitions.get_mut(slot) else { return };
        let Some(batch) = partition.batches.remove(&key) else { return };
        partition.front.retain(|other| *other != key);
        let topic = partition.topic;
        let name = &self.topics.list[topic].name;
        let (records, bytes) = (batch.sealed.count().as_usize() as u64, batch.sealed.wire_size() as u64);
        let mut failure = Failure::new(kind, fate(truth), name.clone(), Some(partition.index));
        failure.attempts = batch.attempts;
        failure.waited = self.now.since(batch.sealed.created());
        describe(&mut failure, batch.last.as_ref());
        if failure.cause.is_none() && failure.code.is_none() {
            failure.cause = cause_below(self, slot);
        }
        let kept = self.note_failure(topic, &failure, truth, records, bytes);
        self.metrics.update(|m| {
            m.numbers.expired += u64::from(kind == FailureKind::DeliveryTimeout);
        });
        batch.sealed.settle(Outcome::Failed(Arc::new(failure)));
        if let Some(partition) = self.partitions.get_mut(slot) {
            partition.diverts |= kept;
            if !Mutant::FailureHoldsFlush.lives() {
                partition.close_ordinal(batch.ordinal);
            }
        }
        self.check_partition_flushes(slot);
    }

    /// Stops trying a sealed batch, wherever it is; its fate is what the stream knows. Returns its records.
    pub(crate) fn give_up(&mut self, slot: usize, key: BatchKey, kind: FailureKind) -> u64 {
        let Some(partition) = self.partitions.get_mut(slot) else { return 0 };
        let Some(batch) = partition.batches.get(&key) else { return 0 };
        let records = batch.sealed.count().as_usize() as u64;
        // What is not in the stream has never been sent, or was proved absent.
        let lies = Mutant::DeadlineIsHarmless.lives() && partition.stream.is_in_flight(key);
        let truth = partition.stream.settle(key).filter(|_| !lies).unwrap_or(Fate::NotWritten);
        self.fail(slot, key, kind, truth);
        self.finish_withdrawn(slot);
        records
    }

    /// Fails a batch that was never given to the codec.
    pub(crate) fn fail_closed(
        &mut self,
        slot: usize,
        batch: ClosedBatch,
        kind: FailureKind,
        last: Option<&LastError>,
    ) -> u64 {
        let Some(partition) = self.partitions.get_mut(slot) else { return 0 };
        let ordinal = partition.take_ordinal(batch.created());
        let (records, bytes) = (batch.count().as_usize() as u64, batch.bytes() as u64);
        let topic = &mut self.topics.list[partition.topic];
        self.metrics.update_topic(topic, |m, topic| m.closed(topic, records, bytes));
        let failure = self.never_sent(slot, (batch.created(), records, bytes), kind, last);
        batch.settle(Outcome::Failed(Arc::new(failure)));
        self.end_ordinal(slot, ordinal);
        records
    }

    /// Why a batch fails that was never sent. Told and counted.
    fn never_sent(
        &mut self,
        slot: usize,
        (created, records, bytes): (Timestamp, u64, u64),
        kind: FailureKind,
        last: Option<&LastError>,
    ) -> Failure {
        let partition = self.partitions.get(slot);
        let topic = partition.map_or(usize::MAX, |partition| partition.topic);
        let name = partition.map_or_else(|| TopicName::new(""), |p| self.topics.list[p.topic].name.clone());
        let mut failure =
            Failure::new(kind, milena_accumulator::Fate::NotWritten, name, partition.map(|partition| partition.index));
        failure.waited = self.now.since(created);
        describe(&mut failure, last);
        if failure.cause.is_none() && failure.code.is_none() {
            failure.cause = cause_below(self, slot);
        }
        let kept = self.note_failure(topic, &failure, Fate::NotWritten, records, bytes);
        self.metrics.update(|m| m.numbers.expired += u64::from(kind == FailureKind::DeliveryTimeout));
        if let Some(partition) = self.partitions.get_mut(slot) {
            partition.diverts |= kept;
        }
        failure
    }

    /// Tells of a failed batch and counts it, unless it is kept: then that is for whoever keeps it. Says whether it is.
    fn note_failure(&mut self, topic: usize, failure: &Failure, truth: Fate, records: u64, bytes: u64) -> bool {
        if self.keeps(failure) {
            self.note_given_out(topic, failure.partition, records);
            return true;
        }
        if let Some(suppressed) = self.quiet.failures.speak(topic, self.now) {
            tracing::warn!(topic = %failure.topic, partition = ?failure.partition, records, suppressed, %failure, "a batch failed");
        }
        self.metrics.update(|m| m.failed(&failure.topic, truth, records, bytes));
        false
    }

    fn end_ordinal(&mut self, slot: usize, ordinal: u64) {
        if let Some(partition) = self.partitions.get_mut(slot) {
            partition.close_ordinal(ordinal);
        }
        self.check_partition_flushes(slot);
    }

    /// Fails everything of a partition that is still in the accumulator.
    pub(crate) fn fail_queue(&mut self, slot: usize, kind: FailureKind, last: Option<&LastError>) -> u64 {
        let mut records = 0;
        while let Some(partition) = self.partitions.get(slot).filter(|partition| !partition.queue_idle) {
            let Some(batch) = partition.queue.close_head(Take::OpenToo) else { break };
            records += self.fail_closed(slot, batch, kind, last);
        }
        records
    }

    /// Fails what is with the codec, or waits behind something that is: all of it, or what was created until some time. Returns its records.
    pub(crate) fn fail_sealing(
        &mut self,
        slot: usize,
        kind: FailureKind,
        last: Option<&LastError>,
        until: Option<Timestamp>,
    ) -> u64 {
        let Some(partition) = self.partitions.get_mut(slot) else { return 0 };
        let dead = |sealing: &Sealing| until.is_none_or(|until| sealing.owed.created() <= until);
        let (failed, kept) = std::mem::take(&mut partition.sealing).into_iter().partition::<VecDeque<_>, _>(dead);
        partition.sealing = kept;
        partition.collect_sealed();
        let mut records = 0;
        for Sealing { ordinal, owed, .. } in failed {
            let (count, bytes) = (owed.count().as_usize() as u64, owed.bytes() as u64);
            records += count;
            let failure = self.never_sent(slot, (owed.created(), count, bytes), kind, last);
            owed.settle(Outcome::Failed(Arc::new(failure)));
            self.end_ordinal(slot, ordinal);
        }
        records
    }

    /// Fails everything of a partition that is not in flight.
    pub(crate) fn fail_queued(&mut self, slot: usize, kind: FailureKind, last: Option<&LastError>) -> u64 {
        let mut records = 0;
        for key in self.keys_in_order(slot) {
            let Some(partition) = self.partitions.get_mut(slot) else { break };
            if partition.stream.is_in_flight(key) {
                continue;
            }
            if let (Some(batch), Some(last)) = (partition.batches.get_mut(&key), last) {
                batch.last = Some(last.clone());
            }
            records += self.give_up(slot, key, kind);
        }
        records += self.fail_sealing(slot, kind, last, None);
        records + self.fail_queue(slot, kind, last)
    }

    /// Whether one of a partition's batches waits for an answer that what is kept must not be given out ahead of.
    pub(crate) fn holds_back(&self, slot: usize, keys: &[BatchKey]) -> bool {
        let Some(partition) = self.partitions.get(slot).filter(|_| self.config.spool) else { return false };
        keys.iter().any(|key| partition.stream.is_in_flight(*key))
    }

    /// Whether a batch ends with this code though it could be sent again.
    pub(crate) fn fails_at_once(&self, slot: usize, key: BatchKey, code: ErrorCode) -> bool {
        self.config.fail_at_once.contains(&code) && !self.is_kept_behind(slot, key)
    }

    /// Whether a batch that ended now would be kept, and given out ahead of one in front of it.
    pub(crate) fn is_kept_behind(&self, slot: usize, key: BatchKey) -> bool {
        self.config.spool && self.keys_in_order(slot).first() != Some(&key)
    }

    /// The batches of a partition in the order of their records.
    pub(crate) fn keys_in_order(&self, slot: usize) -> Vec<BatchKey> {
        self.partitions.get(slot).map_or_else(Vec::new, Partition::keys_in_order)
    }

    /// Takes back what lost its stamp, and ends what must not be sent again.
    pub(crate) fn finish_withdrawn(&mut self, slot: usize) {
        let Some(partition) = self.partitions.get_mut(slot) else { return };
        for key in partition.collect_withdrawn() {
            self.fail(slot, key, FailureKind::Broker, Fate::MaybeWritten);
        }
    }

    /// Ends what has reached its delivery deadline.
    pub(crate) fn expire(&mut self, slot: usize) {
        let timeout = u64::try_from(self.config.delivery_timeout.as_nanos()).unwrap_or(u64::MAX);
        if let Some(until) = self.now.as_nanos().checked_sub(timeout).map(Timestamp::from_nanos) {
            self.end_older(slot, until, FailureKind::DeliveryTimeout, None);
        }
    }

    /// Ends a partition's batches that were created at `until` or before. But for the delivery deadline, what is in flight may be answered.
    pub(crate) fn end_older(&mut self, slot: usize, until: Timestamp, kind: FailureKind, last: Option<&LastError>) {
        let keys = self.keys_in_order(slot);
        if kind != FailureKind::DeliveryTimeout && self.holds_back(slot, &keys) {
            return;
        }
        for key in keys {
            let Some(partition) = self.partitions.get_mut(slot) else { return };
            let Some(batch) = partition.batches.get_mut(&key) else { continue };
            let waits_for_answer = kind != FailureKind::DeliveryTimeout && partition.stream.is_in_flight(key);
            if batch.sealed.created() > until || waits_for_answer {
                continue;
            }
            if let Some(last) = last {
                batch.last = Some(last.clone());
            }
            self.give_up(slot, key, kind);
        }
        self.fail_sealing(slot, kind, last, Some(until));
        while let Some(partition) = self.partitions.get(slot).filter(|partition| !partition.queue_idle) {
            if partition.queue.oldest().is_none_or(|created| created > until) {
                return;
            }
            let Some(batch) = partition.queue.close_head(Take::OpenToo) else { return };
            self.fail_closed(slot, batch, kind, last);
        }
    }

    /// The partition's topic was deleted and created again: what may be on the old one is never sent to the new one.
    pub(crate) fn recreate(&mut self, slot: usize) {
        self.finish_withdrawn(slot);
        let mut kept = std::collections::VecDeque::new();
        for key in self.keys_in_order(slot) {
            let Some(partition) = self.partitions.get_mut(slot) else { return };
            let truth = partition.stream.fate(key).unwrap_or(Fate::NotWritten);
            let absent = truth == Fate::NotWritten || Mutant::RecreatedGetsAmbiguous.lives();
            if absent && self.config.recreated_topic == RecreatedTopic::Send {
                kept.push_back(key);
            } else {
                self.fail(slot, key, FailureKind::TopicRecreated, truth);
            }
        }
        if self.config.recreated_topic == RecreatedTopic::Fail {
            self.fail_sealing(slot, FailureKind::TopicRecreated, None, None);
            self.fail_queue(slot, FailureKind::TopicRecreated, None);
        }
        if let Some(partition) = self.partitions.get_mut(slot) {
            partition.front = kept;
            partition.stream.restart();
        }
        self.touch(slot);
    }

    /// The producer may not write any more: nothing is taken from now on, and what is queued fails when its partition is looked at.
    pub(crate) fn refuse_all(&mut self, code: ErrorCode) {
        if self.commands.fatal.is_none() {
            tracing::error!(%code, meaning = code.description(), "the producer cannot go on");
            self.commands.fatal = Some(code);
            // First this: who is refused from now on asks why.
            self.metrics.update(|metrics| metrics.numbers.fatal = Some(code));
            self.accumulator.close();
        }
    }

    pub(crate) fn fail_everything(&mut self, slot: usize) {
        let Some(code) = self.commands.fatal else { return };
        let last = LastError { broker: None, code, message: None, cause: None };
        self.fail_queued(slot, FailureKind::Fatal, Some(&last));
    }
}

impl Drop for Sender {
    /// What is still here will not be delivered: the runtime ended, or a panic came through. Batches go out as those do that fail. What callers
    /// have queued is counted here and fails as the accumulator is abandoned.
    fn drop(&mut self) {
        self.accumulator.close();
        let metrics = Arc::clone(&self.metrics);
        let spool = self.config.spool;
        let lost = |topic: &TopicName, fate, records, bytes| {
            if spool {
                return; // for whoever keeps them to count
            }
            let maybe = fate == milena_accumulator::Fate::MaybeWritten;
            let truth = if maybe { Fate::MaybeWritten } else { Fate::NotWritten };
            metrics.update(|m| m.failed(topic, truth, records, bytes));
        };
        for partition in self.partitions.iter_mut() {
            let name = &self.topics.list[partition.topic].name;
            for key in partition.keys_in_order() {
                if let Some(batch) = partition.batches.remove(&key) {
                    let (records, bytes) = (batch.sealed.count().as_usize() as u64, batch.sealed.wire_size() as u64);
                    lost(name, batch.sealed.abandon(), records, bytes);
                }
            }
            for Sealing { owed, sealed, .. } in partition.sealing.drain(..) {
                let (records, bytes) = (owed.count().as_usize() as u64, owed.bytes() as u64);
                let fate = match sealed {
                    Some(bytes) => owed.seal_with(bytes).abandon(),
                    None => owed.abandon(),
                };
                lost(name, fate, records, bytes);
            }
        }
        self.accumulator.queued(|topic, queued| {
            metrics.update(|m| {
                let place = m.place(topic);
                m.closed(place, queued.records, queued.bytes);
            });
            lost(topic, milena_accumulator::Fate::NotWritten, queued.records, queued.bytes);
        });
    }
}

fn describe(failure: &mut Failure, last: Option<&LastError>) {
    if let Some(last) = last {
        failure.broker = last.broker;
        failure.code = Some(last.code).filter(|code| *code != ErrorCode::NONE);
        failure.message.clone_from(&last.message);
        failure.cause.clone_from(&last.cause);
    }
}

/// What keeps a partition from sending, as far as the cluster knows.
fn cause_below(sender: &Sender, slot: usize) -> Option<String> {
    let partition = sender.partitions.get(slot)?;
    let broker = partition.leader().and_then(|leader| sender.cluster.broker_error(leader));
    if let Some(error) = broker.or_else(|| sender.cluster.last_error()) {
        return Some(error.to_string());
    }
    if partition.route.is_none() {
        return Some(match sender.cluster.topic(&sender.topics.list[partition.topic].name) {
            TopicState::Missing { code, .. } => format!("the topic is gone: {code}"),
            _ => "the partition has no leader".to_owned(),
        });
    }
    partition.stream.wants_identity().and_then(|_| sender.identity.last_error())
}
