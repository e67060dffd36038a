use std::fmt;

use bytes::Bytes;
use milena_wire::{PartitionId, RecordParts, Timestamp};

/// A record to be appended, borrowed: its bytes are copied before `append` returns, but for a large value that is [`shared`](Self::shared).
#[derive(Clone, Copy, Debug)]
pub struct RecordRef<'a> {
    /// Where it goes.
    pub topic: &'a str,
    /// Its partition, if the caller chose one.
    pub partition: Option<PartitionId>,
    /// Key, value and headers.
    pub parts: RecordParts<'a>,
    /// Milliseconds since 1970, not negative; without one the record gets [`At::wall_ms`].
    pub timestamp_ms: Option<i64>,
    /// The buffer of the value, if it may be kept: a value of 8 KiB and more is then sent from there. It has to be the very slice
    /// that `parts` has; another one is left alone.
    pub shared: Option<&'a Bytes>,
}

impl RecordRef<'_> {
    /// The value's buffer, if it is worth being kept in place of a copy, and is the value's.
    pub(crate) fn large_value(&self) -> Option<&Bytes> {
        self.shared.filter(|shared| {
            shared.len() >= WORTH_KEEPING && std::ptr::eq(&***shared, self.parts.value.unwrap_or_default())
        })
    }
}

/// To copy less costs less than the two slices more of a request.
pub(crate) const WORTH_KEEPING: usize = 8 << 10;

/// The time of an operation, by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct At {
    /// Monotonic time: batches are as old as their first record. A coarse clock will do.
    pub now: Timestamp,
    /// Wall-clock milliseconds since 1970, for records without a timestamp. A coarse clock will do.
    pub wall_ms: i64,
}

/// The two clocks of an append. It reads each at most once, and only when it needs it: most records begin no batch, and those with a
/// timestamp of their own need no wall clock.
///
/// The clocks are read under a partition's lock, so they should be what clocks are: quick, and without side effects.
pub trait Clock {
    /// See [`At::now`].
    fn now(&self) -> Timestamp;

    /// See [`At::wall_ms`].
    fn wall_ms(&self) -> i64;
}

impl Clock for At {
    #[inline]
    fn now(&self) -> Timestamp {
        self.now
    }

    #[inline]
    fn wall_ms(&self) -> i64 {
        self.wall_ms
    }
}

/// Whether a record's batch waits for more records.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Urgency {
    /// It may wait as long as the sender lets batches linger.
    Linger,
    /// It goes out as soon as the connection has room, with whatever is in it by then.
    Now,
}

/// Whether a record waits while the sender is behind with its partition.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pace {
    /// It goes in as long as there is memory.
    Any,
    /// It is [`Refused::Behind`] then.
    Sender,
}

/// Why a record was not queued. It was not written and never will be; nothing of it is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Refused {
    /// The memory is full, or others have waited longer for it: [`reserve`](crate::Accumulator::reserve) `bytes` and try again with
    /// the reservation, which is then enough.
    Memory {
        /// What to reserve.
        bytes: usize,
    },
    /// The sender is behind with the record's partition, and the record may wait for that: [`catch_up`](crate::Accumulator::catch_up), and
    /// append it however things are then.
    Behind {
        /// Where the record would go.
        partition: PartitionId,
    },
    /// No batch may hold the record.
    RecordTooLarge {
        /// What it takes in a batch of its own, uncompressed.
        size: usize,
        /// The most it may take: the record limit, or the whole memory if that is less.
        limit: usize,
    },
    /// The topic has no such partition.
    NoSuchPartition {
        /// The one asked for.
        partition: PartitionId,
        /// How many the topic has.
        count: usize,
    },
    /// The timestamp is negative.
    InvalidTimestamp {
        /// The one given.
        timestamp_ms: i64,
    },
    /// The partitioner panicked, answered with a partition that does not exist, or needs a partition to be given.
    Partitioner {
        /// What happened, for people.
        message: String,
    },
    /// The accumulator was closed.
    Closed,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory { bytes } => {
                write!(
                    f,
                    "the buffer memory is full: {bytes} bytes are needed; wait for memory, or raise buffer_memory"
                )
            }
            Self::Behind { partition } => {
                write!(f, "many records of partition {partition} are queued already: wait for some of them to be sent")
            }
            Self::RecordTooLarge { size, limit } => write!(
                f,
                "the record takes {size} bytes and the limit is {limit}; \
                 raise max_record_size (and buffer_memory, and the topic's max.message.bytes) or send less at once"
            ),
            Self::NoSuchPartition { partition, count } => {
                write!(f, "partition {partition} does not exist: the topic has {count} partitions, counted from 0")
            }
            Self::InvalidTimestamp { timestamp_ms } => {
                write!(f, "timestamp {timestamp_ms} is negative; timestamps are milliseconds since 1970")
            }
            Self::Partitioner { message } => write!(f, "no partition was chosen: {message}"),
            Self::Closed => f.write_str("the producer is closed and takes no more records"),
        }
    }
}

impl std::error::Error for Refused {}
