//! One simulated run: what it is made of, and how it goes from the first record to the verdict.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use milena_accumulator::{Accumulator, FailureKind, Urgency};
use milena_broker::{EmbeddedCluster, SimulatedCluster, SimulatedConn};
use milena_cluster::{Cluster, ConnId};
use milena_sender::{Command, CommandId, Input, Sender};
use milena_wire::{ApiKey, PartitionId, Timestamp};

use super::callers::{Callers, Ears};
use super::case::Case;
use super::fault::Fault;
use super::ledger::{Ledger, Place, Word, contents};
use super::network::{Event, Network};
use super::oracle::{Asked, Books, Note, Pace, judge};
use super::plan::Plan;
use super::planted::Planted;
use super::rng::Rng;
use super::story::Story;

/// When a run begins.
pub(crate) const START: Timestamp = Timestamp::from_millis(1000);
/// Beyond the delivery timeout, and what a codec takes, no record may be open.
const SLACK: Duration = Duration::from_millis(5);
/// How long a healed cluster has to take a record on every partition.
const RECOVERY: Duration = Duration::from_secs(40);
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
        let mut servers = EmbeddedCluster::builder()
            .nodes(usize::try_from(plan.nodes).unwrap_or(1))
            .profile(plan.profile)
            .auto_create_topics(false)
            .min_insync_replicas(plan.min_insync_replicas)
            .replication_lag(plan.replication_lag)
            .replica_lag_max(Duration::from_secs(2))
            .seed(seed)
            .simulated();
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
        for at in 0..self.plan.strikes.len() {
            self.net.queue.push(START + self.plan.strikes[at].at, Event::Strike(at));
        }
        self.run_until(START + self.plan.length)?;
        if self.planted != Planted::NeverHealed {
            self.heal();
        }
        self.command(Command::Flush);
        self.run_until(self.now + self.record_limit())?;
        self.converge()?;
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

    /// A record goes through on every partition.
    fn converge(&mut self) -> Result<(), Vec<String>> {
        // A partition that metadata kept quiet about is found by the next regular look.
        let end = self.now + RECOVERY + self.plan.sender.request_timeout * 2 + self.plan.cluster.metadata_max_age;
        let places: Vec<Place> =
            self.partitions.iter().flat_map(|(topic, n)| (0..*n).map(move |p| (topic.clone(), p))).collect();
        for place in places {
            let mut probe: Option<u64> = None;
            loop {
                match probe.and_then(|id| self.ledger.entry(id)).map(|entry| entry.word) {
                    Some(Some((Word::Delivered(_) | Word::Unacknowledged, ..))) => break,
                    Some(None) => {}
                    _ => probe = Some(self.enqueue_probe(&place)),
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
        self.ledger.entries.iter().any(|entry| matches!(entry.word, Some((_, _, Some(FailureKind::Fatal)))))
    }

    fn conclude(&mut self) -> Result<(), Vec<String>> {
        self.callers_leave();
        self.listen();
        let mut logs = BTreeMap::new();
        for (topic, count) in &self.partitions {
            for partition in 0..*count {
                let log = contents(&self.servers.log(topic, PartitionId(partition)));
                logs.insert((topic.clone(), partition), log);
            }
        }
        let tries = |wait: Duration| 1000 / u64::try_from(wait.as_millis()).unwrap_or(1).max(5);
        let mut books = Books {
            guarantee: self.plan.sender.guarantee,
            ordered: self.plan.is_ordered(),
            limit: self.record_limit(),
            ledger: std::mem::take(&mut self.ledger),
            logs,
            notes: std::mem::take(&mut self.notes),
            memory_used: self.accumulator.memory().used,
            waiting: self.callers.waiting(),
            rates: std::mem::take(&mut self.rates),
            pace: Pace {
                retries: tries(self.plan.sender.retry_backoff),
                reconnects: tries(self.plan.cluster.reconnect_backoff),
                partitions: self.partitions.values().map(|count| u64::try_from(*count).unwrap_or(0)).sum(),
                nodes: u64::try_from(self.plan.nodes).unwrap_or(1),
            },
        };
        self.planted.lose(&self.struck, &mut books);
        self.sum_up(&books);
        let wrong = judge(&books);
        self.books = Some(books);
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    fn sum_up(&mut self, books: &Books) {
        let summary = &mut self.summary;
        summary.busiest_second = books.rates.values().fold((0, 0), |a, b| (a.0.max(b.0), a.1.max(b.1)));
        summary.records = books.ledger.entries.len() as u64;
        for entry in &books.ledger.entries {
            let place = match entry.word {
                Some((Word::Delivered(_), ..)) => 0,
                Some((Word::Unacknowledged, ..)) => 1,
                Some((Word::NotWritten, ..)) => 2,
                Some((Word::MaybeWritten, ..)) => 3,
                None => continue,
            };
            summary.words[place] += 1;
        }
        summary.took = self.now.since(START);
    }

    /// Hands a command to the sender.
    pub(crate) fn command(&mut self, command: Command) {
        let what = match command {
            Command::Close { deadline } => Asked::Close(deadline),
            Command::Purge { .. } => Asked::Purge,
            _ => Asked::Flush,
        };
        let enqueued = self.ledger.entries.len();
        self.notes.push(Note { what, asked: self.now, enqueued, done: None, given_up: 0 });
        let id = self.notes.len() as u64;
        self.say(|| format!("command {id}: {command:?}"));
        self.input(Input::Command { id: CommandId(id), command });
    }

    pub(crate) fn wall_ms(&self) -> i64 {
        1_700_000_000_000 + i64::try_from(self.now.as_nanos() / 1_000_000).unwrap_or(0)
    }

    fn enqueue_probe(&mut self, place: &Place) -> u64 {
        let record = super::callers::Wish {
            topic: place.0.clone(),
            partition: Some(place.1),
            key: Some("k".to_owned()),
            size: 20,
            urgency: Urgency::Now,
            by_token: true,
            drop: false,
        };
        self.enqueue(&record, None).0
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
