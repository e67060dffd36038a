//! How names become addresses.

use std::io;
use std::net::SocketAddr;

use crate::BoxFuture;

/// Looks up host names. Replace it to use a resolver of one's own, or to make addresses up.
pub trait Resolver: Send + Sync + 'static {
    /// The addresses of `host`, in the order to try them, each with `port`.
    ///
    /// `host` is a name or an address without brackets. An empty list counts as an error, and so does a panic.
    fn resolve(&self, host: String, port: u16) -> BoxFuture<io::Result<Vec<SocketAddr>>>;
}

/// The operating system's resolver (`getaddrinfo`), asked on tokio's pool of blocking threads.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve(&self, host: String, port: u16) -> BoxFuture<io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host.as_str(), port)).await?.collect()) })
    }
}
