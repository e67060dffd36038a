//! What became of the records: counted as they settle, printed at the end.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use milena::{Fate, MetricsSnapshot, Outcome};
use parking_lot::{Condvar, Mutex};

use crate::complain;

/// Counters that the delivery handler's thread and the main thread share.
#[derive(Debug, Default)]
pub(crate) struct Account {
    queued: AtomicU64,
    delivered: AtomicU64,
    not_written: AtomicU64,
    maybe_written: AtomicU64,
    spooled: AtomicU64,
    complained: AtomicBool,
    lock: Mutex<()>,
    progressed: Condvar,
}

impl Account {
    pub(crate) fn queued(&self) {
        self.queued.fetch_add(1, Ordering::Relaxed);
    }

    /// A record that was counted as queued was not even taken.
    pub(crate) fn refused(&self) {
        self.not_written.fetch_add(1, Ordering::Relaxed);
    }

    /// Says what the first failure was; the account counts the others.
    pub(crate) fn complain_once(&self, failure: &impl fmt::Display) {
        if !self.complained.swap(true, Ordering::Relaxed) {
            complain(format_args!("a record failed: {failure}"));
        }
    }

    /// Outcomes are reported on a thread of their own, which may lag behind a producer that is already closed.
    pub(crate) fn wait_until_all_settled(&self) {
        let mut lock = self.lock.lock();
        while !self.is_settled() {
            self.progressed.wait(&mut lock);
        }
    }

    fn is_settled(&self) -> bool {
        let settled: u64 = [&self.delivered, &self.not_written, &self.maybe_written, &self.spooled]
            .iter()
            .map(|n| n.load(Ordering::Relaxed))
            .sum();
        settled == self.queued.load(Ordering::Relaxed)
    }

    pub(crate) fn settled(&self, outcome: &Outcome, records: u64) {
        let counter = match outcome {
            Outcome::Failed(failure) if failure.fate == Fate::NotWritten => &self.not_written,
            Outcome::Failed(failure) if failure.fate == Fate::Spooled => &self.spooled,
            Outcome::Failed(_) => &self.maybe_written,
            _ => &self.delivered,
        };
        counter.fetch_add(records, Ordering::Relaxed);
        let _locked = self.lock.lock();
        self.progressed.notify_all();
    }

    pub(crate) fn read(&self, elapsed: Duration) -> Totals {
        Totals {
            queued: self.queued.load(Ordering::Relaxed),
            delivered: self.delivered.load(Ordering::Relaxed),
            not_written: self.not_written.load(Ordering::Relaxed),
            maybe_written: self.maybe_written.load(Ordering::Relaxed),
            spooled: self.spooled.load(Ordering::Relaxed),
            seconds: elapsed.as_secs_f64(),
        }
    }
}

/// The account as it is printed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Totals {
    pub(crate) queued: u64,
    pub(crate) delivered: u64,
    pub(crate) not_written: u64,
    pub(crate) maybe_written: u64,
    /// On disk, with `--spool` only.
    pub(crate) spooled: u64,
    pub(crate) seconds: f64,
}

impl Totals {
    pub(crate) fn is_whole(&self) -> bool {
        self.delivered == self.queued && self.not_written == 0 && self.maybe_written == 0
    }

    /// The fields, their order included, are a contract with scripts.
    pub(crate) fn to_json(self) -> String {
        let Self { queued, delivered, not_written, maybe_written, spooled, seconds } = self;
        let spooled = if spooled > 0 { format!(r#""spooled":{spooled},"#) } else { String::new() };
        format!(
            r#"{{"queued":{queued},"delivered":{delivered},"failed":{{"not_written":{not_written},"maybe_written":{maybe_written}}},{spooled}"seconds":{seconds:.3}}}"#
        )
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "queued {}, delivered {}, failed {} (not written {}, maybe written {}){} in {:.3} s",
            self.queued,
            self.delivered,
            self.not_written + self.maybe_written,
            self.not_written,
            self.maybe_written,
            if self.spooled > 0 { format!(", spooled {}", self.spooled) } else { String::new() },
            self.seconds
        )
    }
}

/// What else happened on the way that a person should know of; nothing if nothing did.
pub(crate) fn notes(metrics: &MetricsSnapshot) -> Option<String> {
    let noted: Vec<String> = [
        ("spooled", metrics.total.spooled.records),
        ("replayed", metrics.total.replayed.records),
        ("dead letters", metrics.dead_letters),
        ("dead letters lost", metrics.dead_letters_lost),
        ("unobserved", metrics.unobserved),
        ("epoch bumps", metrics.epoch_bumps),
    ]
    .into_iter()
    .filter(|(_, count)| *count > 0)
    .map(|(name, count)| format!("{name} {count}"))
    .collect();
    (!noted.is_empty()).then(|| format!("of note: {}", noted.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_happened_is_noted() {
        let mut metrics = MetricsSnapshot::default();
        assert_eq!(notes(&metrics), None);
        metrics.epoch_bumps = 2;
        metrics.total.spooled.records = 5;
        assert_eq!(notes(&metrics).as_deref(), Some("of note: spooled 5, epoch bumps 2"));
    }

    #[test]
    fn spooled_records_are_neither_delivered_nor_failed() {
        let account = Account::default();
        account.queued();
        let mut failure = milena::Failure::new(milena::FailureKind::Closed, Fate::NotWritten, "t".into(), None);
        failure.fate = Fate::Spooled;
        account.settled(&Outcome::Failed(std::sync::Arc::new(failure)), 1);
        account.wait_until_all_settled();
        let totals = account.read(Duration::ZERO);
        assert!(!totals.is_whole());
        assert!(totals.to_string().contains("failed 0 (not written 0, maybe written 0), spooled 1"), "{totals}");
        assert!(totals.to_json().contains(r#""spooled":1,"#));
    }

    #[test]
    fn the_json_has_the_fields_scripts_rely_on() {
        let account = Account::default();
        account.queued();
        account.queued();
        account.refused();
        account.settled(&Outcome::Unacknowledged, 1);
        let totals = account.read(Duration::from_millis(1_500));
        assert!(!totals.is_whole());
        assert_eq!(
            totals.to_json(),
            r#"{"queued":2,"delivered":1,"failed":{"not_written":1,"maybe_written":0},"seconds":1.500}"#
        );
    }
}
