//! The part of a batch that is owed to callers: every record ends in exactly one outcome.

use std::any::Any;
use std::sync::Arc;

use milena_wire::PartitionId;

use crate::cell::{BatchCell, Home};
use crate::hooks::BatchReport;
use crate::stake::{Promise, Stakes};
use crate::sync::{AtomicBool, Ordering};
use crate::tokens::Tokens;
use crate::{Failure, FailureKind, Fate, Outcome};

/// What is owed for the records of one batch: an outcome to its handles, a report to its tokens.
///
/// Dropped without an outcome (a panic, a runtime that ends) it settles itself, so that nobody waits for ever.
#[derive(Debug)]
pub(crate) struct Story {
    cell: Arc<BatchCell>,
    stakes: Stakes,
    pub(crate) tokens: Tokens,
    /// Whether a header was made, so that an attempt may have reached a broker.
    attempted: AtomicBool,
    told: bool,
}

impl Story {
    pub(crate) fn new(home: Arc<Home>) -> Self {
        Self {
            cell: BatchCell::new(home),
            stakes: Stakes::default(),
            tokens: Tokens::default(),
            attempted: AtomicBool::new(false),
            told: false,
        }
    }

    #[inline]
    pub(crate) fn cell(&self) -> &Arc<BatchCell> {
        &self.cell
    }

    /// What the handle of the record at `index` gets.
    #[inline(always)]
    pub(crate) fn promise(&mut self, index: u32, total: usize) -> Promise {
        self.stakes.promise(&self.cell, index, total)
    }

    pub(crate) fn home(&self) -> &Arc<Home> {
        self.cell.home()
    }

    pub(crate) fn partition(&self) -> Option<PartitionId> {
        self.home().partition
    }

    pub(crate) fn set_attempted(&self) {
        self.attempted.store(true, Ordering::Relaxed);
    }

    /// Tells everybody. `memory` is given back when they have heard: a handler that lags behind holds it, and so callers back.
    pub(crate) fn settle(mut self, outcome: Outcome, memory: impl Any + Send + Sync) {
        self.tell(outcome, memory);
    }

    /// Hands the records on to other stories: their cells by `forward`ing, their tokens by what this returns.
    pub(crate) fn end(mut self) -> (Arc<BatchCell>, Tokens) {
        self.told = true;
        self.stakes.end();
        (Arc::clone(&self.cell), std::mem::take(&mut self.tokens))
    }

    /// The failure of records that nobody will deliver any more.
    pub(crate) fn gone(&self) -> Arc<Failure> {
        let fate = if self.attempted.load(Ordering::Relaxed) { Fate::MaybeWritten } else { Fate::NotWritten };
        Arc::new(Failure::new(FailureKind::RuntimeGone, fate, self.home().topic.clone(), self.partition()))
    }

    fn tell(&mut self, outcome: Outcome, memory: impl Any + Send + Sync) {
        self.told = true;
        self.stakes.end();
        let tokens = std::mem::take(&mut self.tokens);
        if tokens.is_empty() {
            return self.cell.settle(outcome);
        }
        self.cell.settle(outcome.clone());
        let home = self.home();
        home.hooks.report(BatchReport {
            topic: home.topic.clone(),
            partition: home.partition,
            outcome,
            records: Arc::new(tokens),
            _memory: Arc::new(memory),
        });
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        if self.told {
            return;
        }
        let failure = self.gone();
        self.tell(Outcome::Failed(failure), ());
    }
}
