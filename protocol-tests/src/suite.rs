//! The suites: what must hold for any producer on any cluster. They panic where it does not.

pub mod faults;
pub mod matrix;

use std::sync::atomic::{AtomicU32, Ordering};

use crate::account::{self, Account, Sent, Stored};
use crate::cluster::{Cluster, StoredBatch};

/// A topic name that no other test uses on this cluster.
#[must_use]
pub fn fresh_topic(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{name}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Reads a topic back and holds it against the sessions.
fn judge(cluster: &dyn Cluster, topic: &str, sessions: &[Vec<Sent>]) -> (Account, Vec<Stored>, Vec<StoredBatch>) {
    let log = cluster.read(topic);
    let sessions: Vec<&[Sent]> = sessions.iter().map(Vec::as_slice).collect();
    let account = account::check(&sessions, &log).unwrap_or_else(|wrong| panic!("{topic}: {wrong}"));
    let batches = cluster.batches(topic);
    check_batches(&batches, &log);
    (account, log, batches)
}

/// Batches are whole, follow one another without holes, and each idempotent stream's sequences do too.
fn check_batches(batches: &[StoredBatch], log: &[Stored]) {
    let mut streams = std::collections::BTreeMap::new();
    let mut offsets = std::collections::BTreeMap::new();
    for batch in batches {
        assert!(batch.valid, "a batch whose CRC does not fit: {batch:?}");
        let expected = offsets.insert(batch.partition, batch.base_offset + i64::from(batch.count)).unwrap_or(0);
        assert_eq!(batch.base_offset, expected, "a hole in front of {batch:?}");
        if batch.producer_id < 0 {
            continue;
        }
        let stream = (batch.partition, batch.producer_id);
        let next = batch.base_sequence.wrapping_add(batch.count) & i32::MAX;
        match streams.insert(stream, (batch.producer_epoch, next)) {
            Some((epoch, sequence)) if epoch == batch.producer_epoch => {
                assert_eq!(batch.base_sequence, sequence, "a sequence that does not follow: {batch:?}");
            }
            // A stream's first batch and the first of a new epoch start at 0.
            Some((epoch, _)) => assert!(epoch < batch.producer_epoch && batch.base_sequence == 0, "{batch:?}"),
            None => assert_eq!(batch.base_sequence, 0, "{batch:?}"),
        }
    }
    let counted: i64 = batches.iter().map(|batch| i64::from(batch.count)).sum();
    assert_eq!(usize::try_from(counted), Ok(log.len()), "batches and records do not add up");
}
