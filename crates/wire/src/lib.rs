//! Kafka's wire format: bytes to meaning and back. No I/O, no clock.

pub mod batch;
pub mod codec;
pub mod crc;
mod error_code;
mod fnv1a;
mod frame;
mod ids;
pub mod message;
mod murmur2;
mod primitive;
mod time;
mod tls;
pub mod varint;
mod words;

pub use batch::{
    Attributes, BATCH_HEADER_LEN, BatchError, BatchHeader, BatchView, HeaderRef, HeaderView, Payload, RecordParts,
    RecordSize, RecordTimes, RecordView, Records, Sink, TimestampType, put_record, record_size,
    single_record_batch_bound, write_record,
};
pub use codec::{Codec, CodecError, CodecFault, Compressed, Compression, Compressor, LevelError, compress, decompress};
pub use crc::{PayloadCrc, crc32_ieee};
pub use error_code::ErrorCode;
pub use fnv1a::fnv1a;
pub use frame::Frame;
pub use ids::{
    ApiKey, ApiVersion, BrokerId, CorrelationId, LeaderEpoch, Offset, PartitionId, ProducerEpoch, ProducerId,
    RecordCount, Sequence, TopicId, TopicName,
};
pub use message::{RequestHeader, ResponseHeader, client_range};
pub use murmur2::murmur2;
pub use primitive::{DecodeError, Layout, Reader};
pub use time::Timestamp;
pub use tls::{TlsError, TlsFault};
pub use words::readable;
