//! One request and its answer, on a connection that is there.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, HeaderValue, LOCATION, USER_AGENT};
use hyper::rt::ReadBufCursor;
use milena_sasl::Secret;
use milena_wire::TlsError;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use zeroize::{Zeroize, Zeroizing};

use crate::endpoint::Endpoint;
use crate::error::HttpError;

/// The most that headers may take.
const HEADERS_MAX: usize = 16 * 1024;
/// The most headers.
const HEADERS_COUNT_MAX: usize = 100;

/// What is sent. `Debug` shows no header's value and no body.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    method: hyper::Method,
    headers: Vec<(&'static str, Secret)>,
    content: Option<(&'static str, Secret)>,
}

impl HttpRequest {
    /// A GET.
    #[must_use]
    pub fn get() -> Self {
        Self { method: hyper::Method::GET, headers: Vec::new(), content: None }
    }

    /// A PUT without a body.
    #[must_use]
    pub fn put() -> Self {
        Self { method: hyper::Method::PUT, headers: Vec::new(), content: None }
    }

    /// A POST of `content`, whose media type is `of`.
    #[must_use]
    pub fn post(of: &'static str, content: impl Into<Secret>) -> Self {
        Self { method: hyper::Method::POST, headers: Vec::new(), content: Some((of, content.into())) }
    }

    /// With another header; its name is in lower case.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<Secret>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn build(self, endpoint: &Endpoint) -> Result<hyper::Request<Whole>, HttpError> {
        let wrong = |_| HttpError::Broken("the request has a character that HTTP has no place for".to_owned());
        let mut request = hyper::Request::builder()
            .method(self.method)
            .uri(endpoint.path.as_str())
            .header(HOST, endpoint.authority.as_str())
            .header(USER_AGENT, concat!("milena/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, "application/json")
            .header(CONNECTION, "close");
        for (name, secret) in self.headers {
            // The header shares the secret's memory, which is wiped with the last of them.
            let mut value = HeaderValue::from_maybe_shared(secret.into_bytes()).map_err(|_| wrong(()))?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        let mut body = Whole(None);
        if let Some((of, content)) = self.content {
            request = request.header(CONTENT_TYPE, of);
            body = Whole(Some(content.into_bytes()));
        }
        request.body(body).map_err(|_| wrong(()))
    }
}

/// What came back. `Debug` does not show the body.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpAnswer {
    /// The status, such as 200.
    pub status: u16,
    /// Where a redirect leads.
    pub location: Option<String>,
    /// All of the body.
    pub body: Secret,
}

/// Sends `request` over `stream` and reads the answer.
pub(crate) async fn exchange<S>(
    stream: S,
    endpoint: &Endpoint,
    request: HttpRequest,
    answer_max: usize,
) -> Result<HttpAnswer, HttpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request = request.build(endpoint)?;
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEADERS_MAX).max_headers(HEADERS_COUNT_MAX);
    let (mut sender, connection) = builder.handshake(Adapted(stream)).await.map_err(|error| explained(&error))?;
    // The connection does the reading and writing. That it ends is told by what is read.
    let work = async {
        drop(connection.await);
        std::future::pending::<Infallible>().await
    };
    let talk = async {
        let response = sender.send_request(request).await.map_err(|error| explained(&error))?;
        let (head, body) = response.into_parts();
        let location = head.headers.get(LOCATION).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        Ok(HttpAnswer { status: head.status.as_u16(), location, body: read(body, answer_max).await? })
    };
    tokio::select! {
        answer = talk => answer,
        never = work => match never {},
    }
}

/// All of a body, unless it is too long.
async fn read(body: Incoming, most: usize) -> Result<Secret, HttpError> {
    let mut body = pin!(body);
    let mut whole = Zeroizing::new(Vec::with_capacity(4096));
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let frame = frame.map_err(|error| explained(&error))?;
        let Some(data) = frame.data_ref() else { continue };
        let length = whole.len() + data.len();
        if length > most {
            return Err(HttpError::TooLong(most));
        }
        if length > whole.capacity() {
            // A vector that grows by itself leaves what it held behind.
            let mut larger = Zeroizing::new(Vec::with_capacity(length.max(2 * whole.capacity())));
            larger.extend_from_slice(&whole);
            whole = larger;
        }
        whole.extend_from_slice(data);
    }
    Ok(Secret::new(std::mem::take(&mut *whole)))
}

/// hyper's words with their causes; they have no part of what was sent or read.
fn explained(error: &hyper::Error) -> HttpError {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        if let Some(tls) = cause.downcast_ref::<io::Error>().and_then(TlsError::of) {
            return HttpError::Tls(tls.clone());
        }
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    HttpError::Broken(text)
}

/// A body that is there as a whole, or none.
struct Whole(Option<Bytes>);

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(hyper::body::Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        hyper::body::SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

/// tokio's stream as hyper wants it. It copies what is read, which safe code has to.
struct Adapted<S>(S);

impl<S: AsyncRead + Unpin> hyper::rt::Read for Adapted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, mut into: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let mut part = [0; 4096];
        let room = into.remaining().min(part.len());
        let mut buffer = ReadBuf::new(&mut part[..room]);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut buffer))?;
        into.put_slice(buffer.filled());
        part.zeroize();
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> hyper::rt::Write for Adapted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
