//! A broker, and a network that loses, delays and reorders: what was sent may arrive long after its sender has given it up.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use milena_broker::{EmbeddedCluster, Reaction, Rule, SimulatedCluster, SimulatedConn, SimulatedEvent};
use milena_sequence::{Identity, Stamp};
use milena_wire::batch::{RecordParts, put_record, record_size};
use milena_wire::message::ResponseHeader;
use milena_wire::message::produce::{ProducePartition, ProduceRequest, ProduceResponse, ProduceTopic};
use milena_wire::{
    ApiKey, ApiVersion, BATCH_HEADER_LEN, BatchHeader, BrokerId, Codec, CorrelationId, ErrorCode, PartitionId,
    ProducerEpoch, ProducerId, Reader, Timestamp, TopicId, TopicName,
};

pub(super) const TOPIC: &str = "t";
const VERSION: ApiVersion = ApiVersion(9);
/// As the simulated cluster has it.
const WALL_MS_AT_ZERO: i64 = 1_700_000_000_000;

/// splitmix64.
#[derive(Debug)]
pub(super) struct Rng(pub(super) u64);

impl Rng {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Request(pub(super) u64);

struct Wire {
    conn: SimulatedConn,
    /// Not arrived yet.
    frame: Option<Bytes>,
    answer: Option<ErrorCode>,
    given_up: bool,
}

pub(super) struct World {
    pub(super) cluster: SimulatedCluster,
    pub(super) rng: Rng,
    pub(super) now: Timestamp,
    /// These and older ones arrive when all else is over, in order.
    late: Option<Request>,
    wires: BTreeMap<Request, Wire>,
    sent: u64,
}

impl World {
    pub(super) fn new(seed: u64, partitions: i32) -> Self {
        let mut cluster = EmbeddedCluster::builder().simulated();
        cluster.create_topic_with(Timestamp::ZERO, TOPIC, partitions, 1, &[]).unwrap();
        Self { cluster, rng: Rng(seed), now: Timestamp::ZERO, late: None, wires: BTreeMap::new(), sent: 0 }
    }

    pub(super) fn wall_ms(&self) -> i64 {
        WALL_MS_AT_ZERO + i64::try_from(self.now.as_nanos() / 1_000_000).unwrap()
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.cluster.tick(self.now);
    }

    pub(super) fn send(&mut self, partition: PartitionId, header: [u8; BATCH_HEADER_LEN], payload: &Bytes) -> Request {
        self.sent += 1;
        let batch = ProducePartition { index: partition, header, payload: [payload.clone()].into() };
        let topic = ProduceTopic { name: TopicName::new(TOPIC), id: TopicId::ZERO, partitions: vec![batch] };
        let request = ProduceRequest { transactional_id: None, acks: -1, timeout_ms: 1_000, topics: vec![topic] };
        let correlation = CorrelationId(i32::try_from(self.sent).unwrap());
        let frame = Bytes::from(request.encode_frame(VERSION, correlation, None).to_vec()).slice(4..);
        let conn = self.cluster.connect(BrokerId(1)).unwrap();
        let wire = Wire { conn, frame: Some(frame), answer: None, given_up: false };
        self.wires.insert(Request(self.sent), wire);
        Request(self.sent)
    }

    /// The next answer for `partition` is another one.
    pub(super) fn trouble(&mut self, partition: PartitionId) {
        let before = [
            ErrorCode::NOT_LEADER_OR_FOLLOWER,
            ErrorCode::NOT_ENOUGH_REPLICAS,
            ErrorCode::THROTTLING_QUOTA_EXCEEDED,
            ErrorCode::LEADER_NOT_AVAILABLE,
        ];
        let after = [
            ErrorCode::REQUEST_TIMED_OUT,
            ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
            ErrorCode::NOT_LEADER_OR_FOLLOWER,
            ErrorCode::UNKNOWN_SERVER_ERROR,
        ];
        let at = usize::try_from(self.rng.below(4)).unwrap();
        let reaction =
            if self.rng.chance(50) { Reaction::Error(before[at]) } else { Reaction::ErrorAfterAppend(after[at]) };
        self.cluster.script(Rule::on(ApiKey::PRODUCE, reaction).partition(partition));
    }

