//! What the handler has yet to hear of, and the threads that tell it: one of its own, and the one that drives the sockets, if it asked for that.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};
use std::{fmt, io};

use milena_accumulator::{BatchReport, Failure, without_waiting};
use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::oneshot;

use crate::handler::{DeliveryHandler, HandlerThread, log_unobserved};

/// How long unobserved failures are gathered before they are told, so that a list of a million handles that is dropped
/// is not a million calls.
const GATHER: Duration = Duration::from_millis(20);

/// So many reports are told of though more are to come.
const ENOUGH: usize = 32;

/// The queue between whoever settles and the handler's thread.
///
/// Reports hold the memory of their batches, so `buffer_memory` bounds them; unobserved failures are one entry per failed
/// batch, however many of its handles were dropped.
pub(crate) struct Notices {
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Default)]
struct State {
    reports: VecDeque<BatchReport>,
    /// Whoever reports will say when that is all for now.
    more: bool,
    /// The handler, if whoever says so is to tell it.
    prompt: Option<Arc<dyn DeliveryHandler>>,
    /// Reports that were taken out to be told.
    taken: u64,
    /// Which of these, counted from one, whoever reports is telling now.
    telling: Option<u64>,
    unobserved: VecDeque<(Arc<Failure>, u32)>,
    /// Reports that were taken out while failures waited to be told.
    passed_over: usize,
    /// Whoever waits until everything so far was told, and how many reports that is in all.
    fences: VecDeque<(u64, oneshot::Sender<()>)>,
    /// Calls of the handler that have returned.
    calls: u64,
    /// Nothing new will be told to the handler.
    ended: bool,
    /// The handler's thread is gone, and its handler dropped.
    silent: bool,
    listener: Option<ThreadId>,
}

impl State {
    fn take_report(&mut self) -> Option<BatchReport> {
        let report = self.reports.pop_front()?;
        self.taken += 1;
        self.passed_over += usize::from(!self.unobserved.is_empty());
        Some(report)
    }

    /// Whether a report is left to the handler's own thread.
    fn has_report(&self) -> bool {
        !self.reports.is_empty() && (self.prompt.is_none() || !self.more)
    }

    /// How many fences wait for nothing but what the handler's own thread is to tell next.
    fn open_fences(&self) -> usize {
        let told = self.telling.map_or(self.taken, |telling| telling - 1);
        self.fences.iter().take_while(|(before, _)| *before <= told).count()
    }

    /// What must not wait for the reports that are there.
    fn overdue(&mut self) -> Option<Notice> {
        let open = self.open_fences();
        if open == 0 && self.passed_over < ENOUGH {
            return None;
        }
        self.passed_over = 0;
        let fences = self.fences.drain(..open).map(|(_, fence)| fence).collect();
        Some(Notice { report: None, unobserved: std::mem::take(&mut self.unobserved), fences })
    }

    /// Whether a report that has come is worth waking the thread for.
    fn is_worth_waking(&self) -> bool {
        !self.more || (self.prompt.is_none() && self.reports.len() >= ENOUGH)
    }
}

impl Notices {
    /// Starts the handler's thread.
    pub(crate) fn start(name: &str, handler: Arc<dyn DeliveryHandler>) -> io::Result<Arc<Self>> {
        let prompt = (handler.thread() == HandlerThread::Io).then(|| Arc::clone(&handler));
        let state = Mutex::new(State { prompt, ..State::default() });
        let notices = Arc::new(Self { state, news: Condvar::new() });
        let listening = Arc::clone(&notices);
        thread::Builder::new().name(format!("{name}-handler")).spawn(move || listening.listen(handler))?;
        Ok(notices)
    }

    pub(crate) fn report(&self, report: BatchReport) {
        let mut state = self.state.lock();
        if !state.silent {
            state.reports.push_back(report);
            let wake = state.is_worth_waking();
            drop(state);
            if wake {
                self.news.notify_one();
            }
        }
    }

    /// Lets the handler's thread sleep until [`all_for_now`](Self::all_for_now), which has to follow soon: an answer of a broker settles many
    /// batches, and to wake a thread takes longer than to settle one.
    pub(crate) fn more_to_come(&self) {
        self.state.lock().more = true;
    }

