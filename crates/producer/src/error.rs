//! What can go wrong in a call, apart from a record's own fate ([`DeliveryError`](crate::DeliveryError)).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use milena_accumulator::Failure;
use milena_sender::{CommandError, CommandErrorKind};
use milena_wire::{ErrorCode, TopicName};

use crate::Record;

/// Why a record was not taken. It is not queued, and nothing else is affected.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum EnqueueError {
    /// No memory became free within `max_block`: the cluster takes records more slowly than they are produced.
    BufferFull {
        /// How long the call waited.
        waited: Duration,
        /// The limit, `buffer_memory`, in bytes.
        limit: usize,
    },
    /// The producer is closed, or its runtime has ended.
    Closed,
    /// A broker refused this producer for good; nothing more can be delivered with it.
    Fatal {
        /// The broker's error.
        code: ErrorCode,
    },
    /// The record names a partition that the topic does not have, or the partitioner chose one.
    NoSuchPartition {
        /// The topic.
        topic: String,
        /// The partition asked for.
        partition: i32,
        /// How many partitions the topic is known to have.
        count: usize,
    },
    /// The partitioner panicked or refused the record.
    Partitioner {
        /// What it said.
        message: String,
    },
    /// The record is larger than `max_record_size`.
    RecordTooLarge {
        /// Bytes of a batch that holds the record alone, before compression.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// The timestamp is negative.
    Timestamp {
        /// The timestamp, in milliseconds.
        given: i64,
    },
}

impl fmt::Display for EnqueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BufferFull { waited, limit } => write!(
                f,
                "no room in the producer's buffer of {limit} bytes after {} ms: the brokers take records more slowly \
                 than they are produced; wait for deliveries, raise buffer.memory, or look at the brokers",
                waited.as_millis()
            ),
            Self::Closed => f.write_str("the producer is closed and takes no more records"),
            Self::Fatal { code } => write!(
                f,
                "the producer takes no more records, because a broker refused it for good: {code}, {}; build a new producer",
                code.description()
            ),
            Self::NoSuchPartition { topic, partition, count } => write!(
                f,
                "topic {topic} has no partition {partition}: it has {count}, counted from 0; create more or choose another"
            ),
            Self::Partitioner { message } => write!(f, "the partitioner refused the record: {message}"),
            Self::RecordTooLarge { size, limit } => write!(
                f,
                "the record takes {size} bytes and the limit is {limit}; raise max_record_size (max.request.size in \
                 properties) and the topic's max.message.bytes, or send less"
            ),
            Self::Timestamp { given } => {
                write!(f, "the record's timestamp is {given} ms; it must not be negative")
            }
        }
    }
}

impl std::error::Error for EnqueueError {}

/// A record that was not taken, handed back.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Rejected<'a> {
    /// The record, whole.
    pub record: Record<'a>,
    /// Why it was not taken.
    pub error: EnqueueError,
}

impl fmt::Display for Rejected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl std::error::Error for Rejected<'_> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.error)
    }
}

/// Why [`send`](crate::Producer::send) did not deliver: the record was not taken, or it was taken and failed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SendError {
    /// It was not taken; it is not on the log.
    Enqueue(EnqueueError),
    /// It was taken and failed; [`fate`](crate::DeliveryError::fate) says whether it may be on the log.
    Delivery(crate::DeliveryError),
}

impl SendError {
    /// Whether the record may be on the log in spite of the error.
    #[must_use]
    pub fn fate(&self) -> crate::Fate {
        match self {
            Self::Enqueue(_) => crate::Fate::NotWritten,
            Self::Delivery(error) => error.fate(),
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Enqueue(error) => fmt::Display::fmt(error, f),
            Self::Delivery(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl std::error::Error for SendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Enqueue(error) => error.source(),
            Self::Delivery(error) => error.source(),
        }
    }
}

impl From<EnqueueError> for SendError {
    fn from(error: EnqueueError) -> Self {
        Self::Enqueue(error)
    }
}

impl From<crate::DeliveryError> for SendError {
    fn from(error: crate::DeliveryError) -> Self {
        Self::Delivery(error)
    }
}

/// Records failed and nobody looked: their [`Delivery`](crate::Delivery) was dropped before its end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UnobservedFailures {
    /// How many records, since this was last reported to any clone of the producer.
    pub records: u64,
    /// The first of the failures.
    pub first: Arc<Failure>,
}

impl fmt::Display for UnobservedFailures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records failed with nobody waiting for their outcome; the first: {}", self.records, self.first)
    }
}

impl std::error::Error for UnobservedFailures {}

/// Why [`flush`](crate::Producer::flush) or [`purge`](crate::Producer::purge) did not end well.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FlushError {
    /// Everything is settled, but some records failed unobserved.
    Unobserved(UnobservedFailures),
    /// The producer was closed, or its runtime ended, before everything was settled.
    Closed,
}

