//! Answers: each finds its batches, and each batch's verdict is carried out.

use std::collections::BTreeMap;
use std::sync::Arc;

use milena_accumulator::{Failure, FailureKind, Outcome};
use milena_cluster::{LeaderHint, ProduceAnswer, Reached, RequestId, RequestLost};
use milena_mutants::Mutant;
use milena_sequence::{Answer, BatchKey, Fate, Reply, Verdict};
use milena_wire::message::produce::{ProducePartitionResponse, ProduceResponse};
use milena_wire::{BrokerId, ErrorCode, Offset, RecordCount, readable};
use smallvec::SmallVec;

use crate::metrics::Counts;
use crate::partition::LastError;
use crate::requests::{Directory, Item, Request};
use crate::sender::Sender;

/// What a broker said about one batch, beyond its code.
#[derive(Clone, Copy, Debug, Default)]
struct Details<'a> {
    answer: Option<&'a ProducePartitionResponse>,
    lost: Option<&'a RequestLost>,
    unacknowledged: bool,
}

impl Sender {
    /// A produce request is over.
    pub(crate) fn produced(&mut self, id: RequestId, broker: BrokerId, answer: Result<ProduceAnswer, RequestLost>) {
        let Some(request) = self.requests.remove(&id) else {
            debug_assert!(false, "an answer to a request that nobody made: {id:?}");
            return;
        };
        if let Some(lists) = self.brokers.get_mut(&broker) {
            lists.note_answer();
            self.dirty.insert(broker);
        }
        let span = request.span.clone();
        let _inside = span.enter();
        let latency = u64::try_from(self.now.since(request.sent_at).as_micros()).unwrap_or(u64::MAX);
        self.metrics.update(|Counts { numbers: m, .. }| {
            m.requests_in_flight = m.requests_in_flight.saturating_sub(1);
            match &answer {
                Ok(ProduceAnswer::Answered(response)) => {
                    m.request_latency.record(latency);
                    if response.throttle_ms > 0 {
                        m.throttled += 1;
                        m.throttle_ms_max = m.throttle_ms_max.max(u64::try_from(response.throttle_ms).unwrap_or(0));
                    }
                }
                Ok(ProduceAnswer::Unacknowledged) => m.request_latency.record(latency),
                Err(_) => m.requests_lost += 1,
            }
        });
        match &answer {
            Ok(ProduceAnswer::Answered(response)) => self.answered(broker, &request, response),
            Ok(ProduceAnswer::Unacknowledged) => {
                for item in request.items() {
                    let details = Details { unacknowledged: true, ..Details::default() };
                    self.hear(broker, item, &Answer::code(ErrorCode::NONE), details);
                }
            }
            Err(lost) => self.lost(broker, &request, lost),
        }
        self.check_pressure();
        for item in request.items() {
            self.touch(item.slot);
        }
        self.dirty.insert(broker);
    }

    fn lost(&mut self, broker: BrokerId, request: &Request, lost: &RequestLost) {
        if let Some(suppressed) = self.quiet.lost.speak(broker, self.now) {
            tracing::warn!(%broker, code = %lost.code, cause = %lost.cause, batches = request.items().count(), suppressed,
                "a produce request got no answer");
        }
        for item in request.items() {
            // Versions do not change by themselves; what never left this machine otherwise is as it was.
            let not_sent = lost.reached == Reached::NotSent || Mutant::LostIsNotSent.lives();
            if not_sent && lost.code != ErrorCode::UNSUPPORTED_VERSION {
                self.not_sent(broker, item, lost);
            } else {
                self.hear(broker, item, &Answer::code(lost.code), Details { lost: Some(lost), ..Details::default() });
            }
        }
    }

    fn not_sent(&mut self, broker: BrokerId, item: &Item, lost: &RequestLost) {
        let Some(partition) = self.partitions.get_mut(item.slot) else { return };
        if !partition.stream.not_sent(item.key, item.attempt) {
            return;
        }
        if let Some(batch) = partition.batches.get_mut(&item.key) {
            batch.attempts = batch.attempts.saturating_sub(1);
            batch.set_back(self.now, &mut self.backoff);
            batch.last = Some(LastError::lost(broker, lost));
        }
        self.finish_withdrawn(item.slot);
    }

