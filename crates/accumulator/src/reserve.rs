use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::core::Core;
use crate::memory::{Memory, Ticket, Turn};
use crate::park;

/// Waits in line for memory; made by [`Accumulator::reserve`](crate::Accumulator::reserve).
///
/// The place in line is taken when it is first polled. Nobody overtakes: a large request at the front holds up small ones behind it.
///
/// # Cancel safety
///
/// Dropping it at any moment leaks nothing: its place in line, or the memory it was just given, goes to the next.
#[must_use = "memory is reserved by awaiting this"]
pub struct Reserve {
    core: Arc<Core>,
    bytes: usize,
    /// The place in line, while there is one.
    ticket: Option<Ticket>,
}

impl Reserve {
    pub(crate) fn new(core: Arc<Core>, bytes: usize) -> Self {
        Self { core, bytes, ticket: None }
    }

    /// Waits on this thread, at most for `timeout`; `None` if the memory was not free in time.
    ///
    /// # Errors
    ///
    /// [`Closed`] if the accumulator is closed, or becomes so.
    pub fn wait_blocking(self, timeout: Duration) -> Option<Result<Reservation, Closed>> {
        park::block_on_for(self, timeout)
    }
}

impl Future for Reserve {
    type Output = Result<Reservation, Closed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let turn = match self.ticket {
            Some(ticket) => self.core.memory.turn(ticket, cx.waker()),
            None => {
                let (turn, ticket) = self.core.memory.join(self.bytes, cx.waker());
                if matches!(turn, Turn::Waiting) {
                    self.ticket = Some(ticket);
                    // Memory comes back only when batches are sent, so the sender has to know.
                    self.core.wake_sender();
                }
                turn
            }
        };
        match turn {
            Turn::Waiting => return Poll::Pending,
            Turn::Closed => {
                self.ticket = None;
                return Poll::Ready(Err(Closed));
            }
            Turn::Granted => self.ticket = None,
        }
        Poll::Ready(Ok(Reservation { memory: Arc::clone(&self.core.memory), bytes: self.bytes }))
    }
}

impl Drop for Reserve {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.core.memory.leave(ticket);
        }
    }
}

impl fmt::Debug for Reserve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reserve({} bytes)", self.bytes)
    }
}

/// Memory that is promised to its owner. What is not used of it goes back when it is dropped.
#[must_use = "dropping it gives the memory back"]
pub struct Reservation {
    memory: Arc<Memory>,
    bytes: usize,
}

impl Reservation {
    /// Owns `bytes` that were counted already.
    pub(crate) fn counted(memory: &Arc<Memory>, bytes: usize) -> Self {
        Self { memory: Arc::clone(memory), bytes }
    }

    /// Bytes reserved.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn funds(&mut self) -> &mut usize {
        &mut self.bytes
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.memory.release(self.bytes);
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reservation({} bytes)", self.bytes)
    }
}

/// The accumulator was closed, so that no memory will be given out any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the producer is closed and takes no more records")
    }
}

impl std::error::Error for Closed {}
