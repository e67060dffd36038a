use bytes::Bytes;

use super::BatchError;
use crate::codec::Codec;
use crate::crc::PayloadCrc;
use crate::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, crc};

/// Bytes of a batch in front of its records.
pub const BATCH_HEADER_LEN: usize = 61;

/// Bytes in front of what the length field counts: base offset and the field itself.
pub(super) const LENGTH_END: usize = 12;
pub(super) const MAGIC_AT: usize = 16;
pub(super) const CRC_AT: usize = 17;
/// Where the bytes begin that the CRC covers. A broker may rewrite what is in front of it.
pub(super) const CRC_START: usize = 21;
const MAGIC: u8 = 2;

/// What a batch's records' timestamps mean.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum TimestampType {
    /// The producer's.
    CreateTime,
    /// The broker's when it appended the batch: the header's maximum timestamp counts for every record.
    LogAppendTime,
}

/// A batch's attribute bits.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Attributes(pub i16);

impl Attributes {
    const CODEC: i16 = 0x07;
    const LOG_APPEND_TIME: i16 = 0x08;
    const TRANSACTIONAL: i16 = 0x10;
    const CONTROL: i16 = 0x20;

    /// A producer's batch outside a transaction.
    #[must_use]
    pub const fn new(codec: Codec) -> Self {
        Self(codec.bits() as i16)
    }

    /// The same, inside a transaction.
    #[must_use]
    pub const fn transactional(self) -> Self {
        Self(self.0 | Self::TRANSACTIONAL)
    }

    /// The same, as a broker marks its own markers. A broker refuses such a batch from a producer.
    #[must_use]
    pub const fn control(self) -> Self {
        Self(self.0 | Self::CONTROL)
    }

    /// The same, with `timestamp_type`.
    #[must_use]
    pub const fn with_timestamp_type(self, timestamp_type: TimestampType) -> Self {
        match timestamp_type {
            TimestampType::CreateTime => Self(self.0 & !Self::LOG_APPEND_TIME),
            TimestampType::LogAppendTime => Self(self.0 | Self::LOG_APPEND_TIME),
        }
    }

    /// How the records are compressed.
    ///
    /// # Errors
    ///
    /// [`BatchError::UnknownCodec`] for bits that Kafka gives no meaning.
    pub fn codec(self) -> Result<Codec, BatchError> {
        // Three bits always fit.
        let bits = (self.0 & Self::CODEC).to_be_bytes()[1];
        Codec::from_bits(bits).ok_or(BatchError::UnknownCodec(bits))
    }

    /// Whether the batch belongs to a transaction.
    #[must_use]
    pub const fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }

    /// Whether the batch is a broker's marker (commit, abort, ..) rather than data.
    #[must_use]
    pub const fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }

    /// Whose clock the timestamps are from.
    #[must_use]
    pub const fn timestamp_type(self) -> TimestampType {
        if self.0 & Self::LOG_APPEND_TIME == 0 { TimestampType::CreateTime } else { TimestampType::LogAppendTime }
    }
}

/// The fields in front of a batch's records.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BatchHeader {
    /// Offset of the first record; a producer writes 0 and the broker the truth.
    pub base_offset: Offset,
    /// Bytes after this field. [`encode`](Self::encode) computes it and ignores what is here.
    pub batch_length: i32,
    /// Leader epoch the batch was appended in; a producer writes -1.
    pub leader_epoch: LeaderEpoch,
    /// CRC-32C from the attributes to the end. [`encode`](Self::encode) computes it and ignores what is here.
    pub crc: u32,
    /// Codec and flags.
    pub attributes: Attributes,
    /// Offset of the last record, counted from the first: one less than the count, until a log is compacted.
    pub last_offset_delta: i32,
    /// Timestamp of the first record, milliseconds since 1970; the records' deltas count from it.
    pub base_timestamp: i64,
    /// Largest timestamp of the records.
    pub max_timestamp: i64,
    /// Identity of an idempotent producer.
    pub producer_id: ProducerId,
    /// Its generation.
    pub producer_epoch: ProducerEpoch,
    /// Sequence of the first record, -1 without an idempotent producer.
    pub base_sequence: i32,
    /// How many records follow.
    pub record_count: i32,
}

impl BatchHeader {
    /// The header of `count` (at least 1) records as their producer makes it, before they have an identity, an offset or a leader. Timestamps are of the
    /// first record and the greatest, in milliseconds since 1970.
    #[must_use]
    pub const fn of_records(codec: Codec, count: i32, base_timestamp: i64, max_timestamp: i64) -> Self {
        Self {
            base_offset: Offset(0),
            batch_length: 0,
            leader_epoch: LeaderEpoch::UNKNOWN,
            crc: 0,
            attributes: Attributes::new(codec),
            last_offset_delta: count - 1,
            base_timestamp,
            max_timestamp,
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch::NONE,
            base_sequence: Sequence::NONE.get(),
            record_count: count,
        }
    }

