//! The core that decides: topics, leaders, logs, producer state, and what every request is answered.
//!
//! No I/O and no clock: time is an argument, and what outlives the process is written through [`Disk`]. A request is
//! read and its batches are checked by [`request::read`], which needs no lock; then [`Core::handle`] answers it or says
//! that it waits, and [`Core::take_answered`] gives out what stopped waiting. [`Core::tick`] is due at
//! [`Core::next_timer`].

mod admin;
mod check;
mod config;
mod fetch;
mod log;
mod metadata;
mod offsets;
mod partition;
mod produce;
mod producers;
mod refusal;
pub(crate) mod request;
mod response;
mod script;
mod steer;
mod stored;
mod topic;
mod topics;
mod wait;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use milena_wire::message::NodeEndpoint;
use milena_wire::{ApiKey, BrokerId, ErrorCode, LeaderEpoch, PartitionId, Timestamp, TopicId, TopicName};

pub(crate) use config::CoreConfig;
pub use config::Keep;
pub(crate) use log::{Disk, DiskLog};
pub(crate) use refusal::Refusal;
use request::{Meta, Request};
use response::Response;
pub(crate) use script::garbled;
pub use stored::{StoredBatch, StoredRecord};
use topic::Topic;
pub(crate) use wait::{Answer, Ticket};
use wait::{Timer, TimerKey, Timers, Waiting};

use crate::script::{Reaction, Rule};

/// The time, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    /// Monotonic.
    pub(crate) now: Timestamp,
    /// Milliseconds since 1970.
    pub(crate) wall_ms: i64,
}

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Handled {
    Answered(Answer),
    /// [`Core::take_answered`] will have its answer.
    Waits(Ticket),
}

/// Whether a node takes part.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NodeState {
    Running,
    Paused,
    Stopped,
}

struct Node {
    host: String,
    port: u16,
    state: NodeState,
    /// How often it was paused.
    pauses: u64,
    requests: BTreeMap<ApiKey, u64>,
    /// What its metadata goes on telling, if it is frozen.
    frozen: Option<Leaders>,
}

/// The leader and epoch of each partition at some time.
type Leaders = BTreeMap<(TopicId, PartitionId), (Option<BrokerId>, LeaderEpoch)>;

/// The whole cluster as one value.
pub(crate) struct Core {
    config: CoreConfig,
    nodes: BTreeMap<BrokerId, Node>,
    topics: BTreeMap<TopicName, Topic>,
    /// Of all topics together.
    partitions: usize,
    names: BTreeMap<TopicId, TopicName>,
    disk: Option<Box<dyn Disk>>,
    next_producer_id: i64,
    /// Up to here producer ids may be given out without asking the disk.
    promised_producer_ids: i64,
    /// How many topics were created; makes ids differ.
    created: u64,
    script: Vec<Rule>,
    tickets: u64,
    waiting: BTreeMap<Ticket, (Option<TimerKey>, Waiting)>,
    timers: Timers,
    answered: Vec<(Ticket, Answer)>,
    /// Waiting requests that may go on.
    woken: Vec<Ticket>,
}

impl Core {
    /// A cluster of nodes that all run, `addresses` in the order of their ids, which count from 1.
    pub(crate) fn new(config: CoreConfig, addresses: Vec<(String, u16)>, disk: Option<Box<dyn Disk>>) -> Self {
        let node = |(host, port)| Node {
            host,
            port,
            state: NodeState::Running,
            pauses: 0,
            requests: BTreeMap::new(),
            frozen: None,
        };
        Self {
            config,
            nodes: (1..).map(BrokerId).zip(addresses.into_iter().map(node)).collect(),
            topics: BTreeMap::new(),
            partitions: 0,
            names: BTreeMap::new(),
            disk,
            next_producer_id: 0,
            promised_producer_ids: 0,
            created: 0,
            script: Vec::new(),
            tickets: 0,
            waiting: BTreeMap::new(),
            timers: Timers::default(),
            answered: Vec::new(),
            woken: Vec::new(),
        }
    }

    /// Counts a request that a node has read, whether or not it can be understood.
    pub(crate) fn count(&mut self, node: BrokerId, api: ApiKey) {
        if let Some(node) = self.nodes.get_mut(&node) {
            *node.requests.entry(api).or_insert(0) += 1;
        }
    }

