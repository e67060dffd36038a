use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use milena_mutants::Mutant;
use milena_wire::{BrokerId, ErrorCode, Offset, PartitionId, TopicName};

/// What became of a batch. Every record ends in exactly one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// The broker acknowledged it.
    Delivered {
        /// Offset of the batch's first record; unknown when the broker recognised a duplicate and did not say.
        base_offset: Option<Offset>,
        /// The broker's timestamp for all its records, if the topic uses log append time.
        log_append_time_ms: Option<i64>,
    },
    /// It was handed to the kernel and no answer was asked for (`acks=0`).
    Unacknowledged,
    /// It was not delivered.
    Failed(Arc<Failure>),
}

impl Outcome {
    #[inline]
    pub(crate) fn offset_of(&self, index: u32) -> Option<Offset> {
        let index = index.saturating_sub(u32::from(Mutant::OffsetsAreOneOff.lives()));
        match self {
            Self::Delivered { base_offset, .. } => base_offset.map(|base| Offset(base.0.saturating_add(index.into()))),
            Self::Unacknowledged | Self::Failed(_) => None,
        }
    }

    #[inline]
    pub(crate) fn timestamp_of(&self, created_ms: i64) -> i64 {
        match self {
            Self::Delivered { log_append_time_ms: Some(appended), .. } => *appended,
            _ => created_ms,
        }
    }
}

/// Whether the records of a failed batch can be on the log in spite of the failure.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Fate {
    /// They are not: producing them again cannot duplicate them.
    NotWritten,
    /// Some attempt may have been appended: producing them again may duplicate them.
    MaybeWritten,
    /// Not delivered yet: they are on this machine's disk, and will be sent again by the replay. No failure that anybody has to hear of.
    Spooled,
}

/// Why records were not delivered, in one word.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum FailureKind {
    /// A broker refused the batch for good; see [`Failure::code`].
    Broker,
    /// The delivery timeout passed.
    DeliveryTimeout,
    /// The batch was sent as often as the number of retries allows; see [`Failure::code`] for the last error.
    RetriesExhausted,
    /// The topic does not exist, or nothing could be learnt of it in time.
    TopicUnknown,
    /// The topic was deleted and created again while the records waited.
    TopicRecreated,
    /// The record names a partition that the topic does not have.
    NoSuchPartition,
    /// The partitioner panicked, or chose a partition that does not exist.
    Partitioner,
    /// The producer was closed before the records were delivered.
    Closed,
    /// The caller purged them.
    Purged,
    /// The broker's limit is below the size of a single record.
    RecordTooLarge,
    /// The principal may not write there.
    Authorization,
    /// A broker does not accept who this producer says it is, or is not who it should be; see [`Failure::cause`].
    Authentication,
    /// The broker found the record itself invalid.
    InvalidRecord,
    /// The producer cannot go on at all.
    Fatal,
    /// The batch had to be encoded anew, without records that the broker refused, and could not be.
    Encode,
    /// The task or runtime that would have delivered them ended.
    RuntimeGone,
    /// They were behind others of their partition that wait in the spool, which they must not overtake. Seen without the fate
    /// [`Fate::Spooled`] only if the spool could not take them.
    BehindSpooled,
}

/// Why a batch, or a record, was not delivered; made for people by its `Display`.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Failure {
    /// The reason in one word.
    pub kind: FailureKind,
    /// Whether the records can be on the log nevertheless.
    pub fate: Fate,
    /// Where the records were to go.
    pub topic: TopicName,
    /// Their partition, if one was chosen.
    pub partition: Option<PartitionId>,
    /// The broker of the last attempt.
    pub broker: Option<BrokerId>,
    /// The broker's last error.
    pub code: Option<ErrorCode>,
    /// What the broker said in its own words, or other detail.
    pub message: Option<String>,
    /// The last cause below this one, such as what ended the connection.
    pub cause: Option<String>,
    /// How often the batch was sent.
    pub attempts: u32,
    /// How long the oldest record waited.
    pub waited: Duration,
}

impl Failure {
    /// A failure about which nothing else is known yet; the fields are public to be filled in.
    #[must_use]
    pub fn new(kind: FailureKind, fate: Fate, topic: TopicName, partition: Option<PartitionId>) -> Self {
        Self {
            kind,
            fate,
            topic,
            partition,
            broker: None,
            code: None,
            message: None,
            cause: None,
            attempts: 0,
            waited: Duration::ZERO,
        }
    }

    /// Whether time may mend it: what a spool keeps. What would be refused again just the same is not worth keeping, and neither is what the
    /// caller gave up.
    #[must_use]
    pub fn may_mend(&self) -> bool {
        match self.kind {
            FailureKind::DeliveryTimeout
            | FailureKind::RetriesExhausted
            | FailureKind::TopicUnknown
            | FailureKind::Closed
            | FailureKind::Authentication
            | FailureKind::RuntimeGone
            | FailureKind::BehindSpooled => true,
            FailureKind::Broker => self.code.is_some_and(ErrorCode::is_retriable),
            FailureKind::TopicRecreated
            | FailureKind::NoSuchPartition
            | FailureKind::Partitioner
            | FailureKind::Purged
            | FailureKind::RecordTooLarge
            | FailureKind::Authorization
            | FailureKind::InvalidRecord
            | FailureKind::Fatal
            | FailureKind::Encode => false,
        }
    }