    fn answered(&mut self, broker: BrokerId, request: &Request, response: &ProduceResponse) {
        let mut directory = Directory::new(request);
        let mut answered: SmallVec<[bool; 64]> = SmallVec::from_elem(false, request.items().count());
        let mut hints = Vec::new();
        for (nth, topic) in response.topics.iter().enumerate() {
            let Some(at) = directory.topic(nth, &topic.name, topic.id) else {
                self.odd_answer(broker, "a topic that was not asked about");
                continue;
            };
            let asked = &request.topics[at];
            for (nth, partition) in topic.partitions.iter().enumerate() {
                let Some(place) = directory.partition(at, nth, partition.index) else {
                    self.odd_answer(broker, "a partition that was not asked about");
                    continue;
                };
                if std::mem::replace(&mut answered[asked.first + place], true) {
                    self.odd_answer(broker, "a partition twice");
                    continue;
                }
                let leader = &partition.current_leader;
                let moved =
                    matches!(partition.error, ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::FENCED_LEADER_EPOCH);
                if moved && leader.leader.0 >= 0 && leader.epoch.0 >= 0 {
                    hints.push(LeaderHint {
                        topic: asked.name.clone(),
                        partition: partition.index,
                        leader: leader.leader,
                        epoch: leader.epoch,
                    });
                }
                let item = asked.items[place];
                let answer = self.read_answer(&item, partition);
                self.hear(broker, &item, &answer, Details { answer: Some(partition), ..Details::default() });
            }
        }
        for (item, answered) in request.items().zip(&answered) {
            if !answered && !Mutant::OmissionIsIgnored.lives() {
                self.odd_answer(broker, "nothing about a partition that was asked about");
                self.hear(broker, item, &Answer::code(ErrorCode::NETWORK_EXCEPTION), Details::default());
            }
        }
        if !hints.is_empty() {
            self.cluster.apply_hints(self.now, &hints, &response.node_endpoints);
        }
    }

    fn odd_answer(&mut self, broker: BrokerId, what: &str) {
        if let Some(suppressed) = self.quiet.odd_answers.speak(broker, self.now) {
            tracing::warn!(%broker, suppressed, "a produce answer says {what}");
        }
    }

    fn read_answer(&self, item: &Item, partition: &ProducePartitionResponse) -> Answer {
        let count = self
            .partitions
            .get(item.slot)
            .and_then(|p| p.batches.get(&item.key))
            .map_or(1, |batch| i64::from(batch.sealed.count().get()));
        let last = partition.base_offset.0.checked_add(count - 1).filter(|_| partition.base_offset.0 >= 0);
        Answer {
            code: partition.error,
            last_offset: last.map(Offset),
            log_start: Some(partition.log_start_offset).filter(|start| start.0 >= 0),
            names_records: partition.record_errors.iter().any(|error| (0..count).contains(&i64::from(error.index))),
        }
    }

    /// Carries out the verdict on one batch. The caller touches the partition afterwards.
    fn hear(&mut self, broker: BrokerId, item: &Item, answer: &Answer, details: Details<'_>) {
        let (slot, key) = (item.slot, item.key);
        let Some(partition) = self.partitions.get_mut(slot) else { return };
        match partition.stream.answer(key, item.attempt, answer) {
            Reply::Late => tracing::debug!(%broker, partition = %item.partition, code = %answer.code, "a late answer"),
            Reply::Tombstone { written } => {
                tracing::debug!(%broker, partition = %item.partition, code = %answer.code, written,
                    "an answer for a batch that was settled before");
            }
            Reply::Verdict(verdict) => self.carry_out(broker, slot, key, answer.code, verdict, details),
        }
        self.finish_withdrawn(slot);
    }

