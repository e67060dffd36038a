//! Callers keep the sender's pace, as long as it is worth it.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use milena_wire::PartitionId;

use crate::test_support::*;
use crate::{AccumulatorConfig, CatchUp, Pace, PartitionQueue, Refused, Take, Urgency, without_waiting};

/// Of one record each.
const BATCH: usize = 128 << 10;
/// Batches of 4 MiB.
const ENOUGH: usize = 32;
/// A quarter of it.
const LESS: usize = 8;
const BEHIND: Refused = Refused::Behind { partition: PartitionId(0) };

fn rig(partitions: usize) -> Rig {
    Rig::with_partitions(
        AccumulatorConfig { batch_size: BATCH, buffer_memory: 64 << 20, ..AccumulatorConfig::default() },
        partitions,
    )
}

fn append(rig: &Rig, partition: i32, pace: Pace) -> Result<(), Refused> {
    let filling = vec![b'x'; BATCH - 1_000];
    let record = to_partition(partition, value(&filling));
    rig.accumulator.append_at_pace(at(0), &record, Urgency::Linger, pace).map(drop)
}

/// Appends at the sender's pace until that is behind with partition 0; how many batches that took.
fn fill(rig: &Rig) -> usize {
    (0..).find(|_| append(rig, 0, Pace::Sender) == Err(BEHIND)).expect("it is bounded")
}

fn queue(rig: &Rig) -> Arc<PartitionQueue> {
    rig.ready().into_iter().find(|queue| queue.partition() == PartitionId(0)).expect("it was announced")
}

fn take(queue: &PartitionQueue, batches: usize) {
    for _ in 0..batches {
        drop(queue.close_head(Take::ClosedOnly).expect("there is one").seal());
    }
}

fn catch_up(rig: &Rig) -> CatchUp {
    rig.accumulator.catch_up(TOPIC, PartitionId(0)).expect("it is known")
}

fn poll(catch_up: &mut CatchUp, waker: &Waker) -> Poll<()> {
    pin!(catch_up).poll(&mut Context::from_waker(waker))
}

#[test]
fn who_keeps_pace_waits_until_the_sender_has_a_quarter_less() {
    let rig = rig(1);
    assert_eq!(fill(&rig), ENOUGH + 1);
    let queue = queue(&rig);
    let ((bell, waker), (other, other_waker)) = (Bell::new(), Bell::new());
    let (mut first, mut second) = (catch_up(&rig), catch_up(&rig));
    assert!(poll(&mut first, &waker).is_pending());
    assert!(poll(&mut first, &waker).is_pending(), "asked again it waits where it is");
    assert!(poll(&mut second, &other_waker).is_pending());
    take(&queue, LESS - 1);
    assert_eq!((bell.rings(), other.rings()), (0, 0));
    take(&queue, 1);
    assert_eq!((bell.rings(), other.rings()), (1, 1));
    assert!(poll(&mut first, &waker).is_ready() && poll(&mut second, &other_waker).is_ready());
    take(&queue, 1);
    assert_eq!((bell.rings(), other.rings()), (1, 1), "once");
    assert_eq!(append(&rig, 0, Pace::Sender), Ok(()));
}

#[test]
fn who_does_not_keep_pace_goes_in_and_a_backlog_of_theirs_is_worked_off_while_others_go_on() {
    let rig = rig(1);
    (0..10 * ENOUGH).for_each(|_| append(&rig, 0, Pace::Any).unwrap());
    assert_eq!(append(&rig, 0, Pace::Sender), Err(BEHIND));
    let queue = queue(&rig);
    let mut waiting = catch_up(&rig);
    assert!(poll(&mut waiting, Waker::noop()).is_pending());
    take(&queue, LESS);
    assert!(poll(&mut waiting, Waker::noop()).is_ready(), "there is much left, but less");
    assert_eq!(append(&rig, 0, Pace::Sender), Err(BEHIND), "so the next one waits as well");
}

#[test]
fn partitions_share_what_may_be_queued_and_do_not_wait_for_each_other() {
    let rig = rig(4);
    assert_eq!(fill(&rig), ENOUGH / 4 + 1);
    assert_eq!(append(&rig, 1, Pace::Sender), Ok(()));
    // However many there are, each has 256 KiB, but four batches at least.
    let rig = self::rig(600);
    assert_eq!(fill(&rig), 4 + 1);
}

#[test]
fn who_waited_in_vain_spares_others_that_until_much_more_was_sent() {
    let rig = rig(1);
    fill(&rig);
    let queue = queue(&rig);
    let (bell, waker) = Bell::new();
    let (mut other, patient) = (catch_up(&rig), catch_up(&rig));
    assert!(poll(&mut other, &waker).is_pending());
    patient.wait_blocking(Duration::ZERO);
    assert_eq!(bell.rings(), 1);
    assert!(poll(&mut other, &waker).is_ready());
    assert!(poll(&mut catch_up(&rig), &waker).is_ready());
    // The whole memory is there for them.
    (0..100).for_each(|_| append(&rig, 0, Pace::Sender).unwrap());
    for _ in 0..8 * ENOUGH {
        assert_eq!(append(&rig, 0, Pace::Sender), Ok(()));
        take(&queue, 1);
    }
    assert_eq!(append(&rig, 0, Pace::Sender), Err(BEHIND));
}

#[test]
fn who_goes_away_is_not_woken() {
    let rig = rig(1);
    fill(&rig);
    let queue = queue(&rig);
    let ((gone, gone_waker), (bell, waker)) = (Bell::new(), Bell::new());
    let (mut goes, mut stays) = (catch_up(&rig), catch_up(&rig));
    assert!(poll(&mut goes, &gone_waker).is_pending() && poll(&mut stays, &waker).is_pending());
    drop(goes);
    take(&queue, LESS);
    assert_eq!((gone.rings(), bell.rings()), (0, 1));
}

#[test]
fn a_close_ends_the_waiting() {
    let rig = rig(1);
    fill(&rig);
    let (bell, waker) = Bell::new();
    let mut waiting = catch_up(&rig);
    assert!(poll(&mut waiting, &waker).is_pending());
    rig.accumulator.close();
    assert_eq!(bell.rings(), 1);
    assert!(poll(&mut waiting, &waker).is_ready());
    assert_eq!(append(&rig, 0, Pace::Sender), Err(Refused::Closed));
}

#[test]
fn an_accumulator_that_is_gone_is_not_waited_for() {
    let rig = rig(1);
    fill(&rig);
    let (bell, waker) = Bell::new();
    let mut waiting = catch_up(&rig);
    assert!(poll(&mut waiting, &waker).is_pending());
    drop(rig);
    assert_eq!(bell.rings(), 1);
    assert!(poll(&mut waiting, &waker).is_ready());
}

#[test]
fn a_thread_that_delivers_does_not_wait_for_itself() {
    let rig = rig(1);
    fill(&rig);
    without_waiting(|| catch_up(&rig).wait_blocking(Duration::MAX));
    assert_eq!(append(&rig, 0, Pace::Sender), Ok(()));
}
