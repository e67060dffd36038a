//! What a caller hands over: a record that borrows or owns its bytes.
//!
//! What is `#[inline(always)]` here and in the calls that take a record is so by measurement: in the caller's own function a record is never put
//! together in memory. Moved by a call each, its 150 bytes (without headers) cost as much as all the rest (stores that the next load has to wait for).

use std::borrow::Cow;

use bytes::Bytes;
use milena_accumulator::RecordRef;
use milena_wire::{HeaderRef, PartitionId, RecordParts};

use crate::headers::Headers;

/// Bytes that are borrowed, owned or shared. They are copied once, straight into the batch. Only a shared value of 8 KiB and more is
/// not: it is sent from where it lies (with a codec compressed from there; copied while its topic is not known yet), and kept until its record
/// has its outcome. What is kept is the buffer that it is a slice of; of that the
/// value's own length counts against `buffer_memory`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Payload<'a> {
    /// Borrowed from the caller for the duration of the call.
    Borrowed(&'a [u8]),
    /// Owned by the record.
    Owned(Vec<u8>),
    /// Shared with others.
    Shared(Bytes),
}

impl Payload<'_> {
    /// The bytes.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Owned(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }

    /// The same bytes without the borrow.
    #[must_use]
    pub fn into_owned(self) -> Payload<'static> {
        match self {
            Self::Borrowed(bytes) => Payload::Owned(bytes.to_vec()),
            Self::Owned(bytes) => Payload::Owned(bytes),
            Self::Shared(bytes) => Payload::Shared(bytes),
        }
    }
}

impl PartialEq for Payload<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Payload<'_> {}

impl<'a> From<&'a [u8]> for Payload<'a> {
    #[inline(always)]
    fn from(bytes: &'a [u8]) -> Self {
        Self::Borrowed(bytes)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Payload<'a> {
    #[inline(always)]
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::Borrowed(bytes)
    }
}

impl<'a> From<&'a str> for Payload<'a> {
    #[inline(always)]
    fn from(text: &'a str) -> Self {
        Self::Borrowed(text.as_bytes())
    }
}

impl<'a> From<&'a String> for Payload<'a> {
    #[inline(always)]
    fn from(text: &'a String) -> Self {
        Self::Borrowed(text.as_bytes())
    }
}

impl<'a> From<&'a Vec<u8>> for Payload<'a> {
    #[inline(always)]
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Borrowed(bytes)
    }
}

impl From<Vec<u8>> for Payload<'_> {
    #[inline(always)]
    fn from(bytes: Vec<u8>) -> Self {
        Self::Owned(bytes)
    }
}

impl From<String> for Payload<'_> {
    #[inline(always)]
    fn from(text: String) -> Self {
        Self::Owned(text.into_bytes())
    }
}

impl From<Bytes> for Payload<'_> {
    #[inline(always)]
    fn from(bytes: Bytes) -> Self {
        Self::Shared(bytes)
    }
}

/// One record to be produced.
///
/// Key and value may be absent: a value of `None` is a tombstone on a compacted topic, and differs from an empty one.
///
/// ```
/// use milena_producer::Record;
///
/// let record = Record::to("orders").key("customer-7").value(r#"{"total": 12}"#).header("trace", "1f3a");
/// let tombstone = Record::to("orders").key("customer-7");
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use = "a record does nothing until it is enqueued or sent"]
pub struct Record<'a> {
    topic: Cow<'a, str>,
    partition: Option<i32>,
    key: Option<Payload<'a>>,
    value: Option<Payload<'a>>,
    headers: Headers<'a>,
    timestamp_ms: Option<i64>,
}

/// Drops what a record had in place of a new key or value. For what is borrowed, which is nearly always, that is nothing, and the compiler
/// sees it here: a record of which a part is dropped in place lies in memory from then on.
#[inline(always)]
fn drop_owned(before: Option<Payload<'_>>) {
    match before {
        None | Some(Payload::Borrowed(_)) => {}
        Some(owned) => drop_apart(owned),
    }
}

#[cold]
#[inline(never)]
fn drop_apart(owned: Payload<'_>) {
    drop(owned);
}

impl<'a> Record<'a> {
    /// A record for `topic` with neither key nor value.
    #[inline(always)]
    pub fn to(topic: impl Into<Cow<'a, str>>) -> Self {
        Self {
            topic: topic.into(),
            partition: None,
            key: None,
            value: None,
            headers: Headers::None,
            timestamp_ms: None,
        }
    }

