//! SASL on one connection: at its beginning, and again before the session ends (KIP-368).
//!
//! ```text
//!   Preparing ----> Draining ----> Greeting ----> Asked <----> Thinking ----> (done)
//!       |              |            SaslHandshake   SaslAuthenticate
//!       '--> Failing <-'
//! ```
//!
//! What the mechanism has to say is worked out elsewhere, [ordered](SaslOrder) and told: fetching a token takes as long as
//! it takes. A connection at work goes on working meanwhile. Then it takes no new requests and waits for the answers to
//! those it has (`Draining`), so that whatever becomes of the authentication, no request is lost in it.

use std::time::Duration;

use bytes::Bytes;
use milena_sasl::{SaslError, SaslErrorKind, Step};
use milena_wire::message::sasl_authenticate::{AuthBytes, SaslAuthenticateRequest, SaslAuthenticateResponse};
use milena_wire::message::sasl_handshake::{SaslHandshakeRequest, SaslHandshakeResponse};
use milena_wire::{ApiKey, ErrorCode, Frame, Timestamp};

use super::{Fall, Link, Progress, Stage};
use crate::api::{ConnId, SaslOrder};
use crate::connection::{Answered, Connection, Purpose};
use crate::ctx::Ctx;
use crate::errors::ConnErrorKind;

/// In which part of a session's life it is renewed, in percent: at 85 to 95, as in Java.
const WINDOW: (u64, u64) = (85, 95);

/// The shortest time between two authentications of a connection, whatever the broker wishes.
const PERIOD_MIN: Duration = Duration::from_millis(100);

/// An authentication under way.
#[derive(Debug)]
pub(super) struct Authentication {
    phase: Phase,
    /// When it has taken too long.
    deadline: Timestamp,
    /// When the connection was last of use; that it authenticates is none.
    used: Timestamp,
}

#[derive(Debug)]
enum Phase {
    /// The mechanism works out its first message.
    Preparing,
    /// It is there, and requests in flight are waited for.
    Draining { first: Bytes },
    /// It failed, and requests in flight are waited for.
    Failing { what: ConnErrorKind, detail: String },
    /// The broker is asked for the mechanism.
    Greeting { first: Bytes },
    /// The broker has the mechanism's message. If it refused before, why.
    Asked { refused: Option<SaslError> },
    /// The mechanism works out its next message, or whether it is satisfied.
    Thinking { lifetime_ms: i64 },
}

/// How long the last authentication of a connection holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session {
    ends: Timestamp,
    renew_at: Timestamp,
}

impl Authentication {
    pub(super) fn new(deadline: Timestamp, used: Timestamp) -> Self {
        Self { phase: Phase::Preparing, deadline, used }
    }

    pub(super) fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// Whether the connection takes requests meanwhile.
    pub(super) fn lets_requests_pass(&self) -> bool {
        matches!(self.phase, Phase::Preparing)
    }

    /// What is waited for.
    pub(super) fn waits_for(&self) -> &'static str {
        match self.phase {
            Phase::Preparing => "SASL: the credentials or token were not there in time",
            Phase::Thinking { .. } => "SASL: the mechanism took too long",
            _ => "SASL: the broker did not answer in time",
        }
    }
}

impl Session {
    pub(super) fn new(now: Timestamp, lifetime_ms: i64, ctx: &mut Ctx) -> Option<Self> {
        let lifetime = u64::try_from(lifetime_ms).ok().filter(|ms| *ms > 0)?;
        let percent = WINDOW.0 * 10 + ctx.rng.below((WINDOW.1 - WINDOW.0) * 10 + 1);
        let renew = Duration::from_millis(lifetime).mul_f64(f64::from(u32::try_from(percent).unwrap_or(0)) / 1000.0);
        Some(Self {
            ends: now + Duration::from_millis(lifetime).max(PERIOD_MIN),
            renew_at: now + renew.max(PERIOD_MIN),
        })
    }

    pub(super) fn renew_at(&self) -> Timestamp {
        self.renew_at
    }
}

impl Link {
    /// Begins to authenticate, whether for the first time or again.
    pub(super) fn begin_authentication(&mut self, ctx: &mut Ctx, conn: ConnId) {
        ctx.order(conn, SaslOrder::Begin { host: self.address.host.clone(), port: self.address.port });
    }

    /// It is time to authenticate again.
    pub(super) fn renew_session(&mut self, ctx: &mut Ctx, now: Timestamp) {
        let Stage::Ready { conn, session, renewal: renewal @ None } = &mut self.stage else { return };
        let Some(Session { ends, renew_at }) = *session else { return };
        if renew_at > now {
            return;
        }
        let deadline = ends.max(now + Duration::from_millis(1));
        *renewal = Some(Authentication::new(deadline, conn.last_activity()));
        let id = conn.id;
        self.begin_authentication(ctx, id);
    }

    fn authentication(&mut self) -> Option<(&mut Connection, &mut Authentication, bool)> {
        match &mut self.stage {
            Stage::Authenticating { conn, authentication } => Some((conn, authentication, true)),
            Stage::Ready { conn, renewal: Some(authentication), .. } => Some((conn, authentication, false)),
            _ => None,
        }
    }

