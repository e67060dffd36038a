//! How connections are opened.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpSocket;

use crate::BoxFuture;
use crate::secure::Secure;

/// A byte stream in both directions.
///
/// Written to with `poll_write_vectored`: a stream that does not implement it works, but gets one slice at a time.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for T {}

/// Where to connect.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    /// The host as the user or the cluster named it, without brackets: what a proxy is asked for and TLS verifies.
    pub host: String,
    /// The port that goes with the host.
    pub port: u16,
    /// One of the addresses the host resolved to.
    pub addr: SocketAddr,
}

/// Opens connections. Replace it to go through a proxy or a port-forward, to rewrite addresses, or to stay in memory.
pub trait Connector: Send + Sync + 'static {
    /// Opens a connection to `target`.
    ///
    /// The returned future runs on the connection's own task and is dropped when nobody waits for it any more: after
    /// the connection-setup timeout, or when the pool goes. A panic counts as an error.
    fn connect(&self, target: Target) -> BoxFuture<io::Result<Box<dyn Stream>>>;

    /// What makes an opened connection a secure one. Default: nothing.
    ///
    /// Whoever wraps a connector hands on what the inner one says, or its connections are in plain text.
    fn secure(&self) -> Option<Arc<dyn Secure>> {
        None
    }
}

/// TCP, without delay and with keepalive.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TcpConnector {
    /// Send small writes at once (`TCP_NODELAY`). Default: true. Without it, a request may wait for the acknowledgement
    /// of the one before it.
    pub nodelay: bool,
    /// Probe idle connections, so that one that a middlebox has forgotten is noticed. Default: after 60 s, every 10 s.
    pub keepalive: Option<Keepalive>,
    /// Size of the kernel's send buffer in bytes. Default: the system's, which Linux tunes by itself.
    pub send_buffer: Option<u32>,
    /// Size of the kernel's receive buffer in bytes. Default: the system's, which Linux tunes by itself.
    pub receive_buffer: Option<u32>,
}

/// When idle TCP connections are probed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Keepalive {
    /// Idle time before the first probe, in whole seconds.
    pub after: Duration,
    /// Time between probes, in whole seconds.
    pub every: Duration,
}

impl Default for TcpConnector {
    fn default() -> Self {
        Self {
            nodelay: true,
            keepalive: Some(Keepalive { after: Duration::from_secs(60), every: Duration::from_secs(10) }),
            send_buffer: None,
            receive_buffer: None,
        }
    }
}

impl Connector for TcpConnector {
    fn connect(&self, target: Target) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let options = self.clone();
        Box::pin(async move {
            let socket = match target.addr {
                SocketAddr::V4(_) => TcpSocket::new_v4()?,
                SocketAddr::V6(_) => TcpSocket::new_v6()?,
            };
            options.prepare(&socket)?;
            let stream = socket.connect(target.addr).await?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}

impl TcpConnector {
    /// Buffer sizes have to be set before connecting: the window scale is settled by the first packet.
    fn prepare(&self, socket: &TcpSocket) -> io::Result<()> {
        socket.set_nodelay(self.nodelay)?;
        if let Some(keepalive) = self.keepalive {
            let probes = TcpKeepalive::new().with_time(keepalive.after).with_interval(keepalive.every);
            SockRef::from(socket).set_tcp_keepalive(&probes)?;
        }
        if let Some(bytes) = self.send_buffer {
            socket.set_send_buffer_size(bytes)?;
        }
        if let Some(bytes) = self.receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_reach_the_socket_before_it_connects() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let _guard = runtime.enter();
        let socket = TcpSocket::new_v4().unwrap();
        let options =
            TcpConnector { send_buffer: Some(64 * 1024), receive_buffer: Some(32 * 1024), ..TcpConnector::default() };
        options.prepare(&socket).unwrap();
        assert!(socket.nodelay().unwrap());
        assert!(socket.keepalive().unwrap());
        // Linux doubles what it is asked for, for its own bookkeeping.
        assert!(socket.send_buffer_size().unwrap() >= 64 * 1024);
        assert!((32 * 1024..=64 * 1024).contains(&socket.recv_buffer_size().unwrap()));
    }

    #[test]
    fn keepalive_and_nodelay_can_be_left_off() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let _guard = runtime.enter();
        let socket = TcpSocket::new_v4().unwrap();
        let options = TcpConnector { nodelay: false, keepalive: None, ..TcpConnector::default() };
        options.prepare(&socket).unwrap();
        assert!(!socket.nodelay().unwrap());
        assert!(!socket.keepalive().unwrap());
    }
}
