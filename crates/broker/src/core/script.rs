//! Finds the scripted reaction to a request.

use bytes::Bytes;
use milena_wire::{ApiKey, BrokerId, Frame, PartitionId, TopicName};

use super::Core;
use super::request::{Meta, Request};
use crate::script::{Reaction, Rule};

/// Size prefix and correlation id, which a garbled answer keeps.
const FRAME_HEAD: usize = 8;

impl Core {
    pub(crate) fn add_rule(&mut self, rule: Rule) {
        self.script.push(rule);
    }

    pub(crate) fn clear_script(&mut self) {
        self.script.clear();
    }

    pub(crate) fn script_pending(&self) -> usize {
        self.script.len()
    }

    /// The rule that strikes a request as a whole, if one does.
    pub(super) fn strike(&mut self, node: BrokerId, meta: &Meta, request: &Request) -> Option<Rule> {
        if self.script.is_empty() {
            return None;
        }
        let is_produce = meta.api == ApiKey::PRODUCE;
        let names = self.topics_of(request);
        self.pull(|rule| {
            matches(rule, node, meta.api)
                && !(is_produce && is_per_partition(&rule.reaction))
                && rule.topic.as_ref().is_none_or(|topic| names.iter().any(|(name, _)| name == topic))
                // Metadata is asked of whole topics; the reaction limits itself to the partition.
                && (meta.api == ApiKey::METADATA || rule.partition.is_none_or(|partition| {
                    let meant = |name: &TopicName| rule.topic.as_ref().is_none_or(|topic| topic == name);
                    names.iter().any(|(name, parts)| meant(name) && parts.contains(&partition))
                }))
        })
    }

    /// The reaction to a request that names no topic and is not for the core.
    pub(crate) fn strike_api(&mut self, node: BrokerId, api: ApiKey) -> Option<Reaction> {
        let fits = |rule: &Rule| matches(rule, node, api) && rule.topic.is_none() && rule.partition.is_none();
        self.pull(fits).map(|rule| rule.reaction)
    }

    /// The reaction to one partition of a Produce request.
    pub(super) fn strike_partition(
        &mut self,
        node: BrokerId,
        topic: &TopicName,
        partition: PartitionId,
    ) -> Option<Reaction> {
        if self.script.is_empty() {
            return None;
        }
        self.pull(|rule| {
            matches(rule, node, ApiKey::PRODUCE)
                && is_per_partition(&rule.reaction)
                && rule.topic.as_ref().is_none_or(|name| name == topic)
                && rule.partition.is_none_or(|index| index == partition)
        })
        .map(|rule| rule.reaction)
    }

    /// Uses the first rule that fits once.
    fn pull(&mut self, fits: impl Fn(&Rule) -> bool) -> Option<Rule> {
        for i in 0..self.script.len() {
            let rule = &mut self.script[i];
            if !fits(rule) {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            let struck = rule.clone();
            if rule.times != u32::MAX {
                rule.times -= 1;
            }
            if rule.times == 0 {
                self.script.remove(i);
            }
            return Some(struck);
        }
        None
    }

    /// The topics a request names, and for Produce their partitions.
    fn topics_of(&self, request: &Request) -> Vec<(TopicName, Vec<PartitionId>)> {
        let named = |name: &TopicName, id| self.topic_named(name, id).map_or_else(|_| name.clone(), |t| t.name.clone());
        let alone = |name: TopicName| (name, Vec::new());
        match request {
            Request::Produce(request) => {
                let topics = request.topics.iter();
                topics.map(|t| (named(&t.name, t.id), t.partitions.iter().map(|(index, _)| *index).collect())).collect()
            }
            Request::Fetch(request) => {
                let topics = request.topics.iter();
                topics.map(|t| (named(&t.name, t.id), t.partitions.iter().map(|p| p.index).collect())).collect()
            }
            Request::ListOffsets(request) => {
                let topics = request.topics.iter();
                topics.map(|t| (t.name.clone(), t.partitions.iter().map(|p| p.index).collect())).collect()
            }
            Request::Metadata(request) => {
                let topics = request.topics.iter().flatten().filter_map(|topic| topic.name.clone());
                topics.map(alone).collect()
            }
            Request::CreateTopics(request) => request.topics.iter().map(|t| alone(t.name.clone())).collect(),
            Request::CreatePartitions(request) => request.topics.iter().map(|t| alone(t.name.clone())).collect(),
            Request::DeleteTopics(request) => {
                let topics = request.topics.iter().filter_map(|topic| topic.name.clone());
                topics.chain(request.names.iter().cloned()).map(alone).collect()
            }
            _ => Vec::new(),
        }
    }
}

fn matches(rule: &Rule, node: BrokerId, api: ApiKey) -> bool {
    rule.api.is_none_or(|key| key == api) && rule.node.is_none_or(|id| id == node)
}

fn is_per_partition(reaction: &Reaction) -> bool {
    matches!(reaction, Reaction::Error(_) | Reaction::ErrorAfterAppend(_) | Reaction::Omit)
}

/// The frame with its size and correlation id kept and all else made nonsense.
pub(crate) fn garbled(frame: &Frame) -> Frame {
    let mut bytes = frame.to_vec();
    for byte in bytes.iter_mut().skip(FRAME_HEAD) {
        *byte = 0xff; // counts of -1 that are not allowed, strings that run past the end
    }
    let mut frame = Frame::with_capacity(1);
    frame.push(Bytes::from(bytes));
    frame
}