    /// The mechanism has worked out what comes next.
    pub(crate) fn on_sasl(
        &mut self,
        ctx: &mut Ctx,
        now: Timestamp,
        about: ConnId,
        step: Result<Step, SaslError>,
    ) -> Progress {
        let (conn, auth, is_first) = match self.authentication() {
            Some(found) if found.0.id == about => found,
            _ => return Progress::Negotiating,
        };
        let confused = || SaslError::new(SaslErrorKind::Mechanism, "it wants something else than its first message");
        match (&auth.phase, step) {
            (Phase::Preparing, Ok(Step::Send(first))) => {
                auth.phase = Phase::Draining { first };
                if !is_first {
                    auth.deadline = auth.deadline.max(now + ctx.config.request_timeout);
                }
                self.pursue_authentication(ctx, now)
            }
            (Phase::Preparing, step) => {
                let error = step.err().unwrap_or_else(confused);
                self.fail_authentication(ctx, now, error)
            }
            (Phase::Thinking { lifetime_ms }, Ok(Step::Done)) => {
                let lifetime_ms = *lifetime_ms;
                self.authenticated(ctx, now, lifetime_ms)
            }
            (Phase::Thinking { .. }, Ok(Step::Send(message))) => {
                auth.phase = Phase::Asked { refused: None };
                authenticate(conn, ctx, now, message);
                Progress::Negotiating
            }
            (Phase::Thinking { .. }, Ok(Step::GiveUp { last, error })) => {
                auth.phase = Phase::Asked { refused: Some(error) };
                authenticate(conn, ctx, now, last);
                Progress::Negotiating
            }
            (Phase::Thinking { .. }, Err(error)) => self.fail_authentication(ctx, now, error),
            // Nobody asked for it.
            (_, _) => Progress::Negotiating,
        }
    }

    /// Goes on when nothing is in flight any more. To be called whenever that may have come about.
    pub(crate) fn pursue_authentication(&mut self, ctx: &mut Ctx, now: Timestamp) -> Progress {
        let Some((conn, auth, _)) = self.authentication() else { return Progress::Negotiating };
        if conn.load() > 0 {
            return Progress::Negotiating;
        }
        match std::mem::replace(&mut auth.phase, Phase::Preparing) {
            Phase::Draining { first } => {
                let Some(mechanism) = ctx.config.sasl_mechanism.clone() else { return Progress::Negotiating };
                let Some(version) = conn.versions.of(ApiKey::SASL_HANDSHAKE) else { return Progress::Negotiating };
                auth.phase = Phase::Greeting { first };
                let request = SaslHandshakeRequest { mechanism };
                let api = (ApiKey::SASL_HANDSHAKE, version);
                let correlation = conn.push_sasl(now, Purpose::SaslHandshake, api);
                send(conn, ctx, |id| request.encode_frame(version, correlation, id));
                Progress::Negotiating
            }
            Phase::Failing { what, detail } => Progress::Fell(self.fall(ctx, now, what, detail)),
            phase => {
                auth.phase = phase;
                Progress::Negotiating
            }
        }
    }

    pub(super) fn on_handshake(&mut self, ctx: &mut Ctx, now: Timestamp, answered: &Answered) -> Progress {
        let response = match SaslHandshakeResponse::decode(answered.request.version, &answered.body) {
            Ok(response) => response,
            Err(error) => return self.malformed(ctx, now, format!("SaslHandshake: {error}")),
        };
        let Some((conn, auth, _)) = self.authentication() else { return Progress::Negotiating };
        let wanted = ctx.config.sasl_mechanism.as_deref().unwrap_or_default();
        let (kind, detail) = match response.error {
            ErrorCode::NONE => {
                if let Phase::Greeting { first } = std::mem::replace(&mut auth.phase, Phase::Asked { refused: None }) {
                    authenticate(conn, ctx, now, first);
                }
                return Progress::Negotiating;
            }
            ErrorCode::UNSUPPORTED_SASL_MECHANISM => {
                let offered = match response.mechanisms.as_slice() {
                    [] => "nothing".to_owned(),
                    offered => readable(&offered.join(", ")),
                };
                (SaslErrorKind::NotOffered, format!("asked for {wanted}; it offers {offered}"))
            }
            ErrorCode::ILLEGAL_SASL_STATE => (SaslErrorKind::IllegalState, String::new()),
            code => (SaslErrorKind::Mechanism, format!("SaslHandshake: {code}: {}", code.description())),
        };
        self.fail_authentication(ctx, now, SaslError::new(kind, detail))
    }

