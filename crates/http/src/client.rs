//! A connection for each request.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use milena_tls::{TlsClient, TlsConfig};
use milena_wire::TlsError;
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::endpoint::Endpoint;
use crate::error::HttpError;
use crate::exchange::{HttpAnswer, HttpRequest, exchange};

/// Sends requests, each on a connection of its own: tokens are fetched once an hour or so.
#[derive(Debug)]
pub struct HttpClient {
    tls: TlsConfig,
    /// Made for the first request that needs it, since it reads files.
    made: OnceCell<TlsClient>,
    connect_timeout: Duration,
    answer_timeout: Duration,
    answer_max: usize,
}

impl HttpClient {
    /// Believes whom `tls` says. Nothing is read yet.
    #[must_use]
    pub fn new(tls: TlsConfig) -> Self {
        let ten_seconds = Duration::from_secs(10);
        let (connect_timeout, answer_timeout) = (ten_seconds, ten_seconds);
        Self { tls, made: OnceCell::new(), connect_timeout, answer_timeout, answer_max: 256 * 1024 }
    }

    /// How long it may take to look up the host, to connect and to agree on TLS, all together. Default: 10 s.
    #[must_use]
    pub fn connect_timeout(self, connect_timeout: Duration) -> Self {
        Self { connect_timeout, ..self }
    }

    /// How long it may take from there to the answer's last byte. Default: 10 s.
    #[must_use]
    pub fn answer_timeout(self, answer_timeout: Duration) -> Self {
        Self { answer_timeout, ..self }
    }

    /// The longest answer, in bytes, without its headers (16 KiB at most). Default: 256 KiB.
    #[must_use]
    pub fn answer_max(self, answer_max: usize) -> Self {
        Self { answer_max, ..self }
    }

    /// Sends a request, and gives back the answer whatever its status.
    ///
    /// # Errors
    ///
    /// If there is no answer within the bounds.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection; whether the request was received by then is not known.
    pub async fn send(&self, endpoint: &Endpoint, request: HttpRequest) -> Result<HttpAnswer, HttpError> {
        let connecting = timeout(self.connect_timeout, self.connect(endpoint));
        let stream = connecting.await.map_err(|_| HttpError::ConnectTimeout(self.connect_timeout))??;
        let exchanging = async {
            match stream {
                Connected::Plain(stream) => exchange(stream, endpoint, request, self.answer_max).await,
                Connected::Tls(stream) => exchange(*stream, endpoint, request, self.answer_max).await,
            }
        };
        timeout(self.answer_timeout, exchanging).await.map_err(|_| HttpError::AnswerTimeout(self.answer_timeout))?
    }

    async fn connect(&self, endpoint: &Endpoint) -> Result<Connected, HttpError> {
        let tls = if endpoint.tls { Some(self.tls().await?) } else { None };
        let stream = dial(endpoint).await?;
        let Some(tls) = tls else { return Ok(Connected::Plain(stream)) };
        match tls.connect(&endpoint.host, stream).await {
            Ok(stream) => Ok(Connected::Tls(Box::new(stream))),
            Err(error) => Err(TlsError::of(&error).cloned().map_or_else(|| broken(&error), HttpError::Tls)),
        }
    }

    async fn tls(&self) -> Result<&TlsClient, HttpError> {
        let make = || async {
            let config = self.tls.clone();
            let made = tokio::task::spawn_blocking(move || TlsClient::new(config)).await;
            let wrong = |error: &dyn std::error::Error| HttpError::NoTls(error.to_string());
            made.map_err(|error| wrong(&error))?.map_err(|error| wrong(&error))
        };
        self.made.get_or_try_init(make).await
    }
}

enum Connected {
    Plain(TcpStream),
    Tls(Box<milena_tls::TlsStream<TcpStream>>),
}

/// The first address that answers. What is not encrypted does not leave this machine, whatever a name is said to stand for.
async fn dial(endpoint: &Endpoint) -> Result<TcpStream, HttpError> {
    let stays = !endpoint.tls && !endpoint.plaintext;
    let found = tokio::net::lookup_host((endpoint.host.as_str(), endpoint.port)).await;
    let found = found.map_err(|error| HttpError::Unresolved(error.to_string()))?;
    let addresses: Vec<SocketAddr> = found.filter(|address| !stays || address.ip().is_loopback()).collect();
    if addresses.is_empty() {
        let why = if stays { "none on this machine, and it is http" } else { "none is known" };
        return Err(HttpError::Unresolved(why.to_owned()));
    }
    let stream = TcpStream::connect(&*addresses).await;
    stream.map_err(|error| HttpError::Unreachable(error.to_string()))
}

pub(crate) fn broken(error: &io::Error) -> HttpError {
    HttpError::Broken(error.to_string())
}
