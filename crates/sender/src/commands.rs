//! What users ask for besides producing.

use std::sync::Arc;
use std::time::Duration;

use milena_accumulator::FailureKind;
use milena_cluster::{ConnError, TopicState};
use milena_mutants::Mutant;
use milena_wire::{ErrorCode, PartitionId, Timestamp, TopicName};

use crate::api::{Command, CommandError, CommandErrorKind, CommandId, CommandResult, Lost, Output, TopicPartitions};
use crate::sender::Sender;
use crate::timers::Timer;
use crate::topics::Cause;

/// A question whose answer the cluster does not know yet.
#[derive(Debug)]
struct Question {
    id: CommandId,
    what: What,
    since: Timestamp,
    deadline: Timestamp,
    /// When the cluster is told again of the topics that are asked for.
    renew_at: Timestamp,
}

#[derive(Debug)]
enum What {
    Ready,
    Partitions(TopicName),
    Prepare(Vec<TopicName>),
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Life {
    #[default]
    Open,
    Closing {
        deadline: Timestamp,
    },
    Closed,
}

#[derive(Debug, Default)]
pub(crate) struct Commands {
    questions: Vec<Question>,
    life: Life,
    /// Who waits for the close.
    closers: Vec<CommandId>,
    cut_off: u64,
    /// What makes up `cut_off`.
    lost: Vec<Lost>,
    /// Nothing can be sent any more, because of this.
    pub(crate) fatal: Option<ErrorCode>,
    pub(crate) timer: Option<Timestamp>,
}

impl Commands {
    pub(crate) fn is_closing(&self) -> bool {
        self.life != Life::Open
    }

    /// Nobody waits for the answer any more.
    pub(crate) fn forget(&mut self, id: CommandId) {
        self.questions.retain(|question| question.id != id);
    }
}

impl Sender {
    pub(crate) fn command(&mut self, id: CommandId, command: Command) {
        let (what, deadline) = match command {
            Command::Flush => return self.flush(id),
            Command::Purge { queued, in_flight } => return self.purge(id, queued, in_flight),
            Command::Close { deadline } => return self.close(id, deadline),
            Command::WaitReady { deadline } => {
                if !self.cluster.is_ready() {
                    self.cluster.refresh(self.now);
                }
                (What::Ready, deadline)
            }
            Command::PartitionsFor { topic, deadline } => {
                self.cluster.use_topic(self.now, &topic);
                (What::Partitions(topic), deadline)
            }
            Command::Prepare { topics, deadline } => {
                for topic in &topics {
                    self.cluster.use_topic(self.now, topic);
                    // From here on its partitions are kept known to the accumulator, so that the first record goes straight to one.
                    let at = self.topics.index(topic);
                    self.look_topic(at, Cause::News);
                }
                (What::Prepare(topics), deadline)
            }
        };
        let renew_at = self.renewed_until();
        self.commands.questions.push(Question { id, what, since: self.now, deadline, renew_at });
        self.check_commands();
    }

    /// Answers what can be answered now.
    pub(crate) fn check_commands(&mut self) {
        let mut open = std::mem::take(&mut self.commands.questions);
        open.retain(|question| match self.try_answer(question) {
            Some(result) => {
                self.outputs.push_back(Output::Done { id: question.id, result });
                false
            }
            None => true,
        });
        for question in &mut open {
            if self.now >= question.renew_at {
                question.renew_at = self.renewed_until();
                question.what.topics().iter().for_each(|topic| self.cluster.use_topic(self.now, topic));
            }
            // Grace may end before the deadline, and nothing else happens then.
            let grace = question.since + self.config.unknown_topic_grace;
            let next = if grace > self.now { grace.min(question.deadline) } else { question.deadline };
            let next = next.min(question.renew_at);
            let next = if Mutant::QuestionsOverrun.lives() { next + Duration::from_secs(1) } else { next };
            self.timers.schedule(&mut self.commands.timer, Timer::Command, next);
        }
        self.commands.questions = open;
        if let Life::Closing { deadline } = self.commands.life {
            if self.now >= deadline {
                self.cut_off();
            } else {
                self.timers.schedule(&mut self.commands.timer, Timer::Command, deadline);
            }
        }
    }

