//! Compression on threads of its own, so that neither callers nor the I/O thread wait for a codec.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Weak};
use std::thread;

use milena_accumulator::{ENOUGH_BYTES, SealJob};
use milena_sender::{Input, SealTicket};
use parking_lot::Mutex;
use tokio::sync::Notify;

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
    shelf: Arc<Shelf>,
    /// Taken from the shelf, and not asked for yet.
    taken: VecDeque<Input>,
}

impl SealPool {
    /// Starts `threads` workers; none are needed where the sender seals by itself.
    pub(crate) fn start(name: &str, threads: usize) -> io::Result<Self> {
        let shelf = Arc::new(Shelf::default());
        let (jobs, queue) = std::sync::mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        for index in 0..threads {
            let worker = Worker { queue: Arc::clone(&queue), shelf: Arc::downgrade(&shelf) };
            thread::Builder::new().name(format!("{name}-seal-{index}")).spawn(move || worker.run())?;
        }
        Ok(Self { jobs, shelf, taken: VecDeque::new() })
    }

    /// Queues one batch.
    pub(crate) fn seal(&self, ticket: SealTicket, batch: SealJob) {
        // Workers end only when this end is dropped; a batch that never comes back ends at its delivery timeout.
        drop(self.jobs.send((ticket, batch)));
    }

    /// A batch that is sealed by now.
    pub(crate) fn try_next(&mut self) -> Option<Input> {
        if self.taken.is_empty() {
            self.shelf.take(&mut self.taken);
        }
        self.taken.pop_front()
    }

    /// The next sealed batch. Cancel-safe. Pends for ever without threads.
    pub(crate) async fn next(&mut self) -> Input {
        loop {
            if let Some(input) = self.try_next() {
                return input;
            }
            self.shelf.bell.notified().await;
        }
    }
}

/// What is sealed. It can be taken at once; the I/O thread is woken for it once it is enough, before a batch that makes it more than that, and
/// once there is nothing more to do: while answers come in it looks here anyway.
#[derive(Debug, Default)]
struct Shelf {
    sealed: Mutex<Sealed>,
    bell: Notify,
}

#[derive(Debug, Default)]
struct Sealed {
    batches: VecDeque<Input>,
    /// Of what is here, uncompressed.
    bytes: usize,
}

impl Shelf {
    fn put(&self, batch: Input, bytes: usize) {
        let is_enough = {
            let mut sealed = self.sealed.lock();
            let before = sealed.bytes;
            sealed.bytes += bytes;
            sealed.batches.push_back(batch);
            // Once: it is awake from then on, until it has taken everything.
            before < ENOUGH_BYTES && sealed.bytes >= ENOUGH_BYTES
        };
        if is_enough {
            self.bell.notify_one();
        }
    }

    /// Wakes the I/O thread for whatever there is.
    fn ring(&self) {
        if !self.sealed.lock().batches.is_empty() {
            self.bell.notify_one();
        }
    }

    /// Wakes the I/O thread if what there is would be more than enough with so much more: that may be large, and its codec slow.
    fn ring_before(&self, bytes: usize) {
        let before = self.sealed.lock().bytes;
        if (1..ENOUGH_BYTES).contains(&before) && before + bytes > ENOUGH_BYTES {
            self.bell.notify_one();
        }
    }

    fn take(&self, taken: &mut VecDeque<Input>) {
        let mut sealed = self.sealed.lock();
        sealed.bytes = 0;
        std::mem::swap(&mut sealed.batches, taken);
    }
}

/// One of the threads.
struct Worker<J> {
    queue: Arc<Mutex<Receiver<J>>>,
    /// Gone with the producer.
    shelf: Weak<Shelf>,
}

impl<J: Job> Worker<J> {
    fn run(self) {
        while let Some(job) = self.next() {
            self.work(job);
        }
    }

    /// None when there will be no more, or nobody wants what is left. Nobody sleeps over what is sealed while this waits.
    fn next(&self) -> Option<J> {
        let shelf = self.shelf.upgrade()?;
        // Who cannot have the lock would have to wait for one who waits for a job.
        let at_once = self.queue.try_lock().and_then(|queue| queue.try_recv().ok());
        at_once.or_else(|| {
            shelf.ring();
            drop(shelf);
            // The lock is held while waiting: the next job wakes exactly one worker.
            self.queue.lock().recv().ok()
        })
    }

