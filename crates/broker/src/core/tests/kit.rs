//! A core and the means to talk to it.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use milena_wire::message::produce::{
    ProducePartition, ProducePartitionResponse, ProduceRequest, ProduceResponse, ProduceTopic,
};
use milena_wire::{
    ApiKey, ApiVersion, BATCH_HEADER_LEN, BatchHeader, BrokerId, Codec, CorrelationId, ErrorCode, Frame, PartitionId,
    ProducerEpoch, ProducerId, Reader, RecordParts, ResponseHeader, Timestamp, TopicId, TopicName, put_record,
    record_size,
};

use crate::core::{Answer, At, Core, CoreConfig, Handled, Ticket, request};
use crate::profile::Profile;

/// Wall time at the start.
pub(super) const WALL_MS: i64 = 1_700_000_000_000;
pub(super) const V13: ApiVersion = ApiVersion(13);
pub(super) const P0: PartitionId = PartitionId(0);
pub(super) const CORRELATION: CorrelationId = CorrelationId(77);

pub(super) fn node(id: i32) -> BrokerId {
    BrokerId(id)
}

/// A batch to be, every field open to sabotage.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) header: BatchHeader,
    pub(super) payload: Bytes,
}

impl Draft {
    /// Plain records with these values.
    pub(super) fn of(values: &[&str]) -> Self {
        let records: Vec<(i32, Option<&str>, &str)> =
            (0..).zip(values).map(|(i, value)| (i, Some("k"), *value)).collect();
        Self::with_records(&records)
    }

    /// Records with these offset deltas, keys and values.
    pub(super) fn with_records(records: &[(i32, Option<&str>, &str)]) -> Self {
        let mut payload = BytesMut::new();
        for (delta, key, value) in records {
            let parts = RecordParts { key: key.map(str::as_bytes), value: Some(value.as_bytes()), headers: &[] };
            put_record(&mut payload, record_size(*delta, 0, &parts), *delta, 0, &parts);
        }
        let count = i32::try_from(records.len()).unwrap();
        let header = BatchHeader::of_records(Codec::None, count, WALL_MS, WALL_MS);
        Self { header, payload: payload.freeze() }
    }

    pub(super) fn stamped(mut self, id: i64, epoch: i16, sequence: i32) -> Self {
        self.header.producer_id = ProducerId(id);
        self.header.producer_epoch = ProducerEpoch(epoch);
        self.header.base_sequence = sequence;
        self
    }

    pub(super) fn edit(mut self, edit: impl FnOnce(&mut BatchHeader)) -> Self {
        edit(&mut self.header);
        self
    }

    /// The batch's bytes, its CRC right.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.header.encode(std::slice::from_ref(&self.payload)).to_vec();
        bytes.extend_from_slice(&self.payload);
        bytes
    }
}

/// One Produce request for one partition of topic `t`.
#[derive(Clone, Debug)]
pub(super) struct Produce {
    pub(super) records: Vec<u8>,
    pub(super) acks: i16,
    pub(super) timeout_ms: i32,
    pub(super) version: ApiVersion,
    pub(super) topic: TopicName,
    pub(super) id: TopicId,
    pub(super) partition: PartitionId,
}

impl Produce {
    pub(super) fn frame(&self) -> Bytes {
        let (header, payload) = self.records.split_at(BATCH_HEADER_LEN.min(self.records.len()));
        let mut head = [0; BATCH_HEADER_LEN];
        head[..header.len()].copy_from_slice(header);
        assert_eq!(header.len(), BATCH_HEADER_LEN, "shorter records cannot be sent like this");
        let request = ProduceRequest {
            transactional_id: None,
            acks: self.acks,
            timeout_ms: self.timeout_ms,
            topics: vec![ProduceTopic {
                name: self.topic.clone(),
                id: self.id,
                partitions: vec![ProducePartition {
                    index: self.partition,
                    header: head,
                    payload: [Bytes::copy_from_slice(payload)].into(),
                }],
            }],
        };
        unframed(&request.encode_frame(self.version, CORRELATION, Some("test")))
    }
}

pub(super) fn unframed(frame: &Frame) -> Bytes {
    Bytes::from(frame.to_vec().split_off(4))
}

/// A core whose clock the test moves.
pub(super) struct Kit {
    pub(super) core: Core,
    pub(super) now: Timestamp,
    profile: Profile,
    answered: BTreeMap<Ticket, Answer>,
}

impl Kit {
    /// One node, topic `t` with one partition.
    pub(super) fn new() -> Self {
        Self::with(1, |_| {})
    }

