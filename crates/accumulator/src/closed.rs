use std::sync::Arc;

use milena_wire::{BATCH_HEADER_LEN, Codec, PartitionId, Payload, PayloadCrc, RecordCount, Timestamp, TopicName};
use smallvec::SmallVec;

use crate::chunk::Chunk;
use crate::core::Core;
use crate::diverted::Body;
use crate::lent::{self, Insert};
use crate::sealed::SealedBatch;
use crate::squeeze::{Plain, squeeze};
use crate::story::Story;
use crate::sync::Mutex;
use crate::{Diverted, Failure, Fate, Outcome, sealed};

/// A batch that takes no more records, not yet compressed.
///
/// Dropped without an outcome it settles itself as failed ([`RuntimeGone`](crate::FailureKind::RuntimeGone)).
#[derive(Debug)]
#[must_use = "dropping it fails its records"]
pub struct ClosedBatch {
    pub(crate) core: Arc<Core>,
    pub(crate) story: Story,
    pub(crate) chunks: SmallVec<[Chunk; 1]>,
    /// What belongs among the bytes of the chunks.
    pub(crate) inserts: Vec<Insert>,
    pub(crate) bytes: usize,
    pub(crate) count: RecordCount,
    pub(crate) base_timestamp: i64,
    pub(crate) max_timestamp: i64,
    pub(crate) created: Timestamp,
    /// Of the bytes as they are, if they were read for it already.
    pub(crate) crc: Option<PayloadCrc>,
}

impl ClosedBatch {
    /// Reads the bytes for their CRC, unless they are to be compressed: for who has them in its cache.
    pub(crate) fn read(&mut self) {
        if !self.is_compressing() {
            self.crc = Some(match &self.inserts[..] {
                [] => PayloadCrc::of(&self.chunks),
                inserts => PayloadCrc::of(&lent::slices(&self.chunks, inserts)),
            });
        }
    }

    /// Where it goes.
    #[must_use]
    pub fn topic(&self) -> &TopicName {
        self.story.home().topic
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

    /// Bytes in its chunks.
    pub(crate) fn copied(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.as_ref().len()).sum()
    }

    /// Whether [`seal`](Self::seal) has to compress, which should not be done on the I/O thread.
    #[must_use]
    pub fn is_compressing(&self) -> bool {
        self.core.config.compression.codec() != Codec::None
    }

    /// Freezes the bytes, and reads them for their CRC.
    ///
    /// Without a codec nothing is copied. With one the records are compressed, and what comes of it is written over them; the rest of their
    /// memory is given back. If that saves nothing the batch goes uncompressed; so it does if the codec fails, which
    /// [`SealedBatch::codec_failure`] tells.
    pub fn seal(self) -> SealedBatch {
        let (owed, job) = self.part();
        owed.seal_with(job.seal())
    }

    /// Parts what is owed to callers from the bytes, so that they can be told while the bytes are with a codec on another thread.
    pub fn part(self) -> (OwedBatch, SealJob) {
        let Self { core, story, chunks, inserts, bytes, count, base_timestamp, max_timestamp, created, crc } = self;
        let (plain, kept) = if core.config.divert {
            let kept = lent::frozen(chunks, inserts);
            (Plain::Shared(kept.clone()), kept)
        } else {
            (Plain::Own(chunks, inserts), Payload::new())
        };
        let job = SealJob { core: Arc::clone(&core), plain, bytes, crc };
        (OwedBatch { core, story, kept, bytes, count, base_timestamp, max_timestamp, created }, job)
    }

    /// Gives its records their outcome without sealing it: it expired, was purged, or its topic is gone.
    pub fn settle(self, outcome: Outcome) {
        match outcome {
            Outcome::Failed(failure) => self.fail(failure, true),
            outcome => self.story.settle(outcome, (self.chunks, self.inserts)),
        }
    }

    /// Fails its records. `placed`: they were on their way to their partition.
    pub(crate) fn fail(self, failure: Arc<Failure>, placed: bool) {
        let Self { core, story, chunks, inserts, bytes, count, base_timestamp, max_timestamp, created, crc: _ } = self;
        if !core.config.divert {
            return story.settle(Outcome::Failed(failure), (chunks, inserts));
        }
        let times = (base_timestamp, max_timestamp);
        let body = Body::plain(lent::frozen(chunks, inserts), bytes, count, times, created);
        Diverted::hand_out(story, failure, Body { placed, ..body });
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
    /// The bytes as they went to the codec, if somebody wants them should the batch fail meanwhile.
    kept: Payload,
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
        let Self { core, story, kept: _, bytes, count, base_timestamp, max_timestamp, created } = self;
        let SealedBytes { codec, codec_failure, crc, payload } = sealed;
        SealedBatch {
            core,
            story,
            payload,
            crc,
            codec,
            codec_failure,
            stamp: Mutex::default(),
            bytes,
            count,
            base_timestamp,
            max_timestamp,
            created,
        }
    }

    /// Gives its records their outcome. Their memory is given back when the bytes are dropped, wherever they are.
    pub fn settle(self, outcome: Outcome) {
        let Self { core, story, kept, bytes, count, base_timestamp, max_timestamp, created } = self;
        match outcome {
            Outcome::Failed(failure) if core.config.divert => {
                let body = Body::plain(kept, bytes, count, (base_timestamp, max_timestamp), created);
                Diverted::hand_out(story, failure, body);
            }
            outcome => story.settle(outcome, ()),
        }
    }

    /// Settles it as dropping it would, but hands it out first if failed batches are: for whoever will not deliver anything any more. Tells the fate.
    pub fn abandon(self) -> Fate {
        let failure = self.story.gone();
        let fate = failure.fate;
        self.settle(Outcome::Failed(failure));
        fate
    }
}

/// The bytes of a closed batch, to be sealed on any thread.
#[derive(Debug)]
#[must_use = "the batch waits for its bytes"]
pub struct SealJob {
    core: Arc<Core>,
    plain: Plain,
    bytes: usize,
    /// Of `plain`, if that was read already.
    crc: Option<PayloadCrc>,
}

impl SealJob {
    /// Uncompressed bytes of the records.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Freezes the bytes, as [`ClosedBatch::seal`] does.
    pub fn seal(self) -> SealedBytes {
        let Self { core, plain, bytes, crc } = self;
        let compression = core.config.compression;
        let squeezed = match compression.codec() {
            Codec::None => Ok(None),
            _ => squeeze(compression, &plain, bytes),
        };
        let (codec, payload, codec_failure) = match squeezed {
            Ok(Some(small)) => (compression.codec(), plain.overwritten(&small, &core.memory), None),
            Ok(None) => (Codec::None, plain.frozen(), None),
            Err(failure) => (Codec::None, plain.frozen(), Some(failure)),
        };
        let crc = crc.unwrap_or_else(|| PayloadCrc::of(&payload));
        SealedBytes { codec, codec_failure, crc, payload }
    }
}

/// The final bytes of a batch, on their way back to it.
#[derive(Debug)]
#[must_use = "the batch waits for its bytes"]
pub struct SealedBytes {
    codec: Codec,
    codec_failure: Option<Box<str>>,
    crc: PayloadCrc,
    payload: Payload,
}

impl SealedBytes {
    /// As [`SealedBatch::codec_failure`].
    #[must_use]
    pub fn codec_failure(&self) -> Option<&str> {
        self.codec_failure.as_deref()
    }
}
