//! Idempotent-producer sequences as a value (KIP-98, KIP-360): what each partition's stream of batches may send next, and what a broker's
//! answer means for the batch it answers.
//!
//! Two things live here and nothing else. [`verdict()`] is one pure function: (code, was the batch ambiguous, its position, …) to what
//! happens now. [`Stream`] is one partition's (producer id, epoch, next sequence) with at most five stamped batches whose end is not known.
//! No I/O, no clock, no payload: batches are names ([`BatchKey`]) here.

mod gate;
mod identity;
mod stream;
mod verdict;

pub use gate::{Gate, Reply, Sent, Turn, Why, Withdrawn};
pub use identity::{Answer, Attempt, BatchKey, Identity, Route, Stamp};
pub use stream::{Stream, WINDOW};
pub use verdict::{Fate, LogStart, Position, Protection, Question, Verdict, may_have_appended, verdict};
