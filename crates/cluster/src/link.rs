//! The way to one broker for one class of requests: at most one connection, and when to make the next.
//!
//! ```text
//!   Down ----> Resolving ----> Connecting ----> Negotiating [--> Authenticating] --> Ready
//!    ^  |          |            ^   ^   |            |              |
//!    |  '----------|------------'   '---|------------'              |   no need to resolve an address,
//!    |             |                    |                           |   the next address of a name
//!    '-- backoff --'--------------------'---------------------------'   none left, or the connection ended
//! ```
//!
//! Everything up to `Ready` has one deadline per address, the setup timeout. Every round resolves the name anew and
//! tries all its addresses; backoff is between rounds.

mod authenticate;
mod fall;
mod negotiate;

pub(crate) use fall::Fall;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use milena_wire::{ApiKey, ApiVersion, BrokerId, Timestamp, TlsFault};

use crate::api::{ConnId, QueryId};
use crate::config::HostPort;
use crate::connection::{Answered, Connection, Fault, InFlight, Purpose};
use crate::ctx::Ctx;
use crate::errors::{ConnError, ConnErrorKind};
use crate::versions::newest_api_versions;
use authenticate::{Authentication, Session};

/// Addresses of one name that are tried per round, so that a name with very many cannot make a storm.
const ADDRESSES_PER_ROUND: usize = 16;

/// The longest answer to what is asked before a connection is of use. Nobody has proven who they are until then, and what is in it takes more
/// memory than its bytes; real answers have a few kilobytes, tokens of Kerberos 64 at most. Brokers have the same limit for clients.
const GREETING_MAX: usize = 512 * 1024;

/// Who is at the other end.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Node {
    /// A bootstrap address, by its index.
    Seed(usize),
    /// A broker with a name.
    Broker(BrokerId),
}

/// What a connection is for. A produce request never waits behind a control request, nor the other way round.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Class {
    Control,
    Produce,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct LinkKey {
    pub(crate) node: Node,
    pub(crate) class: Class,
}

impl LinkKey {
    pub(crate) fn broker(self) -> Option<BrokerId> {
        match self.node {
            Node::Seed(_) => None,
            Node::Broker(id) => Some(id),
        }
    }

    /// The API without which a connection of this class is of no use.
    fn needs(self) -> ApiKey {
        match self.class {
            Class::Control => ApiKey::METADATA,
            Class::Produce => ApiKey::PRODUCE,
        }
    }
}

#[derive(Debug)]
enum Stage {
    Down,
    Resolving {
        query: QueryId,
        deadline: Timestamp,
    },
    /// `opened`: the other side is reached, and being made sure of.
    Connecting {
        conn: ConnId,
        opened: bool,
        deadline: Timestamp,
    },
    Negotiating {
        conn: Connection,
        deadline: Timestamp,
    },
    Authenticating {
        conn: Connection,
        authentication: Authentication,
    },
    Ready {
        conn: Connection,
        /// How long the authentication holds; `None`: as long as the connection.
        session: Option<Session>,
        renewal: Option<Authentication>,
    },
}

/// What came of a frame.
#[derive(Debug)]
pub(crate) enum Progress {
    /// The connection is busy with itself: another version of ApiVersions, SASL.
    Negotiating,
    /// The connection can be used from now on.
    Ready,
    /// A request got its answer.
    Answered(Answered),
    /// The frame ended the connection.
    Fell(Fall),
}

