//! One simulated run: what it is made of, and how it goes from the first record to the verdict.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use milena_accumulator::Accumulator;
use milena_broker::{EmbeddedCluster, SaslServer, SimulatedCluster, SimulatedConn};
use milena_cluster::{Cluster, ConnId};
use milena_sender::{Command, CommandId, Input, Sender};
use milena_wire::{ApiKey, BrokerId, Timestamp};

use super::callers::{Callers, Ears};
use super::case::Case;
use super::fault::Fault;
use super::ledger::{Ledger, Place};
use super::network::{Event, Network};
use super::oracle::{Asked, Books, Note};
use super::plan::Plan;
use super::planted::Planted;
use super::rng::Rng;
use super::sights::Sights;
use super::story::Story;

/// When a run begins.
pub(crate) const START: Timestamp = Timestamp::from_millis(1000);
/// Beyond the delivery timeout, and what a codec takes, no record may be open.
const SLACK: Duration = Duration::from_millis(5);
/// How long a close has.
const CLOSE: Duration = Duration::from_secs(5);
/// The stream of randomness of all that is not of one connection, one fault or the callers.
const CHANCE: u64 = 2;

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
    /// Things that happened, one by one.
    pub steps: u64,
    /// What it came across.
    pub sights: Sights,
    /// Of every frame and outcome in order: two runs of one seed have the same.
    pub digest: u64,
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
    pub(crate) callers: Callers,
    pub(crate) ledger: Ledger,
    pub(crate) partitions: BTreeMap<String, i32>,
    /// Nothing goes wrong any more.
    pub(crate) healed: bool,
    pub(crate) names_fail: bool,
    /// Brokers let nobody in.
    pub(crate) locked: Arc<AtomicBool>,
    pub(crate) guard: Option<SaslServer>,
    /// What the wall clock is wrong by.
    pub(crate) wall_offset_ms: i64,
    /// What users asked for; the place is the command's id.
    pub(crate) notes: Vec<Note>,
    pub(crate) closed: bool,
    /// Frames sent in each second: Produce, and all else.
    pub(crate) rates: BTreeMap<u64, (u64, u64)>,
    pub(crate) summary: Summary,
    pub(crate) story: Story,
    pub(crate) books: Option<Books>,
    pub(crate) planted: Planted,
    /// What has struck, in order.
    pub(crate) struck: Vec<Fault>,
    pub(crate) checked: Timestamp,
}

impl World {
    pub(crate) fn new(case: &Case, story: Story) -> Self {
        let (plan, seed) = (case.plan(), case.seed);
        story.tell(|| format!("{plan:#?}"));
        let locked = Arc::new(AtomicBool::new(false));
        let mut builder = EmbeddedCluster::builder()
            .nodes(usize::try_from(plan.nodes).unwrap_or(1))
            .profile(plan.profile)
            .auto_create_topics(false)
            .min_insync_replicas(plan.min_insync_replicas)
            .replication_lag(plan.replication_lag)
            .replica_lag_max(Duration::from_secs(2))
            .first_epoch(plan.first_epoch)
            .seed(seed);
        let guard = plan.identity.map(|identity| identity.server(&locked));
        if let Some(guard) = &guard {
            builder = builder.sasl(guard.clone());
        }
        let mut servers = builder.simulated();
        let mut partitions = BTreeMap::new();
        for topic in &plan.topics {
            let max = topic.max_message_bytes.to_string();
            let policy = if topic.compacted { "compact" } else { "delete" };
            let configs = [("max.message.bytes", max.as_str()), ("cleanup.policy", policy)];
            let replicas = i16::try_from(plan.nodes).unwrap_or(1);
            let created = servers.create_topic_with(START, &topic.name, topic.partitions, replicas, &configs);
            created.unwrap_or_else(|error| panic!("the plan has a topic that cannot be: {error}"));
            partitions.insert(topic.name.clone(), topic.partitions);
        }
        let ears = Arc::new(Ears::default());
        let accumulator = Accumulator::new(plan.accumulator.clone(), seed, ears.clone());
        let cluster = Cluster::new(plan.cluster.clone(), seed ^ 1);
        let sender = Sender::new(plan.sender.clone(), accumulator.clone(), cluster, seed ^ 2);
        Self {
            rng: Rng::stream(seed, CHANCE),
            plan,
            now: START,
            net: Network::new(seed),
            servers,
            conns: BTreeMap::new(),
            sender,
            accumulator,
            ears,
            callers: Callers::new(seed),
            ledger: Ledger::default(),
            partitions,
            healed: false,
            names_fail: false,
            locked,
            guard,
            wall_offset_ms: 0,
            notes: Vec::new(),
            closed: false,
            rates: BTreeMap::new(),
            summary: Summary::default(),
            story,
            books: None,
            planted: case.planted.clone(),
            struck: Vec::new(),
            checked: Timestamp::ZERO,
        }
    }