    /// Sets the key: what the partition is chosen by, unless a partition is given.
    #[inline(always)]
    pub fn key(mut self, key: impl Into<Payload<'a>>) -> Self {
        let key = Some(key.into());
        drop_owned(std::mem::replace(&mut self.key, key));
        self
    }

    /// Sets the value.
    #[inline(always)]
    pub fn value(mut self, value: impl Into<Payload<'a>>) -> Self {
        let value = Some(value.into());
        drop_owned(std::mem::replace(&mut self.value, value));
        self
    }

    /// Sends the record to this partition, whatever its key.
    #[inline(always)]
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// Adds a header after those already there.
    #[inline(always)]
    pub fn header(self, key: impl Into<Cow<'a, str>>, value: impl Into<Payload<'a>>) -> Self {
        Self { headers: self.headers.and(key.into(), Some(value.into())), ..self }
    }

    /// Adds a header whose value is null.
    #[inline(always)]
    pub fn null_header(self, key: impl Into<Cow<'a, str>>) -> Self {
        Self { headers: self.headers.and(key.into(), None), ..self }
    }

    /// Sets the record's own time, in milliseconds since the Unix epoch. Default: the time of the call that enqueues it.
    #[inline(always)]
    pub fn timestamp_ms(mut self, timestamp: i64) -> Self {
        self.timestamp_ms = Some(timestamp);
        self
    }

    /// The topic's name.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The key's bytes.
    #[inline]
    #[must_use]
    pub fn key_bytes(&self) -> Option<&[u8]> {
        self.key.as_ref().map(Payload::as_slice)
    }

    /// The value's bytes.
    #[inline]
    #[must_use]
    pub fn value_bytes(&self) -> Option<&[u8]> {
        self.value.as_ref().map(Payload::as_slice)
    }

    /// The headers in order.
    pub fn headers(&self) -> impl ExactSizeIterator<Item = (&str, Option<&[u8]>)> {
        self.headers.iter().map(|header| (header.key, header.value))
    }

    /// The partition it names, if it names one.
    #[must_use]
    pub fn partition_number(&self) -> Option<i32> {
        self.partition
    }

    /// Its own time in milliseconds since 1970, if it has one.
    #[must_use]
    pub fn timestamp(&self) -> Option<i64> {
        self.timestamp_ms
    }

    /// The same record for another topic, in no partition yet.
    pub(crate) fn redirected(mut self, topic: String) -> Self {
        self.topic = Cow::Owned(topic);
        self.partition = None;
        self
    }

