use bytes::BufMut;

use super::BATCH_HEADER_LEN;
use crate::varint;

/// One header of a record, borrowed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HeaderRef<'a> {
    /// Its key: may be empty, may occur more than once, cannot be null.
    pub key: &'a str,
    /// Its value, or null.
    pub value: Option<&'a [u8]>,
}

/// The fields of one record, borrowed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RecordParts<'a> {
    /// Null and empty are different keys.
    pub key: Option<&'a [u8]>,
    /// Null is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Order and duplicates are kept.
    pub headers: &'a [HeaderRef<'a>],
}

/// How many bytes a record takes, exactly.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RecordSize {
    /// What the record's own length field says.
    pub body: usize,
    /// The length field included: what [`put_record`] writes.
    pub total: usize,
}

/// Where a record is written to.
///
/// Every [`BufMut`] is one. A buffer of chunks, which could not be a `BufMut` without `unsafe`, implements this instead.
pub trait Sink {
    /// Appends `bytes`.
    fn put(&mut self, bytes: &[u8]);
}

impl<B: BufMut + ?Sized> Sink for B {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.put_slice(bytes);
    }
}

/// Room for everything in front of a record's key bytes, and for two lengths behind a null key, whatever their size.
const HEAD: usize = 1 + 2 * varint::VARLONG_MAX_LEN + varint::VARINT_MAX_LEN + 1 + varint::VARLONG_MAX_LEN + 3;

/// What a single record of these fields takes at most in a batch of its own, header of the batch included.
///
/// This is the size that record limits are about: it does not depend on the record's timestamp or place.
#[must_use]
pub fn single_record_batch_bound(parts: &RecordParts<'_>) -> usize {
    const LENGTH_ATTRIBUTES_TIMESTAMP_OFFSET: usize = 5 + 1 + 10 + 5;
    (BATCH_HEADER_LEN + LENGTH_ATTRIBUTES_TIMESTAMP_OFFSET).saturating_add(fields_len(parts))
}

/// Exact size of a record at `offset_delta` in its batch, `timestamp_delta` milliseconds after the batch's first.
///
/// A record above 2 GiB has no length on the wire; check [`single_record_batch_bound`] against a limit first.
#[inline(always)]
#[must_use]
pub fn record_size(offset_delta: i32, timestamp_delta: i64, parts: &RecordParts<'_>) -> RecordSize {
    let (timestamp, offset) = (varint::zigzag_long(timestamp_delta), u64::from(varint::zigzag(offset_delta)));
    let (key, value) = (parts.key.map_or(0, <[u8]>::len), parts.value.map_or(0, <[u8]>::len));
    // Nearly every record: all its numbers take one or two bytes, and one comparison of all of them says so. Slices are not longer than
    // `isize::MAX`, so the sum is one.
    if key + value > SHORT || timestamp | offset >= TWO_BYTES || !parts.headers.is_empty() {
        return size_of_body(offset_delta, timestamp_delta, fields_len(parts));
    }
    // A null takes the byte that the length of an empty field does.
    let lengths =
        short_len(timestamp) + short_len(offset) + short_len((key as u64) << 1) + short_len((value as u64) << 1);
    let body = 1 + lengths + key + value + 1;
    RecordSize { body, total: body + short_len((body as u64) << 1) }
}

/// Key and value of so many bytes have a body that a length of two bytes can say, whatever else is in it.
const SHORT: usize = (1 << 13) - 16;

/// Bytes of an unsigned varint below [`TWO_BYTES`].
#[inline(always)]
fn short_len(n: u64) -> usize {
    1 + usize::from(n >= ONE_BYTE)
}

#[inline(never)]
pub(super) fn size_of_body(offset_delta: i32, timestamp_delta: i64, fields: usize) -> RecordSize {
    let timestamp = number_len(varint::zigzag_long(timestamp_delta));
    let offset = number_len(varint::zigzag(offset_delta).into());
    let body = (1 + timestamp + offset).saturating_add(fields);
    RecordSize { body, total: body.saturating_add(len_of_len(body)) }
}

/// Key, value and headers with their lengths.
#[inline]
fn fields_len(parts: &RecordParts<'_>) -> usize {
    let mut len =
        field_len(parts.key).saturating_add(field_len(parts.value)).saturating_add(len_of_len(parts.headers.len()));
    for header in parts.headers {
        len = len.saturating_add(field_len(Some(header.key.as_bytes()))).saturating_add(field_len(header.value));
    }
    len
}

#[inline]
fn field_len(field: Option<&[u8]>) -> usize {
    field.map_or(1, |bytes| len_of_len(bytes.len()).saturating_add(bytes.len()))
}

/// Bytes of a length as a zig-zag varint.
#[inline]
fn len_of_len(len: usize) -> usize {
    number_len((len as u64) << 1)
}

