//! The machine: one folder's replay, step by step.

use std::time::Duration;

use milena_sequence::{Fate, Identity, Stamp};
use milena_wire::{ErrorCode, ProducerEpoch, ProducerId, Sequence, Timestamp};

use super::rules::Rules;
use super::step::{Aside, Step, Stop, Unresolved};
use crate::{Head, Place, Progress, Trying};

/// What was never sent in all this time since it was written down is written down anew, so that it does not look older than it is after a crash.
const STALE: Duration = Duration::from_secs(600);

/// The replay of one folder.
///
/// To be driven as: ask for a [`step`](Self::step); do it; say what came of it ([`saved`](Self::saved), [`identified`](Self::identified),
/// [`answered`](Self::answered), or [`stop`](Self::stop) if it could not be done); repeat.
#[derive(Debug)]
pub struct Replayer {
    pub(super) rules: Rules,
    pub(super) place: Place,
    /// As it is on the disk, or will be with the next save; `None` if the file is damaged.
    pub(super) progress: Option<Progress>,
    pub(super) state: State,
    pub(super) standing: Standing,
    /// The identity under which a batch was accepted in this run: what the broker remembers of it is known.
    pub(super) confirmed: Option<Identity>,
    /// A producer id that must not be used again here.
    spent: Option<ProducerId>,
    /// Sendings of the head that led to nothing.
    pub(super) attempts: u32,
    pub(super) last: Option<ErrorCode>,
    /// When the folder last got further.
    since: Option<Timestamp>,
}

/// What is known of the head beyond its fate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Standing {
    AsItCame,
    /// It is not written, and never will be as it was sent first.
    Absent,
    /// It may be written, and the user accepts that twice.
    Accepted,
}

#[derive(Debug)]
pub(super) enum State {
    /// The head is to be looked at.
    Look,
    Saving {
        progress: Progress,
        then: Option<Sending>,
    },
    SettingAside(Aside),
    Waiting {
        sending: Sending,
        not_before: Timestamp,
    },
    InFlight(Sending),
    Stopped(Stop),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Sending {
    pub(super) trying: Trying,
    /// Whether it may have been appended by an earlier attempt.
    pub(super) ambiguous: bool,
    pub(super) corrupt: u32,
}

impl Replayer {
    /// Begins where `progress` says; `None` if that is lost.
    #[must_use]
    pub fn new(rules: Rules, place: Place, progress: Option<Progress>) -> Self {
        Self {
            rules,
            place,
            progress,
            state: State::Look,
            standing: Standing::AsItCame,
            confirmed: None,
            spent: None,
            attempts: 0,
            last: None,
            since: None,
        }
    }

    /// What to do next. `head` is the folder's next batch; `ready` says whether the partition's leader would take a request.
    pub fn step(&mut self, now: Timestamp, wall_ms: i64, head: Option<&Head>, ready: bool) -> Step {
        loop {
            match &self.state {
                State::Saving { progress, .. } => return Step::Save(*progress),
                State::SettingAside(aside) => return Step::SetAside(aside.clone()),
                State::InFlight(_) => return Step::InFlight,
                State::Stopped(stop) => return Step::Stopped(stop.clone()),
                State::Look | State::Waiting { .. } => {}
            }
            let Some(head) = head else { return Step::CaughtUp };
            if let Some(why) = self.blocked(now) {
                return Step::Stopped(why);
            }
            let step = match self.state {
                State::Waiting { sending, not_before } => self.send(now, wall_ms, head, ready, sending, not_before),
                _ => self.look(wall_ms, head, ready),
            };
            if let Some(step) = step {
                return step;
            }
        }
    }

    /// Notes that nothing can be sent now. `Some`: the folder has waited for as long as the replay is patient, and is left alone.
    pub fn blocked(&mut self, now: Timestamp) -> Option<Stop> {
        let since = *self.since.get_or_insert(now);
        let waits = matches!(self.state, State::Look | State::Waiting { .. });
        if waits && self.rules.patience.is_some_and(|patience| now.since(since) >= patience) {
            self.stop(Stop::NoProgress(self.last));
        }
        match &self.state {
            State::Stopped(why) => Some(why.clone()),
            _ => None,
        }
    }

    /// When [`step`](Self::step) would say something else although nothing happened.
    #[must_use]
    pub fn gives_up_at(&self) -> Option<Timestamp> {
        match self.state {
            State::Look | State::Waiting { .. } => Some(self.since? + self.rules.patience?),
            _ => None,
        }
    }

    /// What the last step asked to write is on the disk.
    pub fn saved(&mut self) {
        match std::mem::replace(&mut self.state, State::Look) {
            State::Saving { progress, then } => {
                if self.progress.is_none_or(|before| before.next != progress.next) && then.is_none() {
                    self.got_further();
                }
                self.progress = Some(progress);
                if let Some(sending) = then {
                    self.state = State::Waiting { sending, not_before: Timestamp::ZERO };
                }
            }
            State::SettingAside(aside) => {
                self.progress = Some(aside.progress);
                self.got_further();
            }
            other => self.state = other,
        }
    }

    /// To be called right after [`answered`](Self::answered) said [`Next::Written`](super::Next::Written), if `following` is the batch behind and can be sent
    /// soon: the next save then says both, that the one is done and what the other is sent as. Half as many writes to the disk.
    pub fn go_on(&mut self, wall_ms: i64, following: &Head) {
        // Killed before it is sent, it could not be told from one that was.
        if !self.rules.are_remembered(wall_ms, wall_ms, following.header.max_timestamp) {
            return;
        }
        let State::Saving { progress: done, then: None } = self.state else { return };
        let (before, standing) = (self.progress.replace(done), self.standing);
        self.standing = Standing::AsItCame;
        self.state = State::Look;
        let asks = self.look(wall_ms, following, true);
        if asks.is_none() && matches!(self.state, State::Saving { .. }) {
            self.got_further();
        } else {
            // What else there is to do about it is done when it is the head.
            self.progress = before;
            self.standing = standing;
            self.state = State::Saving { progress: done, then: None };
        }
    }

