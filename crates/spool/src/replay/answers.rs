//! What an answer leads to.

use milena_sequence::{Fate, LogStart, Position, Protection, Question, Stamp, Verdict, verdict};
use milena_wire::{ErrorCode, Timestamp};

use super::machine::{Replayer, Sending, Standing, State};
use super::step::{Answer, Aside, Next, Stop, Unresolved};
use crate::{Head, Place, Progress};

/// How often a batch may be answered with `CORRUPT_MESSAGE`: a bad network mends, a batch that the broker cannot read does not.
const CORRUPT_ANSWERS: u32 = 5;

impl Replayer {
    /// What became of the sending of `head`.
    pub fn answered(&mut self, now: Timestamp, head: &Head, answer: Answer) -> Next {
        let State::InFlight(mut sending) = self.state else { return Next::Else };
        let code = match answer {
            Answer::Code(code) => code,
            Answer::Lost => ErrorCode::NETWORK_EXCEPTION,
            Answer::NotSent => return self.again(now, sending, false),
        };
        let position = if self.is_alone(&sending) { Position::Head } else { Position::Haunted };
        let said = verdict(&Question {
            code,
            was_ambiguous: sending.ambiguous,
            position,
            protection: Protection::Stamped,
            many: false,
            names_records: false,
            log_start: LogStart::Kept,
        });
        self.last = Some(code).filter(|code| *code != ErrorCode::NONE);
        match said {
            Verdict::Complete { .. } => self.done(head, &sending),
            Verdict::Resend { refresh, ambiguous } => {
                sending.corrupt += u32::from(code == ErrorCode::CORRUPT_MESSAGE);
                sending.ambiguous = ambiguous;
                if sending.corrupt < CORRUPT_ANSWERS {
                    return self.again(now, sending, refresh);
                }
                self.set_aside(head, Some(sending), Unresolved::Refused(code));
                Next::Else
            }
            Verdict::Renumber => self.renumber(code, &sending),
            Verdict::Split | Verdict::FailRecords | Verdict::Fail { .. } | Verdict::Fatal { .. } => {
                self.refused(head, code, sending)
            }
        }
    }

    fn again(&mut self, now: Timestamp, sending: Sending, refresh: bool) -> Next {
        self.attempts = self.attempts.saturating_add(1);
        self.state = State::Waiting { sending, not_before: now + self.rules.backoff(self.attempts) };
        Next::Again { refresh }
    }

    /// Whether nothing that was sent before it can still be appended in its stream.
    fn is_alone(&self, sending: &Sending) -> bool {
        sending.trying.own || self.progress.and_then(|progress| progress.behind) == Some(sending.trying.stamp)
    }

    fn done(&mut self, head: &Head, sending: &Sending) -> Next {
        let mut progress = self.behind(head);
        if sending.trying.own {
            let Stamp { identity, sequence } = sending.trying.stamp;
            self.confirmed = Some(identity);
            progress.own = Some(Stamp { identity, sequence: sequence.advance(head.count()) });
        }
        self.state = State::Saving { progress, then: None };
        Next::Written
    }

    /// The progress once `head` is done with, however.
    fn behind(&self, head: &Head) -> Progress {
        let absent = head.fate == Fate::NotWritten || self.standing == Standing::Absent;
        let behind = head.stamp().filter(|_| absent);
        Progress {
            next: head.offset() + i64::from(head.count().get()),
            own: self.progress.and_then(|progress| progress.own),
            trying: None,
            partitions: None,
            behind: behind
                .map(|Stamp { identity, sequence }| Stamp { identity, sequence: sequence.advance(head.count()) }),
        }
    }

    /// The batch is not written, and cannot be under the stamp it was sent with.
    fn renumber(&mut self, code: ErrorCode, sending: &Sending) -> Next {
        let confirmed = self.confirmed == Some(sending.trying.stamp.identity);
        // Brokers before 2.4 forget a producer when they delete its records, and say so; that they forgot is no contradiction.
        let forgot = code == ErrorCode::UNKNOWN_PRODUCER_ID;
        if sending.trying.own && !confirmed && !forgot && !self.rules.accept_duplicates {
            self.stop(Stop::Diverged(code));
            return Next::Else;
        }
        self.change(|progress| progress.trying = None);
        if sending.trying.own {
            if code == ErrorCode::INVALID_PRODUCER_EPOCH || (!confirmed && !forgot) {
                self.drop_identity();
            } else {
                self.bump();
            }
        } else {
            self.standing = Standing::Absent;
        }
        self.state = State::Look;
        Next::Else
    }

    /// The broker will not have it.
    fn refused(&mut self, head: &Head, code: ErrorCode, sending: Sending) -> Next {
        let about_stream = matches!(
            code,
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
                | ErrorCode::INVALID_PRODUCER_EPOCH
                | ErrorCode::UNKNOWN_PRODUCER_ID
        );
        let about_batch = matches!(
            code,
            ErrorCode::MESSAGE_TOO_LARGE
                | ErrorCode::RECORD_LIST_TOO_LARGE
                | ErrorCode::INVALID_TIMESTAMP
                | ErrorCode::INVALID_RECORD
                | ErrorCode::POLICY_VIOLATION
        );
        if about_stream && self.rules.accept_duplicates {
            self.change(|progress| progress.trying = None);
            self.standing = Standing::Accepted;
            if sending.trying.own {
                self.drop_identity();
            }
            self.state = State::Look;
        } else if about_stream {
            self.set_aside(head, Some(sending), Unresolved::Unproved(code));
        } else if about_batch {
            self.set_aside(head, Some(sending), Unresolved::Refused(code));
        } else {
            self.stop(Stop::Refused(code));
        }
        Next::Else
    }

    pub(super) fn set_aside(&mut self, head: &Head, sending: Option<Sending>, why: Unresolved) {
        if let Place::Aside(_) = self.place {
            self.stop(Stop::StillAside(why));
            return;
        }
        let own = sending.is_some_and(|sending| sending.trying.own);
        let may_be_written = match sending {
            Some(sending) => sending.ambiguous,
            None => head.fate == Fate::MaybeWritten,
        };
        let mut progress = self.behind(head);
        if own && may_be_written {
            // Its sequences may be used up, or not. And once the next epoch has begun, a late request with it is refused.
            self.bump();
            progress.own = self.progress.and_then(|progress| progress.own);
        }
        let (fate, stamp) = if may_be_written {
            (Fate::MaybeWritten, sending.map_or_else(|| head.stamp(), |sending| Some(sending.trying.stamp)))
        } else {
            (Fate::NotWritten, None)
        };
        self.state = State::SettingAside(Aside { fate, stamp, why, progress });
    }
}
