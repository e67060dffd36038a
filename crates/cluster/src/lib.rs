//! What a client knows of a Kafka cluster: metadata, leader epochs, and one state machine per connection; no I/O and no clock.

mod api;
mod backoff;
mod cluster;
mod config;
mod connection;
mod ctx;
mod errors;
mod link;
mod metadata;
mod rng;
mod timers;
mod topology;
mod versions;

pub use milena_wire::message::NodeEndpoint;

pub use api::{ConnId, ControlRequest, ControlResponse, Event, Input, Output, ProduceAnswer, QueryId, RequestId, Room};
pub use cluster::Cluster;
pub use config::{ClusterConfig, HostPort, HostPortError};
pub use errors::{ConnError, ConnErrorKind, LooksLike, LostCause, Reached, RequestLost};
pub use topology::{Leader, LeaderHint, PartitionInfo, TopicInfo, TopicState};
