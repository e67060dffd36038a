//! Sessions of ten seconds (`connections.max.reauth.ms`), for a minute under load.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use milena::BrokerState;
use protocol_tests::cluster::Cluster as _;
use protocol_tests::kafka::Kafka;
use tracing_subscriber::filter::LevelFilter;

use crate::load::{Load, Pairs, SASL, SASL_SSL, bearer, delegated, judge, new_token, producer, user};

static RENEWED: AtomicU64 = AtomicU64::new(0);

struct Count;

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8_lossy(bytes);
        RENEWED.fetch_add(u64::from(line.contains("authenticated again")), Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_authenticate_again_under_load_for_a_minute() {
    tracing_subscriber::fmt().with_ansi(false).with_max_level(LevelFilter::DEBUG).with_writer(|| Count).init();
    let kafka = Kafka::running();
    kafka.create_topic("open-minute", 6, 3);
    let token = new_token(&kafka).await;
    let ways: [(u16, Pairs); 6] = [
        (SASL_SSL, user("PLAIN", "alice")),
        (SASL_SSL, user("SCRAM-SHA-256", "alice")),
        (SASL, user("SCRAM-SHA-512", "alice")),
        (SASL_SSL, bearer("alice")),
        (SASL_SSL, delegated("SCRAM-SHA-512", &token)),
        (SASL, user("PLAIN", "alice")),
    ];
    let mut loads = Vec::new();
    for (at, (listener, mechanism)) in ways.iter().enumerate() {
        let builder = producer(&kafka, *listener, mechanism).linger(Duration::from_millis(5));
        loads.push(Load::new(builder, "open-minute", None, &format!("minute {at}")));
    }
    let renewed = RENEWED.load(Ordering::Relaxed);
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(60) {
        for load in &mut loads {
            load.enqueue(10).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut sessions = Vec::new();
    for load in loads {
        load.settled().await;
        // Brokers close a connection that goes on for more than ten seconds without authenticating again.
        assert_eq!(load.producer.metrics().requests_lost, 0);
        for broker in load.producer.health().brokers {
            assert!(broker.state == BrokerState::Up && broker.last_error.is_none(), "{broker:?}");
        }
        sessions.push(load.finish().await);
    }
    let renewed = RENEWED.load(Ordering::Relaxed) - renewed;
    let account = judge(&kafka, "open-minute", &sessions);
    assert_eq!((account.delivered, account.stored), (account.sent, account.sent), "{account:?}");
    // Six producers with a connection to each of three nodes, at least five times each.
    assert!(renewed >= 6 * 3 * 5, "{renewed} renewals");
    println!("{renewed} renewals, {account:?}");
}
