//! Leads a producer's connections through proxies, whatever the brokers advertise.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use milena::{BoxFuture, Connector, Stream, Target, TcpConnector};

use crate::rig::Proxy;

/// A proxy in front of each node, by the node's port.
#[derive(Clone, Debug)]
pub(super) struct Detour(Arc<BTreeMap<u16, Proxy>>);

impl Detour {
    pub(super) fn around(bootstrap: &str) -> Self {
        let nodes = bootstrap.split(',').map(|address| address.parse::<SocketAddr>().expect("an address"));
        Self(Arc::new(nodes.map(|node| (node.port(), Proxy::start(node))).collect()))
    }

    pub(super) fn proxies(&self) -> impl Iterator<Item = &Proxy> {
        self.0.values()
    }
}

impl Connector for Detour {
    fn connect(&self, target: Target) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let Some(proxy) = self.0.get(&target.port) else {
            return Box::pin(async { Err(io::Error::other("no node has this port")) });
        };
        TcpConnector::default().connect(Target { addr: proxy.address(), ..target })
    }
}
