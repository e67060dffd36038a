//! One partition: who leads it, what is on its log, and how far the copies are.

use std::collections::{BTreeMap, BTreeSet};

use milena_wire::{BrokerId, ErrorCode, LeaderEpoch, Offset, TimestampType};

use super::check::{self, Batch};
use super::log::Log;
use super::producers::{Producers, Sequenced};
use super::refusal::Refusal;
use super::topic::TopicConfig;
use super::wait::Ticket;
use crate::profile::Profile;

/// A partition whose replicas hold one log, each up to its own end.
pub(crate) struct Partition {
    pub(crate) leader: Option<BrokerId>,
    pub(crate) epoch: LeaderEpoch,
    /// The preferred leader first.
    pub(crate) replicas: Vec<BrokerId>,
    /// In the order of `replicas`. Never empty: the last one stays even when it is down.
    pub(crate) isr: Vec<BrokerId>,
    pub(crate) log: Log,
    pub(crate) producers: Producers,
    /// How far every replica but the leader has copied.
    ends: BTreeMap<BrokerId, i64>,
    high_watermark: i64,
    /// Each leader epoch that wrote something, and where it began.
    epochs: Vec<(LeaderEpoch, Offset)>,
    /// Requests that may go on when the high watermark or the leader changes.
    pub(crate) waiting: BTreeSet<Ticket>,
}

/// Where a batch is now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Appended {
    pub(crate) base_offset: Offset,
    /// Behind its last record: what the high watermark has to reach.
    pub(crate) end: Offset,
    pub(crate) log_append_time_ms: i64,
    /// False for a duplicate.
    pub(crate) is_new: bool,
}

impl Partition {
    pub(crate) fn new(
        replicas: Vec<BrokerId>,
        log: Log,
        producers: Producers,
        epochs: Vec<(LeaderEpoch, Offset)>,
    ) -> Self {
        let end = log.end().0;
        let ends = replicas.iter().map(|node| (*node, end)).collect();
        // A log that was there before gets a leader with a new epoch, as after any restart.
        let epoch = epochs.last().map_or(LeaderEpoch(0), |(epoch, _)| LeaderEpoch(epoch.0 + 1));
        Self {
            leader: None,
            epoch,
            isr: replicas.clone(),
            replicas,
            log,
            producers,
            ends,
            high_watermark: end,
            epochs,
            waiting: BTreeSet::new(),
        }
    }

    pub(crate) fn high_watermark(&self) -> Offset {
        Offset(self.high_watermark)
    }

    /// Checks a batch in Kafka's order, and appends it unless it is refused or there already.
    pub(crate) fn append(
        &mut self,
        batch: &Batch,
        config: &TopicConfig,
        profile: Profile,
        wall_ms: i64,
    ) -> Result<Appended, Refusal> {
        if batch.header.base_offset.0 != 0 {
            let message = format!("base offset {} instead of 0", batch.header.base_offset);
            return Err(Refusal::new(ErrorCode::INVALID_RECORD, message));
        }
        let size = batch.bytes.len();
        if size > config.max_message_bytes {
            let message = format!("batch of {size} bytes, max.message.bytes is {}", config.max_message_bytes);
            return Err(Refusal::new(ErrorCode::MESSAGE_TOO_LARGE, message));
        }
        let content = batch.content.clone()?;
        if config.compacted && content.has_null_key {
            let refusal = Refusal::new(ErrorCode::INVALID_RECORD, "One or more records have been rejected");
            return Err(refusal.with_records(check::keyless(batch)));
        }
        config.check_timestamps(&batch.header, wall_ms)?;
        if size > config.segment_bytes {
            let message = format!("batch of {size} bytes, segment.bytes is {}", config.segment_bytes);
            return Err(Refusal::new(ErrorCode::RECORD_LIST_TOO_LARGE, message));
        }
        match self.producers.judge(&batch.header, profile) {
            Sequenced::Next => self.write(batch, config, wall_ms),
            Sequenced::Duplicate(there) => Ok(Appended {
                base_offset: there.base_offset,
                end: Offset(there.last_offset.0 + 1),
                log_append_time_ms: there.log_append_time_ms,
                is_new: false,
            }),
            Sequenced::Refused(refusal) => Err(refusal),
        }
    }

    fn write(&mut self, batch: &Batch, config: &TopicConfig, wall_ms: i64) -> Result<Appended, Refusal> {
        let base_offset = self.log.end();
        let payload = batch.payload();
        let mut header = batch.header;
        let mut raw = batch.raw_header();
        let mut log_append_time_ms = -1;
        if config.log_append_time {
            header.attributes = header.attributes.with_timestamp_type(TimestampType::LogAppendTime);
            header.max_timestamp = wall_ms;
            raw = header.encode(std::slice::from_ref(&payload));
            log_append_time_ms = wall_ms;
        }
        header.base_offset = base_offset;
        header.leader_epoch = self.epoch;
        milena_log::place(&mut raw, base_offset, self.epoch);
        self.log
            .append(header, raw, payload)
            .map_err(|error| Refusal::new(ErrorCode::KAFKA_STORAGE_ERROR, error.to_string()))?;
        if self.epochs.last().is_none_or(|(epoch, _)| *epoch < self.epoch) {
            self.epochs.push((self.epoch, base_offset));
        }
        self.producers.remember(&header, base_offset, log_append_time_ms, self.stable());
        Ok(Appended { base_offset, end: self.log.end(), log_append_time_ms, is_new: true })
    }

