//! Batches as a log holds them.

use bytes::{BufMut, Bytes, BytesMut};
use milena_wire::{BatchError, BatchHeader, BatchView, LeaderEpoch, Offset, ProducerEpoch, ProducerId};

/// Decompressed bytes of one batch that [`StoredBatch::records`] reads at most.
const DECOMPRESSED_MAX: usize = 1 << 30;

/// One batch on a partition's log. Cheap to clone.
#[derive(Clone, Debug)]
pub struct StoredBatch {
    pub(crate) header: BatchHeader,
    pub(crate) raw_header: Bytes,
    pub(crate) payload: Bytes,
}

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
        self.header.base_offset
    }

    /// Offset of the last record.
    #[must_use]
    pub fn last_offset(&self) -> Offset {
        Offset(self.header.base_offset.0 + i64::from(self.header.last_offset_delta))
    }

    /// How many records it holds.
    #[must_use]
    pub fn record_count(&self) -> i32 {
        self.header.record_count
    }

    /// Who wrote it; [`ProducerId::NONE`] without idempotence.
    #[must_use]
    pub fn producer_id(&self) -> ProducerId {
        self.header.producer_id
    }

    /// The producer's epoch.
    #[must_use]
    pub fn producer_epoch(&self) -> ProducerEpoch {
        self.header.producer_epoch
    }

    /// Sequence of the first record; -1 without idempotence.
    #[must_use]
    pub fn base_sequence(&self) -> i32 {
        self.header.base_sequence
    }

    /// Epoch of the leader that appended it.
    #[must_use]
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.header.leader_epoch
    }

    /// All fields of its header.
    #[must_use]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// Bytes, header included.
    #[must_use]
    pub fn size(&self) -> usize {
        self.raw_header.len() + self.payload.len()
    }

    /// The whole batch as it is on the log: a copy.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(self.size());
        bytes.put_slice(&self.raw_header);
        bytes.put_slice(&self.payload);
        bytes.freeze()
    }

    /// Its records, decompressed and copied.
    ///
    /// # Errors
    ///
    /// If it does not decode, which the checks before the append rule out unless
    /// [`check_records`](crate::Builder::check_records) is off.
    pub fn records(&self) -> Result<Vec<StoredRecord>, BatchError> {
        let bytes = self.to_bytes();
        let (view, _) = BatchView::parse(&bytes)?;
        let base = self.header.base_offset.0;
        let records = view.records(DECOMPRESSED_MAX)?;
        let mut stored = Vec::with_capacity(records.count());
        for record in &records {
            let record = record?;
            stored.push(StoredRecord {
                offset: Offset(base + i64::from(record.offset_delta)),
                timestamp_ms: record.timestamp,
                key: record.key.map(Bytes::copy_from_slice),
                value: record.value.map(Bytes::copy_from_slice),
                headers: record
                    .headers()
                    .map(|h| (h.key_text().into_owned(), h.value.map(Bytes::copy_from_slice)))
                    .collect(),
            });
        }
        Ok(stored)
    }
}