    /// The 61 bytes in front of `payload` (the records, compressed as the attributes say), length and CRC computed.
    ///
    /// Does not allocate. A payload beyond 2 GiB has no length on the wire; limits far below keep it from being built.
    #[must_use]
    pub fn encode(&self, payload: &[Bytes]) -> [u8; BATCH_HEADER_LEN] {
        let payload_len = payload.iter().map(Bytes::len).sum();
        self.encode_with(payload_len, |crc| crc::crc32c_append_all(crc, payload))
    }

    /// As [`encode`](Self::encode), without reading the payload: its CRC was made before.
    #[must_use]
    pub fn encode_in_front_of(&self, payload: &PayloadCrc) -> [u8; BATCH_HEADER_LEN] {
        self.encode_with(payload.payload_len(), |crc| payload.after(crc))
    }

    fn encode_with(&self, payload_len: usize, crc: impl FnOnce(u32) -> u32) -> [u8; BATCH_HEADER_LEN] {
        let length = i32::try_from(BATCH_HEADER_LEN - LENGTH_END + payload_len).unwrap_or(i32::MAX);
        let mut out = [0; BATCH_HEADER_LEN];
        put(&mut out, 0, self.base_offset.0.to_be_bytes());
        put(&mut out, 8, length.to_be_bytes());
        put(&mut out, 12, self.leader_epoch.0.to_be_bytes());
        out[MAGIC_AT] = MAGIC;
        put(&mut out, 21, self.attributes.0.to_be_bytes());
        put(&mut out, 23, self.last_offset_delta.to_be_bytes());
        put(&mut out, 27, self.base_timestamp.to_be_bytes());
        put(&mut out, 35, self.max_timestamp.to_be_bytes());
        put(&mut out, 43, self.producer_id.0.to_be_bytes());
        put(&mut out, 51, self.producer_epoch.0.to_be_bytes());
        put(&mut out, 53, self.base_sequence.to_be_bytes());
        put(&mut out, 57, self.record_count.to_be_bytes());
        let crc = crc(crc::crc32c(&out[CRC_START..]));
        put(&mut out, CRC_AT, crc.to_be_bytes());
        out
    }

    /// Reads the header at the front of `bytes`, whose rest it does not look at.
    ///
    /// Checks the format version, that the length is at least a header's, and that the count is not negative; nothing else.
    ///
    /// # Errors
    ///
    /// [`BatchError::Truncated`], [`BatchError::Magic`], [`BatchError::Length`] or [`BatchError::Count`].
    pub fn decode(bytes: &[u8]) -> Result<Self, BatchError> {
        let Some(head) = bytes.first_chunk::<BATCH_HEADER_LEN>() else {
            return Err(BatchError::Truncated { needed: BATCH_HEADER_LEN, have: bytes.len() });
        };
        if head[MAGIC_AT] != MAGIC {
            return Err(BatchError::Magic(head[MAGIC_AT].cast_signed()));
        }
        let header = Self {
            base_offset: Offset(i64::from_be_bytes(take(head, 0))),
            batch_length: i32::from_be_bytes(take(head, 8)),
            leader_epoch: LeaderEpoch(i32::from_be_bytes(take(head, 12))),
            crc: u32::from_be_bytes(take(head, CRC_AT)),
            attributes: Attributes(i16::from_be_bytes(take(head, 21))),
            last_offset_delta: i32::from_be_bytes(take(head, 23)),
            base_timestamp: i64::from_be_bytes(take(head, 27)),
            max_timestamp: i64::from_be_bytes(take(head, 35)),
            producer_id: ProducerId(i64::from_be_bytes(take(head, 43))),
            producer_epoch: ProducerEpoch(i16::from_be_bytes(take(head, 51))),
            base_sequence: i32::from_be_bytes(take(head, 53)),
            record_count: i32::from_be_bytes(take(head, 57)),
        };
        let least = (BATCH_HEADER_LEN - LENGTH_END) as i64;
        if i64::from(header.batch_length) < least {
            return Err(BatchError::Length(header.batch_length));
        }
        if header.record_count < 0 {
            return Err(BatchError::Count(header.record_count));
        }
        Ok(header)
    }

    /// Bytes of the whole batch, header included, as the length field says.
    #[must_use]
    pub fn total_len(&self) -> usize {
        LENGTH_END + usize::try_from(self.batch_length).unwrap_or(0)
    }
}

#[inline]
fn put<const N: usize>(out: &mut [u8; BATCH_HEADER_LEN], at: usize, bytes: [u8; N]) {
    out[at..at + N].copy_from_slice(&bytes);
}

#[inline]
fn take<const N: usize>(head: &[u8; BATCH_HEADER_LEN], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&head[at..at + N]);
    bytes
}
