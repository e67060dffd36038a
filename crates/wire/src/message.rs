//! Kafka's messages, one module per API, as plain structs.
//!
//! Each struct is declared once, field by field, with the versions that have the field (the notation of Kafka's own
//! schema files); from that both directions are derived, so an encoder and its decoder cannot disagree. The tests
//! compare both with another implementation.
//!
//! A field that a version does not have is not written, and is read as its default.

#[macro_use]
mod schema;

pub mod api_versions;
mod header;
pub mod init_producer_id;
mod leader;
pub mod metadata;
pub mod produce;
mod versions;

pub use header::{RequestHeader, ResponseHeader};
pub use leader::{CurrentLeader, NodeEndpoint};
pub use versions::client_range;
