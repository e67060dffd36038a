//! What goes into a spool and what comes out.

use bytes::Bytes;
use milena_sequence::{Fate, Identity, Stamp};
use milena_wire::{BATCH_HEADER_LEN, BatchHeader, ErrorCode, PartitionId, RecordCount, Sequence};

/// A batch for the spool.
#[derive(Clone, Debug)]
pub struct SpooledBatch {
    /// Its header. Offset, leader epoch, length and CRC are the spool's to write. With the identity it was sent with, if it ever was.
    pub header: BatchHeader,
    /// The records, compressed as the header says.
    pub payload: Vec<Bytes>,
    /// Whether it may be on the cluster's log.
    pub fate: Fate,
    /// The broker's last word on it, `NONE` without one.
    pub code: ErrorCode,
    /// Why it could not be delivered, for people.
    pub cause: String,
    /// Now, milliseconds since 1970.
    pub now_ms: i64,
}

impl SpooledBatch {
    pub(crate) fn payload_len(&self) -> usize {
        self.payload.iter().map(Bytes::len).sum()
    }
}

/// Where in a topic batches lie.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Place {
    /// Records whose partition is not known yet.
    Unassigned,
    /// A partition's records, in order.
    Partition(PartitionId),
    /// What the replay put aside: it cannot tell whether these are written already, or the cluster refuses them.
    Aside(PartitionId),
}

impl Place {
    /// The partition, once there is one.
    #[must_use]
    pub fn partition(self) -> Option<PartitionId> {
        match self {
            Self::Unassigned => None,
            Self::Partition(partition) | Self::Aside(partition) => Some(partition),
        }
    }
}

/// The batch of a folder that is next to be sent.
#[derive(Clone, Debug)]
pub struct Head {
    /// Its header as it is in the spool; the base offset is the spool's.
    pub header: BatchHeader,
    /// The records, compressed as the header says.
    pub payload: Bytes,
    /// Whether it may be written; a batch whose fate is lost may be.
    pub fate: Fate,
    /// The broker's last word on it, `NONE` without one.
    pub code: ErrorCode,
    /// Why it came here.
    pub cause: String,
    /// When it came here, milliseconds since 1970; 0 if that is lost.
    pub when_ms: i64,
    /// Among batches without a partition: the one that its records name, though it is not known yet whether there is such a one.
    pub named: Option<PartitionId>,
}

impl Head {
    /// Its place in the spool.
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.header.base_offset.0
    }

    /// How many records it holds.
    #[must_use]
    pub fn count(&self) -> RecordCount {
        // A folder gives out no batch without records.
        usize::try_from(self.header.record_count).ok().and_then(RecordCount::new).unwrap_or(RecordCount::ONE)
    }

    /// What it was sent as before it came here.
    #[must_use]
    pub fn stamp(&self) -> Option<Stamp> {
        let sequence = Sequence::new(self.header.base_sequence)?;
        let identity = Identity { producer_id: self.header.producer_id, epoch: self.header.producer_epoch };
        (identity.producer_id.0 >= 0 && identity.epoch.0 >= 0).then_some(Stamp { identity, sequence })
    }

    /// Its header for a produce request under `stamp`.
    #[must_use]
    pub fn header_as(&self, stamp: Stamp) -> [u8; BATCH_HEADER_LEN] {
        let header = BatchHeader {
            base_offset: milena_wire::Offset(0),
            leader_epoch: milena_wire::LeaderEpoch(-1),
            producer_id: stamp.identity.producer_id,
            producer_epoch: stamp.identity.epoch,
            base_sequence: stamp.sequence.get(),
            ..self.header
        };
        header.encode(std::slice::from_ref(&self.payload))
    }
}

/// What a folder holds that is not done with.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Pending {
    /// Batches.
    pub batches: u64,
    /// Records.
    pub records: u64,
    /// Bytes of these batches.
    pub bytes: u64,
}