impl Progress {
    pub(crate) fn fall(self) -> Option<Fall> {
        match self {
            Self::Fell(fall) => Some(fall),
            _ => None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) key: LinkKey,
    address: HostPort,
    stage: Stage,
    /// Addresses of this round that are still to be tried.
    addresses: VecDeque<SocketAddr>,
    /// The address in use or tried last.
    current: Option<SocketAddr>,
    /// Rounds that failed since a connection last lived for longer than the longest backoff.
    failures: u32,
    /// Attempts that ran out of time since a connection was last usable (KIP-601).
    timeouts: u32,
    /// No attempt before this. Drawn once, when an attempt failed.
    not_before: Timestamp,
    last_attempt: Timestamp,
    /// The version of ApiVersions to begin with.
    first_version: ApiVersion,
    /// How often the newest one came to nothing.
    hung_up: u32,
    /// Connect again by itself after a failure, until this: somebody waits.
    pub(crate) wanted_until: Option<Timestamp>,
    /// Somebody was told to wait, and is to hear when there is room.
    pub(crate) room_awaited: bool,
    /// The broker moved: no new request on the present connection.
    draining: bool,
    /// How identity was refused in this round, by either side.
    refusal: Option<Arc<ConnError>>,
    /// Rounds in a row that ended in such a refusal.
    refusals: u32,
    /// Why the last attempt or connection failed; cleared when one is usable.
    pub(crate) error: Option<Arc<ConnError>>,
}

impl Link {
    pub(crate) fn new(key: LinkKey, address: HostPort) -> Self {
        Self {
            key,
            address,
            stage: Stage::Down,
            addresses: VecDeque::new(),
            current: None,
            failures: 0,
            timeouts: 0,
            not_before: Timestamp::ZERO,
            last_attempt: Timestamp::ZERO,
            first_version: newest_api_versions(),
            hung_up: 0,
            wanted_until: None,
            room_awaited: false,
            draining: false,
            refusal: None,
            refusals: 0,
            error: None,
        }
    }

    // ---- asking

    pub(crate) fn is_down(&self) -> bool {
        matches!(self.stage, Stage::Down)
    }

    /// Since when a connection is being made, if one is.
    pub(crate) fn connecting_since(&self) -> Option<Timestamp> {
        (!matches!(self.stage, Stage::Down | Stage::Ready { .. })).then_some(self.last_attempt)
    }

    /// When a new round may begin.
    pub(crate) fn not_before(&self) -> Timestamp {
        self.not_before
    }

    pub(crate) fn last_attempt(&self) -> Timestamp {
        self.last_attempt
    }

    /// The connection, if it is usable.
    pub(crate) fn ready(&self) -> Option<&Connection> {
        match &self.stage {
            Stage::Ready { conn, .. } if !self.draining => Some(conn),
            _ => None,
        }
    }

    pub(crate) fn ready_mut(&mut self) -> Option<&mut Connection> {
        match &mut self.stage {
            Stage::Ready { conn, .. } => Some(conn),
            _ => None,
        }
    }

    /// How many requests can be sent now.
    pub(crate) fn slots(&self, ctx: &Ctx, now: Timestamp) -> usize {
        match &self.stage {
            Stage::Ready { renewal: Some(renewal), .. } if !renewal.lets_requests_pass() => 0,
            _ => self.ready().map_or(0, |conn| conn.slots(now, ctx.config.max_in_flight)),
        }
    }

    /// Whether nothing happened for so long that the connection is not to be trusted with a request.
    pub(crate) fn is_idle(&self, ctx: &Ctx, now: Timestamp) -> bool {
        self.ready().is_some_and(|conn| conn.load() == 0 && conn.deadline(ctx.config.idle_timeout) <= now)
    }

    /// When [`on_timer`](Self::on_timer) has something to do.
    pub(crate) fn deadline(&self, ctx: &Ctx, now: Timestamp) -> Option<Timestamp> {
        match &self.stage {
            Stage::Down => {
                let again = self.wanted_until.map(|until| self.not_before.min(until));
                again.filter(|at| *at > now)
            }
            Stage::Resolving { deadline, .. }
            | Stage::Connecting { deadline, .. }
            | Stage::Negotiating { deadline, .. } => Some(*deadline),
            Stage::Authenticating { authentication, .. } => Some(authentication.deadline()),
            Stage::Ready { conn, session, renewal } => {
                let deadline = conn.deadline(ctx.config.idle_timeout);
                let renew_at = session.as_ref().map(Session::renew_at);
                let sasl = renewal.as_ref().map_or(renew_at, |renewal| Some(renewal.deadline()));
                [conn.throttled(now), sasl].into_iter().flatten().fold(deadline, Timestamp::min).into()
            }
        }
    }

