//! Each refusal by its name, in bounded time, and never in a hurry.

use std::time::{Duration, Instant};

use milena_broker::{Reaction, Rule, SaslLie};
use milena_producer::{Record, SendError, sasl::SaslErrorKind};
use milena_wire::ApiKey;

use super::*;

/// Fails to deliver one record, which is sent once the cause is known: a first attempt may take longer than the record waits.
async fn failed(builder: ProducerBuilder, cause: &str) -> SendError {
    let producer = builder
        .request_timeout(Duration::from_secs(1))
        .max_block(Duration::from_millis(900))
        .delivery_timeout(Duration::from_secs(1))
        .build()
        .unwrap();
    producer.wait_ready(Duration::ZERO).await.unwrap_err();
    let last = || producer.health().cluster.last_error.map(|last| last.error.to_string()).unwrap_or_default();
    let known = async {
        while !last().contains(cause) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(LONG, known).await.is_ok(), "{cause:?} is not in {:?}", last());
    producer.send(Record::to("topic").value("1")).await.unwrap_err()
}

/// The error of one record with all its causes, and how many connections it took.
async fn refused(mechanism: &str, password: &str, server: SaslServer, kind: SaslErrorKind) -> (String, u64) {
    let cluster = cluster(server).await;
    let error = failed(by(mechanism, password).on(producer(&cluster)), kind.text()).await;
    let mut told = error.to_string();
    let mut next = std::error::Error::source(&error);
    while let Some(cause) = next {
        told += &format!(": {cause}");
        next = cause.source();
    }
    (told, cluster.connections_accepted())
}

#[tokio::test]
async fn each_refusal_is_told_with_the_broker_and_what_to_do_and_is_not_repeated_in_a_hurry() {
    use SaslErrorKind as K;
    let lying = |lie| {
        let server = server();
        server.lie(Some(lie));
        server
    };
    for (mechanism, password, server, kind) in [
        ("PLAIN", "cr4yon", server(), K::Refused),
        ("SCRAM-SHA-256", "cr4yon", server(), K::Refused),
        ("OAUTHBEARER", "cr4yon", server(), K::TokenRefused),
        ("SCRAM-SHA-512", "pencil", SaslServer::new(&["PLAIN"]), K::NotOffered),
        ("SCRAM-SHA-512", "pencil", lying(SaslLie::Signature), K::ServerSignature),
        ("SCRAM-SHA-256", "pencil", lying(SaslLie::Iterations(1)), K::Iterations),
        ("SCRAM-SHA-256", "pencil", lying(SaslLie::Iterations(u32::MAX)), K::Iterations),
        ("SCRAM-SHA-256", "pencil", lying(SaslLie::Nonce), K::Nonce),
    ] {
        let (told, attempts) = refused(mechanism, password, server, kind).await;
        assert!(told.contains(kind.text()) && told.contains(kind.advice()), "{mechanism}, {kind:?}: {told}");
        assert!(told.contains("127.0.0.1:"), "{told}");
        assert!(!told.contains("pencil") && !told.contains("cr4yon"), "{told}");
        assert!(attempts < 20, "{mechanism}, {kind:?}: {attempts} connections in about a second");
    }
}

#[tokio::test]
async fn a_listener_without_sasl_is_named() {
    let cluster = EmbeddedCluster::builder().start().await.unwrap();
    let illegal = SaslErrorKind::IllegalState.text();
    let error = failed(by("PLAIN", "pencil").on(producer(&cluster)), illegal).await;
    assert!(format!("{error:?}").contains(illegal), "{error:?}");
}

#[tokio::test]
async fn a_client_without_sasl_is_told_what_the_listener_wants_and_does_not_hurry() {
    let cluster = cluster(server()).await;
    let error = failed(producer(&cluster), "a listener that wants SASL").await;
    let told = format!("{error:?}");
    assert!(told.contains("a listener that wants SASL") && told.contains("sasl.mechanism"), "{told}");
    assert!(told.contains("127.0.0.1:"), "{told}");
    assert!(cluster.connections_accepted() < 20, "{} connections in about a second", cluster.connections_accepted());
}

#[tokio::test]
async fn a_connection_that_is_cut_later_is_not_taken_for_a_listener_that_wants_sasl() {
    let cluster = EmbeddedCluster::builder().start().await.unwrap();
    let producer =
        producer(&cluster).delivery_timeout(Duration::from_secs(1)).request_timeout(Duration::from_millis(500));
    let producer = producer.build().unwrap();
    // On a busy machine a record's time may be up before anything has happened to it: then the next one tells.
    let began = Instant::now();
    while let Err(error) = producer.send(Record::to("topic").value("1")).await {
        assert!(began.elapsed() < LONG, "{error}");
    }
    cluster.script(Rule::on(ApiKey::PRODUCE, Reaction::CloseBefore).always());
    loop {
        let told = producer.send(Record::to("topic").value("2")).await.unwrap_err().to_string();
        assert!(!told.contains("SASL") && began.elapsed() < LONG, "{told}");
        if told.contains("the other side closed the connection") {
            break;
        }
    }
}