/// Bytes of an unsigned varint; nearly always one or two.
#[inline]
fn number_len(n: u64) -> usize {
    if n < TWO_BYTES { short_len(n) } else { varint::uvarlong_len(n) }
}

/// Writes one record: exactly `size.total` bytes, `size` being [`record_size`] of the same arguments.
///
/// Allocates nothing itself. What is small is gathered on the stack, so that a keyless record costs three calls of the sink.
#[inline]
pub fn put_record<S: Sink + ?Sized>(
    out: &mut S,
    size: RecordSize,
    offset_delta: i32,
    timestamp_delta: i64,
    parts: &RecordParts<'_>,
) {
    let mut head = Head::EMPTY;
    head.begin(size, offset_delta, timestamp_delta);
    if let Some(key) = parts.key {
        head.put_len(key.len());
        out.put(head.bytes());
        out.put(key);
        head.clear();
    } else {
        head.put_null();
    }
    if let Some(value) = parts.value {
        head.put_len(value.len());
        out.put(head.bytes());
        out.put(value);
        if parts.headers.is_empty() {
            out.put(&[0]); // of a known length: a store, not a call
            return;
        }
        head.clear();
    } else {
        head.put_null();
    }
    head.put_len(parts.headers.len());
    out.put(head.bytes());
    for header in parts.headers {
        put_header(out, header);
    }
}

fn put_header<S: Sink + ?Sized>(out: &mut S, header: &HeaderRef<'_>) {
    let mut head = Head::EMPTY;
    head.put_len(header.key.len());
    out.put(head.bytes());
    out.put(header.key.as_bytes());
    head.clear();
    if let Some(value) = header.value {
        head.put_len(value.len());
        out.put(head.bytes());
        out.put(value);
    } else {
        head.put_null();
        out.put(head.bytes());
    }
}

/// The small fields of a record, gathered on the stack.
pub(super) struct Head {
    bytes: [u8; HEAD],
    len: usize,
}

impl Head {
    pub(super) const EMPTY: Self = Self { bytes: [0; HEAD], len: 0 };

    /// Into a fresh head: length, attributes (of which no bit has a meaning yet), timestamp and offset.
    #[inline]
    pub(super) fn begin(&mut self, size: RecordSize, offset_delta: i32, timestamp_delta: i64) {
        let body = (size.body as u64) << 1;
        let timestamp = varint::zigzag_long(timestamp_delta);
        let offset = u64::from(varint::zigzag(offset_delta));
        if body | timestamp | offset < TWO_BYTES {
            // Nearly every record: seven bytes at most, put together in a register without a branch.
            let (body, attributes_at) = two_bytes(body);
            let (timestamp, timestamp_bits) = two_bytes(timestamp);
            let (offset, offset_bits) = two_bytes(offset);
            let timestamp_at = attributes_at + 8;
            let offset_at = timestamp_at + timestamp_bits;
            let word = body | timestamp << timestamp_at | offset << offset_at;
            self.bytes[..8].copy_from_slice(&word.to_le_bytes());
            self.len = (offset_at + offset_bits) as usize / 8;
        } else {
            self.put_long(body);
            self.len += 1;
            self.put_long(timestamp);
            self.put_long(offset);
        }
    }

    /// Makes it empty again, for lengths.
    #[inline]
    fn clear(&mut self) {
        self.len = 0;
    }

    #[inline]
    fn put_len(&mut self, len: usize) {
        debug_assert!(i32::try_from(len).is_ok(), "a length beyond 2 GiB has no place on the wire");
        let len = (len as u64) << 1;
        if len < TWO_BYTES {
            let (bytes, bits) = two_bytes(len);
            let [first, second, ..] = bytes.to_le_bytes();
            self.bytes[self.len..self.len + 2].copy_from_slice(&[first, second]);
            self.len += bits as usize / 8;
        } else {
            self.put_long(len);
        }
    }

    #[inline]
    fn put_null(&mut self) {
        self.bytes[self.len] = 1; // zig-zag of -1
        self.len += 1;
    }

    #[cold]
    fn put_long(&mut self, n: u64) {
        self.len += varint::write_uvarlong(&mut self.bytes[self.len..], n);
    }

    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// The first number that an unsigned varint needs two bytes for.
const ONE_BYTE: u64 = 1 << 7;
/// The first number that an unsigned varint needs three bytes for.
pub(super) const TWO_BYTES: u64 = 1 << 14;

/// The varint of a number below [`TWO_BYTES`], and how many bits it takes: 8 or 16.
#[inline]
pub(super) fn two_bytes(n: u64) -> (u64, u32) {
    let long = u32::from(n >= ONE_BYTE);
    (n & 0x7f | u64::from(long) << 7 | (n >> 7) << 8, 8 + 8 * long)
}