    pub(crate) fn all_for_now(&self) {
        let mut state = self.state.lock();
        if !state.reports.is_empty()
            && let Some(handler) = state.prompt.clone()
        {
            self.tell_here(&mut state, &*handler);
        }
        state.more = false;
        if !state.reports.is_empty() || !state.fences.is_empty() {
            drop(state);
            self.news.notify_one();
        }
    }

    /// Tells of all reports on this thread, which is the one that delivers.
    fn tell_here(&self, state: &mut MutexGuard<'_, State>, handler: &dyn DeliveryHandler) {
        while let Some(report) = state.take_report() {
            state.telling = Some(state.taken);
            MutexGuard::unlocked(state, || self.call(|| without_waiting(|| handler.on_batch(report))));
        }
        state.telling = None;
    }

    /// Once the thread is gone the log alone is left to tell.
    pub(crate) fn unobserved(&self, failure: &Arc<Failure>, records: u32) {
        let mut state = self.state.lock();
        if state.silent {
            drop(state);
            return log_unobserved(failure, records);
        }
        match state.unobserved.back_mut() {
            Some((last, count)) if Arc::ptr_eq(last, failure) => *count = count.saturating_add(records),
            _ => state.unobserved.push_back((Arc::clone(failure), records)),
        }
        drop(state);
        self.news.notify_one();
    }

    /// Ready when the handler has heard of everything so far: at once for the handler itself, which would wait for its own end.
    pub(crate) fn fence(&self) -> oneshot::Receiver<()> {
        let (told, waiting) = oneshot::channel();
        let mut state = self.state.lock();
        if !state.silent && state.listener != Some(thread::current().id()) {
            let before = state.taken + state.reports.len() as u64;
            state.fences.push_back((before, told));
            drop(state);
            self.news.notify_one();
        }
        waiting
    }

    /// How often the handler was called and returned.
    pub(crate) fn calls(&self) -> u64 {
        self.state.lock().calls
    }

    /// The producer has ended: what is queued is told, then the handler is dropped and its thread ends.
    pub(crate) fn end(&self) {
        self.state.lock().ended = true;
        self.news.notify_one();
    }

    fn listen(&self, handler: Arc<dyn DeliveryHandler>) {
        self.state.lock().listener = Some(thread::current().id());
        while let Some(mut notice) = self.next() {
            if let Some(report) = notice.report.take() {
                self.call(|| handler.on_batch(report));
            }
            while let Some((failure, records)) = notice.unobserved.pop_front() {
                self.call(|| handler.on_unobserved(&failure, records));
            }
            // Who waits for a fence finds the memory of the reports before it given back.
            for fence in notice.fences {
                // Who waited may have given up.
                let _ = fence.send(());
            }
        }
        let prompt = self.state.lock().prompt.take();
        // A handler may own the other end of what somebody waits for.
        if catch_unwind(AssertUnwindSafe(|| drop((handler, prompt)))).is_err() {
            tracing::error!("a delivery handler panicked while it was dropped");
        }
    }

    fn call(&self, call: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(call)).is_err() {
            tracing::error!("a delivery handler panicked; the records it was told of keep their outcome");
        }
        self.state.lock().calls += 1;
    }

    /// The next thing to tell; `None` once the producer has ended and everything is told.
    fn next(&self) -> Option<Notice> {
        let mut state = self.state.lock();
        loop {
            // Reports may come without end: neither a fence nor a failure waits for one that came later, or not for long.
            if let Some(notice) = state.overdue() {
                return Some(notice);
            }
            if state.has_report() {
                return Some(Notice { report: state.take_report(), ..Notice::default() });
            }
            if !state.unobserved.is_empty() {
                if !state.ended {
                    self.gather(&mut state);
                }
                if !state.has_report() && state.open_fences() == 0 {
                    return Some(Notice { unobserved: std::mem::take(&mut state.unobserved), ..Notice::default() });
                }
                continue;
            }
            if state.ended {
                state.silent = true;
                return None;
            }
            self.news.wait(&mut state);
        }
    }

    /// Waits for more unobserved failures, unless something else comes that cannot wait. They may come without end.
    fn gather(&self, state: &mut MutexGuard<'_, State>) {
        let until = Instant::now() + GATHER;
        while !state.has_report() && state.open_fences() == 0 && !state.ended && Instant::now() < until {
            self.news.wait_until(state, until);
        }
    }
}

