//! Requests that are not answered yet, and everything that happens at a time.

use std::collections::BTreeMap;

use milena_wire::{BrokerId, Frame, LeaderEpoch, Offset, PartitionId, Timestamp, TopicId};

use super::fetch::WaitingFetch;
use super::produce::WaitingProduce;
use super::request::{Meta, Request};

/// One request that was handed to the core.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Ticket(pub(super) u64);

/// What a connection does about a request that has been handled.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Send this.
    Send(Frame),
    /// Send this, then close.
    SendLast(Frame),
    /// Go on without an answer: acks=0.
    Nothing,
    /// Close the connection.
    Close,
    /// Send the first half, then close.
    SendHalf(Frame),
    /// Never answer, never read again, and leave the connection open.
    Silence,
}

/// Why a request is not answered yet.
pub(super) enum Waiting {
    /// It has not been handled either.
    Delayed {
        node: BrokerId,
        meta: Meta,
        request: Request,
    },
    /// It has, but its answer is held back.
    Held(Answer),
    Produce(WaitingProduce),
    Fetch(WaitingFetch),
}

/// What happens when its time comes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Timer {
    /// A waiting request waits no longer.
    Wake(Ticket),
    /// Followers have copied what was there when the leader of `epoch` had written up to `end`.
    Copied { topic: TopicId, partition: PartitionId, epoch: LeaderEpoch, end: Offset },
    /// A node that was paused for the `pause`th time leaves the in-sync sets, if it is paused still.
    Shrink { node: BrokerId, pause: u64 },
}

pub(super) type TimerKey = (Timestamp, u64);

/// All timers, earliest first; those of one instant in the order they were set.
#[derive(Debug, Default)]
pub(super) struct Timers {
    set: BTreeMap<TimerKey, Timer>,
    count: u64,
}

impl Timers {
    pub(super) fn set(&mut self, at: Timestamp, timer: Timer) -> TimerKey {
        self.count += 1;
        self.set.insert((at, self.count), timer);
        (at, self.count)
    }

    pub(super) fn cancel(&mut self, key: TimerKey) {
        self.set.remove(&key);
    }

    pub(super) fn next(&self) -> Option<Timestamp> {
        self.set.first_key_value().map(|((at, _), _)| *at)
    }

    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<Timer> {
        let entry = self.set.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(entry.remove())
    }
}
