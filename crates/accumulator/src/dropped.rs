//! Which records of a batch have nobody left to hear their outcome.
//!
//! A drop and the settling of the batch may race; each dropped record must be counted by exactly one of the two. Both therefore go
//! through one word: settling sets its top bit and learns which drops came before, and a drop that finds the bit set counts itself.
//!
//! ```text
//! 63        62..32        31..0
//! settled | run's start | run's end        the dropped indices start..end
//! ```
//!
//! Handles are nearly always dropped in order, or not at all, so one run holds them. What does not extend it goes to a list.

use std::ops::Range;

use crate::sync::{AtomicU64, Mutex, Ordering};

const SETTLED: u64 = 1 << 63;

#[derive(Debug, Default)]
pub(crate) struct Dropped {
    word: AtomicU64,
    /// Runs beside the word's; only grows before the word's settled bit is set.
    #[expect(clippy::box_collection, reason = "nearly always none, and each batch has one of these")]
    beside: Mutex<Option<Box<Vec<Range<u32>>>>>,
}

/// Whether a drop came before or after the outcome.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Timing {
    /// Whoever settles counts it.
    BeforeOutcome,
    /// It counts itself.
    AfterOutcome,
}

impl Dropped {
    /// Notes that the record at `index` was dropped. Each index is dropped at most once.
    pub(crate) fn note(&self, index: u32) -> Timing {
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            if word & SETTLED != 0 {
                return Timing::AfterOutcome;
            }
            let run = run_of(word);
            let longer = if run.is_empty() {
                index..index + 1
            } else if run.end == index {
                run.start..index + 1
            } else if index + 1 == run.start {
                index..run.end
            } else {
                return self.note_beside(index);
            };
            match self.word.compare_exchange_weak(word, word_of(&longer), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Timing::BeforeOutcome,
                Err(now) => word = now,
            }
        }
    }

    #[cold]
    fn note_beside(&self, index: u32) -> Timing {
        let mut list = self.beside.lock();
        // Settling sets the bit first and takes this lock after: if the bit is not set here, it will find this index.
        if self.word.load(Ordering::Acquire) & SETTLED != 0 {
            return Timing::AfterOutcome;
        }
        let beside = list.get_or_insert_default();
        match beside.iter_mut().rev().take(4).find(|run| run.end == index) {
            Some(run) => run.end += 1,
            None => beside.push(index..index + 1),
        }
        Timing::BeforeOutcome
    }

    /// The indices dropped so far; from now on drops count themselves. Called once, after the outcome can be read.
    pub(crate) fn settle(&self) -> Vec<Range<u32>> {
        let word = self.word.fetch_or(SETTLED, Ordering::AcqRel);
        let mut runs = self.beside.lock().take().map_or_else(Vec::new, |beside| *beside);
        let run = run_of(word);
        if !run.is_empty() {
            runs.push(run);
        }
        runs
    }
}

fn run_of(word: u64) -> Range<u32> {
    let start = (word & !SETTLED) >> 32;
    let end = word & u64::from(u32::MAX);
    // Both halves are 32 bits wide.
    u32::try_from(start).unwrap_or(0)..u32::try_from(end).unwrap_or(0)
}

fn word_of(run: &Range<u32>) -> u64 {
    // A batch has less than 2^31 records, so a start never reaches the settled bit.
    u64::from(run.start) << 32 | u64::from(run.end)
}

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests {
    use super::*;

    #[test]
    fn handles_dropped_in_any_order_are_all_found() {
        let dropped = Dropped::default();
        for index in [3, 4, 2, 9, 10, 5, 0, 11] {
            assert_eq!(dropped.note(index), Timing::BeforeOutcome);
        }
        let mut found: Vec<u32> = dropped.settle().into_iter().flatten().collect();
        found.sort_unstable();
        assert_eq!(found, [0, 2, 3, 4, 5, 9, 10, 11]);
        assert_eq!(dropped.note(1), Timing::AfterOutcome);
        assert_eq!(dropped.note(40), Timing::AfterOutcome);
    }

    #[test]
    fn handles_dropped_in_order_need_no_list() {
        let dropped = Dropped::default();
        (0..100_000).for_each(|index| assert_eq!(dropped.note(index), Timing::BeforeOutcome));
        assert!(dropped.beside.lock().is_none());
        assert_eq!(dropped.settle(), vec![0..100_000]);
    }
}
