//! DeleteTopics (API 20).

use super::versions::DELETE_TOPICS;
use crate::ErrorCode;
use crate::ids::{TopicId, TopicName};

message! {
    /// Asks for topics to be deleted.
    pub struct DeleteTopicsRequest {
        /// The topics, by name or id. From version 6.
        topics: Vec<DeletableTopic> [6..];
        /// The topics by name. Versions to 5.
        names: Vec<TopicName> [0..=5];
        /// How long to wait until they are gone, in milliseconds.
        timeout_ms: i32 [0..] = 60_000;
    }

    /// A topic to delete, by name or by id.
    pub struct DeletableTopic {
        /// Its name; `None` if by id.
        name: Option<TopicName> [6..];
        /// Its id; zero if by name.
        id: TopicId [6..];
    }

    /// Which topics were deleted.
    pub struct DeleteTopicsResponse {
        /// How long to keep quiet on this connection, in milliseconds (KIP-219).
        throttle_ms: i32 [1..];
        /// One answer for each topic.
        topics: Vec<DeletedTopic> [0..];
    }

    /// What became of one topic.
    pub struct DeletedTopic {
        /// Its name; `None`, from version 6, if it was named by an id the broker does not know.
        name: Option<TopicName> [0..];
        /// Its id; zero before version 6.
        id: TopicId [6..];
        /// Whether it was deleted.
        error: ErrorCode [0..];
        /// What the broker has to say about the error.
        error_message: Option<String> [5..];
    }
}

request!(DeleteTopicsRequest, DELETE_TOPICS);
response!(DeleteTopicsResponse, DELETE_TOPICS);
