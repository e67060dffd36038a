//! A set of slots.

/// Slots are small numbers, and most of them may be in it at once: a flag for each costs less than a tree does.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    flags: Vec<bool>,
    len: usize,
}

impl Slots {
    pub(crate) fn insert(&mut self, slot: usize) {
        if slot >= self.flags.len() {
            self.flags.resize(slot + 1, false);
        }
        self.len += usize::from(!self.flags[slot]);
        self.flags[slot] = true;
    }

    pub(crate) fn remove(&mut self, slot: usize) {
        if let Some(flag) = self.flags.get_mut(slot) {
            self.len -= usize::from(*flag);
            *flag = false;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// In ascending order. Looks at every flag.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        self.flags.iter().enumerate().filter(|(_, flag)| **flag).map(|(slot, _)| slot)
    }

    /// As [`iter`](Self::iter), for loops that change the set.
    pub(crate) fn list(&self) -> Vec<usize> {
        let mut list = Vec::with_capacity(self.len);
        list.extend(self.iter());
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Whatever is done to it, a set of the standard library says the same.
    #[test]
    fn it_is_a_set_in_ascending_order() {
        let (mut slots, mut set) = (Slots::default(), BTreeSet::new());
        let mut dice = 7_u32;
        for _ in 0..2_000 {
            dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let slot = (dice >> 8 & 7) as usize;
            if dice >> 16 & 1 == 0 {
                slots.insert(slot);
                set.insert(slot);
            } else {
                slots.remove(slot);
                set.remove(&slot);
            }
            assert!(slots.iter().eq(set.iter().copied()));
            assert_eq!((slots.list(), slots.is_empty()), (set.iter().copied().collect(), set.is_empty()));
        }
    }
}
