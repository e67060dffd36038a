use std::io;
use std::sync::Mutex;

use bytes::Bytes;
use milena_pool::{BoxFuture, Stream, SystemResolver, TcpConnector};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;

const CONN: ConnId = ConnId(3);

/// Connects once, to a given stream.
struct Once(Mutex<Option<DuplexStream>>);

impl Connector for Once {
    fn connect(&self, _: Target) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let stream = self.0.lock().unwrap().take();
        Box::pin(async {
            stream.map(|stream| Box::new(stream) as Box<dyn Stream>).ok_or_else(|| io::Error::other("no peer is left"))
        })
    }
}

fn addr() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9092))
}

fn connect() -> Output {
    Output::Connect { conn: CONN, host: "broker".into(), port: 9092, addr: addr() }
}

async fn connected() -> (Network, DuplexStream) {
    let (ours, theirs) = tokio::io::duplex(64);
    let connector = Arc::new(Once(Mutex::new(Some(ours))));
    let mut network = Network::new(PoolConfig::default(), connector, Arc::new(SystemResolver));
    assert!(network.apply(connect()).is_none());
    assert!(matches!(network.next().await, Input::Connected { conn: CONN }));
    (network, theirs)
}

async fn cause(network: &mut Network) -> LostCause {
    match network.next().await {
        Input::Lost { conn: CONN, cause, .. } => cause,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn frames_go_out_and_come_in_under_the_clusters_names() {
    let (mut network, mut peer) = connected().await;
    let mut frame = Frame::default();
    frame.push(Bytes::from_static(b"\0\0\0\x02hi"));
    assert!(network.apply(Output::Transmit { conn: CONN, frame }).is_none());
    let mut sent = [0; 6];
    peer.read_exact(&mut sent).await.unwrap();
    assert_eq!(&sent, b"\0\0\0\x02hi");
    assert!(matches!(network.next().await, Input::Written { conn: CONN }));
    peer.write_all(b"\0\0\0\x05hello").await.unwrap();
    match network.next().await {
        Input::Received { conn: CONN, frame } => assert_eq!(frame, "hello"),
        other => panic!("{other:?}"),
    }
    assert!(network.try_next().is_none());
    drop(peer);
    assert_eq!(cause(&mut network).await, LostCause::Closed { bytes_received: 9 });
}

#[tokio::test]
async fn what_is_no_frame_is_told_by_its_first_bytes() {
    let (mut network, mut peer) = connected().await;
    peer.write_all(b"HTTP/1.1 400 Bad Request").await.unwrap();
    assert_eq!(cause(&mut network).await, LostCause::BadSize { first_bytes: *b"HTTP" });
}

#[tokio::test]
async fn a_failed_dial_is_told_with_its_words() {
    let connector = Arc::new(Once(Mutex::new(None)));
    let mut network = Network::new(PoolConfig::default(), connector, Arc::new(SystemResolver));
    assert!(network.apply(connect()).is_none());
    let expected = LostCause::ConnectFailed { kind: io::ErrorKind::Other, text: "no peer is left".into() };
    assert_eq!(cause(&mut network).await, expected);
}

#[tokio::test]
async fn a_close_that_was_asked_for_is_not_told() {
    let (mut network, mut peer) = connected().await;
    assert!(network.apply(Output::Close { conn: CONN }).is_none());
    assert_eq!(peer.read(&mut [0; 1]).await.unwrap(), 0);
    // The next thing told is about something else.
    assert!(network.apply(Output::Connect { conn: ConnId(4), host: "b".into(), port: 1, addr: addr() }).is_none());
    assert!(matches!(network.next().await, Input::Lost { conn: ConnId(4), .. }));
}

#[tokio::test]
async fn a_name_is_resolved_under_the_clusters_name() {
    let connector = Arc::new(TcpConnector::default());
    let mut network = Network::new(PoolConfig::default(), connector, Arc::new(SystemResolver));
    assert!(network.apply(Output::Resolve { query: QueryId(8), host: "127.0.0.1".into(), port: 9092 }).is_none());
    match network.next().await {
        Input::Resolved { query: QueryId(8), result } => assert_eq!(result, Ok(vec![addr()])),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_event_is_handed_back_to_the_clusters_owner() {
    let connector = Arc::new(TcpConnector::default());
    let mut network = Network::new(PoolConfig::default(), connector, Arc::new(SystemResolver));
    assert!(matches!(network.apply(Output::Event(Event::MetadataChanged)), Some(Event::MetadataChanged)));
}
