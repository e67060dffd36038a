//! The client's side of its connections, with brokers that say whatever they like.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use milena_cluster::{
    Cluster, ClusterConfig, ConnId, ControlRequest, Event, HostPort, Input as Told, LostCause, Output, RequestId, Room,
    SaslError, SaslErrorKind, SaslOrder, SaslStep,
};
use milena_pool::hostile::Receiver;
use milena_wire::message::api_versions::{ApiRange, ApiVersionsResponse};
use milena_wire::message::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use milena_wire::message::metadata::{MetadataBroker, MetadataPartition, MetadataResponse, MetadataTopic};
use milena_wire::message::produce::{
    ProducePartition, ProducePartitionResponse, ProduceRequest, ProduceResponse, ProduceTopic, ProduceTopicResponse,
};
use milena_wire::message::sasl_authenticate::SaslAuthenticateResponse;
use milena_wire::message::sasl_handshake::SaslHandshakeResponse;
use milena_wire::message::{RequestHeader, client_range};
use milena_wire::{
    ApiKey, BATCH_HEADER_LEN, BrokerId, Frame, LeaderEpoch, Offset, PartitionId, Reader, ResponseHeader, Timestamp,
    TlsFault, TopicId, TopicName,
};

use crate::budget::Budget;
use crate::input::Input;
use crate::messages::APIS;

const MAX_FRAME: usize = 4096;
const TOPIC: &str = "alpha";

/// What a cluster is told it keeps for every topic and broker, and a request or a new connection (an opening buffer of 32 KiB) may follow from every other byte.
const CLIENT: Budget = Budget { per_byte: 48 * 1024, at_least: 16 << 20 };

/// `[how] ([what] …)…`: bytes, answers and events on all connections that a client makes.
pub fn connection(data: &[u8]) {
    CLIENT.hold("the client", data.len(), || {
        World::new(data.first().copied().unwrap_or(0)).run(Input::new(data.get(1..).unwrap_or_default()))
    });
}

struct World {
    cluster: Cluster,
    now: Timestamp,
    conns: BTreeMap<ConnId, Conn>,
    /// Produce and control requests that were made, and whether they are over.
    open: BTreeMap<RequestId, bool>,
    /// SASL steps that are asked for.
    orders: VecDeque<(ConnId, SaslOrder)>,
    refuse: bool,
    silent: bool,
}

struct Conn {
    receiver: Receiver,
    /// Headers of requests without an answer.
    asked: VecDeque<RequestHeader>,
    begun: u64,
}

impl World {
    fn new(how: u8) -> Self {
        let mut config = ClusterConfig::new(vec![HostPort::new("10.0.0.1", 9092), HostPort::new("seed", 9092)]);
        config.max_frame = MAX_FRAME;
        // Short, so that little is waited for at the end.
        config.request_timeout = Duration::from_secs(2);
        (config.connect_timeout, config.connect_timeout_max) = (Duration::from_millis(500), Duration::from_secs(1));
        config.sasl_mechanism = (how & 1 != 0).then(|| "PLAIN".to_owned());
        let mut cluster = Cluster::new(config, 7);
        let now = Timestamp::from_millis(1);
        cluster.use_topic(now, &TopicName::new(TOPIC));
        Self {
            cluster,
            now,
            conns: BTreeMap::new(),
            open: BTreeMap::new(),
            orders: VecDeque::new(),
            refuse: false,
            silent: false,
        }
    }

