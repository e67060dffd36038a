//! A world for one sender: simulated time, a small Kafka of several nodes that remembers five batches per producer, and scripted faults.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use milena_accumulator::{
    Accumulator, AccumulatorConfig, At, BatchReport, Delivery, DeliveryError, Diverted, Failure, FailureKind, Fate,
    Hooks, Receipt, RecordRef, SealJob, Urgency,
};
use milena_cluster::{
    Cluster, ClusterConfig, ConnId, HostPort, LostCause, SaslError, SaslErrorKind, SaslOrder, SaslStep,
};
use milena_wire::message::api_versions::{ApiRange, ApiVersionsResponse};
use milena_wire::message::init_producer_id::InitProducerIdResponse;
use milena_wire::message::metadata::{
    MetadataBroker, MetadataPartition, MetadataRequest, MetadataResponse, MetadataTopic,
};
use milena_wire::message::produce::{
    ProducePartitionResponse, ProduceRequestIn, ProduceResponse, ProduceTopicResponse,
};
use milena_wire::message::sasl_authenticate::SaslAuthenticateResponse;
use milena_wire::message::sasl_handshake::SaslHandshakeResponse;
use milena_wire::{
    ApiKey, ApiVersion, BatchView, BrokerId, CorrelationId, ErrorCode, Frame, LeaderEpoch, Offset, PartitionId,
    ProducerEpoch, ProducerId, Reader, RecordParts, RequestHeader, Sequence, Timestamp, TlsFault, TopicId, TopicName,
    client_range,
};

use crate::{Command, CommandId, CommandResult, Input, Output, SealTicket, Sender, SenderConfig};

/// One batch as a broker saw it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) at_ms: u64,
    pub(super) request: usize,
    pub(super) node: i32,
    pub(super) topic: String,
    pub(super) partition: i32,
    /// Producer id, epoch, sequence.
    pub(super) stamp: (i64, i16, i32),
    pub(super) values: Vec<String>,
    pub(super) bytes: usize,
}

/// What a broker does with a batch instead of what it should.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// Answers the code and appends nothing.
    Refuse(i16),
    /// Appends, then answers the code.
    AppendThen(i16),
    /// Leaves the partition out of the answer.
    Omit { append: bool },
    /// Closes the connection instead of answering the request.
    Cut { append: bool },
    /// Answers the code with records named (index, message).
    Records(i16, Vec<(i32, &'static str)>),
    /// Answers with this, nothing appended.
    Answer(Box<ProducePartitionResponse>),
}

#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) values: Vec<String>,
    /// By id: the epoch, and the last five batches.
    producers: BTreeMap<i64, (i16, VecDeque<Remembered>)>,
}

/// First and last sequence, and the offset.
type Remembered = (i32, i32, i64);

#[derive(Debug)]
pub(super) struct PartitionModel {
    pub(super) leader: i32,
    pub(super) epoch: i32,
    pub(super) log: Log,
    pub(super) faults: VecDeque<Fault>,
}

#[derive(Debug)]
pub(super) struct TopicModel {
    pub(super) id: TopicId,
    pub(super) error: ErrorCode,
    pub(super) partitions: Vec<PartitionModel>,
}

#[derive(Debug, Default)]
pub(super) struct TestHooks {
    wake: Mutex<bool>,
    pub(super) unobserved: Mutex<u32>,
    pub(super) reports: Mutex<Vec<BatchReport>>,
    pub(super) diverted: Mutex<Vec<Diverted>>,
}

impl Hooks for TestHooks {
    fn wake(&self) {
        *self.wake.lock().unwrap() = true;
    }

    fn report(&self, report: BatchReport) {
        self.reports.lock().unwrap().push(report);
    }

    fn unobserved(&self, _: &Arc<Failure>, records: u32) {
        *self.unobserved.lock().unwrap() += records;
    }

    fn divert(&self, batch: Diverted) {
        self.diverted.lock().unwrap().push(batch);
    }
}

