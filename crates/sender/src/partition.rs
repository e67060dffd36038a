//! One partition: its stream, its sealed batches, and what it could do next.
//!
//! A batch passes through, always in order:
//!
//! ```text
//! accumulator's queue ──close──▶ sealing (with the codec, by ticket) ──▶ front (sealed, not stamped) ──send──▶ the stream
//!                                                                          ▲                                     │
//!                                                                          └─────── proved absent: unstamped ────┘
//! ```

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use milena_accumulator::{OwedBatch, PartitionQueue, SealedBatch, SealedBytes};
use milena_mutants::Mutant;
use milena_sequence::{BatchKey, Gate, Route, Stream, Turn, Withdrawn};
use milena_wire::{BrokerId, ErrorCode, PartitionId, Timestamp};

use crate::api::SealTicket;
use crate::backoff::Backoff;
use crate::few::Few;
use crate::health::Ailment;
use crate::requests::Builder;

/// The last thing that went wrong with a batch.
#[derive(Clone, Debug)]
pub(crate) struct LastError {
    pub(crate) broker: Option<BrokerId>,
    pub(crate) code: ErrorCode,
    pub(crate) message: Option<String>,
    pub(crate) cause: Option<String>,
}

/// A sealed batch that has no outcome yet.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) sealed: SealedBatch,
    /// The batch of the queue it came from: pieces of a split share one.
    pub(crate) ordinal: u64,
    /// How often it was sent.
    pub(crate) attempts: u32,
    /// How often in a row it came back from the leader of now; a new leader starts at none.
    pub(crate) setbacks: u32,
    /// Not to be sent again before.
    pub(crate) not_before: Timestamp,
    pub(crate) last: Option<LastError>,
}

impl Batch {
    /// It came back and is to wait: longer with each time, until the partition has a new leader.
    pub(crate) fn set_back(&mut self, now: Timestamp, backoff: &mut Backoff) {
        let wait = backoff.draw_soon(self.setbacks);
        self.not_before = if Mutant::RetryAtOnce.lives() { now } else { now + wait };
        self.setbacks = self.setbacks.saturating_add(1);
    }
}

/// A batch that is with the codec, or waits for one before it that is.
#[derive(Debug)]
pub(crate) struct Sealing {
    pub(crate) ticket: SealTicket,
    pub(crate) ordinal: u64,
    /// What its callers are owed stays here, so that they hear in time however long the codec takes.
    pub(crate) owed: OwedBatch,
    pub(crate) sealed: Option<SealedBytes>,
}

/// A batch that was taken out of the queue and has no outcome yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenOrdinal {
    /// Into how many it was split.
    pub(crate) pieces: u32,
    /// When its first record came.
    pub(crate) created: Timestamp,
}

/// What a partition could do next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Standing {
    /// There is nothing to send.
    Idle,
    /// News will be needed before anything can be sent: an answer, a leader, a sealed batch, an identity.
    Blocked,
    /// Something may be sent at that time.
    Until(Timestamp),
    /// Full batches may be sent, in company: nobody waits for them, and until then they could still linger.
    Full {
        /// When their linger would be over.
        until: Timestamp,
        /// What they take, uncompressed.
        bytes: usize,
    },
    /// Something is to be sent now.
    Due,
}

impl Standing {
    /// Whether something may be sent now.
    pub(crate) fn is_due(self) -> bool {
        matches!(self, Self::Due | Self::Full { .. })
    }
}

/// What makes an open batch due before its linger is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hurry {
    /// Nothing lingers: only that brings memory back to who waits for it, or the producer closes.
    pub(crate) all: bool,
    pub(crate) linger: Duration,
    /// How long what is to go behind records in the spool waits for the end of their replay.
    pub(crate) hold: Duration,
}

