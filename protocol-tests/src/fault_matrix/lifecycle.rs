//! Rows 79 to 100.

use super::{Row, Shown};

const OPEN: Shown = Shown::Open("no test carries it yet");

pub(super) const ROWS: &[Row] = &[
    Row {
        number: 79,
        fault: "The buffer is full, and the caller waits",
        outcome: "It waits in line; a wait that is given up leaks nothing; a flush makes room",
        shown: OPEN,
    },
    Row {
        number: 80,
        fault: "The buffer is full, and the caller does not wait",
        outcome: "A typed error that hands the record back",
        shown: OPEN,
    },
    Row {
        number: 81,
        fault: "The buffer is full while a linger runs",
        outcome: "The linger is cut short; no convoy of tiny batches follows",
        shown: OPEN,
    },
    Row {
        number: 82,
        fault: "Records fail faster than the handler hears of them",
        outcome: "The queue to the handler is bounded by the buffer: callers wait",
        shown: OPEN,
    },
    Row {
        number: 83,
        fault: "A handler panics, blocks, or calls the producer",
        outcome: "Partitions flow on; no deadlock",
        shown: OPEN,
    },
    Row {
        number: 84,
        fault: "A delivery is dropped",
        outcome: "Its record is sent all the same; nothing leaks",
        shown: OPEN,
    },
    Row {
        number: 85,
        fault: "The producer is dropped without a close",
        outcome: "It drains up to a deadline, then says what was lost; no leak, no hang",
        shown: OPEN,
    },
    Row {
        number: 86,
        fault: "A flush, and the broker is dead",
        outcome: "Ends when the delivery timeouts do, or with a timeout of the caller's; it never hangs",
        shown: OPEN,
    },
    Row {
        number: 87,
        fault: "A flush while records linger, and more keep coming",
        outcome: "Those before it go at once; those behind it do not keep it waiting",
        shown: OPEN,
    },
    Row {
        number: 88,
        fault: "A close while retries are pending",
        outcome: "Each record has exactly one outcome",
        shown: OPEN,
    },
    Row { number: 89, fault: "A record during or after a close", outcome: "Refused at once as closed", shown: OPEN },
    Row {
        number: 90,
        fault: "A purge of what is queued or in flight",
        outcome: "Queued: not written. In flight: maybe-written. Sequences stay sound",
        shown: OPEN,
    },
    Row {
        number: 91,
        fault: "The future of one record is dropped while it is in flight",
        outcome: "It stays in its batch",
        shown: OPEN,
    },
    Row {
        number: 92,
        fault: "10,000 topics, 5,000 partitions",
        outcome: "Work follows what is active, not what exists",
        shown: OPEN,
    },
    Row {
        number: 93,
        fault: "A producer is idle for hours",
        outcome: "No wake-ups of its own, no requests but metadata's age, no growth",
        shown: OPEN,
    },
    Row {
        number: 94,
        fault: "An outage of a quarter of an hour over 320 partitions",
        outcome: "All is as before afterwards, the rate of requests too",
        shown: OPEN,
    },
    Row { number: 95, fault: "The wall clock jumps", outcome: "Timeouts do not notice", shown: OPEN },
    Row {
        number: 96,
        fault: "The runtime shuts down, or its threads are kept from running",
        outcome: "Every delivery is settled; calls return an error that says so",
        shown: OPEN,
    },
    Row {
        number: 97,
        fault: "A partitioner chooses a partition that does not exist; partitions vanish under the sticky choice",
        outcome: "That record alone is refused; another partition is chosen",
        shown: OPEN,
    },
    Row {
        number: 98,
        fault: "Timestamps out of order or at the ends of their range",
        outcome: "Stored as they were given; a negative one is refused",
        shown: OPEN,
    },
    Row {
        number: 99,
        fault: "Null and empty keys and values, no headers, headers of one name",
        outcome: "Stored as they were given",
        shown: OPEN,
    },
    Row { number: 100, fault: "Timeouts of more than 2^31-1 ms", outcome: "Refused by the config", shown: OPEN },
];
