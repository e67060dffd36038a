//! Outcomes, and whoever waits for them, looks at them or looks away.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use shuttle::future::block_on;
use shuttle::thread;

use super::*;
use crate::cell::{BatchCell, Piece};
use crate::delivery::Sizes;
use crate::stake::{Stake, Stakes};
use crate::{Delivery, Urgency};

/// The handle of a record of 20 bytes.
fn handle(cell: &Arc<BatchCell>, index: u32) -> Delivery {
    let mut stakes = Stakes::default();
    let stake = stakes.promise(cell, index, 20).keep();
    stakes.end();
    delivery(stake)
}

fn delivery(stake: Stake) -> Delivery {
    Delivery::new(stake, Sizes::new(&record(0).parts, 20), 0)
}

fn poll(delivery: &mut Delivery) -> Poll<bool> {
    let polled = std::future::Future::poll(Pin::new(delivery), &mut Context::from_waker(Waker::noop()));
    polled.map(|result| result.is_ok())
}

#[test]
fn a_drop_that_races_with_a_failure_is_counted_once() {
    let check = || {
        let heard = Arc::new(Heard::default());
        let cell = BatchCell::new(home(&heard));
        // 0 and 1 in order, 3 beside the run.
        let droppers: Vec<_> = [vec![0, 1], vec![3]]
            .into_iter()
            .map(|indices| {
                let cell = Arc::clone(&cell);
                thread::spawn(move || indices.into_iter().for_each(|index| cell.abandon(index)))
            })
            .collect();
        cell.settle(failed());
        droppers.into_iter().for_each(|dropper| dropper.join().unwrap());
        assert_eq!(heard.unobserved.load(Ordering::SeqCst), 3);
    };
    explore(check);
}

#[test]
fn a_drop_that_races_with_a_split_is_counted_once() {
    let check = || {
        let heard = Arc::new(Heard::default());
        let [cell, left, right] = [(); 3].map(|()| BatchCell::new(home(&heard)));
        let dropper = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || [1, 0].into_iter().for_each(|index| cell.abandon(index)))
        };
        cell.forward(vec![
            Piece { first: 0, cell: Arc::clone(&left), at: 0 },
            Piece { first: 1, cell: Arc::clone(&right), at: 0 },
        ]);
        left.settle(failed());
        right.settle(failed());
        dropper.join().unwrap();
        assert_eq!(heard.unobserved.load(Ordering::SeqCst), 2);
    };
    explore(check);
}

/// A task that awaits several records of a batch one after the other, and one that awaits a single one.
#[test]
fn each_of_several_tasks_is_woken_by_one_outcome() {
    explore(|| {
        let heard = Arc::new(Heard::default());
        let cell = BatchCell::new(home(&heard));
        let tasks: Vec<_> = [vec![0, 2], vec![1]]
            .into_iter()
            .map(|indices| {
                let deliveries: Vec<_> = indices.into_iter().map(|index| handle(&cell, index)).collect();
                thread::spawn(move || deliveries.into_iter().for_each(|delivery| assert!(block_on(delivery).is_ok())))
            })
            .collect();
        cell.settle(Outcome::Unacknowledged);
        tasks.into_iter().for_each(|task| task.join().unwrap());
    });
}

#[test]
fn a_handle_that_changes_tasks_is_woken_where_it_was_polled_last() {
    explore(|| {
        let heard = Arc::new(Heard::default());
        let cell = BatchCell::new(home(&heard));
        let mut delivery = handle(&cell, 0);
        let tasks = thread::spawn(move || {
            // Another task's look, which leaves its waker.
            let first = poll(&mut delivery);
            assert_ne!(first, Poll::Ready(false));
            thread::spawn(move || first.is_ready() || block_on(delivery).is_ok()).join().unwrap()
        });
        cell.settle(Outcome::Unacknowledged);
        assert!(tasks.join().unwrap());
    });
}

#[test]
fn a_thread_that_sleeps_for_an_outcome_is_woken() {
    explore(|| {
        let (accumulator, heard) = accumulator(1 << 20);
        let delivery = accumulator.append(at(), &record(0), Urgency::Linger, None).unwrap();
        let sleeper = thread::spawn(move || delivery.wait().is_ok());
        deliver_all(&accumulator, &heard, 1);
        assert!(sleeper.join().unwrap());
    });
}

