//! The producer's handle: what a caller can do with it.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use milena_accumulator::{Accumulator, Delivery, Pace, Receipt, Refused, Reservation, Urgency};
use milena_sender::{Command, CommandResult, HealthBoard, Metrics, MetricsSnapshot, TopicPartitions};

use crate::builder::ProducerBuilder;
use crate::clock::Clock;
use crate::commands::{Commands, Ending};
use crate::config::ProducerConfig;
use crate::error::{CloseError, EnqueueError, FlushError, NotReady, Rejected, SendError};
use crate::health::{Health, ProducerState};
use crate::letters::Letters;
use crate::patience::{Patience, Place};
use crate::record::Record;
use crate::timeout;
use crate::watch::Watch;

/// A Kafka producer. Cheap to clone; all clones share one buffer, one set of connections and one account of failures.
///
/// *Queued* is not *delivered*: [`enqueue`](Self::enqueue) returns as soon as the record is in memory, and the
/// [`Delivery`] it returns ends with the record's one true outcome.
///
/// When the last clone is dropped the producer goes on delivering in the background for `drop_timeout`, and then logs one
/// error event that says what was lost. A process that exits earlier takes queued records with it: call
/// [`close`](Self::close).
#[derive(Clone, Debug)]
pub struct Producer {
    pub(crate) shared: Arc<Shared>,
}

/// How long a close waits for the delivery handler at least, beyond its deadline if need be.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Which records [`Producer::purge`] gives up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Purge {
    /// Those not in flight.
    pub queued: bool,
    /// Those in flight, which may be written all the same.
    pub in_flight: bool,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) accumulator: Accumulator,
    pub(crate) clock: Clock,
    pub(crate) commands: Commands,
    pub(crate) config: ProducerConfig,
    pub(crate) patience: Patience,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) health: Arc<HealthBoard>,
    pub(crate) watch: Arc<Watch>,
    pub(crate) closed: AtomicBool,
}

impl Producer {
    /// Starts the settings of a producer for the cluster behind `bootstrap`: `host:port`, several separated by commas.
    pub fn builder(bootstrap: impl AsRef<str>) -> ProducerBuilder {
        ProducerBuilder::new(bootstrap.as_ref())
    }

    pub(crate) fn new(shared: Shared) -> Self {
        Self { shared: Arc::new(shared) }
    }

    /// The settings this producer runs with. Printed, they are listed under Kafka's names, or the builder's where Kafka has none.
    #[must_use]
    pub fn config(&self) -> &ProducerConfig {
        &self.shared.config
    }

