//! Certificates that are renewed, and mistakes that are put right, while a producer works.

use std::path::Path;

use milena_producer::Record;
use milena_producer::tls::issue::Issued;
use milena_producer::tls::{Identity, Store, Trust};

use crate::*;

fn write(folder: &Path, name: &str, issued: &Issued) {
    std::fs::write(folder.join(format!("{name}.pem")), &issued.certificate).unwrap();
    std::fs::write(folder.join(format!("{name}.key")), &issued.key).unwrap();
}

fn identity(folder: &Path, name: &str) -> Identity {
    let file = |ending: &str| Store::file(folder.join(format!("{name}.{ending}")));
    Identity::apart(file("pem"), file("key"))
}

#[tokio::test]
async fn both_sides_get_new_certificates_of_a_new_authority_and_no_record_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let (first, second) = (authority(), authority());
    let issue = |authority: &Authority| {
        write(at, "node", &authority.server(HERE, Validity::default()).unwrap());
        write(at, "client", &authority.client("alice", Validity::default()).unwrap());
    };
    issue(&first);
    std::fs::write(at.join("ca.pem"), first.certificate()).unwrap();

    let trust = || Trust::Stores(vec![Store::file(at.join("ca.pem"))]);
    let cluster = cluster(2, TlsServerConfig::new(identity(at, "node")).require_clients(trust())).await;
    cluster.create_topic("t", 4, 1).unwrap();
    let tls = TlsConfig::new().trust(trust()).identity(identity(at, "client"));
    let producer = producer(cluster.bootstrap()).tls(tls).build().unwrap();

    let mut open = Vec::new();
    let mut next = 0_u32;
    let mut produce = async |count: u32| {
        for _ in 0..count {
            open.push(producer.enqueue(Record::to("t").value(next.to_string())).await.unwrap());
            next += 1;
        }
        cluster.cut_connections(None);
    };
    produce(500).await;
    // As it is done with care: both authorities are trusted while certificates change.
    std::fs::write(at.join("ca.pem"), format!("{}{}", first.certificate(), second.certificate())).unwrap();
    produce(500).await;
    issue(&second);
    produce(500).await;
    // A file that is written half changes nothing.
    std::fs::write(at.join("ca.pem"), &second.certificate()[..200]).unwrap();
    produce(500).await;
    std::fs::write(at.join("ca.pem"), second.certificate()).unwrap();
    produce(500).await;
    for delivery in open {
        delivery.await.unwrap();
    }
    producer.close(LONG).await.unwrap();
    let written = written(&cluster, "t");
    assert_eq!(written.len(), 2500);
    assert!(written.values().all(|times| *times == 1));
}

#[tokio::test]
async fn a_mistake_that_is_put_right_in_time_costs_no_record() {
    let folder = tempfile::tempdir().unwrap();
    let (right, wrong) = (authority(), authority());
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, wrong.certificate()).unwrap();
    let cluster = cluster(1, serving(&right)).await;
    let tls = TlsConfig::new().trust(Trust::Stores(vec![Store::file(&ca)]));
    let producer = producer(cluster.bootstrap()).tls(tls).build().unwrap();
    let delivery = producer.enqueue(Record::to("t").value("v")).await.unwrap();
    producer.wait_ready(Duration::from_millis(100)).await.unwrap_err();
    std::fs::write(&ca, right.certificate()).unwrap();
    delivery.await.unwrap();
    producer.close(LONG).await.unwrap();
}
