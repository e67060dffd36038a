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

/// Drives `sender` until it is closed and everything is settled.
pub(crate) async fn drive(mut sender: Sender, mut world: impl World) {
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
    }
}
