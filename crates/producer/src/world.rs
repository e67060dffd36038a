//! The real world: sockets, clocks, callers, compressing threads.

use std::future::pending;
use std::sync::Arc;

use milena_client::Network;
use milena_client::sasl::SaslMechanism;
use milena_pool::{Connector, PoolConfig, Resolver};
use milena_sender::{Input, Output};
use milena_wire::Timestamp;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::alarm::Alarm;
use crate::clock::Clock;
use crate::commands::CommandQueue;
use crate::driver::World;
use crate::seal::SealPool;
use crate::watch::Watch;

/// Everything that the sender's outputs act on and its inputs come from.
#[derive(Debug)]
pub(crate) struct Real {
    clock: Clock,
    alarm: Alarm,
    network: Network,
    commands: CommandQueue,
    watch: Arc<Watch>,
    seals: SealPool,
    /// What the spool tells the sender.
    spool: UnboundedReceiver<Input>,
    /// Where [`try_next`](World::try_next) looks first: no source, however busy, keeps another from being heard.
    turn: u8,
}

/// How a [`Real`] world talks to the network.
pub(crate) struct Sockets {
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) resolver: Arc<dyn Resolver>,
    pub(crate) max_frame: usize,
    pub(crate) sasl: Option<Arc<dyn SaslMechanism>>,
}

impl Real {
    /// Must be called on the runtime that is to drive the sockets.
    pub(crate) fn start(
        clock: Clock,
        alarm: Alarm,
        sockets: Sockets,
        commands: CommandQueue,
        watch: Arc<Watch>,
        seals: SealPool,
        spool: UnboundedReceiver<Input>,
    ) -> Self {
        let mut config = PoolConfig::default();
        config.max_frame = sockets.max_frame;
        let network = Network::new(config, sockets.connector, sockets.resolver);
        Self {
            clock,
            alarm,
            network: match sockets.sasl {
                Some(mechanism) => network.with_sasl(mechanism),
                None => network,
            },
            commands,
            watch,
            seals,
            spool,
            turn: 0,
        }
    }

    fn look(&mut self, source: u8) -> Option<Input> {
        match source {
            0 => self.network.try_next().map(Input::Cluster),
            1 => self.seals.try_next(),
            2 => self.commands.try_recv(),
            3 => self.spool.try_recv().ok(),
            _ => self.watch.take_ring().then_some(Input::Wake),
        }
    }
}

/// Sources of inputs that [`Real`] looks through.
const SOURCES: u8 = 5;

impl World for Real {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn wall_ms(&self) -> i64 {
        self.clock.wall_ms()
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Resolve { query, host, port } => self.network.resolve(query, host, port),
            Output::Connect { conn, host, port, addr } => self.network.connect(conn, host, port, addr),
            Output::Transmit { conn, frame } => self.network.transmit(conn, frame),
            Output::Authenticate { conn, order } => self.network.authenticate(conn, order),
            Output::Close { conn } => self.network.close(conn),
            Output::Done { id, result } => self.commands.answer(id, result),
            Output::Seal { ticket, batch } => self.seals.seal(ticket, batch),
            // The driver ends with it.
            Output::Closed => {}
        }
    }

    fn try_next(&mut self) -> Option<Input> {
        // What came before is dealt with.
        self.watch.rest();
        let input = (0..SOURCES).find_map(|step| {
            let source = (self.turn + step) % SOURCES;
            let input = self.look(source)?;
            self.turn = (source + 1) % SOURCES;
            Some(input)
        })?;
        self.watch.work();
        Some(input)
    }

    async fn next(&mut self, until: Option<Timestamp>) -> Input {
        let alarm = async {
            match until {
                Some(at) => self.alarm.ring(at).await,
                None => pending().await,
            }
        };
        let input = tokio::select! {
            biased;
            input = self.network.next() => Input::Cluster(input),
            input = self.seals.next() => input,
            input = self.commands.recv() => input,
            Some(input) = self.spool.recv() => input,
            () = self.watch.ring() => Input::Wake,
            () = alarm => Input::Tick,
        };
        self.watch.work();
        input
    }
}
