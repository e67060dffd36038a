//! Reaches what looks at received bytes first, without a socket: for the tests that feed it with hostile bytes.

use std::io;

use bytes::{Bytes, BytesMut};
use milena_wire::Timestamp;
use tokio::io::AsyncRead;

use super::frame;
use crate::SaslServer;
use crate::core::Answer;
use crate::sasl::{Gate, Guard};

/// The next frame of a stream, as a connection reads it; `None` at the end of the stream.
///
/// # Errors
///
/// `InvalidData` for a size that is negative or above `max`, `UnexpectedEof` inside a frame, or what the stream says.
///
/// # Cancel safety
///
/// What has been read stays in `input`.
pub async fn read_frame<S>(stream: &mut S, input: &mut BytesMut, max: usize) -> io::Result<Option<Bytes>>
where
    S: AsyncRead + Unpin,
{
    frame::read(stream, input, max).await
}

/// What becomes of a frame on a listener with SASL.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It is for the cluster.
    Pass,
    /// It is answered with this, and the connection goes on, or does not.
    Answer(Vec<u8>, bool),
    /// The connection ends.
    Close,
}

/// What one connection to a listener with SASL has proved.
pub struct Door(Guard);

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").finish_non_exhaustive()
    }
}

impl Door {
    /// A connection that has proved nothing yet.
    #[must_use]
    pub fn new(server: &SaslServer) -> Self {
        Self(Guard::new(Some(server.clone())))
    }

    /// Looks at a frame before the cluster does.
    pub fn look(&mut self, frame: &Bytes) -> Verdict {
        let answer = match self.0.look(Timestamp::ZERO, frame, |_| None) {
            Gate::Pass => return Verdict::Pass,
            Gate::Answer { answer, .. } => answer,
        };
        match answer {
            Answer::Send(frame) => Verdict::Answer(frame.to_vec(), true),
            Answer::SendLast(frame) => Verdict::Answer(frame.to_vec(), false),
            Answer::SendHalf(_) | Answer::Close | Answer::Silence | Answer::Nothing => Verdict::Close,
        }
    }
}