    fn work(&self, job: J) {
        let bytes = job.bytes();
        if let Some(shelf) = self.shelf.upgrade() {
            shelf.ring_before(bytes);
        }
        let sealed = job.seal();
        if let Some(shelf) = self.shelf.upgrade() {
            shelf.put(sealed, bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};
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

    /// A worker, its queue and where it puts what it has sealed.
    fn worker(jobs: impl IntoIterator<Item = usize>) -> (Worker<Of>, Sender<Of>, Arc<Shelf>) {
        let (queue, receiver) = std::sync::mpsc::channel();
        jobs.into_iter().for_each(|bytes| queue.send(Of(bytes)).unwrap());
        let shelf = Arc::new(Shelf::default());
        (Worker { queue: Arc::new(Mutex::new(receiver)), shelf: Arc::downgrade(&shelf) }, queue, shelf)
    }

    fn next_job(worker: &Worker<Of>) {
        worker.work(worker.next().unwrap());
    }

    impl Shelf {
        /// Whether it rang since the last time.
        fn has_rung(&self) -> bool {
            pin!(self.bell.notified()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
        }

        fn len(&self) -> usize {
            self.sealed.lock().batches.len()
        }
    }

    #[test]
    fn what_is_sealed_can_be_had_at_once_and_wakes_the_io_thread_when_there_is_no_more_to_do() {
        let (worker, queue, shelf) = worker([1, 1, 1]);
        for sealed in 1..=3 {
            next_job(&worker);
            assert_eq!((shelf.len(), shelf.has_rung()), (sealed, false), "the I/O thread has its sleep");
        }
        drop(queue);
        assert!(worker.next().is_none());
        assert!(shelf.has_rung(), "before it waits for another");
    }

    #[test]
    fn enough_bytes_wake_the_io_thread_once_until_they_are_taken() {
        let half = ENOUGH_BYTES / 2;
        let (worker, _queue, shelf) = worker([half; 6]);
        let rings = || {
            next_job(&worker);
            shelf.has_rung()
        };
        assert_eq!([rings(), rings(), rings(), rings()], [false, true, false, false]);
        let mut taken = VecDeque::new();
        shelf.take(&mut taken);
        assert_eq!((taken.len(), shelf.len()), (4, 0));
        assert_eq!([rings(), rings()], [false, true]);
    }

    #[test]
    fn who_waits_is_given_what_is_sealed_in_its_order() {
        let mut pool = SealPool::start("none", 0).unwrap();
        let shelf = Arc::clone(&pool.shelf);
        let mut context = Context::from_waker(Waker::noop());
        {
            let mut waiting = pin!(pool.next());
            assert!(waiting.as_mut().poll(&mut context).is_pending());
            shelf.put(Input::Tick, 1);
            shelf.put(Input::Wake, ENOUGH_BYTES);
            assert!(matches!(waiting.as_mut().poll(&mut context), Poll::Ready(Input::Tick)));
        }
        assert!(matches!(pool.try_next(), Some(Input::Wake)));
        assert!(pool.try_next().is_none());
    }

    /// Says whether the I/O thread was woken for what was there before it is sealed.
    struct Large(Option<Arc<Shelf>>);

    impl Job for Large {
        fn bytes(&self) -> usize {
            self.0.as_ref().map_or(10, |_| ENOUGH_BYTES - 5)
        }

        fn seal(self) -> Input {
            if let Some(shelf) = self.0 {
                assert!(shelf.has_rung(), "what was ready has not waited for this");
            }
            Input::Tick
        }
    }

    #[test]
    fn nobody_sleeps_over_what_is_ready_while_a_large_batch_is_sealed() {
        let shelf = Arc::new(Shelf::default());
        let queue = Arc::new(Mutex::new(std::sync::mpsc::channel().1));
        let worker = Worker { queue, shelf: Arc::downgrade(&shelf) };
        worker.work(Large(None));
        assert!(!shelf.has_rung());
        worker.work(Large(Some(Arc::clone(&shelf))));
        assert_eq!(shelf.len(), 2);
    }

    #[test]
    fn what_nobody_wants_any_more_is_not_sealed() {
        let (worker, _queue, shelf) = worker([1, 1]);
        drop(shelf);
        assert!(worker.next().is_none());
    }

    /// One of two workers waits for a job, with the lock; nobody must sleep over what the other has sealed when it waits for that lock.
    #[test]
    fn the_io_thread_is_woken_by_a_worker_that_has_to_wait_for_another_one() {
        let (worker, queue, shelf) = worker([1]);
        next_job(&worker);
        let lock = Arc::clone(&worker.queue);
        let waiting = lock.lock();
        let waits = thread::spawn(move || worker.next().is_none());
        let end = Instant::now() + Duration::from_secs(30);
        let mut has_rung = false;
        while !has_rung && Instant::now() < end {
            thread::yield_now();
            has_rung = shelf.has_rung();
        }
        assert!(has_rung);
        drop((waiting, queue));
        assert!(waits.join().unwrap());
    }
}
