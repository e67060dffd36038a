//! One simulated run, from a seed to a verdict.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use milena_accumulator::{Accumulator, At, BatchReport, Delivery, Failure, Hooks, RecordRef, Refused, Urgency};
use milena_broker::{EmbeddedCluster, SimulatedCluster, SimulatedConn};
use milena_cluster::{Cluster, ConnId};
use milena_sender::{Command, CommandId, CommandResult, Input, Sender};
use milena_wire::{ApiKey, PartitionId, RecordParts, Timestamp};

use super::ledger::{Contents, Ledger, Place, Word, contents, value_of};
use super::network::{Event, Network};
use super::plan::Plan;
use super::rng::Rng;

/// Beyond the delivery timeout, and what a codec takes, no record may be open.
const SLACK: Duration = Duration::from_millis(5);
/// How long a healed cluster has to take a record on every partition.
const RECOVERY: Duration = Duration::from_secs(40);

/// What a run came to, if all was well.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Summary {
    /// Records enqueued.
    pub records: u64,
    /// How many ended delivered, unacknowledged, not written and maybe written.
    pub words: [u64; 4],
    /// Frames the client sent.
    pub requests: u64,
    /// The most Produce and other frames in any second.
    pub busiest_second: (u64, u64),
    /// Faults that struck.
    pub faults: u64,
    /// Made-up time it took.
    pub took: Duration,
    /// Of every frame and outcome in order: two runs of one seed have the same.
    pub digest: u64,
}

/// What was wrong with a run.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// Which seed to play again.
    pub seed: u64,
    /// What was wrong.
    pub wrong: Vec<String>,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seed {}; again, with a trace: SIM_SEED={0} cargo test -p protocol-tests --test soak -- --nocapture",
            self.seed
        )?;
        let shown = self.wrong.iter().take(8);
        let rest = self.wrong.iter().skip(8).last();
        for wrong in shown.chain(rest) {
            writeln!(f, "  {wrong}")?;
        }
        Ok(())
    }
}

/// What the accumulator says.
#[derive(Debug, Default)]
pub(crate) struct Ears {
    woken: Mutex<bool>,
    reports: Mutex<Vec<BatchReport>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ears {
    pub(crate) fn take_woken(&self) -> bool {
        std::mem::take(&mut *lock(&self.woken))
    }
}

impl Hooks for Ears {
    fn wake(&self) {
        *lock(&self.woken) = true;
    }

    fn report(&self, report: BatchReport) {
        lock(&self.reports).push(report);
    }

    fn unobserved(&self, _: &Arc<Failure>, _: u32) {}
}

pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) rng: Rng,
    pub(crate) now: Timestamp,
    pub(crate) net: Network,
    pub(crate) servers: SimulatedCluster,
    pub(crate) conns: BTreeMap<SimulatedConn, ConnId>,
    pub(crate) sender: Sender,
    pub(crate) accumulator: Accumulator,
    pub(crate) ears: Arc<Ears>,
    pub(crate) ledger: Ledger,
    deliveries: Vec<(u64, Delivery)>,
    pub(crate) partitions: BTreeMap<String, i32>,
    /// Nothing goes wrong any more.
    pub(crate) healed: bool,
    pub(crate) names_fail: bool,
    commands: u64,
    pub(crate) done: BTreeMap<u64, CommandResult>,
    pub(crate) closed: bool,
    /// Frames sent in each second: Produce, and all else.
    pub(crate) rates: BTreeMap<u64, (u64, u64)>,
    pub(crate) summary: Summary,
    pub(crate) trace: bool,
    checked: Timestamp,
}

/// Plays a seed; `trace` prints what happens.
///
/// # Errors
///
/// What was wrong.
pub fn run(seed: u64, trace: bool) -> Result<Summary, Trouble> {
    let mut world = World::new(seed, trace);
    match world.play() {
        Ok(()) => Ok(world.summary),
        Err(mut wrong) => {
            wrong.push(format!(
                "with {:?}, {:?}, {} nodes, faults {:?}",
                world.plan.sender.guarantee, world.plan.profile, world.plan.nodes, world.plan.faults
            ));
            Err(Trouble { seed, wrong })
        }
    }
}

