//! What goes wrong: each by its name, with where and what to do, without a storm of connections.

use std::io::Read;
use std::net::TcpListener;
use std::time::Instant;

use milena_producer::property::Properties;
use milena_producer::tls::{Store, Trust};
use milena_producer::{ConnError, ConnErrorKind, FailureKind, Fate, Record, SendError, TlsFault};

use crate::*;

/// Whether it was only too slow.
pub(crate) fn is_late(what: ConnErrorKind) -> bool {
    matches!(what, ConnErrorKind::TimedOut | ConnErrorKind::Tls(TlsFault::TimedOut))
}

/// What whoever waits for the cluster is told once there is a cause, which has to be as it should: only being late is no reason yet.
pub(crate) async fn cause(producer: &Producer, is_it: impl Fn(ConnErrorKind) -> bool) -> String {
    let began = Instant::now();
    loop {
        let error = producer.wait_ready(Duration::from_millis(100)).await.unwrap_err();
        let text = chain(&error);
        let source = error.source().and_then(|source| source.downcast_ref::<ConnError>());
        if let Some(source) = source {
            if is_it(source.what) {
                return text;
            }
            assert!(is_late(source.what), "{text}");
        }
        assert!(began.elapsed() < LONG, "{text}");
    }
}

/// A producer that cannot get through, and what it says: to whoever waits for the cluster, and to whoever waits for a record.
async fn refusal(builder: ProducerBuilder, is_it: impl Fn(ConnErrorKind) -> bool) -> (Producer, String) {
    let producer = builder
        .request_timeout(Duration::from_millis(300))
        .delivery_timeout(Duration::from_millis(800))
        .build()
        .unwrap();
    let text = cause(&producer, is_it).await;
    match tokio::time::timeout(LONG, producer.send(Record::to("t").value("v"))).await.unwrap() {
        Err(SendError::Delivery(error)) => {
            assert_eq!((error.kind(), error.fate()), (FailureKind::DeliveryTimeout, Fate::NotWritten));
        }
        other => panic!("{other:?}"),
    }
    (producer, text)
}

async fn says(builder: ProducerBuilder, fault: TlsFault, words: &[&str]) -> Producer {
    let (producer, text) = refusal(builder, |what| what == ConnErrorKind::Tls(fault)).await;
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {text:?}");
    }
    producer
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
        let refused = says(producer(cluster.bootstrap()).tls(trusting(&ours)), fault, &[&address, word]).await;
        let again = async {
            while cluster.connections_accepted() < 2 {
                cause(&refused, |_| true).await;
            }
        };
        tokio::time::timeout(LONG, again).await.expect("it is never tried again");
        refused.close(LONG).await.unwrap();
        // About a second, with waits that double from 50 ms to 1 s.
        let connections = cluster.connections_accepted();
        assert!(connections < 20, "{connections} connections");
    }
}

#[tokio::test]
async fn clients_that_are_not_believed() {
    let (ours, theirs) = (authority(), authority());
    let cluster = cluster(1, serving(&ours).require_clients(ours.trust())).await;
    let nobody = producer(cluster.bootstrap()).tls(trusting(&ours));
    says(nobody, TlsFault::CertificateMissing, &["ssl.keystore.location"]).await.close(LONG).await.unwrap();
    let mallory = theirs.client("mallory", Validity::default()).unwrap();
    let stranger = producer(cluster.bootstrap()).tls(trusting(&ours).identity(mallory.identity()));
    says(stranger, TlsFault::CertificateRefused, &["ssl.truststore"]).await.close(LONG).await.unwrap();
    assert!(cluster.connections_accepted() < 40);
}

#[tokio::test]
async fn tls_where_there_is_none_and_none_where_there_is() {
    let authority = authority();
    let plain = EmbeddedCluster::builder().start().await.unwrap();
    let secure = producer(plain.bootstrap()).tls(trusting(&authority));
    says(secure, TlsFault::NoAnswer, &["listener without TLS"]).await.close(LONG).await.unwrap();

    let cluster = cluster(1, serving(&authority)).await;
    let not_kafka = |what| matches!(what, ConnErrorKind::NotKafka { .. });
    let (insecure, text) = refusal(producer(cluster.bootstrap()), not_kafka).await;
    assert!(text.contains("speaks TLS") && text.contains("security.protocol"), "{text}");
    insecure.close(LONG).await.unwrap();
}

#[tokio::test]
async fn a_handshake_that_never_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut silent: Vec<_> = listener.incoming().take(100).map_while(Result::ok).collect();
        silent.iter_mut().for_each(|stream| drop(stream.read(&mut [0; 1])));
    });
    let hasty = Duration::from_millis(200);
    let mute = producer(address.to_string()).tls(trusting(&authority()));
    let mute = mute.connect_timeout(hasty).connect_timeout_max(hasty);
    says(mute, TlsFault::TimedOut, &[&address.to_string(), "handshake"]).await.close(LONG).await.unwrap();
}

#[tokio::test]
async fn versions_that_do_not_meet() {
    use milena_producer::tls::TlsVersion;
    let authority = authority();
    let cluster = cluster(1, serving(&authority).versions([TlsVersion::V1_3])).await;
    let old = producer(cluster.bootstrap()).tls(trusting(&authority).versions([TlsVersion::V1_2]));
    says(old, TlsFault::NothingInCommon, &["ssl.enabled.protocols"]).await.close(LONG).await.unwrap();
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
