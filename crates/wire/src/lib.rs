//! Kafka's wire format: bytes to meaning and back. No I/O, no clock.

mod frame;
mod ids;
mod time;

pub use frame::Frame;
pub use ids::{
    ApiKey, ApiVersion, BrokerId, CorrelationId, LeaderEpoch, Offset, PartitionId, ProducerEpoch, ProducerId,
    RecordCount, Sequence, TopicId, TopicName,
};
pub use time::Timestamp;
