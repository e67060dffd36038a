//! How a run ends: everything converges, and the books are made up.

use std::collections::BTreeMap;
use std::time::Duration;

use milena_accumulator::{FailureKind, Urgency};
use milena_sender::Guarantee;
use milena_wire::{PartitionId, ProducerEpoch};

use super::callers::Wish;
use super::ledger::{Place, Word, contents, producers};
use super::oracle::{Books, Pace, judge};
use super::world::{START, World};

/// How long a healed cluster has to take a record on every partition.
const RECOVERY: Duration = Duration::from_secs(40);

impl World {
    /// A record goes through on every partition.
    pub(crate) fn converge(&mut self) -> Result<(), Vec<String>> {
        // A partition that metadata kept quiet about is found by the next regular look.
        let end = self.now + RECOVERY + self.plan.sender.request_timeout * 2 + self.plan.cluster.metadata_max_age;
        for place in self.places() {
            let mut probe: Option<u64> = None;
            loop {
                match probe.and_then(|id| self.ledger.entry(id)).map(|entry| entry.word) {
                    Some(Some((Word::Delivered(_) | Word::Unacknowledged, ..))) => break,
                    Some(None) => {}
                    _ => probe = Some(self.enqueue_probe(&place)),
                }
                if self.is_fatal() {
                    return Ok(());
                }
                if self.now > end {
                    return Err(vec![format!("STUCK: nothing goes through on {place:?} though all is well")]);
                }
                self.run_until(self.now + Duration::from_millis(50))?;
            }
        }
        Ok(())
    }

    /// Whether the producer was told that it may not go on.
    fn is_fatal(&self) -> bool {
        self.ledger.entries.iter().any(|entry| matches!(entry.word, Some((_, _, Some(FailureKind::Fatal)))))
    }

    pub(crate) fn conclude(&mut self) -> Result<(), Vec<String>> {
        self.callers_leave();
        self.listen();
        let (mut logs, mut ids) = (BTreeMap::new(), BTreeMap::new());
        for place in self.places() {
            let log = self.servers.log(&place.0, PartitionId(place.1));
            self.summary.sights.note_log(&log);
            ids.insert(place.clone(), producers(&log));
            logs.insert(place, contents(&log));
        }
        let tries = |wait: Duration| 1000 / u64::try_from(wait.as_millis()).unwrap_or(1).max(5);
        let mut books = Books {
            guarantee: self.plan.sender.guarantee,
            ordered: self.plan.is_ordered(),
            limit: self.record_limit(),
            refused_identity: self.plan.identity.map(|_| self.plan.sender.refused_identity),
            ledger: std::mem::take(&mut self.ledger),
            logs,
            producers: ids,
            notes: std::mem::take(&mut self.notes),
            memory_used: self.accumulator.memory().used,
            waiting: self.callers.waiting(),
            rates: std::mem::take(&mut self.rates),
            pace: Pace {
                retries: tries(self.plan.sender.retry_backoff),
                // With SASL a connection takes more requests than ApiVersions.
                reconnects: tries(self.plan.cluster.reconnect_backoff)
                    * if self.plan.identity.is_some() { 3 } else { 1 },
                partitions: self.partitions.values().map(|count| u64::try_from(*count).unwrap_or(0)).sum(),
                nodes: u64::try_from(self.plan.nodes).unwrap_or(1),
                epochs: match self.plan.sender.guarantee {
                    Guarantee::ExactlyOnce => u64::from(ProducerEpoch::LAST.0.abs_diff(self.plan.first_epoch.0)) + 1,
                    _ => 0,
                },
            },
        };
        self.planted.lose(&self.struck, &mut books);
        let renewed = self.guard.as_ref().map_or(0, |guard| guard.counts().1);
        self.summary.sights.saw_many("a connection authenticated again", renewed);
        self.summary.sights.note_plan(&self.plan);
        self.summary.sights.note_books(&books);
        self.sum_up(&books);
        let wrong = judge(&books);
        self.books = Some(books);
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    fn sum_up(&mut self, books: &Books) {
        let summary = &mut self.summary;
        summary.busiest_second = books.rates.values().fold((0, 0), |a, b| (a.0.max(b.0), a.1.max(b.1)));
        summary.records = books.ledger.entries.len() as u64;
        for entry in &books.ledger.entries {
            let place = match entry.word {
                Some((Word::Delivered(_), ..)) => 0,
                Some((Word::Unacknowledged, ..)) => 1,
                Some((Word::NotWritten, ..)) => 2,
                Some((Word::MaybeWritten, ..)) => 3,
                None => continue,
            };
            summary.words[place] += 1;
        }
        summary.took = self.now.since(START);
    }

    fn enqueue_probe(&mut self, place: &Place) -> u64 {
        let record = Wish {
            topic: place.0.clone(),
            partition: Some(place.1),
            key: Some("k".to_owned()),
            size: 20,
            urgency: Urgency::Now,
            by_token: true,
            drop: false,
        };
        self.enqueue(&record, None).0
    }
}
