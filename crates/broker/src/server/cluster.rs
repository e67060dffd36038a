//! The handle.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use milena_wire::{ApiKey, BrokerId, ErrorCode, LeaderEpoch, Offset, PartitionId, TopicId, TopicName};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::hub::Hub;
use super::node::Node;
use super::runtime::{self, Started};
use super::{Builder, MemoryConnector};
use crate::core::{NodeState, Refusal, StoredBatch};
use crate::script::Rule;

/// A Kafka cluster inside this process, on a thread of its own. Clones share it; when the last one is
/// dropped it stops by itself, a moment later unless it has logs on a disk to close.
///
/// Methods that are not `async` take effect before they return and may be called from anywhere; they wait for a lock
/// that is held for the time of one request.
#[derive(Clone)]
pub struct EmbeddedCluster {
    inner: Arc<Inner>,
}

struct Inner {
    hub: Arc<Hub>,
    nodes: Vec<Arc<Node>>,
    runtime: Handle,
    stop: watch::Sender<bool>,
    ended: watch::Receiver<()>,
    has_tcp: bool,
    /// Joined at the end if there are logs on a disk to be closed.
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Why the cluster refused to do something.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClusterError {
    /// Kafka's code for it.
    pub code: ErrorCode,
    /// What was wrong.
    pub message: String,
}

impl EmbeddedCluster {
    /// Settings to start from.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(super) async fn start(builder: Builder) -> io::Result<Self> {
        let (has_disk, has_tcp) = (builder.data_dir.is_some(), builder.tcp);
        let (prepared, join) = runtime::spawn(builder)?;
        let prepared = prepared.await.map_err(io::Error::other)??;
        Ok(Self::new(join(prepared), has_disk, has_tcp))
    }

    pub(super) fn start_blocking(builder: Builder) -> io::Result<Self> {
        let (has_disk, has_tcp) = (builder.data_dir.is_some(), builder.tcp);
        let (prepared, join) = runtime::spawn(builder)?;
        let prepared = prepared.blocking_recv().map_err(io::Error::other)??;
        Ok(Self::new(join(prepared), has_disk, has_tcp))
    }

    fn new(started: Started, has_disk: bool, has_tcp: bool) -> Self {
        let Started { hub, nodes, runtime, stop, thread, ended } = started;
        let thread = Mutex::new(has_disk.then_some(thread));
        Self { inner: Arc::new(Inner { hub, nodes, runtime, stop, ended, has_tcp, thread }) }
    }

    fn node(&self, id: BrokerId) -> Option<&Arc<Node>> {
        self.inner.nodes.iter().find(|node| node.id == id)
    }

