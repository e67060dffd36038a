//! One producer through one fault: what it was given, what it said, and whether that is so.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use milena::{Delivery, Failure, FailureKind, Fate, MetricsSnapshot, PartitionId, Producer, ProducerBuilder};

use super::{LONG, Rig, until};
use crate::account::{Account, Content, Outcome, Sent, Stored, ToSend, check};
use crate::{embedded, facade};

/// Records of all stories.
static RECORDS: AtomicU64 = AtomicU64::new(0);

/// A producer and all its records.
#[derive(Debug)]
pub struct Story<'a> {
    rig: &'a Rig,
    producer: Producer,
    /// Those without a delivery are to be on the log all the same.
    queued: Vec<(String, ToSend, Option<Delivery>)>,
    /// Of the chapters before this one.
    told: Vec<Sent>,
    failures: Vec<Arc<Failure>>,
    account: Account,
    /// The number of this chapter's first record, or less.
    first: u64,
    /// Records that no log will hold in the end.
    aside: u64,
    requests: u64,
    connections: u64,
}

/// How it ended, when all of it was found to be true.
#[derive(Debug)]
pub struct Ended {
    /// Each record with its outcome, by the order of enqueueing.
    pub sent: Vec<Sent>,
    /// The failures of those that failed, in the same order.
    pub failures: Vec<Arc<Failure>>,
    /// What is on the logs in the end, and why.
    pub account: Account,
    /// The producer's own numbers.
    pub metrics: MetricsSnapshot,
    /// Requests that brokers have read.
    pub requests: u64,
}

impl<'a> Story<'a> {
    /// Begins with a producer as [`Rig::producer`] makes it.
    #[must_use]
    pub fn new(rig: &'a Rig) -> Self {
        Self::with(rig, rig.producer())
    }

    /// Begins with a producer of one's own making.
    ///
    /// # Panics
    /// If it cannot be built.
    #[must_use]
    pub fn with(rig: &'a Rig, producer: ProducerBuilder) -> Self {
        // It connects as soon as it is built.
        let (requests, connections) = (rig.requests(), rig.connections());
        let producer = producer.build().expect("a config without problems");
        Self {
            rig,
            producer,
            queued: Vec::new(),
            told: Vec::new(),
            failures: Vec::new(),
            account: Account::default(),
            first: RECORDS.load(Ordering::Relaxed),
            aside: 0,
            requests,
            connections,
        }
    }

    /// The producer.
    #[must_use]
    pub fn producer(&self) -> &Producer {
        &self.producer
    }

    /// Enqueues `count` records for partition 0 of a topic, no two records alike.
    pub async fn enqueue(&mut self, topic: &str, count: usize) {
        self.enqueue_to(topic, Some(0), count).await;
    }

    /// Enqueues `count` records for a partition, or for any.
    pub async fn enqueue_to(&mut self, topic: &str, partition: Option<i32>, count: usize) {
        for _ in 0..count {
            self.enqueue_one(topic, partition, b"").await;
        }
    }

    /// Enqueues a record whose value begins with its number and ends with `rest`.
    pub async fn enqueue_one(&mut self, topic: &str, partition: Option<i32>, rest: &[u8]) {
        let record = Self::next(partition, rest);
        self.enqueue_record(topic, record).await;
    }

    /// A record unlike all others, for [`enqueue_record`](Self::enqueue_record) or [`adopt`](Self::adopt).
    #[must_use]
    pub fn next(partition: Option<i32>, rest: &[u8]) -> ToSend {
        let number = RECORDS.fetch_add(1, Ordering::Relaxed);
        let mut value = format!("{number} ").into_bytes();
        value.extend_from_slice(rest);
        let content = Content { value: Some(value), ..Content::default() };
        ToSend { content, partition, ..ToSend::default() }
    }

    /// Enqueues a record with a key, for whatever partition that leads to.
    pub async fn enqueue_keyed(&mut self, topic: &str, key: &str) {
        let mut record = Self::next(None, b"");
        record.content.key = Some(key.as_bytes().to_vec());
        self.enqueue_record(topic, record).await;
    }

