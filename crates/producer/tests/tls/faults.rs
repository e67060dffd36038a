//! What goes wrong: each by its name, with where and what to do, without a storm of connections.

use std::io::Read;
use std::net::TcpListener;
use std::time::Instant;

use milena_producer::property::Properties;
use milena_producer::tls::{Store, Trust};
use milena_producer::{ConnError, ConnErrorKind, FailureKind, Fate, Record, SendError, TlsFault};

use crate::*;

/// What a producer says when it cannot get through: to whoever waits for the cluster, and to whoever waits for a record.
async fn refusal(builder: ProducerBuilder) -> (ConnErrorKind, String) {
    let producer = builder
        .request_timeout(Duration::from_millis(300))
        .delivery_timeout(Duration::from_millis(800))
        .connect_timeout(Duration::from_millis(200))
        .connect_timeout_max(Duration::from_millis(200))
        .build()
        .unwrap();
    let began = Instant::now();
    let error = producer.wait_ready(Duration::from_millis(700)).await.unwrap_err();
    let text = chain(&error);
    let source = error.source().and_then(|source| source.downcast_ref::<ConnError>());
    let what = source.unwrap_or_else(|| panic!("{text}")).what;
    match producer.send(Record::to("t").value("v")).await {
        Err(SendError::Delivery(error)) => {
            assert_eq!((error.kind(), error.fate()), (FailureKind::DeliveryTimeout, Fate::NotWritten));
        }
        other => panic!("{other:?}"),
    }
    assert!(began.elapsed() < LONG);
    producer.close(LONG).await.unwrap();
    (what, text)
}

async fn says(builder: ProducerBuilder, fault: TlsFault, words: &[&str]) {
    let (what, text) = refusal(builder).await;
    assert_eq!(what, ConnErrorKind::Tls(fault), "{text}");
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {text:?}");
    }
}

#[tokio::test]
async fn row_020_certificates_that_are_not_believed() {
    let (ours, theirs) = (authority(), authority());
    for (names, validity, fault, word) in [
        (HERE, Validity::default(), TlsFault::UnknownIssuer, "ssl.ca.location"),
        (&["elsewhere.example"], Validity::default(), TlsFault::WrongName, "elsewhere.example"),
        (HERE, Validity { from: -9, to: -3 }, TlsFault::Expired, "clock"),
        (HERE, Validity { from: 3, to: 9 }, TlsFault::NotYetValid, "clock"),
    ] {
        let issuer = if fault == TlsFault::UnknownIssuer { &theirs } else { &ours };
        let identity = issuer.server(names, validity).unwrap().identity();
        let cluster = cluster(1, TlsServerConfig::new(identity)).await;
        let (host, port) = cluster.address(cluster.nodes()[0]).unwrap();
        let address = format!("bootstrap server {host}:{port}");
        says(producer(cluster.bootstrap()).tls(trusting(&ours)), fault, &[&address, word]).await;
        // About a second and a half, with waits that double from 50 ms to 1 s.
        let connections = cluster.connections_accepted();
        assert!((2..20).contains(&connections), "{connections} connections");
    }
}

#[tokio::test]
async fn clients_that_are_not_believed() {
    let (ours, theirs) = (authority(), authority());
    let cluster = cluster(1, serving(&ours).require_clients(ours.trust())).await;
    let nobody = producer(cluster.bootstrap()).tls(trusting(&ours));
    says(nobody, TlsFault::CertificateMissing, &["ssl.keystore.location"]).await;
    let mallory = theirs.client("mallory", Validity::default()).unwrap();
    let stranger = producer(cluster.bootstrap()).tls(trusting(&ours).identity(mallory.identity()));
    says(stranger, TlsFault::CertificateRefused, &["ssl.truststore"]).await;
    assert!(cluster.connections_accepted() < 40);
}

#[tokio::test]
async fn tls_where_there_is_none_and_none_where_there_is() {
    let authority = authority();
    let plain = EmbeddedCluster::builder().start().await.unwrap();
    says(producer(plain.bootstrap()).tls(trusting(&authority)), TlsFault::NoAnswer, &["listener without TLS"]).await;

    let cluster = cluster(1, serving(&authority)).await;
    let (what, text) = refusal(producer(cluster.bootstrap())).await;
    assert!(matches!(what, ConnErrorKind::NotKafka { .. }), "{text}");
    assert!(text.contains("speaks TLS") && text.contains("security.protocol"), "{text}");
}

#[tokio::test]
async fn a_handshake_that_never_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut silent: Vec<_> = listener.incoming().take(100).map_while(Result::ok).collect();
        silent.iter_mut().for_each(|stream| drop(stream.read(&mut [0; 1])));
    });
    let mute = producer(address.to_string()).tls(trusting(&authority()));
    says(mute, TlsFault::TimedOut, &[&address.to_string(), "handshake"]).await;
}

#[tokio::test]
async fn versions_that_do_not_meet() {
    use milena_producer::tls::TlsVersion;
    let authority = authority();
    let cluster = cluster(1, serving(&authority).versions([TlsVersion::V1_3])).await;
    let old = producer(cluster.bootstrap()).tls(trusting(&authority).versions([TlsVersion::V1_2]));
    says(old, TlsFault::NothingInCommon, &["ssl.enabled.protocols"]).await;
}

#[test]
fn stores_that_cannot_be_used_are_told_before_anything_is_sent() {
    let missing = TlsConfig::new().trust(Trust::Stores(vec![Store::file("/nowhere/ca.pem")]));
    let error = producer("localhost:1").tls(missing).build().unwrap_err().to_string();
    assert!(error.contains("/nowhere/ca.pem") && error.contains("trusted certificates"), "{error}");

    let mut properties = Properties::new();
    properties.set("security.protocol", "SSL").set("ssl.keystore.location", "/nowhere/me.p12");
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, authority().certificate()).unwrap();
    properties.set("ssl.ca.location", ca.to_str().unwrap());
    let settings = properties.settings().unwrap();
    let error = producer("localhost:1").settings(&settings).build().unwrap_err().to_string();
    assert!(error.contains("/nowhere/me.p12"), "{error}");
}
