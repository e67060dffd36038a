//! The two directions of one connection through the proxy.

use std::collections::VecDeque;
use std::io;
use std::sync::Mutex;
use std::time::Duration;

use milena_wire::{ApiKey, ApiVersion};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::proxy::{Act, Passing, Shared, Switch, Way, quiet};

/// Largest frame that goes through.
const FRAME_MAX: usize = 64 * 1024 * 1024;

/// Size prefix, API, version: as much as must be there to know what a request is.
const HEAD: usize = 8;

/// How a connection ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    Closed,
    Reset,
}

/// What was asked and not answered yet, in order. Requests without acknowledgements are not proxied.
type Asked = Mutex<VecDeque<(ApiKey, ApiVersion)>>;

/// Carries frames in both directions until one side ends.
pub(super) async fn run(
    shared: &Shared,
    client: &mut TcpStream,
    broker: &mut TcpStream,
    switch: watch::Receiver<Switch>,
) -> End {
    let asked = Asked::default();
    let (client_in, client_out) = client.split();
    let (broker_in, broker_out) = broker.split();
    let there = pump(shared, &asked, Way::ToBroker, client_in, broker_out, switch.clone());
    let back = pump(shared, &asked, Way::ToClient, broker_in, client_out, switch);
    tokio::select! {
        end = there => end,
        end = back => end,
    }
}

async fn pump(
    shared: &Shared,
    asked: &Asked,
    way: Way,
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut switch: watch::Receiver<Switch>,
) -> End {
    loop {
        let Ok(Some(frame)) = read(&mut from).await else { return End::Closed };
        quiet(&mut switch).await;
        let Some((api, version)) = kind(asked, way, &frame) else { return End::Closed };
        let act = shared.judge(&Passing { way, api, version, bytes: &frame });
        let first = |count: usize| &frame[..count.min(frame.len())];
        let written = match &act {
            Act::Pass => to.write_all(&frame).await,
            Act::Replace(bytes) => to.write_all(bytes).await,
            Act::CutAfter(count) | Act::ResetAfter(count) | Act::StallAfter(count) => to.write_all(first(*count)).await,
            Act::Trickle(piece) => trickle(&mut to, &frame, *piece).await,
        };
        match act {
            _ if written.is_err() => return End::Closed,
            Act::CutAfter(_) => return End::Closed,
            Act::ResetAfter(_) => return End::Reset,
            Act::StallAfter(_) => return stalled(shared, way, &mut from).await,
            Act::Pass | Act::Replace(_) | Act::Trickle(_) => {}
        }
    }
}

/// Lets nothing more through. A client that gives the connection up is let go.
async fn stalled(shared: &Shared, way: Way, mut from: impl AsyncRead + Unpin) -> End {
    if way == Way::ToClient {
        return std::future::pending().await;
    }
    while let Ok(Some(_)) = read(&mut from).await {
        shared.swallow();
    }
    End::Closed
}

/// A frame with its size in front; `None` at the end.
async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut frame = vec![0; 4];
    if from.read(&mut frame[..1]).await? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut frame[1..]).await?;
    let size = u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]);
    let size = usize::try_from(size).map_err(io::Error::other)?;
    if size > FRAME_MAX {
        return Err(io::Error::other("a frame that is too large"));
    }
    frame.resize(4 + size, 0);
    from.read_exact(&mut frame[4..]).await?;
    Ok(Some(frame))
}

/// What a request asks, or an answer answers; `None` if that makes no sense.
fn kind(asked: &Asked, way: Way, frame: &[u8]) -> Option<(ApiKey, ApiVersion)> {
    let mut asked = asked.lock().ok()?;
    if way == Way::ToClient {
        return asked.pop_front();
    }
    let head = frame.get(4..HEAD)?;
    let kind = (ApiKey(i16::from_be_bytes([head[0], head[1]])), ApiVersion(i16::from_be_bytes([head[2], head[3]])));
    asked.push_back(kind);
    Some(kind)
}

async fn trickle(to: &mut (impl AsyncWrite + Unpin), frame: &[u8], piece: usize) -> io::Result<()> {
    for piece in frame.chunks(piece) {
        to.write_all(piece).await?;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}
