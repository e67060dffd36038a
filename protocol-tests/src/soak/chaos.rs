//! What goes wrong, and how it ends.

use std::io::ErrorKind;

use milena_broker::{Reaction, Rule, SimulatedCluster, StoredBatch};
use milena_cluster::{ConnId, Input as News, LostCause};
use milena_sender::Command;
use milena_wire::{ApiKey, BrokerId, ErrorCode, PartitionId, Timestamp, TopicName};

use super::fault::{Fault, Strike};
use super::ledger::{Place, contents};
use super::network::Event;
use super::planted::Planted;
use super::rng::Rng;
use super::world::World;

/// Ends a fault.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Undo {
    /// The node runs again.
    Start(BrokerId),
    /// The node's metadata is true again.
    Thaw(BrokerId),
    /// Names resolve again.
    Names,
    /// The node runs again, and leads everything whatever it lacks.
    Relapse(BrokerId),
    /// The leader moves back.
    MoveBack(Place, BrokerId),
    /// Who has the token is let in again.
    LetIn,
}

/// No topic grows beyond this.
const PARTITIONS_MAX: i32 = 8;

impl World {
    /// One of the plan's faults strikes. All it draws comes from its own seed.
    pub(crate) fn strike(&mut self, at: usize) {
        if self.healed {
            return;
        }
        let Strike { number, fault, seed, .. } = self.plan.strikes[at];
        let rng = &mut Rng::new(seed);
        self.summary.faults += 1;
        self.struck.push(fault);
        self.summary.sights.saw(&format!("{fault:?}"));
        self.say(|| format!("FAULT {number}: {fault:?}"));
        assert!(self.planted != Planted::Panic || self.struck.len() < 2, "planted by a test");
        if self.planted == Planted::Spin && self.struck.len() > 1 {
            self.net.queue.push(self.now, Event::Strike(at));
            return;
        }
        let until = self.now + rng.millis(1, 2500);
        let node = BrokerId(i32::try_from(rng.between(1, 3)).unwrap_or(1).min(self.plan.nodes));
        let place = self.any_place(rng);
        let (topic, partition) = (place.0.as_str(), PartitionId(place.1));
        match fault {
            Fault::Cut => {
                if let Some(conn) = self.any_link(rng) {
                    self.cut(conn);
                }
            }
            Fault::CutNode => self.net.on_node(node).into_iter().for_each(|conn| self.cut(conn)),
            Fault::Stall => {
                if let Some(conn) = self.any_link(rng) {
                    self.net.stall(conn, until);
                }
            }
            Fault::Jam => {
                if let Some(link) = self.any_link(rng).and_then(|conn| self.net.links.get_mut(&conn)) {
                    link.jammed = until;
                }
            }
            Fault::Isolate => self.isolate(node, until),
            Fault::Pause => {
                self.servers.pause_node(self.now, node);
                self.net.queue.push(until, Event::Undo(Undo::Start(node)));
            }
            Fault::Stop => {
                self.lead(false, |servers, now| servers.stop_node(now, node));
                self.net.queue.push(until, Event::Undo(Undo::Start(node)));
            }
            Fault::Move => {
                self.move_leader(&place, None);
                // What waits to be sent to the new leader may have to wait for long.
                let leader = self.servers.leader(topic, partition).and_then(|(leader, _)| leader);
                if let Some(leader) = leader.filter(|_| rng.percent(30)) {
                    self.isolate(leader, until);
                }
            }
            Fault::Flap => {
                let leader = self.servers.leader(topic, partition).and_then(|(leader, _)| leader);
                self.move_leader(&place, None);
                if let Some(leader) = leader {
                    let back = self.now + rng.millis(0, 300);
                    self.net.queue.push(back, Event::Undo(Undo::MoveBack(place.clone(), leader)));
                }
            }
            Fault::Unclean => {
                // A node that is down or no replica is refused, and nothing happens.
                self.lead(true, |servers, now| drop(servers.elect_unclean(now, topic, partition, node)));
            }
            Fault::Relapse => {
                self.lead(false, |servers, now| servers.stop_node(now, node));
                self.net.queue.push(until, Event::Undo(Undo::Relapse(node)));
            }
            Fault::Grow => {
                let count = self.partitions[topic] + i32::try_from(rng.between(1, 2)).unwrap_or(1);
                if count <= PARTITIONS_MAX && self.servers.create_partitions(topic, count).is_ok() {
                    self.partitions.insert(topic.to_owned(), count);
                }
            }
            Fault::SetClock => {
                self.wall_offset_ms = rng.pick(&[-86_400_000, -60_000, -900, 0, 900, 60_000, 86_400_000]);
            }
            Fault::Forget => {
                self.ledger.forgetful.insert(place.clone());
                drop(self.servers.forget_producers(topic, partition));
            }
            Fault::Recreate => self.recreate(rng, &place.0),
            Fault::FreezeMetadata => {
                self.servers.freeze_metadata(node, true);
                self.net.queue.push(until, Event::Undo(Undo::Thaw(node)));
            }
            Fault::NoNames => {
                self.names_fail = true;
                self.net.queue.push(until, Event::Undo(Undo::Names));
            }
            Fault::Purge => {
                let (queued, in_flight) = (rng.percent(60), rng.percent(60));
                self.command(Command::Purge { queued, in_flight });
            }
            Fault::Flush => self.command(Command::Flush),
            Fault::Ask => {
                let deadline = self.now + rng.millis(0, 3000);
                // There is no such topic.
                let topic = TopicName::new(if rng.percent(30) { "nope" } else { topic });
                self.command(match rng.between(0, 2) {
                    0 => Command::WaitReady { deadline },
                    1 => Command::PartitionsFor { topic, deadline },
                    _ => Command::Prepare { topics: vec![TopicName::new("t"), topic], deadline },
                });
            }
            Fault::LockOut | Fault::RefuseIdentity | Fault::StrikeSasl => self.strike_identity(rng, fault, node, until),
            scripted => self.script(rng, scripted, &place),
        }
    }

