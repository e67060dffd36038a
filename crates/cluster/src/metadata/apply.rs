//! What one answer changes about one topic. Pure: (what was known, what is told) to what is known.
//!
//! A broker may lag behind, so an answer that takes something back is believed only when several in a row say the
//! same ([`CONSISTENT_ANSWERS`]): refusing for ever would strand a client whose cluster really lost it.

use std::collections::BTreeMap;

use milena_wire::message::metadata::{MetadataPartition, MetadataTopic};
use milena_wire::{ApiVersion, BrokerId, ErrorCode, LeaderEpoch, PartitionId, Timestamp, TopicId};

use super::topics::{Absence, CONSISTENT_ANSWERS, Doubt, Known, Status, Topic};
use crate::topology::{PartitionInfo, TopicInfo};

/// The first version of Metadata whose leader epochs can be relied on (Kafka 2.4).
const RELIABLE_EPOCHS: i16 = 9;

/// How many partitions beyond twice what an answer lists its indexes may reach. A topic has no gaps, but an answer
/// may leave some out; an index far beyond is nonsense that would cost memory.
const INDEX_SLACK: usize = 64;

/// Ids of a topic's predecessors that are remembered.
const FORMER_IDS: usize = 4;

/// What an answer says about a topic.
#[derive(Clone, Debug)]
pub(crate) enum Told<'a> {
    /// The topic was asked for, and left out.
    Nothing,
    Absent(ErrorCode),
    Refused(ErrorCode),
    Exists {
        id: TopicId,
        partitions: &'a [MetadataPartition],
        reliable: bool,
    },
}

impl<'a> Told<'a> {
    pub(crate) fn of(topic: &'a MetadataTopic, version: ApiVersion) -> Self {
        match topic.error {
            ErrorCode::NONE if !topic.partitions.iter().any(|p| index(p.index, limit(&topic.partitions)).is_some()) => {
                Self::Absent(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
            }
            ErrorCode::NONE => {
                Self::Exists { id: topic.id, partitions: &topic.partitions, reliable: version.0 >= RELIABLE_EPOCHS }
            }
            code @ (ErrorCode::INVALID_TOPIC_EXCEPTION | ErrorCode::TOPIC_AUTHORIZATION_FAILED) => Self::Refused(code),
            code => Self::Absent(code),
        }
    }
}

/// What came of an answer about a topic.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Verdict {
    /// Something is known differently; the refresh backoff starts over.
    pub(crate) news: bool,
    /// Something that the owner can see changed.
    pub(crate) changed: bool,
    /// The topic is to be asked for again: something is missing or doubtful.
    pub(crate) again: bool,
    /// The broker that answered knows less than is known here.
    pub(crate) stale: bool,
}

