//! Calls that the sender answers: flush, purge, close, wait.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use milena_sender::{Command, CommandId, CommandResult};
use milena_wire::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

type Call = (Command, Option<oneshot::Sender<CommandResult>>);

/// The callers' end. Bounded by the callers: each has one call under way.
#[derive(Clone, Debug)]
pub(crate) struct Commands {
    calls: mpsc::UnboundedSender<Call>,
    ending: watch::Receiver<Ending>,
    cut_off: Arc<AtomicU64>,
}

/// How far the driver has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ending {
    /// It runs.
    NotYet,
    /// It was closed, and every record has its outcome.
    Closed,
    /// It panicked, or its runtime was shut down. Every record has its outcome all the same.
    CutShort,
}

/// The driver's end.
#[derive(Debug)]
pub(crate) struct CommandQueue {
    calls: mpsc::UnboundedReceiver<Call>,
    waiting: BTreeMap<CommandId, oneshot::Sender<CommandResult>>,
    next: u64,
    cut_off: Arc<AtomicU64>,
}

/// `ending` tells when the driver has ended and every record has its outcome.
pub(crate) fn channel(ending: watch::Receiver<Ending>) -> (Commands, CommandQueue) {
    let (tx, calls) = mpsc::unbounded_channel();
    let cut_off = Arc::default();
    let commands = Commands { calls: tx, ending, cut_off: Arc::clone(&cut_off) };
    (commands, CommandQueue { calls, waiting: BTreeMap::new(), next: 0, cut_off })
}

impl Commands {
    /// `None` if the driver has ended before it answered. Every record has its outcome then, so that what is said of
    /// unobserved failures afterwards is complete.
    pub(crate) async fn run(&self, command: Command) -> Option<CommandResult> {
        let (tx, rx) = oneshot::channel();
        let sent = self.calls.send((command, Some(tx)));
        if sent.is_ok()
            && let Ok(result) = rx.await
        {
            return Some(result);
        }
        self.end().await;
        None
    }

    /// Records that the close gave up, for those who come too late to hear it from the driver.
    pub(crate) fn cut_off(&self) -> u64 {
        self.cut_off.load(Ordering::Relaxed)
    }

    /// How far the driver has come by now.
    pub(crate) fn ending(&self) -> Ending {
        // Asked first: whoever ends says how before it is gone.
        let gone = self.ending.has_changed().is_err();
        match *self.ending.borrow() {
            // It never got as far as to run.
            Ending::NotYet if gone => Ending::CutShort,
            ending => ending,
        }
    }

    /// Waits until the driver has ended, and tells how.
    pub(crate) async fn end(&self) -> Ending {
        let mut ending = self.ending.clone();
        match ending.wait_for(|ending| *ending != Ending::NotYet).await {
            Ok(ending) => *ending,
            // It never got as far as to run.
            Err(_) => Ending::CutShort,
        }
    }

    /// Closes with nobody waiting.
    pub(crate) fn close_unattended(&self, deadline: Timestamp) {
        // A driver that has ended has nothing left to close.
        drop(self.calls.send((Command::Close { deadline }, None)));
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
        if let CommandResult::Closed { cut_off } = &result {
            self.cut_off.store(*cut_off, Ordering::Relaxed);
        }
        let unheard = match self.waiting.remove(&id) {
            Some(caller) => caller.send(result).err(),
            None => Some(result),
        };
        // A caller that gave up does not want to know, except of what is lost for good.
        if let Some(CommandResult::Closed { cut_off }) = unheard
            && cut_off > 0
        {
            tracing::error!(
                records = cut_off,
                "the producer was dropped and ended before it could deliver all records"
            );
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
