//! Where a partition's leader is, as Produce and Fetch responses say it (KIP-951).

use crate::ids::{BrokerId, LeaderEpoch};

message! {
    /// The leader a broker knows of, told along with an error that says it is not that leader itself.
    pub struct CurrentLeader {
        /// The leader; negative if unknown.
        leader: BrokerId [0..];
        /// Its epoch; negative if unknown.
        epoch: LeaderEpoch [0..];
    }

    /// How to reach a broker that was named as a leader.
    pub struct NodeEndpoint {
        /// The broker.
        node: BrokerId [0..];
        /// Its host name or address.
        host: String [0..];
        /// Its port.
        port: i32 [0..];
        /// Its rack, if it has one.
        rack: Option<String> [0..];
    }
}