    /// How many requests each API has had on `node`.
    pub(crate) fn counts(&self, node: BrokerId) -> BTreeMap<ApiKey, u64> {
        self.nodes.get(&node).map(|node| node.requests.clone()).unwrap_or_default()
    }

    /// Handles a request that `node` has read, or defers it.
    pub(crate) fn handle(&mut self, at: At, node: BrokerId, mut meta: Meta, request: Request) -> Handled {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        match self.strike(node, &meta, &request) {
            Some(Rule { reaction: Reaction::CloseBefore, .. }) => return Handled::Answered(Answer::Close),
            Some(Rule { reaction: Reaction::Delay(by), .. }) => {
                self.park(ticket, Some(at.now + by), Waiting::Delayed { node, meta, request });
                return Handled::Waits(ticket);
            }
            twist => meta.twist = twist,
        }
        self.run(at, ticket, node, meta, request);
        self.wake(at);
        match self.answered.iter().position(|(answered, _)| *answered == ticket) {
            Some(i) => Handled::Answered(self.answered.swap_remove(i).1),
            None => Handled::Waits(ticket),
        }
    }

    /// Gives out an answer that was decided elsewhere, so much later.
    pub(crate) fn hold(&mut self, at: At, answer: Answer, by: Duration) -> Handled {
        if by.is_zero() {
            return Handled::Answered(answer);
        }
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.park(ticket, Some(at.now + by), Waiting::Held(answer));
        Handled::Waits(ticket)
    }

    /// Nobody waits for this answer any more. What was asked happens all the same, unless it was only to be read.
    pub(crate) fn abandon(&mut self, ticket: Ticket) {
        match self.waiting.remove(&ticket) {
            Some((timer, Waiting::Fetch(fetch))) => {
                self.watch_fetch(ticket, &fetch, false);
                timer.into_iter().for_each(|key| self.timers.cancel(key));
            }
            Some(waiting) => drop(self.waiting.insert(ticket, waiting)),
            None => {}
        }
    }

    /// Lets happen what is due.
    pub(crate) fn tick(&mut self, at: At) {
        while let Some(timer) = self.timers.pop_due(at.now) {
            match timer {
                Timer::Wake(ticket) => self.expire(at, ticket),
                Timer::Copied { topic, partition, epoch, end } => self.copied(topic, partition, epoch, end),
                Timer::Shrink { node, pause } => self.shrink_paused(node, pause),
            }
            self.wake(at);
        }
    }

    /// When [`tick`](Self::tick) is due next.
    pub(crate) fn next_timer(&self) -> Option<Timestamp> {
        self.timers.next()
    }

    /// Requests that waited and are answered now.
    pub(crate) fn take_answered(&mut self) -> Vec<(Ticket, Answer)> {
        std::mem::take(&mut self.answered)
    }

    fn run(&mut self, at: At, ticket: Ticket, node: BrokerId, meta: Meta, request: Request) {
        // An error instead of what was asked: nothing is to change.
        let is_dry = matches!(meta.reaction(), Some(Reaction::Error(_)));
        let response: Response = match request {
            Request::Produce(request) => return self.produce(at, ticket, node, meta, request),
            Request::Fetch(request) => return self.fetch(at, ticket, node, meta, request),
            Request::ListOffsets(request) => self.list_offsets(node, &request).into(),
            Request::Metadata(mut request) => {
                request.allow_auto_topic_creation &= !is_dry;
                self.metadata(at, node, &meta, &request).into()
            }
            Request::FindCoordinator(request) => Self::find_coordinator(&request).into(),
            Request::ApiVersions(request) => self.api_versions(request.as_ref()).into(),
            Request::CreateTopics(mut request) => {
                request.validate_only |= is_dry;
                self.create_topics(at, &request).into()
            }
            Request::DeleteTopics(request) => self.delete_topics(&request, is_dry).into(),
            Request::InitProducerId(request) => self.init_producer_id(&request).into(),
            Request::OffsetForLeaderEpoch(request) => self.offset_for_leader_epoch(node, &request).into(),
            Request::DescribeConfigs(request) => self.describe_configs(&request).into(),
            Request::CreatePartitions(mut request) => {
                request.validate_only |= is_dry;
                self.create_partitions_of(&request).into()
            }
            Request::DescribeCluster => self.describe_cluster().into(),
        };
        self.respond(at, ticket, &meta, response);
    }

