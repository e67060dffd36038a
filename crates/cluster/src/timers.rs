//! Deadlines by what they are for.

use std::collections::{BTreeMap, BTreeSet};

use milena_wire::Timestamp;

use crate::link::LinkKey;

/// What a deadline is for; each has at most one.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Timer {
    /// Whatever the link waits for next: a setup or request timeout, idleness, the end of a throttle or of a backoff.
    Link(LinkKey),
    /// Metadata is to be asked for.
    Metadata,
    /// A broker for metadata or control requests is to be looked for again.
    Search,
    /// The oldest control request has waited for a connection long enough.
    Control,
    /// Metadata has failed for so long that everything known is to be dropped.
    Rebootstrap,
}

/// All deadlines that are set.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    by_time: BTreeSet<(Timestamp, Timer)>,
    by_timer: BTreeMap<Timer, Timestamp>,
}

impl Timers {
    /// Sets, moves or clears a deadline.
    pub(crate) fn set(&mut self, timer: Timer, at: Option<Timestamp>) {
        let at = at.filter(|at| *at != Timestamp::NEVER);
        let before = match at {
            Some(at) => self.by_timer.insert(timer, at),
            None => self.by_timer.remove(&timer),
        };
        if before == at {
            return;
        }
        if let Some(before) = before {
            self.by_time.remove(&(before, timer));
        }
        if let Some(at) = at {
            self.by_time.insert((at, timer));
        }
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Clears the earliest deadline that is not after `now`, and says which it was.
    pub(crate) fn pop(&mut self, now: Timestamp) -> Option<Timer> {
        let (at, timer) = *self.by_time.first().filter(|(at, _)| *at <= now)?;
        self.by_time.remove(&(at, timer));
        self.by_timer.remove(&timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_fire_once_in_order_and_can_be_moved_and_cleared() {
        let at = Timestamp::from_millis;
        let mut timers = Timers::default();
        timers.set(Timer::Metadata, Some(at(5)));
        timers.set(Timer::Search, Some(at(3)));
        timers.set(Timer::Control, Some(at(4)));
        timers.set(Timer::Metadata, Some(at(2)));
        timers.set(Timer::Control, None);
        timers.set(Timer::Rebootstrap, Some(Timestamp::NEVER));
        assert_eq!(timers.next(), Some(at(2)));
        assert_eq!(timers.pop(at(1)), None);
        assert_eq!(timers.pop(at(9)), Some(Timer::Metadata));
        assert_eq!(timers.pop(at(9)), Some(Timer::Search));
        assert_eq!(timers.pop(at(9)), None);
        assert_eq!(timers.next(), None);
    }
}
