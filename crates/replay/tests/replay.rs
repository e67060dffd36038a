//! A replay that goes on for ever, beside somebody who appends: as it runs inside of a producer.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use milena_broker::{EmbeddedCluster, Reaction, Rule};
use milena_client::bootstrap_list;
use milena_cluster::ClusterConfig;
use milena_pool::{BoxFuture, Resolver, SystemResolver, TcpConnector};
use milena_replay::{Replay, ReplayConfig, ReplayEvent, SharedSpool, Sockets};
use milena_spool::replay::Stop;
use milena_spool::{ASSIGNED_AT_ONCE, Fate, Place, Source, Spool, SpoolConfig, SpooledBatch};
use milena_wire::batch::{RecordParts, put_record, record_size};
use milena_wire::{ApiKey, BatchHeader, Codec, ErrorCode, PartitionId, TopicName};
use tempfile::TempDir;

const WAIT: Duration = Duration::from_secs(60);

struct Rig {
    cluster: EmbeddedCluster,
    spool: SharedSpool,
    replay: Replay,
    events: mpsc::Receiver<ReplayEvent>,
    _dir: TempDir,
}

/// In memory where there is such a folder: a disk takes a hundred times longer.
fn scratch() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// A spool of its own, for as long as the folder is held.
fn new_spool() -> (TempDir, Spool) {
    let dir = scratch();
    let (spool, _) = Spool::open(SpoolConfig::new(dir.path())).unwrap();
    (dir, spool)
}

