//! Rows 55 to 69.

use super::{Row, Shown};

const OPEN: Shown = Shown::Open("no test carries it yet");

pub(super) const ROWS: &[Row] = &[
    Row { number: 55, fault: "The broker finds that a batch is a duplicate", outcome: "Delivered", shown: OPEN },
    Row {
        number: 56,
        fault: "The first answer is lost, later ones arrive",
        outcome: "The first is sent again and found to be a duplicate; each record is told of once",
        shown: OPEN,
    },
    Row {
        number: 57,
        fault: "The first of five batches is refused for now, those behind it are out of order",
        outcome: "All are sent again in order, without a new epoch; on the log once",
        shown: OPEN,
    },
    Row {
        number: 58,
        fault: "OUT_OF_ORDER_SEQUENCE_NUMBER for the batch at the head",
        outcome: "It proves that the batch is not on the log: a new epoch, and it is sent again",
        shown: OPEN,
    },
    Row {
        number: 59,
        fault: "The first batch of a new producer is refused and the second accepted",
        outcome: "Cannot be: one batch is in flight until the first success from that leader",
        shown: OPEN,
    },
    Row {
        number: 60,
        fault: "UNKNOWN_PRODUCER_ID after records were deleted",
        outcome: "A new epoch, and on; on the log once",
        shown: OPEN,
    },
    Row {
        number: 61,
        fault: "INVALID_PRODUCER_EPOCH",
        outcome: "A new epoch, and sent again; what may be on the log is maybe-written",
        shown: OPEN,
    },
    Row { number: 62, fault: "The epoch has reached 32767", outcome: "A new producer id", shown: OPEN },
    Row { number: 63, fault: "A sequence passes 2^31-1", outcome: "It goes on at 0", shown: OPEN },
    Row {
        number: 64,
        fault: "A queued batch expires behind batches in flight",
        outcome: "Not written, since it never left; the stream resolves what was stamped and goes on",
        shown: OPEN,
    },
    Row {
        number: 65,
        fault: "A batch in flight expires",
        outcome: "Maybe-written at its deadline; nothing new is stamped until a probe has told whether it is on the log",
        shown: OPEN,
    },
    Row {
        number: 66,
        fault: "The leader moves while batches are in flight to the old one",
        outcome: "Exactly once: sent again in order to the new one, late answers are ignored. Else nothing goes to the new one before the old has answered",
        shown: OPEN,
    },
    Row {
        number: 67,
        fault: "A new epoch for one partition while a batch of another is ambiguous",
        outcome: "The epoch is that partition's alone; the other batch is not duplicated",
        shown: OPEN,
    },
    Row {
        number: 68,
        fault: "InitProducerId fails",
        outcome: "Asked again where that can help; else buffered records fail with the reason",
        shown: OPEN,
    },
    Row {
        number: 69,
        fault: "The broker has forgotten an idle producer",
        outcome: "Goes on by itself; on the log once",
        shown: OPEN,
    },
];