    /// Topic `t` with one partition, replicated to all of `nodes`; node 1 leads it.
    pub(super) fn with(nodes: usize, configure: impl FnOnce(&mut CoreConfig)) -> Self {
        let mut kit = Self::without_topic(nodes, configure);
        kit.create("t", 1, &[]);
        kit
    }

    pub(super) fn without_topic(nodes: usize, configure: impl FnOnce(&mut CoreConfig)) -> Self {
        let mut config = CoreConfig { nodes, ..CoreConfig::default() };
        configure(&mut config);
        let profile = config.profile;
        let addresses = (0..nodes).map(|i| ("host".to_owned(), 9000 + u16::try_from(i).unwrap())).collect();
        let core = Core::new(config, addresses, None);
        Self { core, now: Timestamp::from_millis(1), profile, answered: BTreeMap::new() }
    }

    pub(super) fn at(&self) -> At {
        At { now: self.now, wall_ms: WALL_MS + i64::try_from(self.now.as_nanos() / 1_000_000).unwrap() }
    }

    pub(super) fn create(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) -> TopicId {
        let replicas = i16::try_from(self.nodes()).unwrap();
        let configs = configs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let at = self.at();
        self.core.create_topic(at, &TopicName::new(name), partitions, replicas, configs).unwrap()
    }

    fn nodes(&self) -> usize {
        self.core.nodes.len()
    }

    pub(super) fn id(&self, name: &str) -> TopicId {
        self.core.topics[name].id
    }

    /// A request for the first partition of topic `t`, with acks=all and the newest version.
    pub(super) fn produce_of(&self, records: Vec<u8>) -> Produce {
        Produce {
            records,
            acks: -1,
            timeout_ms: 30_000,
            version: self.profile.ranges().iter().find(|(key, ..)| *key == ApiKey::PRODUCE).unwrap().2,
            topic: TopicName::new("t"),
            id: self.id("t"),
            partition: P0,
        }
    }

    /// Hands a frame to `to`.
    pub(super) fn send(&mut self, to: BrokerId, frame: &Bytes) -> Result<Answer, Ticket> {
        let (meta, request) = request::read(frame, self.profile, true).unwrap();
        let at = self.at();
        match self.core.handle(at, to, meta, request) {
            Handled::Answered(answer) => Ok(answer),
            Handled::Waits(ticket) => Err(ticket),
        }
    }

    /// Lets time pass, timers included.
    pub(super) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(next) = self.core.next_timer().filter(|next| *next <= until) {
            self.now = next.max(self.now);
            let at = self.at();
            self.core.tick(at);
        }
        self.now = until;
    }

    /// The answer to a request that waited, if there is one by now.
    pub(super) fn answer(&mut self, ticket: Ticket) -> Option<Answer> {
        self.answered.extend(self.core.take_answered());
        self.answered.remove(&ticket)
    }

    /// Sends to node 1 and takes the answer, which must come at once.
    pub(super) fn produce(&mut self, request: &Produce) -> ProducePartitionResponse {
        self.produce_to(node(1), request)
    }

    pub(super) fn produce_to(&mut self, to: BrokerId, request: &Produce) -> ProducePartitionResponse {
        let Ok(Answer::Send(frame)) = self.send(to, &request.frame()) else {
            panic!("the answer waits, or is none");
        };
        only(&frame, request.version)
    }

    /// The code that a plain request with these records is answered with.
    pub(super) fn code(&mut self, records: Vec<u8>) -> ErrorCode {
        let request = self.produce_of(records);
        self.produce(&request).error
    }

    /// The values on the first partition of topic `t`.
    pub(super) fn values(&mut self) -> Vec<String> {
        let batches = self.core.stored(&TopicName::new("t"), P0);
        let records = batches.iter().flat_map(|batch| batch.records().unwrap());
        records.map(|record| String::from_utf8(record.value.unwrap().to_vec()).unwrap()).collect()
    }
}

/// A Produce response.
pub(super) fn produce_response(frame: &Frame, version: ApiVersion) -> ProduceResponse {
    let bytes = unframed(frame);
    let mut reader = Reader::new(&bytes);
    let header = ResponseHeader::decode(ApiKey::PRODUCE, version, &mut reader).unwrap();
    assert_eq!(header.correlation, CORRELATION);
    ProduceResponse::decode(version, reader.rest()).unwrap()
}

/// The only partition of a Produce response.
pub(super) fn only(frame: &Frame, version: ApiVersion) -> ProducePartitionResponse {
    let mut response = produce_response(frame, version);
    assert_eq!(response.topics.len(), 1);
    assert_eq!(response.topics[0].partitions.len(), 1);
    response.topics.remove(0).partitions.remove(0)
}