    /// What every replica has.
    fn stable(&self) -> Offset {
        let followers = self.ends.iter().filter(|(node, _)| Some(**node) != self.leader);
        Offset(followers.map(|(_, end)| *end).min().unwrap_or_else(|| self.log.end().0))
    }

    /// Followers that `is_live` have copied everything before `end`. Tells whether the high watermark rose.
    pub(crate) fn copied(&mut self, end: Offset, is_live: impl Fn(BrokerId) -> bool) -> bool {
        let reached = end.0.min(self.log.end().0);
        for node in &self.replicas {
            if Some(*node) == self.leader || !is_live(*node) {
                continue;
            }
            let at = self.ends.entry(*node).or_insert(0);
            *at = reached.max(*at);
            // Back in sync once it has what readers may have seen.
            if *at >= self.high_watermark && !self.isr.contains(node) {
                self.isr.push(*node);
            }
        }
        self.advance()
    }

    /// Raises the high watermark to what all in-sync replicas have. Tells whether it rose.
    pub(crate) fn advance(&mut self) -> bool {
        if self.leader.is_none() {
            return false;
        }
        let end = self.log.end().0;
        let followers = self.isr.iter().filter(|node| Some(**node) != self.leader);
        let reached = followers.map(|node| self.ends.get(node).copied().unwrap_or(0)).min().unwrap_or(end);
        let rose = reached > self.high_watermark;
        self.high_watermark = self.high_watermark.max(reached);
        rose
    }

    /// Takes a replica out of the in-sync set, unless it is the last one in it.
    pub(crate) fn shrink(&mut self, node: BrokerId) -> bool {
        if self.isr.len() > 1 {
            self.isr.retain(|n| *n != node);
        }
        self.advance()
    }

    /// Whether a follower has less than the leader.
    pub(crate) fn lags(&self, node: BrokerId) -> bool {
        Some(node) != self.leader && self.ends.get(&node).is_some_and(|end| *end < self.log.end().0)
    }

    /// Gives the partition a leader, or none. The log becomes what the new leader has of it.
    pub(crate) fn elect(&mut self, leader: Option<BrokerId>) -> Result<(), Refusal> {
        if let Some(old) = self.leader {
            self.ends.insert(old, self.log.end().0);
        }
        if let Some(new) = leader {
            let end = Offset(self.ends.get(&new).copied().unwrap_or_else(|| self.log.end().0));
            self.log.truncate(end).map_err(|error| Refusal::new(ErrorCode::KAFKA_STORAGE_ERROR, error.to_string()))?;
            self.producers.truncate(end);
            self.epochs.retain(|(_, start)| *start < end);
            for at in self.ends.values_mut() {
                *at = end.0.min(*at);
            }
            self.high_watermark = self.high_watermark.min(end.0);
            if !self.isr.contains(&new) {
                // An unclean election: nobody else can be in sync with it.
                self.isr = vec![new];
            }
        }
        self.leader = leader;
        self.epoch = LeaderEpoch(self.epoch.0 + 1);
        self.advance();
        Ok(())
    }

    /// Replaces the leader by a node that was no replica and has all of the log.
    pub(crate) fn reassign(&mut self, to: BrokerId) {
        let end = self.log.end().0;
        let old = self.leader.or_else(|| self.replicas.first().copied());
        for set in [&mut self.replicas, &mut self.isr] {
            match set.iter_mut().find(|node| Some(**node) == old) {
                Some(node) => *node = to,
                None => set.push(to),
            }
        }
        if let Some(old) = old {
            self.ends.remove(&old);
        }
        self.ends.insert(to, end);
        self.leader = None;
    }

    /// The largest epoch up to `epoch` that wrote something, and where it ended.
    pub(crate) fn epoch_end(&self, epoch: LeaderEpoch) -> (LeaderEpoch, Offset) {
        if epoch == self.epoch {
            return (epoch, self.log.end());
        }
        let after = self.epochs.partition_point(|(e, _)| *e <= epoch);
        let Some((found, _)) = after.checked_sub(1).map(|i| self.epochs[i]) else {
            return (LeaderEpoch::UNKNOWN, Offset(-1));
        };
        (found, self.epochs.get(after).map_or_else(|| self.log.end(), |(_, start)| *start))
    }
}
