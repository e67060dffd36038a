//! One topic: its queues, and the choice of a partition.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use milena_wire::{PartitionId, RecordParts, TopicName, crc32_ieee, fnv1a, murmur2};

use crate::core::Core;
use crate::queue::PartitionQueue;
use crate::sticky::{Choice, Sticky};
use crate::sync::{AtomicBool, Mutex};
use crate::waiting::Waiting;
use crate::{CustomPartitioner, PartitionRequest, PartitionerKind, Refused};

/// What the cluster says of a topic.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TopicShape {
    /// How many partitions it has, numbered from 0.
    pub partitions: usize,
    /// Those whose leader is known, ascending. Keyless records prefer them; if there are none they go anywhere.
    pub with_leader: Vec<PartitionId>,
}

/// A topic as it was last described. A new description makes a new `Topic` that shares queues and choices with the old.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) core: Arc<Core>,
    pub(crate) name: TopicName,
    /// By partition. Empty while the partitions are not known.
    pub(crate) queues: Box<[Arc<PartitionQueue>]>,
    /// All of them below `queues.len()`.
    pub(crate) with_leader: Box<[PartitionId]>,
    pub(crate) sticky: Arc<Sticky>,
    /// Records from before the partitions were known.
    pub(crate) waiting: Mutex<Waiting>,
    /// A newer description took its place.
    pub(crate) stale: AtomicBool,
}

/// A partition for one record, and the sticky choice it came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) partition: u32,
    slot: Option<u8>,
    produced: u32,
}

impl Target {
    #[inline]
    pub(crate) fn stuck_to(choice: Choice) -> Self {
        Self { partition: choice.partition, slot: Some(choice.slot), produced: choice.produced }
    }

    /// The sticky choice, if it came from one.
    #[inline]
    pub(crate) fn choice(self) -> Option<Choice> {
        self.slot.map(|slot| Choice { slot, partition: self.partition, produced: self.produced })
    }

    #[inline]
    fn fixed(partition: u32) -> Self {
        Self { partition, slot: None, produced: 0 }
    }
}

impl Topic {
    pub(crate) fn queue_of(&self, id: PartitionId) -> Option<&Arc<PartitionQueue>> {
        self.queues.get(usize::try_from(id.0).ok()?)
    }

    /// Number of the partition at `index` among those with a leader.
    pub(crate) fn leader_at(&self, index: u64) -> u64 {
        let id = usize::try_from(index).ok().and_then(|index| self.with_leader.get(index));
        id.and_then(|id| u64::try_from(id.0).ok()).unwrap_or(0)
    }

    pub(crate) fn is_adaptive(&self) -> bool {
        self.core.config.adaptive
    }

    /// The partition of a record. Called without a lock, because it may run a partitioner of the user's.
    pub(crate) fn choose(&self, partition: Option<PartitionId>, parts: &RecordParts<'_>) -> Result<Target, Refused> {
        match self.choose_quickly(partition, parts.key) {
            Some(target) => Ok(target),
            None => self.choose_slowly(partition, parts),
        }
    }

    /// The partition in common cases; none means that there is more to say than where.
    #[inline(always)]
    pub(crate) fn choose_quickly(&self, partition: Option<PartitionId>, key: Option<&[u8]>) -> Option<Target> {
        if self.queues.is_empty() {
            return None;
        }
        if let Some(PartitionId(partition)) = partition {
            // A negative number is a very large one, too.
            let partition = partition.cast_unsigned();
            return ((partition as usize) < self.queues.len()).then(|| Target::fixed(partition));
        }
        match (&self.core.config.partitioner, key) {
            (PartitionerKind::Java | PartitionerKind::Murmur2Random | PartitionerKind::Murmur2, Some(key)) => {
                Some(self.murmured(key))
            }
            (PartitionerKind::Java | PartitionerKind::Murmur2Random | PartitionerKind::IgnoreKeys, _) => {
                Some(Target::stuck_to(self.sticky.choose(self)))
            }
            _ => None,
        }
    }

