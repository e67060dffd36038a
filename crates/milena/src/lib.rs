//! A Kafka client written in Rust alone, from the wire up.
//!
//! No crate in its graph compiles C. For now it is a producer:
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use milena::{Producer, Record};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let producer = Producer::builder("localhost:9092").build()?;
//!
//! // Queued: in memory, and on its way.
//! let delivery = producer.enqueue(Record::to("orders").key("customer-7").value("12.50")).await?;
//!
//! // Delivered: acknowledged by all in-sync replicas, once. Or an error that says whether it may be on the log.
//! match delivery.await {
//!     Ok(receipt) => println!("partition {} offset {:?}", receipt.partition, receipt.offset),
//!     Err(error) => println!("{error} ({:?})", error.fate()),
//! }
//!
//! producer.close(Duration::from_secs(30)).await?;
//! # Ok(())
//! # }
//! ```

pub use milena_producer::*;

// What README shows must compile.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/migrating.md")]
struct Migrating;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/observability.md")]
struct Observability;
