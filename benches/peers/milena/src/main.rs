//! milena.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use milena::tls::{Store, TlsConfig, Trust};
use milena::{
    BatchReport, Blocking, Codec, Compression, Delivery, DeliveryHandler, EnqueueError, HandlerThread, Io, Outcome,
    Producer, Record,
};
use peer_common::{Client, Ear, HEADERS, Payload, Schedule, Until, Work, fail};
use tokio::runtime::Runtime;

fn main() {
    peer_common::main::<Milena>();
}

struct Milena {
    producer: Producer,
    payload: Payload,
    listener: Arc<Listener>,
    tls: bool,
    /// Whether a handler hears of records.
    heard: bool,
    /// What the producer's I/O runs on, where it has no thread of its own.
    alone: Option<Runtime>,
}

/// Hears of batches, where records are produced with a token.
#[derive(Default)]
struct Listener {
    delivered: Mutex<Delivered>,
    more: Condvar,
    rate: Mutex<Option<(Schedule, &'static Ear)>>,
}

#[derive(Default)]
struct Delivered {
    records: u64,
    /// What the producing thread waits for.
    awaited: u64,
}

impl DeliveryHandler for Listener {
    fn on_batch(&self, report: BatchReport) {
        if let Outcome::Failed(failure) = report.outcome() {
            fail(failure);
        }
        if let Some((schedule, ear)) = *lock(&self.rate) {
            ear.acknowledged(schedule, report.records().map(|record| record.token));
        }
        let mut delivered = lock(&self.delivered);
        delivered.records += report.records().len() as u64;
        if delivered.records >= delivered.awaited {
            // Once is enough, though more comes before the other thread runs.
            delivered.awaited = u64::MAX;
            self.more.notify_all();
        }
    }

    fn thread(&self) -> HandlerThread {
        // It counts.
        HandlerThread::Io
    }
}

impl Listener {
    fn wait(&self, records: u64) {
        let mut delivered = lock(&self.delivered);
        delivered.awaited = records;
        while delivered.records < records {
            delivered = self.more.wait(delivered).unwrap_or_else(|error| fail(error));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|error| fail(error))
}

impl Milena {
    /// Produces the record of this number. A program knows what its records look like, so each shape is a call of its own here.
    #[inline(always)]
    fn produce<P: Produce>(&self, work: &Work, number: u64, produce: P) -> P::Produced {
        let (topic, payload, key) = (work.topic(number), &self.payload, Payload::key(number));
        let produced = match (work.keyed, work.headers) {
            // A large value is sent from where it lies.
            (false, false) if work.size >= 4096 => produce.produce(Record::to(topic).value(payload.shared(number))),
            (false, false) => produce.produce(Record::to(topic).value(payload.of(number))),
            (true, false) => produce.produce(Record::to(topic).key(&key).value(payload.of(number))),
            (false, true) => produce.produce(with_headers(Record::to(topic).value(payload.of(number)))),
            (true, true) => produce.produce(with_headers(Record::to(topic).key(&key).value(payload.of(number)))),
        };
        produced.unwrap_or_else(|error| fail(error))
    }
}

/// A way to produce a record. Not a closure, which could not be said to be inlined into each of the calls above.
trait Produce: Copy {
    type Produced;

    fn produce(self, record: Record<'_>) -> Result<Self::Produced, EnqueueError>;
}

#[derive(Clone, Copy)]
struct ByHandle<'a>(Blocking<'a>);

impl Produce for ByHandle<'_> {
    type Produced = Delivery;

    #[inline(always)]
    fn produce(self, record: Record<'_>) -> Result<Delivery, EnqueueError> {
        self.0.enqueue(record)
    }
}

#[derive(Clone, Copy)]
struct ByToken<'a>(Blocking<'a>, u64);

impl Produce for ByToken<'_> {
    type Produced = ();

    #[inline(always)]
    fn produce(self, record: Record<'_>) -> Result<(), EnqueueError> {
        self.0.enqueue_with(record, self.1)
    }
}

