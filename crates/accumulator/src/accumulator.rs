use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use milena_mutants::Mutant;
use milena_wire::{PartitionId, Timestamp, TopicName};

use crate::append::{ByHandle, ByToken};
use crate::behind::CatchUp;
use crate::core::Core;
use crate::inner::Inner;
use crate::memory::{MemoryUse, Queued};
use crate::queue::PartitionQueue;
use crate::reserve::{Reservation, Reserve};
use crate::sync::Ordering;
use crate::topic::{Topic, TopicShape};
use crate::{AccumulatorConfig, At, Clock, Delivery, Failure, Hooks, Outcome, Pace, RecordRef, Refused, Urgency};

/// All that is queued, shared between the threads that append and the sender. Cheap to clone.
///
/// Every operation is linearizable, and callers and the sender share nothing else. When the last clone is dropped, whatever is still queued
/// fails with [`RuntimeGone`](crate::FailureKind::RuntimeGone).
#[derive(Clone)]
pub struct Accumulator {
    inner: Arc<Inner>,
}

impl Accumulator {
    /// An empty one. `seed` decides where sticky and random records go, and nothing else.
    #[must_use]
    pub fn new(config: AccumulatorConfig, seed: u64, hooks: Arc<dyn Hooks>) -> Self {
        let core = Arc::new(Core::new(config, hooks));
        let inner = Inner::new(core, seed);
        Self { inner: Arc::new(inner) }
    }

    /// Queues a record and returns the handle of its outcome.
    ///
    /// `memory` pays for a new chunk if one is needed; what is left of it goes back. Without it an append that needs a chunk does not
    /// overtake those who wait in [`reserve`](Self::reserve).
    ///
    /// # Errors
    ///
    /// [`Refused`]: nothing was queued. After [`Refused::Memory`] reserve what it says and try again; that attempt has enough.
    #[inline(always)]
    pub fn append(
        &self,
        clock: impl Clock,
        record: &RecordRef<'_>,
        urgency: Urgency,
        memory: Option<Reservation>,
    ) -> Result<Delivery, Refused> {
        self.enter(&clock, record, urgency, Pace::Any, memory, ByHandle)
    }

    /// As [`append`](Self::append), of a record that may have to wait for the sender.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append); and with [`Pace::Sender`] [`Refused::Behind`] for a record that would begin a batch of a partition that the sender
    /// is behind with.
    #[inline(always)]
    pub fn append_at_pace(
        &self,
        clock: impl Clock,
        record: &RecordRef<'_>,
        urgency: Urgency,
        pace: Pace,
    ) -> Result<Delivery, Refused> {
        self.enter(&clock, record, urgency, pace, None, ByHandle)
    }

    /// Queues a record whose outcome goes to [`Hooks::report`] under `token`, which need not be unique.
    ///
    /// A token takes 20 bytes of the memory until then, in chunks of a kibibyte and more per batch.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append).
    #[inline(always)]
    pub fn append_with_token(
        &self,
        clock: impl Clock,
        record: &RecordRef<'_>,
        urgency: Urgency,
        memory: Option<Reservation>,
        token: u64,
    ) -> Result<(), Refused> {
        self.enter(&clock, record, urgency, Pace::Any, memory, ByToken(token))
    }

    /// As [`append_with_token`](Self::append_with_token), of a record that may have to wait for the sender.
    ///
    /// # Errors
    ///
    /// As [`append_at_pace`](Self::append_at_pace).
    #[inline(always)]
    pub fn append_with_token_at_pace(
        &self,
        clock: impl Clock,
        record: &RecordRef<'_>,
        urgency: Urgency,
        pace: Pace,
        token: u64,
    ) -> Result<(), Refused> {
        self.enter(&clock, record, urgency, pace, None, ByToken(token))
    }

    /// Waits until the sender has caught up with a partition. None if there is no such partition.
    #[must_use]
    pub fn catch_up(&self, topic: &str, partition: PartitionId) -> Option<CatchUp> {
        self.inner.queue(topic, partition).map(CatchUp::new)
    }

    /// Waits in line for `bytes` of memory, or for the whole memory if that is less.
    ///
    /// While somebody waits, [`memory`](Self::memory) says so, and the sender should let nothing linger for long; it is woken for that.
    pub fn reserve(&self, bytes: usize) -> Reserve {
        let core = &self.inner.core;
        let bytes = if Mutant::HalfIsReserved.lives() { bytes / 2 } else { bytes };
        Reserve::new(Arc::clone(core), bytes.min(core.memory.limit()))
    }

    /// Takes the queues that have become worth a look since the last call: see [`PartitionQueue`].
    pub fn take_ready(&self, out: &mut Vec<Arc<PartitionQueue>>) {
        self.inner.core.take_ready(out);
    }

    /// Takes the topics for which a first record waits since the last call, their partitions being unknown. A topic comes again when its
    /// records were failed and others began to wait.
    pub fn take_waiting_topics(&self, out: &mut Vec<TopicName>) {
        self.inner.core.take_waiting_topics(out);
    }

    /// Says which partitions a topic has. Records that waited for this are moved in order, as old as they are. For the sender alone: not to be
    /// called from two threads at once.
    ///
    /// Fewer partitions than before are fine; what is queued for the others stays queued. No partitions at all say nothing.
    ///
    /// A [`CustomPartitioner`](crate::CustomPartitioner) is asked here, under no lock, for the records that waited. Returns how many of those
    /// failed, because they name a partition that does not exist or the partitioner chose none.
    pub fn set_topic(&self, _at: At, name: &TopicName, shape: &TopicShape) -> usize {
        self.inner.describe(name, shape)
    }

