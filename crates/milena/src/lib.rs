//! A Kafka client written in Rust alone, from the wire up.
