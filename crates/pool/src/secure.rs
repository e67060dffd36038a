//! What lies between a stream and the frames on it.

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::BoxFuture;
use crate::connector::{Connector, Stream, Target};

/// Makes an open stream a secure one: TLS. It sits on whatever a [`Connector`] opens, a tunnel included.
pub trait Secure: fmt::Debug + Send + Sync + 'static {
    /// Ends when both sides agree, or with why they do not; a [`TlsError`](milena_wire::TlsError) inside the error is told as
    /// [`LostCause::Tls`](crate::LostCause::Tls), here as well as in later reads and writes.
    ///
    /// Dropped when nobody waits for it any more, as a connector's future is. A panic counts as an error.
    fn secure(&self, target: &Target, stream: Box<dyn Stream>) -> BoxFuture<io::Result<Box<dyn Stream>>>;
}

/// A connector whose connections are made secure.
pub struct Secured {
    connector: Arc<dyn Connector>,
    secure: Arc<dyn Secure>,
}

impl Secured {
    /// Opens with `connector`, and then has `secure` make the connection secure.
    pub fn new(connector: Arc<dyn Connector>, secure: Arc<dyn Secure>) -> Self {
        Self { connector, secure }
    }
}

impl Connector for Secured {
    fn connect(&self, target: Target) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        self.connector.connect(target)
    }

    fn secure(&self) -> Option<Arc<dyn Secure>> {
        Some(Arc::clone(&self.secure))
    }
}

impl fmt::Debug for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secured").field("secure", &self.secure).finish_non_exhaustive()
    }
}
