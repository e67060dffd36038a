//! One connection that is there: what was asked on it, in which order, and until when the answers are awaited.
//!
//! Kafka answers the requests of one connection in their order, so what is in flight is a queue, and an answer that
//! does not belong to its head means that the stream can no longer be trusted.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use milena_mutants::Mutant;
use milena_wire::{ApiKey, ApiVersion, CorrelationId, DecodeError, Reader, ResponseHeader, Timestamp};

use crate::api::{ConnId, RequestId};
use crate::versions::Versions;

/// Frames handed to the pool that may wait to be written, per connection. Two keep a socket busy; with more, batches
/// would be closed that could still grow.
const UNWRITTEN: u64 = 2;

/// The longest throttle taken seriously. Brokers throttle by seconds (their quota window is ten).
const THROTTLE_MAX: Duration = Duration::from_secs(600);

/// The first of the correlation ids kept for SASL, which runs up to `i32::MAX`.
const SASL_CORRELATION: i32 = i32::MAX - 7;

/// What an answer will be for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    Versions,
    SaslHandshake,
    SaslAuthenticate,
    Metadata,
    Produce(RequestId),
    Control(RequestId),
}

impl Purpose {
    /// Whether it is to find out what the other side speaks and who it is.
    pub(crate) fn is_greeting(self) -> bool {
        matches!(self, Self::Versions | Self::SaslHandshake | Self::SaslAuthenticate)
    }
}

/// A request without an answer yet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct InFlight {
    pub(crate) purpose: Purpose,
    pub(crate) key: ApiKey,
    pub(crate) version: ApiVersion,
    correlation: CorrelationId,
    deadline: Timestamp,
    /// Its number among the connection's frames, from 1.
    number: u64,
    /// `acks=0`: done as soon as it is written.
    unanswered: bool,
    /// How many topics a produce response may list.
    pub(crate) entries: usize,
}

impl InFlight {
    /// Whether it comes after the first `frames` of its connection.
    pub(crate) fn is_beyond(&self, frames: u64) -> bool {
        self.number > frames
    }
}

/// A request that gets its answer.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) request: InFlight,
    /// What follows the response header.
    pub(crate) body: Bytes,
    /// Requests before it that asked for no answer; that this one is answered proves that they were written.
    pub(crate) written: Vec<InFlight>,
}

/// Why a frame ends the connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    Unasked,
    Correlation { expected: CorrelationId, got: CorrelationId },
    Malformed(DecodeError),
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: ConnId,
    pub(crate) versions: Versions,
    /// Oldest first. Deadlines do not decrease from front to back: all have the same timeout, a throttle moves all
    /// alike and nothing is sent while one lasts, and a written frame moves itself and all behind it.
    in_flight: VecDeque<InFlight>,
    /// How long an answer is awaited.
    request_timeout: Duration,
    next_correlation: i32,
    /// As many SASL requests were sent.
    sasl_requests: i32,
    /// Frames handed to the pool.
    sent: u64,
    /// Frames the pool reported as written; `written <= sent`.
    written: u64,
    /// Frames that arrived.
    pub(crate) received: u64,
    throttled_until: Timestamp,
    opened: Timestamp,
    last_activity: Timestamp,
    /// Whether it ever answered anything but ApiVersions.
    pub(crate) proven: bool,
}

impl Connection {
    pub(crate) fn new(id: ConnId, now: Timestamp, request_timeout: Duration) -> Self {
        Self {
            id,
            versions: Versions::default(),
            in_flight: VecDeque::new(),
            request_timeout,
            next_correlation: 0,
            sasl_requests: 0,
            sent: 0,
            written: 0,
            received: 0,
            throttled_until: Timestamp::ZERO,
            opened: now,
            last_activity: now,
            proven: false,
        }
    }

    /// Queues a request that is about to be transmitted; the result goes into its header.
    pub(crate) fn push(
        &mut self,
        now: Timestamp,
        purpose: Purpose,
        (key, version): (ApiKey, ApiVersion),
        unanswered: bool,
    ) -> CorrelationId {
        let correlation = CorrelationId(self.next_correlation);
        self.next_correlation = match self.next_correlation.wrapping_add(1) {
            SASL_CORRELATION.. => i32::MIN,
            next => next,
        };
        self.enqueue(now, purpose, (key, version), correlation, unanswered);
        correlation
    }

    /// The request just queued is answered with at most so many topics.
    pub(crate) fn expect_entries(&mut self, entries: usize) {
        if let Some(request) = self.in_flight.back_mut() {
            request.entries = entries;
        }
    }

    /// As [`push`](Self::push), for requests of SASL: their correlation ids are kept apart, as Java's client has it.
    pub(crate) fn push_sasl(&mut self, now: Timestamp, purpose: Purpose, api: (ApiKey, ApiVersion)) -> CorrelationId {
        let correlation = CorrelationId(SASL_CORRELATION + self.sasl_requests % 8);
        self.sasl_requests = (self.sasl_requests + 1) % 8;
        // A broker that throttles does not read before that is over.
        self.enqueue(now.max(self.throttled_until), purpose, api, correlation, false);
        correlation
    }

