//! What the producer said of each record.

use std::sync::Arc;

use milena::{BatchReport, DeliveryHandler, Fate, Outcome};
use parking_lot::{Condvar, Mutex};

/// One record's outcome, as told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Told {
    Nothing,
    Delivered { partition: i32, offset: Option<i64> },
    Failed(Fate),
}

/// By record id.
#[derive(Debug)]
pub(super) struct Ledger {
    told: Mutex<Book>,
    progressed: Condvar,
}

#[derive(Debug)]
struct Book {
    outcomes: Vec<Told>,
    settled: u64,
    /// Records told of more than once.
    twice: u64,
}

impl Ledger {
    pub(super) fn new(records: u64) -> Self {
        let outcomes = vec![Told::Nothing; usize::try_from(records).unwrap_or(usize::MAX)];
        let told = Mutex::new(Book { outcomes, settled: 0, twice: 0 });
        Self { told, progressed: Condvar::new() }
    }

    /// The handler's thread may lag behind a producer that is already closed.
    pub(super) fn wait_until_settled(&self) {
        let mut book = self.told.lock();
        while !book.is_settled() {
            self.progressed.wait(&mut book);
        }
    }

    /// Waits until `more` records have their outcome that have none now; false once all have one.
    pub(super) fn wait_for_more(&self, more: u64) -> bool {
        let mut book = self.told.lock();
        let enough = book.settled.saturating_add(more);
        while book.settled < enough && !book.is_settled() {
            self.progressed.wait(&mut book);
        }
        !book.is_settled()
    }

    /// How many records there will be.
    pub(super) fn len(&self) -> u64 {
        self.told.lock().outcomes.len() as u64
    }

    /// All outcomes, and how many records were told of more than once.
    pub(super) fn read<T>(&self, read: impl FnOnce(&[Told], u64) -> T) -> T {
        let book = self.told.lock();
        read(&book.outcomes, book.twice)
    }

    pub(super) fn note(&self, id: u64, told: Told) {
        let mut book = self.told.lock();
        book.note(id, told);
        self.progressed.notify_all();
    }
}

impl Book {
    fn is_settled(&self) -> bool {
        self.settled >= self.outcomes.len() as u64
    }

    fn note(&mut self, id: u64, told: Told) {
        let Some(slot) = usize::try_from(id).ok().and_then(|id| self.outcomes.get_mut(id)) else { return };
        if *slot == Told::Nothing {
            self.settled += 1;
        } else {
            self.twice += 1;
        }
        *slot = told;
    }
}

pub(super) struct Bookkeeper(pub(super) Arc<Ledger>);

impl DeliveryHandler for Bookkeeper {
    fn on_batch(&self, report: BatchReport) {
        let mut book = self.0.told.lock();
        for record in report.records() {
            let told = match report.outcome() {
                Outcome::Failed(failure) => Told::Failed(failure.fate),
                _ => Told::Delivered {
                    partition: report.partition().map_or(-1, |partition| partition.0),
                    offset: record.offset.map(|offset| offset.0),
                },
            };
            book.note(record.token, told);
        }
        self.0.progressed.notify_all();
    }
}
