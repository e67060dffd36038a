//! SASL, ACLs and certificates with a real Kafka of three nodes that `scripts/test-kafka sasl` started: every listener and every mechanism, and
//! whatever may change under load. Kafka's own consumer tells what came of it.

mod changes;
mod load;
mod mismatch;
mod rights;
mod sessions;
mod ways;
