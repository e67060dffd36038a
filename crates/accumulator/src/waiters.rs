//! The tasks that wait for one batch.

use std::task::Waker;

use crate::wake::wake_all;

/// Entries of tasks, each used by one handle or more. A handle takes one place at most, however often it is polled and by whoever, and a
/// place that is left is given to the next: so there are never more entries than handles.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    entries: Vec<Entry>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Entry {
    /// None while the place is free.
    waker: Option<Waker>,
    handles: u32,
}

/// The place of a handle among a batch's waiters, or none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Seat {
    at: u32,
    /// Which batch's: the one that held the handle's record after so many moves.
    moves: u32,
}

/// How many entries a new task is compared with.
const RECENT: usize = 8;

impl Seat {
    pub(crate) const NONE: Self = Self { at: u32::MAX, moves: 0 };

    /// The record is in the batch that it came to by so many moves. In another than before it has no seat yet.
    pub(crate) fn set_moves(&mut self, moves: u32) {
        if self.moves != moves {
            *self = Self { moves, ..Self::NONE };
        }
    }
}

impl Waiters {
    /// Notes that `waker`'s task waits, for a handle that had `seat` before. Returns a waker that is needed no longer, to be dropped outside
    /// the lock, since its drop is not our code.
    ///
    /// Handles share an entry, as far as the last few tell: a task that awaits many records of a batch one after the other, or all at once,
    /// is woken once.
    pub(crate) fn seat(&mut self, waker: &Waker, seat: &mut Seat) -> Option<Waker> {
        let mut old = None;
        // A place that nobody has is not this handle's: its own went when the others were woken, and this is a new list.
        if let Some(entry) = self.entries.get_mut(seat.at as usize).filter(|entry| entry.waker.is_some()) {
            if entry.is(waker) {
                return None;
            }
            entry.handles -= 1;
            if entry.handles == 0 {
                old = entry.waker.take();
                self.free.push(seat.at);
            }
        }
        let recent = self.entries.len().saturating_sub(RECENT);
        let known = (recent..).zip(&mut self.entries[recent..]).find(|(_, entry)| entry.is(waker));
        let at = match known {
            Some((at, entry)) => {
                entry.handles += 1;
                at
            }
            None => {
                let entry = Entry { waker: Some(waker.clone()), handles: 1 };
                match self.free.pop().and_then(|free| Some((free as usize, self.entries.get_mut(free as usize)?))) {
                    Some((at, place)) => {
                        *place = entry;
                        at
                    }
                    None => {
                        self.entries.push(entry);
                        self.entries.len() - 1
                    }
                }
            }
        };
        // A batch has less than 2^31 records.
        seat.at = u32::try_from(at).unwrap_or(Seat::NONE.at);
        old
    }

    /// Wakes all. Not to be called under a lock.
    pub(crate) fn wake(self) {
        wake_all(self.entries.into_iter().filter_map(|entry| entry.waker));
    }
}

impl Entry {
    fn is(&self, waker: &Waker) -> bool {
        self.waker.as_ref().is_some_and(|known| known.will_wake(waker))
    }
}

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests {
    use super::*;
    use crate::test_support::Bell;

    #[test]
    fn handles_that_change_tasks_at_random_take_no_more_places_than_there_are_handles() {
        let bells: Vec<_> = (0..30).map(|_| Bell::new()).collect();
        let mut waiters = Waiters::default();
        let draws = crate::rng::Draws::new(7);
        let pick = |n: u64| usize::try_from(draws.below(n)).unwrap();
        let mut seats = [Seat::NONE; 25];
        let mut last = [None; 25];
        for _ in 0..10_000 {
            let (handle, bell) = (pick(25), pick(30));
            drop(waiters.seat(&bells[bell].1, &mut seats[handle]));
            last[handle] = Some(bell);
        }
        assert!(waiters.entries.len() <= 25, "{}", waiters.entries.len());
        waiters.wake();
        for (at, (bell, _)) in bells.iter().enumerate() {
            assert_eq!(bell.rings() > 0, last.contains(&Some(at)), "whoever polled last is woken, and nobody else");
        }
    }

    #[test]
    fn a_waker_that_panics_takes_nobody_else_s() {
        struct Panics;
        impl std::task::Wake for Panics {
            fn wake(self: std::sync::Arc<Self>) {
                panic!("a waker that panics");
            }
        }
        let (bell, waker) = Bell::new();
        let mut waiters = Waiters::default();
        drop(waiters.seat(&std::sync::Arc::new(Panics).into(), &mut Seat::NONE.clone()));
        drop(waiters.seat(&waker, &mut Seat::NONE.clone()));
        waiters.wake();
        assert_eq!(bell.rings(), 1);
    }

    #[test]
    fn tasks_that_poll_again_and_again_take_one_place_each_and_are_woken_once() {
        let bells: Vec<_> = (0..20).map(|_| Bell::new()).collect();
        let mut waiters = Waiters::default();
        let mut seats = [Seat::NONE; 20];
        for _ in 0..100 {
            for ((_, waker), seat) in bells.iter().zip(&mut seats) {
                drop(waiters.seat(waker, seat));
            }
        }
        assert_eq!(waiters.entries.len(), 20);
        waiters.wake();
        assert!(bells.iter().all(|(bell, _)| bell.rings() == 1));
    }
}
