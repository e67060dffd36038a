//! What produce responses tell about new leaders (KIP-951).
//!
//! A hint is taken only if it says more than is known: each one taken raises a partition's epoch, and a partition
//! takes at most one per retry backoff. So a broker that hints at itself, at an old epoch, or at ever new ones cannot
//! make a client spin; what is refused here is left to the refresh of the metadata, which has a backoff.

use std::collections::BTreeMap;
use std::time::Duration;

use milena_wire::message::NodeEndpoint;
use milena_wire::{BrokerId, Timestamp};

use super::{Impossible, Metadata};
use crate::topology::LeaderHint;

impl Metadata {
    /// Takes in what is new and usable; returns how many hints were, and the brokers that were added or moved.
    pub(crate) fn apply_hints(
        &mut self,
        now: Timestamp,
        hints: &[LeaderHint],
        endpoints: &[NodeEndpoint],
        pause: Duration,
    ) -> (usize, Vec<BrokerId>) {
        // Of endpoints there may be any number, of hints one for each partition that was sent to.
        let mut by_node: BTreeMap<BrokerId, Option<&NodeEndpoint>> =
            hints.iter().map(|hint| (hint.leader, None)).collect();
        for endpoint in endpoints {
            if let Some(first @ None) = by_node.get_mut(&endpoint.node) {
                *first = Some(endpoint);
            }
        }
        let mut impossible = Impossible::default();
        let mut taken = 0;
        let mut moved = Vec::new();
        for hint in hints {
            let endpoint = by_node
                .get(&hint.leader)
                .and_then(|first| *first)
                .and_then(|endpoint| impossible.unless_possible(endpoint.node, &endpoint.host, endpoint.port));
            if endpoint.is_none() && !self.nodes.contains_key(&hint.leader) {
                continue;
            }
            if !self.apply_hint(now, hint, pause) {
                continue;
            }
            taken += 1;
            if let Some(address) = endpoint
                && self.nodes.get(&hint.leader) != Some(&address)
            {
                if self.nodes.insert(hint.leader, address).is_none() {
                    // Others may have been without a leader since it was left out of an answer, and no answer says so of them again.
                    self.topics.all_changed();
                }
                moved.push(hint.leader);
            }
        }
        impossible.tell();
        (taken, moved)
    }

    fn apply_hint(&mut self, now: Timestamp, hint: &LeaderHint, pause: Duration) -> bool {
        let Some(known) = self.topics.known_mut(&hint.topic) else { return false };
        let Ok(index) = usize::try_from(hint.partition.0) else { return false };
        let Some(partition) = known.info.partitions.get_mut(index) else { return false };
        if hint.leader < BrokerId(0) || hint.epoch.0 < 0 || hint.epoch <= partition.epoch {
            return false;
        }
        if known.hinted.get(&index).is_some_and(|last| now.since(*last) < pause) {
            return false;
        }
        known.hinted.insert(index, now);
        known.doubts.remove(&index);
        partition.leader = Some(hint.leader);
        partition.epoch = hint.epoch;
        partition.code = milena_wire::ErrorCode::NONE;
        self.topics.changed.insert(hint.topic.clone());
        true
    }
}
