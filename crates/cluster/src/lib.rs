//! What a client knows of a Kafka cluster: metadata, leader epochs, and one state machine per connection; no I/O and no clock.
