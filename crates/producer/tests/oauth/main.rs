//! Tokens from an endpoint over HTTPS, shown to an embedded cluster.

#![cfg(feature = "oauth")]
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

mod endpoint;

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use milena_broker::{EmbeddedCluster, SaslServer};
use milena_producer::property::Properties;
use milena_producer::sasl::{ClientCredentials, Endpoint, OAuthBearer, Password};
use milena_producer::tls::{Store, TlsConfig, Trust};
use milena_producer::{FailureKind, Fate, Producer, ProducerBuilder, Record};
use parking_lot::Mutex;

use endpoint::{Play, TokenEndpoint};

/// Longer than anything takes; whoever waits for this long waits for ever.
const LONG: Duration = Duration::from_secs(30);

/// `kafka-1:s3cr3t`.
const BASIC: &str = "authorization: Basic a2Fma2EtMTpzM2NyM3Q=\r\n";

async fn cluster() -> EmbeddedCluster {
    let server = SaslServer::new(&["OAUTHBEARER"]).tokens(|token| token.starts_with("t0ken-"));
    EmbeddedCluster::builder().sasl(server).nodes(3).partitions(6).replication(1).start().await.unwrap()
}

fn by(cluster: &EmbeddedCluster, lines: &str) -> ProducerBuilder {
    let text = format!("security.protocol=SASL_PLAINTEXT\nsasl.mechanism=OAUTHBEARER\n{lines}");
    let settings = Properties::new().add_text("test", &text).settings().unwrap();
    Producer::builder(cluster.bootstrap()).linger(Duration::ZERO).settings(&settings)
}

/// PEM as one line of properties.
fn line(pem: &str) -> String {
    pem.replace('\n', "\\n")
}

async fn send_to_all(producer: &Producer) {
    for partition in 0..6 {
        producer.send(Record::to("topic").partition(partition).value("1")).await.unwrap();
    }
}

