//! FindCoordinator (API 10): which broker looks after a group or a transactional id.

use super::versions::FIND_COORDINATOR;
use crate::ErrorCode;
use crate::ids::BrokerId;

message! {
    /// Asks for coordinators.
    pub struct FindCoordinatorRequest {
        /// The group or transactional id. Versions to 3.
        key: String [0..=3];
        /// `0` for groups, `1` for transactional ids, `2` for share groups. Version 0 has groups only.
        key_type: i8 [1..];
        /// The groups or transactional ids. From version 4.
        keys: Vec<String> [4..];
    }

    /// The coordinators.
    pub struct FindCoordinatorResponse {
        /// How long to keep quiet on this connection, in milliseconds (KIP-219).
        throttle_ms: i32 [1..];
        /// Whether there is one. Versions to 3, as the four fields below.
        error: ErrorCode [0..=3];
        /// What the broker has to say about the error.
        error_message: Option<String> [1..=3];
        /// The coordinator.
        node: BrokerId [0..=3];
        /// Its host name or address.
        host: String [0..=3];
        /// Its port.
        port: i32 [0..=3];
        /// One answer for each key asked for. From version 4.
        coordinators: Vec<Coordinator> [4..];
    }

    /// The coordinator of one key.
    pub struct Coordinator {
        /// The group or transactional id.
        key: String [4..];
        /// The coordinator; negative with an error.
        node: BrokerId [4..];
        /// Its host name or address.
        host: String [4..];
        /// Its port.
        port: i32 [4..];
        /// Whether there is one.
        error: ErrorCode [4..];
        /// What the broker has to say about the error.
        error_message: Option<String> [4..];
    }
}

request!(FindCoordinatorRequest, FIND_COORDINATOR);
response!(FindCoordinatorResponse, FIND_COORDINATOR);
