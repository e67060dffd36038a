//! A partition's batches between those who append and the sender.

use std::sync::Arc;

use shuttle::future::block_on;
use shuttle::sync::mpsc;
use shuttle::thread;

use super::*;
use crate::{Delivery, Urgency};

/// Deadlocks, which shuttle finds, if a wake-up of the sender or of a waiting task is ever lost.
#[test]
fn every_record_is_sent_and_every_waiting_task_woken() {
    const EACH: usize = 2;
    let check = || {
        let (accumulator, heard) = accumulator(1 << 20);
        let callers: Vec<_> = (0..2)
            .map(|caller| {
                let accumulator = accumulator.clone();
                thread::spawn(move || {
                    // A partition of its own and one of both's.
                    for partition in [caller, 0] {
                        let record = record(partition);
                        let delivery = accumulator.append(at(), &record, Urgency::Linger, None).unwrap();
                        assert!(block_on(delivery).is_ok());
                    }
                })
            })
            .collect();
        deliver_all(&accumulator, &heard, 2 * EACH);
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        assert_eq!(accumulator.memory().used, 0);
    };
    explore(check);
}

/// A record that tells nobody, because another's append to the same batch does, must be found all the same by whoever appended it.
#[test]
fn who_has_appended_finds_the_queue_listed_though_another_append_is_to_tell_of_it() {
    let check = || {
        let (accumulator, _) = accumulator(1 << 20);
        let other = {
            let accumulator = accumulator.clone();
            thread::spawn(move || drop(accumulator.append(at(), &record(0), Urgency::Linger, None).unwrap()))
        };
        let delivery = accumulator.append(at(), &record(0), Urgency::Linger, None).unwrap();
        // As a flush does.
        let mut ready = Vec::new();
        accumulator.take_ready(&mut ready);
        let queue = ready.pop().expect("the queue is listed");
        while let Some(batch) = queue.close_head(Take::OpenToo) {
            batch.settle(Outcome::Unacknowledged);
        }
        assert!(delivery.is_done());
        other.join().unwrap();
    };
    explore(check);
}

/// Batches are closed by size, by the sender, and because somebody is in a hurry; all at once.
#[test]
fn records_keep_their_order_while_batches_are_closed_under_them() {
    const EACH: u32 = 4;
    explore(|| {
        let (accumulator, heard) = accumulator(1 << 20);
        let callers: Vec<_> = (0..2)
            .map(|caller| {
                let accumulator = accumulator.clone();
                thread::spawn(move || {
                    for token in tokens_of(caller, EACH) {
                        let urgency = if token % 3 == 0 { Urgency::Now } else { Urgency::Linger };
                        accumulator.append_with_token(at(), &record(0), urgency, None, token).unwrap();
                    }
                })
            })
            .collect();
        let mut settled = 0;
        attend(&accumulator, &heard, |queue| {
            // A full one first, then what there is.
            for take in [Take::ClosedOnly, Take::OpenToo, Take::OpenToo] {
                if let Some(batch) = queue.close_head(take) {
                    settled += batch.count().as_usize();
                    batch.seal().settle(Outcome::Unacknowledged);
                }
            }
            settled += deliver(queue);
            settled == 2 * EACH as usize
        });
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        let reported = heard.reported();
        for caller in 0..2 {
            let tokens = tokens_of(caller, EACH);
            let own: Vec<u64> = reported.iter().copied().filter(|token| tokens.contains(token)).collect();
            assert_eq!(own, tokens.collect::<Vec<_>>(), "each once, and in order");
        }
        assert_eq!(accumulator.memory().used, 0);
    });
}

/// The sender leaves a batch alone that may linger, and looks at it again only when it is told to.
fn patient_sender(accumulator: &Accumulator, heard: &Heard, records: usize) {
    let mut settled = 0;
    attend(accumulator, heard, |queue| {
        while queue.view().closed > 0 || queue.view().urgent {
            if let Some(batch) = queue.close_head(Take::OpenToo) {
                settled += batch.count().as_usize();
                batch.settle(Outcome::Unacknowledged);
            }
        }
        settled >= records
    });
}

