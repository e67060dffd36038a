//! One connection: dials, then moves bytes in both directions until it ends.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use milena_wire::Frame;
use smallvec::SmallVec;
use tokio::io::AsyncReadExt;
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, trace};

use crate::connector::{Connector, Stream, Target};
use crate::event::{ConnId, LostCause, PoolEvent};
use crate::input::Inbox;
use crate::output::Outbox;
use crate::panics::caught;

/// What a connection's task needs from its pool.
pub(crate) struct Setup {
    pub(crate) conn: ConnId,
    pub(crate) target: Target,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) max_frame: usize,
    pub(crate) frames: mpsc::UnboundedReceiver<Frame>,
    pub(crate) closed: oneshot::Receiver<()>,
    pub(crate) events: mpsc::Sender<PoolEvent>,
}

/// A connection's whole life. The socket is gone before its end is told.
pub(crate) async fn live(setup: Setup) {
    let Setup { conn, target, connector, max_frame, frames, closed, events } = setup;
    let mut life = Life { conn, frames, events: events.clone(), outbox: Outbox::default(), unflushed: 0, dirty: false };
    let run = async move {
        let Err(cause) = life.run(connector, target, max_frame).await;
        (cause, Some(life.outbox.begun()))
    };
    let (cause, begun) = tokio::select! {
        biased;
        // A dropped sender is a dropped pool, which aborts this task anyway.
        _ = closed => (LostCause::ClosedHere, None),
        end = caught(run) => end.unwrap_or_else(|message| (LostCause::Panicked { message }, None)),
    };
    debug!(conn = conn.0, %cause, "connection ended");
    // If nobody listens any more, nobody is left waiting either.
    let _ = events.send(PoolEvent::Lost { conn, cause, begun }).await;
}

struct Life {
    conn: ConnId,
    frames: mpsc::UnboundedReceiver<Frame>,
    events: mpsc::Sender<PoolEvent>,
    outbox: Outbox,
    /// Frames that the stream took and the kernel may not have: a stream that encrypts keeps some for itself.
    unflushed: usize,
    /// The stream took bytes since it was last flushed to the end.
    dirty: bool,
}

/// What one turn of the connection brought.
#[derive(Default)]
struct News {
    written: usize,
    received: SmallVec<[Bytes; 4]>,
    /// The connection ended after all of the above.
    end: Option<LostCause>,
}

impl Life {
    async fn run(
        &mut self,
        connector: Arc<dyn Connector>,
        target: Target,
        max_frame: usize,
    ) -> Result<Infallible, LostCause> {
        let addr = target.addr;
        let mut stream = connector.connect(target.clone()).await.map_err(|error| LostCause::dial(&error))?;
        let secure = connector.secure();
        drop(connector);
        if let Some(secure) = secure {
            self.tell(PoolEvent::Opened { conn: self.conn }).await?;
            stream = secure.secure(&target, stream).await.map_err(|error| LostCause::dial(&error))?;
        }
        debug!(conn = self.conn.0, %addr, "connected");
        self.tell(PoolEvent::Connected { conn: self.conn }).await?;

        let mut inbox = Inbox::new(max_frame);
        loop {
            let news = poll_fn(|cx| self.poll_news(cx, stream.as_mut(), &mut inbox)).await;
            trace!(conn = self.conn.0, written = news.written, received = news.received.len(), "moved frames");
            // A response never overtakes the news that its request was written.
            for _ in 0..news.written {
                self.tell(PoolEvent::Written { conn: self.conn }).await?;
            }
            for frame in news.received {
                self.tell(PoolEvent::Received { conn: self.conn, frame }).await?;
            }
            if let Some(cause) = news.end {
                return Err(cause);
            }
        }
    }

    /// Waits while the pool's queue of events is full, so that a peer cannot fill memory faster than it is drained.
    async fn tell(&self, event: PoolEvent) -> Result<(), LostCause> {
        self.events.send(event).await.map_err(|_| LostCause::ClosedHere)
    }

    /// Writes what can be written and reads once; ready when there is something to tell.
    fn poll_news(&mut self, cx: &mut Context<'_>, stream: &mut dyn Stream, inbox: &mut Inbox) -> Poll<News> {
        let mut news = News::default();
        while let Poll::Ready(Some(frame)) = self.frames.poll_recv(cx) {
            self.outbox.push(frame);
        }
        while !self.outbox.is_empty() {
            match self.outbox.poll_write(cx, stream) {
                Poll::Ready(Ok(frames)) => {
                    self.unflushed += frames;
                    self.dirty = true;
                }
                Poll::Ready(Err(error)) => {
                    news.end = Some(LostCause::io(&error));
                    break;
                }
                Poll::Pending => break,
            }
        }
        if self.dirty && news.end.is_none() {
            match Pin::new(&mut *stream).poll_flush(cx) {
                Poll::Ready(Ok(())) => {
                    self.dirty = false;
                    news.written = std::mem::take(&mut self.unflushed);
                }
                Poll::Ready(Err(error)) => news.end = Some(LostCause::io(&error)),
                Poll::Pending => {}
            }
        }
        // A failed write does not take back what the peer sent before: its last answer, or what it is if not Kafka.
        self.poll_read(cx, stream, inbox, &mut news);
        if !news.received.is_empty() {
            // What it answers was written, and a later frame that is still being encrypted is as good as that.
            news.written += std::mem::take(&mut self.unflushed);
        }
        if news.written == 0 && news.received.is_empty() && news.end.is_none() {
            return Poll::Pending;
        }
        Poll::Ready(news)
    }

    fn poll_read(&self, cx: &mut Context<'_>, stream: &mut dyn Stream, inbox: &mut Inbox, news: &mut News) {
        while news.received.is_empty() {
            match pin!(stream.read_buf(inbox.room())).poll(cx) {
                Poll::Pending => return,
                Poll::Ready(Ok(0)) => {
                    news.end = Some(inbox.end());
                    return;
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => {
                    let cause = LostCause::io(&error);
                    // A pipe that broke is the consequence; why the other side broke it comes before that.
                    if news.end.is_none() || matches!(cause, LostCause::Tls { .. }) {
                        news.end = Some(cause);
                    }
                    return;
                }
            }
            loop {
                match inbox.next_frame() {
                    Ok(Some(frame)) => news.received.push(frame),
                    Ok(None) => break,
                    Err(cause) => {
                        news.end = Some(cause);
                        return;
                    }
                }
            }
        }
    }
}
