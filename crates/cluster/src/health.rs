//! How the cluster and its brokers are, since when, and what went wrong last: for people who watch, never for deciding.

use std::collections::BTreeMap;
use std::sync::Arc;

use milena_wire::{BrokerId, Timestamp};

use crate::config::HostPort;
use crate::errors::ConnError;

/// Brokers that have left the cluster and are still told of; of more than that the one that left first is forgotten.
const LEFT_MAX: usize = 64;

/// Whether the cluster can be reached.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum ClusterState {
    /// It has not answered yet, and nothing has failed yet either.
    #[default]
    Unknown,
    /// It has answered, and since the last failure a connection is usable.
    Reachable,
    /// Something failed, and no connection is usable. As of the last attempt: a client without work makes none.
    Unreachable,
}

/// How the way to one broker is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum BrokerState {
    /// There is no connection, and none is wanted.
    #[default]
    Idle,
    /// The first connection is being made, or one after a rest.
    Connecting,
    /// A connection is usable.
    Up,
    /// The last connection or attempt failed, and none has become usable since; it may be tried again right now.
    Down,
    /// The cluster does not list the broker any more.
    Left,
}

/// The last thing that went wrong. Kept when all is well again.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LastError {
    /// When.
    pub at: Timestamp,
    /// What.
    pub error: Arc<ConnError>,
}

/// A broker that told this client to keep quiet for a while.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Throttle {
    /// When that began.
    pub since: Timestamp,
    /// When it ends.
    pub until: Timestamp,
}

/// One broker's health.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct BrokerHealth {
    /// Where it listens, or listened last.
    pub address: HostPort,
    /// How the way to it is.
    pub state: BrokerState,
    /// Since when.
    pub since: Timestamp,
    /// The last throttle; over, perhaps.
    pub throttle: Option<Throttle>,
    /// The last failure of a connection to it.
    pub last_error: Option<LastError>,
}

/// The health of a cluster and of every broker it has, or had.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ClusterHealth {
    /// Whether it can be reached.
    pub state: ClusterState,
    /// Since when.
    pub since: Timestamp,
    /// The last failure of any connection, or of learning metadata.
    pub last_error: Option<LastError>,
    /// By id; those that have left included.
    pub brokers: BTreeMap<BrokerId, BrokerHealth>,
}

/// How things are at this moment, without a past.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) state: ClusterState,
    pub(crate) last_error: Option<Arc<ConnError>>,
    pub(crate) brokers: BTreeMap<BrokerId, BrokerView>,
}

/// As [`View`], of one broker.
#[derive(Debug)]
pub(crate) struct BrokerView {
    pub(crate) address: HostPort,
    pub(crate) state: BrokerState,
    pub(crate) throttled_until: Option<Timestamp>,
    pub(crate) error: Option<Arc<ConnError>>,
}

impl ClusterHealth {
    pub(crate) fn new() -> Self {
        Self { state: ClusterState::Unknown, since: Timestamp::ZERO, last_error: None, brokers: BTreeMap::new() }
    }

    /// Takes in how things are now; whether that is any different.
    pub(crate) fn note(&mut self, now: Timestamp, view: View) -> bool {
        let mut news = note_error(&mut self.last_error, now, view.last_error);
        if self.state != view.state {
            (self.state, self.since, news) = (view.state, now, true);
        }
        for (id, broker) in &mut self.brokers {
            if !view.brokers.contains_key(id) && broker.state != BrokerState::Left {
                (broker.state, broker.since, news) = (BrokerState::Left, now, true);
            }
        }
        for (id, view) in view.brokers {
            let known = self.brokers.entry(id).or_insert_with(|| {
                news = true;
                BrokerHealth {
                    address: view.address.clone(),
                    state: view.state,
                    since: now,
                    throttle: None,
                    last_error: None,
                }
            });
            news |= known.note(now, view);
        }
        self.forget_left();
        news
    }

    /// In one go: an answer that makes things up can name a million brokers.
    fn forget_left(&mut self) {
        let left = self.brokers.iter().filter(|(_, broker)| broker.state == BrokerState::Left);
        let mut left: Vec<_> = left.map(|(id, broker)| (broker.since, *id)).collect();
        let Some(surplus) = left.len().checked_sub(LEFT_MAX).filter(|surplus| *surplus > 0) else { return };
        left.sort_unstable();
        for (_, id) in &left[..surplus] {
            self.brokers.remove(id);
        }
    }
}

impl BrokerHealth {
    fn note(&mut self, now: Timestamp, view: BrokerView) -> bool {
        let mut news = note_error(&mut self.last_error, now, view.error);
        if self.state != view.state {
            (self.state, self.since, news) = (view.state, now, true);
        }
        if self.address != view.address {
            (self.address, news) = (view.address, true);
        }
        if let Some(until) = view.throttled_until
            && self.throttle.is_none_or(|throttle| throttle.until != until)
        {
            // One that is made longer before it ends is the same one.
            let since = self.throttle.filter(|throttle| throttle.until > now).map_or(now, |throttle| throttle.since);
            (self.throttle, news) = (Some(Throttle { since, until }), true);
        }
        news
    }
}

