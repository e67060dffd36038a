//! Sessions of ten seconds (`connections.max.reauth.ms`), for a minute under load.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use milena::BrokerState;
use protocol_tests::cluster::Cluster as _;
use protocol_tests::kafka::Kafka;
use tracing_subscriber::filter::LevelFilter;

use crate::load::{LONG, Load, Pairs, SASL, SASL_SSL, bearer, delegated, judge, new_token, producer, user};

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

/// A session is renewed half a second before its end, if not earlier. On a machine that stands still for as long it ends, and that is nobody's fault.
const STALL: Duration = Duration::from_millis(400);

#[tokio::test(flavor = "multi_thread")]
async fn connections_authenticate_again_under_load_for_a_minute() {
    tracing_subscriber::fmt().with_ansi(false).with_max_level(LevelFilter::DEBUG).with_writer(|| Count).init();
    let kafka = Kafka::running();
    for topic in ["open-minute-1", "open-minute-2", "open-minute-3"] {
        kafka.create_topic(topic, 6, 3);
        let (kept, stall) = minute(&kafka, topic).await;
        match kept {
            Ok(()) => return,
            Err(wrong) if stall < STALL => panic!("{wrong}"),
            Err(wrong) => println!("the machine stood still for {stall:?}; once more: {wrong}"),
        }
    }
    panic!("the machine stands still again and again");
}

/// How long this thread, which wants next to nothing of the machine, had to wait for it.
fn longest_stall(over: &AtomicBool) -> Duration {
    let nap = Duration::from_millis(20);
    let mut longest = Duration::ZERO;
    while !over.load(Ordering::Relaxed) {
        let asleep = Instant::now();
        std::thread::sleep(nap);
        longest = longest.max(asleep.elapsed() - nap);
    }
    longest
}

/// Whether all sessions were kept, and for how long the machine stood still at most.
async fn minute(kafka: &Kafka, topic: &str) -> (Result<(), String>, Duration) {
    let token = new_token(kafka).await;
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
        let builder = producer(kafka, *listener, mechanism).linger(Duration::from_millis(5));
        let load = Load::new(builder, topic, None, &format!("minute {at}"));
        load.producer.prepare(&[topic], LONG).await.expect("let in");
        loads.push(load);
    }
    let renewed = RENEWED.load(Ordering::Relaxed);
    let begin = Instant::now();
    let over = Arc::new(AtomicBool::new(false));
    let watch = std::thread::spawn({
        let over = Arc::clone(&over);
        move || longest_stall(&over)
    });
    while begin.elapsed() < Duration::from_secs(60) {
        for load in &mut loads {
            load.enqueue(10).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    over.store(true, Ordering::Relaxed);
    let stall = watch.join().expect("a thread that only sleeps");
    let (mut sessions, mut kept) = (Vec::new(), Ok(()));
    for load in loads {
        load.settled().await;
        // Brokers close a connection that goes on for more than ten seconds without authenticating again.
        let lost = load.producer.metrics().requests_lost;
        let brokers = load.producer.health().brokers;
        if lost > 0 || brokers.iter().any(|broker| broker.state != BrokerState::Up || broker.last_error.is_some()) {
            kept = Err(format!("{lost} requests lost, {brokers:?}"));
        }
        sessions.push(load.finish().await);
    }
    let renewed = RENEWED.load(Ordering::Relaxed) - renewed;
    let account = judge(kafka, topic, &sessions);
    assert_eq!((account.delivered, account.stored), (account.sent, account.sent), "{account:?}");
    // Six producers with a connection to each of three nodes, at least five times each.
    assert!(kept.is_err() || renewed >= 6 * 3 * 5, "{renewed} renewals");
    println!("{renewed} renewals, the machine stood still for {stall:?} at most, {account:?}");
    (kept, stall)
}
