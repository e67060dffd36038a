//! What makes a run hard to read, and can perhaps be left out of it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use milena_wire::{Compression, ProducerEpoch, Sequence};

use super::plan::Plan;

/// Something that a seed drew and a failure may not need.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Extra {
    /// Requests that run after their connection's end.
    Zombies,
    /// Followers that are behind.
    Lag,
    /// Time that a codec takes, and the codec.
    Codec,
    /// Bursts of more than one record.
    Bursts,
    /// Large values.
    Large,
    /// A network of changing speed.
    Jitter,
    /// Sequences and epochs near their end.
    Numbers,
    /// Handles that are dropped.
    Drops,
    /// Topics beside the first.
    Topics,
}

impl Extra {
    /// All of them, the simplest to miss first.
    pub const ALL: [Self; 9] = [
        Self::Topics,
        Self::Numbers,
        Self::Drops,
        Self::Bursts,
        Self::Large,
        Self::Codec,
        Self::Jitter,
        Self::Lag,
        Self::Zombies,
    ];

    pub(crate) fn leave_out(self, plan: &mut Plan) {
        match self {
            Self::Zombies => plan.zombie_ms = 0,
            Self::Lag => plan.replication_lag = Duration::ZERO,
            Self::Codec => {
                plan.seal_ms = 0;
                plan.sender.seal_inline = true;
                plan.accumulator.compression = Compression::NONE;
            }
            Self::Bursts => plan.burst_max = 1,
            Self::Large => plan.value_max = plan.value_max.min(20),
            Self::Jitter => plan.latency_us.0 = plan.latency_us.1,
            Self::Numbers => {
                plan.sender.first_sequence = Sequence::ZERO;
                plan.first_epoch = ProducerEpoch(0);
            }
            Self::Drops => plan.drop_percent = 0,
            Self::Topics => plan.topics.truncate(1),
        }
    }
}

impl fmt::Display for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}

impl FromStr for Extra {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|extra| extra.to_string() == text);
        found.ok_or_else(|| format!("{text:?} is none of {:?}", Self::ALL.map(|extra| extra.to_string())))
    }
}
