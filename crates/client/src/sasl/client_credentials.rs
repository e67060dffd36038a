//! Tokens from an endpoint that knows this client by name and password.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use milena_http::{Endpoint, HttpClient, HttpRequest};
use milena_pool::BoxFuture;
use milena_sasl::{BearerToken, ClientGrant, Extensions, SaslError};
use milena_tls::TlsConfig;

use super::oauth::{PATIENCE, now};
use super::{Password, TokenProvider};

/// The client credentials flow (RFC 6749, section 4.4; KIP-768): asks an endpoint for a token over HTTPS, by name and password.
///
/// Give it to [`OAuthBearer`](super::OAuthBearer), which asks before the token in force expires, for one at a time, and with backoff after a
/// failure. Redirects are not followed and proxies not used. An endpoint that refuses this client is
/// [`IssuerRefused`](milena_sasl::SaslErrorKind::IssuerRefused); one that is away, overloaded or confused is
/// [`NoCredentials`](milena_sasl::SaslErrorKind::NoCredentials). Errors name the endpoint, its status and what it says is wrong; never the
/// password, even if the endpoint says it back.
#[derive(Clone)]
pub struct ClientCredentials {
    endpoint: Endpoint,
    id: String,
    secret: Password,
    scope: Option<String>,
    encoded: bool,
    extensions: Extensions,
    tls: TlsConfig,
    connect_timeout: Duration,
    read_timeout: Duration,
    /// Made when the first token is asked for.
    http: Arc<tokio::sync::OnceCell<HttpClient>>,
}

impl ClientCredentials {
    /// Asks `endpoint`, as the client `id` with the password `secret`.
    #[must_use]
    pub fn new(endpoint: Endpoint, id: &str, secret: impl Into<Password>) -> Self {
        let ten_seconds = Duration::from_secs(10);
        Self {
            endpoint,
            id: id.to_owned(),
            secret: secret.into(),
            scope: None,
            encoded: false,
            extensions: Extensions::default(),
            tls: TlsConfig::new(),
            connect_timeout: ten_seconds,
            read_timeout: ten_seconds,
            http: Arc::default(),
        }
    }

    /// What the token shall allow, separated by spaces. Default: what the endpoint makes of nothing.
    #[must_use]
    pub fn scope(mut self, scope: &str) -> Self {
        self.scope = Some(scope.to_owned());
        self
    }

    /// Encodes name and password as RFC 6749 has it, as Kafka's clients do not. It matters with unusual characters alone. Default: false.
    #[must_use]
    pub fn encoded(mut self, encoded: bool) -> Self {
        self.encoded = encoded;
        self
    }

    /// What goes to the broker beside the token. Default: nothing.
    #[must_use]
    pub fn extensions(mut self, extensions: Extensions) -> Self {
        self.extensions = extensions;
        self
    }

    /// Whom to believe that they are the endpoint, and how TLS is done. Default: whom the operating system believes.
    #[must_use]
    pub fn tls(mut self, tls: TlsConfig) -> Self {
        self.tls = tls;
        self.http = Arc::default();
        self
    }

    /// How long it may take to connect, TLS included. Default: 10 s.
    #[must_use]
    pub fn connect_timeout(mut self, connect_timeout: Duration) -> Self {
        self.connect_timeout = connect_timeout;
        self.http = Arc::default();
        self
    }

    /// How long the whole answer may take from there. Default: 10 s.
    #[must_use]
    pub fn read_timeout(mut self, read_timeout: Duration) -> Self {
        self.read_timeout = read_timeout;
        self.http = Arc::default();
        self
    }

    async fn ask(&self) -> Result<BearerToken, SaslError> {
        let wrong = |what: String| SaslError::no_credentials(format!("{}: {what}", self.endpoint));
        let secret = self.secret.clone();
        let secret =
            tokio::task::spawn_blocking(move || secret.read()).await.map_err(|error| wrong(error.to_string()))??;
        let grant = ClientGrant { id: self.id.clone(), secret, scope: self.scope.clone(), encoded: self.encoded };
        let request = HttpRequest::post("application/x-www-form-urlencoded", grant.body())
            .header("authorization", grant.authorization());
        let http = self.http.get_or_init(|| async {
            let (connect, read) = (self.connect_timeout, self.read_timeout);
            HttpClient::new(self.tls.clone()).connect_timeout(connect).answer_timeout(read)
        });
        let answer = http.await.send(&self.endpoint, request).await.map_err(|error| wrong(error.to_string()))?;
        if (300..400).contains(&answer.status) {
            let to = grant.without_secret(answer.location.as_deref().unwrap_or("nowhere"));
            return Err(wrong(format!("answers with status {}, to go to {to}, which is not done", answer.status)));
        }
        let token = grant.token(answer.status, answer.body.expose(), now());
        let token =
            token.map_err(|error| SaslError::new(error.kind, format!("{}: {}", self.endpoint, error.detail)))?;
        Ok(token.with_extensions(self.extensions.clone()))
    }
}

impl TokenProvider for ClientCredentials {
    fn token(&self) -> BoxFuture<Result<BearerToken, SaslError>> {
        let this = self.clone();
        Box::pin(async move { this.ask().await })
    }

    fn patience(&self) -> Duration {
        PATIENCE.max(self.connect_timeout.saturating_add(self.read_timeout).saturating_mul(2))
    }
}

impl fmt::Debug for ClientCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCredentials")
            .field("endpoint", &self.endpoint)
            .field("id", &self.id)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}
