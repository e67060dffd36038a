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
    check_batches(&batches, &log, account.not_written + account.maybe_written);
    (account, log, batches)
}

/// Batches are whole, follow one another without holes, and each idempotent stream's sequences do too.
///
/// A stream may begin behind records that failed: a broker takes any first sequence of a producer it does not know, so where the first batch of
/// all was given up, the next one is taken with the numbers that follow.
fn check_batches(batches: &[StoredBatch], log: &[Stored], failed: usize) {
    let mut left_out = 0;
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
            // The first batch of a new epoch starts at 0.
            Some((epoch, _)) => assert!(epoch < batch.producer_epoch && batch.base_sequence == 0, "{batch:?}"),
            None => left_out += usize::try_from(batch.base_sequence).expect("sequences are not negative"),
        }
    }
    assert!(left_out <= failed, "streams begin behind {left_out} records, and {failed} failed");
    let counted: i64 = batches.iter().map(|batch| i64::from(batch.count)).sum();
    assert_eq!(usize::try_from(counted), Ok(log.len()), "batches and records do not add up");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begins_at(base_sequence: i32, failed: usize) -> std::thread::Result<()> {
        let batch = StoredBatch {
            partition: 0,
            base_offset: 0,
            count: 0,
            producer_id: 7,
            producer_epoch: 0,
            base_sequence,
            codec: "none".into(),
            valid: true,
        };
        std::panic::catch_unwind(|| check_batches(&[batch], &[], failed))
    }

    #[test]
    fn a_stream_begins_behind_no_more_records_than_have_failed() {
        assert!(begins_at(0, 0).is_ok() && begins_at(4, 4).is_ok());
        assert!(begins_at(4, 3).is_err() && begins_at(1, 0).is_err());
    }
}
