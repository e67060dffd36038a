//! What a broker's answer means for one batch: one pure function, every cell of it snapshotted in `verdict/golden.txt`.
//!
//! **Ambiguity is state.** A batch is ambiguous once any attempt of it may have been appended. At `acks=all` Kafka answers some errors *after*
//! the local append (`DelayedProduce` answers 3, 6 and 56), so the codes fall into two classes: [`may_have_appended`] holds for every code
//! that is not on the short list of refusals, unknown codes and lost answers included. An ambiguous batch is never stamped again, split or
//! reported as not written, with one exception: `OUT_OF_ORDER_SEQUENCE_NUMBER` at the batch's own place proves its absence, since the broker
//! looks for a duplicate among its last five batches first. Only of now, though: behind a batch that may itself be appended yet
//! ([`Position::Haunted`]) the proof does not hold, because an earlier request with the batch may follow that one. The broker checks size *before* duplicates, so `MESSAGE_TOO_LARGE` on a retry
//! proves nothing.

use milena_mutants::Mutant;
use milena_wire::ErrorCode;

#[cfg(test)]
mod tests;

/// Whether anything stamped before the batch still waits for its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Position {
    /// Every stamped batch before it is resolved (or is a tombstone that only this batch can resolve): the answer is about this batch.
    Head,
    /// As [`Head`](Self::Head), but a batch before it may still be appended: it was given up unresolved, and a request with it may wait in
    /// a broker's queue, its connection long gone. If it is appended after all, so may be what was behind it, in requests of the same kind.
    Haunted,
    /// A batch before it is unresolved; a gap in front of this one may close by itself.
    Behind,
}

/// What keeps a batch that is sent twice from being written twice.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Protection {
    /// Its stamp: the broker recognises it.
    Stamped,
    /// Nothing, and a duplicate is better than a loss (at least once).
    Plain,
    /// Nothing, and a loss is better than a duplicate (at most once): an ambiguous batch is never sent again.
    Once,
}

/// What an answer tells about the start of the partition's log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogStart {
    /// The answer does not say (`-1`).
    Unknown,
    /// Nothing this stream had acknowledged was deleted.
    Kept,
    /// The log now starts behind the last acknowledged record, which explains that the broker forgot the producer.
    Truncated,
}

/// Whether a failed batch may be on the log all the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    /// Every attempt was refused before it was appended: producing it again cannot duplicate it.
    NotWritten,
    /// Some attempt may have been appended.
    MaybeWritten,
}

/// All that the verdict depends on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Question {
    /// The partition's error code in the answer; what stands for a lost answer is `NETWORK_EXCEPTION` or `REQUEST_TIMED_OUT`.
    pub code: ErrorCode,
    /// Whether an attempt *before* this one may have been appended.
    pub was_ambiguous: bool,
    /// Where the batch stands in its stream.
    pub position: Position,
    /// What a second sending risks.
    pub protection: Protection,
    /// Whether the batch holds more than one record.
    pub many: bool,
    /// Whether the answer lists the records at fault (KIP-467) and leaves some out.
    pub names_records: bool,
    /// Where the log starts.
    pub log_start: LogStart,
}

/// What happens to the batch now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use = "a verdict that nobody acts on leaves a batch without an end"]
pub enum Verdict {
    /// It is on the log.
    Complete {
        /// The broker had it from an earlier attempt and does not tell the offset.
        duplicate: bool,
    },
    /// It is sent again as it is, with the stamp it has.
    Resend {
        /// Whether metadata is to be asked for first.
        refresh: bool,
        /// Whether it may have been appended by now.
        ambiguous: bool,
    },
    /// It is proved absent and its stamp is of no use: it waits for the epoch's bump and a new stamp.
    Renumber,
    /// It is too large for the broker: its records are sent again in smaller batches.
    Split,
    /// The listed records fail (not written); the others are sent again as a batch of their own.
    FailRecords,
    /// It fails.
    Fail {
        /// Whether it may be on the log.
        fate: Fate,
    },
    /// It fails, and so does everything else: this producer is not allowed to write any more.
    Fatal {
        /// Whether it may be on the log.
        fate: Fate,
    },
}

