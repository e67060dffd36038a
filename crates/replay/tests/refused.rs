//! A replay that no broker accepts. Alone in its process, because the events come from its own thread, where only a subscriber of the whole process
//! hears them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use milena_broker::{EmbeddedCluster, SaslServer};
use milena_client::bootstrap_list;
use milena_client::sasl::Plain;
use milena_cluster::ClusterConfig;
use milena_pool::{SystemResolver, TcpConnector};
use milena_replay::{Replay, ReplayConfig, ReplayEvent, Sockets};
use milena_sequence::Fate;
use milena_spool::{Spool, SpoolConfig, SpooledBatch};
use milena_wire::batch::{RecordParts, put_record, record_size};
use milena_wire::{BatchHeader, Codec, ErrorCode, TopicName};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

static ERRORS: AtomicUsize = AtomicUsize::new(0);

/// Counts error events.
struct Counter;

impl Subscriber for Counter {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        ERRORS.fetch_add(1, Ordering::Relaxed);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn batch() -> SpooledBatch {
    let mut payload = bytes::BytesMut::new();
    let parts = RecordParts { value: Some(b"v"), ..RecordParts::default() };
    put_record(&mut payload, record_size(0, 0, &parts), 0, 0, &parts);
    let header = BatchHeader::of_records(Codec::None, 1, 0, 0);
    let (fate, code, cause) = (Fate::NotWritten, ErrorCode::NONE, "an outage".to_owned());
    SpooledBatch { header, payload: vec![payload.freeze()], fate, code, cause, now_ms: 0 }
}

#[test]
fn a_wrong_password_is_told_as_the_cause_and_is_no_error_of_the_replay() {
    tracing::subscriber::set_global_default(Counter).unwrap();
    let server = SaslServer::new(&["PLAIN"]).user("alice", "pencil");
    let cluster = EmbeddedCluster::builder().sasl(server).start_blocking().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = Spool::open(SpoolConfig::new(dir.path())).unwrap();
    spool.append(&TopicName::new("t"), None, &batch()).unwrap();
    let mut settings = ClusterConfig::new(bootstrap_list(&cluster.bootstrap()).unwrap());
    settings.sasl_mechanism = Some("PLAIN".to_owned());
    settings.reconnect_backoff = Duration::from_millis(100);
    settings.reconnect_backoff_max = Duration::from_millis(100);
    let sockets = Sockets {
        cluster: settings,
        connector: Arc::new(TcpConnector::default()),
        resolver: Arc::new(SystemResolver),
        sasl: Some(Arc::new(Plain::new("alice", "wrong"))),
    };
    let mut config = ReplayConfig::default();
    // It is waited to its end.
    config.rules.patience = Some(Duration::from_secs(3));
    let (tell, events) = mpsc::channel();
    let spool = Arc::new(parking_lot::Mutex::new(spool));
    let replay = Replay::start(spool, sockets, config, move |event| drop(tell.send(event))).unwrap();
    let told: Vec<ReplayEvent> = events.iter().collect();
    let [ReplayEvent::Stopped { cause: Some(cause), .. }, ReplayEvent::Ended] = &told[..] else { panic!("{told:?}") };
    assert!(cause.contains("refuses the credentials"), "{cause}");
    replay.join().unwrap();
    assert_eq!(ERRORS.load(Ordering::Relaxed), 0, "what is the client's to mend is no error of the program");
}
