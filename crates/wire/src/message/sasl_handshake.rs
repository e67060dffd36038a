//! SaslHandshake (API 17): which mechanism a connection authenticates by.
//!
//! Version 0, after which tokens follow outside Kafka's frames, is not spoken: every broker since 1.0 has version 1.

use super::versions::SASL_HANDSHAKE;
use crate::ErrorCode;

message! {
    /// Names the mechanism.
    pub struct SaslHandshakeRequest {
        /// Its name as registered: `PLAIN`, `SCRAM-SHA-256` and so on.
        mechanism: String [1..];
    }

    /// Whether the broker takes it.
    pub struct SaslHandshakeResponse {
        /// `UNSUPPORTED_SASL_MECHANISM` if it does not.
        error: ErrorCode [1..];
        /// The mechanisms that the broker offers.
        mechanisms: Vec<String> [1..];
    }
}

request!(SaslHandshakeRequest, SASL_HANDSHAKE);
response!(SaslHandshakeResponse, SASL_HANDSHAKE);
