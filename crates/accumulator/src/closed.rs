use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use milena_wire::{BATCH_HEADER_LEN, Codec, PartitionId, PayloadCrc, RecordCount, Timestamp, TopicName, compress};

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

    /// Freezes the bytes, and reads them for their CRC.
    ///
    /// Without a codec nothing is copied. With one the records are compressed into a buffer that is counted in place of the chunks; if
    /// that fails, or saves nothing, the batch goes uncompressed.
    pub fn seal(self) -> SealedBatch {
        let (owed, job) = self.part();
        owed.seal_with(job.seal())
    }

    /// Parts what is owed to callers from the bytes, so that they can be told while the bytes are with a codec on another thread.
    pub fn part(self) -> (OwedBatch, SealJob) {
        let Self { core, story, chunks, bytes, count, base_timestamp, max_timestamp, created } = self;
        let job = SealJob { core: Arc::clone(&core), chunks, bytes };
        (OwedBatch { core, story, bytes, count, base_timestamp, max_timestamp, created }, job)
    }

    /// Gives its records their outcome without sealing it: it expired, was purged, or its topic is gone.
    pub fn settle(self, outcome: Outcome) {
        let Self { story, chunks, .. } = self;
        story.settle(outcome, chunks);
    }
}

/// A batch whose bytes are elsewhere.
///
/// Dropped without an outcome it settles itself as failed ([`RuntimeGone`](crate::FailureKind::RuntimeGone)).
#[derive(Debug)]
#[must_use = "dropping it fails its records"]
pub struct OwedBatch {
    core: Arc<Core>,
    story: Story,
    bytes: usize,
    count: RecordCount,
    base_timestamp: i64,
    max_timestamp: i64,
    created: Timestamp,
}

impl OwedBatch {
    /// When its first record was appended.
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

    /// Joins it with its bytes again. Those of another batch would be sent under this one's name.
    pub fn seal_with(self, sealed: SealedBytes) -> SealedBatch {
        let Self { core, story, bytes, count, base_timestamp, max_timestamp, created } = self;
        let SealedBytes { codec, crc, payload } = sealed;
        SealedBatch { core, story, payload, crc, codec, bytes, count, base_timestamp, max_timestamp, created }
    }

    /// Gives its records their outcome. Their memory is given back when the bytes are dropped, wherever they are.
    pub fn settle(self, outcome: Outcome) {
        self.story.settle(outcome, ());
    }
}

/// The bytes of a closed batch, to be sealed on any thread.
#[derive(Debug)]
#[must_use = "the batch waits for its bytes"]
pub struct SealJob {
    core: Arc<Core>,
    chunks: Vec<Chunk>,
    bytes: usize,
}

impl SealJob {
    /// Freezes the bytes, as [`ClosedBatch::seal`] does.
    pub fn seal(self) -> SealedBytes {
        let Self { core, chunks, bytes } = self;
        let plain: Vec<Bytes> = chunks.into_iter().map(Bytes::from_owner).collect();
        let (codec, payload) = match squeeze(&core, &plain, bytes) {
            Some(small) => (core.config.compression.codec(), vec![small]),
            None => (Codec::None, plain),
        };
        SealedBytes { codec, crc: PayloadCrc::of(&payload), payload }
    }
}

/// The final bytes of a batch, on their way back to it.
#[derive(Debug)]
#[must_use = "the batch waits for its bytes"]
pub struct SealedBytes {
    codec: Codec,
    crc: PayloadCrc,
    payload: Vec<Bytes>,
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
