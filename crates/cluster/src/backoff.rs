//! Exponential backoff with jitter (KIP-580).

use std::time::Duration;

use crate::rng::Rng;

/// Waits that double from `initial` to `max`, each spread by a fifth either way.
///
/// As Kafka's own: the cap holds after the jitter, too, and there is no jitter at all where nothing can grow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    initial: Duration,
    max: Duration,
}

/// The jitter in millionths: `term * [800_000, 1_200_000) / 1_000_000`.
const JITTER_BASE: u32 = 800_000;
const JITTER_SPAN: u32 = 400_000;

impl Backoff {
    pub(crate) fn new(initial: Duration, max: Duration) -> Self {
        Self { initial, max }
    }

    /// How long to wait after `failures` failures before the last one. Draws from `rng`: keep the result.
    pub(crate) fn delay(self, failures: u32, rng: &mut Rng) -> Duration {
        if self.max <= self.initial {
            return self.max;
        }
        // 2^63 ns is 292 years, beyond any `max`; so more doublings than that change nothing.
        let doubled = self.initial.saturating_mul(1 << failures.min(30));
        let factor = u64::from(JITTER_BASE) + rng.below(u64::from(JITTER_SPAN));
        let term = doubled.min(self.max).as_nanos().saturating_mul(u128::from(factor)) / 1_000_000;
        Duration::from_nanos(u64::try_from(term).unwrap_or(u64::MAX)).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(failures: u32) -> (u128, u128) {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(1_000));
        let mut rng = Rng::new(7);
        let waits: Vec<_> = (0..10_000).map(|_| backoff.delay(failures, &mut rng).as_millis()).collect();
        (*waits.iter().min().unwrap(), *waits.iter().max().unwrap())
    }

    #[test]
    fn waits_double_with_jitter_and_never_exceed_the_maximum() {
        assert_eq!(range(0), (80, 119));
        assert_eq!(range(1), (160, 239));
        assert_eq!(range(2), (320, 479));
        assert_eq!(range(3), (640, 959));
        assert_eq!(range(4), (800, 1_000));
        assert_eq!(range(u32::MAX), (800, 1_000));
    }

    #[test]
    fn a_wait_that_cannot_grow_has_no_jitter() {
        let backoff = Backoff::new(Duration::from_millis(300), Duration::from_millis(100));
        let mut rng = Rng::new(7);
        assert_eq!(backoff.delay(0, &mut rng), Duration::from_millis(100));
        assert_eq!(backoff.delay(9, &mut rng), Duration::from_millis(100));
    }
}
