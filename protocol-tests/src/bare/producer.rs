//! A producer with one request in flight.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;
use milena_wire::message::produce::{ProducePartition, ProducePartitionResponse, ProduceRequest, ProduceTopic};
use milena_wire::{
    ApiKey, ApiVersion, BatchHeader, BrokerId, Codec, Compression, ErrorCode, HeaderRef, PartitionId, ProducerEpoch,
    ProducerId, RecordParts, TopicName, compress, murmur2, put_record, record_size,
};

use super::Connection;
use crate::account::{Outcome, Sent, ToSend};
use crate::subject::{Acks, Session, Settings, Subject};

/// Records of a batch.
const BATCH: usize = 100;

/// A kind of producer that sends one batch after another and repeats each until it is answered.
#[derive(Clone, Copy, Debug)]
pub struct Plain {
    /// The version of Produce; else the newest that both sides speak.
    pub version: Option<ApiVersion>,
    /// Whether acks=all comes with sequences. Without, a repeated batch may be there twice: only good for showing that a suite notices.
    pub sequences: bool,
}

impl Default for Plain {
    fn default() -> Self {
        Self { version: None, sequences: true }
    }
}

impl Subject for Plain {
    fn open(&self, bootstrap: &str, settings: &Settings) -> Box<dyn Session> {
        Box::new(PlainSession {
            plain: *self,
            bootstrap: bootstrap.to_owned(),
            settings: settings.clone(),
            identity: None,
            sequences: BTreeMap::new(),
            connections: BTreeMap::new(),
            partitions: BTreeMap::new(),
            waiting: BTreeMap::new(),
            sent: Vec::new(),
        })
    }
}

type Place = (String, i32);

struct PlainSession {
    plain: Plain,
    bootstrap: String,
    settings: Settings,
    identity: Option<(ProducerId, ProducerEpoch)>,
    sequences: BTreeMap<Place, i32>,
    connections: BTreeMap<BrokerId, Connection>,
    partitions: BTreeMap<String, i32>,
    /// Indices into `sent` of what has not gone out.
    waiting: BTreeMap<Place, Vec<usize>>,
    sent: Vec<Sent>,
}

impl Session for PlainSession {
    fn send(&mut self, topic: &str, record: ToSend) {
        let place = (topic.to_owned(), self.partition(topic, &record));
        self.sent.push(Sent { record, outcome: Outcome::NotWritten("still queued".into()) });
        let queue = self.waiting.entry(place.clone()).or_default();
        queue.push(self.sent.len() - 1);
        if queue.len() == BATCH {
            self.flush(&place);
        }
    }

    fn heard(&mut self) -> &[Sent] {
        let first_queued = self.waiting.values().filter_map(|queue| queue.first()).min();
        &self.sent[..first_queued.copied().unwrap_or(self.sent.len())]
    }

    fn finish(mut self: Box<Self>) -> Vec<Sent> {
        let places: Vec<Place> = self.waiting.keys().cloned().collect();
        for place in places {
            self.flush(&place);
        }
        if self.settings.acks == Acks::None {
            // What was sent has arrived when a later request on the same connection is answered.
            for connection in self.connections.values_mut() {
                connection.metadata("-").expect("a connection that took records still answers");
            }
        }
        self.sent
    }
}

impl PlainSession {
    fn partition(&mut self, topic: &str, record: &ToSend) -> i32 {
        if let Some(partition) = record.partition {
            return partition;
        }
        if !self.partitions.contains_key(topic) {
            let mut connection = Connection::open_any(&self.bootstrap).expect("a broker that answers");
            let metadata = connection.metadata(topic).expect("metadata");
            let count = i32::try_from(metadata.topics[0].partitions.len()).expect("few partitions");
            assert!(count > 0, "no topic {topic}");
            self.partitions.insert(topic.to_owned(), count);
        }
        let hash = match &record.content.key {
            Some(key) => murmur2(key) & i32::MAX,
            None => i32::try_from(self.sent.len() / BATCH).expect("not that many records"),
        };
        hash % self.partitions[topic]
    }