#[inline(always)]
fn with_headers(record: Record<'_>) -> Record<'_> {
    let [first, second, third] = HEADERS;
    record.header(first.0, first.1).header(second.0, second.1).header(third.0, third.1)
}

impl Milena {
    /// How many records one thread alone produces between two looks at the sockets.
    const TURN: u64 = 500;

    /// As [`stream`](Client::stream), with the sockets driven by this thread, too.
    async fn stream_alone(&self, work: &Work, first: u64, until: Until) -> u64 {
        let mut open: VecDeque<Delivery> = VecDeque::with_capacity(work.window);
        let mut records = 0;
        while until.more(records) {
            if open.len() == work.window {
                for delivery in open.drain(..work.window / 2) {
                    delivery.await.unwrap_or_else(|error| fail(error));
                }
            }
            if records % Self::TURN == 0 {
                tokio::task::yield_now().await;
            }
            let number = first + records;
            let record = Record::to(work.topic(number)).value(self.payload.of(number));
            open.push_back(self.producer.enqueue(record).await.unwrap_or_else(|error| fail(error)));
            records += 1;
        }
        for delivery in open {
            delivery.await.unwrap_or_else(|error| fail(error));
        }
        records
    }
}

impl Client for Milena {
    const ALONE: bool = true;

    fn connect(work: &Work) -> Self {
        let listener = Arc::new(Listener::default());
        let codec: Codec = work.codec.parse().unwrap_or_else(|_| fail("no such codec"));
        let mut builder = Producer::builder(&work.bootstrap)
            .linger(Duration::from_millis(work.linger_ms))
            .compression(Compression::new(codec))
            .delivery_handler(Arc::clone(&listener));
        if work.batch > 0 {
            builder = builder.batch_size(work.batch).buffer_memory(work.buffer);
        }
        if work.size > 1_000_000 {
            builder = builder.max_record_size(work.size + 1024);
        }
        if let Some(trusted) = &work.tls {
            builder = builder.tls(TlsConfig::new().trust(Trust::Stores(vec![Store::file(trusted)])));
        }
        let alone = work.alone.then(|| {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap_or_else(|error| fail(error))
        });
        if let Some(runtime) = &alone {
            builder = builder.io(Io::Runtime(runtime.handle().clone()));
        }
        let producer = builder.build().unwrap_or_else(|error| fail(error));
        let heard = matches!(&*work.mode, "batches" | "rate");
        Self { producer, payload: Payload::new(work), listener, tls: work.tls.is_some(), heard, alone }
    }

    fn settings(&self) -> String {
        let shown = self.producer.config().to_string();
        let wanted = [
            "guarantee",
            "linger.ms",
            "batch.size",
            "buffer.memory",
            "max.in.flight",
            "compression.type",
            "max.request",
        ];
        let tls = self.tls.then_some(" tls=rustls with graviola").unwrap_or_default();
        let heard = self.heard.then_some(" handler called by the I/O thread").unwrap_or_default();
        let lines = shown.lines().filter(|line| wanted.iter().any(|name| line.trim_start().starts_with(name)));
        lines.map(|line| line.trim().replace(" = ", "=")).collect::<Vec<_>>().join(" ") + tls + heard
    }

    fn one_each(&self, work: &Work) {
        let records = work.topics.iter().map(|topic| Record::to(topic).value(self.payload.of(0)));
        let sent = match &self.alone {
            Some(runtime) => runtime.block_on(self.producer.send_all(records)),
            None => self.producer.blocking().send_all(records),
        };
        for sent in sent {
            sent.unwrap_or_else(|error| fail(error));
        }
    }

    fn stream(&self, work: &Work, first: u64, until: Until) -> u64 {
        if let Some(runtime) = &self.alone {
            return runtime.block_on(self.stream_alone(work, first, until));
        }
        let blocking = self.producer.blocking();
        let window = work.window / work.threads as usize;
        let mut open: VecDeque<Delivery> = VecDeque::with_capacity(window);
        let settle = |delivery: Delivery| {
            delivery.wait().unwrap_or_else(|error| fail(error));
        };
        let mut records = 0;
        while until.more(records) {
            if open.len() == window {
                open.drain(..window / 2).for_each(settle);
            }
            open.push_back(self.produce(work, first + records, ByHandle(blocking)));
            records += 1;
        }
        open.drain(..).for_each(settle);
        records
    }

    fn batches(&self, work: &Work, until: Until) -> Option<u64> {
        let before = lock(&self.listener.delivered).records;
        let blocking = self.producer.blocking();
        let (mut records, window) = (0, work.window as u64);
        while until.more(records) {
            if records % (window / 2) == 0 && records >= window {
                self.listener.wait(before + records - window / 2);
            }
            self.produce(work, records, ByToken(blocking, records));
            records += 1;
        }
        self.listener.wait(before + records);
        Some(records)
    }

    fn tasks(&self, work: &Work, until: Until) -> Option<u64> {
        let runtime = tokio::runtime::Runtime::new().unwrap_or_else(|error| fail(error));
        // Tasks of a runtime outlive the caller as far as the compiler knows.
        let shared: &'static Work = Box::leak(Box::new(work.clone()));
        let payload: &'static Payload = Box::leak(Box::new(Payload::new(work)));
        Some(peer_common::tasks(&runtime, work, until, |numbers| {
            let producer = self.producer.clone();
            async move {
                let mut records = 0;
                for number in numbers {
                    let record = Record::to(shared.topic(number)).value(payload.of(number));
                    drop(producer.send(record).await.unwrap_or_else(|error| fail(error)));
                    records += 1;
                }
                records
            }
        }))
    }

    fn rate(&self, work: &Work, schedule: Schedule, ear: &'static Ear) -> bool {
        *lock(&self.listener.rate) = Some((schedule, ear));
        let blocking = self.producer.blocking();
        schedule.run(ear, |number| {
            self.produce(work, number, ByToken(blocking, number));
        });
        ear.wait(schedule);
        true
    }
}
