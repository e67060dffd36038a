//! The pool: takes orders, starts tasks, hands on what they report.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use milena_wire::Frame;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tracing::Instrument;

use crate::connection::{Setup, live};
use crate::connector::{Connector, Target};
use crate::event::{ConnId, PoolEvent, QueryId};
use crate::panics::caught;
use crate::resolver::Resolver;

/// The largest frame taken from a peer unless told otherwise: 100 MiB, as Kafka's `socket.request.max.bytes`.
pub const DEFAULT_MAX_FRAME: usize = 100 * 1024 * 1024;

/// How many events may wait to be seen before connections stop reading.
const EVENTS_WAITING: usize = 1024;

/// What a pool allows.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PoolConfig {
    /// The largest frame taken from a peer, in bytes, its size not counted. Default: [`DEFAULT_MAX_FRAME`].
    pub max_frame: usize,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self { max_frame: DEFAULT_MAX_FRAME }
    }
}

/// Opens, feeds and closes connections. All methods return at once; what comes of them is told by [`PoolEvents`].
///
/// Dropping it ends every task it started and closes every socket.
pub struct Pool {
    config: PoolConfig,
    connector: Arc<dyn Connector>,
    resolver: Arc<dyn Resolver>,
    events: mpsc::Sender<PoolEvent>,
    connections: HashMap<ConnId, Handle>,
    queries: Vec<AbortHandle>,
}

struct Handle {
    frames: mpsc::UnboundedSender<Frame>,
    /// Taken when the connection is closed.
    close: Option<oneshot::Sender<()>>,
    task: AbortHandle,
}

impl Pool {
    /// A pool and the end where its events come out.
    pub fn new(config: PoolConfig, connector: Arc<dyn Connector>, resolver: Arc<dyn Resolver>) -> (Self, PoolEvents) {
        let (events, waiting) = mpsc::channel(EVENTS_WAITING);
        let pool = Self { config, connector, resolver, events, connections: HashMap::new(), queries: Vec::new() };
        (pool, PoolEvents { waiting })
    }

    /// Looks up `host`, a name or an address without brackets. Ends in one [`PoolEvent::Resolved`].
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn resolve(&mut self, query: QueryId, host: String, port: u16) {
        self.queries.retain(|task| !task.is_finished());
        let resolver = Arc::clone(&self.resolver);
        let events = self.events.clone();
        let task = tokio::spawn(async move {
            // The call itself is user code too, not only the future it returns.
            let result = match caught(async move { resolver.resolve(host, port).await }).await {
                Ok(Ok(addresses)) if addresses.is_empty() => Err("the resolver found no address".to_owned()),
                Ok(Ok(addresses)) => Ok(addresses),
                Ok(Err(error)) => Err(error.to_string()),
                Err(message) => Err(format!("the resolver panicked: {message}")),
            };
            let _ = events.send(PoolEvent::Resolved { query, result }).await;
        });
        self.queries.push(task.abort_handle());
    }

    /// Opens a connection. Ends in one [`PoolEvent::Lost`], sooner or later. There is no timeout: call
    /// [`close`](Self::close).
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, or if `conn` was used before and has not ended.
    pub fn connect(&mut self, conn: ConnId, target: Target) {
        self.connections.retain(|_, handle| !handle.task.is_finished());
        assert!(!self.connections.contains_key(&conn), "connection {} is in use", conn.0);
        let (frames, queued) = mpsc::unbounded_channel();
        let (close, closed) = oneshot::channel();
        let span = tracing::debug_span!("connection", conn = conn.0, host = target.host, addr = %target.addr);
        let life = live(Setup {
            conn,
            target,
            connector: Arc::clone(&self.connector),
            max_frame: self.config.max_frame,
            frames: queued,
            closed,
            events: self.events.clone(),
        });
        let task = tokio::spawn(life.instrument(span));
        self.connections.insert(conn, Handle { frames, close: Some(close), task: task.abort_handle() });
    }

    /// Queues `frame` behind those queued before. Ends in one [`PoolEvent::Written`], or in the connection's `Lost`.
    ///
    /// May be called before the connection is open. A frame for a connection that is gone is dropped: its `Lost` has
    /// been told or is on the way.
    pub fn send(&mut self, conn: ConnId, frame: Frame) {
        if let Some(handle) = self.connections.get(&conn) {
            let _ = handle.frames.send(frame);
        }
    }

    /// Closes a connection, or gives up opening it, without waiting for frames that are not yet written.
    ///
    /// Its `Lost` follows unless it was told before. Does nothing if the connection is gone.
    pub fn close(&mut self, conn: ConnId) {
        if let Some(close) = self.connections.get_mut(&conn).and_then(|handle| handle.close.take()) {
            let _ = close.send(());
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for handle in self.connections.values() {
            handle.task.abort();
        }
        for query in &self.queries {
            query.abort();
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("config", &self.config)
            .field("connections", &self.connections.keys())
            .finish_non_exhaustive()
    }
}

/// Where a pool's events come out. Dropping it closes all connections as they find out.
#[derive(Debug)]
pub struct PoolEvents {
    waiting: mpsc::Receiver<PoolEvent>,
}

impl PoolEvents {
    /// The next event, or `None` when the pool was dropped and all that happened before is told.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<PoolEvent> {
        self.waiting.recv().await
    }

    /// The next event if one is there: to see all that happened before acting on it.
    pub fn try_next(&mut self) -> Option<PoolEvent> {
        self.waiting.try_recv().ok()
    }
}
