//! At a fixed rate: from when a record was due to when its acknowledgement was heard of.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use milena::{BatchReport, DeliveryHandler, HandlerThread, Outcome, Producer, Record};
use parking_lot::Mutex;

use super::{Args, Heard, Measured, Payload};

/// When records are due: evenly, whatever became of earlier ones. A stall is therefore counted for every record that was due
/// during it.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    start: Instant,
    rate: u64,
}

impl Schedule {
    fn due(&self, record: u64) -> Instant {
        self.start + Duration::from_secs_f64(record as f64 / self.rate as f64)
    }
}

/// Hears of every batch once, on the producer's handler thread. A record's token is its number, so nothing is kept per
/// record, and no record waits for another to be looked at.
pub(super) struct Listener {
    heard: Arc<Heard>,
    schedule: Mutex<Option<Schedule>>,
    latency: Mutex<Histogram<u64>>,
}

impl Listener {
    pub(super) fn new(heard: Arc<Heard>) -> Self {
        Self { heard, schedule: Mutex::new(None), latency: Mutex::new(histogram()) }
    }
}

/// What the producer is given; the benchmark keeps the listener itself.
pub(super) struct Ear(pub(super) Arc<Listener>);

impl DeliveryHandler for Ear {
    fn on_batch(&self, report: BatchReport) {
        let now = Instant::now();
        let Self(listener) = self;
        let records = report.records();
        let count = records.len() as u64;
        if let Some(schedule) = *listener.schedule.lock() {
            let mut latency = listener.latency.lock();
            for record in records {
                latency.saturating_record(micros(now.saturating_duration_since(schedule.due(record.token))));
            }
        }
        match report.outcome() {
            Outcome::Failed(failure) => listener.heard.failed(count, failure),
            _ => listener.heard.delivered(count),
        }
    }

    fn thread(&self) -> HandlerThread {
        // It counts, and waits for nobody.
        HandlerThread::Io
    }
}

pub(super) fn run(producer: &Producer, args: &Args, rate: u64, listener: &Listener) -> Measured {
    let payload = Payload::new(args.size as usize);
    let schedule = Schedule { start: Instant::now(), rate };
    *listener.schedule.lock() = Some(schedule);
    let late = thread::scope(|scope| {
        let workers: Vec<_> = (0..u64::from(args.threads))
            .map(|worker| {
                let (payload, heard) = (&payload, &listener.heard);
                scope.spawn(move || {
                    let mine = (worker..args.records).step_by(usize::from(args.threads));
                    produce(producer, &args.topic, payload, heard, schedule, mine)
                })
            })
            .collect();
        let mut late = histogram();
        for part in workers.into_iter().filter_map(|worker| worker.join().ok()) {
            // The same range and precision on both sides.
            late.add(&part).ok();
        }
        late
    });
    let failed = listener.heard.wait(args.records);
    let latency = listener.latency.lock();
    let at = |quantile| latency.value_at_quantile(quantile);
    Measured {
        seconds: schedule.start.elapsed().as_secs_f64(),
        failed,
        latency: Some([at(0.5), at(0.99), at(0.999), latency.max()]),
        late: Some([late.value_at_quantile(0.5), late.value_at_quantile(0.99)]),
        ..Measured::default()
    }
}

/// Tells how late the calls were made, which is the generator's own share of the latency.
fn produce(
    producer: &Producer,
    topic: &str,
    payload: &Payload,
    heard: &Heard,
    schedule: Schedule,
    records: impl Iterator<Item = u64>,
) -> Histogram<u64> {
    sleep_finely();
    let blocking = producer.blocking();
    let mut late = histogram();
    for record in records {
        let due = schedule.due(record);
        let mut now = Instant::now();
        while now < due {
            thread::sleep(due - now);
            now = Instant::now();
        }
        late.saturating_record(micros(now - due));
        let taken = blocking.enqueue_with(Record::to(topic).value(payload.of(record)), record);
        if let Err(error) = taken {
            heard.failed(1, &error);
        }
    }
    late
}

/// By default the system wakes a sleeper up to 50 us late, in order to wake several at once. That would be measured.
fn sleep_finely() {
    #[cfg(target_os = "linux")]
    // Where it is refused, latencies come out too high, not too low.
    rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1)).ok();
}

/// The longest latency that is told apart; a delivery timeout bounds it anyway.
const LONGEST_US: u64 = 60 * 60 * 1_000_000;

fn histogram() -> Histogram<u64> {
    // The bounds must be given: a histogram that grows by itself does not do so when it saturates.
    Histogram::new_with_bounds(1, LONGEST_US, 3)
        .unwrap_or_else(|_| unreachable!("a legal range, and a legal precision"))
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
