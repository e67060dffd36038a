//! The way to one broker for one class of requests: at most one connection, and when to make the next.
//!
//! ```text
//!          start                resolved            connected             ApiVersions answered
//!   Down -------> Resolving ------------> Connecting --------> Negotiating --------------------> Ready
//!    ^ |                                   ^   |  |               |  |                            |
//!    | '--------- (an address literal) ----'   '--'---------------'  |                            |
//!    |                 next address of the same name <---------------'                            |
//!    '---- backoff <-- no address left -----------------------------------------------------------'
//! ```
//!
//! Everything up to `Ready` has one deadline per address, the setup timeout. Every round resolves the name anew and
//! tries all its addresses; backoff is between rounds.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use milena_wire::message::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use milena_wire::{ApiKey, ApiVersion, BrokerId, ErrorCode, Timestamp};

use crate::api::{ConnId, QueryId};
use crate::config::HostPort;
use crate::connection::{Answered, Connection, Fault, InFlight, Purpose};
use crate::ctx::Ctx;
use crate::errors::{ConnError, ConnErrorKind, LostCause};
use crate::versions::{Versions, client_throttles, downgrade, newest_api_versions};

/// Addresses of one name that are tried per round, so that a name with very many cannot make a storm.
const ADDRESSES_PER_ROUND: usize = 16;

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
    Resolving { query: QueryId, deadline: Timestamp },
    Connecting { conn: ConnId, deadline: Timestamp },
    Negotiating { conn: Connection, deadline: Timestamp },
    Ready { conn: Connection },
}

/// A link that went down, or an address that did not work.
#[derive(Debug)]
pub(crate) struct Fall {
    pub(crate) error: Arc<ConnError>,
    /// What was in flight; ApiVersions is not among it.
    pub(crate) lost: Vec<InFlight>,
    /// Nobody needs to hear of it: an idle connection was closed by either side.
    pub(crate) quiet: bool,
    /// No other address of the same round is being tried.
    pub(crate) down: bool,
    /// The connection had lived for longer than the longest backoff.
    pub(crate) long_lived: bool,
}