    fn run(mut self, mut input: Input<'_>) {
        self.drain();
        while !input.is_over() {
            self.step(&mut input);
            self.drain();
        }
        self.end();
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let what = input.byte();
        let conn = self.conns.keys().copied().nth(usize::from(what >> 5) % self.conns.len().max(1));
        match (what & 0x0f, conn) {
            // Bytes as they are.
            (0, Some(conn)) => {
                let bytes = input.piece();
                self.receive(conn, bytes);
            }
            // The answer that is due, with any body.
            (1, Some(conn)) => {
                let body = input.piece();
                self.answer(conn, |_| Some(body.to_vec()));
            }
            // The right answer, with a byte of it changed.
            (2 | 3, Some(conn)) => {
                let (at, flip, more) =
                    (usize::from(input.u16()), if what & 1 == 0 { input.byte() } else { 0 }, input.byte());
                self.answer(conn, |asked| {
                    let mut body = honest(asked, more)?;
                    if let Some(len) = (!body.is_empty()).then_some(body.len()) {
                        body[at % len] ^= flip;
                    }
                    Some(body)
                });
            }
            (4, Some(conn)) => {
                let cause = match input.byte() % 4 {
                    0 => LostCause::Closed { bytes_received: 0 },
                    1 => LostCause::Tls { fault: TlsFault::Protocol, text: String::new() },
                    2 => LostCause::Io { kind: std::io::ErrorKind::ConnectionReset, text: String::new() },
                    _ => LostCause::BadSize { first_bytes: [input.byte(), input.byte(), input.byte(), input.byte()] },
                };
                self.lose(conn, cause);
            }
            (5, _) => {
                let next = self.cluster.next_timer().unwrap_or(self.now);
                self.now = self.now.max(next);
                self.cluster.handle(self.now, Told::Tick);
            }
            (6, _) => {
                self.now = self.now + Duration::from_millis(u64::from(input.u16()));
                self.cluster.handle(self.now, Told::Tick);
            }
            (7, _) => {
                let broker = BrokerId(i32::from(input.byte() & 3));
                self.produce(broker);
            }
            (8, _) => {
                let id =
                    self.cluster.control(self.now, ControlRequest::InitProducerId(InitProducerIdRequest::default()));
                self.open.insert(id, false);
            }
            (9, _) => self.refuse ^= true,
            (10, _) => self.silent ^= true,
            (11, _) => {
                let step = match input.byte() % 3 {
                    0 => Ok(SaslStep::Done),
                    1 => Ok(SaslStep::Send(Bytes::copy_from_slice(input.piece()))),
                    _ => Err(SaslError::new(SaslErrorKind::Refused, "no")),
                };
                if let Some((conn, _)) = self.orders.pop_front() {
                    self.cluster.handle(self.now, Told::Authenticate { conn, step });
                }
            }
            (12, _) => {
                self.cluster.use_topic(self.now, &TopicName::new(["beta", "gamma"][usize::from(input.byte() & 1)]))
            }
            (13, _) => self.cluster.refresh(self.now),
            _ => {}
        }
    }

    /// Takes bytes in as a connection does: a part of them at a time.
    fn receive(&mut self, id: ConnId, mut bytes: &[u8]) {
        while let Some(conn) = self.conns.get_mut(&id).filter(|_| !bytes.is_empty()) {
            let taken = conn.receiver.read(&bytes[..bytes.len().min(7)]);
            bytes = &bytes[taken..];
            loop {
                let Some(conn) = self.conns.get_mut(&id) else { return };
                match conn.receiver.next_frame() {
                    Ok(None) => break,
                    Ok(Some(frame)) => {
                        conn.asked.pop_front();
                        self.cluster.handle(self.now, Told::Received { conn: id, frame });
                        self.drain();
                    }
                    Err(milena_pool::LostCause::FrameSize { size, .. }) => {
                        return self.lose(id, LostCause::BadSize { first_bytes: size.to_be_bytes() });
                    }
                    Err(other) => unreachable!("{other}"),
                }
            }
        }
    }

    fn answer(&mut self, id: ConnId, body: impl FnOnce(&RequestHeader) -> Option<Vec<u8>>) {
        let Some(asked) = self.conns.get(&id).and_then(|conn| conn.asked.front()) else { return };
        let Some(body) = body(asked) else { return };
        let flexible = header_has_tags(asked);
        let mut frame = asked.correlation.0.to_be_bytes().to_vec();
        frame.extend(flexible.then_some(0));
        frame.extend_from_slice(&body);
        let whole = [&u32::try_from(frame.len()).unwrap_or(0).to_be_bytes(), &frame[..]].concat();
        self.receive(id, &whole);
    }

    fn lose(&mut self, id: ConnId, cause: LostCause) {
        let begun = self.conns.remove(&id).map(|conn| conn.begun);
        self.cluster.handle(self.now, Told::Lost { conn: id, cause, begun });
    }

