//! Topics by name.

use std::sync::Arc;

use milena_wire::TopicName;

use crate::queue::PartitionQueue;
use crate::topic::Topic;

/// A hash table that is never iterated in hash order: its entries are in order of arrival, so that runs repeat.
#[derive(Debug, Default)]
pub(crate) struct Table {
    entries: Vec<TopicEntry>,
    /// Number of an entry + 1, at or after its hash; 0 is free. A power of two long, and at most half full.
    index: Vec<usize>,
}

#[derive(Debug)]
pub(crate) struct TopicEntry {
    /// The topic's, here as well: who looks for it by name has one cache line less to wait for.
    name: TopicName,
    pub(crate) topic: Arc<Topic>,
    /// All queues ever made for the topic, by partition: a partition that vanished may come back.
    pub(crate) queues: Vec<Arc<PartitionQueue>>,
}

impl Table {
    pub(crate) fn get(&self, name: &str) -> Option<&TopicEntry> {
        self.find(name).map(|entry| &self.entries[entry])
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut TopicEntry> {
        self.find(name).map(|entry| &mut self.entries[entry])
    }

    /// Adds a topic that is not there.
    pub(crate) fn add(&mut self, topic: Arc<Topic>) -> &mut TopicEntry {
        self.entries.push(TopicEntry { name: topic.name.clone(), topic, queues: Vec::new() });
        if self.entries.len() * 2 > self.index.len() {
            self.index = vec![0; (self.entries.len() * 4).next_power_of_two()];
            (0..self.entries.len()).for_each(|entry| self.place(entry));
        } else {
            self.place(self.entries.len() - 1);
        }
        let last = self.entries.len() - 1;
        &mut self.entries[last]
    }

    /// In order of arrival.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &TopicEntry> {
        self.entries.iter()
    }

    fn find(&self, name: &str) -> Option<usize> {
        if self.index.is_empty() {
            return None;
        }
        let mask = self.index.len() - 1;
        let mut at = slot(name, mask);
        loop {
            let entry = self.index[at].checked_sub(1)?;
            if self.entries[entry].name.as_str() == name {
                return Some(entry);
            }
            at = (at + 1) & mask;
        }
    }

    fn place(&mut self, entry: usize) {
        let mask = self.index.len() - 1;
        let mut at = slot(self.entries[entry].name.as_str(), mask);
        while self.index[at] != 0 {
            at = (at + 1) & mask;
        }
        self.index[at] = entry + 1;
    }
}

fn slot(name: &str, mask: usize) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "the mask takes low bits only")]
    let hash = hash(name) as usize;
    hash & mask
}

/// Eight bytes at a time; names are the program's own, so nobody chooses them to collide.
pub(crate) fn hash(name: &str) -> u64 {
    const K: u64 = 0xf135_7aea_2e62_a9c5;
    let mut hash = name.len() as u64;
    for chunk in name.as_bytes().chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = (hash.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(K);
    }
    hash ^ (hash >> 32)
}
