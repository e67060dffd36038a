//! Sockets for the milena client: connects, resolves, reads and writes frames; decides nothing.
//!
//! The deciding half of the client names connections and queries by numbers of its own and says what it wants of them:
//! resolve this host, connect to that address, send this frame, close. A [`Pool`] does it and reports what happened as
//! [`PoolEvent`]s. It has no timeouts, no retries and no idea of what a request is, so that all of those sit where a
//! simulation can reach them.
//!
//! - [`Pool`] takes orders and [`PoolEvents`] tells what came of them. Start reading here.
//! - [`PoolEvent`] and [`LostCause`]: what can happen.
//! - [`Connector`] and [`Resolver`] open the connections and look up names. Users replace them to go through a proxy or
//!   a port-forward, to rewrite addresses, or to keep everything in memory. [`TcpConnector`] and [`SystemResolver`] are
//!   the real ones.
//! - [`Secure`] is what encrypts, on top of whatever was opened.
//!
//! Each connection is one task that owns its socket and works in both directions. Its story is always
//! `Opened? Connected? (Received | Written)* Lost`, with exactly one `Lost`, even if user code panics.

mod connection;
mod connector;
mod event;
#[cfg(feature = "hostile")]
pub mod hostile;
mod input;
mod output;
mod panics;
mod pool;
mod resolver;
mod secure;

pub use connector::{Connector, Keepalive, Stream, Target, TcpConnector};
pub use event::{ConnId, LostCause, PoolEvent, QueryId};
pub use pool::{DEFAULT_MAX_FRAME, Pool, PoolConfig, PoolEvents};
pub use resolver::{Resolver, SystemResolver};
pub use secure::{Secure, Secured};

/// A future behind a pointer, so that [`Connector`] and [`Resolver`] can be trait objects.
pub type BoxFuture<T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'static>>;
