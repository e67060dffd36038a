//! A real cluster in trouble for minutes: nodes are killed, frozen and restarted, partitions move, connections break, as a seed says, while
//! producers send. At the end Kafka's own consumer reads what is on the log, and every outcome is held against it.
//!
//! What the seed draws is the same every time; when it strikes is up to clocks and to the machine.
//!
//! - `load`: the producers, and what became of each record
//! - `nodes`: trouble with brokers and partitions; one at a time, since two of three nodes have to be there
//! - `wires`: trouble on the way to them, at the same time

mod detour;
mod load;
mod nodes;
mod wires;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::account::{self, Account, Outcome, Sent};
use crate::cluster::{Cluster as _, wait_until};
use crate::kafka::Kafka;
use crate::soak::rng::Rng;
use crate::suite::fresh_topic;
use detour::Detour;
use load::{Load, PRODUCERS, Traffic};

const PARTITIONS: i32 = 6;
const REPLICAS: i16 = 3;
/// How long the cluster may take to be whole again.
const RECOVERY: Duration = Duration::from_secs(180);

/// How often each thing was done.
pub type Faults = BTreeMap<&'static str, u64>;

/// What happened in a run in which every outcome was true.
#[derive(Clone, Debug)]
pub struct Report {
    /// Where to begin again.
    pub seed: u64,
    /// From the first record to the last outcome.
    pub lasted: Duration,
    /// What was done to the cluster and to connections.
    pub faults: Faults,
    /// Outcomes, and what Kafka's consumer read.
    pub account: Account,
    /// What the producers did about it.
    pub traffic: Traffic,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, lasted, faults, account, traffic } = self;
        writeln!(f, "chaos with seed {seed}: {} s", lasted.as_secs())?;
        for (name, times) in faults {
            writeln!(f, "  {times:5}  {name}")?;
        }
        let Account { sent, delivered, not_written, maybe_written, stored } = account;
        writeln!(
            f,
            "records: {sent} sent; told: {delivered} delivered, {not_written} not written, {maybe_written} maybe written"
        )?;
        writeln!(f, "Kafka's console consumer read {stored}: nothing lost, nothing twice, each partition in order")?;
        let Traffic { requests, lost, batches, retried, bumps } = traffic;
        write!(
            f,
            "producers: {requests} requests ({lost} without an answer), {batches} batches sent, of which {retried} records again; {bumps} epoch bumps"
        )
    }
}

/// Sets the flag even after a panic, so that everybody else ends and the panic is seen.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// When the trouble ends.
#[derive(Clone, Copy, Debug)]
struct Until<'a> {
    end: Instant,
    stop: &'a AtomicBool,
}

impl Until<'_> {
    fn is_over(&self) -> bool {
        self.end <= Instant::now() || self.stop.load(Ordering::Relaxed)
    }

    /// Sleeps, but not beyond the end.
    fn sleep(&self, pause: Duration) {
        let end = self.end.min(Instant::now() + pause);
        while !self.is_over() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20).min(end.saturating_duration_since(Instant::now())));
        }
    }
}

/// Makes trouble for as long as told, then has the log read.
///
/// # Panics
/// If a record is lost, there twice or out of order, if an outcome is not true, or if the cluster does not recover.
#[must_use]
pub fn run(kafka: &Kafka, seed: u64, lasts: Duration) -> Report {
    assert_eq!(kafka.nodes().len(), 3, "this needs three nodes");
    let mut rng = Rng::new(seed);
    let (mut for_nodes, mut for_wires) = (Rng::new(rng.next()), Rng::new(rng.next()));
    let topic = fresh_topic("chaos");
    kafka.create_topic(&topic, PARTITIONS, REPLICAS);
    let detour = Detour::around(&kafka.bootstrap());
    let (stop, started) = (AtomicBool::new(false), Instant::now());
    let load = Load { bootstrap: kafka.bootstrap(), topic: topic.clone(), detour: detour.clone(), stop: &stop };
    let until = Until { end: started + lasts, stop: &stop };
    let mut faults = Faults::new();
    let results = std::thread::scope(|scope| {
        let load = &load;
        let producers: Vec<_> = (0..PRODUCERS).map(|number| scope.spawn(move || load.produce(number))).collect();
        {
            let _stop = StopOnDrop(&stop);
            let wires = scope.spawn(|| {
                let _stop = StopOnDrop(&stop);
                wires::trouble(&detour, &mut for_wires, until)
            });
            faults.append(&mut nodes::trouble(kafka, &topic, &mut for_nodes, until));
            faults.append(&mut wires.join().expect("wires that can be cut"));
        }
        producers
            .into_iter()
            .map(|producer| producer.join().expect("a producer that does not panic"))
            .collect::<Vec<_>>()
    });
    let lasted = started.elapsed();
    wait_until("all replicas are in sync", RECOVERY, || kafka.is_in_sync(&topic));
    let (sessions, traffic): (Vec<Vec<Sent>>, Vec<Traffic>) = results.into_iter().unzip();
    for (number, session) in sessions.iter().enumerate().filter(|(number, _)| load::is_patient(*number)) {
        let failed = session.iter().find(|sent| !matches!(sent.outcome, Outcome::Delivered { .. }));
        assert!(failed.is_none(), "seed {seed}: producer {number} is patient, and yet: {failed:?}");
    }
    let sessions: Vec<&[Sent]> = sessions.iter().map(Vec::as_slice).collect();
    let account = account::check(&sessions, &kafka.read(&topic)).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
    Report { seed, lasted, faults, account, traffic: traffic.into_iter().sum() }
}
