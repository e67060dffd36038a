//! What a partition remembers of its idempotent producers, and what it therefore accepts: Kafka's `ProducerStateManager`.

use std::collections::{BTreeMap, VecDeque};

use milena_wire::{BatchHeader, ErrorCode, Offset, ProducerEpoch, ProducerId};

use super::refusal::Refusal;
use crate::profile::Profile;

/// Batches per producer in which a duplicate is looked for.
const WINDOW: usize = 5;
/// Batches kept beyond the window while a follower lags, in case the log is cut back to where it is.
const SPARE: usize = 256;

/// A batch that was appended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Remembered {
    pub(crate) epoch: ProducerEpoch,
    pub(crate) first_sequence: i32,
    pub(crate) last_sequence: i32,
    pub(crate) base_offset: Offset,
    pub(crate) last_offset: Offset,
    /// What the answer carried as log append time; -1 with create time.
    pub(crate) log_append_time_ms: i64,
}

/// Whether a batch goes on the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Sequenced {
    /// It is the next one.
    Next,
    /// It is there already.
    Duplicate(Remembered),
    /// It must not.
    Refused(Refusal),
}

/// All producers of one partition.
#[derive(Debug, Default)]
pub(crate) struct Producers {
    /// Each queue is oldest first and never empty; its last batch has the producer's current epoch.
    by_id: BTreeMap<ProducerId, VecDeque<Remembered>>,
}

impl Producers {
    /// Judges a batch by its producer fields; the caller has checked that they are well-formed.
    pub(crate) fn judge(&self, header: &BatchHeader, profile: Profile) -> Sequenced {
        if header.producer_id.0 < 0 {
            return Sequenced::Next;
        }
        let first = header.base_sequence;
        let last = last_sequence(header);
        let Some(batches) = self.by_id.get(&header.producer_id) else {
            return first_of(header, profile);
        };
        let Some(latest) = batches.back() else {
            return first_of(header, profile);
        };
        // Duplicates come first: an old batch sent again is no gap.
        let window = batches.iter().rev().take(WINDOW).take_while(|b| b.epoch == latest.epoch);
        let duplicate = window
            .filter(|b| b.epoch == header.producer_epoch)
            .find(|b| b.first_sequence == first && b.last_sequence == last);
        if let Some(duplicate) = duplicate {
            return Sequenced::Duplicate(*duplicate);
        }
        if header.producer_epoch < latest.epoch {
            return refused(
                ErrorCode::INVALID_PRODUCER_EPOCH,
                format!(
                    "epoch {} of producer {} is older than {}",
                    header.producer_epoch, header.producer_id, latest.epoch
                ),
            );
        }
        if header.producer_epoch > latest.epoch {
            return if first == 0 {
                Sequenced::Next
            } else {
                refused(
                    ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
                    format!("sequence {first} for the new epoch {} instead of 0", header.producer_epoch),
                )
            };
        }
        let expected = if latest.last_sequence == i32::MAX { 0 } else { latest.last_sequence + 1 };
        if first == expected {
            Sequenced::Next
        } else {
            refused(
                ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
                format!("sequence {first} of producer {} instead of {expected}", header.producer_id),
            )
        }
    }

    /// Remembers a batch that went on the log at `base_offset`. All replicas have the log up to `stable`.
    pub(crate) fn remember(
        &mut self,
        header: &BatchHeader,
        base_offset: Offset,
        log_append_time_ms: i64,
        stable: Offset,
    ) {
        if header.producer_id.0 < 0 || header.attributes.is_control() {
            return;
        }
        let batches = self.by_id.entry(header.producer_id).or_default();
        batches.push_back(Remembered {
            epoch: header.producer_epoch,
            first_sequence: header.base_sequence,
            last_sequence: last_sequence(header),
            base_offset,
            last_offset: Offset(base_offset.0 + i64::from(header.last_offset_delta)),
            log_append_time_ms,
        });
        // One may go if five that no truncation can take follow it.
        while batches.len() > WINDOW + SPARE || batches.get(WINDOW).is_some_and(|b| b.last_offset < stable) {
            batches.pop_front();
        }
    }

    /// Forgets batches from `end` on, because the log was cut there.
    pub(crate) fn truncate(&mut self, end: Offset) {
        self.by_id.retain(|_, batches| {
            while batches.back().is_some_and(|b| b.last_offset >= end) {
                batches.pop_back();
            }
            !batches.is_empty()
        });
    }

    /// Forgets producers all of whose batches lie before `start`, as brokers before 2.4 did when the log's head was deleted.
    pub(crate) fn forget_before(&mut self, start: Offset) {
        self.by_id.retain(|_, batches| batches.back().is_some_and(|b| b.last_offset >= start));
    }

    /// Forgets all producers, as after `producer.id.expiration.ms`.
    pub(crate) fn clear(&mut self) {
        self.by_id.clear();
    }

    /// The largest producer id seen.
    pub(crate) fn largest_id(&self) -> Option<ProducerId> {
        self.by_id.keys().next_back().copied()
    }
}

/// Modern brokers take any first sequence of a producer they do not know, since its records may have been deleted.
fn first_of(header: &BatchHeader, profile: Profile) -> Sequenced {
    if profile == Profile::V2_1 && header.base_sequence != 0 {
        return refused(
            ErrorCode::UNKNOWN_PRODUCER_ID,
            format!(
                "no record of producer {}, whose batch starts at sequence {}",
                header.producer_id, header.base_sequence
            ),
        );
    }
    Sequenced::Next
}

fn last_sequence(header: &BatchHeader) -> i32 {
    // As DefaultRecordBatch.incrementSequence: a 31-bit ring.
    let sum = header.base_sequence.cast_unsigned().wrapping_add(header.last_offset_delta.cast_unsigned());
    (sum & 0x7fff_ffff).cast_signed()
}

fn refused(code: ErrorCode, message: String) -> Sequenced {
    Sequenced::Refused(Refusal::new(code, message))
}

#[cfg(test)]
mod tests;