    fn under_way(&self) -> Vec<Request> {
        self.wires.iter().filter(|(_, wire)| wire.frame.is_some()).map(|(request, _)| *request).collect()
    }

    /// One request that is under way arrives, if there is any.
    pub(super) fn deliver_one(&mut self) {
        let mut under_way = self.under_way();
        under_way.retain(|request| self.late.is_none_or(|late| *request > late));
        let Some(last) = under_way.len().checked_sub(1) else { return };
        let pick = usize::try_from(self.rng.below(last as u64 + 1)).unwrap();
        self.deliver(under_way[pick]);
    }

    /// What is under way now waits in a queue, for long.
    pub(super) fn hold(&mut self) {
        self.late = Some(Request(self.sent));
    }

    pub(super) fn deliver(&mut self, request: Request) {
        let wire = self.wires.get_mut(&request).unwrap();
        let Some(frame) = wire.frame.take() else { return };
        let conn = wire.conn;
        self.cluster.receive(self.now, conn, frame);
        while let Some((from, event)) = self.cluster.poll() {
            let SimulatedEvent::Send(frame) = event else { continue };
            let wire = self.wires.values_mut().find(|wire| wire.conn == from).unwrap();
            let mut reader = Reader::new(&frame[4..]);
            ResponseHeader::decode(ApiKey::PRODUCE, VERSION, &mut reader).unwrap();
            let response = ProduceResponse::decode(VERSION, reader.rest()).unwrap();
            wire.answer = Some(response.topics[0].partitions[0].error);
        }
    }

    /// Whatever was lost on its way is lost, and the rest arrives: nothing is older than what brokers remember.
    pub(super) fn clear_the_way(&mut self) {
        while let Some(oldest) = self.under_way().first().copied() {
            if self.late.is_some() { self.deliver(oldest) } else { self.deliver_one() }
        }
    }

    /// Nothing that is under way ever arrives.
    pub(super) fn lose(&mut self, request: Request) {
        self.wires.get_mut(&request).unwrap().frame = None;
    }

    /// The sender waits no longer; what is under way may arrive all the same.
    pub(super) fn give_up(&mut self, request: Request) {
        let wire = self.wires.get_mut(&request).unwrap();
        wire.given_up = true;
        self.cluster.hang_up(wire.conn);
    }

    pub(super) fn answer(&self, request: Request) -> Option<ErrorCode> {
        self.wires[&request].answer.filter(|_| !self.wires[&request].given_up)
    }

    /// The values on the log.
    pub(super) fn log(&mut self, partition: PartitionId) -> Vec<u32> {
        let batches = self.cluster.log(TOPIC, partition);
        let records = batches.iter().flat_map(|batch| batch.records().unwrap());
        records.map(|record| u32::from_be_bytes(record.value.unwrap()[..].try_into().unwrap())).collect()
    }
}

/// A batch of records with these values.
pub(super) fn batch(values: &[u32], timestamp: i64, stamp: Option<Stamp>) -> (BatchHeader, Bytes) {
    let mut payload = BytesMut::new();
    for (at, value) in (0..).zip(values) {
        let value = value.to_be_bytes();
        let parts = RecordParts { value: Some(&value), ..RecordParts::default() };
        put_record(&mut payload, record_size(at, 0, &parts), at, 0, &parts);
    }
    let count = i32::try_from(values.len()).unwrap();
    let none = Identity { producer_id: ProducerId(-1), epoch: ProducerEpoch(-1) };
    let identity = stamp.map_or(none, |stamp| stamp.identity);
    let header = BatchHeader {
        producer_id: identity.producer_id,
        producer_epoch: identity.epoch,
        base_sequence: stamp.map_or(-1, |stamp| stamp.sequence.get()),
        ..BatchHeader::of_records(Codec::None, count, timestamp, timestamp)
    };
    (header, payload.freeze())
}
