//! What a client knows of a Kafka cluster: metadata, leader epochs, and one state machine per connection; no I/O and no clock.
//!
//! [`Cluster`] is one deterministic value. Whoever owns it feeds it [`Input`]s with the time, carries out its
//! [`Output`]s, and calls again at [`next_timer`](Cluster::next_timer). It never touches a socket, a resolver, a clock
//! or the system's randomness, so that a run repeats from its seed and every fault can be scripted.
//!
//! To read it, start at [`Cluster`], then:
//!
//! - `link`: the way to one broker, from "down" over resolve, connect, ApiVersions and SASL to "ready", and back, with backoff
//! - `connection`: what is in flight on a connection that is there
//! - `versions`: what is spoken on it
//! - `metadata`: which topics are in use, when to ask about them (`refresh`), what an answer changes (`apply`), and
//!   what produce responses hint at (`hints`)
//! - `cluster::control`: which broker is asked
//! - `health`: what somebody who watches is told
//!
//! **The law of this crate: nothing is asked twice in a hurry.** Every way to ask again goes through a backoff, and all
//! that ask for the same thing share one request; `cluster/tests/storm.rs` holds it to that.

mod api;
mod backoff;
mod cluster;
mod config;
mod connection;
mod ctx;
mod errors;
mod health;
mod link;
mod metadata;
mod rng;
mod timers;
mod topology;
mod versions;

pub use milena_sasl::{SaslError, SaslErrorKind, Step as SaslStep};
pub use milena_wire::message::NodeEndpoint;

pub use api::{
    ConnId, ControlRequest, ControlResponse, Event, Input, Output, ProduceAnswer, QueryId, RequestId, Room, SaslOrder,
};
pub use cluster::Cluster;
pub use config::{ClusterConfig, HostPort, HostPortError};
pub use errors::{ConnError, ConnErrorKind, LooksLike, LostCause, Reached, RequestLost};
pub use health::{BrokerHealth, BrokerState, ClusterHealth, ClusterState, LastError, Throttle};
pub use topology::{Leader, LeaderHint, PartitionInfo, TopicInfo, TopicState};
