//! Requests to the broker that leads a partition.

use std::sync::Arc;

use milena_wire::message::produce::ProduceRequest;
use milena_wire::{ApiKey, ApiVersion, BrokerId, ErrorCode, Timestamp};

use super::Cluster;
use crate::api::{ConnId, Event, RequestId, Room};
use crate::connection::Purpose;
use crate::errors::{ConnError, ConnErrorKind, Reached, RequestLost};
use crate::link::{Class, Link, LinkKey, Node};

/// The last version of Produce that names topics; later ones give their ids (KIP-516).
const NAMES_TOPICS: ApiVersion = ApiVersion(12);

/// How many topics that nobody asked about an answer may list, and is still read.
const ENTRIES_SLACK: usize = 16;

fn key_of(broker: BrokerId) -> LinkKey {
    LinkKey { node: Node::Broker(broker), class: Class::Produce }
}

impl Cluster {
    pub(super) fn room(&mut self, now: Timestamp, broker: BrokerId) -> Room {
        let Some(address) = self.metadata.nodes.get(&broker) else { return Room::Wait };
        let key = key_of(broker);
        let link = self.links.entry(key).or_insert_with(|| Link::new(key, address.clone()));
        if link.is_idle(&self.ctx, now) {
            // Something in between may have dropped a connection that was quiet for long, without telling anybody.
            link.rest(&mut self.ctx, now);
        }
        let slots = link.slots(&self.ctx, now);
        let version = link.ready().and_then(|conn| conn.versions.of(ApiKey::PRODUCE));
        if let (Some(version), 1..) = (version, slots) {
            return Room::Ready { version, slots };
        }
        link.room_awaited = true;
        link.wanted_until = None;
        self.ctx.health_doubtful |= link.ready().is_none();
        self.after(now, key, None);
        Room::Wait
    }

    pub(super) fn produce(&mut self, now: Timestamp, broker: BrokerId, request: &ProduceRequest) -> RequestId {
        let id = self.ctx.request_id();
        let key = key_of(broker);
        let slots = self.links.get(&key).map_or(0, |link| link.slots(&self.ctx, now));
        let conn = self.links.get_mut(&key).and_then(Link::ready_mut).filter(|_| slots > 0);
        let Some(conn) = conn else {
            self.not_sent(id, broker, ErrorCode::NETWORK_EXCEPTION, ConnErrorKind::NotReady, String::new());
            return id;
        };
        let anonymous = request.topics.iter().any(|topic| topic.id.is_zero());
        let cap = if anonymous { NAMES_TOPICS } else { ApiVersion(i16::MAX) };
        let Some(version) = conn.versions.up_to(ApiKey::PRODUCE, cap) else {
            let detail = "Produce: the broker needs topic ids, and a topic's is not known".to_owned();
            let what = ConnErrorKind::VersionsUnsupported;
            self.not_sent(id, broker, ErrorCode::UNSUPPORTED_VERSION, what, detail);
            return id;
        };
        let api = (ApiKey::PRODUCE, version);
        let correlation = conn.push(now, Purpose::Produce(id), api, request.acks == 0);
        // A broker may list a topic once for each of its partitions.
        let partitions: usize = request.topics.iter().map(|topic| topic.partitions.len()).sum();
        conn.expect_entries(request.topics.len() + partitions + ENTRIES_SLACK);
        let (arena, client_id) = (&mut self.ctx.arena, Some(self.ctx.config.client_id.as_str()));
        let frame = request.encode_frame_in(arena, version, correlation, client_id);
        self.ctx.transmit(conn.id, frame);
        let full = conn.slots(now, self.ctx.config.max_in_flight) == 0;
        if full && let Some(link) = self.links.get_mut(&key) {
            link.room_awaited = true;
        }
        self.after(now, key, None);
        id
    }

    pub(super) fn conn_of(&self, broker: BrokerId, request: RequestId) -> Option<ConnId> {
        let conn = self.links.get(&key_of(broker))?.ready()?;
        conn.carries(request).then_some(conn.id)
    }

    fn not_sent(&mut self, id: RequestId, broker: BrokerId, code: ErrorCode, what: ConnErrorKind, detail: String) {
        let cause = match self.links.get(&key_of(broker)) {
            Some(Link { error: Some(error), .. }) if what == ConnErrorKind::NotReady => error.clone(),
            Some(link) => link.error(what, detail),
            None => {
                Arc::new(ConnError { what, address: "an unknown address".to_owned(), broker: Some(broker), detail })
            }
        };
        let lost = RequestLost { broker: Some(broker), reached: Reached::NotSent, code, cause };
        self.ctx.event(Event::Produced { request: id, broker, answer: Err(lost) });
    }
}
