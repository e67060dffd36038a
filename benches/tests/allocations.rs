//! How often the whole producer asks the allocator for anything: callers, sender, connections. The broker is a process of its own, or it
//! would be counted, too. A test binary of its own, since the counter is the process's.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::alloc::System;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use milena_producer::{Delivery, Producer, Record};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

struct Sink(Child);

impl Sink {
    fn start() -> (Self, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sink"));
        let mut child = command.arg("letters=6").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut bootstrap = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut bootstrap).unwrap();
        (Self(child), bootstrap.trim().to_owned())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn plain(value: &[u8]) -> Record<'_> {
    Record::to("letters").value(value)
}

fn with_headers(value: &[u8]) -> Record<'_> {
    plain(value)
        .header("trace-id", &value[..32])
        .header("empty", "")
        .null_header("null")
        .header("content-type", "text/plain")
}

/// Produces until so many records are delivered, at most 20,000 of them without an outcome.
fn produce(producer: &Producer, open: &mut VecDeque<Delivery>, records: usize, record: fn(&[u8]) -> Record<'_>) {
    let value = [7; 100];
    for _ in 0..records {
        if open.len() == open.capacity() {
            for delivery in open.drain(..open.capacity() / 2) {
                delivery.wait().unwrap();
            }
        }
        open.push_back(producer.blocking().enqueue(record(&value)).unwrap());
    }
    for delivery in open.drain(..) {
        delivery.wait().unwrap();
    }
}

#[test]
fn a_record_costs_no_allocation_and_a_batch_few() {
    let (_sink, bootstrap) = Sink::start();
    let producer = Producer::builder(bootstrap).batch_size(16 << 10).build().unwrap();
    producer.blocking().prepare(&["letters"], Duration::from_secs(60)).unwrap();
    let mut open = VecDeque::with_capacity(20_000);
    for (what, record) in [("plain", plain as fn(&[u8]) -> Record<'_>), ("with headers", with_headers)] {
        produce(&producer, &mut open, 200_000, record);
        measure(&producer, &mut open, what, record);
    }
}

fn measure(producer: &Producer, open: &mut VecDeque<Delivery>, what: &str, record: fn(&[u8]) -> Record<'_>) {
    let before = producer.metrics();
    let region = Region::new(ALLOCATOR);
    produce(producer, open, 1_000_000, record);
    let stats = region.change();
    let metrics = producer.metrics();
    let (batches, requests) = (metrics.batches - before.batches, metrics.requests - before.requests);
    let asked = stats.allocations + stats.reallocations;
    eprintln!(
        "{asked} allocations for 1,000,000 records, {what}, in {batches} batches and {requests} requests: {:.2} per batch",
        asked as f64 / batches as f64
    );
    // A batch: its cell and a chunk's shared owner. A request: lists of slices, topics and partitions on both ways, some of which grow; with
    // debug assertions also the health that is compared with every event.
    let of_request = if cfg!(debug_assertions) { 60 } else { 11 };
    let allowed = 2 * batches + of_request * requests + 500;
    assert!(asked as u64 <= allowed, "{what}: {asked} allocations, {allowed} allowed: {stats:?}");
}
