use bytes::Bytes;
use milena_sasl::{SaslError, SaslErrorKind, Step};
use milena_wire::message::sasl_authenticate::{AuthBytes, SaslAuthenticateResponse};
use milena_wire::message::sasl_handshake::SaslHandshakeResponse;
use milena_wire::{ApiVersion, CorrelationId};

use super::super::tests::{Rig, payload, versions};
use super::*;
use crate::api::RequestId;

/// The first of the correlation ids that are SASL's own.
const FIRST: i32 = i32::MAX - 7;

fn send(text: &'static [u8]) -> Result<Step, SaslError> {
    Ok(Step::Send(Bytes::from_static(text)))
}

/// What a broker says to SaslHandshake.
fn offers(error: ErrorCode, mechanisms: &[&str], correlation: i32) -> Bytes {
    let mechanisms = mechanisms.iter().map(|name| (*name).to_owned()).collect();
    payload(&SaslHandshakeResponse { error, mechanisms }.encode_frame(ApiVersion(1), CorrelationId(correlation)))
}

/// What a broker says to SaslAuthenticate.
fn says(error: ErrorCode, message: &str, bytes: &'static [u8], lifetime_ms: i64, correlation: i32) -> Bytes {
    let response = SaslAuthenticateResponse {
        error,
        error_message: (!message.is_empty()).then(|| message.to_owned()),
        auth_bytes: AuthBytes(Bytes::from_static(bytes)),
        session_lifetime_ms: lifetime_ms,
    };
    payload(&response.encode_frame(ApiVersion(2), CorrelationId(correlation)))
}

impl Rig {
    fn negotiates(&mut self, frame: &Bytes) {
        let progress = self.frame(frame);
        assert!(matches!(progress, Progress::Negotiating), "{progress:?}");
    }

    /// Goes through one exchange of two messages whose first has correlation id `first`; what came of it.
    fn exchange(&mut self, first: i32, lifetime_ms: i64) -> Progress {
        assert!(matches!(self.sasl(send(b"one")), Progress::Negotiating));
        self.negotiates(&offers(ErrorCode::NONE, &["SCRAM-SHA-256"], first));
        self.negotiates(&says(ErrorCode::NONE, "", b"challenge", 0, first + 1));
        assert!(matches!(self.sasl(send(b"two")), Progress::Negotiating));
        self.negotiates(&says(ErrorCode::NONE, "", b"proof", lifetime_ms, first + 2));
        self.sasl(Ok(Step::Done))
    }

    fn authenticated(lifetime_ms: i64) -> Self {
        let mut rig = Self::authenticating();
        assert!(matches!(rig.exchange(FIRST, lifetime_ms), Progress::Ready));
        rig.outputs();
        rig.written();
        rig
    }

    fn slots(&self) -> usize {
        self.link.slots(&self.ctx, self.now)
    }

    /// Every frame so far is written.
    fn written(&mut self) {
        let now = self.now;
        while self.link.ready_mut().is_some_and(|conn| conn.unwritten() > 0) {
            self.link.on_written(now);
        }
    }

    /// Waits until the session is to be renewed; after how much of its life.
    fn until_renewal(&mut self) -> Duration {
        let begin = self.now;
        let at = self.link.deadline(&self.ctx, self.now).unwrap();
        assert!(self.later(at.since(begin)).is_none());
        assert_eq!(self.outputs(), ["begin SASL"]);
        at.since(begin)
    }

    fn asks(&mut self) {
        let now = self.now;
        let conn = self.link.ready_mut().unwrap();
        conn.push(now, Purpose::Control(RequestId(9)), (ApiKey::METADATA, ApiVersion(1)), false);
        self.written();
    }

    fn answered(&mut self, correlation: i32) {
        let progress = self.frame(&Bytes::copy_from_slice(&correlation.to_be_bytes()));
        assert!(matches!(progress, Progress::Answered(_)), "{progress:?}");
    }

    fn pursue(&mut self) -> Progress {
        self.link.pursue_authentication(&mut self.ctx, self.now)
    }
}

fn fell(progress: Progress) -> Fall {
    progress.fall().expect("the link fell")
}