/// What came of a frame.
#[derive(Debug)]
pub(crate) enum Progress {
    /// Another version of ApiVersions is being tried.
    Negotiating,
    /// The connection can be used from now on.
    Ready,
    /// A request got its answer.
    Answered(Answered),
    /// The frame ended the connection.
    Fell(Fall),
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
    /// Connect again by itself after a failure, until this: somebody waits.
    pub(crate) wanted_until: Option<Timestamp>,
    /// Somebody was told to wait, and is to hear when there is room.
    pub(crate) room_awaited: bool,
    /// The broker moved: no new request on the present connection.
    draining: bool,
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
            wanted_until: None,
            room_awaited: false,
            draining: false,
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
            Stage::Ready { conn } if !self.draining => Some(conn),
            _ => None,
        }
    }

    pub(crate) fn ready_mut(&mut self) -> Option<&mut Connection> {
        match &mut self.stage {
            Stage::Ready { conn } => Some(conn),
            _ => None,
        }
    }

    /// How many requests can be sent now.
    pub(crate) fn slots(&self, ctx: &Ctx, now: Timestamp) -> usize {
        self.ready().map_or(0, |conn| conn.slots(now, ctx.config.max_in_flight))
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
            Stage::Ready { conn } => {
                let deadline = conn.deadline(ctx.config.idle_timeout);
                Some(conn.throttled(now).map_or(deadline, |throttled| throttled.min(deadline)))
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
        self.stage = Stage::Connecting { conn: ctx.connect(self.key, &self.address, addr), deadline };
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

    pub(crate) fn on_connected(&mut self, ctx: &mut Ctx, now: Timestamp, connected: ConnId) {
        if let Stage::Connecting { conn, deadline } = self.stage
            && conn == connected
        {
            self.stage = Stage::Negotiating { conn: Connection::new(conn, now), deadline };
            self.ask_versions(ctx, now, self.first_version);
        }
    }

    fn ask_versions(&mut self, ctx: &mut Ctx, now: Timestamp, version: ApiVersion) {
        let Stage::Negotiating { conn, .. } = &mut self.stage else { return };
        let timeout = ctx.config.request_timeout;
        let correlation = conn.push(now, Purpose::Versions, (ApiKey::API_VERSIONS, version), timeout, false);
        let request = ApiVersionsRequest {
            client_software_name: "milena".to_owned(),
            client_software_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        ctx.transmit(conn.id, request.encode_frame(version, correlation, Some(&ctx.config.client_id)));
    }

    pub(crate) fn on_frame(&mut self, ctx: &mut Ctx, now: Timestamp, frame: &Bytes) -> Progress {
        let (Stage::Negotiating { conn, .. } | Stage::Ready { conn }) = &mut self.stage else {
            // A pool that reports a frame before the connection is confused; so would be whoever reads the frame.
            return Progress::Fell(self.fall(ctx, now, ConnErrorKind::Unasked, "before the connection".to_owned()));
        };
        match conn.on_frame(now, frame) {
            Ok(answered) if answered.request.purpose == Purpose::Versions => self.on_versions(ctx, now, &answered),
            Ok(answered) => Progress::Answered(answered),
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

    fn on_versions(&mut self, ctx: &mut Ctx, now: Timestamp, answered: &Answered) -> Progress {
        let tried = answered.request.version;
        let response = match ApiVersionsResponse::decode(tried, &answered.body) {
            Ok(response) => response,
            Err(error) => {
                let detail = format!("ApiVersions: {error}");
                return Progress::Fell(self.fall(ctx, now, ConnErrorKind::Malformed, detail));
            }
        };
        match response.error {
            ErrorCode::NONE => {}
            ErrorCode::UNSUPPORTED_VERSION => {
                if let Some(version) = downgrade(tried, &response) {
                    self.ask_versions(ctx, now, version);
                    return Progress::Negotiating;
                }
                let detail = format!("ApiVersions: even version {tried} is refused");
                return Progress::Fell(self.fall(ctx, now, ConnErrorKind::VersionsUnsupported, detail));
            }
            code => {
                let detail = format!("ApiVersions: {code}: {}", code.description());
                return Progress::Fell(self.fall(ctx, now, ConnErrorKind::Refusal, detail));
            }
        }
        let versions = Versions::agree(&response.apis);
        let needs = self.key.needs();
        if versions.of(needs).is_none() {
            let offered = response
                .range(needs)
                .map_or_else(|| "does not offer it".to_owned(), |(min, max)| format!("offers versions {min} to {max}"));
            let name = if needs == ApiKey::PRODUCE { "Produce" } else { "Metadata" };
            let detail = format!("{name}: the broker {offered}");
            return Progress::Fell(self.fall(ctx, now, ConnErrorKind::VersionsUnsupported, detail));
        }
        if let Stage::Negotiating { mut conn, .. } = std::mem::replace(&mut self.stage, Stage::Down) {
            conn.versions = versions;
            if client_throttles(ApiKey::API_VERSIONS, tried) {
                conn.throttle(now, response.throttle_ms);
            }
            tracing::debug!(address = %self.address, broker = ?self.key.broker(), class = ?self.key.class, "connected");
            self.stage = Stage::Ready { conn };
        }
        self.timeouts = 0;
        self.error = None;
        self.wanted_until = None;
        Progress::Ready
    }

    /// The connection was of use.
    pub(crate) fn on_answer_understood(&mut self) {
        if let Stage::Ready { conn } = &mut self.stage {
            conn.proven = true;
        }
    }

    pub(crate) fn on_written(&mut self, now: Timestamp) -> Option<InFlight> {
        match &mut self.stage {
            Stage::Negotiating { conn, .. } | Stage::Ready { conn } => conn.on_written(now),
            _ => None,
        }
    }

    pub(crate) fn on_lost(&mut self, ctx: &mut Ctx, now: Timestamp, lost: ConnId, cause: LostCause) -> Option<Fall> {
        let (id, silent) = match &self.stage {
            Stage::Connecting { conn, .. } => (*conn, false),
            Stage::Negotiating { conn, .. } | Stage::Ready { conn } => (conn.id, conn.received == 0),
            Stage::Down | Stage::Resolving { .. } => return None,
        };
        if id != lost {
            return None;
        }
        ctx.conn_gone(id);
        let connecting = matches!(self.stage, Stage::Connecting { .. });
        let (what, detail) = cause.judge(connecting, silent);
        Some(self.fall(ctx, now, what, detail))
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
            Stage::Connecting { deadline, .. } if *deadline <= now => {
                timed_out("the TCP connection was not established in time")
            }
            Stage::Negotiating { deadline, .. } if *deadline <= now => {
                timed_out("connected, but the first request was not answered in time")
            }
            Stage::Ready { conn } if conn.deadline(ctx.config.idle_timeout) <= now => match conn.oldest() {
                None => (ConnErrorKind::Idle, String::new()),
                Some(oldest) => {
                    let timeout = ctx.config.request_timeout;
                    let detail = format!("request of API {} had no answer for {timeout:?}", oldest.key);
                    (ConnErrorKind::RequestTimeout, detail)
                }
            },
            _ => return None,
        };
        Some(self.fall(ctx, now, what, detail))
    }

    /// Ends the connection or attempt, and tries the round's next address if there is one.
    pub(crate) fn fall(&mut self, ctx: &mut Ctx, now: Timestamp, what: ConnErrorKind, detail: String) -> Fall {
        let error = self.error(what, detail);
        let stage = std::mem::replace(&mut self.stage, Stage::Down);
        let was_ready = matches!(stage, Stage::Ready { .. });
        let mut quiet = matches!(what, ConnErrorKind::Idle);
        let mut long_lived = false;
        let lost = match stage {
            Stage::Down => Vec::new(),
            Stage::Resolving { query, .. } => {
                ctx.query_gone(query);
                Vec::new()
            }
            Stage::Connecting { conn, .. } => {
                ctx.close(conn);
                Vec::new()
            }
            Stage::Negotiating { conn, .. } => {
                ctx.close(conn.id);
                // Some servers close the connection on a version they do not know, or answer it with nonsense; an
                // older one is worth a try next time. If that fails as well, the newest is tried again.
                let oldest = conn.oldest().map_or(self.first_version, |request| request.version) == ApiVersion(0);
                self.first_version =
                    if oldest || self.first_version.0 == 0 { newest_api_versions() } else { ApiVersion(0) };
                Vec::new()
            }
            Stage::Ready { conn } => {
                ctx.close(conn.id);
                long_lived = conn.age(now) >= ctx.config.reconnect_backoff_max;
                quiet |= what == ConnErrorKind::Closed && conn.load() == 0 && conn.proven && long_lived;
                // Having been usable is not enough: a broker may accept, answer once and close, for ever.
                if long_lived {
                    self.failures = 0;
                }
                conn.into_in_flight()
            }
        };
        self.draining = false;
        if what == ConnErrorKind::TimedOut {
            self.timeouts = self.timeouts.saturating_add(1);
        }
        if was_ready {
            self.addresses.clear();
        }
        if quiet {
            tracing::debug!(%error, "idle connection closed");
            self.not_before = now;
            return Fall { error, lost, quiet, down: true, long_lived };
        }
        self.error = Some(error.clone());
        let down = !self.connect_next(ctx, now);
        if down {
            self.not_before = now + ctx.reconnect_backoff().delay(self.failures, &mut ctx.rng);
            self.failures = self.failures.saturating_add(1);
        }
        tracing::warn!(%error, lost = lost.len(), "connection failed");
        Fall { error, lost, quiet, down, long_lived }
    }

    /// Goes down without a failure of anybody's, if nothing is in flight.
    pub(crate) fn rest(&mut self, ctx: &mut Ctx, now: Timestamp) {
        if self.ready_mut().is_none_or(|conn| conn.load() == 0) {
            self.reset(ctx, now);
        }
    }

    /// Abandons attempts and the connection, and forgets failures. Only for a link without requests in flight.
    fn reset(&mut self, ctx: &mut Ctx, now: Timestamp) {
        match std::mem::replace(&mut self.stage, Stage::Down) {
            Stage::Down => {}
            Stage::Resolving { query, .. } => {
                ctx.query_gone(query);
            }
            Stage::Connecting { conn, .. } => ctx.close(conn),
            Stage::Negotiating { conn, .. } | Stage::Ready { conn } => ctx.close(conn.id),
        }
        self.addresses.clear();
        self.draining = false;
        self.not_before = now;
    }

    /// The broker listens at `address`. If that is news, requests in flight are still answered, and anything new goes
    /// there.
    pub(crate) fn move_to(&mut self, ctx: &mut Ctx, now: Timestamp, address: &HostPort) -> bool {
        if self.address == *address {
            return false;
        }
        self.address = address.clone();
        self.failures = 0;
        self.timeouts = 0;
        self.first_version = newest_api_versions();
        if self.ready_mut().is_some_and(|conn| conn.load() > 0) {
            self.draining = true;
            return true;
        }
        let wanted = self.connecting_since().is_some();
        self.reset(ctx, now);
        if wanted {
            self.start(ctx, now);
        }
        true
    }

    /// Closes a connection whose broker moved, once nothing is in flight on it.
    pub(crate) fn finish_move(&mut self, ctx: &mut Ctx, now: Timestamp) {
        if self.draining {
            self.rest(ctx, now);
        }
    }
}

#[cfg(test)]
mod tests;
