//! A cluster of three nodes that fail while several producers send: each record is there exactly once and in order.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use milena_wire::Codec;

use super::{fresh_topic, judge};
use crate::account::{Account, Content, Sent, ToSend};
use crate::cluster::{Cluster, wait_until};
use crate::subject::{Settings, Subject};

const PARTITIONS: i32 = 6;
const PRODUCERS: usize = 2;
/// Records that each producer is given a millisecond, at most.
const PACE: usize = 4;
/// Records of all producers that count as "under load".
const SOME: usize = 5_000;
const LIMIT: Duration = Duration::from_secs(120);

struct Load<'a> {
    cluster: &'a dyn Cluster,
    topic: String,
    stop: AtomicBool,
    sent: AtomicUsize,
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

    fn produce(&self, number: usize, subject: &dyn Subject, settings: &Settings) -> Vec<Sent> {
        let mut producer = subject.open(&self.cluster.bootstrap(), settings);
        let mut next = 0;
        while !self.stop.load(Ordering::Relaxed) {
            for _ in 0..PACE {
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

fn under_load(
    cluster: &dyn Cluster,
    subject: &dyn Subject,
    name: &str,
    replicas: i16,
    fault: impl FnOnce(&Load<'_>),
) -> Account {
    assert!(cluster.nodes().len() >= 3, "this needs three nodes, and the cluster has {:?}", cluster.nodes());
    let topic = fresh_topic(name);
    cluster.create_topic(&topic, PARTITIONS, replicas);
    let load = Load { cluster, topic, stop: AtomicBool::new(false), sent: AtomicUsize::new(0) };
    let codecs = [Codec::None, Codec::Lz4];
    let sessions: Vec<Vec<Sent>> = std::thread::scope(|scope| {
        let load = &load;
        let produce = |number: usize| {
            let settings = Settings { codec: codecs[number % codecs.len()], ..Settings::default() };
            scope.spawn(move || load.produce(number, subject, &settings))
        };
        let producers: Vec<_> = (0..PRODUCERS).map(produce).collect();
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
    let (account, ..) = judge(cluster, &load.topic, &sessions);
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
            let leader = cluster.leader(&load.topic, partition).expect("a leader");
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
