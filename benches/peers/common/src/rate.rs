use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::fail;

/// When records are due: evenly, whatever became of earlier ones. A stall is counted for every record that was due during it.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    start: Instant,
    rate: u64,
    /// How many records.
    pub records: u64,
}

impl Schedule {
    pub(crate) fn new(rate: u64, seconds: f64) -> Self {
        Self { start: Instant::now(), rate, records: (rate as f64 * seconds) as u64 }
    }

    fn due(&self, record: u64) -> Instant {
        self.start + Duration::from_nanos(record * 1_000_000_000 / self.rate)
    }

    /// Calls `produce` with each record's number when it is due, from this thread.
    pub fn run(self, ear: &Ear, mut produce: impl FnMut(u64)) {
        sleep_finely();
        for record in 0..self.records {
            let due = self.due(record);
            let mut now = Instant::now();
            while now < due {
                thread::sleep(due - now);
                now = Instant::now();
            }
            ear.inner.lock().unwrap_or_else(|_| fail("poisoned")).late.saturating_record(micros(now - due));
            produce(record);
        }
    }
}

/// By default the system wakes a sleeper up to 50 us late, in order to wake several at once. That would be measured.
fn sleep_finely() {
    // Where it is refused, latencies come out too high, not too low, and for all clients.
    let _refused = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
}

/// Hears of acknowledgements.
#[derive(Debug)]
pub struct Ear {
    inner: Mutex<Inner>,
    heard: Condvar,
}

#[derive(Debug)]
struct Inner {
    latency: Histogram<u64>,
    late: Histogram<u64>,
}

impl Ear {
    pub(crate) fn leaked() -> &'static Self {
        // Two of them in the life of the program.
        Box::leak(Box::new(Self {
            inner: Mutex::new(Inner { latency: histogram(), late: histogram() }),
            heard: Condvar::new(),
        }))
    }

    /// These records were acknowledged.
    pub fn acknowledged(&self, schedule: Schedule, records: impl IntoIterator<Item = u64>) {
        let now = Instant::now();
        let mut inner = self.inner.lock().unwrap_or_else(|_| fail("poisoned"));
        for record in records {
            inner.latency.saturating_record(micros(now.saturating_duration_since(schedule.due(record))));
        }
        if inner.latency.len() >= schedule.records {
            self.heard.notify_all();
        }
    }

    /// A record took so long, counted from when it was really sent.
    pub fn took(&self, time: Duration) {
        self.inner.lock().unwrap_or_else(|_| fail("poisoned")).latency.saturating_record(micros(time));
    }

    /// Returns when all of them were.
    pub fn wait(&self, schedule: Schedule) {
        let mut inner = self.inner.lock().unwrap_or_else(|_| fail("poisoned"));
        while inner.latency.len() < schedule.records {
            inner = self.heard.wait(inner).unwrap_or_else(|_| fail("poisoned"));
        }
    }

    /// p50, p99 and p99.9 of the latency, then p50 and p99 of how late the calls were made, in microseconds.
    pub(crate) fn quantiles(&self) -> [f64; 5] {
        let inner = self.inner.lock().unwrap_or_else(|_| fail("poisoned"));
        let at = |histogram: &Histogram<u64>, quantile| histogram.value_at_quantile(quantile) as f64;
        let (latency, late) = (&inner.latency, &inner.late);
        [at(latency, 0.5), at(latency, 0.99), at(latency, 0.999), at(late, 0.5), at(late, 0.99)]
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 3_600_000_000, 3).unwrap_or_else(|_| fail("a legal range, and a legal precision"))
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
