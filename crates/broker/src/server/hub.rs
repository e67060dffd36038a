//! The core behind its lock, and who waits for what from it.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use milena_wire::{BrokerId, Timestamp};
use tokio::sync::{Notify, oneshot, watch};

use super::clock::Clock;
use crate::core::{Answer, At, Core, Handled, Ticket, request};
use crate::profile::Profile;
use crate::sasl::{Gate, Guard};

/// Everything the tasks of one cluster share.
pub(super) struct Hub {
    state: Mutex<State>,
    clock: Clock,
    profile: Profile,
    check_records: bool,
    /// Told when the core's next timer is earlier than what the timer task sleeps for.
    rearm: Notify,
}

struct State {
    core: Core,
    waiters: BTreeMap<Ticket, oneshot::Sender<Answer>>,
    /// What the timer task sleeps for.
    armed: Timestamp,
    /// The core has been closed: it knows no topic any more, which nobody must be told.
    closed: bool,
}

/// What became of a frame.
pub(super) enum Outcome<'a> {
    Answered(Answer),
    Waits(Wait<'a>),
}

/// An answer that is still to come. Dropped, nobody waits for it any more; the request itself goes on.
pub(super) struct Wait<'a> {
    hub: &'a Hub,
    ticket: Ticket,
    answer: oneshot::Receiver<Answer>,
}

impl Wait<'_> {
    pub(super) async fn answer(mut self) -> Answer {
        // The sender is dropped only when the cluster ends.
        (&mut self.answer).await.unwrap_or(Answer::Close)
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut state = self.hub.lock();
        if state.waiters.remove(&self.ticket).is_some() {
            state.core.abandon(self.ticket);
        }
    }
}

impl Hub {
    pub(super) fn new(core: Core, profile: Profile, check_records: bool) -> Self {
        let state = State { core, waiters: BTreeMap::new(), armed: Timestamp::NEVER, closed: false };
        Self { state: Mutex::new(state), clock: Clock::start(), profile, check_records, rearm: Notify::new() }
    }

    /// Lets the connection's guard look at a frame; `None` if it is for the cluster.
    pub(super) fn guard(&self, node: BrokerId, guard: &mut Guard, frame: &Bytes) -> Option<Outcome<'_>> {
        let at = self.clock.at();
        let strike = |api| {
            self.with(|core, _| {
                core.count(node, api);
                core.strike_api(node, api)
            })
        };
        let Gate::Answer { answer, hold } = guard.look(at.now, frame, strike) else { return None };
        let mut state = self.lock();
        let handled = state.core.hold(at, answer, hold);
        self.settle(&mut state);
        Some(self.outcome(&mut state, handled))
    }

    /// Handles one request frame, its size taken off.
    pub(super) fn handle(&self, node: BrokerId, frame: &Bytes) -> Outcome<'_> {
        let read = request::read(frame, self.profile, self.check_records);
        let at = self.clock.at();
        let mut state = self.lock();
        if state.closed {
            return Outcome::Answered(Answer::Close);
        }
        if let Some(api) = request::peek_api(frame) {
            state.core.count(node, api);
        }
        let (meta, request) = match read {
            Ok(read) => read,
            Err(error) => {
                tracing::debug!(%node, %error, "closing a connection whose request cannot be understood");
                return Outcome::Answered(Answer::Close);
            }
        };
        let handled = state.core.handle(at, node, meta, request);
        self.settle(&mut state);
        self.outcome(&mut state, handled)
    }

    fn outcome(&self, state: &mut State, handled: Handled) -> Outcome<'_> {
        match handled {
            Handled::Answered(answer) => Outcome::Answered(answer),
            Handled::Waits(ticket) => {
                let (waiter, answer) = oneshot::channel();
                state.waiters.insert(ticket, waiter);
                Outcome::Waits(Wait { hub: self, ticket, answer })
            }
        }
    }

    /// Lets `act` steer the core.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Core, At) -> T) -> T {
        let at = self.clock.at();
        let mut state = self.lock();
        let result = act(&mut state.core, at);
        self.settle(&mut state);
        result
    }

    /// Ends it: logs are closed, and every request from now on ends its connection.
    pub(super) fn close(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.closed = true;
        state.core.close()
    }

    /// Lets the core's timers happen until `stopped` changes.
    pub(super) async fn run_timers(&self, mut stopped: watch::Receiver<bool>) {
        loop {
            let sleep = {
                let mut state = self.lock();
                state.armed = state.core.next_timer().unwrap_or(Timestamp::NEVER);
                (state.armed != Timestamp::NEVER).then(|| state.armed.since(self.clock.at().now))
            };
            let due = async {
                match sleep {
                    Some(time) => tokio::time::sleep(time).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => self.with(|core, at| core.tick(at)),
                () = self.rearm.notified() => {}
                _ = stopped.changed() => return,
            }
        }
    }

    fn settle(&self, state: &mut State) {
        for (ticket, answer) in state.core.take_answered() {
            if let Some(waiter) = state.waiters.remove(&ticket) {
                // The connection may be gone; the request has run all the same.
                let _gone = waiter.send(answer);
            }
        }
        if state.core.next_timer().is_some_and(|next| next < state.armed) {
            self.rearm.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
