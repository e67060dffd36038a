//! What properties say about where tokens are asked for.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use milena_sasl::{Extensions, Refresh, Secret};

use super::jaas::Jaas;
use super::{Password, SaslMechanism};
use crate::security::TlsSettings;

/// The client credentials flow as properties have it. A field is `Some` only if it was set.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct OAuthSettings {
    /// `sasl.oauthbearer.token.endpoint.url`. It may hold a key.
    pub endpoint: Option<Secret>,
    /// `sasl.oauthbearer.client.credentials.client.id` or `sasl.oauthbearer.client.id`.
    pub client_id: Option<String>,
    /// `sasl.oauthbearer.client.credentials.client.secret`, `sasl.oauthbearer.client.secret` or `milena.sasl.client.secret.file`.
    pub client_secret: Option<Password>,
    /// `sasl.oauthbearer.scope`.
    pub scope: Option<String>,
    /// `sasl.oauthbearer.header.urlencode`.
    pub encoded: bool,
    /// `sasl.login.connect.timeout.ms`.
    pub connect_timeout: Option<Duration>,
    /// `sasl.login.read.timeout.ms`.
    pub read_timeout: Option<Duration>,
    /// `https.ca.location` or `https.ca.pem`: whom to believe.
    pub tls: TlsSettings,
    /// `milena.sasl.token.endpoint.plaintext`.
    pub plaintext: bool,
    /// `sasl.oauthbearer.method=oidc`.
    pub oidc: bool,
    /// `milena.sasl.aws.region`: tokens are made for Amazon MSK there.
    pub aws_region: Option<String>,
    /// `milena.sasl.aws.profile`.
    pub aws_profile: Option<String>,
}

const ENDPOINT: &str = "sasl.oauthbearer.token.endpoint.url";

impl OAuthSettings {
    /// Whether anything says that tokens are asked for.
    pub(crate) fn is_set(&self) -> bool {
        self.endpoint.is_some()
            || self.aws_region.is_some()
            || self.client_id.is_some()
            || self.client_secret.is_some()
            || self.oidc
    }

    /// Java's other meaning of the endpoint: a file.
    pub(super) fn file(&self) -> Option<PathBuf> {
        let path = self.endpoint.as_ref()?.expose_str()?.strip_prefix("file:")?;
        Some(path.strip_prefix("//").unwrap_or(path).into())
    }

