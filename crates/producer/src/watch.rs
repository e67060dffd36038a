//! The accumulator's ear: wakes the driver, counts what nobody looked at, passes the rest on to the handler's thread.

use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use milena_accumulator::{BatchReport, Diverted, Failure, Fate, Hooks, Outcome};
use milena_sender::Metrics;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::error::UnobservedFailures;
use crate::handler::{DeliveryHandler, LogOnly};
use crate::letters::Letters;
use crate::notices::Notices;
use crate::spooler::Spooler;
use crate::timeout::within;

/// How long one call of a handler may take before nobody waits for it any longer.
const STUCK: Duration = Duration::from_secs(1);

/// Shared by the accumulator, the driver and every handle of one producer.
#[derive(Debug)]
pub(crate) struct Watch {
    rung: AtomicBool,
    bell: Notify,
    unseen: Mutex<Option<UnobservedFailures>>,
    /// Made after this, by what needs this; nothing fails before. They hold the accumulator, which holds this.
    metrics: OnceLock<Weak<Metrics>>,
    notices: Arc<Notices>,
    /// Nobody but the log hears of deliveries.
    deaf: bool,
    /// Where failed batches go, if there is a policy for them.
    letters: Option<Arc<Letters>>,
    /// Where those go first that time may mend.
    spooler: Option<Arc<Spooler>>,
}

impl Watch {
    /// Starts the handler's thread, which ends after [`end`](Self::end). If it does not start, that of the letters ends.
    pub(crate) fn start(
        name: &str,
        handler: Option<Arc<dyn DeliveryHandler>>,
        letters: Option<Arc<Letters>>,
        spooler: Option<Arc<Spooler>>,
    ) -> io::Result<Arc<Self>> {
        let deaf = handler.is_none();
        let notices = Notices::start(name, handler.unwrap_or_else(|| Arc::new(LogOnly)));
        let notices = notices.inspect_err(|_| letters.iter().for_each(|letters| letters.end()))?;
        Ok(Arc::new(Self {
            rung: AtomicBool::new(false),
            bell: Notify::new(),
            unseen: Mutex::new(None),
            metrics: OnceLock::new(),
            notices,
            deaf,
            letters,
            spooler,
        }))
    }

    /// Counts unobserved failures and dead letters here as well.
    pub(crate) fn count_in(&self, metrics: &Arc<Metrics>) {
        // It is called once; a second time would change nothing.
        let _ = self.metrics.set(Arc::downgrade(metrics));
        if let Some(letters) = &self.letters {
            letters.count_in(metrics);
        }
    }

    /// Takes the unobserved failures since the last call, whichever clone made it.
    pub(crate) fn take_unobserved(&self) -> Option<UnobservedFailures> {
        self.unseen.lock().take()
    }

    /// Whether the accumulator rang since the last call.
    pub(crate) fn take_ring(&self) -> bool {
        self.rung.swap(false, Ordering::AcqRel)
    }

    /// Waits until the accumulator rings. Cancel-safe. Returns now and then although nothing is new.
    pub(crate) async fn ring(&self) {
        self.bell.notified().await;
        self.rung.store(false, Ordering::Release);
    }

    /// Waits until the handler has heard of everything so far, however much that is; but not for a call of it that blocks.
    pub(crate) async fn told(&self) {
        let mut fence = pin!(self.notices.fence());
        loop {
            let calls = self.notices.calls();
            // An error means that there is no handler any more, and nothing left to tell.
            if within(STUCK, async { drop(fence.as_mut().await) }).await {
                return;
            }
            if self.notices.calls() == calls {
                tracing::warn!("the delivery handler is stuck; it has not heard of all outcomes yet");
                return;
            }
        }
    }

    /// What becomes of failed records, if anything does.
    pub(crate) fn letters(&self) -> Option<&Arc<Letters>> {
        self.letters.as_ref()
    }

    /// What keeps records on disk, if anything does.
    pub(crate) fn spooler(&self) -> Option<&Arc<Spooler>> {
        self.spooler.as_ref()
    }

    /// The driver has heard of something, which may settle many batches. Once that is done it [`rest`](Self::rest)s.
    pub(crate) fn work(&self) {
        if !self.deaf {
            self.notices.more_to_come();
        }
    }

    pub(crate) fn rest(&self) {
        if !self.deaf {
            self.notices.all_for_now();
        }
    }

    /// The driver has ended, and every record has its outcome, or is on its way to the spool.
    pub(crate) fn end(&self) {
        self.rest();
        match &self.spooler {
            Some(spooler) if spooler.end() => {}
            _ => self.end_telling(),
        }
    }

    /// Every record has its outcome.
    pub(crate) fn end_telling(&self) {
        self.notices.end();
        if let Some(letters) = &self.letters {
            letters.end();
        }
    }
}

impl Hooks for Watch {
    fn wake(&self) {
        self.rung.store(true, Ordering::Release);
        self.bell.notify_one();
    }

    fn report(&self, report: BatchReport) {
        if !self.deaf {
            return self.notices.report(report);
        }
        // A record with a token and without a handler that could hear of it.
        if let Outcome::Failed(failure) = report.outcome()
            && failure.fate != Fate::Spooled
        {
            self.unobserved(failure, u32::try_from(report.records().len()).unwrap_or(u32::MAX));
        }
    }

    fn unobserved(&self, failure: &Arc<Failure>, records: u32) {
        {
            let mut unseen = self.unseen.lock();
            match &mut *unseen {
                Some(failures) => failures.records += u64::from(records),
                None => *unseen = Some(UnobservedFailures { records: records.into(), first: Arc::clone(failure) }),
            }
        }
        if let Some(metrics) = self.metrics.get().and_then(Weak::upgrade) {
            metrics.unobserved(records.into());
        }
        self.notices.unobserved(failure, records);
    }

    fn divert(&self, batch: Diverted) {
        match &self.spooler {
            Some(spooler) if batch.failure().may_mend() => {
                if let Some(unkept) = spooler.push(batch) {
                    self.fail_unkept(unkept);
                }
            }
            _ => self.fail(batch, None),
        }
    }
}

impl Watch {
    /// A batch failed for good: its callers hear of it, with the truth of `instead` if that knows more.
    pub(crate) fn fail(&self, mut batch: Diverted, instead: Option<Failure>) {
        // Its callers wait neither for a letter nor for whoever reads it.
        let failure = instead.map_or_else(|| Arc::clone(batch.failure()), Arc::new);
        batch.settle(Outcome::Failed(failure));
        if let Some(letters) = &self.letters {
            letters.push(batch);
        }
    }

    /// A batch fails that was meant for the spool, when there is none any more.
    pub(crate) fn fail_unkept(&self, batch: Diverted) {
        if let Some(metrics) = self.metrics.get().and_then(Weak::upgrade) {
            let maybe = batch.failure().fate == Fate::MaybeWritten;
            metrics.not_spooled(batch.topic(), maybe, batch.count().as_usize() as u64, batch.wire_size() as u64);
        }
        self.fail(batch, None);
    }
}
