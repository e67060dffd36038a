//! Sealing: batches are encoded and compressed outside, in parallel, and come back to their places by ticket.

use milena_accumulator::{ClosedBatch, SealedBytes, Take};
use milena_wire::{PartitionId, Timestamp, TopicName};

use crate::api::{Output, SealTicket};
use crate::metrics::Metrics;
use crate::partition::Sealing;
use crate::quiet::Quiet;
use crate::sender::Sender;

impl Sender {
    /// With a codec, closed batches are sealed as soon as they are closed, a few ahead of what can be sent.
    pub(crate) fn seal_ahead(&mut self, slot: usize) {
        if self.config.seal_inline {
            return;
        }
        while let Some(partition) = self.partitions.get_mut(slot) {
            // Without a leader nothing is sent soon, and an open batch is worth more than a sealed one.
            if partition.route.is_none() || partition.queue_idle {
                return;
            }
            if partition.front.len() + partition.sealing.len() >= self.config.sealed_ahead {
                return;
            }
            let Some(batch) = partition.queue.close_head(Take::ClosedOnly) else { return };
            self.seal(slot, batch);
        }
    }

    /// Sends a batch to the codec, or seals it here if there is none.
    pub(crate) fn seal(&mut self, slot: usize, batch: ClosedBatch) {
        let Some(partition) = self.partitions.get_mut(slot) else { return };
        let ordinal = partition.take_ordinal(batch.created());
        let (records, bytes) = (batch.count().as_usize() as u64, batch.bytes() as u64);
        let topic = &mut self.topics.list[partition.topic];
        self.metrics.update_topic(topic, |m, topic| m.closed(topic, records, bytes));
        if self.config.seal_inline {
            let sealed = batch.seal();
            self.codec.check(&self.metrics, self.now, sealed.topic(), sealed.partition(), sealed.codec_failure());
            partition.push_sealed(sealed, ordinal);
            return;
        }
        self.tickets += 1;
        let ticket = SealTicket(self.tickets);
        let (owed, batch) = batch.part();
        partition.sealing.push_back(Sealing { ticket, ordinal, owed, sealed: None });
        self.seals.insert(ticket, slot);
        self.outputs.push_back(Output::Seal { ticket, batch });
    }

    /// A batch is back from the codec.
    pub(crate) fn sealed(&mut self, ticket: SealTicket, bytes: SealedBytes) {
        let Some(slot) = self.seals.remove(&ticket) else {
            debug_assert!(false, "a batch was sealed that nobody asked for: {ticket:?}");
            return;
        };
        let Some(partition) = self.partitions.get_mut(slot) else { return };
        // If it is not there, it was given up meanwhile.
        if let Some(sealing) = partition.sealing.iter_mut().find(|sealing| sealing.ticket == ticket) {
            let name = &self.topics.list[partition.topic].name;
            self.codec.check(&self.metrics, self.now, name, partition.index, bytes.codec_failure());
            sealing.sealed = Some(bytes);
            partition.collect_sealed();
        }
        self.expire(slot);
        self.touch(slot);
    }
}

/// Tells of batches that had to go uncompressed: nothing is downgraded in silence.
#[derive(Debug, Default)]
pub(crate) struct CodecWatch(Quiet);

impl CodecWatch {
    /// `failure` is what the codec said of a batch, if it failed.
    pub(crate) fn check(
        &mut self,
        metrics: &Metrics,
        now: Timestamp,
        topic: &TopicName,
        partition: PartitionId,
        failure: Option<&str>,
    ) {
        let Some(failure) = failure else { return };
        metrics.update(|m| m.numbers.codec_failures += 1);
        if let Some(suppressed) = self.0.speak(now) {
            tracing::warn!(%topic, %partition, failure, suppressed,
                "a batch goes uncompressed because its codec failed; please report this");
        }
    }
}