struct HeldAnswer {
    conn: ConnId,
    frame: Bytes,
}

pub(super) struct World {
    pub(super) sender: Sender,
    pub(super) accumulator: Accumulator,
    pub(super) hooks: Arc<TestHooks>,
    pub(super) now: Timestamp,
    pub(super) topics: BTreeMap<String, TopicModel>,
    pub(super) nodes: Vec<i32>,
    pub(super) down: Vec<i32>,
    /// Nodes that do not accept who the client is.
    pub(super) refusing: Vec<i32>,
    /// Why there are no tokens, where SASL is set up.
    pub(super) no_token: Option<SaslErrorKind>,
    conns: BTreeMap<ConnId, i32>,
    pub(super) seen: Vec<Seen>,
    pub(super) requests: usize,
    /// Answers to produce requests stay with the broker until released.
    pub(super) hold_answers: bool,
    held: VecDeque<HeldAnswer>,
    /// Frames are not reported as written until this is cleared.
    pub(super) jammed: bool,
    unwritten: VecDeque<ConnId>,
    pub(super) hold_seals: bool,
    pub(super) seals: Vec<(SealTicket, SealJob)>,
    pub(super) done: BTreeMap<u64, CommandResult>,
    pub(super) closed: bool,
    pub(super) init_codes: VecDeque<i16>,
    pub(super) init_requests: usize,
    pub(super) next_pid: i64,
    pub(super) next_epoch: i16,
    /// Every question for a producer id gets the same answer.
    pub(super) same_pid: bool,
    pub(super) metadata_requests: usize,
    pub(super) silent_metadata: bool,
    pub(super) produce_max: i16,
    pub(super) throttle_ms: i32,
    /// What the wall clock shows.
    pub(super) wall_ms: i64,
    /// How often the sender was told anything.
    pub(super) inputs: usize,
    /// How often time alone woke it.
    pub(super) wakeups: usize,
    /// How often a node was dialled.
    pub(super) dials: usize,
    /// Refuses some produce requests whole; told how many came before.
    pub(super) refuse: Option<fn(usize) -> Option<ErrorCode>>,
    commands: u64,
}

pub(super) struct Setup {
    pub(super) sender: SenderConfig,
    pub(super) accumulator: AccumulatorConfig,
    pub(super) cluster: ClusterConfig,
}

impl Default for Setup {
    fn default() -> Self {
        let bootstrap = vec![HostPort::new("10.0.0.1", 9092)];
        Self {
            sender: SenderConfig { linger: Duration::ZERO, ..SenderConfig::default() },
            accumulator: AccumulatorConfig::default(),
            cluster: ClusterConfig::new(bootstrap),
        }
    }
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    /// Three nodes; topic `t` of four partitions, all led by node 1; time starts at 1 s.
    pub(super) fn with(change: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = Setup::default();
        change(&mut setup);
        let hooks = Arc::new(TestHooks::default());
        let accumulator = Accumulator::new(setup.accumulator, 1, hooks.clone());
        let cluster = Cluster::new(setup.cluster, 2);
        let sender = Sender::new(setup.sender, accumulator.clone(), cluster, 3);
        let mut world = Self {
            sender,
            accumulator,
            hooks,
            now: Timestamp::from_millis(1000),
            topics: BTreeMap::new(),
            nodes: vec![1, 2, 3],
            down: Vec::new(),
            refusing: Vec::new(),
            no_token: None,
            conns: BTreeMap::new(),
            seen: Vec::new(),
            requests: 0,
            hold_answers: false,
            held: VecDeque::new(),
            jammed: false,
            unwritten: VecDeque::new(),
            hold_seals: false,
            seals: Vec::new(),
            done: BTreeMap::new(),
            closed: false,
            init_codes: VecDeque::new(),
            init_requests: 0,
            next_pid: 7000,
            next_epoch: 0,
            same_pid: false,
            metadata_requests: 0,
            silent_metadata: false,
            produce_max: 13,
            throttle_ms: 0,
            wall_ms: 1_700_000_000_000,
            inputs: 0,
            wakeups: 0,
            dials: 0,
            refuse: None,
            commands: 0,
        };
        world.add_topic("t", 4);
        world
    }