    fn flush(&mut self, place: &Place) {
        let Some(indices) = self.waiting.remove(place) else { return };
        let deadline = Instant::now() + self.settings.delivery_timeout;
        let batch = self.batch(place, &indices, deadline);
        let mut reached = false;
        loop {
            let answer = self.attempt(place, batch.clone(), &mut reached);
            let failure = match answer {
                Ok(None) => return self.settle(&indices, |_| Outcome::Unacknowledged),
                Ok(Some(answer)) if answer.error == ErrorCode::NONE => {
                    let base = (answer.base_offset.0 >= 0).then_some(answer.base_offset.0);
                    let partition = place.1;
                    return self
                        .settle(&indices, |i| Outcome::Delivered { partition, offset: base.map(|base| base + i) });
                }
                Ok(Some(answer)) if !answer.error.is_retriable() => panic!("{place:?}: {}", answer.error),
                Ok(Some(answer)) => answer.error.to_string(),
                Err(e) => e.to_string(),
            };
            if Instant::now() > deadline {
                let outcome = if reached { Outcome::MaybeWritten(failure) } else { Outcome::NotWritten(failure) };
                return self.settle(&indices, |_| outcome.clone());
            }
            self.connections.clear();
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn settle(&mut self, indices: &[usize], outcome: impl Fn(i64) -> Outcome) {
        for (i, index) in (0..).zip(indices) {
            self.sent[*index].outcome = outcome(i);
        }
    }

    fn attempt(
        &mut self,
        place: &Place,
        partition: ProducePartition,
        reached: &mut bool,
    ) -> io::Result<Option<ProducePartitionResponse>> {
        let mut any = Connection::open_any(&self.bootstrap)?;
        let metadata = any.metadata(&place.0)?;
        let topic = metadata.topics.first().ok_or_else(|| io::Error::other("no topic in the answer"))?;
        let leader = topic.partitions.iter().find(|p| p.index.0 == place.1).map(|p| p.leader);
        let broker = metadata.brokers.iter().find(|broker| Some(broker.node) == leader);
        let broker = broker.ok_or_else(|| io::Error::other("no leader"))?;
        let connection = match self.connections.entry(broker.node) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Connection::open(&format!("{}:{}", broker.host, broker.port))?),
        };
        let version = self.plain.version.unwrap_or_else(|| connection.newest(ApiKey::PRODUCE));
        let request = ProduceRequest {
            transactional_id: None,
            acks: match self.settings.acks {
                Acks::None => 0,
                Acks::Leader => 1,
                Acks::All => -1,
            },
            timeout_ms: 30_000,
            topics: vec![ProduceTopic { name: TopicName::new(&place.0), id: topic.id, partitions: vec![partition] }],
        };
        *reached = true;
        let Some(response) = connection.produce(version, &request)? else { return Ok(None) };
        let answer = response.topics.into_iter().flat_map(|topic| topic.partitions).next();
        answer.map(Some).ok_or_else(|| io::Error::other("no partition in the answer"))
    }

    fn batch(&mut self, place: &Place, indices: &[usize], deadline: Instant) -> ProducePartition {
        let (id, epoch) = self.identity(deadline);
        let next = self.sequences.entry(place.clone()).or_default();
        let count = i32::try_from(indices.len()).expect("a small batch");
        let base_sequence = if id == ProducerId::NONE { -1 } else { *next };
        *next += count;
        let records: Vec<&ToSend> = indices.iter().map(|index| &self.sent[*index].record).collect();
        let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(0));
        let timestamp = |record: &ToSend| record.timestamp.unwrap_or(now);
        let base_timestamp = timestamp(records[0]);
        let mut plain = Vec::new();
        for (delta, record) in (0..).zip(&records) {
            let content = &record.content;
            let headers: Vec<HeaderRef<'_>> =
                content.headers.iter().map(|(key, value)| HeaderRef { key, value: value.as_deref() }).collect();
            let parts = RecordParts { key: content.key.as_deref(), value: content.value.as_deref(), headers: &headers };
            let timestamp_delta = timestamp(record) - base_timestamp;
            put_record(&mut plain, record_size(delta, timestamp_delta, &parts), delta, timestamp_delta, &parts);
        }
        let codec = self.settings.codec;
        let mut payload = Bytes::from(plain);
        if codec != Codec::None {
            let compression = Compression::new(codec);
            payload = compress(compression, &[payload]).expect("records can be compressed").to_vec().into();
        }
        let header = BatchHeader {
            producer_id: id,
            producer_epoch: epoch,
            base_sequence,
            ..BatchHeader::of_records(
                codec,
                count,
                base_timestamp,
                records.iter().map(|record| timestamp(record)).max().unwrap_or(base_timestamp),
            )
        };
        let payload = vec![payload];
        ProducePartition { index: PartitionId(place.1), header: header.encode(&payload), payload: payload.into() }
    }

    fn identity(&mut self, deadline: Instant) -> (ProducerId, ProducerEpoch) {
        if self.settings.acks != Acks::All || !self.plain.sequences {
            return (ProducerId::NONE, ProducerEpoch::NONE);
        }
        while self.identity.is_none() {
            assert!(Instant::now() < deadline, "no broker gives out a producer id");
            self.identity = Connection::open_any(&self.bootstrap).and_then(|mut any| any.init_producer_id()).ok();
            if self.identity.is_none() {
                // A broker that has just started is still loading its coordinator.
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        self.identity.expect("the loop ends with one")
    }
}
