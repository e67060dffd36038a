//! What follows by itself from each change: batches leave, tombstones are resolved, a gap is closed and the next epoch begins.

use milena_mutants::Mutant;
use milena_wire::{ProducerEpoch, Sequence};

use super::{Entry, State, Stream, WINDOW};
use crate::gate::Withdrawn;
use crate::identity::Identity;

impl Stream {
    /// Does all that needs no news from outside.
    pub(super) fn advance(&mut self) {
        if !self.is_stamped() {
            self.entries.retain(|e| e.state != State::Done);
            return;
        }
        // What was accepted after a tombstone, under the same epoch, resolves it: it is there, or nothing that could find it is.
        if let Some(last) = self.entries.iter().rposition(|e| e.state == State::Done) {
            let mut at = 0;
            self.entries.retain(|e| {
                at += 1;
                at > last || e.state != State::Silent
            });
        }
        while self.entries.front().is_some_and(|e| e.state == State::Done) {
            self.entries.pop_front();
        }
        if self.gap {
            self.close_gap();
        }
        // No room for a probe and nothing to wait for. A bump is as safe: a tombstone is never sent again.
        if self.entries.len() >= WINDOW && self.entries.iter().all(|e| e.state == State::Silent) {
            self.entries.clear();
            self.bump();
        }
        if self.entries.is_empty()
            && let Some(offered) = self.offered
            && self.identity.is_none_or(|own| own.producer_id != offered.producer_id)
        {
            self.identity = Some(offered);
            self.next = Sequence::ZERO;
        }
    }

    fn close_gap(&mut self) {
        for entry in &mut self.entries {
            if entry.state == State::Waiting && !entry.ambiguous {
                entry.state = State::Withdrawn;
            }
        }
        let open = |e: &Entry| matches!(e.state, State::InFlight { .. } | State::Waiting | State::Held);
        if self.entries.iter().any(open) {
            return;
        }
        let last_done = self.entries.iter().rposition(|e| e.state == State::Done);
        for (at, entry) in self.entries.drain(..).enumerate() {
            if entry.state != State::Withdrawn {
                continue;
            }
            let contradicted = entry.ambiguous && last_done.is_some_and(|done| done > at);
            self.withdrawn.push(if contradicted {
                Withdrawn::MaybeWritten(entry.key)
            } else {
                Withdrawn::Unstamped(entry.key)
            });
        }
        self.gap = false;
        self.bump();
    }

    /// The next epoch, or none if this was the last: then a new producer id is waited for, and nothing is ever stamped without one.
    pub(super) fn bump(&mut self) {
        self.restarts = self.restarts.saturating_add(1);
        if !Mutant::BumpKeepsSequence.lives() {
            self.next = Sequence::ZERO;
        }
        self.haunted = false;
        if Mutant::BumpKeepsEpoch.lives() {
            return;
        }
        let Some(own) = self.identity else { return };
        self.identity = if own.epoch < ProducerEpoch::LAST {
            Some(Identity { producer_id: own.producer_id, epoch: ProducerEpoch(own.epoch.0 + 1) })
        } else {
            self.spent = Some(own.producer_id);
            self.offered = self.offered.filter(|offered| offered.producer_id != own.producer_id);
            None
        };
    }
}
