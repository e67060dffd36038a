//! One partition's stream of batches: what may be sent next, and how far each stamped batch has come.
//!
//! A batch's way through the stream:
//!
//! ```text
//!              send_new                 answer: Complete
//!   (unstamped) ───────▶ InFlight ────────────────────────────▶ Done ──▶ leaves when nothing before it is open
//!        ▲                ▲    │  answer: Resend, not sent,
//!        │         resend │    ▼  rerouted to a new leader
//!        │                Waiting ──────────┐
//!        │                   │              │ settle (deadline, purge), or Fail{MaybeWritten}
//!        │  45 at its place, │              ▼
//!        │  or a gap before  │           Silent: a tombstone. The user has heard MaybeWritten, the payload is gone,
//!        │  it and it was    ▼           whether it is on the log is still open. A settled batch that is in flight
//!        └──────────── Withdrawn         becomes Silent (or Done, or absent) with its answer.
//!          gap closed
//! ```
//!
//! and the stream's own states, of which all but *flowing* stop new stamps:
//!
//! ```text
//!              a batch is proved absent and will not be sent with its stamp
//!              (failed NotWritten, withdrawn, tombstone answered with a refusal)
//!   Flowing ──────────────────────────────────────────────────────────────▶ Gap
//!     │  ▲ ▲                                                                 │  batches behind the gap are answered first: never-appended
//!     │  │ └──── bump: epoch + 1, sequence 0, withdrawn batches released ◀───┘  ones are withdrawn, an ambiguous one is sent again with its
//!     │  │       in order (epoch 32767: wait for a new producer id)              old stamp, alone, until it is known
//!     │  │
//!     │  └─ accepted or duplicate: the tombstones before it are resolved
//!     ▼  │
//!   Tombstone: stamped batches behind it are answered first; then the next batch is the probe, alone in flight.
//!              OUT_OF_ORDER for the probe: the tombstone is absent ──▶ Gap
//! ```
//!
//! Three rules keep the broker's memory of five batches sufficient and its answers meaningful:
//! * from the oldest open batch to the newest stamped one there are at most [`WINDOW`] batches, *closed ones included*, because what counts
//!   is how many batches the broker may have appended after the one it is asked about;
//! * a batch is sent again only when all before it are in flight to the same leader or closed, and nothing behind it is in flight, so the
//!   broker saw a batch's predecessors before the attempt that it answers;
//! * until the first success from a leader (id, epoch, topic id; producer id, epoch) and after any error only one batch is in flight,
//!   because a broker without memory of us accepts any first sequence.

use std::collections::VecDeque;

use milena_mutants::Mutant;
use milena_wire::{ErrorCode, Offset, ProducerEpoch, ProducerId, RecordCount, Sequence};

use crate::gate::{Gate, Reply, Sent, Turn, Why, Withdrawn};
use crate::identity::{Answer, Attempt, BatchKey, Identity, Route, Stamp};
use crate::verdict::{Fate, LogStart, Position, Protection, Question, Verdict, may_have_appended, verdict};

#[cfg(test)]
mod tests;

/// How many batches of one producer a broker remembers per partition, and so how many stamped ones may be open.
pub const WINDOW: usize = 5;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    InFlight {
        attempt: Attempt,
        route: Route,
    },
    Waiting,
    /// Answered [`Verdict::Split`], and the pieces are not made yet.
    Held,
    Silent,
    Withdrawn,
    Done,
}

#[derive(Clone, Debug)]
struct Entry {
    key: BatchKey,
    sequence: Sequence,
    count: RecordCount,
    state: State,
    ambiguous: bool,
    settled: bool,
}

