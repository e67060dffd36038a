//! The loop between the sender, which decides, and the world, which does. It decides nothing.

use std::future::Future;

use milena_sender::{Input, Output, Sender};
use milena_wire::Timestamp;

/// What the driver needs of the world: real in a producer, made up in a simulation.
pub(crate) trait World {
    /// Monotonic time.
    fn now(&self) -> Timestamp;

    /// Milliseconds since the Unix epoch.
    fn wall_ms(&self) -> i64;

    /// Does what the sender asks.
    fn perform(&mut self, output: Output);

    /// Something that has already happened.
    fn try_next(&mut self) -> Option<Input>;

    /// The next thing that happens, or [`Input::Tick`] at `until`. Cancel-safe.
    fn next(&mut self, until: Option<Timestamp>) -> impl Future<Output = Input> + Send;
}

/// After so many inputs the runtime's other tasks have a turn, the connections' among them: callers can ring without a pause.
const TURN: u32 = 128;

/// Drives `sender` until it is closed and everything is settled.
pub(crate) async fn drive(mut sender: Sender, mut world: impl World) {
    let mut inputs = 0;
    loop {
        while let Some(output) = sender.poll_output() {
            if matches!(output, Output::Closed) {
                return;
            }
            world.perform(output);
        }
        let input = match world.try_next() {
            Some(input) => input,
            None => world.next(sender.next_timer()).await,
        };
        sender.handle(world.now(), world.wall_ms(), input);
        inputs += 1;
        if inputs == TURN {
            inputs = 0;
            tokio::task::yield_now().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use milena_accumulator::{Accumulator, AccumulatorConfig, Hooks};
    use milena_cluster::{Cluster, ClusterConfig, HostPort};
    use milena_sender::{Command, CommandId, SenderConfig};

    use super::*;

    struct Deaf;

    impl Hooks for Deaf {
        fn wake(&self) {}
        fn report(&self, _: milena_accumulator::BatchReport) {}
        fn unobserved(&self, _: &Arc<milena_accumulator::Failure>, _: u32) {}
    }

    /// Callers ring without a pause until another task had its turn.
    struct Ringing {
        had_its_turn: Arc<AtomicBool>,
        rings: u32,
    }

    impl World for Ringing {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(1)
        }

        fn wall_ms(&self) -> i64 {
            1
        }

        fn perform(&mut self, _: Output) {}

        fn try_next(&mut self) -> Option<Input> {
            let close = Command::Close { deadline: Timestamp::from_millis(1) + Duration::from_secs(1) };
            self.rings += 1;
            assert!(self.rings < 100 * TURN, "nobody else has a turn");
            Some(match self.had_its_turn.load(Ordering::Relaxed) {
                true => Input::Command { id: CommandId(1), command: close },
                false => Input::Wake,
            })
        }

        async fn next(&mut self, _: Option<Timestamp>) -> Input {
            std::future::pending().await
        }
    }

    #[tokio::test]
    async fn connections_have_their_turn_though_callers_ring_without_a_pause() {
        let accumulator = Accumulator::new(AccumulatorConfig::default(), 1, Arc::new(Deaf));
        let cluster = Cluster::new(ClusterConfig::new(vec![HostPort::new("localhost", 9092)]), 2);
        let sender = Sender::new(SenderConfig::default(), accumulator, cluster, 3);
        let had_its_turn = Arc::new(AtomicBool::new(false));
        let other = tokio::spawn({
            let had_its_turn = Arc::clone(&had_its_turn);
            async move { had_its_turn.store(true, Ordering::Relaxed) }
        });
        drive(sender, Ringing { had_its_turn, rings: 0 }).await;
        other.await.unwrap();
    }
}
