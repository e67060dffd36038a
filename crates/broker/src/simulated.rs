//! The cluster without threads, sockets or a clock: frames in, frames out, time an argument. For simulations that replay from a seed.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use bytes::Bytes;
use milena_wire::{BrokerId, LeaderEpoch, Offset, PartitionId, Timestamp, TopicId, TopicName};

use crate::Builder;
use crate::core::{Answer, At, Core, Handled, NodeState, StoredBatch, Ticket, request};
use crate::profile::Profile;
use crate::sasl::{Gate, Guard, SaslServer};
use crate::script::Rule;
use crate::server::ClusterError;

/// Milliseconds since 1970 at time zero of a simulation.
const WALL_MS_AT_ZERO: i64 = 1_700_000_000_000;

/// One connection to a node of a [`SimulatedCluster`].
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct SimulatedConn(u64);

/// What a node does on a connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SimulatedEvent {
    /// It sends a whole frame, its size included.
    Send(Bytes),
    /// It sends the first part of a frame; [`Closed`](Self::Closed) follows.
    SendPart(Bytes),
    /// It closes the connection.
    Closed,
}

/// The same cluster as [`EmbeddedCluster`](crate::EmbeddedCluster), driven by its caller: every call names the time, which must not
/// decrease, and whatever follows is told by [`poll`](Self::poll). [`tick`](Self::tick) is due at [`next_timer`](Self::next_timer).
/// Nothing in it depends on anything but the calls.
///
/// A connection is served as Kafka serves it: one request at a time, in order. What a node has received runs even if the client
/// [hangs up](Self::hang_up).
pub struct SimulatedCluster {
    core: Core,
    profile: Profile,
    check_records: bool,
    sasl: Option<SaslServer>,
    conns: BTreeMap<SimulatedConn, Conn>,
    tickets: BTreeMap<Ticket, SimulatedConn>,
    events: VecDeque<(SimulatedConn, SimulatedEvent)>,
    opened: u64,
}

struct Conn {
    node: BrokerId,
    guard: Guard,
    /// Frames received and not yet begun.
    received: VecDeque<Bytes>,
    is_serving: bool,
    /// An answer that a paused node has not sent yet.
    unsent: Option<Answer>,
    is_paused: bool,
    /// It reads without a word ([`Reaction::Silence`](crate::Reaction::Silence)).
    is_silent: bool,
    is_hung_up: bool,
}

impl Builder {
    /// Makes the cluster without starting anything. What concerns addresses, threads and the data folder does not apply: node `i`
    /// advertises `10.0.0.i:9092`, and all is kept in memory.
    #[must_use]
    pub fn simulated(self) -> SimulatedCluster {
        let (config, sasl) = self.into_parts();
        let addresses = (1..=config.nodes).map(|i| (format!("10.0.0.{i}"), 9092)).collect();
        let (profile, check_records) = (config.profile, config.checks_records());
        SimulatedCluster {
            core: Core::new(config, addresses, None),
            profile,
            check_records,
            sasl,
            conns: BTreeMap::new(),
            tickets: BTreeMap::new(),
            events: VecDeque::new(),
            opened: 0,
        }
    }
}

fn at(now: Timestamp) -> At {
    let millis = i64::try_from(now.as_nanos() / 1_000_000).unwrap_or(i64::MAX);
    At { now, wall_ms: WALL_MS_AT_ZERO.saturating_add(millis) }
}

impl SimulatedCluster {
    /// Opens a connection; `None` if the node is stopped, which refuses it.
    pub fn connect(&mut self, node: BrokerId) -> Option<SimulatedConn> {
        let state = self.core.state(node);
        if state == NodeState::Stopped {
            return None;
        }
        self.opened += 1;
        let id = SimulatedConn(self.opened);
        let conn = Conn {
            node,
            guard: Guard::new(self.sasl.clone()),
            received: VecDeque::new(),
            is_serving: false,
            unsent: None,
            is_paused: state == NodeState::Paused,
            is_silent: false,
            is_hung_up: false,
        };
        self.conns.insert(id, conn);
        Some(id)
    }

    /// A request frame, its size taken off, has arrived. Ignored if the connection is closed.
    pub fn receive(&mut self, now: Timestamp, conn: SimulatedConn, frame: Bytes) {
        if let Some(open) = self.conns.get_mut(&conn) {
            open.received.push_back(frame);
            self.serve(now, conn);
            self.settle(now);
        }
    }

    /// The client is gone: nothing is sent to it any more. Frames that were received, or still are, run all the same.
    pub fn hang_up(&mut self, conn: SimulatedConn) {
        if let Some(open) = self.conns.get_mut(&conn) {
            open.is_hung_up = true;
        }
    }

