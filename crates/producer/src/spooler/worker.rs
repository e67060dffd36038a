//! The thread that writes failed batches to the spool, and what the replay of it tells.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use milena_accumulator::{Diverted, Failure, Fate, Outcome, Stamp};
use milena_replay::{AGAIN_AFTER_MIN, Replay, ReplayConfig, ReplayEvent, SharedSpool};
use milena_sender::Input;
use milena_spool::replay::Rules;
use milena_spool::{ASSIGNED_AT_ONCE, Place, Source, SpoolError, SpooledBatch};
use milena_wire::{BatchHeader, ErrorCode, PartitionId, TopicName};

use super::end::{End, InHand};
use super::{Item, Next, Spooler, Tools};

/// How long the replay's last answers are awaited at the end.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
/// How soon a disk is asked again at the soonest that did not sync.
const SYNC_AGAIN: Duration = Duration::from_secs(1);

/// The thread's own.
pub(super) struct Worker {
    spooler: Arc<Spooler>,
    spool: SharedSpool,
    /// Records that arrived, by where they were to go; and all that was ever held back.
    seen: BTreeMap<(TopicName, Option<PartitionId>), u64>,
    /// Started when there is something to send.
    replay: Option<Replay>,
    /// When it is started again that could not be started, or panicked.
    replay_again: Option<Instant>,
    /// Not before is the disk synced again that refused it.
    sync_again: Option<Instant>,
    tools: Tools,
}

impl Worker {
    pub(super) fn new(spooler: Arc<Spooler>, spool: SharedSpool, tools: Tools) -> Self {
        Self { spooler, spool, seen: BTreeMap::new(), replay: None, replay_again: None, sync_again: None, tools }
    }

    /// Starts the thread; the sender hears first of what is in the spool already.
    pub(super) fn start(mut self) -> io::Result<()> {
        let waits: Vec<Source> = self.spool.lock().pending().map(|(source, _)| source.clone()).collect();
        for source in waits.iter().filter(|source| !matches!(source.place, Place::Aside(_))) {
            self.hold_back(&source.topic, source.place.partition());
        }
        self.note_health();
        let name = format!("{}-spool", self.tools.sockets.cluster.client_id);
        thread::Builder::new().name(name).spawn(move || self.work()).map(drop)
    }

    fn work(self) {
        // Dropped after the worker: who closes hears of the end when the folder is free for others.
        let _end = End::new(Arc::clone(&self.spooler), &self.tools);
        let mut worker = self;
        worker.write_all();
        worker.stop();
    }

    /// Until the producer has ended and nothing is queued.
    fn write_all(&mut self) {
        self.wake_replay();
        loop {
            match self.spooler.next(self.due()) {
                Next::Item(Item::Batch(batch)) => {
                    let records = batch.count().as_usize() as u64;
                    self.keep(batch);
                    self.spooler.state.lock().pending -= records;
                    self.note_health();
                }
                Next::Item(Item::Replayed(event)) => {
                    self.replayed(event);
                    self.note_health();
                }
                // Who waited may have given up.
                Next::Item(Item::Flush(done)) => drop(done.send(())),
                Next::Due => self.do_what_is_due(),
                Next::End => return,
            }
        }
    }

    /// When there is something to do although nothing comes.
    fn due(&self) -> Option<Instant> {
        let sync = self.spool.lock().sync_due().map(|at| self.sync_again.map_or(at, |again| at.max(again)));
        [sync, self.replay_again].into_iter().flatten().min()
    }

    fn do_what_is_due(&mut self) {
        let now = Instant::now();
        if self.replay_again.is_some_and(|at| at <= now) {
            self.replay_again = None;
            self.wake_replay();
        }
        if self.sync_again.is_none_or(|at| at <= now) {
            let synced = self.spool.lock().sync_if_due();
            self.sync_again = synced.as_ref().err().map(|_| now + SYNC_AGAIN);
            if let Err(error) = synced {
                tracing::error!("spool: records that count as kept may not survive a crash of the machine: {error}");
                self.spooler.health.lock().last_error = Some((SystemTime::now(), Arc::new(error)));
            }
        }
    }

    fn stop(&mut self) {
        if let Err(error) = self.spool.lock().sync() {
            tracing::error!("spool: what was written last may not survive a crash of the machine: {error}");
        }
        if let Some(replay) = &self.replay {
            replay.stop();
            let until = Instant::now() + LAST_ANSWERS;
            // `None` once it is over: it is dropped then, or when the time is up.
            while self.replay.is_some()
                && let Some(event) = self.spooler.next_of_replay(until)
            {
                self.replayed(event);
            }
            self.replay = None;
            self.note_health();
        }
    }

