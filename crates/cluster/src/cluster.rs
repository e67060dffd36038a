//! The machine as a whole.

use std::sync::Arc;

use milena_wire::message::NodeEndpoint;
use milena_wire::message::produce::ProduceRequest;
use milena_wire::{BrokerId, PartitionId, Timestamp, TopicName};

use crate::api::{ControlRequest, Input, Output, RequestId, Room};
use crate::config::ClusterConfig;
use crate::errors::ConnError;
use crate::topology::{Leader, LeaderHint, TopicState};

/// Everything known of a cluster and of every connection to it, as one deterministic value.
#[derive(Debug)]
pub struct Cluster {
    config: ClusterConfig,
}

impl Cluster {
    /// A client that knows nothing but where to start; `seed` feeds jitter and the choice among equal brokers.
    #[must_use]
    pub fn new(config: ClusterConfig, seed: u64) -> Self {
        let _ = seed;
        Self { config }
    }

    /// Takes in what happened; then drain [`poll_output`](Self::poll_output).
    pub fn handle(&mut self, now: Timestamp, input: Input) {
        let _ = (now, input);
        todo!()
    }

    /// What to do next; `None` once there is nothing.
    pub fn poll_output(&mut self) -> Option<Output> {
        todo!()
    }

    /// When to call [`handle`](Self::handle) with [`Input::Tick`], if nothing else happens before. Cheap.
    #[must_use]
    pub fn next_timer(&self) -> Option<Timestamp> {
        todo!()
    }

    /// Whether a produce request can go to `broker` now; starts connecting if there is no connection.
    pub fn produce_room(&mut self, now: Timestamp, broker: BrokerId) -> Room {
        let _ = (now, broker);
        todo!()
    }

    /// Sends a produce request; exactly one [`Event::Produced`](crate::Event::Produced) follows.
    ///
    /// Meant for a broker of which [`produce_room`](Self::produce_room) just said [`Room::Ready`]; without that the
    /// request is reported lost as [`Reached::NotSent`](crate::Reached::NotSent).
    pub fn send_produce(&mut self, now: Timestamp, broker: BrokerId, request: &ProduceRequest) -> RequestId {
        let _ = (now, broker, request);
        todo!()
    }

    /// Sends a request to whichever broker is least loaded; exactly one
    /// [`Event::Controlled`](crate::Event::Controlled) follows.
    pub fn control(&mut self, now: Timestamp, request: ControlRequest) -> RequestId {
        let _ = (now, request);
        todo!()
    }

    /// Registers interest in a topic for `metadata_max_idle` from now; a topic not known yet is asked for at once.
    pub fn use_topic(&mut self, now: Timestamp, topic: &TopicName) {
        let _ = (now, topic);
        todo!()
    }

    /// Asks for metadata of all topics in use, as soon as backoff allows. Calls before the answer are one.
    pub fn refresh(&mut self, now: Timestamp) {
        let _ = now;
        todo!()
    }

    /// Asks for metadata of one topic in use, as soon as backoff allows. Calls before the answer are one.
    pub fn refresh_topic(&mut self, now: Timestamp, topic: &TopicName) {
        let _ = (now, topic);
        todo!()
    }

    /// Takes in hints of a produce response; stale or unusable ones are ignored. Returns how many were taken.
    pub fn apply_hints(&mut self, now: Timestamp, hints: &[LeaderHint], endpoints: &[NodeEndpoint]) -> usize {
        let _ = (now, hints, endpoints);
        todo!()
    }

    /// Moves the names of topics whose [`topic`](Self::topic) or leaders changed since the last call to `out`.
    pub fn take_changed_topics(&mut self, out: &mut Vec<TopicName>) {
        let _ = out;
        todo!()
    }

    /// The partition's leader, if there is one that is a known broker.
    #[must_use]
    pub fn leader(&self, topic: &TopicName, partition: PartitionId) -> Option<Leader> {
        let _ = (topic, partition);
        todo!()
    }

    /// What is known of a topic.
    #[must_use]
    pub fn topic(&self, topic: &TopicName) -> TopicState<'_> {
        let _ = topic;
        todo!()
    }

    /// The last connection or metadata failure since metadata was last learnt.
    #[must_use]
    pub fn last_error(&self) -> Option<Arc<ConnError>> {
        todo!()
    }

    /// Why the last connection for produce requests to `broker` failed, until one succeeds.
    #[must_use]
    pub fn broker_error(&self, broker: BrokerId) -> Option<Arc<ConnError>> {
        let _ = broker;
        todo!()
    }

    /// Whether metadata was ever learnt.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        todo!()
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &ClusterConfig {
        &self.config
    }
}
