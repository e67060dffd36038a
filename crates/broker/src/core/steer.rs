//! What the handle does to the cluster: leaders move, nodes stop, logs are looked at.

use milena_wire::{BrokerId, ErrorCode, LeaderEpoch, Offset, PartitionId, TopicId, TopicName};

use super::partition::Partition;
use super::stored::StoredBatch;
use super::wait::Timer;
use super::{At, Core, NodeState, Refusal};
use crate::profile::Profile;

impl Core {
    /// See [`EmbeddedCluster::move_leader`](crate::EmbeddedCluster::move_leader).
    pub(crate) fn move_leader(
        &mut self,
        at: At,
        topic: &TopicName,
        index: PartitionId,
        to: Option<BrokerId>,
    ) -> Result<BrokerId, Refusal> {
        let (id, partition) = self.existing(topic, index)?;
        let current = partition.leader;
        let isr = partition.isr.clone();
        let is_up = |node: &BrokerId| self.state(*node) != NodeState::Stopped;
        let to = match to {
            Some(node) if !is_up(&node) => {
                return Err(Refusal::new(ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE, format!("node {node} is down")));
            }
            Some(node) => node,
            None => {
                let others = isr.iter().copied().filter(|node| Some(*node) != current);
                others
                    .filter(is_up)
                    .min_by_key(|node| (Some(*node) < current, *node))
                    .ok_or_else(|| Refusal::new(ErrorCode::ELECTION_NOT_NEEDED, "there is no other replica in sync"))?
            }
        };
        let (_, partition) = self.existing(topic, index)?;
        if !partition.replicas.contains(&to) {
            partition.reassign(to);
        } else if !partition.isr.contains(&to) {
            return Err(Refusal::new(ErrorCode::ELIGIBLE_LEADERS_NOT_AVAILABLE, format!("node {to} is not in sync")));
        }
        self.elect(at, id, index, Some(to))?;
        Ok(to)
    }

    /// See [`EmbeddedCluster::elect_unclean`](crate::EmbeddedCluster::elect_unclean).
    pub(crate) fn elect_unclean(
        &mut self,
        at: At,
        topic: &TopicName,
        index: PartitionId,
        to: BrokerId,
    ) -> Result<(), Refusal> {
        let is_up = self.state(to) != NodeState::Stopped;
        let (id, partition) = self.existing(topic, index)?;
        if !is_up || !partition.replicas.contains(&to) {
            let message = format!("node {to} is down or no replica");
            return Err(Refusal::new(ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE, message));
        }
        self.elect(at, id, index, Some(to))
    }

    /// Leader and epoch of a partition.
    pub(crate) fn leader(&self, topic: &TopicName, index: PartitionId) -> Option<(Option<BrokerId>, LeaderEpoch)> {
        self.leader_of(self.topics.get(topic)?.id, index)
    }

    /// Stops, pauses or (re)starts a node.
    pub(crate) fn set_state(&mut self, at: At, id: BrokerId, state: NodeState) {
        let Some(node) = self.nodes.get_mut(&id) else {
            return;
        };
        let before = std::mem::replace(&mut node.state, state);
        if before == state {
            return;
        }
        match state {
            NodeState::Paused => {
                node.pauses += 1;
                let pause = node.pauses;
                self.timers.set(at.now + self.config.replica_lag_max, Timer::Shrink { node: id, pause });
            }
            NodeState::Stopped => self.on_stopped(at, id),
            NodeState::Running => self.on_running(at, id),
        }
        self.wake(at);
    }

    /// Has a node's metadata stay as it is now, or be true again.
    pub(crate) fn freeze_metadata(&mut self, id: BrokerId, freeze: bool) {
        let partitions = self.all_partitions().into_iter();
        let leaders = partitions.filter_map(|(topic, index)| Some(((topic, index), self.leader_of(topic, index)?)));
        let leaders = leaders.collect();
        if let Some(node) = self.nodes.get_mut(&id) {
            node.frozen = freeze.then_some(leaders);
        }
    }

    fn on_stopped(&mut self, at: At, node: BrokerId) {
        for (topic, index) in self.all_partitions() {
            let Some(partition) = self.partition_mut(topic, index) else {
                continue;
            };
            let was_leader = partition.leader == Some(node);
            let rose = partition.shrink(node);
            if was_leader || rose {
                let woken = std::mem::take(&mut partition.waiting);
                let candidates = partition.isr.clone();
                self.woken.extend(woken);
                if was_leader {
                    let next = candidates.into_iter().find(|id| self.state(*id) == NodeState::Running);
                    self.elect_or_log(at, topic, index, next);
                }
            }
        }
    }

