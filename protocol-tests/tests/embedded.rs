//! The suites against the embedded broker: what `tests/kafka.rs` shows of a real one.

use milena_broker::{EmbeddedCluster, Profile};
use protocol_tests::bare::Plain;
use protocol_tests::embedded::Embedded;
use protocol_tests::facade::Milena;
use protocol_tests::suite::{faults, matrix};

fn one_node(profile: Profile) -> Embedded {
    Embedded::start(EmbeddedCluster::builder().profile(profile))
}

fn three_nodes() -> Embedded {
    Embedded::start(EmbeddedCluster::builder().nodes(3).min_insync_replicas(2))
}

#[test]
fn plain_batches_of_every_codec_acks_and_shape_are_stored_by_every_profile() {
    for profile in Profile::ALL {
        matrix::every_codec_acks_and_shape(&one_node(profile), &Plain::default());
    }
}

#[test]
fn every_version_of_produce_is_understood_by_every_profile() {
    for profile in Profile::ALL {
        matrix::every_produce_version(&one_node(profile));
    }
}

#[test]
fn a_plain_producer_survives_leaders_that_are_killed() {
    faults::leaders_killed(&three_nodes(), &Plain::default());
}

#[test]
fn a_plain_producer_survives_a_rolling_restart() {
    faults::rolling_restart(&three_nodes(), &Plain::default());
}

#[test]
fn a_plain_producer_survives_partitions_that_move() {
    faults::partitions_reassigned(&three_nodes(), &Plain::default());
}

#[test]
fn records_of_every_codec_acks_and_shape_are_stored_by_every_profile() {
    for profile in Profile::ALL {
        matrix::every_codec_acks_and_shape(&one_node(profile), &Milena);
    }
}

#[test]
fn leaders_that_are_killed_lose_and_duplicate_nothing() {
    faults::leaders_killed(&three_nodes(), &Milena);
}

#[test]
fn leaders_that_freeze_and_wake_lose_and_duplicate_nothing() {
    faults::leaders_frozen(&three_nodes(), &Milena);
}

#[test]
fn what_is_told_of_records_in_an_outage_is_true() {
    faults::outage(&three_nodes(), &Milena);
}

#[test]
fn a_rolling_restart_loses_and_duplicates_nothing() {
    faults::rolling_restart(&three_nodes(), &Milena);
}

#[test]
fn partitions_that_move_lose_and_duplicate_nothing() {
    faults::partitions_reassigned(&three_nodes(), &Milena);
}
