//! The fault matrix: a hundred ways in which things go wrong, what must come of each, and the tests that show it.
//!
//! [`page`] writes `docs/fault-matrix.md` from these rows; a test keeps the two the same, and finds each test that is named here in its file.

mod connection;
mod idempotence;
mod lifecycle;
mod metadata;
mod produce;
mod transactions;

use std::fmt::Write as _;

/// One fault.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// From 1; tests carry it in their names.
    pub number: usize,
    /// What goes wrong.
    pub fault: &'static str,
    /// What must come of it.
    pub outcome: &'static str,
    /// What shows that it does.
    pub shown: Shown,
}

/// Whether a row is shown, and by what.
#[derive(Clone, Copy, Debug)]
pub enum Shown {
    /// By tests, the first of which carries the row's number.
    By(&'static [Test]),
    /// Not yet: it belongs to a feature that does not exist.
    Later(&'static str),
    /// Not yet, or not wholly; with what is missing.
    Open(&'static str),
}

/// Where a test plays.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place {
    /// The producer that users name, over TCP, against the embedded broker; where the network misbehaves, through a proxy.
    Tcp,
    /// Made-up time and a made-up network.
    Simulator,
    /// A real Kafka.
    Kafka,
    /// One crate, without I/O.
    Unit,
}

impl Place {
    const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Simulator => "simulator",
            Self::Kafka => "real Kafka",
            Self::Unit => "unit",
        }
    }
}

/// A test.
#[derive(Clone, Copy, Debug)]
pub struct Test {
    /// Where it plays.
    pub place: Place,
    /// Its file, from the root of the repository.
    pub file: &'static str,
    /// The name of its function.
    pub name: &'static str,
}

impl Test {
    /// One that plays there.
    #[must_use]
    pub const fn new(place: Place, file: &'static str, name: &'static str) -> Self {
        Self { place, file, name }
    }

    /// One over TCP.
    #[must_use]
    pub const fn tcp(file: &'static str, name: &'static str) -> Self {
        Self::new(Place::Tcp, file, name)
    }

    /// One with a real Kafka.
    #[must_use]
    pub const fn kafka(file: &'static str, name: &'static str) -> Self {
        Self::new(Place::Kafka, file, name)
    }

    /// One of a crate alone.
    #[must_use]
    pub const fn unit(file: &'static str, name: &'static str) -> Self {
        Self::new(Place::Unit, file, name)
    }
}

/// All rows, in order.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    groups().into_iter().flat_map(|(_, rows)| rows)
}

fn groups() -> [(&'static str, &'static [Row]); 6] {
    [
        ("Connection", connection::ROWS),
        ("Metadata and topics", metadata::ROWS),
        ("Produce errors", produce::ROWS),
        ("Idempotence", idempotence::ROWS),
        ("Transactions", transactions::ROWS),
        ("Buffering, calls and lifecycle", lifecycle::ROWS),
    ]
}

const HEAD: &str = "\
# Fault matrix

What a producer must survive, what comes of it, and the test that shows it. *TCP*: `milena::Producer` against the embedded broker over TCP,
where the network misbehaves through a proxy. *unit*: one crate without I/O. *simulator*: made-up time and a made-up network. *real Kafka*: run by
`just test-kafka`.

Every test over TCP also asserts that each record has one outcome, that the log holds what the outcomes say, once and in order, that all
outcomes come before their deadline, that the producer's memory is empty at the end, and that the brokers were not asked more often than the fault explains.

<!-- Written by a test from the rows in protocol-tests/src/fault_matrix. To update it:
     UPDATE_DOCS=1 cargo test -p protocol-tests --test fault_matrix page -->
";

/// What `docs/fault-matrix.md` holds.
#[must_use]
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    let count = |wanted: fn(&Shown) -> bool| rows().filter(|row| wanted(&row.shown)).count();
    let shown = count(|shown| matches!(shown, Shown::By(_)));
    let later = count(|shown| matches!(shown, Shown::Later(_)));
    let open = count(|shown| matches!(shown, Shown::Open(_)));
    let line = format!("\n{shown} rows are shown, {open} are open, {later} belong to features to come.\n");
    page += &line;
    for (group, rows) in groups() {
        page += &format!("\n## {group}\n\n| # | Fault | What comes of it | Shown by |\n|---|---|---|---|\n");
        for row in rows {
            // Writing to a string does not fail.
            let _never =
                writeln!(page, "| {} | {} | {} | {} |", row.number, row.fault, row.outcome, shown_by(&row.shown));
        }
    }
    page
}

fn shown_by(shown: &Shown) -> String {
    match shown {
        Shown::By(tests) => {
            let link = |test: &Test| format!("{}: [`{}`](../{})", test.place.name(), test.name, test.file);
            tests.iter().map(link).collect::<Vec<_>>().join("<br>")
        }
        Shown::Later(feature) => format!("*later: {feature}*"),
        Shown::Open(missing) => format!("**open**: {missing}"),
    }
}