    fn try_answer(&mut self, question: &Question) -> Option<CommandResult> {
        if self.commands.life == Life::Closed {
            let error = self.command_error(question, CommandErrorKind::Closed, None, None);
            return Some(question.what.result(error));
        }
        match &question.what {
            What::Ready if self.cluster.is_ready() => return Some(CommandResult::Ready(Ok(()))),
            What::Ready => {}
            What::Partitions(topic) => {
                if let Some(known) = self.look_up(question, topic) {
                    return Some(CommandResult::Partitions(known));
                }
            }
            What::Prepare(topics) => {
                let mut missing = false;
                let mut leaders = Vec::new();
                for topic in topics {
                    match self.look_up(question, topic) {
                        None => missing = true,
                        Some(Err(error)) => return Some(CommandResult::Prepared(Err(error))),
                        Some(Ok(known)) => leaders.extend(known.leaders.into_iter().filter_map(|(_, leader)| leader)),
                    }
                }
                leaders.sort_unstable();
                leaders.dedup();
                for leader in leaders {
                    let _ = self.cluster.produce_room(self.now, leader);
                }
                if !missing {
                    return Some(CommandResult::Prepared(Ok(())));
                }
            }
        }
        (self.now >= question.deadline).then(|| {
            let topic = question.what.topics().iter().find(|t| !matches!(self.cluster.topic(t), TopicState::Known(_)));
            let (kind, code) = match topic.map(|topic| self.cluster.topic(topic)) {
                Some(TopicState::Missing { code, .. }) => (CommandErrorKind::TopicUnknown, Some(code)),
                _ => (CommandErrorKind::TimedOut, None),
            };
            question.what.result(self.command_error(question, kind, topic.cloned(), code))
        })
    }

    /// Nobody can be asked, and that is not waited out.
    pub(crate) fn refuse_questions(&mut self, cause: &Arc<ConnError>) {
        for question in std::mem::take(&mut self.commands.questions) {
            let kind = CommandErrorKind::IdentityRefused;
            let mut error = self.command_error(&question, kind, question.what.topics().first().cloned(), None);
            error.cause = Some(Arc::clone(cause));
            self.outputs.push_back(Output::Done { id: question.id, result: question.what.result(error) });
        }
    }

    fn look_up(&self, question: &Question, topic: &TopicName) -> Option<Result<TopicPartitions, CommandError>> {
        match self.cluster.topic(topic) {
            TopicState::Unasked | TopicState::Asking => None,
            TopicState::Known(info) => {
                let leaders = (0..).zip(&info.partitions).map(|(index, p)| (PartitionId(index), p.leader));
                Some(Ok(TopicPartitions { id: info.id, leaders: leaders.collect() }))
            }
            TopicState::Missing { code, .. } => {
                (self.now >= question.since + self.config.unknown_topic_grace).then(|| {
                    Err(self.command_error(question, CommandErrorKind::TopicUnknown, Some(topic.clone()), Some(code)))
                })
            }
            TopicState::Failed { code } => {
                Some(Err(self.command_error(question, CommandErrorKind::TopicRefused, Some(topic.clone()), Some(code))))
            }
        }
    }

    fn command_error(
        &self,
        question: &Question,
        kind: CommandErrorKind,
        topic: Option<TopicName>,
        code: Option<ErrorCode>,
    ) -> CommandError {
        CommandError { kind, topic, code, cause: self.cluster.last_error(), waited: self.now.since(question.since) }
    }