impl World {
    fn new(seed: u64, trace: bool) -> Self {
        let plan = Plan::draw(seed);
        if trace {
            println!("{plan:#?}");
        }
        let mut servers = EmbeddedCluster::builder()
            .nodes(usize::try_from(plan.nodes).unwrap_or(1))
            .profile(plan.profile)
            .auto_create_topics(false)
            .min_insync_replicas(plan.min_insync_replicas)
            .replication_lag(plan.replication_lag)
            .replica_lag_max(Duration::from_secs(2))
            .seed(seed)
            .simulated();
        let now = Timestamp::from_millis(1000);
        let mut partitions = BTreeMap::new();
        for topic in &plan.topics {
            let max = topic.max_message_bytes.to_string();
            let policy = if topic.compacted { "compact" } else { "delete" };
            let configs = [("max.message.bytes", max.as_str()), ("cleanup.policy", policy)];
            let replicas = i16::try_from(plan.nodes).unwrap_or(1);
            let created = servers.create_topic_with(now, &topic.name, topic.partitions, replicas, &configs);
            created.unwrap_or_else(|error| panic!("the plan has a topic that cannot be: {error}"));
            partitions.insert(topic.name.clone(), topic.partitions);
        }
        let ears = Arc::new(Ears::default());
        let accumulator = Accumulator::new(plan.accumulator.clone(), seed, ears.clone());
        let cluster = Cluster::new(plan.cluster.clone(), seed ^ 1);
        let sender = Sender::new(plan.sender.clone(), accumulator.clone(), cluster, seed ^ 2);
        Self {
            rng: Rng::new(seed ^ 0xfeed),
            plan,
            now,
            net: Network::default(),
            servers,
            conns: BTreeMap::new(),
            sender,
            accumulator,
            ears,
            ledger: Ledger::default(),
            deliveries: Vec::new(),
            partitions,
            healed: false,
            names_fail: false,
            commands: 0,
            done: BTreeMap::new(),
            closed: false,
            rates: BTreeMap::new(),
            summary: Summary::default(),
            trace,
            checked: Timestamp::ZERO,
        }
    }

