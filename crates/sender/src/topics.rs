//! Topics: records that wait for one to become known, leaders, and what a new topic id means.

use std::collections::BTreeMap;
use std::time::Duration;

use milena_accumulator::{At, Failure, FailureKind, Fate, TopicShape};
use milena_cluster::TopicState;
use milena_mutants::Mutant;
use milena_sequence::Route;
use milena_wire::{ErrorCode, PartitionId, Timestamp, TopicId, TopicName};

use crate::metrics::{Counts, Place};
use crate::partition::{LastError, Partition};
use crate::requests::LastPlace;
use crate::sender::Sender;
use crate::timers::Timer;

/// How often interest in a topic is renewed, as a part of how long it is kept.
const RENEWALS: u32 = 4;

#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: TopicName,
    /// The id under which it was last known.
    pub(crate) id: TopicId,
    /// Slots of its partitions that were ever used.
    pub(crate) slots: Vec<usize>,
    /// Since when records wait for it to become known.
    pub(crate) waiting: Option<Timestamp>,
    pub(crate) shape: TopicShape,
    /// Flushes that wait until it is known what becomes of the waiting records, and when each was asked for.
    pub(crate) flushes: Vec<(u64, Timestamp)>,
    pub(crate) timer: Option<Timestamp>,
    /// What waits in the spool or has, by partition. None: of the topic as a whole.
    pub(crate) spooled: BTreeMap<Option<PartitionId>, Spooled>,
    pub(crate) last_place: LastPlace,
    /// Known once something is counted.
    counters: Option<Place>,
    renew_at: Timestamp,
}

impl Topic {
    /// Where its numbers are.
    pub(crate) fn counters(&mut self, counts: &mut Counts) -> Place {
        *self.counters.get_or_insert_with(|| counts.place(&self.name))
    }

    /// Whether batches of a partition are given out.
    pub(crate) fn diverts(&self, partition: PartitionId) -> bool {
        [None, Some(partition)].iter().any(|of| self.spooled.get(of).is_some_and(|spooled| spooled.waits))
    }

    /// Whether new batches of a partition wait a while in memory for those in the spool.
    pub(crate) fn holds(&self, partition: PartitionId) -> bool {
        self.spooled.get(&Some(partition)).is_some_and(|spooled| spooled.holds)
    }
}

/// What was given out to wait in a spool.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spooled {
    /// Records ever.
    pub(crate) given: u64,
    /// Whether some may wait there.
    pub(crate) waits: bool,
    /// It is being sent: what comes waits a while for the end of that.
    pub(crate) holds: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Topics {
    pub(crate) list: Vec<Topic>,
    by_name: BTreeMap<TopicName, usize>,
    /// Places in `list` of topics that were forgotten.
    free: Vec<usize>,
}

impl Topics {
    pub(crate) fn index(&mut self, name: &TopicName) -> usize {
        if let Some(at) = self.by_name.get(name) {
            return *at;
        }
        let topic = Topic {
            name: name.clone(),
            id: TopicId::ZERO,
            slots: Vec::new(),
            waiting: None,
            shape: TopicShape::default(),
            flushes: Vec::new(),
            timer: None,
            spooled: BTreeMap::new(),
            last_place: LastPlace::default(),
            counters: None,
            renew_at: Timestamp::ZERO,
        };
        let at = match self.free.pop() {
            Some(at) => {
                self.list[at] = topic;
                at
            }
            None => {
                self.list.push(topic);
                self.list.len() - 1
            }
        };
        self.by_name.insert(name.clone(), at);
        at
    }

    /// Lets go of a topic that never was: wrong names may be many.
    fn forget_unknown(&mut self, at: usize) {
        let topic = &mut self.list[at];
        let unknown = topic.slots.is_empty() && topic.shape.partitions == 0 && topic.spooled.is_empty();
        if unknown && topic.waiting.is_none() && topic.flushes.is_empty() && self.by_name.remove(&topic.name).is_some()
        {
            topic.timer = None;
            self.free.push(at);
        }
    }

    pub(crate) fn find(&self, name: &TopicName) -> Option<usize> {
        self.by_name.get(name).copied()
    }
}

/// Why a topic is looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Cause {
    /// Somebody produces to it.
    Use,
    /// The cluster has news of it, or a time is up.
    News,
}

/// What the cluster says of a topic, without borrowing the cluster.
enum News {
    Nothing,
    Missing { code: ErrorCode, since: Timestamp },
    Refused { code: ErrorCode },
    Known { id: TopicId, shape: TopicShape },
}

