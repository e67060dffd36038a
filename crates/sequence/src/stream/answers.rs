//! What an answer, or the lack of one, does to the batch it is about.

use milena_mutants::Mutant;
use milena_wire::ErrorCode;

use super::{Entry, State, Stream};
use crate::gate::Reply;
use crate::identity::{Answer, Attempt, BatchKey, Route};
use crate::verdict::{Fate, LogStart, Position, Question, Verdict, may_have_appended, verdict};

impl Stream {
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

    fn find_attempt(&self, key: BatchKey, attempt: Attempt) -> Option<(usize, Route)> {
        let at = self.find(key)?;
        match self.entries[at].state {
            State::InFlight { attempt: current, route } if current == attempt => Some((at, route)),
            _ => None,
        }
    }

    /// An attempt is over and the batch is no further: it waits, or stays as a tombstone, or nothing of it is left.
    pub(super) fn put_back(&mut self, at: usize) {
        let stamped = self.is_stamped();
        let entry = &mut self.entries[at];
        match (entry.settled, entry.ambiguous && stamped) {
            (false, _) => entry.state = State::Waiting,
            (true, true) => entry.state = State::Silent,
            (true, false) => self.absent(at),
        }
    }

    /// The batch leaves and is not on the log (or nobody can ask any more, without stamps).
    pub(super) fn absent(&mut self, at: usize) {
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
}
