//! Records through TLS: all of them, once.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use milena_broker::SaslServer;
use milena_producer::property::Properties;
use milena_producer::tls::TlsVersion;
use milena_producer::{FailurePolicy, Record};

use crate::cutter::Cutter;
use crate::faults::{cause, is_late};
use crate::*;

/// A value that shows which it is, with a length of its own.
fn value(i: usize) -> Vec<u8> {
    let mut value = format!("{i}-").into_bytes();
    value.resize(20 + i * 37 % 3000, b'x');
    value
}

#[tokio::test]
async fn all_records_arrive_once_over_either_version() {
    for version in [TlsVersion::V1_2, TlsVersion::V1_3] {
        let authority = authority();
        let cluster = cluster(3, serving(&authority)).await;
        cluster.create_topic("t", 6, 1).unwrap();
        let tls = trusting(&authority).versions([version]);
        let producer = producer(cluster.bootstrap()).tls(tls).build().unwrap();
        let mut open = Vec::new();
        for i in 0..20_000 {
            open.push(producer.enqueue(Record::to("t").key(i.to_string()).value(value(i))).await.unwrap());
        }
        for delivery in open {
            delivery.await.unwrap();
        }
        producer.close(LONG).await.unwrap();
        let written = written(&cluster, "t");
        assert_eq!(written.len(), 20_000);
        assert!((0..20_000).all(|i| written.get(&value(i)) == Some(&1)));
    }
}

#[tokio::test]
async fn a_record_larger_than_every_buffer_arrives_whole() {
    let authority = authority();
    let cluster = cluster(1, serving(&authority)).await;
    let producer = producer(cluster.bootstrap()).tls(trusting(&authority)).build().unwrap();
    let large: Vec<u8> = (0..1_000_000_u32).map(|i| i.to_le_bytes()[0]).collect();
    producer.send(Record::to("t").value(large.clone())).await.unwrap();
    assert_eq!(written(&cluster, "t").get(&large), Some(&1));
    producer.close(LONG).await.unwrap();
}

#[tokio::test]
async fn connections_that_are_cut_anywhere_neither_lose_nor_double_a_record() {
    let authority = authority();
    let cluster = cluster(2, serving(&authority)).await;
    cluster.create_topic("t", 4, 1).unwrap();
    let cutter = Cutter::new();
    let cuts = Arc::clone(&cutter.cuts);
    let producer = producer(cluster.bootstrap())
        .tls(trusting(&authority))
        .connector(Arc::new(cutter))
        .batch_size(4096)
        .reconnect_backoff(Duration::from_millis(1))
        .reconnect_backoff_max(Duration::from_millis(5))
        .retry_backoff(Duration::from_millis(1))
        .build()
        .unwrap();
    let mut open = Vec::new();
    for i in 0..1000 {
        open.push(producer.enqueue(Record::to("t").value(value(i))).await.unwrap());
    }
    for delivery in open {
        delivery.await.unwrap();
    }
    producer.close(LONG).await.unwrap();
    assert!(cuts.load(Ordering::Relaxed) > 5, "the way hardly broke");
    let written = written(&cluster, "t");
    assert_eq!(written.len(), 1000);
    assert!(written.values().all(|times| *times == 1));
}

#[tokio::test]
async fn a_client_that_shows_its_certificate_is_let_in_and_its_dead_letters_too() {
    let authority = authority();
    let cluster = cluster(1, serving(&authority).require_clients(authority.trust())).await;
    cluster.create_topic_with("small", 1, 1, &[("max.message.bytes", "500")]).unwrap();
    let alice = authority.client("alice", Validity::default()).unwrap();
    let producer = producer(cluster.bootstrap())
        .tls(trusting(&authority).identity(alice.identity()))
        .on_failure(FailurePolicy::topic("letters"))
        .build()
        .unwrap();
    producer.send(Record::to("t").value("v")).await.unwrap();
    producer.send(Record::to("small").value(vec![7; 1000])).await.unwrap_err();
    producer.close(LONG).await.unwrap();
    assert_eq!(written(&cluster, "t").len(), 1);
    // A second producer sends them, and is let in as the first is.
    assert_eq!(written(&cluster, "letters").len(), 1);
}

/// SASL_SSL: the password goes through the encrypted stream, and is checked there.
#[tokio::test]
async fn sasl_comes_after_tls_and_both_are_checked() {
    let authority = authority();
    let users = SaslServer::new(&["PLAIN", "SCRAM-SHA-512"]).user("alice", "pencil");
    let tls = TlsServer::new(serving(&authority)).unwrap();
    let cluster = EmbeddedCluster::builder().tls(tls).sasl(users.clone()).replication(1).start().await.unwrap();
    let text = |password: &str, mechanism: &str| {
        format!("security.protocol=SASL_SSL\nsasl.mechanism={mechanism}\nsasl.username=alice\nsasl.password={password}")
    };
    let with = |text: &str, trust: TlsConfig| {
        let settings = Properties::new().add_text("test", text).settings().unwrap();
        producer(cluster.bootstrap()).settings(&settings).tls(trust)
    };
    for mechanism in ["PLAIN", "SCRAM-SHA-512"] {
        let producer = with(&text("pencil", mechanism), trusting(&authority)).build().unwrap();
        producer.send(Record::to("topic").value(mechanism)).await.unwrap();
        producer.close(LONG).await.unwrap();
    }
    let authenticated = users.counts().0;
    assert!(authenticated >= 4, "each producer has a connection for metadata and one for records: {authenticated}");

    let wrong = with(&text("crayon", "PLAIN"), trusting(&authority)).build().unwrap();
    let told = cause(&wrong, |what| !is_late(what)).await;
    assert!(told.contains("user") && !told.contains("crayon"), "{told}");
    let stranger = with(&text("pencil", "PLAIN"), TlsConfig::new().trust(super::authority().trust())).build().unwrap();
    let told = cause(&stranger, |what| !is_late(what)).await;
    assert!(told.contains("certificate"), "{told}");
    assert_eq!(users.counts().0, authenticated, "nobody else came in");
    assert_eq!(written(&cluster, "topic").values().sum::<usize>(), 2);
}
