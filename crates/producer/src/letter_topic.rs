//! Dead letters on their way to their topic: a producer of their own, started with the first.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use milena_accumulator::{BatchReport, Failure, FailureKind, Fate, Outcome, PartitionerKind};
use milena_pool::{Connector, Resolver};
use milena_sender::Guarantee;
use parking_lot::Mutex;

use crate::block_on::block_on;
use crate::config::ProducerConfig;
use crate::dead_letter::{DeadLetter, DeadLetterTopic, FailurePolicy, Take};
use crate::error::EnqueueError;
use crate::handler::DeliveryHandler;
use crate::letters::Letters;
use crate::runtime::Io;
use crate::{Producer, ProducerBuilder, Record};

/// The least buffer for dead letters.
const MEMORY: usize = 4 << 20;

/// What the headers of a dead letter may add to its record.
const HEADERS: usize = 64 << 10;

/// What a second producer is made of.
#[derive(Clone)]
pub(crate) struct Kit {
    pub(crate) config: ProducerConfig,
    pub(crate) io: Io,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) resolver: Arc<dyn Resolver>,
}

impl Kit {
    /// The settings for dead letters.
    fn builder(&self) -> ProducerBuilder {
        let mut config = self.config.clone();
        config.client_id += "-letters";
        config.max_record_size += HEADERS;
        config.max_request_size = config.max_request_size.max(config.max_record_size);
        config.buffer_memory = MEMORY.max(2 * config.max_record_size);
        config.partitioner = PartitionerKind::Java;
        if config.guarantee == Guarantee::AtMostOnce {
            config.guarantee = Guarantee::ExactlyOnce;
        }
        // Room comes at the latest when what fills the buffer has expired.
        config.max_block = config.delivery_timeout.saturating_add(Duration::from_secs(60));
        let (connector, resolver) = (Some(Arc::clone(&self.connector)), Arc::clone(&self.resolver));
        ProducerBuilder::again(config, self.io.clone(), connector, resolver)
    }
}

/// Produces dead letters.
pub(crate) struct LetterTopic {
    name: String,
    /// None once no letter will come any more: what it owns may be waited for.
    on_lost: Mutex<Option<Take>>,
    kit: Kit,
    letters: Weak<Letters>,
    producer: Mutex<Option<Producer>>,
    closed: AtomicBool,
}

impl LetterTopic {
    pub(crate) fn new(topic: DeadLetterTopic, kit: Kit, letters: Weak<Letters>) -> Self {
        let DeadLetterTopic { name, on_lost } = topic;
        let (on_lost, producer) = (Mutex::new(on_lost), Mutex::new(None));
        Self { name, on_lost, kit, letters, producer, closed: AtomicBool::new(false) }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn on_lost(&self) -> Option<Take> {
        self.on_lost.lock().clone()
    }

    /// Whether there was ever a letter.
    pub(crate) fn is_started(&self) -> bool {
        self.producer.lock().is_some()
    }

    /// Queues a letter. Waits for room, which comes whatever the cluster does.
    ///
    /// # Errors
    ///
    /// It is lost, and whoever wants to know of lost ones has been told.
    pub(crate) fn keep(&self, letter: DeadLetter) -> Result<(), Arc<Failure>> {
        let record = letter.redirected(&self.name);
        let problem = match self.producer() {
            Ok(producer) => match enqueue(&producer, &record) {
                Ok(()) => return Ok(()),
                Err(error) => (kind_of(&error), error.to_string()),
            },
            Err(problem) => problem,
        };
        let mut failure = Failure::new(problem.0, Fate::NotWritten, self.name.as_str().into(), None);
        failure.message = Some(problem.1);
        let failure = Arc::new(failure);
        if let Some(take) = self.on_lost() {
            tell(&take, DeadLetter { record, failure: Arc::clone(&failure) });
        }
        Err(failure)
    }

    fn producer(&self) -> Result<Producer, (FailureKind, String)> {
        let mut producer = self.producer.lock();
        if self.closed.load(Ordering::Relaxed) {
            return Err((FailureKind::Closed, EnqueueError::Closed.to_string()));
        }
        if let Some(producer) = &*producer {
            return Ok(producer.clone());
        }
        let mut builder = self.kit.builder().delivery_handler(Losses(Weak::clone(&self.letters)));
        if let Some(take) = self.on_lost() {
            builder = builder.on_failure(FailurePolicy::callback(move |letter| take(letter)).only(|_| true));
        }
        let started = builder.start(None).map_err(|error| (FailureKind::RuntimeGone, error.to_string()))?;
        Ok(producer.insert(started).clone())
    }

    /// Waits until every letter so far is delivered or lost.
    pub(crate) fn flush(&self) {
        let producer = self.producer.lock().clone();
        if let Some(producer) = producer {
            // Its errors were told by the handler.
            drop(block_on(producer.flush()));
        }
    }

    /// Delivers what is queued until `deadline`, and takes no more letters.
    pub(crate) fn close(&self, deadline: Instant) {
        self.closed.store(true, Ordering::Relaxed);
        let producer = self.producer.lock().clone();
        if let Some(producer) = producer {
            drop(block_on(producer.close(deadline.saturating_duration_since(Instant::now()))));
        }
    }

    /// Gives up what is queued, from another thread than that of the letters.
    pub(crate) fn cut_short(&self) {
        self.closed.store(true, Ordering::Relaxed);
        if let Some(producer) = &*self.producer.lock() {
            producer.close_unattended();
        }
    }

    /// Delivers what is queued in the background. The last call.
    pub(crate) fn let_go(&self) {
        self.closed.store(true, Ordering::Relaxed);
        drop(self.producer.lock().take());
        let on_lost = self.on_lost.lock().take();
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(on_lost))).is_err() {
            tracing::error!("the callback for lost dead letters panicked while it was dropped");
        }
    }
}

fn enqueue(producer: &Producer, record: &Record<'_>) -> Result<(), EnqueueError> {
    match producer.shared.append_with_token(record, 0, None) {
        Ok(()) => Ok(()),
        Err(refused) => block_on(producer.append_with_token_after(Some(refused), record, 0)),
    }
}

fn kind_of(error: &EnqueueError) -> FailureKind {
    match error {
        EnqueueError::BufferFull { .. } => FailureKind::DeliveryTimeout,
        EnqueueError::Closed => FailureKind::Closed,
        EnqueueError::Fatal { .. } => FailureKind::Fatal,
        EnqueueError::NoSuchPartition { .. } => FailureKind::NoSuchPartition,
        EnqueueError::Partitioner { .. } => FailureKind::Partitioner,
        EnqueueError::RecordTooLarge { .. } => FailureKind::RecordTooLarge,
        EnqueueError::Timestamp { .. } => FailureKind::InvalidRecord,
    }
}

fn tell(take: &Take, letter: DeadLetter) {
    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| take(letter))).is_err() {
        tracing::error!("the callback for lost dead letters panicked");
    }
}

/// Counts dead letters that were queued and not delivered.
struct Losses(Weak<Letters>);

impl DeliveryHandler for Losses {
    fn on_batch(&self, report: BatchReport) {
        let Outcome::Failed(failure) = report.outcome() else { return };
        let records = report.records().len() as u64;
        match self.0.upgrade() {
            Some(letters) => letters.lose(records, failure),
            // The first producer and all that is its are gone; the log is left.
            None => tracing::error!(records, "dead letters are lost: {failure}"),
        }
    }
}

impl fmt::Debug for LetterTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LetterTopic").field("name", &self.name).finish_non_exhaustive()
    }
}
