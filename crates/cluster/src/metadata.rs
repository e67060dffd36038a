//! What the cluster was last known to be: brokers, and the topics in use.
//!
//! - [`topics`]: which topics anybody is interested in, and what is known of each
//! - [`apply`]: what one answer changes about one topic, as a function
//! - [`hints`]: what produce responses tell about new leaders (KIP-951)
//! - [`refresh`]: when to ask

pub(crate) mod apply;
mod hints;
pub(crate) mod refresh;
pub(crate) mod topics;

use std::collections::{BTreeMap, BTreeSet};

use milena_wire::message::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use milena_wire::{ApiVersion, BrokerId, ErrorCode, PartitionId, Timestamp, TopicId, TopicName, readable};

use crate::config::{ClusterConfig, HostPort};
use crate::ctx::Ctx;
use crate::topology::{Leader, TopicState};
use apply::{Told, Verdict};
use refresh::{Refresh, Scope};
use topics::Topics;

/// Why an answer is of no use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Useless {
    /// The broker wants its clients to start over (KIP-1102).
    Rebootstrap,
    /// An error about the request as a whole.
    Code(ErrorCode),
    /// No broker is listed, or none with a possible address.
    NoBrokers,
}

#[derive(Debug)]
pub(crate) struct Metadata {
    pub(crate) nodes: BTreeMap<BrokerId, HostPort>,
    pub(crate) topics: Topics,
    pub(crate) refresh: Refresh,
    cluster_id: Option<String>,
    /// What the request in flight asks for.
    asked: Vec<TopicName>,
    /// Whether there ever was an answer.
    pub(crate) learnt: bool,
}

impl Metadata {
    pub(crate) fn new(config: &ClusterConfig) -> Self {
        Self {
            nodes: BTreeMap::new(),
            topics: Topics::default(),
            refresh: Refresh::new(config.metadata_max_age),
            cluster_id: None,
            asked: Vec::new(),
            learnt: false,
        }
    }

