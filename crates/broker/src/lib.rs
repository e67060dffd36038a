//! An embedded Kafka broker for tests and demos: a deciding core behind TCP or memory.