    /// Fails the records that wait for `topic` to become known; how many they were.
    pub fn fail_waiting(&self, topic: &TopicName, failure: Failure) -> usize {
        self.inner.known(topic.as_str()).map_or(0, |topic| topic.fail_waiting(&Arc::new(failure)))
    }

    /// Fails those of the records waiting for `topic` that were appended at `before` or earlier, and those that share a batch with one of them, 50 ms
    /// younger at most; how many they were, and when the oldest of the rest was appended.
    pub fn expire_waiting(&self, topic: &TopicName, before: Timestamp, failure: Failure) -> (usize, Option<Timestamp>) {
        self.inner.known(topic.as_str()).map_or((0, None), |topic| topic.expire_waiting(before, &Arc::new(failure)))
    }

    /// What the sender has not taken yet, topic by topic: waiting records, open and closed batches. Looks at every queue once.
    pub fn queued(&self, mut each: impl FnMut(&TopicName, Queued)) {
        for (topic, queues) in self.inner.all() {
            let (mut records, mut bytes) = topic.waiting_content();
            for queue in queues {
                let (more_records, more_bytes) = queue.content();
                records += more_records;
                bytes += more_bytes;
            }
            if records > 0 {
                each(&topic.name, Queued { records, bytes });
            }
        }
    }

    /// How the memory is used.
    #[must_use]
    pub fn memory(&self) -> MemoryUse {
        self.inner.core.memory.usage()
    }

    /// Cuts the linger of the batch that holds `delivery`'s record short, if that batch is still open, or will be: the record of a topic
    /// not known yet does not linger when it is.
    pub fn hurry(&self, delivery: &Delivery) {
        loop {
            let cell = delivery.cell();
            let home = cell.home();
            let queue = home.partition.and_then(|partition| self.inner.queue(home.topic.as_str(), partition));
            if queue.is_some_and(|queue| queue.hurry(&cell)) || cell.hurry() {
                return;
            }
            // It was moved meanwhile.
        }
    }

    /// How many partitions `name` has, if that is known.
    #[must_use]
    pub fn topic_partitions(&self, name: &str) -> Option<usize> {
        self.inner.known(name).map(|topic| topic.queues.len()).filter(|count| *count > 0)
    }

    /// Refuses records from now on, and lets nobody wait for memory. What is queued stays queued. Once this has returned, no append that
    /// runs elsewhere will add anything.
    pub fn close(&self) {
        self.inner.closed.store(true, Ordering::SeqCst);
        self.inner.core.memory.close();
        for (topic, queues) in self.inner.all() {
            topic.waiting.lock().refusing = true;
            queues.iter().for_each(|queue| queue.refuse());
        }
    }

    /// Closes, and fails everything that the sender has not taken, each partition's records with what `failure` says of them: for an I/O
    /// task that ends and will not deliver anything any more.
    pub fn abandon(&self, failure: impl Fn(&TopicName, Option<PartitionId>) -> Failure) {
        self.close();
        for (topic, queues) in self.inner.all() {
            topic.fail_waiting(&Arc::new(failure(&topic.name, None)));
            for queue in queues {
                let batches = queue.empty();
                if batches.is_empty() {
                    continue;
                }
                let failure = Arc::new(failure(queue.topic(), Some(queue.partition())));
                batches.into_iter().for_each(|batch| batch.settle(Outcome::Failed(Arc::clone(&failure))));
            }
        }
        self.inner.core.forget();
    }

    /// The topic of a record.
    #[inline(always)]
    pub(crate) fn topic(&self, name: &str) -> Result<Arc<Topic>, Refused> {
        match self.last_topic(name) {
            Some(topic) => Ok(topic),
            None => self.find_topic(name),
        }
    }

    /// The topic of a record, if it is this thread's last one.
    #[inline(always)]
    fn last_topic(&self, name: &str) -> Option<Arc<Topic>> {
        let topic = LAST.try_with(Cell::take).ok().flatten()?;
        let same = topic.name.as_str() == name
            && Arc::ptr_eq(&topic.core, &self.inner.core)
            && !topic.stale.load(Ordering::Acquire);
        same.then_some(topic)
    }

    /// The topic of a record from the table, or a new one whose partitions are unknown.
    #[cold]
    fn find_topic(&self, name: &str) -> Result<Arc<Topic>, Refused> {
        match self.inner.known(name) {
            Some(topic) => Ok(topic),
            None => self.inner.add(name),
        }
    }

    /// Keeps `topic` for this thread's next record.
    #[inline]
    pub(crate) fn keep(&self, topic: Arc<Topic>) {
        // A model checker's objects must not outlive one run of it.
        if cfg!(not(shuttle)) {
            // Fails only while the thread ends.
            let _ = LAST.try_with(|last| last.set(Some(topic)));
        }
    }
}

thread_local! {
    /// The topic this thread appended to last, so that a thread with one topic looks nothing up and shares no lock.
    ///
    /// Taken out while in use: a partitioner that appends to another topic finds it empty, and all is well.
    static LAST: Cell<Option<Arc<Topic>>> = const { Cell::new(None) };
}

impl fmt::Debug for Accumulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Accumulator({:?})", self.memory())
    }
}
