//! Which broker to ask, for metadata and for control requests.
//!
//! Any broker will do, so the least loaded usable connection is taken; failing that, one that is being made is waited
//! for; failing that, one is made, to the broker not tried for longest. When no broker can be tried, the bootstrap
//! addresses are (KIP-899): nothing known is dropped for that.

use std::time::Duration;

use milena_wire::message::init_producer_id::InitProducerIdResponse;
use milena_wire::{ApiKey, ApiVersion, CorrelationId, DecodeError, ErrorCode, Frame, Timestamp};

use super::Cluster;
use crate::api::{ControlRequest, ControlResponse, Event, RequestId};
use crate::connection::Purpose;
use crate::errors::{ConnError, ConnErrorKind, Reached, RequestLost};
use crate::link::{Class, Link, LinkKey, Node};
use crate::timers::Timer;

/// How long a connection in the making is waited for before another broker is tried as well.
const PATIENCE: Duration = Duration::from_secs(1);

/// Control connections that may fail at once one after the other, each to another broker. Then there is a backoff
/// between brokers, too, or a large cluster that refuses everybody would be called by everybody all the time.
const QUICK_DIALS: u32 = 3;

/// An attempt to learn metadata takes time: with a shorter trigger, and Java takes 0, each would be ended before it could come to anything.
const LEAST_TRIGGER: Duration = Duration::from_secs(1);

/// A control request without a connection.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) id: RequestId,
    pub(crate) request: ControlRequest,
    pub(crate) deadline: Timestamp,
}

impl ControlRequest {
    fn key(&self) -> ApiKey {
        match self {
            Self::InitProducerId(_) => ApiKey::INIT_PRODUCER_ID,
        }
    }

    fn encode_frame(&self, version: ApiVersion, correlation: CorrelationId, client_id: Option<&str>) -> Frame {
        match self {
            Self::InitProducerId(request) => request.encode_frame(version, correlation, client_id),
        }
    }
}

impl ControlResponse {
    pub(super) fn decode(key: ApiKey, version: ApiVersion, body: &[u8]) -> Result<Self, DecodeError> {
        match key {
            ApiKey::INIT_PRODUCER_ID => InitProducerIdResponse::decode(version, body).map(Self::InitProducerId),
            _ => Err(DecodeError { field: "", what: "answer to a request that is never sent", at: 0 }),
        }
    }

    pub(super) fn throttle_ms(&self) -> i32 {
        match self {
            Self::InitProducerId(response) => response.throttle_ms,
        }
    }
}

/// What can be done about a request that any broker may answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Found {
    /// Use this connection.
    Use(LinkKey),
    /// Make this connection.
    Dial(Node),
    /// Look again then, or when something happens.
    Wait(Option<Timestamp>),
}

/// The best of each kind of way, over the nodes looked at so far.
#[derive(Debug, Default)]
struct Ways {
    usable: Option<(usize, LinkKey)>,
    /// When the connection that is being made has had its time.
    patience: Option<Timestamp>,
    untried: Option<(Timestamp, Node)>,
    /// When the first backoff ends.
    later: Option<Timestamp>,
}

impl Ways {
    fn look(&mut self, now: Timestamp, node: Node, link: Option<&Link>, slots: usize) {
        let Some(link) = link else {
            return self.dial(Timestamp::ZERO, node);
        };
        if let Some(conn) = link.ready() {
            if slots > 0 && self.usable.is_none_or(|(load, _)| conn.load() < load) {
                self.usable = Some((conn.load(), link.key));
            }
        } else if let Some(since) = link.connecting_since() {
            let until = since + PATIENCE;
            if until > now {
                self.patience = Some(self.patience.map_or(until, |other| other.max(until)));
            }
        } else if link.is_down() && link.not_before() <= now {
            self.dial(link.last_attempt(), node);
        } else if link.is_down() {
            let until = link.not_before();
            self.later = Some(self.later.map_or(until, |other| other.min(until)));
        }
    }

    fn dial(&mut self, last_attempt: Timestamp, node: Node) {
        if self.untried.is_none_or(|(other, _)| last_attempt < other) {
            self.untried = Some((last_attempt, node));
        }
    }

    /// What to do without a usable connection, if anything.
    fn make(&self) -> Option<Found> {
        self.patience.map(|until| Found::Wait(Some(until))).or_else(|| self.untried.map(|(_, node)| Found::Dial(node)))
    }
}

