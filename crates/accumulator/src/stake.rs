//! What a handle holds of its batch.
//!
//! An `Arc` of the batch's cell in every handle would be counted up when its record is appended and down when its outcome was heard: two
//! atomic operations, of which each waits until the processor has finished the stores in front of it. So the handles' share is counted
//! without any, in two places that each have one writer:
//!
//! ```text
//! given out     by the batch's story, in a plain number, under the lock that an append holds anyway
//! given back    by the thread that drops them, in a plain number, for some batches at a time (`mind.rs`)
//!
//! Locker   balance = OPEN - given back        while records can be appended
//!                  = given out - given back   afterwards; at 0 it lets go of the cell and is free for another batch
//! ```
//!
//! A locker lives for ever: that is what makes a stake a reference that nobody has to count. There are as many as there were batches at
//! once of which somebody had a handle, and in reserve as many again, or 2,048; each is 32 bytes, and is used again. What a thread has in mind
//! (`mind.rs`) it keeps with all that belongs to it (the batches' cells, and the hooks these know of), until it drops handles of batches that
//! take its place or ends; not so a batch of which it dropped the last handles, once it took no more records.

use std::fmt;
use std::sync::Arc;

use crate::cell::{BatchCell, Place};
use crate::locker::Locker;
use crate::mind;

/// What a handle has of the batch that its record was appended to: a share in the batch's cell, which is given back when this is dropped.
pub(crate) struct Stake {
    locker: &'static Locker,
    /// The record's place in the batch.
    index: u32,
    /// [`UNHEARD`], [`HEARD`] or [`GIVEN_BACK`]. Not an `enum`, of which an `Option` of this would take its mark, so that it could not be moved
    /// in whole words.
    state: u32,
}

/// If it is dropped so, nobody will hear of the outcome.
const UNHEARD: u32 = 0;
/// The outcome was handed out.
const HEARD: u32 = 1;
/// That too, and it is no longer counted.
const GIVEN_BACK: u32 = 2;

/// A stake that is counted, and nobody's yet, with the size of its record: so much as goes through two registers.
#[must_use = "a stake that nobody keeps is never given back"]
pub(crate) struct Promise {
    locker: &'static Locker,
    index: u32,
    total: u32,
}

/// Whoever gives stakes in a cell: its batch.
#[derive(Default)]
pub(crate) struct Stakes {
    locker: Option<&'static Locker>,
    given: u32,
}

impl Stakes {
    #[inline(always)]
    pub(crate) fn promise(&mut self, cell: &Arc<BatchCell>, index: u32, total: usize) -> Promise {
        self.given += 1;
        let locker = match self.locker {
            Some(locker) => locker,
            None => self.rent(cell),
        };
        // Records of 2 GiB and more were refused before.
        Promise { locker, index, total: u32::try_from(total).unwrap_or(u32::MAX) }
    }

    #[cold]
    fn rent(&mut self, cell: &Arc<BatchCell>) -> &'static Locker {
        let locker = Locker::rent(Arc::clone(cell));
        self.locker = Some(locker);
        locker
    }

    /// No more will be given. To be called before the outcome can be heard.
    pub(crate) fn end(&mut self) {
        if let Some(locker) = self.locker.take() {
            locker.close(self.given);
        }
    }
}

impl Promise {
    #[inline(always)]
    pub(crate) fn keep(self) -> Stake {
        Stake { locker: self.locker, index: self.index, state: UNHEARD }
    }

    /// Bytes of the record in its batch.
    #[inline(always)]
    pub(crate) fn total(&self) -> u32 {
        self.total
    }
}

