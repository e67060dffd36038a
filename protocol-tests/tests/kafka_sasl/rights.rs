//! ACLs that are missing, granted and revoked while a producer works.

use std::time::Duration;

use milena::{DeliveryError, ErrorCode, FailureKind, Fate, Record};
use protocol_tests::cluster::Cluster as _;
use protocol_tests::kafka::Kafka;

use crate::load::{Load, SASL, judge, producer, tool, user, words};

const TOPIC: &str = "carols";

async fn acl(kafka: &Kafka, what: &str) {
    let server = kafka.bootstrap();
    let line = format!("--bootstrap-server {server} {what} --allow-principal User:carol --topic {TOPIC} --force");
    let _ = tool("org.apache.kafka.tools.AclCommand", words(&line)).await;
}

/// Sends one record at a time until what comes of it is what is waited for; brokers learn of an ACL one after the other.
async fn until(load: &mut Load, what: &str, is_it: impl Fn(&Result<(), DeliveryError>) -> bool) -> String {
    for _ in 0..300 {
        let last = load.one().await;
        if is_it(&last) {
            return last.err().map(|error| error.to_string()).unwrap_or_default();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what}: it did not come");
}

fn refused(code: ErrorCode) -> impl Fn(&Result<(), DeliveryError>) -> bool {
    move |result| {
        let Err(error) = result else { return false };
        assert_eq!((error.kind(), error.fate()), (FailureKind::Authorization, Fate::NotWritten), "{error}");
        error.failure().code == Some(code)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_come_and_go_and_each_lack_has_its_name() {
    let kafka = Kafka::running();
    kafka.create_topic(TOPIC, 3, 3);
    let builder = producer(&kafka, SASL, &user("SCRAM-SHA-256", "carol")).linger(Duration::ZERO);
    let mut load = Load::new(builder, TOPIC, None, "carol");
    let topic = ErrorCode::TOPIC_AUTHORIZATION_FAILED;

    // Nothing is granted: the topic cannot even be seen.
    let told = until(&mut load, "may not see it", refused(topic)).await;
    println!("{told}\n");
    assert!(told.contains(TOPIC) && told.contains("--operation Write"), "{told}");

    // Who may write to no topic at all gets no producer id.
    acl(&kafka, "--add --operation Describe").await;
    let told = until(&mut load, "no producer id", refused(ErrorCode::CLUSTER_AUTHORIZATION_FAILED)).await;
    println!("{told}\n");
    assert!(told.contains("IdempotentWrite") && told.contains(TOPIC), "{told}");

    acl(&kafka, "--add --operation Write").await;
    until(&mut load, "may write", Result::is_ok).await;
    load.enqueue(500).await;
    load.settled().await;

    // It is taken away while records flow.
    let revoked = tokio::spawn({
        let kafka = Kafka::running();
        async move { acl(&kafka, "--remove --operation Write").await }
    });
    while !revoked.is_finished() {
        load.enqueue(10).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    revoked.await.expect("it is taken away");
    let told = until(&mut load, "may write no more", refused(topic)).await;
    println!("{told}\n");
    assert!(told.contains(", partition ") && told.contains(", broker "), "{told}");
    // Nothing goes on behind the caller's back.
    load.settled().await;
    let requests = load.producer.metrics().requests;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(load.producer.metrics().requests, requests);

    let granted = tokio::spawn({
        let kafka = Kafka::running();
        async move { acl(&kafka, "--add --operation Write").await }
    });
    while !granted.is_finished() {
        load.enqueue(10).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    granted.await.expect("it is granted");
    until(&mut load, "may write again", Result::is_ok).await;
    load.settled().await;
    // All brokers know by now, or will in a moment.
    load.producer.send(Record::to("none-of-hers").value("x")).await.expect_err("a topic that is not granted");
    let account = judge(&kafka, TOPIC, &[load.finish().await]);
    assert!(account.not_written > 0 && account.maybe_written == 0 && account.delivered >= 501, "{account:?}");
    println!("{account:?}");
}
