use std::fmt::Write as _;

use milena_sasl::{SaslError, SaslErrorKind, Step};
use milena_wire::message::api_versions::{ApiRange, ApiVersionsResponse};
use milena_wire::{CorrelationId, ErrorCode, Frame, TlsFault};

use super::*;
use crate::api::{Output, RequestId, SaslOrder};
use crate::config::ClusterConfig;
use crate::errors::LostCause;

const KEY: LinkKey = LinkKey { node: Node::Broker(BrokerId(3)), class: Class::Control };
const START: Timestamp = Timestamp::from_millis(100_000);

/// A link and what drives it, a few steps into its life.
pub(super) struct Rig {
    pub(super) ctx: Ctx,
    pub(super) link: Link,
    pub(super) now: Timestamp,
}

fn addrs(count: u8) -> Vec<SocketAddr> {
    (1..=count).map(|n| SocketAddr::from(([10, 0, 0, n], 9092))).collect()
}

fn offered() -> Vec<ApiRange> {
    let api = |key, max| ApiRange { key, min: ApiVersion(0), max: ApiVersion(max) };
    let sasl = [api(ApiKey::SASL_HANDSHAKE, 1), api(ApiKey::SASL_AUTHENTICATE, 2)];
    let mut apis = vec![api(ApiKey::PRODUCE, 13), api(ApiKey::METADATA, 13), api(ApiKey::API_VERSIONS, 4)];
    apis.extend(sasl);
    apis
}

pub(super) fn versions(error: ErrorCode, correlation: i32) -> Bytes {
    let response = ApiVersionsResponse { error, apis: offered(), ..ApiVersionsResponse::default() };
    payload(&response.encode_frame(ApiVersion(4), CorrelationId(correlation)))
}

pub(super) fn payload(frame: &Frame) -> Bytes {
    Bytes::from(frame.to_vec()).slice(4..)
}

impl Rig {
    fn down() -> Self {
        let config = ClusterConfig::new(vec![]);
        let link = Link::new(KEY, HostPort::new("kafka", 9092));
        Self { ctx: Ctx::new(config, 1), link, now: START }
    }

    fn resolving() -> Self {
        let mut rig = Self::down();
        rig.link.start(&mut rig.ctx, rig.now);
        rig
    }

    fn connecting(addresses: u8) -> Self {
        let mut rig = Self::resolving();
        rig.resolved(Ok(addrs(addresses)));
        rig
    }

    pub(super) fn negotiating(addresses: u8) -> Self {
        let mut rig = Self::connecting(addresses);
        let conn = rig.conn();
        rig.link.on_connected(&mut rig.ctx, rig.now, conn);
        rig
    }

    /// Waits for the mechanism's first message.
    pub(super) fn authenticating() -> Self {
        let mut rig = Self::negotiating(1);
        rig.ctx.config.sasl_mechanism = Some("SCRAM-SHA-256".to_owned());
        assert!(matches!(rig.frame(&versions(ErrorCode::NONE, 0)), Progress::Negotiating));
        rig
    }

    pub(super) fn ready() -> Self {
        let mut rig = Self::negotiating(1);
        assert!(matches!(rig.frame(&versions(ErrorCode::NONE, 0)), Progress::Ready));
        rig
    }

    fn busy() -> Self {
        let mut rig = Self::ready();
        let now = rig.now;
        let conn = rig.link.ready_mut().unwrap();
        conn.push(now, Purpose::Control(RequestId(9)), (ApiKey::METADATA, ApiVersion(1)), false);
        rig
    }

    pub(super) fn conn(&self) -> ConnId {
        match &self.link.stage {
            Stage::Connecting { conn, .. } => *conn,
            Stage::Negotiating { conn, .. } | Stage::Authenticating { conn, .. } | Stage::Ready { conn, .. } => conn.id,
            _ => ConnId(0),
        }
    }

