//! Writing a record where it will lie.
//!
//! A producer does this for every record, so there is a short way for nearly all of them: what is in front of key and value is put together
//! in a register and stored at once, with a few bytes too many that what follows overwrites. Put together in memory it would have to be
//! loaded again, by a load that several stores feed, which processors make wait.

use super::record::{RecordParts, RecordSize, Sink, TWO_BYTES, put_record, two_bytes};
use crate::varint::{zigzag, zigzag_long};

/// How much is stored at once, whatever of it is meant.
const WORD: usize = size_of::<u64>();

/// As [`put_record`], to the front of `room`: exactly `size.total` bytes are its record's; a few behind them may be overwritten.
///
/// # Panics
///
/// If `room` is shorter than that.
#[inline(always)]
pub fn write_record(
    room: &mut [u8],
    size: RecordSize,
    offset_delta: i32,
    timestamp_delta: i64,
    parts: &RecordParts<'_>,
) {
    if !write_short(room, size, offset_delta, timestamp_delta, parts) {
        put_record(&mut Room { room, at: 0 }, size, offset_delta, timestamp_delta, parts);
    }
}

/// A record with a value, without headers, whose numbers all take one or two bytes, with some room behind it. False for others.
#[inline(always)]
fn write_short(
    room: &mut [u8],
    size: RecordSize,
    offset_delta: i32,
    timestamp_delta: i64,
    parts: &RecordParts<'_>,
) -> bool {
    let Some(value) = parts.value else { return false };
    let (body, value_len) = ((size.body as u64) << 1, (value.len() as u64) << 1);
    let (timestamp, offset) = (zigzag_long(timestamp_delta), u64::from(zigzag(offset_delta)));
    // The body is the longest of the lengths.
    if body | timestamp | offset >= TWO_BYTES || !parts.headers.is_empty() || room.len() < size.total + WORD {
        return false;
    }
    let mut word = Word::default();
    word.push(body);
    word.skip_byte(); // attributes: no bit has a meaning yet
    word.push(timestamp);
    word.push(offset);
    let mut at = word.store(room, 0);
    let mut word = Word::default();
    match parts.key {
        None => word.push(1), // zig-zag of -1
        Some(key) => {
            let mut len = Word::default();
            len.push((key.len() as u64) << 1);
            at = len.store(room, at);
            room[at..at + key.len()].copy_from_slice(key);
            at += key.len();
        }
    }
    word.push(value_len);
    at = word.store(room, at);
    room[at..at + value.len()].copy_from_slice(value);
    at += value.len();
    room[at] = 0; // no headers
    debug_assert_eq!(at + 1, size.total);
    true
}

/// Varints of at most two bytes each, one after the other, in a register: not more than eight bytes.
#[derive(Default)]
struct Word {
    bytes: u64,
    bits: u32,
}

impl Word {
    #[inline(always)]
    fn push(&mut self, number: u64) {
        let (bytes, bits) = two_bytes(number);
        self.bytes |= bytes << self.bits;
        self.bits += bits;
    }

    #[inline(always)]
    fn skip_byte(&mut self) {
        self.bits += 8;
    }

    /// Stores it at `at`, and tells where it ends.
    #[inline(always)]
    fn store(self, room: &mut [u8], at: usize) -> usize {
        room[at..at + WORD].copy_from_slice(&self.bytes.to_le_bytes());
        at + self.bits as usize / 8
    }
}

/// Room that is written from its front.
struct Room<'a> {
    room: &'a mut [u8],
    at: usize,
}

impl Sink for Room<'_> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        let end = self.at + bytes.len();
        self.room[self.at..end].copy_from_slice(bytes);
        self.at = end;
    }
}
