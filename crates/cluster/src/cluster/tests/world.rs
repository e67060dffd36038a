//! A world for one cluster value: simulated time, scripted servers, and a count of everything asked of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use milena_wire::message::api_versions::{ApiRange, ApiVersionsResponse};
use milena_wire::message::init_producer_id::InitProducerIdResponse;
use milena_wire::message::metadata::{
    MetadataBroker, MetadataPartition, MetadataRequest, MetadataResponse, MetadataTopic,
};
use milena_wire::message::produce::{ProducePartition, ProduceRequest, ProduceTopic};
use milena_wire::message::produce::{
    ProducePartitionResponse, ProduceRequestIn, ProduceResponse, ProduceTopicResponse,
};
use milena_wire::message::sasl_authenticate::SaslAuthenticateResponse;
use milena_wire::message::sasl_handshake::SaslHandshakeResponse;
use milena_wire::{
    ApiKey, ApiVersion, BrokerId, CorrelationId, ErrorCode, Frame, LeaderEpoch, Offset, PartitionId, ProducerEpoch,
    ProducerId, Reader, RequestHeader, Timestamp, TlsFault, TopicId, TopicName, client_range,
};

use crate::api::{ConnId, ControlResponse, Event, Input, Output, ProduceAnswer};
use crate::config::{ClusterConfig, HostPort};
use crate::errors::LostCause;
use crate::{Cluster, TopicState};

/// One request as a server sees it.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) at: Timestamp,
    pub(super) addr: SocketAddr,
    pub(super) header: RequestHeader,
    pub(super) body: Bytes,
}

impl Asked {
    pub(super) fn metadata(&self) -> MetadataRequest {
        MetadataRequest::decode(self.header.version, &mut Reader::new(&self.body)).unwrap()
    }

    /// Topics of a metadata request.
    pub(super) fn topics(&self) -> Vec<String> {
        let topics = self.metadata().topics.unwrap();
        topics.into_iter().map(|topic| topic.name.unwrap().to_string()).collect()
    }
}

/// What a server does about a request.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// A response, its size in front.
    Frame(Bytes),
    /// The same response, twice.
    Twice(Bytes),
    Lost(LostCause),
    Silence,
}

impl From<Frame> for Reply {
    fn from(frame: Frame) -> Self {
        Self::Frame(frame.to_vec().into())
    }
}

pub(super) fn closed() -> LostCause {
    LostCause::Closed { bytes_received: 0 }
}

pub(super) fn refused() -> LostCause {
    LostCause::ConnectFailed { kind: std::io::ErrorKind::ConnectionRefused, text: "connection refused".to_owned() }
}

/// The broker does not accept who the client is.
pub(super) fn turned_away() -> LostCause {
    LostCause::Tls { fault: TlsFault::CertificateRefused, text: "alert: certificate unknown".to_owned() }
}

/// What happens to a connection attempt.
pub(super) enum Dialled {
    Accepted,
    Failed(LostCause),
    BlackHole,
}

pub(super) trait Script {
    fn resolve(&mut self, host: &str, port: u16) -> Option<Result<Vec<SocketAddr>, String>> {
        let _ = host;
        Some(Ok(vec![SocketAddr::from(([10, 0, 0, 1], port))]))
    }
    fn dial(&mut self, addr: SocketAddr) -> Dialled {
        let _ = addr;
        Dialled::Accepted
    }
    fn reply(&mut self, asked: &Asked) -> Reply;
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) resolves: usize,
    pub(super) dials: Vec<(Timestamp, SocketAddr)>,
    pub(super) requests: Vec<(Timestamp, ApiKey, ApiVersion, SocketAddr)>,
    pub(super) closes: usize,
}

impl Counts {
    pub(super) fn of(&self, key: ApiKey) -> usize {
        self.requests.iter().filter(|(_, api, _, _)| *api == key).count()
    }
}

