//! The machine as a whole: inputs in, outputs out, and who is told what.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use milena_accumulator::{Accumulator, PartitionQueue};
use milena_cluster::{Cluster, ConnId, Event, RequestId};
use milena_mutants::Mutant;
use milena_sequence::{Protection, Stream};
use milena_wire::{BrokerId, Timestamp};

use crate::api::{Input, Output, SealTicket};
use crate::backoff::Backoff;
use crate::commands::Commands;
use crate::config::SenderConfig;
use crate::diverting::HOLD;
use crate::drain::Broker;
use crate::flush::Flushes;
use crate::health::HealthBoard;
use crate::identity::{self, ProducerIdentity};
use crate::metrics::Metrics;
use crate::partition::{Hurry, Partition, Partitions, Standing};
use crate::pressure::Pressure;
use crate::quiet::{Quiet, QuietBy};
use crate::requests::Request;
use crate::seal::CodecWatch;
use crate::slots::Slots;
use crate::timers::{Timer, Timers};
use crate::topics::{Cause, Topics};

/// Decides what a producer does next. Owns the cluster and all timers, shares the accumulator with the callers' threads.
///
/// Drive it as: [`handle`](Self::handle) one input, [`poll_output`](Self::poll_output) until it is `None`, wait for the next input or for
/// [`next_timer`](Self::next_timer) (then handle [`Input::Tick`]), repeat. `now` must not decrease.
///
/// Its work for a record or an answer is proportional to the partitions that have something to send, not to those that exist.
#[derive(Debug)]
pub struct Sender {
    pub(crate) config: SenderConfig,
    pub(crate) accumulator: Accumulator,
    pub(crate) cluster: Cluster,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) health: Arc<HealthBoard>,
    pub(crate) backoff: Backoff,
    pub(crate) now: Timestamp,
    pub(crate) wall_ms: i64,
    pub(crate) partitions: Partitions,
    /// Slots of partitions that hold a record without an outcome.
    pub(crate) busy: Slots,
    /// Empty, but for its room.
    ready: Vec<Arc<PartitionQueue>>,
    pub(crate) topics: Topics,
    pub(crate) brokers: BTreeMap<BrokerId, Broker>,
    /// Brokers that something may be sent to, as far as is known without asking.
    pub(crate) dirty: BTreeSet<BrokerId>,
    pub(crate) conns: BTreeMap<ConnId, BrokerId>,
    pub(crate) requests: BTreeMap<RequestId, Request>,
    /// How many requests were ever begun.
    pub(crate) requests_begun: u64,
    pub(crate) seals: BTreeMap<SealTicket, usize>,
    pub(crate) tickets: u64,
    pub(crate) timers: Timers,
    pub(crate) identity: ProducerIdentity,
    pub(crate) flushes: Flushes,
    pub(crate) commands: Commands,
    pub(crate) pressure: Pressure,
    pub(crate) events: VecDeque<Event>,
    pub(crate) outputs: VecDeque<Output>,
    pub(crate) quiet: Complaints,
    pub(crate) codec: CodecWatch,
}

/// What is said at most once in a while.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    /// By topic.
    pub(crate) retries: QuietBy<usize>,
    /// By topic.
    pub(crate) failures: QuietBy<usize>,
    pub(crate) lost: QuietBy<BrokerId>,
    pub(crate) odd_answers: QuietBy<BrokerId>,
    pub(crate) identity: Quiet,
}

impl Sender {
    /// A sender without work. `seed` feeds retry jitter and nothing else.
    #[must_use]
    pub fn new(config: SenderConfig, accumulator: Accumulator, cluster: Cluster, seed: u64) -> Self {
        Self {
            backoff: Backoff::new(config.retry_backoff, config.retry_backoff_max, seed),
            config,
            metrics: Arc::new(Metrics::new(accumulator.clone())),
            health: Arc::new(HealthBoard::new(cluster.health().clone())),
            accumulator,
            cluster,
            now: Timestamp::ZERO,
            wall_ms: 0,
            partitions: Partitions::default(),
            busy: Slots::default(),
            ready: Vec::new(),
            topics: Topics::default(),
            brokers: BTreeMap::new(),
            dirty: BTreeSet::new(),
            conns: BTreeMap::new(),
            requests: BTreeMap::new(),
            requests_begun: 0,
            seals: BTreeMap::new(),
            tickets: 0,
            timers: Timers::default(),
            identity: ProducerIdentity::default(),
            flushes: Flushes::default(),
            commands: Commands::default(),
            pressure: Pressure::default(),
            events: VecDeque::new(),
            outputs: VecDeque::new(),
            quiet: Complaints::default(),
            codec: CodecWatch::default(),
        }
    }

