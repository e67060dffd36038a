//! `milena::Producer` under the suites.

use std::collections::VecDeque;
use std::error::Error as _;
use std::time::Duration;

use milena::{
    Compression, ConnError, ConnErrorKind, Delivery, DeliveryError, Fate, Guarantee, Producer, ProducerBuilder,
    Receipt, Record, TlsFault,
};

use crate::account::{Outcome, Sent, ToSend};
use crate::subject::{Acks, Session, Settings, Subject};

const CLOSE: Duration = Duration::from_secs(30);

/// Producers of the crate that users name.
#[derive(Clone, Copy, Debug, Default)]
pub struct Milena;

impl Subject for Milena {
    fn open(&self, bootstrap: &str, settings: &Settings) -> Box<dyn Session> {
        let guarantee = match settings.acks {
            Acks::None => Guarantee::AtMostOnce,
            Acks::Leader => Guarantee::AtLeastOnce { all_replicas: false },
            Acks::All => Guarantee::ExactlyOnce,
        };
        let mut builder = Producer::builder(bootstrap)
            .guarantee(guarantee)
            .compression(Compression::new(settings.codec))
            .linger(settings.linger)
            .request_timeout(settings.request_timeout)
            .delivery_timeout(settings.delivery_timeout);
        if let Some(bytes) = settings.batch_size {
            builder = builder.batch_size(bytes);
        }
        let producer = builder.build().expect("a config without problems");
        Box::new(MilenaSession { producer, open: VecDeque::new(), heard: Vec::new() })
    }
}

struct MilenaSession {
    producer: Producer,
    open: VecDeque<(ToSend, Delivery)>,
    heard: Vec<Sent>,
}

impl MilenaSession {
    fn hear(&mut self, (record, delivery): (ToSend, Delivery)) {
        let outcome = outcome(&record, delivery.wait());
        self.heard.push(Sent { record, outcome });
    }
}

impl Session for MilenaSession {
    fn send(&mut self, topic: &str, to_send: ToSend) {
        let delivery = self.producer.blocking().enqueue(record(topic, &to_send)).expect("a record that is taken");
        self.open.push_back((to_send, delivery));
    }

    fn heard(&mut self) -> &[Sent] {
        while let Some(first) = self.open.pop_front_if(|(_, delivery)| delivery.is_done()) {
            self.hear(first);
        }
        &self.heard
    }

    fn finish(mut self: Box<Self>) -> Vec<Sent> {
        while let Some(next) = self.open.pop_front() {
            self.hear(next);
        }
        self.producer.blocking().close(CLOSE).expect("everything was delivered or heard of");
        self.heard
    }
}

/// Why a producer is not let in. Brokers that were too slow to tell are asked again.
///
/// # Panics
/// If it is let in, or not told why in two minutes.
pub async fn refusal(builder: ProducerBuilder) -> ConnError {
    let builder = builder.connect_timeout(Duration::from_secs(5)).connect_timeout_max(Duration::from_secs(5));
    let producer = builder.build().expect("a producer");
    for _ in 0..40 {
        let error = producer.wait_ready(Duration::from_secs(3)).await.expect_err("a refusal");
        let cause = error.source().and_then(|source| source.downcast_ref::<ConnError>());
        let is_told = |cause: &&ConnError| {
            !matches!(cause.what, ConnErrorKind::TimedOut | ConnErrorKind::Tls(TlsFault::TimedOut))
        };
        if let Some(cause) = cause.filter(is_told) {
            producer.close(CLOSE).await.expect("nothing left");
            println!("{cause}\n");
            return cause.clone();
        }
    }
    panic!("nobody tells why: {:?}", producer.health());
}

/// What a suite sends, as the producer takes it.
pub fn record<'a>(topic: &'a str, to_send: &'a ToSend) -> Record<'a> {
    let content = &to_send.content;
    let mut record = Record::to(topic);
    if let Some(partition) = to_send.partition {
        record = record.partition(partition);
    }
    if let Some(key) = &content.key {
        record = record.key(key.as_slice());
    }
    if let Some(value) = &content.value {
        record = record.value(value.as_slice());
    }
    for (name, value) in &content.headers {
        record = match value {
            Some(value) => record.header(name.as_str(), value.as_slice()),
            None => record.null_header(name.as_str()),
        };
    }
    if let Some(timestamp) = to_send.timestamp {
        record = record.timestamp_ms(timestamp);
    }
    record
}

/// What became of a record, as suites hold it against the log.
///
/// # Panics
/// If the receipt is not for this record, or the record waits in a spool.
pub fn outcome(record: &ToSend, result: Result<Receipt, DeliveryError>) -> Outcome {
    match result {
        Ok(receipt) => {
            let content = &record.content;
            assert_eq!(receipt.key_size, content.key.as_ref().map(Vec::len), "{receipt:?} for {content}");
            assert_eq!(receipt.value_size, content.value.as_ref().map(Vec::len), "{receipt:?} for {content}");
            if let Some(timestamp) = record.timestamp {
                assert_eq!(receipt.timestamp_ms, timestamp, "{receipt:?} for {content}");
            }
            if receipt.acknowledged {
                Outcome::Delivered { partition: receipt.partition.0, offset: receipt.offset.map(|offset| offset.0) }
            } else {
                Outcome::Unacknowledged
            }
        }
        Err(error) => match error.fate() {
            Fate::NotWritten => Outcome::NotWritten(error.to_string()),
            Fate::MaybeWritten => Outcome::MaybeWritten(error.to_string()),
            Fate::Spooled => panic!("there is no spool here: {error}"),
        },
    }
}