pub(super) struct World<S> {
    pub(super) cluster: Cluster,
    pub(super) now: Timestamp,
    pub(super) script: S,
    pub(super) counts: Counts,
    pub(super) events: Vec<Event>,
    /// One-way delay of everything.
    pub(super) delay: Duration,
    /// When set, frames are not reported as written.
    pub(super) jammed: bool,
    /// The servers of open connections.
    pub(super) conns: BTreeMap<ConnId, SocketAddr>,
    arriving: BTreeMap<(Timestamp, u64), Input>,
    pub(super) closed: BTreeSet<ConnId>,
    next: u64,
    /// Steps without time passing.
    steps: usize,
}

pub(super) fn config(bootstrap: &[&str]) -> ClusterConfig {
    ClusterConfig::new(bootstrap.iter().map(|server| server.parse().unwrap()).collect())
}

impl<S: Script> World<S> {
    pub(super) fn new(config: ClusterConfig, script: S) -> Self {
        Self::seeded(config, script, 42)
    }

    pub(super) fn seeded(config: ClusterConfig, script: S, seed: u64) -> Self {
        Self {
            cluster: Cluster::new(config, seed),
            now: Timestamp::from_millis(1_000),
            script,
            counts: Counts::default(),
            events: Vec::new(),
            delay: Duration::ZERO,
            jammed: false,
            conns: BTreeMap::new(),
            arriving: BTreeMap::new(),
            closed: BTreeSet::new(),
            next: 0,
            steps: 0,
        }
    }

    pub(super) fn later(&mut self, after: Duration, input: Input) {
        self.next += 1;
        self.arriving.insert((self.now + after, self.next), input);
    }

    /// The world breaks a connection.
    pub(super) fn break_conn(&mut self, conn: ConnId, cause: LostCause) {
        self.conns.remove(&conn);
        self.closed.insert(conn);
        self.cluster.handle(self.now, Input::Lost { conn, cause, begun: None });
        self.drain();
    }

    /// The open connection to the server, of which there is to be one.
    pub(super) fn conn_to(&self, addr: &str) -> ConnId {
        let addr: SocketAddr = addr.parse().unwrap();
        let mut conns = self.conns.iter().filter(|(_, other)| **other == addr).map(|(conn, _)| *conn);
        let conn = conns.next().expect("a connection");
        assert_eq!(conns.next(), None, "one connection to {addr}");
        conn
    }

