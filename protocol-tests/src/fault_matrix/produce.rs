//! Rows 45 to 54.

use super::{Row, Shown, Test};

const FILE: &str = "protocol-tests/tests/fault_matrix/produce_errors.rs";

const fn tcp(name: &'static str) -> Test {
    Test::tcp(FILE, name)
}

pub(super) const ROWS: &[Row] = &[
    Row {
        number: 45,
        fault: "NOT_ENOUGH_REPLICAS",
        outcome: "Sent again with exponential backoff; not written if it never passes",
        shown: Shown::By(&[tcp("row_045_not_enough_replicas")]),
    },
    Row {
        number: 46,
        fault: "NOT_ENOUGH_REPLICAS_AFTER_APPEND, REQUEST_TIMED_OUT",
        outcome: "The batch may be on the log: sent again as it is until its deadline, and maybe-written then; on the log once at most",
        shown: Shown::By(&[tcp("row_046_not_enough_replicas_after_the_append")]),
    },
    Row {
        number: 47,
        fault: "KAFKA_STORAGE_ERROR, LEADER_NOT_AVAILABLE, UNKNOWN_SERVER_ERROR",
        outcome: "Sent again, after asking for metadata; on the log once",
        shown: Shown::By(&[tcp("row_047_a_disk_that_fails_a_leader_that_is_away_or_nobody_knows_what")]),
    },
    Row {
        number: 48,
        fault: "CORRUPT_MESSAGE",
        outcome: "Sent again with a CRC made anew; fails when the limit of retries is reached, as not written",
        shown: Shown::By(&[tcp("row_048_a_batch_is_corrupt_to_the_broker")]),
    },
    Row {
        number: 49,
        fault: "MESSAGE_TOO_LARGE for a batch of many records",
        outcome: "Split and sent again, in order; a record that is too large alone fails alone",
        shown: Shown::By(&[
            tcp("row_049_a_batch_is_too_large_for_the_broker"),
            Test::unit("crates/sender/src/tests/faults.rs", "an_ambiguous_batch_is_never_split"),
        ]),
    },
    Row {
        number: 50,
        fault: "A record above the producer's own limit",
        outcome: "Refused by the call, with size and limit; nothing else is affected",
        shown: Shown::By(&[tcp("row_050_a_record_above_the_limit")]),
    },
    Row {
        number: 51,
        fault: "INVALID_RECORD, naming records (KIP-467)",
        outcome: "The named records fail, the others are sent again and delivered",
        shown: Shown::By(&[tcp("row_051_the_broker_names_invalid_records")]),
    },
    Row {
        number: 52,
        fault: "The broker does not take the codec",
        outcome: "The batch fails as not written with the broker's error, which says what to do",
        shown: Shown::By(&[tcp("row_052_a_codec_that_the_broker_does_not_take")]),
    },
    Row {
        number: 53,
        fault: "An error code that is not known yet",
        outcome: "Fails with its number, as maybe-written, since nobody knows what it means",
        shown: Shown::By(&[tcp("row_053_an_error_that_nobody_knows_yet")]),
    },
    Row {
        number: 54,
        fault: "No offset in the answer: acks=0, or a duplicate",
        outcome: "Unacknowledged, or delivered, without an offset",
        shown: Shown::By(&[tcp("row_054_no_offset_in_the_answer")]),
    },
];
