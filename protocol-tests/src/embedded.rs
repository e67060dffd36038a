//! The embedded broker under the suites, read through its own log.

use std::time::Duration;

use milena_broker::{Builder, EmbeddedCluster, StoredRecord};
use milena_wire::{BatchView, BrokerId, PartitionId};
use tokio::runtime::Runtime;

use crate::account::{Content, Stored};
use crate::bare;
use crate::cluster::{Cluster, StoredBatch, wait_until};

/// An embedded cluster that listens on TCP.
#[derive(Debug)]
pub struct Embedded {
    cluster: EmbeddedCluster,
    runtime: Runtime,
}

impl Embedded {
    /// Starts one.
    ///
    /// # Panics
    /// If it cannot be started; so do all methods when something goes wrong that a suite did not ask for.
    #[must_use]
    pub fn start(builder: Builder) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let cluster = builder.start_blocking().expect("a cluster that starts");
        Self { cluster, runtime }
    }

    /// The cluster itself, for what only it can do.
    #[must_use]
    pub fn cluster(&self) -> &EmbeddedCluster {
        &self.cluster
    }

    fn partitions(&self, topic: &str) -> Vec<PartitionId> {
        let count = self.cluster.partition_count(topic).expect("a topic to look at");
        (0..i32::try_from(count).expect("few partitions")).map(PartitionId).collect()
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.runtime.block_on(self.cluster.shutdown());
    }
}

impl Cluster for Embedded {
    fn bootstrap(&self) -> String {
        self.cluster.bootstrap()
    }

    fn nodes(&self) -> Vec<i32> {
        self.cluster.nodes().into_iter().map(|node| node.0).collect()
    }

    fn create_topic(&self, topic: &str, partitions: i32, replicas: i16) {
        let replicas = replicas.min(i16::try_from(self.nodes().len()).expect("few nodes"));
        self.cluster.create_topic(topic, partitions, replicas).expect("the topic can be made");
        wait_until("the topic is in sync", Duration::from_secs(30), || self.is_in_sync(topic));
    }

    fn read(&self, topic: &str) -> Vec<Stored> {
        let mut log = Vec::new();
        for partition in self.partitions(topic) {
            for batch in self.cluster.log(topic, partition) {
                let records = batch.records().expect("a batch that was accepted can be read");
                log.extend(records.into_iter().map(|record| stored(partition, record)));
            }
        }
        log
    }

    fn batches(&self, topic: &str) -> Vec<StoredBatch> {
        let mut batches = Vec::new();
        for partition in self.partitions(topic) {
            for batch in self.cluster.log(topic, partition) {
                let bytes = batch.to_bytes();
                let valid =
                    BatchView::parse(&bytes).is_ok_and(|(view, rest)| view.verify_crc().is_ok() && rest.is_empty());
                batches.push(StoredBatch {
                    partition: partition.0,
                    base_offset: batch.base_offset().0,
                    count: batch.record_count(),
                    producer_id: batch.producer_id().0,
                    producer_epoch: batch.producer_epoch().0,
                    base_sequence: batch.base_sequence(),
                    codec: batch.header().attributes.codec().expect("a known codec").name().to_owned(),
                    valid,
                });
            }
        }
        batches
    }

    fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        self.cluster.leader(topic, PartitionId(partition)).and_then(|(leader, _)| leader).map(|leader| leader.0)
    }

    fn is_in_sync(&self, topic: &str) -> bool {
        bare::is_in_sync(&self.cluster.bootstrap(), topic)
    }

    fn kill(&self, node: i32) {
        self.cluster.stop_node(BrokerId(node));
    }

    fn shut_down(&self, node: i32) {
        // It hands its partitions to others in sync as it stops, as Kafka does on SIGTERM.
        self.cluster.stop_node(BrokerId(node));
    }

    fn start(&self, node: i32) {
        self.runtime.block_on(self.cluster.start_node(BrokerId(node))).expect("a node that starts");
    }

    fn freeze(&self, node: i32) {
        self.cluster.pause_node(BrokerId(node));
    }

    fn depose(&self, node: i32, topic: &str) {
        // What a real controller does after some seconds without heartbeats.
        for partition in self.partitions(topic) {
            if self.leader(topic, partition.0) == Some(node) {
                self.cluster.move_leader(topic, partition, None).expect("another replica in sync");
            }
        }
    }

    fn resume(&self, node: i32) {
        self.cluster.resume_node(BrokerId(node));
    }

    fn reassign(&self, topic: &str) {
        for partition in self.partitions(topic) {
            self.cluster.move_leader(topic, partition, None).expect("another replica in sync");
        }
    }
}

pub(crate) fn stored(partition: PartitionId, record: StoredRecord) -> Stored {
    let owned = |bytes: Option<bytes::Bytes>| bytes.map(|bytes| bytes.to_vec());
    Stored {
        partition: partition.0,
        offset: record.offset.0,
        timestamp: record.timestamp_ms,
        content: Content {
            key: owned(record.key),
            value: owned(record.value),
            headers: record.headers.into_iter().map(|(name, value)| (name, owned(value))).collect(),
        },
    }
}
