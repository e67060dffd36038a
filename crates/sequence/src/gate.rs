//! What a stream says: whose turn it is, and what became of an answer.

use crate::identity::{Attempt, BatchKey, Stamp};
use crate::verdict::Verdict;

/// What [`Stream::gate`](crate::Stream::gate) allows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Gate {
    /// Send this now.
    Open(Turn),
    /// Send nothing until an answer, an identity or another leader changes that.
    Wait(Why),
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Turn {
    /// The next batch that has no stamp yet.
    New,
    /// This batch again. Nothing overtakes it, even while its backoff runs.
    Resend(BatchKey),
}

/// Why nothing may be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Why {
    /// No producer id is known yet, or the one there was is used up.
    NoIdentity,
    /// As many batches are open as may be.
    Full,
    /// The leader has not accepted anything from us yet, or the last answer was an error: one batch at a time.
    FirstAck,
    /// Batches behind one that waits to be sent again are still unanswered.
    Behind,
    /// A batch is known to be missing: those behind it are answered first.
    Gap,
    /// A settled batch, or one behind it, is still unanswered.
    Tombstone,
    /// The former leader has yet to answer (acks 0 and 1).
    OldLeader,
}

/// A batch is on its way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use = "the stamp belongs into the batch's header, the attempt to its request"]
pub struct Sent {
    /// What its header says; `None` without idempotence.
    pub stamp: Option<Stamp>,
    /// Names this sending in [`Stream::answer`](crate::Stream::answer).
    pub attempt: Attempt,
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use = "the verdict is to be carried out"]
pub enum Reply {
    /// It was late: another attempt has replaced the one it answers.
    Late,
    /// It was for a batch that is settled already; the stream has learnt from it.
    Tombstone {
        /// Whether the batch is on the log.
        written: bool,
    },
    /// This is to be done with the batch.
    Verdict(Verdict),
}

/// A batch that left the stream without its stamp when a gap closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Withdrawn {
    /// It is not on the log: it goes to the front of the queue and is stamped anew.
    Unstamped(BatchKey),
    /// It was ambiguous, answered as absent, and yet a batch behind it was accepted: the broker had forgotten more than it may. It fails as
    /// [`Fate::MaybeWritten`](crate::Fate::MaybeWritten); to send it again could duplicate it.
    MaybeWritten(BatchKey),
}
