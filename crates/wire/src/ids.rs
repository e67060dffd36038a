//! The names of things on the wire, one type per meaning, so that an epoch is never passed for an id.

use std::fmt;
use std::sync::Arc;

/// A topic's name: cheap to clone, compared by content.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TopicName(Arc<str>);

impl TopicName {
    /// Takes any string; the broker decides whether it is a legal topic name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        // The empty one, of which versions that name topics by their id are full, takes no memory of its own.
        if name.is_empty() { Self(Arc::default()) } else { Self(Arc::from(name)) }
    }

    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for TopicName {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl std::borrow::Borrow<str> for TopicName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A topic's identity, which changes when a topic is deleted and created again (KIP-516). All zero means unknown.
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TopicId(pub [u8; 16]);

impl TopicId {
    /// No id: the broker is too old to have one, or has not told it yet.
    pub const ZERO: Self = Self([0; 16]);

    /// Whether this is the all-zero id.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }
}

impl fmt::Debug for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($int:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(pub $int);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

number!(
    /// A partition's index within its topic, from 0.
    PartitionId(i32)
);
number!(
    /// A broker's node id. Real brokers have ids from 0.
    BrokerId(i32)
);
number!(
    /// How often a partition's leadership has changed. `-1` means unknown.
    LeaderEpoch(i32)
);
number!(
    /// A record's position in its partition's log.
    Offset(i64)
);
number!(
    /// Identity of an idempotent producer, given by `InitProducerId`. `-1` means none.
    ProducerId(i64)
);
number!(
    /// Generation of a producer id. `-1` means none.
    ProducerEpoch(i16)
);
number!(
    /// Ties a response to its request on one connection.
    CorrelationId(i32)
);
number!(
    /// Version of one API's messages.
    ApiVersion(i16)
);
number!(
    /// Number of a Kafka API.
    ApiKey(i16)
);

impl LeaderEpoch {
    /// No epoch known.
    pub const UNKNOWN: Self = Self(-1);
}

impl ProducerId {
    /// No producer id: the batch is not idempotent.
    pub const NONE: Self = Self(-1);
}

impl ProducerEpoch {
    /// No epoch: the batch is not idempotent.
    pub const NONE: Self = Self(-1);
    /// The last epoch of a producer id; after it a new id is needed.
    pub const LAST: Self = Self(i16::MAX);
}

impl ApiKey {
    /// Produce.
    pub const PRODUCE: Self = Self(0);
    /// Fetch.
    pub const FETCH: Self = Self(1);
    /// ListOffsets.
    pub const LIST_OFFSETS: Self = Self(2);
    /// Metadata.
    pub const METADATA: Self = Self(3);
    /// FindCoordinator.
    pub const FIND_COORDINATOR: Self = Self(10);
    /// SaslHandshake.
    pub const SASL_HANDSHAKE: Self = Self(17);
    /// ApiVersions.
    pub const API_VERSIONS: Self = Self(18);
    /// CreateTopics.
    pub const CREATE_TOPICS: Self = Self(19);
    /// DeleteTopics.
    pub const DELETE_TOPICS: Self = Self(20);
    /// InitProducerId.
    pub const INIT_PRODUCER_ID: Self = Self(22);
    /// OffsetForLeaderEpoch.
    pub const OFFSET_FOR_LEADER_EPOCH: Self = Self(23);
    /// DescribeConfigs.
    pub const DESCRIBE_CONFIGS: Self = Self(32);
    /// SaslAuthenticate.
    pub const SASL_AUTHENTICATE: Self = Self(36);
    /// CreatePartitions.
    pub const CREATE_PARTITIONS: Self = Self(37);
    /// DescribeCluster.
    pub const DESCRIBE_CLUSTER: Self = Self(60);
}

/// How many records a batch holds: at least one, at most 2^31 - 1.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RecordCount(i32);

impl RecordCount {
    /// A record alone.
    pub const ONE: Self = Self(1);

    /// `None` unless `1 <= count <= i32::MAX`.
    #[must_use]
    pub fn new(count: usize) -> Option<Self> {
        i32::try_from(count).ok().filter(|n| *n >= 1).map(Self)
    }

    /// The count, as the wire has it.
    #[must_use]
    pub const fn get(self) -> i32 {
        self.0
    }

    /// The count as a length.
    #[must_use]
    pub const fn as_usize(self) -> usize {
        self.0.cast_unsigned() as usize
    }
}

/// Position of a batch's first record in one producer epoch's stream for one partition.
///
/// A 31-bit ring: `0` follows `i32::MAX`. Deliberately not `Ord`: "smaller" means nothing across the wrap.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Sequence(i32);

impl Sequence {
    /// Where every epoch starts.
    pub const ZERO: Self = Self(0);
    /// What a batch without an idempotent producer carries on the wire.
    pub const NONE: Self = Self(-1);

    /// `None` for a negative number.
    #[must_use]
    pub fn new(value: i32) -> Option<Self> {
        (value >= 0).then_some(Self(value))
    }

    /// The number, as the wire has it.
    #[must_use]
    pub const fn get(self) -> i32 {
        self.0
    }

    /// The sequence of the batch that follows one of `records` records.
    #[must_use]
    pub const fn advance(self, records: RecordCount) -> Self {
        // Both operands are below 2^31, so the sum cannot overflow u32.
        let sum = self.0.cast_unsigned() + records.0.cast_unsigned();
        Self((sum & 0x7fff_ffff).cast_signed())
    }

    /// The sequence of the last record of a batch of `records` that starts here.
    #[must_use]
    pub const fn last(self, records: RecordCount) -> Self {
        let sum = self.0.cast_unsigned() + records.0.cast_unsigned() - 1;
        Self((sum & 0x7fff_ffff).cast_signed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_wrap_to_zero_and_never_go_negative() {
        let at = |n| Sequence::new(n).unwrap();
        let count = |n| RecordCount::new(n).unwrap();
        assert_eq!(at(i32::MAX).advance(count(1)), Sequence::ZERO);
        assert_eq!(at(i32::MAX - 5).advance(count(10)), at(4));
        assert_eq!(at(i32::MAX - 1).last(count(3)), Sequence::ZERO);
        assert_eq!(at(7).advance(count(i32::MAX as usize)), at(6));
        assert_eq!(Sequence::new(-1), None);
    }

    #[test]
    fn record_counts_are_never_zero() {
        assert_eq!(RecordCount::new(0), None);
        assert_eq!(RecordCount::new(1).map(RecordCount::get), Some(1));
        assert_eq!(RecordCount::new(1 << 31), None);
    }
}
