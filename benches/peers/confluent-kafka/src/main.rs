//! confluent-kafka, Confluent's client in Rust.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use confluent_kafka::common::header::{RecordHeader, RecordHeaders};
use confluent_kafka::common::serialization::ByteArraySerializer;
use confluent_kafka::producer::{Callback, KafkaProducer, Producer, ProducerConfig, ProducerRecord, callback};
use peer_common::{Client, Ear, HEADERS, Payload, Schedule, Until, Work, fail};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

fn main() {
    peer_common::main::<Confluent>();
}

type Bytes = KafkaProducer<Vec<u8>, Vec<u8>>;

struct Confluent {
    runtime: Runtime,
    producer: &'static Bytes,
    payload: &'static Payload,
    delivered: Arc<AtomicU64>,
    settings: String,
}

/// Sends without a copy of the value.
async fn send(producer: &Bytes, payload: &Payload, work: &Work, number: u64, callback: Option<Box<dyn Callback>>) {
    let key = Payload::key(number);
    let topic = work.topic(number).to_owned();
    let key = work.keyed.then_some(&key[..]);
    let value = Some(payload.of(number));
    let record = if work.headers {
        let header = |(name, value): (&str, &[u8])| RecordHeader::new(name.to_owned(), Some(value.to_vec()));
        let headers = RecordHeaders::with_header_iter(HEADERS.map(header));
        ProducerRecord::with_partition_key_headers(topic, None, key, value, headers).unwrap_or_else(|error| fail(error))
    } else {
        ProducerRecord::<&[u8], &[u8]>::with_key(topic, key, value)
    };
    drop(producer.send(record, callback).await.unwrap_or_else(|error| fail(error)));
}

impl Client for Confluent {
    fn connect(work: &Work) -> Self {
        let runtime = Runtime::new().unwrap_or_else(|error| fail(error));
        let mut settings = vec![
            ("bootstrap.servers", work.bootstrap.clone()),
            ("acks", "all".to_owned()),
            ("enable.idempotence", "true".to_owned()),
            ("linger.ms", work.linger_ms.to_string()),
            ("compression.type", work.codec.clone()),
        ];
        if work.batch > 0 {
            settings.extend([("batch.size", work.batch.to_string()), ("buffer.memory", work.buffer.to_string())]);
        }
        if work.size > 900_000 {
            settings.push(("max.request.size", (work.size + 65_536).to_string()));
        }
        let mut shown =
            settings[1..].iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ");
        if let Some(trusted) = &work.tls {
            settings.push(("security.protocol", "SSL".to_owned()));
            settings.push(("ssl.truststore.location", trusted.clone()));
            shown += " security.protocol=SSL tls=rustls with aws-lc";
        }
        let map: HashMap<String, String> = settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let entered = runtime.enter();
        let config = ProducerConfig::new(&map).unwrap_or_else(|error| fail(error));
        let producer = KafkaProducer::new(config, ByteArraySerializer::default(), ByteArraySerializer::default())
            .unwrap_or_else(|error| fail(error));
        drop(entered);
        Self {
            runtime,
            producer: Box::leak(Box::new(producer)),
            payload: Box::leak(Box::new(Payload::new(work))),
            delivered: Arc::default(),
            settings: shown,
        }
    }

    fn settings(&self) -> String {
        self.settings.clone()
    }

    fn one_each(&self, work: &Work) {
        let before = self.delivered.load(Ordering::Acquire);
        self.runtime.block_on(async {
            for number in 0..work.topics.len() as u64 {
                send(self.producer, self.payload, work, number, Some(self.counts(None))).await;
            }
            self.producer.flush().await.unwrap_or_else(|error| fail(error));
        });
        self.wait(before + work.topics.len() as u64);
    }

    fn stream(&self, work: &Work, first: u64, until: Until) -> u64 {
        let before = self.delivered.load(Ordering::Acquire);
        let records = self.runtime.block_on(async {
            let room = Arc::new(Semaphore::new(work.window / work.threads as usize));
            let mut records = 0;
            while until.more(records) {
                room.acquire().await.unwrap_or_else(|error| fail(error)).forget();
                send(self.producer, self.payload, work, first + records, Some(self.counts(Some(&room)))).await;
                records += 1;
            }
            self.producer.flush().await.unwrap_or_else(|error| fail(error));
            records
        });
        if work.threads == 1 {
            self.wait(before + records);
        }
        records
    }

    fn tasks(&self, work: &Work, until: Until) -> Option<u64> {
        let shared: &'static Work = Box::leak(Box::new(work.clone()));
        let (producer, payload) = (self.producer, self.payload);
        Some(peer_common::tasks(&self.runtime, work, until, |numbers| async move {
            let mut records = 0;
            for number in numbers {
                let topic = shared.topic(number).to_owned();
                let record = ProducerRecord::<&[u8], &[u8]>::new(topic, Some(payload.of(number)));
                let sent = producer.send(record, None).await.unwrap_or_else(|error| fail(error));
                drop(sent.get().await.unwrap_or_else(|error| fail(error)));
                records += 1;
            }
            records
        }))
    }

    fn rate(&self, work: &Work, schedule: Schedule, ear: &'static Ear) -> bool {
        schedule.run(ear, |number| {
            let heard = Box::new(callback::new(move |_, error| match error {
                Some(error) => fail(error),
                None => ear.acknowledged(schedule, [number]),
            }));
            self.runtime.block_on(send(self.producer, self.payload, work, number, Some(heard)));
        });
        ear.wait(schedule);
        true
    }
}

impl Confluent {
    fn counts(&self, room: Option<&Arc<Semaphore>>) -> Box<dyn Callback> {
        let (delivered, room) = (Arc::clone(&self.delivered), room.cloned());
        Box::new(callback::new(move |_, error| {
            if let Some(error) = error {
                fail(error);
            }
            delivered.fetch_add(1, Ordering::Release);
            if let Some(room) = &room {
                room.add_permits(1);
            }
        }))
    }

    fn wait(&self, delivered: u64) {
        while self.delivered.load(Ordering::Acquire) < delivered {
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}
