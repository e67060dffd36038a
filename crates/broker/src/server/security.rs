//! What lies between a node's port and the frames that come in.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::sasl::SaslServer;

/// A stream of bytes in both directions.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for S {}

/// How connections that come in are made secure. By default they are not.
#[derive(Clone, Debug, Default)]
pub(super) struct Security {
    #[cfg(feature = "tls")]
    pub(super) tls: Option<milena_tls::TlsServer>,
    pub(super) sasl: Option<SaslServer>,
}

impl Security {
    /// The stream on which frames come in.
    pub(super) async fn open(&self, stream: impl Stream) -> io::Result<Box<dyn Stream>> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            return Ok(Box::new(tls.accept(stream).await?));
        }
        Ok(Box::new(stream))
    }
}
