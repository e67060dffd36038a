//! The side that connects.

use std::fmt;
use std::io;
use std::sync::Arc;

use milena_wire::{TlsError, TlsFault};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use crate::any_name::AnyName;
use crate::config::{Cryptography, TlsVersion};
use crate::error::{About, TlsConfigError};
use crate::fault::{Moment, explain};
use crate::identity::{Identity, Trust};
use crate::live::{Live, Recipe};
use crate::store::Piece;
use crate::stream::TlsStream;

/// How a client does TLS. By default: TLS 1.3 or 1.2, the system's trusted certificates, no certificate of its own, names
/// checked.
#[derive(Clone, Debug)]
#[must_use = "settings do nothing until a client is made of them"]
pub struct TlsConfig {
    trust: Trust,
    identity: Option<Identity>,
    any_name: bool,
    cryptography: Cryptography,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self { trust: Trust::System, identity: None, any_name: false, cryptography: Cryptography::default() }
    }
}

impl TlsConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whose certificates are believed. Default: the system's.
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    /// What this client shows a server that asks who it is. Default: nothing.
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// The versions to offer. Default: 1.3 and 1.2.
    pub fn versions(mut self, versions: impl IntoIterator<Item = TlsVersion>) -> Self {
        self.cryptography.versions = versions.into_iter().collect();
        self
    }

    /// The cipher suites to offer, best first, by IANA's names. Default: all that the provider has.
    pub fn cipher_suites<S: Into<String>>(mut self, suites: impl IntoIterator<Item = S>) -> Self {
        self.cryptography.suites = suites.into_iter().map(Into::into).collect();
        self
    }

    /// Cryptography of one's own. Default: [`default_provider`](crate::default_provider).
    pub fn provider(mut self, provider: Arc<CryptoProvider>) -> Self {
        self.cryptography.provider = Some(provider);
        self
    }

    /// Accepts a trusted certificate whatever host it is for, so that every server that any trusted issuer ever certified can pretend
    /// to be the broker.
    pub fn dangerously_accept_any_host_name(mut self) -> Self {
        self.any_name = true;
        self
    }
}

/// A client's half of TLS, ready to use. Clones share it.
///
/// Its files are read again for every connection; if they have changed, this connection and later ones use the new content.
#[derive(Clone)]
pub struct TlsClient {
    live: Arc<Live<TlsConfig>>,
}

impl TlsClient {
    /// Reads all stores.
    ///
    /// # Errors
    ///
    /// If one of them cannot be read or used, or there is no cryptography for this machine.
    pub fn new(config: TlsConfig) -> Result<Self, TlsConfigError> {
        Ok(Self { live: Arc::new(Live::new(config)?) })
    }

    /// Makes a connection to `host` a secure one.
    ///
    /// # Errors
    ///
    /// What went wrong with the stream, or a [`TlsError`] inside the error.
    pub async fn connect<S>(&self, host: &str, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        // Without the zone, which is this machine's own business.
        let bare = host.split_once('%').map_or(host, |(address, _)| address);
        let name = ServerName::try_from(bare.to_owned()).map_err(|_| {
            TlsError::new(TlsFault::WrongName, format!("{host} is no name that a certificate could be for"))
        })?;
        let live = Arc::clone(&self.live);
        // A file can be on a slow disk, and opening a store is slow on purpose.
        let config = tokio::task::spawn_blocking(move || live.current()).await.map_err(io::Error::other)?;
        let has_identity = self.live.recipe().identity.is_some();
        match TlsConnector::from(config).connect(name, stream).await {
            Ok(stream) => Ok(TlsStream::new(stream, has_identity)),
            Err(error) => Err(explain(error, Moment { opening: true, has_identity })),
        }
    }
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TlsClient").field(self.live.recipe()).finish()
    }
}

impl Recipe for TlsConfig {
    type Made = rustls::ClientConfig;

    fn read(&self) -> Result<[Vec<Vec<Piece>>; 2], TlsConfigError> {
        let identity = self.identity.as_ref().map_or(Ok(Vec::new()), Identity::read)?;
        Ok([self.trust.read()?, identity])
    }

    fn make(&self, [trust, identity]: &[Vec<Vec<Piece>>; 2]) -> Result<rustls::ClientConfig, TlsConfigError> {
        let wrong = |about, error: &dyn fmt::Display| TlsConfigError::new(about, error.to_string());
        let provider = self.cryptography.provider()?;
        let roots = Arc::new(self.trust.parse(trust)?);
        let verifier: Arc<dyn ServerCertVerifier> =
            WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
                .build()
                .map_err(|error| wrong(About::Trust, &error))?;
        let verifier = if self.any_name { Arc::new(AnyName::new(verifier)) } else { verifier };
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.cryptography.versions())
            .map_err(|error| wrong(About::Cryptography, &error))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        match &self.identity {
            None => Ok(builder.with_no_client_auth()),
            Some(own) => {
                let (chain, key) = own.parse(identity)?;
                builder.with_client_auth_cert(chain, key).map_err(|error| wrong(About::Identity, &error))
            }
        }
    }
}
