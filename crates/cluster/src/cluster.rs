//! The machine as a whole: links, metadata and control requests, and how they depend on each other.
//!
//! - [`input`]: what happened on connections, and what follows from it
//! - [`control`]: which broker to ask, for metadata and for control requests
//! - [`health`]: what is seen of all this from outside
//! - [`produce`]: requests to the broker that leads a partition
//! - [`refused`]: when nobody takes this client for who it says it is

mod control;
mod health;
mod input;
mod produce;
mod refused;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use milena_wire::message::NodeEndpoint;
use milena_wire::message::produce::ProduceRequest;
use milena_wire::{BrokerId, PartitionId, Timestamp, TopicName};

use crate::api::{ConnId, ControlRequest, Event, Input, Output, RequestId, Room};
use crate::config::{ClusterConfig, HostPort};
use crate::ctx::Ctx;
use crate::errors::ConnError;
use crate::health::ClusterHealth;
use crate::link::{Class, Link, LinkKey, Node};
use crate::metadata::Metadata;
use crate::timers::{Timer, Timers};
use crate::topology::{Leader, LeaderHint, TopicState};
use control::Waiting;
use refused::TurnedAway;

/// Everything known of a cluster and of every connection to it, as one deterministic value.
///
/// Drive it as: change one thing, by [`handle`](Self::handle) or one of the commands; drain
/// [`poll_output`](Self::poll_output) until it returns `None`; repeat, at the latest at
/// [`next_timer`](Self::next_timer). `now` must not decrease between calls (an earlier one counts as the latest).
///
/// **Connections.** One per broker and class (produce requests; everything else), known by the broker's id wherever it
/// moves. A connection is made when it is needed, is usable once ApiVersions was answered, and is closed after
/// `idle_timeout` without use. Requests on it are answered in order; a request without an answer for
/// `request_timeout` (extended by throttling) closes it, and so does any response that cannot be understood. All that
/// was in flight is then reported lost as [`Reached::MaybeSent`](crate::Reached::MaybeSent).
///
/// **Metadata.** Asked for when a topic is first used, when something is missing or doubtful, on request, when a
/// connection fails, and by age; one request at a time, with backoff that grows while requests fail or bring no news.
/// An answer that takes something back (a lower leader epoch, a topic, a partition, an earlier topic id) is believed
/// once three in a row say so. A cluster id that changes is only warned of: topics have other ids there, which shows.
/// Without topics in use nothing is asked for, and no timer is set.
#[derive(Debug)]
pub struct Cluster {
    ctx: Ctx,
    links: BTreeMap<LinkKey, Link>,
    metadata: Metadata,
    /// Control requests that wait for a connection, oldest first.
    waiting: VecDeque<Waiting>,
    timers: Timers,
    /// The latest `now`.
    now: Timestamp,
    /// Something happened that may let metadata or control requests go out.
    search: bool,
    /// Who answered a metadata request badly; others are asked first.
    avoid: Option<Node>,
    /// Control connections that failed since one last lived for long, and when the next may be tried.
    dial_failures: u32,
    dial_after: Timestamp,
    /// Whom control requests could not be sent to since a connection for them was last usable.
    turned_away: TurnedAway,
    /// When failing to learn metadata leads to a rebootstrap; set while it fails.
    rebootstrap_at: Option<Timestamp>,
    last_error: Option<Arc<ConnError>>,
    health: ClusterHealth,
    health_news: bool,
}

impl Cluster {
    /// A client that knows nothing but where to start; `seed` feeds jitter and the choice among equal brokers.
    #[must_use]
    pub fn new(config: ClusterConfig, seed: u64) -> Self {
        let mut timers = Timers::default();
        timers.set(Timer::Metadata, Some(Timestamp::ZERO));
        Self {
            metadata: Metadata::new(&config),
            ctx: Ctx::new(config, seed),
            links: BTreeMap::new(),
            waiting: VecDeque::new(),
            timers,
            now: Timestamp::ZERO,
            search: true,
            avoid: None,
            dial_failures: 0,
            dial_after: Timestamp::ZERO,
            turned_away: TurnedAway::default(),
            rebootstrap_at: None,
            last_error: None,
            health: ClusterHealth::new(),
            health_news: false,
        }
    }

    /// Takes in what happened, and whatever time has brought about since; then drain
    /// [`poll_output`](Self::poll_output).
    pub fn handle(&mut self, now: Timestamp, input: Input) {
        let now = self.advance(now);
        self.on_input(now, input);
        self.on_time(now);
        self.settle(now);
    }

