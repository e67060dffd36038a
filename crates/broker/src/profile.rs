//! Which release of Kafka the cluster passes for.

/// A release whose API versions, error codes and first-sequence rule the cluster imitates.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Profile {
    /// Kafka 2.1: Produce up to v7, no flexible versions, no topic ids; refuses a first sequence other than 0 with
    /// `UNKNOWN_PRODUCER_ID`.
    V2_1,
    /// Kafka 2.8: Produce up to v9, Metadata up to v11.
    V2_8,
    /// Kafka 3.9: Produce up to v11 (leader hints), Metadata up to v12.
    V3_9,
    /// Kafka 4.3: Produce up to v13 (topic ids), Metadata up to v13.
    #[default]
    V4_3,
}