impl Sender {
    /// Tells the cluster that a topic is in use, now and then. It is looked at again in time for the next, should records wait then.
    pub(crate) fn renew_topic(&mut self, at: usize) {
        if self.now >= self.topics.list[at].renew_at {
            let next = self.renewed_until();
            let topic = &mut self.topics.list[at];
            topic.renew_at = next;
            self.cluster.use_topic(self.now, &topic.name);
            self.schedule_topic(at, next);
        }
    }

    /// When a topic that is in use now has to be told of again, so that the cluster does not forget it.
    pub(crate) fn renewed_until(&self) -> Timestamp {
        self.now + (self.cluster.config().metadata_max_idle / RENEWALS).max(Duration::from_millis(1))
    }

    /// Whoever waits for a topic uses it, for as long as that takes: an outage may be longer than the cluster remembers one that is idle.
    fn renew_awaited(&mut self, at: usize) {
        let topic = &self.topics.list[at];
        let is_busy = |slot: &usize| self.partitions.get(*slot).is_some_and(Partition::is_busy);
        if topic.waiting.is_some() || topic.slots.iter().any(is_busy) {
            self.renew_topic(at);
            // What comes before it took its place among the timers.
            self.schedule_topic(at, self.topics.list[at].renew_at);
        }
    }

    /// A partition has records and no leader: unless the cluster refuses its topic, it will find one.
    pub(crate) fn topic_without_leader(&mut self, at: usize) {
        self.cluster.refresh_topic(self.now, &self.topics.list[at].name);
        if let TopicState::Failed { .. } = self.cluster.topic(&self.topics.list[at].name) {
            self.topics.list[at].renew_at = self.now;
            self.renew_topic(at);
            self.schedule_topic(at, self.now + self.config.retry_backoff_max);
        }
        if self.topics.list[at]
            .slots
            .iter()
            .any(|slot| self.partitions.get(*slot).is_some_and(|p| p.gone_since.is_some()))
        {
            self.schedule_topic(at, self.now + self.config.unknown_topic_grace);
        }
    }

    /// Records wait for topics that the accumulator does not know.
    pub(crate) fn take_waiting_topics(&mut self) {
        let mut names = Vec::new();
        self.accumulator.take_waiting_topics(&mut names);
        for name in names {
            let at = self.topics.index(&name);
            self.topics.list[at].waiting.get_or_insert(self.now);
            if let Some(code) = self.commands.fatal {
                self.fail_waiting(at, FailureKind::Fatal, code);
                continue;
            }
            // A refusal is checked again only when the topic is used again.
            self.topics.list[at].renew_at = self.now;
            self.renew_topic(at);
            self.look_topic(at, Cause::Use);
        }
    }

    /// Nothing can be sent any more, whatever becomes known of the topics that records wait for.
    pub(crate) fn fail_all_waiting(&mut self, code: ErrorCode) {
        for at in 0..self.topics.list.len() {
            self.fail_waiting(at, FailureKind::Fatal, code);
        }
    }

    /// Takes in what the cluster has learnt of a topic, and ends what has waited for it too long.
    pub(crate) fn look_topic(&mut self, at: usize, cause: Cause) {
        self.renew_awaited(at);
        match self.topic_news(at) {
            News::Known { id, shape } => self.topic_known(at, id, shape),
            // An old refusal for lack of rights is being checked again; the same answer would be no news.
            News::Refused { code } if cause == Cause::Use && code == ErrorCode::TOPIC_AUTHORIZATION_FAILED => {
                let recheck = self.now + self.config.retry_backoff_max;
                self.schedule_topic(at, recheck);
            }
            News::Refused { code } => self.topic_refused(at, code),
            News::Missing { code, since } => {
                // What would be sent to a former leader now could only become ambiguous.
                for slot in self.topics.list[at].slots.clone() {
                    self.follow_leader(slot);
                }
                self.topic_missing(at, code, since);
            }
            News::Nothing => {}
        }
        self.expire_waiting(at);
        self.expire_gone(at);
    }

    fn topic_news(&self, at: usize) -> News {
        match self.cluster.topic(&self.topics.list[at].name) {
            TopicState::Unasked | TopicState::Asking => News::Nothing,
            TopicState::Missing { code, first_answer, .. } => News::Missing { code, since: first_answer },
            TopicState::Failed { code } => News::Refused { code },
            TopicState::Known(info) => {
                let with_leader = (0..).zip(&info.partitions).filter(|(_, p)| p.leader.is_some());
                let shape = TopicShape {
                    partitions: info.partitions.len(),
                    with_leader: with_leader.map(|(index, _)| PartitionId(index)).collect(),
                };
                News::Known { id: info.id, shape }
            }
        }
    }

