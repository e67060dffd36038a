//! A producer and an embedded cluster that speak TLS to each other, or try to.

#![cfg(feature = "tls")]
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

mod cutter;
mod faults;
mod renewal;
mod traffic;

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use milena_broker::EmbeddedCluster;
use milena_producer::tls::issue::{Authority, Validity};
use milena_producer::tls::{TlsConfig, TlsServer, TlsServerConfig};
use milena_producer::{Producer, ProducerBuilder};
use milena_wire::PartitionId;

/// Longer than anything takes; whoever waits for this long waits for ever.
const LONG: Duration = Duration::from_secs(30);

/// Where embedded nodes listen.
const HERE: &[&str] = &["127.0.0.1"];

fn authority() -> Authority {
    Authority::new("milena tests").unwrap()
}

/// A server with a certificate of `authority` that is valid for nodes on this machine.
fn serving(authority: &Authority) -> TlsServerConfig {
    TlsServerConfig::new(authority.server(HERE, Validity::default()).unwrap().identity())
}

fn trusting(authority: &Authority) -> TlsConfig {
    TlsConfig::new().trust(authority.trust())
}

async fn cluster(nodes: usize, config: TlsServerConfig) -> EmbeddedCluster {
    let tls = TlsServer::new(config).unwrap();
    EmbeddedCluster::builder().nodes(nodes).replication(1).tls(tls).start().await.unwrap()
}

fn producer(bootstrap: impl Into<String>) -> ProducerBuilder {
    let bootstrap: String = bootstrap.into();
    Producer::builder(bootstrap).linger(Duration::ZERO)
}

/// Every value on a topic, with how often it is there.
fn written(cluster: &EmbeddedCluster, topic: &str) -> BTreeMap<Vec<u8>, usize> {
    let mut values = BTreeMap::new();
    for partition in 0..cluster.partition_count(topic).unwrap_or_default() {
        for batch in cluster.log(topic, PartitionId(i32::try_from(partition).unwrap())) {
            for record in batch.records().unwrap() {
                *values.entry(record.value.unwrap().to_vec()).or_default() += 1;
            }
        }
    }
    values
}

/// An error with all its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
