//! What a partition has a few of, by key.

/// A map for what belongs to batches: most partitions have one at a time, and there may be many partitions. It takes no more room than what is in it
/// does (a node of a `BTreeMap` has room for eleven), and once it has held something, the next batch of a quiet partition allocates nothing.
#[derive(Debug)]
pub(crate) struct Few<K, V> {
    /// By key.
    list: Vec<(K, V)>,
}

impl<K, V> Default for Few<K, V> {
    fn default() -> Self {
        Self { list: Vec::new() }
    }
}

/// Room that an empty map keeps.
const KEPT: usize = 8;

impl<K: Ord + Copy, V> Few<K, V> {
    fn place(&self, key: K) -> Result<usize, usize> {
        self.list.binary_search_by_key(&key, |(key, _)| *key)
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.place(*key).ok().map(|at| &self.list[at].1)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.place(*key).ok().map(|at| &mut self.list[at].1)
    }

    pub(crate) fn contains_key(&self, key: &K) -> bool {
        self.place(*key).is_ok()
    }

    /// What had this key before, if anything.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.place(key) {
            Ok(at) => Some(std::mem::replace(&mut self.list[at].1, value)),
            Err(at) => {
                if self.list.len() == self.list.capacity() {
                    // Not for four at once, as a `Vec` does.
                    self.list.reserve_exact(self.list.len().max(1));
                }
                self.list.insert(at, (key, value));
                None
            }
        }
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let (_, value) = self.list.remove(self.place(*key).ok()?);
        if self.list.is_empty() && self.list.capacity() > KEPT {
            self.list = Vec::new();
        }
        Some(value)
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn first_key(&self) -> Option<K> {
        self.list.first().map(|(key, _)| *key)
    }

    /// By key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        self.list.iter().map(|(key, value)| (*key, value))
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.list.iter().map(|(_, value)| value)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.list.iter_mut().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Whatever is done to it, a map of the standard library says the same.
    #[test]
    fn it_is_a_map_in_the_order_of_its_keys() {
        let (mut few, mut map) = (Few::default(), BTreeMap::new());
        let mut dice = 7_u32;
        for step in 0..2_000_u32 {
            dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // More is put in for a while, then more is taken out.
            let (key, put) = (dice >> 8 & 31, (dice >> 16 & 7) < if step / 200 % 2 == 0 { 6 } else { 2 });
            if put {
                assert_eq!(few.insert(key, step), map.insert(key, step));
            } else {
                assert_eq!(few.remove(&key), map.remove(&key));
            }
            assert!(few.iter().eq(map.iter().map(|(key, value)| (*key, value))));
            assert_eq!((few.first_key(), few.len()), (map.keys().next().copied(), map.len()));
            assert_eq!((few.get(&key), few.contains_key(&key)), (map.get(&key), map.contains_key(&key)));
            assert_eq!(few.get_mut(&key), map.get_mut(&key));
        }
    }
}
