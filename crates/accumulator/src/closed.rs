use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use milena_wire::{BATCH_HEADER_LEN, Codec, PartitionId, RecordCount, Timestamp, TopicName, compress};

use crate::chunk::Chunk;
use crate::core::Core;
use crate::memory::{Funds, Memory};
use crate::sealed::SealedBatch;
use crate::story::Story;
use crate::{Outcome, sealed};

/// A batch that takes no more records, not yet compressed.
///
/// Dropped without an outcome it settles itself as failed ([`RuntimeGone`](crate::FailureKind::RuntimeGone)).
#[derive(Debug)]
#[must_use = "dropping it fails its records"]
pub struct ClosedBatch {
    pub(crate) core: Arc<Core>,
    pub(crate) story: Story,
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) bytes: usize,
    pub(crate) count: RecordCount,
    pub(crate) base_timestamp: i64,
    pub(crate) max_timestamp: i64,
    pub(crate) created: Timestamp,
}

impl ClosedBatch {
    /// Where it goes.
    #[must_use]
    pub fn topic(&self) -> &TopicName {
        &self.story.home().topic
    }

    /// Where it goes.
    #[must_use]
    pub fn partition(&self) -> PartitionId {
        sealed::partition_of(&self.story)
    }

    /// When its first record was appended; the delivery timeout counts from here.
    #[must_use]
    pub fn created(&self) -> Timestamp {
        self.created
    }

    /// How many records it holds.
    #[must_use]
    pub fn count(&self) -> RecordCount {
        self.count
    }

    /// Uncompressed size on the wire, header included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        BATCH_HEADER_LEN + self.bytes
    }

    /// Whether [`seal`](Self::seal) has to compress, which should not be done on the I/O thread.
    #[must_use]
    pub fn is_compressing(&self) -> bool {
        self.core.config.compression.codec() != Codec::None
    }

    /// Freezes the bytes.
    ///
    /// Without a codec nothing is copied. With one the records are compressed into a buffer that is counted in place of the chunks; if
    /// that fails, or saves nothing, the batch goes uncompressed.
    pub fn seal(self) -> SealedBatch {
        let Self { core, story, chunks, bytes, count, base_timestamp, max_timestamp, created } = self;
        let plain: Vec<Bytes> = chunks.into_iter().map(Bytes::from_owner).collect();
        let (codec, payload) = match squeeze(&core, &plain, bytes) {
            Some(small) => (core.config.compression.codec(), vec![small]),
            None => (Codec::None, plain),
        };
        SealedBatch {
            core,
            story,
            payload_bytes: payload.iter().map(Bytes::len).sum(),
            payload,
            codec,
            bytes,
            count,
            base_timestamp,
            max_timestamp,
            created,
        }
    }

    /// Gives its records their outcome without sealing it: it expired, was purged, or its topic is gone.
    pub fn settle(self, outcome: Outcome) {
        let Self { story, chunks, .. } = self;
        story.settle(outcome, chunks);
    }
}

/// The records compressed, if there is a codec and it helps.
fn squeeze(core: &Core, plain: &[Bytes], bytes: usize) -> Option<Bytes> {
    if core.config.compression.codec() == Codec::None {
        return None;
    }
    // A codec that breaks on some input costs the compression and nothing else: nothing of ours is touched by the call.
    let compressed = catch_unwind(AssertUnwindSafe(|| compress(core.config.compression, plain, bytes / 2)));
    let mut out = compressed.ok()?.ok()?;
    if out.len() >= bytes {
        return None;
    }
    if out.capacity() > out.len() + out.len() / 4 {
        out.shrink_to_fit();
    }
    Some(Bytes::from_owner(Counted::new(out, Arc::clone(&core.memory))))
}

/// A buffer that is not a chunk, counted against the budget.
struct Counted {
    buffer: Vec<u8>,
    memory: Arc<Memory>,
}

impl Counted {
    fn new(buffer: Vec<u8>, memory: Arc<Memory>) -> Self {
        // Forced: to wait for memory here would be to wait for batches that cannot be sent before this one.
        memory.charge(buffer.capacity(), Funds::Forced);
        Self { buffer, memory }
    }
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.memory.release(self.buffer.capacity());
    }
}
