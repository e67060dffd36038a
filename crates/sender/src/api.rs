//! What goes into a [`Sender`](crate::Sender) and what comes out of it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use milena_accumulator::{SealJob, SealedBytes};
use milena_cluster::{ConnError, ConnId, QueryId, SaslOrder};
use milena_wire::{ErrorCode, Frame, PartitionId, Timestamp, TopicId, TopicName};

/// Names one batch that is being sealed.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SealTicket(pub(crate) u64);

/// The caller's name for a command, given back with its result. Not interpreted.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CommandId(pub u64);

/// What the world tells the sender.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input {
    /// Nothing happened, but time passed.
    Tick,
    /// The accumulator has called its `wake` hook.
    Wake,
    /// News for the cluster; see there.
    Cluster(milena_cluster::Input),
    /// A batch asked for by [`Output::Seal`] is sealed. In any order.
    Sealed {
        /// Which.
        ticket: SealTicket,
        /// The batch.
        batch: SealedBytes,
    },
    /// A user asks for something; exactly one [`Output::Done`] follows, unless the user gives up.
    Command {
        /// Goes into the result.
        id: CommandId,
        /// What.
        command: Command,
    },
    /// Records of a partition, or of a topic whose partitions are not known, wait in the spool: what comes is given out, to queue behind them.
    Divert {
        /// The topic.
        topic: TopicName,
        /// The partition; none for the topic as a whole.
        partition: Option<PartitionId>,
    },
    /// What waits in the spool for a partition is being sent: what comes waits a while for the end of that in memory, and goes behind it to the disk
    /// in larger batches if the end does not come.
    DivertHold {
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: PartitionId,
    },
    /// Nothing of a partition, or of a topic whose partitions were not known, waits in the spool any more: from now on its batches are sent again.
    /// If more has been given out than `seen`, that is on its way to the spool: then what comes is held back, sent or given out only after another one
    /// that has seen all.
    DivertEnd {
        /// The topic.
        topic: TopicName,
        /// The partition; none for the topic as a whole, whose partitions then go by what was said of each.
        partition: Option<PartitionId>,
        /// Records that were given out for it, in this sender's life, and have arrived.
        seen: u64,
    },
    /// Nobody waits for the result of a command any more. One that only asks is forgotten, and without a result; what has been begun goes on.
    GiveUp {
        /// Which command.
        id: CommandId,
    },
}

/// What a user can ask for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Command {
    /// Send everything enqueued before now, without linger, and say when all of it is settled. What is enqueued later neither joins nor
    /// delays it.
    Flush,
    /// Give records up.
    Purge {
        /// Those not in flight.
        queued: bool,
        /// Those in flight: they may be written all the same.
        in_flight: bool,
    },
    /// Take no more records, send what there is, and at the deadline settle the rest.
    Close {
        /// When to stop trying.
        deadline: Timestamp,
    },
    /// Wait until the cluster has answered.
    WaitReady {
        /// When to give up.
        deadline: Timestamp,
    },
    /// Wait until a topic's partitions are known.
    PartitionsFor {
        /// Which topic.
        topic: TopicName,
        /// When to give up.
        deadline: Timestamp,
    },
    /// Wait until the topics are known, and connect to their leaders.
    Prepare {
        /// Which.
        topics: Vec<TopicName>,
        /// When to give up.
        deadline: Timestamp,
    },
}

/// What came of a [`Command`], of the same name.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CommandResult {
    /// Everything enqueued before is settled, well or badly: that is for each record to tell.
    Flushed,
    /// So many records were given up.
    Purged {
        /// How many.
        records: u64,
    },
    /// The sender has no open record any more and takes none.
    Closed {
        /// Records that the deadline cut off.
        cut_off: u64,
        /// The same by topic and fate.
        lost: Arc<[Lost]>,
    },
    /// Whether the cluster has answered.
    Ready(Result<(), CommandError>),
    /// The partitions of the topic.
    Partitions(Result<TopicPartitions, CommandError>),
    /// Whether all topics are known.
    Prepared(Result<(), CommandError>),
}

