//! What lies between a stream and the frames on it.

use std::fmt;
use std::io;

use crate::BoxFuture;
use crate::connector::{Stream, Target};

/// Makes an open stream a secure one: TLS. It sits on whatever a [`Connector`](crate::Connector) opens, a tunnel included.
pub trait Secure: fmt::Debug + Send + Sync + 'static {
    /// Ends when both sides agree, or with why they do not; a [`TlsError`](milena_wire::TlsError) inside the error is told as
    /// [`LostCause::Tls`](crate::LostCause::Tls), here as well as in later reads and writes.
    ///
    /// Dropped when nobody waits for it any more, as a connector's future is. A panic counts as an error.
    fn secure(&self, target: &Target, stream: Box<dyn Stream>) -> BoxFuture<io::Result<Box<dyn Stream>>>;
}
