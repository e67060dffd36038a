//! The machine as a whole.
#![expect(clippy::todo, reason = "shapes only; the bodies follow")]

use std::sync::Arc;

use milena_accumulator::Accumulator;
use milena_cluster::Cluster;
use milena_wire::Timestamp;

use crate::api::{Input, Output};
use crate::config::SenderConfig;
use crate::metrics::Metrics;

/// Decides what a producer does next. Owns the cluster and all timers, shares the accumulator with the callers' threads.
///
/// Drive it as: [`handle`](Self::handle) one input, [`poll_output`](Self::poll_output) until it is `None`, wait for the next input or for
/// [`next_timer`](Self::next_timer) (then handle [`Input::Tick`]), repeat. `now` must not decrease.
#[derive(Debug)]
pub struct Sender {
    metrics: Arc<Metrics>,
}

impl Sender {
    /// A sender without work. `seed` feeds retry jitter and nothing else.
    #[must_use]
    pub fn new(config: SenderConfig, accumulator: Accumulator, cluster: Cluster, seed: u64) -> Self {
        let _ = (config, accumulator, cluster, seed);
        Self { metrics: Arc::default() }
    }

    /// Takes in what happened at `now`; `wall_ms` is the same moment by the wall clock, in milliseconds since 1970.
    pub fn handle(&mut self, now: Timestamp, wall_ms: i64, input: Input) {
        let _ = (now, wall_ms, input);
        todo!()
    }

    /// What to do next; `None` once there is nothing.
    pub fn poll_output(&mut self) -> Option<Output> {
        todo!()
    }

    /// When to handle [`Input::Tick`] if nothing else happens before.
    #[must_use]
    pub fn next_timer(&self) -> Option<Timestamp> {
        todo!()
    }

    /// The counters, shared.
    #[must_use]
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }
}
