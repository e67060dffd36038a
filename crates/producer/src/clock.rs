//! The two clocks: monotonic time for deadlines, coarse wall time for record timestamps.

use std::time::Instant;

use milena_wire::Timestamp;

/// Reads both clocks. Copied freely; every copy has the same origin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { origin: Instant::now() }
    }

    /// Monotonic time since the producer was built.
    pub(crate) fn now(self) -> Timestamp {
        Timestamp::from_nanos(u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// The instant that `at` stands for.
    pub(crate) fn instant(self, at: Timestamp) -> Instant {
        self.origin + at.since(Timestamp::ZERO)
    }

    /// Milliseconds since the Unix epoch, a few milliseconds coarse: `SystemTime::now` for every record costs more
    /// than encoding the record does.
    #[cfg(target_os = "linux")]
    pub(crate) fn wall_ms(self) -> i64 {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
        time.tv_sec * 1_000 + time.tv_nsec / 1_000_000
    }

    /// Milliseconds since the Unix epoch.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn wall_ms(self) -> i64 {
        std::time::SystemTime::now()
            .duration_since(std::time::SystemTime::UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

impl milena_accumulator::Clock for Clock {
    fn now(&self) -> Timestamp {
        (*self).now()
    }

    fn wall_ms(&self) -> i64 {
        (*self).wall_ms()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_in_time_maps_back_to_its_instant() {
        let clock = Clock::start();
        let at = clock.now();
        assert!(clock.instant(at) <= Instant::now());
        assert!(clock.now() >= at);
    }

    #[test]
    fn coarse_wall_time_agrees_with_the_system_clock_to_a_second() {
        let system = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let coarse = Clock::start().wall_ms();
        assert!((i64::try_from(system.as_millis()).unwrap() - coarse).abs() < 1_000);
    }
}
