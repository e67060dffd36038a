//! rskafka: a client per partition, no producer ids, one request at a time and partition.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::Utc;
use peer_common::{Client, Ear, HEADERS, Payload, Schedule, Until, Work, fail};
use rskafka::client::ClientBuilder;
use rskafka::client::partition::{Compression, UnknownTopicHandling};
use rskafka::client::producer::aggregator::RecordAggregator;
use rskafka::client::producer::{BatchProducer, BatchProducerBuilder};
use rskafka::record::Record;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

fn main() {
    peer_common::main::<Rskafka>();
}

type Partition = Arc<BatchProducer<RecordAggregator>>;

struct Rskafka {
    runtime: Runtime,
    /// By topic, then by partition.
    partitions: Vec<Vec<Partition>>,
    payload: &'static Payload,
    settings: String,
}

impl Rskafka {
    fn partition(&self, work: &Work, number: u64) -> Partition {
        let topic = &self.partitions[number as usize % work.topics.len()];
        // It has no partitioner: one partition for as many records as fill a batch, as others do.
        let sticky = (number / (1 + work.batch / (work.size + 10)) as u64) as usize;
        let choice = if work.keyed { Payload::key(number)[7] as usize } else { sticky };
        Arc::clone(&topic[choice % topic.len()])
    }
}

fn record(payload: &Payload, work: &Work, number: u64) -> Record {
    let headers = if work.headers {
        HEADERS.iter().map(|(k, v)| ((*k).to_owned(), v.to_vec())).collect()
    } else {
        BTreeMap::new()
    };
    let key = work.keyed.then(|| Payload::key(number).to_vec());
    Record { key, value: Some(payload.of(number).to_vec()), headers, timestamp: Utc::now() }
}

async fn send(partition: Partition, record: Record) {
    partition.produce(record).await.unwrap_or_else(|error| fail(error));
}

fn tls(trusted: &str) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(trusted).unwrap_or_else(|error| fail(error)) {
        roots.add(certificate.unwrap_or_else(|error| fail(error))).unwrap_or_else(|error| fail(error));
    }
    ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()
}

impl Client for Rskafka {
    fn connect(work: &Work) -> Self {
        let runtime = Runtime::new().unwrap_or_else(|error| fail(error));
        let compression = match &*work.codec {
            "none" => Compression::NoCompression,
            "gzip" => Compression::Gzip,
            "lz4" => Compression::Lz4,
            "zstd" => Compression::Zstd,
            other => fail(other),
        };
        let batch = if work.batch > 0 { work.batch.max(work.size + 256) } else { 1_000_000 };
        let linger = Duration::from_millis(work.linger_ms);
        let partitions = runtime.block_on(async {
            let mut client = ClientBuilder::new(vec![work.bootstrap.clone()]);
            if let Some(trusted) = &work.tls {
                client = client.tls_config(Arc::new(tls(trusted)));
            }
            let client = client.build().await.unwrap_or_else(|error| fail(error));
            let mut topics = Vec::new();
            for topic in &work.topics {
                let mut partitions = Vec::new();
                for partition in 0..work.partitions {
                    let one = client.partition_client(topic, partition, UnknownTopicHandling::Error).await;
                    let one = Arc::new(one.unwrap_or_else(|error| fail(error)));
                    let producer = BatchProducerBuilder::new(one).with_linger(linger).with_compression(compression);
                    partitions.push(Arc::new(producer.build(RecordAggregator::new(batch))));
                }
                topics.push(partitions);
            }
            topics
        });
        let tls = work.tls.as_ref().map_or("", |_| " tls=rustls with ring");
        let settings = format!(
            "acks=all, not idempotent, linger={}ms RecordAggregator({batch}) {}{tls}",
            work.linger_ms, work.codec
        );
        Self { runtime, partitions, payload: Box::leak(Box::new(Payload::new(work))), settings }
    }

    fn settings(&self) -> String {
        self.settings.clone()
    }

    fn one_each(&self, work: &Work) {
        self.runtime.block_on(async {
            let all = (0..work.topics.len() as u64).map(|number| {
                let one = Arc::clone(&self.partitions[number as usize][0]);
                tokio::spawn(send(one, record(self.payload, work, number)))
            });
            for sent in all.collect::<Vec<_>>() {
                sent.await.unwrap_or_else(|error| fail(error));
            }
        });
    }

    fn stream(&self, work: &Work, first: u64, until: Until) -> u64 {
        let window = work.window / work.threads as usize;
        self.runtime.block_on(async {
            let (room, delivered) = (Arc::new(Semaphore::new(window)), Arc::new(AtomicU64::new(0)));
            let mut records = 0;
            while until.more(records) {
                let permit = Arc::clone(&room).acquire_owned().await.unwrap_or_else(|error| fail(error));
                let (partition, record) =
                    (self.partition(work, first + records), record(self.payload, work, first + records));
                let delivered = Arc::clone(&delivered);
                tokio::spawn(async move {
                    send(partition, record).await;
                    delivered.fetch_add(1, Ordering::Release);
                    drop(permit);
                });
                records += 1;
            }
            drop(room.acquire_many(window as u32).await.unwrap_or_else(|error| fail(error)));
            records
        })
    }

    fn tasks(&self, work: &Work, until: Until) -> Option<u64> {
        let shared: &'static Work = Box::leak(Box::new(work.clone()));
        let payload = self.payload;
        Some(peer_common::tasks(&self.runtime, work, until, |numbers| {
            let all: Vec<Partition> = self.partitions.iter().flatten().cloned().collect();
            async move {
                let mut records = 0;
                for number in numbers {
                    let partition = Arc::clone(&all[number as usize % all.len()]);
                    send(partition, record(payload, shared, number)).await;
                    records += 1;
                }
                records
            }
        }))
    }

    fn rate(&self, work: &Work, schedule: Schedule, ear: &'static Ear) -> bool {
        schedule.run(ear, |number| {
            let (partition, record) = (self.partition(work, number), record(self.payload, work, number));
            self.runtime.spawn(async move {
                send(partition, record).await;
                ear.acknowledged(schedule, [number]);
            });
        });
        ear.wait(schedule);
        true
    }
}
