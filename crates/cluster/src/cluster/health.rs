//! How the links, taken together, are seen from outside.

use milena_wire::{BrokerId, Timestamp};

use super::Cluster;
use crate::health::{BrokerState, BrokerView, ClusterHealth, ClusterState, View};
use crate::link::{Class, Link, LinkKey, Node};

impl Cluster {
    /// How the cluster and its brokers are, and since when.
    #[must_use]
    pub fn health(&self) -> &ClusterHealth {
        &self.health
    }

    /// Whether [`health`](Self::health) tells anything new since the last call. Cheap.
    pub fn take_health_news(&mut self) -> bool {
        std::mem::take(&mut self.health_news)
    }

    /// Brings the health up to date, if a link or the list of brokers changed.
    pub(super) fn note_health(&mut self, now: Timestamp) {
        if std::mem::take(&mut self.ctx.health_doubtful) {
            let view = self.view();
            self.health_news |= self.health.note(now, view);
        } else {
            debug_assert!(!self.health.clone().note(now, self.view()), "a change that the health missed");
        }
    }

    fn view(&self) -> View {
        let usable = self.links.values().any(|link| link.ready().is_some());
        let state = match &self.last_error {
            Some(_) if usable && self.metadata.learnt => ClusterState::Reachable,
            Some(_) => ClusterState::Unreachable,
            None if self.metadata.learnt => ClusterState::Reachable,
            None => ClusterState::Unknown,
        };
        let brokers = self.metadata.nodes.iter().map(|(id, address)| {
            let view = match self.telling_link(*id) {
                Some(link) => BrokerView {
                    address: address.clone(),
                    state: state_of(link),
                    throttled_until: link.ready().and_then(|conn| conn.last_throttle()),
                    error: link.error.clone(),
                },
                None => BrokerView {
                    address: address.clone(),
                    state: BrokerState::Idle,
                    throttled_until: None,
                    error: None,
                },
            };
            (*id, view)
        });
        View { state, last_error: self.last_error.clone(), brokers: brokers.collect() }
    }

    /// The one of a broker's links that says most about it: the one for produce requests, unless nobody needs that and
    /// the other works or has something to tell.
    fn telling_link(&self, broker: BrokerId) -> Option<&Link> {
        let link = |class| self.links.get(&LinkKey { node: Node::Broker(broker), class });
        let (produce, control) = (link(Class::Produce), link(Class::Control));
        let weight = |link: &&Link| match state_of(link) {
            BrokerState::Up => 3,
            _ if !link.is_down() || link.wanted_until.is_some() => 2,
            BrokerState::Idle => 0,
            _ => 1,
        };
        let wanted = produce.filter(|link| weight(link) >= 2);
        // Of two alike the later in the list wins.
        wanted.or_else(|| [control, produce].into_iter().flatten().max_by_key(weight))
    }
}

fn state_of(link: &Link) -> BrokerState {
    match link.ready() {
        Some(_) => BrokerState::Up,
        None if link.error.is_some() => BrokerState::Down,
        None if link.is_down() => BrokerState::Idle,
        None => BrokerState::Connecting,
    }
}
