//! What queues, batches and reservations share: the configuration, the memory, and the sender's doorbell.

use std::sync::Arc;

use milena_mutants::Mutant;
use milena_wire::TopicName;

use crate::memory::Memory;
use crate::queue::PartitionQueue;
use crate::record::WORTH_KEEPING;
use crate::sync::{AtomicBool, AtomicUsize, Mutex, Ordering};
use crate::{AccumulatorConfig, Hooks};

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: AccumulatorConfig,
    pub(crate) hooks: Arc<dyn Hooks>,
    pub(crate) memory: Arc<Memory>,
    /// A record that takes no more than this in a batch of its own is within every limit, and is copied.
    pub(crate) small: usize,
    /// Locked after a partition's locks, never before them.
    ready: Mutex<Vec<Arc<PartitionQueue>>>,
    /// Locked after a topic's waiting queue, never before it.
    waiting_topics: Mutex<Vec<TopicName>>,
    /// The sender was woken and has not looked since.
    woken: AtomicBool,
    slots: AtomicUsize,
}

/// What a record's own batch adds to the record at most: see [`milena_wire::single_record_batch_bound`].
const OWN_BATCH: usize = milena_wire::BATCH_HEADER_LEN + 21;

impl Core {
    pub(crate) fn new(config: AccumulatorConfig, hooks: Arc<dyn Hooks>) -> Self {
        Self {
            memory: Memory::new(config.buffer_memory),
            small: config.max_record_size.min(config.buffer_memory).saturating_sub(OWN_BATCH).min(WORTH_KEEPING - 1),
            config,
            hooks,
            ready: Mutex::new(Vec::new()),
            waiting_topics: Mutex::new(Vec::new()),
            woken: AtomicBool::new(false),
            slots: AtomicUsize::new(0),
        }
    }

    /// The number of a new queue.
    pub(crate) fn claim_slot(&self) -> usize {
        self.slots.fetch_add(1, Ordering::Relaxed)
    }

    /// How many queues there are.
    pub(crate) fn queues(&self) -> usize {
        self.slots.load(Ordering::Relaxed)
    }

    /// Lists `queue` for the sender. Called under the lock of the partition's tail: whoever appends to it next, and tells nobody, must find it listed.
    /// [`wake_sender`](Self::wake_sender) follows once that lock is released.
    pub(crate) fn list(&self, queue: &Arc<PartitionQueue>) {
        if queue.list() {
            self.ready.lock().push(Arc::clone(queue));
        }
    }

    /// Lists `topic`, whose partitions the sender should ask for. Called under the lock of its waiting queue, for the same reason.
    pub(crate) fn list_topic(&self, topic: &TopicName) {
        self.waiting_topics.lock().push(topic.clone());
    }

    pub(crate) fn wake_sender(&self) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.hooks.wake();
        }
    }

    pub(crate) fn take_ready(&self, out: &mut Vec<Arc<PartitionQueue>>) {
        // First this, then the list: what is listed later rings again.
        self.woken.store(Mutant::BellStaysRung.lives(), Ordering::SeqCst);
        let from = out.len();
        out.append(&mut self.ready.lock());
        for queue in &out[from..] {
            queue.unlist();
        }
    }

    pub(crate) fn take_waiting_topics(&self, out: &mut Vec<TopicName>) {
        self.woken.store(Mutant::BellStaysRung.lives(), Ordering::SeqCst);
        out.append(&mut self.waiting_topics.lock());
    }

    /// Breaks the circle of queues that are listed here and hold this.
    pub(crate) fn forget(&self) {
        let ready = std::mem::take(&mut *self.ready.lock());
        drop(ready);
        self.memory.trim();
    }
}
