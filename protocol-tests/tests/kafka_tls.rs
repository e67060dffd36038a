//! TLS with a real Kafka, which `scripts/kafka up --tls yes` started: Java's TLS is not ours.

use std::path::PathBuf;
use std::time::Duration;

use milena::property::Properties;
use milena::{ConnErrorKind, Producer, ProducerBuilder, Record, TlsFault};
use protocol_tests::cluster::Cluster as _;
use protocol_tests::facade;
use protocol_tests::kafka::{Kafka, Tools};

/// How many ports higher than its plain one each node listens with TLS, and with TLS for clients it knows.
const SSL: u16 = 20;
const MTLS: u16 = 30;

const LONG: Duration = Duration::from_secs(60);

fn fixture(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../crates/tls/tests/fixtures").join(name);
    path.to_str().expect("a plain path").to_owned()
}

fn ports(kafka: &Kafka, higher: u16) -> String {
    let higher = |address: &str| {
        let (host, port) = address.rsplit_once(':').expect("a port");
        format!("{host}:{}", port.parse::<u16>().expect("a port") + higher)
    };
    kafka.bootstrap().split(',').map(higher).collect::<Vec<_>>().join(",")
}

fn producer(bootstrap: &str, properties: &[(&str, &str)]) -> ProducerBuilder {
    let mut read = Properties::new();
    read.set("security.protocol", "SSL");
    for (name, value) in properties {
        read.set(name, value);
    }
    Producer::builder(bootstrap).settings(&read.settings().expect("settings that fit together"))
}

async fn produce(builder: ProducerBuilder, topic: &str, count: usize) {
    let producer = builder.build().expect("a producer");
    let mut open = Vec::new();
    for i in 0..count {
        let mut value = format!("{i}-");
        value.push_str(&"x".repeat(i % 2000));
        let record = Record::to(topic).key(format!("key {i}")).value(value);
        open.push(producer.enqueue(record).await.expect("room"));
    }
    for delivery in open {
        delivery.await.expect("delivered");
    }
    producer.close(LONG).await.expect("nothing left");
}

#[tokio::test]
async fn records_through_tls_are_read_by_kafkas_own_consumer() {
    let kafka = Kafka::running();
    let ca = fixture("ca.pem");
    let (key, chain) = (fixture("ec.scrypt.key"), fixture("ec.pem"));
    let own = [("ssl.certificate.location", &*chain), ("ssl.key.location", &*key), ("ssl.key.password", "secret")];
    for (topic, higher, version) in [
        ("ssl-13", SSL, "TLSv1.3"),
        ("ssl-12", SSL, "TLSv1.2"),
        ("mtls-13", MTLS, "TLSv1.3"),
        ("mtls-12", MTLS, "TLSv1.2"),
    ] {
        kafka.create_topic(topic, 6, 3);
        let mut properties = vec![("ssl.ca.location", &*ca), ("ssl.enabled.protocols", version)];
        if higher == MTLS {
            properties.extend(own);
        }
        produce(producer(&ports(&kafka, higher), &properties), topic, 5000).await;
        let read = kafka.read(topic);
        assert_eq!(read.len(), 5000, "{topic}");
        let mut values: Vec<_> = read.into_iter().map(|stored| stored.content.value).collect();
        values.sort_unstable();
        values.dedup();
        assert_eq!(values.len(), 5000, "{topic}");
    }
}

/// What a producer is told that cannot get through.
async fn refusal(builder: ProducerBuilder) -> (ConnErrorKind, String) {
    let cause = facade::refusal(builder).await;
    (cause.what, cause.to_string())
}

