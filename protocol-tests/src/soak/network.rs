//! The network between the client and the nodes: bytes arrive in order, late, or not at all.

use std::collections::BTreeMap;

use std::time::Duration;

use bytes::Bytes;
use milena_accumulator::SealJob;
use milena_broker::SimulatedConn;
use milena_cluster::{ConnId, Input};
use milena_sender::SealTicket;
use milena_wire::{BrokerId, Timestamp};

use super::chaos::Undo;
use super::rng::Rng;

/// The streams of randomness of the connections begin here.
const LINKS: u64 = 1 << 32;

/// Something that happens at a time.
#[derive(Debug)]
pub(crate) enum Event {
    /// The client's connection attempt reaches a node.
    Dial(ConnId),
    /// News for the client of one connection.
    ToClient(ConnId, Input),
    /// News for the client of no connection.
    Resolved(Input),
    /// A frame reaches a node.
    ToServer(ConnId, SimulatedConn, Bytes),
    /// The end of a connection reaches a node.
    HangUp(SimulatedConn),
    /// A batch comes back from the codec.
    Sealed(SealTicket, SealJob),
    /// Records are enqueued.
    Burst,
    /// The producer is closed, with so much time.
    Close(Duration),
    /// Somebody's patience ends.
    Patience,
    /// This one of the plan's faults strikes.
    Strike(usize),
    /// Something that went wrong is over.
    Undo(Undo),
}

/// Everything that is still to happen, in order.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    events: BTreeMap<(Timestamp, u64), Event>,
    count: u64,
}

impl Queue {
    pub(crate) fn push(&mut self, at: Timestamp, event: Event) {
        self.count += 1;
        self.events.insert((at, self.count), event);
    }

    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.events.first_key_value().map(|((at, _), _)| *at)
    }

    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<Event> {
        let entry = self.events.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(entry.remove())
    }

    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    fn take(&mut self, which: impl Fn(&Event) -> bool) -> Vec<(Timestamp, Event)> {
        let keys: Vec<_> = self.events.iter().filter(|(_, event)| which(event)).map(|(key, _)| *key).collect();
        keys.into_iter().filter_map(|key| Some((key.0, self.events.remove(&key)?))).collect()
    }
}

/// One connection as the network sees it.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) node: BrokerId,
    pub(crate) server: Option<SimulatedConn>,
    /// When the last bytes each way arrive.
    to_server: Timestamp,
    to_client: Timestamp,
    /// Until when the client's socket takes nothing.
    pub(crate) jammed: Timestamp,
    pub(crate) received: u64,
    /// Its own, so that what happens on one connection changes no other.
    pub(crate) rng: Rng,
    /// When each frame that was given to the client's socket gets its first byte into the kernel.
    begins: Vec<Timestamp>,
}

/// All connections that the client has open.
#[derive(Debug)]
pub(crate) struct Network {
    seed: u64,
    pub(crate) queue: Queue,
    pub(crate) links: BTreeMap<ConnId, Link>,
    /// Until when nothing gets to a node or from it.
    pub(crate) isolated: BTreeMap<BrokerId, Timestamp>,
}

