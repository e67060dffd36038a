//! SASL exchanges that are struck by a broker's script, in made-up time: a client that is refused, hung up on or left without an answer
//! tries again at leisure, never in a hurry, and is there soon after it is let in.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use milena_broker::{EmbeddedCluster, Reaction, Rule, SaslServer, SimulatedCluster, SimulatedConn, SimulatedEvent};
use milena_cluster::{
    Cluster, ClusterConfig, ConnId, Event, HostPort, Input, LostCause, Output, Room, SaslError, SaslErrorKind,
    SaslOrder, SaslStep, TopicState,
};
use milena_wire::{ApiKey, BrokerId, ErrorCode, Timestamp, TopicName};

const NODE: BrokerId = BrokerId(1);

/// A client of one node that wants a token, with both its connections wanted all the time. Nothing takes any time but waiting.
struct Meeting {
    client: Cluster,
    node: SimulatedCluster,
    to_node: BTreeMap<ConnId, SimulatedConn>,
    to_client: BTreeMap<SimulatedConn, ConnId>,
    received: BTreeMap<ConnId, u64>,
    now: Timestamp,
    dials: Vec<Timestamp>,
    refusals: usize,
}

impl Meeting {
    fn new(server: SaslServer) -> Self {
        let mut node = EmbeddedCluster::builder().sasl(server).auto_create_topics(false).simulated();
        let now = Timestamp::from_millis(1_000);
        node.create_topic_with(now, "t", 1, 1, &[]).unwrap();
        let mut config = ClusterConfig::new(vec![HostPort::new("10.0.0.1", 9092)]);
        config.sasl_mechanism = Some("OAUTHBEARER".to_owned());
        Self {
            client: Cluster::new(config, 7),
            node,
            to_node: BTreeMap::new(),
            to_client: BTreeMap::new(),
            received: BTreeMap::new(),
            now,
            dials: Vec::new(),
            refusals: 0,
        }
    }

    fn tell(&mut self, input: Input) {
        self.client.handle(self.now, input);
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Connect { conn, .. } => {
                self.dials.push(self.now);
                let there = self.node.connect(NODE).unwrap();
                self.to_node.insert(conn, there);
                self.to_client.insert(there, conn);
                self.tell(Input::Connected { conn });
            }
            Output::Transmit { conn, frame } => {
                let frame = Bytes::from(frame.to_vec()).slice(4..);
                self.tell(Input::Written { conn });
                if let Some(there) = self.to_node.get(&conn) {
                    self.node.receive(self.now, *there, frame);
                }
            }
            Output::Authenticate { conn, order } => {
                let step = match order {
                    SaslOrder::Begin { .. } => {
                        Ok(SaslStep::Send(Bytes::from_static(b"n,,\x01auth=Bearer good\x01\x01")))
                    }
                    SaslOrder::Answer { challenge } if challenge.is_empty() => Ok(SaslStep::Done),
                    _ => Err(SaslError::new(SaslErrorKind::Challenge, "nothing was to be said")),
                };
                self.tell(Input::Authenticate { conn, step });
            }
            Output::Close { conn } => {
                if let Some(there) = self.to_node.remove(&conn) {
                    self.to_client.remove(&there);
                    self.node.hang_up(there);
                }
            }
            Output::Event(Event::Refused { .. }) => self.refusals += 1,
            Output::Event(_) => {}
            other => panic!("{other:?}"),
        }
    }

    fn hear(&mut self, there: SimulatedConn, event: SimulatedEvent) {
        let Some(conn) = self.to_client.get(&there).copied() else { return };
        let received = self.received.entry(conn).or_default();
        match event {
            SimulatedEvent::Send(bytes) => {
                *received += bytes.len() as u64;
                self.tell(Input::Received { conn, frame: bytes.slice(4..) });
            }
            SimulatedEvent::SendPart(bytes) => *received += bytes.len() as u64,
            SimulatedEvent::Closed => {
                let cause = LostCause::Closed { bytes_received: *received };
                self.to_node.remove(&conn);
                self.to_client.remove(&there);
                self.tell(Input::Lost { conn, cause, begun: None });
            }
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        let topic = TopicName::new("t");
        loop {
            for steps in 0.. {
                assert!(steps < 10_000, "it spins at {:?}", self.now);
                self.client.use_topic(self.now, &topic);
                let _ = self.client.produce_room(self.now, NODE);
                if let Some(output) = self.client.poll_output() {
                    self.carry_out(output);
                } else if let Some((there, event)) = self.node.poll() {
                    self.hear(there, event);
                } else if self.client.next_timer().is_some_and(|at| at <= self.now) {
                    self.tell(Input::Tick);
                } else if self.node.next_timer().is_some_and(|at| at <= self.now) {
                    self.node.tick(self.now);
                } else {
                    break;
                }
            }
            match [self.client.next_timer(), self.node.next_timer()].into_iter().flatten().min() {
                Some(next) if next <= end => self.now = self.now.max(next),
                _ => break,
            }
        }
        self.now = end;
    }

    fn is_at_work(&mut self) -> bool {
        let known = matches!(self.client.topic(&TopicName::new("t")), TopicState::Known(_));
        known && matches!(self.client.produce_room(self.now, NODE), Room::Ready { .. })
    }

    /// The most connections that were tried in any second since `from`.
    fn busiest_second(&self, from: Timestamp) -> usize {
        let since = self.dials.iter().filter(|at| **at >= from);
        since.clone().map(|at| since.clone().filter(|b| *b >= at && b.since(*at) < SECOND).count()).max().unwrap_or(0)
    }
}