    fn resolved(&mut self, result: Result<Vec<SocketAddr>, String>) -> Option<Fall> {
        let query = match self.link.stage {
            Stage::Resolving { query, .. } => query,
            _ => QueryId(0),
        };
        self.link.on_resolved(&mut self.ctx, self.now, query, result)
    }

    pub(super) fn frame(&mut self, frame: &Bytes) -> Progress {
        self.link.on_frame(&mut self.ctx, self.now, frame)
    }

    pub(super) fn sasl(&mut self, step: Result<Step, SaslError>) -> Progress {
        let conn = self.conn();
        self.link.on_sasl(&mut self.ctx, self.now, conn, step)
    }

    pub(super) fn lost(&mut self, cause: LostCause) -> Option<Fall> {
        let conn = self.conn();
        self.link.on_lost(&mut self.ctx, self.now, conn, cause, None)
    }

    pub(super) fn later(&mut self, after: Duration) -> Option<Fall> {
        self.now = self.now + after;
        self.link.on_timer(&mut self.ctx, self.now)
    }

    pub(super) fn outputs(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.ctx.poll())
            .map(|output| match output {
                Output::Resolve { host, .. } => format!("resolve {host}"),
                Output::Connect { addr, .. } => format!("connect {addr}"),
                Output::Transmit { frame, .. } => format!("send v{}", frame.to_vec()[7]),
                Output::Close { .. } => "close".to_owned(),
                Output::Authenticate { order: SaslOrder::Begin { .. }, .. } => "begin SASL".to_owned(),
                Output::Authenticate { order: SaslOrder::Answer { challenge }, .. } => format!("answer {challenge:?}"),
                Output::Authenticate { order: SaslOrder::Refused { error }, .. } => {
                    format!("{:?}: {}", error.kind, error.detail)
                }
                other => format!("{other:?}"),
            })
            .collect()
    }

    pub(super) fn stage(&self) -> &'static str {
        match self.link.stage {
            Stage::Down => "Down",
            Stage::Resolving { .. } => "Resolving",
            Stage::Connecting { .. } => "Connecting",
            Stage::Negotiating { .. } => "Negotiating",
            Stage::Authenticating { .. } => "Authenticating",
            Stage::Ready { .. } => "Ready",
        }
    }
}

fn show(fall: &Fall) -> String {
    let quiet = if fall.quiet { ", quiet" } else { "" };
    let lost = if fall.lost.is_empty() { String::new() } else { format!(", {} lost", fall.lost.len()) };
    format!("{:?}{lost}{quiet}", fall.error.what)
}

fn act(rig: &mut Rig, input: &str) -> String {
    let conn = rig.conn();
    let progress = |progress| match progress {
        Progress::Fell(fall) => show(&fall),
        Progress::Answered(_) => "answered".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    };
    let quiet = |said: String| if said == "negotiating" { String::new() } else { said };
    let fell = |fall: Option<Fall>| fall.as_ref().map_or_else(String::new, show);
    match input {
        "start" => {
            rig.link.start(&mut rig.ctx, rig.now);
            String::new()
        }
        "resolved" => fell(rig.resolved(Ok(addrs(1)))),
        "resolved to nothing" => fell(rig.resolved(Ok(vec![]))),
        "unresolvable" => fell(rig.resolved(Err("no".to_owned()))),
        "connected" => {
            rig.link.on_connected(&mut rig.ctx, rig.now, conn);
            String::new()
        }
        "versions" => progress(rig.frame(&versions(ErrorCode::NONE, 0))),
        "versions refused" => progress(rig.frame(&versions(ErrorCode::UNSUPPORTED_VERSION, 0))),
        "versions failed" => progress(rig.frame(&versions(ErrorCode::UNKNOWN_SERVER_ERROR, 0))),
        "SASL message" => quiet(progress(rig.sasl(Ok(Step::Send(Bytes::from_static(b"first")))))),
        "SASL failure" => quiet(progress(rig.sasl(Err(SaslError::new(SaslErrorKind::NoCredentials, ""))))),
        "answer" => progress(rig.frame(&Bytes::from_static(&[0, 0, 0, 1]))),
        "garbage" => progress(rig.frame(&Bytes::from_static(&[0xff; 20]))),
        "refused" => fell(
            rig.lost(LostCause::ConnectFailed { kind: std::io::ErrorKind::ConnectionRefused, text: String::new() }),
        ),
        "closed" => fell(rig.lost(LostCause::Closed { bytes_received: 0 })),
        "speaks http" => fell(rig.lost(LostCause::BadSize { first_bytes: *b"HTTP" })),
        "speaks tls" => fell(rig.lost(LostCause::BadSize { first_bytes: [0x15, 3, 3, 0] })),
        "15 s later" => fell(rig.later(Duration::from_secs(15))),
        "30 s later" => fell(rig.later(Duration::from_secs(30))),
        "10 min later" => fell(rig.later(Duration::from_secs(600))),
        other => panic!("no such input: {other}"),
    }
}

