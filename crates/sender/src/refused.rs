//! Brokers that refuse who this client is, and what becomes of those who wait for them.

use std::sync::Arc;

use milena_accumulator::FailureKind;
use milena_cluster::{ConnError, ConnErrorKind, SaslErrorKind};
use milena_wire::{BrokerId, ErrorCode};

use crate::config::RefusedIdentity;
use crate::partition::LastError;
use crate::sender::Sender;

impl Sender {
    /// The leader of some partitions refuses who this client is; or, with no broker named, all that could be asked for what any broker knows.
    ///
    /// Ends what waits for that, if the settings say so: what a partition has, or lacks, because of it, and no other. What is in flight may be
    /// answered yet, and is left to the next attempt.
    pub(crate) fn refused(&mut self, broker: Option<BrokerId>, cause: &Arc<ConnError>) {
        let heeded = match self.config.refused_identity {
            RefusedIdentity::Wait => false,
            RefusedIdentity::FailAtStart => !self.cluster.was_accepted(),
            RefusedIdentity::Fail => true,
        };
        if !heeded {
            return;
        }
        let last = LastError {
            broker: cause.broker,
            code: code_of(cause.what),
            message: None,
            cause: Some(cause.to_string()),
        };
        for slot in self.busy.list() {
            let Some(partition) = self.partitions.get(slot) else { continue };
            let waits = match (broker, partition.leader()) {
                (Some(broker), leader) => leader == Some(broker),
                (None, None) => true,
                (None, Some(_)) => partition.stream.wants_identity().is_some(),
            };
            let keys = self.keys_in_order(slot);
            if waits && !self.holds_back(slot, &keys) {
                self.fail_queued(slot, FailureKind::Authentication, Some(&last));
                self.touch(slot);
            }
        }
        if broker.is_none() {
            for at in 0..self.topics.list.len() {
                if self.topics.list[at].waiting.is_some() {
                    let mut failure = self.waiting_failure(at, FailureKind::Authentication);
                    failure.broker = last.broker;
                    failure.code = Some(last.code).filter(|code| *code != ErrorCode::NONE);
                    failure.cause.clone_from(&last.cause);
                    self.end_waiting(at, failure);
                }
            }
            self.refuse_questions(cause);
        }
    }
}

/// Kafka's name for a refusal, where it has one.
fn code_of(what: ConnErrorKind) -> ErrorCode {
    match what {
        ConnErrorKind::Authentication(SaslErrorKind::NotOffered) => ErrorCode::UNSUPPORTED_SASL_MECHANISM,
        ConnErrorKind::Authentication(SaslErrorKind::IllegalState) => ErrorCode::ILLEGAL_SASL_STATE,
        ConnErrorKind::Authentication(SaslErrorKind::Refused | SaslErrorKind::TokenRefused) => {
            ErrorCode::SASL_AUTHENTICATION_FAILED
        }
        _ => ErrorCode::NONE,
    }
}
