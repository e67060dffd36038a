use std::borrow::Cow;

use super::record::{Head, size_of_body};
use super::{BatchError, RecordSize, Sink, TimestampType};
use crate::varint;

/// What turns a record's timestamp delta into its timestamp.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RecordTimes {
    /// The batch's base timestamp, milliseconds since 1970.
    pub base: i64,
    /// The batch's maximum timestamp.
    pub max: i64,
    /// With log append time every record has the maximum timestamp.
    pub timestamp_type: TimestampType,
}

impl RecordTimes {
    /// The records of a producer, which count from the batch's `base` timestamp.
    #[must_use]
    pub const fn created_from(base: i64) -> Self {
        Self { base, max: base, timestamp_type: TimestampType::CreateTime }
    }
}

/// The uncompressed records of one batch: borrowed if they were not compressed, else owned.
///
/// Nothing is parsed until [`iter`](Self::iter) is driven.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    payload: Cow<'a, [u8]>,
    count: usize,
    times: RecordTimes,
}

impl<'a> Records<'a> {
    /// The `count` records encoded in `payload`, uncompressed and without a batch header.
    pub fn over(payload: impl Into<Cow<'a, [u8]>>, count: usize, times: RecordTimes) -> Self {
        Self { payload: payload.into(), count, times }
    }

    /// How many records the batch claims to hold; whether it does is known after [`iter`](Self::iter) came to its end.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The encoded records.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The records in order. After an error it ends.
    #[must_use]
    pub fn iter(&self) -> RecordIter<'_> {
        RecordIter { rest: &self.payload, index: 0, count: self.count, times: self.times, ended: false }
    }
}

impl<'r> IntoIterator for &'r Records<'_> {
    type IntoIter = RecordIter<'r>;
    type Item = Result<RecordView<'r>, BatchError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Reads records one after the other; see [`Records::iter`].
///
/// Yields at most as many records as the batch claims, and an error instead of the end if bytes are left behind the last.
#[derive(Clone, Debug)]
pub struct RecordIter<'a> {
    rest: &'a [u8],
    index: usize,
    count: usize,
    times: RecordTimes,
    ended: bool,
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<RecordView<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        if self.index == self.count {
            self.ended = true;
            return (!self.rest.is_empty()).then_some(Err(BatchError::Trailing(self.rest.len())));
        }
        let mut fields = Fields { rest: self.rest };
        match RecordView::read(&mut fields, self.times) {
            Ok(record) => {
                self.rest = fields.rest;
                self.index += 1;
                Some(Ok(record))
            }
            Err(what) => {
                self.ended = true;
                Some(Err(BatchError::Record { index: self.index, what }))
            }
        }
    }
}

/// One record as it was read: every length in it has been checked.
#[derive(Clone, Copy, Debug)]
pub struct RecordView<'a> {
    /// Offset, counted from the batch's base offset.
    pub offset_delta: i32,
    /// As it is on the wire: milliseconds after the batch's base timestamp, possibly negative.
    pub timestamp_delta: i64,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// Null and empty are different keys.
    pub key: Option<&'a [u8]>,
    /// Null is a tombstone.
    pub value: Option<&'a [u8]>,
    headers: Headers<'a>,
    fields: &'a [u8],
}

impl<'a> RecordView<'a> {
    /// The headers, in order.
    #[must_use]
    pub fn headers(&self) -> Headers<'a> {
        self.headers
    }

    /// Size of this record at another place in another batch.
    #[must_use]
    pub fn size_at(&self, offset_delta: i32, timestamp_delta: i64) -> RecordSize {
        size_of_body(offset_delta, timestamp_delta, self.fields.len())
    }

    /// Writes this record as it will be at another place in another batch; key, value and headers are copied as they are.
    pub fn put_at<S: Sink + ?Sized>(&self, out: &mut S, offset_delta: i32, timestamp_delta: i64) {
        let size = self.size_at(offset_delta, timestamp_delta);
        let mut head = Head::EMPTY;
        head.begin(size, offset_delta, timestamp_delta);
        out.put(head.bytes());
        out.put(self.fields);
    }

    fn read(fields: &mut Fields<'a>, times: RecordTimes) -> Result<Self, &'static str> {
        let len = fields.varint("its length cannot be read")?;
        let len = usize::try_from(len).map_err(|_| "its length is negative")?;
        let mut body = Fields { rest: fields.take(len).ok_or("it is longer than the batch")? };
        body.take(1).ok_or("it is too short for its attributes")?;
        let (timestamp_delta, read) = varint::read_varlong(body.rest).map_err(|_| "its timestamp cannot be read")?;
        body.rest = &body.rest[read..];
        let offset_delta = body.varint("its offset cannot be read")?;
        let fields = body.rest;
        let key = body.nullable("its key's length cannot be read", "its key is longer than the record")?;
        let value = body.nullable("its value's length cannot be read", "its value is longer than the record")?;
        let count = body.varint("its header count cannot be read")?;
        let count = usize::try_from(count).map_err(|_| "its header count is negative")?;
        let headers = Headers { rest: body.rest, count };
        for _ in 0..count {
            body.header()?;
        }
        if !body.rest.is_empty() {
            return Err("bytes are left after its headers");
        }
        let timestamp = match times.timestamp_type {
            // A producer whose timestamps span more than an i64 wraps; so does its reader.
            TimestampType::CreateTime => times.base.wrapping_add(timestamp_delta),
            TimestampType::LogAppendTime => times.max,
        };
        Ok(Self { offset_delta, timestamp_delta, timestamp, key, value, headers, fields })
    }
}

/// One header of a record that was read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HeaderView<'a> {
    /// UTF-8 by convention, which nobody enforces.
    pub key: &'a [u8],
    /// Its value, or null.
    pub value: Option<&'a [u8]>,
}

impl<'a> HeaderView<'a> {
    /// The key as text, what is not UTF-8 in it replaced.
    #[must_use]
    pub fn key_text(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.key)
    }
}

/// The headers of a record that was read.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a> {
    /// Holds exactly `count` well-formed headers: checked when the record was read.
    rest: &'a [u8],
    count: usize,
}

impl Headers<'_> {
    /// How many are left.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = HeaderView<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.count = self.count.checked_sub(1)?;
        let mut fields = Fields { rest: self.rest };
        let header = fields.header().ok()?;
        self.rest = fields.rest;
        Some(header)
    }
}

/// A reader that takes from the front and never beyond the end.
struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    #[inline]
    fn varint(&mut self, what: &'static str) -> Result<i32, &'static str> {
        let (n, read) = varint::read_varint(self.rest).map_err(|_| what)?;
        self.rest = &self.rest[read..];
        Ok(n)
    }

    #[inline]
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    #[inline]
    fn nullable(&mut self, unread: &'static str, beyond: &'static str) -> Result<Option<&'a [u8]>, &'static str> {
        match self.varint(unread)? {
            -1 => Ok(None),
            // A length below -1 is as wrong as one beyond the end.
            len => usize::try_from(len).ok().and_then(|len| self.take(len)).map(Some).ok_or(beyond),
        }
    }

    fn header(&mut self) -> Result<HeaderView<'a>, &'static str> {
        let key = self
            .nullable("a header key's length cannot be read", "a header key is longer than the record")?
            .ok_or("a header key is null")?;
        let value =
            self.nullable("a header value's length cannot be read", "a header value is longer than the record")?;
        Ok(HeaderView { key, value })
    }
}
