//! The only place in this crate that asks what time it is.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use milena_wire::Timestamp;

use crate::core::At;

#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    origin: Instant,
}

#[expect(clippy::disallowed_methods, reason = "the server is where time comes from")]
impl Clock {
    pub(super) fn start() -> Self {
        Self { origin: Instant::now() }
    }

    pub(super) fn at(self) -> At {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        At {
            now: Timestamp::ZERO + self.origin.elapsed(),
            wall_ms: i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX),
        }
    }
}