impl Cluster {
    /// Something about metadata is wanted: sends the request, if it is due, or sets the timer.
    pub(super) fn metadata_wanted(&mut self, now: Timestamp) {
        self.search |= self.metadata.due().is_some_and(|at| at <= now) && !self.metadata.refresh.in_flight();
        self.settle(now);
    }

    /// Sends what can be sent, and sets the timers that are not a link's.
    pub(super) fn settle(&mut self, now: Timestamp) {
        if std::mem::take(&mut self.search) {
            self.send_controls(now);
        }
        match self.metadata.due() {
            // Its timer has not gone off yet, and must not be lost; or it has, and what is due waits for a connection.
            Some(at) if at <= now => {}
            due => self.timers.set(Timer::Metadata, due),
        }
        self.timers.set(Timer::Control, self.waiting.front().map(|waiting| waiting.deadline));
        self.timers.set(Timer::Rebootstrap, self.rebootstrap_at);
        self.note_health(now);
    }

    fn send_controls(&mut self, now: Timestamp) {
        let until = loop {
            let metadata = self.metadata.due().is_some_and(|at| at <= now);
            if metadata && self.rebootstrap_at.is_none() && self.ctx.config.rebootstrap && self.metadata.learnt {
                self.rebootstrap_at = Some(now + self.ctx.config.rebootstrap_trigger.max(LEAST_TRIGGER));
            }
            if !metadata && self.waiting.is_empty() {
                break None;
            }
            match self.find(now) {
                Found::Use(key) if metadata => self.send_metadata(now, key),
                Found::Use(key) => self.send_control(now, key),
                Found::Dial(_) if self.dial_after > now => break Some(self.dial_after),
                Found::Dial(node) => self.dial(now, node),
                Found::Wait(until) => break until,
            }
        };
        self.search = false;
        self.timers.set(Timer::Search, until);
    }

    fn find(&mut self, now: Timestamp) -> Found {
        // A random one of equals: the first looked at wins, so start anywhere.
        let brokers = self.metadata.nodes.keys().copied().map(Node::Broker).collect::<Vec<_>>();
        let seeds = (0..self.ctx.config.bootstrap.len()).map(Node::Seed).collect::<Vec<_>>();
        let (known, avoided) = self.look(now, &brokers);
        let (start, avoided_seeds) = self.look(now, &seeds);
        if let Some((_, key)) = known.usable.or(start.usable) {
            return Found::Use(key);
        }
        let may_start = brokers.is_empty() || self.ctx.config.rebootstrap;
        if let Some(found) = known.make().or_else(|| start.make().filter(|_| may_start)) {
            return found;
        }
        if let Some((_, key)) = avoided.usable.or(avoided_seeds.usable) {
            return Found::Use(key);
        }
        if let Some(found) = avoided.make().or_else(|| avoided_seeds.make().filter(|_| may_start)) {
            return found;
        }
        let seeds_later = [start.later, avoided_seeds.later].into_iter().flatten().filter(|_| may_start);
        Found::Wait([known.later, avoided.later].into_iter().flatten().chain(seeds_later).min())
    }

    /// The ways to `nodes`: those to the one to avoid apart.
    fn look(&mut self, now: Timestamp, nodes: &[Node]) -> (Ways, Ways) {
        let (mut ways, mut avoided) = (Ways::default(), Ways::default());
        let len = nodes.len();
        let offset = usize::try_from(self.ctx.rng.below(len as u64)).unwrap_or(0);
        for index in 0..len {
            let node = nodes[(offset + index) % len];
            let link = self.links.get(&LinkKey { node, class: Class::Control });
            let slots = link.map_or(0, |link| link.slots(&self.ctx, now));
            let ways = if self.avoid == Some(node) { &mut avoided } else { &mut ways };
            ways.look(now, node, link, slots);
        }
        (ways, avoided)
    }

    fn dial(&mut self, now: Timestamp, node: Node) {
        let address = match node {
            Node::Seed(index) => self.ctx.config.bootstrap.get(index),
            Node::Broker(id) => self.metadata.nodes.get(&id),
        };
        let Some(address) = address.cloned() else { return };
        let key = LinkKey { node, class: Class::Control };
        let link = self.links.entry(key).or_insert_with(|| Link::new(key, address));
        link.start(&mut self.ctx, now);
        self.after(now, key, None);
    }

