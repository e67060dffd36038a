//! What joins the sender to the network and the nodes, and lets time pass.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use milena_broker::{SimulatedConn, SimulatedEvent};
use milena_cluster::{ConnId, Input as News, LostCause};
use milena_sender::{Command, CommandId, CommandResult, Input, Output};
use milena_wire::{ApiKey, BrokerId, Timestamp};

use super::network::Event;
use super::planted::Planted;
use super::world::World;

/// More than this without time passing is a spin.
const INSTANT_MAX: u64 = 100_000;
/// More than this in one run is no progress.
const STEPS_MAX: u64 = 5_000_000;

impl World {
    pub(crate) fn input(&mut self, input: Input) {
        let wall_ms = self.wall_ms();
        self.sender.handle(self.now, wall_ms, input);
    }

    /// Lets everything happen that is due up to `end`.
    pub(crate) fn run_until(&mut self, end: Timestamp) -> Result<(), Vec<String>> {
        loop {
            self.settle()?;
            self.listen();
            self.check_deadlines()?;
            let timers = [self.net.queue.next(), self.servers.next_timer(), self.sender.next_timer()];
            match timers.into_iter().flatten().min() {
                Some(next) if next <= end => self.now = self.now.max(next),
                _ if self.now < end => self.now = end,
                _ => return Ok(()),
            }
        }
    }

    /// Everything that takes no time.
    fn settle(&mut self) -> Result<(), Vec<String>> {
        let before = self.summary.steps;
        let steps_max = if self.planted == Planted::Impatience { 50 } else { STEPS_MAX };
        while self.step() {
            self.summary.steps += 1;
            let what = match self.summary.steps {
                steps if steps > steps_max => "SLOW",
                steps if steps - before > INSTANT_MAX => "SPIN",
                _ => continue,
            };
            let (steps, here, now) = (self.summary.steps, self.summary.steps - before, self.now);
            let (next, queued) = (self.sender.next_timer(), self.net.queue.len());
            return Err(vec![format!(
                "{what}: {steps} steps, {here} of them at {now:?}; the sender's next timer is {next:?}, {queued} events are under way"
            )]);
        }
        Ok(())
    }

    /// One thing that is due, if anything is.
    fn step(&mut self) -> bool {
        if self.ears.take_woken() {
            self.input(Input::Wake);
        } else if self.ears.take_bell() {
            self.serve_callers();
        } else if let Some(output) = self.sender.poll_output() {
            self.carry_out(output);
        } else if let Some((conn, event)) = self.servers.poll() {
            self.hear_server(conn, event);
        } else if let Some(event) = self.net.queue.pop_due(self.now) {
            self.happen(event);
        } else if self.servers.next_timer().is_some_and(|at| at <= self.now) {
            self.servers.tick(self.now);
        } else if self.sender.next_timer().is_some_and(|at| at <= self.now) {
            self.input(Input::Tick);
        } else {
            return false;
        }
        true
    }

