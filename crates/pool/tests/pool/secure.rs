//! What lies between a stream and its frames.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use milena_pool::{BoxFuture, LostCause, Pool, PoolEvent, PoolEvents, Secure, Secured, Stream, Target};
use milena_wire::{TlsError, TlsFault};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, BufWriter, DuplexStream, ReadBuf};
use tokio::sync::mpsc;

use crate::support::*;

/// Keeps what is written until it is flushed, as encryption may.
#[derive(Debug)]
struct Keeps;

impl Secure for Keeps {
    fn secure(&self, _: &Target, stream: Box<dyn Stream>) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        Box::pin(async move { Ok(Box::new(BufWriter::with_capacity(1024, stream)) as Box<dyn Stream>) })
    }
}

#[derive(Debug)]
struct Refuses(TlsFault);

impl Secure for Refuses {
    fn secure(&self, _: &Target, _: Box<dyn Stream>) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let error = TlsError::new(self.0, "because");
        Box::pin(async move { Err(error.into()) })
    }
}

async fn secured(by: impl Secure) -> (Pool, PoolEvents, DuplexStream) {
    let (peers, mut others) = mpsc::unbounded_channel();
    let connector = Secured::new(Arc::new(Memory { buffer: 4, peers }), Arc::new(by));
    let (mut pool, events) = pool_with(connector);
    pool.connect(CONN, anywhere());
    let theirs = others.recv().await.expect("a peer");
    (pool, events, theirs)
}

#[tokio::test]
async fn it_is_told_when_the_other_side_is_reached_and_when_all_is_well() {
    let (_pool, mut events, _theirs) = secured(Keeps).await;
    assert!(matches!(next(&mut events).await, PoolEvent::Opened { conn: CONN }));
    assert_connected(next(&mut events).await);
}

#[tokio::test]
async fn what_the_encryption_keeps_is_not_written_until_the_kernel_has_it() {
    let (mut pool, mut events, mut theirs) = secured(Keeps).await;
    let _opened = next(&mut events).await;
    assert_connected(next(&mut events).await);
    pool.send(CONN, frame(&[b"hello"]));
    let mut heard = [0; 4];
    theirs.read_exact(&mut heard).await.unwrap();
    // Five bytes are left, and the pipe holds four.
    assert!(events.try_next().is_none());
    let mut heard = [0; 5];
    theirs.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"hello");
    assert_written(next(&mut events).await);
}

#[tokio::test]
async fn an_answer_does_not_overtake_the_news_that_its_request_was_written() {
    let (mut pool, mut events, mut theirs) = secured(Keeps).await;
    let _opened = next(&mut events).await;
    assert_connected(next(&mut events).await);
    pool.send(CONN, frame(&[b"first"]));
    pool.send(CONN, frame(&[b"second"]));
    assert_eq!(read_frame(&mut theirs).await, b"first");
    write_frame(&mut theirs, b"ok").await;
    assert_written(next(&mut events).await);
    assert_written(next(&mut events).await);
    assert_eq!(received(next(&mut events).await), "ok");
}

#[tokio::test]
async fn a_refusal_is_told_by_its_name() {
    let (_pool, mut events, _theirs) = secured(Refuses(TlsFault::Expired)).await;
    let _opened = next(&mut events).await;
    let expected = LostCause::Tls { fault: TlsFault::Expired, message: "because".into() };
    assert_eq!(lost(next(&mut events).await), expected);
}

/// Broken by the other side, which has said why.
struct Broken;

impl AsyncRead for Broken {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(TlsError::new(TlsFault::CertificateRefused, "no").into()))
    }
}

impl AsyncWrite for Broken {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn why_the_other_side_broke_the_pipe_counts_and_not_that_it_did() {
    let (mut pool, mut events) = pool_with(By(|_| async { Ok(Box::new(Broken) as Box<dyn Stream>) }));
    pool.connect(CONN, anywhere());
    pool.send(CONN, frame(&[b"hello"]));
    assert_connected(next(&mut events).await);
    let expected = LostCause::Tls { fault: TlsFault::CertificateRefused, message: "no".into() };
    assert_eq!(lost(next(&mut events).await), expected);
}