    /// Takes in what happened at `now`; `wall_ms` is the same moment by the wall clock, in milliseconds since 1970.
    pub fn handle(&mut self, now: Timestamp, wall_ms: i64, input: Input) {
        self.now = self.now.max(now);
        self.wall_ms = wall_ms;
        // Callers can ring without a pause: then no tick ever comes.
        let is_overdue = self.cluster.next_timer().is_some_and(|at| at <= self.now);
        if is_overdue && !matches!(input, Input::Tick | Input::Cluster(_)) {
            self.cluster.handle(self.now, milena_cluster::Input::Tick);
        }
        match input {
            Input::Tick => self.cluster.handle(self.now, milena_cluster::Input::Tick),
            Input::Wake => self.take_work(),
            Input::Cluster(input) => {
                self.note_connection(&input);
                self.cluster.handle(self.now, input);
            }
            Input::Sealed { ticket, batch } => self.sealed(ticket, batch),
            Input::Command { id, command } => self.command(id, command),
            Input::GiveUp { id } => self.commands.forget(id),
            Input::Divert { topic, partition } => self.divert(&topic, partition),
            Input::DivertHold { topic, partition } => self.divert_hold(&topic, partition),
            Input::DivertEnd { topic, partition, seen } => self.divert_end(&topic, partition, seen),
        }
        self.settle_down();
    }