/// Whether a batch answered with `code` may have been appended by that attempt.
///
/// `false` for the refusals that are decided before the append, `true` for everything else, codes this build does not know included.
/// (A success and a duplicate are on the log for certain, which is "may" too.)
#[must_use]
pub fn may_have_appended(code: ErrorCode) -> bool {
    if is_mistaken(code) {
        return false;
    }
    !matches!(
        code,
        ErrorCode::CORRUPT_MESSAGE
            | ErrorCode::MESSAGE_TOO_LARGE
            | ErrorCode::INVALID_TOPIC_EXCEPTION
            | ErrorCode::RECORD_LIST_TOO_LARGE
            | ErrorCode::NOT_ENOUGH_REPLICAS
            | ErrorCode::INVALID_REQUIRED_ACKS
            | ErrorCode::TOPIC_AUTHORIZATION_FAILED
            | ErrorCode::CLUSTER_AUTHORIZATION_FAILED
            | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
            | ErrorCode::INVALID_TIMESTAMP
            | ErrorCode::UNSUPPORTED_VERSION
            | ErrorCode::INVALID_REQUEST
            | ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT
            | ErrorCode::POLICY_VIOLATION
            | ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
            | ErrorCode::INVALID_PRODUCER_EPOCH
            | ErrorCode::UNKNOWN_PRODUCER_ID
            | ErrorCode::FENCED_LEADER_EPOCH
            | ErrorCode::UNKNOWN_LEADER_EPOCH
            | ErrorCode::UNSUPPORTED_COMPRESSION_TYPE
            | ErrorCode::INVALID_RECORD
            | ErrorCode::THROTTLING_QUOTA_EXCEEDED
            | ErrorCode::PRODUCER_FENCED
    )
}

/// Whether a mutant takes the code for a refusal.
fn is_mistaken(code: ErrorCode) -> bool {
    match code {
        ErrorCode::REQUEST_TIMED_OUT => Mutant::TimeoutIsRefusal.lives(),
        ErrorCode::NETWORK_EXCEPTION => Mutant::LostAnswerIsRefusal.lives(),
        ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND => Mutant::LateReplicasAreRefusal.lives(),
        _ => false,
    }
}

/// The verdict. See the module's head for the law behind it and `golden.txt` for every cell.
pub fn verdict(q: &Question) -> Verdict {
    let ambiguous = q.was_ambiguous || may_have_appended(q.code);
    let fate = if ambiguous { Fate::MaybeWritten } else { Fate::NotWritten };
    let stamped = q.protection == Protection::Stamped;
    match q.code {
        ErrorCode::NONE => Verdict::Complete { duplicate: false },
        ErrorCode::DUPLICATE_SEQUENCE_NUMBER => Verdict::Complete { duplicate: true },

        // The three that speak about the stream, not about the batch. Behind another batch they are its fault.
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER if stamped => match q.position {
            // Not appended, and yet an earlier attempt may be, once the batch before it is.
            Position::Haunted if ambiguous => Verdict::Fail { fate },
            Position::Head | Position::Haunted => Verdict::Renumber, // even if ambiguous: the one proof of absence
            Position::Behind => Verdict::Resend { refresh: false, ambiguous },
        },
        ErrorCode::INVALID_PRODUCER_EPOCH | ErrorCode::UNKNOWN_PRODUCER_ID if stamped && !ambiguous => {
            // Never appended by any attempt, and the broker wants another epoch or has forgotten this one.
            Verdict::Renumber
        }
        ErrorCode::INVALID_PRODUCER_EPOCH | ErrorCode::UNKNOWN_PRODUCER_ID if stamped => {
            match (q.position, q.log_start) {
                (Position::Behind, _) => Verdict::Resend { refresh: false, ambiguous },
                // A broker that has forgotten the producer but does not say where its log starts may be about to catch up (Java retries too).
                (Position::Head | Position::Haunted, LogStart::Unknown) if q.code == ErrorCode::UNKNOWN_PRODUCER_ID => {
                    Verdict::Resend { refresh: true, ambiguous }
                }
                // The broker can no longer tell a duplicate from a new batch. Nothing will ever prove the batch absent.
                (Position::Head | Position::Haunted, _) => Verdict::Fail { fate },
            }
        }

        ErrorCode::MESSAGE_TOO_LARGE if q.many && !ambiguous => Verdict::Split,
        ErrorCode::INVALID_RECORD | ErrorCode::INVALID_TIMESTAMP if q.names_records && !ambiguous => {
            Verdict::FailRecords
        }

        ErrorCode::PRODUCER_FENCED | ErrorCode::INVALID_PRODUCER_ID_MAPPING => Verdict::Fatal { fate },

        // An error of the broker's that says nothing about the batch: as worth a retry as a lost connection.
        ErrorCode::UNKNOWN_SERVER_ERROR | ErrorCode::BROKER_NOT_AVAILABLE => resend(q, true, ambiguous),
        ErrorCode::UNKNOWN_LEADER_EPOCH => resend(q, true, ambiguous),
        code if code.is_retriable() => resend(q, code.is_metadata_error(), ambiguous),
        _ => Verdict::Fail { fate },
    }
}

/// Sends again, unless that could write twice what the user wants at most once.
fn resend(q: &Question, refresh: bool, ambiguous: bool) -> Verdict {
    if q.protection == Protection::Once && ambiguous {
        return Verdict::Fail { fate: Fate::MaybeWritten };
    }
    Verdict::Resend { refresh, ambiguous }
}