    /// The mechanism that asks for tokens. Nothing is read yet.
    pub(super) fn mechanism(
        &self,
        jaas: Option<&Jaas>,
        extensions: Extensions,
        refresh: Refresh,
    ) -> Result<Arc<dyn SaslMechanism>, (&'static str, String)> {
        if let Some(region) = &self.aws_region {
            return self.msk_iam(region, extensions, refresh);
        }
        let Some(url) = self.endpoint.as_ref().and_then(Secret::expose_str) else {
            let problem = "is needed with OAUTHBEARER; or milena.sasl.token.file, milena.sasl.aws.region, or a token provider set in code (OAuthBearer::new)";
            return Err((ENDPOINT, problem.to_owned()));
        };
        let option = |name: &str| jaas.and_then(|jaas| jaas.text(name)).map(str::to_owned);
        let needed = |property, option| (property, format!("is needed, or {option} in sasl.jaas.config"));
        let id = self.client_id.clone().or_else(|| option("clientId")).filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| needed("sasl.oauthbearer.client.credentials.client.id", "clientId"))?;
        let secret =
            self.client_secret.clone().or_else(|| option("clientSecret").map(|secret| Secret::from(secret).into()));
        let secret =
            secret.ok_or_else(|| needed("sasl.oauthbearer.client.credentials.client.secret", "clientSecret"))?;
        let scope = self.scope.clone().or_else(|| option("scope")).filter(|scope| !scope.is_empty());
        let tls = self.trust(jaas)?;
        self.provide(Ask { url, id, secret, scope, extensions, tls, refresh })
    }

    /// Whom to believe; Java's login module says it in the words of the brokers' trust store.
    fn trust(&self, jaas: Option<&Jaas>) -> Result<TlsSettings, (&'static str, String)> {
        use crate::security::{Source, StoreType};
        let mut tls = self.tls.clone();
        let options = jaas.into_iter().flat_map(|jaas| &jaas.options);
        for (name, value) in options.filter(|(name, _)| name.starts_with("ssl.")) {
            let text = value.expose_str().unwrap_or_default();
            match name.as_str() {
                _ if self.tls.trust.is_some() => {}
                "ssl.truststore.location" => tls.trust = Some(Source::File(text.to_owned())),
                "ssl.truststore.certificates" => tls.trust = Some(Source::Text(value.clone())),
                "ssl.truststore.password" => tls.trust_password = Some(value.clone()),
                "ssl.truststore.type" => {
                    tls.trust_type = match text.to_ascii_uppercase().as_str() {
                        "PEM" => Some(StoreType::Pem),
                        "PKCS12" => Some(StoreType::Pkcs12),
                        _ => None, // it shows in the content
                    }
                }
                "ssl.protocol" | "ssl.enabled.protocols" => {}
                _ => {
                    let problem =
                        format!("has {name}, which is not read here: of ssl.… there is ssl.truststore.… alone");
                    return Err(("sasl.jaas.config", problem));
                }
            }
        }
        Ok(tls)
    }

    #[cfg(not(feature = "msk-iam"))]
    fn msk_iam(&self, _: &str, _: Extensions, _: Refresh) -> Result<Arc<dyn SaslMechanism>, (&'static str, String)> {
        Err(("milena.sasl.aws.region", "needs the feature `msk-iam`, which this build is without".to_owned()))
    }

    #[cfg(feature = "msk-iam")]
    fn msk_iam(
        &self,
        region: &str,
        extensions: Extensions,
        refresh: Refresh,
    ) -> Result<Arc<dyn SaslMechanism>, (&'static str, String)> {
        use super::{MskIam, OAuthBearer, TokenProvider};

        if self.endpoint.is_some() {
            return Err((ENDPOINT, "is set, and milena.sasl.aws.region too; leave one of them out".to_owned()));
        }
        let iam = MskIam::new(region);
        let iam = self.aws_profile.as_ref().map_or_else(|| iam.clone(), |profile| iam.clone().profile(profile));
        let token = move || {
            let (iam, extensions) = (iam.clone(), extensions.clone());
            async move { Ok(iam.token().await?.with_extensions(extensions)) }
        };
        Ok(Arc::new(OAuthBearer::with_refresh(token, refresh)))
    }

    #[cfg(not(feature = "oauth"))]
    fn provide(&self, ask: Ask<'_>) -> Result<Arc<dyn SaslMechanism>, (&'static str, String)> {
        drop(ask);
        Err((ENDPOINT, "needs the feature `oauth`, which this build is without".to_owned()))
    }

    #[cfg(feature = "oauth")]
    fn provide(&self, ask: Ask<'_>) -> Result<Arc<dyn SaslMechanism>, (&'static str, String)> {
        use super::{BadEndpoint, ClientCredentials, Endpoint, OAuthBearer};

        let parsed =
            if self.plaintext { Endpoint::dangerously_parse_plaintext(ask.url) } else { Endpoint::parse(ask.url) };
        let endpoint = parsed.map_err(|bad| match bad {
            BadEndpoint::Plaintext => (ENDPOINT, format!("{bad}, or set milena.sasl.token.endpoint.plaintext=true")),
            _ => (ENDPOINT, bad.to_string()),
        })?;
        let ten_seconds = Duration::from_secs(10);
        let mut credentials = ClientCredentials::new(endpoint, &ask.id, ask.secret)
            .encoded(self.encoded)
            .extensions(ask.extensions)
            .tls(ask.tls.config())
            .connect_timeout(self.connect_timeout.unwrap_or(ten_seconds))
            .read_timeout(self.read_timeout.unwrap_or(ten_seconds));
        if let Some(scope) = &ask.scope {
            credentials = credentials.scope(scope);
        }
        Ok(Arc::new(OAuthBearer::with_refresh(credentials, ask.refresh)))
    }
}

/// All there is to asking, put together.
#[cfg_attr(not(feature = "oauth"), allow(dead_code, reason = "nobody asks"))]
struct Ask<'a> {
    url: &'a str,
    id: String,
    secret: Password,
    scope: Option<String>,
    extensions: Extensions,
    tls: TlsSettings,
    refresh: Refresh,
}