    fn send_metadata(&mut self, now: Timestamp, key: LinkKey) {
        let Some(request) = self.metadata.request(now, self.ctx.config.auto_create_topics) else {
            // All that was to be asked about has gone out of use: nothing is failing any more.
            self.rebootstrap_at = None;
            return;
        };
        let sent = self.transmit(now, key, Purpose::Metadata, ApiKey::METADATA, |version, correlation, client_id| {
            request.encode_frame(version, correlation, client_id)
        });
        if !sent {
            // Cannot be: a control link without Metadata is never usable. If it were, backoff would be right.
            self.metadata.failed(&mut self.ctx, now);
        }
    }

    fn send_control(&mut self, now: Timestamp, key: LinkKey) {
        let Some(Waiting { id, request, .. }) = self.waiting.pop_front() else { return };
        let sent = self.transmit(now, key, Purpose::Control(id), request.key(), |version, correlation, client_id| {
            request.encode_frame(version, correlation, client_id)
        });
        if !sent && let Some(link) = self.links.get(&key) {
            let detail = format!("API {}", request.key());
            let cause = link.error(ConnErrorKind::VersionsUnsupported, detail);
            let code = ErrorCode::UNSUPPORTED_VERSION;
            let lost = RequestLost { broker: key.broker(), reached: Reached::NotSent, code, cause };
            self.ctx.event(Event::Controlled { request: id, broker: key.broker(), answer: Err(lost) });
        }
    }

    /// Sends a control request on a usable connection; `false` if it has no version in common with the broker.
    fn transmit(
        &mut self,
        now: Timestamp,
        key: LinkKey,
        purpose: Purpose,
        api: ApiKey,
        encode: impl FnOnce(ApiVersion, CorrelationId, Option<&str>) -> Frame,
    ) -> bool {
        let Some(conn) = self.links.get_mut(&key).and_then(Link::ready_mut) else { return false };
        let Some(version) = conn.versions.of(api) else { return false };
        let correlation = conn.push(now, purpose, (api, version), false);
        let frame = encode(version, correlation, Some(&self.ctx.config.client_id));
        self.ctx.transmit(conn.id, frame);
        self.after(now, key, None);
        true
    }

    /// Reports control requests that have waited for a connection long enough.
    pub(super) fn expire_controls(&mut self, now: Timestamp) {
        while self.waiting.front().is_some_and(|waiting| waiting.deadline <= now) {
            let Some(Waiting { id, .. }) = self.waiting.pop_front() else { return };
            let cause = self.last_error.clone().unwrap_or_else(|| {
                let servers = self.ctx.config.bootstrap.iter().map(ToString::to_string).collect::<Vec<_>>();
                let detail = "no usable connection".to_owned();
                let (what, address) = (ConnErrorKind::TimedOut, servers.join(","));
                std::sync::Arc::new(ConnError { what, address, broker: None, detail })
            });
            let lost =
                RequestLost { broker: None, reached: Reached::NotSent, code: ErrorCode::REQUEST_TIMED_OUT, cause };
            self.ctx.event(Event::Controlled { request: id, broker: None, answer: Err(lost) });
        }
    }

    /// A control connection failed, or an attempt at one.
    pub(super) fn control_failed(&mut self, now: Timestamp, long_lived: bool) {
        self.dial_failures = if long_lived { 1 } else { self.dial_failures.saturating_add(1) };
        if let Some(failures) = self.dial_failures.checked_sub(QUICK_DIALS) {
            self.dial_after = now + self.ctx.reconnect_backoff().delay(failures, &mut self.ctx.rng);
        }
    }

    /// Drops all connections and the list of brokers, to find the cluster through the bootstrap addresses again
    /// (KIP-1102).
    pub(super) fn rebootstrap(&mut self, now: Timestamp) {
        self.rebootstrap_at = None;
        if !self.ctx.config.rebootstrap {
            return;
        }
        tracing::warn!("metadata cannot be learnt from the known brokers; starting over from the bootstrap servers");
        self.metadata.forget_nodes();
        self.ctx.health_doubtful = true;
        self.metadata.refresh.restart();
        for key in self.links.keys().copied().collect::<Vec<_>>() {
            let fall = self.with(key, |link, ctx| {
                let detail = String::new();
                (!link.is_down()).then(|| link.fall(ctx, now, ConnErrorKind::Rebootstrap, detail))
            });
            self.after(now, key, fall.flatten());
        }
        self.avoid = None;
        self.turned_away.clear();
        self.search = true;
        self.ctx.event(Event::MetadataChanged);
    }
}
