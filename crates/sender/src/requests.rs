//! Produce requests: what one carries, and how its answer finds the batches.

use std::collections::BTreeMap;

use milena_sequence::{Attempt, BatchKey};
use milena_wire::message::produce::{ProducePartition, ProduceRequest, ProduceTopic};
use milena_wire::{BATCH_HEADER_LEN, BrokerId, PartitionId, Timestamp, TopicId, TopicName};
use smallvec::SmallVec;

/// One batch in a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item {
    pub(crate) partition: PartitionId,
    pub(crate) slot: usize,
    pub(crate) key: BatchKey,
    pub(crate) attempt: Attempt,
}

/// The batches of one topic in a request.
#[derive(Debug)]
pub(crate) struct TopicItems {
    pub(crate) name: TopicName,
    /// The id at the time of sending: it may change before the answer.
    pub(crate) id: TopicId,
    /// How many items the topics before it have.
    pub(crate) first: usize,
    pub(crate) items: SmallVec<[Item; 4]>,
}

/// A request in flight.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) sent_at: Timestamp,
    /// What is told of its answer is told inside this.
    pub(crate) span: tracing::Span,
    pub(crate) topics: SmallVec<[TopicItems; 1]>,
}

impl Request {
    pub(crate) fn items(&self) -> impl Iterator<Item = &Item> {
        self.topics.iter().flat_map(|topic| &topic.items)
    }
}

/// Finds what an answer is about in its request. Looks first where it was in the request, as some brokers keep the order.
#[derive(Debug)]
pub(crate) struct Directory<'a> {
    topics: &'a [TopicItems],
    by_name: Option<BTreeMap<(&'a str, TopicId), usize>>,
    /// Topic, partition, place; in ascending order.
    by_partition: Option<Vec<(usize, PartitionId, usize)>>,
}

impl<'a> Directory<'a> {
    pub(crate) fn new(request: &'a Request) -> Self {
        Self { topics: &request.topics, by_name: None, by_partition: None }
    }

    /// The place of a topic, which came as the `nth` of the answer: by name or, from version 13 on, by id.
    pub(crate) fn topic(&mut self, nth: usize, name: &TopicName, id: TopicId) -> Option<usize> {
        let wanted = (name.as_str(), id);
        let is_it = |topic: &TopicItems| match id.is_zero() {
            true => topic.name == *name,
            false => topic.id == id && name.as_str().is_empty(),
        };
        if self.topics.get(nth).is_some_and(is_it) {
            return Some(nth);
        }
        let index = self.by_name.get_or_insert_with(|| {
            let mut index = BTreeMap::new();
            for (at, topic) in self.topics.iter().enumerate() {
                index.insert((topic.name.as_str(), TopicId::ZERO), at);
                if !topic.id.is_zero() {
                    index.insert(("", topic.id), at);
                }
            }
            index
        });
        index.get(&wanted).copied()
    }

    /// The place of a partition of the topic in place `topic`, which came as the `nth` of that in the answer.
    pub(crate) fn partition(&mut self, topic: usize, nth: usize, partition: PartitionId) -> Option<usize> {
        if self.topics[topic].items.get(nth).is_some_and(|item| item.partition == partition) {
            return Some(nth);
        }
        let index = self.by_partition.get_or_insert_with(|| {
            let of = |(at, topic): (usize, &'a TopicItems)| {
                topic.items.iter().enumerate().map(move |(place, item)| (at, item.partition, place))
            };
            let mut index: Vec<_> = self.topics.iter().enumerate().flat_map(of).collect();
            index.sort_unstable();
            index
        });
        let at = index.binary_search_by_key(&(topic, partition), |(topic, partition, _)| (*topic, *partition)).ok()?;
        Some(index[at].2)
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
    batches: usize,
    out: Vec<ProduceTopic>,
    /// As many as `out`, in the same order.
    topics: SmallVec<[TopicItems; 1]>,
    number: u64,
}

/// The last request that a topic was put into, and its place there.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LastPlace {
    request: u64,
    at: usize,
}

