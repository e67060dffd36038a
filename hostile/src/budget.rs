//! What reading something may cost in memory, held against what the allocator counts.

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

/// Whoever links this crate counts. The counts are of the whole process, so one thing runs at a time.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// A bound on all that is asked of the allocator, given back or not, so that it bounds the peak as well.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// For each byte that came in.
    pub(crate) per_byte: usize,
    /// Whatever came in.
    pub(crate) at_least: usize,
}

impl Budget {
    /// Does `work`, which was given `len` bytes.
    ///
    /// # Panics
    ///
    /// When the work asked for more than it may.
    pub(crate) fn hold<R>(self, what: &str, len: usize, work: impl FnOnce() -> R) -> R {
        let region = Region::new(ALLOCATOR);
        let result = work();
        let stats = region.change();
        // What a reallocation grew by is in both: the block may have to move, and then for a moment there are two of it.
        let asked = stats.bytes_allocated + usize::try_from(stats.bytes_reallocated.max(0)).unwrap_or(0);
        let allowed = self.at_least + self.per_byte * len;
        assert!(asked <= allowed, "{what}: {asked} bytes asked for {len} that came, and {allowed} allowed");
        result
    }
}
