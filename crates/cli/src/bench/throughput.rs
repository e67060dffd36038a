//! As fast as it goes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use milena::{Delivery, EnqueueError, Producer, Record};

use super::{Args, Measured, payload};

/// Handles that are kept before the oldest is looked at.
const WINDOW: usize = 64 * 1024;

pub(super) fn run(producer: &Producer, args: &Args) -> Result<Measured, EnqueueError> {
    let payload = payload(args.size);
    let failed = AtomicU64::new(0);
    let threads = u64::from(args.threads);
    let started = Instant::now();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|worker| {
                let producer = producer.clone();
                let (payload, failed) = (&payload, &failed);
                let share = args.records / threads + u64::from(worker < args.records % threads);
                scope.spawn(move || {
                    let lost = produce(&producer, &args.topic, payload, share)?;
                    failed.fetch_add(lost, Ordering::Relaxed);
                    Ok(())
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or(Ok(())))
    })?;
    Ok(Measured { seconds: started.elapsed().as_secs_f64(), failed: failed.into_inner(), ..Measured::default() })
}

/// Every record has a handle, and every handle is awaited.
fn produce(producer: &Producer, topic: &str, payload: &[u8], records: u64) -> Result<u64, EnqueueError> {
    let blocking = producer.blocking();
    let mut open: VecDeque<Delivery> = VecDeque::with_capacity(WINDOW);
    let mut failed = 0;
    for _ in 0..records {
        if open.len() == WINDOW {
            for delivery in open.drain(..WINDOW / 2) {
                failed += u64::from(delivery.wait().is_err());
            }
        }
        open.push_back(blocking.enqueue(Record::to(topic).value(payload))?);
    }
    for delivery in open {
        failed += u64::from(delivery.wait().is_err());
    }
    Ok(failed)
}
