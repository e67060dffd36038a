//! Anything in any order: what must hold whatever the world and the owner do.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, Bytes};
use milena_sasl::{SaslError, SaslErrorKind, Step};
use milena_wire::message::init_producer_id::InitProducerIdRequest;
use milena_wire::{ApiKey, BrokerId, ErrorCode, LeaderEpoch, PartitionId, Reader, RequestHeader, Timestamp, TopicName};

use super::world::{Asked, Kafka, Reply, Topic, config, produce};
use crate::api::{ConnId, Event, Input, Output, QueryId, RequestId, SaslOrder};
use crate::errors::LostCause;
use crate::rng::Rng;
use crate::{Cluster, ControlRequest, LeaderHint, NodeEndpoint, Reached, Room};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wire {
    Connecting,
    Open,
}

/// Does everything a world can do, in any order.
struct Chaos {
    cluster: Cluster,
    rng: Rng,
    now: Timestamp,
    kafka: Kafka,
    queries: Vec<QueryId>,
    wires: BTreeMap<ConnId, Wire>,
    /// Answers a sane server would give, by connection, oldest first.
    replies: BTreeMap<ConnId, Vec<Bytes>>,
    unwritten: BTreeMap<ConnId, usize>,
    over: Vec<ConnId>,
    /// What mechanisms are to work out.
    orders: Vec<(ConnId, SaslOrder)>,
    /// Connections whose present authentication the broker has been asked for and not heard the end of.
    in_sasl: BTreeSet<ConnId>,
    /// Connections that have authenticated, and how often any did so again.
    authenticated: BTreeSet<ConnId>,
    renewed: usize,
    /// Requests without an end, and whether they were transmitted.
    open: BTreeSet<RequestId>,
    /// Produce requests in the order they were made.
    ended: BTreeSet<RequestId>,
    trace: Vec<String>,
    healthy: bool,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let kafka = Kafka::of(3)
            .with_topic("a", Topic::led_by(&[(1, 5), (2, 5), (3, 5)]))
            .with_topic("b", Topic::led_by(&[(-1, 5)]))
            .with_topic("c", Topic { error: ErrorCode::TOPIC_AUTHORIZATION_FAILED, ..Topic::default() });
        let mut config = config(&["seed-1:9092", "10.0.0.2:9092"]);
        config.sasl_mechanism = (seed % 2 == 1).then(|| "TEST".to_owned());
        Self {
            cluster: Cluster::new(config, seed),
            rng: Rng::new(seed.wrapping_mul(31)),
            now: Timestamp::from_millis(1),
            kafka,
            queries: Vec::new(),
            wires: BTreeMap::new(),
            replies: BTreeMap::new(),
            unwritten: BTreeMap::new(),
            over: Vec::new(),
            orders: Vec::new(),
            in_sasl: BTreeSet::new(),
            authenticated: BTreeSet::new(),
            renewed: 0,
            open: BTreeSet::new(),
            ended: BTreeSet::new(),
            trace: Vec::new(),
            healthy: false,
        }
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.rng.below(100) < percent
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let index = self.rng.below(from.len() as u64);
        from.get(usize::try_from(index).unwrap()).copied()
    }

    fn drain(&mut self) {
        while let Some(output) = self.cluster.poll_output() {
            match output {
                Output::Resolve { query, .. } => self.queries.push(query),
                Output::Connect { conn, .. } => {
                    assert!(!self.over.contains(&conn), "ids are not used again");
                    assert!(self.wires.insert(conn, Wire::Connecting).is_none());
                }
                Output::Transmit { conn, frame } => {
                    assert_eq!(self.wires.get(&conn), Some(&Wire::Open), "frames go on open connections");
                    *self.unwritten.entry(conn).or_default() += 1;
                    self.serve(conn, Bytes::from(frame.to_vec()));
                }
                Output::Close { conn } => {
                    assert!(self.wires.remove(&conn).is_some(), "only what is there is closed, and once");
                    self.over.push(conn);
                }
                Output::Authenticate { conn, order } => self.orders.push((conn, order)),
                Output::Event(event) => self.on_event(event),
            }
        }
    }

    fn on_event(&mut self, event: Event) {
        self.trace.push(super::world::describe(&event));
        let (request, lost) = match event {
            Event::Produced { request, answer, .. } => (request, answer.err()),
            Event::Controlled { request, answer, .. } => (request, answer.err()),
            Event::MetadataChanged | Event::Room { .. } | Event::Refused { .. } => return,
        };
        assert!(self.ended.insert(request), "a request ends once");
        if let Some(lost) = lost {
            let timed_out = lost.code == ErrorCode::REQUEST_TIMED_OUT;
            assert!(timed_out || lost.reached == Reached::MaybeSent || !lost.cause.to_string().is_empty());
        }
    }

    fn serve(&mut self, conn: ConnId, mut frame: Bytes) {
        frame.advance(4);
        let mut reader = Reader::new(&frame);
        let header = RequestHeader::decode(&mut reader).unwrap();
        let body = frame.slice(reader.position()..);
        let addr = SocketAddr::from(([10, 0, 0, 1], 9092));
        self.watch_sasl(conn, header.api_key);
        let asked = Asked { at: self.now, addr, header, body };
        if let Reply::Frame(frame) = self.kafka.answer(&asked) {
            self.replies.entry(conn).or_default().push(frame.slice(4..));
        }
    }

    /// A broker expects nothing else between SaslHandshake and the end, and every answer has come before it begins.
    fn watch_sasl(&mut self, conn: ConnId, key: ApiKey) {
        match key {
            ApiKey::SASL_HANDSHAKE => {
                assert!(self.in_sasl.insert(conn), "one authentication at a time");
                assert!(self.replies.get(&conn).is_none_or(Vec::is_empty), "with requests in flight");
            }
            ApiKey::SASL_AUTHENTICATE => assert!(self.in_sasl.contains(&conn), "not announced"),
            _ => assert!(!self.in_sasl.contains(&conn), "{key} in the middle of an authentication"),
        }
    }

    /// The mechanism does its part.
    fn mechanism(&mut self) {
        let Some((conn, order)) = self.orders.pop() else { return };
        let wrong = !self.healthy && self.chance(10);
        let step = match (order, self.rng.below(if wrong { 4 } else { 1 })) {
            (SaslOrder::Begin { .. }, 0) => Ok(Step::Send(Bytes::from_static(b"first"))),
            (SaslOrder::Answer { .. }, 0) if self.chance(50) => Ok(Step::Send(Bytes::from_static(b"next"))),
            (SaslOrder::Answer { .. }, 0) => {
                // The broker knows as much after its last answer.
                self.in_sasl.remove(&conn);
                self.renewed += usize::from(!self.authenticated.insert(conn));
                Ok(Step::Done)
            }
            (_, 1) => Err(SaslError::new(SaslErrorKind::ServerSignature, "x")),
            (SaslOrder::Begin { .. }, 2) => Ok(Step::Done),
            (_, 2) => {
                let error = SaslError::new(SaslErrorKind::TokenRefused, "x");
                Ok(Step::GiveUp { last: Bytes::from_static(b"end"), error })
            }
            // It does not come to an end at all.
            _ => return,
        };
        self.handle(Input::Authenticate { conn, step });
    }

    fn handle(&mut self, input: Input) {
        if let Input::Lost { conn, .. } = &input
            && self.wires.remove(conn).is_some()
        {
            self.over.push(*conn);
        }
        self.cluster.handle(self.now, input);
        self.drain();
        let next = self.cluster.next_timer();
        assert!(next.is_none_or(|at| at > self.now), "what is due was done: {next:?} at {:?}", self.now);
    }

    /// Something a world does, most often something sane.
    fn world(&mut self) {
        if !self.orders.is_empty() && self.chance(40) {
            return self.mechanism();
        }
        let conns = self.wires.keys().copied().collect::<Vec<_>>();
        let stale = self.over.clone();
        let conn = if self.chance(3) { self.pick(&stale) } else { self.pick(&conns) };
        let Some(conn) = conn else {
            let queries = std::mem::take(&mut self.queries);
            for query in queries {
                let addrs = (1..=2).map(|n| SocketAddr::from(([10, 0, 0, n], 9092))).collect();
                let fails = !self.healthy && self.chance(30);
                let result = if fails { Err("no such host".to_owned()) } else { Ok(addrs) };
                self.handle(Input::Resolved { query, result });
            }
            return;
        };
        if !self.healthy && self.chance(8) {
            let kinds = [std::io::ErrorKind::ConnectionRefused, std::io::ErrorKind::ConnectionReset];
            let kind = self.pick(&kinds).unwrap();
            let first_bytes = *b"HTTP";
            let cause = match self.rng.below(4) {
                0 => LostCause::ConnectFailed { kind, text: "x".to_owned() },
                1 => LostCause::Io { kind, text: "x".to_owned() },
                2 => LostCause::BadSize { first_bytes },
                _ => LostCause::Closed { bytes_received: self.rng.below(2) },
            };
            return self.handle(Input::Lost { conn, cause, begun: None });
        }
        if !self.healthy && self.chance(3) {
            let len = usize::try_from(self.rng.below(40)).unwrap();
            let bytes = (0..len).map(|_| self.rng.below(256).to_le_bytes()[0]).collect::<Vec<_>>();
            return self.handle(Input::Received { conn, frame: bytes.into() });
        }
        match self.wires.get(&conn) {
            Some(Wire::Connecting) => {
                self.wires.insert(conn, Wire::Open);
                self.handle(Input::Connected { conn });
            }
            Some(Wire::Open) => {
                let unwritten = self.unwritten.entry(conn).or_default();
                if *unwritten > 0 {
                    *unwritten -= 1;
                    return self.handle(Input::Written { conn });
                }
                let replies = self.replies.entry(conn).or_default();
                if replies.is_empty() {
                    return;
                }
                let mut frame = replies.remove(0);
                if !self.healthy && self.chance(3) {
                    let keep = usize::try_from(self.rng.below(frame.len() as u64)).unwrap();
                    frame.truncate(keep);
                }
                self.handle(Input::Received { conn, frame });
            }
            None => self.handle(Input::Written { conn }),
        }
    }

    /// Something an owner does.
    fn owner(&mut self) {
        let brokers = [BrokerId(1), BrokerId(2), BrokerId(3), BrokerId(9)];
        let broker = self.pick(&brokers).unwrap();
        let topics = ["a", "b", "c", "d"].map(TopicName::new);
        let topic = &topics[usize::try_from(self.rng.below(4)).unwrap()];
        match self.rng.below(8) {
            0 => self.cluster.use_topic(self.now, topic),
            1 => self.cluster.refresh(self.now),
            2 => self.cluster.refresh_topic(self.now, topic),
            3 => {
                let request = ControlRequest::InitProducerId(InitProducerIdRequest::default());
                let id = self.cluster.control(self.now, request);
                assert!(self.open.insert(id));
            }
            4 => {
                let epoch = LeaderEpoch(i32::try_from(self.rng.below(20)).unwrap());
                let hint = LeaderHint { topic: topic.clone(), partition: PartitionId(0), leader: broker, epoch };
                let host = format!("10.0.0.{broker}");
                let endpoint = NodeEndpoint { node: broker, host, port: 9092, rack: None };
                self.cluster.apply_hints(self.now, &[hint], &[endpoint]);
            }
            _ => {
                let acks = if self.chance(30) { 0 } else { -1 };
                if let Room::Ready { .. } = self.cluster.produce_room(self.now, broker) {
                    let id = self.cluster.send_produce(self.now, broker, &produce("a", acks));
                    assert!(self.open.insert(id));
                } else if self.chance(3) {
                    let id = self.cluster.send_produce(self.now, broker, &produce("a", acks));
                    assert!(self.open.insert(id), "sent without room");
                }
            }
        }
        self.drain();
    }

    fn wait(&mut self) {
        let millis = [0, 1, 50, 1_000, 10_000, 40_000];
        let pause = self.pick(&millis).unwrap();
        let until = self.now + Duration::from_millis(pause);
        self.pass(until);
    }

    /// Lets time pass without anything else happening.
    fn pass(&mut self, until: Timestamp) {
        while let Some(at) = self.cluster.next_timer().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.handle(Input::Tick);
        }
        self.now = self.now.max(until);
    }

    fn run(seed: u64) -> (Vec<String>, usize) {
        let mut chaos = Self::new(seed);
        chaos.handle(Input::Tick);
        for _ in 0..300 {
            match chaos.rng.below(10) {
                0..=5 => chaos.world(),
                6..=8 => chaos.owner(),
                _ => chaos.wait(),
            }
        }
        // Everything ends, even if the world never says another word.
        chaos.pass(chaos.now + Duration::from_secs(1_000));
        let open = chaos.open.difference(&chaos.ended).collect::<Vec<_>>();
        assert!(open.is_empty(), "{open:?} never end");
        assert!(chaos.ended.is_subset(&chaos.open));
        // And once the world is healthy, everything works again.
        chaos.healthy = true;
        let topic = TopicName::new("a");
        for round in 0.. {
            assert!(round < 2_000, "recovers");
            chaos.cluster.use_topic(chaos.now, &topic);
            let rooms = [1, 2, 3].map(|broker| chaos.cluster.produce_room(chaos.now, BrokerId(broker)));
            chaos.drain();
            if rooms.iter().all(|room| matches!(room, Room::Ready { .. })) {
                break;
            }
            for _ in 0..20 {
                chaos.world();
            }
            chaos.pass(chaos.now + Duration::from_millis(100));
        }
        // Sessions included, over and over.
        let before = chaos.renewed;
        let rounds = if seed % 2 == 1 { 300 } else { 0 };
        for _ in 0..rounds {
            for _ in 0..10 {
                chaos.world();
            }
            chaos.owner();
            chaos.pass(chaos.now + Duration::from_millis(100));
        }
        assert!(chaos.renewed > before || rounds == 0, "no session is renewed");
        (chaos.trace, chaos.renewed)
    }
}

#[test]
fn whatever_happens_every_request_ends_once_nothing_spins_and_all_recovers() {
    for seed in 0..400 {
        Chaos::run(seed);
    }
}

#[test]
fn chaos_repeats_from_its_seed() {
    assert_eq!(Chaos::run(5), Chaos::run(5));
    let (traces, renewed): (Vec<_>, Vec<_>) = (0..20).map(Chaos::run).unzip();
    let answered = traces.into_iter().flatten().filter(|event| event.starts_with("produced")).count();
    assert!(answered > 20, "and it is not all chaos: {answered}");
    assert!(renewed.iter().sum::<usize>() > 30, "nor without sessions that are renewed: {renewed:?}");
}
