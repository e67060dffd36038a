//! Values made up for tests: any seed gives one.

use bytes::Bytes;

use super::{Field, Version};

/// A small deterministic source of choices.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// splitmix64.
    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.number().is_multiple_of(n)
    }

    /// Up to 200 characters, so that its length sometimes takes two bytes of varint; some are not ASCII.
    pub(crate) fn text(&mut self) -> String {
        let longest = if self.one_in(8) { 200 } else { 12 };
        let length = self.number() % longest;
        (0..length).map(|_| ['a', 'z', '-', '.', 'é', '卡', '0'][self.index(7)]).collect()
    }

    pub(crate) fn bytes(&mut self) -> Bytes {
        (0..self.number() % 150).map(|_| self.number().to_be_bytes()[0]).collect()
    }

    pub(crate) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.number() % length as u64).expect("an index of a slice")
    }
}

/// What an array is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element {
    pub(crate) name: &'static str,
    /// What each takes here, in bytes, without what it points to.
    pub(crate) here: usize,
    /// The fewest bytes that each takes in a message.
    pub(crate) there: usize,
}

impl Element {
    /// `T`, and what arrays within it are made of.
    pub(super) fn of<T: Field>(version: Version, into: &mut Vec<Self>) {
        let name = std::any::type_name::<T>();
        let name = name.rsplit("::").next().unwrap_or(name);
        into.push(Self { name, here: size_of::<T>(), there: T::smallest(version) });
        T::elements(version, into);
    }
}
