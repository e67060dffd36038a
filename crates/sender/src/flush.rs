//! Flushes: everything enqueued before is sent without linger, and the flush ends when all of it is settled.

use std::collections::BTreeMap;

use milena_mutants::Mutant;
use milena_wire::Timestamp;

use crate::api::{CommandId, CommandResult, Output};
use crate::sender::Sender;

#[derive(Debug)]
struct Flush {
    id: CommandId,
    /// Partitions and topics that still hold something from before.
    waits: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Flushes {
    open: BTreeMap<u64, Flush>,
    next: u64,
}

impl Sender {
    pub(crate) fn flush(&mut self, id: CommandId) {
        self.take_work();
        self.flushes.next += 1;
        let flush = self.flushes.next;
        // One wait of its own, so that it cannot end while it is being set up.
        self.flushes.open.insert(flush, Flush { id, waits: 1 });
        for slot in self.busy.list() {
            self.flush_partition(slot, flush, self.now);
        }
        for topic in self.topics.list.iter_mut().filter(|topic| topic.waiting.is_some()) {
            topic.flushes.push((flush, self.now));
            if let Some(open) = self.flushes.open.get_mut(&flush) {
                open.waits += 1;
            }
        }
        self.flush_step(flush);
    }

    /// The flush waits for all that the partition holds now and that was enqueued at `asked` or before.
    pub(crate) fn flush_partition(&mut self, slot: usize, flush: u64, asked: Timestamp) {
        let Some(partition) = self.partitions.get_mut(slot) else { return };
        let target = partition.ordinal_at(asked).saturating_sub(u64::from(Mutant::FlushSkipsLastBatch.lives()));
        let settled = partition.open.first_key().is_none_or(|ordinal| ordinal > target);
        if settled && partition.taken >= target {
            return;
        }
        partition.flushes.push((flush, target));
        partition.flush_to = partition.flush_to.max(target);
        if let Some(open) = self.flushes.open.get_mut(&flush) {
            open.waits += 1;
        }
        self.touch(slot);
    }

    /// A batch of the partition was settled: some flush may have waited for it.
    pub(crate) fn check_partition_flushes(&mut self, slot: usize) {
        let Some(partition) = self.partitions.get_mut(slot) else { return };
        if partition.flushes.is_empty() {
            return;
        }
        let first_open = partition.open.first_key();
        let taken = partition.taken;
        let done = |target: u64| taken >= target && first_open.is_none_or(|first| first > target);
        let mut over = Vec::new();
        partition.flushes.retain(|(flush, target)| {
            let keep = !done(*target);
            if !keep {
                over.push(*flush);
            }
            keep
        });
        for flush in over {
            self.flush_step(flush);
        }
    }

    /// One thing less to wait for.
    pub(crate) fn flush_step(&mut self, flush: u64) {
        let Some(open) = self.flushes.open.get_mut(&flush) else { return };
        open.waits -= 1;
        if open.waits == 0 {
            let id = open.id;
            self.flushes.open.remove(&flush);
            self.outputs.push_back(Output::Done { id, result: CommandResult::Flushed });
        }
    }
}