/// Each failed record is either heard of by who has its handle, or counts as unobserved.
#[test]
fn a_failure_is_heard_of_once_by_who_polls_once_and_goes_away() {
    explore(|| {
        let heard = Arc::new(Heard::default());
        let cell = BatchCell::new(home(&heard));
        let tasks: Vec<_> = (0..2)
            .map(|index| {
                let mut delivery = handle(&cell, index);
                thread::spawn(move || usize::from(poll(&mut delivery) == Poll::Ready(false)))
            })
            .collect();
        let waits = {
            let delivery = handle(&cell, 2);
            thread::spawn(move || usize::from(block_on(delivery).is_err()))
        };
        cell.settle(failed());
        assert_eq!(waits.join().unwrap(), 1);
        let told: usize = tasks.into_iter().map(|task| task.join().unwrap()).sum();
        assert_eq!(told + heard.unobserved(), 2);
    });
}

#[test]
fn who_waits_follows_a_record_that_goes_to_another_batch() {
    explore(|| {
        let heard = Arc::new(Heard::default());
        let [cell, left, right] = [(); 3].map(|()| BatchCell::new(home(&heard)));
        let tasks: Vec<_> = (0..2)
            .map(|index| {
                let delivery = handle(&cell, index);
                thread::spawn(move || block_on(delivery).is_ok())
            })
            .collect();
        cell.forward(vec![
            Piece { first: 0, cell: Arc::clone(&left), at: 0 },
            Piece { first: 1, cell: Arc::clone(&right), at: 0 },
        ]);
        right.settle(Outcome::Unacknowledged);
        left.settle(Outcome::Unacknowledged);
        assert!(tasks.into_iter().all(|task| task.join().unwrap()));
    });
}

#[test]
fn an_outcome_told_while_a_task_begins_to_wait_is_not_missed() {
    let check = || {
        let (accumulator, _) = accumulator(1 << 20);
        let delivery = accumulator.append(at(), &record(0), Urgency::Linger, None).unwrap();
        let waiter = thread::spawn(move || block_on(delivery).is_ok());
        let mut ready = Vec::new();
        accumulator.take_ready(&mut ready);
        ready[0].close_head(Take::OpenToo).unwrap().settle(Outcome::Unacknowledged);
        assert!(waiter.join().unwrap());
    };
    explore(check);
}

/// Handles of two batches, dropped by two threads while one batch ends and the other has ended, in every order.
#[test]
fn a_batch_is_let_go_of_with_its_last_handle_and_not_before() {
    explore(|| {
        let heard = Arc::new(Heard::default());
        let [open, ended] = [(); 2].map(|()| BatchCell::new(home(&heard)));
        let seen = [&open, &ended].map(Arc::downgrade);
        let handle =
            |stakes: &mut Stakes, cell: &Arc<BatchCell>, index| delivery(stakes.promise(cell, index, 20).keep());
        let (mut of_open, mut of_ended) = (Stakes::default(), Stakes::default());
        let [mine, mut theirs]: [Vec<_>; 2] = std::array::from_fn(|thread| {
            let first = u32::try_from(2 * thread).unwrap();
            vec![
                handle(&mut of_open, &open, first),
                handle(&mut of_ended, &ended, first),
                handle(&mut of_open, &open, first + 1),
            ]
        });
        of_ended.end();
        ended.settle(Outcome::Unacknowledged);
        let last = theirs.pop().unwrap();
        let threads = [mine, theirs].map(|handles| thread::spawn(move || handles.into_iter().for_each(drop)));
        of_open.end();
        open.settle(Outcome::Unacknowledged);
        drop((open, ended));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(seen[0].upgrade().is_some() && seen[1].upgrade().is_none(), "one handle of one of them is left");
        thread::spawn(move || assert!(last.wait().is_ok())).join().unwrap();
        assert!(seen[0].upgrade().is_none(), "something holds a batch that nobody has a handle of");
    });
}

/// One thread hears of three batches in turns, and so loses them for one another at first; another waits for one record of each.
#[test]
fn batches_that_are_heard_of_in_turns_are_let_go_of() {
    explore(|| {
        let heard = Arc::new(Heard::default());
        let batches = [(); 3].map(|()| BatchCell::new(home(&heard)));
        let seen = batches.each_ref().map(Arc::downgrade);
        let mut stakes = [(); 3].map(|()| Stakes::default());
        let mut handles = |index| -> Vec<_> {
            let pairs = stakes.iter_mut().zip(&batches);
            pairs.map(|(stakes, cell)| stakes.promise(cell, index, 20).keep()).map(delivery).collect()
        };
        let in_turns: Vec<_> = (0..4).flat_map(&mut handles).collect();
        let last = handles(4);
        let threads = [
            thread::spawn(move || in_turns.into_iter().for_each(drop)),
            thread::spawn(move || last.into_iter().for_each(|delivery| assert!(delivery.wait().is_ok()))),
        ];
        for (mut stakes, cell) in stakes.into_iter().zip(batches) {
            stakes.end();
            cell.settle(Outcome::Unacknowledged);
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(
            seen.iter().all(|cell| cell.upgrade().is_none()),
            "something holds a batch that nobody has a handle of"
        );
    });
}
