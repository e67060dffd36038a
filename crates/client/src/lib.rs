//! What milena's producer, consumer and admin share: addresses, property files, and the wiring of cluster and sockets.
//!
//! - [`bootstrap_list`] reads the addresses to find a cluster by.
//! - [`property`] reads `name=value` settings under the names that Kafka's Java clients and librdkafka use, and turns
//!   them into typed [`property::Settings`], or into a list of everything that is wrong with them.
//! - [`security`] says how connections are secured.
//! - [`Network`] joins a [`Cluster`](milena_cluster::Cluster), which decides, to a [`Pool`](milena_pool::Pool) of
//!   sockets.

mod bootstrap;
mod network;
pub mod property;
pub mod sasl;
pub mod security;

pub use bootstrap::{BootstrapError, bootstrap_list};
pub use network::Network;
