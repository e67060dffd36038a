//! The handle.

use std::collections::BTreeMap;
use std::io;

use milena_wire::{ApiKey, BrokerId, ErrorCode, LeaderEpoch, Offset, PartitionId, TopicId};

use crate::core::StoredBatch;
use crate::script::Rule;

use super::{Builder, MemoryConnector};

/// A Kafka cluster inside this process. Clones share it; it stops when the last one is dropped.
#[derive(Clone, Debug)]
pub struct EmbeddedCluster {}

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

    pub(super) async fn start(_builder: Builder) -> io::Result<Self> {
        todo!()
    }

    pub(super) fn start_blocking(_builder: Builder) -> io::Result<Self> {
        todo!()
    }

    /// The addresses of all nodes, as `bootstrap.servers` wants them.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        todo!()
    }

    /// The address a node advertises; its port stays the same when it is stopped and started.
    #[must_use]
    pub fn address(&self, _node: BrokerId) -> Option<(String, u16)> {
        todo!()
    }

    /// All nodes, running or not.
    #[must_use]
    pub fn nodes(&self) -> Vec<BrokerId> {
        todo!()
    }

    /// Connects to the nodes without TCP.
    #[must_use]
    pub fn memory_connector(&self) -> MemoryConnector {
        todo!()
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
        _name: &str,
        _partitions: i32,
        _replication: i16,
        _configs: &[(&str, &str)],
    ) -> Result<TopicId, ClusterError> {
        todo!()
    }

    /// Deletes a topic and its log.
    ///
    /// # Errors
    ///
    /// `UNKNOWN_TOPIC_OR_PARTITION`.
    pub fn delete_topic(&self, _name: &str) -> Result<(), ClusterError> {
        todo!()
    }

    /// Deletes a topic and creates it again in one step, with a new id.
    ///
    /// # Errors
    ///
    /// As [`delete_topic`](Self::delete_topic) and [`create_topic`](Self::create_topic).
    pub fn recreate_topic(&self, _name: &str, _partitions: i32) -> Result<TopicId, ClusterError> {
        todo!()
    }

    /// Adds partitions, so that there are `count`.
    ///
    /// # Errors
    ///
    /// `UNKNOWN_TOPIC_OR_PARTITION`, `INVALID_PARTITIONS` if there would not be more than before.
    pub fn create_partitions(&self, _name: &str, _count: i32) -> Result<(), ClusterError> {
        todo!()
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
        _topic: &str,
        _partition: PartitionId,
        _to: Option<BrokerId>,
    ) -> Result<BrokerId, ClusterError> {
        todo!()
    }

    /// Makes `to` the leader even if it is not in sync: everything it does not have is lost.
    ///
    /// # Errors
    ///
    /// `UNKNOWN_TOPIC_OR_PARTITION`; `PREFERRED_LEADER_NOT_AVAILABLE` if the node is down or no replica.
    pub fn elect_unclean(&self, _topic: &str, _partition: PartitionId, _to: BrokerId) -> Result<(), ClusterError> {
        todo!()
    }

    /// Leader and epoch of a partition; `None` for the leader while there is none.
    #[must_use]
    pub fn leader(&self, _topic: &str, _partition: PartitionId) -> Option<(Option<BrokerId>, LeaderEpoch)> {
        todo!()
    }

    /// Closes all connections to a node, or to all nodes. Requests it has read still run. Tells how many it closed.
    pub fn cut_connections(&self, _node: Option<BrokerId>) -> usize {
        todo!()
    }

    /// Stops a node: no listener, no connections, its partitions led by others in sync or by nobody. Without effect on
    /// one that is stopped.
    pub fn stop_node(&self, _node: BrokerId) {
        todo!()
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
    pub async fn start_node(&self, _node: BrokerId) -> io::Result<()> {
        todo!()
    }

    /// Freezes a node as `SIGSTOP` does: connections are accepted by the kernel, nothing is read or answered; it keeps
    /// its leaderships. Its followers' copies go on from where they are when it is resumed.
    pub fn pause_node(&self, _node: BrokerId) {
        todo!()
    }

    /// Lets a paused node go on with what has queued up.
    pub fn resume_node(&self, _node: BrokerId) {
        todo!()
    }

    /// Adds a scripted reaction.
    pub fn script(&self, _rule: Rule) {
        todo!()
    }

    /// Forgets all scripted reactions.
    pub fn clear_script(&self) {
        todo!()
    }

    /// How many scripted reactions still wait for a match.
    #[must_use]
    pub fn script_pending(&self) -> usize {
        todo!()
    }

    /// Requests read so far on all nodes, by API.
    #[must_use]
    pub fn requests(&self) -> BTreeMap<ApiKey, u64> {
        todo!()
    }

    /// Requests read so far by one node for one API.
    #[must_use]
    pub fn request_count(&self, _node: BrokerId, _api: ApiKey) -> u64 {
        todo!()
    }

    /// Connections accepted so far by all nodes.
    #[must_use]
    pub fn connections_accepted(&self) -> u64 {
        todo!()
    }

    /// What a partition's log holds, oldest first. Empty if there is no such partition.
    #[must_use]
    pub fn log(&self, _topic: &str, _partition: PartitionId) -> Vec<StoredBatch> {
        todo!()
    }

    /// The offset the next record gets. `None` if there is no such partition.
    #[must_use]
    pub fn end_offset(&self, _topic: &str, _partition: PartitionId) -> Option<Offset> {
        todo!()
    }

    /// Stops all nodes, writes what is buffered, and frees the ports. Other clones of the handle are of no use then.
    ///
    /// # Cancel safety
    ///
    /// The cluster stops even if the future is dropped.
    pub async fn shutdown(&self) {
        todo!()
    }
}
