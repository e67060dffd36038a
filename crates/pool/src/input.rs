//! The bytes that arrived on one connection, cut into frames.

use bytes::{Buf, Bytes, BytesMut};

use crate::event::LostCause;

/// The size in front of each frame.
const SIZE_LEN: usize = 4;
/// Room made for the next read. Also the most that a size alone, before its bytes arrive, makes us reserve.
const STEP: usize = 32 * 1024;
/// How many bytes of something that is no frame are kept to tell what it is.
const START_LEN: usize = 64;

/// Collects bytes and gives out frames.
#[derive(Debug)]
pub(crate) struct Inbox {
    bytes: BytesMut,
    /// How many bytes left as frames, sizes included.
    taken: u64,
    max_frame: usize,
}

impl Inbox {
    pub(crate) fn new(max_frame: usize) -> Self {
        Self { bytes: BytesMut::new(), taken: 0, max_frame }
    }

    /// The buffer to read into, with room.
    ///
    /// Room grows with what has arrived and not with what was announced: doubling as a large frame comes in, and never
    /// more than `STEP` at first.
    pub(crate) fn room(&mut self) -> &mut BytesMut {
        if self.bytes.capacity() - self.bytes.len() < STEP / 8 {
            let more = match self.announced() {
                Some(size) => {
                    let missing = (size + SIZE_LEN).saturating_sub(self.bytes.len());
                    missing.clamp(STEP / 8, self.bytes.len().max(STEP))
                }
                None => STEP,
            };
            self.bytes.reserve(more);
        }
        &mut self.bytes
    }

    /// The next frame that is there whole, without its size.
    ///
    /// # Errors
    ///
    /// [`LostCause::FrameSize`]; there is no way to find the next frame after that.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Bytes>, LostCause> {
        let Some(size) = self.size() else { return Ok(None) };
        let len = match usize::try_from(size) {
            Ok(len) if len <= self.max_frame => len,
            _ => return Err(LostCause::FrameSize { size, limit: self.max_frame, start: self.start() }),
        };
        if self.bytes.len() - SIZE_LEN < len {
            return Ok(None);
        }
        self.bytes.advance(SIZE_LEN);
        self.taken += (SIZE_LEN + len) as u64;
        Ok(Some(self.bytes.split_to(len).freeze()))
    }

    /// What it means that no more bytes come.
    pub(crate) fn end(&self) -> LostCause {
        LostCause::Eof { partial: self.start(), bytes_received: self.taken + self.bytes.len() as u64 }
    }

    /// The first bytes of what is there.
    fn start(&self) -> Bytes {
        Bytes::copy_from_slice(&self.bytes[..self.bytes.len().min(START_LEN)])
    }

    fn size(&self) -> Option<i32> {
        self.bytes.first_chunk::<SIZE_LEN>().map(|size| i32::from_be_bytes(*size))
    }

    /// Length of the frame being received, if its size is there and makes sense.
    fn announced(&self) -> Option<usize> {
        self.size().and_then(|size| usize::try_from(size).ok()).filter(|len| *len <= self.max_frame)
    }
}

#[cfg(test)]
mod tests;