    fn keep(&mut self, mut batch: Diverted) {
        let (topic, partition) = (batch.topic().clone(), batch.partition());
        let (records, bytes) = (batch.count().as_usize() as u64, batch.wire_size() as u64);
        // As the sender counts them, which does not look for a partition in what has no topic yet.
        let held = partition.filter(|_| batch.is_placed());
        *self.seen.entry((topic.clone(), held)).or_default() += records;
        let in_hand = InHand(&mut batch);
        let appended = self.append(in_hand.0);
        drop(in_hand);
        match appended {
            Ok(()) => {
                self.tools.metrics.spooled(&topic, records, bytes);
                let mut failure = Failure::clone(batch.failure());
                failure.fate = Fate::Spooled;
                batch.settle(Outcome::Failed(Arc::new(failure)));
                if held.is_none() {
                    self.let_go_of_topic(&topic);
                }
                self.wake_replay();
            }
            Err(error) => {
                let failure = unkept(batch.failure(), &error);
                let maybe = failure.fate == Fate::MaybeWritten;
                tracing::error!(%topic, ?partition, records, "records cannot be kept in the spool and fail: {error}");
                self.tools.metrics.not_spooled(&topic, maybe, records, bytes);
                self.spooler.note_cut_off(&batch);
                self.spooler.health.lock().last_error = Some((SystemTime::now(), Arc::new(error)));
                self.tools.watch.fail(batch, Some(failure));
                match held {
                    Some(_) => self.hand_back(&topic, held),
                    None => self.let_go_of_topic(&topic),
                }
            }
        }
    }

    fn append(&mut self, batch: &Diverted) -> Result<(), SpoolError> {
        #[cfg(test)]
        assert_ne!(batch.topic().as_str(), super::tests::PANIC);
        let failure = batch.failure();
        let spooled = SpooledBatch {
            header: header(batch),
            payload: batch.payload().to_vec(),
            fate: match failure.fate {
                Fate::NotWritten => milena_spool::Fate::NotWritten,
                Fate::MaybeWritten | Fate::Spooled => milena_spool::Fate::MaybeWritten,
            },
            code: failure.code.unwrap_or(ErrorCode::NONE),
            cause: cause(failure),
            now_ms: wall_ms(),
        };
        let topic = batch.topic();
        if batch.partition().is_some() {
            self.assign(topic)?;
        }
        self.spool.lock().append(topic, batch.partition(), &spooled)
    }

    /// Records of the topic that have no partition yet get one, to be in front of those that come with one.
    fn assign(&mut self, topic: &TopicName) -> Result<(), SpoolError> {
        let unassigned = Source { topic: topic.clone(), place: Place::Unassigned };
        let Some(partitions) = self.tools.accumulator.topic_partitions(topic.as_str()) else { return Ok(()) };
        let partitions = i32::try_from(partitions).unwrap_or(i32::MAX);
        let mut assigned = 0;
        loop {
            let mut spool = self.spool.lock();
            if spool.pending_in(&unassigned).batches == 0 {
                break;
            }
            assigned += spool.assign(topic, partitions, ASSIGNED_AT_ONCE)?;
        }
        if assigned > 0 {
            self.let_go_of_topic(topic);
        }
        Ok(())
    }

    /// Once all records of a topic have their partitions, each of these is held back by itself, and the topic no more.
    fn let_go_of_topic(&mut self, topic: &TopicName) {
        let of_topic = |source: &Source| source.topic == *topic && matches!(source.place, Place::Partition(_));
        let waits: Vec<Source> =
            self.spool.lock().pending().map(|(source, _)| source.clone()).filter(of_topic).collect();
        for source in waits {
            self.hold_back(topic, source.place.partition());
        }
        self.hand_back(topic, None);
    }

    fn replayed(&mut self, event: ReplayEvent) {
        match event {
            ReplayEvent::Written { source, records, bytes } => {
                self.tools.metrics.replayed(&source.topic, records, bytes);
                self.spooler.health.lock().stopped.remove(&source);
                if let Some(partition) = source.place.partition() {
                    // Else the replay might never catch up with a caller that goes on.
                    drop(self.tools.inputs.send(Input::DivertHold { topic: source.topic, partition }));
                }
            }
            ReplayEvent::Aside { source, records, why, .. } => {
                tracing::error!(topic = %source.topic, place = ?source.place, records, "records of the spool are put aside: {why}");
            }
            ReplayEvent::Assigned { topic, .. } => self.let_go_of_topic(&topic),
            ReplayEvent::CaughtUp { source } => {
                self.spooler.health.lock().stopped.remove(&source);
                match source.place {
                    Place::Partition(partition) => self.hand_back(&source.topic, Some(partition)),
                    Place::Unassigned => self.let_go_of_topic(&source.topic),
                    Place::Aside(_) => {}
                }
            }
            ReplayEvent::Stopped { source, why, .. } => {
                self.spooler.health.lock().stopped.insert(source, why.to_string());
            }
            // It was told to.
            ReplayEvent::Ended => self.replay = None,
            // Logged where it happened. The spool is as after a kill, so another one can go on.
            ReplayEvent::Panicked { message } => {
                self.replay_fails(format!("it panicked: {message}"));
                self.hand_back_all();
            }
            other => tracing::error!(?other, "the replay tells something that a spool does not know"),
        }
    }

