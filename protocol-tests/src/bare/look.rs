//! How a cluster is, by its own answers.

use std::io;

use milena_wire::message::metadata::MetadataTopic;

use super::Connection;

/// What the first broker that answers knows of a topic; `None` if nobody answers or there is no such topic.
#[must_use]
pub fn describe(bootstrap: &str, topic: &str) -> Option<MetadataTopic> {
    let metadata = Connection::open_any(bootstrap).and_then(|mut any| any.metadata(topic)).ok()?;
    metadata.topics.into_iter().next().filter(|topic| !topic.partitions.is_empty())
}

/// The leader of a partition, if there is one right now.
#[must_use]
pub fn leader(bootstrap: &str, topic: &str, partition: i32) -> Option<i32> {
    let topic = describe(bootstrap, topic)?;
    let partition = topic.partitions.iter().find(|p| p.index.0 == partition)?;
    (partition.leader.0 >= 0).then_some(partition.leader.0)
}

/// Whether every replica of every partition is in sync.
#[must_use]
pub fn is_in_sync(bootstrap: &str, topic: &str) -> bool {
    describe(bootstrap, topic)
        .is_some_and(|topic| topic.partitions.iter().all(|p| p.leader.0 >= 0 && p.isr.len() == p.replicas.len()))
}

/// Whether every partition's leader answers for it.
///
/// # Errors
///
/// When one does not.
pub fn is_served(bootstrap: &str, name: &str) -> io::Result<bool> {
    let metadata = Connection::open_any(bootstrap)?.metadata(name)?;
    for partition in metadata.topics.iter().flat_map(|topic| &topic.partitions) {
        let leader = metadata.brokers.iter().find(|broker| broker.node == partition.leader);
        let Some(leader) = leader else { return Ok(false) };
        let mut connection = Connection::open(&format!("{}:{}", leader.host, leader.port))?;
        let _ = connection.end_offset(name, partition.index)?;
    }
    Ok(true)
}
