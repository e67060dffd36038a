//! Rows 26 to 44.

use super::{Row, Shown};

const OPEN: Shown = Shown::Open("no test carries it yet");

pub(super) const ROWS: &[Row] = &[
    Row {
        number: 26,
        fault: "The topic does not exist, and brokers create topics",
        outcome: "Records wait for it and are delivered in order",
        shown: OPEN,
    },
    Row {
        number: 27,
        fault: "The topic does not exist, and brokers do not create topics",
        outcome: "Records fail as not written when the grace is over, and not before; a topic made within it gets them",
        shown: OPEN,
    },
    Row {
        number: 28,
        fault: "The topic is new, and its leader does not know it yet",
        outcome: "Sent again soon; no record fails",
        shown: OPEN,
    },
    Row {
        number: 29,
        fault: "Metadata tells a topic of no partitions, and no error",
        outcome: "Asked again; records wait, and none is called delivered that is not",
        shown: OPEN,
    },
    Row {
        number: 30,
        fault: "Metadata leaves out a known partition once",
        outcome: "Its records are kept and delivered",
        shown: OPEN,
    },
    Row {
        number: 31,
        fault: "Metadata leaves out a known partition from now on",
        outcome: "Its records fail when the grace is over; other partitions go on",
        shown: OPEN,
    },
    Row {
        number: 32,
        fault: "Answers alternate between an unknown topic and a leader elsewhere",
        outcome: "Neither resets the other's limit: the retries, or the delivery timeout, end it",
        shown: OPEN,
    },
    Row {
        number: 33,
        fault: "The topic gets more partitions",
        outcome: "New partitions are used; a key's new records may go elsewhere, batches that are queued stay",
        shown: OPEN,
    },
    Row {
        number: 34,
        fault: "The topic is deleted and created again, with more or fewer partitions",
        outcome: "What may be on the old topic is maybe-written and never sent again; unsent records fail or go to the new one, as configured",
        shown: OPEN,
    },
    Row {
        number: 35,
        fault: "The topic is gone from metadata, then back",
        outcome: "Sequences go on where they were; on the log once, in order",
        shown: OPEN,
    },
    Row {
        number: 36,
        fault: "No partition has a leader",
        outcome: "Records wait, those without a key on any partition, and are delivered when there is one",
        shown: OPEN,
    },
    Row {
        number: 37,
        fault: "A leader elsewhere, and the answer says where (KIP-951)",
        outcome: "Followed at once, without asking for metadata",
        shown: OPEN,
    },
    Row {
        number: 38,
        fault: "A leader elsewhere, and the answer names the same one, or an older epoch",
        outcome: "The hint is ignored; backoff and metadata; no storm of requests",
        shown: OPEN,
    },
    Row {
        number: 39,
        fault: "Metadata that is older than what is known",
        outcome: "No way back to a lower leader epoch, unless several answers agree on it or the topic is a new one",
        shown: OPEN,
    },
    Row {
        number: 40,
        fault: "A thousand partitions lose their leader at once, under many clients",
        outcome: "Each client asks for metadata once per backoff, for all of them together",
        shown: OPEN,
    },
    Row {
        number: 41,
        fault: "Metadata takes longer than the time between refreshes",
        outcome: "One request at a time; topics in use are not forgotten",
        shown: OPEN,
    },
    Row { number: 42, fault: "A name that no topic can have", outcome: "Its records fail at once", shown: OPEN },
    Row {
        number: 43,
        fault: "The right to write is taken away, and given back",
        outcome: "Records in between fail as not written; later ones are delivered by the same producer",
        shown: OPEN,
    },
    Row {
        number: 44,
        fault: "Another cluster answers under the old name",
        outcome: "Said in an event, and its topics are not taken for the old ones",
        shown: OPEN,
    },
];
