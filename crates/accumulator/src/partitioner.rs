use std::fmt;
use std::sync::Arc;

use milena_wire::{PartitionId, RecordParts};

/// Who chooses the partition of a record that does not name one.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum PartitionerKind {
    /// As the Java client does: murmur2 of the key, an empty one included; without a key uniform sticky by bytes.
    #[default]
    Java,
    /// Uniform sticky by bytes for every record, as Java's `partitioner.ignore.keys`.
    IgnoreKeys,
    /// One partition after the other, whatever the key, among those with a leader.
    RoundRobin,
    /// Any partition with a leader, for every record anew, whatever the key.
    Random,
    /// librdkafka's `consistent`: CRC-32 of the key; null counts as empty.
    Consistent,
    /// librdkafka's `consistent_random`, its default: CRC-32 of the key; null and empty keys are sticky, as librdkafka's default has them.
    ConsistentRandom,
    /// librdkafka's `murmur2`: as Java for keys; null counts as empty.
    Murmur2,
    /// librdkafka's `murmur2_random`: as [`Java`](Self::Java).
    Murmur2Random,
    /// librdkafka's `fnv1a`: FNV-1a of the key; null counts as empty.
    Fnv1a,
    /// librdkafka's `fnv1a_random`, and sarama's default (`NewHashPartitioner`): FNV-1a of the key, an empty one included; without a key sticky.
    Fnv1aRandom,
    /// Every record names its partition; one that does not is refused.
    Manual,
    /// One's own.
    Custom(Arc<dyn CustomPartitioner>),
}

/// A partitioner of one's own.
///
/// It runs on the thread that appends, under no lock. If it panics or answers with a partition that does not exist, that record is
/// refused and no other. For records that were appended before their topic was known it runs on the sender's thread, so it should be quick.
pub trait CustomPartitioner: Send + Sync {
    /// The partition of this record.
    fn partition(&self, record: &PartitionRequest<'_>) -> PartitionId;
}

/// What a [`CustomPartitioner`] decides by.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct PartitionRequest<'a> {
    /// The record's topic.
    pub topic: &'a str,
    /// Its key, value and headers.
    pub parts: RecordParts<'a>,
    /// How many partitions the topic has: at least one.
    pub partitions: usize,
    /// Those whose leader is known, ascending; possibly none.
    pub with_leader: &'a [PartitionId],
}

impl fmt::Debug for dyn CustomPartitioner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CustomPartitioner")
    }
}