    /// The same record without any borrow, for keeping it longer than its source.
    pub fn into_owned(self) -> Record<'static> {
        Record {
            topic: Cow::Owned(self.topic.into_owned()),
            partition: self.partition,
            key: self.key.map(Payload::into_owned),
            value: self.value.map(Payload::into_owned),
            headers: self.headers.into_owned(),
            timestamp_ms: self.timestamp_ms,
        }
    }

    /// The view of this record that the accumulator encodes from, if it owns nothing and has no headers; else the record.
    ///
    /// A record that is still to be dropped after a call lies in memory, for the case that the call panics.
    #[expect(
        clippy::result_large_err,
        reason = "inlined: the record is put together only where it owns something or has headers"
    )]
    #[inline(always)]
    pub(crate) fn into_view(self) -> Result<RecordRef<'a>, Self> {
        match self.borrowed() {
            None => Err(self),
            Some(view) => {
                // Nothing in it needs to be dropped.
                std::mem::forget(self);
                Ok(view)
            }
        }
    }

    /// All of it, if it owns nothing and has no headers.
    #[inline(always)]
    fn borrowed(&self) -> Option<RecordRef<'a>> {
        let Cow::Borrowed(topic) = self.topic else { return None };
        let key = match self.key {
            None => None,
            Some(Payload::Borrowed(key)) => Some(key),
            Some(_) => return None,
        };
        let value = match self.value {
            None => None,
            Some(Payload::Borrowed(value)) => Some(value),
            Some(_) => return None,
        };
        self.headers.is_none().then_some(RecordRef {
            topic,
            partition: self.partition.map(PartitionId),
            parts: RecordParts { key, value, headers: &[] },
            timestamp_ms: self.timestamp_ms,
            shared: None,
        })
    }

    /// What [`into_view`](Self::into_view) was of.
    #[cold]
    pub(crate) fn of(view: RecordRef<'a>) -> Self {
        Self {
            topic: Cow::Borrowed(view.topic),
            partition: view.partition.map(|partition| partition.0),
            key: view.parts.key.map(Payload::Borrowed),
            value: view.parts.value.map(Payload::Borrowed),
            headers: Headers::None,
            timestamp_ms: view.timestamp_ms,
        }
    }

    /// Calls `then` with the view of this record that the accumulator encodes from.
    #[inline]
    pub(crate) fn with_ref<T>(&self, then: impl FnOnce(&RecordRef<'_>) -> T) -> T {
        self.headers.with(|headers| then(&self.as_record_ref(headers)))
    }

    #[inline(always)]
    fn as_record_ref<'b>(&'b self, headers: &'b [HeaderRef<'b>]) -> RecordRef<'b> {
        RecordRef {
            topic: &self.topic,
            partition: self.partition.map(PartitionId),
            parts: RecordParts { key: self.key_bytes(), value: self.value_bytes(), headers },
            timestamp_ms: self.timestamp_ms,
            shared: match &self.value {
                Some(Payload::Shared(bytes)) => Some(bytes),
                _ => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_value_is_not_an_empty_one() {
        let tombstone = Record::to("t").key("k");
        let empty = Record::to("t").key("k").value("");
        assert_eq!(tombstone.value_bytes(), None);
        assert_eq!(empty.value_bytes(), Some(&[][..]));
        assert_ne!(tombstone, empty);
    }

    #[test]
    fn headers_keep_order_and_duplicates_however_many_and_whoever_owns_them() {
        let values: Vec<_> = (0..40).map(|number| vec![number; usize::from(number)]).collect();
        for count in 0..values.len() {
            // From this one on they own what they have; the third is null.
            for owned_from in [0, 1, 3, 4, 5, 8, 40] {
                let (mut record, mut expected) = (Record::to("t").key("k"), Vec::new());
                for (number, value) in values[..count].iter().enumerate() {
                    let given = (number != 2).then_some(&value[..]);
                    record = match given {
                        None => record.null_header("same"),
                        Some(_) if number >= owned_from => record.header("same".to_owned(), value.clone()),
                        Some(_) => record.header("same", value),
                    };
                    expected.push(("same", given));
                }
                assert_eq!(record.headers().collect::<Vec<_>>(), expected);
                assert_eq!((record.headers().len(), record.key_bytes()), (count, Some(&b"k"[..])));
                record.with_ref(|view| {
                    let seen: Vec<_> = view.parts.headers.iter().map(|h| (h.key, h.value)).collect();
                    assert_eq!(seen, expected);
                });
                assert_eq!(record.clone().into_owned(), record);
                assert_ne!(record.clone().null_header("same"), record);
            }
        }
    }

    #[test]
    fn a_record_that_is_refused_comes_back_as_it_was_and_was_seen_as_it_is() {
        let plain = Record::to("t").key("k").value("v").partition(3).timestamp_ms(9);
        let kept =
            [plain.clone().into_owned(), plain.clone().header("h", "x"), Record::to("t").value(Bytes::from("v"))];
        let seen_as_it_is = |view: &RecordRef<'_>, record: &Record<'_>| {
            assert_eq!((view.topic, view.partition.map(|id| id.0)), ("t", record.partition_number()));
            assert_eq!((view.parts.key, view.parts.value), (record.key_bytes(), record.value_bytes()));
            assert_eq!((view.timestamp_ms, view.parts.headers.len()), (record.timestamp(), record.headers().len()));
            assert_eq!(view.shared.is_some(), matches!(record.value, Some(Payload::Shared(_))));
        };
        for record in [plain, Record::to("t"), Record::to("t").key("k")] {
            let view = record.clone().into_view().unwrap();
            seen_as_it_is(&view, &record);
            assert_eq!(Record::of(view), record);
        }
        for record in kept {
            record.with_ref(|view| seen_as_it_is(view, &record));
            assert_eq!(record.clone().into_view().unwrap_err(), record);
        }
    }

    #[test]
    fn an_owned_copy_equals_its_source() {
        let value = vec![1, 2, 3];
        let record = Record::to("t").value(&value).header("h", &b"x"[..]).partition(3).timestamp_ms(9);
        assert_eq!(record.clone().into_owned(), record);
    }
}
