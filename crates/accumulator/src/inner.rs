//! All topics of an accumulator, and how they become known.

use std::sync::Arc;

use milena_wire::{PartitionId, TopicName};

use crate::Refused;
use crate::core::Core;
use crate::queue::PartitionQueue;
use crate::sticky::Sticky;
use crate::sync::{AtomicBool, Mutex, Ordering, RwLock};
use crate::table::{Table, hash};
use crate::topic::{Topic, TopicShape};
use crate::waiting::Waiting;

/// What the clones of an [`Accumulator`](crate::Accumulator) share.
pub(crate) struct Inner {
    pub(crate) core: Arc<Core>,
    seed: u64,
    /// Locked after a topic's waiting queue, never before it.
    topics: RwLock<Table>,
    pub(crate) closed: AtomicBool,
}

impl Inner {
    /// One that knows no topic.
    pub(crate) fn new(core: Arc<Core>, seed: u64) -> Self {
        Self { core, seed, topics: RwLock::default(), closed: AtomicBool::new(false) }
    }

    pub(crate) fn known(&self, name: &str) -> Option<Arc<Topic>> {
        self.topics.read().get(name).map(|entry| Arc::clone(&entry.topic))
    }

    /// The queue of a partition, which may have records before its topic's description says that it is there, and afterwards.
    pub(crate) fn queue(&self, name: &str, partition: PartitionId) -> Option<Arc<PartitionQueue>> {
        self.topics.read().get(name)?.queues.get(usize::try_from(partition.0).ok()?).map(Arc::clone)
    }

    /// See [`Accumulator::set_topic`](crate::Accumulator::set_topic).
    pub(crate) fn describe(&self, name: &TopicName, shape: &TopicShape) -> usize {
        if shape.partitions == 0 {
            return 0;
        }
        let count = shape.partitions;
        let with_leader: Box<[PartitionId]> =
            shape.with_leader.iter().copied().filter(|id| usize::try_from(id.0).is_ok_and(|id| id < count)).collect();
        let (old, new) = {
            let mut topics = self.topics.write();
            if topics.get(name.as_str()).is_none() {
                topics.add(Arc::new(self.unknown_topic(name.clone())));
            }
            let Some(entry) = topics.get_mut(name.as_str()) else { return 0 };
            let old = Arc::clone(&entry.topic);
            if old.queues.len() == count && old.with_leader == with_leader {
                return 0;
            }
            for partition in entry.queues.len()..count {
                let partition = PartitionId(i32::try_from(partition).unwrap_or(i32::MAX));
                let queue = PartitionQueue::new(&self.core, name, partition);
                if self.closed.load(Ordering::SeqCst) {
                    queue.refuse();
                }
                entry.queues.push(queue);
            }
            let new = Arc::new(Topic {
                core: Arc::clone(&self.core),
                name: old.name.clone(),
                queues: entry.queues[..count].into(),
                with_leader,
                sticky: match old.sticky.is_for(count) {
                    true => Arc::clone(&old.sticky),
                    false => self.sticky(&old.name, count),
                },
                waiting: Mutex::new(Waiting::default()),
                stale: AtomicBool::new(false),
            });
            if !old.queues.is_empty() {
                entry.topic = new;
                old.stale.store(true, Ordering::Release);
                return 0;
            }
            (old, new)
        };
        let mut failed = 0;
        loop {
            let batches = old.take_waiting(|| {
                if let Some(entry) = self.topics.write().get_mut(name.as_str()) {
                    entry.topic = Arc::clone(&new);
                }
                old.stale.store(true, Ordering::Release);
            });
            if batches.is_empty() {
                return failed;
            }
            // More may come meanwhile, and will be behind these. It ends: they fill the memory, which nobody empties before this returns.
            failed += batches.into_iter().map(|batch| batch.move_to(&new)).sum::<usize>();
        }
    }

    fn sticky(&self, topic: &TopicName, partitions: usize) -> Arc<Sticky> {
        Arc::new(Sticky::new(self.seed ^ hash(topic.as_str()), partitions))
    }

    fn unknown_topic(&self, name: TopicName) -> Topic {
        Topic {
            core: Arc::clone(&self.core),
            sticky: self.sticky(&name, 0),
            name,
            queues: Box::default(),
            with_leader: Box::default(),
            waiting: Mutex::new(Waiting::default()),
            stale: AtomicBool::new(false),
        }
    }

    #[cold]
    pub(crate) fn add(&self, name: &str) -> Result<Arc<Topic>, Refused> {
        let mut topics = self.topics.write();
        // Under the lock that `close` takes after it set this: a topic is either refused here or found there.
        if self.closed.load(Ordering::SeqCst) {
            return Err(Refused::Closed);
        }
        if let Some(entry) = topics.get(name) {
            return Ok(Arc::clone(&entry.topic));
        }
        let topic = Arc::new(self.unknown_topic(TopicName::new(name)));
        Ok(Arc::clone(&topics.add(topic).topic))
    }

    pub(crate) fn all(&self) -> Vec<(Arc<Topic>, Vec<Arc<PartitionQueue>>)> {
        self.topics.read().iter().map(|entry| (Arc::clone(&entry.topic), entry.queues.clone())).collect()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // A thread may still hold one topic (see LAST); it must hold no records.
        for (topic, queues) in self.all() {
            drop(topic.take_waiting(|| ()));
            queues.iter().for_each(|queue| drop(queue.empty()));
        }
        self.core.memory.close();
        self.core.forget();
    }
}