    pub(super) fn add_topic(&mut self, name: &str, partitions: usize) {
        let mut id = [0; 16];
        id[8..].copy_from_slice(&u64::try_from(self.topics.len() + 1).unwrap().to_be_bytes());
        let new = || PartitionModel { leader: 1, epoch: 5, log: Log::default(), faults: VecDeque::new() };
        let partitions = (0..partitions).map(|_| new()).collect();
        self.topics.insert(name.into(), TopicModel { id: TopicId(id), error: ErrorCode::NONE, partitions });
    }

    pub(super) fn partition(&mut self, topic: &str, partition: usize) -> &mut PartitionModel {
        &mut self.topics.get_mut(topic).unwrap().partitions[partition]
    }

    pub(super) fn fault(&mut self, fault: Fault) {
        self.partition("t", 0).faults.push_back(fault);
    }

    /// Values on the log of `t-0`.
    pub(super) fn log(&mut self) -> Vec<String> {
        self.partition("t", 0).log.values.clone()
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.now.as_nanos() / 1_000_000
    }

    pub(super) fn append(&mut self, topic: &str, partition: Option<i32>, value: &str, urgency: Urgency) -> Delivery {
        let parts = RecordParts { value: Some(value.as_bytes()), ..RecordParts::default() };
        let record =
            RecordRef { topic, partition: partition.map(PartitionId), parts, timestamp_ms: None, shared: None };
        let at = At { now: self.now, wall_ms: self.wall_ms };
        self.accumulator.append(at, &record, urgency, None).unwrap()
    }

    /// A record to `t-0`, taken by the sender before the next; not run.
    pub(super) fn queue(&mut self, value: &str) -> Delivery {
        self.append("t", Some(0), value, Urgency::Linger)
    }

    /// A record to `t-0` in a batch of its own, and all that follows without time passing.
    pub(super) fn send(&mut self, value: &str) -> Delivery {
        let delivery = self.append("t", Some(0), value, Urgency::Now);
        self.run();
        delivery
    }

    pub(super) fn send_to(&mut self, topic: &str, partition: i32, value: &str) -> Delivery {
        let delivery = self.append(topic, Some(partition), value, Urgency::Now);
        self.run();
        delivery
    }

    /// A warm producer: one record was delivered, the gate of `t-0` is open.
    pub(super) fn warm(mut self) -> Self {
        let first = self.send("warm");
        self.run_for(50);
        delivered(first);
        self.seen.clear();
        self.requests = 0;
        self
    }

    pub(super) fn command(&mut self, command: Command) -> u64 {
        self.commands += 1;
        let id = self.commands;
        self.input(Input::Command { id: CommandId(id), command });
        self.run();
        id
    }

    pub(super) fn input(&mut self, input: Input) {
        self.inputs += 1;
        self.sender.handle(self.now, self.wall_ms, input);
    }

    /// Carries out everything that needs no time.
    pub(super) fn run(&mut self) {
        for _ in 0..100_000 {
            let woken = std::mem::take(&mut *self.hooks.wake.lock().unwrap());
            if woken {
                self.input(Input::Wake);
            } else if let Some(output) = self.sender.poll_output() {
                self.carry_out(output);
            } else if let Some(conn) = self.unwritten.pop_front_if(|_| !self.jammed) {
                self.cluster_input(milena_cluster::Input::Written { conn });
            } else if self.sender.next_timer().is_some_and(|at| at <= self.now) {
                self.input(Input::Tick);
            } else {
                return;
            }
        }
        panic!("the sender spins");
    }

