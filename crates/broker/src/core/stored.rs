//! Batches as a log holds them, for assertions.

use bytes::Bytes;
use milena_wire::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

/// One batch on a partition's log.
#[derive(Clone, Debug)]
pub struct StoredBatch {}

/// One record on a partition's log, decompressed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredRecord {
    /// Its offset.
    pub offset: Offset,
    /// Milliseconds since 1970: create time, or the broker's if the topic says so.
    pub timestamp_ms: i64,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Its headers, in order.
    pub headers: Vec<(String, Option<Bytes>)>,
}

impl StoredBatch {
    /// Offset of the first record.
    #[must_use]
    pub fn base_offset(&self) -> Offset {
        todo!()
    }

    /// Offset of the last record.
    #[must_use]
    pub fn last_offset(&self) -> Offset {
        todo!()
    }

    /// How many records it holds.
    #[must_use]
    pub fn record_count(&self) -> i32 {
        todo!()
    }

    /// Who wrote it; [`ProducerId::NONE`] without idempotence.
    #[must_use]
    pub fn producer_id(&self) -> ProducerId {
        todo!()
    }

    /// The producer's epoch.
    #[must_use]
    pub fn producer_epoch(&self) -> ProducerEpoch {
        todo!()
    }

    /// Sequence of the first record; -1 without idempotence.
    #[must_use]
    pub fn base_sequence(&self) -> i32 {
        todo!()
    }

    /// Epoch of the leader that appended it.
    #[must_use]
    pub fn leader_epoch(&self) -> LeaderEpoch {
        todo!()
    }

    /// Bytes, header included.
    #[must_use]
    pub fn size(&self) -> usize {
        todo!()
    }

    /// The whole batch as it is on the log.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        todo!()
    }

    /// Its records, decompressed.
    ///
    /// # Panics
    ///
    /// If it does not decode, which the checks before the append rule out (unless they were turned off).
    #[must_use]
    pub fn records(&self) -> Vec<StoredRecord> {
        todo!()
    }
}
