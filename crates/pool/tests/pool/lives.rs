//! How connections, queries and pools begin and end.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::support::*;
use milena_pool::{
    BoxFuture, ConnId, LostCause, Pool, PoolConfig, PoolEvent, PoolEvents, QueryId, Resolver, Stream, SystemResolver,
    Target, TcpConnector,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// With time paused, a timer fires only when nothing else can run.
async fn until_idle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

async fn assert_closed(mut peer: impl AsyncRead + Unpin) {
    let mut rest = Vec::new();
    peer.read_to_end(&mut rest).await.unwrap();
}

#[tokio::test]
async fn a_refused_connection_is_lost_with_the_kind_and_words_of_its_error() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (mut pool, mut events) = pool_with(TcpConnector::default());
    pool.connect(CONN, target(free));
    match lost(next(&mut events).await) {
        LostCause::Dial { kind, message } => {
            assert_eq!(kind, io::ErrorKind::ConnectionRefused);
            assert!(message.contains("refused"), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_lost_connection_tells_which_frames_never_left() {
    let (mut pool, mut events, mut peer) = over_memory(8).await;
    for _ in 0..3 {
        pool.send(CONN, frame(&[&[0; 100]]));
    }
    peer.read_exact(&mut [0; 110]).await.unwrap();
    assert_written(next(&mut events).await);
    // What the peer says ends the connection; two frames are begun, and the third waits.
    peer.write_all(&(-1_i32).to_be_bytes()).await.unwrap();
    match next(&mut events).await {
        PoolEvent::Lost { cause: LostCause::FrameSize { .. }, begun, .. } => assert_eq!(begun, Some(2)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_connection_that_never_was_carried_nothing() {
    let (mut pool, mut events) =
        pool_with(By(|_| async { Err::<Box<dyn Stream>, _>(io::ErrorKind::ConnectionRefused.into()) }));
    pool.connect(CONN, anywhere());
    pool.send(CONN, frame(&[b"early"]));
    assert!(matches!(next(&mut events).await, PoolEvent::Lost { begun: Some(0), .. }));
}

#[tokio::test]
async fn closing_gives_up_a_connection_that_does_not_open() {
    let (mut pool, mut events) = pool_with(By(|_| pending()));
    pool.connect(CONN, anywhere());
    pool.close(CONN);
    assert_eq!(lost(next(&mut events).await), LostCause::ClosedHere);
}

#[tokio::test]
async fn closing_does_not_wait_for_a_peer_that_reads_nothing() {
    let (mut pool, mut events, peer) = over_memory(8).await;
    pool.send(CONN, frame(&[&[0; 1000]]));
    tokio::task::yield_now().await;
    pool.close(CONN);
    pool.close(CONN);
    assert_eq!(lost(next(&mut events).await), LostCause::ClosedHere);
    assert_closed(peer).await;
    pool.send(CONN, frame(&[b"nobody"]));
    pool.close(CONN);
    tokio::task::yield_now().await;
    assert!(events.try_next().is_none(), "a connection is lost once");
}

#[tokio::test]
async fn frames_and_closes_for_connections_that_never_were_do_nothing() {
    let (mut pool, mut events) = pool_with(TcpConnector::default());
    pool.send(ConnId(9), frame(&[b"x"]));
    pool.close(ConnId(9));
    drop(pool);
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn one_connection_that_stands_still_does_not_hold_up_another() {
    let (peers, mut others) = mpsc::unbounded_channel();
    let (mut pool, mut events) = pool_with(Memory { buffer: 8, peers });
    pool.connect(ConnId(7), anywhere());
    let _stuck = others.recv().await.unwrap();
    assert!(matches!(next(&mut events).await, PoolEvent::Connected { conn: ConnId(7) }));
    pool.send(ConnId(7), frame(&[&[0; 1000]]));

    pool.connect(CONN, anywhere());
    let mut peer = others.recv().await.unwrap();
    assert_connected(next(&mut events).await);
    for _ in 0..100 {
        pool.send(CONN, frame(&[b"ping"]));
        assert_eq!(read_frame(&mut peer).await, b"ping");
        assert_written(next(&mut events).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_floods_is_read_only_as_fast_as_events_are_taken() {
    let (_pool, mut events, mut peer) = over_memory(64).await;
    let written = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&written);
    tokio::spawn(async move {
        for _ in 0..10_000 {
            write_frame(&mut peer, b"unasked").await;
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    until_idle().await;
    let stopped_at = written.load(Ordering::Relaxed);
    assert!((1024..3000).contains(&stopped_at), "{stopped_at} frames were taken though no one looked");
    let (frames, _) = until_lost(&mut events).await;
    assert_eq!(frames.len(), 10_000);
}

#[tokio::test(start_paused = true)]
async fn closing_works_while_the_queue_of_events_is_full() {
    let (mut pool, mut events, mut peer) = over_memory(64).await;
    let flood = tokio::spawn(async move { while peer.write_all(&frame(&[b"x"]).to_vec()).await.is_ok() {} });
    until_idle().await;
    pool.close(CONN);
    flood.await.unwrap(); // ends when the pool's side is gone
    let (_, cause) = until_lost(&mut events).await;
    assert_eq!(cause, LostCause::ClosedHere);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_pool_ends_every_task_even_if_no_one_takes_events() {
    let (mut pool, mut events, mut peer) = over_memory(64).await;
    let flood = tokio::spawn(async move { while peer.write_all(&frame(&[b"x"]).to_vec()).await.is_ok() {} });
    until_idle().await;
    // Ends at once, and then waits for room to tell its end.
    pool.connect(ConnId(2), anywhere());
    until_idle().await;
    drop(pool);
    flood.await.unwrap();
    until_idle().await;
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
    while events.next().await.is_some() {}
}

#[tokio::test(start_paused = true)]
async fn dropping_the_pool_gives_up_names_and_connections_that_do_not_come() {
    let (mut pool, mut events) = Pool::new(PoolConfig::default(), Arc::new(By(|_| pending())), Arc::new(Unresponsive));
    pool.resolve(QueryId(1), "never".into(), 1);
    pool.connect(CONN, anywhere());
    until_idle().await;
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 2);
    drop(pool);
    until_idle().await;
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
    assert!(events.next().await.is_none());
}

/// Never answers.
struct Unresponsive;

impl Resolver for Unresponsive {
    fn resolve(&self, _: String, _: u16) -> BoxFuture<io::Result<Vec<SocketAddr>>> {
        Box::pin(pending())
    }
}

#[tokio::test]
async fn dropping_the_events_closes_everything() {
    let (pool, events, mut peer) = over_memory(64).await;
    drop(events);
    write_frame(&mut peer, b"anybody there?").await;
    assert_closed(peer).await;
    drop(pool);
}

#[tokio::test]
async fn a_panic_while_connecting_is_told_as_a_loss() {
    fn panics_at_once(_: Target) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        panic!("no proxy configured")
    }
    let (mut pool, mut events) = pool_with(By(panics_at_once));
    pool.connect(CONN, anywhere());
    assert_eq!(lost(next(&mut events).await), LostCause::Panicked { message: "no proxy configured".into() });

    let (mut pool, mut events) = pool_with(By(|target: Target| async move { panic!("cannot reach {}", target.host) }));
    pool.connect(CONN, anywhere());
    assert_eq!(lost(next(&mut events).await), LostCause::Panicked { message: "cannot reach broker".into() });
}

/// A stream that panics when read.
struct Explosive;

impl AsyncRead for Explosive {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        panic!("boom")
    }
}

impl AsyncWrite for Explosive {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

#[tokio::test]
async fn a_panic_in_a_stream_is_told_as_a_loss() {
    let (mut pool, mut events) = pool_with(By(|_| async { Ok(Box::new(Explosive) as Box<dyn Stream>) }));
    pool.connect(CONN, anywhere());
    assert_connected(next(&mut events).await);
    assert_eq!(lost(next(&mut events).await), LostCause::Panicked { message: "boom".into() });
}

async fn resolved(events: &mut PoolEvents) -> Result<Vec<SocketAddr>, String> {
    match next(events).await {
        PoolEvent::Resolved { query: QueryId(5), result } => result,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_system_knows_localhost_and_takes_addresses_as_names() {
    let (mut pool, mut events) = pool_that_resolves(SystemResolver);
    pool.resolve(QueryId(5), "localhost".into(), 9092);
    assert!(resolved(&mut events).await.unwrap().iter().all(|addr| addr.ip().is_loopback() && addr.port() == 9092));
    pool.resolve(QueryId(5), "::1".into(), 9093);
    assert_eq!(resolved(&mut events).await.unwrap(), ["[::1]:9093".parse().unwrap()]);
    // Longer than any name may be, so that no server is asked.
    pool.resolve(QueryId(5), "x".repeat(300), 9092);
    assert!(!resolved(&mut events).await.unwrap_err().is_empty());
}

/// Answers with nothing, or not at all.
struct Unhelpful;

impl Resolver for Unhelpful {
    fn resolve(&self, host: String, _: u16) -> BoxFuture<io::Result<Vec<SocketAddr>>> {
        assert!(host != "panic", "asked for the wrong host");
        Box::pin(async { Ok(Vec::new()) })
    }
}

#[tokio::test]
async fn a_resolver_that_finds_nothing_or_panics_gives_an_error() {
    let (mut pool, mut events) = pool_that_resolves(Unhelpful);
    pool.resolve(QueryId(5), "broker".into(), 1);
    assert_eq!(resolved(&mut events).await, Err("the resolver found no address".into()));
    pool.resolve(QueryId(5), "panic".into(), 1);
    assert_eq!(resolved(&mut events).await, Err("the resolver panicked: asked for the wrong host".into()));
}

#[tokio::test]
async fn the_connector_is_told_host_port_and_address() {
    let (asked, mut targets) = mpsc::unbounded_channel();
    let connector = By(move |target: Target| {
        asked.send(target).unwrap();
        async { Err(io::Error::other("not today")) }
    });
    let (mut pool, mut events) = pool_with(connector);
    pool.connect(CONN, anywhere());
    assert_eq!(targets.recv().await.unwrap(), anywhere());
    let expected = LostCause::Dial { kind: io::ErrorKind::Other, message: "not today".into() };
    assert_eq!(lost(next(&mut events).await), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_on_several_threads_echo_in_order() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut peer, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = peer.split();
                tokio::io::copy(&mut reader, &mut writer).await
            });
        }
    });
    let (mut pool, mut events) =
        Pool::new(PoolConfig::default(), Arc::new(TcpConnector::default()), Arc::new(SystemResolver));
    let (connections, frames) = (8_usize, 200_usize);
    for conn in 0..connections {
        pool.connect(ConnId(conn as u64), target(addr));
        for n in 0..frames {
            pool.send(ConnId(conn as u64), frame(&[&n.to_be_bytes()]));
        }
    }
    let mut written = vec![0; connections];
    let mut answered = vec![0_usize; connections];
    while answered.iter().any(|n| *n < frames) {
        match next(&mut events).await {
            PoolEvent::Written { conn } => written[usize::try_from(conn.0).unwrap()] += 1,
            PoolEvent::Received { conn, frame } => {
                let conn = usize::try_from(conn.0).unwrap();
                assert_eq!(frame, answered[conn].to_be_bytes().as_slice());
                answered[conn] += 1;
                assert!(written[conn] >= answered[conn], "an answer overtook the news that its request was written");
            }
            PoolEvent::Connected { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}
