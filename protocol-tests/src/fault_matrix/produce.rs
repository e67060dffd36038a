//! Rows 45 to 54.

use super::{Row, Shown};

const OPEN: Shown = Shown::Open("no test carries it yet");

pub(super) const ROWS: &[Row] = &[
    Row {
        number: 45,
        fault: "NOT_ENOUGH_REPLICAS",
        outcome: "Sent again with exponential backoff; not written if it never passes",
        shown: OPEN,
    },
    Row {
        number: 46,
        fault: "NOT_ENOUGH_REPLICAS_AFTER_APPEND, REQUEST_TIMED_OUT",
        outcome: "The batch may be on the log: sent again as it is until its deadline, and maybe-written then; on the log once at most",
        shown: OPEN,
    },
    Row {
        number: 47,
        fault: "KAFKA_STORAGE_ERROR, LEADER_NOT_AVAILABLE, UNKNOWN_SERVER_ERROR",
        outcome: "Sent again, after asking for metadata; on the log once",
        shown: OPEN,
    },
    Row {
        number: 48,
        fault: "CORRUPT_MESSAGE",
        outcome: "Sent again with a CRC made anew; fails when the limit of retries is reached, as not written",
        shown: OPEN,
    },
    Row {
        number: 49,
        fault: "MESSAGE_TOO_LARGE for a batch of many records",
        outcome: "Split and sent again, in order; a record that is too large alone fails alone",
        shown: OPEN,
    },
    Row {
        number: 50,
        fault: "A record above the producer's own limit",
        outcome: "Refused by the call, with size and limit; nothing else is affected",
        shown: OPEN,
    },
    Row {
        number: 51,
        fault: "INVALID_RECORD, naming records (KIP-467)",
        outcome: "The named records fail, the others are sent again and delivered",
        shown: OPEN,
    },
    Row {
        number: 52,
        fault: "The broker does not take the codec",
        outcome: "The batch fails as not written with the broker's error, which says what to do",
        shown: OPEN,
    },
    Row {
        number: 53,
        fault: "An error code that is not known yet",
        outcome: "Fails with its number, as maybe-written, since nobody knows what it means",
        shown: OPEN,
    },
    Row {
        number: 54,
        fault: "No offset in the answer: acks=0, or a duplicate",
        outcome: "Unacknowledged, or delivered, without an offset",
        shown: OPEN,
    },
];