    /// Encodes the answer and does to it what the script says.
    fn respond(&mut self, at: At, ticket: Ticket, meta: &Meta, mut response: Response) {
        let mut correlation = meta.correlation;
        let mut hold = Duration::ZERO;
        let topic = meta.twist.as_ref().and_then(|rule| rule.topic.as_ref());
        match meta.reaction() {
            Some(Reaction::Error(code) | Reaction::ErrorAfterAppend(code)) => response.fail(*code, topic),
            Some(Reaction::Omit) => response.omit(topic, meta.twist.as_ref().and_then(|rule| rule.partition)),
            Some(Reaction::Throttle(time)) => response.throttle(i32::try_from(time.as_millis()).unwrap_or(i32::MAX)),
            Some(Reaction::WrongCorrelation) => correlation.0 = correlation.0.wrapping_add(1),
            Some(Reaction::DelayAnswer(by)) => hold = *by,
            _ => {}
        }
        let answer = match meta.reaction() {
            Some(Reaction::CloseAfter) => Answer::Close,
            Some(Reaction::Silence) => Answer::Silence,
            Some(Reaction::CutAnswer) => Answer::SendHalf(response.encode(meta.version, correlation)),
            Some(Reaction::Garble) => Answer::Send(script::garbled(&response.encode(meta.version, correlation))),
            _ => Answer::Send(response.encode(meta.version, correlation)),
        };
        self.answer(at, ticket, answer, hold);
    }

    fn answer(&mut self, at: At, ticket: Ticket, answer: Answer, hold: Duration) {
        if hold.is_zero() {
            self.answered.push((ticket, answer));
        } else {
            self.park(ticket, Some(at.now + hold), Waiting::Held(answer));
        }
    }

    fn park(&mut self, ticket: Ticket, until: Option<Timestamp>, waiting: Waiting) {
        let timer = until.map(|at| self.timers.set(at, Timer::Wake(ticket)));
        self.waiting.insert(ticket, (timer, waiting));
    }

    /// Goes on with a request whose time has come.
    fn expire(&mut self, at: At, ticket: Ticket) {
        let Some((_, waiting)) = self.waiting.remove(&ticket) else {
            return;
        };
        match waiting {
            Waiting::Delayed { node, meta, request } => self.run(at, ticket, node, meta, request),
            Waiting::Held(answer) => self.answered.push((ticket, answer)),
            // With no time left neither hands its request back.
            Waiting::Produce(produce) => drop(self.finish_produce(at, ticket, produce, true)),
            Waiting::Fetch(fetch) => drop(self.finish_fetch(at, ticket, fetch, true)),
        }
    }

    /// Looks again at the requests that something happened to.
    fn wake(&mut self, at: At) {
        while let Some(ticket) = self.woken.pop() {
            let Some((timer, waiting)) = self.waiting.remove(&ticket) else {
                continue;
            };
            let still = match waiting {
                Waiting::Produce(produce) => self.finish_produce(at, ticket, produce, false).map(Waiting::Produce),
                Waiting::Fetch(fetch) => self.finish_fetch(at, ticket, fetch, false).map(Waiting::Fetch),
                other => Some(other),
            };
            match (still, timer) {
                (Some(waiting), timer) => drop(self.waiting.insert(ticket, (timer, waiting))),
                (None, Some(key)) => self.timers.cancel(key),
                (None, None) => {}
            }
        }
    }

    /// How to reach `node`, as leader hints tell it.
    fn endpoint(&self, node: BrokerId) -> Option<NodeEndpoint> {
        let found = self.nodes.get(&node)?;
        Some(NodeEndpoint { node, host: found.host.clone(), port: i32::from(found.port), rack: None })
    }

    /// The topic a request names, by name or, if that is empty, by id.
    fn topic_named(&self, name: &TopicName, id: TopicId) -> Result<&Topic, ErrorCode> {
        if name.as_str().is_empty() && !id.is_zero() {
            let name = self.names.get(&id).ok_or(ErrorCode::UNKNOWN_TOPIC_ID)?;
            return self.topics.get(name).ok_or(ErrorCode::UNKNOWN_TOPIC_ID);
        }
        self.topics.get(name).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
    }

    fn partition_mut(&mut self, topic: TopicId, partition: PartitionId) -> Option<&mut partition::Partition> {
        let name = self.names.get(&topic)?;
        let topic = self.topics.get_mut(name)?;
        topic.partitions.get_mut(usize::try_from(partition.0).ok()?)
    }
}
