//! What a mechanism wants next.

use std::fmt;

use bytes::Bytes;

use crate::error::SaslError;

/// What follows from the broker's last answer; at the beginning of an exchange, from an empty one.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub enum Step {
    /// Send this to the broker, and come back with its answer.
    Send(Bytes),
    /// The broker has refused. Send this, as the mechanism has it, and then give up for this reason, whatever the answer.
    GiveUp {
        /// What to send.
        last: Bytes,
        /// Why.
        error: SaslError,
    },
    /// Each side has convinced the other.
    Done,
}

/// Without what is sent.
impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(bytes) => write!(f, "Send({} bytes)", bytes.len()),
            Self::GiveUp { error, .. } => write!(f, "GiveUp({error:?})"),
            Self::Done => f.write_str("Done"),
        }
    }
}
