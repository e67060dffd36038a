//! A Kafka producer in Rust alone: every record ends in exactly one outcome.
