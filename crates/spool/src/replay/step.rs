//! What a replayer says, and what it is told.

use std::fmt;

use milena_sequence::{Fate, Stamp};
use milena_wire::{ErrorCode, Timestamp};

use crate::Progress;

/// What is to be done next for a folder.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use = "a step that is not done stops the folder"]
pub enum Step {
    /// Nothing: all of the folder is done with.
    CaughtUp,
    /// There is something to send as soon as the partition's leader takes a request.
    Ready,
    /// Ask for a producer id, and tell it.
    Identify,
    /// Write this down; only when it would survive a crash, say so ([`Replayer::saved`](super::Replayer::saved)).
    Save(Progress),
    /// Send the head as this.
    Send(Stamp),
    /// Move the head away; when that would survive a crash, say so ([`Replayer::saved`](super::Replayer::saved)).
    SetAside(Aside),
    /// An answer is awaited.
    InFlight,
    /// Ask again then.
    Wait(Timestamp),
    /// The folder stays as it is.
    Stopped(Stop),
}

/// A batch that is put aside.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Aside {
    /// Whether it may be written.
    pub fate: Fate,
    /// What it may be written as; `None` if it was never sent.
    pub stamp: Option<Stamp>,
    /// Why.
    pub why: Unresolved,
    /// How the folder goes on behind it.
    pub progress: Progress,
}

/// Why a batch is put aside.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Unresolved {
    /// It may be written, and brokers may have forgotten its producer by now.
    Forgotten,
    /// It may be written, and carries nothing that a broker could recognise it by.
    Unstamped,
    /// It may be written, and what the broker answered does not tell.
    Unproved(ErrorCode),
    /// The cluster refuses it, whoever sends it.
    Refused(ErrorCode),
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forgotten => {
                f.write_str("may be written, and is older than what brokers certainly remember of its producer")
            }
            Self::Unstamped => f.write_str("may be written, and has no sequence that a broker could recognise it by"),
            Self::Unproved(code) => write!(f, "may be written, and the broker's answer does not tell: {code}"),
            Self::Refused(code) => write!(f, "the cluster refuses it: {code}, {}", code.description()),
        }
    }
}

/// Why a folder is left as it is. Nothing of it is lost, and the next replay begins where this one ended.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Stop {
    /// The cluster has no such topic or partition.
    Missing(ErrorCode),
    /// The topic has been deleted and created again since its records came here.
    Recreated,
    /// The cluster refuses this client, or what it asks.
    Refused(ErrorCode),
    /// The file that says how far the replay was is damaged.
    ProgressLost,
    /// What the broker remembers of this replay does not go with what is written down here.
    Diverged(ErrorCode),
    /// A batch that was put aside before, and still cannot be resolved.
    StillAside(Unresolved),
    /// It got no further for as long as the replay is patient; with the last answer, if there was one.
    NoProgress(Option<ErrorCode>),
    /// The spool's files could not be read or written.
    Disk(String),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(code) => write!(f, "the cluster has no such topic or partition ({code}); create it"),
            Self::Recreated => f.write_str(
                "the topic was deleted and created again since; to send the records to the new one, delete the topic.id beside them",
            ),
            Self::Refused(code) => write!(f, "the cluster refuses: {code}, {}", code.description()),
            Self::ProgressLost => f.write_str(
                "the file that says how far the replay was is damaged, so any of these may be written; accept duplicates to send them",
            ),
            Self::Diverged(code) => write!(
                f,
                "the broker remembers something else of this replay than is written here ({code}): an older copy of the spool, whose records are \
                 written already, or a log that was cut back; accept duplicates to send them"
            ),
            Self::StillAside(why) => why.fmt(f),
            Self::NoProgress(None) => f.write_str("its leader could not be reached in the time given"),
            Self::NoProgress(Some(code)) => {
                write!(f, "no success in the time given; the last answer: {code}, {}", code.description())
            }
            Self::Disk(what) => f.write_str(what),
        }
    }
}

/// What became of a sending.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    /// The broker's code for the batch.
    Code(ErrorCode),
    /// No answer came, and the request may have arrived.
    Lost,
    /// The request never left this machine.
    NotSent,
}

/// What an answer leads to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Next {
    /// The batch is written.
    Written,
    /// It is sent again; `refresh` if the partition may have another leader.
    Again {
        /// Whether to ask for metadata.
        refresh: bool,
    },
    /// Something else; ask for the next step.
    Else,
}