/// Records of one topic that a close cut off.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Lost {
    /// The topic.
    pub topic: TopicName,
    /// How many are not on the log.
    pub not_written: u64,
    /// How many may be.
    pub maybe_written: u64,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} not written, {} maybe written", self.topic, self.not_written, self.maybe_written)
    }
}

/// A topic's partitions as last heard.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TopicPartitions {
    /// The topic's id, zero if the brokers are too old to have any.
    pub id: TopicId,
    /// By partition, from 0: the leader's id, if there is a leader.
    pub leaders: Vec<(PartitionId, Option<milena_wire::BrokerId>)>,
}

/// Why a command came to nothing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CommandError {
    /// In one word.
    pub kind: CommandErrorKind,
    /// The topic it is about, if any.
    pub topic: Option<TopicName>,
    /// What the cluster last answered, if that was an error.
    pub code: Option<ErrorCode>,
    /// The last failure to reach the cluster, if any.
    pub cause: Option<Arc<ConnError>>,
    /// How long was waited.
    pub waited: Duration,
}

/// Why a command came to nothing, in one word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CommandErrorKind {
    /// The deadline passed before the cluster answered.
    TimedOut,
    /// The cluster says that there is no such topic.
    TopicUnknown,
    /// The cluster refuses the topic.
    TopicRefused,
    /// Identity is refused, and the settings say not to wait ([`RefusedIdentity`](crate::RefusedIdentity)); see [`CommandError::cause`].
    IdentityRefused,
    /// The producer was closed meanwhile.
    Closed,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let topic = self.topic.as_ref().map_or("", TopicName::as_str);
        match self.kind {
            CommandErrorKind::TimedOut if self.topic.is_some() => {
                write!(f, "nothing is known of topic {topic:?} after {:.1?}", self.waited)?;
            }
            CommandErrorKind::TimedOut => write!(f, "the cluster has not answered in {:.1?}", self.waited)?,
            CommandErrorKind::TopicUnknown => {
                write!(f, "topic {topic:?} does not exist after {:.1?}; create it or check its name", self.waited)?;
            }
            CommandErrorKind::TopicRefused => write!(f, "the cluster refuses topic {topic:?}")?,
            CommandErrorKind::IdentityRefused => {
                f.write_str("the brokers and this producer do not accept each other's identity")?
            }
            CommandErrorKind::Closed => f.write_str("the producer was closed meanwhile")?,
        }
        if let Some(code) = self.code {
            write!(f, "; last answer: {code}, {}", code.description())?;
        }
        Ok(())
    }
}

impl std::error::Error for CommandError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

/// What the sender asks of the world.
#[derive(Debug)]
#[must_use = "dropping an output drops a request or a user's result"]
pub enum Output {
    /// As [`milena_cluster::Output::Resolve`].
    Resolve {
        /// Goes into the report.
        query: QueryId,
        /// The name.
        host: String,
        /// The port that the addresses are to have.
        port: u16,
    },
    /// As [`milena_cluster::Output::Connect`].
    Connect {
        /// Names the connection from now on.
        conn: ConnId,
        /// The name that led to the address.
        host: String,
        /// The port.
        port: u16,
        /// Where to connect to.
        addr: SocketAddr,
    },
    /// As [`milena_cluster::Output::Transmit`].
    Transmit {
        /// On which connection.
        conn: ConnId,
        /// The frame, with its size.
        frame: Frame,
    },
    /// As [`milena_cluster::Output::Authenticate`].
    Authenticate {
        /// For which connection.
        conn: ConnId,
        /// What to do.
        order: SaslOrder,
    },
    /// As [`milena_cluster::Output::Close`].
    Close {
        /// Which.
        conn: ConnId,
    },
    /// Seal a batch (compression takes time: not on the I/O thread) and report it with [`Input::Sealed`].
    Seal {
        /// Goes into the report.
        ticket: SealTicket,
        /// The batch.
        batch: SealJob,
    },
    /// A command is done.
    Done {
        /// Which.
        id: CommandId,
        /// What came of it.
        result: CommandResult,
    },
    /// After a [`Command::Close`]: all is settled, nothing more will come.
    Closed,
}
