use std::sync::Arc;
use std::time::Duration;

use milena_cluster::{ConnId, Input, SaslOrder};
use tokio::sync::watch;

use super::*;

const PEER: fn() -> SaslPeer = || SaslPeer { host: "kafka".to_owned(), port: 9092 };

fn settings(mechanism: &str) -> SaslSettings {
    SaslSettings { mechanism: Some(mechanism.to_owned()), ..SaslSettings::default() }
}

async fn first(mechanism: &dyn SaslMechanism) -> Vec<u8> {
    match mechanism.start(PEER()).await.unwrap().step(b"").unwrap() {
        SaslStep::Send(bytes) => bytes.to_vec(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_mechanism_comes_from_its_properties_or_from_javas_login_module() {
    let module = |name: &str| format!(r#"org.apache.kafka.{name} required username="alice" password="pen=cil";"#);
    let mut plain = settings("PLAIN");
    plain.jaas = Some(module("PlainLoginModule").into());
    assert_eq!(first(&*plain.mechanism().unwrap()).await, b"\0alice\0pen=cil");
    plain.password = Some("other".into());
    assert_eq!(first(&*plain.mechanism().unwrap()).await, b"\0alice\0other", "a property wins");
    let mut scram = settings("SCRAM-SHA-512");
    scram.username = Some("bob".to_owned());
    scram.password = Some("x".into());
    let mechanism = scram.mechanism().unwrap();
    assert_eq!(mechanism.name(), "SCRAM-SHA-512");
    let (one, two) = (first(&*mechanism).await, first(&*mechanism).await);
    assert!(one.starts_with(b"n,,n=bob,r=") && one != two, "a nonce is used once");
    scram.jaas = Some(r#"ScramLoginModule required username="id" password="hmac" tokenauth="true";"#.into());
    scram.username = None;
    assert!(first(&*scram.mechanism().unwrap()).await.ends_with(b",tokenauth=true"));
    let mut bearer = settings("OAUTHBEARER");
    bearer.jaas = Some(r#"OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="carol";"#.into());
    bearer.extensions = Some(Extensions::new([("traceId", "7")]).unwrap());
    let said = String::from_utf8(first(&*bearer.mechanism().unwrap()).await).unwrap();
    assert!(said.starts_with("n,,\u{1}auth=Bearer ey") && said.ends_with("\u{1}traceId=7\u{1}\u{1}"), "{said:?}");
}

#[test]
fn what_is_missing_is_named_and_nothing_of_the_rest_is_shown() {
    let mut other = settings("PLAIN");
    other.jaas = Some(r#"ScramLoginModule required username="alice" password="hunter2";"#.into());
    let mut nobody = settings("SCRAM-SHA-256");
    nobody.password = Some("hunter2".into());
    for (settings, property) in [
        (SaslSettings::default(), "sasl.mechanism"),
        (settings("GSSAPI"), "sasl.mechanism"),
        (settings("plain"), "sasl.mechanism"),
        (settings("OAUTHBEARER"), "sasl.oauthbearer.token.endpoint.url"),
        (settings("PLAIN"), "sasl.username"),
        (nobody, "sasl.username"),
        (other, "sasl.jaas.config"),
    ] {
        assert!(!format!("{settings:?}").contains("hunter2"));
        let (blamed, problem) = settings.mechanism().unwrap_err();
        assert_eq!(blamed, property, "{problem}");
        assert!(!problem.contains("hunter2"));
    }
}

#[tokio::test]
async fn a_password_in_a_file_is_read_anew_each_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("password");
    let plain = Plain::new("alice", Password::File(path.clone()));
    let error = plain.start(PEER()).await.unwrap().step(b"").unwrap_err();
    assert_eq!(error.kind, SaslErrorKind::NoCredentials);
    for (text, password) in [("one\n", "one"), (" two \r\n", " two ")] {
        std::fs::write(&path, text).unwrap();
        assert_eq!(first(&plain).await, format!("\0alice\0{password}").as_bytes());
    }
    std::fs::write(&path, "\n").unwrap();
    assert!(plain.start(PEER()).await.unwrap().step(b"").is_err());
}

#[tokio::test]
async fn the_other_form_of_an_unusual_password_is_tried_after_a_refusal() {
    // U+00AD is nothing in the prepared form; Kafka's tools keep it.
    let scram = Scram::new(ScramHash::Sha256, "a\u{ad}", "x");
    let mut forms = Vec::new();
    for _ in 0..3 {
        forms.push(first(&scram).await.starts_with(b"n,,n=a,"));
    }
    assert_eq!(forms, [true, false, true]);
    let usual = Scram::new(ScramHash::Sha256, "a", "x");
    for _ in 0..2 {
        assert!(first(&usual).await.starts_with(b"n,,n=a,"));
    }
}

/// Tokens, and how many of them were asked for: closed once nobody can ask any more.
fn counted(lifetime_ms: i64) -> (watch::Receiver<u32>, impl TokenProvider) {
    let (count, calls) = watch::channel(0);
    let provider = move || {
        let call = *count.borrow();
        count.send_replace(call + 1);
        async move {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
            Ok(BearerToken::new(format!("token-{call}"))?.expires_at(i64::try_from(now).unwrap() + lifetime_ms))
        }
    };
    (calls, provider)
}

#[tokio::test]
async fn one_token_serves_many_connections_and_is_fetched_once() {
    let (calls, provider) = counted(3_600_000);
    let bearer = OAuthBearer::new(provider);
    let starts: Vec<_> = (0..20).map(|_| tokio::spawn(bearer.start(PEER()))).collect();
    for start in starts {
        assert!(start.await.unwrap().is_ok());
    }
    assert_eq!(*calls.borrow(), 1);
}

#[tokio::test]
async fn row_023_a_token_is_replaced_though_nobody_asks_and_no_more_once_nobody_can() {
    let (mut calls, provider) = counted(200);
    let bearer = OAuthBearer::new(provider);
    first(&bearer).await;
    calls.wait_for(|calls| *calls >= 3).await.unwrap();
    drop(bearer);
    calls.wait_for(|_| false).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_never_answers_is_asked_again() {
    let (calls, counted) = counted(3_600_000);
    let hangs = calls.clone();
    let provider = move || {
        let first = *hangs.borrow() == 0;
        let token = counted.token();
        async move { if first { std::future::pending().await } else { token.await } }
    };
    let mut refresh = Refresh::default();
    refresh.retry_backoff = Duration::ZERO;
    let bearer = OAuthBearer::with_refresh(provider, refresh);
    assert!(bearer.start(PEER()).await.is_ok());
    assert_eq!(*calls.borrow(), 2);
}

/// As many as are asked for, each as soon as somebody needs it.
fn counted_at_once() -> (watch::Receiver<u32>, OAuthBearer) {
    let (calls, provider) = counted(3_600_000);
    let mut refresh = Refresh::default();
    refresh.retry_backoff = Duration::ZERO;
    (calls, OAuthBearer::with_refresh(provider, refresh))
}

#[tokio::test]
async fn a_token_that_was_refused_is_not_shown_again() {
    let (calls, bearer) = counted_at_once();
    let mut exchange = bearer.start(PEER()).await.unwrap();
    exchange.step(b"").unwrap();
    assert!(matches!(exchange.step(b"{}").unwrap(), SaslStep::GiveUp { .. }));
    assert!(bearer.start(PEER()).await.is_ok());
    assert_eq!(*calls.borrow(), 2);
}

#[tokio::test]
async fn a_broker_that_accepts_a_token_ends_the_wait_that_refusals_made_longer() {
    let (calls, provider) = counted(3_600_000);
    let mut refresh = Refresh::default();
    (refresh.retry_backoff, refresh.retry_backoff_max) = (Duration::from_millis(1), Duration::from_secs(3_600));
    let bearer = OAuthBearer::with_refresh(provider, refresh);
    let rounds = async {
        while *calls.borrow() < 25 {
            let Ok(mut accepted) = bearer.start(PEER()).await else {
                tokio::task::yield_now().await;
                continue;
            };
            accepted.step(b"").unwrap();
            assert_eq!(accepted.step(b"").unwrap(), SaslStep::Done);
            let mut refused = bearer.start(PEER()).await.unwrap();
            refused.step(b"").unwrap();
            refused.refused(&SaslError::new(SaslErrorKind::TokenRefused, "revoked"));
        }
    };
    // Else it would be a minute before the 16th alone.
    tokio::time::timeout(Duration::from_secs(30), rounds).await.unwrap();
}

#[tokio::test]
async fn a_token_that_was_refused_by_an_error_is_not_shown_again_either() {
    let (calls, bearer) = counted_at_once();
    let mut authenticator = Authenticator::new(Some(Arc::new(bearer.clone())));
    let SaslPeer { host, port } = PEER();
    authenticator.order(ConnId(1), SaslOrder::Begin { host, port });
    assert!(matches!(authenticator.next().await, Input::Authenticate { step: Ok(SaslStep::Send(_)), .. }));
    authenticator
        .order(ConnId(1), SaslOrder::Refused { error: SaslError::new(SaslErrorKind::TokenRefused, "revoked") });
    authenticator.forget(ConnId(1));
    let asked_again = async {
        while *calls.borrow() < 2 {
            assert!(bearer.start(PEER()).await.is_ok());
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), asked_again).await.unwrap();
}

#[cfg(feature = "oauth")]
mod client_credentials {
    use super::*;

    fn asking(url: &str) -> SaslSettings {
        let mut settings = settings("OAUTHBEARER");
        settings.oauth.endpoint = Some(url.into());
        settings.oauth.client_id = Some("kafka-1".to_owned());
        settings.oauth.client_secret = Some("hunter2".into());
        settings
    }

    #[test]
    fn an_address_that_gives_secrets_away_is_refused_and_what_is_missing_is_named() {
        assert!(asking("https://idp.example/token").mechanism().is_ok());
        assert!(asking("http://localhost:8080/token").mechanism().is_ok());
        for (url, told) in [
            ("http://idp.example/token", "milena.sasl.token.endpoint.plaintext=true"),
            ("https://me:hunter2@idp.example/token", "name or password"),
            ("idp.example", "no URL"),
        ] {
            let (property, problem) = asking(url).mechanism().unwrap_err();
            assert_eq!(property, "sasl.oauthbearer.token.endpoint.url");
            assert!(problem.contains(told) && !problem.contains("hunter2"), "{problem}");
            assert!(!format!("{:?}", asking(url)).contains("hunter2"));
        }
        let mut plain = asking("http://idp.example/token");
        plain.oauth.plaintext = true;
        assert!(plain.mechanism().is_ok());
        let mut nobody = asking("https://idp.example/token");
        nobody.oauth.client_id = None;
        assert!(nobody.mechanism().unwrap_err().0.ends_with("client.id"));
        let mut silent = asking("https://idp.example/token");
        silent.oauth.client_secret = None;
        assert!(silent.mechanism().unwrap_err().0.ends_with("client.secret"));
        silent.jaas = Some(r#"OAuthBearerLoginModule required clientSecret="x" ssl.keystore.location="y";"#.into());
        assert!(silent.mechanism().unwrap_err().1.contains("ssl.keystore.location"));
        silent.jaas = Some(r#"OAuthBearerLoginModule required clientSecret="x" extension_a1="y";"#.into());
        assert!(silent.mechanism().unwrap_err().1.contains("extension"));
    }

    #[cfg(feature = "msk-iam")]
    #[test]
    fn a_region_of_aws_is_enough_and_an_endpoint_beside_it_too_much() {
        let mut settings = settings("OAUTHBEARER");
        settings.oauth.aws_region = Some("eu-west-1".to_owned());
        assert!(settings.mechanism().is_ok());
        settings.oauth.endpoint = Some("https://idp.example/token".into());
        assert!(settings.mechanism().unwrap_err().1.contains("milena.sasl.aws.region"));
    }

    #[tokio::test]
    async fn javas_other_meaning_of_the_endpoint_is_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "abc\n").unwrap();
        for url in [format!("file:{}", path.display()), format!("file://{}", path.display())] {
            assert!(first(&*asking(&url).mechanism().unwrap()).await.starts_with(b"n,,\x01auth=Bearer abc"));
        }
    }
}