    fn script(&mut self, rng: &mut Rng, fault: Fault, place: &Place) {
        let (topic, partition) = (place.0.as_str(), PartitionId(place.1));
        let time = rng.millis(0, 1500);
        let code = ErrorCode(rng.pick(&self.plan.codes));
        let (init, metadata) = (rng.pick(&[14, 15, 16, 7, -1, 29, 31, 41, 51]), rng.pick(&[3, 3, 5, 17, 29, -1]));
        // What only a broker that may have appended answers. Not 46: it would be a lie if the append was refused.
        let after = rng.pick(&[3, 6, 6, 7, 20, 20, 56, 5, 9, -1, 100, 300]);
        let any = if rng.percent(80) {
            ApiKey::PRODUCE
        } else {
            rng.pick(&[ApiKey::METADATA, ApiKey::API_VERSIONS, ApiKey::INIT_PRODUCER_ID])
        };
        let rule = match fault {
            Fault::Refuse => Rule::on(ApiKey::PRODUCE, Reaction::Error(code)).topic(topic).partition(partition),
            Fault::AppendThen => Rule::on(ApiKey::PRODUCE, Reaction::ErrorAfterAppend(ErrorCode(after)))
                .topic(topic)
                .partition(partition),
            Fault::Omit => Rule::on(ApiKey::PRODUCE, Reaction::Omit).topic(topic).partition(partition),
            Fault::DelayRequest => Rule::on(any, Reaction::Delay(time)),
            Fault::DelayAnswer => Rule::on(any, Reaction::DelayAnswer(time)),
            Fault::CloseBefore => Rule::on(any, Reaction::CloseBefore),
            Fault::CloseAfter => Rule::on(any, Reaction::CloseAfter),
            Fault::CutAnswer => Rule::on(any, Reaction::CutAnswer),
            Fault::Silence => Rule::on(any, Reaction::Silence),
            Fault::Garble => Rule::on(any, Reaction::Garble),
            Fault::WrongCorrelation => Rule::on(any, Reaction::WrongCorrelation),
            Fault::Throttle => Rule::on(ApiKey::PRODUCE, Reaction::Throttle(time)),
            Fault::InitError => Rule::on(ApiKey::INIT_PRODUCER_ID, Reaction::Error(ErrorCode(init))),
            Fault::MetadataError => Rule::on(ApiKey::METADATA, Reaction::Error(ErrorCode(metadata))).topic(topic),
            Fault::MetadataOmits => Rule::on(ApiKey::METADATA, Reaction::Omit).topic(topic).partition(partition),
            _ => return,
        };
        let times = if rng.percent(70) { 1 } else { u32::try_from(rng.between(2, 12)).unwrap_or(2) };
        let skip = u32::try_from(rng.between(0, 2)).unwrap_or(0);
        self.say(|| format!("  {rule:?} {times} times"));
        self.servers.script(rule.skip(skip).times(times));
    }