impl Builder {
    /// `number` is this request's alone, and not 0.
    pub(crate) fn new(limits: Limits, number: u64) -> Self {
        // One slice is the frame's end.
        Self { limits, bytes: 0, slices: 1, batches: 0, out: Vec::new(), topics: SmallVec::new(), number }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Whether a batch of so many bytes in so many slices may join. The first always may.
    pub(crate) fn fits(&self, bytes: usize, payload_slices: usize) -> bool {
        self.is_empty()
            || (self.bytes + bytes <= self.limits.bytes && self.slices + 1 + payload_slices <= self.limits.slices)
    }

    /// Whether a batch may have no room: before its partition is asked for it, which closes it.
    pub(crate) fn is_half_full(&self) -> bool {
        self.bytes >= self.limits.bytes / 2 || self.slices >= self.limits.slices / 2
    }

    /// Adds a batch. `last` is the topic's own note.
    pub(crate) fn push(
        &mut self,
        last: &mut LastPlace,
        name: &TopicName,
        id: TopicId,
        item: Item,
        batch: ProducePartition,
    ) {
        debug_assert!(batch.header.len() == BATCH_HEADER_LEN);
        self.bytes += batch.batch_len();
        self.slices += 1 + batch.payload.len();
        self.batches += 1;
        if last.request != self.number {
            *last = LastPlace { request: self.number, at: self.out.len() };
            self.out.push(ProduceTopic { name: name.clone(), id, partitions: Vec::new() });
            self.topics.push(TopicItems { name: name.clone(), id, first: 0, items: SmallVec::new() });
        }
        self.out[last.at].partitions.push(batch);
        self.topics[last.at].items.push(item);
    }

    pub(crate) fn build(
        mut self,
        broker: BrokerId,
        acks: i16,
        timeout_ms: i32,
        now: Timestamp,
    ) -> (ProduceRequest, Request) {
        let span = tracing::debug_span!("produce", %broker, batches = self.batches, bytes = self.bytes);
        let mut first = 0;
        for topic in &mut self.topics {
            topic.first = first;
            first += topic.items.len();
        }
        let request = ProduceRequest { transactional_id: None, acks, timeout_ms, topics: self.out };
        (request, Request { sent_at: now, span, topics: self.topics })
    }
}

#[cfg(test)]
mod tests {
    use milena_sequence::{Protection, Route, Stream};
    use milena_wire::{LeaderEpoch, RecordCount};

    use super::*;

    fn request(topics: &[(&str, &[i32])]) -> Request {
        let route = Route { leader: BrokerId(1), epoch: LeaderEpoch::UNKNOWN, topic: TopicId::ZERO };
        let sent = Stream::plain(Protection::Plain, 1).send_new(BatchKey(0), RecordCount::ONE, route);
        let item = |partition: &i32| Item {
            partition: PartitionId(*partition),
            slot: 0,
            key: BatchKey(0),
            attempt: sent.attempt,
        };
        let topic = |(nth, (name, partitions)): (usize, &(&str, &[i32]))| TopicItems {
            name: TopicName::new(name),
            id: TopicId([u8::try_from(nth + 1).unwrap_or(0); 16]),
            first: 0,
            items: partitions.iter().map(item).collect(),
        };
        let topics = topics.iter().enumerate().map(topic).collect();
        Request { sent_at: Timestamp::ZERO, span: tracing::Span::none(), topics }
    }

    /// Whatever order a broker answers in, and whatever it makes up.
    #[test]
    fn each_part_of_an_answer_finds_what_was_asked_and_nothing_else() {
        let request = request(&[("a", &[3, 1, 2]), ("b", &[7])]);
        for id in [false, true] {
            for turned in [false, true] {
                let mut directory = Directory::new(&request);
                for at in 0..2 {
                    let nth = if turned { 1 - at } else { at };
                    let topic = &request.topics[at];
                    let found = match id {
                        false => directory.topic(nth, &topic.name, TopicId::ZERO),
                        true => directory.topic(nth, &TopicName::new(""), topic.id),
                    };
                    assert_eq!(found, Some(at));
                    for (place, item) in topic.items.iter().enumerate() {
                        let nth = if turned { topic.items.len() - 1 - place } else { place };
                        assert_eq!(directory.partition(at, nth, item.partition), Some(place));
                    }
                    assert_eq!(directory.partition(at, 0, PartitionId(9)), None);
                }
                let (a, none) = (&request.topics[0], TopicName::new(""));
                assert_eq!(directory.topic(0, &TopicName::new("c"), TopicId::ZERO), None);
                assert_eq!(directory.topic(0, &none, TopicId::ZERO), None);
                assert_eq!(directory.topic(0, &a.name, a.id), None, "no version has both");
            }
        }
    }
}
