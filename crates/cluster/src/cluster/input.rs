//! What happened on connections, and what follows from it.

use std::time::Duration;

use bytes::Bytes;
use milena_mutants::Mutant;
use milena_wire::message::metadata::MetadataResponse;
use milena_wire::message::produce::ProduceResponse;
use milena_wire::{BrokerId, ErrorCode, Timestamp};

use super::Cluster;
use crate::api::{ConnId, ControlResponse, Event, Input, ProduceAnswer};
use crate::connection::{Answered, InFlight, Purpose};
use crate::ctx::Ctx;
use crate::errors::{ConnErrorKind, Reached, RequestLost};
use crate::link::{Class, Fall, Link, LinkKey, Node, Progress};
use crate::metadata::Useless;
use crate::timers::Timer;
use crate::versions::client_throttles;

/// How long a produce connection is tried for one [`Room::Wait`](crate::Room::Wait), at least; then its asker is
/// asked whether it still waits.
const WANTED: Duration = Duration::from_secs(300);

impl Cluster {
    pub(super) fn on_input(&mut self, now: Timestamp, input: Input) {
        match input {
            Input::Tick => {}
            Input::Resolved { query, result } => {
                let Some(key) = self.ctx.query_gone(query) else { return };
                let fall = self.with(key, |link, ctx| link.on_resolved(ctx, now, query, result)).flatten();
                self.after(now, key, fall);
            }
            Input::Opened { conn } => {
                let Some(key) = self.ctx.owner(conn) else { return };
                self.with(key, |link, _| link.on_opened(conn));
            }
            Input::Connected { conn } => {
                let Some(key) = self.ctx.owner(conn) else { return };
                self.with(key, |link, ctx| link.on_connected(ctx, now, conn));
                self.after(now, key, None);
            }
            Input::Received { conn, frame } => self.on_frame(now, conn, &frame),
            Input::Written { conn } => {
                let Some(key) = self.ctx.owner(conn) else { return };
                let done = self.with(key, |link, _| link.on_written(now)).flatten();
                if let Some(request) = done {
                    self.unacknowledged(key, request);
                }
                self.after(now, key, None);
            }
            Input::Authenticate { conn, step } => {
                let Some(key) = self.ctx.owner(conn) else { return };
                let progress = self.with(key, |link, ctx| link.on_sasl(ctx, now, conn, step));
                self.after(now, key, progress.and_then(Progress::fall));
            }
            Input::Lost { conn, cause, begun } => {
                let Some(key) = self.ctx.owner(conn) else { return };
                let fall = self.with(key, |link, ctx| link.on_lost(ctx, now, conn, cause, begun)).flatten();
                self.after(now, key, fall);
            }
        }
    }

    /// Runs what has become due.
    pub(super) fn on_time(&mut self, now: Timestamp) {
        while let Some(timer) = self.timers.pop(now) {
            match timer {
                Timer::Link(key) => {
                    let fall = self.with(key, |link, ctx| link.on_timer(ctx, now)).flatten();
                    self.after(now, key, fall);
                }
                Timer::Metadata | Timer::Search => self.search = true,
                Timer::Control => self.expire_controls(now),
                Timer::Rebootstrap => self.rebootstrap(now),
            }
        }
    }

    pub(super) fn with<T>(&mut self, key: LinkKey, run: impl FnOnce(&mut Link, &mut Ctx) -> T) -> Option<T> {
        self.links.get_mut(&key).map(|link| run(link, &mut self.ctx))
    }

    fn on_frame(&mut self, now: Timestamp, conn: ConnId, frame: &Bytes) {
        let Some(key) = self.ctx.owner(conn) else { return };
        let fall = match self.with(key, |link, ctx| link.on_frame(ctx, now, frame)) {
            None | Some(Progress::Negotiating | Progress::Ready) => None,
            Some(Progress::Fell(fall)) => Some(fall),
            Some(Progress::Answered(answered)) => self.on_answer(now, key, answered),
        };
        self.after(now, key, fall);
    }

