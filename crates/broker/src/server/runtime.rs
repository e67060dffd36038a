//! The thread a cluster lives on.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use milena_wire::BrokerId;
use tokio::net::TcpListener;
use tokio::runtime::{self, Handle, Runtime};
use tokio::sync::{oneshot, watch};

use super::Builder;
use super::disk::Folder;
use super::hub::Hub;
use super::node::{self, Node};
use crate::core::{Core, Disk};

/// The first port that nodes without TCP make up.
const MEMORY_PORT: u16 = 9092;

/// A cluster that runs.
pub(super) struct Started {
    pub(super) hub: Arc<Hub>,
    pub(super) nodes: Vec<Arc<Node>>,
    pub(super) runtime: Handle,
    /// Becomes true when the cluster shall end.
    pub(super) stop: watch::Sender<bool>,
    pub(super) thread: JoinHandle<()>,
    /// Its sender is dropped when the cluster has ended.
    pub(super) ended: watch::Receiver<()>,
}

type Prepared = (Arc<Hub>, Vec<Arc<Node>>, Handle);

/// Starts a thread that runs the cluster; the receiver has what the second value needs, once
/// the nodes listen.
pub(super) fn spawn(
    builder: Builder,
) -> io::Result<(oneshot::Receiver<io::Result<Prepared>>, impl FnOnce(Prepared) -> Started)> {
    let (prepared_tx, prepared_rx) = oneshot::channel();
    let (stop, stopped) = watch::channel(false);
    let (alive, ended) = watch::channel(());
    let runtime = match builder.threads {
        1 => runtime::Builder::new_current_thread().enable_all().build()?,
        n => {
            runtime::Builder::new_multi_thread().worker_threads(n).thread_name("milena-broker").enable_all().build()?
        }
    };
    let thread = std::thread::Builder::new().name("milena-broker".to_owned()).spawn(move || {
        live(&runtime, builder, prepared_tx, stopped);
        // Connections end here, before anybody hears that the cluster has ended.
        drop(runtime);
        drop(alive);
    })?;
    let join = move |(hub, nodes, runtime)| Started { hub, nodes, runtime, stop, thread, ended };
    Ok((prepared_rx, join))
}

fn live(
    runtime: &Runtime,
    builder: Builder,
    prepared: oneshot::Sender<io::Result<Prepared>>,
    mut stopped: watch::Receiver<bool>,
) {
    runtime.block_on(async {
        let hub = match prepare(builder).await {
            Ok((hub, nodes)) => {
                let timers = Arc::clone(&hub);
                let until = stopped.clone();
                tokio::spawn(async move { timers.run_timers(until).await });
                let started = (Arc::clone(&hub), nodes, runtime.handle().clone());
                if prepared.send(Ok(started)).is_err() {
                    return; // whoever started it does not want it any more
                }
                hub
            }
            Err(error) => {
                // Nobody to tell if the starting future was dropped.
                let _unwanted = prepared.send(Err(error));
                return;
            }
        };
        // An error means that the handle is gone.
        let _gone = stopped.wait_for(|stop| *stop).await;
        if let Err(error) = hub.close() {
            tracing::error!(%error, "the logs could not be closed in order");
        }
    });
}

async fn prepare(builder: Builder) -> io::Result<(Arc<Hub>, Vec<Arc<Node>>)> {
    let listeners = bind(&builder).await?;
    let nodes = addresses(&builder, &listeners)?;
    let addresses = nodes.iter().map(|node| (node.host.clone(), node.port)).collect();
    let core = core(&builder, addresses)?;
    let hub = Arc::new(Hub::new(core, builder.core.profile, builder.core.checks_records()));
    for (listener, node) in listeners.into_iter().zip(&nodes) {
        let (hub, node) = (Arc::clone(&hub), Arc::clone(node));
        tokio::spawn(async move {
            let id = node.id;
            if let Err(error) = node::listen(hub, node, listener).await {
                tracing::error!(node = %id, %error, "the node lost its port");
            }
        });
    }
    Ok((hub, nodes))
}

/// One listener per node, or none without TCP.
async fn bind(builder: &Builder) -> io::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    if !builder.tcp {
        return Ok(listeners);
    }
    let first = tokio::net::lookup_host(&builder.listen).await?.next();
    let first = first.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the address has no IP"))?;
    for i in 0..builder.core.nodes {
        let mut address = first;
        if first.port() != 0 {
            let port = u16::try_from(i).ok().and_then(|i| first.port().checked_add(i));
            address.set_port(port.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no ports left"))?);
        }
        let told = |error: io::Error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"));
        listeners.push(TcpListener::bind(address).await.map_err(told)?);
    }
    Ok(listeners)
}

fn addresses(builder: &Builder, listeners: &[TcpListener]) -> io::Result<Vec<Arc<Node>>> {
    let mut nodes = Vec::new();
    for (id, i) in (1..).map(BrokerId).zip(0..builder.core.nodes) {
        let (host, port) = match listeners.get(i) {
            Some(listener) => {
                let address = listener.local_addr()?;
                let is_any = address.ip().is_unspecified();
                (if is_any { "127.0.0.1".to_owned() } else { address.ip().to_string() }, address.port())
            }
            None => (format!("memory-{id}"), MEMORY_PORT),
        };
        let host = builder.advertise.clone().unwrap_or(host);
        nodes.push(Arc::new(Node::new(id, host, port, builder.frame_max, builder.secure.clone())));
    }
    Ok(nodes)
}

fn core(builder: &Builder, addresses: Vec<(String, u16)>) -> io::Result<Core> {
    let Some(dir) = builder.data_dir.clone() else {
        return Ok(Core::new(builder.core.clone(), addresses, None));
    };
    let folder = Folder::open(dir)?;
    let topics = folder.topics()?;
    let producer_ids = folder.producer_ids()?;
    let disk: Box<dyn Disk> = Box::new(folder);
    let mut core = Core::new(builder.core.clone(), addresses, Some(disk));
    core.reserve_producer_ids(producer_ids);
    for topic in topics {
        core.restore_topic(&topic.name, topic.id, topic.partitions)
            .map_err(|refusal| io::Error::other(format!("topic {}: {}", topic.name, refusal.message)))?;
    }
    Ok(core)
}
