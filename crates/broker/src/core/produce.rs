//! Produce: append, and wait for the replicas as asked.

use std::time::Duration;

use milena_wire::message::CurrentLeader;
use milena_wire::message::produce::{ProducePartitionResponse, ProduceResponse, ProduceTopicResponse, RecordError};
use milena_wire::{ApiVersion, BrokerId, ErrorCode, LeaderEpoch, Offset, PartitionId, TopicId, TopicName};

use super::check::Candidate;
use super::partition::Appended;
use super::request::{Meta, Produce};
use super::wait::{Answer, Ticket, Timer, Waiting};
use super::{At, Core, NodeState, Refusal};
use crate::profile::Profile;
use crate::script::Reaction;

/// From this version on clients know the code for a disk that fails (KIP-112).
const STORAGE_ERRORS: ApiVersion = ApiVersion(4);
/// From this version on a refusal names the leader (KIP-951).
const LEADER_HINTS: ApiVersion = ApiVersion(10);

/// A request that was appended and waits for the followers.
pub(super) struct WaitingProduce {
    node: BrokerId,
    meta: Meta,
    topics: Vec<TopicResult>,
}

struct TopicResult {
    name: TopicName,
    id: TopicId,
    /// The id the topic really has, or zero.
    known: TopicId,
    partitions: Vec<PartitionResult>,
}

struct PartitionResult {
    response: ProducePartitionResponse,
    /// What the high watermark has to reach first, if anything.
    awaits: Option<Offset>,
    /// What the script wants answered instead.
    then: Option<ErrorCode>,
}