    fn on_running(&mut self, at: At, node: BrokerId) {
        for (topic, index) in self.all_partitions() {
            let Some(partition) = self.partition_mut(topic, index) else {
                continue;
            };
            if partition.leader.is_none() && partition.isr.contains(&node) {
                self.elect_or_log(at, topic, index, Some(node));
            } else if partition.replicas.contains(&node) {
                let (epoch, end) = (partition.epoch, partition.log.end());
                self.replicate(at, topic, index, epoch, end);
            }
        }
    }

    /// A node that has been paused for long is no longer in sync where it lags.
    pub(super) fn shrink_paused(&mut self, node: BrokerId, pause: u64) {
        let is_paused = |n: &super::Node| n.state == NodeState::Paused && n.pauses == pause;
        if !self.nodes.get(&node).is_some_and(is_paused) {
            return;
        }
        for (topic, index) in self.all_partitions() {
            if let Some(partition) = self.partition_mut(topic, index)
                && partition.lags(node)
                && partition.shrink(node)
            {
                let woken = std::mem::take(&mut partition.waiting);
                self.woken.extend(woken);
            }
        }
    }

    fn elect_or_log(&mut self, at: At, topic: TopicId, index: PartitionId, leader: Option<BrokerId>) {
        if let Err(refusal) = self.elect(at, topic, index, leader) {
            tracing::warn!(%index, error = refusal.message, "the log could not be cut for a new leader");
        }
    }

    fn elect(&mut self, at: At, topic: TopicId, index: PartitionId, to: Option<BrokerId>) -> Result<(), Refusal> {
        let Some(partition) = self.partition_mut(topic, index) else {
            return Ok(());
        };
        let elected = partition.elect(to);
        let woken = std::mem::take(&mut partition.waiting);
        let (epoch, end) = (partition.epoch, partition.log.end());
        self.woken.extend(woken);
        elected?;
        self.replicate(at, topic, index, epoch, end);
        self.wake(at);
        Ok(())
    }

    /// Moves the start of a log, as DeleteRecords does. Brokers before 2.4 forget producers by that.
    pub(crate) fn delete_records(
        &mut self,
        topic: &TopicName,
        index: PartitionId,
        before: Offset,
    ) -> Result<Offset, Refusal> {
        let profile = self.config.profile;
        let (_, partition) = self.existing(topic, index)?;
        partition.log.delete_before(before);
        let start = partition.log.start();
        if profile == Profile::V2_1 {
            partition.producers.forget_before(start);
        }
        Ok(start)
    }

    /// Forgets a partition's producers.
    pub(crate) fn forget_producers(&mut self, topic: &TopicName, index: PartitionId) -> Result<(), Refusal> {
        self.existing(topic, index)?.1.producers.clear();
        Ok(())
    }

    /// Everything on a partition's log.
    pub(crate) fn stored(&mut self, topic: &TopicName, index: PartitionId) -> Vec<StoredBatch> {
        let Ok((_, partition)) = self.existing(topic, index) else {
            return Vec::new();
        };
        let (start, end) = (partition.log.start(), partition.log.end());
        partition.log.batches(start, end, usize::MAX >> 2).unwrap_or_default()
    }

    /// The offset the next record gets.
    pub(crate) fn end_offset(&self, topic: &TopicName, index: PartitionId) -> Option<Offset> {
        let topic = self.topics.get(topic)?;
        Some(topic.partitions.get(usize::try_from(index.0).ok()?)?.log.end())
    }

    pub(crate) fn partition_count(&self, topic: &TopicName) -> Option<usize> {
        self.topics.get(topic).map(|topic| topic.partitions.len())
    }

    fn existing(&mut self, topic: &TopicName, index: PartitionId) -> Result<(TopicId, &mut Partition), Refusal> {
        let found = self.topics.get_mut(topic);
        let found = found.and_then(|t| Some((t.id, t.partitions.get_mut(usize::try_from(index.0).ok()?)?)));
        let message = || Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("no partition {topic}-{index}"));
        found.ok_or_else(message)
    }

    fn all_partitions(&self) -> Vec<(TopicId, PartitionId)> {
        let topics = self.topics.values();
        topics.flat_map(|t| (0..).zip(&t.partitions).map(|(index, _)| (t.id, PartitionId(index)))).collect()
    }
}
