//! What is told of a replay as it happens.

use milena_sequence::Fate;
use milena_spool::Source;
use milena_spool::replay::{Stop, Unresolved};
use milena_wire::TopicName;

/// What happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ReplayEvent {
    /// A batch is written, now or before; and the spool holds it no more.
    Written {
        /// Out of which folder.
        source: Source,
        /// How many records.
        records: u64,
        /// Bytes of the batch.
        bytes: u64,
    },
    /// A batch was put aside.
    Aside {
        /// Out of which folder.
        source: Source,
        /// How many records.
        records: u64,
        /// Whether they may be written.
        fate: Fate,
        /// Why.
        why: Unresolved,
    },
    /// Records got their partition.
    Assigned {
        /// Of which topic.
        topic: TopicName,
        /// How many.
        records: u64,
    },
    /// All of a folder is done with. More may have been appended since: the spool knows.
    CaughtUp {
        /// Which.
        source: Source,
    },
    /// A folder is left alone.
    Stopped {
        /// Which.
        source: Source,
        /// Why.
        why: Stop,
        /// What the network said last, if that is why.
        cause: Option<String>,
    },
    /// The replay is over: nothing more will be told.
    Ended,
    /// A panic ended it, in it or in whoever is told this: nothing more will be told. What is in the spool stays for the next one.
    Panicked {
        /// What the panic said.
        message: String,
    },
}
