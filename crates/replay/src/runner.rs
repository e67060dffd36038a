//! The loop: what happened on the network goes to the machines, and what they say is done.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use milena_client::Network;
use milena_cluster::{Cluster, Event, Input, RequestId, Room};
use milena_pool::PoolConfig;
use milena_spool::replay::{Replayer, Stop};
use milena_spool::{ASSIGNED_AT_ONCE, Place, Source, SpoolError};
use milena_wire::{BrokerId, ErrorCode, PartitionId, Timestamp, TopicId};

use crate::clock::Clock;
use crate::folder::{Asked, Folder, Told};
use crate::handle::Signals;
use crate::lines::Lines;
use crate::topics::{self, Standing};
use crate::{AGAIN_AFTER_MIN, ReplayConfig, ReplayEvent, SharedSpool, Sockets};

/// How long what is in flight is awaited once nothing more is to be sent.
const LAST_ANSWERS: Duration = Duration::from_secs(5);
/// When a producer id that was not given is asked for again.
pub(crate) const IDENTITY_BACKOFF: Duration = Duration::from_millis(500);
/// A topic of which there are records is in use, however long nothing can be sent.
const ALWAYS: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

pub(crate) struct Runner {
    pub(crate) spool: SharedSpool,
    pub(crate) config: ReplayConfig,
    pub(crate) cluster: Cluster,
    network: Network,
    pub(crate) clock: Clock,
    signals: Arc<Signals>,
    pub(crate) events: Box<dyn FnMut(ReplayEvent) + Send>,
    pub(crate) folders: BTreeMap<Source, Folder>,
    /// Those worth a look.
    pub(crate) due: BTreeSet<Source>,
    pub(crate) lines: Lines,
    /// Brokers that may take another request.
    rooms: BTreeSet<BrokerId>,
    /// What is in flight.
    pub(crate) asked: BTreeMap<RequestId, Asked>,
    stopping: Option<Timestamp>,
}

impl Runner {
    pub(crate) fn new(
        spool: SharedSpool,
        sockets: Sockets,
        config: ReplayConfig,
        signals: Arc<Signals>,
        events: Box<dyn FnMut(ReplayEvent) + Send>,
    ) -> Self {
        let mut settings = sockets.cluster;
        // A topic that is gone must not come back empty because its records are asked about.
        settings.auto_create_topics = false;
        settings.metadata_max_idle = ALWAYS;
        let mut pool = PoolConfig::default();
        pool.max_frame = settings.max_frame;
        Self {
            spool,
            config,
            cluster: Cluster::new(settings, RandomState::new().build_hasher().finish()),
            network: match sockets.sasl {
                Some(mechanism) => Network::new(pool, sockets.connector, sockets.resolver).with_sasl(mechanism),
                None => Network::new(pool, sockets.connector, sockets.resolver),
            },
            clock: Clock::start(),
            signals,
            events,
            folders: BTreeMap::new(),
            due: BTreeSet::new(),
            lines: Lines::default(),
            rooms: BTreeSet::new(),
            asked: BTreeMap::new(),
            stopping: None,
        }
    }

