//! The two clocks: monotonic time for waiting, wall time for how long ago something was sent.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use milena_wire::Timestamp;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(self) -> Timestamp {
        Timestamp::from_nanos(u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// The instant that `at` stands for; `None` if it is too far away to come.
    pub(crate) fn instant(self, at: Timestamp) -> Option<Instant> {
        self.0.checked_add(at.since(Timestamp::ZERO))
    }

    /// Milliseconds since 1970.
    pub(crate) fn wall_ms() -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}
