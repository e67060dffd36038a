//! Produce requests: what one carries, and how its answer finds the batches.

use std::collections::BTreeMap;

use milena_sequence::{Attempt, BatchKey};
use milena_wire::message::produce::{ProducePartition, ProduceRequest, ProduceTopic};
use milena_wire::{BATCH_HEADER_LEN, BrokerId, PartitionId, Timestamp, TopicId, TopicName};

/// One batch in a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item {
    pub(crate) partition: PartitionId,
    pub(crate) slot: usize,
    pub(crate) key: BatchKey,
    pub(crate) attempt: Attempt,
}

/// The batches of one topic in a request, by partition.
#[derive(Debug)]
pub(crate) struct TopicItems {
    pub(crate) name: TopicName,
    /// The id at the time of sending: it may change before the answer.
    pub(crate) id: TopicId,
    pub(crate) items: Vec<Item>,
}

/// A request in flight.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) sent_at: Timestamp,
    /// What is told of its answer is told inside this.
    pub(crate) span: tracing::Span,
    pub(crate) topics: Vec<TopicItems>,
}

impl Request {
    pub(crate) fn items(&self) -> impl Iterator<Item = &Item> {
        self.topics.iter().flat_map(|topic| &topic.items)
    }

    /// Finds the topics by name or, from version 13 on, by id.
    pub(crate) fn index(&self) -> BTreeMap<(TopicName, TopicId), usize> {
        let mut index = BTreeMap::new();
        for (at, topic) in self.topics.iter().enumerate() {
            index.insert((topic.name.clone(), TopicId::ZERO), at);
            if !topic.id.is_zero() {
                index.insert((TopicName::new(""), topic.id), at);
            }
        }
        index
    }
}

/// Limits of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) bytes: usize,
    pub(crate) slices: usize,
}

/// A request that is being put together.
#[derive(Debug)]
pub(crate) struct Builder {
    limits: Limits,
    bytes: usize,
    slices: usize,
    topics: BTreeMap<usize, TopicBatches>,
}

#[derive(Debug)]
struct TopicBatches {
    name: TopicName,
    id: TopicId,
    batches: Vec<(Item, ProducePartition)>,
}

impl Builder {
    pub(crate) fn new(limits: Limits) -> Self {
        // One slice is the frame's end.
        Self { limits, bytes: 0, slices: 1, topics: BTreeMap::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// Whether a batch of so many bytes in so many slices may join. The first always may.
    pub(crate) fn fits(&self, bytes: usize, payload_slices: usize) -> bool {
        self.is_empty()
            || (self.bytes + bytes <= self.limits.bytes && self.slices + 1 + payload_slices <= self.limits.slices)
    }

    pub(crate) fn push(&mut self, topic: usize, name: &TopicName, id: TopicId, item: Item, batch: ProducePartition) {
        debug_assert!(batch.header.len() == BATCH_HEADER_LEN);
        self.bytes += batch.batch_len();
        self.slices += 1 + batch.payload.len();
        let new = || TopicBatches { name: name.clone(), id, batches: Vec::new() };
        self.topics.entry(topic).or_insert_with(new).batches.push((item, batch));
    }

    pub(crate) fn build(
        self,
        broker: BrokerId,
        acks: i16,
        timeout_ms: i32,
        now: Timestamp,
    ) -> (ProduceRequest, Request) {
        let batches: usize = self.topics.values().map(|topic| topic.batches.len()).sum();
        let span = tracing::debug_span!("produce", %broker, batches, bytes = self.bytes);
        let mut out = ProduceRequest { transactional_id: None, acks, timeout_ms, topics: Vec::new() };
        let mut request = Request { sent_at: now, span, topics: Vec::new() };
        for TopicBatches { name, id, mut batches } in self.topics.into_values() {
            batches.sort_by_key(|(item, _)| item.partition);
            let (items, partitions) = batches.into_iter().unzip();
            out.topics.push(ProduceTopic { name: name.clone(), id, partitions });
            request.topics.push(TopicItems { name, id, items });
        }
        (out, request)
    }
}