    pub(crate) async fn run(&mut self) {
        self.look();
        loop {
            self.settle();
            if self.is_over() {
                (self.events)(ReplayEvent::Ended);
                return;
            }
            let until = self.next_timer();
            let signals = Arc::clone(&self.signals);
            let clock = self.clock;
            let timer = async move {
                match until.and_then(|at| clock.instant(at)) {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            let input = tokio::select! {
                input = self.network.next() => input,
                () = signals.bell.notified() => Input::Tick,
                () = timer => Input::Tick,
            };
            self.hear(input);
            while let Some(input) = self.network.try_next() {
                self.hear(input);
            }
            if self.signals.look.swap(false, Ordering::AcqRel) {
                self.look();
            }
            self.wake_due();
        }
    }

    fn is_over(&mut self) -> bool {
        if self.signals.drop.load(Ordering::Acquire) {
            return true;
        }
        let now = self.clock.now();
        if self.is_stopping() {
            let until = *self.stopping.get_or_insert(now + LAST_ANSWERS);
            return self.asked.is_empty() || until <= now;
        }
        self.config.again_after.is_none() && self.folders.values().all(Folder::is_over)
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.signals.stop.load(Ordering::Acquire)
    }

    fn next_timer(&self) -> Option<Timestamp> {
        let folders = self.folders.values().filter_map(|folder| folder.wake_at).min();
        [self.cluster.next_timer(), folders, self.stopping].into_iter().flatten().min()
    }

    fn wake_due(&mut self) {
        let now = self.clock.now();
        for (source, folder) in &mut self.folders {
            if folder.wake_at.is_some_and(|at| at <= now) {
                folder.wake_at = None;
                self.due.insert(source.clone());
            }
        }
    }

    /// Finds folders with something in them.
    fn look(&mut self) {
        let now = self.clock.now();
        let spool = self.spool.lock();
        for (source, _) in spool.pending() {
            if matches!(source.place, Place::Aside(_)) && !self.config.aside {
                continue;
            }
            self.cluster.use_topic(now, &source.topic);
            let folder = self
                .folders
                .entry(source.clone())
                .or_insert_with(|| Folder::new(Replayer::new(self.config.rules, source.place, spool.progress(source))));
            // What was left alone has its own time.
            if folder.told != Told::Stopped {
                folder.told = Told::Nothing;
                self.due.insert(source.clone());
            }
        }
    }

    /// Does all that can be done now.
    fn settle(&mut self) {
        loop {
            while let Some(output) = self.cluster.poll_output() {
                if let Some(event) = self.network.apply(output) {
                    self.happened(event);
                }
            }
            if let Some(source) = self.due.pop_first() {
                self.turn(&source, false);
                continue;
            }
            let Some(broker) = self.rooms.pop_first() else { return };
            let now = self.clock.now();
            if !self.lines.is_empty(broker)
                && let Room::Ready { .. } = self.cluster.produce_room(now, broker)
                && let Some(source) = self.lines.call(broker)
            {
                self.rooms.insert(broker);
                let folder = self.folders.get_mut(&source).filter(|folder| folder.waits_for == Some(broker));
                if let Some(folder) = folder {
                    folder.waits_for = None;
                    self.turn(&source, true);
                }
            }
        }
    }

    fn hear(&mut self, input: Input) {
        self.cluster.handle(self.clock.now(), input);
    }

    fn happened(&mut self, event: Event) {
        match event {
            Event::Room { broker } => {
                self.rooms.insert(broker);
            }
            Event::MetadataChanged => {
                let waiting = self.folders.iter().filter(|(_, folder)| folder.asking.is_none() && !folder.is_over());
                self.due.extend(waiting.map(|(source, _)| source.clone()));
            }
            Event::Produced { request, answer, .. } => self.produced(request, answer),
            Event::Controlled { request, answer, .. } => self.controlled(request, answer),
            // Somebody may mend it, so it is waited for as anything else, and said when the patience is at its end.
            Event::Refused { .. } => {}
            other => tracing::error!(?other, "the cluster tells something that a replay does not know"),
        }
    }

    /// Takes one folder as far as it goes. `called`: a broker has room, and it is this one's turn.
    fn turn(&mut self, source: &Source, called: bool) {
        let now = self.clock.now();
        let Some(folder) = self.folders.get_mut(source) else { return };
        if folder.asking.is_some() {
            return;
        }
        if folder.told == Told::Stopped {
            self.try_again(source);
            return;
        }
        let (pending, noted) = {
            let spool = self.spool.lock();
            (spool.pending_in(source).batches > 0, spool.topic_id(&source.topic))
        };
        if !pending {
            self.caught_up(source);
            return;
        }
        if self.is_stopping() {
            return;
        }
        let (grace, partition) = (self.config.unknown_topic_grace, source.place.partition());
        match topics::standing(&self.cluster, now, grace, &source.topic, partition, noted) {
            Standing::Not(why) => self.stop(source, why),
            Standing::Wait(until) => self.wait(source, until),
            Standing::There { id, partitions } => {
                if noted.is_none() {
                    let noted = self.spool.lock().note_topic_id(&source.topic, id);
                    if let Err(error) = noted {
                        self.stop(source, disk(&error));
                        return;
                    }
                }
                match partition {
                    None => self.assign(source, partitions),
                    Some(partition) => self.send(source, partition, id, called),
                }
            }
        }
    }

    /// Gives some records their partition, whose folders follow; others soon.
    fn assign(&mut self, source: &Source, partitions: i32) {
        let (assigned, left) = {
            let mut spool = self.spool.lock();
            (spool.assign(&source.topic, partitions, ASSIGNED_AT_ONCE), spool.pending_in(source).batches)
        };
        let now = self.clock.now();
        let folder = self.folders.get_mut(source);
        match (assigned, folder) {
            (Ok(records), Some(folder)) if left > 0 => {
                folder.assigned += records;
                folder.wake_at = Some(now);
                self.look();
                // Whatever else there is to do comes first.
                self.due.remove(source);
            }
            (Ok(records), folder) => {
                let records = records + folder.map_or(0, |folder| std::mem::take(&mut folder.assigned));
                (self.events)(ReplayEvent::Assigned { topic: source.topic.clone(), records });
                self.caught_up(source);
                self.look();
            }
            (Err(error), _) => {
                // Some may have got theirs.
                self.look();
                self.stop(source, disk(&error));
            }
        }
    }

    fn send(&mut self, source: &Source, partition: PartitionId, id: TopicId, called: bool) {
        let now = self.clock.now();
        let Some(broker) = self.cluster.leader(&source.topic, partition).map(|leader| leader.broker) else {
            self.wait(source, None);
            return;
        };
        let room = matches!(self.cluster.produce_room(now, broker), Room::Ready { .. });
        if !room || !(called || self.lines.is_empty(broker)) {
            self.stand_in_line(source, broker, room);
            return;
        }
        match self.step(source, now) {
            Ok(Some((head, stamp))) => self.transmit(source, partition, id, broker, head, stamp),
            Ok(None) => {}
            Err(error) => self.stop(source, disk(&error)),
        }
    }

    fn stand_in_line(&mut self, source: &Source, broker: BrokerId, room: bool) {
        let Some(folder) = self.folders.get_mut(source) else { return };
        if folder.waits_for != Some(broker) {
            folder.waits_for = Some(broker);
            self.lines.join(broker, source.clone());
        }
        if room {
            self.rooms.insert(broker);
        } else if self.lines.is_serving(broker) {
            folder.replayer.queued();
            folder.wake_at = None;
        } else {
            self.wait(source, None);
        }
    }

    /// Nothing can be sent now.
    fn wait(&mut self, source: &Source, until: Option<Timestamp>) {
        let now = self.clock.now();
        let Some(folder) = self.folders.get_mut(source) else { return };
        let stopped = folder.replayer.blocked(now);
        folder.wake_at = [until, folder.replayer.gives_up_at()].into_iter().flatten().min();
        if let Some(why) = stopped {
            self.told_stop(source, why);
        }
    }

    pub(crate) fn stop(&mut self, source: &Source, why: Stop) {
        if let Some(folder) = self.folders.get_mut(source) {
            folder.replayer.stop(why.clone());
        }
        self.told_stop(source, why);
    }

    pub(crate) fn told_stop(&mut self, source: &Source, why: Stop) {
        let now = self.clock.now();
        let Some(folder) = self.folders.get_mut(source) else { return };
        folder.told = Told::Stopped;
        // It has its own time from now on, whatever news there is, and is passed over in the line where it stands.
        folder.waits_for = None;
        self.due.remove(source);
        folder.wake_at = self.config.again_after.map(|after| now + after.max(AGAIN_AFTER_MIN));
        let cause = self
            .cause(source)
            .filter(|_| matches!(why, Stop::NoProgress(None) | Stop::NoProgress(Some(ErrorCode::NETWORK_EXCEPTION))));
        tracing::warn!(topic = %source.topic, place = ?source.place, %why, cause, "left alone");
        (self.events)(ReplayEvent::Stopped { source: source.clone(), why, cause });
    }

    /// Why the network keeps a folder from getting further.
    fn cause(&self, source: &Source) -> Option<String> {
        let leader = source.place.partition().and_then(|partition| self.cluster.leader(&source.topic, partition));
        let error = leader.and_then(|leader| self.cluster.broker_error(leader.broker));
        error.or_else(|| self.cluster.last_error()).map(|error| error.to_string())
    }

    pub(crate) fn caught_up(&mut self, source: &Source) {
        let Some(folder) = self.folders.get_mut(source).filter(|folder| folder.told == Told::Nothing) else { return };
        folder.told = Told::CaughtUp;
        folder.wake_at = None;
        (self.events)(ReplayEvent::CaughtUp { source: source.clone() });
    }

    /// A folder that was left alone begins anew with what is on the disk: what kept it may be mended.
    fn try_again(&mut self, source: &Source) {
        let progress = self.spool.lock().progress(source);
        let replayer = Replayer::new(self.config.rules, source.place, progress);
        self.folders.insert(source.clone(), Folder::new(replayer));
        let now = self.clock.now();
        self.cluster.use_topic(now, &source.topic);
        self.cluster.refresh_topic(now, &source.topic);
        self.due.insert(source.clone());
    }
}

/// With all that lies below it.
pub(crate) fn disk(error: &SpoolError) -> Stop {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(below) = cause {
        text.push_str(": ");
        text.push_str(&below.to_string());
        cause = below.source();
    }
    Stop::Disk(text)
}
