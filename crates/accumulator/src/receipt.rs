//! What is told of a delivered record.

use std::fmt;
use std::ops::Deref;

use milena_wire::{Offset, PartitionId, TopicName};

/// A record was delivered, or was handed over without asking for an answer.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Receipt {
    /// Its topic.
    pub topic: ReceiptTopic,
    /// Its partition.
    pub partition: PartitionId,
    /// Its place in the log; unknown without an answer, and when the broker recognised a duplicate and did not say.
    pub offset: Option<Offset>,
    /// Milliseconds since 1970: the broker's if the topic uses log append time, else the record's own.
    pub timestamp_ms: i64,
    /// Whether a broker acknowledged it. Without (`acks=0`) it may be lost.
    pub acknowledged: bool,
    /// Bytes of the key; none for a null key.
    pub key_size: Option<usize>,
    /// Bytes of the value; none for a null value.
    pub value_size: Option<usize>,
    /// Bytes of the record when it was appended, uncompressed. It can be a few more or less in the batch that carried it, if the record
    /// waited for its topic to become known or its batch was split.
    pub encoded_size: usize,
}

/// The topic of a [`Receipt`]: a [`TopicName`] to look at or to clone.
///
/// A name of its own would be counted up and down for every record, by a counter that all threads share.
#[derive(Clone, Copy)]
pub struct ReceiptTopic(&'static TopicName);

impl ReceiptTopic {
    #[inline]
    pub(crate) fn of(name: &'static TopicName) -> Self {
        Self(name)
    }
}

impl Deref for ReceiptTopic {
    type Target = TopicName;

    #[inline]
    fn deref(&self) -> &TopicName {
        self.0
    }
}

impl PartialEq for ReceiptTopic {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for ReceiptTopic {}

impl PartialEq<str> for ReceiptTopic {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for ReceiptTopic {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Debug for ReceiptTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for ReceiptTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}
