//! Where callers write: the open batch of a partition.

use std::sync::Arc;

use crate::ClosedBatch;
use crate::core::Core;
use crate::line::Begun;
use crate::open::OpenBatch;

/// Bytes of a record from which on it is not the caller's thread that limits the rate, whoever hears of it.
pub(crate) const LARGE: usize = 512;

/// Bytes of a batch up to which they are read under the tail's lock: those of the default `batch.size`.
const READ_AT_ONCE: usize = 256 << 10;

/// Behind the lock that every record takes.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    pub(crate) open: Option<OpenBatch>,
    /// Bytes in the chunks of the last batch that was closed, from which the size of the next one's first chunk is guessed.
    pub(crate) last_batch: usize,
    /// The accumulator was closed: no more records.
    pub(crate) refusing: bool,
}

impl Tail {
    /// The open batch, closed.
    pub(crate) fn close(&mut self, core: &Arc<Core>) -> Option<ClosedBatch> {
        let batch = self.open.take()?.close(core)?;
        self.last_batch = batch.copied();
        Some(batch)
    }

    /// As [`close`](Self::close), for the thread that has written the batch: its bytes are read for the CRC now, while they are likely in this
    /// processor's cache, unless it is the caller's thread that limits the rate. It does with small records of which it hears itself. (Of more
    /// than a usual batch it is left to the I/O thread, as others may wait at this lock.)
    pub(crate) fn close_full(&mut self, core: &Arc<Core>) -> Option<ClosedBatch> {
        let mut batch = self.close(core)?;
        let are_large = batch.bytes() >= LARGE * batch.count().as_usize();
        let a_handler_hears = !batch.story.tokens.is_empty();
        if (are_large || a_handler_hears) && batch.bytes() <= READ_AT_ONCE {
            batch.read();
        }
        Some(batch)
    }

    pub(crate) fn begun(&self) -> Option<Begun> {
        self.open.as_ref().map(|open| Begun { since: open.created, urgent: open.urgent })
    }
}
