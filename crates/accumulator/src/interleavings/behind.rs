//! Waiting for a sender that is behind.

use shuttle::future::block_on;
use shuttle::thread;

use super::*;
use crate::{Pace, Refused, Urgency};

/// Appends at the sender's pace, however long that takes.
fn append_in_time(accumulator: &Accumulator) {
    match accumulator.append_at_pace(at(), &record(0), Urgency::Linger, Pace::Sender) {
        Ok(delivery) => drop(delivery),
        Err(Refused::Behind { partition }) => {
            block_on(accumulator.catch_up(TOPIC, partition).unwrap());
            drop(accumulator.append(at(), &record(0), Urgency::Linger, None).unwrap());
        }
        Err(other) => panic!("{other}"),
    }
}

/// Deadlocks, which shuttle finds, if whoever waits is ever forgotten; also when one of them goes away, or gives up for all.
#[test]
fn whoever_waits_for_the_sender_goes_on() {
    const EACH: usize = 7;
    explore(|| {
        let (accumulator, heard) = accumulator(1 << 20);
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let accumulator = accumulator.clone();
                thread::spawn(move || (0..EACH).for_each(|_| append_in_time(&accumulator)))
            })
            .collect();
        let quitter = {
            let accumulator = accumulator.clone();
            thread::spawn(move || {
                let mut waits = accumulator.catch_up(TOPIC, PartitionId(0)).unwrap();
                let mut context = std::task::Context::from_waker(std::task::Waker::noop());
                let pending = std::future::Future::poll(std::pin::Pin::new(&mut waits), &mut context).is_pending();
                thread::yield_now();
                if pending {
                    waits.give_up();
                }
            })
        };
        deliver_all(&accumulator, &heard, 2 * EACH);
        callers.into_iter().chain([quitter]).for_each(|thread| thread.join().unwrap());
        assert_eq!(accumulator.memory().used, 0);
    });
}
