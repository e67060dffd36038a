//! A cluster of three nodes that fail while several producers send: each record is there exactly once and in order.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use milena_wire::Codec;

use super::{fresh_topic, judge};
use crate::account::{Account, Content, Outcome, Sent, ToSend};
use crate::cluster::{Cluster, wait_until};
use crate::subject::{Settings, Subject};

const PARTITIONS: i32 = 6;
/// Records that each producer is given a millisecond, at most.
const PACE: usize = 5;
/// Records without an outcome that a producer is to have, at most: a cluster that is slow gets no more than it takes.
const OPEN: usize = 20_000;
/// Records of all producers that count as "under load".
const SOME: usize = 5_000;
const LIMIT: Duration = Duration::from_secs(120);

struct Load<'a> {
    cluster: &'a dyn Cluster,
    topic: String,
    stop: AtomicBool,
    sent: AtomicUsize,
    delivered: AtomicUsize,
}

impl Load<'_> {
    /// Waits until many more records have been sent.
    fn go_on(&self) {
        let enough = self.sent.load(Ordering::Relaxed) + SOME;
        wait_until("the producers have sent more", LIMIT, || self.sent.load(Ordering::Relaxed) >= enough);
    }

    fn wait_in_sync(&self) {
        wait_until("all replicas are in sync", LIMIT, || self.cluster.is_in_sync(&self.topic));
    }

    /// A node that was slow for a moment may have been taken for dead.
    fn leader(&self, partition: i32) -> i32 {
        let mut leader = None;
        wait_until("the partition has a leader", LIMIT, || {
            leader = self.cluster.leader(&self.topic, partition);
            leader.is_some()
        });
        leader.expect("waited for")
    }

    fn produce(&self, number: usize, subject: &dyn Subject, settings: &Settings) -> Vec<Sent> {
        let mut producer = subject.open(&self.cluster.bootstrap(), settings);
        let (mut next, mut heard) = (0, 0);
        while !self.stop.load(Ordering::Relaxed) {
            let news = &producer.heard()[heard..];
            heard += news.len();
            let delivered = news.iter().filter(|sent| matches!(sent.outcome, Outcome::Delivered { .. })).count();
            self.delivered.fetch_add(delivered, Ordering::Relaxed);
            let pace = if next - heard < OPEN { PACE } else { 0 };
            for _ in 0..pace {
                let keyed = next % 3 != 0;
                let content = Content {
                    key: keyed.then(|| format!("key {}", next % 1000).into_bytes()),
                    value: Some(format!("{number} {next} {}", "all alike ".repeat(next % 10)).into_bytes()),
                    headers: Vec::new(),
                };
                producer.send(&self.topic, ToSend { content, ..ToSend::default() });
                next += 1;
                self.sent.fetch_add(1, Ordering::Relaxed);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        producer.finish()
    }
}

/// Sets the flag even if the fault's side panics, so that the producers end and the panic is seen.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A plain producer, one with many small batches in flight, and one that compresses.
fn three_producers(request_timeout: Duration, delivery_timeout: Duration) -> [Settings; 3] {
    let plain = Settings { request_timeout, delivery_timeout, ..Settings::default() };
    let small = Settings { batch_size: Some(1024), linger: Duration::ZERO, ..plain.clone() };
    let compressed = Settings { codec: Codec::Zstd, batch_size: Some(16 * 1024), ..plain.clone() };
    [plain, small, compressed]
}

/// What the log holds after a fault under load, held against what the producers said.
fn account_after(
    cluster: &dyn Cluster,
    subject: &dyn Subject,
    settings: &[Settings],
    topic: &str,
    replicas: i16,
    fault: impl FnOnce(&Load<'_>),
) -> Account {
    assert!(cluster.nodes().len() >= 3, "this needs three nodes, and the cluster has {:?}", cluster.nodes());
    let topic = fresh_topic(topic);
    cluster.create_topic(&topic, PARTITIONS, replicas);
    let load = Load {
        cluster,
        topic,
        stop: AtomicBool::new(false),
        sent: AtomicUsize::new(0),
        delivered: AtomicUsize::new(0),
    };
    let sessions: Vec<Vec<Sent>> = std::thread::scope(|scope| {
        let load = &load;
        let produce = |(number, settings)| scope.spawn(move || load.produce(number, subject, settings));
        let producers: Vec<_> = settings.iter().enumerate().map(produce).collect();
        {
            let _stop = StopOnDrop(&load.stop);
            load.go_on();
            fault(load);
            load.go_on();
        }
        producers.into_iter().map(|producer| producer.join().expect("a producer that does not panic")).collect()
    });
    // Reading asks leaders, so let the cluster come to rest first.
    load.wait_in_sync();
    let account = judge(cluster, &load.topic, &sessions).0;
    println!("{}: {account:?}", load.topic);
    account
}

/// The same for faults that are shorter than the producers' patience: everything must be delivered.
fn under_load(
    cluster: &dyn Cluster,
    subject: &dyn Subject,
    topic: &str,
    replicas: i16,
    fault: impl FnOnce(&Load<'_>),
) -> Account {
    let settings = three_producers(Duration::from_secs(5), Duration::from_secs(120));
    let account = account_after(cluster, subject, &settings, topic, replicas, fault);
    assert_eq!(account.delivered, account.sent, "each fault was short, so everything is delivered: {account:?}");
    assert_eq!(account.stored, account.sent, "{account:?}");
    account
}

/// Kills the leader of a partition twice, and lets it come back.
///
/// # Panics
/// If a record is lost, there twice, or out of order; so do the others here.
pub fn leaders_killed(cluster: &dyn Cluster, subject: &dyn Subject) -> Account {
    under_load(cluster, subject, "kill", 3, |load| {
        for partition in [0, PARTITIONS - 1] {
            let leader = load.leader(partition);
            cluster.kill(leader);
            wait_until("another node leads", LIMIT, || {
                cluster.leader(&load.topic, partition).is_some_and(|now| now != leader)
            });
            load.go_on();
            cluster.start(leader);
            load.wait_in_sync();
        }
    })
}

/// Freezes the leader of a partition until others lead, and lets it go on with the requests it still has in its hands.
///
/// # Panics
/// See [`leaders_killed`].
pub fn leaders_frozen(cluster: &dyn Cluster, subject: &dyn Subject) -> Account {
    under_load(cluster, subject, "freeze", 3, |load| {
        for partition in [0, PARTITIONS - 1] {
            let leader = load.leader(partition);
            cluster.freeze(leader);
            cluster.depose(leader, &load.topic);
            load.go_on();
            cluster.resume(leader);
            load.wait_in_sync();
        }
    })
}

/// Freezes all nodes for longer than the producers' patience. Records fail, and what is told of each must be true: *not written* is not there, *maybe
/// written* at most once, and what comes after the outage is delivered in order.
///
/// # Panics
/// If what was told is not true.
pub fn outage(cluster: &dyn Cluster, subject: &dyn Subject) -> Account {
    let patience = Duration::from_secs(3);
    let settings = three_producers(Duration::from_secs(1), patience);
    let account = account_after(cluster, subject, &settings, "outage", 3, |load| {
        for node in cluster.nodes() {
            cluster.freeze(node);
        }
        let started = Instant::now();
        load.go_on();
        wait_until("the outage has outlasted the producers' patience", LIMIT, || started.elapsed() > 2 * patience);
        for node in cluster.nodes() {
            cluster.resume(node);
        }
        load.wait_in_sync();
        let before = load.delivered.load(Ordering::Relaxed);
        wait_until("records are delivered after the outage", LIMIT, || {
            load.delivered.load(Ordering::Relaxed) > before + SOME
        });
    });
    assert!(account.not_written + account.maybe_written > 0, "no record failed, so this was no outage: {account:?}");
    account
}

/// Restarts every node in order, one after another.
///
/// # Panics
/// See [`leaders_killed`].
pub fn rolling_restart(cluster: &dyn Cluster, subject: &dyn Subject) -> Account {
    under_load(cluster, subject, "rolling", 3, |load| {
        for node in cluster.nodes() {
            cluster.shut_down(node);
            load.go_on();
            cluster.start(node);
            load.wait_in_sync();
        }
    })
}

/// Moves every partition to other nodes, twice.
///
/// # Panics
/// See [`leaders_killed`].
pub fn partitions_reassigned(cluster: &dyn Cluster, subject: &dyn Subject) -> Account {
    under_load(cluster, subject, "reassign", 2, |load| {
        for _ in 0..2 {
            let before: Vec<_> = (0..PARTITIONS).map(|partition| cluster.leader(&load.topic, partition)).collect();
            cluster.reassign(&load.topic);
            load.wait_in_sync();
            let after: Vec<_> = (0..PARTITIONS).map(|partition| cluster.leader(&load.topic, partition)).collect();
            assert_ne!(before, after, "no leader has moved");
            load.go_on();
        }
    })
}
