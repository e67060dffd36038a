//! When to ask for metadata: one request at a time, never in a hurry twice.

use std::time::Duration;

use milena_mutants::Mutant;
use milena_wire::Timestamp;

use super::topics::Topics;
use crate::backoff::Backoff;
use crate::rng::Rng;

/// What a request asks about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Scope {
    /// All topics in use.
    Full,
    /// Those that are new, or of which something is missing.
    Partial,
}

/// The schedule. Two backoffs run: one for requests that fail, which holds for everything, and one for answers
/// without news (KIP-580's equivalent responses), which holds for everything but new topics.
#[derive(Debug)]
pub(crate) struct Refresh {
    max_age: Duration,
    in_flight: Option<Scope>,
    /// Somebody asked for everything.
    requested: bool,
    failures: u32,
    /// Answers without news in a row.
    equivalent: u32,
    failed_until: Timestamp,
    calm_until: Timestamp,
    /// When the last full answer is too old; `None` before the first.
    expires: Option<Timestamp>,
}

impl Refresh {
    /// A schedule that wants everything at once.
    pub(crate) fn new(max_age: Duration) -> Self {
        Self {
            max_age,
            in_flight: None,
            requested: true,
            failures: 0,
            equivalent: 0,
            failed_until: Timestamp::ZERO,
            calm_until: Timestamp::ZERO,
            expires: None,
        }
    }

    /// Asks for everything; when, the backoffs decide.
    pub(crate) fn request(&mut self) {
        self.requested = true;
    }

    /// Whether somebody asked for everything, and no request since then did.
    pub(crate) fn is_requested(&self) -> bool {
        self.requested
    }

    pub(crate) fn in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    /// When the next request is due; `None` if nothing is needed, or one is in flight.
    pub(crate) fn due(&self, topics: &Topics) -> Option<Timestamp> {
        if self.in_flight.is_some() {
            return None;
        }
        let new = topics.has_new().then_some(self.failed_until);
        let patient = self.failed_until.max(self.calm_until);
        let again = (self.requested || topics.has_again()).then_some(patient);
        let old = self.expires.filter(|_| !topics.is_empty()).map(|at| at.max(patient));
        [new, again, old].into_iter().flatten().min()
    }

    /// What a request sent now asks about.
    pub(crate) fn scope(&self, now: Timestamp) -> Scope {
        let old = self.expires.is_none_or(|at| at <= now);
        if old || (self.requested && self.calm_until <= now) { Scope::Full } else { Scope::Partial }
    }

    /// A request was sent.
    pub(crate) fn start(&mut self, scope: Scope) {
        debug_assert!(self.in_flight.is_none(), "one request at a time");
        self.in_flight = Some(scope);
        if scope == Scope::Full {
            // What is asked for from here on wants an answer made after this one.
            self.requested = false;
        }
    }

    /// The request in flight failed, or the answer was of no use. Says what had been asked for.
    pub(crate) fn failed(&mut self, now: Timestamp, backoff: Backoff, rng: &mut Rng) -> Option<Scope> {
        if Mutant::FailedMetadataIsAwaited.lives() {
            return None;
        }
        let scope = self.in_flight.take();
        self.requested |= scope == Some(Scope::Full);
        self.failed_until = now + backoff.delay(self.failures, rng);
        self.failures = self.failures.saturating_add(1);
        scope
    }

    /// The request in flight was answered; with `news` if something asked about is now known differently.
    pub(crate) fn succeeded(&mut self, now: Timestamp, news: bool, backoff: Backoff, rng: &mut Rng) {
        if self.in_flight.take() == Some(Scope::Full) {
            self.expires = Some(now + self.max_age);
        }
        self.failures = 0;
        self.failed_until = Timestamp::ZERO;
        self.equivalent = if news { 0 } else { self.equivalent.saturating_add(1) };
        let calm = backoff.delay(self.equivalent.saturating_sub(1), rng);
        self.calm_until = now + if Mutant::MetadataAtOnce.lives() { Duration::from_millis(1) } else { calm };
    }

    /// What is known was thrown away.
    pub(crate) fn restart(&mut self) {
        self.requested = true;
        self.equivalent = 0;
    }
}

#[cfg(test)]
mod tests;
