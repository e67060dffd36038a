//! krafka.

use std::collections::VecDeque;
use std::time::Duration;

use krafka::auth::{AuthConfig, TlsConfig};
use krafka::producer::{Acks, DeliveryHandle, Producer};
use krafka::{Compression, Kafka, Record};
use peer_common::{Client, Ear, HEADERS, Payload, Schedule, Until, Work, fail};
use tokio::runtime::Runtime;

fn main() {
    peer_common::main::<Krafka>();
}

struct Krafka {
    runtime: Runtime,
    producer: &'static Producer,
    payload: &'static Payload,
    settings: String,
}

impl Krafka {
    fn record(payload: &Payload, work: &Work, number: u64) -> Record {
        let mut record = Record::new(work.topic(number), payload.shared(number));
        if work.keyed {
            record = record.key(Payload::key(number).to_vec());
        }
        if work.headers {
            for (name, value) in HEADERS {
                record = record.header(name, value);
            }
        }
        record
    }
}

async fn acknowledged(handle: DeliveryHandle) {
    drop(handle.await.unwrap_or_else(|error| fail(error)));
}

impl Client for Krafka {
    fn connect(work: &Work) -> Self {
        let runtime = Runtime::new().unwrap_or_else(|error| fail(error));
        let compression = match &*work.codec {
            "none" => Compression::None,
            "gzip" => Compression::Gzip,
            "lz4" => Compression::Lz4,
            "zstd" => Compression::Zstd,
            other => fail(other),
        };
        let producer = runtime.block_on(async {
            let mut kafka = Kafka::builder(&work.bootstrap);
            if let Some(trusted) = &work.tls {
                kafka = kafka.security(AuthConfig::ssl(TlsConfig::new().with_ca_cert(trusted)));
            }
            let kafka = kafka.connect().await.unwrap_or_else(|error| fail(error));
            let mut builder = kafka
                .producer()
                .acks(Acks::All)
                .idempotent(true)
                .compression(compression)
                .linger(Duration::from_millis(work.linger_ms));
            if work.batch > 0 {
                builder = builder.batch_size(work.batch).buffer_memory(work.buffer);
            }
            if work.size > 900_000 {
                builder = builder.max_request_size(work.size + 65_536);
            }
            builder.build().await.unwrap_or_else(|error| fail(error))
        });
        let batch = if work.batch > 0 {
            format!(" batch_size={} buffer_memory={}", work.batch, work.buffer)
        } else {
            String::new()
        };
        let tls = work.tls.as_ref().map_or("", |_| " tls=rustls with ring");
        let settings =
            format!("acks=all idempotent linger={}ms compression={}{batch}{tls}", work.linger_ms, work.codec);
        Self {
            runtime,
            producer: Box::leak(Box::new(producer)),
            payload: Box::leak(Box::new(Payload::new(work))),
            settings,
        }
    }

    fn settings(&self) -> String {
        self.settings.clone()
    }

    fn one_each(&self, work: &Work) {
        self.runtime.block_on(async {
            let mut open = Vec::new();
            for number in 0..work.topics.len() as u64 {
                let record = Self::record(self.payload, work, number);
                open.push(self.producer.enqueue(record).await.unwrap_or_else(|error| fail(error)));
            }
            for handle in open {
                acknowledged(handle).await;
            }
        });
    }

    fn stream(&self, work: &Work, first: u64, until: Until) -> u64 {
        let window = work.window / work.threads as usize;
        self.runtime.block_on(async {
            let mut open: VecDeque<DeliveryHandle> = VecDeque::with_capacity(window);
            let mut records = 0;
            while until.more(records) {
                if open.len() == window {
                    for handle in open.drain(..window / 2) {
                        acknowledged(handle).await;
                    }
                }
                let record = Self::record(self.payload, work, first + records);
                open.push_back(self.producer.enqueue(record).await.unwrap_or_else(|error| fail(error)));
                records += 1;
            }
            for handle in open {
                acknowledged(handle).await;
            }
            records
        })
    }

    fn tasks(&self, work: &Work, until: Until) -> Option<u64> {
        let shared: &'static Work = Box::leak(Box::new(work.clone()));
        let (producer, payload) = (self.producer, self.payload);
        Some(peer_common::tasks(&self.runtime, work, until, |numbers| async move {
            let mut records = 0;
            for number in numbers {
                let record = Self::record(payload, shared, number);
                drop(producer.send(record).await.unwrap_or_else(|error| fail(error)));
                records += 1;
            }
            records
        }))
    }

    fn rate(&self, work: &Work, schedule: Schedule, ear: &'static Ear) -> bool {
        schedule.run(ear, |number| {
            let record = Self::record(self.payload, work, number);
            let handle = self.runtime.block_on(self.producer.enqueue(record)).unwrap_or_else(|error| fail(error));
            self.runtime.spawn(async move {
                acknowledged(handle).await;
                ear.acknowledged(schedule, [number]);
            });
        });
        ear.wait(schedule);
        true
    }
}