    /// Enqueues a record; no two of a topic may be alike.
    ///
    /// # Panics
    /// If it is not taken.
    pub async fn enqueue_record(&mut self, topic: &str, record: ToSend) {
        let delivery = self.producer.enqueue(facade::record(topic, &record)).await.expect("a record that is taken");
        self.adopt(topic, record, delivery);
    }

    /// Holds a record to account that was enqueued in some other way.
    pub fn adopt(&mut self, topic: &str, record: ToSend, delivery: Delivery) {
        self.queued.push((topic.to_owned(), record, Some(delivery)));
    }

    /// Holds a record to account whose delivery nobody has: it must be delivered, and whoever says this has waited for it.
    pub fn adopt_unheard(&mut self, topic: &str, record: ToSend) {
        self.queued.push((topic.to_owned(), record, None));
    }

    /// How many of the first `count` records have no outcome yet.
    #[must_use]
    pub fn open_among(&self, count: usize) -> usize {
        let is_open = |delivery: &Option<Delivery>| delivery.as_ref().is_some_and(|delivery| !delivery.is_done());
        self.queued.iter().take(count).filter(|(.., delivery)| is_open(delivery)).count()
    }

    /// Has a record delivered that will be deleted from its log, so that nobody looks for it.
    ///
    /// # Panics
    /// If it is not delivered.
    pub async fn deliver_aside(&mut self, topic: &str, partition: Option<i32>) {
        let record = Self::next(partition, b"aside");
        self.producer.send(facade::record(topic, &record)).await.expect("a record that is delivered");
        self.aside += 1;
    }

    /// Enqueues `count` records for partition 0 while its broker reads nothing, each in a request of its own, and lets them go together.
    ///
    /// # Panics
    /// If there is room for fewer requests.
    pub async fn enqueue_in_flight(&mut self, topic: &str, count: usize) {
        for record in 0..count {
            let before = self.producer.metrics().requests_in_flight;
            self.enqueue(topic, 1).await;
            until(&format!("request {record} is in flight"), || self.producer.metrics().requests_in_flight > before)
                .await;
        }
    }

    /// Enqueues records of a partition and waits until they are delivered, so that the producer is under way.
    ///
    /// # Panics
    /// If they are not.
    pub async fn deliver(&mut self, topic: &str, count: usize) {
        let failed = |story: &Self| {
            let total = story.producer.metrics().total;
            total.failed_not_written.records + total.failed_maybe_written.records
        };
        let before = failed(self);
        self.enqueue(topic, count).await;
        self.settled().await;
        assert_eq!(failed(self), before, "records that were to be delivered have failed");
    }

