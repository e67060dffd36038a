//! What a sender is told.

use std::time::Duration;

use milena_sequence::{Protection, WINDOW};
use milena_wire::{ErrorCode, Sequence};

/// What a record's outcome promises. One choice, so that no combination is illegal.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Guarantee {
    /// All in-sync replicas, no duplicates, order kept across retries (KIP-98, KIP-679). The default.
    #[default]
    ExactlyOnce,
    /// Acknowledged by the leader alone or by all in-sync replicas, and sent again until it is: a retry may write a record twice.
    AtLeastOnce {
        /// Whether all in-sync replicas acknowledge (`acks=all`). With the leader's word alone (`acks=1`) a delivered record may still be
        /// lost by a change of leader.
        all_replicas: bool,
    },
    /// No answer is awaited (`acks=0`), and what may have been written is not sent again. A lost record is not noticed.
    AtMostOnce,
}

impl Guarantee {
    /// Kafka's `acks`, as the wire has it.
    #[must_use]
    pub const fn acks(self) -> i16 {
        match self {
            Self::ExactlyOnce | Self::AtLeastOnce { all_replicas: true } => -1,
            Self::AtLeastOnce { all_replicas: false } => 1,
            Self::AtMostOnce => 0,
        }
    }

    /// What a second sending of a batch risks.
    #[must_use]
    pub const fn protection(self) -> Protection {
        match self {
            Self::ExactlyOnce => Protection::Stamped,
            Self::AtLeastOnce { .. } => Protection::Plain,
            Self::AtMostOnce => Protection::Once,
        }
    }
}

/// What happens to batches that were never sent when their topic turns out to have been deleted and created again.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum RecreatedTopic {
    /// They fail, not written: the new topic may be meant for something else.
    #[default]
    Fail,
    /// They are sent to the new topic.
    Send,
}

/// What happens to records that wait for a broker while identity is refused: the broker, or who issues tokens for it, does not accept who this
/// client says it is, or the broker is not who it should be ([`milena_cluster::ConnErrorKind::is_refusal_of_identity`]).
///
/// What is in flight is answered first. Connections are tried again with backoff whatever is chosen, so that new credentials take effect by themselves.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum RefusedIdentity {
    /// They go on waiting, until their delivery timeout: somebody may put it right meanwhile.
    #[default]
    Wait,
    /// As long as no broker has ever accepted this client they fail at once; after that they wait. A wrong password shows with the first record,
    /// and credentials that are changed while a client works cost none.
    FailAtStart,
    /// They fail at once.
    Fail,
}

/// The settings of one [`Sender`](crate::Sender). Values are taken as they are; the facade validates them.
#[derive(Clone, Debug)]
pub struct SenderConfig {
    /// What an outcome promises. Default: exactly once.
    pub guarantee: Guarantee,
    /// Longest a record waits in an open batch for others to join it; zero sends as soon as there is room. Batches keep growing beyond it
    /// while no request can go to their broker. Default: 5 ms. Kafka's name: `linger.ms`.
    pub linger: Duration,
    /// Longest from a batch's creation until its records have an outcome. Default: 120 s. Kafka's name: `delivery.timeout.ms`.
    pub delivery_timeout: Duration,
    /// How long a leader may wait for its replicas; goes into each request. Default: 30 s. Kafka's name: `request.timeout.ms`.
    pub request_timeout: Duration,
    /// Largest request in bytes of batches. A single batch above it is sent alone. Default: 8 MiB.
    pub max_request_size: usize,
    /// Most slices in one request, so that one write takes it. Default: 1,000.
    pub max_request_slices: usize,
    /// Wait before a batch is sent again: a tenth of it at first, then the whole, doubling. A new leader starts it over. Default: 100 ms. Kafka's
    /// name: `retry.backoff.ms`.
    pub retry_backoff: Duration,
    /// What `retry_backoff` grows to; if it is the same, every wait is that long. Default: 1 s. Kafka's name: `retry.backoff.max.ms`.
    pub retry_backoff_max: Duration,
    /// How often a batch may be sent again after an error that allows it. Requests that never left this machine do not count. Default:
    /// without limit, so that the delivery timeout ends it. Kafka's name: `retries`.
    pub retries: u32,
    /// Codes after which a batch fails though it could be sent again, with the fate it has then. Lost answers count as `NETWORK_EXCEPTION` and
    /// `REQUEST_TIMED_OUT`. What fails anyway cannot be made to be tried again. Default: none.
    pub fail_at_once: Vec<ErrorCode>,
    /// Batches in flight per partition; `None`: 5 for exactly once (which is also the most it can be), 1 for at least once (more could
    /// reorder records on a retry), unlimited for at most once.
    pub partition_in_flight: Option<usize>,
    /// How long records wait for a topic that the cluster says does not exist, from its first such answer; also for one that was known, and
    /// for a partition. Default: 10 s.
    pub unknown_topic_grace: Duration,
    /// What happens to unsent batches of a topic that was deleted and created again. Default: they fail.
    pub recreated_topic: RecreatedTopic,
    /// What happens to records that wait while identity is refused. Default: they go on waiting.
    pub refused_identity: RefusedIdentity,
    /// Batches of one partition that may be with the codec, or sealed and not yet sent, at once. Default: 8.
    pub sealed_ahead: usize,
    /// Sequence of a partition's first record under a producer id. Default: 0. A broker that does not know the producer takes any (Kafka 2.4 and
    /// later), so that a simulation need not send 2^31 records to see what comes after the last.
    pub first_sequence: Sequence,
    /// Failed batches that time may mend ([`Failure::may_mend`](milena_accumulator::Failure::may_mend)) are kept by whoever is given them, and sent
    /// again: until [`Input::DivertEnd`](crate::Input::DivertEnd), what is behind one in its partition is given out as well, in order and unsent.
    /// They count as failed only if that one says so ([`Metrics::not_spooled`](crate::Metrics::not_spooled)). Needs an accumulator that
    /// [diverts](milena_accumulator::AccumulatorConfig::divert). Default: false.
    pub spool: bool,
    /// Seals inside the sender, when there is no codec to keep off the I/O thread; then there is no [`Output::Seal`](crate::Output::Seal).
    /// Default: true.
    pub seal_inline: bool,
}

impl Default for SenderConfig {
    fn default() -> Self {
        Self {
            guarantee: Guarantee::ExactlyOnce,
            linger: Duration::from_millis(5),
            delivery_timeout: Duration::from_secs(120),
            request_timeout: Duration::from_secs(30),
            max_request_size: 8 << 20,
            max_request_slices: 1_000,
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: Duration::from_secs(1),
            retries: i32::MAX.unsigned_abs(),
            fail_at_once: Vec::new(),
            partition_in_flight: None,
            unknown_topic_grace: Duration::from_secs(10),
            recreated_topic: RecreatedTopic::Fail,
            refused_identity: RefusedIdentity::Wait,
            sealed_ahead: 8,
            first_sequence: Sequence::ZERO,
            spool: false,
            seal_inline: true,
        }
    }
}

impl SenderConfig {
    /// Batches in flight per partition, the guarantee's own limit applied.
    #[must_use]
    pub fn in_flight_limit(&self) -> usize {
        match self.guarantee {
            Guarantee::ExactlyOnce => self.partition_in_flight.unwrap_or(WINDOW).clamp(1, WINDOW),
            Guarantee::AtLeastOnce { .. } => self.partition_in_flight.unwrap_or(1).max(1),
            Guarantee::AtMostOnce => self.partition_in_flight.unwrap_or(usize::MAX).max(1),
        }
    }
}
