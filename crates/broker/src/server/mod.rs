//! The cluster as something that runs: nodes that listen, connections that are served, a handle to steer both.
//!
//! All decisions are [`Core`](crate::core)'s, which sits behind one lock. A connection reads a frame, checks its batches
//! without the lock, hands it to the core, and waits for the answer before it reads the next: one request at a time, in
//! order, as Kafka does. A request that waits belongs to the core, so it runs even if its connection dies.

mod builder;
mod clock;
mod cluster;
mod connection;
mod disk;
mod frame;
#[cfg(feature = "hostile")]
pub mod hostile;
mod hub;
mod memory;
mod node;
mod runtime;
mod security;

#[cfg(test)]
mod tests;

pub use builder::Builder;
pub use cluster::{ClusterError, EmbeddedCluster};
pub use memory::MemoryConnector;
