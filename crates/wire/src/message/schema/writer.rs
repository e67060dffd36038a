//! Where outgoing messages are collected.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Field, Version};
use crate::frame::Frame;
use crate::primitive::Layout;

/// Collects one outgoing message. Payload is spliced in between, not copied.
#[derive(Debug)]
pub(crate) struct Writer {
    /// The bytes since the last splice.
    out: BytesMut,
    /// The bytes in front of the first splice, whose first four are the size prefix.
    head: Option<BytesMut>,
    /// What follows `head`; its first element is a placeholder for it.
    parts: Vec<Bytes>,
    spliced: usize,
}

const SIZE_PREFIX: usize = 4;

impl Writer {
    /// `capacity` bytes of protocol, in `parts` slices: hints.
    pub(crate) fn new(capacity: usize, parts: usize) -> Self {
        Self::within(BytesMut::new(), capacity, parts)
    }

    /// As [`new`](Self::new), with bytes of `arena`, which is empty; [`finish_within`](Self::finish_within) gives back what is left of it.
    pub(crate) fn within(mut arena: BytesMut, capacity: usize, parts: usize) -> Self {
        arena.reserve(capacity + SIZE_PREFIX);
        arena.put_i32(0);
        Self { out: arena, head: None, parts: Vec::with_capacity(parts), spliced: 0 }
    }

    /// Where bytes are written to.
    pub(crate) fn out(&mut self) -> &mut BytesMut {
        &mut self.out
    }

    /// Appends `payload` without copying it.
    pub(crate) fn splice(&mut self, payload: &[Bytes]) {
        let before = self.out.split();
        if self.head.is_none() {
            self.spliced += before.len();
            self.head = Some(before);
            self.parts.push(Bytes::new());
        } else {
            self.push(before.freeze());
        }
        for part in payload {
            self.push(part.clone());
        }
    }

    fn push(&mut self, part: Bytes) {
        if !part.is_empty() {
            self.spliced += part.len();
            self.parts.push(part);
        }
    }

    /// The message, its size in front.
    pub(crate) fn finish(self) -> Frame {
        self.finish_within().0
    }

    /// As [`finish`](Self::finish), and what is left of the arena.
    pub(crate) fn finish_within(mut self) -> (Frame, BytesMut) {
        let len = self.spliced + self.out.len();
        // Nothing larger can be sent; a size that does not fit is refused by any peer.
        let size = i32::try_from(len - SIZE_PREFIX).unwrap_or(i32::MAX);
        let head = self.head.as_mut().unwrap_or(&mut self.out);
        head[..SIZE_PREFIX].copy_from_slice(&size.to_be_bytes());
        match self.head {
            Some(head) => self.parts[0] = head.freeze(),
            None => debug_assert!(self.parts.is_empty(), "a splice leaves a head"),
        }
        let mut frame = Frame::from(self.parts);
        frame.push(self.out.split().freeze());
        (frame, self.out)
    }

    pub(crate) fn uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.out.put_u8(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.out.put_u8(value.to_le_bytes()[0]);
    }

    /// The count of an array or length of a byte string; `None` is null.
    pub(crate) fn count(&mut self, count: Option<usize>, layout: Layout) {
        match layout {
            Layout::Flexible => self.uvarint(count.map_or(0, |n| u32::try_from(n + 1).unwrap_or(u32::MAX))),
            Layout::Classic => self.out.put_i32(count.map_or(-1, |n| i32::try_from(n).unwrap_or(i32::MAX))),
        }
    }

    /// A string longer than its length can say is cut at a character: only a text for people can be so long.
    pub(crate) fn nullable_str(&mut self, text: Option<&str>, layout: Layout) {
        const LONGEST: usize = 0x7fff;
        let text = text.map(|text| &text[..text.floor_char_boundary(LONGEST)]);
        match layout {
            Layout::Flexible => self.count(text.map(str::len), layout),
            Layout::Classic => self.out.put_i16(text.map_or(-1, |t| i16::try_from(t.len()).unwrap_or(i16::MAX))),
        }
        self.out.put_slice(text.unwrap_or_default().as_bytes());
    }
}

/// Writes the tagged fields behind a struct: those that differ from their default, in ascending order.
pub(crate) fn write_tagged(out: &mut Writer, fields: &[(u32, Option<Vec<u8>>)]) {
    let present = fields.iter().filter_map(|(tag, value)| value.as_ref().map(|value| (*tag, value)));
    out.uvarint(u32::try_from(present.clone().count()).unwrap_or(u32::MAX));
    for (tag, value) in present {
        out.uvarint(tag);
        out.uvarint(u32::try_from(value.len()).unwrap_or(u32::MAX));
        out.out().put_slice(value);
    }
}

/// The bytes of a tagged field, or nothing if it is what its absence means anyway.
pub(crate) fn tagged_value<T: Field + PartialEq>(value: &T, absent: &T, version: Version) -> Option<Vec<u8>> {
    if value == absent {
        return None;
    }
    let mut inner = Writer::new(0, 0);
    value.write(&mut inner, version);
    Some(inner.finish().to_vec().split_off(SIZE_PREFIX))
}
