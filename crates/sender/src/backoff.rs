//! How long to wait before trying again.
//!
//! Most refusals are over at once: an election that was under way, a replica that was late for a moment. So what a leader refuses for the first
//! time is tried again after a tenth of the backoff, and only then as a batch that may have to wait for long: one request more per batch and
//! leader is no storm.

use std::time::Duration;

/// Into how many parts the first wait is cut for the wait before a first retry.
const SOON: u32 = 10;

/// Draws exponential waits with jitter (KIP-580) from a seed: what a run decides is the same every time.
#[derive(Debug)]
pub(crate) struct Backoff {
    initial: Duration,
    max: Duration,
    state: u64,
}

impl Backoff {
    pub(crate) fn new(initial: Duration, max: Duration, seed: u64) -> Self {
        Self { initial: initial.min(max), max, state: seed }
    }

    /// The wait after `n` failures before the last one: the first wait doubled `n` times, a fifth more or less, at most the maximum. Without
    /// room to grow there is no jitter, as in Java.
    pub(crate) fn draw(&mut self, n: u32) -> Duration {
        self.spread(self.initial.saturating_mul(1_u32.checked_shl(n).unwrap_or(u32::MAX)).min(self.max))
    }

    /// The wait of a batch that came back from the leader of now after `n` times before: a tenth of the first wait, then as
    /// [`draw`](Self::draw). A backoff without room to grow is taken as it is.
    pub(crate) fn draw_soon(&mut self, n: u32) -> Duration {
        match n.checked_sub(1) {
            Some(before) => self.draw(before),
            None => self.spread(self.initial / SOON),
        }
    }

    fn spread(&mut self, term: Duration) -> Duration {
        if self.initial == self.max {
            return self.max;
        }
        let per_mille = 800 + self.next() % 400;
        let nanos = term.as_nanos().saturating_mul(u128::from(per_mille)) / 1000;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).min(self.max)
    }

    /// splitmix64: small, and good enough to spread retries.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn waits_double_with_a_fifth_of_jitter_up_to_the_maximum() {
        for seed in 0..200 {
            let mut backoff = Backoff::new(ms(100), ms(1000), seed);
            for (n, low, high) in
                [(0, 80, 120), (1, 160, 240), (2, 320, 480), (3, 640, 960), (4, 800, 1000), (40, 800, 1000)]
            {
                let wait = backoff.draw(n);
                assert!(ms(low) <= wait && wait <= ms(high), "{n}: {wait:?}");
            }
        }
    }

    #[test]
    fn the_first_retry_comes_after_a_tenth_and_the_others_double_from_the_whole() {
        for seed in 0..200 {
            let mut backoff = Backoff::new(ms(100), ms(1000), seed);
            for (n, low, high) in [(0, 8, 12), (1, 80, 120), (2, 160, 240), (5, 800, 1000), (40, 800, 1000)] {
                let wait = backoff.draw_soon(n);
                assert!(ms(low) <= wait && wait <= ms(high), "{n}: {wait:?}");
            }
        }
        assert_eq!(
            Backoff::new(ms(100), ms(100), 1).draw_soon(0),
            ms(100),
            "whoever wants the same wait each time gets it"
        );
    }

    #[test]
    fn without_room_to_grow_there_is_no_jitter() {
        let mut backoff = Backoff::new(ms(100), ms(50), 1);
        assert_eq!(backoff.draw(0), ms(50));
        assert_eq!(Backoff::new(Duration::ZERO, Duration::ZERO, 1).draw(3), Duration::ZERO);
    }
}