const SECOND: Duration = Duration::from_secs(1);

fn server() -> SaslServer {
    SaslServer::new(&["OAUTHBEARER"]).tokens(|token| token == "good")
}

fn strikes() -> Vec<Reaction> {
    vec![
        Reaction::Error(ErrorCode::SASL_AUTHENTICATION_FAILED),
        Reaction::Error(ErrorCode::UNSUPPORTED_SASL_MECHANISM),
        Reaction::Error(ErrorCode::ILLEGAL_SASL_STATE),
        Reaction::Error(ErrorCode::REQUEST_TIMED_OUT),
        Reaction::Error(ErrorCode(999)),
        Reaction::CloseBefore,
        Reaction::CloseAfter,
        Reaction::CutAnswer,
        Reaction::Silence,
        Reaction::Garble,
        Reaction::WrongCorrelation,
        Reaction::Delay(Duration::from_secs(3600)),
        Reaction::DelayAnswer(Duration::from_secs(3600)),
    ]
}

/// A strike after which the client waits for what does not come.
fn stalls(reaction: &Reaction) -> bool {
    matches!(reaction, Reaction::Silence | Reaction::Delay(_) | Reaction::DelayAnswer(_))
}

/// `SASL_AUTHENTICATION_FAILED` and its like are refusals of who the client is; an unusual code, a broken connection or nonsense are not.
fn refuses(api: ApiKey, reaction: &Reaction) -> bool {
    match reaction {
        Reaction::Error(ErrorCode::ILLEGAL_SASL_STATE) => true,
        Reaction::Error(ErrorCode::SASL_AUTHENTICATION_FAILED) => api == ApiKey::SASL_AUTHENTICATE,
        Reaction::Error(ErrorCode::UNSUPPORTED_SASL_MECHANISM) => api == ApiKey::SASL_HANDSHAKE,
        _ => false,
    }
}

#[test]
fn a_client_that_is_struck_tries_again_at_leisure_and_is_there_soon_after() {
    for api in [ApiKey::SASL_HANDSHAKE, ApiKey::SASL_AUTHENTICATE] {
        for reaction in strikes() {
            let what = format!("{api}: {reaction:?}");
            let mut meeting = Meeting::new(server());
            meeting.node.script(Rule::on(api, reaction.clone()).always());
            let began = meeting.now;
            meeting.run(Duration::from_secs(5));
            assert!(!meeting.is_at_work(), "{what}");
            let warm = meeting.now;
            meeting.run(Duration::from_secs(115));
            // Before its node is known by name, the client has one connection to want: to a bootstrap server.
            let (all, busiest) = (meeting.dials.len(), meeting.busiest_second(warm));
            assert!(meeting.busiest_second(began) <= 5, "{what}: {} in a second", meeting.busiest_second(began));
            assert!(busiest <= 2, "{what}: {busiest} in a second, after five");
            if stalls(&reaction) {
                // The time for a connection doubles, to half a minute.
                assert!((5..=10).contains(&all), "{what}: {all} attempts in two minutes");
            } else {
                assert!((100..=145).contains(&all), "{what}: {all} attempts in two minutes");
            }
            let told = meeting.refusals;
            assert_eq!(told, if refuses(api, &reaction) { all - 1 } else { 0 }, "{what}");
            meeting.node.clear_script();
            // A backoff, and what is left of an attempt that waits for an answer.
            meeting.run(if stalls(&reaction) { Duration::from_secs(32) } else { Duration::from_millis(1_300) });
            assert!(meeting.is_at_work(), "{what}");
            assert_eq!(meeting.refusals, told, "{what}");
        }
    }
}

#[test]
fn a_session_whose_renewal_is_struck_is_made_anew_at_leisure() {
    for api in [ApiKey::SASL_HANDSHAKE, ApiKey::SASL_AUTHENTICATE] {
        for reaction in strikes() {
            let what = format!("{api}: {reaction:?}");
            let mut meeting = Meeting::new(server().session_lifetime(Duration::from_secs(20)));
            meeting.run(Duration::from_secs(10));
            assert!(meeting.is_at_work(), "{what}");
            assert_eq!(meeting.dials.len(), 2, "{what}: one to ask, and one to produce");
            meeting.node.script(Rule::on(api, reaction.clone()).always());
            let struck = meeting.now;
            meeting.run(Duration::from_secs(120));
            // Two ways to the node, and one to the bootstrap server while those rest.
            let (all, busiest) = (meeting.dials.len() - 2, meeting.busiest_second(struck));
            assert!(busiest <= 8, "{what}: {busiest} in a second");
            let expected = if stalls(&reaction) { 8..=16 } else { 200..=290 };
            assert!(expected.contains(&all), "{what}: {all} attempts in two minutes");
            meeting.node.clear_script();
            meeting.run(if stalls(&reaction) { Duration::from_secs(62) } else { Duration::from_millis(1_300) });
            assert!(meeting.is_at_work(), "{what}");
        }
    }
}