async fn until(holds: impl Fn() -> bool) {
    tokio::time::timeout(LONG, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn properties_of_java_and_of_librdkafka_ask_for_one_token_for_all_connections() {
    let cluster = cluster().await;
    for lines in [
        "sasl.oauthbearer.client.credentials.client.id=kafka-1\nsasl.oauthbearer.client.credentials.client.secret=s3cr3t\n\
         sasl.oauthbearer.scope=a b",
        "sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required \
         clientId=\"kafka-1\" clientSecret=\"s3cr3t\" scope=\"a b\" extension_traceId=\"7\";",
        "sasl.oauthbearer.method=oidc\nsasl.oauthbearer.client.id=kafka-1\nsasl.oauthbearer.client.secret=s3cr3t\n\
         sasl.oauthbearer.scope=a b\nsasl.oauthbearer.extensions=traceId=7",
    ] {
        let endpoint = TokenEndpoint::start(Play::Token(3600)).await;
        let lines = format!(
            "{lines}\nsasl.oauthbearer.token.endpoint.url={}\nhttps.ca.pem={}",
            endpoint.url,
            line(&endpoint.ca)
        );
        let producer = by(&cluster, &lines).build().unwrap();
        send_to_all(&producer).await;
        producer.close(LONG).await.unwrap();
        let request = endpoint.last();
        assert!(request.starts_with("POST /token?key=k3y HTTP/1.1\r\n"), "{request}");
        assert!(request.contains(BASIC) && request.ends_with("grant_type=client_credentials&scope=a+b"), "{request}");
        assert_eq!(endpoint.asked(), 1, "connections to three nodes, and one token");
    }
}

#[tokio::test]
async fn a_token_is_replaced_while_nothing_is_sent_and_never_once_the_producer_has_gone() {
    let cluster = cluster().await;
    let endpoint = TokenEndpoint::start(Play::Token(1)).await;
    let credentials = ClientCredentials::new(Endpoint::parse(&endpoint.url).unwrap(), "kafka-1", "s3cr3t")
        .tls(TlsConfig::new().trust(Trust::Stores(vec![Store::bytes(endpoint.ca.clone())])));
    let producer = Producer::builder(cluster.bootstrap()).sasl(OAuthBearer::new(credentials)).build().unwrap();
    producer.send(Record::to("topic").value("1")).await.unwrap();
    let connections = cluster.connections_accepted();
    until(|| endpoint.asked() >= 3).await;
    assert_eq!(cluster.connections_accepted(), connections, "for nobody");
    producer.close(LONG).await.unwrap();
}

/// What a record's failure says while the endpoint plays this, and how often that was asked.
async fn failing(play: Play, trusted: Option<&str>) -> (String, TokenEndpoint) {
    let cluster = cluster().await;
    let patience = if matches!(play, Play::Hang) { Duration::from_millis(300) } else { LONG };
    let endpoint = TokenEndpoint::start(play).await;
    let lines = format!(
        "sasl.oauthbearer.token.endpoint.url={}\nhttps.ca.pem={}\nsasl.oauthbearer.client.id=kafka-1\n\
         sasl.oauthbearer.client.secret=s3cr3t\nrequest.timeout.ms=500\nmax.block.ms=900\ndelivery.timeout.ms=1000\n\
         sasl.login.read.timeout.ms={}",
        endpoint.url,
        line(trusted.unwrap_or(&endpoint.ca)),
        patience.as_millis()
    );
    let producer = by(&cluster, &lines).connect_timeout(LONG).connect_timeout_max(LONG).build().unwrap();
    // The first attempt may take longer than the record waits.
    producer.wait_ready(Duration::ZERO).await.unwrap_err();
    until(|| producer.health().cluster.last_error.is_some()).await;
    let error = producer.send(Record::to("topic").value("1")).await.unwrap_err();
    let mut told = format!("{error} {error:?}");
    let mut next = std::error::Error::source(&error);
    while let Some(cause) = next {
        told += &format!(": {cause}");
        next = cause.source();
    }
    (told, endpoint)
}

#[tokio::test]
async fn why_there_is_no_token_is_told_with_the_endpoint_and_without_secrets() {
    let echo =
        r#"{"error":"invalid_client","error_description":"no client kafka-1 with s3cr3t or a2Fma2EtMTpzM2NyM3Q="}"#;
    for (play, told) in [
        (
            Play::Say("401 Unauthorized", echo.to_owned()),
            "answers with status 401, error: invalid_client, error_description: no client kafka-1 with *** or ***",
        ),
        (
            Play::Say("302 Found\r\nLocation: https://elsewhere/?a=s3cr3t", String::new()),
            "answers with status 302, to go to https://elsewhere/?a=***, which is not done",
        ),
        (Play::Say("200 OK", "<html>".to_owned()), "answers with status 200 and something that is not JSON"),
        (Play::Say("200 OK", "x".repeat(300_000)), "answers with more than 262144 bytes"),
        (Play::Hang, "did not answer within 300 ms"),
    ] {
        let (text, endpoint) = failing(play, None).await;
        let shown = endpoint.url.strip_suffix("?key=k3y").unwrap();
        assert!(text.contains(told) && text.contains(shown), "{told}: {text}");
        assert!(!text.contains("k3y") && !text.contains("s3cr3t") && !text.contains("a2Fma2"), "{text}");
        assert!(endpoint.asked() < 8, "not in a hurry: {}", endpoint.asked());
    }
    // A server that nobody vouches for is not even asked.
    let stranger = TokenEndpoint::start(Play::Token(60)).await;
    let (text, endpoint) = failing(Play::Token(60), Some(&stranger.ca)).await;
    assert!(text.contains("nobody who is trusted here (https.ca.location") && endpoint.asked() == 0, "{text}");
}

#[tokio::test]
async fn records_wait_for_an_endpoint_that_comes_back() {
    let cluster = cluster().await;
    let endpoint = TokenEndpoint::start(Play::Say("503 Service Unavailable", "{}".to_owned())).await;
    let dir = tempfile::tempdir().unwrap();
    let (secret, ca) = (dir.path().join("secret"), dir.path().join("ca.pem"));
    std::fs::write(&secret, "s3cr3t\n").unwrap();
    std::fs::write(&ca, &endpoint.ca).unwrap();
    let lines = format!(
        "sasl.oauthbearer.token.endpoint.url={}\nhttps.ca.location={}\nsasl.oauthbearer.client.id=kafka-1\n\
         milena.sasl.client.secret.file={}",
        endpoint.url,
        ca.display(),
        secret.display()
    );
    let producer = by(&cluster, &lines).build().unwrap();
    let delivery = producer.enqueue(Record::to("topic").value("1")).await;
    until(|| endpoint.asked() >= 2).await;
    endpoint.play(Play::Token(3600));
    match delivery {
        Ok(delivery) => {
            delivery.await.unwrap();
        }
        Err(error) => panic!("{error}"),
    }
    assert!(endpoint.last().contains(BASIC));
    producer.close(LONG).await.unwrap();
}

#[tokio::test]
async fn an_endpoint_that_refuses_the_client_ends_waiting_records_if_that_is_chosen_and_one_that_fails_does_not() {
    let cluster = cluster().await;
    let endpoint = TokenEndpoint::start(Play::Say("503 Service Unavailable", "{}".to_owned())).await;
    let lines = format!(
        "sasl.oauthbearer.token.endpoint.url={}\nhttps.ca.pem={}\nsasl.oauthbearer.client.id=kafka-1\n\
         sasl.oauthbearer.client.secret=s3cr3t\nmilena.refused.identity=fail\nsasl.login.retry.backoff.max.ms=200",
        endpoint.url,
        line(&endpoint.ca)
    );
    let producer = by(&cluster, &lines).delivery_timeout(Duration::from_secs(3600)).build().unwrap();
    let mut delivery = Box::pin(producer.enqueue(Record::to("topic").value("1")).await.unwrap());
    tokio::select! {
        biased;
        outcome = &mut delivery => panic!("{outcome:?}"),
        () = until(|| endpoint.asked() >= 4) => {}
    }
    let no = r#"{"error":"invalid_client","error_description":"no such client"}"#;
    endpoint.play(Play::Say("401 Unauthorized", no.to_owned()));
    let error = tokio::time::timeout(LONG, delivery).await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.fate()), (FailureKind::Authentication, Fate::NotWritten));
    let told = error.to_string();
    assert!(told.contains("issuer of tokens refuses") && told.contains("no such client"), "{told}");
    // It lives: records that come once the client is known are delivered.
    endpoint.play(Play::Token(3600));
    until_sent(&producer).await;
    producer.close(LONG).await.unwrap();
}

