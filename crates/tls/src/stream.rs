//! A connection that is secure.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::fault::{Moment, explain};

/// A secure connection over `S`. Its errors carry a [`TlsError`](milena_wire::TlsError) where TLS has something to say.
///
/// A write that was taken may still wait in this process: it is with the kernel once a flush has ended.
#[derive(Debug)]
pub struct TlsStream<S> {
    inner: tokio_rustls::TlsStream<S>,
    moment: Moment,
}

impl<S> TlsStream<S> {
    pub(crate) fn new(inner: impl Into<tokio_rustls::TlsStream<S>>, has_identity: bool) -> Self {
        Self { inner: inner.into(), moment: Moment { opening: false, has_identity } }
    }

    /// The protocol version and cipher suite agreed on, for logs.
    #[must_use]
    pub fn agreed(&self) -> String {
        let (_, session) = self.inner.get_ref();
        match (session.protocol_version(), session.negotiated_cipher_suite()) {
            (Some(version), Some(suite)) => format!("{version:?} {:?}", suite.suite()),
            _ => String::new(),
        }
    }

    /// The certificates that the other side has shown, its own first, in DER.
    #[must_use]
    pub fn peer_certificates(&self) -> Vec<Vec<u8>> {
        let (_, session) = self.inner.get_ref();
        session.peer_certificates().unwrap_or_default().iter().map(|certificate| certificate.to_vec()).collect()
    }

    fn explained<T>(&self, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        result.map_err(|error| explain(error, self.moment))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_read(cx, into);
        self.explained(result)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.explained(result)
    }

    /// Encrypts straight from the slices: the only copy there is.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.explained(result)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_flush(cx);
        self.explained(result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.explained(result)
    }
}
