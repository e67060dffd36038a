//! A producer and an embedded cluster that authenticate each other by SASL, or do not.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

mod cut;
mod faults;
mod secrets;
mod strikes;
mod traffic;

use std::collections::BTreeMap;
use std::time::Duration;

use milena_broker::{EmbeddedCluster, SaslServer};
use milena_producer::sasl::{BearerToken, OAuthBearer, Plain, SaslMechanism, Scram, ScramHash};
use milena_producer::{Producer, ProducerBuilder};
use milena_wire::PartitionId;

/// Longer than anything takes; whoever waits for this long waits for ever.
const LONG: Duration = Duration::from_secs(30);

const ALL: &[&str] = &["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"];

/// Accepts alice with this password, and the token `good`.
fn server() -> SaslServer {
    SaslServer::new(ALL).user("alice", "pencil").tokens(|token| token == "good")
}

async fn cluster(server: SaslServer) -> EmbeddedCluster {
    EmbeddedCluster::builder().sasl(server).partitions(2).replication(1).start().await.unwrap()
}

fn producer(cluster: &EmbeddedCluster) -> ProducerBuilder {
    Producer::builder(cluster.bootstrap()).linger(Duration::ZERO)
}

fn by(mechanism: &str, password: &str) -> ProducerMechanism {
    match ScramHash::named(mechanism) {
        Some(hash) => ProducerMechanism::Scram(Scram::new(hash, "alice", password)),
        None if mechanism == "PLAIN" => ProducerMechanism::Plain(Plain::new("alice", password)),
        None => {
            let token = if password == "pencil" { "good" } else { "bad" };
            ProducerMechanism::Bearer(OAuthBearer::new(move || async move { BearerToken::new(token) }))
        }
    }
}

enum ProducerMechanism {
    Plain(Plain),
    Scram(Scram),
    Bearer(OAuthBearer),
}

impl ProducerMechanism {
    fn on(self, builder: ProducerBuilder) -> ProducerBuilder {
        match self {
            Self::Plain(mechanism) => builder.sasl(mechanism),
            Self::Scram(mechanism) => builder.sasl(mechanism),
            Self::Bearer(mechanism) => builder.sasl(mechanism),
        }
    }
}

/// Every value on a topic in the order of its partition, with how often it is there.
fn written(cluster: &EmbeddedCluster, topic: &str) -> BTreeMap<PartitionId, Vec<u64>> {
    let mut values = BTreeMap::new();
    for partition in
        (0..cluster.partition_count(topic).unwrap_or_default()).map(|p| PartitionId(i32::try_from(p).unwrap()))
    {
        for batch in cluster.log(topic, partition) {
            for record in batch.records().unwrap() {
                let number = String::from_utf8(record.value.unwrap().to_vec()).unwrap().parse().unwrap();
                values.entry(partition).or_insert_with(Vec::new).push(number);
            }
        }
    }
    values
}

fn name_of(mechanism: &dyn SaslMechanism) -> &str {
    mechanism.name()
}
