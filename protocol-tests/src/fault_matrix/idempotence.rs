//! Rows 55 to 69.

use super::{Place, Row, Shown, Test};

const fn tcp(name: &'static str) -> Test {
    Test::tcp("protocol-tests/tests/fault_matrix/idempotence.rs", name)
}

const fn ends(name: &'static str) -> Test {
    Test::new(Place::Simulator, "crates/sender/src/tests/rows/identity.rs", name)
}

const fn waits(name: &'static str) -> Test {
    Test::new(Place::Simulator, "crates/sender/src/tests/rows/waiting.rs", name)
}

pub(super) const ROWS: &[Row] = &[
    Row {
        number: 55,
        fault: "The broker finds that a batch is a duplicate",
        outcome: "Delivered",
        shown: Shown::By(&[tcp("row_055_a_duplicate_batch_is_a_delivered_one")]),
    },
    Row {
        number: 56,
        fault: "The first answer is lost, later ones arrive",
        outcome: "The first is sent again and found to be a duplicate; each record is told of once",
        shown: Shown::By(&[tcp("row_056_the_first_answer_is_lost_and_later_ones_arrive")]),
    },
    Row {
        number: 57,
        fault: "The first of five batches is refused for now, those behind it are out of order",
        outcome: "All are sent again in order, without a new epoch; on the log once",
        shown: Shown::By(&[tcp("row_057_the_first_is_refused_and_those_behind_it_are_out_of_order")]),
    },
    Row {
        number: 58,
        fault: "OUT_OF_ORDER_SEQUENCE_NUMBER for the batch at the head",
        outcome: "It proves that the batch is not on the log: a new epoch, and it is sent again",
        shown: Shown::By(&[tcp("row_058_out_of_order_at_the_head_starts_a_new_epoch")]),
    },
    Row {
        number: 59,
        fault: "The first batch of a new producer is refused and the second accepted",
        outcome: "Cannot be: one batch is in flight until the first success from that leader",
        shown: Shown::By(&[tcp("row_059_a_new_producer_has_one_batch_in_flight_until_its_first_success")]),
    },
    Row {
        number: 60,
        fault: "UNKNOWN_PRODUCER_ID after records were deleted",
        outcome: "A new epoch, and on; on the log once",
        shown: Shown::By(&[tcp("row_060_a_producer_whose_records_were_deleted_goes_on")]),
    },
    Row {
        number: 61,
        fault: "INVALID_PRODUCER_EPOCH",
        outcome: "A new epoch, and sent again; what may be on the log is maybe-written",
        shown: Shown::By(&[tcp("row_061_an_invalid_epoch_is_left_behind")]),
    },
    Row {
        number: 62,
        fault: "The epoch has reached 32767",
        outcome: "A new producer id",
        shown: Shown::By(&[ends("row_062_after_epoch_32767_comes_a_new_producer_id")]),
    },
    Row {
        number: 63,
        fault: "A sequence passes 2^31-1",
        outcome: "It goes on at 0",
        shown: Shown::By(&[ends("row_063_the_sequence_after_the_last_is_zero")]),
    },
    Row {
        number: 64,
        fault: "A queued batch expires behind batches in flight",
        outcome: "Not written, since it never left; the stream resolves what was stamped and goes on",
        shown: Shown::By(&[waits("row_064_what_times_out_behind_batches_in_flight_was_never_written")]),
    },
    Row {
        number: 65,
        fault: "A batch in flight expires",
        outcome: "Maybe-written at its deadline; nothing new is stamped until a probe has told whether it is on the log",
        shown: Shown::By(&[
            waits("row_065_what_times_out_in_flight_may_be_written_and_a_probe_finds_out"),
            waits("row_065_an_outage_without_end_settles_in_time_and_duplicates_nothing_afterwards"),
            Test::unit(
                "crates/sequence/src/stream/tests.rs",
                "a_settled_batch_in_flight_stops_new_stamps_until_its_answer",
            ),
        ]),
    },
    Row {
        number: 66,
        fault: "The leader moves while batches are in flight to the old one",
        outcome: "Exactly once: sent again in order to the new one, late answers are ignored. Else nothing goes to the new one before the old has answered",
        shown: Shown::By(&[
            waits("row_066_batches_in_flight_follow_their_leader_in_order"),
            waits("row_066_what_the_old_leader_has_may_be_written_though_the_new_one_refuses_it"),
            waits("row_066_without_idempotence_the_old_leader_answers_first"),
        ]),
    },
    Row {
        number: 67,
        fault: "A new epoch for one partition while a batch of another is ambiguous",
        outcome: "The epoch is that partition's alone; the other batch is not duplicated",
        shown: Shown::By(&[tcp("row_067_a_new_epoch_is_one_partitions_alone")]),
    },
    Row {
        number: 68,
        fault: "InitProducerId fails",
        outcome: "Asked again where that can help; else buffered records fail with the reason",
        shown: Shown::By(&[
            tcp("row_068_a_producer_id_that_is_not_given_is_asked_for_again"),
            tcp("row_068_without_the_right_to_a_producer_id_records_fail_clearly"),
        ]),
    },
    Row {
        number: 69,
        fault: "The broker has forgotten an idle producer",
        outcome: "Goes on by itself; on the log once",
        shown: Shown::By(&[tcp("row_069_a_broker_that_forgot_an_idle_producer_takes_its_records_again")]),
    },
];