    /// Queues `record` and returns the handle to its outcome.
    ///
    /// Waits for memory, at most `max_block`, first come first served; and before that, for 2 ms at most, while the I/O is behind with the record's
    /// partition by more than its share of 4 MiB (but at least 256 KiB and four batches): what is queued beyond what the processor's caches hold
    /// makes every record cost more. Where the I/O is not back in that time, because the network or a broker is slow, nobody waits for it
    /// any more until eight times as much has been sent, and the whole `buffer_memory` is filled. [`try_enqueue`](Self::try_enqueue) does not
    /// wait, and [`send`](Self::send) waits for memory alone.
    ///
    /// # Errors
    ///
    /// The record was not taken; nothing else is affected.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is done, the record is not queued and no memory is held.
    pub async fn enqueue<'a>(&self, record: impl Into<Record<'a>>) -> Result<Delivery, EnqueueError> {
        match self.shared.enter(record.into(), Urgency::Linger, Pace::Sender) {
            Ok(delivery) => Ok(delivery),
            Err((refused, record)) => self.append_after(Some(refused), &record, Urgency::Linger).await,
        }
    }

    /// Queues `record` if there is room for it now.
    ///
    /// # Errors
    ///
    /// Hands the record back with the reason.
    #[expect(clippy::result_large_err, reason = "the record comes back as it was given, without an allocation")]
    #[inline(always)]
    pub fn try_enqueue<'a>(&self, record: impl Into<Record<'a>>) -> Result<Delivery, Rejected<'a>> {
        match self.shared.enter(record.into(), Urgency::Linger, Pace::Any) {
            Ok(delivery) => Ok(delivery),
            Err((refused, record)) => Err(self.reject(refused, record)),
        }
    }

    #[cold]
    #[inline(never)]
    fn reject<'a>(&self, refused: Refused, record: Record<'a>) -> Rejected<'a> {
        let error = self.shared.explain(refused, &record, Duration::ZERO);
        Rejected { record, error }
    }

    /// Queues `record` with a token of the caller's instead of a handle. The builder's
    /// [`delivery_handler`](ProducerBuilder::delivery_handler) hears of it, once per batch; without one its failure is
    /// unobserved.
    ///
    /// # Errors
    ///
    /// The record was not taken, and the handler will not hear of it.
    ///
    /// # Cancel safety
    ///
    /// As [`enqueue`](Self::enqueue).
    pub async fn enqueue_with<'a>(&self, record: impl Into<Record<'a>>, token: u64) -> Result<(), EnqueueError> {
        match self.shared.enter_with_token(record.into(), Pace::Sender, token) {
            Ok(()) => Ok(()),
            Err((refused, record)) => self.append_with_token_after(Some(refused), &record, token).await,
        }
    }

    /// Queues `record`, cuts the linger of its partition short, and waits for its outcome.
    ///
    /// # Errors
    ///
    /// It was not taken, or it was taken and failed; the error's `fate` says whether it may be on the log.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is done, the record may be queued or not. A queued record is still delivered.
    pub async fn send<'a>(&self, record: impl Into<Record<'a>>) -> Result<Receipt, SendError> {
        let delivery = match self.shared.enter(record.into(), Urgency::Now, Pace::Any) {
            Ok(delivery) => delivery,
            Err((refused, record)) => self.append_after(Some(refused), &record, Urgency::Now).await?,
        };
        Ok(delivery.await?)
    }

    /// Queues all of `records` in order, cuts linger short, and waits for every outcome. The outcomes are in the order of
    /// the records.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is done, some records are queued, from the front. They are still delivered, and those that fail
    /// are unobserved.
    pub async fn send_all<'a, I>(&self, records: I) -> Vec<Result<Receipt, SendError>>
    where
        I: IntoIterator,
        I::Item: Into<Record<'a>>,
    {
        let mut deliveries: Vec<Result<Delivery, EnqueueError>> = Vec::new();
        for record in records {
            deliveries.push(match self.shared.enter(record.into(), Urgency::Linger, Pace::Sender) {
                Ok(delivery) => Ok(delivery),
                Err((refused, record)) => self.append_after(Some(refused), &record, Urgency::Linger).await,
            });
        }
        for delivery in deliveries.iter().flatten() {
            self.shared.accumulator.hurry(delivery);
        }
        for delivery in deliveries.iter_mut().flatten() {
            delivery.settled().await;
        }
        // Heard in one go: if this is dropped before, no failure counts as heard that nobody was told of.
        let mut outcomes = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            outcomes.push(match delivery {
                Ok(delivery) => delivery.await.map_err(SendError::from),
                Err(error) => Err(error.into()),
            });
        }
        outcomes
    }

    /// Waits until every record queued before the call has its outcome, and the delivery handler has heard of it, and what
    /// failed of them is a dead letter if there is a [`FailurePolicy`](crate::FailurePolicy). Linger is cut short; a retry's backoff is not. A handler whose call takes longer than a second is not waited for, and neither is
    /// one that calls this itself.
    ///
    /// # Errors
    ///
    /// - [`FlushError::Unobserved`] if records failed, since the last such report to any clone, whose [`Delivery`] had been
    ///   dropped. Everything is settled then as well.
    /// - [`FlushError::Closed`] if the producer is closed. Everything is settled by its close.
    ///
    /// # Cancel safety
    ///
    /// Safe: dropping it stops the waiting alone.
    pub async fn flush(&self) -> Result<(), FlushError> {
        self.shared.commands.run(Command::Flush).await.ok_or(FlushError::Closed)?;
        if let Some(spooler) = self.shared.watch.spooler() {
            spooler.flush().await;
        }
        if let Some(letters) = self.shared.watch.letters() {
            letters.flush().await;
        }
        self.shared.watch.told().await;
        self.shared.watch.take_unobserved().map_or(Ok(()), |failures| Err(FlushError::Unobserved(failures)))
    }

    /// Gives up queued records, records in flight, or both, and returns how many. Queued ones that were never sent fail as
    /// not written; those in flight as maybe written. The partitions' sequences stay intact.
    ///
    /// # Errors
    ///
    /// [`FlushError::Closed`] if the producer is closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping it after the first poll does not take the purge back.
    pub async fn purge(&self, what: Purge) -> Result<u64, FlushError> {
        let Purge { queued, in_flight } = what;
        match self.shared.commands.run(Command::Purge { queued, in_flight }).await {
            Some(CommandResult::Purged { records }) => Ok(records),
            _ => Err(FlushError::Closed),
        }
    }

    /// Takes no more records, delivers what is queued, and ends the producer. What is undelivered after `timeout` is
    /// settled with the truth about its fate. Every clone may call it; each call waits for the end, and the earliest
    /// deadline counts for all. Dead letters have until then, too, and a second at least. The delivery handler has heard of everything then, unless a call of it takes longer than a
    /// second or it needs more than a second beyond `timeout`.
    ///
    /// # Errors
    ///
    /// [`CloseError`] if records were given up at the deadline, had failed unobserved, if dead letters were lost, or if the producer's I/O had ended
    /// before. The producer is closed then, too.
    ///
    /// # Cancel safety
    ///
    /// Dropping it after the first poll does not take the closing back.
    pub async fn close(&self, timeout: Duration) -> Result<(), CloseError> {
        let deadline = self.shared.clock.now() + timeout;
        self.shared.closed.store(true, Ordering::Relaxed);
        let letters = self.shared.watch.letters().map(Letters::closing);
        // Here and not only by the driver: nothing is taken from now on, and nobody waits for memory any longer.
        self.shared.accumulator.close();
        let mut cut_off = match self.shared.commands.run(Command::Close { deadline }).await {
            Some(CommandResult::Closed { cut_off, .. }) => cut_off,
            // Already closed, by whoever came before.
            _ => self.shared.commands.cut_off(),
        };
        let cut_short = self.shared.commands.end().await == Ending::CutShort;
        let left = || deadline.since(self.shared.clock.now()).max(LAST_WORDS);
        if let Some(spooler) = self.shared.watch.spooler() {
            cut_off += spooler.finish(left()).await;
        }
        let dead_letters_lost = match letters {
            Some(letters) => letters.finish(left()).await,
            None => 0,
        };
        timeout::within(left(), self.shared.watch.told()).await;
        let unobserved = self.shared.watch.take_unobserved();
        if cut_off == 0 && unobserved.is_none() && !cut_short && dead_letters_lost == 0 {
            return Ok(());
        }
        Err(CloseError { cut_off, cut_short, unobserved, dead_letters_lost })
    }

    /// Waits until the cluster has answered. [`builder`](Self::builder) needs no broker; this tells whether there is one.
    ///
    /// # Errors
    ///
    /// [`NotReady`] with the last cause (address refused, name not found, not a Kafka port, …) if `timeout` passes first.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn wait_ready(&self, timeout: Duration) -> Result<(), NotReady> {
        let deadline = self.shared.clock.now() + timeout;
        match self.shared.commands.run(Command::WaitReady { deadline }).await {
            Some(CommandResult::Ready(result)) => result.map_err(NotReady::from_sender),
            _ => Err(NotReady::closed()),
        }
    }

    /// The partitions of `topic`, asked of the cluster if they are not known.
    ///
    /// # Errors
    ///
    /// [`NotReady`] if the topic is not known within `timeout`.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn partitions_for(&self, topic: &str, timeout: Duration) -> Result<TopicPartitions, NotReady> {
        let deadline = self.shared.clock.now() + timeout;
        match self.shared.commands.run(Command::PartitionsFor { topic: topic.into(), deadline }).await {
            Some(CommandResult::Partitions(result)) => result.map_err(NotReady::from_sender),
            _ => Err(NotReady::closed()),
        }
    }

    /// Learns of `topics` and connects to their leaders ahead of the first record.
    ///
    /// # Errors
    ///
    /// [`NotReady`] if one of them is not known within `timeout`.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn prepare(&self, topics: &[&str], timeout: Duration) -> Result<(), NotReady> {
        let deadline = self.shared.clock.now() + timeout;
        let names = topics.iter().map(|name| (*name).into()).collect();
        match self.shared.commands.run(Command::Prepare { topics: names, deadline }).await {
            Some(CommandResult::Prepared(result)) => result.map_err(NotReady::from_sender),
            _ => Err(NotReady::closed()),
        }
    }

    /// Counters and histograms as they stand.
    #[must_use]
    pub fn metrics(&self) -> MetricsSnapshot {
        self.shared.metrics.snapshot()
    }

    /// How the producer, the cluster and each broker are, since when, and what went wrong last. Cheap, and never in the way
    /// of a record: it reads what was last noted, and asks nobody.
    #[must_use]
    pub fn health(&self) -> Health {
        let state = match (self.shared.metrics.fatal(), self.shared.commands.ending()) {
            (Some(code), _) => ProducerState::Fatal { code },
            (None, Ending::CutShort) => ProducerState::CutShort,
            (None, Ending::Closed) => ProducerState::Closed,
            (None, Ending::NotYet) if self.shared.closed.load(Ordering::Relaxed) => ProducerState::Closed,
            (None, Ending::NotYet) => ProducerState::Running,
        };
        let spool = self.shared.watch.spooler().map(|spooler| spooler.health());
        Health { spool, ..Health::new(self.shared.clock, state, &self.shared.health.read()) }
    }

    /// Queues a record that was `refused` at first, once what it has to wait for is there; none if it has waited already.
    pub(crate) async fn append_after(
        &self,
        mut refused: Option<Refused>,
        record: &Record<'_>,
        urgency: Urgency,
    ) -> Result<Delivery, EnqueueError> {
        let mut since = None;
        loop {
            let memory = self.wait_for_what(refused, record, &mut since).await?;
            match self.shared.append(record, urgency, memory) {
                Ok(delivery) => return Ok(delivery),
                Err(again) => refused = Some(again),
            }
        }
    }

    /// As [`append_after`](Self::append_after).
    pub(crate) async fn append_with_token_after(
        &self,
        mut refused: Option<Refused>,
        record: &Record<'_>,
        token: u64,
    ) -> Result<(), EnqueueError> {
        let mut since = None;
        loop {
            let memory = self.wait_for_what(refused, record, &mut since).await?;
            match self.shared.append_with_token(record, token, memory) {
                Ok(()) => return Ok(()),
                Err(again) => refused = Some(again),
            }
        }
    }

    /// Waits for what a record was `refused` for, if that passes: for the I/O thread, or for the memory that it returns.
    async fn wait_for_what(
        &self,
        refused: Option<Refused>,
        record: &Record<'_>,
        since: &mut Option<Instant>,
    ) -> Result<Option<Reservation>, EnqueueError> {
        let Some(refused) = refused else { return Ok(None) };
        match self.shared.behind(&refused, record) {
            Some(behind) => {
                self.shared.catch_up(behind).await;
                Ok(None)
            }
            None => self.wait_for_memory(refused, record, since).await.map(Some),
        }
    }

    /// Queues for memory, if that is what `refused` asks for: in all for `max_block` since the record had to wait first.
    async fn wait_for_memory(
        &self,
        refused: Refused,
        record: &Record<'_>,
        since: &mut Option<Instant>,
    ) -> Result<Reservation, EnqueueError> {
        let Refused::Memory { bytes } = refused else {
            return Err(self.shared.explain(refused, record, Duration::ZERO));
        };
        let started = *since.get_or_insert_with(Instant::now);
        let max_block = self.shared.config.max_block;
        let mut reserve = pin!(self.shared.accumulator.reserve(bytes));
        let mut place: Option<Place<'_>> = None;
        let reserved = poll_fn(|context| {
            if let Poll::Ready(reserved) = reserve.as_mut().poll(context) {
                return Poll::Ready(Some(reserved));
            }
            if started.elapsed() >= max_block {
                return Poll::Ready(None);
            }
            // Should the runtime that counts the time end, so does the driver, whose end ends the waiting.
            match (&place, started.checked_add(max_block)) {
                (Some(place), _) => place.renew(context.waker()),
                (None, Some(deadline)) => place = Some(self.shared.patience.wait(deadline, context.waker())),
                (None, None) => {}
            }
            Poll::Pending
        })
        .await;
        match reserved {
            Some(Ok(reservation)) => Ok(reservation),
            Some(Err(_)) => Err(self.shared.closed_because()),
            None => Err(self.shared.explain(refused, record, started.elapsed())),
        }
    }
}