/// What the handler is told in one go.
#[derive(Default)]
struct Notice {
    report: Option<BatchReport>,
    unobserved: VecDeque<(Arc<Failure>, u32)>,
    /// Everything before these was told.
    fences: Vec<oneshot::Sender<()>>,
}

impl fmt::Debug for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notices").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use milena_accumulator::{Accumulator, AccumulatorConfig, At, FailureKind, Fate, Hooks, RecordRef, Urgency};
    use milena_wire::{RecordParts, Timestamp, TopicName};

    use super::*;
    use crate::block_on::block_on;
    use crate::handler::LogOnly;

    /// Longer than anything here takes.
    const LONG: Duration = Duration::from_secs(30);

    struct Recorder(Mutex<Sender<u32>>, HandlerThread);

    impl DeliveryHandler for Recorder {
        fn thread(&self) -> HandlerThread {
            self.1
        }

        fn on_batch(&self, report: BatchReport) {
            self.0.lock().send(u32::try_from(report.records().len()).unwrap()).unwrap();
        }

        fn on_unobserved(&self, _: &Arc<Failure>, records: u32) {
            self.0.lock().send(records).unwrap();
            assert!(records != 13, "a handler that panics");
        }
    }

    fn rig() -> (Arc<Notices>, Receiver<u32>) {
        rig_on(HandlerThread::Own)
    }

    fn rig_on(thread: HandlerThread) -> (Arc<Notices>, Receiver<u32>) {
        let (tx, rx) = channel();
        (Notices::start("test", Arc::new(Recorder(Mutex::new(tx), thread))).unwrap(), rx)
    }

    fn failure() -> Arc<Failure> {
        Arc::new(Failure::new(FailureKind::Purged, Fate::NotWritten, TopicName::new("t"), None))
    }

    #[derive(Default)]
    struct Reports(Mutex<Vec<BatchReport>>);

    impl Hooks for Reports {
        fn wake(&self) {}

        fn report(&self, report: BatchReport) {
            self.0.lock().push(report);
        }

        fn unobserved(&self, _: &Arc<Failure>, _: u32) {}
    }

    /// The report of a batch of one record.
    fn report() -> BatchReport {
        let reports = Arc::new(Reports::default());
        let accumulator = Accumulator::new(AccumulatorConfig::default(), 1, Arc::clone(&reports) as _);
        let topic = TopicName::new("t");
        let parts = RecordParts { value: Some(b"v"), ..RecordParts::default() };
        let record = RecordRef { topic: topic.as_str(), partition: None, parts, timestamp_ms: Some(0), shared: None };
        let at = At { now: Timestamp::ZERO, wall_ms: 0 };
        accumulator.append_with_token(at, &record, Urgency::Linger, None, 7).unwrap();
        let failure = Failure::new(FailureKind::Purged, Fate::NotWritten, topic.clone(), None);
        assert_eq!(accumulator.fail_waiting(&topic, failure), 1);
        reports.0.lock().pop().unwrap()
    }

    /// Each call lasts until it is told to go on.
    struct Slow(Mutex<Sender<u32>>, Mutex<Receiver<()>>);

    impl DeliveryHandler for Slow {
        fn on_batch(&self, _: BatchReport) {}

        fn on_unobserved(&self, _: &Arc<Failure>, records: u32) {
            self.0.lock().send(records).unwrap();
            self.1.lock().recv().unwrap();
            assert!(records != 13, "a handler that panics");
        }
    }

    #[test]
    fn failures_told_together_are_calls_of_their_own_that_may_each_take_long_or_panic() {
        let ((tx, heard), (go, stop)) = (channel(), channel());
        let notices = Notices::start("test", Arc::new(Slow(Mutex::new(tx), Mutex::new(stop)))).unwrap();
        notices.unobserved(&failure(), 1);
        assert_eq!(heard.recv_timeout(LONG), Ok(1));
        for records in [13, 2] {
            notices.unobserved(&failure(), records);
        }
        for (returned, records) in [(1, 13), (2, 2)] {
            go.send(()).unwrap();
            assert_eq!(heard.recv_timeout(LONG), Ok(records));
            assert_eq!(notices.calls(), returned);
        }
        go.send(()).unwrap();
        block_on(notices.fence()).unwrap();
        assert_eq!(notices.calls(), 3);
    }

    #[test]
    fn failures_without_end_are_told_all_the_same() {
        let (notices, heard) = rig();
        let failure = failure();
        let heard = std::thread::spawn(move || heard.recv_timeout(LONG));
        while !heard.is_finished() {
            notices.unobserved(&failure, 1);
        }
        assert!(heard.join().unwrap().is_ok());
    }

    #[test]
    fn reports_are_told_when_that_is_all_for_now() {
        let (notices, heard) = rig();
        let report = report();
        for _ in 0..1_000 {
            notices.more_to_come();
            (0..3).for_each(|_| notices.report(report.clone()));
            notices.all_for_now();
            (0..3).for_each(|_| assert_eq!(heard.recv_timeout(LONG), Ok(1)));
            notices.more_to_come();
            notices.report(report.clone());
            block_on(notices.fence()).unwrap();
            assert_eq!(heard.try_recv(), Ok(1), "before whoever waits for that");
        }
    }

    #[test]
    fn reports_without_end_keep_back_neither_a_fence_nor_failures() {
        let (report, failure) = (report(), failure());
        let mut state = State::default();
        state.reports.push_back(report.clone());
        state.unobserved.push_back((failure, 3));
        for told in 1..=ENOUGH {
            assert!(state.overdue().is_none(), "{told}");
            state.take_report().unwrap();
            state.reports.push_back(report.clone());
        }
        let notice = state.overdue().unwrap();
        assert_eq!((notice.unobserved.len(), notice.fences.len()), (1, 0));
        let (fence, _opened) = oneshot::channel();
        let before = state.taken + state.reports.len() as u64;
        state.fences.push_back((before, fence));
        assert!(state.overdue().is_none(), "one is before it");
        state.take_report().unwrap();
        state.reports.push_back(report);
        assert_eq!(state.overdue().unwrap().fences.len(), 1);
    }

    #[test]
    fn many_reports_are_told_though_more_are_to_come() {
        let report = report();
        let mut state = State { more: true, ..State::default() };
        for _ in 1..ENOUGH {
            state.reports.push_back(report.clone());
            assert!(!state.is_worth_waking());
        }
        state.reports.push_back(report);
        assert!(state.is_worth_waking());
        state.prompt = Some(Arc::new(LogOnly));
        assert!(!state.is_worth_waking(), "whoever says that this is all will tell of them");
        assert!(State::default().is_worth_waking(), "a report of which nobody says that more are to come");
    }

    #[test]
    fn whoever_says_that_this_is_all_for_now_tells_it_if_the_handler_asked_for_that() {
        let (notices, heard) = rig_on(HandlerThread::Io);
        let (report, failure) = (report(), failure());
        for _ in 0..1_000 {
            notices.more_to_come();
            (0..ENOUGH * 2).for_each(|_| notices.report(report.clone()));
            notices.unobserved(&failure, 7);
            let mut fence = notices.fence();
            // The other thread, which these two woke, leaves the reports alone, and the fence shut.
            assert!(fence.try_recv().is_err());
            notices.all_for_now();
            let told: Vec<u32> = heard.try_iter().collect();
            assert_eq!(told.iter().filter(|records| **records == 1).count(), ENOUGH * 2, "told when it returns");
            block_on(fence).unwrap();
            assert_eq!(told.into_iter().chain(heard.try_iter()).filter(|records| *records == 7).count(), 1);
        }
    }

    #[test]
    fn what_is_reported_while_nobody_says_that_more_will_come_is_told_by_the_handlers_own_thread() {
        let (notices, heard) = rig_on(HandlerThread::Io);
        notices.report(report());
        assert_eq!(heard.recv_timeout(LONG), Ok(1));
    }

    #[test]
    fn a_fence_waits_for_the_report_that_is_being_told_elsewhere_and_for_none_after_it() {
        let mut state = State { telling: Some(5), taken: 5, ..State::default() };
        let (fence, _opened) = oneshot::channel();
        state.fences.push_back((5, fence));
        assert!(state.overdue().is_none());
        (state.telling, state.taken) = (Some(6), 6);
        assert_eq!(state.overdue().unwrap().fences.len(), 1);
    }

    /// While it is told of a report it asks for a fence, and what becomes of that.
    struct Asking {
        notices: OnceLock<Arc<Notices>>,
        heard: (Mutex<Sender<u32>>, Mutex<Receiver<u32>>),
        fence: Mutex<Option<oneshot::Receiver<()>>>,
    }

    impl DeliveryHandler for Asking {
        fn on_batch(&self, _: BatchReport) {
            let notices = self.notices.wait();
            let mut fence = notices.fence();
            for records in 1..=2 {
                notices.unobserved(&failure(), records);
                // Its own thread told this, and opened before it what was to be opened.
                assert_eq!(self.heard.1.lock().recv_timeout(LONG), Ok(records));
            }
            fence.try_recv().unwrap_err();
            *self.fence.lock() = Some(fence);
        }

        fn on_unobserved(&self, _: &Arc<Failure>, records: u32) {
            self.heard.0.lock().send(records).unwrap();
        }

        fn thread(&self) -> HandlerThread {
            HandlerThread::Io
        }
    }

    #[test]
    fn a_fence_stays_shut_while_a_report_before_it_is_told() {
        let (tx, rx) = channel();
        let heard = (Mutex::new(tx), Mutex::new(rx));
        let asking = Arc::new(Asking { notices: OnceLock::new(), heard, fence: Mutex::default() });
        let notices = Notices::start("test", Arc::clone(&asking) as _).unwrap();
        assert!(asking.notices.set(Arc::clone(&notices)).is_ok());
        notices.more_to_come();
        notices.report(report());
        notices.all_for_now();
        let fence = asking.fence.lock().take().expect("the call went through");
        block_on(fence).unwrap();
    }

    #[test]
    fn a_handler_that_is_called_where_sockets_are_driven_is_dropped_when_all_is_told_as_well() {
        let (notices, heard) = rig_on(HandlerThread::Io);
        notices.report(report());
        notices.all_for_now();
        notices.end();
        assert_eq!(heard.into_iter().collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn a_fence_opens_when_everything_before_it_was_told() {
        let (notices, heard) = rig();
        notices.unobserved(&failure(), 3);
        block_on(notices.fence()).unwrap();
        assert_eq!(heard.try_recv(), Ok(3));
    }

    #[test]
    fn handles_dropped_one_after_the_other_are_told_of_together_and_none_is_lost() {
        let (notices, heard) = rig();
        let failure = failure();
        (0..100_000).for_each(|_| notices.unobserved(&failure, 1));
        block_on(notices.fence()).unwrap();
        let told: Vec<u32> = heard.try_iter().collect();
        assert_eq!(told.iter().sum::<u32>(), 100_000);
        assert!(told.len() < 1_000, "{} calls", told.len());
    }

    #[test]
    fn the_handler_is_dropped_once_the_producer_has_ended_and_all_is_told() {
        let (notices, heard) = rig();
        notices.unobserved(&failure(), 5);
        notices.end();
        // The iteration ends because the handler, which owns the other end, is gone, though `notices` is not.
        assert_eq!(heard.into_iter().collect::<Vec<_>>(), [5]);
        block_on(notices.fence()).unwrap_err();
    }

    #[test]
    fn a_handler_that_panics_hears_of_what_comes_next() {
        let (notices, heard) = rig();
        notices.unobserved(&failure(), 13);
        block_on(notices.fence()).unwrap();
        notices.unobserved(&failure(), 2);
        block_on(notices.fence()).unwrap();
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), [13, 2]);
    }
}