    fn topic_known(&mut self, at: usize, id: TopicId, shape: TopicShape) {
        let topic = &mut self.topics.list[at];
        let recreated = !topic.id.is_zero() && !id.is_zero() && topic.id != id;
        if !id.is_zero() {
            topic.id = id;
        }
        if recreated {
            tracing::warn!(topic = %topic.name, new_id = ?id, "the topic was deleted and created again");
            for slot in self.topics.list[at].slots.clone() {
                self.recreate(slot);
            }
        }
        let waited = self.topics.list[at].waiting.take();
        if waited.is_some() || self.topics.list[at].shape != shape {
            let clock = At { now: self.now, wall_ms: self.wall_ms };
            let name = &self.topics.list[at].name;
            let failed = self.accumulator.set_topic(clock, name, &shape) as u64;
            if failed > 0 {
                self.metrics.update(|m| m.failed_unplaced(name, failed));
            }
            self.topics.list[at].shape = shape;
            self.take_ready();
        }
        for slot in self.topics.list[at].slots.clone() {
            self.follow_leader(slot);
        }
        for (flush, asked) in std::mem::take(&mut self.topics.list[at].flushes) {
            for slot in self.topics.list[at].slots.clone() {
                self.flush_partition(slot, flush, asked);
            }
            self.flush_step(flush);
        }
    }

    fn topic_refused(&mut self, at: usize, code: ErrorCode) {
        let last = LastError { broker: None, code, message: None, cause: None };
        let kind = kind_of_refusal(code);
        for slot in self.topics.list[at].slots.clone() {
            self.fail_queued(slot, kind, Some(&last));
            self.touch(slot);
        }
        self.fail_waiting(at, kind, code);
    }

    fn topic_missing(&mut self, at: usize, code: ErrorCode, since: Timestamp) {
        let Some(waiting) = self.topics.list[at].waiting else { return };
        // What is asked for later is given as much time to appear.
        let end = since.max(waiting) + self.config.unknown_topic_grace;
        if self.now >= end {
            self.fail_waiting(at, FailureKind::TopicUnknown, code);
        } else {
            self.schedule_topic(at, end);
        }
    }

    fn schedule_topic(&mut self, at: usize, when: Timestamp) {
        self.timers.schedule(&mut self.topics.list[at].timer, Timer::Topic(at), when);
    }

    pub(crate) fn waiting_failure(&self, at: usize, kind: FailureKind) -> Failure {
        let topic = &self.topics.list[at];
        let mut failure = Failure::new(kind, Fate::NotWritten, topic.name.clone(), None);
        failure.cause = self.cluster.last_error().map(|error| error.to_string());
        failure.waited = topic.waiting.map_or(Duration::ZERO, |since| self.now.since(since));
        failure
    }

    pub(crate) fn fail_waiting(&mut self, at: usize, kind: FailureKind, code: ErrorCode) -> u64 {
        if self.topics.list[at].waiting.is_none() {
            return 0;
        }
        let mut failure = self.waiting_failure(at, kind);
        failure.code = Some(code).filter(|code| *code != ErrorCode::NONE);
        self.end_waiting(at, failure)
    }

    /// Fails the records that wait for a topic, if any do.
    pub(crate) fn end_waiting(&mut self, at: usize, failure: Failure) -> u64 {
        let (kind, code) = (failure.kind, failure.code);
        let kept = self.keeps(&failure);
        let records = self.accumulator.fail_waiting(&self.topics.list[at].name, failure) as u64;
        let topic = &mut self.topics.list[at];
        topic.waiting = None;
        let name = topic.name.clone();
        self.note_unplaced(at, kept, records);
        if records > 0 && !kept {
            tracing::warn!(topic = %name, records, ?kind, ?code, "records failed while they waited for their topic");
        }
        self.release_topic_flushes(at, None);
        self.topics.forget_unknown(at);
        records
    }

    /// Flushes that were asked for before the oldest waiting record came wait for none of them.
    fn release_topic_flushes(&mut self, at: usize, oldest: Option<Timestamp>) {
        let flushes = &mut self.topics.list[at].flushes;
        let over = flushes.extract_if(.., |(_, asked)| oldest.is_none_or(|oldest| *asked < oldest));
        for (flush, _) in over.collect::<Vec<_>>() {
            self.flush_step(flush);
        }
    }

