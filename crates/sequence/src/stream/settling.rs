//! What is done to batches without an answer: they are given up, split, or all forgotten with their topic.

use milena_mutants::Mutant;
use milena_wire::{RecordCount, Sequence};

use super::{Entry, State, Stream};
use crate::gate::Withdrawn;
use crate::identity::BatchKey;
use crate::verdict::{Fate, Protection};

impl Stream {
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

    /// Replaces a batch that was answered [`Verdict::Split`](crate::Verdict::Split) by its pieces, which keep its records' sequences.
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
}
