//! An embedded Kafka for tests, demos and benchmarks: a deciding core behind TCP or memory.
//!
//! - [`EmbeddedCluster`] runs one or more nodes in this process; [`Builder`] says which. Start reading here.
//! - [`Profile`] is the release it imitates; [`Keep`] what it remembers.
//! - [`Rule`] and [`Reaction`] script its misbehaviour.
//! - [`StoredBatch`] and [`StoredRecord`] are what its logs hold.
//! - [`MemoryConnector`] reaches it without a network.
//! - [`SimulatedCluster`] is the same cluster in made-up time, driven by its caller.
//!
//! It checks and answers Produce as Kafka does, duplicates and sequences included, and serves enough of the rest for
//! other clients to produce to it and to read from it. It has SASL and, with a feature, TLS; it has no transactions, groups, ACLs or quotas.

mod core;
mod profile;
mod sasl;
mod script;
mod server;
mod simulated;

pub use crate::core::{Keep, StoredBatch, StoredRecord};
pub use milena_wire::{ApiKey, BrokerId, ErrorCode, PartitionId};
pub use profile::{Profile, UnknownProfile};
pub use sasl::{SaslLie, SaslServer};
pub use script::{Reaction, Rule};
#[cfg(feature = "hostile")]
pub use server::hostile;
pub use server::{Builder, ClusterError, EmbeddedCluster, MemoryConnector};
pub use simulated::{SimulatedCluster, SimulatedConn, SimulatedEvent};
