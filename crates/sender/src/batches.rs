//! The batches of one partition, by key.

use milena_sequence::BatchKey;

use crate::partition::Batch;

/// A map for a few batches: most partitions have one at a time, and there may be many partitions. It takes no more room than the batches do
/// (a node of a `BTreeMap` has room for eleven), and once it has held a batch, the next one of a quiet partition allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct Batches {
    /// By key.
    list: Vec<(BatchKey, Batch)>,
}

/// Room that an empty map keeps.
const KEPT: usize = 8;

impl Batches {
    fn place(&self, key: BatchKey) -> Result<usize, usize> {
        self.list.binary_search_by_key(&key, |(key, _)| *key)
    }

    pub(crate) fn get(&self, key: &BatchKey) -> Option<&Batch> {
        self.place(*key).ok().map(|at| &self.list[at].1)
    }

    pub(crate) fn get_mut(&mut self, key: &BatchKey) -> Option<&mut Batch> {
        self.place(*key).ok().map(|at| &mut self.list[at].1)
    }

    pub(crate) fn contains_key(&self, key: &BatchKey) -> bool {
        self.place(*key).is_ok()
    }

    /// The batch that had this key before, if any.
    pub(crate) fn insert(&mut self, key: BatchKey, batch: Batch) -> Option<Batch> {
        match self.place(key) {
            Ok(at) => Some(std::mem::replace(&mut self.list[at].1, batch)),
            Err(at) => {
                if self.list.len() == self.list.capacity() {
                    // Not for four at once, as a `Vec` does.
                    self.list.reserve_exact(self.list.len().max(1));
                }
                self.list.insert(at, (key, batch));
                None
            }
        }
    }

    pub(crate) fn remove(&mut self, key: &BatchKey) -> Option<Batch> {
        let (_, batch) = self.list.remove(self.place(*key).ok()?);
        if self.list.is_empty() && self.list.capacity() > KEPT {
            self.list = Vec::new();
        }
        Some(batch)
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &Batch> {
        self.list.iter().map(|(_, batch)| batch)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Batch> {
        self.list.iter_mut().map(|(_, batch)| batch)
    }
}
