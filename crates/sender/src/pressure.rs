//! What happens while callers wait for memory.
//!
//! Memory comes back with answers. As long as some are outstanding, batches go on lingering, for [`PATIENCE`] at most: if each record left as
//! soon as an answer has made room for it, requests would carry few records, and stay that small. If none is outstanding, whatever lingers
//! leaves at once, because nothing else brings memory back.

use std::time::Duration;

use milena_wire::Timestamp;

use crate::sender::Sender;
use crate::timers::Timer;

/// How long a batch may linger in all while somebody waits for memory and answers are outstanding, or from when somebody began to wait.
const PATIENCE: Duration = Duration::from_millis(5);

#[derive(Debug, Default)]
pub(crate) struct Pressure {
    /// Somebody waits for memory, as far as is known.
    pub(crate) is_on: bool,
    /// Nothing lingers just now.
    pub(crate) is_urgent: bool,
    /// Slots whose open batch lingers, or did: each has a mark that it is here.
    pub(crate) lingering: Vec<usize>,
    pub(crate) timer: Option<Timestamp>,
}

impl Pressure {
    /// What waits may not wait longer than this.
    pub(crate) fn longest_wait(&self) -> Duration {
        if self.is_on { PATIENCE } else { Duration::MAX }
    }

    /// A partition waits for its time. What still does when nothing may linger is backing off.
    pub(crate) fn note_lingering(&mut self, slot: usize, listed: &mut bool) {
        if !self.is_urgent && !std::mem::replace(listed, true) {
            self.lingering.push(slot);
        }
    }
}

impl Sender {
    /// Looks whether somebody waits for memory.
    pub(crate) fn note_pressure(&mut self) {
        let was_on = self.pressure.is_on;
        self.pressure.is_on = self.accumulator.memory().waiting > 0;
        if self.pressure.is_on && !was_on {
            // Full batches wait for company no more.
            self.dirty.extend(self.brokers.iter().filter(|(_, lists)| lists.has_due()).map(|(broker, _)| *broker));
            // Who begins to wait from now on is told by when; what waits for longer than that by now is looked at then. With a shorter
            // linger it leaves sooner by itself, but for what waits for the end of a replay.
            if self.config.linger > PATIENCE || self.config.spool {
                self.timers.schedule(&mut self.pressure.timer, Timer::Pressure, self.now + PATIENCE);
            }
        }
    }

    /// Looks whether still anybody waits for memory: else batches may linger again.
    pub(crate) fn check_pressure(&mut self) {
        self.pressure.is_on = self.pressure.is_on && self.accumulator.memory().waiting > 0;
    }

    /// Ends lingering if only that brings memory back. Says whether anything changed.
    pub(crate) fn ease_pressure(&mut self) -> bool {
        let ends = self.pressure.is_on && self.requests.is_empty() && !self.pressure.lingering.is_empty();
        if ends {
            self.pressure.is_urgent = true;
            self.look_at_lingering();
            self.pressure.is_urgent = false;
        }
        ends
    }

    /// Looks at what lingers: how long it may has changed.
    pub(crate) fn look_at_lingering(&mut self) {
        for slot in std::mem::take(&mut self.pressure.lingering) {
            if let Some(partition) = self.partitions.get_mut(slot) {
                partition.lingers = false;
            }
            self.touch(slot);
        }
    }
}