    #[cold]
    fn choose_slowly(&self, partition: Option<PartitionId>, parts: &RecordParts<'_>) -> Result<Target, Refused> {
        if let Some(partition) = partition {
            return Err(Refused::NoSuchPartition { partition, count: self.queues.len() });
        }
        match (&self.core.config.partitioner, parts.key) {
            (PartitionerKind::RoundRobin, _) => Ok(self.among_leaders(self.sticky.turn().into())),
            (PartitionerKind::Random, _) => Ok(self.among_leaders(self.sticky.draws().next() >> 32)),
            (PartitionerKind::Consistent, key) => Ok(self.hashed(crc32_ieee(key.unwrap_or_default()))),
            (PartitionerKind::ConsistentRandom, Some(key)) if !key.is_empty() => Ok(self.hashed(crc32_ieee(key))),
            (PartitionerKind::Murmur2, None) => Ok(self.murmured(&[])),
            (PartitionerKind::Fnv1a, key) => Ok(self.fnv_hashed(key.unwrap_or_default())),
            (PartitionerKind::Fnv1aRandom, Some(key)) => Ok(self.fnv_hashed(key)),
            (PartitionerKind::Manual, _) => Err(Refused::Partitioner {
                message: "the record names no partition, and the partitioner is \"manual\"".to_owned(),
            }),
            (PartitionerKind::Custom(partitioner), _) => self.ask(&**partitioner, parts),
            (
                PartitionerKind::Java
                | PartitionerKind::Murmur2Random
                | PartitionerKind::Murmur2
                | PartitionerKind::IgnoreKeys
                | PartitionerKind::ConsistentRandom
                | PartitionerKind::Fnv1aRandom,
                _,
            ) => Ok(Target::stuck_to(self.sticky.choose(self))),
        }
    }

    #[inline]
    fn murmured(&self, key: &[u8]) -> Target {
        self.hashed(murmur2(key).cast_unsigned() & 0x7fff_ffff)
    }

    fn fnv_hashed(&self, key: &[u8]) -> Target {
        self.hashed(fnv1a(key).cast_signed().unsigned_abs())
    }

    #[inline]
    fn hashed(&self, hash: u32) -> Target {
        // Kafka counts partitions in 31 bits; more would be the sender's mistake, and only a worse spread here.
        let count = u32::try_from(self.queues.len()).unwrap_or(u32::MAX);
        Target::fixed(hash % count)
    }

    fn among_leaders(&self, number: u64) -> Target {
        let partition = match self.with_leader.len() as u64 {
            0 => number % self.queues.len() as u64,
            leaders => self.leader_at(number % leaders),
        };
        // Both are below the number of queues.
        Target::fixed(u32::try_from(partition).unwrap_or(0))
    }

    fn ask(&self, partitioner: &dyn CustomPartitioner, parts: &RecordParts<'_>) -> Result<Target, Refused> {
        let request = PartitionRequest {
            topic: self.name.as_str(),
            parts: *parts,
            partitions: self.queues.len(),
            with_leader: &self.with_leader,
        };
        // Nothing of ours is touched by the call, so nothing is left half done by a panic.
        match catch_unwind(AssertUnwindSafe(|| partitioner.partition(&request))) {
            Ok(PartitionId(chosen)) => match u32::try_from(chosen) {
                Ok(partition) if (partition as usize) < self.queues.len() => Ok(Target::fixed(partition)),
                _ => Err(Refused::Partitioner {
                    message: format!(
                        "the partitioner chose partition {chosen} of topic {}, which has {}",
                        self.name,
                        self.queues.len()
                    ),
                }),
            },
            Err(panic) => {
                Err(Refused::Partitioner { message: format!("the partitioner panicked: {}", panic_text(&*panic)) })
            }
        }
    }
}

/// What a panic says.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "without a message",
    }
}