    fn produce(&mut self, broker: BrokerId) {
        if let Room::Ready { .. } = self.cluster.produce_room(self.now, broker) {
            let header = [0; BATCH_HEADER_LEN];
            let partition = ProducePartition { index: PartitionId(0), header, payload: milena_wire::Payload::new() };
            let name = TopicName::new(TOPIC);
            let topics = vec![ProduceTopic { name, id: TopicId::ZERO, partitions: vec![partition] }];
            let request = ProduceRequest { transactional_id: None, acks: -1, timeout_ms: 1000, topics };
            let id = self.cluster.send_produce(self.now, broker, &request);
            self.open.insert(id, false);
        }
    }

    fn drain(&mut self) {
        // Each thing that happens has few consequences, and none of them is a storm.
        for _ in 0..10_000 {
            let Some(output) = self.cluster.poll_output() else { return };
            self.on_output(output);
        }
        panic!("no end of outputs");
    }

    fn on_output(&mut self, output: Output) {
        let now = self.now;
        match output {
            Output::Resolve { query, port, .. } => {
                let result =
                    if self.refuse { Err("no such name".to_owned()) } else { Ok(vec![([10, 0, 0, 1], port).into()]) };
                self.cluster.handle(now, Told::Resolved { query, result });
            }
            Output::Connect { conn, .. } if self.refuse => {
                let cause =
                    LostCause::ConnectFailed { kind: std::io::ErrorKind::ConnectionRefused, text: String::new() };
                self.cluster.handle(now, Told::Lost { conn, cause, begun: Some(0) });
            }
            Output::Connect { conn, .. } => {
                let receiver = Receiver::new(MAX_FRAME);
                assert!(self.conns.insert(conn, Conn { receiver, asked: VecDeque::new(), begun: 0 }).is_none());
                self.cluster.handle(now, Told::Connected { conn });
            }
            Output::Transmit { conn, frame } => self.transmit(conn, &frame),
            Output::Authenticate { conn, order } => self.orders.push_back((conn, order)),
            Output::Close { conn } => {
                self.conns.remove(&conn);
            }
            Output::Event(Event::Produced { request, .. } | Event::Controlled { request, .. }) => {
                let over = self.open.get_mut(&request).expect("a request that was made");
                assert!(!std::mem::replace(over, true), "a request ends once");
            }
            _ => {}
        }
    }

    fn transmit(&mut self, id: ConnId, frame: &Frame) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let header = RequestHeader::decode(&mut Reader::new(&frame.to_vec()[4..])).expect("our own request");
        conn.asked.push_back(header);
        conn.begun += 1;
        if !self.silent {
            self.cluster.handle(self.now, Told::Written { conn: id });
        }
    }

    /// However bad the brokers were: time alone ends every request, and nothing happens in a hurry.
    fn end(mut self) {
        let limit = self.now + Duration::from_secs(3600);
        let mut steps = 0;
        while self.open.values().any(|over| !over) {
            let next = self.cluster.next_timer().expect("something is waited for").max(self.now);
            // A broker may throttle for ten minutes a time.
            assert!(next < limit, "a request hangs");
            steps += usize::from(next == self.now);
            assert!(steps < 1000, "time stands still");
            self.now = next;
            self.cluster.handle(self.now, Told::Tick);
            self.drain();
        }
    }
}

/// What a broker of good will answers.
fn honest(asked: &RequestHeader, more: u8) -> Option<Vec<u8>> {
    let (version, correlation) = (asked.version, asked.correlation);
    let throttle_ms = i32::from(more & 1) * 100;
    let frame = match asked.api_key {
        ApiKey::API_VERSIONS => {
            let range = |key: &ApiKey| client_range(*key).map(|(min, max)| ApiRange { key: *key, min, max });
            let apis = APIS.iter().filter_map(range).collect();
            ApiVersionsResponse { apis, throttle_ms, ..Default::default() }.encode_frame(version, correlation)
        }
        ApiKey::METADATA => metadata(more, throttle_ms).encode_frame(version, correlation),
        ApiKey::PRODUCE => {
            let partition = ProducePartitionResponse { base_offset: Offset(5), ..Default::default() };
            let topic = ProduceTopicResponse { name: TOPIC.into(), partitions: vec![partition], ..Default::default() };
            ProduceResponse { topics: vec![topic], throttle_ms, ..Default::default() }
                .encode_frame(version, correlation)
        }
        ApiKey::INIT_PRODUCER_ID => {
            InitProducerIdResponse { throttle_ms, ..Default::default() }.encode_frame(version, correlation)
        }
        ApiKey::SASL_HANDSHAKE => SaslHandshakeResponse { mechanisms: vec!["PLAIN".to_owned()], ..Default::default() }
            .encode_frame(version, correlation),
        ApiKey::SASL_AUTHENTICATE => {
            let session_lifetime_ms = i64::from(more) * 1000;
            SaslAuthenticateResponse { session_lifetime_ms, ..Default::default() }.encode_frame(version, correlation)
        }
        _ => return None,
    };
    let frame = frame.to_vec();
    let mut reader = Reader::new(&frame[4..]);
    ResponseHeader::decode(asked.api_key, version, &mut reader).ok()?;
    Some(reader.rest().to_vec())
}