/// Takes an answer in.
pub(crate) fn apply(now: Timestamp, topic: &mut Topic, told: &Told<'_>) -> Verdict {
    match *told {
        Told::Nothing => absent(now, topic, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        Told::Absent(code) => absent(now, topic, code),
        Told::Refused(code) => {
            let changed = topic.status != Status::Failed { code };
            topic.status = Status::Failed { code };
            Verdict { news: changed, changed, ..Verdict::default() }
        }
        Told::Exists { id, partitions, reliable } => exists(topic, id, partitions, reliable),
    }
}

fn absent(now: Timestamp, topic: &mut Topic, code: ErrorCode) -> Verdict {
    let (before, present) = match topic.status {
        Status::Present { doubted } => (doubted, true),
        Status::Missing(absence) => (Some(absence), false),
        Status::Asking | Status::Failed { .. } => (None, false),
    };
    let absence = Absence {
        code,
        first_answer: before.map_or(now, |before| before.first_answer),
        answers: before.map_or(0, |before| before.answers).saturating_add(1),
    };
    if present && absence.answers < CONSISTENT_ANSWERS {
        topic.status = Status::Present { doubted: Some(absence) };
        return Verdict { again: true, ..Verdict::default() };
    }
    let news = !matches!(topic.status, Status::Missing(_));
    topic.status = Status::Missing(absence);
    // The owner counts answers, so each is a change to it, but none is news.
    Verdict { news, changed: true, again: true, stale: false }
}

fn exists(topic: &mut Topic, id: TopicId, told: &[MetadataPartition], reliable: bool) -> Verdict {
    let appeared = !matches!(topic.status, Status::Present { .. });
    if let Some(known) = topic.known.as_mut()
        && known.former.contains(&id)
        && known.reverting + 1 < CONSISTENT_ANSWERS
    {
        // A broker that has not heard of the recreation yet. That the topic exists is true all the same.
        known.reverting += 1;
        topic.status = Status::Present { doubted: None };
        return Verdict { news: appeared, changed: appeared, again: true, stale: true };
    }
    let before = topic.known.take();
    let recreated =
        before.as_ref().is_some_and(|known| !id.is_zero() && !known.info.id.is_zero() && known.info.id != id);
    let mut known = Known {
        // A broker too old to tell ids does not take the known one back.
        info: TopicInfo { id, partitions: Vec::new() },
        doubts: BTreeMap::new(),
        hinted: BTreeMap::new(),
        former: Vec::new(),
        reverting: 0,
    };
    let old = match &before {
        Some(old) if recreated => {
            known.former.clone_from(&old.former);
            known.former.push(old.info.id);
            known.former.retain(|former| *former != id);
            let surplus = known.former.len().saturating_sub(FORMER_IDS);
            known.former.drain(..surplus);
            None
        }
        Some(old) => {
            known.former.clone_from(&old.former);
            known.hinted.clone_from(&old.hinted);
            if id.is_zero() {
                known.info.id = old.info.id;
            }
            Some(old)
        }
        None => None,
    };
    let stale = merge(&mut known, old, told, reliable);
    let changed = appeared || before.is_none_or(|before| before.info != known.info);
    let again =
        stale || known.info.partitions.iter().any(|partition| partition.leader.is_none() || partition.omitted > 0);
    topic.known = Some(known);
    topic.status = Status::Present { doubted: None };
    Verdict { news: changed, changed, again, stale }
}

/// Below what an answer's indexes have to be.
fn limit(told: &[MetadataPartition]) -> usize {
    told.len() * 2 + INDEX_SLACK
}

fn index(partition: PartitionId, limit: usize) -> Option<usize> {
    usize::try_from(partition.0).ok().filter(|index| *index < limit)
}

/// Fills `known` with partitions from what was known and what is told. Whether the answer was behind.
fn merge(known: &mut Known, old: Option<&Known>, told: &[MetadataPartition], reliable: bool) -> bool {
    let before = old.map_or(&[][..], |old| &old.info.partitions);
    let limit = limit(told).max(before.len());
    let mut by_index: BTreeMap<usize, &MetadataPartition> = BTreeMap::new();
    for partition in told {
        if let Some(index) = index(partition.index, limit) {
            by_index.entry(index).or_insert(partition);
        }
    }
    let count = by_index.last_key_value().map_or(0, |(last, _)| last + 1).max(before.len());
    let mut stale = false;
    for index in 0..count {
        let old_doubt = old.and_then(|old| old.doubts.get(&index)).copied();
        let partition = match (by_index.get(&index), before.get(index)) {
            (Some(new), before) => {
                let (partition, doubt) = merge_partition(before, old_doubt, new, reliable);
                if let Some(doubt) = doubt {
                    known.doubts.insert(index, doubt);
                    stale = true;
                }
                partition
            }
            (None, Some(before)) => omitted(before),
            (None, None) => PartitionInfo {
                leader: None,
                epoch: LeaderEpoch::UNKNOWN,
                code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                omitted: 1,
            },
        };
        known.info.partitions.push(partition);
    }
    let gone = |partition: &PartitionInfo| partition.omitted >= CONSISTENT_ANSWERS;
    while known.info.partitions.len() > 1 && known.info.partitions.last().is_some_and(gone) {
        known.info.partitions.pop();
    }
    stale
}

fn omitted(before: &PartitionInfo) -> PartitionInfo {
    let omitted = before.omitted.saturating_add(1).min(CONSISTENT_ANSWERS);
    if omitted < CONSISTENT_ANSWERS {
        return PartitionInfo { omitted, ..*before };
    }
    PartitionInfo { leader: None, code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, omitted, ..*before }
}

/// One partition, and whether what is told is held back as doubtful.
fn merge_partition(
    before: Option<&PartitionInfo>,
    doubt: Option<Doubt>,
    told: &MetadataPartition,
    reliable: bool,
) -> (PartitionInfo, Option<Doubt>) {
    let leader = Some(told.leader).filter(|leader| *leader >= BrokerId(0));
    let epoch = if reliable { told.leader_epoch.max(LeaderEpoch::UNKNOWN) } else { LeaderEpoch::UNKNOWN };
    let new = PartitionInfo { leader, epoch, code: told.error, omitted: 0 };
    let Some(before) = before.filter(|before| epoch != LeaderEpoch::UNKNOWN && epoch < before.epoch) else {
        return (new, None);
    };
    // Consistent: the same leadership, or one that moves on from there.
    let consistent = doubt.filter(|doubt| (doubt.epoch, doubt.leader) == (epoch, leader) || doubt.epoch < epoch);
    let answers = consistent.map_or(0, |doubt| doubt.answers) + 1;
    if answers >= CONSISTENT_ANSWERS {
        return (new, None);
    }
    (PartitionInfo { omitted: 0, ..*before }, Some(Doubt { epoch, leader, answers }))
}

#[cfg(test)]
mod tests;