    pub(crate) fn error(&self, what: ConnErrorKind, detail: String) -> Arc<ConnError> {
        let address = match self.current {
            Some(addr) if self.address.ip().is_none() => format!("{} ({addr})", self.address),
            _ => self.address.to_string(),
        };
        Arc::new(ConnError { what, address, broker: self.key.broker(), detail })
    }

    // ---- doing

    /// Begins a round of connection attempts, if the link is down. Whether it may is up to the caller.
    pub(crate) fn start(&mut self, ctx: &mut Ctx, now: Timestamp) {
        if !self.is_down() {
            return;
        }
        self.current = None;
        self.refusal = None;
        self.addresses.clear();
        if let Some(ip) = self.address.ip() {
            self.addresses.push_back(SocketAddr::new(ip, self.address.port));
            self.connect_next(ctx, now);
            return;
        }
        self.last_attempt = now;
        let deadline = now + self.patience(ctx);
        self.stage = Stage::Resolving { query: ctx.resolve(self.key, &self.address), deadline };
    }

    /// How long this attempt may take; drawn anew for each.
    fn patience(&self, ctx: &mut Ctx) -> Duration {
        // A deadline has to be in the future, whatever is configured.
        ctx.connect_patience().delay(self.timeouts, &mut ctx.rng).max(Duration::from_millis(1))
    }

    /// Takes the next address of the round; `false` if there is none.
    fn connect_next(&mut self, ctx: &mut Ctx, now: Timestamp) -> bool {
        let Some(addr) = self.addresses.pop_front() else { return false };
        self.current = Some(addr);
        self.last_attempt = now;
        let deadline = now + self.patience(ctx);
        self.stage = Stage::Connecting { conn: ctx.connect(self.key, &self.address, addr), opened: false, deadline };
        true
    }

    pub(crate) fn on_resolved(
        &mut self,
        ctx: &mut Ctx,
        now: Timestamp,
        asked: QueryId,
        result: Result<Vec<SocketAddr>, String>,
    ) -> Option<Fall> {
        match self.stage {
            Stage::Resolving { query, .. } if query == asked => {}
            _ => return None,
        }
        let (addresses, detail) = match result {
            Ok(addresses) => (addresses, "the name has no address".to_owned()),
            Err(detail) => (Vec::new(), detail),
        };
        for addr in addresses {
            if self.addresses.len() < ADDRESSES_PER_ROUND && !self.addresses.contains(&addr) {
                self.addresses.push_back(addr);
            }
        }
        if self.connect_next(ctx, now) { None } else { Some(self.fall(ctx, now, ConnErrorKind::Resolve, detail)) }
    }

    pub(crate) fn on_opened(&mut self, reached: ConnId) {
        if let Stage::Connecting { conn, opened, .. } = &mut self.stage {
            *opened |= *conn == reached;
        }
    }

    pub(crate) fn on_connected(&mut self, ctx: &mut Ctx, now: Timestamp, connected: ConnId) {
        if let Stage::Connecting { conn, deadline, .. } = self.stage
            && conn == connected
        {
            self.stage = Stage::Negotiating { conn: Connection::new(conn, now, ctx.config.request_timeout), deadline };
            self.ask_versions(ctx, now, self.first_version);
        }
    }