    /// When to ask next.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.refresh.due(&self.topics)
    }

    /// The request that is due; `None` if all it would ask about has gone out of use meanwhile.
    pub(crate) fn request(&mut self, now: Timestamp, auto_create: bool) -> Option<MetadataRequest> {
        let scope = self.refresh.scope(now);
        self.asked = self.topics.take_asked(now, scope);
        if self.asked.is_empty() && !(scope == Scope::Full && self.refresh.is_requested()) {
            return None;
        }
        self.refresh.start(scope);
        let topics = self.asked.iter().map(|name| MetadataRequestTopic { id: TopicId::ZERO, name: Some(name.clone()) });
        Some(MetadataRequest {
            topics: Some(topics.collect()),
            allow_auto_topic_creation: auto_create,
            ..MetadataRequest::default()
        })
    }

    /// The request in flight came to nothing.
    pub(crate) fn failed(&mut self, ctx: &mut Ctx, now: Timestamp) {
        let asked = std::mem::take(&mut self.asked);
        if let Some(scope) = self.refresh.failed(now, ctx.retry_backoff(), &mut ctx.rng) {
            self.topics.put_back(&asked, scope);
        }
    }

    /// Takes an answer in. Whether the broker that gave it knows less than is known here.
    pub(crate) fn answered(
        &mut self,
        ctx: &mut Ctx,
        now: Timestamp,
        version: ApiVersion,
        response: &MetadataResponse,
    ) -> Result<bool, Useless> {
        match response.error {
            ErrorCode::NONE => {}
            ErrorCode::REBOOTSTRAP_REQUIRED => return Err(Useless::Rebootstrap),
            code => return Err(Useless::Code(code)),
        }
        let mut nodes = BTreeMap::new();
        let mut impossible = Impossible::default();
        for broker in &response.brokers {
            if let Some(address) = impossible.unless_possible(broker.node, &broker.host, broker.port) {
                nodes.insert(broker.node, address);
            }
        }
        impossible.tell();
        if nodes.is_empty() {
            return Err(Useless::NoBrokers);
        }
        self.check_cluster(response.cluster_id.as_deref());
        if nodes.keys().ne(self.nodes.keys()) {
            self.topics.all_changed();
        }
        self.nodes = nodes;
        self.learnt = true;
        let verdict = self.take_topics(now, version, response);
        self.refresh.succeeded(now, verdict.news, ctx.retry_backoff(), &mut ctx.rng);
        Ok(verdict.stale)
    }

    fn check_cluster(&mut self, id: Option<&str>) {
        let Some(id) = id.map(|id| readable(id, CLUSTER_ID_MAX)) else { return };
        if let Some(before) = self.cluster_id.as_deref()
            && before != id
        {
            tracing::warn!(before, now = id.as_str(), "the bootstrap servers lead to another cluster than before");
        }
        self.cluster_id = Some(id);
    }

    fn take_topics(&mut self, now: Timestamp, version: ApiVersion, response: &MetadataResponse) -> Verdict {
        let mut told = BTreeMap::new();
        for topic in &response.topics {
            if let Some(name) = &topic.name {
                told.entry(name).or_insert(topic);
            }
        }
        let mut all = Verdict::default();
        for name in std::mem::take(&mut self.asked) {
            let answer = told.get(&name).map_or(Told::Nothing, |topic| Told::of(topic, version));
            let verdict = self.topics.answered(now, &name, &answer);
            all.news |= verdict.news;
            all.stale |= verdict.stale;
            // A leader that is no broker is none.
            let unreachable = |leader: &BrokerId| !self.nodes.contains_key(leader);
            if let TopicState::Known(info) = self.topics.state(&name)
                && info.partitions.iter().filter_map(|partition| partition.leader).any(|leader| unreachable(&leader))
            {
                self.topics.ask_again(&name);
            }
        }
        all
    }

    /// Forgets the brokers, so that the cluster is looked for through the bootstrap servers. What is known of topics
    /// stays, but without brokers there is no leader.
    pub(crate) fn forget_nodes(&mut self) {
        self.nodes.clear();
        self.topics.all_changed();
    }

    pub(crate) fn leader(&self, topic: &TopicName, partition: PartitionId) -> Option<Leader> {
        let TopicState::Known(info) = self.topics.state(topic) else { return None };
        let known = info.partitions.get(usize::try_from(partition.0).ok()?)?;
        let broker = known.leader.filter(|leader| self.nodes.contains_key(leader))?;
        Some(Leader { broker, epoch: known.epoch, topic_id: info.id })
    }

    /// Moves the names of changed topics to `out`.
    pub(crate) fn take_changed(&mut self, out: &mut Vec<TopicName>) {
        out.extend(std::mem::take(&mut self.topics.changed));
    }
}

/// Of a cluster's id no more is kept; Kafka's have 22 characters.
const CLUSTER_ID_MAX: usize = 100;

/// The longest host that is taken. The names of DNS have 253 characters at most.
const HOST_MAX: usize = 255;

/// Addresses in one answer that can be none. They are told once, however many there are.
#[derive(Debug, Default)]
struct Impossible {
    first: Option<(BrokerId, String, i32)>,
    count: u64,
}

impl Impossible {
    /// An address as brokers tell it, if it can be one: a host may turn up in errors, so it has nothing in it that no host has.
    fn unless_possible(&mut self, node: BrokerId, host: &str, port: i32) -> Option<HostPort> {
        let is_host = !host.is_empty()
            && host.len() <= HOST_MAX
            && !host.contains(char::is_whitespace)
            && readable(host, HOST_MAX).len() == host.len();
        match u16::try_from(port).ok().filter(|port| *port > 0) {
            Some(port) if node.0 >= 0 && is_host => Some(HostPort::new(host, port)),
            _ => {
                self.first.get_or_insert_with(|| (node, readable(host, HOST_MAX), port));
                self.count += 1;
                None
            }
        }
    }

    fn tell(self) {
        if let Some((node, host, port)) = self.first {
            tracing::warn!(%node, host, port, count = self.count, "brokers advertise impossible addresses");
        }
    }
}

/// A set of names; ordered, so that runs repeat.
pub(crate) type Names = BTreeSet<TopicName>;
