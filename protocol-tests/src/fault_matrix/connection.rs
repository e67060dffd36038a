//! Rows 1 to 25.

use super::{Row, Shown, Test};

const FILE: &str = "protocol-tests/tests/fault_matrix/connection.rs";

const fn tcp(name: &'static str) -> Test {
    Test::tcp(FILE, name)
}

const OPEN: Shown = Shown::Open("no test carries it yet");

pub(super) const ROWS: &[Row] = &[
    Row {
        number: 1,
        fault: "No broker can be reached at the start",
        outcome: "Records are buffered; they fail at their delivery timeout as not written, with the cause; close returns",
        shown: OPEN,
    },
    Row {
        number: 2,
        fault: "Names of the bootstrap list do not resolve, and later do",
        outcome: "Asked again with backoff for as long as it takes; then delivered",
        shown: OPEN,
    },
    Row {
        number: 3,
        fault: "A broker's name points to another address after its restart",
        outcome: "The name is resolved at every connect, and all its addresses are tried",
        shown: OPEN,
    },
    Row {
        number: 4,
        fault: "All brokers that were known are replaced by others",
        outcome: "Starts again from the bootstrap list, once per reason and without a loop",
        shown: OPEN,
    },
    Row {
        number: 5,
        fault: "A connect that nobody answers",
        outcome: "Given up at the connect timeout; next address, next broker; other brokers' records do not wait for it",
        shown: OPEN,
    },
    Row {
        number: 6,
        fault: "A connection is reset while nothing is under way",
        outcome: "Connected again in silence; the next record is delivered, none fails",
        shown: OPEN,
    },
    Row {
        number: 7,
        fault: "A middlebox forgets an idle connection and tells nobody",
        outcome: "Keepalive and an age limit for idle connections; else the request timeout ends it, and the records are sent again elsewhere, once",
        shown: OPEN,
    },
    Row {
        number: 8,
        fault: "A reset in the middle of a request",
        outcome: "The same batch with the same sequence is sent again; on the log once",
        shown: OPEN,
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
        shown: OPEN,
    },
    Row {
        number: 12,
        fault: "The network is slow and the send buffer full for long",
        outcome: "Batches grow while they wait; no connection is given up, no record fails",
        shown: OPEN,
    },
    Row {
        number: 13,
        fault: "An answer never comes (SIGSTOP)",
        outcome: "Request timeout, close, retry; records of other brokers flow on",
        shown: OPEN,
    },
    Row {
        number: 14,
        fault: "Answers come in the wrong order, or to questions nobody asked",
        outcome: "The connection is closed as corrupt; retry; on the log once",
        shown: OPEN,
    },
    Row {
        number: 15,
        fault: "An answer's size is huge, negative, or more than what follows",
        outcome: "No more is read than the limit allows; the connection ends; retry; on the log once",
        shown: OPEN,
    },
    Row {
        number: 16,
        fault: "An answer leaves out a partition that was sent",
        outcome: "That partition's batch is sent again; on the log once",
        shown: OPEN,
    },
    Row {
        number: 17,
        fault: "An answer names a partition twice, or one that was not sent",
        outcome: "Ignored; the accounting stays right",
        shown: OPEN,
    },
    Row {
        number: 18,
        fault: "The broker throttles",
        outcome: "Nothing is sent to it for that long (KIP-219), and it is counted; delivery timeouts run on",
        shown: OPEN,
    },
    Row {
        number: 19,
        fault: "Two brokers share an address, or a broker changes its address",
        outcome: "A broker is known by its id; it is connected to anew where it says it is",
        shown: OPEN,
    },
    Row {
        number: 20,
        fault: "TLS: unknown CA, wrong host name, expired, no client certificate",
        outcome: "Each its own error with its cause; tried again with backoff",
        shown: Shown::Later("TLS"),
    },
    Row {
        number: 21,
        fault: "SASL: wrong password",
        outcome: "An error of its own; backoff, or failing fast by choice",
        shown: Shown::Later("SASL"),
    },
    Row {
        number: 22,
        fault: "A SASL session expires under load (KIP-368)",
        outcome: "Authenticated again between answers; nothing is lost",
        shown: Shown::Later("SASL"),
    },
    Row {
        number: 23,
        fault: "Renewing an OAuth token is slow or fails",
        outcome: "Renewed ahead of its expiry, also when idle",
        shown: Shown::Later("SASL"),
    },
    Row {
        number: 24,
        fault: "ApiVersions is refused, cut off, or not true",
        outcome: "Asked again in version 0 once, never in a loop; then delivered, or a clear error",
        shown: OPEN,
    },
    Row {
        number: 25,
        fault: "A rolling restart, one broker at a time",
        outcome: "No record fails; order is kept",
        shown: OPEN,
    },
];
