//! Keyless records stay on one partition for a while, so that batches fill (KIP-480, KIP-794).
//!
//! A thread has its own choice per topic: two threads that write to one partition slow each other down more than they gain by
//! filling a batch together.

use std::cell::Cell;

use crate::queue::PartitionQueue;
use crate::rng::Draws;
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use crate::topic::Topic;

/// Threads beyond this many share choices.
const SLOTS: u8 = 8;

/// The choices of one topic.
#[derive(Debug)]
pub(crate) struct Sticky {
    /// Of no use to a topic that has one partition or none, and much beside all else that is kept of it: then there are none.
    slots: Box<[Slot]>,
    draws: Draws,
    /// For the round robin.
    turn: AtomicU32,
}

/// One thread's choice: partition + 1 in the high half (0 is none), bytes since it was chosen in the low half.
///
/// Read and written without read-modify-write: when threads share a slot some bytes may go uncounted, and nothing depends on them.
/// Padded so that threads do not share a cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Slot(AtomicU64);

/// A choice that was made for one record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    pub(crate) slot: u8,
    pub(crate) partition: u32,
    pub(crate) produced: u32,
}

impl Sticky {
    /// For a topic of so many partitions; one [for more](Self::is_for) than one does for any number.
    pub(crate) fn new(seed: u64, partitions: usize) -> Self {
        let slots = if partitions > 1 { SLOTS } else { 0 };
        Self { slots: (0..slots).map(|_| Slot::default()).collect(), draws: Draws::new(seed), turn: AtomicU32::new(0) }
    }

    pub(crate) fn is_for(&self, partitions: usize) -> bool {
        partitions <= 1 || !self.slots.is_empty()
    }

    pub(crate) fn turn(&self) -> u32 {
        self.turn.fetch_add(1, Ordering::Relaxed) & 0x7fff_ffff
    }

    pub(crate) fn draws(&self) -> &Draws {
        &self.draws
    }

    /// This thread's partition for `topic`.
    #[inline]
    pub(crate) fn choose(&self, topic: &Topic) -> Choice {
        let slot = slot_of_thread();
        let Some(Slot(word)) = self.slots.get(usize::from(slot)) else {
            return Choice { slot, partition: 0, produced: 0 };
        };
        let word = word.load(Ordering::Relaxed);
        #[expect(clippy::cast_possible_truncation, reason = "the two halves of the word")]
        let (partition, produced) = ((word >> 32) as u32, word as u32);
        // A recreated topic may have fewer partitions.
        if partition == 0 || partition as usize > topic.queues.len() {
            return self.choose_again(slot, topic);
        }
        Choice { slot, partition: partition - 1, produced }
    }

    /// Another partition for this thread, possibly the same.
    #[cold]
    fn choose_again(&self, slot: u8, topic: &Topic) -> Choice {
        let partition = self.draw(topic);
        if let Some(Slot(word)) = self.slots.get(usize::from(slot)) {
            word.store(u64::from(partition + 1) << 32, Ordering::Relaxed);
        }
        Choice { slot, partition, produced: 0 }
    }

    /// Before a record: whether the choice has had its bytes, so that this is the moment to move on if a batch ends here anyway.
    #[inline]
    pub(crate) fn is_due(choice: Choice, quantum: usize) -> bool {
        // At least 1: else a choice would be due as soon as it is made, and again and again.
        choice.produced as usize >= quantum.max(1)
    }

    pub(crate) fn move_on(&self, choice: Choice, topic: &Topic) -> Choice {
        self.choose_again(choice.slot, topic)
    }

    /// After a record of `bytes`: moves on once the choice has had twice its bytes, whatever the batch.
    #[inline]
    pub(crate) fn used(&self, choice: Choice, bytes: usize, quantum: usize, topic: &Topic) {
        let Some(Slot(word)) = self.slots.get(usize::from(choice.slot)) else { return };
        let produced = (choice.produced as usize).saturating_add(bytes);
        if produced >= quantum.saturating_mul(2) {
            self.choose_again(choice.slot, topic);
        } else {
            let used = u64::from(choice.partition + 1) << 32 | u64::from(u32::try_from(produced).unwrap_or(u32::MAX));
            word.store(used, Ordering::Relaxed);
        }
    }

    /// A partition: among those with a leader, if any, and the rather the shorter its queue.
    fn draw(&self, topic: &Topic) -> u32 {
        let count = topic.queues.len() as u64;
        let drawn = if topic.with_leader.is_empty() {
            self.draws.below(count)
        } else if !topic.is_adaptive() {
            topic.leader_at(self.draws.below(topic.with_leader.len() as u64))
        } else {
            let loads = topic.with_leader.iter().filter_map(|id| topic.queue_of(*id)).map(|queue| load_of(queue));
            let index = pick(&loads, |total| self.draws.below(total));
            topic.leader_at(index)
        };
        u32::try_from(drawn).unwrap_or(0)
    }
}

fn load_of(queue: &PartitionQueue) -> u32 {
    queue.load()
}

/// Index of one of `loads`, weighted by `max + 1 - load` (KIP-794). `draw` gives a number below its argument.
///
/// Twice over the loads, which may change in between: what comes out is an index in any case.
fn pick(loads: &(impl Iterator<Item = u32> + Clone), draw: impl FnOnce(u64) -> u64) -> u64 {
    let (mut count, mut sum, mut most) = (0u64, 0u64, 0u64);
    for load in loads.clone() {
        count += 1;
        sum += u64::from(load);
        most = most.max(load.into());
    }
    if count == 0 {
        return 0;
    }
    let mut left = draw((most + 1) * count - sum);
    for (index, load) in (0..).zip(loads.clone()) {
        let weight = (most + 1).saturating_sub(load.into());
        if left < weight {
            return index;
        }
        left -= weight;
    }
    count - 1
}

#[inline]
fn slot_of_thread() -> u8 {
    use std::sync::atomic::{AtomicU8, Ordering};
    static NEXT: AtomicU8 = AtomicU8::new(0);
    thread_local! {
        static SLOT: Cell<u8> = const { Cell::new(u8::MAX) };
    }
    SLOT.with(|slot| {
        if slot.get() == u8::MAX {
            slot.set(NEXT.fetch_add(1, Ordering::Relaxed) % SLOTS);
        }
        slot.get()
    })
}

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests {
    use super::*;

    /// How often each index comes out over all draws.
    fn frequencies(loads: &[u32]) -> Vec<u64> {
        let mut seen = vec![0; loads.len()];
        let mut total = u64::MAX;
        let mut x = 0;
        while x < total {
            let index = pick(&loads.iter().copied(), |bound| {
                total = bound;
                x
            });
            seen[usize::try_from(index).unwrap()] += 1;
            x += 1;
        }
        seen
    }

    #[test]
    fn shorter_queues_are_drawn_more_often_as_java_weighs_them() {
        assert_eq!(frequencies(&[0, 3, 1]), [4, 1, 3]);
        assert_eq!(frequencies(&[5, 0, 3, 0, 1]), [1, 6, 3, 6, 5]);
        assert_eq!(frequencies(&[1, 7, 2]), [7, 1, 6]);
    }

    #[test]
    fn equal_queues_are_drawn_equally_often() {
        assert_eq!(frequencies(&[4, 4, 4]), [1, 1, 1]);
        assert_eq!(frequencies(&[0]), [1]);
    }

    #[test]
    fn the_draw_at_each_border_falls_on_the_right_side() {
        let at = |x| pick(&[0, 3, 1].into_iter(), |_| x);
        assert_eq!([0, 3, 4, 5, 7].map(at), [0, 0, 1, 2, 2]);
    }
}
