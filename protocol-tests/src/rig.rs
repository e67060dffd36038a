//! An embedded cluster behind proxies, and a producer whose every record is held to account.

mod answers;
mod flow;
mod proxy;
mod story;

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use milena::{BoxFuture, Producer, ProducerBuilder, Resolver};
use milena_broker::{Builder, EmbeddedCluster};
use milena_wire::BrokerId;

pub use answers::{rewritten_metadata, rewritten_produce, rewritten_versions};
pub use proxy::{Act, Passing, Proxy, Way};
pub use story::{Ended, Story};

/// Longer than anything takes; whoever waits for this long waits for ever.
pub const LONG: Duration = Duration::from_secs(30);

/// How long a request may take in a [`Rig`]'s producers.
pub const REQUEST_TIMEOUT: Duration = Duration::from_millis(400);

/// The longest wait for a new connection in a [`Rig`]'s producers. One that has lived as long is nothing to talk about when it ends.
pub const RECONNECT_BACKOFF_MAX: Duration = Duration::from_millis(100);

/// What brokers advertise; addresses would not be looked up.
const HOST: &str = "broker.test";

/// A cluster, with a proxy in front of each node.
#[derive(Debug)]
pub struct Rig {
    cluster: EmbeddedCluster,
    proxies: BTreeMap<BrokerId, Proxy>,
    names: Names,
}

impl Rig {
    /// Starts a cluster of so many nodes.
    pub async fn nodes(count: usize) -> Self {
        Self::start(EmbeddedCluster::builder().nodes(count)).await
    }

    /// Starts a cluster.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start(builder: Builder) -> Self {
        let cluster = builder.advertise(HOST).start().await.expect("a cluster that starts");
        let names = Names::default();
        let mut proxies = BTreeMap::new();
        for node in cluster.nodes() {
            let (_, port) = cluster.address(node).expect("a node that is there");
            let proxy = Proxy::start(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
            names.route(port, &[proxy.address()]);
            proxies.insert(node, proxy);
        }
        Self { cluster, proxies, names }
    }

    /// Creates a topic on all nodes.
    ///
    /// # Panics
    /// If the cluster refuses.
    pub fn topic(&self, name: &str, partitions: i32) {
        let replicas = i16::try_from(self.proxies.len()).expect("few nodes");
        self.cluster.create_topic(name, partitions, replicas).expect("a topic that can be created");
    }

    /// The cluster itself.
    #[must_use]
    pub fn cluster(&self) -> &EmbeddedCluster {
        &self.cluster
    }

    /// `host:port[,host:port…]` of all nodes, past the proxies.
    #[must_use]
    pub fn direct(&self) -> String {
        self.cluster.bootstrap().replace(HOST, "127.0.0.1")
    }

    /// The proxy in front of a node.
    ///
    /// # Panics
    /// If there is no such node.
    #[must_use]
    pub fn proxy(&self, node: i32) -> &Proxy {
        self.proxies.get(&BrokerId(node)).expect("a node that is there")
    }

    /// All proxies.
    pub fn proxies(&self) -> impl Iterator<Item = &Proxy> {
        self.proxies.values()
    }

    /// Where the ports that brokers advertise lead to.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// A producer that goes through the proxies and is quick to give up a request and to try again.
    pub fn producer(&self) -> ProducerBuilder {
        self.producer_at(&self.cluster.bootstrap())
    }

    /// The same with a bootstrap list of one's own.
    pub fn producer_at(&self, bootstrap: &str) -> ProducerBuilder {
        Producer::builder(bootstrap)
            .resolver(Arc::new(self.names.clone()))
            .linger(Duration::ZERO)
            .retry_backoff(Duration::from_millis(10))
            .retry_backoff_max(Duration::from_millis(100))
            .reconnect_backoff(Duration::from_millis(10))
            .reconnect_backoff_max(RECONNECT_BACKOFF_MAX)
            .connect_timeout(REQUEST_TIMEOUT)
            .request_timeout(REQUEST_TIMEOUT)
            .delivery_timeout(LONG)
    }

    /// Requests that all brokers have read so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.cluster.requests().values().sum()
    }

    /// Connections that were opened so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.proxies().map(Proxy::accepted).sum()
    }
}

/// Leads what a broker advertises to where it shall go.
#[derive(Clone, Debug, Default)]
pub struct Names(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    routes: BTreeMap<u16, Vec<SocketAddr>>,
    asked: u64,
}

impl Names {
    fn table(&self) -> std::sync::MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whatever is advertised with this port is at these addresses; at none: its name does not resolve.
    pub fn route(&self, port: u16, addresses: &[SocketAddr]) {
        self.table().routes.insert(port, addresses.to_vec());
    }

    /// How often a name was asked for.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.table().asked
    }
}

impl Resolver for Names {
    fn resolve(&self, host: String, port: u16) -> BoxFuture<io::Result<Vec<SocketAddr>>> {
        let mut table = self.table();
        table.asked += 1;
        let found = match table.routes.get(&port) {
            Some(addresses) if addresses.is_empty() => Err(io::Error::other("this name is not known here")),
            Some(addresses) => Ok(addresses.clone()),
            None => host.parse::<IpAddr>().map(|ip| vec![SocketAddr::new(ip, port)]).map_err(io::Error::other),
        };
        Box::pin(async move { found })
    }
}

/// Runs a test on two threads, and fails it if it hangs.
///
/// # Panics
/// If it does.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(2 * LONG, test).await.expect("it hangs") })
}

/// Waits for a condition that somebody else brings about.
///
/// # Panics
/// If that never happens.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let patience = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(tokio::time::timeout(LONG, patience).await.is_ok(), "never: {what}");
}