    fn on_answer(&mut self, now: Timestamp, key: LinkKey, answered: Answered) -> Option<Fall> {
        for request in answered.written {
            self.unacknowledged(key, request);
        }
        let request = answered.request;
        let understood = match request.purpose {
            // Answered where the connection is negotiated.
            Purpose::Versions | Purpose::SaslHandshake | Purpose::SaslAuthenticate => return None,
            Purpose::Produce(id) => ProduceResponse::decode_up_to(request.version, &answered.body, request.entries)
                .map(|response| {
                    self.understood(now, key, &request, response.throttle_ms);
                    if let Some(broker) = key.broker() {
                        let answer = Ok(ProduceAnswer::Answered(response));
                        self.ctx.event(Event::Produced { request: id, broker, answer });
                    }
                }),
            Purpose::Control(id) => {
                ControlResponse::decode(request.key, request.version, &answered.body).map(|response| {
                    self.understood(now, key, &request, response.throttle_ms());
                    self.ctx.event(Event::Controlled { request: id, broker: key.broker(), answer: Ok(response) });
                })
            }
            Purpose::Metadata => MetadataResponse::decode(request.version, &answered.body).map(|response| {
                self.understood(now, key, &request, response.throttle_ms);
                self.on_metadata(now, key, &request, &response);
            }),
        };
        let error = understood.err()?;
        let mut fall = self.with(key, |link, ctx| link.fall(ctx, now, ConnErrorKind::Malformed, error.to_string()))?;
        fall.lost.insert(0, request);
        Some(fall)
    }

    fn understood(&mut self, now: Timestamp, key: LinkKey, request: &InFlight, throttle_ms: i32) {
        self.with(key, |link, ctx| {
            link.on_answer_understood();
            ctx.served = true;
            if throttle_ms > 0
                && client_throttles(request.key, request.version)
                && let Some(conn) = link.ready_mut()
            {
                conn.throttle(now, throttle_ms);
                ctx.health_doubtful = true;
            }
        });
    }

    fn unacknowledged(&mut self, key: LinkKey, request: InFlight) {
        if let (Purpose::Produce(id), Some(broker)) = (request.purpose, key.broker()) {
            self.ctx.event(Event::Produced { request: id, broker, answer: Ok(ProduceAnswer::Unacknowledged) });
        }
    }

    fn on_metadata(&mut self, now: Timestamp, key: LinkKey, request: &InFlight, response: &MetadataResponse) {
        self.ctx.health_doubtful = true;
        let useless = match self.metadata.answered(&mut self.ctx, now, request.version, response) {
            Ok(stale) => {
                self.avoid = stale.then_some(key.node);
                self.rebootstrap_at = None;
                self.last_error = None;
                for broker in self.metadata.nodes.keys().copied().collect::<Vec<_>>() {
                    self.move_links(now, broker);
                }
                self.prune(now);
                self.ctx.event(Event::MetadataChanged);
                return;
            }
            Err(useless) => useless,
        };
        let detail = match useless {
            Useless::Rebootstrap => "Metadata: the broker wants its clients to start over".to_owned(),
            Useless::Code(code) => format!("Metadata: {code}: {}", code.description()),
            Useless::NoBrokers => "Metadata: the answer lists no usable broker".to_owned(),
        };
        if let Some(link) = self.links.get(&key) {
            self.last_error = Some(link.error(ConnErrorKind::Refusal, detail));
        }
        self.avoid = Some(key.node);
        self.metadata.failed(&mut self.ctx, now);
        if useless == Useless::Rebootstrap {
            self.rebootstrap(now);
        }
    }

    /// The broker may listen elsewhere now.
    pub(super) fn move_links(&mut self, now: Timestamp, broker: BrokerId) {
        let Some(address) = self.metadata.nodes.get(&broker).cloned() else { return };
        for class in [Class::Control, Class::Produce] {
            let key = LinkKey { node: Node::Broker(broker), class };
            if let Some(link) = self.links.get_mut(&key)
                && link.move_to(&mut self.ctx, now, &address)
            {
                self.after(now, key, None);
            }
        }
    }

    /// Stops connecting to brokers that have left the cluster.
    fn prune(&mut self, now: Timestamp) {
        let gone = self.links.keys().copied().filter(|key| self.has_left(*key)).collect::<Vec<_>>();
        for key in gone {
            self.after(now, key, None);
        }
    }

    fn has_left(&self, key: LinkKey) -> bool {
        key.broker().is_some_and(|broker| !self.metadata.nodes.contains_key(&broker))
    }

