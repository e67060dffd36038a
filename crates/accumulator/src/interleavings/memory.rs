//! The line for memory.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use shuttle::future::block_on;
use shuttle::thread;

use super::*;
use crate::{Closed, Delivery, Refused, Reserve, Urgency};

/// Whether it need not wait any more.
fn poll(reserve: &mut Reserve) -> bool {
    std::future::Future::poll(Pin::new(reserve), &mut Context::from_waker(Waker::noop())).is_ready()
}

#[test]
fn memory_reaches_every_waiter_though_others_give_up() {
    let check = || {
        let (accumulator, _) = accumulator(1_000);
        let waiters: Vec<_> = [900, 400, 700]
            .into_iter()
            .map(|bytes| {
                let accumulator = accumulator.clone();
                thread::spawn(move || drop(block_on(accumulator.reserve(bytes)).unwrap()))
            })
            .collect();
        let quitter = {
            let accumulator = accumulator.clone();
            thread::spawn(move || {
                let mut reserve = accumulator.reserve(800);
                let waker = std::task::Waker::noop();
                let mut context = std::task::Context::from_waker(waker);
                drop(std::future::Future::poll(std::pin::Pin::new(&mut reserve), &mut context));
                thread::yield_now();
                drop(reserve);
            })
        };
        waiters.into_iter().chain([quitter]).for_each(|waiter| waiter.join().unwrap());
        let memory = accumulator.memory();
        assert_eq!((memory.used, memory.waiting), (0, 0));
    };
    explore(check);
}

/// Whoever was in line, or was given memory and has not fetched it, when it went away: nothing stays behind.
#[test]
fn a_wait_that_is_given_up_while_memory_comes_leaves_nothing_behind() {
    explore(|| {
        let (accumulator, _) = accumulator(1_000);
        let held = block_on(accumulator.reserve(1_000)).unwrap();
        let quitters: Vec<_> = [600, 700]
            .into_iter()
            .map(|bytes| {
                let mut reserve = accumulator.reserve(bytes);
                thread::spawn(move || {
                    let _given = poll(&mut reserve);
                    thread::yield_now();
                })
            })
            .collect();
        let stays = {
            let accumulator = accumulator.clone();
            thread::spawn(move || drop(block_on(accumulator.reserve(800)).unwrap()))
        };
        drop(held);
        quitters.into_iter().chain([stays]).for_each(|thread| thread.join().unwrap());
        let memory = accumulator.memory();
        assert_eq!((memory.used, memory.waiting), (0, 0));
    });
}

#[test]
fn what_comes_back_serves_all_whom_it_suffices() {
    explore(|| {
        let (accumulator, _) = accumulator(1_000);
        let held = block_on(accumulator.reserve(1_000)).unwrap();
        // Each keeps what it is given until the others have theirs.
        let all = Arc::new(shuttle::sync::Barrier::new(3));
        let waiters: Vec<_> = [300, 200, 400]
            .into_iter()
            .map(|bytes| {
                let (accumulator, all) = (accumulator.clone(), Arc::clone(&all));
                thread::spawn(move || {
                    let reservation = block_on(accumulator.reserve(bytes)).unwrap();
                    all.wait();
                    drop(reservation);
                })
            })
            .collect();
        drop(held);
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
        assert_eq!(accumulator.memory().used, 0);
    });
}

#[test]
fn nobody_overtakes_who_waits() {
    explore(|| {
        let (accumulator, _) = accumulator(1_000);
        let held = [(); 2].map(|()| block_on(accumulator.reserve(500)).unwrap());
        let mut first = accumulator.reserve(900);
        assert!(!poll(&mut first));
        let was_given = Arc::new(AtomicUsize::new(0));
        let second = {
            let (accumulator, was_given) = (accumulator.clone(), Arc::clone(&was_given));
            thread::spawn(move || {
                let small = block_on(accumulator.reserve(200)).unwrap();
                assert_eq!(was_given.load(Ordering::SeqCst), 1, "200 bytes went past who waits for 900");
                drop(small);
            })
        };
        let releases = thread::spawn(move || held.into_iter().for_each(drop));
        let large = block_on(first).unwrap();
        was_given.store(1, Ordering::SeqCst);
        drop(large);
        [second, releases].into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(accumulator.memory().used, 0);
    });
}

#[test]
fn a_close_ends_every_wait() {
    explore(|| {
        let (accumulator, _) = accumulator(1_000);
        let held = block_on(accumulator.reserve(1_000)).unwrap();
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let accumulator = accumulator.clone();
                thread::spawn(move || block_on(accumulator.reserve(300)).map(drop))
            })
            .collect();
        accumulator.close();
        waiters.into_iter().for_each(|waiter| assert_eq!(waiter.join().unwrap(), Err(Closed)));
        drop(held);
        let memory = accumulator.memory();
        assert_eq!((memory.used, memory.waiting), (0, 0));
    });
}

/// Appends, and waits for memory if need be.
fn append(accumulator: &Accumulator, partition: i32) -> Delivery {
    let mut memory = None;
    loop {
        match accumulator.append(at(), &record(partition), Urgency::Linger, memory.take()) {
            Ok(delivery) => return delivery,
            Err(Refused::Memory { bytes }) => memory = Some(block_on(accumulator.reserve(bytes)).unwrap()),
            Err(other) => panic!("{other}"),
        }
    }
}

/// The sender lets everything linger, until it is told that somebody waits for memory.
#[test]
fn callers_that_wait_for_memory_are_seen_by_the_sender_and_get_that_of_delivered_batches() {
    explore(|| {
        // Room for one batch.
        let (accumulator, heard) = accumulator(1_100);
        let left = Arc::new(AtomicUsize::new(2));
        let callers: Vec<_> = (0..2)
            .map(|partition| {
                let (accumulator, heard, left) = (accumulator.clone(), Arc::clone(&heard), Arc::clone(&left));
                thread::spawn(move || {
                    let deliveries = [(); 2].map(|()| append(&accumulator, partition));
                    left.fetch_sub(1, Ordering::SeqCst);
                    heard.bell.ring();
                    deliveries
                })
            })
            .collect();
        let mut queues = Vec::new();
        while left.load(Ordering::SeqCst) > 0 {
            accumulator.take_ready(&mut queues);
            let wanted = accumulator.memory().waiting > 0;
            let freed: usize = if wanted { queues.iter().map(|queue| deliver(queue)).sum() } else { 0 };
            if freed == 0 {
                heard.bell.wait();
            }
        }
        accumulator.take_ready(&mut queues);
        for queue in &queues {
            deliver(queue);
        }
        for caller in callers {
            assert!(caller.join().unwrap().iter().all(Delivery::is_done));
        }
        let memory = accumulator.memory();
        assert_eq!((memory.used, memory.waiting), (0, 0));
    });
}
