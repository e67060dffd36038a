//! The side that is connected to: the embedded broker.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use crate::config::{Cryptography, TlsVersion};
use crate::error::{About, TlsConfigError};
use crate::fault::{Moment, explain};
use crate::identity::{Identity, Trust};
use crate::live::{Live, Recipe};
use crate::store::Piece;
use crate::stream::TlsStream;

/// How long a client that is refused may take to hear of it.
const FAREWELL: Duration = Duration::from_millis(500);

/// How a server does TLS.
#[derive(Clone, Debug)]
#[must_use = "settings do nothing until a server is made of them"]
pub struct TlsServerConfig {
    identity: Identity,
    clients: Clients,
    cryptography: Cryptography,
}

/// Kafka's `ssl.client.auth`.
#[derive(Clone, Debug)]
enum Clients {
    Anybody,
    Asked(Trust),
    Required(Trust),
}

impl TlsServerConfig {
    /// A server that shows `identity` and lets anybody in.
    pub fn new(identity: Identity) -> Self {
        Self { identity, clients: Clients::Anybody, cryptography: Cryptography::default() }
    }

    /// Asks clients for a certificate; one that is shown has to be trusted (`ssl.client.auth=requested`).
    pub fn ask_clients(mut self, trust: Trust) -> Self {
        self.clients = Clients::Asked(trust);
        self
    }

    /// Lets no client in without a trusted certificate (`ssl.client.auth=required`).
    pub fn require_clients(mut self, trust: Trust) -> Self {
        self.clients = Clients::Required(trust);
        self
    }

    /// The versions to accept. Default: 1.3 and 1.2.
    pub fn versions(mut self, versions: impl IntoIterator<Item = TlsVersion>) -> Self {
        self.cryptography.versions = versions.into_iter().collect();
        self
    }

    /// The cipher suites to accept, best first, by IANA's names. Default: all that the provider has.
    pub fn cipher_suites<S: Into<String>>(mut self, suites: impl IntoIterator<Item = S>) -> Self {
        self.cryptography.suites = suites.into_iter().map(Into::into).collect();
        self
    }

    fn trust(&self) -> Option<&Trust> {
        match &self.clients {
            Clients::Anybody => None,
            Clients::Asked(trust) | Clients::Required(trust) => Some(trust),
        }
    }
}

/// A server's half of TLS, ready to use. Clones share it. Its files are followed as a client's are.
#[derive(Clone)]
pub struct TlsServer {
    live: Arc<Live<TlsServerConfig>>,
}

impl TlsServer {
    /// Reads all stores.
    ///
    /// # Errors
    ///
    /// If one of them cannot be read or used, or there is no cryptography for this machine.
    pub fn new(config: TlsServerConfig) -> Result<Self, TlsConfigError> {
        Ok(Self { live: Arc::new(Live::new(config)?) })
    }

    /// Makes a connection that came in a secure one.
    ///
    /// # Errors
    ///
    /// What went wrong with the stream, or a [`TlsError`](milena_wire::TlsError) inside the error. The client has been told.
    pub async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let live = Arc::clone(&self.live);
        let config = tokio::task::spawn_blocking(move || live.current()).await.map_err(io::Error::other)?;
        match TlsAcceptor::from(config).accept(stream).into_fallible().await {
            Ok(stream) => Ok(TlsStream::new(stream, true)),
            Err((error, stream)) => {
                let _in_vain = tokio::time::timeout(FAREWELL, part(stream)).await;
                Err(explain(error, Moment { opening: true, has_identity: true }))
            }
        }
    }
}

/// Lets the client read why it is refused: a socket that is closed with unread bytes takes back what it has sent.
async fn part<S>(mut stream: S) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.shutdown().await?;
    let mut ignored = [0; 4096];
    while stream.read(&mut ignored).await? > 0 {}
    Ok(())
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TlsServer").field(self.live.recipe()).finish()
    }
}

impl Recipe for TlsServerConfig {
    type Made = rustls::ServerConfig;

    fn read(&self) -> Result<[Vec<Vec<Piece>>; 2], TlsConfigError> {
        Ok([self.trust().map_or(Ok(Vec::new()), Trust::read)?, self.identity.read()?])
    }

    fn make(&self, [trust, identity]: &[Vec<Vec<Piece>>; 2]) -> Result<rustls::ServerConfig, TlsConfigError> {
        let wrong = |about, error: &dyn fmt::Display| TlsConfigError::new(about, error.to_string());
        let provider = self.cryptography.provider()?;
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&self.cryptography.versions())
            .map_err(|error| wrong(About::Cryptography, &error))?;
        let builder = match self.trust() {
            None => builder.with_no_client_auth(),
            Some(from) => {
                let roots = Arc::new(from.parse(trust)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                let verifier = match self.clients {
                    Clients::Required(_) => verifier,
                    _ => verifier.allow_unauthenticated(),
                };
                builder.with_client_cert_verifier(verifier.build().map_err(|error| wrong(About::Trust, &error))?)
            }
        };
        let (chain, key) = self.identity.parse(identity)?;
        builder.with_single_cert(chain, key).map_err(|error| wrong(About::Identity, &error))
    }
}
