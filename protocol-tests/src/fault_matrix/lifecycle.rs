//! Rows 79 to 100.

use super::{Place, Row, Shown, Test};

const fn buffer(name: &'static str) -> Test {
    Test::tcp("protocol-tests/tests/fault_matrix/buffer.rs", name)
}

const fn calls(name: &'static str) -> Test {
    Test::tcp("protocol-tests/tests/fault_matrix/calls.rs", name)
}

const fn edges(name: &'static str) -> Test {
    Test::tcp("protocol-tests/tests/fault_matrix/edges.rs", name)
}

const fn quiet(name: &'static str) -> Test {
    Test::new(Place::Simulator, "crates/sender/src/tests/rows/quiet.rs", name)
}

pub(super) const ROWS: &[Row] = &[
    Row {
        number: 79,
        fault: "The buffer is full, and the caller waits",
        outcome: "It waits in line; a wait that is given up leaks nothing; a flush makes room",
        shown: Shown::By(&[buffer(
            "row_079_a_full_buffer_makes_callers_wait_and_a_wait_that_is_given_up_leaks_nothing",
        )]),
    },
    Row {
        number: 80,
        fault: "The buffer is full, and the caller does not wait",
        outcome: "A typed error that hands the record back",
        shown: Shown::By(&[buffer("row_080_a_full_buffer_hands_the_record_back_to_who_does_not_wait")]),
    },
    Row {
        number: 81,
        fault: "The buffer is full while a linger runs",
        outcome: "The linger is cut short; no convoy of tiny batches follows",
        shown: Shown::By(&[buffer("row_081_a_full_buffer_cuts_linger_short_without_a_convoy_of_tiny_batches")]),
    },
    Row {
        number: 82,
        fault: "Records fail faster than the handler hears of them",
        outcome: "The queue to the handler is bounded by the buffer: callers wait",
        shown: Shown::By(&[buffer("row_082_records_that_fail_faster_than_the_handler_hears_make_callers_wait")]),
    },
    Row {
        number: 83,
        fault: "A handler panics, blocks, or calls the producer",
        outcome: "Partitions flow on; no deadlock",
        shown: Shown::By(&[calls("row_083_a_handler_that_panics_blocks_or_calls_back_harms_nobody")]),
    },
    Row {
        number: 84,
        fault: "A delivery is dropped",
        outcome: "Its record is sent all the same; nothing leaks",
        shown: Shown::By(&[buffer("row_084_a_delivery_that_is_dropped_takes_nothing_back")]),
    },
    Row {
        number: 85,
        fault: "The producer is dropped without a close",
        outcome: "It drains up to a deadline, then says what was lost; no leak, no hang",
        shown: Shown::By(&[
            calls("row_085_a_producer_that_is_dropped_delivers_in_the_background"),
            calls("row_085_a_producer_that_is_dropped_gives_up_at_its_deadline_and_tells_the_fates"),
            Test::tcp(
                "crates/producer/tests/dropped.rs",
                "a_producer_that_is_dropped_says_in_one_error_event_what_was_lost_and_nothing_if_nothing_was",
            ),
        ]),
    },
    Row {
        number: 86,
        fault: "A flush, and the broker is dead",
        outcome: "Ends when the delivery timeouts do, or with a timeout of the caller's; it never hangs",
        shown: Shown::By(&[calls("row_086_a_flush_of_a_dead_broker_ends_with_the_delivery_timeout")]),
    },
    Row {
        number: 87,
        fault: "A flush while records linger, and more keep coming",
        outcome: "Those before it go at once; those behind it do not keep it waiting",
        shown: Shown::By(&[calls("row_087_a_flush_overrides_linger_and_is_not_starved_by_later_records")]),
    },
    Row {
        number: 88,
        fault: "A close while retries are pending",
        outcome: "Each record has exactly one outcome",
        shown: Shown::By(&[
            calls("row_088_a_close_waits_for_retries"),
            calls("row_088_a_close_that_ends_before_the_retries_tells_every_fate"),
        ]),
    },
    Row {
        number: 89,
        fault: "A record during or after a close",
        outcome: "Refused at once as closed",
        shown: Shown::By(&[calls("row_089_nothing_is_taken_during_a_close_and_after_it")]),
    },
    Row {
        number: 90,
        fault: "A purge of what is queued or in flight",
        outcome: "Queued: not written. In flight: maybe-written. Sequences stay sound",
        shown: Shown::By(&[calls("row_090_a_purge_tells_fates_and_leaves_sequences_sound")]),
    },
    Row {
        number: 91,
        fault: "The future of one record is dropped while it is in flight",
        outcome: "It stays in its batch",
        shown: Shown::By(&[buffer("row_091_a_record_in_flight_stays_in_its_batch_when_its_future_is_dropped")]),
    },
    Row {
        number: 92,
        fault: "10,000 topics, 5,000 partitions",
        outcome: "Work follows what is active, not what exists",
        shown: Shown::By(&[quiet("row_092_work_follows_the_partitions_that_are_active")]),
    },
    Row {
        number: 93,
        fault: "A producer is idle for hours",
        outcome: "No wake-ups of its own, no requests but metadata's age, no growth",
        shown: Shown::By(&[quiet("row_093_an_idle_producer_does_nothing_for_hours")]),
    },
    Row {
        number: 94,
        fault: "An outage of a quarter of an hour over 320 partitions",
        outcome: "All is as before afterwards, the rate of requests too",
        shown: Shown::By(&[
            quiet("row_094_a_long_outage_is_cheap_and_costs_nothing_once_it_is_over"),
            Test::unit(
                "crates/sender/src/tests/topics.rs",
                "an_outage_longer_than_an_idle_topic_is_remembered_takes_nobody_s_topic",
            ),
        ]),
    },
    Row {
        number: 95,
        fault: "The wall clock jumps",
        outcome: "Timeouts do not notice",
        shown: Shown::By(&[quiet("row_095_deadlines_do_not_follow_the_wall_clock")]),
    },
    Row {
        number: 96,
        fault: "The runtime shuts down, or its threads are kept from running",
        outcome: "Every delivery is settled; calls return an error that says so",
        shown: Shown::By(&[
            edges("row_096_a_runtime_that_shuts_down_settles_every_delivery"),
            edges("row_096_a_caller_that_never_awaits_starves_nothing"),
        ]),
    },
    Row {
        number: 97,
        fault: "A partitioner chooses a partition that does not exist; partitions vanish under the sticky choice",
        outcome: "That record alone is refused; another partition is chosen",
        shown: Shown::By(&[
            edges("row_097_a_partitioner_that_errs_harms_its_own_record_alone"),
            edges("row_097_partitions_that_vanish_under_the_sticky_choice"),
        ]),
    },
    Row {
        number: 98,
        fault: "Timestamps out of order or at the ends of their range",
        outcome: "Stored as they were given; a negative one is refused",
        shown: Shown::By(&[edges("row_098_timestamps_out_of_order_and_at_the_ends_of_their_range")]),
    },
    Row {
        number: 99,
        fault: "Null and empty keys and values, no headers, headers of one name",
        outcome: "Stored as they were given",
        shown: Shown::By(&[edges("row_099_null_and_empty_stay_apart_and_headers_keep_order_and_doubles")]),
    },
    Row {
        number: 100,
        fault: "Timeouts of more than 2^31-1 ms",
        outcome: "Refused by the config",
        shown: Shown::By(&[edges("row_100_timeouts_that_no_request_can_carry_are_refused_by_the_config")]),
    },
];
