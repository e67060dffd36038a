//! `milena::Producer` under the suites.

use std::time::Duration;

use milena::{Compression, Delivery, DeliveryError, Fate, Guarantee, Producer, Receipt, Record};

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
        Box::new(MilenaSession { producer, queued: Vec::new() })
    }
}

struct MilenaSession {
    producer: Producer,
    queued: Vec<(ToSend, Delivery)>,
}

impl Session for MilenaSession {
    fn send(&mut self, topic: &str, to_send: ToSend) {
        let delivery = self.producer.blocking().enqueue(record(topic, &to_send)).expect("a record that is taken");
        self.queued.push((to_send, delivery));
    }

    fn finish(self: Box<Self>) -> Vec<Sent> {
        let settle = |(record, delivery): (ToSend, Delivery)| {
            let outcome = outcome(&record, delivery.wait());
            Sent { record, outcome }
        };
        let sent: Vec<Sent> = self.queued.into_iter().map(settle).collect();
        self.producer.blocking().close(CLOSE).expect("everything was delivered or heard of");
        sent
    }
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
