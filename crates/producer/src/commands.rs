//! Calls that the sender answers: flush, purge, close, wait.

use std::collections::BTreeMap;

use milena_sender::{Command, CommandId, CommandResult};
use milena_wire::Timestamp;
use tokio::sync::{mpsc, oneshot};

type Call = (Command, Option<oneshot::Sender<CommandResult>>);

/// The callers' end. Bounded by the callers: each has one call under way.
#[derive(Clone, Debug)]
pub(crate) struct Commands(mpsc::UnboundedSender<Call>);

/// The driver's end.
#[derive(Debug)]
pub(crate) struct CommandQueue {
    calls: mpsc::UnboundedReceiver<Call>,
    waiting: BTreeMap<CommandId, oneshot::Sender<CommandResult>>,
    next: u64,
}

pub(crate) fn channel() -> (Commands, CommandQueue) {
    let (tx, calls) = mpsc::unbounded_channel();
    (Commands(tx), CommandQueue { calls, waiting: BTreeMap::new(), next: 0 })
}

impl Commands {
    /// `None` if the driver has ended before it answered.
    pub(crate) async fn run(&self, command: Command) -> Option<CommandResult> {
        let (tx, rx) = oneshot::channel();
        self.0.send((command, Some(tx))).ok()?;
        rx.await.ok()
    }

    /// Closes with nobody waiting.
    pub(crate) fn close_unattended(&self, deadline: Timestamp) {
        // A driver that has ended has nothing left to close.
        drop(self.0.send((Command::Close { deadline }, None)));
    }
}

impl CommandQueue {
    pub(crate) fn try_recv(&mut self) -> Option<(CommandId, Command)> {
        self.calls.try_recv().ok().map(|call| self.accept(call))
    }

    /// Cancel-safe. Pends for ever once every handle is gone: the last one has sent its `Close`.
    pub(crate) async fn recv(&mut self) -> (CommandId, Command) {
        match self.calls.recv().await {
            Some(call) => self.accept(call),
            None => std::future::pending().await,
        }
    }

    pub(crate) fn answer(&mut self, id: CommandId, result: CommandResult) {
        if let Some(caller) = self.waiting.remove(&id) {
            // A caller that gave up does not want to know.
            drop(caller.send(result));
        }
    }

    fn accept(&mut self, (command, caller): Call) -> (CommandId, Command) {
        let id = CommandId(self.next);
        self.next += 1;
        if let Some(caller) = caller {
            self.waiting.insert(id, caller);
        }
        (id, command)
    }
}
