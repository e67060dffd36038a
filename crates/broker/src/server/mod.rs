//! The cluster as something that runs: nodes that listen, connections that are served, a handle to steer both.

mod builder;
mod cluster;
mod memory;

pub use builder::Builder;
pub use cluster::{ClusterError, EmbeddedCluster};
pub use memory::MemoryConnector;
