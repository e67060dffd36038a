//! Topics come, grow and go.

use std::collections::BTreeMap;
use std::io;

use milena_wire::{BrokerId, ErrorCode, LeaderEpoch, Offset, PartitionId, ProducerId, TopicId, TopicName};

use super::log::Log;
use super::partition::Partition;
use super::producers::Producers;
use super::topic::{Topic, TopicConfig, is_legal_name};
use super::{At, Core, NodeState, Refusal};

/// Producer ids that are promised on the disk at a time, as Kafka's blocks.
const PRODUCER_ID_BLOCK: i64 = 1000;

impl Core {
    pub(crate) fn create_topic(
        &mut self,
        at: At,
        name: &TopicName,
        partitions: i32,
        replicas: i16,
        configs: BTreeMap<String, String>,
    ) -> Result<TopicId, Refusal> {
        let config = self.check_new_topic(name, partitions, replicas, configs)?;
        let id = self.new_topic_id(at);
        if let Err(refusal) = self.insert_topic(name, id, partitions, replicas, config) {
            self.forget_files(name, partitions);
            return Err(refusal);
        }
        Ok(id)
    }

    /// Takes away what was made of a topic that could not be created as a whole: the next start must not find a part of it.
    fn forget_files(&mut self, name: &TopicName, partitions: i32) {
        let Some(disk) = &mut self.disk else { return };
        for index in (0..partitions).map(PartitionId) {
            match disk.remove(name, index) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::error!(topic = %name, partition = %index, %error, "a part of a topic that was not created stays");
                }
                _ => {}
            }
        }
    }

    /// Takes up a topic whose log is on the disk already.
    pub(crate) fn restore_topic(&mut self, name: &TopicName, id: TopicId, partitions: i32) -> Result<(), Refusal> {
        let replicas = self.config.default_replication.min(i16::try_from(self.nodes.len()).unwrap_or(i16::MAX));
        let config = TopicConfig::new(&self.config, BTreeMap::new())?;
        self.insert_topic(name, id, partitions, replicas, config)?;
        let largest = self.topics.get(name).into_iter().flat_map(|topic| &topic.partitions);
        let largest = largest.filter_map(|partition| partition.producers.largest_id()).max();
        self.reserve_producer_ids(largest.map_or(0, |id| id.0 + 1));
        Ok(())
    }

    /// Never gives out a producer id below `next` again.
    pub(crate) fn reserve_producer_ids(&mut self, next: i64) {
        self.next_producer_id = self.next_producer_id.max(next);
        self.promised_producer_ids = self.next_producer_id;
    }

    /// A producer id that nobody has or had, whatever is restarted.
    pub(super) fn new_producer_id(&mut self) -> Result<ProducerId, Refusal> {
        if let Some(disk) = &mut self.disk
            && self.next_producer_id >= self.promised_producer_ids
        {
            let before = self.next_producer_id + PRODUCER_ID_BLOCK;
            disk.promise_producer_ids(before)
                .map_err(|error| Refusal::new(ErrorCode::COORDINATOR_NOT_AVAILABLE, error.to_string()))?;
            self.promised_producer_ids = before;
        }
        self.next_producer_id += 1;
        Ok(ProducerId(self.next_producer_id - 1))
    }

    /// Whether a topic could be created, and with which settings.
    pub(super) fn check_new_topic(
        &self,
        name: &TopicName,
        partitions: i32,
        replicas: i16,
        configs: BTreeMap<String, String>,
    ) -> Result<TopicConfig, Refusal> {
        if !is_legal_name(name.as_str()) {
            return Err(Refusal::new(ErrorCode::INVALID_TOPIC_EXCEPTION, format!("illegal topic name {name:?}")));
        }
        if self.topics.contains_key(name) {
            return Err(Refusal::new(ErrorCode::TOPIC_ALREADY_EXISTS, format!("topic {name} already exists")));
        }
        if partitions < 1 {
            return Err(Refusal::new(ErrorCode::INVALID_PARTITIONS, format!("{partitions} partitions")));
        }
        self.check_room(partitions)?;
        if replicas < 1 || usize::try_from(replicas).is_ok_and(|n| n > self.nodes.len()) {
            let message = format!("{replicas} replicas on {} nodes", self.nodes.len());
            return Err(Refusal::new(ErrorCode::INVALID_REPLICATION_FACTOR, message));
        }
        TopicConfig::new(&self.config, configs)
    }

    /// Whether the cluster takes so many more partitions. A request of a few bytes may ask for any number of them.
    fn check_room(&self, more: i32) -> Result<(), Refusal> {
        let (have, most) = (self.partitions, self.config.partitions_max);
        if usize::try_from(more).is_ok_and(|more| more <= most.saturating_sub(have)) {
            return Ok(());
        }
        let message = format!("{more} partitions more than the {have} there are, of which there may be {most}");
        Err(Refusal::new(ErrorCode::INVALID_PARTITIONS, message))
    }

    fn insert_topic(
        &mut self,
        name: &TopicName,
        id: TopicId,
        partitions: i32,
        replicas: i16,
        config: TopicConfig,
    ) -> Result<(), Refusal> {
        let mut topic = Topic { name: name.clone(), id, partitions: Vec::new(), config };
        for index in 0..partitions {
            let partition = self.new_partition(name, id, index, replicas)?;
            topic.partitions.push(partition);
        }
        self.partitions += topic.partitions.len();
        self.names.insert(id, name.clone());
        self.topics.insert(name.clone(), topic);
        Ok(())
    }

    fn new_partition(
        &mut self,
        name: &TopicName,
        id: TopicId,
        index: i32,
        replicas: i16,
    ) -> Result<Partition, Refusal> {
        let mut producers = Producers::default();
        let mut epochs: Vec<(LeaderEpoch, Offset)> = Vec::new();
        let log = match &mut self.disk {
            None => Log::in_memory(self.config.keep),
            Some(disk) => {
                let mut on_batch = |header: &milena_wire::BatchHeader| {
                    producers.remember(header, header.base_offset, -1, Offset(i64::MAX));
                    if epochs.last().is_none_or(|(epoch, _)| *epoch < header.leader_epoch) {
                        epochs.push((header.leader_epoch, header.base_offset));
                    }
                };
                let log = disk.open(name, id, PartitionId(index), &mut on_batch);
                Log::on_disk(log.map_err(|e| Refusal::new(ErrorCode::KAFKA_STORAGE_ERROR, e.to_string()))?)
            }
        };
        // Neighbouring partitions begin on neighbouring nodes.
        let nodes: Vec<BrokerId> = self.nodes.keys().copied().collect();
        let first = usize::try_from(index).unwrap_or(0);
        let assigned = (0..usize::try_from(replicas).unwrap_or(1)).map(|i| nodes[(first + i) % nodes.len()]);
        let mut partition = Partition::new(assigned.collect(), log, producers, epochs);
        let is_up = |node: &BrokerId| self.state(*node) != NodeState::Stopped;
        partition.leader = partition.replicas.iter().copied().find(is_up);
        if partition.leader.is_some() {
            partition.isr.retain(is_up);
        }
        Ok(partition)
    }

    /// Deletes a topic and creates it again under the same name, with as many replicas and the same settings.
    pub(crate) fn recreate_topic(&mut self, at: At, name: &TopicName, partitions: i32) -> Result<TopicId, Refusal> {
        let before = self.topics.get(name);
        let replicas = before.and_then(|t| t.partitions.first()).map_or(1, |partition| partition.replicas.len());
        let configs = before.map(|topic| topic.config.given.clone()).unwrap_or_default();
        self.delete_topic(name)?;
        let created = self.create_topic(at, name, partitions, i16::try_from(replicas).unwrap_or(1), configs);
        self.wake(at);
        created
    }

    pub(crate) fn delete_topic(&mut self, name: &TopicName) -> Result<TopicId, Refusal> {
        let Some(topic) = self.topics.remove(name) else {
            return Err(Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("no topic {name}")));
        };
        self.names.remove(&topic.id);
        self.partitions -= topic.partitions.len();
        for (index, partition) in (0..).map(PartitionId).zip(topic.partitions) {
            self.woken.extend(partition.waiting);
            let closed = partition.log.close();
            if let Some(disk) = &mut self.disk {
                closed
                    .and_then(|()| disk.remove(name, index))
                    .map_err(|error| Refusal::new(ErrorCode::KAFKA_STORAGE_ERROR, error.to_string()))?;
            }
        }
        Ok(topic.id)
    }

    pub(crate) fn create_partitions(&mut self, name: &TopicName, count: i32, dry: bool) -> Result<(), Refusal> {
        let Some(topic) = self.topics.get(name) else {
            return Err(Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("no topic {name}")));
        };
        let id = topic.id;
        let before = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        let replicas = topic.partitions.first().map_or(1, |p| i16::try_from(p.replicas.len()).unwrap_or(1));
        if count <= before {
            let message = format!("topic {name} has {before} partitions, {count} asked for");
            return Err(Refusal::new(ErrorCode::INVALID_PARTITIONS, message));
        }
        self.check_room(count - before)?;
        for index in if dry { 0..0 } else { before..count } {
            let partition = self.new_partition(name, id, index, replicas)?;
            if let Some(topic) = self.topics.get_mut(name) {
                topic.partitions.push(partition);
                self.partitions += 1;
            }
        }
        Ok(())
    }

    /// An id that no topic has and that, thanks to the wall clock, none had before a restart either.
    fn new_topic_id(&mut self, at: At) -> TopicId {
        loop {
            self.created += 1;
            let half = |salt: u64| {
                // splitmix64
                let mut x = self.config.seed ^ at.wall_ms.cast_unsigned().rotate_left(20);
                x = x.wrapping_add(self.created.wrapping_mul(2).wrapping_add(salt).wrapping_mul(0x9e37_79b9_7f4a_7c15));
                x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                x ^ (x >> 31)
            };
            let mut id = [0; 16];
            id[..8].copy_from_slice(&half(0).to_be_bytes());
            id[8..].copy_from_slice(&half(1).to_be_bytes());
            id[6] = (id[6] & 0x0f) | 0x40; // a random UUID, version 4
            id[8] = (id[8] & 0x3f) | 0x80;
            if !self.names.contains_key(&TopicId(id)) {
                return TopicId(id);
            }
        }
    }

    /// Closes all logs and lets go of the disk, which another cluster may then have; nothing can be done with this one
    /// afterwards.
    pub(crate) fn close(&mut self) -> std::io::Result<()> {
        let topics = std::mem::take(&mut self.topics);
        let partitions = topics.into_values().flat_map(|topic| topic.partitions);
        let closed = partitions.map(|partition| partition.log.close()).fold(Ok(()), std::io::Result::and);
        self.disk = None;
        closed
    }
}
