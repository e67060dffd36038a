//! What properties say about SASL.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64ct::{Base64UrlUnpadded, Encoding};
use milena_sasl::{BearerToken, Extensions, Refresh, SaslError, ScramHash, Secret};

use super::jaas::Jaas;
use super::{OAuthBearer, OAuthSettings, Password, Plain, SaslMechanism, Scram, TokenFile};

/// SASL as properties have it, in Java's and librdkafka's words. A field is `Some` only if it was set.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SaslSettings {
    /// `sasl.mechanism`.
    pub mechanism: Option<String>,
    /// `sasl.jaas.config`.
    pub jaas: Option<Secret>,
    /// `sasl.username`.
    pub username: Option<String>,
    /// `sasl.password`, `milena.sasl.password.file` or `milena.sasl.password.env`.
    pub password: Option<Password>,
    /// `milena.sasl.token.file`.
    pub token_file: Option<PathBuf>,
    /// `sasl.oauthbearer.extensions`, or options of the login module.
    pub extensions: Option<Extensions>,
    /// `sasl.oauthbearer.token.endpoint.url` and what belongs to it.
    pub oauth: OAuthSettings,
    /// `enable.sasl.oauthbearer.unsecure.jwt`.
    pub unsecured: bool,
    /// `sasl.login.refresh.*` and `sasl.login.retry.*`.
    pub refresh: Refresh,
}

const PLAIN: &str = "PlainLoginModule";
const SCRAM: &str = "ScramLoginModule";
const BEARER: &str = "OAuthBearerLoginModule";

impl SaslSettings {
    /// The mechanism that is meant. No file is read yet.
    ///
    /// # Errors
    ///
    /// What is missing or does not fit, with the property to blame.
    pub fn mechanism(&self) -> Result<Arc<dyn SaslMechanism>, (&'static str, String)> {
        let Some(name) = self.mechanism.as_deref() else {
            let problem =
                "is needed with SASL; there are PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and OAUTHBEARER".to_owned();
            return Err(("sasl.mechanism", problem));
        };
        match (name, ScramHash::named(name)) {
            ("PLAIN", _) => {
                let (user, password, _) = self.user(PLAIN)?;
                Ok(Arc::new(Plain::new(&user, password)))
            }
            (_, Some(hash)) => Ok(match self.user(SCRAM)? {
                (user, password, true) => Arc::new(Scram::delegation_token(hash, &user, password)),
                (user, password, false) => Arc::new(Scram::new(hash, &user, password)),
            }),
            ("OAUTHBEARER", _) => self.bearer(),
            ("GSSAPI", _) => Err((
                "sasl.mechanism",
                "GSSAPI needs a C library, which this client does without: plug one in with SaslMechanism".to_owned(),
            )),
            _ => Err((
                "sasl.mechanism",
                "is none that is known here; there are PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and OAUTHBEARER".to_owned(),
            )),
        }
    }

    fn login(&self, module: &str) -> Result<Option<Jaas>, (&'static str, String)> {
        let Some(text) = &self.jaas else { return Ok(None) };
        let jaas = Jaas::parse(text.expose_str().unwrap_or_default());
        let jaas = jaas.map_err(|problem| ("sasl.jaas.config", problem.to_owned()))?;
        if jaas.module == module {
            return Ok(Some(jaas));
        }
        Err(("sasl.jaas.config", format!("is not for the mechanism in force, which needs {module}")))
    }

    /// User, password, and whether they are a delegation token's.
    fn user(&self, module: &str) -> Result<(String, Password, bool), (&'static str, String)> {
        let jaas = self.login(module)?;
        let option = |name: &str| jaas.as_ref().and_then(|jaas| jaas.text(name));
        let given = option("username").map(str::to_owned);
        let user = self.username.clone().or(given).filter(|user| !user.is_empty());
        let user =
            user.ok_or_else(|| ("sasl.username", "is needed, or the username in sasl.jaas.config".to_owned()))?;
        let given = option("password").map(Password::from);
        let password = self.password.clone().or(given).ok_or_else(|| ("sasl.password", "is needed, or milena.sasl.password.file, milena.sasl.password.env, or the password in sasl.jaas.config".to_owned()))?;
        Ok((user, password, option("tokenauth") == Some("true")))
    }

    fn bearer(&self) -> Result<Arc<dyn SaslMechanism>, (&'static str, String)> {
        let jaas = self.login(BEARER)?;
        let extensions = self.extensions(jaas.as_ref())?;
        if let Some(path) = self.token_file.clone().or_else(|| self.oauth.file()) {
            let provider = TokenFile(path);
            let token = move || {
                let (provider, extensions) = (provider.clone(), extensions.clone());
                async move { Ok(super::TokenProvider::token(&provider).await?.with_extensions(extensions)) }
            };
            return Ok(Arc::new(OAuthBearer::with_refresh(token, self.refresh)));
        }
        let subject = jaas.as_ref().and_then(|jaas| jaas.text("unsecuredLoginStringClaim_sub")).map(str::to_owned);
        if let Some(subject) = subject.or_else(|| self.unsecured.then(|| self.username.clone().unwrap_or_default())) {
            let token = move || {
                let token = unsecured(&subject).map(|token| token.with_extensions(extensions.clone()));
                async move { token }
            };
            return Ok(Arc::new(OAuthBearer::with_refresh(token, self.refresh)));
        }
        self.oauth.mechanism(jaas.as_ref(), extensions, self.refresh)
    }

    /// A property wins over the login module's options.
    fn extensions(&self, jaas: Option<&Jaas>) -> Result<Extensions, (&'static str, String)> {
        if let Some(extensions) = &self.extensions {
            return Ok(extensions.clone());
        }
        let options = jaas.into_iter().flat_map(|jaas| &jaas.options);
        let given = options.filter_map(|(name, value)| Some((name.strip_prefix("extension_")?, value.expose_str()?)));
        Extensions::new(given).map_err(|error| ("sasl.jaas.config", error.detail))
    }
}

/// A token that nobody signed, as Java makes it for tests: valid for an hour.
fn unsecured(subject: &str) -> Result<BearerToken, SaslError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let claims = serde_json::json!({ "sub": subject, "iat": now, "exp": now + 3600 }).to_string();
    let part = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
    BearerToken::new(format!("{}.{}.", part(r#"{"alg":"none"}"#), part(&claims)))
}
