//! A producer that ends while others append.

use shuttle::future::block_on;
use shuttle::thread;

use super::*;
use crate::{Delivery, Refused, Urgency};

/// Appends until it is refused.
fn append_until_closed(accumulator: &Accumulator, partition: i32, most: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while taken.len() < most {
        match accumulator.append(at(), &record(partition), Urgency::Linger, None) {
            Ok(delivery) => taken.push(delivery),
            Err(refused) => {
                assert_eq!(refused, Refused::Closed);
                break;
            }
        }
    }
    taken
}

fn queued(accumulator: &Accumulator) -> u64 {
    let mut records = 0;
    accumulator.queued(|_, queued| records += queued.records);
    records
}

#[test]
fn nothing_is_added_once_a_close_has_returned() {
    for known in [true, false] {
        let check = move || {
            let (accumulator, _) = ignorant(1 << 20, false);
            if known {
                describe(&accumulator);
            }
            let callers: Vec<_> = (0..2)
                .map(|partition| {
                    let accumulator = accumulator.clone();
                    thread::spawn(move || append_until_closed(&accumulator, partition, 3))
                })
                .collect();
            accumulator.close();
            let at_close = queued(&accumulator);
            let taken: usize = callers.into_iter().map(|caller| caller.join().unwrap().len()).sum();
            assert_eq!((queued(&accumulator), taken as u64), (at_close, at_close));
        };
        explore(check);
    }
}

#[test]
fn a_topic_that_becomes_known_during_a_close_takes_nothing_after_it() {
    explore(|| {
        let (accumulator, _) = ignorant(1 << 20, false);
        let first = accumulator.append(at(), &record(0), Urgency::Linger, None).unwrap();
        let sender = {
            let accumulator = accumulator.clone();
            thread::spawn(move || describe(&accumulator))
        };
        accumulator.close();
        for partition in [0, 1] {
            assert!(append_until_closed(&accumulator, partition, 1).is_empty());
        }
        sender.join().unwrap();
        assert_eq!(queued(&accumulator), 1, "what was taken before is there still");
        drop(first);
    });
}

#[test]
fn a_producer_that_ends_settles_whatever_it_has_taken() {
    for becomes_known in [true, false] {
        let check = move || {
            let (accumulator, heard) = ignorant(1 << 20, false);
            let callers: Vec<_> = (0..2)
                .map(|partition| {
                    let accumulator = accumulator.clone();
                    thread::spawn(move || append_until_closed(&accumulator, partition, 2))
                })
                .collect();
            if becomes_known {
                describe(&accumulator);
            }
            accumulator.abandon(|_, _| failure(Fate::NotWritten));
            for caller in callers {
                for delivery in caller.join().unwrap() {
                    assert!(block_on(delivery).is_err());
                }
            }
            assert_eq!((heard.unobserved(), accumulator.memory().used), (0, 0));
        };
        explore(check);
    }
}