    fn replay_fails(&mut self, why: String) {
        self.replay = None;
        let wait = self.spooler.policy.retry_after.max(AGAIN_AFTER_MIN);
        self.replay_again = Instant::now().checked_add(wait);
        self.spooler.health.lock().replay_error = Some((SystemTime::now(), why));
    }

    fn hold_back(&mut self, topic: &TopicName, partition: Option<PartitionId>) {
        self.seen.entry((topic.clone(), partition)).or_default();
        // A driver that has ended has nothing to hold back.
        drop(self.tools.inputs.send(Input::Divert { topic: topic.clone(), partition }));
    }

    /// Lets new records go straight to the cluster again, if none are left here that they would overtake.
    fn hand_back(&self, topic: &TopicName, partition: Option<PartitionId>) {
        let place = partition.map_or(Place::Unassigned, Place::Partition);
        let of_topic = Source { topic: topic.clone(), place };
        if self.spool.lock().pending().any(|(source, _)| *source == of_topic) {
            return;
        }
        let seen = self.seen.get(&(topic.clone(), partition)).copied().unwrap_or_default();
        drop(self.tools.inputs.send(Input::DivertEnd { topic: topic.clone(), partition, seen }));
    }

    /// What it can, since it may never have been told that all is sent, or has its partition.
    fn hand_back_all(&mut self) {
        for (topic, partition) in self.seen.keys().cloned().collect::<Vec<_>>() {
            match partition {
                Some(_) => self.hand_back(&topic, partition),
                None => self.let_go_of_topic(&topic),
            }
        }
    }

    fn wake_replay(&mut self) {
        if let Some(replay) = &self.replay {
            replay.wake();
            return;
        }
        if self.replay_again.is_some() {
            return;
        }
        if self.spool.lock().pending().all(|(source, _)| matches!(source.place, Place::Aside(_))) {
            return;
        }
        let mut config = ReplayConfig::default();
        config.rules = Rules {
            accept_duplicates: self.spooler.policy.accept_duplicates,
            broker_memory: self.spooler.policy.broker_memory,
            ..Rules::default()
        };
        config.again_after = Some(self.spooler.policy.retry_after);
        let told: Weak<Spooler> = Arc::downgrade(&self.spooler);
        let started = Replay::start(Arc::clone(&self.spool), self.tools.sockets.clone(), config, move |event| {
            if let Some(spooler) = told.upgrade() {
                spooler.replayed(event);
            }
        });
        match started {
            Ok(replay) => self.replay = Some(replay),
            Err(error) => {
                tracing::error!("the replay of the spool cannot be started, its records wait: {error}");
                self.replay_fails(format!("it cannot be started: {error}"));
            }
        }
    }

    fn note_health(&self) {
        let spool = self.spool.lock();
        let (mut waiting, mut aside) = (0, 0);
        for (source, pending) in spool.pending() {
            match source.place {
                Place::Aside(_) => aside += pending.records,
                Place::Partition(_) | Place::Unassigned => waiting += pending.records,
            }
        }
        let used = spool.used();
        drop(spool);
        let mut health = self.spooler.health.lock();
        (health.waiting, health.aside, health.used_bytes) = (waiting, aside, used);
    }
}

/// The failure of records that the spool did not take.
fn unkept(failure: &Failure, error: &SpoolError) -> Failure {
    let mut failure = failure.clone();
    let below = failure.cause.take().map_or_else(String::new, |cause| format!("{cause}; "));
    failure.cause = Some(format!("{below}the spool did not take the records: {error}"));
    if let SpoolError::Uncertain { .. } = error {
        failure.fate = Fate::MaybeWritten;
    }
    failure
}

fn cause(failure: &Failure) -> String {
    let below = failure.message.as_ref().or(failure.cause.as_ref());
    below.map_or_else(|| format!("{:?}", failure.kind), |below| format!("{:?}: {below}", failure.kind))
}

/// With what the batch was sent as, even if it is certain that it was not appended: so neither can be what was sent behind it, which a replay can tell
/// only if it knows the sequences.
fn header(batch: &Diverted) -> BatchHeader {
    let header = batch.header();
    match batch.stamp() {
        Some(Stamp { producer_id, epoch: producer_epoch, sequence }) => {
            BatchHeader { producer_id, producer_epoch, base_sequence: sequence.get(), ..header }
        }
        None => header,
    }
}

/// Milliseconds since 1970.
fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
