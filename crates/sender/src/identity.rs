//! The producer's identity: asked for when the first partition needs it, and again when an epoch is used up.

use milena_accumulator::FailureKind;
use milena_cluster::{ControlRequest, ControlResponse, RequestId, RequestLost};
use milena_sequence::{Identity, Stream};
use milena_wire::message::init_producer_id::InitProducerIdRequest;
use milena_wire::{BrokerId, ErrorCode, ProducerEpoch, ProducerId, Timestamp};

use crate::config::SenderConfig;
use crate::partition::LastError;
use crate::sender::Sender;
use crate::timers::Timer;

#[derive(Debug, Default)]
pub(crate) struct ProducerIdentity {
    pub(crate) current: Option<Identity>,
    pub(crate) timer: Option<Timestamp>,
    asking: Option<RequestId>,
    failures: u32,
    last: Option<LastError>,
}

impl ProducerIdentity {
    /// Why there is none, for people.
    pub(crate) fn last_error(&self) -> Option<String> {
        let last = self.last.as_ref()?;
        Some(match &last.cause {
            Some(cause) => format!("no producer id: {cause}"),
            None => format!("no producer id: {}, {}", last.code, last.code.description()),
        })
    }
}

impl Sender {
    /// Asks for a producer id, unless that is under way or has to wait.
    pub(crate) fn want_identity(&mut self) {
        let state = &mut self.identity;
        if state.current.is_some() || state.asking.is_some() || state.timer.is_some() {
            return;
        }
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: i32::MAX,
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch::NONE,
        };
        state.asking = Some(self.cluster.control(self.now, ControlRequest::InitProducerId(request)));
    }

    /// Whether records wait for a producer id. One that nobody needs is asked for when somebody does.
    pub(crate) fn is_identity_wanted(&self) -> bool {
        let wants = |slot| self.partitions.get(slot).is_some_and(|p| p.stream.wants_identity().is_some());
        self.busy.iter().any(wants)
    }

    pub(crate) fn controlled(
        &mut self,
        request: RequestId,
        broker: Option<BrokerId>,
        answer: Result<ControlResponse, RequestLost>,
    ) {
        if self.identity.asking != Some(request) {
            return;
        }
        self.identity.asking = None;
        match answer {
            Ok(ControlResponse::InitProducerId(response)) if response.error == ErrorCode::NONE => {
                let identity = Identity { producer_id: response.producer_id, epoch: response.producer_epoch };
                match self.unusable(identity) {
                    None => self.adopt(identity),
                    Some(cause) => self.identity_refused(senseless(cause)),
                }
            }
            Ok(ControlResponse::InitProducerId(response)) => {
                let last = LastError { broker, code: response.error, message: None, cause: None };
                self.identity_refused(last);
            }
            Ok(_) => self.identity_refused(senseless("the answer is to another question".to_owned())),
            Err(lost) => {
                let cause = Some(lost.cause.to_string());
                self.identity_refused(LastError { broker: lost.broker, code: lost.code, message: None, cause });
            }
        }
    }

    /// Why an identity that was given for good is none: records stamped with it would not be protected, or never be accepted.
    fn unusable(&self, Identity { producer_id, epoch }: Identity) -> Option<String> {
        if producer_id.0 < 0 || epoch.0 < 0 {
            return Some(format!("the broker gave producer id {producer_id} of epoch {epoch}, which is none"));
        }
        let is_spent =
            |slot| self.partitions.get(slot).is_some_and(|p| p.stream.wants_identity() == Some(Some(producer_id)));
        let spent = self.busy.iter().any(is_spent);
        spent.then(|| format!("the broker gave producer id {producer_id} again, whose epochs are used up"))
    }

    fn adopt(&mut self, identity: Identity) {
        tracing::info!(producer_id = %identity.producer_id, epoch = %identity.epoch, "the producer has its id");
        self.identity.failures = 0;
        self.identity.last = None;
        self.identity.current = Some(identity);
        for partition in self.partitions.iter_mut() {
            offer(&mut partition.stream, identity, &self.config);
        }
        self.touch_all();
    }

    /// A retriable error is asked about again after a backoff. A refusal fails what waits for the id, clearly; what comes next has it asked
    /// again, after the backoff: the right may have been granted meanwhile.
    fn identity_refused(&mut self, last: LastError) {
        let again = self.now + self.backoff.draw(self.identity.failures);
        self.identity.failures += 1;
        if let Some(suppressed) = self.quiet.identity.speak(self.now) {
            tracing::warn!(code = %last.code, cause = last.cause.as_deref().unwrap_or_default(), suppressed,
                "no producer id was given");
        }
        let kind = match last.code {
            ErrorCode::CLUSTER_AUTHORIZATION_FAILED | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED => {
                Some(FailureKind::Authorization)
            }
            code if code.is_retriable() || code == ErrorCode::UNKNOWN_SERVER_ERROR => None,
            _ => Some(FailureKind::Broker),
        };
        self.identity.last = Some(last.clone());
        self.timers.schedule(&mut self.identity.timer, Timer::Identity, again);
        let Some(kind) = kind else { return };
        for slot in self.busy.list() {
            let wants = self.partitions.get(slot).is_some_and(|p| p.stream.wants_identity().is_some());
            if wants {
                self.fail_queued(slot, kind, Some(&last));
                self.touch(slot);
            }
        }
    }
}

/// Gives a stream the producer's identity, for when it has nothing open under its own.
pub(crate) fn offer(stream: &mut Stream, identity: Identity, config: &SenderConfig) {
    let had_one = stream.identity().is_some();
    stream.offer(identity);
    if !had_one && stream.identity().is_some() {
        stream.start_at(config.first_sequence);
    }
}

/// Stands for a refusal where the broker's answer makes no sense: it may do better when asked again.
fn senseless(cause: String) -> LastError {
    LastError { broker: None, code: ErrorCode::UNKNOWN_SERVER_ERROR, message: None, cause: Some(cause) }
}