    fn carry_out(
        &mut self,
        broker: BrokerId,
        slot: usize,
        key: BatchKey,
        code: ErrorCode,
        verdict: Verdict,
        details: Details<'_>,
    ) {
        if let Verdict::Complete { .. } = verdict {
            self.settle(slot, key, details.outcome());
            return;
        }
        let last = details.last_error(broker, code);
        let fails_at_once = self.fails_at_once(slot, key, code);
        let Some(partition) = self.partitions.get_mut(slot) else { return };
        let topic = partition.topic;
        // A batch that was only out of order waits for the one before it, not for a backoff of its own.
        let behind = code == ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER && matches!(verdict, Verdict::Resend { .. });
        if let Some(batch) = partition.batches.get_mut(&key) {
            batch.last = Some(last);
            if behind {
                batch.not_before = self.now;
            } else {
                batch.set_back(self.now, &mut self.backoff);
            }
        }
        if let Verdict::Resend { refresh: true, .. } = verdict {
            // Also if it ends here: the next one is to find the new leader.
            self.cluster.refresh_topic(self.now, &self.topics.list[topic].name);
        }
        match verdict {
            Verdict::Resend { .. } if !behind && fails_at_once => {
                self.give_up(slot, key, kind_of(code));
            }
            Verdict::Resend { ambiguous, .. } => {
                if let Some(suppressed) = self.quiet.retries.speak(topic, self.now) {
                    tracing::warn!(topic = %self.topics.list[topic].name, partition = %partition.index, %broker, %code,
                        ambiguous, suppressed, "a batch is sent again");
                }
                self.end_retries(slot, key);
            }
            Verdict::Renumber => {
                tracing::debug!(topic = %self.topics.list[topic].name, partition = %partition.index, %code,
                    "a batch is proved absent and gets a new stamp");
                // What may be sent no more joins the front without its stamp, if it can, and fails there as not written.
                self.finish_withdrawn(slot);
                if fails_at_once {
                    self.give_up(slot, key, kind_of(code));
                } else {
                    self.end_retries(slot, key);
                }
            }
            Verdict::Split => self.split(slot, key),
            Verdict::FailRecords => self.fail_records(broker, slot, key, code, details),
            Verdict::Fail { fate } => self.fail(slot, key, kind_of(code), fate),
            Verdict::Fatal { fate } => {
                // Whoever hears of this failure must not find the producer still open.
                self.refuse_all(code);
                self.fail(slot, key, FailureKind::Fatal, fate);
                self.touch_all();
                self.fail_all_waiting(code);
            }
            Verdict::Complete { .. } => {}
        }
    }

    /// Fails a batch that was sent as often as `retries` allows.
    pub(crate) fn end_retries(&mut self, slot: usize, key: BatchKey) {
        let attempts = self.partitions.get(slot).and_then(|p| p.batches.get(&key)).map_or(0, |batch| batch.attempts);
        if attempts > self.config.retries && !self.is_kept_behind(slot, key) {
            self.give_up(slot, key, FailureKind::RetriesExhausted);
        }
    }

    /// Sends a batch that is too large for the broker again in two halves.
    fn split(&mut self, slot: usize, key: BatchKey) {
        let Some(partition) = self.partitions.get_mut(slot) else { return };
        let Some(batch) = partition.batches.remove(&key) else { return };
        let half = batch.sealed.bytes() / 2;
        match batch.sealed.split(half) {
            Ok(sealed) => {
                let mut pieces: Vec<(BatchKey, RecordCount)> = Vec::with_capacity(sealed.len());
                let open = partition.open.get_mut(&batch.ordinal).filter(|_| !Mutant::SplitEndsBatch.lives());
                if let Some(open) = open {
                    let more = u32::try_from(sealed.len()).unwrap_or(u32::MAX);
                    open.pieces = open.pieces.saturating_sub(1).saturating_add(more);
                }
                for sealed in sealed {
                    let (topic, index) = (sealed.topic(), sealed.partition());
                    self.codec.check(&self.metrics, self.now, topic, index, sealed.codec_failure());
                    let key = partition.next_key();
                    pieces.push((key, sealed.count()));
                    let last = batch.last.clone();
                    let piece = crate::partition::Batch {
                        sealed,
                        ordinal: batch.ordinal,
                        attempts: 0,
                        setbacks: 0,
                        not_before: self.now,
                        last,
                    };
                    partition.batches.insert(key, piece);
                }
                partition.stream.split(key, &pieces);
                tracing::info!(topic = %self.topics.list[partition.topic].name, partition = %partition.index,
                    pieces = pieces.len(), "a batch too large for the broker was split");
                self.metrics.update(|m| m.numbers.splits += 1);
            }
            Err(sealed) => {
                partition.batches.insert(key, crate::partition::Batch { sealed, ..batch });
                let _ = partition.stream.settle(key);
                self.fail(slot, key, FailureKind::RecordTooLarge, Fate::NotWritten);
            }
        }
    }