impl Producer {
    /// Takes no more records and gives up what is queued, without waiting for it.
    pub(crate) fn close_unattended(&self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        self.shared.accumulator.close();
        self.shared.commands.close_unattended(self.shared.clock.now());
    }
}

impl Shared {
    /// Appends `record`, or gives it back.
    #[expect(clippy::result_large_err, reason = "inlined: the record is put together only where it is refused")]
    #[inline(always)]
    pub(crate) fn enter<'a>(
        &self,
        record: Record<'a>,
        urgency: Urgency,
        pace: Pace,
    ) -> Result<Delivery, (Refused, Record<'a>)> {
        let view = match record.into_view() {
            Ok(view) => view,
            Err(record) => return self.enter_owned(record, urgency, pace),
        };
        match self.accumulator.append_at_pace(self.clock, &view, urgency, pace) {
            Ok(delivery) => Ok(delivery),
            Err(refused) => Err((refused, Record::of(view))),
        }
    }

    #[expect(clippy::result_large_err, reason = "nothing else than what was given")]
    #[inline(never)]
    fn enter_owned<'a>(
        &self,
        record: Record<'a>,
        urgency: Urgency,
        pace: Pace,
    ) -> Result<Delivery, (Refused, Record<'a>)> {
        match record.with_ref(|view| self.accumulator.append_at_pace(self.clock, view, urgency, pace)) {
            Ok(delivery) => Ok(delivery),
            Err(refused) => Err((refused, record)),
        }
    }

    /// As [`enter`](Self::enter).
    #[expect(clippy::result_large_err, reason = "inlined: the record is put together only where it is refused")]
    #[inline(always)]
    pub(crate) fn enter_with_token<'a>(
        &self,
        record: Record<'a>,
        pace: Pace,
        token: u64,
    ) -> Result<(), (Refused, Record<'a>)> {
        let view = match record.into_view() {
            Ok(view) => view,
            Err(record) => return self.enter_owned_with_token(record, pace, token),
        };
        match self.accumulator.append_with_token_at_pace(self.clock, &view, Urgency::Linger, pace, token) {
            Ok(()) => Ok(()),
            Err(refused) => Err((refused, Record::of(view))),
        }
    }

    #[expect(clippy::result_large_err, reason = "nothing else than what was given")]
    #[inline(never)]
    fn enter_owned_with_token<'a>(
        &self,
        record: Record<'a>,
        pace: Pace,
        token: u64,
    ) -> Result<(), (Refused, Record<'a>)> {
        let clock = self.clock;
        match record
            .with_ref(|view| self.accumulator.append_with_token_at_pace(clock, view, Urgency::Linger, pace, token))
        {
            Ok(()) => Ok(()),
            Err(refused) => Err((refused, record)),
        }
    }

    fn append(&self, record: &Record<'_>, urgency: Urgency, memory: Option<Reservation>) -> Result<Delivery, Refused> {
        record.with_ref(|view| self.accumulator.append(self.clock, view, urgency, memory))
    }

    pub(crate) fn append_with_token(
        &self,
        record: &Record<'_>,
        token: u64,
        memory: Option<Reservation>,
    ) -> Result<(), Refused> {
        record.with_ref(|view| self.accumulator.append_with_token(self.clock, view, Urgency::Linger, memory, token))
    }

    pub(crate) fn explain(&self, refused: Refused, record: &Record<'_>, waited: Duration) -> EnqueueError {
        match refused {
            Refused::Memory { .. } => EnqueueError::BufferFull { waited, limit: self.config.buffer_memory },
            Refused::RecordTooLarge { size, limit } => EnqueueError::RecordTooLarge { size, limit },
            Refused::NoSuchPartition { partition, count } => {
                EnqueueError::NoSuchPartition { topic: record.topic().into(), partition: partition.0, count }
            }
            Refused::InvalidTimestamp { timestamp_ms } => EnqueueError::Timestamp { given: timestamp_ms },
            Refused::Partitioner { message } => EnqueueError::Partitioner { message },
            _ => self.closed_because(),
        }
    }

    fn closed_because(&self) -> EnqueueError {
        self.metrics.fatal().map_or(EnqueueError::Closed, |code| EnqueueError::Fatal { code })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if !self.closed.load(Ordering::Relaxed) {
            let deadline = self.clock.now() + self.config.drop_timeout;
            self.commands.close_unattended(deadline);
        }
    }
}