    pub(crate) fn say(&self, what: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>12.6} {}", self.now.since(Timestamp::ZERO).as_secs_f64(), what());
        }
    }

    pub(crate) fn digest(&mut self, what: u64) {
        self.summary.digest = (self.summary.digest ^ what).wrapping_mul(0x0100_0000_01b3).rotate_left(5);
    }

    fn play(&mut self) -> Result<(), Vec<String>> {
        let start = self.now;
        self.net.queue.push(self.now, Event::Burst);
        if !self.plan.faults.is_empty() {
            let first = self.rng.millis(0, self.plan.fault_gap_ms);
            self.net.queue.push(self.now + first, Event::Fault);
        }
        self.run_until(start + self.plan.length)?;
        self.heal();
        let flush = self.command(Command::Flush);
        self.run_until(self.now + self.plan.sender.delivery_timeout + self.slack())?;
        if !self.done.contains_key(&flush) {
            return Err(vec!["the flush did not end within the delivery timeout".to_owned()]);
        }
        self.converge()?;
        let close = self.command(Command::Close { deadline: self.now + Duration::from_secs(5) });
        self.run_until(self.now + Duration::from_secs(5) + self.slack())?;
        if !self.closed || !self.done.contains_key(&close) {
            return Err(vec!["the close did not end at its deadline".to_owned()]);
        }
        // Zombies have their say.
        self.run_until(self.now + Duration::from_secs(4))?;
        self.conclude(start)
    }

    fn slack(&self) -> Duration {
        SLACK + Duration::from_millis(self.plan.seal_ms)
    }

    /// A record goes through on every partition.
    fn converge(&mut self) -> Result<(), Vec<String>> {
        // A partition that metadata kept quiet about is found by the next regular look.
        let end = self.now + RECOVERY + self.plan.sender.request_timeout * 2 + self.plan.cluster.metadata_max_age;
        let places: Vec<Place> =
            self.partitions.iter().flat_map(|(topic, n)| (0..*n).map(move |p| (topic.clone(), p))).collect();
        for place in places {
            let mut probe: Option<u64> = None;
            loop {
                let entry = probe.and_then(|id| self.ledger.entries.get(usize::try_from(id).ok()?));
                match entry.map(|entry| entry.word) {
                    Some(Some((Word::Delivered(_) | Word::Unacknowledged, ..))) => break,
                    Some(None) => {}
                    _ => probe = Some(self.enqueue(&place.0, Some(place.1), true, 20, Urgency::Now)),
                }
                if self.is_fatal() {
                    return Ok(());
                }
                if self.now > end {
                    return Err(vec![format!("STUCK: nothing goes through on {place:?} though all is well")]);
                }
                self.run_until(self.now + Duration::from_millis(50))?;
            }
        }
        Ok(())
    }

    /// Whether the producer was told that it may not go on.
    fn is_fatal(&self) -> bool {
        let fatal = |entry: &super::ledger::Entry| {
            matches!(entry.word, Some((_, _, Some(milena_accumulator::FailureKind::Fatal))))
        };
        self.ledger.entries.iter().any(fatal)
    }

    fn conclude(&mut self, start: Timestamp) -> Result<(), Vec<String>> {
        self.listen();
        let mut logs: BTreeMap<Place, Contents> = BTreeMap::new();
        for (topic, count) in self.partitions.clone() {
            for partition in 0..count {
                let log = contents(&self.servers.log(&topic, PartitionId(partition)));
                logs.insert((topic.clone(), partition), log);
            }
        }
        let mut wrong = self.ledger.audit(self.plan.sender.guarantee, self.plan.is_ordered(), &logs);
        let used = self.accumulator.memory().used;
        if used > 0 {
            wrong.push(format!("{used} bytes of memory are held when all is over"));
        }
        let unanswered: Vec<_> = (1..=self.commands).filter(|id| !self.done.contains_key(id)).collect();
        if !unanswered.is_empty() {
            wrong.push(format!("commands {unanswered:?} were never answered"));
        }
        self.summary.busiest_second = self.rates.values().fold((0, 0), |a, b| (a.0.max(b.0), a.1.max(b.1)));
        self.check_rates(&mut wrong);
        self.summary.records = self.ledger.entries.len() as u64;
        for entry in &self.ledger.entries {
            let place = match entry.word {
                Some((Word::Delivered(_), ..)) => 0,
                Some((Word::Unacknowledged, ..)) => 1,
                Some((Word::NotWritten, ..)) => 2,
                _ => 3,
            };
            self.summary.words[place] += 1;
        }
        self.summary.took = self.now.since(start);
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// No storm: what a second of frames can be explained by.
    fn check_rates(&self, wrong: &mut Vec<String>) {
        // A record explains a request when it comes and, after an outage, when its turn has come at last.
        let mut progress: BTreeMap<u64, u64> = BTreeMap::new();
        let second = |at: Timestamp| at.as_nanos() / 1_000_000_000;
        for entry in &self.ledger.entries {
            let times = [Some(entry.at), entry.word.map(|(_, at, _)| at)];
            times.into_iter().flatten().for_each(|at| *progress.entry(second(at)).or_insert(0) += 1);
        }
        let partitions: i32 = self.partitions.values().sum();
        let tries = 1000 / u64::try_from(self.plan.sender.retry_backoff.as_millis()).unwrap_or(1).max(5);
        let reconnects = 1000 / u64::try_from(self.plan.cluster.reconnect_backoff.as_millis()).unwrap_or(1).max(5);
        for (second, (produce, other)) in &self.rates {
            let near = second.saturating_sub(1)..=second + 1;
            let fresh: u64 = progress.range(near).map(|(_, records)| *records).sum();
            let produce_max = 40 + fresh + tries * 2 * u64::try_from(partitions).unwrap_or(1);
            let other_max = 60 + 4 * tries + 2 * reconnects * u64::try_from(self.plan.nodes).unwrap_or(1);
            if *produce > produce_max || *other > other_max {
                wrong.push(format!(
                    "STORM: {produce} produce and {other} other requests in second {second}, expected {produce_max} and {other_max}"
                ));
            }
        }
    }

    /// Hands a command to the sender.
    pub(crate) fn command(&mut self, command: Command) -> u64 {
        self.commands += 1;
        let id = self.commands;
        self.say(|| format!("command {id}: {command:?}"));
        self.input(Input::Command { id: CommandId(id), command });
        id
    }

    pub(crate) fn wall_ms(&self) -> i64 {
        1_700_000_000_000 + i64::try_from(self.now.as_nanos() / 1_000_000).unwrap_or(0)
    }

    /// A burst of records.
    pub(crate) fn burst(&mut self) {
        for _ in 0..self.rng.between(1, self.plan.burst_max) {
            let topic = self.plan.topics[self.rng.index(self.plan.topics.len())].clone();
            let count = self.partitions[&topic.name];
            let partition = self
                .rng
                .percent(self.plan.explicit_percent)
                .then(|| i32::try_from(self.rng.between(0, u64::try_from(count - 1).unwrap_or(0))).unwrap_or(0));
            let keyed = self.rng.percent(if topic.compacted { 85 } else { 40 });
            let size = usize::try_from(self.rng.between(1, self.plan.value_max)).unwrap_or(1);
            let urgency = if self.rng.percent(20) { Urgency::Now } else { Urgency::Linger };
            self.enqueue(&topic.name, partition, keyed, size, urgency);
        }
    }

    fn enqueue(&mut self, topic: &str, partition: Option<i32>, keyed: bool, size: usize, urgency: Urgency) -> u64 {
        let id = self.ledger.enqueued(self.now, topic);
        let (key, value) = (format!("k{}", self.rng.between(0, 20)), value_of(id, size));
        let parts = RecordParts { key: keyed.then_some(key.as_bytes()), value: Some(&value), headers: &[] };
        let partition = partition.map(PartitionId);
        let record = RecordRef { topic, partition, parts, timestamp_ms: None };
        let at = At { now: self.now, wall_ms: self.wall_ms() };
        let refused: Option<Refused> = if self.rng.percent(50) {
            match self.accumulator.append(at, &record, urgency, None) {
                Ok(delivery) => {
                    self.deliveries.push((id, delivery));
                    None
                }
                Err(refused) => Some(refused),
            }
        } else {
            self.accumulator.append_with_token(at, &record, urgency, None, id).err()
        };
        self.say(|| {
            format!("record {id} to {topic}-{partition:?}: {}", refused.as_ref().map_or("queued", |_| "refused"))
        });
        if refused.is_some() {
            self.ledger.refused(id, self.now);
        }
        id
    }

    /// Hears what became of records.
    pub(crate) fn listen(&mut self) {
        let mut said = 0;
        for (id, delivery) in std::mem::take(&mut self.deliveries) {
            if !delivery.is_done() {
                self.deliveries.push((id, delivery));
                continue;
            }
            said += 1;
            let (partition, word, why) = match delivery.wait() {
                Ok(receipt) if receipt.acknowledged => {
                    (Some(receipt.partition.0), Word::Delivered(receipt.offset.map(|offset| offset.0)), None)
                }
                Ok(receipt) => (Some(receipt.partition.0), Word::Unacknowledged, None),
                Err(error) => {
                    let failure = error.failure();
                    let written = failure.fate == milena_accumulator::Fate::MaybeWritten;
                    let word = if written { Word::MaybeWritten } else { Word::NotWritten };
                    (failure.partition.map(|p| p.0), word, Some(failure.kind))
                }
            };
            self.say(|| format!("record {id} of partition {partition:?}: {word:?} {why:?}"));
            self.ledger.said(id, self.now, partition, word, why);
        }
        for report in std::mem::take(&mut *lock(&self.ears.reports)) {
            for record in report.records() {
                said += 1;
                let offset = record.offset.map(|offset| offset.0);
                let partition = report.partition().map(|p| p.0);
                self.say(|| {
                    format!("record {} of partition {partition:?}: {:?} {offset:?}", record.token, report.outcome())
                });
                self.ledger.heard(record.token, self.now, partition, report.outcome(), offset);
            }
        }
        if said > 0 {
            self.digest(said ^ self.now.as_nanos());
        }
    }

    /// Nothing is open past its time.
    pub(crate) fn check_deadlines(&mut self) -> Result<(), Vec<String>> {
        if self.now.since(self.checked) < Duration::from_millis(20) {
            return Ok(());
        }
        self.checked = self.now;
        match self.ledger.overdue(self.now, self.plan.sender.delivery_timeout + self.slack()) {
            Some(id) => Err(vec![format!(
                "OVERDUE: record {id} has no outcome at {:?}: {:?}",
                self.now,
                self.ledger.entries[usize::try_from(id).unwrap_or(0)]
            )]),
            None => Ok(()),
        }
    }

    pub(crate) fn count(&mut self, api: Option<ApiKey>) {
        self.summary.requests += 1;
        let second = self.rates.entry(self.now.as_nanos() / 1_000_000_000).or_default();
        if api == Some(ApiKey::PRODUCE) { second.0 += 1 } else { second.1 += 1 }
    }
}