#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) queue: Arc<PartitionQueue>,
    pub(crate) topic: usize,
    pub(crate) index: PartitionId,
    pub(crate) stream: Stream,
    /// How often its numbering had started again when that was noted last.
    pub(crate) restarts: u32,
    pub(crate) route: Option<Route>,
    /// Since when the cluster says that there is no such partition; until it has a leader again.
    pub(crate) gone_since: Option<Timestamp>,
    pub(crate) batches: Few<BatchKey, Batch>,
    pub(crate) front: VecDeque<BatchKey>,
    pub(crate) sealing: VecDeque<Sealing>,
    /// Batches ever taken from the queue; the next one's ordinal is one more.
    pub(crate) taken: u64,
    /// Batches without an outcome, by ordinal.
    pub(crate) open: Few<u64, OpenOrdinal>,
    /// Open batches of the queue up to this ordinal do not linger.
    pub(crate) flush_to: u64,
    /// Flushes that wait for everything up to an ordinal.
    pub(crate) flushes: Vec<(u64, u64)>,
    /// The queue is empty and will signal its next record.
    pub(crate) queue_idle: bool,
    pub(crate) timer: Option<Timestamp>,
    /// In whose list of due partitions this one is.
    pub(crate) due_at: Option<BrokerId>,
    /// Something is to be sent, as it was seen last.
    pub(crate) is_due: bool,
    /// Bytes of the full batches that may wait for company.
    pub(crate) full_bytes: usize,
    /// In whose list of active partitions this one is.
    pub(crate) active_at: Option<BrokerId>,
    /// The last request that it was asked for a batch for, as one that is due.
    pub(crate) asked_for: u64,
    /// Among those whose open batch lingers, or did, or that back off.
    pub(crate) lingers: bool,
    pub(crate) backlog: usize,
    /// As it was told last.
    pub(crate) ailment: Ailment,
    /// Nothing new is sent: records of it wait in the spool, and what comes is given out to queue behind them.
    pub(crate) diverts: bool,
    /// Though it diverts, what comes waits a while before it is given out: what waits in the spool is being sent.
    pub(crate) holds: bool,
    keys: u64,
}

impl Partition {
    pub(crate) fn new(queue: Arc<PartitionQueue>, topic: usize, stream: Stream) -> Self {
        Self {
            index: queue.partition(),
            queue,
            topic,
            stream,
            restarts: 0,
            route: None,
            gone_since: None,
            batches: Few::default(),
            front: VecDeque::new(),
            sealing: VecDeque::new(),
            taken: 0,
            open: Few::default(),
            flush_to: 0,
            flushes: Vec::new(),
            queue_idle: false,
            timer: None,
            due_at: None,
            is_due: false,
            full_bytes: 0,
            active_at: None,
            asked_for: 0,
            lingers: false,
            backlog: 0,
            ailment: Ailment::default(),
            diverts: false,
            holds: false,
            keys: 0,
        }
    }

    pub(crate) fn leader(&self) -> Option<BrokerId> {
        self.route.map(|route| route.leader)
    }

    /// Stamped or sent ones first, then those that wait for their first sending.
    pub(crate) fn keys_in_order(&self) -> Vec<BatchKey> {
        let sent = self.stream.keys().filter(|key| self.batches.contains_key(key));
        sent.chain(self.front.iter().copied()).collect()
    }

    /// Whether any record here has no outcome yet.
    pub(crate) fn is_busy(&self) -> bool {
        !self.queue_idle || !self.batches.is_empty() || !self.sealing.is_empty()
    }

    /// Notes that a batch was taken out of the queue.
    pub(crate) fn take_ordinal(&mut self, created: Timestamp) -> u64 {
        self.taken += 1;
        self.open.insert(self.taken, OpenOrdinal { pieces: 1, created });
        self.taken
    }

    pub(crate) fn next_key(&mut self) -> BatchKey {
        self.keys += 1;
        BatchKey(self.keys)
    }

    /// A sealed batch joins those that wait for their first sending.
    pub(crate) fn push_sealed(&mut self, sealed: SealedBatch, ordinal: u64) -> BatchKey {
        let key = self.next_key();
        self.batches
            .insert(key, Batch { sealed, ordinal, attempts: 0, setbacks: 0, not_before: Timestamp::ZERO, last: None });
        self.front.push_back(key);
        key
    }

    /// Up to which ordinal batches hold records that came at `asked` or before.
    pub(crate) fn ordinal_at(&self, asked: Timestamp) -> u64 {
        let later = self.open.iter().find(|(_, open)| open.created > asked);
        later.map_or_else(|| self.taken + self.queue.batches_since(asked) as u64, |(ordinal, _)| ordinal - 1)
    }

    /// One batch, or piece of one, has its outcome.
    pub(crate) fn close_ordinal(&mut self, ordinal: u64) {
        if let Some(open) = self.open.get_mut(&ordinal) {
            open.pieces = open.pieces.saturating_sub(1);
            if open.pieces == 0 {
                self.open.remove(&ordinal);
            }
        }
    }

    /// Moves what is sealed at the head of the ticket line to the front.
    pub(crate) fn collect_sealed(&mut self) {
        if Mutant::SealedOvertake.lives() {
            self.sealing.make_contiguous().sort_by_key(|sealing| sealing.sealed.is_none());
        }
        while let Some(Sealing { ordinal, owed, sealed: Some(bytes), .. }) =
            self.sealing.pop_front_if(|head| head.sealed.is_some())
        {
            self.push_sealed(owed.seal_with(bytes), ordinal);
        }
    }