#[test]
fn a_batch_that_lingers_is_told_of_again_when_it_turns_urgent() {
    explore(|| {
        let (accumulator, heard) = accumulator(1 << 20);
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let accumulator = accumulator.clone();
                thread::spawn(move || {
                    let delivery = accumulator.append(at(), &record(0), Urgency::Linger, None).unwrap();
                    accumulator.hurry(&delivery);
                    assert!(block_on(delivery).is_ok());
                })
            })
            .collect();
        patient_sender(&accumulator, &heard, 2);
        callers.into_iter().for_each(|caller| caller.join().unwrap());
    });
}

#[test]
fn a_batch_that_lingers_is_told_of_again_when_it_is_full() {
    explore(|| {
        let (accumulator, heard) = accumulator(1 << 20);
        // Not one of them is urgent, and three fill a batch.
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let accumulator = accumulator.clone();
                thread::spawn(move || -> Vec<Delivery> {
                    let append = |_| accumulator.append(at(), &record(0), Urgency::Linger, None).unwrap();
                    (0..3).map(append).collect()
                })
            })
            .collect();
        patient_sender(&accumulator, &heard, 2);
        let deliveries: Vec<_> = callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect();
        assert!(deliveries.iter().filter(|delivery| delivery.is_done()).count() >= 2);
    });
}

#[test]
fn a_full_batch_that_is_left_is_told_of_again_when_it_turns_urgent() {
    explore(|| {
        let (accumulator, heard) = accumulator(1 << 20);
        // Three fill a batch.
        let append = |_| accumulator.append(at(), &record(0), Urgency::Linger, None).unwrap();
        let mut deliveries: Vec<_> = (0..4).map(append).collect();
        let mut ready = Vec::new();
        accumulator.take_ready(&mut ready);
        let queue = ready.pop().unwrap();
        let view = queue.view();
        assert!(view.closed == 1 && !view.urgent, "it may be left for a while");
        let caller = {
            let accumulator = accumulator.clone();
            thread::spawn(move || {
                accumulator.hurry(&deliveries[0]);
                assert!(block_on(deliveries.remove(0)).is_ok());
            })
        };
        // The sender looks for more than one reason.
        (0..3).for_each(|_| assert_eq!(queue.view().closed, 1));
        attend(&accumulator, &heard, |queue| deliver(queue) == 4);
        caller.join().unwrap();
    });
}

#[test]
fn a_queue_that_went_idle_is_told_of_with_the_next_record() {
    explore(|| {
        let (accumulator, heard) = accumulator(1 << 20);
        let caller = {
            let accumulator = accumulator.clone();
            thread::spawn(move || {
                for _ in 0..3 {
                    drop(accumulator.append(at(), &record(0), Urgency::Linger, None).unwrap());
                }
            })
        };
        let mut settled = 0;
        attend(&accumulator, &heard, |queue| {
            // Looks at what there is, takes it and no more, and asks whether that was all.
            loop {
                let view = queue.view();
                for _ in 0..view.closed + usize::from(view.open_since.is_some()) {
                    if let Some(batch) = queue.close_head(Take::OpenToo) {
                        settled += batch.count().as_usize();
                        batch.settle(Outcome::Unacknowledged);
                    }
                }
                if queue.go_idle() {
                    return settled == 3;
                }
            }
        });
        caller.join().unwrap();
        assert_eq!(accumulator.memory().used, 0);
    });
}

/// A flush counts the batches of a partition at one moment: what was appended before is among them, whoever else appends meanwhile.
#[test]
fn what_was_appended_before_a_flush_is_in_the_batches_that_it_counts() {
    explore(|| {
        let (accumulator, _) = accumulator(1 << 20);
        let (calls, flushes) = mpsc::channel();
        let caller = {
            let accumulator = accumulator.clone();
            thread::spawn(move || {
                let delivery = accumulator.append(at(), &record(0), Urgency::Linger, None).unwrap();
                calls.send(()).unwrap();
                delivery
            })
        };
        let other = {
            let accumulator = accumulator.clone();
            thread::spawn(move || {
                for _ in 0..3 {
                    drop(accumulator.append(at(), &record(0), Urgency::Linger, None).unwrap());
                }
            })
        };
        flushes.recv().unwrap();
        let mut ready = Vec::new();
        accumulator.take_ready(&mut ready);
        let queue = Arc::clone(&ready[0]);
        let view = queue.view();
        for _ in 0..view.closed + usize::from(view.open_since.is_some()) {
            queue.close_head(Take::OpenToo).expect("a batch that was counted").settle(Outcome::Unacknowledged);
        }
        assert!(caller.join().unwrap().is_done());
        other.join().unwrap();
    });
}