    /// Notes that others are served first where this would go: that is no lack of progress.
    pub fn queued(&mut self) {
        self.since = None;
    }

    /// A producer id that was asked for. `false`: it is of no use here, another one is needed.
    pub fn identified(&mut self, identity: Identity) -> bool {
        let usable = identity.producer_id.0 >= 0 && identity.epoch.0 >= 0 && self.spent != Some(identity.producer_id);
        if let Some(progress) = self.progress.as_mut().filter(|progress| usable && progress.own.is_none()) {
            progress.own = Some(Stamp { identity, sequence: Sequence::ZERO });
        }
        usable
    }

    /// Leaves the folder as it is: what a step asked for could not be done, or is of no use.
    pub fn stop(&mut self, why: Stop) {
        self.state = State::Stopped(why);
    }

    fn got_further(&mut self) {
        self.standing = Standing::AsItCame;
        self.attempts = 0;
        self.last = None;
        self.since = None;
    }

    /// Decides how to send the head. `None`: the state says more.
    fn look(&mut self, wall_ms: i64, head: &Head, ready: bool) -> Option<Step> {
        let progress = match self.progress {
            Some(progress) => progress,
            None if self.rules.accept_duplicates => {
                *self.progress.insert(Progress { next: head.offset(), ..Progress::default() })
            }
            None => {
                self.stop(Stop::ProgressLost);
                return None;
            }
        };
        if let Some(trying) = progress.trying {
            if progress.next == head.offset() {
                let sending = Sending { trying, ambiguous: true, corrupt: 0 };
                self.state = State::Waiting { sending, not_before: Timestamp::ZERO };
                return None;
            }
            // What it tells of has gone from the disk, and may be written: its sequences must not be given to others.
            self.change(|progress| progress.trying = None);
            if trying.own {
                self.bump();
            }
            return None;
        }
        match (self.standing, head.fate, head.stamp()) {
            (Standing::AsItCame, Fate::MaybeWritten, Some(stamp)) => {
                let trying = Trying { stamp, own: false, since_ms: head.when_ms };
                self.write_down(wall_ms, head, ready, Sending { trying, ambiguous: true, corrupt: 0 })
            }
            (Standing::AsItCame, Fate::MaybeWritten, None) if !self.rules.accept_duplicates => {
                self.set_aside(head, None, Unresolved::Unstamped);
                None
            }
            _ => {
                let Some(stamp) = self.progress.and_then(|progress| progress.own) else {
                    return Some(if ready { Step::Identify } else { Step::Ready });
                };
                let trying = Trying { stamp, own: true, since_ms: wall_ms };
                self.write_down(wall_ms, head, ready, Sending { trying, ambiguous: false, corrupt: 0 })
            }
        }
    }

    /// Has it written down what is about to be sent.
    fn write_down(&mut self, wall_ms: i64, head: &Head, ready: bool, sending: Sending) -> Option<Step> {
        if !self.may_send(wall_ms, head, &sending) {
            self.set_aside(head, Some(sending), Unresolved::Forgotten);
            return None;
        }
        if !ready {
            return Some(Step::Ready);
        }
        let before = self.progress.unwrap_or_default();
        let progress = Progress { next: head.offset(), trying: Some(sending.trying), ..before };
        self.state = State::Saving { progress, then: Some(sending) };
        None
    }

    /// Whether a broker that has appended the batch would still know it.
    fn may_send(&self, wall_ms: i64, head: &Head, sending: &Sending) -> bool {
        !sending.ambiguous
            || self.rules.accept_duplicates
            || self.rules.are_remembered(wall_ms, sending.trying.since_ms, head.header.max_timestamp)
    }

    fn send(
        &mut self,
        now: Timestamp,
        wall_ms: i64,
        head: &Head,
        ready: bool,
        mut sending: Sending,
        not_before: Timestamp,
    ) -> Option<Step> {
        if now < not_before {
            return Some(Step::Wait(not_before));
        }
        if !self.may_send(wall_ms, head, &sending) {
            self.set_aside(head, Some(sending), Unresolved::Forgotten);
            return None;
        }
        if !ready {
            return Some(Step::Ready);
        }
        let age = Duration::from_millis(wall_ms.abs_diff(sending.trying.since_ms));
        if !sending.ambiguous && age > STALE {
            sending.trying.since_ms = wall_ms;
            return self.write_down(wall_ms, head, ready, sending);
        }
        self.state = State::InFlight(sending);
        Some(Step::Send(sending.trying.stamp))
    }

    pub(super) fn change(&mut self, change: impl FnOnce(&mut Progress)) {
        if let Some(progress) = &mut self.progress {
            change(progress);
        }
    }

    /// The replay's own numbering begins again, in the next epoch.
    pub(super) fn bump(&mut self) {
        let Some(Stamp { identity, .. }) = self.progress.and_then(|progress| progress.own) else { return };
        if identity.epoch >= ProducerEpoch::LAST {
            self.drop_identity();
            return;
        }
        let identity = Identity { epoch: ProducerEpoch(identity.epoch.0 + 1), ..identity };
        self.change(|progress| progress.own = Some(Stamp { identity, sequence: Sequence::ZERO }));
    }

    pub(super) fn drop_identity(&mut self) {
        let own = self.progress.and_then(|progress| progress.own);
        self.spent = own.map(|own| own.identity.producer_id);
        self.change(|progress| progress.own = None);
    }
}
