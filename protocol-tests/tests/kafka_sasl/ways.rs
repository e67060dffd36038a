//! Every listener with every mechanism.

use protocol_tests::cluster::Cluster as _;
use protocol_tests::kafka::Kafka;

use crate::load::{Load, MTLS, Pairs, SASL, SASL_SSL, SSL, bearer, delegated, judge, new_token, producer, user};

#[tokio::test(flavor = "multi_thread")]
async fn each_record_arrives_once_and_in_order_by_every_way() {
    const EACH: usize = 1000;
    let kafka = Kafka::running();
    let token = new_token(&kafka).await;
    let mechanisms: [Pairs; 6] = [
        user("PLAIN", "alice"),
        user("SCRAM-SHA-256", "alice"),
        user("SCRAM-SHA-512", "alice"),
        bearer("alice"),
        delegated("SCRAM-SHA-256", &token),
        delegated("SCRAM-SHA-512", &token),
    ];
    let mut ways: Vec<(u16, Pairs)> = vec![(SSL, Vec::new()), (MTLS, Vec::new())];
    for listener in [SASL, SASL_SSL] {
        ways.extend(mechanisms.iter().map(|mechanism| (listener, mechanism.clone())));
    }
    let count = ways.len();
    kafka.create_topic("open-ways", i32::try_from(count).expect("a few"), 3);
    let mut sessions = Vec::new();
    for (partition, (listener, mechanism)) in (0..).zip(ways) {
        let name = format!("{partition} {listener} {}", mechanism.first().map_or("", |(_, mechanism)| mechanism));
        let mut load = Load::new(producer(&kafka, listener, &mechanism), "open-ways", Some(partition), &name);
        load.enqueue(EACH).await;
        sessions.push(load.finish().await);
    }
    let account = judge(&kafka, "open-ways", &sessions);
    assert_eq!((account.delivered, account.stored), (EACH * count, EACH * count), "{account:?}");
    println!("{account:?}");
}