/// Sends until a record is delivered.
async fn until_sent(producer: &Producer) {
    let sent = async { while producer.send(Record::to("topic").value("2")).await.is_err() {} };
    tokio::time::timeout(LONG, sent).await.unwrap();
}

#[cfg(feature = "msk-iam")]
#[tokio::test]
async fn a_token_for_amazon_msk_is_shown_as_any_other() {
    use milena_producer::sasl::{AwsKeys, MskIam};

    // How "https://kafka.eu-west-1." looks in Base64.
    let server =
        SaslServer::new(&["OAUTHBEARER"]).tokens(|token| token.starts_with("aHR0cHM6Ly9rYWZrYS5ldS13ZXN0LTEu"));
    let cluster = EmbeddedCluster::builder().sasl(server).start().await.unwrap();
    let keys = AwsKeys { id: "AKIDEXAMPLE".to_owned(), secret: "s3cr3t".into(), session: None, expires_ms: None };
    let tokens = MskIam::new("eu-west-1").keys(keys);
    let producer = Producer::builder(cluster.bootstrap()).sasl(OAuthBearer::new(tokens)).build().unwrap();
    producer.send(Record::to("topic").value("1")).await.unwrap();
    producer.close(LONG).await.unwrap();
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn logs_at_their_loudest_show_neither_secret_nor_token() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone());
    // This test's process is its own, or shares it with tests that do not mind.
    let _another_test_was_first = tracing::subscriber::set_global_default(subscriber.finish());
    let cluster = cluster().await;
    let endpoint = TokenEndpoint::start(Play::Say("400 Bad Request", r#"{"error":"s3cr3t"}"#.to_owned())).await;
    let credentials =
        ClientCredentials::new(Endpoint::parse(&endpoint.url).unwrap(), "kafka-1", Password::from("s3cr3t"))
            .tls(TlsConfig::new().trust(Trust::Stores(vec![Store::bytes(endpoint.ca.clone())])));
    log.clone().write_all(format!("{credentials:?}").as_bytes()).unwrap();
    let builder = Producer::builder(cluster.bootstrap()).sasl(OAuthBearer::new(credentials));
    log.clone().write_all(format!("{builder:?}").as_bytes()).unwrap();
    let producer = builder.build().unwrap();
    let delivery = producer.enqueue(Record::to("topic").value("1")).await.unwrap();
    until(|| endpoint.asked() >= 2).await;
    endpoint.play(Play::Token(3600));
    delivery.await.unwrap();
    log.clone().write_all(format!("{:?} {}", producer.config(), producer.config()).as_bytes()).unwrap();
    producer.close(LONG).await.unwrap();
    let text = String::from_utf8_lossy(&log.0.lock()).into_owned();
    assert!(text.contains("no token") && text.contains("answers with status 400"), "something is told: {}", text.len());
    for secret in ["s3cr3t", "t0ken-", "a2Fma2", "k3y"] {
        assert!(!text.contains(secret), "{secret} is shown");
    }
}
