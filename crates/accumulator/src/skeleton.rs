#![expect(missing_docs, clippy::todo, reason = "shapes only; the bodies follow")]
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use milena_wire::*;

use crate::*;

#[derive(Clone, Debug)]
pub struct Accumulator {}

impl Accumulator {
    pub fn new(_config: AccumulatorConfig, _seed: u64, _hooks: Arc<dyn Hooks>) -> Self {
        todo!()
    }
    pub fn append(
        &self,
        _at: At,
        _record: &RecordRef<'_>,
        _urgency: Urgency,
        _memory: Option<Reservation>,
    ) -> Result<Delivery, Refused> {
        todo!()
    }
    pub fn append_with_token(
        &self,
        _at: At,
        _record: &RecordRef<'_>,
        _urgency: Urgency,
        _memory: Option<Reservation>,
        _token: u64,
    ) -> Result<(), Refused> {
        todo!()
    }
    pub fn reserve(&self, _bytes: usize) -> Reserve {
        todo!()
    }
    pub fn take_ready(&self, _out: &mut Vec<Arc<PartitionQueue>>) {
        todo!()
    }
    pub fn take_waiting_topics(&self, _out: &mut Vec<TopicName>) {
        todo!()
    }
    pub fn set_topic(&self, _at: At, _name: &TopicName, _shape: &TopicShape) {
        todo!()
    }
    /// Fails all records that wait for the topic to become known; how many.
    pub fn fail_waiting(&self, _topic: &TopicName, _failure: Failure) -> usize {
        todo!()
    }
    /// Fails the waiting records created at or before `before`; when the oldest that remains was created.
    pub fn expire_waiting(&self, _topic: &TopicName, _before: Timestamp, _failure: Failure) -> Option<Timestamp> {
        todo!()
    }
    pub fn memory(&self) -> MemoryUse {
        todo!()
    }
    /// Refuses further records and wakes who waits for memory.
    pub fn close(&self) {
        todo!()
    }
    pub fn topic_partitions(&self, _name: &str) -> Option<usize> {
        todo!()
    }
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TopicShape {
    /// How many partitions the topic has.
    pub partitions: usize,
    /// Those whose leader is known, ascending.
    pub with_leader: Vec<PartitionId>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MemoryUse {
    pub limit: usize,
    pub used: usize,
    /// How many wait for memory.
    pub waiting: usize,
}

#[derive(Debug)]
#[must_use]
pub struct Reserve {}
impl Future for Reserve {
    type Output = Result<Reservation, Closed>;
    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Self::Output> {
        todo!()
    }
}
impl Reserve {
    /// `None`: not in time.
    pub fn wait_blocking(self, _timeout: Duration) -> Option<Result<Reservation, Closed>> {
        todo!()
    }
}
#[derive(Debug)]
pub struct Reservation {}
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Closed;

#[derive(Debug)]
pub struct PartitionQueue {}

/// What of a queue [`PartitionQueue::close_head`] may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Take {
    ClosedOnly,
    OpenToo,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct QueueView {
    /// Closed batches.
    pub closed: usize,
    /// When the open batch's first record came, if there is an open batch with records.
    pub open_since: Option<Timestamp>,
    /// The oldest batch's creation, closed or open.
    pub oldest: Option<Timestamp>,
    /// The open batch should not linger.
    pub urgent: bool,
    /// Uncompressed bytes of all batches.
    pub bytes: usize,
}

impl PartitionQueue {
    pub fn topic(&self) -> &TopicName {
        todo!()
    }
    pub fn partition(&self) -> PartitionId {
        todo!()
    }
    pub fn slot(&self) -> usize {
        todo!()
    }
    pub fn view(&self) -> QueueView {
        todo!()
    }
    pub fn close_head(&self, _take: Take) -> Option<ClosedBatch> {
        todo!()
    }
    pub fn go_idle(&self) -> bool {
        todo!()
    }
    pub fn set_backlog(&self, _batches: usize) {
        todo!()
    }
}

#[derive(Debug)]
pub struct ClosedBatch {}
impl ClosedBatch {
    pub fn created(&self) -> Timestamp {
        todo!()
    }
    pub fn count(&self) -> RecordCount {
        todo!()
    }
    pub fn bytes(&self) -> usize {
        todo!()
    }
    pub fn seal(self) -> SealedBatch {
        todo!()
    }
    /// Gives the batch its outcome without sealing it (expired, purged, ..).
    pub fn settle(self, _outcome: Outcome) {
        todo!()
    }
}

/// Identity and place of a batch in its partition's stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stamp {
    pub producer_id: ProducerId,
    pub epoch: ProducerEpoch,
    pub sequence: Sequence,
}

#[derive(Debug)]
pub struct SealedBatch {}
impl SealedBatch {
    pub fn topic(&self) -> &TopicName {
        todo!()
    }
    pub fn partition(&self) -> PartitionId {
        todo!()
    }
    pub fn created(&self) -> Timestamp {
        todo!()
    }
    pub fn count(&self) -> RecordCount {
        todo!()
    }
    /// Bytes on the wire, header included.
    pub fn wire_size(&self) -> usize {
        todo!()
    }
    /// Uncompressed bytes, header included.
    pub fn bytes(&self) -> usize {
        todo!()
    }
    pub fn codec(&self) -> Codec {
        todo!()
    }
    pub fn payload(&self) -> &[Bytes] {
        todo!()
    }
    pub fn header(&self, _stamp: Option<Stamp>) -> [u8; BATCH_HEADER_LEN] {
        todo!()
    }
    pub fn settle(self, _outcome: Outcome) {
        todo!()
    }
    #[expect(clippy::result_large_err, reason = "the batch comes back")]
    pub fn split(self, _max_bytes: usize) -> Result<Vec<Self>, Self> {
        todo!()
    }
    /// Settles the listed records (index in the batch), and keeps the rest as a new batch; none if none is left.
    pub fn split_out(self, _bad: &[(u32, Arc<Failure>)]) -> Option<Self> {
        todo!()
    }
    /// Frees the payload; what remains can be settled.
    pub fn release_payload(&mut self) {
        todo!()
    }
}

#[derive(Debug)]
#[must_use]
pub struct Delivery {}
impl Future for Delivery {
    type Output = Result<Receipt, DeliveryError>;
    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Self::Output> {
        todo!()
    }
}
impl Delivery {
    pub fn wait(self) -> Result<Receipt, DeliveryError> {
        todo!()
    }
    /// The handle comes back if nothing is known in time.
    pub fn wait_timeout(self, _timeout: Duration) -> Result<Result<Receipt, DeliveryError>, Self> {
        todo!()
    }
    pub fn is_done(&self) -> bool {
        todo!()
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Receipt {
    pub topic: TopicName,
    pub partition: PartitionId,
    pub offset: Option<Offset>,
    pub timestamp_ms: i64,
    pub acknowledged: bool,
    pub key_size: Option<usize>,
    pub value_size: Option<usize>,
    pub encoded_size: usize,
}

#[derive(Clone, Debug)]
pub struct DeliveryError(Arc<Failure>);
impl DeliveryError {
    pub fn fate(&self) -> Fate {
        self.0.fate
    }
    pub fn kind(&self) -> FailureKind {
        self.0.kind
    }
    pub fn failure(&self) -> &Failure {
        &self.0
    }
}
impl std::fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
impl std::error::Error for DeliveryError {}
