//! The suites against a real Kafka, which `scripts/test-kafka` starts. Tests under `three_nodes` need a cluster of three.

use protocol_tests::bare::Plain;
use protocol_tests::kafka::Kafka;
use protocol_tests::suite::matrix;

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
    fn a_plain_producer_survives_leaders_that_are_killed() {
        faults::leaders_killed(&Kafka::running(), &Plain::default());
    }

    #[test]
    fn a_plain_producer_survives_a_rolling_restart() {
        faults::rolling_restart(&Kafka::running(), &Plain::default());
    }

    #[test]
    fn a_plain_producer_survives_partitions_that_move() {
        faults::partitions_reassigned(&Kafka::running(), &Plain::default());
    }
}
