//! Clusters, patience without sleeping, and a handler that remembers.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use milena_broker::{Builder, EmbeddedCluster, StoredRecord};
use milena_producer::{BatchReport, DeliveryHandler, Failure, PartitionId, Producer, ProducerBuilder};
use parking_lot::Mutex;

/// Longer than anything here takes; whoever waits for this long waits for ever.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// Never reached by a test.
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// Runs a test on two threads, and fails it if it hangs.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(within(test))
}

/// The future's output, or a failed test if it hangs.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, future).await.expect("it hangs")
}

/// Waits for a condition that some other thread brings about.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let patience = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(LONG, patience).await.is_ok(), "never: {what}");
}

/// A cluster of one node.
pub(crate) async fn one_node() -> EmbeddedCluster {
    started(EmbeddedCluster::builder()).await
}

pub(crate) async fn started(builder: Builder) -> EmbeddedCluster {
    builder.start().await.unwrap()
}

/// A builder for the cluster that retries quickly.
pub(crate) fn builder(cluster: &EmbeddedCluster) -> ProducerBuilder {
    Producer::builder(cluster.bootstrap()).retry_backoff(Duration::from_millis(5))
}

pub(crate) fn producer(cluster: &EmbeddedCluster) -> Producer {
    builder(cluster).build().unwrap()
}

/// All records of a partition, in order.
pub(crate) fn log(cluster: &EmbeddedCluster, topic: &str, partition: i32) -> Vec<StoredRecord> {
    let batches = cluster.log(topic, PartitionId(partition));
    batches.iter().flat_map(|batch| batch.records().unwrap()).collect()
}

/// The values of a partition, in order, as text.
pub(crate) fn values(cluster: &EmbeddedCluster, topic: &str, partition: i32) -> Vec<String> {
    let text = |record: StoredRecord| String::from_utf8(record.value.unwrap_or_default().to_vec()).unwrap();
    log(cluster, topic, partition).into_iter().map(text).collect()
}

/// An error and everything below it, as a person would print it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(cause) = below {
        text += &format!(": {cause}");
        below = cause.source();
    }
    text
}

/// Remembers what a handler is told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard(Arc<Mutex<Notes>>);

#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) reports: Vec<BatchReport>,
    pub(crate) unobserved: Vec<(Arc<Failure>, u32)>,
}

impl Heard {
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut Notes) -> T) -> T {
        look(&mut self.0.lock())
    }

    pub(crate) fn unobserved_records(&self) -> u32 {
        self.with(|notes| notes.unobserved.iter().map(|(_, records)| records).sum())
    }

    /// Tokens of all reports, in the order they were told.
    pub(crate) fn tokens(&self) -> Vec<u64> {
        self.with(|notes| notes.reports.iter().flat_map(|r| r.records().map(|r| r.token).collect::<Vec<_>>()).collect())
    }
}

impl DeliveryHandler for Heard {
    fn on_batch(&self, report: BatchReport) {
        self.with(|notes| notes.reports.push(report));
    }

    fn on_unobserved(&self, failure: &Arc<Failure>, records: u32) {
        self.with(|notes| notes.unobserved.push((Arc::clone(failure), records)));
    }
}