    /// Whether somebody has to hear of it: not if the records are kept and will be sent again.
    pub(crate) fn is_final(&self) -> bool {
        self.fate != Fate::Spooled
    }

    fn what(&self) -> &'static str {
        match self.kind {
            FailureKind::Broker => "the broker refused the batch",
            FailureKind::DeliveryTimeout => "the records were not acknowledged within the delivery timeout",
            FailureKind::RetriesExhausted => "the batch was sent as often as retries allows",
            FailureKind::TopicUnknown => "the topic is not known to the cluster",
            FailureKind::TopicRecreated => "the topic was deleted and created again",
            FailureKind::NoSuchPartition => "the topic has no such partition",
            FailureKind::Partitioner => "the partitioner chose no usable partition",
            FailureKind::Closed => "the producer was closed before the records were delivered",
            FailureKind::Purged => "the records were purged",
            FailureKind::RecordTooLarge => "the record is larger than the broker accepts",
            FailureKind::Authorization => match self.code {
                Some(ErrorCode::CLUSTER_AUTHORIZATION_FAILED) => "producing with idempotence is not allowed",
                Some(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED) => "the transactional id is not allowed",
                _ => "writing there is not allowed",
            },
            FailureKind::Authentication => "the brokers and this producer do not accept each other's identity",
            FailureKind::InvalidRecord => "the record is not valid for the topic",
            FailureKind::Fatal => "the producer can no longer send",
            FailureKind::Encode => "the batch could not be encoded anew",
            FailureKind::RuntimeGone => "the producer's I/O task ended without delivering the records",
            FailureKind::BehindSpooled => "the records are behind others of their partition that wait in the spool",
        }
    }

    fn remedy(&self) -> Option<&'static str> {
        Some(match self.kind {
            FailureKind::Broker => return None, // the code's description says what to do
            FailureKind::DeliveryTimeout => "check that the brokers can be reached, or raise delivery_timeout",
            FailureKind::RetriesExhausted => "raise retries, or leave the limit to delivery_timeout",
            FailureKind::TopicUnknown => "create the topic, or check its name and the principal's right to describe it",
            FailureKind::TopicRecreated => "produce the records again if they belong to the new topic",
            FailureKind::NoSuchPartition => "choose an existing partition, or add partitions to the topic",
            FailureKind::Partitioner => "mend the partitioner",
            FailureKind::Closed => "give close() a longer deadline, or flush() before it",
            FailureKind::Purged => return None,
            FailureKind::RecordTooLarge => "raise the topic's max.message.bytes, or send smaller records",
            // Names the topic; see `grant`.
            FailureKind::Authorization => return None,
            // The cause says what to do.
            FailureKind::Authentication => return None,
            FailureKind::InvalidRecord => "a compacted topic needs a key in every record, for example",
            FailureKind::Fatal => "build a new producer",
            FailureKind::Encode => "produce the records again",
            FailureKind::RuntimeGone => "keep the runtime alive until close() returned",
            FailureKind::BehindSpooled => "make room for the spool, or produce the records again once it is empty",
        })
    }
}

impl Failure {
    /// The ACL that is missing, as Kafka's own tool adds it.
    fn grant(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("; kafka-acls.sh --add --allow-principal User:NAME --operation ")?;
        match self.code {
            // Since Kafka 2.8 whoever may write to any topic may have a producer id.
            Some(ErrorCode::CLUSTER_AUTHORIZATION_FAILED) => {
                write!(f, "Write --operation Describe --topic {}, or before Kafka 2.8 ", self.topic)?;
                f.write_str("--operation IdempotentWrite --cluster; enable.idempotence=false does without")
            }
            Some(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED) => {
                f.write_str("Write --operation Describe --transactional-id ID")
            }
            _ => write!(f, "Write --operation Describe --topic {}", self.topic),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (topic {}", self.what(), self.topic)?;
        if let Some(partition) = self.partition {
            write!(f, ", partition {partition}")?;
        }
        if let Some(broker) = self.broker {
            write!(f, ", broker {broker}")?;
        }
        if self.attempts > 0 {
            write!(f, ", {} attempt{}", self.attempts, if self.attempts == 1 { "" } else { "s" })?;
        }
        if !self.waited.is_zero() {
            write!(f, ", waited {:.1?}", self.waited)?;
        }
        f.write_str(")")?;
        if let Some(code) = self.code {
            write!(f, ": {code}, {}", code.description())?;
        }
        if let Some(message) = &self.message {
            write!(f, ": {message}")?;
        }
        if let Some(cause) = &self.cause {
            write!(f, "; last cause: {cause}")?;
        }
        f.write_str(match self.fate {
            Fate::NotWritten => "; the records are not on the log",
            Fate::MaybeWritten => "; the records may be on the log: producing them again may duplicate them",
            Fate::Spooled => "; the records are on this machine's disk and will be sent again",
        })?;
        if self.fate == Fate::Spooled {
            return Ok(());
        }
        if self.kind == FailureKind::Authorization {
            return self.grant(f);
        }
        if let Some(remedy) = self.remedy() {
            write!(f, "; {remedy}")?;
        }
        Ok(())
    }
}
