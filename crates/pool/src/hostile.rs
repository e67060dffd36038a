//! Reaches what cuts received bytes into frames, without a socket: for the tests that feed it with hostile bytes.

use bytes::Bytes;

use crate::event::LostCause;
use crate::input::Inbox;

/// The receiving half of a connection.
#[derive(Debug)]
pub struct Receiver(Inbox);

impl Receiver {
    /// Refuses frames above `max_frame` bytes.
    #[must_use]
    pub fn new(max_frame: usize) -> Self {
        Self(Inbox::new(max_frame))
    }

    /// Takes as many of `bytes` as one read would, and tells how many. Never none, unless there are none.
    pub fn read(&mut self, bytes: &[u8]) -> usize {
        let room = self.0.room();
        let taken = bytes.len().min(room.capacity() - room.len());
        room.extend_from_slice(&bytes[..taken]);
        taken
    }

    /// The next frame that is there whole, without its size.
    ///
    /// # Errors
    ///
    /// [`LostCause::FrameSize`], and then for ever.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, LostCause> {
        self.0.next_frame()
    }

    /// What it would mean if no more bytes came.
    #[must_use]
    pub fn end(&self) -> LostCause {
        self.0.end()
    }
}