impl Core {
    pub(super) fn produce(&mut self, at: At, ticket: Ticket, node: BrokerId, meta: Meta, request: Produce) {
        let acks = request.acks;
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let found = self.topic_named(&topic.name, topic.id).map(|found| (found.name.clone(), found.id));
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for (index, candidate) in topic.partitions {
                let name = found.as_ref().map_or(&topic.name, |(name, _)| name).clone();
                let strike = self.strike_partition(node, &name, index);
                if strike == Some(Reaction::Omit) {
                    // Handled all the same; only the answer forgets it.
                    if let Ok((name, _)) = &found {
                        let _handled = self.append(at, node, name, index, &candidate, acks);
                    }
                    continue;
                }
                let result = match (&found, &strike) {
                    (_, Some(Reaction::Error(code))) => Err(Refusal::new(*code, "scripted")),
                    (Ok((name, _)), _) => self.append(at, node, name, index, &candidate, acks),
                    (Err(code), _) => Err(Refusal::new(*code, "no such topic")),
                };
                let then = match strike {
                    Some(Reaction::ErrorAfterAppend(code)) => Some(code),
                    _ => None,
                };
                partitions.push(PartitionResult::new(index, result, then));
            }
            let known = found.map_or(TopicId::ZERO, |(_, id)| id);
            topics.push(TopicResult { name: topic.name, id: topic.id, known, partitions });
        }
        let timeout = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
        let produce = WaitingProduce { node, meta, topics };
        match acks {
            0 => self.finish_unacknowledged(at, ticket, &produce),
            -1 => self.finish_or_wait(at, ticket, produce, timeout),
            _ => self.respond_produce(at, ticket, produce),
        }
    }

    fn append(
        &mut self,
        at: At,
        node: BrokerId,
        name: &TopicName,
        index: PartitionId,
        candidate: &Candidate,
        acks: i16,
    ) -> Result<(Appended, Offset), Refusal> {
        if !matches!(acks, -1..=1) {
            return Err(Refusal::new(ErrorCode::INVALID_REQUIRED_ACKS, format!("acks {acks}")));
        }
        let unknown = || Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "no such partition");
        let topic = self.topics.get_mut(name).ok_or_else(unknown)?;
        let place = usize::try_from(index.0).map_err(|_| unknown())?;
        let partition = topic.partitions.get_mut(place).ok_or_else(unknown)?;
        let batch = candidate.batch.as_ref().map_err(Clone::clone)?;
        if batch.header.attributes.is_transactional() {
            let code = if acks == -1 { ErrorCode::INVALID_TXN_STATE } else { ErrorCode::INVALID_REQUIRED_ACKS };
            return Err(Refusal::new(code, "transactions are not supported here"));
        }
        if partition.leader != Some(node) {
            return Err(Refusal::new(ErrorCode::NOT_LEADER_OR_FOLLOWER, "not the leader"));
        }
        if acks == -1 && partition.isr.len() < topic.config.min_insync_replicas {
            let message =
                format!("{} replicas in sync, {} needed", partition.isr.len(), topic.config.min_insync_replicas);
            return Err(Refusal::new(ErrorCode::NOT_ENOUGH_REPLICAS, message));
        }
        let appended = partition.append(batch, &topic.config, self.config.profile, at.wall_ms)?;
        let start = partition.log.start();
        if appended.is_new {
            let (id, epoch) = (topic.id, partition.epoch);
            self.replicate(at, id, index, epoch, appended.end);
        }
        Ok((appended, start))
    }

    /// Lets the followers copy what was appended: at once, or after the lag.
    pub(super) fn replicate(
        &mut self,
        at: At,
        topic: TopicId,
        partition: PartitionId,
        epoch: LeaderEpoch,
        end: Offset,
    ) {
        if self.config.replication_lag.is_zero() {
            self.copied(topic, partition, epoch, end);
        } else {
            let due = at.now + self.config.replication_lag;
            self.timers.set(due, Timer::Copied { topic, partition, epoch, end });
        }
    }

    /// Followers that run have copied everything before `end`.
    pub(super) fn copied(&mut self, topic: TopicId, index: PartitionId, epoch: LeaderEpoch, end: Offset) {
        let is_live = |id| self.nodes.get(&id).is_some_and(|node| node.state == NodeState::Running);
        let topic = self.names.get(&topic).and_then(|name| self.topics.get_mut(name));
        let Some(partition) = topic.and_then(|topic| topic.partitions.get_mut(usize::try_from(index.0).ok()?)) else {
            return;
        };
        // A leader that is frozen serves its followers nothing.
        let is_served = partition.epoch == epoch && partition.leader.is_some_and(is_live);
        if is_served && partition.copied(end, is_live) {
            self.woken.extend(std::mem::take(&mut partition.waiting));
        }
    }

    /// With acks=0 there is nobody to tell; Kafka closes the connection if something went wrong.
    fn finish_unacknowledged(&mut self, at: At, ticket: Ticket, produce: &WaitingProduce) {
        let mut partitions = produce.topics.iter().flat_map(|topic| &topic.partitions);
        let failed = partitions.any(|p| p.response.error != ErrorCode::NONE || p.then.is_some());
        let answer = match produce.meta.reaction() {
            Some(Reaction::CloseAfter | Reaction::CutAnswer | Reaction::Garble) => Answer::Close,
            Some(Reaction::Silence) => Answer::Silence,
            _ if failed => Answer::Close,
            _ => Answer::Nothing,
        };
        self.answer(at, ticket, answer, Duration::ZERO);
    }

    fn finish_or_wait(&mut self, at: At, ticket: Ticket, produce: WaitingProduce, timeout: Duration) {
        if let Some(produce) = self.finish_produce(at, ticket, produce, false) {
            self.park(ticket, Some(at.now + timeout), Waiting::Produce(produce));
        }
    }

    /// Answers if all partitions are decided, or if there is no more time; else hands the request back.
    pub(super) fn finish_produce(
        &mut self,
        at: At,
        ticket: Ticket,
        mut produce: WaitingProduce,
        is_late: bool,
    ) -> Option<WaitingProduce> {
        let is_decided = self.settle(&mut produce, is_late);
        if is_decided {
            self.watch_produce(ticket, &produce, false);
            self.respond_produce(at, ticket, produce);
            return None;
        }
        self.watch_produce(ticket, &produce, true);
        Some(produce)
    }

    /// Has the ticket woken by what happens to its partitions, or no longer.
    fn watch_produce(&mut self, ticket: Ticket, produce: &WaitingProduce, watch: bool) {
        for topic in &produce.topics {
            for waits in topic.partitions.iter().filter(|p| p.awaits.is_some() || !watch) {
                if let Some(partition) = self.partition_mut(topic.known, waits.response.index) {
                    if watch {
                        partition.waiting.insert(ticket);
                    } else {
                        partition.waiting.remove(&ticket);
                    }
                }
            }
        }
    }

    /// Decides what can be decided, as `Partition.checkEnoughReplicasReachOffset`. Tells whether all is.
    fn settle(&mut self, produce: &mut WaitingProduce, is_late: bool) -> bool {
        let mut all = true;
        for topic in &mut produce.topics {
            for result in &mut topic.partitions {
                let Some(end) = result.awaits else {
                    continue;
                };
                let code = self.acknowledged(topic.known, result.response.index, produce.node, end);
                let code = code.or_else(|| is_late.then_some(ErrorCode::REQUEST_TIMED_OUT));
                match code {
                    Some(ErrorCode::NONE) => result.awaits = None,
                    Some(code) => {
                        result.awaits = None;
                        result.fail(code);
                    }
                    None => all = false,
                }
            }
        }
        all
    }

    /// What an append that waits for all replicas up to `end` can be answered, if anything yet.
    fn acknowledged(&self, topic: TopicId, index: PartitionId, node: BrokerId, end: Offset) -> Option<ErrorCode> {
        let topic = self.names.get(&topic).and_then(|name| self.topics.get(name));
        let found = topic.and_then(|t| Some((t, t.partitions.get(usize::try_from(index.0).ok()?)?)));
        let Some((topic, partition)) = found else {
            return Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        };
        if partition.leader != Some(node) {
            return Some(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        }
        if partition.high_watermark() < end {
            return None;
        }
        let enough = partition.isr.len() >= topic.config.min_insync_replicas;
        Some(if enough { ErrorCode::NONE } else { ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND })
    }

    fn respond_produce(&mut self, at: At, ticket: Ticket, produce: WaitingProduce) {
        let hints = produce.meta.version >= LEADER_HINTS;
        let mut response = ProduceResponse::default();
        for topic in produce.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for mut result in topic.partitions {
                if let Some(code) = result.then {
                    result.fail(code);
                }
                result.response.error = self.as_told_then(result.response.error, produce.meta.version);
                if hints && result.response.error == ErrorCode::NOT_LEADER_OR_FOLLOWER {
                    self.hint(topic.known, &mut result.response, &mut response);
                }
                partitions.push(result.response);
            }
            if !partitions.is_empty() {
                response.topics.push(ProduceTopicResponse { name: topic.name, id: topic.id, partitions });
            }
        }
        self.respond(at, ticket, &produce.meta, response.into());
    }

    /// The code that the release and the version have for an error: some codes are younger than others.
    fn as_told_then(&self, code: ErrorCode, version: ApiVersion) -> ErrorCode {
        match code {
            // The exception behind it was a kind of corruption until 2.4 (KIP-467).
            ErrorCode::INVALID_RECORD if self.config.profile == Profile::V2_1 => ErrorCode::CORRUPT_MESSAGE,
            ErrorCode::KAFKA_STORAGE_ERROR if version < STORAGE_ERRORS => ErrorCode::NOT_LEADER_OR_FOLLOWER,
            code => code,
        }
    }

    fn hint(&self, topic: TopicId, result: &mut ProducePartitionResponse, response: &mut ProduceResponse) {
        let Some((leader, epoch)) = self.leader_of(topic, result.index) else {
            return;
        };
        result.current_leader = CurrentLeader { leader: leader.unwrap_or(BrokerId(-1)), epoch };
        let is_told = |id| response.node_endpoints.iter().any(|endpoint| endpoint.node == id);
        if let Some(leader) = leader.filter(|id| !is_told(*id)) {
            response.node_endpoints.extend(self.endpoint(leader));
        }
    }
}

impl PartitionResult {
    fn new(index: PartitionId, result: Result<(Appended, Offset), Refusal>, then: Option<ErrorCode>) -> Self {
        let mut response = ProducePartitionResponse { index, ..ProducePartitionResponse::default() };
        let mut awaits = None;
        match result {
            Ok((appended, start)) => {
                response.base_offset = appended.base_offset;
                response.log_append_time_ms = appended.log_append_time_ms;
                response.log_start_offset = start;
                awaits = Some(appended.end);
            }
            Err(refusal) => {
                response.error = refusal.code;
                response.error_message = Some(refusal.message);
                let records = refusal.records.into_iter();
                response.record_errors =
                    records.map(|(index, what)| RecordError { index, message: Some(what) }).collect();
            }
        }
        Self { response, awaits, then }
    }

    fn fail(&mut self, code: ErrorCode) {
        self.response.error = code;
        self.response.base_offset = Offset(-1);
        self.response.log_append_time_ms = -1;
    }
}
