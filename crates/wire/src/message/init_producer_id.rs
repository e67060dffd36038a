//! InitProducerId (API 22): an identity for an idempotent or transactional producer.

use super::versions::INIT_PRODUCER_ID;
use crate::ErrorCode;
use crate::ids::{ProducerEpoch, ProducerId};

message! {
    /// Asks for a producer id.
    pub struct InitProducerIdRequest {
        /// The transactional id whose producer this is; `None` for one that is idempotent only.
        transactional_id: Option<String> [0..];
        /// How long a transaction may stay open, in milliseconds; of no meaning without a transactional id.
        transaction_timeout_ms: i32 [0..] = i32::MAX;
        /// The id held until now, to have its epoch raised (KIP-360).
        producer_id: ProducerId [3..];
        /// The epoch held until now.
        producer_epoch: ProducerEpoch [3..];
    }

    /// The identity.
    pub struct InitProducerIdResponse {
        /// How long to keep quiet on this connection, in milliseconds (KIP-219).
        throttle_ms: i32 [0..];
        /// Whether there is one.
        error: ErrorCode [0..];
        /// The id to put on batches.
        producer_id: ProducerId [0..];
        /// The epoch to start with.
        producer_epoch: ProducerEpoch [0..] = ProducerEpoch(0);
    }
}

request!(InitProducerIdRequest, INIT_PRODUCER_ID);
response!(InitProducerIdResponse, INIT_PRODUCER_ID);