    fn purge(&mut self, id: CommandId, queued: bool, in_flight: bool) {
        self.take_work();
        let mut records = 0;
        for slot in self.busy.list() {
            if in_flight {
                for key in self.keys_in_order(slot) {
                    if self.partitions.get(slot).is_some_and(|p| p.stream.is_in_flight(key)) {
                        records += self.give_up(slot, key, FailureKind::Purged);
                    }
                }
            }
            if queued {
                records += self.fail_queued(slot, FailureKind::Purged, None);
            }
            self.touch(slot);
        }
        if queued {
            for at in 0..self.topics.list.len() {
                records += self.fail_waiting(at, FailureKind::Purged, ErrorCode::NONE);
            }
        }
        self.outputs.push_back(Output::Done { id, result: CommandResult::Purged { records } });
    }

    fn close(&mut self, id: CommandId, deadline: Timestamp) {
        self.commands.closers.push(id);
        match self.commands.life {
            Life::Open => {
                self.accumulator.close();
                self.commands.life = Life::Closing { deadline };
                self.take_work();
                self.touch_all();
            }
            // The most impatient decides.
            Life::Closing { deadline: other } => self.commands.life = Life::Closing { deadline: deadline.min(other) },
            Life::Closed => self.answer_closers(),
        }
        self.check_commands();
    }

    fn answer_closers(&mut self) {
        let cut_off = self.commands.cut_off;
        let lost: Arc<[Lost]> = self.commands.lost.as_slice().into();
        for id in std::mem::take(&mut self.commands.closers) {
            let lost = Arc::clone(&lost);
            self.outputs.push_back(Output::Done { id, result: CommandResult::Closed { cut_off, lost } });
        }
    }

    /// The deadline of the close has come: everything gets an outcome now.
    fn cut_off(&mut self) {
        self.take_work();
        let before = self.metrics.failed_by_topic();
        let mut records = 0;
        for slot in self.busy.list() {
            for key in self.keys_in_order(slot) {
                records += self.give_up(slot, key, FailureKind::Closed);
            }
            records += self.fail_sealing(slot, FailureKind::Closed, None, None);
            records += self.fail_queue(slot, FailureKind::Closed, None);
            self.touch(slot);
        }
        let waiting = if Mutant::CloseSkipsWaiting.lives() { 0 } else { self.topics.list.len() };
        for at in 0..waiting {
            records += self.fail_waiting(at, FailureKind::Closed, ErrorCode::NONE);
        }
        if self.config.spool {
            return; // none of them is lost yet, as they may wait in the spool
        }
        self.commands.cut_off += records;
        let after = self.metrics.failed_by_topic();
        self.commands.lost.extend(after.into_iter().filter_map(|(topic, (not_written, maybe_written))| {
            let (was_not, was_maybe) = before.get(&topic).copied().unwrap_or_default();
            let (not_written, maybe_written) = (not_written - was_not, maybe_written - was_maybe);
            (not_written + maybe_written > 0).then_some(Lost { topic, not_written, maybe_written })
        }));
    }

    /// Ends a close when nothing is left without an outcome. Says whether that changed anything.
    pub(crate) fn check_closed(&mut self) -> bool {
        let Life::Closing { .. } = self.commands.life else { return false };
        if !self.busy.is_empty() || self.topics.list.iter().any(|topic| topic.waiting.is_some()) {
            return false;
        }
        self.commands.life = Life::Closed;
        self.check_commands();
        self.answer_closers();
        self.outputs.push_back(Output::Closed);
        true
    }
}

impl What {
    fn topics(&self) -> &[TopicName] {
        match self {
            Self::Ready => &[],
            Self::Partitions(topic) => std::slice::from_ref(topic),
            Self::Prepare(topics) => topics,
        }
    }

    fn result(&self, error: CommandError) -> CommandResult {
        match self {
            Self::Ready => CommandResult::Ready(Err(error)),
            Self::Partitions(_) => CommandResult::Partitions(Err(error)),
            Self::Prepare(_) => CommandResult::Prepared(Err(error)),
        }
    }
}