    /// What to do next; `None` once there is nothing.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.ctx.poll()
    }

    /// When to call [`handle`](Self::handle) with [`Input::Tick`], if nothing else happens before. Cheap.
    #[must_use]
    pub fn next_timer(&self) -> Option<Timestamp> {
        self.timers.next()
    }

    /// Whether a produce request can go to `broker` now; starts connecting if there is no connection.
    ///
    /// After [`Room::Wait`] an [`Event::Room`] follows when asking again is worth it, unless the broker leaves the
    /// cluster before (an [`Event::MetadataChanged`] tells). While nobody asks, nothing keeps the connection up; while
    /// somebody waits, it is tried again and again, with backoff.
    pub fn produce_room(&mut self, now: Timestamp, broker: BrokerId) -> Room {
        let now = self.advance(now);
        let room = self.room(now, broker);
        self.settle(now);
        room
    }

    /// Sends a produce request; exactly one [`Event::Produced`] follows. With `acks=0` that is
    /// [`ProduceAnswer::Unacknowledged`](crate::ProduceAnswer::Unacknowledged) as soon as the request is written.
    ///
    /// Meant for a broker of which [`produce_room`](Self::produce_room) just said [`Room::Ready`], and as often as it
    /// had slots; beyond that the request is reported lost as [`Reached::NotSent`](crate::Reached::NotSent).
    pub fn send_produce(&mut self, now: Timestamp, broker: BrokerId, request: &ProduceRequest) -> RequestId {
        let now = self.advance(now);
        let id = self.produce(now, broker, request);
        self.settle(now);
        id
    }

    /// The connection that a produce request to `broker` is in flight on; `None` once it is over, or if it was never sent.
    #[must_use]
    pub fn carrier(&self, broker: BrokerId, request: RequestId) -> Option<ConnId> {
        self.conn_of(broker, request)
    }

    /// Sends a request to whichever broker is least loaded; exactly one [`Event::Controlled`] follows.
    ///
    /// It waits up to `request_timeout` for a connection, and as long again for the answer. It is sent once: whether
    /// to ask again is up to the caller.
    pub fn control(&mut self, now: Timestamp, request: ControlRequest) -> RequestId {
        let now = self.advance(now);
        let id = self.ctx.request_id();
        let deadline = now + self.ctx.config.request_timeout;
        self.waiting.push_back(Waiting { id, request, deadline });
        self.search = true;
        self.settle(now);
        id
    }

    /// Registers interest in a topic for `metadata_max_idle` from now; a topic not known yet is asked for at once.
    ///
    /// To be called whenever records for the topic are queued or still on their way: a topic that is not used is
    /// forgotten. Cheap for a topic in use.
    pub fn use_topic(&mut self, now: Timestamp, topic: &TopicName) {
        let now = self.advance(now);
        self.metadata.topics.use_topic(now, topic, self.ctx.config.metadata_max_idle);
        self.metadata_wanted(now);
    }

    /// Asks for metadata of all topics in use, as soon as backoff allows. Calls before the request goes out are one.
    pub fn refresh(&mut self, now: Timestamp) {
        let now = self.advance(now);
        self.metadata.refresh.request();
        self.metadata_wanted(now);
    }

    /// Asks for metadata of one topic in use, as soon as backoff allows. Calls before the request goes out are one.
    pub fn refresh_topic(&mut self, now: Timestamp, topic: &TopicName) {
        let now = self.advance(now);
        self.metadata.topics.ask_again(topic);
        self.metadata_wanted(now);
    }

    /// Takes in hints of a produce response; returns how many.
    ///
    /// A hint is ignored when it is not newer than what is known (by leader epoch), when its leader's address is
    /// unknown, when its topic or partition is, and when the partition took another one less than `retry_backoff` ago.
    pub fn apply_hints(&mut self, now: Timestamp, hints: &[LeaderHint], endpoints: &[NodeEndpoint]) -> usize {
        let now = self.advance(now);
        let (taken, moved) = self.metadata.apply_hints(now, hints, endpoints, self.ctx.config.retry_backoff);
        self.ctx.health_doubtful |= taken > 0;
        for broker in moved {
            self.move_links(now, broker);
        }
        if taken > 0 {
            self.ctx.event(Event::MetadataChanged);
        }
        self.settle(now);
        taken
    }

    /// Moves the names of topics whose [`topic`](Self::topic) or [`leader`](Self::leader)s may have changed since the
    /// last call to `out`.
    pub fn take_changed_topics(&mut self, out: &mut Vec<TopicName>) {
        self.metadata.take_changed(out);
    }

    /// The partition's leader, if there is one that is a known broker.
    #[must_use]
    pub fn leader(&self, topic: &TopicName, partition: PartitionId) -> Option<Leader> {
        self.metadata.leader(topic, partition)
    }

    /// What is known of a topic.
    #[must_use]
    pub fn topic(&self, topic: &TopicName) -> TopicState<'_> {
        self.metadata.topics.state(topic)
    }

    /// The brokers of the cluster, in the order of their ids.
    pub fn brokers(&self) -> impl Iterator<Item = (BrokerId, &HostPort)> {
        self.metadata.nodes.iter().map(|(id, address)| (*id, address))
    }

    /// The last connection or metadata failure since metadata was last learnt.
    #[must_use]
    pub fn last_error(&self) -> Option<Arc<ConnError>> {
        self.last_error.clone()
    }

    /// Why the last connection for produce requests to `broker` failed, until one succeeds.
    #[must_use]
    pub fn broker_error(&self, broker: BrokerId) -> Option<Arc<ConnError>> {
        let key = LinkKey { node: Node::Broker(broker), class: Class::Produce };
        self.links.get(&key).and_then(|link| link.error.clone())
    }

    /// Whether any broker ever took this client for who it says it is: a connection was usable.
    #[must_use]
    pub fn was_accepted(&self) -> bool {
        self.ctx.accepted
    }

    /// Whether metadata was ever learnt.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.metadata.learnt
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &ClusterConfig {
        &self.ctx.config
    }

    fn advance(&mut self, now: Timestamp) -> Timestamp {
        self.now = self.now.max(now);
        self.now
    }
}

#[cfg(test)]
mod tests;
