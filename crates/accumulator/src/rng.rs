//! Draws that follow from a seed.

use crate::sync::{AtomicU64, Ordering};

/// splitmix64, shared by threads: each draw advances a counter, whose hash is the answer.
#[derive(Debug)]
pub(crate) struct Draws(AtomicU64);

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    pub(crate) fn next(&self) -> u64 {
        let mut z = self.0.fetch_add(GOLDEN, Ordering::Relaxed).wrapping_add(GOLDEN);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        // The high half of the product: no division, and no bias worth the name at the bounds used here.
        let wide = u128::from(self.next()) * u128::from(bound);
        (wide >> 64) as u64
    }
}
