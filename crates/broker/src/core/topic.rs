//! A topic and its settings.

use std::collections::BTreeMap;

use milena_wire::{BatchHeader, ErrorCode, TopicId, TopicName};

use super::config::CoreConfig;
use super::partition::Partition;
use super::refusal::Refusal;
use crate::profile::Profile;

pub(crate) struct Topic {
    pub(crate) name: TopicName,
    pub(crate) id: TopicId,
    pub(crate) partitions: Vec<Partition>,
    pub(crate) config: TopicConfig,
}

/// The settings that decide something here.
#[derive(Clone, Debug)]
pub(crate) struct TopicConfig {
    pub(crate) max_message_bytes: usize,
    pub(crate) segment_bytes: usize,
    pub(crate) min_insync_replicas: usize,
    pub(crate) compacted: bool,
    pub(crate) log_append_time: bool,
    timestamp_before_max_ms: i64,
    timestamp_after_max_ms: i64,
    /// All that were given, those included that decide nothing here.
    pub(crate) given: BTreeMap<String, String>,
}

impl TopicConfig {
    /// The defaults, and what `given` changes of them.
    pub(crate) fn new(core: &CoreConfig, given: BTreeMap<String, String>) -> Result<Self, Refusal> {
        let mut config = Self {
            max_message_bytes: core.max_message_bytes,
            segment_bytes: core.segment_bytes,
            min_insync_replicas: usize::try_from(core.min_insync_replicas).unwrap_or(1),
            compacted: false,
            log_append_time: false,
            timestamp_before_max_ms: i64::MAX,
            // Kafka 4.0 began to refuse timestamps from the future (KIP-1030).
            timestamp_after_max_ms: if core.profile >= Profile::V4_3 { 3_600_000 } else { i64::MAX },
            given: BTreeMap::new(),
        };
        for (name, value) in &given {
            config.set(name, value)?;
        }
        config.given = given;
        Ok(config)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Refusal> {
        match name {
            "max.message.bytes" => self.max_message_bytes = number(name, value)?,
            "segment.bytes" => self.segment_bytes = number(name, value)?,
            "min.insync.replicas" => self.min_insync_replicas = number(name, value)?,
            "message.timestamp.before.max.ms" => self.timestamp_before_max_ms = number(name, value)?,
            "message.timestamp.after.max.ms" => self.timestamp_after_max_ms = number(name, value)?,
            "message.timestamp.difference.max.ms" => {
                self.timestamp_before_max_ms = number(name, value)?;
                self.timestamp_after_max_ms = self.timestamp_before_max_ms;
            }
            "cleanup.policy" => self.compacted = value.split(',').any(|policy| policy.trim() == "compact"),
            "message.timestamp.type" => match value {
                "CreateTime" => self.log_append_time = false,
                "LogAppendTime" => self.log_append_time = true,
                _ => return Err(bad_value(name, value)),
            },
            // Settings of Kafka's that change nothing about what a client sees here.
            _ if is_config_name(name) => {}
            _ => return Err(Refusal::new(ErrorCode::INVALID_CONFIG, format!("unknown topic config {name}"))),
        }
        Ok(())
    }

    pub(crate) fn check_timestamps(&self, header: &BatchHeader, wall_ms: i64) -> Result<(), Refusal> {
        if self.log_append_time {
            return Ok(());
        }
        let early = wall_ms.saturating_sub(header.base_timestamp) > self.timestamp_before_max_ms;
        let late = header.max_timestamp.saturating_sub(wall_ms) > self.timestamp_after_max_ms;
        if header.base_timestamp >= 0 && (early || late) {
            let message = format!("timestamps up to {} at {wall_ms} are out of range", header.max_timestamp);
            return Err(Refusal::new(ErrorCode::INVALID_TIMESTAMP, message));
        }
        Ok(())
    }
}

fn is_config_name(name: &str) -> bool {
    const NAMES: [&str; 21] = [
        "compression.type",
        "compression.gzip.level",
        "compression.lz4.level",
        "compression.zstd.level",
        "delete.retention.ms",
        "file.delete.delay.ms",
        "flush.messages",
        "flush.ms",
        "index.interval.bytes",
        "local.retention.bytes",
        "local.retention.ms",
        "max.compaction.lag.ms",
        "min.cleanable.dirty.ratio",
        "min.compaction.lag.ms",
        "preallocate",
        "retention.bytes",
        "retention.ms",
        "segment.index.bytes",
        "segment.jitter.ms",
        "segment.ms",
        "unclean.leader.election.enable",
    ];
    NAMES.contains(&name)
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, Refusal> {
    value.trim().parse().map_err(|_| bad_value(name, value))
}

fn bad_value(name: &str, value: &str) -> Refusal {
    Refusal::new(ErrorCode::INVALID_CONFIG, format!("invalid value {value} for {name}"))
}

/// Whether Kafka takes the name for a topic's.
pub(crate) fn is_legal_name(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    !name.is_empty() && name != "." && name != ".." && name.len() <= 249 && name.bytes().all(legal)
}
