//! Failed batches that are handed out with their records, instead of going with their outcome.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use milena_wire::{
    BATCH_HEADER_LEN, BatchHeader, Codec, CodecError, PartitionId, Payload, RecordCount, RecordTimes, Records,
    Timestamp, TopicName, decompress,
};

use crate::cell::Home;
use crate::sealed::{Stamp, header_of};
use crate::story::Story;
use crate::{Failure, Fate, Outcome};

/// A batch that will not be delivered by the sender, with its records and the outcome that their callers are owed.
///
/// Given to [`Hooks::divert`](crate::Hooks::divert). Dropped without an outcome it [`settle`](Self::settle)s itself with its
/// [`failure`](Self::failure). Its memory counts until it is dropped.
pub struct Diverted {
    /// None once the outcome was told. Dropped before `body`, as everywhere: who hears of the outcome may find the memory taken.
    story: Option<Story>,
    home: Arc<Home>,
    failure: Arc<Failure>,
    body: Body,
}

/// The records of a batch, and what its header says of them.
pub(crate) struct Body {
    pub(crate) payload: Payload,
    pub(crate) codec: Codec,
    pub(crate) stamp: Option<Stamp>,
    /// Uncompressed records.
    pub(crate) bytes: usize,
    pub(crate) count: RecordCount,
    pub(crate) base_timestamp: i64,
    pub(crate) max_timestamp: i64,
    pub(crate) created: Timestamp,
    /// Whether it came out of a partition's queue.
    pub(crate) placed: bool,
}

impl Body {
    /// Records that were never compressed, with their first and greatest timestamps.
    pub(crate) fn plain(
        payload: Payload,
        bytes: usize,
        count: RecordCount,
        (base_timestamp, max_timestamp): (i64, i64),
        created: Timestamp,
    ) -> Self {
        let (codec, stamp, placed) = (Codec::None, None, true);
        Self { payload, codec, stamp, bytes, count, base_timestamp, max_timestamp, created, placed }
    }
}

impl Diverted {
    /// Gives it to the hooks.
    pub(crate) fn hand_out(story: Story, failure: Arc<Failure>, body: Body) {
        let home = Arc::clone(story.home());
        let hooks = Arc::clone(&home.hooks);
        hooks.divert(Self { story: Some(story), home, failure, body });
    }

    /// Where the records were to go.
    #[must_use]
    pub fn topic(&self) -> &TopicName {
        self.home.topic
    }

    /// Where they were to go; none if they failed before they had a partition, and named none.
    #[must_use]
    pub fn partition(&self) -> Option<PartitionId> {
        self.home.partition
    }

    /// Whether they were on their way to their partition. Else they waited for their topic to become known, even if they name a partition.
    #[must_use]
    pub fn is_placed(&self) -> bool {
        self.body.placed
    }

    /// Why they were not delivered, and whether they can be on the log nevertheless.
    #[must_use]
    pub fn failure(&self) -> &Arc<Failure> {
        &self.failure
    }

    /// How many records there are.
    #[must_use]
    pub fn count(&self) -> RecordCount {
        self.body.count
    }

    /// When the first of them was appended.
    #[must_use]
    pub fn created(&self) -> Timestamp {
        self.body.created
    }

    /// What the batch was stamped with when it was sent last, if it was and the producer is idempotent.
    #[must_use]
    pub fn stamp(&self) -> Option<Stamp> {
        self.body.stamp
    }

    /// Bytes of the batch as it is, header included.
    #[must_use]
    pub fn wire_size(&self) -> usize {
        BATCH_HEADER_LEN + self.body.payload.iter().map(Bytes::len).sum::<usize>()
    }

    /// What goes in front of the [`payload`](Self::payload) to make a complete batch, CRC included: stamped as it was sent last if it may
    /// have been written, so that a broker can recognise it; else without a stamp.
    #[must_use]
    pub fn header(&self) -> BatchHeader {
        let stamp = self.body.stamp.filter(|_| self.failure.fate == Fate::MaybeWritten);
        header_of(self.body.codec, self.body.count, (self.body.base_timestamp, self.body.max_timestamp), stamp)
    }

    /// The records, compressed if the batch had come that far. Cloning a slice copies nothing; the memory stays counted until the last
    /// clone is dropped.
    #[must_use]
    pub fn payload(&self) -> &[Bytes] {
        &self.body.payload
    }

    /// The records, decoded: a copy that nothing counts. The memory of the batch stays counted beside it.
    ///
    /// # Errors
    ///
    /// The codec does not give back what it was given.
    pub fn records(&self) -> Result<Records<'static>, CodecError> {
        let joined = self.body.payload.concat();
        let plain = match self.body.codec {
            Codec::None => joined,
            codec => decompress(codec, &joined, self.body.bytes)?,
        };
        let times = RecordTimes::created_from(self.body.base_timestamp);
        Ok(Records::over(plain, self.body.count.as_usize(), times))
    }

    /// Tells the callers what became of the records. The first call counts; the records stay here.
    pub fn settle(&mut self, outcome: Outcome) {
        if let Some(story) = self.story.take() {
            // A report that lags behind holds the memory, as that of any batch does.
            story.settle(outcome, self.body.payload.clone());
        }
    }
}

impl Drop for Diverted {
    fn drop(&mut self) {
        self.settle(Outcome::Failed(Arc::clone(&self.failure)));
    }
}

impl fmt::Debug for Diverted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = if self.story.is_some() { "open" } else { "settled" };
        let Self { home, body, failure, .. } = self;
        write!(
            f,
            "Diverted({} {:?}, {} records, {:?}, {open})",
            home.topic,
            home.partition,
            body.count.get(),
            failure.kind
        )
    }
}