/// One partition's stream.
#[derive(Clone, Debug)]
pub struct Stream {
    protection: Protection,
    limit: usize,
    identity: Option<Identity>,
    /// The newest identity of the producer, adopted when this stream has nothing open under its own.
    offered: Option<Identity>,
    /// A producer id whose epochs are used up here.
    spent: Option<ProducerId>,
    next: Sequence,
    entries: VecDeque<Entry>,
    gap: bool,
    /// A batch of this epoch that was given up, absent for now, may be appended yet.
    haunted: bool,
    /// The route and identity of the latest success, until an error.
    open: Option<(Route, Identity)>,
    last_acked: Option<Offset>,
    attempts: u64,
    withdrawn: Vec<Withdrawn>,
}

impl Stream {
    /// An idempotent stream without an identity: it waits for [`offer`](Self::offer). `limit` is clamped to 1..=[`WINDOW`].
    #[must_use]
    pub fn stamped(limit: usize) -> Self {
        Self::new(Protection::Stamped, limit.clamp(1, WINDOW))
    }

    /// A stream without stamps, of at most `limit` (at least 1) batches in flight. Whether an ambiguous batch is sent again is
    /// `protection`'s matter.
    #[must_use]
    pub fn plain(protection: Protection, limit: usize) -> Self {
        Self::new(protection, limit.max(1))
    }

    fn new(protection: Protection, limit: usize) -> Self {
        Self {
            protection,
            limit,
            identity: None,
            offered: None,
            spent: None,
            next: Sequence::ZERO,
            entries: VecDeque::new(),
            gap: false,
            haunted: false,
            open: None,
            last_acked: None,
            attempts: 0,
            withdrawn: Vec::new(),
        }
    }

    /// Gives the next new batch this sequence instead of the one that follows, which a broker without memory of the producer accepts: the wrap
    /// cannot be reached one by one.
    pub fn start_at(&mut self, next: Sequence) {
        debug_assert!(self.is_resolved(), "what is open goes on from its own sequence");
        self.next = next;
    }

    fn is_stamped(&self) -> bool {
        self.protection == Protection::Stamped
    }

