//! What milena's producer, consumer and admin share: addresses, property files, and the wiring of cluster and sockets.
//!
//! - [`property`] reads `name=value` settings under the names that Kafka's Java clients and librdkafka use, and turns
//!   them into typed [`property::Settings`], or into a list of everything that is wrong with them.

pub mod property;
