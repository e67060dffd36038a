//! Rows 26 to 44.

use super::{Row, Shown, Test};

const FILE: &str = "protocol-tests/tests/fault_matrix/metadata.rs";

const fn tcp(name: &'static str) -> Test {
    Test::tcp(FILE, name)
}

pub(super) const ROWS: &[Row] = &[
    Row {
        number: 26,
        fault: "The topic does not exist, and brokers create topics",
        outcome: "Records wait for it and are delivered in order",
        shown: Shown::By(&[tcp("row_026_an_unknown_topic_that_the_broker_creates")]),
    },
    Row {
        number: 27,
        fault: "The topic does not exist, and brokers do not create topics",
        outcome: "Records fail as not written when the grace is over, and not before; a topic made within it gets them",
        shown: Shown::By(&[tcp("row_027_an_unknown_topic_that_nobody_creates")]),
    },
    Row {
        number: 28,
        fault: "The topic is new, and its leader does not know it yet",
        outcome: "Sent again soon; no record fails",
        shown: Shown::By(&[tcp("row_028_a_leader_that_does_not_know_a_new_topic_yet")]),
    },
    Row {
        number: 29,
        fault: "Metadata tells a topic of no partitions, and no error",
        outcome: "Asked again; records wait, and none is called delivered that is not",
        shown: Shown::By(&[tcp("row_029_a_topic_without_partitions")]),
    },
    Row {
        number: 30,
        fault: "Metadata leaves out a known partition once",
        outcome: "Its records are kept and delivered",
        shown: Shown::By(&[
            tcp("row_030_a_partition_is_left_out_once"),
            Test::unit(
                "crates/cluster/src/metadata/apply/tests.rs",
                "a_partition_left_out_is_kept_twice_and_dropped_the_third_time",
            ),
        ]),
    },
    Row {
        number: 31,
        fault: "Metadata leaves out a known partition from now on",
        outcome: "Its records fail when the grace is over; other partitions go on",
        shown: Shown::By(&[
            tcp("row_031_a_partition_is_left_out_from_now_on"),
            Test::unit(
                "crates/sender/src/tests/topics.rs",
                "a_partition_that_stays_out_of_the_metadata_fails_its_records_whatever_else_is_said_in_between",
            ),
        ]),
    },
    Row {
        number: 32,
        fault: "Answers alternate between an unknown topic and a leader elsewhere",
        outcome: "Neither resets the other's limit: the retries, or the delivery timeout, end it",
        shown: Shown::By(&[
            tcp("row_032_refusals_that_alternate"),
            Test::unit(
                "crates/sender/src/tests/faults.rs",
                "a_leader_that_moves_is_no_way_around_the_limit_of_retries",
            ),
        ]),
    },
    Row {
        number: 33,
        fault: "The topic gets more partitions",
        outcome: "New partitions are used; a key's new records may go elsewhere, batches that are queued stay",
        shown: Shown::By(&[tcp("row_033_a_topic_gets_more_partitions")]),
    },
    Row {
        number: 34,
        fault: "The topic is deleted and created again, with more or fewer partitions",
        outcome: "What may be on the old topic is maybe-written and never sent again; unsent records fail or go to the new one, as configured",
        shown: Shown::By(&[
            tcp("row_034_a_topic_is_deleted_and_created_again"),
            Test::tcp(
                "crates/producer/tests/api/topics.rs",
                "unsent_records_of_a_recreated_topic_fail_or_go_to_the_new_one_as_configured",
            ),
            Test::unit("crates/sender/src/tests/topics.rs", "a_recreated_topic_never_gets_what_may_be_on_the_old_one"),
        ]),
    },
    Row {
        number: 35,
        fault: "The topic is gone from metadata, then back",
        outcome: "Sequences go on where they were; on the log once, in order",
        shown: Shown::By(&[
            tcp("row_035_a_topic_is_gone_from_metadata_and_comes_back"),
            Test::unit("crates/sender/src/tests/topics.rs", "a_topic_that_vanishes_and_returns_loses_nothing"),
        ]),
    },
    Row {
        number: 36,
        fault: "No partition has a leader",
        outcome: "Records wait, those without a key on any partition, and are delivered when there is one",
        shown: Shown::By(&[tcp("row_036_no_partition_has_a_leader")]),
    },
    Row {
        number: 37,
        fault: "A leader elsewhere, and the answer says where (KIP-951)",
        outcome: "Followed at once, without asking for metadata",
        shown: Shown::By(&[
            tcp("row_037_a_leader_elsewhere_and_the_answer_says_where"),
            Test::unit("crates/cluster/src/cluster/tests/metadata.rs", "a_hint_moves_a_partition_without_asking"),
        ]),
    },
    Row {
        number: 38,
        fault: "A leader elsewhere, and the answer names the same one, or an older epoch",
        outcome: "The hint is ignored; backoff and metadata; no storm of requests",
        shown: Shown::By(&[
            tcp("row_038_a_leader_elsewhere_and_the_answer_names_the_same"),
            Test::unit(
                "crates/cluster/src/cluster/tests/metadata.rs",
                "a_partition_takes_one_hint_per_backoff_so_that_liars_cannot_make_it_spin",
            ),
        ]),
    },
    Row {
        number: 39,
        fault: "Metadata that is older than what is known",
        outcome: "No way back to a lower leader epoch, unless several answers agree on it or the topic is a new one",
        shown: Shown::By(&[
            tcp("row_039_metadata_that_is_older_than_what_is_known"),
            Test::unit(
                "crates/cluster/src/metadata/apply/tests.rs",
                "a_lower_epoch_is_believed_when_three_answers_in_a_row_say_so",
            ),
            Test::unit(
                "crates/cluster/src/metadata/apply/tests.rs",
                "a_recreated_topic_is_a_new_one_and_its_former_id_does_not_come_back_by_one_answer",
            ),
        ]),
    },
    Row {
        number: 40,
        fault: "A thousand partitions lose their leader at once, under many clients",
        outcome: "Each client asks for metadata once per backoff, for all of them together",
        shown: Shown::By(&[
            tcp("row_040_many_partitions_lose_their_leader_under_many_clients"),
            Test::unit(
                "crates/cluster/src/cluster/tests/metadata.rs",
                "a_thousand_partitions_that_lose_their_leader_are_one_request_per_backoff",
            ),
        ]),
    },
    Row {
        number: 41,
        fault: "Metadata takes longer than the time between refreshes",
        outcome: "One request at a time; topics in use are not forgotten",
        shown: Shown::By(&[
            tcp("row_041_metadata_is_slower_than_its_refresh"),
            Test::unit(
                "crates/cluster/src/cluster/tests/metadata.rs",
                "one_request_is_in_flight_however_slow_the_answer",
            ),
        ]),
    },
    Row {
        number: 42,
        fault: "A name that no topic can have",
        outcome: "Its records fail at once",
        shown: Shown::By(&[tcp("row_042_a_name_that_no_topic_can_have")]),
    },
    Row {
        number: 43,
        fault: "The right to write is taken away, and given back",
        outcome: "Records in between fail as not written; later ones are delivered by the same producer",
        shown: Shown::By(&[
            tcp("row_043_the_right_to_write_is_taken_away_and_given_back"),
            tcp("row_043_each_right_that_is_missing_has_its_name_and_is_not_asked_for_in_a_hurry"),
            Test::kafka("protocol-tests/tests/kafka_sasl/rights.rs", "rights_come_and_go_and_each_lack_has_its_name"),
        ]),
    },
    Row {
        number: 44,
        fault: "Another cluster answers under the old name",
        outcome: "Said in an event, and its topics are not taken for the old ones",
        shown: Shown::By(&[tcp("row_044_another_cluster_answers_under_the_old_name")]),
    },
];
