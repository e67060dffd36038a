//! Calls that the sender answers: flush, purge, close, wait.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use milena_sender::{Command, CommandId, CommandResult, Input, Lost};
use milena_wire::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

#[derive(Debug)]
enum Call {
    Make(CommandId, Command, Option<oneshot::Sender<CommandResult>>),
    /// Whoever made it went away.
    GiveUp(CommandId),
}

/// The callers' end. Bounded by the callers: each has one call under way.
#[derive(Clone, Debug)]
pub(crate) struct Commands {
    calls: mpsc::UnboundedSender<Call>,
    ending: watch::Receiver<Ending>,
    next: Arc<AtomicU64>,
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
    cut_off: Arc<AtomicU64>,
}

/// `ending` tells when the driver has ended and every record has its outcome.
pub(crate) fn channel(ending: watch::Receiver<Ending>) -> (Commands, CommandQueue) {
    let (tx, calls) = mpsc::unbounded_channel();
    let cut_off = Arc::default();
    let commands = Commands { calls: tx, ending, next: Arc::default(), cut_off: Arc::clone(&cut_off) };
    (commands, CommandQueue { calls, waiting: BTreeMap::new(), cut_off })
}

impl Commands {
    /// `None` if the driver has ended before it answered. Every record has its outcome then, so that what is said of
    /// unobserved failures afterwards is complete.
    pub(crate) async fn run(&self, command: Command) -> Option<CommandResult> {
        let (tx, rx) = oneshot::channel();
        let id = self.id();
        if self.calls.send(Call::Make(id, command, Some(tx))).is_ok() {
            let mut caller = Caller { calls: &self.calls, id: Some(id) };
            let result = rx.await;
            caller.id = None;
            if let Ok(result) = result {
                return Some(result);
            }
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
        drop(self.calls.send(Call::Make(self.id(), Command::Close { deadline }, None)));
    }

    fn id(&self) -> CommandId {
        CommandId(self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// Says so when whoever waits for a result goes away without it.
struct Caller<'a> {
    calls: &'a mpsc::UnboundedSender<Call>,
    id: Option<CommandId>,
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            // A driver that has ended has forgotten all calls.
            drop(self.calls.send(Call::GiveUp(id)));
        }
    }
}

impl CommandQueue {
    pub(crate) fn try_recv(&mut self) -> Option<Input> {
        self.calls.try_recv().ok().map(|call| self.accept(call))
    }

    /// Cancel-safe. Pends for ever once every handle is gone: the last one has sent its `Close`.
    pub(crate) async fn recv(&mut self) -> Input {
        match self.calls.recv().await {
            Some(call) => self.accept(call),
            None => std::future::pending().await,
        }
    }

    pub(crate) fn answer(&mut self, id: CommandId, result: CommandResult) {
        if let CommandResult::Closed { cut_off, .. } = &result {
            self.cut_off.store(*cut_off, Ordering::Relaxed);
        }
        let unheard = match self.waiting.remove(&id) {
            Some(caller) => caller.send(result).err(),
            None => Some(result),
        };
        // A caller that gave up does not want to know, except of what is lost for good.
        if let Some(CommandResult::Closed { cut_off, lost }) = unheard
            && cut_off > 0
        {
            let topics = by_topic(&lost);
            tracing::error!(
                records = cut_off,
                %topics,
                "the producer was dropped and ended before it could deliver all records"
            );
        }
    }

    fn accept(&mut self, call: Call) -> Input {
        match call {
            Call::Make(id, command, caller) => {
                if let Some(caller) = caller {
                    self.waiting.insert(id, caller);
                }
                Input::Command { id, command }
            }
            Call::GiveUp(id) => {
                self.waiting.remove(&id);
                Input::GiveUp { id }
            }
        }
    }
}

/// How many topics of those that lost records are named.
const NAMED: usize = 10;

fn by_topic(lost: &[Lost]) -> String {
    let named: Vec<String> = lost.iter().take(NAMED).map(ToString::to_string).collect();
    let more = match lost.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; and {more} topics more"),
    };
    named.join("; ") + &more
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn a_call_that_is_dropped_is_given_up_and_nothing_of_it_is_kept() {
        let (_ending, ended) = watch::channel(Ending::NotYet);
        let (commands, mut queue) = channel(ended);
        {
            let mut call = pin!(commands.run(Command::Flush));
            assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        let Some(Input::Command { id, .. }) = queue.try_recv() else { panic!("no call") };
        assert_eq!(queue.waiting.len(), 1);
        let Some(Input::GiveUp { id: given_up }) = queue.try_recv() else { panic!("not given up") };
        assert_eq!((given_up, queue.waiting.len()), (id, 0));
    }

    #[test]
    fn a_call_that_was_answered_is_not_given_up() {
        let (_ending, ended) = watch::channel(Ending::NotYet);
        let (commands, mut queue) = channel(ended);
        let mut call = pin!(commands.run(Command::Flush));
        let mut context = Context::from_waker(Waker::noop());
        assert!(call.as_mut().poll(&mut context).is_pending());
        let Some(Input::Command { id, .. }) = queue.try_recv() else { panic!("no call") };
        queue.answer(id, CommandResult::Flushed);
        assert!(call.as_mut().poll(&mut context).is_ready());
        assert!(queue.try_recv().is_none());
    }
}
