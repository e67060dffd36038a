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
//! * nothing is sent [`WINDOW`] places or more behind a batch in flight, *closed ones in between included*, because what counts is how many
//!   batches the broker may have appended after one that may be sent again. What is in front of all that is in flight has ended or was
//!   withdrawn, and is never sent again; only a batch that is stamped anew counts it, too, so that tombstones do not pile up;
//! * a batch is sent again only when all before it are in flight to the same leader or closed, and nothing behind it is in flight, so the
//!   broker saw a batch's predecessors before the attempt that it answers;
//! * until the first success from a leader (id, epoch, topic id; producer id, epoch) and after any error only one batch is in flight,
//!   because a broker without memory of us accepts any first sequence.

mod answers;
mod moving_on;
mod sending;
mod settling;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use milena_wire::{Offset, ProducerId, RecordCount, Sequence};

use crate::gate::Withdrawn;
use crate::identity::{Attempt, BatchKey, Identity, Route};
use crate::verdict::{Fate, Protection};

/// How many batches of one producer a broker remembers per partition, and so how many stamped ones may be in flight.
pub const WINDOW: usize = 5;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    InFlight {
        attempt: Attempt,
        route: Route,
    },
    Waiting,
    /// Answered [`Verdict::Split`](crate::Verdict::Split), and the pieces are not made yet.
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
    restarts: u32,
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
            restarts: 0,
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

    /// How often the numbering has started again, under another epoch or producer id.
    #[must_use]
    pub fn restarts(&self) -> u32 {
        self.restarts
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

    fn find(&self, key: BatchKey) -> Option<usize> {
        self.entries.iter().position(|e| e.key == key)
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
}
