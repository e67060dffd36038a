//! Rows 1 to 25.

use super::{Place, Row, Shown, Test};

const FILE: &str = "protocol-tests/tests/fault_matrix/connection.rs";

const fn tcp(name: &'static str) -> Test {
    Test::tcp(FILE, name)
}

pub(super) const ROWS: &[Row] = &[
    Row {
        number: 1,
        fault: "No broker can be reached at the start",
        outcome: "Records are buffered; they fail at their delivery timeout as not written, with the cause; close returns",
        shown: Shown::By(&[
            tcp("row_001_no_broker_can_be_reached_at_the_start"),
            Test::unit("crates/cluster/src/cluster/tests/startup.rs", "what_is_wrong_with_a_bootstrap_server_is_said"),
        ]),
    },
    Row {
        number: 2,
        fault: "Names of the bootstrap list do not resolve, and later do",
        outcome: "Asked again with backoff for as long as it takes; then delivered",
        shown: Shown::By(&[
            tcp("row_002_names_do_not_resolve_and_later_do"),
            Test::unit(
                "crates/cluster/src/cluster/tests/startup.rs",
                "a_name_that_does_not_resolve_is_tried_until_it_does",
            ),
        ]),
    },
    Row {
        number: 3,
        fault: "A broker's name points to another address after its restart",
        outcome: "The name is resolved at every connect, and all its addresses are tried",
        shown: Shown::By(&[
            tcp("row_003_a_name_points_elsewhere_after_a_restart"),
            Test::unit(
                "crates/cluster/src/link/tests.rs",
                "every_address_of_a_name_is_tried_before_backing_off_and_then_the_name_is_resolved_again",
            ),
        ]),
    },
    Row {
        number: 4,
        fault: "All brokers that were known are replaced by others",
        outcome: "Starts again from the bootstrap list, once per reason and without a loop",
        shown: Shown::By(&[
            tcp("row_004_all_known_brokers_are_replaced"),
            Test::unit(
                "crates/cluster/src/cluster/tests/metadata.rs",
                "when_all_brokers_were_replaced_the_bootstrap_servers_find_the_new_ones",
            ),
        ]),
    },
    Row {
        number: 5,
        fault: "A connect that nobody answers",
        outcome: "Given up at the connect timeout; next address, next broker; other brokers' records do not wait for it",
        shown: Shown::By(&[
            tcp("row_005_a_connect_that_nobody_answers"),
            Test::unit(
                "crates/cluster/src/cluster/tests/startup.rs",
                "a_black_hole_among_the_bootstrap_servers_costs_a_second_at_most",
            ),
        ]),
    },
    Row {
        number: 6,
        fault: "A connection is reset while nothing is under way",
        outcome: "Connected again in silence; the next record is delivered, none fails",
        shown: Shown::By(&[
            tcp("row_006_a_reset_while_nothing_is_under_way"),
            Test::unit(
                "crates/cluster/src/cluster/tests/brokers.rs",
                "a_reset_while_idle_is_no_error_and_loses_no_request",
            ),
        ]),
    },
    Row {
        number: 7,
        fault: "A middlebox forgets an idle connection and tells nobody",
        outcome: "Keepalive and an age limit for idle connections; else the request timeout ends it, and the records are sent again elsewhere, once",
        shown: Shown::By(&[
            tcp("row_007_an_idle_connection_is_forgotten_by_a_middlebox"),
            Test::unit(
                "crates/cluster/src/cluster/tests/brokers.rs",
                "a_connection_is_not_trusted_after_long_silence_even_before_the_timer_runs",
            ),
            Test::unit("crates/pool/src/connector.rs", "options_reach_the_socket_before_it_connects"),
        ]),
    },
    Row {
        number: 8,
        fault: "A reset in the middle of a request",
        outcome: "The same batch with the same sequence is sent again; on the log once",
        shown: Shown::By(&[
            tcp("row_008_a_reset_in_the_middle_of_a_request"),
            Test::unit(
                "crates/sender/src/tests/faults.rs",
                "a_connection_lost_with_five_in_flight_loses_and_doubles_nothing",
            ),
        ]),
    },
    Row {
        number: 9,
        fault: "The connection closes right after the request was sent",
        outcome: "The batch may be on the log; the retry is a duplicate or an append; on the log once, in order",
        shown: Shown::By(&[tcp("row_009_close_right_after_the_request_was_sent")]),
    },
    Row {
        number: 10,
        fault: "The connection ends within an answer",
        outcome: "As row 9",
        shown: Shown::By(&[tcp("row_010_the_connection_ends_within_an_answer")]),
    },
    Row {
        number: 11,
        fault: "Half a request is written, then nothing more gets through",
        outcome: "The request times out and the connection is closed; nothing else is written to it",
        shown: Shown::By(&[tcp("row_011_half_a_request_and_then_nothing")]),
    },
    Row {
        number: 12,
        fault: "The network is slow and the send buffer full for long",
        outcome: "Batches grow while they wait; no connection is given up, no record fails",
        shown: Shown::By(&[tcp("row_012_a_slow_network")]),
    },
    Row {
        number: 13,
        fault: "An answer never comes (SIGSTOP)",
        outcome: "Request timeout, close, retry; records of other brokers flow on",
        shown: Shown::By(&[
            tcp("row_013_an_answer_never_comes"),
            Test::new(
                Place::Kafka,
                "protocol-tests/tests/kafka.rs",
                "leaders_that_freeze_and_wake_lose_and_duplicate_nothing",
            ),
        ]),
    },
    Row {
        number: 14,
        fault: "Answers come in the wrong order, or to questions nobody asked",
        outcome: "The connection is closed as corrupt; retry; on the log once",
        shown: Shown::By(&[
            tcp("row_014_answers_in_the_wrong_order_or_to_nothing"),
            Test::unit("crates/cluster/src/connection/tests.rs", "an_answer_out_of_order_or_too_short_is_a_fault"),
        ]),
    },
    Row {
        number: 15,
        fault: "An answer's size is huge, negative, or more than what follows",
        outcome: "No more is read than the limit allows; the connection ends; retry; on the log once",
        shown: Shown::By(&[
            tcp("row_015_an_answer_of_an_impossible_size"),
            Test::tcp(
                "crates/producer/tests/api/unreachable.rs",
                "a_port_that_announces_a_giant_frame_is_not_believed",
            ),
        ]),
    },
    Row {
        number: 16,
        fault: "An answer leaves out a partition that was sent",
        outcome: "That partition's batch is sent again; on the log once",
        shown: Shown::By(&[tcp("row_016_an_answer_leaves_out_a_partition")]),
    },
    Row {
        number: 17,
        fault: "An answer names a partition twice, or one that was not sent",
        outcome: "Ignored; the accounting stays right",
        shown: Shown::By(&[tcp("row_017_an_answer_names_a_partition_twice_or_one_not_sent")]),
    },
    Row {
        number: 18,
        fault: "The broker throttles",
        outcome: "Nothing is sent to it for that long (KIP-219), and it is counted; delivery timeouts run on",
        shown: Shown::By(&[
            tcp("row_018_the_broker_throttles"),
            Test::unit(
                "crates/cluster/src/cluster/tests/brokers.rs",
                "a_throttled_broker_gets_nothing_until_the_throttle_is_over",
            ),
        ]),
    },
    Row {
        number: 19,
        fault: "Two brokers share an address, or a broker changes its address",
        outcome: "A broker is known by its id; it is connected to anew where it says it is",
        shown: Shown::By(&[
            tcp("row_019_brokers_that_share_an_address_or_change_it"),
            Test::unit("crates/cluster/src/cluster/tests/brokers.rs", "two_brokers_at_one_address_are_two_connections"),
            Test::unit(
                "crates/cluster/src/link/tests.rs",
                "a_broker_that_moves_answers_what_is_in_flight_and_gets_nothing_new_there",
            ),
        ]),
    },
    Row {
        number: 20,
        fault: "TLS: unknown CA, wrong host name, expired, no client certificate",
        outcome: "Each its own error with its cause; tried again with backoff",
        shown: Shown::By(&[
            Test::tcp("crates/producer/tests/tls/faults.rs", "row_020_certificates_that_are_not_believed"),
            Test::tcp("crates/producer/tests/tls/faults.rs", "clients_that_are_not_believed"),
            Test::tcp("crates/producer/tests/tls/renewal.rs", "a_mistake_that_is_put_right_in_time_costs_no_record"),
        ]),
    },
    Row {
        number: 21,
        fault: "SASL: wrong password",
        outcome: "An error of its own; tried again with backoff until the delivery timeout, or failing at once by choice",
        shown: Shown::By(&[
            Test::tcp(
                "protocol-tests/tests/fault_matrix/security.rs",
                "row_021_a_wrong_password_is_waited_out_or_fails_at_once_as_is_chosen",
            ),
            Test::tcp(
                "protocol-tests/tests/fault_matrix/security.rs",
                "row_021_a_password_that_changes_under_way_ends_records_only_if_that_is_chosen",
            ),
            Test::tcp(
                "protocol-tests/tests/fault_matrix/security.rs",
                "row_021_a_broker_that_refuses_alone_ends_the_records_of_its_partitions_alone",
            ),
            Test::tcp(
                "crates/producer/tests/sasl/faults.rs",
                "each_refusal_is_told_with_the_broker_and_what_to_do_and_is_not_repeated_in_a_hurry",
            ),
            Test::tcp(
                "crates/producer/tests/sasl/faults.rs",
                "a_client_without_sasl_is_told_what_the_listener_wants_and_does_not_hurry",
            ),
            Test::kafka(
                "protocol-tests/tests/kafka_sasl/changes.rs",
                "a_password_that_changes_under_load_costs_no_record",
            ),
            Test::unit(
                "protocol-tests/tests/sasl_strikes.rs",
                "a_client_that_is_struck_tries_again_at_leisure_and_is_there_soon_after",
            ),
            Test::unit(
                "crates/sender/src/tests/refused.rs",
                "what_may_be_written_is_told_so_and_is_not_doubled_afterwards",
            ),
        ]),
    },
    Row {
        number: 22,
        fault: "A SASL session expires under load (KIP-368)",
        outcome: "Authenticated again between answers; nothing is lost",
        shown: Shown::By(&[
            Test::tcp(
                "crates/producer/tests/sasl/traffic.rs",
                "row_022_sessions_are_renewed_under_load_and_every_record_is_there_once_and_in_order",
            ),
            Test::kafka(
                "protocol-tests/tests/kafka_sasl/sessions.rs",
                "connections_authenticate_again_under_load_for_a_minute",
            ),
        ]),
    },
    Row {
        number: 23,
        fault: "Renewing an OAuth token is slow, fails, or is refused",
        outcome: "Renewed ahead of its expiry, also when idle; a definite no counts as a refusal of identity",
        shown: Shown::By(&[
            Test::unit(
                "crates/client/src/sasl/tests.rs",
                "row_023_a_token_is_replaced_though_nobody_asks_and_no_more_once_nobody_can",
            ),
            Test::unit(
                "crates/sasl/src/oauth/keeper.rs",
                "failures_are_repeated_with_growing_waits_while_the_old_token_serves",
            ),
            Test::unit("crates/client/src/sasl/tests.rs", "a_provider_that_never_answers_is_asked_again"),
            Test::tcp("crates/producer/tests/oauth/main.rs", "records_wait_for_an_endpoint_that_comes_back"),
            Test::tcp(
                "crates/producer/tests/oauth/main.rs",
                "an_endpoint_that_refuses_the_client_ends_waiting_records_if_that_is_chosen_and_one_that_fails_does_not",
            ),
            Test::unit(
                "crates/sender/src/tests/refused.rs",
                "an_issuer_of_tokens_that_refuses_is_heeded_like_a_broker_and_one_that_is_away_is_waited_for",
            ),
            Test::tcp(
                "crates/producer/tests/oauth/main.rs",
                "a_token_is_replaced_while_nothing_is_sent_and_never_once_the_producer_has_gone",
            ),
        ]),
    },
    Row {
        number: 24,
        fault: "ApiVersions is refused, cut off, or not true",
        outcome: "Asked again in version 0 once, never in a loop; then delivered, or a clear error",
        shown: Shown::By(&[
            tcp("row_024_versions_are_refused_cut_off_or_not_true"),
            Test::unit(
                "crates/cluster/src/link/tests.rs",
                "a_server_that_hangs_up_on_new_versions_is_asked_in_the_oldest_one_next_time",
            ),
        ]),
    },
    Row {
        number: 25,
        fault: "A rolling restart, one broker at a time",
        outcome: "No record fails; order is kept",
        shown: Shown::By(&[
            tcp("row_025_a_rolling_restart"),
            Test::new(Place::Kafka, "protocol-tests/tests/kafka.rs", "a_rolling_restart_loses_and_duplicates_nothing"),
        ]),
    },
];