impl Stake {
    /// Lets `see` look at where the record is, if this thread has just dropped another stake in the same batch; else there is
    /// [`cell`](Self::cell).
    #[inline(always)]
    pub(crate) fn look<R>(&self, see: impl FnOnce(Place<'_>) -> R) -> Option<R> {
        debug_assert_ne!(self.state, GIVEN_BACK);
        let cell = mind::lend(self.locker)?;
        let seen = see(cell.follow(self.index));
        mind::take_back(self.locker, cell);
        Some(seen)
    }

    /// As [`look`](Self::look), for whoever needs the stake no more once `see` has seen the outcome: it is given back at the same time.
    #[inline(always)]
    pub(crate) fn look_last<R>(&mut self, see: impl FnOnce(Place<'_>) -> Option<R>) -> Option<R> {
        debug_assert_ne!(self.state, GIVEN_BACK);
        let cell = mind::lend(self.locker)?;
        let seen = see(cell.follow(self.index));
        if seen.is_some() {
            self.state = GIVEN_BACK;
            mind::take_back_with_stake(self.locker, cell);
        } else {
            mind::take_back(self.locker, cell);
        }
        seen
    }

    /// The cell of the batch that the record was appended to.
    #[cold]
    pub(crate) fn cell(&self) -> Arc<BatchCell> {
        debug_assert_ne!(self.state, GIVEN_BACK);
        self.locker.cell()
    }

    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// The outcome was handed out.
    #[inline]
    pub(crate) fn set_heard(&mut self) {
        debug_assert_ne!(self.state, GIVEN_BACK);
        self.state = HEARD;
    }

    /// Drops a stake whose outcome was handed out, for which `cell` was asked already.
    pub(crate) fn give_back(self, cell: Arc<BatchCell>) {
        debug_assert_ne!(self.state, GIVEN_BACK);
        let locker = self.locker;
        std::mem::forget(self);
        mind::give_back(locker, |_| cell);
    }
}

impl Drop for Stake {
    #[inline(always)]
    fn drop(&mut self) {
        if self.state == GIVEN_BACK {
            return;
        }
        // Given back whatever the hooks do.
        let _back = Back(self.locker);
        if self.state == UNHEARD && self.look(|place| place.cell.abandon(place.index)).is_none() {
            self.cell().abandon(self.index);
        }
    }
}

/// A stake to be given back.
struct Back(&'static Locker);

impl Drop for Back {
    #[inline(always)]
    fn drop(&mut self) {
        mind::give_back(self.0, Locker::cell);
    }
}

impl fmt::Debug for Stakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} stakes", self.given)
    }
}

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests {
    use std::sync::Weak;
    use std::thread;

    use milena_wire::{PartitionId, TopicName};

    use super::*;
    use crate::Hooks;
    use crate::cell::Home;
    use crate::test_support::Heard;

    /// A batch, and so many stakes in it.
    fn batch(count: u32) -> (Stakes, Arc<BatchCell>, Vec<Stake>) {
        let hooks = Arc::new(Heard::default()) as Arc<dyn Hooks>;
        let cell = BatchCell::new(Home::new(&TopicName::new("letters"), Some(PartitionId(0)), &hooks));
        let mut stakes = Stakes::default();
        let given = (0..count).map(|index| stakes.promise(&cell, index, 1).keep()).collect();
        (stakes, cell, given)
    }

    fn ended(mut stakes: Stakes, cell: Arc<BatchCell>) -> Weak<BatchCell> {
        stakes.end();
        Arc::downgrade(&cell)
    }

    #[test]
    fn the_last_stake_that_is_dropped_leaves_nothing_behind() {
        for count in [1, 2, 300] {
            let (stakes, cell, mut given) = batch(count);
            let cell = ended(stakes, cell);
            let last = given.pop();
            drop(given);
            assert!(cell.upgrade().is_some(), "{count}: there is a stake in it");
            drop(last);
            assert!(cell.upgrade().is_none(), "{count}");
        }
    }

    #[test]
    fn who_needs_a_stake_no_more_gives_it_back_with_the_last_look() {
        let (stakes, cell, mut given) = batch(5);
        let cell = ended(stakes, cell);
        drop(given.remove(0));
        for mut stake in given {
            assert_eq!(stake.look_last(|_| None::<u32>), None);
            assert!(cell.upgrade().is_some(), "it saw nothing, and is needed still");
            let index = stake.index();
            assert_eq!(stake.look_last(|place| Some(place.index)), Some(index));
            assert_eq!(cell.upgrade().is_none(), index == 4, "after {index}");
        }
    }

    #[test]
    fn stakes_in_two_batches_may_be_dropped_in_turns() {
        let (one, other) = (batch(4), batch(4));
        let cells = [ended(one.0, one.1), ended(other.0, other.1)];
        for (count, (one, other)) in one.2.into_iter().zip(other.2).enumerate() {
            assert!(cells.iter().all(|cell| cell.upgrade().is_some()), "after {count}");
            drop((one, other));
        }
        drop(batch(1));
        assert!(cells.iter().all(|cell| cell.upgrade().is_none()));
    }

    #[test]
    fn a_thread_that_ends_gives_back_what_it_had_in_mind() {
        let (stakes, cell, mut given) = batch(10);
        let rest = given.split_off(4);
        // Before the batch has ended, so that the thread cannot know which is the last.
        thread::spawn(move || drop(given)).join().unwrap();
        let cell = ended(stakes, cell);
        thread::spawn(move || drop(rest)).join().unwrap();
        assert!(cell.upgrade().is_none());
    }

    #[test]
    fn a_stake_sees_its_own_batch_whatever_was_dropped_before() {
        let mut batches: Vec<_> = (0..3 * mind::FEW).map(|_| batch(20)).collect();
        // At first the thread has few of them in mind, and in the end those that share no place with another.
        let mut in_mind = 0;
        for _ in 0..19 {
            for (_, cell, given) in &mut batches {
                drop(given.pop());
                // There is none that was dropped later.
                assert_eq!(given[0].look(|place| Arc::ptr_eq(place.cell, cell)), Some(true));
            }
            in_mind = 0;
            for (_, cell, given) in &batches {
                assert!(Arc::ptr_eq(&given[0].cell(), cell));
                let seen = given[0].look(|place| Arc::ptr_eq(place.cell, cell));
                assert_ne!(seen, Some(false));
                in_mind += usize::from(seen.is_some());
            }
        }
        assert!(in_mind > 2 * mind::FEW, "{in_mind}");
    }

    #[test]
    fn who_comes_back_to_many_batches_has_them_in_mind_and_loses_count_of_none() {
        let mut batches: Vec<_> = (0..40 * mind::FEW).map(|_| batch(10)).collect();
        let cells = thread::spawn(move || {
            for _ in 0..8 {
                batches.iter_mut().for_each(|(_, _, given)| drop(given.pop()));
            }
            let seen = batches.iter().filter(|(_, _, given)| given[0].look(|_| ()).is_some()).count();
            assert!(seen > 4 * mind::FEW, "{seen}");
            assert_eq!(mind::of_this_thread(), (true, 0), "what was among the few is not forgotten there");
            batches.into_iter().map(|(stakes, cell, _given)| ended(stakes, cell)).collect::<Vec<_>>()
        });
        let cells = cells.join().unwrap();
        assert!(cells.iter().all(|cell| cell.upgrade().is_none()));
    }

    /// Drops a handle of each batch in turns, `rounds` times.
    fn in_turns(batches: &mut [Vec<Stake>], rounds: usize) {
        for _ in 0..rounds {
            batches.iter_mut().for_each(|given| drop(given.pop()));
        }
    }

    #[test]
    fn batches_that_were_lost_for_others_leave_nothing_behind_either() {
        for (rounds, many) in [(2, false), (20, true)] {
            let (cells, mut given): (Vec<_>, Vec<_>) = (0..3 * mind::FEW)
                .map(|_| batch(u32::try_from(rounds).unwrap()))
                .map(|(stakes, cell, given)| (ended(stakes, cell), given))
                .unzip();
            let kept = thread::spawn(move || {
                in_turns(&mut given, rounds);
                let kept = cells.iter().filter(|cell| cell.upgrade().is_some()).count();
                (mind::of_this_thread(), kept)
            });
            assert_eq!(kept.join().unwrap(), ((many, 0), 0), "{rounds} handles of each");
        }
    }

    #[test]
    fn who_comes_back_no_more_often_than_to_others_for_the_first_time_has_few_batches_in_mind() {
        let hears = || {
            for _ in 0..16 {
                let (_open, mut given): (Vec<_>, Vec<_>) =
                    (0..2 * mind::FEW).map(|_| batch(2)).map(|(stakes, cell, given)| ((stakes, cell), given)).unzip();
                in_turns(&mut given, 2);
            }
            mind::of_this_thread().0
        };
        assert!(!thread::spawn(hears).join().unwrap());
    }

    #[test]
    fn who_hears_of_a_record_here_and_there_has_few_batches_in_mind() {
        let batches: Vec<_> = (0..40 * mind::FEW).map(|_| batch(4)).collect();
        let (mut cells, mut rest) = (Vec::new(), Vec::new());
        for (stakes, cell, mut given) in batches {
            cells.push(ended(stakes, cell));
            drop(given.pop());
            rest.push(given);
        }
        thread::spawn(move || drop(rest)).join().unwrap();
        let held = cells.iter().filter(|cell| cell.upgrade().is_some()).count();
        assert_eq!(mind::of_this_thread(), (false, held));
        assert!((1..=mind::FEW).contains(&held), "{held}");
    }
}
