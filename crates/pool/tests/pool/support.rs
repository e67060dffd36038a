//! Peers for a pool under test.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use milena_pool::{
    BoxFuture, ConnId, Connector, LostCause, Pool, PoolConfig, PoolEvent, PoolEvents, Resolver, Stream, SystemResolver,
    Target, TcpConnector,
};
use milena_wire::Frame;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

pub(crate) const CONN: ConnId = ConnId(1);

/// Connects to memory; the other ends come out of the receiver.
pub(crate) struct Memory {
    pub(crate) buffer: usize,
    pub(crate) peers: mpsc::UnboundedSender<DuplexStream>,
}

impl Connector for Memory {
    fn connect(&self, _: Target) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let (ours, theirs) = tokio::io::duplex(self.buffer);
        let handed_over = self.peers.send(theirs);
        Box::pin(async move {
            handed_over.map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
            Ok(Box::new(ours) as Box<dyn Stream>)
        })
    }
}

/// A connector made of a function.
pub(crate) struct By<F>(pub F);

impl<F, T> Connector for By<F>
where
    F: Fn(Target) -> T + Send + Sync + 'static,
    T: Future<Output = io::Result<Box<dyn Stream>>> + Send + 'static,
{
    fn connect(&self, target: Target) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        Box::pin((self.0)(target))
    }
}

pub(crate) fn target(addr: SocketAddr) -> Target {
    Target { host: "broker".into(), port: addr.port(), addr }
}

pub(crate) fn anywhere() -> Target {
    target(SocketAddr::from(([127, 0, 0, 1], 1)))
}

pub(crate) fn pool_with(connector: impl Connector) -> (Pool, PoolEvents) {
    Pool::new(PoolConfig::default(), Arc::new(connector), Arc::new(SystemResolver))
}

pub(crate) fn pool_that_resolves(resolver: impl Resolver) -> (Pool, PoolEvents) {
    Pool::new(PoolConfig::default(), Arc::new(TcpConnector::default()), Arc::new(resolver))
}

pub(crate) async fn next(events: &mut PoolEvents) -> PoolEvent {
    events.next().await.expect("the pool is alive")
}

/// A connection over memory with a buffer of `buffer` bytes each way, and its other end.
pub(crate) async fn over_memory(buffer: usize) -> (Pool, PoolEvents, DuplexStream) {
    let (peers, mut others) = mpsc::unbounded_channel();
    let (mut pool, mut events) = pool_with(Memory { buffer, peers });
    pool.connect(CONN, anywhere());
    let peer = others.recv().await.expect("a peer");
    assert_connected(next(&mut events).await);
    (pool, events, peer)
}

/// A connection over TCP, and its other end.
pub(crate) async fn over_tcp() -> (Pool, PoolEvents, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (mut pool, mut events) = pool_with(TcpConnector::default());
    pool.connect(CONN, target(listener.local_addr().unwrap()));
    let (peer, _) = listener.accept().await.unwrap();
    peer.set_nodelay(true).unwrap();
    assert_connected(next(&mut events).await);
    (pool, events, peer)
}

pub(crate) fn assert_connected(event: PoolEvent) {
    assert!(matches!(event, PoolEvent::Connected { conn: CONN }), "{event:?}");
}

pub(crate) fn assert_written(event: PoolEvent) {
    assert!(matches!(event, PoolEvent::Written { conn: CONN }), "{event:?}");
}

pub(crate) fn received(event: PoolEvent) -> Bytes {
    match event {
        PoolEvent::Received { conn: CONN, frame } => frame,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn lost(event: PoolEvent) -> LostCause {
    match event {
        PoolEvent::Lost { conn: CONN, cause, .. } => cause,
        other => panic!("{other:?}"),
    }
}

/// Reads events up to the end of the connection.
pub(crate) async fn until_lost(events: &mut PoolEvents) -> (Vec<Bytes>, LostCause) {
    let mut frames = Vec::new();
    loop {
        match next(events).await {
            PoolEvent::Received { frame, .. } => frames.push(frame),
            PoolEvent::Lost { cause, .. } => return (frames, cause),
            PoolEvent::Written { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

/// A frame of `parts`, with its size in front.
pub(crate) fn frame(parts: &[&[u8]]) -> Frame {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let mut frame = Frame::default();
    frame.push(Bytes::copy_from_slice(&i32::try_from(len).unwrap().to_be_bytes()));
    for part in parts {
        frame.push(Bytes::copy_from_slice(part));
    }
    frame
}

pub(crate) async fn read_frame(peer: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let len = peer.read_u32().await.unwrap();
    let mut frame = vec![0; usize::try_from(len).unwrap()];
    peer.read_exact(&mut frame).await.unwrap();
    frame
}

pub(crate) async fn write_frame(peer: &mut (impl AsyncWrite + Unpin), body: &[u8]) {
    peer.write_all(&frame(&[body]).to_vec()).await.unwrap();
}