    /// How long something is under way on a connection.
    fn latency(&mut self, conn: ConnId) -> Duration {
        let (low, high) = self.plan.latency_us;
        self.net.links.get_mut(&conn).map_or(Duration::ZERO, |link| link.rng.micros(low, high))
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Resolve { query, host, port } => self.resolve(query, &host, port),
            Output::Connect { conn, addr, .. } => {
                let SocketAddr::V4(v4) = addr else { return };
                let node = BrokerId(i32::from(v4.ip().octets()[3]));
                self.say(|| format!("{conn:?} to node {node}"));
                self.net.open(conn, node, self.now, self.plan.latency_us);
                self.count(None);
            }
            Output::Transmit { conn, frame } => {
                let bytes = Bytes::from(frame.to_vec()).slice(4..);
                let api = bytes.first_chunk().map(|key| ApiKey(i16::from_be_bytes(*key)));
                self.say(|| format!("{conn:?} sends {api:?}, {} bytes", bytes.len()));
                self.count(api);
                self.digest(u64::from(crc(&bytes)) ^ self.now.as_nanos());
                let leaves = self.now + self.net.links.get_mut(&conn).map_or(Duration::ZERO, |l| l.rng.micros(0, 100));
                let arrives = leaves + self.latency(conn);
                self.net.send_server(conn, leaves, arrives, bytes);
            }
            Output::Authenticate { conn, order } => self.authenticate(conn, &order),
            Output::Close { conn } => {
                self.say(|| format!("{conn:?} is closed by the client"));
                self.end(conn);
            }
            Output::Seal { ticket, batch } => {
                let time = self.rng.micros(0, self.plan.seal_ms * 1000);
                self.net.queue.push(self.now + time, Event::Sealed(ticket, batch));
            }
            Output::Done { id, result } => {
                self.say(|| format!("command {} is done: {result:?}", id.0));
                self.answered(id, &result);
            }
            Output::Closed => self.closed = self.planted != Planted::DeafToCommands,
        }
    }

    /// A connection ends; what is under way may still arrive, perhaps late.
    pub(crate) fn end(&mut self, conn: ConnId) {
        let under_way = self.net.under_way(conn, self.now);
        let zombie_ms = if self.healed { 0 } else { self.plan.zombie_ms };
        let Some(rng) = self.net.links.get_mut(&conn).map(|link| &mut link.rng) else { return };
        let survivors = if under_way > 0 && rng.percent(60) { rng.index(under_way + 1) } else { 0 };
        let late = rng.millis(0, zombie_ms);
        self.net.end(conn, self.now, survivors, self.now + late);
    }

    /// A command has its answer; what was settled before it was heard before it.
    fn answered(&mut self, id: CommandId, result: &CommandResult) {
        if self.planted == Planted::DeafToCommands {
            return;
        }
        self.listen();
        let Some(note) = usize::try_from(id.0).ok().and_then(|id| self.notes.get_mut(id - 1)) else { return };
        note.done = Some(self.now);
        note.given_up = match result {
            CommandResult::Purged { records } => *records,
            CommandResult::Closed { cut_off, .. } => *cut_off,
            _ => 0,
        };
    }

    /// Whether no outcome is heard, by a test's wish.
    pub(crate) fn is_deaf(&self) -> bool {
        self.planted == Planted::DeafToOutcomes
    }

    fn resolve(&mut self, query: milena_cluster::QueryId, host: &str, port: u16) {
        let address = |node: i32| SocketAddr::from(([10, 0, 0, u8::try_from(node).unwrap_or(0)], port));
        let result = if self.names_fail {
            Err("no such host is known".to_owned())
        } else if host == "boot" {
            Ok((1..=self.plan.nodes).map(address).collect())
        } else {
            host.parse().map(|ip| vec![SocketAddr::new(ip, port)]).map_err(|error| format!("{host}: {error}"))
        };
        let at = self.now + self.rng.micros(10, 2000);
        self.net.queue.push(at, Event::Resolved(News::Resolved { query, result }));
    }

    fn hear_server(&mut self, server: SimulatedConn, event: SimulatedEvent) {
        let Some(conn) = self.conns.get(&server).copied() else { return };
        let arrives = self.now + self.latency(conn);
        let Some(link) = self.net.links.get_mut(&conn) else { return };
        match event {
            SimulatedEvent::Send(bytes) => {
                link.received += bytes.len() as u64;
                let frame = bytes.slice(4..);
                self.net.send_client(conn, arrives, News::Received { conn, frame });
            }
            SimulatedEvent::SendPart(bytes) => link.received += bytes.len() as u64,
            SimulatedEvent::Closed => {
                let cause = LostCause::Closed { bytes_received: link.received };
                self.net.send_client(conn, arrives, News::Lost { conn, cause, begun: None });
            }
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Dial(conn) => self.dial(conn),
            Event::ToClient(conn, input) => {
                if !self.net.links.contains_key(&conn) {
                    return;
                }
                let input = self.as_known(input);
                let is_lost = matches!(input, News::Lost { .. });
                if !matches!(input, News::Written { .. }) {
                    self.say(|| match &input {
                        News::Received { frame, .. } => format!("{conn:?} receives {} bytes", frame.len()),
                        other => format!("{other:?}"),
                    });
                }
                self.input(Input::Cluster(input));
                if is_lost {
                    self.end(conn);
                }
            }
            Event::Resolved(input) => self.input(Input::Cluster(input)),
            Event::ToServer(conn, server, frame) => {
                self.say(|| format!("{conn:?}: the node has {} bytes", frame.len()));
                if !self.net.links.contains_key(&conn) {
                    self.summary.sights.saw("a request ran after its connection had ended");
                }
                self.servers.receive(self.now, server, frame);
            }
            Event::HangUp(server) => self.servers.hang_up(server),
            Event::Sealed(ticket, batch) => self.input(Input::Sealed { ticket, batch: batch.seal() }),
            Event::Burst if self.healed => {}
            Event::Burst => self.burst(),
            Event::Close(within) => self.command(Command::Close { deadline: self.now + within }),
            Event::Patience => self.serve_callers(),
            Event::Strike(at) => self.strike(at),
            Event::Undo(undo) => self.undo(undo),
        }
    }

    /// Tells of a lost connection how many of its frames had begun, where the pool knows that.
    fn as_known(&mut self, input: News) -> News {
        match input {
            News::Lost { conn, cause, .. } => {
                let begun = self.plan.begun_known.then(|| self.net.begun(conn, self.now));
                if begun.is_some_and(|begun| begun < self.net.given(conn)) {
                    self.summary.sights.saw("a frame had not begun when its connection was lost");
                }
                News::Lost { conn, cause, begun }
            }
            other => other,
        }
    }

    fn dial(&mut self, conn: ConnId) {
        let Some(node) = self.net.links.get(&conn).map(|link| link.node) else { return };
        let server = self.servers.connect(node);
        let arrives = self.now + self.latency(conn);
        if let Some(link) = self.net.links.get_mut(&conn) {
            link.server = server;
        }
        match server {
            Some(server) => {
                self.conns.insert(server, conn);
                self.net.send_client(conn, arrives, News::Connected { conn });
            }
            None => {
                let text = "connection refused".to_owned();
                let cause = LostCause::ConnectFailed { kind: std::io::ErrorKind::ConnectionRefused, text };
                self.net.send_client(conn, arrives, News::Lost { conn, cause, begun: None });
            }
        }
    }
}

fn crc(bytes: &[u8]) -> u32 {
    milena_wire::crc32_ieee(bytes)
}