    /// Waits until everything so far has its outcome.
    ///
    /// # Panics
    /// If that does not happen before the deadlines are long over.
    pub async fn settled(&self) {
        let patience = self.producer.config().delivery_timeout + LONG;
        let all = async {
            while self.open_among(usize::MAX) > 0 {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        };
        assert!(
            tokio::time::timeout(patience, all).await.is_ok(),
            "records without an outcome long after their deadline"
        );
    }

    /// Waits for all outcomes, closes the producer, and holds everything to account: one outcome for each record, the logs what the outcomes say, in
    /// order; memory empty; and no more than `requests` requests read by brokers, or connections opened.
    ///
    /// # Panics
    /// If any of it is not so.
    pub async fn end(self, requests: u64) -> Ended {
        self.settled().await;
        let producer = self.producer.clone();
        let ended = self.judged(requests).await;
        producer.close(LONG).await.expect("every outcome was heard, and in time");
        ended
    }

    /// As [`end`](Self::end), and leaves the closing to others.
    ///
    /// # Panics
    /// As [`end`](Self::end).
    pub async fn judged(mut self, requests: u64) -> Ended {
        self.chapter().await;
        let Self { rig, producer, told, failures, account, .. } = self;
        // The socket may hold its bytes a moment longer than the outcome takes.
        until("all memory is back", || {
            let buffer = producer.metrics().buffer;
            (buffer.used, buffer.waiting) == (0, 0)
        })
        .await;
        let metrics = producer.metrics();
        let total = metrics.total;
        let counted =
            [total.delivered, total.failed_not_written, total.failed_maybe_written].map(|tally| tally.records);
        let mut outcomes = [self.aside, 0, 0];
        for sent in &told {
            outcomes[match sent.outcome {
                Outcome::Delivered { .. } | Outcome::Unacknowledged => 0,
                Outcome::NotWritten(_) => 1,
                Outcome::MaybeWritten(_) => 2,
            }] += 1;
        }
        assert_eq!(counted, outcomes, "the producer counts one outcome for each record, the one that was told");
        let read = rig.requests() - self.requests;
        let opened = rig.connections() - self.connections;
        assert!(read <= requests, "{read} requests, where {requests} would do: {:?}", rig.cluster().requests());
        assert!(opened <= requests, "{opened} connections");
        assert!(opened > 0 || read == 0, "a way past the proxies");
        Ended { sent: told, failures, account, metrics, requests: read }
    }

    /// Waits for the outcomes of everything so far, and holds the logs as they are now to them; for what happens to a topic after that, those
    /// records are of no account.
    ///
    /// # Panics
    /// If they are not true.
    pub async fn chapter(&mut self) {
        self.settled().await;
        let mut sent: BTreeMap<String, Vec<Sent>> = BTreeMap::new();
        for (topic, record, delivery) in self.queued.drain(..) {
            let outcome = match delivery {
                Some(delivery) => {
                    let result = delivery.await;
                    if let Err(error) = &result {
                        self.failures.push(Arc::clone(error.failure()));
                    }
                    facade::outcome(&record, result)
                }
                None => Outcome::Delivered { partition: record.partition.unwrap_or_default(), offset: None },
            };
            let one = Sent { record, outcome };
            self.told.push(one.clone());
            sent.entry(topic).or_default().push(one);
        }
        for (topic, session) in sent {
            let log = log(self.rig, self.first, &topic);
            let account = check(&[&session], &log).unwrap_or_else(|wrong| panic!("topic {topic}: {wrong}"));
            self.account.sent += account.sent;
            self.account.delivered += account.delivered;
            self.account.not_written += account.not_written;
            self.account.maybe_written += account.maybe_written;
            self.account.stored += account.stored;
        }
        self.first = RECORDS.load(Ordering::Relaxed);
    }
}

impl Ended {
    /// All were delivered, and the logs hold them and nothing else.
    ///
    /// # Panics
    /// If they were not.
    #[track_caller]
    pub fn all_delivered(&self) -> &Self {
        let failed = self.sent.iter().find(|sent| !matches!(sent.outcome, Outcome::Delivered { .. }));
        assert!(failed.is_none(), "{failed:?}, {:?}", self.account);
        assert_eq!(self.account.stored, self.sent.len());
        self
    }

    /// So many failed, all for this reason and with this fate.
    ///
    /// # Panics
    /// If not.
    #[track_caller]
    pub fn failed(&self, count: usize, kind: FailureKind, fate: Fate) -> &Self {
        assert_eq!(self.failures.len(), count, "{:?}", self.failures.first());
        for failure in &self.failures {
            assert_eq!((failure.kind, failure.fate), (kind, fate), "{failure}");
        }
        self
    }
}

/// What a topic holds, without what was there before record `first`.
fn log(rig: &Rig, first: u64, topic: &str) -> Vec<Stored> {
    let count = rig.cluster().partition_count(topic).unwrap_or(0);
    let partitions = (0..i32::try_from(count).expect("few partitions")).map(PartitionId);
    let of = |partition| {
        let batches = rig.cluster().log(topic, partition);
        let records = batches.into_iter().flat_map(|batch| batch.records().expect("a batch that can be read"));
        records.map(move |record| embedded::stored(partition, record)).collect::<Vec<_>>()
    };
    partitions.flat_map(of).filter(|stored| number(stored).is_none_or(|number| number >= first)).collect()
}

fn number(stored: &Stored) -> Option<u64> {
    let text = std::str::from_utf8(stored.content.value.as_deref()?).ok()?;
    text.split(' ').next()?.parse().ok()
}