    /// Puts batches that have lost their stamps back in front, in order. Returns those that must not be sent again.
    pub(crate) fn collect_withdrawn(&mut self) -> Vec<BatchKey> {
        let mut withdrawn = Vec::new();
        self.stream.take_withdrawn(&mut withdrawn);
        let mut contradicted = Vec::new();
        if Mutant::WithdrawnTurnRound.lives() {
            withdrawn.reverse();
        }
        for item in withdrawn.into_iter().rev() {
            match item {
                // One of which no record was left is gone already.
                Withdrawn::Unstamped(key) if self.batches.contains_key(&key) => self.front.push_front(key),
                Withdrawn::Unstamped(_) => {}
                Withdrawn::MaybeWritten(key) => contradicted.push(key),
            }
        }
        contradicted
    }

    /// What could be done next, at `now`.
    pub(crate) fn standing(&self, now: Timestamp, hurry: Hurry) -> Standing {
        if self.diverts && self.is_unsent() {
            return self.diverting_standing(now, hurry);
        }
        let Some(route) = self.route else {
            return if self.is_busy() { Standing::Blocked } else { Standing::Idle };
        };
        let ready_at = |key: &BatchKey| match self.batches.get(key) {
            Some(batch) if batch.not_before > now => Standing::Until(batch.not_before),
            Some(_) => Standing::Due,
            None => Standing::Blocked,
        };
        match self.stream.gate(route) {
            Gate::Wait(_) if self.is_busy() => Standing::Blocked,
            Gate::Wait(_) => Standing::Idle,
            Gate::Open(Turn::Resend(key)) => ready_at(&key),
            Gate::Open(Turn::New) if self.diverts => Standing::Blocked,
            Gate::Open(Turn::New) => match self.front.front() {
                Some(key) => ready_at(key),
                None if !self.sealing.is_empty() => Standing::Blocked,
                None => self.queue_standing(now, hurry),
            },
        }
    }

    /// Whether the batch that is open has room in the request, as far as can be told while it is open.
    pub(crate) fn head_fits(&self, builder: &Builder) -> bool {
        let closes = self.front.is_empty() && self.sealing.is_empty() && !self.queue_idle;
        !closes || builder.fits(self.queue.head_bytes(), 1)
    }

    /// Whether no batch that was sent still waits for its end.
    pub(crate) fn is_unsent(&self) -> bool {
        self.batches.len() == self.front.len()
    }

    pub(crate) fn queue_standing(&self, now: Timestamp, hurry: Hurry) -> Standing {
        if self.queue_idle {
            return Standing::Idle;
        }
        let view = self.queue.view();
        let Some(oldest) = view.oldest else { return Standing::Idle };
        let until = oldest + hurry.linger;
        if view.urgent || hurry.all || self.taken < self.flush_to || until <= now {
            Standing::Due
        } else if view.closed > 0 {
            Standing::Full { until, bytes: view.closed_bytes }
        } else {
            Standing::Until(until)
        }
    }

    /// The creation of the oldest batch without an outcome.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        let sealing = self.sealing.iter().map(|sealing| sealing.owed.created());
        let sealed = self.batches.values().map(|batch| batch.sealed.created());
        // What is still queued is younger. It is asked for only if it matters, since that takes a lock.
        sealed.chain(sealing).min().or_else(|| if self.queue_idle { None } else { self.queue.oldest() })
    }
}

/// Partitions by the slot of their queue.
#[derive(Debug, Default)]
pub(crate) struct Partitions {
    slots: Vec<Option<Box<Partition>>>,
    /// How often a partition was looked at: the work is to follow what is active, not what exists.
    #[cfg(test)]
    pub(crate) looks: std::cell::Cell<usize>,
}

impl Partitions {
    pub(crate) fn get(&self, slot: usize) -> Option<&Partition> {
        #[cfg(test)]
        self.looks.set(self.looks.get() + 1);
        self.slots.get(slot)?.as_deref()
    }

    pub(crate) fn get_mut(&mut self, slot: usize) -> Option<&mut Partition> {
        #[cfg(test)]
        self.looks.set(self.looks.get() + 1);
        self.slots.get_mut(slot)?.as_deref_mut()
    }

    pub(crate) fn insert(&mut self, slot: usize, partition: Partition) {
        if slot >= self.slots.len() {
            self.slots.resize_with(slot + 1, || None);
        }
        self.slots[slot] = Some(Box::new(partition));
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Partition> {
        #[cfg(test)]
        self.looks.set(self.looks.get() + self.slots.len());
        self.slots.iter_mut().filter_map(Option::as_deref_mut)
    }
}
