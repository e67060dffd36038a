//! What the suites need of a broker, whoever's it is.

use std::time::{Duration, Instant};

use crate::account::Stored;

/// A batch as the log's own tool shows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredBatch {
    /// Its partition.
    pub partition: i32,
    /// Offset of its first record.
    pub base_offset: i64,
    /// Number of records.
    pub count: i32,
    /// `-1` without idempotence.
    pub producer_id: i64,
    /// `-1` without idempotence.
    pub producer_epoch: i16,
    /// `-1` without idempotence.
    pub base_sequence: i32,
    /// The codec's name.
    pub codec: String,
    /// Whether its CRC fits its bytes.
    pub valid: bool,
}

/// A running cluster.
pub trait Cluster: Sync {
    /// `host:port[,host:port…]`
    fn bootstrap(&self) -> String;

    /// Node ids, from 1.
    fn nodes(&self) -> Vec<i32>;

    /// Creates a topic, on fewer replicas if there are fewer nodes, and waits until all replicas are in sync.
    fn create_topic(&self, topic: &str, partitions: i32, replicas: i16);

    /// All records of a topic, each partition in order of offsets.
    fn read(&self, topic: &str) -> Vec<Stored>;

    /// All batches of a topic, each partition in order of offsets.
    fn batches(&self, topic: &str) -> Vec<StoredBatch>;

    /// The leader of a partition, if there is one right now.
    fn leader(&self, topic: &str, partition: i32) -> Option<i32>;

    /// Whether every replica of every partition of the topic is in sync.
    fn is_in_sync(&self, topic: &str) -> bool;

    /// Ends a node without warning.
    fn kill(&self, node: i32);

    /// Ends a node in order: its partitions move first.
    fn shut_down(&self, node: i32);

    /// Starts a node that is down, and returns when it answers.
    fn start(&self, node: i32);

    /// Freezes a node with all it has in its hands, as SIGSTOP does.
    fn freeze(&self, node: i32);

    /// Returns when other nodes lead all of the topic's partitions that the frozen node led.
    fn depose(&self, node: i32, topic: &str);

    /// Lets a frozen node go on: it does not know yet that it leads nothing any more.
    fn resume(&self, node: i32);

    /// Moves every partition's leader, and where the cluster can, its replicas, to other nodes; returns when that is done.
    fn reassign(&self, topic: &str);
}

/// Waits until `condition` holds.
///
/// # Panics
/// If it does not within `limit`.
pub fn wait_until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < limit, "waited {limit:?} in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
