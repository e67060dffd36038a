//! The producers.

use std::collections::VecDeque;
use std::iter::Sum;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use milena::{Codec, Compression, Delivery, Producer, ProducerBuilder};

use super::detour::Detour;
use crate::account::{Content, Sent, ToSend};
use crate::facade::{outcome, record};

/// One with the defaults, one with many small batches, one that compresses, one without patience.
pub(super) const PRODUCERS: usize = 4;
const IMPATIENT: usize = 3;
/// Pause between two records.
const PACE: Duration = Duration::from_micros(1200);
const KEYS: usize = 1000;
const CLOSE: Duration = Duration::from_secs(60);

/// Whether a producer waits for longer than any fault lasts, so that all it sends is delivered.
pub(super) fn is_patient(producer: usize) -> bool {
    producer != IMPATIENT
}

/// What a producer did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    /// Requests sent.
    pub requests: u64,
    /// Requests without an answer.
    pub lost: u64,
    /// Batches sent, each attempt counted.
    pub batches: u64,
    /// Records sent again.
    pub retried: u64,
    /// Epoch bumps.
    pub bumps: u64,
}

impl Sum for Traffic {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |a, b| Self {
            requests: a.requests + b.requests,
            lost: a.lost + b.lost,
            batches: a.batches + b.batches,
            retried: a.retried + b.retried,
            bumps: a.bumps + b.bumps,
        })
    }
}

pub(super) struct Load<'a> {
    pub(super) bootstrap: String,
    pub(super) topic: String,
    pub(super) detour: Detour,
    pub(super) stop: &'a AtomicBool,
}

impl Load<'_> {
    fn builder(&self, number: usize) -> ProducerBuilder {
        let builder = Producer::builder(&self.bootstrap)
            .connector(Arc::new(self.detour.clone()))
            .request_timeout(Duration::from_secs(5))
            .delivery_timeout(Duration::from_secs(180));
        match number {
            0 => builder,
            1 => builder.batch_size(1024).linger(Duration::ZERO),
            2 => builder.compression(Compression::new(Codec::Zstd)).batch_size(16 * 1024),
            _ => builder.request_timeout(Duration::from_secs(1)).delivery_timeout(Duration::from_secs(4)),
        }
    }

    /// Sends until told to stop; what became of each record, in the order in which they were sent.
    pub(super) fn produce(&self, number: usize) -> (Vec<Sent>, Traffic) {
        let producer = self.builder(number).build().expect("a config without problems");
        let blocking = producer.blocking();
        let mut open: VecDeque<(ToSend, Delivery)> = VecDeque::new();
        let mut ended = Vec::new();
        for next in 0_usize.. {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let keyed = next % 3 != 0;
            let content = Content {
                key: keyed.then(|| format!("key {}", next % KEYS).into_bytes()),
                value: Some(format!("{number} {next} {}", "all alike ".repeat(next % 10)).into_bytes()),
                headers: Vec::new(),
            };
            let to_send = ToSend { content, ..ToSend::default() };
            // Without patience there may be no room for long; what is not taken is not owed anything.
            match blocking.enqueue(record(&self.topic, &to_send)) {
                Ok(delivery) => open.push_back((to_send, delivery)),
                Err(error) => assert!(!is_patient(number), "a record was not taken: {error}"),
            }
            while let Some((record, delivery)) = open.pop_front_if(|(_, delivery)| delivery.is_done()) {
                ended.push(settled(record, delivery));
            }
            std::thread::sleep(PACE);
        }
        ended.extend(open.into_iter().map(|(record, delivery)| settled(record, delivery)));
        blocking.close(CLOSE).expect("everything has its outcome");
        let metrics = producer.metrics();
        let traffic = Traffic {
            requests: metrics.requests,
            lost: metrics.requests_lost,
            batches: metrics.batches,
            retried: metrics.total.retried.records,
            bumps: metrics.epoch_bumps,
        };
        (ended, traffic)
    }
}

fn settled(record: ToSend, delivery: Delivery) -> Sent {
    let outcome = outcome(&record, delivery.wait());
    Sent { record, outcome }
}