    /// KIP-467: the listed records fail, the others are sent again as a batch of their own.
    fn fail_records(&mut self, broker: BrokerId, slot: usize, key: BatchKey, code: ErrorCode, details: Details<'_>) {
        let Some(answer) = details.answer else { return };
        let Some(partition) = self.partitions.get_mut(slot) else { return };
        let Some(batch) = partition.batches.remove(&key) else { return };
        let name = self.topics.list[partition.topic].name.clone();
        let failure = |message: Option<&str>| {
            let truth = milena_accumulator::Fate::NotWritten;
            let mut failure = Failure::new(FailureKind::InvalidRecord, truth, name.clone(), Some(partition.index));
            failure.broker = Some(broker);
            failure.code = Some(code);
            failure.message = message.map(told);
            failure.attempts = batch.attempts;
            failure.waited = self.now.since(batch.sealed.created());
            Arc::new(failure)
        };
        let bad = listed(answer, batch.sealed.count(), failure);
        let failed = bad.len() as u64;
        self.metrics.update(|m| m.failed(&name, Fate::NotWritten, failed, 0));
        let ordinal = batch.ordinal;
        match batch.sealed.split_out(&bad) {
            Some(sealed) => {
                let rest = crate::partition::Batch { sealed, ..batch };
                partition.batches.insert(key, rest);
            }
            None => {
                let _ = partition.stream.settle(key);
                partition.close_ordinal(ordinal);
                self.check_partition_flushes(slot);
            }
        }
    }
}

/// The records that an answer names, each once, with what it says of them. As many records may be named as a batch holds, most often for
/// one and the same reason: they share it.
fn listed(
    answer: &ProducePartitionResponse,
    count: RecordCount,
    mut failure: impl FnMut(Option<&str>) -> Arc<Failure>,
) -> Vec<(u32, Arc<Failure>)> {
    let mut bad: BTreeMap<u32, Arc<Failure>> = BTreeMap::new();
    let mut reasons: BTreeMap<Option<&str>, Arc<Failure>> = BTreeMap::new();
    for error in &answer.record_errors {
        let Some(index) = u32::try_from(error.index).ok().filter(|index| *index < count.get().cast_unsigned()) else {
            continue;
        };
        bad.entry(index).or_insert_with(|| {
            let message = error.message.as_deref().or(answer.error_message.as_deref());
            Arc::clone(reasons.entry(message).or_insert_with(|| failure(message)))
        });
    }
    bad.into_iter().collect()
}

impl LastError {
    fn lost(broker: BrokerId, lost: &RequestLost) -> Self {
        Self { broker: Some(broker), code: lost.code, message: None, cause: Some(lost.cause.to_string()) }
    }
}

impl Details<'_> {
    fn outcome(&self) -> Outcome {
        if self.unacknowledged {
            return Outcome::Unacknowledged;
        }
        Outcome::Delivered {
            base_offset: self.answer.map(|a| a.base_offset).filter(|offset| offset.0 >= 0),
            log_append_time_ms: self.answer.map(|a| a.log_append_time_ms).filter(|ms| *ms >= 0),
        }
    }

    fn last_error(&self, broker: BrokerId, code: ErrorCode) -> LastError {
        match (self.lost, self.answer) {
            (Some(lost), _) => LastError::lost(broker, lost),
            (None, Some(answer)) => LastError {
                broker: Some(broker),
                code,
                message: answer.error_message.as_deref().map(told),
                cause: None,
            },
            (None, None) => {
                let cause = Some("the answer left this partition out".to_owned());
                LastError { broker: Some(broker), code, message: None, cause }
            }
        }
    }
}

/// A broker's words as they are kept: each batch that waits may have its own, so that they must not be long, and they end up on terminals.
fn told(words: &str) -> String {
    readable(words, 1000)
}

fn kind_of(code: ErrorCode) -> FailureKind {
    match code {
        ErrorCode::TOPIC_AUTHORIZATION_FAILED
        | ErrorCode::CLUSTER_AUTHORIZATION_FAILED
        | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED => FailureKind::Authorization,
        ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE => FailureKind::RecordTooLarge,
        ErrorCode::INVALID_RECORD | ErrorCode::INVALID_TIMESTAMP => FailureKind::InvalidRecord,
        _ => FailureKind::Broker,
    }
}
