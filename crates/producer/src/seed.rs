//! Randomness for jitter and sticky choices, drawn once per producer: the deciding crates have none of their own.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// A number that differs between producers and runs.
pub(crate) fn from_process() -> u64 {
    // The standard library seeds each RandomState from the operating system's randomness.
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_producers_do_not_share_their_jitter() {
        assert_ne!(super::from_process(), super::from_process());
    }
}
