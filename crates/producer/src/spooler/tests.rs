//! The thread and its queue without a sender: batches come as they do when a producer is abandoned.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use milena_accumulator::{
    Accumulator, AccumulatorConfig, At, BatchReport, Delivery, DeliveryError, RecordRef, Urgency,
};
use milena_accumulator::{Failure, FailureKind, Fate};
use milena_broker::EmbeddedCluster;
use milena_client::bootstrap_list;
use milena_cluster::{Cluster, ClusterConfig};
use milena_pool::{SystemResolver, TcpConnector};
use milena_replay::{ReplayEvent, SharedSpool, Sockets};
use milena_sender::{Input, Metrics, Sender, SenderConfig};
use milena_spool::{Fsync, Place, Progress, Source, Spool};
use milena_wire::{BrokerId, PartitionId, RecordParts, Timestamp, TopicName};
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::worker::Worker;
use super::{Item, Spooler, Tools};
use crate::block_on::block_on;
use crate::timeout::within;
use crate::watch::Watch;
use crate::{DeliveryHandler, SpoolPolicy};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(30);

/// A port that nobody listens on.
const NOWHERE: &str = "127.0.0.1:1";

/// A record of this topic kills the thread as it is written.
pub(super) const PANIC: &str = "panic";

/// Gone once the producer has ended and it has heard of everything.
struct Handler(mpsc::Sender<()>);

impl DeliveryHandler for Handler {
    fn on_batch(&self, _: BatchReport) {}

    fn on_unobserved(&self, _: &Arc<Failure>, _: u32) {
        self.0.send(()).unwrap();
    }
}

struct Rig {
    spooler: Arc<Spooler>,
    watch: Arc<Watch>,
    metrics: Arc<Metrics>,
    spool: SharedSpool,
    worker: Option<Worker>,
    heard: mpsc::Receiver<()>,
    inputs: UnboundedReceiver<Input>,
    _dir: TempDir,
}

impl Rig {
    /// One whose thread has not started yet.
    fn new(bootstrap: &str, policy: impl FnOnce(&Path) -> SpoolPolicy) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let policy = policy(dir.path());
        let (spool, recovered) = Spool::open(policy.config()).unwrap();
        let spooler = Spooler::new(policy, recovered);
        let (tell, heard) = mpsc::channel();
        let watch = Watch::start("test", Some(Arc::new(Handler(tell))), None, Some(Arc::clone(&spooler))).unwrap();
        let cluster = ClusterConfig::new(bootstrap_list(bootstrap).unwrap());
        let accumulator = Accumulator::new(diverting(), 1, Arc::clone(&watch) as _);
        let sender = Sender::new(SenderConfig::default(), accumulator.clone(), Cluster::new(cluster.clone(), 1), 1);
        let metrics = sender.metrics();
        watch.count_in(&metrics);
        let (inputs, taken) = unbounded_channel();
        let sockets = Sockets {
            cluster,
            connector: Arc::new(TcpConnector::default()),
            resolver: Arc::new(SystemResolver),
            sasl: None,
        };
        let spool = Arc::new(Mutex::new(spool));
        let tools = Tools { watch: Arc::clone(&watch), accumulator, metrics: Arc::clone(&metrics), inputs, sockets };
        let worker = Some(Worker::new(Arc::clone(&spooler), Arc::clone(&spool), tools));
        Self { spooler, watch, metrics, spool, worker, heard, inputs: taken, _dir: dir }
    }

    fn start(&mut self) {
        self.worker.take().unwrap().start().unwrap();
    }

    fn started(bootstrap: &str, policy: impl FnOnce(&Path) -> SpoolPolicy) -> Self {
        let mut rig = Self::new(bootstrap, policy);
        rig.start();
        rig
    }

    /// A record that fails like this.
    fn fail(&self, topic: &str, kind: FailureKind) -> Delivery {
        let accumulator = Accumulator::new(diverting(), 1, Arc::clone(&self.watch) as _);
        let parts = RecordParts { value: Some(b"v"), ..RecordParts::default() };
        let record = RecordRef { topic, partition: None, parts, timestamp_ms: Some(0), shared: None };
        let at = At { now: Timestamp::ZERO, wall_ms: 0 };
        let delivery = accumulator.append(at, &record, Urgency::Linger, None).unwrap();
        accumulator.abandon(|topic, partition| Failure::new(kind, Fate::NotWritten, topic.clone(), partition));
        delivery
    }

    fn flush(&self) -> bool {
        block_on(within(LONG, self.spooler.flush()))
    }

    /// How many records were cut off. All that was shared is let go of then.
    fn close(&self) -> u64 {
        self.watch.end();
        let cut_off = block_on(self.spooler.finish(LONG));
        assert_eq!(Arc::strong_count(&self.spool), 1, "the folder is not free");
        let end = std::iter::repeat_with(|| self.heard.recv_timeout(LONG)).find_map(Result::err);
        assert_eq!(end, Some(mpsc::RecvTimeoutError::Disconnected), "the handler is not told that this is the end");
        cut_off
    }
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::yield_now();
    }
}

fn diverting() -> AccumulatorConfig {
    AccumulatorConfig { divert: true, ..AccumulatorConfig::default() }
}

fn outcome(delivery: Delivery) -> DeliveryError {
    let mut outcome = None;
    assert!(block_on(within(LONG, async { outcome = Some(delivery.await.unwrap_err()) })), "it has no outcome");
    outcome.unwrap()
}