    /// The identity new batches get.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        self.identity
    }

    /// The sequence the next new batch gets.
    #[must_use]
    pub fn next_sequence(&self) -> Sequence {
        self.next
    }

    /// Whether nothing is open: no batch in flight, waiting, withdrawn or settled without being resolved.
    #[must_use]
    pub fn is_resolved(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a batch was settled of which it is not known yet whether it was appended.
    #[must_use]
    pub fn is_resolving(&self) -> bool {
        self.entries.iter().any(|entry| entry.settled)
    }

    /// Batches in flight.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.entries.iter().filter(|e| matches!(e.state, State::InFlight { .. })).count()
    }

    /// Whether the stream needs a producer id other than `spent` before it can stamp anything: `Some(None)` when any will do.
    #[must_use]
    pub fn wants_identity(&self) -> Option<Option<ProducerId>> {
        (self.is_stamped() && self.identity.is_none()).then_some(self.spent)
    }

    /// Tells the producer's identity. It is adopted at once if the stream has none, else when nothing is open under the old one.
    pub fn offer(&mut self, identity: Identity) {
        if self.is_stamped() && self.spent != Some(identity.producer_id) {
            self.offered = Some(identity);
            self.advance();
        }
    }

    /// What may be sent to `route` now. The answer holds until the stream is changed.
    #[must_use]
    pub fn gate(&self, route: Route) -> Gate {
        let mut in_flight = 0;
        for entry in &self.entries {
            if let State::InFlight { route: other, .. } = entry.state {
                if other.leader != route.leader || other.topic != route.topic {
                    return Gate::Wait(Why::OldLeader);
                }
                in_flight += 1;
            }
        }
        if self.is_stamped() && self.identity.is_none() {
            return Gate::Wait(Why::NoIdentity);
        }
        let alone = self.is_stamped() && !self.is_open(route) && !Mutant::FirstAckIsNotAwaited.lives();
        let (window, limit) =
            if Mutant::WindowIsUnbounded.lives() { (usize::MAX, usize::MAX) } else { (WINDOW, self.limit) };
        if let Some(at) = self.entries.iter().position(|e| e.state == State::Waiting) {
            let key = self.entries[at].key;
            let behind = self.entries.iter().skip(at + 1).any(|e| matches!(e.state, State::InFlight { .. }));
            return match () {
                () if self.gap && in_flight > 0 => Gate::Wait(Why::Gap),
                () if self.is_stamped() && behind => Gate::Wait(Why::Behind),
                () if alone && in_flight > 0 => Gate::Wait(Why::FirstAck),
                () if in_flight >= limit || (self.is_stamped() && at >= window) => Gate::Wait(Why::Full),
                () => Gate::Open(Turn::Resend(key)),
            };
        }
        let settled = self.is_stamped() && self.entries.iter().any(|e| e.settled);
        let held = self.entries.iter().any(|e| e.state == State::Held);
        match () {
            () if self.gap || held => Gate::Wait(Why::Gap),
            () if settled && in_flight > 0 => Gate::Wait(Why::Tombstone),
            () if alone && in_flight > 0 => Gate::Wait(Why::FirstAck),
            () if in_flight >= limit || (self.is_stamped() && self.entries.len() >= window) => Gate::Wait(Why::Full),
            () => Gate::Open(Turn::New),
        }
    }

    fn is_open(&self, route: Route) -> bool {
        self.open.is_some_and(|(at, who)| at == route && Some(who) == self.identity)
    }

    /// Stamps a new batch of `count` records and notes that it is on its way. Only after [`gate`](Self::gate) said [`Turn::New`].
    pub fn send_new(&mut self, key: BatchKey, count: RecordCount, route: Route) -> Sent {
        debug_assert_eq!(self.gate(route), Gate::Open(Turn::New), "a batch is stamped only when the gate is open");
        let attempt = self.attempt();
        let sequence = self.next;
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

    fn attempt(&mut self) -> Attempt {
        self.attempts += 1;
        Attempt(self.attempts)
    }

    fn stamp(&self, sequence: Sequence) -> Option<Stamp> {
        // Every entry is of the current identity: it changes only when there are none.
        self.identity.map(|identity| Stamp { identity, sequence })
    }

    fn find(&self, key: BatchKey) -> Option<usize> {
        self.entries.iter().position(|e| e.key == key)
    }

    fn find_attempt(&self, key: BatchKey, attempt: Attempt) -> Option<(usize, Route)> {
        let at = self.find(key)?;
        match self.entries[at].state {
            State::InFlight { attempt: current, route } if current == attempt => Some((at, route)),
            _ => None,
        }
    }

    fn position(&self, at: usize) -> Position {
        let open = |e: &Entry| matches!(e.state, State::InFlight { .. } | State::Waiting | State::Held);
        let silent = |e: &Entry| e.state == State::Silent;
        match () {
            () if self.entries.iter().take(at).any(open) => Position::Behind,
            () if Mutant::GhostsAreUnseen.lives() => Position::Head,
            () if self.haunted || self.entries.iter().take(at).any(silent) => Position::Haunted,
            () => Position::Head,
        }
    }

    /// Takes the answer to one attempt, or what stands for an answer that was lost, and says what it means for the batch.
    pub fn answer(&mut self, key: BatchKey, attempt: Attempt, answer: &Answer) -> Reply {
        let Some((at, route)) = self.find_attempt(key, attempt) else { return Reply::Late };
        let position = self.position(at);
        let entry = &self.entries[at];
        let log_start = match (answer.log_start, self.last_acked) {
            (None, _) => LogStart::Unknown,
            (Some(start), Some(acked)) if acked < start => LogStart::Truncated,
            (Some(_), _) => LogStart::Kept,
        };
        let verdict = verdict(&Question {
            code: answer.code,
            was_ambiguous: entry.ambiguous,
            position,
            protection: self.protection,
            many: entry.count.get() > 1,
            names_records: answer.names_records,
            log_start,
        });
        let settled = entry.settled;
        if matches!(verdict, Verdict::Complete { .. }) {
            self.open = self.identity.map(|identity| (route, identity));
            self.last_acked = self.last_acked.max(answer.last_offset);
        } else {
            self.open = None;
        }
        let written = self.apply(at, answer.code, verdict);
        self.advance();
        if settled { Reply::Tombstone { written } } else { Reply::Verdict(verdict) }
    }

    /// Moves the entry; says whether it is on the log.
    fn apply(&mut self, at: usize, code: ErrorCode, verdict: Verdict) -> bool {
        let stamped = self.is_stamped();
        let entry = &mut self.entries[at];
        match verdict {
            Verdict::Complete { .. } => {
                entry.state = State::Done;
                return true;
            }
            Verdict::Resend { ambiguous, .. } => {
                entry.ambiguous = ambiguous && (may_have_appended(code) || !Mutant::RefusalForgetsAttempts.lives());
                self.put_back(at);
            }
            Verdict::Renumber | Verdict::FailRecords | Verdict::Split if entry.settled => self.absent(at),
            Verdict::Renumber | Verdict::FailRecords if stamped => {
                entry.state = State::Withdrawn;
                self.gap = true;
            }
            Verdict::Renumber | Verdict::FailRecords => entry.state = State::Waiting,
            Verdict::Split => entry.state = State::Held,
            Verdict::Fail { fate } | Verdict::Fatal { fate } => {
                if stamped && fate == Fate::MaybeWritten {
                    entry.ambiguous = true;
                    entry.settled = true;
                    entry.state = State::Silent;
                    // Under this epoch nothing will be accepted any more, so no probe can tell.
                    self.gap |= matches!(
                        code,
                        ErrorCode::INVALID_PRODUCER_EPOCH
                            | ErrorCode::UNKNOWN_PRODUCER_ID
                            | ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
                    );
                } else {
                    self.absent(at);
                }
            }
        }
        false
    }

    /// An attempt is over and the batch is no further: it waits, or stays as a tombstone, or nothing of it is left.
    fn put_back(&mut self, at: usize) {
        let stamped = self.is_stamped();
        let entry = &mut self.entries[at];
        match (entry.settled, entry.ambiguous && stamped) {
            (false, _) => entry.state = State::Waiting,
            (true, true) => entry.state = State::Silent,
            (true, false) => self.absent(at),
        }
    }

    /// The batch leaves and is not on the log (or nobody can ask any more, without stamps).
    fn absent(&mut self, at: usize) {
        let gone = self.entries.remove(at);
        self.gap |= self.is_stamped();
        self.haunted |= gone.is_some_and(|entry| entry.ambiguous);
    }

    /// An attempt never left this machine: the batch waits to be sent again, no more ambiguous than it was. `false`: the news is late.
    pub fn not_sent(&mut self, key: BatchKey, attempt: Attempt) -> bool {
        let Some((at, _)) = self.find_attempt(key, attempt) else { return false };
        self.open = None;
        self.put_back(at);
        self.advance();
        true
    }

    /// A newer leader: every batch in flight may have been appended by the old one and waits, in order, to be sent to the new one. Answers
    /// to the old attempts are late from now on. Pushes the names of the batches that wait now.
    ///
    /// Only for idempotent streams; without stamps the old leader's answer is awaited.
    pub fn reroute(&mut self, out: &mut Vec<BatchKey>) {
        if !self.is_stamped() {
            return;
        }
        self.open = None;
        for entry in &mut self.entries {
            if matches!(entry.state, State::InFlight { .. }) {
                entry.ambiguous = true;
                if entry.settled {
                    entry.state = State::Silent;
                } else {
                    entry.state = State::Waiting;
                    out.push(entry.key);
                }
            }
        }
        self.advance();
    }

    /// Whether anything in flight went to another leader than `route`'s.
    #[must_use]
    pub fn is_elsewhere(&self, route: Route) -> bool {
        self.entries.iter().any(|e| matches!(e.state, State::InFlight { route: at, .. } if at.leader != route.leader))
    }

    /// The batches in the stream, in order, settled ones included.
    pub fn keys(&self) -> impl Iterator<Item = BatchKey> {
        self.entries.iter().map(|e| e.key)
    }

    /// Whether an attempt of the batch is unanswered.
    #[must_use]
    pub fn is_in_flight(&self, key: BatchKey) -> bool {
        self.entries.iter().any(|e| e.key == key && matches!(e.state, State::InFlight { .. }))
    }

    /// What can be said of a batch now; `None` if it is not (or no longer) in the stream.
    #[must_use]
    pub fn fate(&self, key: BatchKey) -> Option<Fate> {
        let entry = &self.entries[self.find(key)?];
        let maybe = entry.ambiguous || matches!(entry.state, State::InFlight { .. });
        Some(if maybe { Fate::MaybeWritten } else { Fate::NotWritten })
    }

    /// Gives a batch up: the user hears its fate now and it is never sent again. A stamped one that may be on the log stays as a tombstone.
    /// `None` if it is not in the stream or settled already.
    pub fn settle(&mut self, key: BatchKey) -> Option<Fate> {
        let at = self.find(key).filter(|at| !self.entries[*at].settled)?;
        let fate = self.fate(key)?;
        let stamped = self.is_stamped();
        let entry = &mut self.entries[at];
        match entry.state {
            State::Done => return None,
            State::InFlight { .. } => entry.settled = true,
            State::Waiting if Mutant::GivenUpIsForgotten.lives() => {
                self.entries.remove(at);
            }
            State::Waiting if entry.ambiguous && stamped => {
                entry.settled = true;
                entry.state = State::Silent;
            }
            // A withdrawn one has left its place already; the gap it left is noted.
            State::Waiting | State::Held | State::Silent | State::Withdrawn => self.absent(at),
        }
        self.advance();
        Some(fate)
    }

    /// Replaces a batch that was answered [`Verdict::Split`] by its pieces, which keep its records' sequences.
    pub fn split(&mut self, key: BatchKey, pieces: &[(BatchKey, RecordCount)]) {
        let Some(at) = self.find(key) else { return };
        let Some(entry) = self.entries.remove(at) else { return };
        debug_assert!(!entry.ambiguous && entry.state == State::Held, "only what was answered so is split");
        let mut sequence = entry.sequence;
        for (i, &(key, count)) in pieces.iter().enumerate() {
            let piece = Entry { key, sequence, count, state: State::Waiting, ambiguous: false, settled: false };
            self.entries.insert(if Mutant::PiecesTurnRound.lives() { at } else { at + i }, piece);
            if self.protection == Protection::Stamped && !Mutant::PiecesShareSequence.lives() {
                sequence = sequence.advance(count);
            }
        }
        self.advance();
    }

    /// The partition's topic was deleted and created again: nothing that was sent to the old one says anything about the new one. The
    /// caller has settled or taken back every batch. Starts anew, at sequence 0 of the next epoch, so that a request for the old topic that
    /// is still under way cannot pass for one of these.
    pub fn restart(&mut self) {
        let used = self.next != Sequence::ZERO || !self.entries.is_empty();
        self.entries.clear();
        self.withdrawn.clear();
        self.gap = false;
        self.haunted = false;
        self.open = None;
        self.last_acked = None;
        if used && self.is_stamped() {
            self.bump();
        }
        self.advance();
    }

    /// Moves the batches that have lost their stamps out of the stream, in order. They belong in front of everything not yet stamped.
    pub fn take_withdrawn(&mut self, out: &mut Vec<Withdrawn>) {
        out.append(&mut self.withdrawn);
    }

    /// Does all that needs no news from outside.
    fn advance(&mut self) {
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
    fn bump(&mut self) {
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