    /// The addresses of all nodes, as `bootstrap.servers` wants them.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        let nodes = self.inner.nodes.iter();
        nodes.map(|node| HostPort(&node.host, node.port).to_string()).collect::<Vec<_>>().join(",")
    }

    /// The address a node advertises; its port stays the same when it is stopped and started.
    #[must_use]
    pub fn address(&self, node: BrokerId) -> Option<(String, u16)> {
        self.node(node).map(|node| (node.host.clone(), node.port))
    }

    /// All nodes, running or not.
    #[must_use]
    pub fn nodes(&self) -> Vec<BrokerId> {
        self.inner.nodes.iter().map(|node| node.id).collect()
    }

    /// Connects to the nodes without TCP.
    #[must_use]
    pub fn memory_connector(&self) -> MemoryConnector {
        MemoryConnector {
            hub: Arc::downgrade(&self.inner.hub),
            nodes: self.inner.nodes.clone(),
            runtime: self.inner.runtime.clone(),
        }
    }

    /// Creates a topic.
    ///
    /// # Errors
    ///
    /// As Kafka: `TOPIC_ALREADY_EXISTS`, `INVALID_TOPIC_EXCEPTION`, `INVALID_PARTITIONS`, `INVALID_REPLICATION_FACTOR`.
    pub fn create_topic(&self, name: &str, partitions: i32, replication: i16) -> Result<TopicId, ClusterError> {
        self.create_topic_with(name, partitions, replication, &[])
    }

    /// Creates a topic with configs (`max.message.bytes`, `min.insync.replicas`, `cleanup.policy`, …).
    ///
    /// # Errors
    ///
    /// As [`create_topic`](Self::create_topic), and `INVALID_CONFIG`.
    pub fn create_topic_with(
        &self,
        name: &str,
        partitions: i32,
        replication: i16,
        configs: &[(&str, &str)],
    ) -> Result<TopicId, ClusterError> {
        let configs = configs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let name = TopicName::new(name);
        self.inner
            .hub
            .with(|core, at| core.create_topic(at, &name, partitions, replication, configs))
            .map_err(Into::into)
    }

    /// Deletes a topic and its log.
    ///
    /// # Errors
    ///
    /// `UNKNOWN_TOPIC_OR_PARTITION`.
    pub fn delete_topic(&self, name: &str) -> Result<(), ClusterError> {
        Ok(self.inner.hub.with(|core, _| core.delete_topic(&TopicName::new(name))).map(drop)?)
    }

    /// Deletes a topic and creates it again in one step, with a new id.
    ///
    /// # Errors
    ///
    /// As [`delete_topic`](Self::delete_topic) and [`create_topic`](Self::create_topic).
    pub fn recreate_topic(&self, name: &str, partitions: i32) -> Result<TopicId, ClusterError> {
        let name = TopicName::new(name);
        let recreated = self.inner.hub.with(|core, at| core.recreate_topic(at, &name, partitions));
        recreated.map_err(Into::into)
    }

    /// Adds partitions, so that there are `count`.
    ///
    /// # Errors
    ///
    /// `UNKNOWN_TOPIC_OR_PARTITION`, `INVALID_PARTITIONS` if there would not be more than before.
    pub fn create_partitions(&self, name: &str, count: i32) -> Result<(), ClusterError> {
        Ok(self.inner.hub.with(|core, _| core.create_partitions(&TopicName::new(name), count, false))?)
    }

    /// Makes another in-sync replica the leader; `None` leaves the choice to the cluster. What it has not copied yet
    /// is lost, as in Kafka. A node that is not a replica takes the old leader's place with all of its log, as after a
    /// reassignment.
    ///
    /// # Errors
    ///
    /// `UNKNOWN_TOPIC_OR_PARTITION`; `PREFERRED_LEADER_NOT_AVAILABLE` if the node is down;
    /// `ELECTION_NOT_NEEDED` if there is no other replica in sync.
    pub fn move_leader(
        &self,
        topic: &str,
        partition: PartitionId,
        to: Option<BrokerId>,
    ) -> Result<BrokerId, ClusterError> {
        Ok(self.inner.hub.with(|core, at| core.move_leader(at, &TopicName::new(topic), partition, to))?)
    }

    /// Makes `to` the leader even if it is not in sync: everything it does not have is lost.
    ///
    /// # Errors
    ///
    /// `UNKNOWN_TOPIC_OR_PARTITION`; `PREFERRED_LEADER_NOT_AVAILABLE` if the node is down or no replica.
    pub fn elect_unclean(&self, topic: &str, partition: PartitionId, to: BrokerId) -> Result<(), ClusterError> {
        Ok(self.inner.hub.with(|core, at| core.elect_unclean(at, &TopicName::new(topic), partition, to))?)
    }

    /// Leader and epoch of a partition; `None` for the leader while there is none.
    #[must_use]
    pub fn leader(&self, topic: &str, partition: PartitionId) -> Option<(Option<BrokerId>, LeaderEpoch)> {
        self.inner.hub.with(|core, _| core.leader(&TopicName::new(topic), partition))
    }

    /// Closes all connections to a node, or to all nodes. Requests it has read still run. Tells how many it closed.
    pub fn cut_connections(&self, node: Option<BrokerId>) -> usize {
        let meant = self.inner.nodes.iter().filter(|n| node.is_none_or(|id| id == n.id));
        meant.map(|node| node.cut()).sum()
    }

    /// Stops a node: no listener, no connections, its partitions led by others in sync or by nobody. Without effect on
    /// one that is stopped.
    pub fn stop_node(&self, node: BrokerId) {
        if let Some(running) = self.node(node) {
            running.switch.send_if_modified(|switch| {
                switch.stops += u64::from(!switch.stopped);
                switch.paused = false;
                !std::mem::replace(&mut switch.stopped, true)
            });
            self.inner.hub.with(|core, at| core.set_state(at, node, NodeState::Stopped));
        }
    }

    /// Starts a stopped node on its old address.
    ///
    /// # Errors
    ///
    /// If its port was taken meanwhile.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may leave the node started.
    pub async fn start_node(&self, node: BrokerId) -> io::Result<()> {
        let stopped = self.node(node).ok_or(io::ErrorKind::NotFound)?;
        if !stopped.switch.borrow().stopped {
            return Ok(());
        }
        let mut listening = stopped.listening.subscribe();
        let stops = stopped.switch.borrow().stops;
        stopped.switch.send_modify(|switch| switch.stopped = false);
        if self.inner.has_tcp {
            let up = listening.wait_for(|listening| listening.stops >= stops || listening.error.is_some());
            if let Some(error) = up.await.map_err(io::Error::other)?.error {
                return Err(error.into());
            }
        }
        self.inner.hub.with(|core, at| core.set_state(at, node, NodeState::Running));
        Ok(())
    }

    /// Freezes a node as `SIGSTOP` does: connections are accepted by the kernel, nothing is read or answered; it keeps
    /// its leaderships. Its followers' copies go on from where they are when it is resumed.
    pub fn pause_node(&self, node: BrokerId) {
        self.set_paused(node, true);
    }

    /// Lets a paused node go on with what has queued up.
    pub fn resume_node(&self, node: BrokerId) {
        self.set_paused(node, false);
    }

    /// Has a node's Metadata answers go on telling the leaders of now, as a node does that lags behind the controller.
    /// Partitions created later are told truly. With `false` all is told truly again.
    pub fn freeze_metadata(&self, node: BrokerId, freeze: bool) {
        self.inner.hub.with(|core, _| core.freeze_metadata(node, freeze));
    }

    /// Adds a scripted reaction.
    pub fn script(&self, rule: Rule) {
        self.inner.hub.with(|core, _| core.add_rule(rule));
    }

    /// Forgets all scripted reactions.
    pub fn clear_script(&self) {
        self.inner.hub.with(|core, _| core.clear_script());
    }

    /// How many scripted reactions still wait for a match.
    #[must_use]
    pub fn script_pending(&self) -> usize {
        self.inner.hub.with(|core, _| core.script_pending())
    }

    /// Requests read so far on all nodes, by API.
    #[must_use]
    pub fn requests(&self) -> BTreeMap<ApiKey, u64> {
        let mut total = BTreeMap::new();
        for node in &self.inner.nodes {
            for (api, count) in self.inner.hub.with(|core, _| core.counts(node.id)) {
                *total.entry(api).or_insert(0) += count;
            }
        }
        total
    }

    /// Requests read so far by one node for one API.
    #[must_use]
    pub fn request_count(&self, node: BrokerId, api: ApiKey) -> u64 {
        self.inner.hub.with(|core, _| core.counts(node)).get(&api).copied().unwrap_or(0)
    }

    /// Connections accepted so far by all nodes.
    #[must_use]
    pub fn connections_accepted(&self) -> u64 {
        self.inner.nodes.iter().map(|node| node.accepted.load(Ordering::Relaxed)).sum()
    }

    /// Moves the start of a partition's log to `before`, as DeleteRecords does, and tells where it starts now.
    /// Kafka 2.1 forgets producers by that; newer releases do not.
    ///
    /// # Errors
    ///
    /// `UNKNOWN_TOPIC_OR_PARTITION`.
    pub fn delete_records(&self, topic: &str, partition: PartitionId, before: Offset) -> Result<Offset, ClusterError> {
        Ok(self.inner.hub.with(|core, _| core.delete_records(&TopicName::new(topic), partition, before))?)
    }

    /// Forgets a partition's idempotent producers, as after `producer.id.expiration.ms`.
    ///
    /// # Errors
    ///
    /// `UNKNOWN_TOPIC_OR_PARTITION`.
    pub fn forget_producers(&self, topic: &str, partition: PartitionId) -> Result<(), ClusterError> {
        Ok(self.inner.hub.with(|core, _| core.forget_producers(&TopicName::new(topic), partition))?)
    }

    /// How many partitions a topic has; `None` if there is no such topic.
    #[must_use]
    pub fn partition_count(&self, topic: &str) -> Option<usize> {
        self.inner.hub.with(|core, _| core.partition_count(&TopicName::new(topic)))
    }

    /// What a partition's log holds, oldest first. Empty if there is no such partition.
    #[must_use]
    pub fn log(&self, topic: &str, partition: PartitionId) -> Vec<StoredBatch> {
        self.inner.hub.with(|core, _| core.stored(&TopicName::new(topic), partition))
    }

    /// The offset the next record gets. `None` if there is no such partition.
    #[must_use]
    pub fn end_offset(&self, topic: &str, partition: PartitionId) -> Option<Offset> {
        self.inner.hub.with(|core, _| core.end_offset(&TopicName::new(topic), partition))
    }

    /// Stops all nodes, writes what is buffered, and frees the ports. Other clones of the handle are of no use then.
    ///
    /// # Cancel safety
    ///
    /// The cluster stops even if the future is dropped.
    pub async fn shutdown(&self) {
        self.inner.stop.send_replace(true);
        let mut ended = self.inner.ended.clone();
        // The sender never sends; it is dropped when all is done.
        while ended.changed().await.is_ok() {}
    }

    fn set_paused(&self, id: BrokerId, paused: bool) {
        let Some(node) = self.node(id).filter(|node| !node.switch.borrow().stopped) else {
            return;
        };
        let state = if paused { NodeState::Paused } else { NodeState::Running };
        self.inner.hub.with(|core, at| core.set_state(at, id, state));
        node.switch.send_modify(|switch| switch.paused = paused);
    }
}

impl fmt::Debug for EmbeddedCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedCluster").field("bootstrap", &self.bootstrap()).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // Its panic has been reported; there is nobody here to report it to.
            let _panicked = thread.join();
        }
    }
}

impl From<Refusal> for ClusterError {
    fn from(refusal: Refusal) -> Self {
        Self { code: refusal.code, message: refusal.message }
    }
}

impl fmt::Display for ClusterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl Error for ClusterError {}

/// An address as `bootstrap.servers` has it: IPv6 in brackets.
struct HostPort<'a>(&'a str, u16);

impl fmt::Display for HostPort<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(host, port) = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}
