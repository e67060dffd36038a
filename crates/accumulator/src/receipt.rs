//! What is told of a delivered record.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use milena_wire::{Offset, PartitionId, TopicName};

use crate::cell::BatchCell;

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
/// It is shared with all receipts of a batch, by the reference that the record's handle had: a name of its own would be one more counter
/// to count up and down for every record, and that of the name's is the one that all threads share.
#[derive(Clone)]
pub struct ReceiptTopic(Arc<BatchCell>);

impl ReceiptTopic {
    #[inline]
    pub(crate) fn of(cell: Arc<BatchCell>) -> Self {
        Self(cell)
    }
}

impl Deref for ReceiptTopic {
    type Target = TopicName;

    #[inline]
    fn deref(&self) -> &TopicName {
        &self.0.home().topic
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
