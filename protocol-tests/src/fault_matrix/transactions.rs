//! Rows 70 to 78.

use super::{Row, Shown};

const LATER: Shown = Shown::Later("transactions");

pub(super) const ROWS: &[Row] = &[
    Row {
        number: 70,
        fault: "Fenced by a new instance",
        outcome: "Fatal, with an error of its own; what is pending fails",
        shown: LATER,
    },
    Row {
        number: 71,
        fault: "CONCURRENT_TRANSACTIONS at begin, add or end",
        outcome: "Tried again after a short wait",
        shown: LATER,
    },
    Row {
        number: 72,
        fault: "The coordinator moves, loads or is lost",
        outcome: "Looked for and asked again within the timeout",
        shown: LATER,
    },
    Row {
        number: 73,
        fault: "Nobody knows what came of EndTxn",
        outcome: "A commit is not repeated blindly; an abort heals by starting anew",
        shown: LATER,
    },
    Row {
        number: 74,
        fault: "A commit after a record failed",
        outcome: "Refused; the transaction must be aborted",
        shown: LATER,
    },
    Row {
        number: 75,
        fault: "An abort while records are in flight or queued",
        outcome: "Purged and aborted; not fatal (KIP-654)",
        shown: LATER,
    },
    Row {
        number: 76,
        fault: "The broker times the transaction out",
        outcome: "It is aborted, and the next one works (KIP-588)",
        shown: LATER,
    },
    Row { number: 77, fault: "Commit is called twice, or by two at once", outcome: "A typed error", shown: LATER },
    Row {
        number: 78,
        fault: "Every record of the transaction failed, then an abort",
        outcome: "EndTxn is sent all the same",
        shown: LATER,
    },
];
