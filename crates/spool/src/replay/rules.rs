//! What a replay may do, and how patient it is.

use std::time::Duration;

/// What a replay may do, and how patient it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rules {
    /// Send also what may be written already and cannot be resolved. Default: no.
    pub accept_duplicates: bool,
    /// How long brokers certainly remember a producer that is silent: what is older than this and may be written is not sent again, since
    /// a broker that has forgotten its producer would take it a second time. Kafka's name: `producer.id.expiration.ms`, 24 h by
    /// default; this one is less, for clocks that differ. Default: 23 h.
    pub broker_memory: Duration,
    /// First wait before a batch is sent again. Default: 100 ms.
    pub retry_backoff: Duration,
    /// What `retry_backoff` grows to, doubling with each attempt. Default: 1 s.
    pub retry_backoff_max: Duration,
    /// How long a folder may get no further before it is left alone. Default: for ever.
    pub patience: Option<Duration>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            accept_duplicates: false,
            broker_memory: Duration::from_secs(23 * 60 * 60),
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: Duration::from_secs(1),
            patience: None,
        }
    }
}

impl Rules {
    /// Whether brokers still know a batch that was first sent at `since_ms` and whose latest record is of `max_timestamp`, if they appended it.
    ///
    /// Kafka dates a producer's last sign of life by the *timestamps of its records* (`ProducerAppendInfo`), which callers may set, unless the
    /// topic uses the time of the append: records that were old already are forgotten right away.
    pub(super) fn are_remembered(&self, wall_ms: i64, since_ms: i64, max_timestamp: i64) -> bool {
        let age = Duration::from_millis(wall_ms.abs_diff(since_ms.min(max_timestamp)));
        age < self.broker_memory
    }

    /// The wait after so many attempts in a row that led to nothing.
    pub(super) fn backoff(&self, attempts: u32) -> Duration {
        let doublings = attempts.saturating_sub(1).min(16);
        self.retry_backoff.saturating_mul(1 << doublings).min(self.retry_backoff_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_remember_by_whichever_is_older_of_the_sending_and_the_records() {
        let rules = Rules { broker_memory: Duration::from_millis(100), ..Rules::default() };
        for (since, timestamp, remembered) in [
            (950, 960, true),
            (901, 2_000, true),
            (900, 2_000, false),
            (950, 900, false),
            (950, -1, false),
            (0, 950, false),
            // A clock that was set back says nothing of the time since.
            (1_099, 1_099, true),
            (1_100, 1_100, false),
        ] {
            assert_eq!(rules.are_remembered(1_000, since, timestamp), remembered, "{since} {timestamp}");
        }
    }

    #[test]
    fn waits_double_up_to_their_bound() {
        let waits = [0, 1, 2, 3, 4, 5, u32::MAX].map(|attempts| Rules::default().backoff(attempts).as_millis());
        assert_eq!(waits, [100, 100, 200, 400, 800, 1_000, 1_000]);
    }
}