#[test]
fn every_stage_meets_every_input() {
    type Build = fn() -> Rig;
    let stages: [(&str, Build); 8] = [
        ("Down", Rig::down),
        ("Resolving", Rig::resolving),
        ("Connecting", || Rig::connecting(1)),
        ("Connecting (2 addresses)", || Rig::connecting(2)),
        ("Negotiating", || Rig::negotiating(1)),
        ("Authenticating", Rig::authenticating),
        ("Ready", Rig::ready),
        ("Ready (1 in flight)", Rig::busy),
    ];
    let inputs = [
        "start",
        "resolved",
        "resolved to nothing",
        "unresolvable",
        "connected",
        "versions",
        "versions refused",
        "versions failed",
        "SASL message",
        "SASL failure",
        "answer",
        "garbage",
        "refused",
        "closed",
        "speaks http",
        "speaks tls",
        "15 s later",
        "30 s later",
        "10 min later",
    ];
    let mut table = String::new();
    for (name, build) in stages {
        for input in inputs {
            let mut rig = build();
            rig.outputs();
            let said = act(&mut rig, input);
            let outputs = rig.outputs().join(", ");
            let stage = rig.stage();
            let line = [said, outputs].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" | ");
            if stage == name.split(' ').next().unwrap_or_default() && line.is_empty() {
                continue; // ignored
            }
            writeln!(table, "{}", format!("{name} + {input} => {stage} | {line}").trim_end_matches(" | ")).unwrap();
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn every_address_of_a_name_is_tried_before_backing_off_and_then_the_name_is_resolved_again() {
    let mut rig = Rig::connecting(3);
    rig.link.wanted_until = Some(Timestamp::NEVER);
    let refused =
        || LostCause::ConnectFailed { kind: std::io::ErrorKind::ConnectionRefused, text: "refused".to_owned() };
    assert!(!rig.lost(refused()).unwrap().down);
    assert!(!rig.lost(refused()).unwrap().down);
    assert!(rig.lost(refused()).unwrap().down);
    assert_eq!(
        rig.outputs(),
        ["resolve kafka", "connect 10.0.0.1:9092", "connect 10.0.0.2:9092", "connect 10.0.0.3:9092"]
    );
    let backoff = rig.link.not_before().since(rig.now);
    assert!((40..60).contains(&backoff.as_millis()), "{backoff:?}");
    assert_eq!(rig.link.deadline(&rig.ctx, rig.now), Some(rig.link.not_before()));
    assert!(rig.later(backoff).is_none());
    assert_eq!(rig.outputs(), ["resolve kafka"]);
    assert!(rig.link.error.as_ref().unwrap().to_string().contains("kafka:9092 (10.0.0.3:9092)"));
}

#[test]
fn an_address_needs_no_resolver() {
    let mut rig = Rig::down();
    rig.link = Link::new(KEY, HostPort::new("::1", 9092));
    rig.link.start(&mut rig.ctx, rig.now);
    assert_eq!(rig.outputs(), ["connect [::1]:9092"]);
}

#[test]
fn backoff_doubles_with_each_round_and_is_forgiven_after_a_long_life() {
    let mut rig = Rig::down();
    let mut waits = Vec::new();
    for _ in 0..7 {
        rig.link.start(&mut rig.ctx, rig.now);
        rig.resolved(Err("no".to_owned()));
        waits.push(rig.link.not_before().since(rig.now).as_millis());
        rig.now = rig.link.not_before();
    }
    for (wait, range) in waits.iter().zip([40..60, 80..120, 160..240, 320..480, 640..960, 800..1001, 800..1001]) {
        assert!(range.contains(wait), "{waits:?}");
    }
    let connect = |rig: &mut Rig| {
        rig.link.start(&mut rig.ctx, rig.now);
        rig.resolved(Ok(addrs(1)));
        let conn = rig.conn();
        rig.link.on_connected(&mut rig.ctx, rig.now, conn);
        assert!(matches!(rig.frame(&versions(ErrorCode::NONE, 0)), Progress::Ready));
    };
    connect(&mut rig);
    rig.lost(LostCause::Closed { bytes_received: 100 });
    let wait = rig.link.not_before().since(rig.now).as_millis();
    assert!((800..1001).contains(&wait), "usable, but not for long: {wait}");
    rig.now = rig.link.not_before();
    connect(&mut rig);
    rig.now = rig.now + Duration::from_secs(2);
    rig.lost(LostCause::Closed { bytes_received: 100 });
    let wait = rig.link.not_before().since(rig.now).as_millis();
    assert!((40..60).contains(&wait), "forgiven: {wait}");
}

#[test]
fn attempts_that_time_out_get_more_time_up_to_a_limit() {
    let mut rig = Rig::down();
    let mut waits = Vec::new();
    for _ in 0..4 {
        rig.link.start(&mut rig.ctx, rig.now);
        let deadline = rig.link.deadline(&rig.ctx, rig.now).unwrap();
        waits.push(deadline.since(rig.now).as_secs());
        rig.now = deadline;
        let fall = rig.link.on_timer(&mut rig.ctx, rig.now).unwrap();
        assert_eq!(fall.error.what, ConnErrorKind::TimedOut);
        rig.now = rig.link.not_before();
    }
    for (wait, range) in waits.iter().zip([8..12, 16..24, 24..31, 24..31]) {
        assert!(range.contains(wait), "{waits:?}");
    }
}

#[test]
fn a_server_that_hangs_up_on_new_versions_is_asked_in_the_oldest_one_next_time() {
    let mut rig = Rig::negotiating(2);
    rig.lost(LostCause::Closed { bytes_received: 0 });
    let conn = rig.conn();
    rig.link.on_connected(&mut rig.ctx, rig.now, conn);
    rig.lost(LostCause::Closed { bytes_received: 0 });
    assert_eq!(
        rig.outputs(),
        ["resolve kafka", "connect 10.0.0.1:9092", "send v4", "connect 10.0.0.2:9092", "send v0"]
    );
    rig.now = rig.link.not_before();
    rig.link.start(&mut rig.ctx, rig.now);
    rig.resolved(Ok(addrs(1)));
    let conn = rig.conn();
    rig.link.on_connected(&mut rig.ctx, rig.now, conn);
    assert_eq!(rig.outputs(), ["resolve kafka", "connect 10.0.0.1:9092", "send v4"], "and then the newest again");
}

#[test]
fn the_newest_versions_are_offered_again_once_a_connection_has_lasted_unless_they_came_to_nothing_twice() {
    let mut rig = Rig::negotiating(2);
    let next = |rig: &mut Rig| {
        let conn = rig.conn();
        rig.link.on_connected(&mut rig.ctx, rig.now, conn);
        rig.outputs().pop().unwrap()
    };
    rig.outputs();
    let last = |rig: &mut Rig, ms: u64| {
        let response = ApiVersionsResponse { apis: offered(), ..ApiVersionsResponse::default() };
        let answer = payload(&response.encode_frame(ApiVersion(0), CorrelationId(0)));
        assert!(matches!(rig.frame(&answer), Progress::Ready));
        rig.now = rig.now + Duration::from_millis(ms);
        rig.lost(LostCause::Closed { bytes_received: 9 });
        rig.now = rig.link.not_before();
        rig.link.start(&mut rig.ctx, rig.now);
        rig.resolved(Ok(addrs(2)));
        next(rig)
    };
    let hang_up = |rig: &mut Rig| {
        rig.lost(LostCause::Closed { bytes_received: 0 });
        next(rig)
    };
    assert_eq!(hang_up(&mut rig), "send v0");
    assert_eq!(last(&mut rig, 500), "send v0", "it may be the versions");
    assert_eq!(last(&mut rig, 5_000), "send v4", "it may have been something else");
    assert_eq!(hang_up(&mut rig), "send v0");
    for _ in 0..3 {
        assert_eq!(last(&mut rig, 5_000), "send v0", "it is the versions");
    }
}

#[test]
fn reports_about_other_connections_and_queries_are_ignored() {
    let mut rig = Rig::connecting(1);
    rig.outputs();
    assert!(rig.link.on_resolved(&mut rig.ctx, rig.now, QueryId(77), Err("no".to_owned())).is_none());
    rig.link.on_connected(&mut rig.ctx, rig.now, ConnId(77));
    let lost = LostCause::Closed { bytes_received: 0 };
    assert!(rig.link.on_lost(&mut rig.ctx, rig.now, ConnId(77), lost, None).is_none());
    assert_eq!((rig.stage(), rig.outputs().len()), ("Connecting", 0));
}

#[test]
fn a_proven_connection_that_the_other_side_closes_while_idle_is_no_failure() {
    let mut rig = Rig::busy();
    assert!(matches!(rig.frame(&Bytes::from_static(&[0, 0, 0, 1])), Progress::Answered(_)));
    rig.link.on_answer_understood();
    rig.now = rig.now + Duration::from_secs(60);
    let fall = rig.lost(LostCause::Io { kind: std::io::ErrorKind::ConnectionReset, text: "reset".to_owned() }).unwrap();
    assert!(fall.quiet);
    assert_eq!((rig.link.not_before(), rig.link.error.is_none()), (rig.now, true), "and may be made again at once");
}

#[test]
fn a_broker_that_moves_answers_what_is_in_flight_and_gets_nothing_new_there() {
    let mut rig = Rig::busy();
    rig.outputs();
    assert!(rig.link.move_to(&mut rig.ctx, rig.now, &HostPort::new("elsewhere", 9092)));
    rig.link.finish_move(&mut rig.ctx, rig.now);
    assert_eq!((rig.stage(), rig.link.ready().is_none()), ("Ready", true));
    assert!(matches!(rig.frame(&Bytes::from_static(&[0, 0, 0, 1])), Progress::Answered(_)));
    rig.link.finish_move(&mut rig.ctx, rig.now);
    rig.link.start(&mut rig.ctx, rig.now);
    assert_eq!(rig.outputs(), ["close", "resolve elsewhere"]);
    let mut rig = Rig::connecting(1);
    rig.outputs();
    assert!(rig.link.move_to(&mut rig.ctx, rig.now, &HostPort::new("elsewhere", 9092)));
    assert!(!rig.link.move_to(&mut rig.ctx, rig.now, &HostPort::new("elsewhere", 9092)));
    assert_eq!(rig.outputs(), ["close", "resolve elsewhere"]);
}

#[test]
fn a_handshake_that_does_not_end_is_not_a_connection_that_does_not_begin() {
    for (opened, expected) in [(false, ConnErrorKind::TimedOut), (true, ConnErrorKind::Tls(TlsFault::TimedOut))] {
        let mut rig = Rig::connecting(1);
        let stranger = ConnId(999);
        rig.link.on_opened(if opened { rig.conn() } else { stranger });
        let fall = rig.later(Duration::from_secs(15)).unwrap();
        assert_eq!((fall.error.what, rig.link.timeouts), (expected, 1));
    }
}
