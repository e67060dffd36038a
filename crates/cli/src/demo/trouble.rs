//! What the demo's cluster suffers while records come in.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use milena::PartitionId;
use milena_broker::{EmbeddedCluster, Reaction, Rule};
use milena_wire::ApiKey;

use super::ledger::Ledger;

/// Rounds of blows in one run, at most. Each waits for records to be settled since the last, so that it strikes a producer at work,
/// and so that a slow machine suffers as often as a quick one.
const BLOWS: u64 = 100;
/// Longest time from when enough was settled to the blow, so that it does not always come right behind an answer.
const SPREAD_US: usize = 2_000;

/// What was done to the cluster.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Suffered {
    pub(super) leaders_moved: u64,
    pub(super) connections_cut: u64,
    pub(super) answers_lost: u64,
}

/// A thread that moves leaders, cuts connections and loses answers until all records are settled.
pub(super) struct Trouble(JoinHandle<Suffered>);

impl Trouble {
    pub(super) fn start(
        cluster: Arc<EmbeddedCluster>,
        ledger: Arc<Ledger>,
        topic: &'static str,
        partitions: i32,
    ) -> Self {
        Self(std::thread::spawn(move || {
            let mut suffered = Suffered::default();
            let mut chance = Chance(ledger.len());
            let nodes = cluster.nodes();
            let partitions: Vec<_> = (0..partitions).map(PartitionId).collect();
            let pause = (ledger.len() / BLOWS).max(1);
            while ledger.wait_for_more(pause) {
                std::thread::sleep(Duration::from_micros(chance.below(SPREAD_US) as u64));
                for _ in 0..4 {
                    let moved = cluster.move_leader(topic, chance.pick(&partitions), None);
                    suffered.leaders_moved += u64::from(moved.is_ok());
                }
                for _ in 0..2 {
                    suffered.connections_cut += cluster.cut_connections(Some(chance.pick(&nodes))) as u64;
                }
                // The next request to this node is carried out, and the answer never comes.
                let mute = chance.pick(&nodes);
                cluster.script(Rule::on(ApiKey::PRODUCE, Reaction::CloseAfter).node(mute));
                suffered.answers_lost += 1;
            }
            suffered.answers_lost -= (cluster.script_pending() as u64).min(suffered.answers_lost);
            suffered
        }))
    }

    /// What was suffered, once all records are settled.
    pub(super) fn end(self) -> Suffered {
        self.0.join().unwrap_or_default()
    }
}

/// A small generator: the same number of records suffers the same choices.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
    fn pick<T: Copy>(&mut self, among: &[T]) -> T {
        among[self.below(among.len())]
    }
}
