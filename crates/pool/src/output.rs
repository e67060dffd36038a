//! The bytes that wait to be written on one connection.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use io::IoSlice;
use milena_wire::Frame;
use tokio::io::AsyncWrite;

/// Linux takes at most 1,024 slices per write; one less keeps clear of every system's limit.
const MAX_SLICES: usize = 1023;
/// Enough for most writes, and cheap to lay out on the stack.
const FEW_SLICES: usize = 32;

/// Frames in line, as slices shared with whoever made them. Several frames go out in one write.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    slices: VecDeque<Bytes>,
    /// Bytes left of each frame, oldest first. Sums to the length of all `slices`.
    frames: VecDeque<usize>,
    /// Frames written whole, ever.
    completed: u64,
    /// How many of `frames` may have been written in part.
    torn: usize,
}

impl Outbox {
    pub(crate) fn push(&mut self, frame: Frame) {
        self.frames.push_back(frame.len());
        self.slices.extend(frame.into_parts());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Writes once, and returns how many frames that completed.
    pub(crate) fn poll_write<W>(&mut self, cx: &mut Context<'_>, stream: &mut W) -> Poll<io::Result<usize>>
    where
        W: AsyncWrite + Unpin + ?Sized,
    {
        if self.slices.is_empty() {
            return Poll::Ready(Ok(self.advance(0)));
        }
        let result = if self.slices.len() <= FEW_SLICES {
            ready!(self.poll_slices::<FEW_SLICES, W>(cx, stream))
        } else {
            ready!(self.poll_slices::<MAX_SLICES, W>(cx, stream))
        };
        match result {
            Ok(1..) => {}
            // A stream that encrypts may have sent a part before it failed, and does not say how much.
            _ => self.torn = self.frames.len(),
        }
        match result? {
            0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            written => Poll::Ready(Ok(self.advance(written))),
        }
    }

    fn poll_slices<const N: usize, W>(&self, cx: &mut Context<'_>, stream: &mut W) -> Poll<io::Result<usize>>
    where
        W: AsyncWrite + Unpin + ?Sized,
    {
        let mut slices = [IoSlice::new(&[]); N];
        let mut count = 0;
        for (slot, slice) in slices.iter_mut().zip(&self.slices) {
            *slot = IoSlice::new(slice);
            count += 1;
        }
        Pin::new(stream).poll_write_vectored(cx, &slices[..count])
    }

    /// Forgets `written` bytes, and returns how many frames ended with them.
    fn advance(&mut self, written: usize) -> usize {
        let mut left = written;
        while let Some(slice) = self.slices.front_mut() {
            if left < slice.len() {
                slice.advance(left);
                break;
            }
            left -= slice.len();
            self.slices.pop_front();
        }

        let mut left = written;
        let mut completed = 0;
        while let Some(frame) = self.frames.front_mut() {
            if left < *frame {
                *frame -= left;
                self.torn = self.torn.max(usize::from(left > 0));
                break;
            }
            left -= *frame;
            self.frames.pop_front();
            self.torn = self.torn.saturating_sub(1);
            self.completed += 1;
            completed += 1;
        }
        completed
    }

    /// Of how many frames, from the first ever pushed, any byte may have been written.
    pub(crate) fn begun(&self) -> u64 {
        self.completed + self.torn as u64
    }
}

#[cfg(test)]
mod tests;
