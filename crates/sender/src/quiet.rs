//! Rate limits for events that repeat.

use std::collections::BTreeMap;
use std::time::Duration;

use milena_wire::Timestamp;

const PERIOD: Duration = Duration::from_secs(5);

/// How many subjects have a limit of their own.
const SUBJECTS: usize = 64;

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

/// A limit for each subject, a topic or a broker, so that a noisy one does not hide another's first error. Beyond [`SUBJECTS`] at a time the
/// others share one.
#[derive(Debug)]
pub(crate) struct QuietBy<K> {
    each: BTreeMap<K, Quiet>,
    others: Quiet,
}

impl<K> Default for QuietBy<K> {
    fn default() -> Self {
        Self { each: BTreeMap::new(), others: Quiet::default() }
    }
}

impl<K: Ord> QuietBy<K> {
    /// As [`Quiet::speak`], about `subject`.
    pub(crate) fn speak(&mut self, subject: K, now: Timestamp) -> Option<u64> {
        if self.each.len() >= SUBJECTS && !self.each.contains_key(&subject) {
            let others = &mut self.others;
            self.each.retain(|_, quiet| {
                let speaks = quiet.next.is_some_and(|next| now < next);
                others.suppressed += if speaks { 0 } else { quiet.suppressed };
                speaks
            });
            if self.each.len() >= SUBJECTS {
                return self.others.speak(now);
            }
        }
        self.each.entry(subject).or_default().speak(now)
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

    #[test]
    fn a_noisy_subject_hides_no_other_and_what_is_remembered_is_bounded() {
        let mut quiet = QuietBy::default();
        let at = Timestamp::from_millis;
        for ms in 0..100 {
            assert_eq!(quiet.speak("noisy", at(ms)).is_some(), ms == 0);
        }
        assert_eq!(quiet.speak("other", at(100)), Some(0));
        let mut quiet = QuietBy::default();
        let spoken = (0..10_000).filter(|subject| quiet.speak(*subject, at(0)).is_some()).count();
        assert_eq!((spoken, quiet.each.len()), (SUBJECTS + 1, SUBJECTS));
        assert_eq!(quiet.speak(77_777, at(6_000)), Some(0), "what is over makes room");
        assert_eq!(quiet.each.len(), 1);
    }
}