    /// Lets happen what is due.
    pub fn tick(&mut self, now: Timestamp) {
        self.core.tick(at(now));
        self.settle(now);
    }

    /// When [`tick`](Self::tick) is due next.
    #[must_use]
    pub fn next_timer(&self) -> Option<Timestamp> {
        self.core.next_timer()
    }

    /// What the nodes have done since; `None` once there is nothing more.
    pub fn poll(&mut self) -> Option<(SimulatedConn, SimulatedEvent)> {
        self.events.pop_front()
    }

    /// As [`EmbeddedCluster::create_topic_with`](crate::EmbeddedCluster::create_topic_with).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn create_topic_with(
        &mut self,
        now: Timestamp,
        name: &str,
        partitions: i32,
        replication: i16,
        configs: &[(&str, &str)],
    ) -> Result<TopicId, ClusterError> {
        let configs = configs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let name = TopicName::new(name);
        Ok(self.steer(now, |core| core.create_topic(at(now), &name, partitions, replication, configs))?)
    }

    /// As [`EmbeddedCluster::recreate_topic`](crate::EmbeddedCluster::recreate_topic).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn recreate_topic(&mut self, now: Timestamp, name: &str, partitions: i32) -> Result<TopicId, ClusterError> {
        Ok(self.steer(now, |core| core.recreate_topic(at(now), &TopicName::new(name), partitions))?)
    }

    /// As [`EmbeddedCluster::create_partitions`](crate::EmbeddedCluster::create_partitions).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn create_partitions(&mut self, name: &str, count: i32) -> Result<(), ClusterError> {
        Ok(self.core.create_partitions(&TopicName::new(name), count, false)?)
    }

    /// As [`EmbeddedCluster::move_leader`](crate::EmbeddedCluster::move_leader).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn move_leader(
        &mut self,
        now: Timestamp,
        topic: &str,
        partition: PartitionId,
        to: Option<BrokerId>,
    ) -> Result<BrokerId, ClusterError> {
        Ok(self.steer(now, |core| core.move_leader(at(now), &TopicName::new(topic), partition, to))?)
    }

    /// As [`EmbeddedCluster::elect_unclean`](crate::EmbeddedCluster::elect_unclean).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn elect_unclean(
        &mut self,
        now: Timestamp,
        topic: &str,
        partition: PartitionId,
        to: BrokerId,
    ) -> Result<(), ClusterError> {
        Ok(self.steer(now, |core| core.elect_unclean(at(now), &TopicName::new(topic), partition, to))?)
    }

    /// As [`EmbeddedCluster::leader`](crate::EmbeddedCluster::leader).
    #[must_use]
    pub fn leader(&self, topic: &str, partition: PartitionId) -> Option<(Option<BrokerId>, LeaderEpoch)> {
        self.core.leader(&TopicName::new(topic), partition)
    }

    /// As [`EmbeddedCluster::stop_node`](crate::EmbeddedCluster::stop_node). Frames it has not begun are lost.
    pub fn stop_node(&mut self, now: Timestamp, node: BrokerId) {
        self.steer(now, |core| core.set_state(at(now), node, NodeState::Stopped));
        let on_node: Vec<_> = self.conns.iter().filter(|(_, conn)| conn.node == node).map(|(id, _)| *id).collect();
        for id in on_node {
            self.close(id);
        }
    }

    /// Starts a stopped node, or lets a paused one go on.
    pub fn start_node(&mut self, now: Timestamp, node: BrokerId) {
        self.steer(now, |core| core.set_state(at(now), node, NodeState::Running));
        self.set_paused(now, node, false);
    }

    /// As [`EmbeddedCluster::pause_node`](crate::EmbeddedCluster::pause_node).
    pub fn pause_node(&mut self, now: Timestamp, node: BrokerId) {
        if self.core.state(node) == NodeState::Running {
            self.steer(now, |core| core.set_state(at(now), node, NodeState::Paused));
            self.set_paused(now, node, true);
        }
    }

    /// As [`EmbeddedCluster::freeze_metadata`](crate::EmbeddedCluster::freeze_metadata).
    pub fn freeze_metadata(&mut self, node: BrokerId, freeze: bool) {
        self.core.freeze_metadata(node, freeze);
    }

    /// As [`EmbeddedCluster::script`](crate::EmbeddedCluster::script).
    pub fn script(&mut self, rule: Rule) {
        self.core.add_rule(rule);
    }

    /// As [`EmbeddedCluster::clear_script`](crate::EmbeddedCluster::clear_script).
    pub fn clear_script(&mut self) {
        self.core.clear_script();
    }

    /// As [`EmbeddedCluster::forget_producers`](crate::EmbeddedCluster::forget_producers).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn forget_producers(&mut self, topic: &str, partition: PartitionId) -> Result<(), ClusterError> {
        Ok(self.core.forget_producers(&TopicName::new(topic), partition)?)
    }

    /// As [`EmbeddedCluster::log`](crate::EmbeddedCluster::log).
    #[must_use]
    pub fn log(&mut self, topic: &str, partition: PartitionId) -> Vec<StoredBatch> {
        self.core.stored(&TopicName::new(topic), partition)
    }

    /// As [`EmbeddedCluster::end_offset`](crate::EmbeddedCluster::end_offset).
    #[must_use]
    pub fn end_offset(&self, topic: &str, partition: PartitionId) -> Option<Offset> {
        self.core.end_offset(&TopicName::new(topic), partition)
    }

    fn steer<T>(&mut self, now: Timestamp, act: impl FnOnce(&mut Core) -> T) -> T {
        let result = act(&mut self.core);
        self.settle(now);
        result
    }

    fn set_paused(&mut self, now: Timestamp, node: BrokerId, paused: bool) {
        let on_node = self.conns.iter_mut().filter(|(_, conn)| conn.node == node);
        let ids: Vec<_> = on_node.map(|(id, conn)| (conn.is_paused = paused, *id).1).collect();
        for id in ids.into_iter().filter(|_| !paused) {
            if let Some(answer) = self.conns.get_mut(&id).and_then(|conn| conn.unsent.take()) {
                self.finish(id, answer);
            }
            self.serve(now, id);
        }
        self.settle(now);
    }

    /// Begins as many requests of a connection as can be answered at once, and one that waits.
    fn serve(&mut self, now: Timestamp, id: SimulatedConn) {
        while let Some(conn) = self.conns.get_mut(&id) {
            if conn.is_serving || conn.is_paused {
                return;
            }
            let Some(frame) = conn.received.pop_front() else { return };
            if conn.is_silent {
                continue;
            }
            let node = conn.node;
            let core = &mut self.core;
            if let Gate::Answer { answer, hold } = conn.guard.look(now, &frame, |api| core.strike_api(node, api)) {
                match self.core.hold(at(now), answer, hold) {
                    Handled::Answered(answer) => self.finish(id, answer),
                    Handled::Waits(ticket) => {
                        conn.is_serving = true;
                        self.tickets.insert(ticket, id);
                    }
                }
                continue;
            }
            let Ok((meta, request)) = request::read(&frame, self.profile, self.check_records) else {
                self.close(id);
                return;
            };
            match self.core.handle(at(now), node, meta, request) {
                Handled::Answered(answer) => self.finish(id, answer),
                Handled::Waits(ticket) => {
                    conn.is_serving = true;
                    self.tickets.insert(ticket, id);
                }
            }
        }
    }

    /// Gives out the answers that stopped waiting, and begins what was behind them.
    fn settle(&mut self, now: Timestamp) {
        loop {
            let answered = self.core.take_answered();
            if answered.is_empty() {
                return;
            }
            for (ticket, answer) in answered {
                let Some(id) = self.tickets.remove(&ticket) else { continue };
                if let Some(conn) = self.conns.get_mut(&id) {
                    conn.is_serving = false;
                }
                self.finish(id, answer);
                self.serve(now, id);
            }
        }
    }

    fn finish(&mut self, id: SimulatedConn, answer: Answer) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if conn.is_paused {
            conn.unsent = Some(answer);
            conn.is_serving = true;
            return;
        }
        conn.is_serving = false;
        let told = !conn.is_hung_up;
        match answer {
            Answer::Send(frame) if told => {
                self.events.push_back((id, SimulatedEvent::Send(Bytes::from(frame.to_vec()))));
            }
            Answer::SendLast(frame) => {
                if told {
                    self.events.push_back((id, SimulatedEvent::Send(Bytes::from(frame.to_vec()))));
                }
                self.close(id);
            }
            Answer::SendHalf(frame) => {
                let mut bytes = Bytes::from(frame.to_vec());
                bytes.truncate(bytes.len() / 2);
                if told {
                    self.events.push_back((id, SimulatedEvent::SendPart(bytes)));
                }
                self.close(id);
            }
            Answer::Close => self.close(id),
            Answer::Silence => conn.is_silent = true,
            Answer::Send(_) | Answer::Nothing => {}
        }
    }

    fn close(&mut self, id: SimulatedConn) {
        if let Some(conn) = self.conns.remove(&id)
            && !conn.is_hung_up
        {
            self.events.push_back((id, SimulatedEvent::Closed));
        }
    }
}

impl fmt::Debug for SimulatedCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedCluster").field("connections", &self.conns.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
