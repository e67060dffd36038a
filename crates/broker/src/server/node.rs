//! One node: its listener, and the switch that its connections watch.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use milena_wire::BrokerId;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;

use super::connection;
use super::hub::Hub;
use super::security::Security;

/// What a node's connections have to heed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Switch {
    /// A connection ends when this changes.
    pub(super) cuts: u64,
    pub(super) paused: bool,
    pub(super) stopped: bool,
    /// How often the node was stopped; the listener goes when this changes.
    pub(super) stops: u64,
}

/// Since when the listener is up.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Listening {
    /// After how many stops of the node.
    pub(super) stops: u64,
    /// Why it could not come up again.
    pub(super) error: Option<io::ErrorKind>,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: BrokerId,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) frame_max: usize,
    pub(super) secure: Security,
    pub(super) switch: watch::Sender<Switch>,
    pub(super) connections: AtomicUsize,
    pub(super) accepted: AtomicU64,
    pub(super) listening: watch::Sender<Listening>,
}

impl Node {
    pub(super) fn new(id: BrokerId, host: String, port: u16, frame_max: usize, secure: Security) -> Self {
        Self {
            id,
            host,
            port,
            frame_max,
            secure,
            switch: watch::Sender::new(Switch::default()),
            connections: AtomicUsize::new(0),
            accepted: AtomicU64::new(0),
            listening: watch::Sender::new(Listening::default()),
        }
    }

    /// Ends all connections and tells how many there were.
    pub(super) fn cut(&self) -> usize {
        let connections = self.connections.load(Ordering::Acquire);
        self.switch.send_modify(|switch| switch.cuts += 1);
        connections
    }
}

/// Accepts connections while the node is not stopped. Never returns unless the port is lost.
pub(super) async fn listen(hub: Arc<Hub>, node: Arc<Node>, mut listener: TcpListener) -> io::Result<()> {
    let mut switch = node.switch.subscribe();
    let address = listener.local_addr()?;
    let mut stops = 0;
    loop {
        stops = accept(&hub, &node, &listener, &mut switch, stops).await;
        drop(listener);
        // A port that is bound but does not listen refuses connections, and nobody else takes it.
        let held = hold(address);
        if switch.wait_for(|switch| !switch.stopped).await.is_err() {
            return Ok(());
        }
        match held.and_then(|socket| socket.listen(1024)) {
            Ok(again) => listener = again,
            Err(error) => {
                node.listening.send_modify(|listening| *listening = Listening { stops, error: Some(error.kind()) });
                return Err(error);
            }
        }
        node.listening.send_modify(|listening| *listening = Listening { stops, error: None });
    }
}

/// Accepts until the node has been stopped more than `stops` times, and tells how often it was.
async fn accept(
    hub: &Arc<Hub>,
    node: &Arc<Node>,
    listener: &TcpListener,
    switch: &mut watch::Receiver<Switch>,
    stops: u64,
) -> u64 {
    loop {
        let accepted = tokio::select! {
            biased;
            // An error means that the node is gone.
            stopped = switch.wait_for(|switch| switch.stops != stops) => return stopped.map_or(stops, |s| s.stops),
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                // Without it answers may wait for the client's acknowledgements; the connection works all the same.
                let _best_effort = stream.set_nodelay(true);
                tokio::spawn(connection::serve(Arc::clone(hub), Arc::clone(node), stream));
            }
            Err(error) => {
                tracing::warn!(node = %node.id, %error, "could not accept a connection");
                // Out of descriptors, most likely: asking again at once would only burn time.
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        }
    }
}

pub(super) fn hold(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}
