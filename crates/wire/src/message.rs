//! Kafka's messages, one module per API, as plain structs.
//!
//! Each struct is declared once, field by field, with the versions that have the field (the notation of Kafka's own
//! schema files); from that both directions are derived, so an encoder and its decoder cannot disagree. The tests
//! compare both with another implementation.
//!
//! A field that a version does not have is not written, and is read as its default.

#[macro_use]
mod schema;

mod header;
mod leader;
mod slices;
mod versions;

pub mod api_versions;
pub mod create_partitions;
pub mod create_topics;
pub mod delete_topics;
pub mod describe_cluster;
pub mod describe_configs;
pub mod fetch;
pub mod find_coordinator;
pub mod init_producer_id;
pub mod list_offsets;
pub mod metadata;
pub mod offset_for_leader_epoch;
pub mod produce;
pub mod sasl_authenticate;
pub mod sasl_handshake;

pub use header::{RequestHeader, ResponseHeader};
pub use leader::{CurrentLeader, NodeEndpoint};
pub use slices::Slices;
pub use versions::client_range;

#[cfg(test)]
mod tests;
