//! How things are, readable from any thread. Written when that changes, never per record or per answer.

use std::sync::{Mutex, MutexGuard, PoisonError};

use milena_cluster::ClusterHealth;

use crate::sender::Sender;

/// The health of a producer's work, as the sender knows it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Health {
    /// The cluster and its brokers.
    pub cluster: ClusterHealth,
    /// Partitions that have records and no leader to send them to.
    pub without_leader: usize,
    /// Partitions in which a batch ended as maybe written, and where it is not known yet whether it is on the log.
    pub resolving: usize,
}

/// Where a sender writes its [`Health`], and others read it.
#[derive(Debug)]
pub struct HealthBoard(Mutex<Health>);

impl HealthBoard {
    pub(crate) fn new(cluster: ClusterHealth) -> Self {
        Self(Mutex::new(Health { cluster, without_leader: 0, resolving: 0 }))
    }

    /// A copy of what was written last.
    #[must_use]
    pub fn read(&self) -> Health {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Health> {
        // What was written whole is not spoilt by a panic elsewhere.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What keeps a partition's records waiting, as far as others should know.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Ailment {
    without_leader: bool,
    resolving: bool,
}

impl Sender {
    /// Writes down what the cluster has become.
    pub(crate) fn note_cluster_health(&mut self) {
        if self.cluster.take_health_news() {
            self.health.lock().cluster = self.cluster.health().clone();
        }
    }

    /// Writes down what a partition lacks, if that changed.
    pub(crate) fn note_ailment(&mut self, slot: usize) {
        let Some(partition) = self.partitions.get_mut(slot) else { return };
        let without_leader = partition.route.is_none() && partition.is_busy();
        let now = Ailment { without_leader, resolving: partition.stream.is_resolving() };
        if now != partition.ailment {
            let before = std::mem::replace(&mut partition.ailment, now);
            let mut health = self.health.lock();
            count(&mut health.without_leader, before.without_leader, now.without_leader);
            count(&mut health.resolving, before.resolving, now.resolving);
        }
    }
}

fn count(total: &mut usize, before: bool, now: bool) {
    *total = total.saturating_sub(usize::from(before)) + usize::from(now);
}
