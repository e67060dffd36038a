//! Records that wait for their topic to become known.

use std::sync::Arc;

use shuttle::future::block_on;
use shuttle::thread;

use super::*;
use crate::Urgency;

fn name() -> TopicName {
    TopicName::new(TOPIC)
}

/// Waits until the sender is told that somebody needs the topic.
fn wait_for_topic(accumulator: &Accumulator, heard: &Heard) {
    let mut topics = Vec::new();
    loop {
        accumulator.take_waiting_topics(&mut topics);
        if !topics.is_empty() {
            return assert_eq!(topics, [name()]);
        }
        heard.bell.wait();
    }
}

#[test]
fn who_has_appended_finds_the_unknown_topic_listed_though_another_append_is_to_tell_of_it() {
    let check = || {
        let heard = Arc::new(Heard::default());
        let accumulator = Accumulator::new(AccumulatorConfig::default(), 1, heard as Arc<dyn Hooks>);
        let other = {
            let accumulator = accumulator.clone();
            thread::spawn(move || drop(accumulator.append(at(), &record(0), Urgency::Linger, None).unwrap()))
        };
        let delivery = accumulator.append(at(), &record(0), Urgency::Linger, None).unwrap();
        let mut topics = Vec::new();
        accumulator.take_waiting_topics(&mut topics);
        assert_eq!(topics, [TopicName::new(TOPIC)]);
        drop(delivery);
        other.join().unwrap();
    };
    explore(check);
}

#[test]
fn every_topic_that_somebody_needs_is_told_of() {
    explore(|| {
        let (accumulator, heard) = ignorant(1 << 20, false);
        let names = ["letters", "parcels"];
        let callers = names.map(|topic| {
            let accumulator = accumulator.clone();
            thread::spawn(move || {
                drop(accumulator.append(at(), &RecordRef { topic, ..record(0) }, Urgency::Linger, None).unwrap());
            })
        });
        let mut told = Vec::new();
        while told.len() < names.len() {
            // Looks once whenever it is woken.
            heard.bell.wait();
            accumulator.take_waiting_topics(&mut told);
        }
        told.sort();
        assert_eq!(told, names.map(TopicName::new));
        callers.into_iter().for_each(|caller| caller.join().unwrap());
    });
}

#[test]
fn records_are_moved_in_order_while_others_come() {
    const EACH: u32 = 3;
    explore(|| {
        let (accumulator, heard) = ignorant(1 << 20, false);
        let callers: Vec<_> = (0..2)
            .map(|caller| {
                let accumulator = accumulator.clone();
                thread::spawn(move || {
                    for token in tokens_of(caller, EACH) {
                        accumulator.append_with_token(at(), &record(0), Urgency::Linger, None, token).unwrap();
                    }
                })
            })
            .collect();
        wait_for_topic(&accumulator, &heard);
        describe(&accumulator);
        deliver_all(&accumulator, &heard, 2 * EACH as usize);
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

#[test]
fn who_waits_for_a_record_hears_of_it_though_it_is_moved() {
    explore(|| {
        let (accumulator, heard) = ignorant(1 << 20, false);
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let accumulator = accumulator.clone();
                thread::spawn(move || {
                    let delivery = accumulator.append(at(), &record(0), Urgency::Linger, None).unwrap();
                    assert!(block_on(delivery).is_ok());
                })
            })
            .collect();
        wait_for_topic(&accumulator, &heard);
        describe(&accumulator);
        deliver_all(&accumulator, &heard, 2);
        callers.into_iter().for_each(|caller| caller.join().unwrap());
    });
}

#[test]
fn a_record_in_a_hurry_is_urgent_wherever_it_is_moved_meanwhile() {
    explore(|| {
        let (accumulator, _) = ignorant(1 << 20, false);
        let delivery = accumulator.append(at(), &record(0), Urgency::Linger, None).unwrap();
        let caller = {
            let accumulator = accumulator.clone();
            thread::spawn(move || {
                accumulator.hurry(&delivery);
                delivery
            })
        };
        describe(&accumulator);
        let delivery = caller.join().unwrap();
        let mut ready = Vec::new();
        accumulator.take_ready(&mut ready);
        assert!(ready[0].view().urgent);
        drop(delivery);
    });
}

/// A record is failed with the others, or the sender is told that somebody needs the topic again.
#[test]
fn a_record_that_comes_while_others_fail_is_not_forgotten() {
    explore(|| {
        let (accumulator, heard) = ignorant(1 << 20, false);
        let first = accumulator.append(at(), &record(0), Urgency::Linger, None).unwrap();
        wait_for_topic(&accumulator, &heard);
        let caller = {
            let accumulator = accumulator.clone();
            thread::spawn(move || accumulator.append(at(), &record(0), Urgency::Linger, None).unwrap())
        };
        let failed = accumulator.fail_waiting(&name(), failure(Fate::NotWritten));
        assert!(first.is_done());
        let second = caller.join().unwrap();
        assert_eq!(second.is_done(), failed == 2);
        if failed == 1 {
            wait_for_topic(&accumulator, &heard);
        }
        assert_eq!(accumulator.fail_waiting(&name(), failure(Fate::NotWritten)), 2 - failed);
        drop((first, second));
        assert_eq!((heard.unobserved(), accumulator.memory().used), (2, 0));
    });
}

/// As a flush and an expiry do, from what they are told.
#[test]
fn records_expire_once_though_the_topic_becomes_known_meanwhile() {
    explore(|| {
        let (accumulator, heard) = ignorant(1 << 20, false);
        let deliveries = [(); 2].map(|()| accumulator.append(at(), &record(0), Urgency::Linger, None).unwrap());
        let expires = {
            let accumulator = accumulator.clone();
            thread::spawn(move || accumulator.expire_waiting(&name(), at().now, failure(Fate::NotWritten)).0)
        };
        describe(&accumulator);
        let expired = expires.join().unwrap();
        let left = 2 - expired;
        if left > 0 {
            deliver_all(&accumulator, &heard, left);
        }
        let told: Vec<bool> = deliveries.into_iter().map(|delivery| block_on(delivery).is_ok()).collect();
        assert_eq!(told.iter().filter(|delivered| **delivered).count(), left);
        assert_eq!((heard.unobserved(), accumulator.memory().used), (0, 0));
    });
}
