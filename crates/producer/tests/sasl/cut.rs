//! Connections that break after each byte of what the broker says in the handshake.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use milena_producer::{BoxFuture, Connector, Record, Stream, Target, TcpConnector};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::*;

/// Lets the first connection read so many bytes, and all others whatever they like.
struct Cutter {
    inner: Arc<dyn Connector>,
    budget: usize,
    connections: AtomicUsize,
}

impl Connector for Cutter {
    fn connect(&self, target: Target) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let first = self.connections.fetch_add(1, Ordering::SeqCst) == 0;
        let left = if first { self.budget } else { usize::MAX };
        let connecting = self.inner.connect(target);
        Box::pin(async move { Ok(Box::new(Cut { inner: connecting.await?, left }) as Box<dyn Stream>) })
    }
}

struct Cut {
    inner: Box<dyn Stream>,
    left: usize,
}

impl AsyncRead for Cut {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Ok(()));
        }
        let mut part = buf.take(self.left);
        let polled = Pin::new(&mut self.inner).poll_read(cx, &mut part);
        let read = part.filled().len();
        // Safe Rust has no way to tell `buf` that its spare room was written to, so it is written again.
        let bytes = part.filled().to_vec();
        buf.put_slice(&bytes);
        self.left -= read;
        polled
    }
}

impl AsyncWrite for Cut {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn a_connection_cut_at_any_byte_of_the_exchange_costs_nothing_but_another() {
    let cluster = cluster(server()).await;
    // ApiVersions is some 150 bytes, the rest of the exchange some 300.
    let budgets: Vec<usize> = (0..500).step_by(7).chain([1, 2, 3, 4, 5]).collect();
    for (number, budget) in budgets.iter().enumerate() {
        let inner: Arc<dyn Connector> = Arc::new(TcpConnector::default());
        let cutter = Cutter { inner, budget: *budget, connections: AtomicUsize::new(0) };
        let producer =
            by("SCRAM-SHA-256", "pencil").on(producer(&cluster)).connector(Arc::new(cutter)).build().unwrap();
        producer.send(Record::to("topic").value(number.to_string())).await.unwrap();
        producer.close(LONG).await.unwrap();
    }
    let mut values: Vec<_> = written(&cluster, "topic").into_values().flatten().collect();
    values.sort_unstable();
    assert_eq!(values, (0..budgets.len() as u64).collect::<Vec<_>>());
}