    /// Ends records whose delivery deadline passes before anything is known of their topic.
    fn expire_waiting(&mut self, at: usize) {
        if self.topics.list[at].waiting.is_none() || Mutant::WaitingDeadlineIsIgnored.lives() {
            return;
        }
        let timeout = u64::try_from(self.config.delivery_timeout.as_nanos()).unwrap_or(u64::MAX);
        let mut next = self.topics.list[at].waiting.map(|since| since + self.config.delivery_timeout);
        if let Some(before) = self.now.as_nanos().checked_sub(timeout) {
            let failure = self.waiting_failure(at, FailureKind::DeliveryTimeout);
            let kept = self.keeps(&failure);
            let name = &self.topics.list[at].name;
            let (records, oldest) = self.accumulator.expire_waiting(name, Timestamp::from_nanos(before), failure);
            self.note_unplaced(at, kept, records as u64);
            if records > 0 && !kept {
                let name = &self.topics.list[at].name;
                tracing::warn!(topic = %name, records, "records expired while they waited for their topic");
            }
            next = oldest.map(|oldest| oldest + self.config.delivery_timeout);
            self.release_topic_flushes(at, oldest);
        }
        match next {
            Some(next) => self.schedule_topic(at, next),
            None => self.topics.list[at].waiting = None,
        }
    }

    /// Ends records of partitions that were known and are gone, once they had the grace that records of an unknown topic have. What is in
    /// flight is answered first.
    fn expire_gone(&mut self, at: usize) {
        let code = match self.cluster.topic(&self.topics.list[at].name) {
            TopicState::Missing { code, .. } => code,
            _ => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        };
        let grace = self.config.unknown_topic_grace;
        let last = LastError { broker: None, code, message: None, cause: None };
        let nanos = u64::try_from(grace.as_nanos()).unwrap_or(u64::MAX);
        let until = self.now.as_nanos().checked_sub(nanos).map(Timestamp::from_nanos);
        for slot in self.topics.list[at].slots.clone() {
            let Some(since) = self.partitions.get(slot).and_then(|partition| partition.gone_since) else { continue };
            if let Some(until) = until.filter(|until| since <= *until) {
                self.end_older(slot, until, FailureKind::TopicUnknown, Some(&last));
                self.touch(slot);
            }
            if let Some(oldest) = self.partitions.get(slot).and_then(|partition| partition.oldest()) {
                let end = since.max(oldest) + grace;
                let end = if end > self.now { end } else { self.now + self.config.retry_backoff_max };
                self.schedule_topic(at, end);
            }
        }
    }

    /// Sends a partition's batches to its leader of now, and what was under way to a former one again if that cannot duplicate it.
    pub(crate) fn follow_leader(&mut self, slot: usize) {
        let Some(partition) = self.partitions.get_mut(slot) else { return };
        let name = &self.topics.list[partition.topic].name;
        let leader = self.cluster.leader(name, partition.index);
        let route = leader.map(|l| Route { leader: l.broker, epoch: l.epoch, topic: l.topic_id });
        match (route, gone_since(self.cluster.topic(name), partition.index, self.now)) {
            // Nothing but a leader ends it: a broker that says something else in between may still lose the topic.
            (Some(_), _) => partition.gone_since = None,
            (None, Some(since)) => partition.gone_since = partition.gone_since.or(Some(since)),
            (None, None) => {}
        }
        if partition.route == route {
            return;
        }
        partition.route = route;
        if let Some(route) = route {
            if partition.stream.is_elsewhere(route) {
                let mut waiting = Vec::new();
                partition.stream.reroute(&mut waiting);
                tracing::debug!(topic = %name, partition = %partition.index, leader = %route.leader, epoch = %route.epoch,
                    batches = waiting.len(), "new leader: batches in flight are sent again, in order");
                for key in waiting {
                    self.end_retries(slot, key);
                }
            }
            let Some(partition) = self.partitions.get_mut(slot) else { return };
            // KIP-951: a new leader is worth an attempt at once, and what the former one refused says nothing about it.
            for batch in partition.batches.values_mut() {
                batch.not_before = Timestamp::ZERO;
                batch.setbacks = 0;
            }
        }
        self.finish_withdrawn(slot);
        self.touch(slot);
    }
}

/// Since when there is no such partition, if there is none.
fn gone_since(topic: TopicState<'_>, partition: PartitionId, now: Timestamp) -> Option<Timestamp> {
    match topic {
        TopicState::Missing { first_answer, .. } => Some(first_answer),
        TopicState::Known(info) => {
            let known = usize::try_from(partition.0).ok().and_then(|index| info.partitions.get(index));
            let is_there = known.is_some_and(|p| p.leader.is_some() || p.code != ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
            (!is_there).then_some(now)
        }
        TopicState::Unasked | TopicState::Asking | TopicState::Failed { .. } => None,
    }
}

fn kind_of_refusal(code: ErrorCode) -> FailureKind {
    match code {
        ErrorCode::TOPIC_AUTHORIZATION_FAILED
        | ErrorCode::CLUSTER_AUTHORIZATION_FAILED
        | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED => FailureKind::Authorization,
        _ => FailureKind::TopicUnknown,
    }
}
