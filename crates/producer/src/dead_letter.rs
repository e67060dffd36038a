//! What may become of failed records besides failing: a policy, and the record given back whole.

use std::fmt;
use std::sync::Arc;

use milena_accumulator::{Diverted, Failure, FailureKind, Fate};
use milena_wire::{ErrorCode, RecordView};

use crate::Record;

/// Names of the headers that a record in a dead-letter topic has behind its own. All values are text.
pub mod dead_letter_headers {
    /// The topic the record was meant for.
    pub const TOPIC: &str = "milena.dlq.topic";
    /// The partition it was meant for; absent if it failed before it had one.
    pub const PARTITION: &str = "milena.dlq.partition";
    /// Its own timestamp in milliseconds since 1970, which is the dead letter's, too, unless the topic uses log append time.
    pub const TIMESTAMP: &str = "milena.dlq.timestamp";
    /// `not_written` or `maybe_written`: the second may be on the log of its topic as well.
    pub const FATE: &str = "milena.dlq.fate";
    /// Why it failed in one word, a variant of [`FailureKind`](crate::FailureKind): `DeliveryTimeout`, for example.
    pub const KIND: &str = "milena.dlq.kind";
    /// The broker's last error, name and number: `NOT_ENOUGH_REPLICAS (19)`; absent if no broker said anything.
    pub const CODE: &str = "milena.dlq.code";
    /// The whole failure as a sentence.
    pub const CAUSE: &str = "milena.dlq.cause";
    /// How often it was sent.
    pub const ATTEMPTS: &str = "milena.dlq.attempts";
}

/// A failed record, given back whole.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Topic, partition (if it had one), key, value, headers and timestamp, as they were queued.
    pub record: Record<'static>,
    /// All that is known of the failure; shared by the records of a batch.
    pub failure: Arc<Failure>,
}

impl DeadLetter {
    pub(crate) fn of(batch: &Diverted, view: &RecordView<'_>) -> Self {
        let mut record = Record::to(batch.topic().as_str().to_owned()).timestamp_ms(view.timestamp);
        if let Some(partition) = batch.partition() {
            record = record.partition(partition.0);
        }
        if let Some(key) = view.key {
            record = record.key(key.to_vec());
        }
        if let Some(value) = view.value {
            record = record.value(value.to_vec());
        }
        for header in view.headers() {
            let key = header.key_text().into_owned();
            record = match header.value {
                Some(value) => record.header(key, value.to_vec()),
                None => record.null_header(key),
            };
        }
        Self { record, failure: Arc::clone(batch.failure()) }
    }

    /// Whether the record may be on the log nevertheless.
    #[must_use]
    pub fn fate(&self) -> Fate {
        self.failure.fate
    }

    /// Why it failed, in one word.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        self.failure.kind
    }

    /// The broker's last error, if it said one.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        self.failure.code
    }

    /// What was below the failure, such as what ended the connection.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        self.failure.cause.as_deref()
    }

    /// How often it was sent.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.failure.attempts
    }

    /// The record for a dead-letter topic: key, value, headers and timestamp unchanged, and behind its headers what became of it.
    pub(crate) fn redirected(self, topic: &str) -> Record<'static> {
        use dead_letter_headers as name;
        let Self { record, failure } = self;
        let timestamp = record.timestamp();
        let mut record = record.redirected(topic.to_owned()).header(name::TOPIC, failure.topic.as_str().to_owned());
        if let Some(partition) = failure.partition {
            record = record.header(name::PARTITION, partition.0.to_string());
        }
        if let Some(timestamp) = timestamp {
            record = record.header(name::TIMESTAMP, timestamp.to_string());
        }
        let fate = if failure.fate == Fate::NotWritten { "not_written" } else { "maybe_written" };
        record = record.header(name::FATE, fate).header(name::KIND, format!("{:?}", failure.kind));
        if let Some(code) = failure.code {
            record = record.header(name::CODE, code.to_string());
        }
        record.header(name::CAUSE, failure.to_string()).header(name::ATTEMPTS, failure.attempts.to_string())
    }
}