#[test]
fn what_fails_is_kept_and_an_end_lets_go_of_the_folder() {
    let rig = Rig::started(NOWHERE, |dir| SpoolPolicy::new(dir));
    let delivery = rig.fail("t", FailureKind::DeliveryTimeout);
    assert!(rig.flush());
    assert_eq!(outcome(delivery).fate(), Fate::Spooled);
    assert_eq!(rig.close(), 0);
}

#[test]
fn a_thread_that_panics_leaves_nobody_waiting_and_nothing_without_an_outcome() {
    let mut rig = Rig::new(NOWHERE, |dir| SpoolPolicy::new(dir));
    let in_hand = rig.fail(PANIC, FailureKind::DeliveryTimeout);
    let queued = [rig.fail("t", FailureKind::DeliveryTimeout), rig.fail("t", FailureKind::Closed)];
    let (flushed, flushing) = mpsc::channel();
    let spooler = Arc::clone(&rig.spooler);
    let waiting = std::thread::spawn(move || {
        block_on(spooler.flush());
        flushed.send(()).unwrap();
    });
    while !matches!(rig.spooler.state.lock().queue.back(), Some(Item::Flush(_))) {
        std::thread::yield_now();
    }
    rig.start();
    flushing.recv_timeout(LONG).expect("a flush waits for a thread that is gone");
    waiting.join().unwrap();
    // A later process may find it in the spool, and send it.
    assert_eq!(outcome(in_hand).fate(), Fate::MaybeWritten);
    for delivery in queued {
        assert_eq!(outcome(delivery).fate(), Fate::NotWritten);
    }
    assert!(rig.flush());
    // Nobody keeps what comes now.
    assert_eq!(outcome(rig.fail("u", FailureKind::Closed)).fate(), Fate::NotWritten);
    let total = rig.metrics.snapshot().total;
    assert_eq!((total.failed_not_written.records, total.spooled.records), (3, 0));
    let health = rig.spooler.health();
    assert!(health.gone && health.to_string().contains("panicked"), "{health}");
    // Two by the close, and the one that the panic took.
    assert_eq!(rig.close(), 3);
}

#[test]
fn what_is_kept_is_synced_at_the_end_of_the_interval_though_nothing_comes() {
    let rig = Rig::started(NOWHERE, |dir| SpoolPolicy::new(dir).fsync(Fsync::Interval(Duration::from_millis(200))));
    // The first one after an interval is synced as it is written.
    let mut kept = 0;
    while rig.spool.lock().sync_due().is_none() {
        assert_eq!(outcome(rig.fail("t", FailureKind::DeliveryTimeout)).fate(), Fate::Spooled);
        kept += 1;
    }
    until("it is synced", || rig.spool.lock().sync_due().is_none());
    assert_eq!(rig.metrics.snapshot().total.spooled.records, kept);
    assert_eq!(rig.close(), 0);
}

#[test]
fn a_replay_that_panicked_is_told_and_started_again() {
    let cluster = EmbeddedCluster::builder().start_blocking().unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    cluster.stop_node(BrokerId(1));
    let policy = |dir: &Path| SpoolPolicy::new(dir).retry_after(Duration::from_millis(20));
    let rig = Rig::started(&cluster.bootstrap(), policy);
    assert_eq!(outcome(rig.fail("t", FailureKind::DeliveryTimeout)).fate(), Fate::Spooled);
    rig.spooler.replayed(ReplayEvent::Panicked { message: "made up".to_owned() });
    until("health tells", || rig.spooler.health().replay_error.is_some());
    let health = rig.spooler.health().to_string();
    assert!(health.contains("last trouble of the replay: it panicked: made up"), "{health}");
    block_on(cluster.start_node(BrokerId(1))).unwrap();
    until("the next replay has sent it", || rig.metrics.snapshot().total.replayed.records == 1);
    assert_eq!(cluster.log("t", PartitionId(0)).len(), 1);
    assert_eq!(rig.close(), 0);
}

#[test]
fn what_a_replay_had_sent_when_it_panicked_is_handed_back() {
    let mut rig = Rig::started(NOWHERE, |dir| SpoolPolicy::new(dir).retry_after(Duration::from_secs(3_600)));
    assert_eq!(outcome(rig.fail("t", FailureKind::DeliveryTimeout)).fate(), Fate::Spooled);
    let panicked = || ReplayEvent::Panicked { message: "made up".to_owned() };
    rig.spooler.replayed(panicked());
    until("there is no replay", || rig.spooler.health().replay_error.is_some());
    // As if one had sent all of this, and panicked before it said so.
    assert_eq!(outcome(rig.fail("done", FailureKind::DeliveryTimeout)).fate(), Fate::Spooled);
    assert!(rig.flush());
    let done = Source { topic: TopicName::new("done"), place: Place::Unassigned };
    rig.spool.lock().save_progress(&done, Progress { next: 1, ..Progress::default() }).unwrap();
    rig.spooler.replayed(panicked());
    assert_eq!(rig.close(), 0);
    let ends = std::iter::from_fn(|| rig.inputs.try_recv().ok()).filter_map(|input| match input {
        Input::DivertEnd { topic, partition, seen } => Some((topic, partition, seen)),
        _ => None,
    });
    assert_eq!(ends.collect::<Vec<_>>(), [(TopicName::new("done"), None, 1)]);
}