impl Network {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, queue: Queue::default(), links: BTreeMap::new(), isolated: BTreeMap::new() }
    }

    /// A connection attempt leaves for a node.
    pub(crate) fn open(&mut self, conn: ConnId, node: BrokerId, now: Timestamp, latency_us: (u64, u64)) {
        let zero = Timestamp::ZERO;
        let mut rng = Rng::stream(self.seed, LINKS + conn.0);
        let arrives = now + rng.micros(latency_us.0, latency_us.1);
        let (to_server, to_client, jammed) = (zero, zero, zero);
        let begins = Vec::new();
        let link = Link { node, server: None, to_server, to_client, jammed, received: 0, rng, begins };
        self.links.insert(conn, link);
        let arrives = arrives.max(self.isolated.get(&node).copied().unwrap_or(zero));
        self.queue.push(arrives, Event::Dial(conn));
    }

    /// Sends something to the client, behind everything sent before.
    pub(crate) fn send_client(&mut self, conn: ConnId, arrives: Timestamp, input: Input) {
        let Some(link) = self.links.get_mut(&conn) else { return };
        let isolated = self.isolated.get(&link.node).copied().unwrap_or(Timestamp::ZERO);
        link.to_client = link.to_client.max(arrives).max(isolated);
        self.queue.push(link.to_client, Event::ToClient(conn, input));
    }

    /// Sends a frame to the node, behind everything sent before; the client hears when its kernel has it.
    pub(crate) fn send_server(&mut self, conn: ConnId, leaves: Timestamp, arrives: Timestamp, frame: Bytes) {
        let Some(link) = self.links.get_mut(&conn) else { return };
        let Some(server) = link.server else { return };
        let isolated = self.isolated.get(&link.node).copied().unwrap_or(Timestamp::ZERO);
        let leaves = leaves.max(link.jammed).max(link.begins.last().copied().unwrap_or(Timestamp::ZERO));
        link.begins.push(leaves);
        link.to_server = link.to_server.max(arrives).max(leaves).max(isolated);
        self.queue.push(leaves, Event::ToClient(conn, Input::Written { conn }));
        self.queue.push(link.to_server, Event::ToServer(conn, server, frame));
    }

    /// How many frames a connection was given.
    pub(crate) fn given(&self, conn: ConnId) -> u64 {
        self.links.get(&conn).map_or(0, |link| link.begins.len() as u64)
    }

    /// How many frames of a connection have begun to leave this machine.
    pub(crate) fn begun(&self, conn: ConnId, now: Timestamp) -> u64 {
        let begins = self.links.get(&conn).map_or(&[][..], |link| &link.begins);
        begins.iter().take_while(|at| **at <= now).count() as u64
    }

    /// Nothing gets through on a connection before `until`.
    pub(crate) fn stall(&mut self, conn: ConnId, until: Timestamp) {
        let Some(link) = self.links.get_mut(&conn) else { return };
        link.to_server = link.to_server.max(until);
        link.to_client = link.to_client.max(until);
        let held = self.queue.take(|event| match event {
            Event::ToServer(at, ..) => *at == conn,
            Event::ToClient(at, input) => *at == conn && !matches!(input, Input::Written { .. }),
            _ => false,
        });
        for (at, event) in held {
            self.queue.push(at.max(until), event);
        }
    }

    /// The connection is over for the client. Of the frames under way to the node the first `survivors` still arrive, `late` or later.
    pub(crate) fn end(&mut self, conn: ConnId, now: Timestamp, survivors: usize, late: Timestamp) {
        let Some(link) = self.links.remove(&conn) else { return };
        let under_way = self.queue.take(|event| match event {
            Event::ToServer(at, ..) | Event::ToClient(at, _) => *at == conn,
            _ => false,
        });
        let frames = under_way.into_iter().filter(|(_, event)| matches!(event, Event::ToServer(..)));
        let mut end = now;
        for (at, event) in frames.take(survivors) {
            end = end.max(at).max(late);
            self.queue.push(end, event);
        }
        if let Some(server) = link.server {
            // The node may hear of it at once; what it reads before that counts as sent before.
            self.queue.push(now, Event::HangUp(server));
        }
    }

    /// How many frames are under way to the node on a connection: those that have not left this machine never will.
    pub(crate) fn under_way(&self, conn: ConnId, now: Timestamp) -> usize {
        let ours = |event: &&Event| matches!(event, Event::ToServer(at, ..) if *at == conn);
        let queued = self.queue.events.values().filter(ours).count();
        let unsent = self.links.get(&conn).map_or(0, |link| link.begins.iter().filter(|at| **at > now).count());
        queued.saturating_sub(unsent)
    }

    pub(crate) fn on_node(&self, node: BrokerId) -> Vec<ConnId> {
        self.links.iter().filter(|(_, link)| link.node == node).map(|(conn, _)| *conn).collect()
    }
}
