//! Compression on threads of its own, so that neither callers nor the I/O thread wait for a codec.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::thread;

use milena_accumulator::{ENOUGH_BYTES, SealJob};
use milena_sender::{Input, SealTicket};
use parking_lot::Mutex;
use tokio::sync::mpsc;

/// What is queued for the threads.
trait Job {
    /// Uncompressed.
    fn bytes(&self) -> usize;

    fn seal(self) -> Input;
}

impl Job for (SealTicket, SealJob) {
    fn bytes(&self) -> usize {
        self.1.bytes()
    }

    fn seal(self) -> Input {
        let (ticket, batch) = self;
        Input::Sealed { ticket, batch: batch.seal() }
    }
}

/// A fixed number of threads that seal batches. Order does not matter here: the sender keeps each partition's order by
/// its tickets. The queue is bounded by the memory budget that every batch in it holds.
#[derive(Debug)]
pub(crate) struct SealPool {
    jobs: Sender<(SealTicket, SealJob)>,
    sealed: mpsc::UnboundedReceiver<Input>,
}

impl SealPool {
    /// Starts `threads` workers; none are needed where the sender seals by itself.
    pub(crate) fn start(name: &str, threads: usize) -> io::Result<Self> {
        let (done, sealed) = mpsc::unbounded_channel();
        let (jobs, queue) = std::sync::mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        for index in 0..threads {
            let worker = Worker::new(Arc::clone(&queue), done.clone());
            thread::Builder::new().name(format!("{name}-seal-{index}")).spawn(move || worker.run())?;
        }
        Ok(Self { jobs, sealed })
    }

    /// Queues one batch.
    pub(crate) fn seal(&self, ticket: SealTicket, batch: SealJob) {
        // Workers end only when this end is dropped; a batch that never comes back ends at its delivery timeout.
        drop(self.jobs.send((ticket, batch)));
    }

    /// A batch that is sealed by now.
    pub(crate) fn try_next(&mut self) -> Option<Input> {
        self.sealed.try_recv().ok()
    }

    /// The next sealed batch. Cancel-safe. Pends for ever without threads.
    pub(crate) async fn next(&mut self) -> Input {
        match self.sealed.recv().await {
            Some(input) => input,
            None => std::future::pending().await,
        }
    }
}

/// One of the threads. While there is more to do, what is ready goes back in company: each time it does the I/O thread wakes up for it.
struct Worker<J> {
    queue: Arc<Mutex<Receiver<J>>>,
    done: mpsc::UnboundedSender<Input>,
    ready: Vec<Input>,
    /// Of `ready`, uncompressed.
    bytes: usize,
}

impl<J: Job> Worker<J> {
    fn new(queue: Arc<Mutex<Receiver<J>>>, done: mpsc::UnboundedSender<Input>) -> Self {
        Self { queue, done, ready: Vec::new(), bytes: 0 }
    }

    fn run(mut self) {
        while let Some(job) = self.next() {
            self.work(job);
        }
    }

    /// None when there will be no more, or nobody wants what is left. Nothing is ready while this waits.
    fn next(&mut self) -> Option<J> {
        if self.done.is_closed() {
            return None;
        }
        // Who cannot have the lock would have to wait for one who waits for a job.
        let at_once = self.queue.try_lock().and_then(|queue| queue.try_recv().ok());
        at_once.or_else(|| {
            self.hand_back();
            // The lock is held while waiting: the next job wakes exactly one worker.
            self.queue.lock().recv().ok()
        })
    }

    fn work(&mut self, job: J) {
        // It may be large, and its codec slow.
        if self.bytes + job.bytes() > ENOUGH_BYTES {
            self.hand_back();
        }
        self.bytes += job.bytes();
        self.ready.push(job.seal());
        if self.bytes >= ENOUGH_BYTES {
            self.hand_back();
        }
    }

    fn hand_back(&mut self) {
        self.bytes = 0;
        // Nobody listens any more when the producer has ended.
        self.ready.drain(..).for_each(|input| drop(self.done.send(input)));
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// So many bytes that are sealed at once.
    struct Of(usize);

    impl Job for Of {
        fn bytes(&self) -> usize {
            self.0
        }

        fn seal(self) -> Input {
            Input::Tick
        }
    }

    /// A worker, its queue and what it hands back.
    fn worker(jobs: impl IntoIterator<Item = usize>) -> (Worker<Of>, Sender<Of>, mpsc::UnboundedReceiver<Input>) {
        let (queue, receiver) = std::sync::mpsc::channel();
        let (done, sealed) = mpsc::unbounded_channel();
        jobs.into_iter().for_each(|bytes| queue.send(Of(bytes)).unwrap());
        (Worker::new(Arc::new(Mutex::new(receiver)), done), queue, sealed)
    }

    #[test]
    fn what_is_ready_waits_for_company_only_while_there_is_more_to_do() {
        let (mut worker, queue, sealed) = worker([1, 1, 1]);
        for ready in [0, 0, 0] {
            assert_eq!(sealed.len(), ready, "the I/O thread has its sleep");
            let job = worker.next().unwrap();
            worker.work(job);
        }
        drop(queue);
        assert!(worker.next().is_none());
        assert_eq!(sealed.len(), 3, "before it waits for another");
    }

    #[test]
    fn enough_bytes_are_company_enough() {
        let (mut worker, _queue, sealed) = worker([ENOUGH_BYTES / 2, ENOUGH_BYTES / 2, 1]);
        for ready in [0, 2] {
            let job = worker.next().unwrap();
            worker.work(job);
            assert_eq!(sealed.len(), ready);
        }
    }

    /// Counts how many are back when it is sealed.
    struct Large(Arc<mpsc::UnboundedReceiver<Input>>);

    impl Job for Option<Large> {
        fn bytes(&self) -> usize {
            self.as_ref().map_or(1, |_| ENOUGH_BYTES)
        }

        fn seal(self) -> Input {
            if let Some(Large(sealed)) = self {
                assert_eq!(sealed.len(), 1, "what was ready has not waited for this");
            }
            Input::Tick
        }
    }

    #[test]
    fn nothing_that_is_ready_waits_for_a_large_batch() {
        let (_queue, receiver) = std::sync::mpsc::channel();
        let (done, sealed) = mpsc::unbounded_channel();
        let mut worker = Worker::new(Arc::new(Mutex::new(receiver)), done);
        let sealed = Arc::new(sealed);
        worker.work(None);
        worker.work(Some(Large(Arc::clone(&sealed))));
        assert_eq!(sealed.len(), 2);
    }

    #[test]
    fn what_nobody_wants_any_more_is_not_sealed() {
        let (mut worker, _queue, sealed) = worker([1, 1]);
        drop(sealed);
        assert!(worker.next().is_none());
    }

    /// One of two workers waits for a job, with the lock; the other must not wait for that lock with something in its hands.
    #[test]
    fn nothing_stays_with_a_worker_that_has_to_wait_for_another_one() {
        let (mut worker, queue, sealed) = worker([1]);
        let job = worker.next().unwrap();
        worker.work(job);
        let lock = Arc::clone(&worker.queue);
        let waiting = lock.lock();
        let waits = thread::spawn(move || worker.next().is_none());
        let end = Instant::now() + Duration::from_secs(30);
        while sealed.is_empty() && Instant::now() < end {
            thread::yield_now();
        }
        assert_eq!(sealed.len(), 1);
        drop((waiting, queue));
        assert!(waits.join().unwrap());
    }
}