fn kind(fall: &Fall) -> SaslErrorKind {
    match fall.error.what {
        ConnErrorKind::Authentication(kind) => kind,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_connection_authenticates_before_it_is_of_use() {
    let mut rig = Rig::authenticating();
    rig.outputs();
    assert_eq!((rig.stage(), rig.slots()), ("Authenticating", 0));
    assert!(matches!(rig.exchange(FIRST, 0), Progress::Ready));
    assert_eq!(
        rig.outputs(),
        ["send v1", "send v2", "answer b\"challenge\"", "send v2", "answer b\"proof\""],
        "SaslHandshake, two times SaslAuthenticate, and the mechanism has the last word"
    );
    rig.written();
    assert_eq!((rig.stage(), rig.slots() > 0), ("Ready", true));
    assert!(rig.link.error.is_none());
}

#[test]
fn each_refusal_has_its_name_the_words_of_the_broker_and_what_to_do() {
    use SaslErrorKind as K;
    let refused = ErrorCode::SASL_AUTHENTICATION_FAILED;
    type Refuse = fn(&mut Rig) -> Progress;
    let greet: Refuse = |rig| {
        rig.sasl(send(b"one"));
        rig.frame(&offers(ErrorCode::NONE, &[], FIRST))
    };
    type Case = (SaslErrorKind, &'static str, &'static str, Box<dyn Fn(&mut Rig) -> Progress>);
    let cases: [Case; 9] = [
        (K::NotOffered, "asked for SCRAM-SHA-256; it offers PLAIN, GSSAPI", "sasl.enabled.mechanisms", {
            Box::new(|rig| {
                rig.sasl(send(b"one"));
                rig.frame(&offers(ErrorCode::UNSUPPORTED_SASL_MECHANISM, &["PLAIN", "GSSAPI"], FIRST))
            })
        }),
        (K::NotOffered, "it offers nothing", "sasl.mechanism", {
            Box::new(|rig| {
                rig.sasl(send(b"one"));
                rig.frame(&offers(ErrorCode::UNSUPPORTED_SASL_MECHANISM, &[], FIRST))
            })
        }),
        (K::IllegalState, "(SCRAM-SHA-256)", "security.protocol", {
            Box::new(|rig| {
                rig.sasl(send(b"one"));
                rig.frame(&offers(ErrorCode::ILLEGAL_SASL_STATE, &[], FIRST))
            })
        }),
        (K::Refused, "(SCRAM-SHA-256: no such user)", "password", {
            Box::new(move |rig| {
                greet(rig);
                rig.frame(&says(refused, "no such \u{7}user", b"", 0, FIRST + 1))
            })
        }),
        (K::TokenRefused, "(OAUTHBEARER: expired)", "issuer", {
            Box::new(move |rig| {
                rig.ctx.config.sasl_mechanism = Some("OAUTHBEARER".to_owned());
                greet(rig);
                rig.frame(&says(refused, "expired", b"", 0, FIRST + 1))
            })
        }),
        (K::ServerSignature, "(SCRAM-SHA-256: its signature is wrong)", "impostor", {
            Box::new(move |rig| {
                greet(rig);
                rig.frame(&says(ErrorCode::NONE, "", b"x", 0, FIRST + 1));
                rig.sasl(Err(SaslError::new(K::ServerSignature, "its signature is wrong")))
            })
        }),
        (K::NoCredentials, "(SCRAM-SHA-256: no token)", "token provider", {
            Box::new(|rig| rig.sasl(Err(SaslError::no_credentials("no token"))))
        }),
        (K::IssuerRefused, "(SCRAM-SHA-256: invalid_client)", "id and secret", {
            Box::new(|rig| rig.sasl(Err(SaslError::new(K::IssuerRefused, "invalid_client"))))
        }),
        (K::Mechanism, "something else than its first message", "", Box::new(|rig| rig.sasl(Ok(Step::Done)))),
    ];
    for (expected, detail, advice, refuse) in cases {
        let mut rig = Rig::authenticating();
        let fall = fell(refuse(&mut rig));
        assert_eq!(kind(&fall), expected);
        let told = fall.error.to_string();
        assert!(told.contains(detail) && told.contains(advice), "{told}");
        assert!(told.starts_with("broker 3 at kafka:9092 (10.0.0.1:9092)"), "{told}");
        assert!(!told.contains('\u{7}'), "{told:?}");
        assert_eq!(rig.outputs().last().map(String::as_str), Some("close"));
    }
}

#[test]
fn a_mechanism_hears_that_the_broker_refused_what_it_said_though_it_gave_no_answer() {
    for (code, told) in [
        (ErrorCode::SASL_AUTHENTICATION_FAILED, vec!["TokenRefused: revoked", "close"]),
        (ErrorCode::ILLEGAL_SASL_STATE, vec!["close"]),
        (ErrorCode::UNKNOWN_SERVER_ERROR, vec!["close"]),
    ] {
        let mut rig = Rig::authenticating();
        rig.ctx.config.sasl_mechanism = Some("OAUTHBEARER".to_owned());
        rig.sasl(send(b"token"));
        rig.frame(&offers(ErrorCode::NONE, &[], FIRST));
        rig.outputs();
        fell(rig.frame(&says(code, "revoked", b"", 0, FIRST + 1)));
        assert_eq!(rig.outputs(), told, "{code}");
    }
}

#[test]
fn a_mechanism_that_gives_up_has_the_last_word_with_the_broker_and_its_own_reason() {
    for code in [ErrorCode::SASL_AUTHENTICATION_FAILED, ErrorCode::NONE] {
        let mut rig = Rig::authenticating();
        rig.sasl(send(b"token"));
        rig.frame(&offers(ErrorCode::NONE, &[], FIRST));
        rig.frame(&says(ErrorCode::NONE, "", b"{}", 0, FIRST + 1));
        let error = SaslError::new(SaslErrorKind::TokenRefused, "");
        rig.outputs();
        assert!(matches!(
            rig.sasl(Ok(Step::GiveUp { last: Bytes::from_static(b"\x01"), error })),
            Progress::Negotiating
        ));
        assert_eq!(rig.outputs(), ["send v2"]);
        let fall = fell(rig.frame(&says(code, "it expired", b"", 0, FIRST + 2)));
        assert_eq!(kind(&fall), SaslErrorKind::TokenRefused);
        assert!(fall.error.detail.contains("it expired"));
    }
}

#[test]
fn a_broker_that_does_not_speak_sasl_is_told_from_one_that_refuses() {
    use milena_wire::message::api_versions::{ApiRange, ApiVersionsResponse};
    let mut rig = Rig::negotiating(1);
    rig.ctx.config.sasl_mechanism = Some("PLAIN".to_owned());
    let api = |key, max| ApiRange { key, min: ApiVersion(0), max: ApiVersion(max) };
    let apis = vec![api(ApiKey::PRODUCE, 13), api(ApiKey::METADATA, 13), api(ApiKey::SASL_HANDSHAKE, 0)];
    let response = ApiVersionsResponse { apis, ..ApiVersionsResponse::default() };
    let fall = fell(rig.frame(&payload(&response.encode_frame(ApiVersion(4), CorrelationId(0)))));
    assert_eq!(kind(&fall), SaslErrorKind::NotOffered);
    assert!(fall.error.detail.contains("does not speak SASL"));
}

#[test]
fn a_refusal_waits_longer_than_a_failure_and_tries_no_other_address() {
    let mut rig = Rig::negotiating(3);
    rig.ctx.config.sasl_mechanism = Some("PLAIN".to_owned());
    rig.frame(&versions(ErrorCode::NONE, 0));
    rig.sasl(send(b"one"));
    rig.frame(&offers(ErrorCode::NONE, &[], FIRST));
    let fall = fell(rig.frame(&says(ErrorCode::SASL_AUTHENTICATION_FAILED, "no", b"", 0, FIRST + 1)));
    assert!(fall.down);
    let backoff = rig.link.not_before().since(rig.now).as_millis();
    assert!((80..120).contains(&backoff), "the second wait: {backoff}");
}

#[test]
fn nonsense_ends_the_connection() {
    for (frame, expected) in [
        (Bytes::from([&FIRST.to_be_bytes()[..], &[0xff; 9]].concat()), ConnErrorKind::Malformed),
        (offers(ErrorCode::NONE, &[], FIRST + 1), ConnErrorKind::CorrelationMismatch),
    ] {
        let mut rig = Rig::authenticating();
        rig.sasl(send(b"one"));
        assert_eq!(fell(rig.frame(&frame)).error.what, expected);
    }
    let mut rig = Rig::authenticating();
    assert_eq!(fell(rig.frame(&offers(ErrorCode::NONE, &[], FIRST))).error.what, ConnErrorKind::Unasked);
    let mut rig = Rig::authenticating();
    rig.sasl(send(b"one"));
    rig.frame(&offers(ErrorCode::NONE, &[], FIRST));
    let cut = Bytes::from([&(FIRST + 1).to_be_bytes()[..], &[0, 0, 0]].concat());
    assert_eq!(fell(rig.frame(&cut)).error.what, ConnErrorKind::Malformed);
}

#[test]
fn an_exchange_that_takes_too_long_counts_as_a_connection_that_does() {
    type Stall = fn(&mut Rig);
    let stalls: [(Stall, &str); 3] = [
        (|_| {}, "credentials or token"),
        (
            |rig| {
                rig.sasl(send(b"one"));
            },
            "the broker did not answer",
        ),
        (
            |rig| {
                rig.sasl(send(b"one"));
                rig.frame(&offers(ErrorCode::NONE, &[], FIRST));
                rig.frame(&says(ErrorCode::NONE, "", b"x", 0, FIRST + 1));
            },
            "the mechanism took too long",
        ),
    ];
    for (stall, told) in stalls {
        let mut rig = Rig::authenticating();
        stall(&mut rig);
        let at = rig.link.deadline(&rig.ctx, rig.now).unwrap();
        assert!(at.since(rig.now) <= Duration::from_secs(12), "the time of the setup is not made longer");
        let fall = rig.later(at.since(rig.now)).unwrap();
        assert_eq!(fall.error.what, ConnErrorKind::TimedOut);
        assert!(fall.error.detail.contains(told), "{}", fall.error);
    }
}

#[test]
fn a_session_is_renewed_in_time_and_again_and_again() {
    let mut rig = Rig::authenticated(10_000);
    for round in 0..20 {
        let after = rig.until_renewal().as_millis();
        assert!((8_500..=9_500).contains(&after), "{after}");
        assert!(rig.slots() > 0, "while the mechanism prepares");
        // Eight correlation ids, round and round.
        let id = |n: i32| FIRST + (3 + round * 2 + n) % 8;
        rig.sasl(send(b"one"));
        assert_eq!(rig.slots(), 0, "until it is over");
        rig.negotiates(&offers(ErrorCode::NONE, &[], id(0)));
        rig.negotiates(&says(ErrorCode::NONE, "", b"x", 10_000, id(1)));
        assert_eq!(rig.slots(), 0);
        assert!(matches!(rig.sasl(Ok(Step::Done)), Progress::Negotiating));
        rig.written();
        assert_eq!(rig.outputs(), ["send v1", "send v2", "answer b\"x\""]);
        assert!(rig.slots() > 0);
    }
}

#[test]
fn requests_in_flight_are_answered_before_a_session_is_renewed() {
    let mut rig = Rig::authenticated(10_000);
    rig.asks();
    rig.asks();
    rig.until_renewal();
    rig.asks();
    rig.sasl(send(b"one"));
    assert_eq!(rig.slots(), 0, "no more");
    for correlation in 1..=3 {
        assert_eq!(rig.outputs(), [""; 0], "before answer {correlation}");
        rig.answered(correlation);
        assert!(matches!(rig.pursue(), Progress::Negotiating));
    }
    assert_eq!(rig.outputs(), ["send v1"]);
}

#[test]
fn a_session_that_cannot_be_renewed_ends_after_its_last_answer() {
    let mut rig = Rig::authenticated(10_000);
    rig.asks();
    rig.until_renewal();
    assert!(matches!(rig.sasl(Err(SaslError::no_credentials("no token"))), Progress::Negotiating));
    assert_eq!((rig.slots(), rig.stage()), (0, "Ready"));
    rig.answered(1);
    let fall = fell(rig.pursue());
    assert_eq!((kind(&fall), fall.lost.len()), (SaslErrorKind::NoCredentials, 0));

    let mut rig = Rig::authenticated(10_000);
    rig.until_renewal();
    rig.sasl(send(b"one"));
    rig.negotiates(&offers(ErrorCode::NONE, &[], FIRST + 3));
    let fall = fell(rig.frame(&says(ErrorCode::SASL_AUTHENTICATION_FAILED, "gone", b"", 0, FIRST + 4)));
    assert_eq!(kind(&fall), SaslErrorKind::Refused);
}

#[test]
fn a_token_that_does_not_come_before_the_session_ends_costs_no_request() {
    let mut rig = Rig::authenticated(10_000);
    rig.until_renewal();
    rig.asks();
    let at = rig.link.deadline(&rig.ctx, rig.now).unwrap();
    assert!(at.since(rig.now) <= Duration::from_millis(1_500), "not beyond the session");
    assert!(rig.later(at.since(rig.now)).is_none());
    assert_eq!(rig.slots(), 0);
    rig.answered(1);
    let fall = fell(rig.pursue());
    assert_eq!((fall.error.what, fall.lost.len()), (ConnErrorKind::TimedOut, 0));
}

#[test]
fn a_broker_that_stops_answering_in_the_middle_of_a_renewal_is_given_up() {
    let mut rig = Rig::authenticated(10_000);
    rig.until_renewal();
    rig.sasl(send(b"one"));
    let at = rig.link.deadline(&rig.ctx, rig.now).unwrap();
    assert!(at.since(rig.now) <= rig.ctx.config.request_timeout);
    assert!(rig.later(at.since(rig.now)).is_some());
}

#[test]
fn a_connection_that_does_nothing_but_authenticate_is_idle() {
    let mut rig = Rig::authenticated(100_000);
    rig.ctx.config.idle_timeout = Duration::from_secs(250);
    let begin = rig.now;
    for round in 0..2 {
        rig.until_renewal();
        rig.sasl(send(b"one"));
        rig.frame(&offers(ErrorCode::NONE, &[], FIRST + 3 + round * 2));
        rig.frame(&says(ErrorCode::NONE, "", b"x", 100_000, FIRST + 4 + round * 2));
        rig.sasl(Ok(Step::Done));
        rig.outputs();
    }
    let at = rig.link.deadline(&rig.ctx, rig.now).unwrap();
    assert_eq!(at.since(begin), Duration::from_secs(250));
    assert_eq!(rig.later(at.since(rig.now)).unwrap().error.what, ConnErrorKind::Idle);
}

#[test]
fn a_lifetime_that_makes_no_sense_makes_no_storm() {
    for (lifetime, expected) in [(1, Some(100)), (50, Some(100)), (0, None), (-5, None)] {
        let rig = Rig::authenticated(lifetime);
        let at = rig.link.deadline(&rig.ctx, rig.now).unwrap().since(rig.now);
        match expected {
            Some(ms) => assert_eq!(at.as_millis(), ms, "a lifetime of {lifetime}"),
            None => assert_eq!(at, rig.ctx.config.idle_timeout, "a lifetime of {lifetime}"),
        }
    }
    let rig = Rig::authenticated(i64::MAX);
    assert_eq!(rig.link.deadline(&rig.ctx, rig.now).unwrap().since(rig.now), rig.ctx.config.idle_timeout);
}

#[test]
fn word_from_a_mechanism_that_nobody_asked_changes_nothing() {
    let mut rig = Rig::authenticated(0);
    assert!(matches!(rig.sasl(send(b"one")), Progress::Negotiating));
    let other = ConnId(77);
    let mut waiting = Rig::authenticating();
    waiting.outputs();
    let now = waiting.now;
    waiting.link.on_sasl(&mut waiting.ctx, now, other, Err(SaslError::no_credentials("")));
    assert_eq!((rig.outputs().len(), waiting.outputs().len(), waiting.stage()), (0, 0, "Authenticating"));
}

#[test]
fn what_somebody_says_before_they_have_proven_who_they_are_is_read_up_to_a_limit() {
    let about = |more: usize| {
        let length = super::super::GREETING_MAX - 4096 + more;
        let name = "a".repeat(1022);
        let names = vec![name.as_str(); length / 1024];
        let refused = ErrorCode::SASL_AUTHENTICATION_FAILED;
        let bytes = vec![b'a'; length].leak();
        (offers(ErrorCode::NONE, &names, FIRST), says(refused, "", bytes, 0, FIRST + 1))
    };
    let too_large = |progress: Progress| {
        let fall = fell(progress);
        assert_eq!(fall.error.what, ConnErrorKind::BadSize, "{:?}", fall.error);
    };
    let ((offer, refusal), (long_offer, long_refusal)) = (about(0), about(4096));
    let asked = |session: bool| {
        let mut rig = if session { Rig::authenticated(1000) } else { Rig::authenticating() };
        if session {
            rig.until_renewal();
        }
        rig.sasl(send(b"one"));
        rig
    };
    for session in [false, true] {
        // The ids of SASL's own requests go on from the first authentication of a connection.
        let with_id = |frame: &Bytes, add: i32| {
            let id = i32::from_be_bytes(frame[..4].try_into().unwrap()) + if session { add } else { 0 };
            Bytes::from([&id.to_be_bytes()[..], &frame[4..]].concat())
        };
        too_large(asked(session).frame(&with_id(&long_offer, 3)));
        let mut rig = asked(session);
        rig.negotiates(&with_id(&offer, 3));
        too_large(rig.frame(&with_id(&long_refusal, 3)));
        let mut rig = asked(session);
        rig.negotiates(&with_id(&offer, 3));
        assert_eq!(kind(&fell(rig.frame(&with_id(&refusal, 3)))), SaslErrorKind::Refused);
    }

    let mut rig = Rig::negotiating(1);
    let versions = versions(ErrorCode::NONE, 0);
    too_large(rig.frame(&Bytes::from([&versions[..], &vec![0; super::super::GREETING_MAX]].concat())));

    // What is asked of a broker that is known may be answered at length.
    let mut rig = Rig::authenticated(0);
    rig.asks();
    let long = Bytes::from([&1i32.to_be_bytes()[..], &vec![0; super::super::GREETING_MAX]].concat());
    assert!(matches!(rig.frame(&long), Progress::Answered(_)));
}
