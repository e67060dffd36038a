//! One connection.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};
use milena_wire::Frame;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::watch;

use super::frame;
use super::hub::{Hub, Outcome};
use super::node::{Node, Switch};
use super::security::Stream;
use crate::core::Answer;
use crate::sasl::Guard;

/// Serves one connection to its end.
pub(super) async fn serve(hub: Arc<Hub>, node: Arc<Node>, stream: impl Stream) {
    node.accepted.fetch_add(1, Ordering::Relaxed);
    let counted = Counted::new(&node);
    let mut switch = node.switch.subscribe();
    let cuts = switch.borrow_and_update().cuts;
    let mut cut = node.switch.subscribe();
    tokio::select! {
        biased;
        // What the core was given by then runs on without the connection.
        _ = cut.wait_for(|switch| switch.cuts != cuts || switch.stopped) => {}
        ended = run(&hub, &node, stream, switch) => {
            if let Err(error) = ended {
                tracing::debug!(node = %node.id, %error, "connection ended");
            }
        }
    }
    drop(counted);
}

async fn run(hub: &Hub, node: &Node, stream: impl Stream, mut switch: watch::Receiver<Switch>) -> io::Result<()> {
    let mut stream = node.secure.open(stream).await?;
    let mut guard = Guard::new(node.secure.sasl.clone());
    let mut input = BytesMut::new();
    while let Some(request) = frame::read(&mut stream, &mut input, guard.frame_max(node.frame_max)).await? {
        resumed(&mut switch).await;
        let outcome = match hub.guard(node.id, &mut guard, &request) {
            Some(outcome) => outcome,
            None => hub.handle(node.id, &request),
        };
        let answer = match outcome {
            Outcome::Answered(answer) => answer,
            Outcome::Waits(wait) => wait.answer().await,
        };
        // Frees the buffer for the next frame, unless the log keeps it.
        drop(request);
        resumed(&mut switch).await;
        match answer {
            Answer::Send(frame) => frame::write(&mut stream, &frame).await?,
            Answer::SendLast(frame) => return frame::write(&mut stream, &frame).await,
            Answer::Nothing => {}
            Answer::Close => return Ok(()),
            Answer::SendHalf(frame) => return frame::write(&mut stream, &first_half(&frame)).await,
            Answer::Silence => return ignore(&mut stream).await,
        }
    }
    Ok(())
}

/// Waits while the node is paused.
async fn resumed(switch: &mut watch::Receiver<Switch>) {
    if switch.borrow().paused {
        // The sender lives as long as the node does.
        let _resumed = switch.wait_for(|switch| !switch.paused).await;
    }
}

/// Reads without a word until the other side has enough.
async fn ignore<S>(stream: &mut S) -> io::Result<()>
where
    S: AsyncRead + Unpin,
{
    let mut ignored = BytesMut::with_capacity(4096);
    while stream.read_buf(&mut ignored).await? > 0 {
        ignored.clear();
    }
    Ok(())
}

fn first_half(frame: &Frame) -> Frame {
    let mut bytes = Bytes::from(frame.to_vec());
    bytes.truncate(bytes.len() / 2);
    let mut half = Frame::with_capacity(1);
    half.push(bytes);
    half
}

/// Counts a connection for as long as it lives.
struct Counted<'a> {
    node: &'a Node,
}

impl<'a> Counted<'a> {
    fn new(node: &'a Node) -> Self {
        node.connections.fetch_add(1, Ordering::AcqRel);
        Self { node }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.node.connections.fetch_sub(1, Ordering::AcqRel);
    }
}