impl fmt::Display for FlushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unobserved(failures) => fmt::Display::fmt(failures, f),
            Self::Closed => f.write_str("the producer was closed before everything was settled"),
        }
    }
}

impl std::error::Error for FlushError {}

/// What [`close`](crate::Producer::close) could not deliver.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CloseError {
    /// Records that had no outcome at the deadline. Each has one now, with its fate.
    pub cut_off: u64,
    /// The producer's I/O had ended before: it panicked, or the runtime it ran on was shut down. What had no outcome then
    /// failed as [`RuntimeGone`](crate::FailureKind::RuntimeGone).
    pub cut_short: bool,
    /// Failures that nobody had looked at, those of the deadline included.
    pub unobserved: Option<UnobservedFailures>,
    /// Failed records that the failure policy could not keep, in the producer's life, or had not kept at the deadline.
    pub dead_letters_lost: u64,
}

impl fmt::Display for CloseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut joint = "";
        if self.cut_off > 0 {
            joint = "; ";
            write!(
                f,
                "the producer closed with {} records undelivered at its deadline; each outcome says whether its record may \
                 be on the log",
                self.cut_off
            )?;
        }
        if self.cut_short {
            write!(
                f,
                "{joint}the producer's I/O had ended before it was closed (it panicked, or its runtime was shut down), and \
                 records without an outcome failed then"
            )?;
            joint = "; ";
        }
        if joint.is_empty() {
            joint = "the producer closed, but ";
        }
        if let Some(failures) = &self.unobserved {
            write!(f, "{joint}{failures}")?;
            joint = "; ";
        }
        match self.dead_letters_lost {
            0 => Ok(()),
            lost => write!(f, "{joint}{lost} dead letters are lost: the failure policy could not keep those records"),
        }
    }
}

impl std::error::Error for CloseError {}

/// Why the cluster, or a topic, was not ready in time.
///
/// Its [`source`](std::error::Error::source) is the last failure to reach the cluster, if there was one.
#[derive(Clone, Debug)]
pub struct NotReady(Option<CommandError>);

impl NotReady {
    pub(crate) fn from_sender(error: CommandError) -> Self {
        Self(Some(error))
    }

    pub(crate) fn closed() -> Self {
        Self(None)
    }

    /// The reason in one word.
    #[must_use]
    pub fn kind(&self) -> NotReadyKind {
        match self.0.as_ref().map(|error| error.kind) {
            Some(CommandErrorKind::TimedOut) => NotReadyKind::TimedOut,
            Some(CommandErrorKind::TopicUnknown) => NotReadyKind::TopicUnknown,
            Some(CommandErrorKind::TopicRefused) => NotReadyKind::TopicRefused,
            Some(CommandErrorKind::IdentityRefused) => NotReadyKind::IdentityRefused,
            _ => NotReadyKind::Closed,
        }
    }

    /// The topic it is about, if it is about one.
    #[must_use]
    pub fn topic(&self) -> Option<&str> {
        self.0.as_ref()?.topic.as_ref().map(TopicName::as_str)
    }

    /// The cluster's last answer, if that was an error.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        self.0.as_ref()?.code
    }
}

/// Why something was not ready, in one word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum NotReadyKind {
    /// The producer is closed.
    Closed,
    /// The time was up before the cluster answered; the error's source says what kept it from that.
    TimedOut,
    /// The cluster refuses the topic: the name is not legal, or the principal may not see it.
    TopicRefused,
    /// The cluster says that there is no such topic.
    TopicUnknown,
    /// The brokers do not accept who this producer says it is, or are not who they should be, and the settings say not to wait for that to change
    /// ([`RefusedIdentity`](crate::RefusedIdentity)); the error's source says more.
    IdentityRefused,
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(error) => fmt::Display::fmt(error, f),
            None => f.write_str("the producer is closed"),
        }
    }
}

impl std::error::Error for NotReady {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.as_ref().and_then(std::error::Error::source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_a_close_could_not_do_is_told_and_kept_apart() {
        let error = CloseError { cut_off: 3, cut_short: true, unobserved: None, dead_letters_lost: 2 };
        let text = error.to_string();
        let (undelivered, rest) = text.split_once("on the log; ").unwrap();
        let (ended, lost) = rest.split_once("failed then; ").unwrap();
        assert!(undelivered.contains("3 records undelivered") && ended.contains("I/O had ended"), "{text}");
        assert!(lost.starts_with("2 dead letters"), "{text}");
        let error = CloseError { cut_off: 0, cut_short: false, unobserved: None, dead_letters_lost: 2 };
        assert!(error.to_string().starts_with("the producer closed, but 2 dead letters"), "{error}");
    }
}
