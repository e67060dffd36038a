//! Outcomes by a callback, like librdkafka's delivery reports: `cargo run -p milena --example delivery_handler`
//!
//! A record is produced with a token, a number that means something to the program, and the handler is told the token again with the outcome: once
//! per batch, on a thread of its own.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use milena::{BatchReport, DeliveryHandler, Outcome, Producer, Record};
use milena_broker::EmbeddedCluster;

#[derive(Default)]
struct Orders {
    delivered: AtomicU64,
    failed: AtomicU64,
}

impl DeliveryHandler for Orders {
    fn on_batch(&self, report: BatchReport) {
        let count = report.records().len() as u64;
        if let Outcome::Failed(failure) = report.outcome() {
            // Says whether they may be on the log all the same.
            println!("{count} orders failed: {failure} ({:?})", failure.fate);
            self.failed.fetch_add(count, Ordering::Relaxed);
            return;
        }
        for order in report.records() {
            println!("order {} is at offset {:?} of {}", order.token, order.offset, report.topic());
        }
        self.delivered.fetch_add(count, Ordering::Relaxed);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    produce_orders()
}

pub(crate) fn produce_orders() -> Result<(), Box<dyn Error>> {
    // A broker within this process; any Kafka's address does as well.
    let cluster = EmbeddedCluster::builder().start_blocking()?;
    let orders = Arc::new(Orders::default());
    let producer = Producer::builder(cluster.bootstrap()).delivery_handler(Arc::clone(&orders)).build()?;
    for order in 1..=10 {
        // Queued when this returns, and delivered when the handler says so.
        producer.blocking().enqueue_with(Record::to("orders").key("customer-7").value(order.to_string()), order)?;
    }
    // Returns after the handler has heard of all.
    producer.blocking().close(Duration::from_secs(30))?;
    let (delivered, failed) = (orders.delivered.load(Ordering::Relaxed), orders.failed.load(Ordering::Relaxed));
    println!("{delivered} delivered, {failed} failed");
    if delivered == 10 { Ok(()) } else { Err("not all of ten orders were delivered".into()) }
}