    /// Reports a fall, and brings everything that depends on a link up to date with it.
    pub(super) fn after(&mut self, now: Timestamp, key: LinkKey, fall: Option<Fall>) {
        // Requests in flight may have come to their end, which a new authentication waits for.
        let pursue = |link: &mut Link, ctx: &mut Ctx| link.pursue_authentication(ctx, now).fall();
        if let Some(fall) = fall.or_else(|| self.with(key, pursue).flatten()) {
            self.on_fall(now, key, fall);
        }
        let left = self.has_left(key);
        let Some(link) = self.links.get_mut(&key) else { return };
        if key.class == Class::Control {
            self.search = true;
            if link.ready().is_some() {
                self.turned_away.clear();
            }
        }
        if left {
            link.wanted_until = None;
            link.room_awaited = false;
            self.ctx.health_doubtful = true;
            // A connection that works may be needed again: one answer without the broker proves little. It idles out.
            if link.ready_mut().is_none() {
                link.rest(&mut self.ctx, now);
                self.links.remove(&key);
                self.ctx.health_doubtful = true;
                self.timers.set(Timer::Link(key), None);
                return;
            }
        }
        link.finish_move(&mut self.ctx, now);
        if link.room_awaited && key.class == Class::Produce {
            Self::pursue(link, &mut self.ctx, now);
        }
        self.timers.set(Timer::Link(key), link.deadline(&self.ctx, now));
    }

    /// Works towards room on a produce link that somebody waits for, and tells when there is.
    fn pursue(link: &mut Link, ctx: &mut Ctx, now: Timestamp) {
        let Some(broker) = link.key.broker() else { return };
        let gave_up = link.is_down() && link.wanted_until.is_some_and(|until| until <= now);
        if gave_up || link.slots(ctx, now) > 0 {
            link.room_awaited = false;
            // Not for the sake of room alone, which comes with every answer when there is much to send.
            ctx.health_doubtful |= link.wanted_until.take().is_some();
            if !Mutant::RoomIsUnheardOf.lives() {
                ctx.event(Event::Room { broker });
            }
        } else if link.is_down() {
            link.wanted_until.get_or_insert_with(|| now + WANTED.max(ctx.config.idle_timeout));
            if link.not_before() <= now {
                link.start(ctx, now);
            }
        }
    }

    fn on_fall(&mut self, now: Timestamp, key: LinkKey, fall: Fall) {
        let Fall { error, lost, begun, quiet, down, long_lived, refusal } = fall;
        let code = match error.what {
            ConnErrorKind::RequestTimeout => ErrorCode::REQUEST_TIMED_OUT,
            _ => ErrorCode::NETWORK_EXCEPTION,
        };
        let broker = key.broker();
        for request in lost {
            if Mutant::LostIsUnheardOf.lives() {
                break;
            }
            let never = begun.is_some_and(|begun| request.is_beyond(begun)) || Mutant::MaybeSentIsNotSent.lives();
            let reached = if never { Reached::NotSent } else { Reached::MaybeSent };
            let lost = RequestLost { broker, reached, code, cause: error.clone() };
            match (request.purpose, broker) {
                (Purpose::Produce(request), Some(broker)) => {
                    self.ctx.event(Event::Produced { request, broker, answer: Err(lost) });
                }
                (Purpose::Control(_), _) if Mutant::LostControlIsUnheardOf.lives() => {}
                (Purpose::Control(request), _) => {
                    self.ctx.event(Event::Controlled { request, broker, answer: Err(lost) });
                }
                (Purpose::Metadata, _) => {
                    self.avoid = Some(key.node);
                    self.metadata.failed(&mut self.ctx, now);
                }
                (Purpose::Produce(_), _) => {}
                (Purpose::Versions | Purpose::SaslHandshake | Purpose::SaslAuthenticate, _) => {}
            }
        }
        self.search = true;
        if quiet {
            // It was good for something as long as it lived.
            if key.class == Class::Control && long_lived {
                self.dial_failures = 0;
            }
            return;
        }
        self.last_error = Some(error);
        if down {
            self.note_refusal(key, refusal);
        }
        if down && key.class == Class::Control {
            self.control_failed(now, long_lived);
        }
        // Leaders move away from a broker that is gone; a bootstrap address that fails says nothing about that.
        if down && broker.is_some() && !self.metadata.topics.is_empty() {
            self.metadata.refresh.request();
        }
    }
}
