//! As fast as it goes.

use std::collections::VecDeque;
use std::thread;
use std::time::Instant;

use milena::{Delivery, Producer, Record};

use super::{Args, Heard, Measured, Payload};

/// Handles that are kept before the oldest is looked at.
const WINDOW: usize = 64 * 1024;

pub(super) fn run(producer: &Producer, args: &Args, heard: &Heard) -> Measured {
    let payload = Payload::new(args.size as usize);
    let threads = u64::from(args.threads);
    let started = Instant::now();
    thread::scope(|scope| {
        for worker in 0..threads {
            let payload = &payload;
            let share = args.records / threads + u64::from(worker < args.records % threads);
            scope.spawn(move || produce(producer, &args.topic, payload, heard, share));
        }
    });
    let failed = heard.wait(args.records);
    Measured { seconds: started.elapsed().as_secs_f64(), failed, ..Measured::default() }
}

/// Every record has a handle, and every handle is awaited.
fn produce(producer: &Producer, topic: &str, payload: &Payload, heard: &Heard, records: u64) {
    let blocking = producer.blocking();
    let mut open: VecDeque<Delivery> = VecDeque::with_capacity(WINDOW);
    for record in 0..records {
        if open.len() == WINDOW {
            settle(open.drain(..WINDOW / 2), heard);
        }
        match blocking.enqueue(Record::to(topic).value(payload.of(record))) {
            Ok(delivery) => open.push_back(delivery),
            Err(error) => heard.failed(1, &error),
        }
    }
    settle(open.drain(..), heard);
}

fn settle(open: impl Iterator<Item = Delivery>, heard: &Heard) {
    let mut delivered = 0;
    for delivery in open {
        match delivery.wait() {
            Ok(_) => delivered += 1,
            Err(error) => heard.failed(1, &error),
        }
    }
    heard.delivered(delivered);
}
