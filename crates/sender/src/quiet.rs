//! Rate limits for events that repeat.

use std::time::Duration;

use milena_wire::Timestamp;

const PERIOD: Duration = Duration::from_secs(5);

/// Lets one event through per five seconds and counts the others.
#[derive(Debug, Default)]
pub(crate) struct Quiet {
    next: Option<Timestamp>,
    suppressed: u64,
}

impl Quiet {
    /// Whether to speak now, and how many were kept back since the last time.
    pub(crate) fn speak(&mut self, now: Timestamp) -> Option<u64> {
        if self.next.is_some_and(|next| now < next) {
            self.suppressed += 1;
            return None;
        }
        self.next = Some(now + PERIOD);
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_events_are_counted_and_told_once_per_period() {
        let mut quiet = Quiet::default();
        let at = Timestamp::from_millis;
        assert_eq!(quiet.speak(at(0)), Some(0));
        assert_eq!(quiet.speak(at(1)), None);
        assert_eq!(quiet.speak(at(4999)), None);
        assert_eq!(quiet.speak(at(5000)), Some(2));
    }
}