    /// Lets time pass.
    pub(super) fn run_for(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        self.run();
        while let Some(at) = self.sender.next_timer().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.wakeups += 1;
            self.input(Input::Tick);
            self.run();
        }
        self.now = end;
        self.run();
    }

    fn cluster_input(&mut self, input: milena_cluster::Input) {
        self.input(Input::Cluster(input));
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Resolve { query, port, .. } => {
                let result = Ok(vec![SocketAddr::from(([10, 0, 0, 1], port))]);
                self.cluster_input(milena_cluster::Input::Resolved { query, result });
            }
            Output::Connect { conn, addr, .. } => {
                self.dials += 1;
                let SocketAddr::V4(v4) = addr else { panic!("{addr}") };
                let node = i32::from(v4.ip().octets()[3]);
                if self.down.contains(&node) {
                    let text = "refused".to_owned();
                    let cause = LostCause::ConnectFailed { kind: std::io::ErrorKind::ConnectionRefused, text };
                    self.cluster_input(milena_cluster::Input::Lost { conn, cause, begun: None });
                } else if self.refusing.contains(&node) {
                    let cause = LostCause::Tls { fault: TlsFault::CertificateRefused, text: "alert".to_owned() };
                    self.cluster_input(milena_cluster::Input::Lost { conn, cause, begun: None });
                } else {
                    self.conns.insert(conn, node);
                    self.cluster_input(milena_cluster::Input::Connected { conn });
                }
            }
            Output::Transmit { conn, frame } => {
                if self.conns.contains_key(&conn) {
                    self.unwritten.push_back(conn);
                    self.serve(conn, &frame);
                }
            }
            Output::Authenticate { conn, order } => {
                let step = match (order, self.no_token) {
                    (SaslOrder::Begin { .. }, Some(kind)) => Err(SaslError::new(kind, "https://idp: says why")),
                    (SaslOrder::Begin { .. }, None) => Ok(SaslStep::Send(Bytes::from_static(b"token"))),
                    (_, _) => Ok(SaslStep::Done),
                };
                self.cluster_input(milena_cluster::Input::Authenticate { conn, step });
            }
            Output::Close { conn } => {
                self.conns.remove(&conn);
                self.forget(conn);
            }
            Output::Seal { ticket, batch } if self.hold_seals => self.seals.push((ticket, batch)),
            Output::Seal { ticket, batch } => self.input(Input::Sealed { ticket, batch: batch.seal() }),
            Output::Done { id, result } => assert!(self.done.insert(id.0, result).is_none(), "done twice: {id:?}"),
            Output::Closed => self.closed = true,
        }
    }

    fn forget(&mut self, conn: ConnId) {
        self.held.retain(|held| held.conn != conn);
        self.unwritten.retain(|other| *other != conn);
    }

    pub(super) fn release_seal(&mut self, at: usize) {
        let (ticket, batch) = self.seals.remove(at);
        self.input(Input::Sealed { ticket, batch: batch.seal() });
        self.run();
    }

    /// Cuts all connections to a node; answers it holds are lost.
    pub(super) fn cut(&mut self, node: i32) {
        let gone: Vec<ConnId> = self.conns.iter().filter(|(_, n)| **n == node).map(|(conn, _)| *conn).collect();
        for conn in gone {
            self.conns.remove(&conn);
            self.forget(conn);
            let cause = LostCause::Closed { bytes_received: 100 };
            self.cluster_input(milena_cluster::Input::Lost { conn, cause, begun: None });
        }
        self.run();
    }

    pub(super) fn held_answers(&self) -> usize {
        self.held.len()
    }

    /// Sends the oldest answer that a broker holds.
    pub(super) fn release_one(&mut self) {
        let held = self.held.pop_front().unwrap();
        self.cluster_input(milena_cluster::Input::Received { conn: held.conn, frame: held.frame });
        self.run();
    }

    pub(super) fn release_answers(&mut self) {
        self.hold_answers = false;
        while !self.held.is_empty() {
            self.release_one();
        }
    }

    pub(super) fn move_leader(&mut self, topic: &str, partition: usize, leader: i32) {
        let partition = self.partition(topic, partition);
        partition.leader = leader;
        partition.epoch += 1;
    }

    /// The client learns what has changed, and acts on it.
    pub(super) fn refresh(&mut self) {
        self.ask_for_metadata();
        self.run_for(1500);
    }

    pub(super) fn ask_for_metadata(&mut self) {
        self.sender.cluster.refresh(self.now);
        self.input(Input::Tick);
        self.run();
    }

    fn answer(&mut self, conn: ConnId, frame: &Frame) {
        let bytes = Bytes::from(frame.to_vec()).slice(4..);
        self.cluster_input(milena_cluster::Input::Received { conn, frame: bytes });
    }

    fn serve(&mut self, conn: ConnId, frame: &Frame) {
        let bytes = Bytes::from(frame.to_vec()).slice(4..);
        let mut reader = Reader::shared(&bytes);
        let header = RequestHeader::decode(&mut reader).unwrap();
        let (version, correlation) = (header.version, header.correlation);
        match header.api_key {
            ApiKey::API_VERSIONS => {
                let sasl = [ApiKey::SASL_HANDSHAKE, ApiKey::SASL_AUTHENTICATE];
                let apis = [ApiKey::PRODUCE, ApiKey::METADATA, ApiKey::API_VERSIONS, ApiKey::INIT_PRODUCER_ID]
                    .into_iter()
                    .chain(sasl)
                    .map(|key| {
                        let (min, max) = client_range(key).unwrap();
                        let max = if key == ApiKey::PRODUCE { ApiVersion(self.produce_max) } else { max };
                        ApiRange { key, min, max }
                    })
                    .collect();
                let response = ApiVersionsResponse { apis, ..ApiVersionsResponse::default() };
                self.answer(conn, &response.encode_frame(version, correlation));
            }
            ApiKey::METADATA => {
                self.metadata_requests += 1;
                if !self.silent_metadata {
                    let request = MetadataRequest::decode(version, &mut reader).unwrap();
                    let response = self.metadata(&request);
                    self.answer(conn, &response.encode_frame(version, correlation));
                }
            }
            ApiKey::INIT_PRODUCER_ID => {
                self.init_requests += 1;
                let error = ErrorCode(self.init_codes.pop_front().unwrap_or(0));
                let mut response = InitProducerIdResponse { error, ..InitProducerIdResponse::default() };
                if error == ErrorCode::NONE {
                    response.producer_id = ProducerId(self.next_pid);
                    response.producer_epoch = ProducerEpoch(self.next_epoch);
                    if !self.same_pid {
                        self.next_pid += 1;
                        self.next_epoch = 0;
                    }
                }
                self.answer(conn, &response.encode_frame(version, correlation));
            }
            ApiKey::PRODUCE => {
                let request = ProduceRequestIn::decode(version, &mut reader).unwrap();
                self.produce(conn, version, correlation, &request);
            }
            ApiKey::SASL_HANDSHAKE => {
                let response = SaslHandshakeResponse { mechanisms: vec!["TEST".to_owned()], ..Default::default() };
                self.answer(conn, &response.encode_frame(version, correlation));
            }
            ApiKey::SASL_AUTHENTICATE => {
                let response = SaslAuthenticateResponse::default();
                self.answer(conn, &response.encode_frame(version, correlation));
            }
            other => panic!("{other:?}"),
        }
    }

    fn metadata(&self, request: &MetadataRequest) -> MetadataResponse {
        let brokers = self.nodes.iter().map(|node| MetadataBroker {
            node: BrokerId(*node),
            host: format!("10.0.0.{node}"),
            port: 9092,
            rack: None,
        });
        let topics = request.topics.iter().flatten().map(|asked| {
            let name = asked.name.clone().unwrap();
            let missing = MetadataTopic { error: ErrorCode(3), name: Some(name.clone()), ..MetadataTopic::default() };
            let Some(topic) = self.topics.get(name.as_str()) else { return missing };
            if topic.error != ErrorCode::NONE {
                return MetadataTopic { error: topic.error, ..missing };
            }
            let partitions = (0..).zip(&topic.partitions).map(|(index, partition)| MetadataPartition {
                index: PartitionId(index),
                leader: BrokerId(partition.leader),
                leader_epoch: LeaderEpoch(partition.epoch),
                error: ErrorCode(if partition.leader < 0 { 5 } else { 0 }),
                ..MetadataPartition::default()
            });
            MetadataTopic {
                name: Some(name),
                id: topic.id,
                partitions: partitions.collect(),
                ..MetadataTopic::default()
            }
        });
        MetadataResponse {
            brokers: brokers.collect(),
            cluster_id: Some("c".into()),
            topics: topics.collect(),
            ..MetadataResponse::default()
        }
    }

    fn produce(&mut self, conn: ConnId, version: ApiVersion, correlation: CorrelationId, request: &ProduceRequestIn) {
        let node = self.conns[&conn];
        self.requests += 1;
        let mut response = ProduceResponse { throttle_ms: self.throttle_ms, ..ProduceResponse::default() };
        let mut cut = false;
        for topic in &request.topics {
            let name = self
                .topics
                .iter()
                .find(|(name, model)| if version.0 >= 13 { model.id == topic.id } else { *name == topic.name.as_str() })
                .map(|(name, _)| name.clone());
            let mut out =
                ProduceTopicResponse { name: topic.name.clone(), id: topic.id, ..ProduceTopicResponse::default() };
            for partition in &topic.partitions {
                let index = partition.index;
                let Some(name) = name.clone() else {
                    out.partitions.push(refusal(index, ErrorCode::UNKNOWN_TOPIC_ID));
                    continue;
                };
                let batch = partition.records.clone().unwrap();
                let seen = self.see(node, &name, index, &batch);
                match self.take(&seen) {
                    (answer, false) => out.partitions.extend(answer),
                    (_, true) => cut = true,
                }
                self.seen.push(seen);
            }
            response.topics.push(out);
        }
        if cut {
            self.conns.remove(&conn);
            self.forget(conn);
            self.cluster_input(milena_cluster::Input::Lost {
                conn,
                cause: LostCause::Closed { bytes_received: 9 },
                begun: None,
            });
            return;
        }
        if request.acks == 0 {
            return;
        }
        let frame = Bytes::from(response.encode_frame(version, correlation).to_vec()).slice(4..);
        // Answers on one connection never overtake each other.
        if self.hold_answers || self.held.iter().any(|held| held.conn == conn) {
            self.held.push_back(HeldAnswer { conn, frame });
        } else {
            self.cluster_input(milena_cluster::Input::Received { conn, frame });
        }
    }

    fn see(&self, node: i32, topic: &str, partition: PartitionId, bytes: &[u8]) -> Seen {
        let (batch, rest) = BatchView::parse(bytes).unwrap();
        assert!(rest.is_empty(), "exactly one batch per partition");
        batch.verify_crc().unwrap();
        let header = batch.header();
        let records = batch.records(64 << 20).unwrap();
        let values = records.iter().map(|r| String::from_utf8(r.unwrap().value.unwrap().to_vec()).unwrap()).collect();
        Seen {
            at_ms: self.now_ms(),
            request: self.requests,
            node,
            topic: topic.to_owned(),
            partition: partition.0,
            stamp: (header.producer_id.0, header.producer_epoch.0, header.base_sequence),
            values,
            bytes: bytes.len(),
        }
    }

    /// What the broker answers, if anything, and whether it closes the connection instead.
    fn take(&mut self, seen: &Seen) -> (Option<ProducePartitionResponse>, bool) {
        let index = PartitionId(seen.partition);
        if let Some(code) = self.refuse.and_then(|refuse| refuse(self.requests)) {
            return (Some(refusal(index, code)), false);
        }
        let model = self.partition(&seen.topic, usize::try_from(seen.partition).unwrap());
        match model.faults.pop_front() {
            None if model.leader != seen.node => (Some(refusal(index, ErrorCode::NOT_LEADER_OR_FOLLOWER)), false),
            None => (Some(model.log.append(seen, index)), false),
            Some(Fault::Refuse(code)) => (Some(refusal(index, ErrorCode(code))), false),
            Some(Fault::AppendThen(code)) => {
                model.log.append(seen, index);
                (Some(refusal(index, ErrorCode(code))), false)
            }
            Some(Fault::Omit { append }) => {
                if append {
                    model.log.append(seen, index);
                }
                (None, false)
            }
            Some(Fault::Cut { append }) => {
                if append {
                    model.log.append(seen, index);
                }
                (None, true)
            }
            Some(Fault::Records(code, named)) => {
                let mut answer = refusal(index, ErrorCode(code));
                answer.error_message = Some("one or more records were rejected".into());
                answer.record_errors = named
                    .into_iter()
                    .map(|(index, message)| milena_wire::message::produce::RecordError {
                        index,
                        message: Some(message.to_owned()),
                    })
                    .collect();
                (Some(answer), false)
            }
            Some(Fault::Answer(answer)) => (Some(*answer), false),
        }
    }
}