    pub(crate) fn say(&self, what: impl FnOnce() -> String) {
        self.story.tell(|| format!("{:>12.6} {}", self.now.since(Timestamp::ZERO).as_secs_f64(), what()));
    }

    pub(crate) fn digest(&mut self, what: u64) {
        self.summary.digest = (self.summary.digest ^ what).wrapping_mul(0x0100_0000_01b3).rotate_left(5);
    }

    /// Plays it to the end and judges it.
    pub(crate) fn play(&mut self) -> Result<(), Vec<String>> {
        self.net.queue.push(START, Event::Burst);
        if let Some(close) = self.plan.close {
            self.net.queue.push(START + close.at, Event::Close(close.within));
        }
        for at in 0..self.plan.strikes.len() {
            self.net.queue.push(START + self.plan.strikes[at].at, Event::Strike(at));
        }
        self.run_until(START + self.plan.length)?;
        self.heal();
        if self.planted == Planted::NeverHealed {
            (1..=self.plan.nodes).for_each(|node| self.servers.stop_node(self.now, BrokerId(node)));
        }
        self.command(Command::Flush);
        self.run_until(self.now + self.record_limit())?;
        if self.plan.close.is_none() {
            self.converge()?;
        }
        self.command(Command::Close { deadline: self.now + CLOSE });
        self.run_until(self.now + CLOSE + self.slack())?;
        if !self.closed {
            return Err(vec!["CLOSE: the sender does not end at its deadline".to_owned()]);
        }
        // Zombies have their say.
        self.run_until(self.now + Duration::from_secs(4))?;
        self.conclude()
    }

    fn slack(&self) -> Duration {
        SLACK + Duration::from_millis(self.plan.seal_ms)
    }

    /// Longest that a record may be without an outcome.
    pub(crate) fn record_limit(&self) -> Duration {
        self.plan.sender.delivery_timeout + self.slack()
    }

    /// All partitions.
    pub(crate) fn places(&self) -> Vec<Place> {
        self.partitions.iter().flat_map(|(topic, n)| (0..*n).map(move |p| (topic.clone(), p))).collect()
    }

    /// Hands a command to the sender.
    pub(crate) fn command(&mut self, command: Command) {
        let what = match command {
            Command::Close { deadline } => Asked::Close(deadline),
            Command::Purge { .. } => Asked::Purge,
            Command::WaitReady { deadline }
            | Command::PartitionsFor { deadline, .. }
            | Command::Prepare { deadline, .. } => Asked::Question(deadline),
            _ => Asked::Flush,
        };
        let enqueued = self.ledger.entries.len();
        self.notes.push(Note { what, asked: self.now, enqueued, done: None, given_up: 0 });
        let id = self.notes.len() as u64;
        self.say(|| format!("command {id}: {command:?}"));
        self.input(Input::Command { id: CommandId(id), command });
    }

    pub(crate) fn wall_ms(&self) -> i64 {
        1_700_000_000_000 + self.wall_offset_ms + i64::try_from(self.now.as_nanos() / 1_000_000).unwrap_or(0)
    }

    /// Nothing is open past its time.
    pub(crate) fn check_deadlines(&mut self) -> Result<(), Vec<String>> {
        if self.now.since(self.checked) < Duration::from_millis(20) {
            return Ok(());
        }
        self.checked = self.now;
        match self.ledger.overdue(self.now, self.record_limit()) {
            Some(id) => {
                let entry = self.ledger.entry(id);
                Err(vec![format!("OVERDUE: record {id} has no outcome at {:?}: {entry:?}", self.now)])
            }
            None => Ok(()),
        }
    }

    pub(crate) fn count(&mut self, api: Option<ApiKey>) {
        self.summary.requests += 1;
        let second = self.rates.entry(self.now.as_nanos() / 1_000_000_000).or_default();
        if api == Some(ApiKey::PRODUCE) { second.0 += 1 } else { second.1 += 1 }
    }
}