/// An error that is gone stays the last one.
fn note_error(last: &mut Option<LastError>, now: Timestamp, error: Option<Arc<ConnError>>) -> bool {
    let Some(error) = error else { return false };
    if last.as_ref().is_some_and(|last| Arc::ptr_eq(&last.error, &error)) {
        return false;
    }
    *last = Some(LastError { at: now, error });
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errors::ConnErrorKind;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn broker(state: BrokerState) -> BrokerView {
        BrokerView { address: HostPort::new("kafka", 9092), state, throttled_until: None, error: None }
    }

    fn of(brokers: impl IntoIterator<Item = (i32, BrokerView)>) -> View {
        let brokers = brokers.into_iter().map(|(id, view)| (BrokerId(id), view)).collect();
        View { state: ClusterState::Reachable, last_error: None, brokers }
    }

    fn error() -> Arc<ConnError> {
        let (address, detail) = (String::new(), String::new());
        Arc::new(ConnError { what: ConnErrorKind::Closed, address, broker: None, detail })
    }

    #[test]
    fn a_state_is_as_old_as_its_beginning_however_often_it_is_seen() {
        let mut health = ClusterHealth::new();
        assert!(health.note(at(1), of([(1, broker(BrokerState::Up))])));
        assert!(!health.note(at(2), of([(1, broker(BrokerState::Up))])));
        assert_eq!((health.since, health.brokers[&BrokerId(1)].since), (at(1), at(1)));
        assert!(health.note(at(3), of([(1, broker(BrokerState::Down))])));
        assert_eq!((health.since, health.brokers[&BrokerId(1)].since), (at(1), at(3)));
    }

    #[test]
    fn an_error_is_told_with_its_own_time_and_outlives_the_trouble() {
        let mut health = ClusterHealth::new();
        let error = error();
        let down = || BrokerView { error: Some(Arc::clone(&error)), ..broker(BrokerState::Down) };
        health.note(at(5), of([(1, down())]));
        health.note(at(6), of([(1, down())]));
        health.note(at(7), of([(1, broker(BrokerState::Up))]));
        let health = &health.brokers[&BrokerId(1)];
        assert_eq!((health.state, health.since), (BrokerState::Up, at(7)));
        assert_eq!(health.last_error, Some(LastError { at: at(5), error }));
    }

    #[test]
    fn a_throttle_that_is_made_longer_is_the_same_and_a_later_one_is_another() {
        let mut health = ClusterHealth::new();
        let quiet = |until| BrokerView { throttled_until: Some(at(until)), ..broker(BrokerState::Up) };
        for (now, until, since) in [(10, 20, 10), (15, 40, 10), (16, 40, 10), (50, 60, 50)] {
            health.note(at(now), of([(1, quiet(until))]));
            let throttle = health.brokers[&BrokerId(1)].throttle;
            assert_eq!(throttle, Some(Throttle { since: at(since), until: at(until) }), "{now}");
        }
    }

    #[test]
    fn a_broker_that_leaves_is_still_told_of_and_as_many_as_ever_leave_are_not() {
        let mut health = ClusterHealth::new();
        health.note(at(1), of([(1, broker(BrokerState::Up)), (2, broker(BrokerState::Up))]));
        assert!(health.note(at(2), of([(1, broker(BrokerState::Up))])));
        assert_eq!(
            (health.brokers[&BrokerId(2)].state, health.brokers[&BrokerId(2)].since),
            (BrokerState::Left, at(2))
        );
        health.note(at(3), of([(1, broker(BrokerState::Up)), (2, broker(BrokerState::Idle))]));
        assert_eq!(health.brokers[&BrokerId(2)].state, BrokerState::Idle);
        for id in 10..1_000_i32 {
            health.note(
                at(10 + u64::from(id.unsigned_abs())),
                of([(1, broker(BrokerState::Up)), (id, broker(BrokerState::Up))]),
            );
        }
        assert_eq!(health.brokers.len(), 2 + LEFT_MAX);
        assert!(!health.brokers.contains_key(&BrokerId(2)), "it left first");
    }

    #[test]
    fn a_hundred_thousand_made_up_brokers_are_forgotten() {
        // One after the other that took minutes.
        let mut health = ClusterHealth::new();
        health.note(at(1), of((0..100_000).map(|id| (id, broker(BrokerState::Idle)))));
        health.note(at(2), of([(1, broker(BrokerState::Up))]));
        assert_eq!(health.brokers.len(), 1 + LEFT_MAX);
    }
}
