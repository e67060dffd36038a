use std::sync::Arc;

use milena_mutants::Mutant;
use milena_wire::{
    BATCH_HEADER_LEN, BatchHeader, Codec, PartitionId, Payload, PayloadCrc, ProducerEpoch, ProducerId, RecordCount,
    Sequence, Timestamp, TopicName,
};

use crate::core::Core;
use crate::diverted::Body;
use crate::story::Story;
use crate::sync::Mutex;
use crate::{Diverted, Fate, Outcome};

/// Identity and place of a batch in its partition's stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stamp {
    /// The idempotent producer.
    pub producer_id: ProducerId,
    /// Its generation.
    pub epoch: ProducerEpoch,
    /// Of the batch's first record.
    pub sequence: Sequence,
}

/// A batch whose bytes are final but for the 61-byte header, which is made anew for each attempt.
///
/// Dropped without an outcome it settles itself as failed ([`RuntimeGone`](crate::FailureKind::RuntimeGone)): MaybeWritten if a header
/// was ever made, else NotWritten.
#[derive(Debug)]
#[must_use = "dropping it fails its records"]
pub struct SealedBatch {
    pub(crate) core: Arc<Core>,
    pub(crate) story: Story,
    pub(crate) payload: Payload,
    /// CRC and length of the payload, also after it was released.
    pub(crate) crc: PayloadCrc,
    pub(crate) codec: Codec,
    /// Why the codec was not used, if it broke.
    pub(crate) codec_failure: Option<Box<str>>,
    /// What the last header was stamped with.
    pub(crate) stamp: Mutex<Option<Stamp>>,
    /// Uncompressed records.
    pub(crate) bytes: usize,
    pub(crate) count: RecordCount,
    pub(crate) base_timestamp: i64,
    pub(crate) max_timestamp: i64,
    pub(crate) created: Timestamp,
}

impl SealedBatch {
    /// Where it goes.
    #[must_use]
    pub fn topic(&self) -> &TopicName {
        self.story.home().topic
    }

    /// Where it goes.
    #[must_use]
    pub fn partition(&self) -> PartitionId {
        partition_of(&self.story)
    }

    /// When its first record was appended; the delivery timeout counts from here. The pieces of a split keep it.
    #[must_use]
    pub fn created(&self) -> Timestamp {
        self.created
    }

    /// How many records it holds.
    #[must_use]
    pub fn count(&self) -> RecordCount {
        self.count
    }

    /// Bytes on the wire, header included.
    #[must_use]
    pub fn wire_size(&self) -> usize {
        BATCH_HEADER_LEN + self.crc.payload_len()
    }

    /// Uncompressed bytes, header included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        BATCH_HEADER_LEN + self.bytes
    }

    /// How it is compressed: the configured codec, or none where that saved nothing or [failed](Self::codec_failure).
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// What the codec said, if it returned an error or panicked, so that the batch goes uncompressed though another codec is configured.
    /// Whoever sends the batch should tell.
    #[must_use]
    pub fn codec_failure(&self) -> Option<&str> {
        self.codec_failure.as_deref()
    }

    /// What follows the header. Cloning a slice copies nothing; the memory stays counted until the last clone is dropped.
    #[must_use]
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// The header for one attempt, with the CRC of both; the payload was read for it when it was sealed. From here on the batch counts as possibly written.
    ///
    /// Without a stamp it is the batch of a producer that is not idempotent.
    #[must_use]
    pub fn header(&self, stamp: Option<Stamp>) -> [u8; BATCH_HEADER_LEN] {
        self.story.set_attempted();
        *self.stamp.lock() = stamp;
        header_of(self.codec, self.count, (self.base_timestamp, self.max_timestamp), stamp)
            .encode_in_front_of(&self.crc)
    }

    /// Gives all its records their outcome, and then the memory back (but for what a request in flight still holds).
    pub fn settle(self, outcome: Outcome) {
        let Self { core, story, payload, codec, stamp, bytes, count, base_timestamp, max_timestamp, created, .. } =
            self;
        if Mutant::FailureHoldsMemory.lives() && matches!(outcome, Outcome::Failed(_)) {
            std::mem::forget(payload.clone());
        }
        match outcome {
            Outcome::Failed(failure) if core.config.divert => {
                let stamp = *stamp.lock();
                let plain = Body::plain(payload, bytes, count, (base_timestamp, max_timestamp), created);
                Diverted::hand_out(story, failure, Body { codec, stamp, ..plain });
            }
            outcome => story.settle(outcome, payload),
        }
    }

    /// Settles it as dropping it would, but hands it out first if failed batches are: for whoever will not deliver anything any more. Tells the fate.
    pub fn abandon(self) -> Fate {
        let failure = self.story.gone();
        let fate = failure.fate;
        self.settle(Outcome::Failed(failure));
        fate
    }

    /// Frees the payload of a batch that will not be sent again, though its outcome is not known yet.
    pub fn release_payload(&mut self) {
        self.payload = Payload::new();
    }
}

/// The header of records with these first and greatest timestamps; its length and CRC are computed when it is encoded.
pub(crate) fn header_of(
    codec: Codec,
    count: RecordCount,
    (base_timestamp, max_timestamp): (i64, i64),
    stamp: Option<Stamp>,
) -> BatchHeader {
    let (producer_id, producer_epoch, base_sequence) = match stamp {
        Some(stamp) => (stamp.producer_id, stamp.epoch, stamp.sequence.get()),
        None => (ProducerId::NONE, ProducerEpoch::NONE, Sequence::NONE.get()),
    };
    BatchHeader {
        producer_id,
        producer_epoch,
        base_sequence,
        ..BatchHeader::of_records(codec, count.get(), base_timestamp, max_timestamp)
    }
}

/// The partition of a batch, which always has one: only records that wait for their topic have none.
pub(crate) fn partition_of(story: &Story) -> PartitionId {
    story.partition().unwrap_or(PartitionId(-1))
}