    /// What to do next; `None` once there is nothing.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to handle [`Input::Tick`] if nothing else happens before.
    #[must_use]
    pub fn next_timer(&self) -> Option<Timestamp> {
        let own = self.timers.peek().map(|(at, _)| at);
        match (own, self.cluster.next_timer()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// The counters, shared.
    #[must_use]
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    /// How things are, shared.
    #[must_use]
    pub fn health(&self) -> Arc<HealthBoard> {
        Arc::clone(&self.health)
    }

    /// Follows every consequence of an input to its end.
    fn settle_down(&mut self) {
        loop {
            self.collect_cluster();
            if let Some(event) = self.events.pop_front() {
                self.on_event(event);
            } else if let Some((at, timer)) = self.timers.pop_due(self.now) {
                self.fire(at, timer);
            } else if let Some(broker) = self.dirty.pop_first() {
                self.drain(broker);
            } else if !self.ease_pressure() && !self.check_closed() {
                break;
            }
        }
        while let Some((at, timer)) = self.timers.peek() {
            if self.note_of(timer) == Some(at) {
                break;
            }
            self.timers.drop_first();
        }
        if self.timers.is_crowded() {
            let mut timers = std::mem::take(&mut self.timers);
            timers.clear_out(|at, timer| self.note_of(timer) == Some(at));
            self.timers = timers;
        }
    }

    /// Moves the cluster's outputs to where they belong.
    pub(crate) fn collect_cluster(&mut self) {
        use milena_cluster::Output as From;
        // First this: who hears of an outcome finds what led to it.
        self.note_cluster_health();
        while let Some(output) = self.cluster.poll_output() {
            let output = match output {
                From::Resolve { query, host, port } => Output::Resolve { query, host, port },
                From::Connect { conn, host, port, addr } => Output::Connect { conn, host, port, addr },
                From::Transmit { conn, frame } => Output::Transmit { conn, frame },
                From::Authenticate { conn, order } => Output::Authenticate { conn, order },
                From::Close { conn } => {
                    self.forget_connection(conn);
                    Output::Close { conn }
                }
                From::Event(event) => {
                    self.events.push_back(event);
                    continue;
                }
                other => {
                    debug_assert!(false, "an output of the cluster that nobody carries out: {other:?}");
                    continue;
                }
            };
            self.outputs.push_back(output);
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::MetadataChanged => {
                let mut names = Vec::new();
                self.cluster.take_changed_topics(&mut names);
                for name in names {
                    if let Some(at) = self.topics.find(&name) {
                        self.look_topic(at, Cause::News);
                    }
                }
                self.check_commands();
            }
            Event::Produced { request, broker, answer } => self.produced(request, broker, answer),
            Event::Controlled { request, broker, answer } => self.controlled(request, broker, answer),
            Event::Refused { broker, cause } => self.refused(broker, &cause),
            Event::Room { broker } => {
                self.dirty.insert(broker);
            }
            other => tracing::debug!(event = ?other, "an event of the cluster that means nothing here"),
        }
    }

    /// The entry that the timer's owner takes for its own.
    fn note_of(&self, timer: Timer) -> Option<Timestamp> {
        match timer {
            Timer::Partition(slot) => self.partitions.get(slot)?.timer,
            Timer::Topic(at) => self.topics.list.get(at)?.timer,
            Timer::Identity => self.identity.timer,
            Timer::Command => self.commands.timer,
            Timer::Pressure => self.pressure.timer,
        }
    }

    fn fire(&mut self, at: Timestamp, timer: Timer) {
        if self.note_of(timer) != Some(at) {
            return;
        }
        match timer {
            Timer::Partition(slot) => {
                if let Some(partition) = self.partitions.get_mut(slot) {
                    partition.timer = None;
                }
                self.expire(slot);
                self.touch(slot);
            }
            Timer::Topic(topic) => {
                self.topics.list[topic].timer = None;
                self.look_topic(topic, Cause::News);
            }
            Timer::Identity => {
                self.identity.timer = None;
                if self.is_identity_wanted() {
                    self.want_identity();
                }
            }
            Timer::Command => {
                self.commands.timer = None;
                self.check_commands();
            }
            Timer::Pressure => {
                self.pressure.timer = None;
                self.check_pressure();
                if self.pressure.is_on {
                    self.look_at_lingering();
                }
            }
        }
    }

    /// Takes what the callers have left.
    pub(crate) fn take_work(&mut self) {
        self.take_ready();
        self.take_waiting_topics();
        // Last: who begins to wait after this look rings anew.
        self.note_pressure();
    }

    pub(crate) fn touch_all(&mut self) {
        for slot in self.busy.list() {
            self.touch(slot);
        }
    }

    pub(crate) fn take_ready(&mut self) {
        let mut ready = std::mem::take(&mut self.ready);
        self.accumulator.take_ready(&mut ready);
        for queue in ready.drain(..) {
            let slot = queue.slot();
            if let Some(partition) = self.partitions.get_mut(slot) {
                partition.queue_idle = false;
            } else {
                self.add_partition(slot, queue);
            }
            self.touch(slot);
        }
        self.ready = ready;
    }

    fn add_partition(&mut self, slot: usize, queue: Arc<PartitionQueue>) {
        let topic = self.topics.index(queue.topic());
        self.topics.list[topic].slots.push(slot);
        let protection = self.config.guarantee.protection();
        let limit = self.config.in_flight_limit();
        let mut stream = match protection {
            Protection::Stamped => Stream::stamped(limit),
            Protection::Plain | Protection::Once => Stream::plain(protection, limit),
        };
        if let Some(identity) = self.identity.current {
            identity::offer(&mut stream, identity, &self.config);
        }
        let mut partition = Partition::new(queue, topic, stream);
        partition.diverts = self.topics.list[topic].diverts(partition.index);
        self.partitions.insert(slot, partition);
        self.follow_leader(slot);
    }

    pub(crate) fn hurry(&self) -> Hurry {
        let most = self.pressure.longest_wait();
        Hurry {
            all: self.pressure.is_urgent || self.commands.is_closing(),
            linger: self.config.linger.min(most),
            hold: HOLD.min(most),
        }
    }

    /// Looks at a partition after anything has changed: lists it where it belongs and sets its timer.
    pub(crate) fn touch(&mut self, slot: usize) {
        if self.commands.fatal.is_some() {
            self.fail_everything(slot);
        }
        self.give_out(slot);
        self.seal_ahead(slot);
        let hurry = self.hurry();
        self.note_restarts(slot);
        let Some(partition) = self.partitions.get_mut(slot) else { return };
        let mut standing = partition.standing(self.now, hurry);
        let waits = matches!(standing, Standing::Idle | Standing::Blocked);
        if waits && !partition.queue_idle {
            partition.queue_idle = partition.queue.go_idle();
            // If it was found empty and is not idle, a record came in between. While it holds, its caller told nobody.
            if partition.queue_idle || standing == Standing::Idle {
                standing = partition.standing(self.now, hurry);
            }
        }
        partition.is_due = standing.is_due();
        if !partition.is_busy() {
            partition.timer = None;
            if partition.backlog != 0 {
                partition.backlog = 0;
                partition.queue.set_backlog(0);
            }
            self.busy.remove(slot);
            self.note_ailment(slot);
            return;
        }
        self.busy.insert(slot);
        let topic = partition.topic;
        self.renew_topic(topic);
        let Some(partition) = self.partitions.get_mut(slot) else { return };
        if matches!(standing, Standing::Until(_)) {
            self.pressure.note_lingering(slot, &mut partition.lingers);
        }
        if let Some(broker) = partition.leader() {
            let lists = self.brokers.entry(broker).or_default();
            // With a codec there are no companions.
            if self.config.seal_inline && !matches!(standing, Standing::Idle | Standing::Blocked) {
                lists.list_active(slot, &mut partition.active_at, broker);
            }
            match standing {
                Standing::Due => {
                    lists.list_due(slot, &mut partition.due_at, broker);
                    lists.press();
                    self.dirty.insert(broker);
                }
                Standing::Full { until, bytes } => {
                    partition.full_bytes = bytes;
                    lists.list_due(slot, &mut partition.due_at, broker);
                    self.timers.schedule(&mut partition.timer, Timer::Partition(slot), until);
                    self.dirty.insert(broker);
                }
                Standing::Until(at) => self.timers.schedule(&mut partition.timer, Timer::Partition(slot), at),
                Standing::Idle | Standing::Blocked => {}
            }
        }
        if partition.diverts
            && let Standing::Until(at) = standing
        {
            // Needs no leader.
            self.timers.schedule(&mut partition.timer, Timer::Partition(slot), at);
        }
        if let Some(oldest) = partition.oldest().filter(|_| !Mutant::DeadlineIsIgnored.lives()) {
            let end = oldest + self.config.delivery_timeout;
            self.timers.schedule(&mut partition.timer, Timer::Partition(slot), end);
        }
        let backlog = partition.front.len() + partition.sealing.len() + partition.stream.in_flight();
        if backlog != partition.backlog {
            partition.backlog = backlog;
            partition.queue.set_backlog(backlog);
        }
        self.note_ailment(slot);
        self.unblock(slot);
    }

    /// Counts what made a partition's numbering start again: an answer, a deadline, a new leader or topic.
    fn note_restarts(&mut self, slot: usize) {
        let Some(partition) = self.partitions.get_mut(slot) else { return };
        let restarts = partition.stream.restarts();
        let before = std::mem::replace(&mut partition.restarts, restarts);
        if restarts > before {
            self.metrics.update(|m| m.numbers.epoch_bumps += u64::from(restarts - before));
            tracing::info!(topic = %self.topics.list[partition.topic].name, partition = %partition.index,
                identity = ?partition.stream.identity(), "the partition's numbering starts again");
        }
    }

    /// Asks for what a partition with records lacks.
    fn unblock(&mut self, slot: usize) {
        let Some(partition) = self.partitions.get(slot) else { return };
        let topic = partition.topic;
        if let Some(spent) = partition.stream.wants_identity() {
            match self.identity.current.filter(|current| Some(current.producer_id) != spent) {
                Some(current) => {
                    if let Some(partition) = self.partitions.get_mut(slot) {
                        partition.stream.offer(current);
                    }
                    self.touch(slot);
                    return;
                }
                None => {
                    self.identity.current = None;
                    self.want_identity();
                }
            }
        }
        if self.partitions.get(slot).is_some_and(|partition| partition.route.is_none()) {
            self.topic_without_leader(topic);
        }
    }
}
