//! Tokens for Amazon MSK with IAM access control.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use milena_http::{Endpoint, HttpClient, HttpRequest};
use milena_pool::BoxFuture;
use milena_sasl::{AwsKeys, BearerToken, SaslError, Secret, msk_token};
use milena_tls::TlsConfig;
use serde_json::Value;

use super::TokenProvider;
use super::oauth::now;
use super::password::secret_of;

/// Tokens for Amazon MSK: OAUTHBEARER with a signed address, as AWS' own signers for other languages make it. To be used with TLS alone.
///
/// By default the access key is looked for anew for each token (every ten minutes or so), first found first used:
/// 1. the environment: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, if there is one, `AWS_SESSION_TOKEN`;
/// 2. the credentials file: `AWS_SHARED_CREDENTIALS_FILE` or `~/.aws/credentials`, the profile `AWS_PROFILE` or `default`;
/// 3. the container, on ECS and with EKS Pod Identity: `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` or `AWS_CONTAINER_CREDENTIALS_FULL_URI` with
///    `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE` or `AWS_CONTAINER_AUTHORIZATION_TOKEN`.
///
/// Other sources (an instance's own role, web identity, SSO, roles to assume) are a [`TokenProvider`] of one's own around
/// [`msk_token`].
#[derive(Clone)]
pub struct MskIam {
    region: String,
    keys: Option<AwsKeys>,
    profile: Option<String>,
    environment: Environment,
}

type Variables = dyn Fn(&str) -> Option<String> + Send + Sync;

/// The variables that count, so that tests need not change those of the process.
#[derive(Clone)]
struct Environment(Arc<Variables>);

impl Environment {
    fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.is_empty())
    }
}

impl MskIam {
    /// For the brokers in `region`, such as `eu-west-1`.
    #[must_use]
    pub fn new(region: &str) -> Self {
        let environment = Environment(Arc::new(|name| std::env::var(name).ok()));
        Self { region: region.to_owned(), keys: None, profile: None, environment }
    }

    /// By this access key, wherever else there is one.
    #[must_use]
    pub fn keys(self, keys: AwsKeys) -> Self {
        Self { keys: Some(keys), ..self }
    }

    /// By this profile of the credentials file alone.
    #[must_use]
    pub fn profile(self, profile: &str) -> Self {
        Self { profile: Some(profile.to_owned()), ..self }
    }

    async fn ask(&self) -> Result<BearerToken, SaslError> {
        msk_token(&self.find().await?, &self.region, now())
    }

    async fn find(&self) -> Result<AwsKeys, SaslError> {
        if let Some(keys) = &self.keys {
            return Ok(keys.clone());
        }
        if let (None, Some(keys)) = (&self.profile, self.in_environment()) {
            return Ok(keys);
        }
        let this = self.clone();
        let read = tokio::task::spawn_blocking(move || this.in_file()).await;
        if let Some(keys) = read.map_err(|error| SaslError::no_credentials(error.to_string()))?? {
            return Ok(keys);
        }
        if let (None, Some(keys)) = (&self.profile, self.in_container().await?) {
            return Ok(keys);
        }
        Err(SaslError::no_credentials(match &self.profile {
            Some(profile) => format!("the credentials file of AWS has no keys in profile {profile}"),
            None => "no access key of AWS is in the environment, the credentials file or the container".to_owned(),
        }))
    }

    fn in_environment(&self) -> Option<AwsKeys> {
        let get = |name| self.environment.get(name);
        Some(AwsKeys {
            id: get("AWS_ACCESS_KEY_ID")?,
            secret: get("AWS_SECRET_ACCESS_KEY")?.into(),
            session: get("AWS_SESSION_TOKEN").map(Secret::from),
            expires_ms: None,
        })
    }

    /// Blocks.
    fn in_file(&self) -> Result<Option<AwsKeys>, SaslError> {
        let get = |name| self.environment.get(name);
        let home = || Some(Path::new(&get("HOME").or_else(|| get("USERPROFILE"))?).join(".aws").join("credentials"));
        let Some(path) = get("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from).or_else(home) else { return Ok(None) };
        if !path.exists() {
            return Ok(None);
        }
        let text = secret_of(&path)?;
        let profile = self.profile.clone().or_else(|| get("AWS_PROFILE")).unwrap_or_else(|| "default".to_owned());
        Ok(profile_of(text.expose_str().unwrap_or_default(), &profile))
    }

    async fn in_container(&self) -> Result<Option<AwsKeys>, SaslError> {
        let get = |name| self.environment.get(name);
        let url = match get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
            Some(path) => format!("http://169.254.170.2{path}"),
            None => match get("AWS_CONTAINER_CREDENTIALS_FULL_URI") {
                Some(url) => url,
                None => return Ok(None),
            },
        };
        let wrong = |what: String| SaslError::no_credentials(format!("the container's credentials of AWS: {what}"));
        // Addresses that never leave the host are all that is asked without TLS, as AWS' own libraries have it.
        let agents = ["http://169.254.170.2/", "http://169.254.170.23/", "http://[fd00:ec2::23]/"];
        let near = agents.iter().any(|agent| url.starts_with(agent));
        let endpoint = if near { Endpoint::dangerously_parse_plaintext(&url) } else { Endpoint::parse(&url) };
        let endpoint = endpoint.map_err(|bad| wrong(format!("the address {bad}")))?;
        let mut request = HttpRequest::get();
        if let Some(path) = get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
            let read = tokio::task::spawn_blocking(move || secret_of(&PathBuf::from(path))).await;
            request = request.header("authorization", read.map_err(|error| wrong(error.to_string()))??);
        } else if let Some(token) = get("AWS_CONTAINER_AUTHORIZATION_TOKEN") {
            request = request.header("authorization", token);
        }
        let answer = HttpClient::new(TlsConfig::new()).send(&endpoint, request).await;
        let answer = answer.map_err(|error| wrong(format!("{endpoint} {error}")))?;
        if answer.status != 200 {
            return Err(wrong(format!("{endpoint} answers with status {}", answer.status)));
        }
        keys_of(answer.body.expose()).map(Some).ok_or_else(|| wrong(format!("{endpoint} answers with no keys")))
    }
}