    pub(super) fn on_authenticate(&mut self, ctx: &mut Ctx, now: Timestamp, answered: &Answered) -> Progress {
        let response = match SaslAuthenticateResponse::decode(answered.request.version, &answered.body) {
            Ok(response) => response,
            Err(error) => return self.malformed(ctx, now, format!("SaslAuthenticate: {error}")),
        };
        let timeout = ctx.config.request_timeout;
        let Some((conn, auth, is_first)) = self.authentication() else { return Progress::Negotiating };
        let refused = match &mut auth.phase {
            Phase::Asked { refused } => refused.take(),
            _ => None,
        };
        let words = response.error_message.as_deref().map(readable).unwrap_or_default();
        if let Some(mut error) = refused {
            if error.detail.is_empty() {
                error.detail = words;
            }
            return self.fail_authentication(ctx, now, error);
        }
        let (kind, detail) = match response.error {
            ErrorCode::NONE => {
                auth.phase = Phase::Thinking { lifetime_ms: response.session_lifetime_ms };
                if !is_first {
                    auth.deadline = now + timeout;
                }
                ctx.order(conn.id, SaslOrder::Answer { challenge: response.auth_bytes.0 });
                return Progress::Negotiating;
            }
            ErrorCode::SASL_AUTHENTICATION_FAILED => (SaslErrorKind::Refused, words),
            ErrorCode::ILLEGAL_SASL_STATE => (SaslErrorKind::IllegalState, words),
            code => (SaslErrorKind::Mechanism, format!("SaslAuthenticate: {code}: {words}")),
        };
        let is_token = ctx.config.sasl_mechanism.as_deref() == Some("OAUTHBEARER");
        let kind = if is_token && kind == SaslErrorKind::Refused { SaslErrorKind::TokenRefused } else { kind };
        let error = SaslError::new(kind, detail);
        if response.error == ErrorCode::SASL_AUTHENTICATION_FAILED {
            // What it refused is not to be said again.
            ctx.order(conn.id, SaslOrder::Refused { error: error.clone() });
        }
        self.fail_authentication(ctx, now, error)
    }

    fn authenticated(&mut self, ctx: &mut Ctx, now: Timestamp, lifetime_ms: i64) -> Progress {
        let held = Session::new(now, lifetime_ms, ctx);
        match std::mem::replace(&mut self.stage, Stage::Down) {
            Stage::Authenticating { conn, .. } => self.usable(ctx, conn, held),
            Stage::Ready { mut conn, renewal: Some(Authentication { used, .. }), .. } => {
                conn.unused_since(used);
                tracing::debug!(address = %self.address, broker = ?self.key.broker(), "authenticated again");
                self.stage = Stage::Ready { conn, session: held, renewal: None };
                Progress::Negotiating
            }
            other => {
                self.stage = other;
                Progress::Negotiating
            }
        }
    }

    /// Ends the connection, though not before requests in flight are answered.
    pub(super) fn fail_authentication(&mut self, ctx: &mut Ctx, now: Timestamp, error: SaslError) -> Progress {
        let what = ConnErrorKind::Authentication(error.kind);
        let Some((_, auth, _)) = self.authentication() else { return Progress::Negotiating };
        let mechanism = ctx.config.sasl_mechanism.as_deref().unwrap_or_default();
        let detail = match error.detail {
            detail if detail.contains(mechanism) => detail,
            detail if detail.is_empty() => mechanism.to_owned(),
            detail => format!("{mechanism}: {detail}"),
        };
        auth.phase = Phase::Failing { what, detail };
        auth.deadline = auth.deadline.max(now + ctx.config.request_timeout);
        self.pursue_authentication(ctx, now)
    }

    fn malformed(&mut self, ctx: &mut Ctx, now: Timestamp, detail: String) -> Progress {
        Progress::Fell(self.fall(ctx, now, ConnErrorKind::Malformed, detail))
    }

    /// An authentication that may have taken too long.
    pub(super) fn expire_authentication(&mut self, ctx: &mut Ctx, now: Timestamp) -> Option<Fall> {
        let (conn, auth, _) = self.authentication().filter(|(_, auth, _)| auth.deadline <= now)?;
        let detail = auth.waits_for().to_owned();
        if auth.lets_requests_pass() && conn.load() > 0 {
            auth.phase = Phase::Failing { what: ConnErrorKind::TimedOut, detail };
            auth.deadline = now + ctx.config.request_timeout;
            return None;
        }
        Some(self.fall(ctx, now, ConnErrorKind::TimedOut, detail))
    }
}

fn authenticate(conn: &mut Connection, ctx: &mut Ctx, now: Timestamp, message: Bytes) {
    let Some(version) = conn.versions.of(ApiKey::SASL_AUTHENTICATE) else { return };
    let request = SaslAuthenticateRequest { auth_bytes: AuthBytes(message) };
    let correlation = conn.push_sasl(now, Purpose::SaslAuthenticate, (ApiKey::SASL_AUTHENTICATE, version));
    send(conn, ctx, |id| request.encode_frame(version, correlation, id));
}

fn send(conn: &Connection, ctx: &mut Ctx, encode: impl FnOnce(Option<&str>) -> Frame) {
    let frame = encode(Some(&ctx.config.client_id));
    ctx.transmit(conn.id, frame);
}

/// Not more of a broker's words than a person would read.
fn readable(words: &str) -> String {
    milena_wire::readable(words, 300)
}

#[cfg(test)]
mod tests;