/// The values of a partition, in order.
fn log_of(cluster: &EmbeddedCluster, partition: i32) -> Vec<String> {
    let batches = cluster.log("t", PartitionId(partition));
    let records = batches.iter().flat_map(|batch| batch.records().unwrap());
    records.map(|record| String::from_utf8(record.value.unwrap().to_vec()).unwrap()).collect()
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

fn batch(value: &str) -> SpooledBatch {
    let mut payload = BytesMut::new();
    let parts = RecordParts { value: Some(value.as_bytes()), ..RecordParts::default() };
    put_record(&mut payload, record_size(0, 0, &parts), 0, 0, &parts);
    let header = BatchHeader::of_records(Codec::None, 1, now_ms(), now_ms());
    let (fate, code, cause) = (Fate::NotWritten, ErrorCode::NONE, "an outage".to_owned());
    SpooledBatch { header, payload: vec![Bytes::from(payload)], fate, code, cause, now_ms: now_ms() }
}

impl Rig {
    fn start(again_after: Option<Duration>) -> Self {
        let cluster = EmbeddedCluster::builder().start_blocking().unwrap();
        cluster.create_topic("t", 2, 1).unwrap();
        let (dir, spool) = new_spool();
        let spool = Arc::new(parking_lot::Mutex::new(spool));
        let (replay, events) = replay(&cluster, &spool, again_after);
        Self { cluster, spool, replay, events, _dir: dir }
    }

    fn append(&self, topic: &str, partition: i32, value: &str) {
        self.spool.lock().append(&TopicName::new(topic), Some(PartitionId(partition)), &batch(value)).unwrap();
        self.replay.wake();
    }

    fn hear(&self) -> ReplayEvent {
        self.events.recv_timeout(WAIT).expect("something is told")
    }

    /// What is told until a folder has caught up, in short.
    fn until_caught_up(&self) -> Vec<String> {
        let mut told = Vec::new();
        loop {
            match self.hear() {
                ReplayEvent::Written { source, records, .. } => told.push(format!("{} {records}", name(&source))),
                ReplayEvent::CaughtUp { source } => {
                    told.push(format!("{} caught up", name(&source)));
                    return told;
                }
                event => told.push(format!("{event:?}")),
            }
        }
    }

    fn log(&self, partition: i32) -> Vec<String> {
        log_of(&self.cluster, partition)
    }
}

fn name(source: &Source) -> String {
    match source.place {
        Place::Partition(partition) => format!("{}-{partition}", source.topic),
        other => format!("{}-{other:?}", source.topic),
    }
}

fn sockets(cluster: &EmbeddedCluster) -> Sockets {
    Sockets {
        sasl: None,
        cluster: ClusterConfig::new(bootstrap_list(&cluster.bootstrap()).unwrap()),
        connector: Arc::new(TcpConnector::default()),
        resolver: Arc::new(SystemResolver),
    }
}

fn replay(
    cluster: &EmbeddedCluster,
    spool: &SharedSpool,
    again_after: Option<Duration>,
) -> (Replay, mpsc::Receiver<ReplayEvent>) {
    let (tell, events) = mpsc::channel();
    let mut config = ReplayConfig::default();
    config.again_after = again_after;
    config.unknown_topic_grace = Duration::from_millis(200);
    let replay =
        Replay::start(Arc::clone(spool), sockets(cluster), config, move |event| drop(tell.send(event))).unwrap();
    (replay, events)
}

#[test]
fn what_is_appended_meanwhile_is_sent_and_each_catching_up_is_told_once() {
    let rig = Rig::start(Some(Duration::from_secs(600)));
    rig.append("t", 0, "a");
    assert_eq!(rig.until_caught_up(), ["t-0 1", "t-0 caught up"]);
    rig.append("t", 0, "b");
    rig.append("t", 0, "c");
    let mut told = rig.until_caught_up();
    if told.len() == 2 {
        // It was faster than the second append.
        told.extend(rig.until_caught_up());
    }
    assert_eq!(told.iter().filter(|told| *told == "t-0 1").count(), 2, "{told:?}");
    rig.append("t", 1, "d");
    assert_eq!(rig.until_caught_up(), ["t-1 1", "t-1 caught up"]);
    assert_eq!((rig.log(0), rig.log(1)), (vec!["a".into(), "b".into(), "c".into()], vec!["d".into()]));
    assert_eq!(rig.spool.lock().pending().count(), 0);
    assert!(!rig.replay.is_over());
}

#[test]
fn what_was_left_alone_is_tried_again_later() {
    let rig = Rig::start(Some(Duration::from_millis(50)));
    let refused = Reaction::Error(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    rig.cluster.script(Rule::on(ApiKey::PRODUCE, refused).times(2));
    rig.append("t", 0, "a");
    for _ in 0..2 {
        let event = rig.hear();
        let ReplayEvent::Stopped { why, .. } = event else { panic!("{event:?}") };
        assert_eq!(why, Stop::Refused(ErrorCode::TOPIC_AUTHORIZATION_FAILED));
    }
    assert_eq!(rig.until_caught_up(), ["t-0 1", "t-0 caught up"]);
    // A topic that turns up.
    rig.append("new", 0, "b");
    let event = rig.hear();
    assert!(matches!(event, ReplayEvent::Stopped { why: Stop::Missing(_), .. }), "{event:?}");
    rig.cluster.create_topic("new", 1, 1).unwrap();
    let told = rig.until_caught_up();
    assert_eq!(told[told.len() - 2..], ["new-0 1", "new-0 caught up"]);
}

#[test]
fn what_was_accepted_is_written_down_though_the_next_one_cannot_be_read() {
    let cluster = EmbeddedCluster::builder().start_blocking().unwrap();
    cluster.create_topic("t", 2, 1).unwrap();
    let (dir, mut spool) = new_spool();
    for value in ["accepted", "rotten"] {
        spool.append(&TopicName::new("t"), Some(PartitionId(0)), &batch(value)).unwrap();
    }
    // It knows its batches before the disk rots.
    let source = Source { topic: TopicName::new("t"), place: Place::Partition(PartitionId(0)) };
    spool.head(&source).unwrap().unwrap();
    let path = dir.path().join(format!("topics/t/0/{:020}.log", 0));
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    let spool = Arc::new(parking_lot::Mutex::new(spool));
    let (_replay, events) = replay(&cluster, &spool, None);
    let event = events.recv_timeout(WAIT).unwrap();
    assert!(matches!(event, ReplayEvent::Written { records: 1, .. }), "{event:?}");
    let event = events.recv_timeout(WAIT).unwrap();
    assert!(matches!(event, ReplayEvent::Stopped { why: Stop::Disk(_), .. }), "{event:?}");
    assert_eq!(spool.lock().pending_in(&source).batches, 1);
}

#[test]
fn records_without_a_partition_get_theirs_however_many_they_are_and_that_is_told_once() {
    let rig = Rig::start(Some(Duration::from_secs(600)));
    let count = 3 * ASSIGNED_AT_ONCE + 1;
    {
        let mut spool = rig.spool.lock();
        for n in 0..count {
            spool.append(&TopicName::new("t"), None, &batch(&n.to_string())).unwrap();
        }
    }
    rig.replay.wake();
    let mut written = 0;
    let mut assigned = Vec::new();
    while written < count as u64 {
        match rig.hear() {
            ReplayEvent::Assigned { records, .. } => assigned.push(records),
            ReplayEvent::Written { records, .. } => written += records,
            ReplayEvent::CaughtUp { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(assigned, [count as u64]);
    let in_order = |partition| rig.log(partition).iter().map(|n| n.parse::<usize>().unwrap()).collect::<Vec<_>>();
    let (zero, one) = (in_order(0), in_order(1));
    assert!(zero.is_sorted() && one.is_sorted() && zero.len() + one.len() == count, "{zero:?} {one:?}");
}

#[test]
fn what_is_to_be_tried_again_at_once_is_not_tried_on_and_on() {
    let rig = Rig::start(Some(Duration::ZERO));
    rig.append("gone", 0, "a");
    rig.hear();
    let begun = Instant::now();
    for _ in 0..10 {
        assert!(matches!(rig.hear(), ReplayEvent::Stopped { why: Stop::Missing(_), .. }));
    }
    assert!(begun.elapsed() >= Duration::from_millis(90), "{:?}", begun.elapsed());
}

/// Its lookups take until it is gone.
struct Hangs(Arc<parking_lot::Mutex<mpsc::Receiver<()>>>, mpsc::Sender<()>);

impl Resolver for Hangs {
    fn resolve(&self, _: String, _: u16) -> BoxFuture<std::io::Result<Vec<SocketAddr>>> {
        self.1.send(()).unwrap();
        let end = Arc::clone(&self.0);
        Box::pin(async move {
            let _gone = tokio::task::spawn_blocking(move || end.lock().recv()).await.unwrap();
            Ok(Vec::new())
        })
    }
}

#[test]
fn a_replay_ends_though_the_lookup_of_a_name_does_not() {
    let (_dir, spool) = new_spool();
    let (asks, asked) = mpsc::channel();
    let (_hangs, end) = mpsc::channel();
    let sockets = Sockets {
        sasl: None,
        cluster: ClusterConfig::new(bootstrap_list("kafka.example:9092").unwrap()),
        connector: Arc::new(TcpConnector::default()),
        resolver: Arc::new(Hangs(Arc::new(parking_lot::Mutex::new(end)), asks)),
    };
    let spool = Arc::new(parking_lot::Mutex::new(spool));
    spool.lock().append(&TopicName::new("t"), Some(PartitionId(0)), &batch("a")).unwrap();
    let replay = Replay::start(spool, sockets, ReplayConfig::default(), |_| {}).unwrap();
    asked.recv_timeout(WAIT).unwrap();
    let (tell, ended) = mpsc::channel();
    std::thread::spawn(move || {
        drop(replay);
        tell.send(()).unwrap();
    });
    ended.recv_timeout(WAIT).unwrap();
}

#[test]
fn a_replay_asks_for_no_topic_in_a_way_that_creates_it() {
    let rig = Rig::start(None);
    drop(rig.events.recv_timeout(WAIT));
    rig.spool.lock().append(&TopicName::new("gone"), Some(PartitionId(0)), &batch("x")).unwrap();
    let (_replay, events) = replay(&rig.cluster, &rig.spool, None);
    let event = events.recv_timeout(WAIT).unwrap();
    assert!(matches!(event, ReplayEvent::Stopped { why: Stop::Missing(_), .. }), "{event:?}");
    assert!(matches!(events.recv_timeout(WAIT).unwrap(), ReplayEvent::Ended));
    assert_eq!(rig.cluster.partition_count("gone"), None);
}

#[test]
fn stopped_it_waits_for_the_answer_and_dropped_it_does_not() {
    let rig = Rig::start(Some(Duration::from_secs(600)));
    // Half of how long a stopped one waits: time enough to stop it before the answer, and for the answer after that.
    rig.cluster.script(Rule::on(ApiKey::PRODUCE, Reaction::DelayAnswer(Duration::from_millis(2_500))));
    rig.append("t", 0, "a");
    rig.append("t", 0, "b");
    while rig.log(0).is_empty() {
        std::thread::yield_now();
    }
    rig.replay.stop();
    assert!(matches!(rig.hear(), ReplayEvent::Written { .. }));
    assert!(matches!(rig.hear(), ReplayEvent::Ended));
    assert_eq!(rig.log(0), ["a"]);
    // The next one sends the rest, and is dropped before it hears what became of it; the one after that hears of a duplicate.
    rig.cluster.script(Rule::on(ApiKey::PRODUCE, Reaction::Silence));
    let (silenced, _events) = replay(&rig.cluster, &rig.spool, None);
    while rig.log(0).len() < 2 {
        std::thread::yield_now();
    }
    drop(silenced);
    assert_eq!(rig.spool.lock().pending().count(), 1);
    let (last, events) = replay(&rig.cluster, &rig.spool, None);
    assert!(matches!(events.recv_timeout(WAIT).unwrap(), ReplayEvent::Written { .. }));
    last.join().unwrap();
    assert_eq!(rig.log(0), ["a", "b"]);
    assert_eq!(rig.spool.lock().pending().count(), 0);
}

#[test]
fn a_panic_is_told_and_the_next_one_goes_on() {
    let rig = Rig::start(None);
    assert!(matches!(rig.hear(), ReplayEvent::Ended));
    rig.append("t", 0, "a");
    let (tell, events) = mpsc::channel();
    let panics = move |event| {
        let first = matches!(event, ReplayEvent::Written { .. });
        drop(tell.send(event));
        assert!(!first, "a callback that fails");
    };
    drop(rig.replay);
    let broken = Replay::start(Arc::clone(&rig.spool), sockets(&rig.cluster), ReplayConfig::default(), panics).unwrap();
    assert!(matches!(events.recv_timeout(WAIT).unwrap(), ReplayEvent::Written { .. }));
    let event = events.recv_timeout(WAIT).unwrap();
    assert!(matches!(&event, ReplayEvent::Panicked { message } if message == "a callback that fails"), "{event:?}");
    assert_eq!(broken.join().unwrap_err().to_string(), "the replay panicked: a callback that fails");
    rig.spool.lock().append(&TopicName::new("t"), Some(PartitionId(0)), &batch("b")).unwrap();
    let (next, _events) = replay(&rig.cluster, &rig.spool, None);
    next.join().unwrap();
    assert_eq!(log_of(&rig.cluster, 0).len(), 2);
}

#[test]
fn leaders_that_move_are_followed() {
    let cluster = EmbeddedCluster::builder().nodes(3).start_blocking().unwrap();
    cluster.create_topic("t", 1, 3).unwrap();
    let (_dir, mut spool) = new_spool();
    let values: Vec<String> = (0..200).map(|value| value.to_string()).collect();
    for value in &values {
        spool.append(&TopicName::new("t"), Some(PartitionId(0)), &batch(value)).unwrap();
    }
    let spool = Arc::new(parking_lot::Mutex::new(spool));
    let (started, events) = replay(&cluster, &spool, None);
    let mut written = 0;
    loop {
        match events.recv_timeout(WAIT).unwrap() {
            ReplayEvent::Written { .. } => {
                written += 1;
                if written % 40 == 0 {
                    cluster.move_leader("t", PartitionId(0), None).unwrap();
                }
            }
            ReplayEvent::Ended => break,
            ReplayEvent::CaughtUp { .. } => {}
            event => panic!("{event:?}"),
        }
    }
    started.join().unwrap();
    assert_eq!(log_of(&cluster, 0), values);
}

#[test]
fn many_partitions_take_turns_and_none_is_given_up_because_others_go_first() {
    const PARTITIONS: i32 = 40;
    let cluster = EmbeddedCluster::builder().start_blocking().unwrap();
    cluster.create_topic("t", PARTITIONS, 1).unwrap();
    // One request after the other: a round takes longer than the patience.
    cluster.script(Rule::on(ApiKey::PRODUCE, Reaction::DelayAnswer(Duration::from_millis(90))).always());
    let (_dir, mut spool) = new_spool();
    for value in ["a", "b"] {
        for partition in 0..PARTITIONS {
            spool.append(&TopicName::new("t"), Some(PartitionId(partition)), &batch(value)).unwrap();
        }
    }
    let spool = Arc::new(parking_lot::Mutex::new(spool));
    let (tell, events) = mpsc::channel();
    let mut config = ReplayConfig::default();
    // It begins before there is a connection or a producer id.
    config.rules.patience = Some(Duration::from_secs(3));
    let replay = Replay::start(spool, sockets(&cluster), config, move |event| drop(tell.send(event))).unwrap();
    let mut order = Vec::new();
    loop {
        match events.recv_timeout(WAIT).unwrap() {
            ReplayEvent::Written { source, .. } => order.push(name(&source)),
            ReplayEvent::CaughtUp { .. } => {}
            ReplayEvent::Ended => break,
            event => panic!("{event:?}"),
        }
    }
    replay.join().unwrap();
    assert_eq!(order.len(), 2 * usize::try_from(PARTITIONS).unwrap());
    let first_round: std::collections::BTreeSet<&String> = order[..30].iter().collect();
    assert!(first_round.len() >= 29, "{order:?}");
}

/// The file of this name below `dir`.
fn find(dir: &Path, name: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut found =
        entries.filter_map(|path| if path.is_dir() { find(&path, name) } else { path.ends_with(name).then_some(path) });
    found.next()
}

#[test]
fn a_disk_that_refuses_to_note_what_was_written_is_not_asked_again_and_again() {
    let cluster = EmbeddedCluster::builder().start_blocking().unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let (dir, mut spool) = new_spool();
    for value in ["a", "b"] {
        spool.append(&TopicName::new("t"), Some(PartitionId(0)), &batch(value)).unwrap();
    }
    let spool = Arc::new(parking_lot::Mutex::new(spool));
    let (tell, events) = mpsc::channel();
    let root = dir.path().to_owned();
    let in_the_way = move || find(&root, "replay").unwrap().with_extension("draft");
    let block = in_the_way.clone();
    let after_the_first = move |event| {
        if matches!(event, ReplayEvent::Written { .. }) {
            // What is written next goes into a file of that name.
            fs::create_dir(block()).unwrap();
        }
        drop(tell.send(event));
    };
    let broken =
        Replay::start(Arc::clone(&spool), sockets(&cluster), ReplayConfig::default(), after_the_first).unwrap();
    assert!(matches!(events.recv_timeout(WAIT).unwrap(), ReplayEvent::Written { .. }));
    let event = events.recv_timeout(WAIT).unwrap();
    assert!(matches!(event, ReplayEvent::Stopped { why: Stop::Disk(_), .. }), "{event:?}");
    let event = events.recv_timeout(WAIT).unwrap();
    assert!(matches!(event, ReplayEvent::Ended), "{event:?}");
    broken.join().unwrap();
    fs::remove_dir(in_the_way()).unwrap();
    let (next, events) = replay(&cluster, &spool, None);
    assert!(matches!(events.recv_timeout(WAIT).unwrap(), ReplayEvent::Written { .. }));
    next.join().unwrap();
    assert_eq!(log_of(&cluster, 0), ["a", "b"]);
}