/// Takes a dead letter.
pub(crate) type Take = Arc<dyn Fn(DeadLetter) + Send + Sync>;

/// What becomes of failed records, besides the outcome that their [`Delivery`](crate::Delivery) or token is told as ever.
///
/// Which failures count is [`only`](Self::only)'s to say. By default all but those that were purged: also what a close gave up, and also what
/// [may be written](Fate::MaybeWritten), which a dead letter says.
///
/// Dead letters are made on a thread of their own. A failed batch counts against `buffer_memory` until that thread is done with it, so
/// failures that are not kept as fast as they happen make callers wait, and do not fill the process's memory.
#[derive(Clone)]
pub struct FailurePolicy {
    pub(crate) to: To,
    pub(crate) wanted: Arc<dyn Fn(&Failure) -> bool + Send + Sync>,
}

#[derive(Clone)]
pub(crate) enum To {
    Callback(Take),
    Topic(DeadLetterTopic),
}

impl FailurePolicy {
    /// `take` is given each failed record, one after the other, a partition's in the order in which they failed.
    ///
    /// It may block or panic without harm to any delivery; but see above for what it holds meanwhile. A letter counts as lost if it panics.
    /// It should not wait for room in the same producer's buffer, which the batch it is given may be what fills.
    pub fn callback(take: impl Fn(DeadLetter) + Send + Sync + 'static) -> Self {
        Self { to: To::Callback(Arc::new(take)), wanted: Arc::new(by_default) }
    }

    /// Failed records are produced to a topic.
    pub fn topic(topic: impl Into<DeadLetterTopic>) -> Self {
        Self { to: To::Topic(topic.into()), wanted: Arc::new(by_default) }
    }

    /// Only records whose failure is `wanted` are dead letters. Called once per failed batch, on the thread that makes them.
    #[must_use]
    pub fn only(mut self, wanted: impl Fn(&Failure) -> bool + Send + Sync + 'static) -> Self {
        self.wanted = Arc::new(wanted);
        self
    }
}

fn by_default(failure: &Failure) -> bool {
    failure.kind != FailureKind::Purged
}

impl fmt::Debug for FailurePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.to {
            To::Callback(_) => f.write_str("FailurePolicy(callback)"),
            To::Topic(topic) => write!(f, "FailurePolicy(topic {})", topic.name),
        }
    }
}

/// A topic for failed records; see [`FailurePolicy::topic`].
///
/// A dead letter has the record's key, value, headers and timestamp, and behind its headers those of [`dead_letter_headers`]. It is produced
/// by a second producer with the same settings, which is started with the first failed record: with connections, sequences and a buffer
/// (4 MiB, or room for two records of the largest size) of its own, it neither waits for the memory of what failed nor goes down with the
/// first one. What of it differs: it never partitions by a custom partitioner, and delivers exactly once where the first one would not even
/// ask for acknowledgements.
///
/// A record that fails on its way *to* this topic, whoever produced it, is never a letter to it again. A dead letter that cannot be produced
/// is *lost*: an error event says so, [`dead_letters_lost`](crate::MetricsSnapshot) counts it, and [`on_lost`](Self::on_lost) gets it.
#[derive(Clone)]
pub struct DeadLetterTopic {
    pub(crate) name: String,
    pub(crate) on_lost: Option<Take>,
}

impl DeadLetterTopic {
    /// The topic of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), on_lost: None }
    }

    /// `take` is given each dead letter that could not be produced: the record as it would be in the dead-letter topic, and why it is not
    /// there. It runs on a thread of its own, as [`FailurePolicy::callback`] does.
    #[must_use]
    pub fn on_lost(mut self, take: impl Fn(DeadLetter) + Send + Sync + 'static) -> Self {
        self.on_lost = Some(Arc::new(take));
        self
    }
}

impl<T: Into<String>> From<T> for DeadLetterTopic {
    fn from(name: T) -> Self {
        Self::new(name)
    }
}

impl fmt::Debug for DeadLetterTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetterTopic").field("name", &self.name).finish_non_exhaustive()
    }
}
