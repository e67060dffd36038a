//! Partitions of which records wait in a spool: nothing new of them is sent, so that nothing overtakes these.
//!
//! ```text
//!           a batch fails that time may mend, or Input::Divert
//!  sending ───────────────────────────────────────────────────▶ diverting
//!     ▲                                                             │ 1. what was sent before ends: delivered, or given out as well
//!     │                                                             │ 2. then all that waits is given out unsent, in order, and
//!     │   Input::DivertEnd that has seen all that was given out     │    what comes after it, as its linger ends
//!     ├─────────────────────────────────────────────────────────────┤
//!     │                                                             │ Input::DivertHold, or a DivertEnd that has not seen all
//!     │   Input::DivertEnd that has                                 ▼
//!     └────────────────────────────────────────────────────────── holding, in which new batches linger for a second before they are given out
//! ```
//!
//! Holding is what makes the end come under steady load: a replay works by the batch, with the disk synced for each. While it gets on, what comes is kept
//! in memory for a moment, until nothing is left before it, or, some milliseconds later, somebody waits for that memory. So at most a few batches a second come after it.
//!
//! - **Nothing overtakes what was given out.** Once a batch is kept, no batch of its partition is stamped or sent for the first time. Those that were sent
//!   before it failed are behind it in the partition's sequence, so that a broker takes none of them unless it has that one.
//! - **Nothing is given out ahead of what is in front of it**: the rest waits until no batch that was sent is open.
//! - **No batch is between the two.** What is on its way to the spool is counted, and an end that has not seen all of it ends nothing.

use std::time::Duration;

use milena_accumulator::{Failure, FailureKind, Take};
use milena_wire::{PartitionId, Timestamp, TopicName};

use crate::partition::{Hurry, Partition, Standing};
use crate::sender::Sender;

/// How long new batches wait for a replay that gets on before they go behind it.
pub(crate) const HOLD: Duration = Duration::from_secs(1);

impl Sender {
    /// Whether a failed batch is kept by whoever is given it.
    pub(crate) fn keeps(&self, failure: &Failure) -> bool {
        self.config.spool && failure.may_mend()
    }

    /// Records were given out that are kept.
    pub(crate) fn note_given_out(&mut self, topic: usize, partition: Option<PartitionId>, records: u64) {
        if let Some(topic) = self.topics.list.get_mut(topic) {
            let spooled = topic.spooled.entry(partition).or_default();
            spooled.given += records;
            spooled.waits = true;
        }
    }

    /// Records failed, or were given out, that waited for their topic.
    pub(crate) fn note_unplaced(&mut self, topic: usize, kept: bool, records: u64) {
        if records == 0 {
            return;
        }
        let of = &mut self.topics.list[topic];
        if kept {
            self.metrics.update_topic(of, |m, topic| m.closed(topic, records, 0));
            self.note_given_out(topic, None, records);
            self.look_at_diverting(topic);
        } else {
            self.metrics.update(|m| m.failed_unplaced(&of.name, records));
        }
    }

    pub(crate) fn divert(&mut self, topic: &TopicName, partition: Option<PartitionId>) {
        let at = self.topics.index(topic);
        self.topics.list[at].spooled.entry(partition).or_default().waits = true;
        self.look_at_diverting(at);
    }

    pub(crate) fn divert_hold(&mut self, topic: &TopicName, partition: PartitionId) {
        let Some(at) = self.topics.find(topic) else { return };
        if let Some(spooled) = self.topics.list[at].spooled.get_mut(&Some(partition)).filter(|spooled| spooled.waits) {
            spooled.holds = true;
            self.look_at_diverting(at);
        }
    }

    pub(crate) fn divert_end(&mut self, topic: &TopicName, partition: Option<PartitionId>, seen: u64) {
        let Some(at) = self.topics.find(topic) else { return };
        let spooled = self.topics.list[at].spooled.get_mut(&partition);
        if let Some(spooled) = spooled.filter(|spooled| spooled.waits) {
            spooled.waits = spooled.given != seen;
            spooled.holds = spooled.waits;
            self.look_at_diverting(at);
        }
    }

    fn look_at_diverting(&mut self, at: usize) {
        for slot in self.topics.list[at].slots.clone() {
            if let Some(partition) = self.partitions.get_mut(slot) {
                partition.diverts = self.topics.list[at].diverts(partition.index);
                partition.holds = self.topics.list[at].holds(partition.index);
            }
            self.touch(slot);
        }
    }

    /// Gives out what waits behind records in the spool.
    pub(crate) fn give_out(&mut self, slot: usize) {
        let hurry = self.hurry();
        let Some(partition) = self.partitions.get(slot).filter(|p| p.diverts && p.is_unsent()) else { return };
        let holds = partition.holds;
        if holds && partition.diverting_standing(self.now, hurry) != Standing::Due {
            return;
        }
        for key in partition.front.iter().copied().collect::<Vec<_>>() {
            self.give_up(slot, key, FailureKind::BehindSpooled);
        }
        self.fail_sealing(slot, FailureKind::BehindSpooled, None, None);
        while let Some(partition) = self.partitions.get(slot)
            && (holds || partition.queue_standing(self.now, hurry).is_due())
            && let Some(batch) = partition.queue.close_head(Take::OpenToo)
        {
            self.fail_closed(slot, batch, FailureKind::BehindSpooled, None);
        }
    }
}

impl Partition {
    /// When what waits is to be given out, while nothing that was sent is open.
    pub(crate) fn diverting_standing(&self, now: Timestamp, hurry: Hurry) -> Standing {
        if !self.holds {
            return self.queue_standing(now, hurry);
        }
        match self.oldest().map(|oldest| oldest + hurry.hold) {
            None => Standing::Idle,
            Some(end) if end > now && !hurry.all => Standing::Until(end),
            Some(_) => Standing::Due,
        }
    }
}
