//! librdkafka, through the rdkafka crate.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use peer_common::{Client, Ear, HEADERS, Payload, Schedule, Until, Work, cannot, fail};
use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, FutureProducer, FutureRecord, Producer, ProducerContext, ThreadedProducer};

fn main() {
    peer_common::main::<Rdkafka>();
}

struct Rdkafka {
    producer: ThreadedProducer<Heard>,
    heard: Arc<State>,
    payload: Payload,
    config: ClientConfig,
    /// Made when tasks are asked for.
    awaited: OnceLock<FutureProducer>,
}

#[derive(Default)]
struct State {
    delivered: AtomicU64,
    rate: OnceLock<()>,
    ear: Mutex<Option<(Schedule, &'static Ear)>>,
}

/// A record's number is its opaque; nothing is allocated for it.
struct Heard(Arc<State>);

impl ClientContext for Heard {}

impl ProducerContext for Heard {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        if let Err((error, _)) = result {
            fail(error);
        }
        if self.0.rate.get().is_some()
            && let Some((schedule, ear)) = *self.0.ear.lock().unwrap_or_else(|error| fail(error))
        {
            ear.acknowledged(schedule, [number as u64]);
        }
        self.0.delivered.fetch_add(1, Ordering::Release);
    }
}

/// Which one does the cryptography.
#[cfg(feature = "tls")]
fn openssl() -> Option<&'static str> {
    Some(openssl::version::version())
}

#[cfg(not(feature = "tls"))]
fn openssl() -> Option<&'static str> {
    None
}

impl Rdkafka {
    fn send(&self, work: &Work, number: u64) {
        let key = Payload::key(number);
        let mut record = BaseRecord::<[u8], [u8], usize>::with_opaque_to(work.topic(number), number as usize)
            .payload(self.payload.of(number));
        if work.keyed {
            record = record.key(&key);
        }
        if work.headers {
            let headers = OwnedHeaders::new_with_capacity(3);
            record = record.headers(
                HEADERS
                    .iter()
                    .fold(headers, |headers, (key, value)| headers.insert(Header { key, value: Some(*value) })),
            );
        }
        while let Err((error, back)) = self.producer.send(record) {
            if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                fail(error);
            }
            std::thread::sleep(Duration::from_micros(100));
            record = back;
        }
    }

    fn wait(&self, delivered: u64) {
        while self.heard.delivered.load(Ordering::Acquire) < delivered {
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}

impl Client for Rdkafka {
    fn connect(work: &Work) -> Self {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &work.bootstrap)
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            .set("compression.codec", &work.codec)
            .set("linger.ms", work.linger_ms.to_string());
        if work.batch > 0 {
            config
                .set("batch.size", work.batch.to_string())
                .set("queue.buffering.max.messages", work.window.to_string())
                .set("queue.buffering.max.kbytes", (work.buffer / 1024).to_string());
        }
        if work.size > 900_000 {
            config.set("message.max.bytes", (work.size + 4096).to_string());
        }
        if let Some(trusted) = &work.tls {
            if openssl().is_none() {
                cannot("this librdkafka was built without OpenSSL");
            }
            config.set("security.protocol", "ssl").set("ssl.ca.location", trusted);
        }
        let heard = Arc::new(State::default());
        let producer = config.create_with_context(Heard(Arc::clone(&heard))).unwrap_or_else(|error| fail(error));
        Self { producer, heard, payload: Payload::new(work), config, awaited: OnceLock::new() }
    }

    fn settings(&self) -> String {
        let places = ["bootstrap.servers", "ssl.ca.location"];
        let settings = self.config.config_map().into_iter().filter(|(name, _)| !places.contains(name));
        let mut shown: Vec<String> = settings.map(|(name, value)| format!("{name}={value}")).collect();
        if self.config.get("security.protocol").is_some() {
            shown.extend(openssl().map(|version| format!("tls={version}")));
        }
        shown.join(" ")
    }

    fn one_each(&self, work: &Work) {
        let before = self.heard.delivered.load(Ordering::Acquire);
        (0..work.topics.len() as u64).for_each(|number| self.send(work, number));
        self.producer.flush(Duration::from_secs(60)).unwrap_or_else(|error| fail(error));
        self.wait(before + work.topics.len() as u64);
    }

    fn stream(&self, work: &Work, first: u64, until: Until) -> u64 {
        let before = self.heard.delivered.load(Ordering::Acquire);
        let mut records = 0;
        while until.more(records) {
            self.send(work, first + records);
            records += 1;
        }
        if work.threads == 1 {
            self.wait(before + records);
        } else {
            // Another thread's records are counted, too.
            self.producer.flush(Duration::from_secs(60)).unwrap_or_else(|error| fail(error));
        }
        records
    }

    fn tasks(&self, work: &Work, until: Until) -> Option<u64> {
        let runtime = tokio::runtime::Runtime::new().unwrap_or_else(|error| fail(error));
        let producer = self.awaited.get_or_init(|| self.config.create().unwrap_or_else(|error| fail(error)));
        let shared: &'static Work = Box::leak(Box::new(work.clone()));
        let payload: &'static Payload = Box::leak(Box::new(Payload::new(work)));
        Some(peer_common::tasks(&runtime, work, until, |numbers| {
            let producer = producer.clone();
            async move {
                let mut records = 0;
                for number in numbers {
                    let record = FutureRecord::<[u8], [u8]>::to(shared.topic(number)).payload(payload.of(number));
                    let sent = producer.send(record, Duration::from_secs(60)).await;
                    sent.unwrap_or_else(|(error, _)| fail(error));
                    records += 1;
                }
                records
            }
        }))
    }

    fn rate(&self, work: &Work, schedule: Schedule, ear: &'static Ear) -> bool {
        *self.heard.ear.lock().unwrap_or_else(|error| fail(error)) = Some((schedule, ear));
        self.heard.rate.get_or_init(|| ());
        schedule.run(ear, |number| self.send(work, number));
        ear.wait(schedule);
        true
    }
}
