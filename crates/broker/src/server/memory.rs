//! Connections without a network.

use std::io;

use milena_wire::BrokerId;
use tokio::io::DuplexStream;

/// Opens connections to the nodes of one [`EmbeddedCluster`](super::EmbeddedCluster) through memory.
#[derive(Clone, Debug)]
pub struct MemoryConnector {}

impl MemoryConnector {
    /// A connection to the node that advertises `host` and `port`.
    ///
    /// # Errors
    ///
    /// `ConnectionRefused` if no running node has that address.
    pub fn connect(&self, _host: &str, _port: u16) -> io::Result<DuplexStream> {
        todo!()
    }

    /// A connection to `node`.
    ///
    /// # Errors
    ///
    /// `ConnectionRefused` if it does not run.
    pub fn connect_node(&self, _node: BrokerId) -> io::Result<DuplexStream> {
        todo!()
    }
}