    pub(crate) fn on_frame(&mut self, ctx: &mut Ctx, now: Timestamp, frame: &Bytes) -> Progress {
        let (Stage::Negotiating { conn, .. } | Stage::Authenticating { conn, .. } | Stage::Ready { conn, .. }) =
            &mut self.stage
        else {
            // A pool that reports a frame before the connection is confused; so would be whoever reads the frame.
            return Progress::Fell(self.fall(ctx, now, ConnErrorKind::Unasked, "before the connection".to_owned()));
        };
        if frame.len() > ctx.config.max_frame {
            let detail = format!("{} bytes", frame.len());
            return Progress::Fell(self.fall(ctx, now, ConnErrorKind::BadSize, detail));
        }
        match conn.on_frame(now, frame) {
            Ok(answered) if answered.request.purpose.is_greeting() && frame.len() > GREETING_MAX => {
                let key = answered.request.key;
                let detail = format!("{} bytes in answer to API {key}; at most {GREETING_MAX} are read", frame.len());
                Progress::Fell(self.fall(ctx, now, ConnErrorKind::BadSize, detail))
            }
            Ok(answered) => match answered.request.purpose {
                Purpose::Versions => self.on_versions(ctx, now, &answered),
                Purpose::SaslHandshake => self.on_handshake(ctx, now, &answered),
                Purpose::SaslAuthenticate => self.on_authenticate(ctx, now, &answered),
                _ => Progress::Answered(answered),
            },
            Err(Fault::Unasked) => {
                let detail = format!("a frame of {} bytes that answers nothing", frame.len());
                Progress::Fell(self.fall(ctx, now, ConnErrorKind::Unasked, detail))
            }
            Err(Fault::Correlation { expected, got }) => {
                let detail = format!("expected correlation id {expected}, got {got}");
                Progress::Fell(self.fall(ctx, now, ConnErrorKind::CorrelationMismatch, detail))
            }
            Err(Fault::Malformed(error)) => {
                Progress::Fell(self.fall(ctx, now, ConnErrorKind::Malformed, error.to_string()))
            }
        }
    }

    /// The connection was of use.
    pub(crate) fn on_answer_understood(&mut self) {
        if let Stage::Ready { conn, .. } = &mut self.stage {
            conn.proven = true;
        }
    }

    pub(crate) fn on_written(&mut self, now: Timestamp) -> Option<InFlight> {
        match &mut self.stage {
            Stage::Negotiating { conn, .. } | Stage::Authenticating { conn, .. } | Stage::Ready { conn, .. } => {
                conn.on_written(now)
            }
            _ => None,
        }
    }

    /// A deadline may have passed.
    pub(crate) fn on_timer(&mut self, ctx: &mut Ctx, now: Timestamp) -> Option<Fall> {
        let timed_out = |waited_for: &str| (ConnErrorKind::TimedOut, waited_for.to_owned());
        let (what, detail) = match &self.stage {
            Stage::Down => {
                if self.wanted_until.is_some() && self.not_before <= now {
                    self.start(ctx, now);
                }
                return None;
            }
            Stage::Resolving { deadline, .. } if *deadline <= now => timed_out("the name was not resolved in time"),
            Stage::Connecting { deadline, opened: true, .. } if *deadline <= now => {
                (ConnErrorKind::Tls(TlsFault::TimedOut), String::new())
            }
            Stage::Connecting { deadline, .. } if *deadline <= now => {
                timed_out("the TCP connection was not established in time")
            }
            Stage::Negotiating { deadline, .. } if *deadline <= now => {
                timed_out("connected, but the first request was not answered in time")
            }
            Stage::Ready { conn, .. } if conn.deadline(ctx.config.idle_timeout) <= now => match conn.oldest() {
                None => (ConnErrorKind::Idle, String::new()),
                Some(oldest) => {
                    let timeout = ctx.config.request_timeout;
                    let detail = format!("request of API {} had no answer for {timeout:?}", oldest.key);
                    (ConnErrorKind::RequestTimeout, detail)
                }
            },
            Stage::Authenticating { .. } | Stage::Ready { .. } => {
                let fall = self.expire_authentication(ctx, now);
                self.renew_session(ctx, now);
                return fall;
            }
            _ => return None,
        };
        Some(self.fall(ctx, now, what, detail))
    }
}

#[cfg(test)]
mod tests;