    pub(super) fn drain(&mut self) {
        while let Some(output) = self.cluster.poll_output() {
            match output {
                Output::Resolve { query, host, port } => {
                    self.counts.resolves += 1;
                    if let Some(result) = self.script.resolve(&host, port) {
                        self.later(self.delay, Input::Resolved { query, result });
                    }
                }
                Output::Connect { conn, addr, .. } => {
                    self.counts.dials.push((self.now, addr));
                    match self.script.dial(addr) {
                        Dialled::Accepted => {
                            self.conns.insert(conn, addr);
                            self.later(self.delay, Input::Connected { conn });
                        }
                        Dialled::Failed(cause) => self.later(self.delay, Input::Lost { conn, cause, begun: None }),
                        Dialled::BlackHole => {}
                    }
                }
                Output::Transmit { conn, frame } => self.transmit(conn, &frame),
                Output::Close { conn } => {
                    self.counts.closes += 1;
                    self.conns.remove(&conn);
                    self.closed.insert(conn);
                }
                Output::Authenticate { .. } => panic!("SASL is not configured"),
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    fn transmit(&mut self, conn: ConnId, frame: &Frame) {
        assert!(!self.closed.contains(&conn), "nothing is sent on a closed connection");
        let mut bytes = Bytes::from(frame.to_vec());
        let size = usize::try_from(bytes.get_i32()).unwrap();
        assert_eq!(size, bytes.len());
        let mut reader = Reader::new(&bytes);
        let header = RequestHeader::decode(&mut reader).unwrap();
        let body = bytes.slice(reader.position()..);
        let addr = self.conns[&conn];
        self.counts.requests.push((self.now, header.api_key, header.version, addr));
        if !self.jammed {
            self.later(Duration::ZERO, Input::Written { conn });
        }
        let asked = Asked { at: self.now, addr, header, body };
        match self.script.reply(&asked) {
            Reply::Frame(frame) => self.later(self.delay, Input::Received { conn, frame: frame.slice(4..) }),
            Reply::Twice(frame) => {
                self.later(self.delay, Input::Received { conn, frame: frame.slice(4..) });
                self.later(self.delay, Input::Received { conn, frame: frame.slice(4..) });
            }
            Reply::Lost(cause) => self.later(self.delay, Input::Lost { conn, cause, begun: None }),
            Reply::Silence => {}
        }
    }

    /// Takes the next thing that happens, if it does by `until`.
    pub(super) fn step(&mut self, until: Timestamp) -> bool {
        self.drain();
        let arriving = self.arriving.first_key_value().map(|((at, _), _)| *at);
        let timer = self.cluster.next_timer().map(|at| at.max(self.now));
        let Some(at) = [arriving, timer].into_iter().flatten().min().filter(|at| *at <= until) else {
            self.now = self.now.max(until);
            return false;
        };
        self.steps = if at > self.now { 0 } else { self.steps + 1 };
        assert!(self.steps < 5_000, "spins at {at:?}");
        self.now = at;
        let input = if arriving == Some(at) {
            self.arriving.pop_first().map_or(Input::Tick, |(_, input)| input)
        } else {
            Input::Tick
        };
        if let Input::Lost { conn, .. } = &input {
            self.conns.remove(conn);
        }
        self.cluster.handle(self.now, input);
        self.drain();
        true
    }

    pub(super) fn run(&mut self, duration: Duration) {
        let until = self.now + duration;
        while self.step(until) {}
    }

    pub(super) fn run_ms(&mut self, millis: u64) {
        self.run(Duration::from_millis(millis));
    }

    /// Runs until `done`, for at most a minute.
    pub(super) fn run_until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let until = self.now + Duration::from_secs(60);
        self.drain();
        while !done(self) {
            assert!(self.step(until), "{what} within a minute");
        }
    }

    pub(super) fn use_topic(&mut self, topic: &str) {
        self.cluster.use_topic(self.now, &TopicName::new(topic));
        self.drain();
    }

    pub(super) fn is_known(&self, topic: &str) -> bool {
        matches!(self.cluster.topic(&TopicName::new(topic)), TopicState::Known(_))
    }

    pub(super) fn leader(&self, topic: &str, partition: i32) -> Option<(i32, i32)> {
        let leader = self.cluster.leader(&TopicName::new(topic), PartitionId(partition))?;
        Some((leader.broker.0, leader.epoch.0))
    }

    pub(super) fn take_events(&mut self) -> Vec<String> {
        std::mem::take(&mut self.events).iter().map(describe).collect()
    }
}

pub(super) fn describe(event: &Event) -> String {
    match event {
        Event::MetadataChanged => "metadata".to_owned(),
        Event::Room { broker } => format!("room {broker}"),
        Event::Refused { broker, cause } => format!("refused {broker:?} by {}", cause.address),
        Event::Produced { broker, answer, .. } => match answer {
            Ok(ProduceAnswer::Answered(_)) => format!("produced {broker}"),
            Ok(ProduceAnswer::Unacknowledged) => format!("unacknowledged {broker}"),
            Err(lost) => format!("lost {broker} {:?} {} {:?}", lost.reached, lost.code, lost.cause.what),
        },
        Event::Controlled { answer, .. } => match answer {
            Ok(ControlResponse::InitProducerId(response)) => format!("producer id {}", response.producer_id),
            Err(lost) => format!("control lost {:?} {} {:?}", lost.reached, lost.code, lost.cause.what),
        },
    }
}

/// A healthy cluster whose parts can be changed.
pub(super) struct Kafka {
    pub(super) brokers: BTreeMap<i32, HostPort>,
    /// Partitions as (leader, epoch).
    pub(super) topics: BTreeMap<String, Topic>,
    /// Which brokers refuse connections.
    pub(super) down: BTreeSet<i32>,
    /// Which brokers do not accept the client's certificate.
    pub(super) refusing: BTreeSet<i32>,
    pub(super) newest: BTreeMap<ApiKey, i16>,
    pub(super) produce_throttle_ms: i32,
    /// APIs that are never answered.
    pub(super) silent: BTreeSet<ApiKey>,
    pub(super) metadata_error: ErrorCode,
    pub(super) metadata_requests: Vec<(Timestamp, Vec<String>)>,
}

#[derive(Clone, Default)]
pub(super) struct Topic {
    pub(super) error: ErrorCode,
    pub(super) id: u8,
    pub(super) partitions: Vec<(i32, i32)>,
    pub(super) omitted: BTreeSet<i32>,
}

impl Topic {
    pub(super) fn led_by(leaders: &[(i32, i32)]) -> Self {
        Self { id: 1, partitions: leaders.to_vec(), ..Self::default() }
    }
}

impl Kafka {
    /// Brokers with ids from 1, at `10.0.0.<id>:9092`.
    pub(super) fn of(brokers: i32) -> Self {
        let address = |id| (id, HostPort::new(&format!("10.0.0.{id}"), 9092));
        Self {
            brokers: (1..=brokers).map(address).collect(),
            topics: BTreeMap::new(),
            down: BTreeSet::new(),
            refusing: BTreeSet::new(),
            newest: BTreeMap::new(),
            produce_throttle_ms: 0,
            silent: BTreeSet::new(),
            metadata_error: ErrorCode::NONE,
            metadata_requests: Vec::new(),
        }
    }

    pub(super) fn with_topic(mut self, name: &str, topic: Topic) -> Self {
        self.topics.insert(name.to_owned(), topic);
        self
    }

    fn newest(&self, key: ApiKey) -> i16 {
        self.newest.get(&key).copied().unwrap_or_else(|| client_range(key).unwrap().1.0)
    }

    pub(super) fn versions(&self) -> Vec<ApiRange> {
        let sasl = [ApiKey::SASL_HANDSHAKE, ApiKey::SASL_AUTHENTICATE];
        [ApiKey::PRODUCE, ApiKey::METADATA, ApiKey::API_VERSIONS, ApiKey::INIT_PRODUCER_ID]
            .into_iter()
            .chain(sasl)
            .map(|key| ApiRange { key, min: ApiVersion(0), max: ApiVersion(self.newest(key)) })
            .collect()
    }

    pub(super) fn metadata(&self, names: &[String]) -> MetadataResponse {
        let topics = names.iter().map(|name| self.topic(name));
        MetadataResponse {
            brokers: self.brokers.iter().map(|(id, address)| broker(*id, address)).collect(),
            cluster_id: Some("test".to_owned()),
            controller: BrokerId(1),
            topics: topics.collect(),
            error: self.metadata_error,
            ..MetadataResponse::default()
        }
    }

    fn topic(&self, name: &str) -> MetadataTopic {
        let missing = Topic { error: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, ..Topic::default() };
        let topic = self.topics.get(name).unwrap_or(&missing);
        let partitions = (0..).zip(&topic.partitions).filter(|(index, _)| !topic.omitted.contains(index)).map(
            |(index, (leader, epoch))| MetadataPartition {
                error: if *leader < 0 { ErrorCode::LEADER_NOT_AVAILABLE } else { ErrorCode::NONE },
                index: PartitionId(index),
                leader: BrokerId(*leader),
                leader_epoch: LeaderEpoch(*epoch),
                ..MetadataPartition::default()
            },
        );
        MetadataTopic {
            error: topic.error,
            name: Some(TopicName::new(name)),
            id: TopicId([topic.id; 16]),
            partitions: if topic.error == ErrorCode::NONE { partitions.collect() } else { Vec::new() },
            ..MetadataTopic::default()
        }
    }

    pub(super) fn answer(&mut self, asked: &Asked) -> Reply {
        let RequestHeader { api_key, version, correlation, .. } = asked.header;
        if self.silent.contains(&api_key) {
            return Reply::Silence;
        }
        match api_key {
            ApiKey::API_VERSIONS => {
                let error = if version.0 > self.newest(ApiKey::API_VERSIONS) {
                    ErrorCode::UNSUPPORTED_VERSION
                } else {
                    ErrorCode::NONE
                };
                let response = ApiVersionsResponse { error, apis: self.versions(), ..ApiVersionsResponse::default() };
                response.encode_frame(version, correlation).into()
            }
            ApiKey::METADATA => {
                let names = asked.topics();
                self.metadata_requests.push((asked.at, names.clone()));
                self.metadata(&names).encode_frame(version, correlation).into()
            }
            ApiKey::INIT_PRODUCER_ID => {
                let response = InitProducerIdResponse {
                    producer_id: ProducerId(7),
                    producer_epoch: ProducerEpoch(0),
                    ..InitProducerIdResponse::default()
                };
                response.encode_frame(version, correlation).into()
            }
            ApiKey::PRODUCE => {
                let request = ProduceRequestIn::decode(version, &mut Reader::new(&asked.body)).unwrap();
                if request.acks == 0 {
                    return Reply::Silence;
                }
                self.produced(&request).encode_frame(version, correlation).into()
            }
            ApiKey::SASL_HANDSHAKE => {
                let mechanisms = vec!["TEST".to_owned()];
                SaslHandshakeResponse { error: ErrorCode::NONE, mechanisms }.encode_frame(version, correlation).into()
            }
            ApiKey::SASL_AUTHENTICATE => {
                // So short that it ends now and then in the middle of whatever a test does.
                let response =
                    SaslAuthenticateResponse { session_lifetime_ms: 20_000, ..SaslAuthenticateResponse::default() };
                response.encode_frame(version, correlation).into()
            }
            key => panic!("nobody asks for {key}"),
        }
    }

    fn produced(&self, request: &ProduceRequestIn) -> ProduceResponse {
        let partition =
            |index| ProducePartitionResponse { index, base_offset: Offset(0), ..ProducePartitionResponse::default() };
        let topics = request.topics.iter().map(|topic| ProduceTopicResponse {
            name: topic.name.clone(),
            id: topic.id,
            partitions: topic.partitions.iter().map(|p| partition(p.index)).collect(),
        });
        ProduceResponse {
            topics: topics.collect(),
            throttle_ms: self.produce_throttle_ms,
            ..ProduceResponse::default()
        }
    }
}

fn broker(id: i32, address: &HostPort) -> MetadataBroker {
    MetadataBroker { node: BrokerId(id), host: address.host.clone(), port: address.port.into(), rack: None }
}

impl Script for Kafka {
    fn dial(&mut self, addr: SocketAddr) -> Dialled {
        let called = self.brokers.iter().find(|(_, address)| address.to_string() == addr.to_string());
        match called.map(|(id, _)| id) {
            Some(id) if self.refusing.contains(id) => Dialled::Failed(turned_away()),
            Some(id) if !self.down.contains(id) => Dialled::Accepted,
            _ => Dialled::Failed(refused()),
        }
    }

    fn reply(&mut self, asked: &Asked) -> Reply {
        self.answer(asked)
    }
}

/// A response frame to `asked`: a correlation id and whatever.
pub(super) fn raw(correlation: CorrelationId, body: &[u8]) -> Reply {
    let mut frame = BytesMut::new();
    frame.extend_from_slice(&i32::try_from(4 + body.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(&correlation.0.to_be_bytes());
    frame.extend_from_slice(body);
    Reply::Frame(frame.freeze())
}

/// A produce request of one empty batch.
pub(super) fn produce(topic: &str, acks: i16) -> ProduceRequest {
    ProduceRequest {
        transactional_id: None,
        acks,
        timeout_ms: 30_000,
        topics: vec![ProduceTopic {
            name: TopicName::new(topic),
            id: TopicId([1; 16]),
            partitions: vec![ProducePartition {
                index: PartitionId(0),
                header: [0; 61],
                payload: milena_wire::Payload::new(),
            }],
        }],
    }
}
