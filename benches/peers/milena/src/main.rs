//! milena.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use milena::tls::{Store, TlsConfig, Trust};
use milena::{BatchReport, Codec, Compression, Delivery, DeliveryHandler, Outcome, Producer, Record};
use peer_common::{Client, Ear, HEADERS, Payload, Schedule, Until, Work, fail};

fn main() {
    peer_common::main::<Milena>();
}

struct Milena {
    producer: Producer,
    payload: Payload,
    listener: Arc<Listener>,
    tls: bool,
}

/// Hears of batches, where records are produced with a token.
#[derive(Default)]
struct Listener {
    delivered: Mutex<u64>,
    more: Condvar,
    rate: Mutex<Option<(Schedule, &'static Ear)>>,
}

impl DeliveryHandler for Listener {
    fn on_batch(&self, report: BatchReport) {
        if let Outcome::Failed(failure) = report.outcome() {
            fail(failure);
        }
        if let Some((schedule, ear)) = *lock(&self.rate) {
            ear.acknowledged(schedule, report.records().map(|record| record.token));
        }
        *lock(&self.delivered) += report.records().len() as u64;
        self.more.notify_all();
    }
}

impl Listener {
    fn wait(&self, delivered: u64) {
        let mut heard = lock(&self.delivered);
        while *heard < delivered {
            heard = self.more.wait(heard).unwrap_or_else(|error| fail(error));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|error| fail(error))
}

impl Milena {
    /// Hands the record of this number to `take`. A program knows what its records look like, so each shape is a call of its own here.
    #[inline(always)]
    fn record<T>(&self, work: &Work, number: u64, take: impl Fn(Record<'_>) -> T) -> T {
        let record = Record::to(work.topic(number));
        let key = Payload::key(number);
        match (work.keyed, work.headers) {
            // A large value is sent from where it lies.
            (false, false) if work.size >= 4096 => take(record.value(self.payload.shared(number))),
            (false, false) => take(record.value(self.payload.of(number))),
            (true, false) => take(record.key(&key).value(self.payload.of(number))),
            (false, true) => take(with_headers(record.value(self.payload.of(number)))),
            (true, true) => take(with_headers(record.key(&key).value(self.payload.of(number)))),
        }
    }
}

fn with_headers(record: Record<'_>) -> Record<'_> {
    HEADERS.into_iter().fold(record, |record, (name, value)| record.header(name, value))
}

impl Client for Milena {
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
        let producer = builder.build().unwrap_or_else(|error| fail(error));
        Self { producer, payload: Payload::new(work), listener, tls: work.tls.is_some() }
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
        let lines = shown.lines().filter(|line| wanted.iter().any(|name| line.trim_start().starts_with(name)));
        lines.map(|line| line.trim().replace(" = ", "=")).collect::<Vec<_>>().join(" ") + tls
    }

    fn one_each(&self, work: &Work) {
        let blocking = self.producer.blocking();
        let records = work.topics.iter().map(|topic| Record::to(topic).value(self.payload.of(0)));
        for sent in blocking.send_all(records) {
            sent.unwrap_or_else(|error| fail(error));
        }
    }

    fn stream(&self, work: &Work, first: u64, until: Until) -> u64 {
        let blocking = self.producer.blocking();
        let window = work.window / work.threads as usize;
        let mut open: VecDeque<Delivery> = VecDeque::with_capacity(window);
        let settle = |delivery: Delivery| drop(delivery.wait().unwrap_or_else(|error| fail(error)));
        let mut records = 0;
        while until.more(records) {
            if open.len() == window {
                open.drain(..window / 2).for_each(settle);
            }
            let delivery = self.record(work, first + records, |record| blocking.enqueue(record));
            open.push_back(delivery.unwrap_or_else(|error| fail(error)));
            records += 1;
        }
        open.drain(..).for_each(settle);
        records
    }

    fn batches(&self, work: &Work, until: Until) -> Option<u64> {
        let before = *lock(&self.listener.delivered);
        let blocking = self.producer.blocking();
        let (mut records, window) = (0, work.window as u64);
        while until.more(records) {
            if records % (window / 2) == 0 && records >= window {
                self.listener.wait(before + records - window / 2);
            }
            let queued = self.record(work, records, |record| blocking.enqueue_with(record, records));
            queued.unwrap_or_else(|error| fail(error));
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
            let queued = self.record(work, number, |record| blocking.enqueue_with(record, number));
            queued.unwrap_or_else(|error| fail(error));
        });
        ear.wait(schedule);
        true
    }
}