fn metadata(more: u8, throttle_ms: i32) -> MetadataResponse {
    let broker =
        |node: i32| MetadataBroker { node: BrokerId(node), host: format!("10.0.0.{node}"), port: 9092, rack: None };
    let partition = |index: i32| MetadataPartition {
        index: PartitionId(index),
        leader: BrokerId(i32::from(more & 3)),
        leader_epoch: LeaderEpoch(i32::from(more >> 4)),
        ..Default::default()
    };
    let topic = MetadataTopic {
        name: Some(TOPIC.into()),
        id: TopicId([more & 0x0c; 16]),
        partitions: (0..2).map(partition).collect(),
        ..Default::default()
    };
    MetadataResponse {
        throttle_ms,
        brokers: (1..3).map(broker).collect(),
        cluster_id: Some("c".to_owned()),
        topics: vec![topic],
        ..Default::default()
    }
}

/// Whether the response's header ends in tagged fields.
fn header_has_tags(asked: &RequestHeader) -> bool {
    let mut reader = Reader::new(&[0, 0, 0, 0, 0]);
    ResponseHeader::decode(asked.api_key, asked.version, &mut reader).is_ok() && reader.remaining() == 0
}

/// Connections that go well at first.
pub(crate) fn connection_seeds() -> Vec<Vec<u8>> {
    // ApiVersions, metadata (led by broker 1), a produce request: its connection, its ApiVersions, its answer.
    let plain: &[&[u8]] = &[
        &[3, 0, 0, 0],
        &[3, 0, 0, 0x11],
        &[7, 1],
        &[3 | 1 << 5, 0, 0, 0],
        &[7, 1],
        &[3 | 1 << 5, 0, 0, 0],
        &[8],
        &[3, 0, 0, 0],
        &[5],
    ];
    let broken: &[&[u8]] = &[
        &[2, 0, 6, 1, 0],
        &[3, 0, 0, 0],
        &[2, 0, 20, 0x80, 1],
        &[5],
        &[3, 0, 0, 2],
        &[6, 1, 0],
        &[4, 3, b'H', b'T', b'T', b'P'],
        &[5],
    ];
    let raw: &[&[u8]] = &[
        &[0, 12, 0, 0, 0, 8, 0, 0, 0, 0, 0, 35, 0, 0],
        &[1, 6, 0, 0, 0, 0, 0, 0],
        &[9],
        &[5],
        &[9],
        &[5],
        &[10],
        &[8],
        &[7, 1],
        &[5],
    ];
    let sasl: &[&[u8]] = &[
        &[3, 0, 0, 0],
        &[11, 1, 1, b'x'],
        &[3, 0, 0, 0],
        &[3, 0, 0, 2],
        &[11, 0],
        &[3, 0, 0, 0x11],
        &[6, 7, 0],
        &[11, 1, 0],
        &[3, 0, 0, 0],
        &[3, 0, 0, 0],
        &[11, 2],
        &[5],
    ];
    let join = |how: u8, steps: &[&[u8]]| [&[how], &steps.concat()[..]].concat();
    vec![
        join(0, plain),
        join(0, broken),
        join(0, raw),
        join(1, sasl),
        join(0, &[plain, broken, raw].concat()),
        join(1, &[sasl, plain].concat()),
    ]
}