    fn enqueue(
        &mut self,
        now: Timestamp,
        purpose: Purpose,
        (key, version): (ApiKey, ApiVersion),
        correlation: CorrelationId,
        unanswered: bool,
    ) {
        self.sent += 1;
        self.last_activity = now;
        let deadline = now + self.request_timeout;
        self.in_flight.push_back(InFlight {
            purpose,
            key,
            version,
            correlation,
            deadline,
            number: self.sent,
            unanswered,
            entries: 0,
        });
    }

    /// The oldest unwritten frame was written; if it asked for no answer, it is done.
    ///
    /// The network moves, if slowly: time starts anew for this request and for all behind it, which had to wait for it.
    /// Otherwise a large request on a slow link would time out, be sent again, and time out again, for ever.
    pub(crate) fn on_written(&mut self, now: Timestamp) -> Option<InFlight> {
        if self.written == self.sent {
            return None;
        }
        self.written += 1;
        self.last_activity = now;
        let deadline = now + self.request_timeout;
        for request in self.in_flight.iter_mut().rev().take_while(|request| request.number >= self.written) {
            request.deadline = request.deadline.max(deadline);
        }
        let index = self.in_flight.iter().position(|request| request.number == self.written)?;
        if self.in_flight[index].unanswered { self.in_flight.remove(index) } else { None }
    }

    /// Finds the request that `frame` answers.
    pub(crate) fn on_frame(&mut self, now: Timestamp, frame: &Bytes) -> Result<Answered, Fault> {
        self.received += 1;
        self.last_activity = now;
        let index = self.in_flight.iter().position(|request| !request.unanswered).ok_or(Fault::Unasked)?;
        let request = self.in_flight[index];
        let got = CorrelationId(Reader::new(frame).i32().map_err(Fault::Malformed)?);
        if got != request.correlation {
            return Err(Fault::Correlation { expected: request.correlation, got });
        }
        let mut reader = Reader::new(frame);
        ResponseHeader::decode(request.key, request.version, &mut reader).map_err(Fault::Malformed)?;
        let body = frame.slice(frame.len() - reader.remaining()..);
        let written = self.in_flight.drain(..index).collect();
        self.in_flight.pop_front();
        Ok(Answered { request, body, written })
    }

    /// The broker asks for silence (KIP-219). Meanwhile no request runs out of time.
    pub(crate) fn throttle(&mut self, now: Timestamp, throttle_ms: i32) {
        let Ok(millis) = u64::try_from(throttle_ms) else { return };
        let pause = Duration::from_millis(millis).min(THROTTLE_MAX);
        self.throttled_until = self.throttled_until.max(now + pause);
        for request in &mut self.in_flight {
            request.deadline = request.deadline + pause;
        }
    }

    /// Until when nothing may be sent, if that is not over.
    pub(crate) fn throttled(&self, now: Timestamp) -> Option<Timestamp> {
        (self.throttled_until > now).then_some(self.throttled_until)
    }

    /// Until when the last throttle lasts or lasted.
    pub(crate) fn last_throttle(&self) -> Option<Timestamp> {
        (self.throttled_until > Timestamp::ZERO).then_some(self.throttled_until)
    }

    /// How many more requests can be sent now.
    pub(crate) fn slots(&self, now: Timestamp, max_in_flight: usize) -> usize {
        if self.throttled(now).is_some() {
            return 0;
        }
        let unwritten = usize::try_from(UNWRITTEN.saturating_sub(self.sent - self.written)).unwrap_or(0);
        max_in_flight.max(1).saturating_sub(self.in_flight.len()).min(unwritten)
    }

    /// Whether a produce request is in flight here.
    pub(crate) fn carries(&self, id: RequestId) -> bool {
        self.in_flight.iter().any(|request| request.purpose == Purpose::Produce(id))
    }

    pub(crate) fn load(&self) -> usize {
        self.in_flight.len()
    }

    #[cfg(test)]
    pub(crate) fn unwritten(&self) -> u64 {
        self.sent - self.written
    }

    /// When the connection was last of use.
    pub(crate) fn last_activity(&self) -> Timestamp {
        self.last_activity
    }

    /// What happened since then was no use.
    pub(crate) fn unused_since(&mut self, at: Timestamp) {
        self.last_activity = at;
    }

    /// When the oldest request runs out of time, or, with none, when the connection has been idle for too long.
    pub(crate) fn deadline(&self, idle_timeout: Duration) -> Timestamp {
        match self.in_flight.front() {
            Some(oldest) if Mutant::RequestsNeverTimeOut.lives() => oldest.deadline + Duration::from_secs(3600),
            Some(oldest) => oldest.deadline,
            None => self.last_activity + idle_timeout,
        }
    }

    pub(crate) fn oldest(&self) -> Option<&InFlight> {
        self.in_flight.front()
    }

    pub(crate) fn age(&self, now: Timestamp) -> Duration {
        now.since(self.opened)
    }

    /// All that was in flight, oldest first: the connection is over.
    pub(crate) fn into_in_flight(self) -> Vec<InFlight> {
        self.in_flight.into()
    }
}

#[cfg(test)]
mod tests;
