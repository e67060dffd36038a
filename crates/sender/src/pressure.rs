//! What happens while callers wait for memory.
//!
//! Memory comes back with answers. As long as some are outstanding, batches go on lingering, for [`PATIENCE`] at most: if each record left as
//! soon as an answer has made room for it, requests would carry few records, and stay that small. If none is outstanding, whatever lingers
//! leaves at once, because nothing else brings memory back.

use std::time::Duration;

use milena_wire::Timestamp;

use crate::sender::Sender;
use crate::timers::Timer;

/// How long a batch may linger while somebody waits for memory and answers are outstanding.
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
        }
    }

    /// Looks whether still anybody waits for memory: else batches may linger again.
    pub(crate) fn check_pressure(&mut self) {
        self.pressure.is_on = self.pressure.is_on && self.accumulator.memory().waiting > 0;
    }

    /// Ends lingering if only that brings memory back. Says whether anything changed.
    pub(crate) fn ease_pressure(&mut self) -> bool {
        if !self.pressure.is_on || self.pressure.lingering.is_empty() {
            return false;
        }
        if self.requests.is_empty() {
            self.end_lingering();
            return true;
        }
        // With a shorter linger they leave sooner by themselves, but for what waits for the end of a replay.
        if self.config.linger > PATIENCE || self.config.spool {
            self.timers.schedule(&mut self.pressure.timer, Timer::Pressure, self.now + PATIENCE);
        }
        false
    }

    /// Lets everything leave that lingers.
    pub(crate) fn end_lingering(&mut self) {
        self.pressure.is_urgent = true;
        for slot in std::mem::take(&mut self.pressure.lingering) {
            if let Some(partition) = self.partitions.get_mut(slot) {
                partition.lingers = false;
            }
            self.touch(slot);
        }
        self.pressure.is_urgent = false;
    }
}
