//! Records under every mechanism, and sessions that end all the time.

use std::time::{Duration, Instant};

use milena_producer::sasl::{Password, Plain};
use milena_producer::{Producer, Record, property::Properties};

use super::*;

#[tokio::test]
async fn records_are_delivered_by_each_mechanism() {
    for mechanism in ALL {
        let server = server();
        let cluster = cluster(server.clone()).await;
        let producer = by(mechanism, "pencil").on(producer(&cluster)).build().unwrap();
        producer.send(Record::to("topic").value("1")).await.unwrap();
        producer.close(LONG).await.unwrap();
        assert_eq!(written(&cluster, "topic").values().flatten().copied().collect::<Vec<_>>(), [1], "{mechanism}");
        assert!(server.counts().0 >= 2, "{mechanism}: a connection for metadata, and one for records");
    }
}

#[tokio::test]
async fn properties_set_it_up_as_code_does() {
    let cluster = cluster(server()).await;
    for lines in [
        "sasl.mechanism=PLAIN\nsasl.username=alice\nsasl.password=pencil",
        "sasl.mechanisms=SCRAM-SHA-512\nsasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \
         username=\"alice\" password=\"pencil\";",
    ] {
        let text = format!("security.protocol=SASL_PLAINTEXT\n{lines}");
        let settings = Properties::new().add_text("test", &text).settings().unwrap();
        let producer = producer(&cluster).settings(&settings).build().unwrap();
        producer.send(Record::to("topic").value("1")).await.unwrap();
        producer.close(LONG).await.unwrap();
    }
}

/// KIP-368: sessions of four seconds, with records under way all the time.
#[tokio::test]
async fn row_022_sessions_are_renewed_under_load_and_every_record_is_there_once_and_in_order() {
    tokio::join!(renewed("PLAIN"), renewed("SCRAM-SHA-256"), renewed("OAUTHBEARER"));
}

async fn renewed(mechanism: &str) {
    // A renewal begins when a twentieth of the session is left, or a little more: time enough on a busy machine as well.
    let server = server().session_lifetime(Duration::from_secs(4));
    let cluster = cluster(server.clone()).await;
    cluster.create_topic("topic", 2, 1).unwrap();
    let producer = by(mechanism, "pencil").on(producer(&cluster)).build().unwrap();
    let mut sent = 0_u64;
    let began = Instant::now();
    // Two connections, twice each.
    while server.counts().1 < 4 {
        assert!(began.elapsed() < LONG, "sessions are not renewed");
        let mut deliveries = Vec::new();
        for _ in 0..50 {
            let partition = i32::try_from(sent % 2).unwrap();
            let record = Record::to("topic").partition(partition).value(sent.to_string());
            deliveries.push(producer.enqueue(record).await.unwrap());
            sent += 1;
        }
        for delivery in deliveries {
            delivery.await.unwrap();
        }
        // Other tests need the machine, too.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    producer.close(LONG).await.unwrap();
    for (partition, values) in written(&cluster, "topic") {
        let expected: Vec<_> = (0..sent).filter(|n| n % 2 == u64::from(partition.0.unsigned_abs())).collect();
        assert_eq!(values, expected, "{mechanism}");
    }
    let connections: u64 = server.counts().0 - server.counts().1;
    assert!(connections <= 4, "{mechanism}: connections are kept, not made anew: {connections}");
}

#[tokio::test]
async fn a_password_that_changes_in_its_file_and_on_the_broker_needs_no_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("password");
    std::fs::write(&path, "pencil\n").unwrap();
    let server = server();
    let cluster = cluster(server.clone()).await;
    let producer = producer(&cluster).sasl(Plain::new("alice", Password::File(path.clone()))).build().unwrap();
    producer.send(Record::to("topic").value("1")).await.unwrap();
    server.set_user("alice", "crayon");
    std::fs::write(&path, "crayon\n").unwrap();
    cluster.cut_connections(None);
    producer.send(Record::to("topic").value("2")).await.unwrap();
    producer.close(LONG).await.unwrap();
    let mut values: Vec<_> = written(&cluster, "topic").into_values().flatten().collect();
    values.sort_unstable();
    assert_eq!(values, [1, 2]);
}

#[tokio::test]
async fn a_refused_producer_delivers_once_its_user_is_there() {
    let server = SaslServer::new(ALL);
    let cluster = cluster(server.clone()).await;
    let producer = by("SCRAM-SHA-256", "pencil").on(producer(&cluster)).build().unwrap();
    let delivery = producer.enqueue(Record::to("topic").value("1")).await.unwrap();
    server.set_user("alice", "pencil");
    delivery.await.unwrap();
    producer.close(LONG).await.unwrap();
}

#[test]
fn a_producer_says_how_it_authenticates_and_not_by_what() {
    let builder = Producer::builder("localhost:9092").sasl(Plain::new("alice", "pencil"));
    assert!(!format!("{builder:?}").contains("pencil"));
    assert_eq!(name_of(&Plain::new("alice", "pencil")), "PLAIN");
}