#[tokio::test]
async fn every_refusal_of_kafka_has_its_name() {
    let kafka = Kafka::running();
    let (ca, strange) = (fixture("ca.pem"), fixture("ed.pem"));
    let trust = ("ssl.ca.location", &*ca);
    let one = |higher| ports(&kafka, higher).split(',').next().expect("a node").to_owned();
    let fault = async |higher, properties: &[(&str, &str)]| refusal(producer(&one(higher), properties)).await.0;

    assert_eq!(fault(SSL, &[("ssl.ca.location", &strange)]).await, ConnErrorKind::Tls(TlsFault::UnknownIssuer));
    let plain = fault(0, &[trust]).await;
    assert_eq!(plain, ConnErrorKind::Tls(TlsFault::NoAnswer));
    for version in ["TLSv1.2", "TLSv1.3"] {
        let without = fault(MTLS, &[trust, ("ssl.enabled.protocols", version)]).await;
        assert_eq!(without, ConnErrorKind::Tls(TlsFault::CertificateMissing), "{version}");
        let folder = std::env::temp_dir().join(format!("milena-stranger-{}.pem", std::process::id()));
        let stranger = milena::tls::issue::Authority::new("nobody").expect("an authority");
        let issued = stranger.client("mallory", Default::default()).expect("a certificate");
        std::fs::write(&folder, format!("{}{}", issued.key, issued.certificate))
            .expect("the temporary folder can be written");
        let store = folder.to_str().expect("a plain path");
        let refused = fault(MTLS, &[trust, ("ssl.keystore.location", store), ("ssl.enabled.protocols", version)]).await;
        std::fs::remove_file(&folder).expect("the file");
        assert_eq!(refused, ConnErrorKind::Tls(TlsFault::CertificateRefused), "{version}");
    }
    let (what, text) = refusal(Producer::builder(one(SSL))).await;
    assert!(matches!(what, ConnErrorKind::NotKafka { .. } | ConnErrorKind::ClosedEarly), "{text}");
    assert!(text.contains("TLS"), "{text}");
}

/// The certificate that a node shows, in DER.
async fn shown(address: &str) -> Vec<u8> {
    use milena::tls::{Store, TlsClient, TlsConfig, Trust};
    let trust = Trust::Stores(vec![Store::file(fixture("ca.pem"))]);
    let client = TlsClient::new(TlsConfig::new().trust(trust)).expect("a client");
    let stream = tokio::net::TcpStream::connect(address).await.expect("a node that listens");
    client.connect("127.0.0.1", stream).await.expect("a handshake").peer_certificates().remove(0)
}

#[tokio::test]
async fn brokers_get_new_certificates_under_load_and_no_record_is_lost() {
    let kafka = Kafka::running();
    kafka.create_topic("renewed", 6, 3);
    let addresses = ports(&kafka, SSL);
    let first = addresses.split(',').next().expect("a node");
    let before = shown(first).await;

    let ca = fixture("ca.pem");
    // Connections that are idle for as long as a certificate takes are made again, with the new one.
    let builder = producer(&addresses, &[("ssl.ca.location", &ca), ("connections.max.idle.ms", "20")]);
    let load = builder.build().expect("a producer");
    let (plain, nodes) = (kafka.bootstrap(), kafka.nodes());
    let stores: Vec<_> = nodes.iter().map(|node| kafka.log_dir(*node).join("../tls.pem")).collect();
    let rotation = tokio::task::spawn_blocking(move || {
        let pem: String = ["ec.key", "ec.pem", "ca.pem"]
            .map(|name| std::fs::read_to_string(fixture(name)).expect("a fixture"))
            .concat();
        for (node, store) in nodes.iter().zip(stores) {
            std::fs::write(&store, &pem).expect("a node's folder");
            let store = format!(
                "listener.name.ssl.ssl.keystore.type=PEM,listener.name.ssl.ssl.keystore.location={}",
                store.display()
            );
            let node = node.to_string();
            let place = ["--bootstrap-server", &plain, "--entity-type", "brokers", "--entity-name", &node];
            let _ = Tools::of("4.3.1")
                .run("kafka.admin.ConfigCommand", &[&place[..], &["--alter", "--add-config", &store]].concat());
        }
    });
    let mut sent = 0;
    while !rotation.is_finished() {
        for _ in 0..20 {
            load.send(Record::to("renewed").value(format!("{sent}"))).await.expect("delivered");
            sent += 1;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    rotation.await.expect("all nodes are told");
    for _ in 0..100 {
        load.send(Record::to("renewed").value(format!("{sent}"))).await.expect("delivered");
        sent += 1;
    }
    load.close(LONG).await.expect("nothing left");
    assert_ne!(shown(first).await, before, "the node shows its old certificate");
    let mut values: Vec<_> = kafka.read("renewed").into_iter().map(|stored| stored.content.value).collect();
    assert_eq!(values.len(), sent);
    values.sort_unstable();
    values.dedup();
    assert_eq!(values.len(), sent);
}
