//! At a fixed rate: from when a record was due to when its acknowledgement was seen.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use milena::{Delivery, EnqueueError, Producer, Record};

use super::{Args, Measured, payload};

/// How finely the schedule is kept: a thread that slept for each record could not keep a high rate.
const STEP: Duration = Duration::from_micros(200);

/// The load is open: records are due at their time whether earlier ones are acknowledged or not, so a stall is counted
/// for every record that was due during it.
pub(super) fn run(producer: &Producer, args: &Args, rate: u64) -> Result<Measured, EnqueueError> {
    let payload = payload(args.size);
    let threads = u64::from(args.threads);
    let started = Instant::now();
    let parts: Vec<Result<Part, EnqueueError>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|worker| {
                let producer = producer.clone();
                let payload = &payload;
                scope.spawn(move || {
                    let due = (worker..args.records)
                        .step_by(usize::from(args.threads))
                        .map(|n| started + Duration::from_secs_f64(n as f64 / rate as f64));
                    produce(&producer, &args.topic, payload, due)
                })
            })
            .collect();
        workers.into_iter().filter_map(|worker| worker.join().ok()).collect()
    });
    let mut all = Part::new();
    for part in parts {
        let part = part?;
        all.failed += part.failed;
        // The same range and precision on both sides.
        all.histogram.add(&part.histogram).ok();
    }
    let at = |quantile| all.histogram.value_at_quantile(quantile);
    Ok(Measured {
        seconds: started.elapsed().as_secs_f64(),
        failed: all.failed,
        latency: Some([at(0.5), at(0.99), at(0.999), all.histogram.max()]),
        ..Measured::default()
    })
}

struct Part {
    histogram: Histogram<u64>,
    failed: u64,
}

impl Part {
    fn new() -> Self {
        // A precision of three digits is always legal.
        let histogram = Histogram::new(3).unwrap_or_else(|_| unreachable!("three digits are allowed"));
        Self { histogram, failed: 0 }
    }
}

fn produce(
    producer: &Producer,
    topic: &str,
    payload: &[u8],
    due: impl Iterator<Item = Instant>,
) -> Result<Part, EnqueueError> {
    let (sent, acknowledged) = channel();
    let watcher = thread::spawn(move || watch(&acknowledged));
    let blocking = producer.blocking();
    for due in due {
        loop {
            let now = Instant::now();
            if now >= due {
                break;
            }
            thread::sleep((due - now).min(STEP));
        }
        let delivery = blocking.enqueue(Record::to(topic).value(payload))?;
        // The watcher listens until this end is dropped.
        drop(sent.send((due, delivery)));
    }
    drop(sent);
    Ok(watcher.join().unwrap_or_else(|_| Part::new()))
}

/// Waits for acknowledgements in the order of sending; those that came earlier are seen when their turn comes, which is
/// at once, since all that are done by then are taken together.
fn watch(acknowledged: &Receiver<(Instant, Delivery)>) -> Part {
    let mut part = Part::new();
    let mut open: VecDeque<(Instant, Delivery)> = VecDeque::new();
    loop {
        match open.pop_front() {
            Some((due, delivery)) => {
                part.failed += u64::from(delivery.wait().is_err());
                let late = Instant::now().saturating_duration_since(due);
                part.histogram.saturating_record(u64::try_from(late.as_micros()).unwrap_or(u64::MAX));
            }
            None => match acknowledged.recv() {
                Ok(next) => open.push_back(next),
                Err(_) => return part,
            },
        }
        open.extend(acknowledged.try_iter());
    }
}