    /// Ends a fault.
    pub(crate) fn undo(&mut self, undo: Undo) {
        self.say(|| format!("UNDO {undo:?}"));
        match undo {
            Undo::Start(node) => self.lead(false, |servers, now| servers.start_node(now, node)),
            Undo::Relapse(node) => {
                self.lead(true, |servers, now| servers.start_node(now, node));
                for place in self.places() {
                    // Where it is no replica it is refused.
                    self.lead(true, |servers, now| {
                        drop(servers.elect_unclean(now, &place.0, PartitionId(place.1), node));
                    });
                }
            }
            Undo::Thaw(node) => self.servers.freeze_metadata(node, false),
            Undo::Names => self.names_fail = false,
            Undo::LetIn => self.let_in(),
            Undo::MoveBack(place, leader) => self.move_leader(&place, Some(leader)),
        }
    }

    /// All is well from now on.
    pub(crate) fn heal(&mut self) {
        self.say(|| "HEALED".to_owned());
        self.healed = true;
        self.names_fail = false;
        self.locked.store(false, std::sync::atomic::Ordering::Relaxed);
        // A broker refuses records from a day ahead, and rightly.
        self.wall_offset_ms = 0;
        self.servers.clear_script();
        for node in (1..=self.plan.nodes).map(BrokerId) {
            self.lead(false, |servers, now| servers.start_node(now, node));
            self.servers.freeze_metadata(node, false);
        }
    }

    fn isolate(&mut self, node: BrokerId, until: Timestamp) {
        self.net.isolated.insert(node, until);
        self.net.on_node(node).into_iter().for_each(|conn| self.net.stall(conn, until));
    }

    pub(crate) fn cut(&mut self, conn: ConnId) {
        self.say(|| format!("{conn:?} is cut"));
        let cause = LostCause::Io { kind: ErrorKind::ConnectionReset, text: "connection reset".to_owned() };
        self.net.send_client(conn, self.now, News::Lost { conn, cause, begun: None });
    }

    fn any_link(&self, rng: &mut Rng) -> Option<ConnId> {
        let links: Vec<ConnId> = self.net.links.keys().copied().collect();
        (!links.is_empty()).then(|| rng.pick(&links))
    }

    fn any_place(&self, rng: &mut Rng) -> Place {
        let topic = self.plan.topics[rng.index(self.plan.topics.len())].name.clone();
        let count = u64::try_from(self.partitions[&topic]).unwrap_or(1);
        let partition = i32::try_from(rng.between(0, count - 1)).unwrap_or(0);
        (topic, partition)
    }

    fn move_leader(&mut self, place: &Place, to: Option<BrokerId>) {
        // Without another replica in sync it is refused, and nothing happens.
        self.lead(false, |servers, now| drop(servers.move_leader(now, &place.0, PartitionId(place.1), to)));
    }

    fn recreate(&mut self, rng: &mut Rng, topic: &str) {
        let count = self.partitions[topic];
        for partition in 0..count {
            let log = self.servers.log(topic, PartitionId(partition));
            self.ledger.deleted(&(topic.to_owned(), partition), &log);
        }
        let again = if rng.percent(70) { count } else { i32::try_from(rng.between(1, 4)).unwrap_or(1) };
        if let Err(error) = self.servers.recreate_topic(self.now, topic, again) {
            panic!("the topic could not be created again: {error}");
        }
        self.partitions.insert(topic.to_owned(), again);
    }

    /// Does what may change leaders, and notes what the logs lose by it.
    fn lead(&mut self, unclean: bool, act: impl FnOnce(&mut SimulatedCluster, Timestamp)) {
        let mut before: Vec<(Place, Vec<StoredBatch>)> = Vec::new();
        for (topic, count) in &self.partitions {
            for partition in 0..*count {
                before.push(((topic.clone(), partition), self.servers.log(topic, PartitionId(partition))));
            }
        }
        act(&mut self.servers, self.now);
        for (place, log) in before {
            let after = self.servers.log(&place.0, PartitionId(place.1));
            if after.len() < log.len() {
                let (log, after) = (contents(&log), contents(&after));
                self.say(|| format!("{place:?} loses {} records, unclean: {unclean}", log.len() - after.len()));
                self.ledger.led_anew(&place, &log, &after, unclean);
            }
        }
    }
}
