//! How much memory was lately used at once: more than that need not be kept for later.

/// The most that was used at once while the last chunks were taken, of [`SPAN`] times the memory in all, and up to as many before them.
#[derive(Debug, Default)]
pub(crate) struct Lately {
    now: usize,
    before: usize,
    /// Bytes taken.
    taken: usize,
}

/// Counted in bytes and not in time, so that a producer that pauses finds its memory warm. With many partitions a shorter span is not enough
/// for each of them to have had its turn.
const SPAN: usize = 4;

impl Lately {
    /// So much is used at this moment.
    pub(crate) fn saw(&mut self, used: usize) {
        self.now = self.now.max(used);
    }

    /// A chunk of `capacity` was taken, of a memory of `limit` bytes.
    pub(crate) fn took(&mut self, capacity: usize, limit: usize) {
        self.taken = self.taken.saturating_add(capacity);
        if self.taken / SPAN >= limit {
            *self = Self { now: 0, before: self.now, taken: 0 };
        }
    }

    pub(crate) fn most(&self) -> usize {
        self.now.max(self.before)
    }
}
