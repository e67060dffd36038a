//! The suites against a real Kafka, which `scripts/test-kafka` starts. Tests under `three_nodes` need a cluster of three.

use protocol_tests::bare::Plain;
use protocol_tests::facade::Milena;
use protocol_tests::kafka::Kafka;
use protocol_tests::suite::matrix;

#[test]
fn records_of_every_codec_acks_and_shape_are_read_by_kafkas_own_tools() {
    matrix::every_codec_acks_and_shape(&Kafka::running(), &Milena);
}

#[test]
fn plain_batches_of_every_codec_acks_and_shape_are_read_by_kafkas_own_tools() {
    matrix::every_codec_acks_and_shape(&Kafka::running(), &Plain::default());
}

#[test]
fn every_version_of_produce_is_understood() {
    matrix::every_produce_version(&Kafka::running());
}

mod three_nodes {
    use protocol_tests::suite::faults;

    use super::*;

    #[test]
    fn leaders_that_are_killed_lose_and_duplicate_nothing() {
        faults::leaders_killed(&Kafka::running(), &Milena);
    }

    #[test]
    fn leaders_that_freeze_and_wake_lose_and_duplicate_nothing() {
        faults::leaders_frozen(&Kafka::running(), &Milena);
    }

    #[test]
    fn what_is_told_of_records_in_an_outage_is_true() {
        faults::outage(&Kafka::running(), &Milena);
    }

    #[test]
    fn a_rolling_restart_loses_and_duplicates_nothing() {
        faults::rolling_restart(&Kafka::running(), &Milena);
    }

    #[test]
    fn partitions_that_move_lose_and_duplicate_nothing() {
        faults::partitions_reassigned(&Kafka::running(), &Milena);
    }

    /// Shows that the suite asks for nothing that a producer cannot do.
    #[test]
    fn a_plain_producer_survives_leaders_that_are_killed() {
        faults::leaders_killed(&Kafka::running(), &Plain::default());
    }
}
