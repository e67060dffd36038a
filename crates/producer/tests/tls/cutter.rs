//! A way to a node that breaks every so many bytes, wherever a TLS record happens to be.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use milena_producer::{BoxFuture, Connector, Stream, Target, TcpConnector};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Connects to nodes by way of relays that each pass on so many bytes of requests, and then cut both sides.
pub(crate) struct Cutter {
    /// Counts up for each connection: the next one lives longer.
    lives: Arc<AtomicU64>,
    /// Connections that were cut.
    pub(crate) cuts: Arc<AtomicU64>,
}

impl Cutter {
    pub(crate) fn new() -> Self {
        Self { lives: Arc::default(), cuts: Arc::default() }
    }
}

impl Connector for Cutter {
    fn connect(&self, target: Target) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let (cuts, life) = (Arc::clone(&self.cuts), self.lives.fetch_add(1, Ordering::Relaxed));
        Box::pin(async move {
            let relay = TcpListener::bind("127.0.0.1:0").await?;
            let addr = relay.local_addr()?;
            tokio::spawn(async move {
                pass(relay, target.addr, 3000 + 1777 * life).await.map(|()| cuts.fetch_add(1, Ordering::Relaxed))
            });
            TcpConnector::default().connect(Target { addr, ..target }).await
        })
    }
}

async fn pass(relay: TcpListener, to: SocketAddr, mut left: u64) -> io::Result<()> {
    let (mut client, _) = relay.accept().await?;
    let mut node = TcpStream::connect(to).await?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_node, mut to_node) = node.split();
    let forth = async {
        let mut buffer = [0; 4096];
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let read = from_client.read(&mut buffer[..most]).await?;
            if read == 0 {
                break;
            }
            to_node.write_all(&buffer[..read]).await?;
            left -= read as u64;
        }
        Ok(())
    };
    tokio::select! {
        ended = forth => ended,
        ended = tokio::io::copy(&mut from_node, &mut to_client) => ended.map(drop),
    }
}
