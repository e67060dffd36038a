//! How much memory was lately used at once: more than that need not be kept for later.

/// The most that was used at once while what was taken last came to [`SPAN`] times the memory, and while as much before that was taken.
#[derive(Debug, Default)]
pub(crate) struct Lately {
    now: usize,
    before: usize,
    /// Bytes taken since `before`.
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

    /// So much of the memory, which has `limit` bytes, was taken, and makes it `used`.
    pub(crate) fn took(&mut self, bytes: usize, used: usize, limit: usize) {
        self.taken = self.taken.saturating_add(bytes);
        if self.taken >= limit.saturating_mul(SPAN) {
            *self = Self { now: used, before: self.now, taken: 0 };
        }
    }

    pub(crate) fn most(&self) -> usize {
        self.now.max(self.before)
    }
}
