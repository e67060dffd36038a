//! What may be sent next, and that it is on its way.

use milena_mutants::Mutant;
use milena_wire::{RecordCount, Sequence};

use super::{Entry, State, Stream, WINDOW};
use crate::gate::{Gate, Sent, Turn, Why};
use crate::identity::{Attempt, BatchKey, Route, Stamp};

impl Stream {
    /// What may be sent to `route` now. The answer holds until the stream is changed.
    #[must_use]
    pub fn gate(&self, route: Route) -> Gate {
        // This is asked several times per batch, so one look at each has to do.
        let (mut in_flight, mut first_in_flight, mut waiting, mut held, mut settled) = (0, None, None, false, false);
        for (at, entry) in self.entries.iter().enumerate() {
            settled |= entry.settled;
            match entry.state {
                State::InFlight { route: other, .. } => {
                    if other.leader != route.leader || other.topic != route.topic {
                        return Gate::Wait(Why::OldLeader);
                    }
                    in_flight += 1;
                    first_in_flight = first_in_flight.or(Some(at));
                }
                State::Waiting => waiting = waiting.or(Some(at)),
                State::Held => held = true,
                State::Silent | State::Withdrawn | State::Done => {}
            }
        }
        if self.is_stamped() && self.identity.is_none() {
            return Gate::Wait(Why::NoIdentity);
        }
        let alone = self.is_stamped() && !self.is_open(route) && !Mutant::FirstAckIsNotAwaited.lives();
        let (window, limit) =
            if Mutant::WindowIsUnbounded.lives() { (usize::MAX, usize::MAX) } else { (WINDOW, self.limit) };
        if let Some(at) = waiting {
            let key = self.entries[at].key;
            // The broker tells the last five it appended from new ones. That matters to those that may be sent again, not to those in front of
            // them, which have ended or are withdrawn.
            let span = at - first_in_flight.unwrap_or(at).min(at);
            let behind = self.entries.iter().skip(at + 1).any(|e| matches!(e.state, State::InFlight { .. }));
            return match () {
                () if self.gap && in_flight > 0 => Gate::Wait(Why::Gap),
                () if self.is_stamped() && behind => Gate::Wait(Why::Behind),
                () if alone && in_flight > 0 => Gate::Wait(Why::FirstAck),
                () if in_flight >= limit || (self.is_stamped() && span >= window) => Gate::Wait(Why::Full),
                () => Gate::Open(Turn::Resend(key)),
            };
        }
        match () {
            () if self.gap || held => Gate::Wait(Why::Gap),
            () if self.is_stamped() && settled && in_flight > 0 => Gate::Wait(Why::Tombstone),
            () if alone && in_flight > 0 => Gate::Wait(Why::FirstAck),
            () if in_flight >= limit || (self.is_stamped() && self.entries.len() >= window) => Gate::Wait(Why::Full),
            () => Gate::Open(Turn::New),
        }
    }

    pub(super) fn is_open(&self, route: Route) -> bool {
        self.open.is_some_and(|(at, who)| at == route && Some(who) == self.identity)
    }

    /// Stamps a new batch of `count` records and notes that it is on its way. Only after [`gate`](Self::gate) said [`Turn::New`].
    pub fn send_new(&mut self, key: BatchKey, count: RecordCount, route: Route) -> Sent {
        debug_assert_eq!(self.gate(route), Gate::Open(Turn::New), "a batch is stamped only when the gate is open");
        let attempt = self.attempt();
        let sequence = self.next;
        if self.entries.len() == self.entries.capacity() {
            // Most partitions have one at a time, and there may be many partitions: not room for four at once.
            self.entries.reserve_exact(self.entries.len().max(1));
        }
        self.entries.push_back(Entry {
            key,
            sequence,
            count,
            state: State::InFlight { attempt, route },
            ambiguous: false,
            settled: false,
        });
        if self.is_stamped() {
            self.next = sequence.advance(count);
        }
        Sent { stamp: self.stamp(sequence), attempt }
    }

    /// Notes that a batch is on its way again. Only after [`gate`](Self::gate) named it; `None` if it is not waiting.
    pub fn resend(&mut self, key: BatchKey, route: Route) -> Option<Sent> {
        debug_assert_eq!(self.gate(route), Gate::Open(Turn::Resend(key)), "nothing is sent out of turn");
        let at = self.find(key).filter(|at| self.entries[*at].state == State::Waiting)?;
        let attempt = self.attempt();
        self.entries[at].state = State::InFlight { attempt, route };
        if Mutant::RetriesAreNumberedAnew.lives() {
            self.entries[at].sequence = self.next;
            self.next = self.next.advance(self.entries[at].count);
        }
        Some(Sent { stamp: self.stamp(self.entries[at].sequence), attempt })
    }

    pub(super) fn attempt(&mut self) -> Attempt {
        self.attempts += 1;
        Attempt(self.attempts)
    }

    pub(super) fn stamp(&self, sequence: Sequence) -> Option<Stamp> {
        // Every entry is of the current identity: it changes only when there are none.
        self.identity.map(|identity| Stamp { identity, sequence })
    }
}
