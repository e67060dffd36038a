//! The wiring between the cluster, which decides, and the pool, which does.

use std::net::SocketAddr;
use std::sync::Arc;

use milena_cluster::{ConnId, Event, Input, LostCause, Output, QueryId, SaslOrder};
use milena_pool::{Connector, Pool, PoolConfig, PoolEvent, PoolEvents, Resolver, Target};
use milena_wire::Frame;

use crate::sasl::{Authenticator, SaslMechanism};

/// Does what a [`Cluster`](milena_cluster::Cluster) asks for, and tells it what came of it. Decides nothing.
///
/// Must be made and used inside a tokio runtime; a single-threaded one will do. Dropping it closes every connection.
#[derive(Debug)]
pub struct Network {
    pool: Pool,
    events: PoolEvents,
    sasl: Authenticator,
}

impl Network {
    /// A network without connections.
    #[must_use]
    pub fn new(config: PoolConfig, connector: Arc<dyn Connector>, resolver: Arc<dyn Resolver>) -> Self {
        let (pool, events) = Pool::new(config, connector, resolver);
        Self { pool, events, sasl: Authenticator::new(None) }
    }

    /// Authenticates connections by `mechanism`, which the cluster has to know of as well.
    #[must_use]
    pub fn with_sasl(self, mechanism: Arc<dyn SaslMechanism>) -> Self {
        Self { sasl: Authenticator::new(Some(mechanism)), ..self }
    }

    /// Does what `output` asks for. An event is for the cluster's owner, and handed back.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn apply(&mut self, output: Output) -> Option<Event> {
        match output {
            Output::Resolve { query, host, port } => self.resolve(query, host, port),
            Output::Connect { conn, host, port, addr } => self.connect(conn, host, port, addr),
            Output::Transmit { conn, frame } => self.transmit(conn, frame),
            Output::Close { conn } => self.close(conn),
            Output::Authenticate { conn, order } => self.authenticate(conn, order),
            Output::Event(event) => return Some(event),
            // The cluster is newer than this wiring; what it asks for now has no answer either.
            other => tracing::error!(?other, "the cluster asks for something that the network cannot do"),
        }
        None
    }

    /// Looks up a host. Ends in one [`Input::Resolved`].
    pub fn resolve(&mut self, query: QueryId, host: String, port: u16) {
        self.pool.resolve(milena_pool::QueryId(query.0), host, port);
    }

    /// Opens a connection. Ends in one [`Input::Lost`] sooner or later, unless it is [closed](Self::close) before.
    pub fn connect(&mut self, conn: ConnId, host: String, port: u16, addr: SocketAddr) {
        self.pool.connect(milena_pool::ConnId(conn.0), Target { host, port, addr });
    }

    /// Sends a frame after all earlier ones of its connection. Ends in one [`Input::Written`], or the connection's end.
    pub fn transmit(&mut self, conn: ConnId, frame: Frame) {
        self.pool.send(milena_pool::ConnId(conn.0), frame);
    }

    /// Works out what a connection's SASL mechanism has to say. Ends in one [`Input::Authenticate`], or the connection's end.
    pub fn authenticate(&mut self, conn: ConnId, order: SaslOrder) {
        self.sasl.order(conn, order);
    }

    /// Closes a connection at once. Its end is not told.
    pub fn close(&mut self, conn: ConnId) {
        self.sasl.forget(conn);
        self.pool.close(milena_pool::ConnId(conn.0));
    }

    /// The next thing that happened.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Input {
        loop {
            let event = tokio::select! {
                biased;
                // Both queues keep what is not taken.
                step = self.sasl.next() => return step,
                event = self.events.next() => event,
            };
            match event {
                Some(event) => {
                    if let Some(input) = self.input(event) {
                        return input;
                    }
                }
                // The pool is a field of ours, so its events cannot end before this future does.
                None => std::future::pending().await,
            }
        }
    }

    /// The next thing that happened, if it is there: to take in all of it before acting.
    pub fn try_next(&mut self) -> Option<Input> {
        if let Some(step) = self.sasl.try_next() {
            return Some(step);
        }
        loop {
            let event = self.events.try_next()?;
            if let Some(input) = self.input(event) {
                return Some(input);
            }
        }
    }

    fn input(&mut self, event: PoolEvent) -> Option<Input> {
        let input = input(event)?;
        if let Input::Lost { conn, .. } = &input {
            self.sasl.forget(*conn);
        }
        Some(input)
    }
}

/// What an event of the pool means to the cluster; nothing, if the cluster asked for it to happen.
fn input(event: PoolEvent) -> Option<Input> {
    Some(match event {
        PoolEvent::Resolved { query, result } => Input::Resolved { query: QueryId(query.0), result },
        PoolEvent::Opened { conn } => Input::Opened { conn: ConnId(conn.0) },
        PoolEvent::Connected { conn } => Input::Connected { conn: ConnId(conn.0) },
        PoolEvent::Received { conn, frame } => Input::Received { conn: ConnId(conn.0), frame },
        PoolEvent::Written { conn } => Input::Written { conn: ConnId(conn.0) },
        PoolEvent::Lost { conn, cause, begun } => Input::Lost { conn: ConnId(conn.0), cause: lost(cause)?, begun },
        other => {
            tracing::error!(?other, "the pool tells something that the cluster does not know");
            return None;
        }
    })
}

fn lost(cause: milena_pool::LostCause) -> Option<LostCause> {
    use milena_pool::LostCause as Pool;
    Some(match cause {
        Pool::ClosedHere => return None,
        Pool::Dial { kind, message } => LostCause::ConnectFailed { kind, text: message },
        Pool::Io { kind, message } => LostCause::Io { kind, text: message },
        Pool::Eof { bytes_received, .. } => LostCause::Closed { bytes_received },
        Pool::Tls { fault, message } => LostCause::Tls { fault, text: message },
        Pool::FrameSize { size, .. } => LostCause::BadSize { first_bytes: size.to_be_bytes() },
        // A panic in a user's connector or stream, and whatever else a newer pool may tell.
        other => LostCause::Io { kind: std::io::ErrorKind::Other, text: other.to_string() },
    })
}

#[cfg(test)]
mod tests;