/// A profile's keys in the text of a credentials file.
fn profile_of(text: &str, profile: &str) -> Option<AwsKeys> {
    let mut inside = false;
    let mut found = BTreeMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = name.trim() == profile;
        } else if let (true, Some((name, value))) = (inside, line.split_once('=')) {
            found.insert(name.trim(), value.trim());
        }
    }
    Some(AwsKeys {
        id: (*found.get("aws_access_key_id")?).to_owned(),
        secret: (*found.get("aws_secret_access_key")?).into(),
        session: found.get("aws_session_token").map(|session| Secret::from(*session)),
        expires_ms: None,
    })
}

/// The keys in a container's answer. When they end is not read: they are asked for again with each token, and a token whose keys have ended is replaced once a broker
/// refuses it.
fn keys_of(answer: &[u8]) -> Option<AwsKeys> {
    let mut answer: Value = serde_json::from_slice(answer).ok()?;
    let mut take = |name| match answer.get_mut(name).map(Value::take) {
        Some(Value::String(text)) => Some(Secret::from(text)),
        _ => None,
    };
    Some(AwsKeys {
        id: take("AccessKeyId")?.expose_str()?.to_owned(),
        secret: take("SecretAccessKey")?,
        session: take("Token"),
        expires_ms: None,
    })
}

impl TokenProvider for MskIam {
    fn token(&self) -> BoxFuture<Result<BearerToken, SaslError>> {
        let this = self.clone();
        Box::pin(async move { this.ask().await })
    }
}

impl fmt::Debug for MskIam {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MskIam").field("region", &self.region).field("profile", &self.profile).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn with(variables: &[(&str, &str)]) -> MskIam {
        let variables: BTreeMap<String, String> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let environment = Environment(Arc::new(move |name| variables.get(name).cloned()));
        MskIam { environment, ..MskIam::new("eu-west-1") }
    }

    async fn found(iam: &MskIam) -> String {
        let keys = iam.find().await.unwrap();
        let shown = |secret: &Secret| secret.expose_str().unwrap().to_owned();
        format!("{} {} {}", keys.id, shown(&keys.secret), keys.session.as_ref().map(shown).unwrap_or_default())
    }

    #[tokio::test]
    async fn keys_come_from_code_the_environment_and_the_file_in_this_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credentials");
        let text = "# mine\n[default]\naws_access_key_id = FILE\naws_secret_access_key=f1le\n\n[ other ]\n\
                    aws_access_key_id=OTHER\naws_secret_access_key=o/th=r\naws_session_token=s\n[half]\naws_access_key_id=HALF\n";
        std::fs::write(&path, text).unwrap();
        let file = ("AWS_SHARED_CREDENTIALS_FILE", path.to_str().unwrap());
        let environment = [("AWS_ACCESS_KEY_ID", "ENV"), ("AWS_SECRET_ACCESS_KEY", "3nv"), file];
        assert_eq!(found(&with(&environment)).await, "ENV 3nv ");
        assert_eq!(found(&with(&environment).profile("other")).await, "OTHER o/th=r s");
        assert_eq!(found(&with(&[file])).await, "FILE f1le ");
        assert_eq!(found(&with(&[file, ("AWS_PROFILE", "other")])).await, "OTHER o/th=r s");
        let keys = AwsKeys { id: "CODE".to_owned(), secret: "c0de".into(), session: None, expires_ms: None };
        assert_eq!(found(&with(&environment).keys(keys)).await, "CODE c0de ");
        for nobody in [with(&[]), with(&[file]).profile("half"), with(&[file]).profile("none")] {
            assert!(nobody.find().await.is_err());
        }
        assert!(with(&environment).token().await.unwrap().expires_ms().is_some());
        assert!(!format!("{:?}", with(&environment)).contains("3nv"));
    }

    #[tokio::test]
    async fn a_container_is_asked_with_its_token_and_nobody_else_without_tls() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let served = tokio::spawn(async move {
            let mut requests = String::new();
            for body in [r#"{"AccessKeyId":"C","SecretAccessKey":"c0nt","Token":"t"}"#, "{}"] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    stream.read_buf(&mut request).await.unwrap();
                }
                requests += &String::from_utf8(request).unwrap();
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            requests
        });
        let variables =
            [("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*url), ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "let-me-in")];
        assert_eq!(found(&with(&variables)).await, "C c0nt t");
        let error = with(&variables).find().await.unwrap_err();
        assert!(error.detail.contains("no keys") && !error.detail.contains("let-me-in"), "{error}");
        assert!(served.await.unwrap().contains("authorization: let-me-in\r\n"));
        for far in ["http://169.254.170.2.example/", "http://example/", "http://169.254.170.2@example/"] {
            let error = with(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", far)]).find().await.unwrap_err();
            assert!(error.detail.contains("the address"), "{far}: {error}");
        }
    }
}