pub(super) fn refusal(index: PartitionId, error: ErrorCode) -> ProducePartitionResponse {
    ProducePartitionResponse {
        index,
        error,
        base_offset: Offset(-1),
        log_start_offset: Offset(-1),
        ..ProducePartitionResponse::default()
    }
}

impl Log {
    fn append(&mut self, seen: &Seen, index: PartitionId) -> ProducePartitionResponse {
        let (pid, epoch, first) = seen.stamp;
        let offset = i64::try_from(self.values.len()).unwrap();
        let ok = |offset| ProducePartitionResponse {
            index,
            base_offset: Offset(offset),
            log_append_time_ms: -1,
            log_start_offset: Offset(0),
            ..ProducePartitionResponse::default()
        };
        if pid >= 0 {
            let count = milena_wire::RecordCount::new(seen.values.len()).unwrap();
            let last = Sequence::new(first).unwrap().last(count).get();
            let known = self.producers.contains_key(&pid);
            let (current, recent) = self.producers.entry(pid).or_insert((epoch, VecDeque::new()));
            if known {
                if epoch < *current {
                    return refusal(index, ErrorCode::INVALID_PRODUCER_EPOCH);
                }
                if epoch > *current {
                    if first != 0 {
                        return refusal(index, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
                    }
                    *current = epoch;
                    recent.clear();
                }
                if let Some((.., at)) = recent.iter().find(|(f, l, _)| (*f, *l) == (first, last)) {
                    return ok(*at);
                }
                let one = milena_wire::RecordCount::new(1).unwrap();
                if recent.back().is_some_and(|(_, l, _)| Sequence::new(*l).unwrap().advance(one).get() != first) {
                    return refusal(index, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
                }
            }
            recent.push_back((first, last, offset));
            if recent.len() > 5 {
                recent.pop_front();
            }
        }
        self.values.extend(seen.values.iter().cloned());
        ok(offset)
    }

    /// Forgets the producers, as after an expiry.
    pub(super) fn forget_producers(&mut self) {
        self.producers.clear();
    }
}

pub(super) fn outcome(delivery: Delivery) -> Result<Receipt, DeliveryError> {
    delivery.wait_timeout(Duration::ZERO).unwrap_or_else(|_| panic!("no outcome yet"))
}

#[track_caller]
pub(super) fn delivered(delivery: Delivery) -> Receipt {
    outcome(delivery).unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
pub(super) fn failed(delivery: Delivery) -> (FailureKind, Fate) {
    let error = outcome(delivery).expect_err("it was delivered");
    (error.kind(), error.fate())
}

pub(super) fn name(topic: &str) -> TopicName {
    TopicName::new(topic)
}
