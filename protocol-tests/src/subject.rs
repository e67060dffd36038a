//! What the suites need of a producer, whoever's it is.

use std::time::Duration;

use milena_wire::Codec;

use crate::account::{Sent, ToSend};

/// How many brokers must have a record before it counts as delivered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Acks {
    /// Nobody answers.
    None,
    /// The leader.
    Leader,
    /// All in-sync replicas, with idempotence.
    All,
}

impl Acks {
    /// Every kind.
    pub const EVERY: [Self; 3] = [Self::None, Self::Leader, Self::All];
}

/// How a producer is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Codec of its batches.
    pub codec: Codec,
    /// When a record counts as delivered.
    pub acks: Acks,
    /// How long a batch waits for more records.
    pub linger: Duration,
    /// Bytes of a batch; the producer's default if not given.
    pub batch_size: Option<usize>,
    /// How long one request may take.
    pub request_timeout: Duration,
    /// When a record is given up.
    pub delivery_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            codec: Codec::None,
            acks: Acks::All,
            linger: Duration::from_millis(5),
            batch_size: None,
            request_timeout: Duration::from_secs(30),
            delivery_timeout: Duration::from_secs(120),
        }
    }
}

/// A kind of producer.
pub trait Subject: Sync {
    /// Starts one.
    fn open(&self, bootstrap: &str, settings: &Settings) -> Box<dyn Session>;
}

/// One running producer, used from one thread.
pub trait Session {
    /// Hands a record over. May wait for memory, and must not wait for an answer.
    fn send(&mut self, topic: &str, record: ToSend);

    /// The first records, up to one that has no outcome yet.
    fn heard(&mut self) -> &[Sent];

    /// Waits for all outcomes, closes the producer, and returns the records in the order of [`send`](Self::send).
    fn finish(self: Box<Self>) -> Vec<Sent>;
}
