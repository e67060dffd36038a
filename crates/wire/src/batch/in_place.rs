//! Writing a record where it will lie.
//!
//! A producer does this for every record, so there is a short way for nearly all of them: what is in front of key and value is put together
//! in a register and stored at once, with a few bytes too many that what follows overwrites. Put together in memory it would have to be
//! loaded again, by a load that several stores feed, which processors make wait.

use super::record::{HeaderRef, RecordParts, RecordSize, Sink, TWO_BYTES, put_record, two_bytes};
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

/// A record with a value, whose numbers all take one or two bytes, with some room behind it. False for others.
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
    if body | timestamp | offset >= TWO_BYTES || room.len() < size.total + WORD {
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
    if parts.headers.is_empty() {
        room[at] = 0;
        at += 1;
    } else {
        at = write_headers(room, at, parts.headers);
    }
    debug_assert_eq!(at, size.total);
    true
}

/// Writes headers to `at`, whose numbers all take one or two bytes, and tells where they end.
#[inline(never)]
fn write_headers(room: &mut [u8], mut at: usize, headers: &[HeaderRef<'_>]) -> usize {
    // The length in front of a key goes with what is in front of that: their number, or a null.
    let mut word = Word::default();
    word.push((headers.len() as u64) << 1);
    for header in headers {
        word.push((header.key.len() as u64) << 1);
        at = word.store(room, at);
        at = copy_small(room, at, header.key.as_bytes());
        word = Word::default();
        match header.value {
            None => word.push(1), // zig-zag of -1
            Some(value) => {
                word.push((value.len() as u64) << 1);
                at = word.store(room, at);
                at = copy_small(room, at, value);
                word = Word::default();
            }
        }
    }
    // Of a null at the end.
    word.store(room, at)
}

/// Copies `from` to `at`, and tells where it ends. What a header holds is mostly so short that a call to copy it costs more than copying it.
#[inline(always)]
fn copy_small(room: &mut [u8], at: usize, from: &[u8]) -> usize {
    let to = &mut room[at..at + from.len()];
    match from.len() {
        // Two of the same size, which overlap.
        4..=7 => ends::<4>(to, from),
        8..=15 => ends::<8>(to, from),
        16..=32 => ends::<16>(to, from),
        _ => to.copy_from_slice(from),
    }
    at + from.len()
}

/// Copies the first `N` bytes and the last.
#[inline(always)]
fn ends<const N: usize>(to: &mut [u8], from: &[u8]) {
    if let (Some(to), Some(from)) = (to.first_chunk_mut::<N>(), from.first_chunk::<N>()) {
        *to = *from;
    }
    if let (Some(to), Some(from)) = (to.last_chunk_mut::<N>(), from.last_chunk::<N>()) {
        *to = *from;
    }
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
