//! The values that a stream is made of.

use milena_wire::{BrokerId, ErrorCode, LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, TopicId};

/// A producer id with its epoch, as `InitProducerId` gives it and as a stream bumps it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Identity {
    /// Who produces.
    pub producer_id: ProducerId,
    /// Which generation of it.
    pub epoch: ProducerEpoch,
}

/// What a stamped batch carries in its header, at every attempt the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stamp {
    /// Producer id and epoch.
    pub identity: Identity,
    /// Sequence of the batch's first record.
    pub sequence: Sequence,
}

/// The caller's name for a batch. Unique within a stream.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct BatchKey(pub u64);

/// One sending of one batch. An answer that names an older attempt is late and is ignored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Attempt(pub(crate) u64);

/// Where a batch is sent: the log whose memory of us counts.
///
/// A success opens the first-ack gate for exactly this route under exactly one [`Identity`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Route {
    /// The partition's leader.
    pub leader: BrokerId,
    /// Its epoch, or [`LeaderEpoch::UNKNOWN`].
    pub epoch: LeaderEpoch,
    /// The topic's id, or [`TopicId::ZERO`].
    pub topic: TopicId,
}

/// What came back for one batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Answer {
    /// The partition's error code; `NETWORK_EXCEPTION` or `REQUEST_TIMED_OUT` stand for an answer that was lost.
    pub code: ErrorCode,
    /// Offset of the last record of the batch, when the answer tells it.
    pub last_offset: Option<Offset>,
    /// First offset of the log, when the answer tells it.
    pub log_start: Option<Offset>,
    /// Whether the answer lists the records at fault (KIP-467) and leaves some out.
    pub names_records: bool,
}

impl Answer {
    /// An answer that carries nothing but its code.
    #[must_use]
    pub const fn code(code: ErrorCode) -> Self {
        Self { code, last_offset: None, log_start: None, names_records: false }
    }
}
