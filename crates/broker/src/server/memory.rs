//! Connections without a network.

use std::fmt;
use std::io;
use std::sync::{Arc, Weak};

use milena_wire::BrokerId;
use tokio::io::DuplexStream;
use tokio::runtime::Handle;

use super::connection;
use super::hub::Hub;
use super::node::Node;

/// Bytes a connection takes in each direction before the writer waits.
const PIPE: usize = 256 * 1024;

/// Opens connections to the nodes of one [`EmbeddedCluster`](super::EmbeddedCluster) through memory. Does not keep it alive.
#[derive(Clone)]
pub struct MemoryConnector {
    pub(super) hub: Weak<Hub>,
    pub(super) nodes: Vec<Arc<Node>>,
    pub(super) runtime: Handle,
}

impl MemoryConnector {
    /// A connection to the node that advertises `host` and `port`.
    ///
    /// # Errors
    ///
    /// `ConnectionRefused` if no running node has that address.
    pub fn connect(&self, host: &str, port: u16) -> io::Result<DuplexStream> {
        self.open(self.nodes.iter().find(|node| node.host == host && node.port == port))
    }

    /// A connection to `node`.
    ///
    /// # Errors
    ///
    /// `ConnectionRefused` if it does not run.
    pub fn connect_node(&self, node: BrokerId) -> io::Result<DuplexStream> {
        self.open(self.nodes.iter().find(|n| n.id == node))
    }

    fn open(&self, node: Option<&Arc<Node>>) -> io::Result<DuplexStream> {
        let hub = self.hub.upgrade().ok_or(io::ErrorKind::ConnectionRefused)?;
        let node = node.filter(|node| !node.switch.borrow().stopped).ok_or(io::ErrorKind::ConnectionRefused)?;
        let (client, server) = tokio::io::duplex(PIPE);
        self.runtime.spawn(connection::serve(hub, Arc::clone(node), server));
        Ok(client)
    }
}

impl fmt::Debug for MemoryConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryConnector").field("nodes", &self.nodes.len()).finish_non_exhaustive()
    }
}
