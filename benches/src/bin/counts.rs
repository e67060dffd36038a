//! `counts CASE RECORDS`: does one thing to so many records inside of `counted_*`, for `benches/counts` to count the instructions of.

use std::process::ExitCode;
use std::time::Duration;

use milena_accumulator::{AccumulatorConfig, SealedBatch};
use milena_benches::{Queues, Shape};
use milena_broker::{EmbeddedCluster, Keep};
use milena_producer::{BatchReport, Delivery, DeliveryHandler, Producer, Record};
use milena_wire::HeaderRef;

/// Records between two visits of the sender that is played here: some 64 KiB of small ones.
const ROUND: usize = 500;
const PARTITIONS: i32 = 6;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (Some(case), Some(records)) = (args.next(), args.next().and_then(|records| records.parse().ok())) else {
        eprintln!("usage: counts CASE RECORDS");
        return ExitCode::from(2);
    };
    let small = Shape::value(100);
    match &*case {
        "floor" => floor(&small, records),
        "append" => append(&small, records),
        "append-keyed" => append(&small.keyed(), records),
        "append-headers" => append(&small.with_headers(), records),
        "append-1000" => append(&Shape::value(1000), records),
        "append-token" => append_with_token(&small, records),
        "hear" => hear(&small, records),
        "seal" => seal(&small, records),
        "settle" => settle(&small, records),
        "try-enqueue" => produce(&small, records, counted_try_enqueue),
        "try-enqueue-headers" => produce(&small.with_headers(), records, counted_try_enqueue_headers),
        "try-enqueue-keyed" => produce(&small.keyed(), records, counted_try_enqueue),
        "blocking-enqueue" => produce(&small, records, counted_blocking_enqueue),
        "blocking-token" => produce(&small, records, counted_blocking_token),
        _ => {
            eprintln!("no such case: {case}");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

/// What nobody can save: to copy the bytes once, and to read them once for the CRC.
fn floor(shape: &Shape, records: usize) {
    let mut batch = Vec::with_capacity(ROUND * shape.value_bytes().len());
    for _ in 0..records / ROUND {
        std::hint::black_box(counted_floor(shape, &mut batch));
        batch.clear();
    }
}

#[inline(never)]
fn counted_floor(shape: &Shape, batch: &mut Vec<u8>) -> u32 {
    for _ in 0..ROUND {
        batch.extend_from_slice(shape.value_bytes());
    }
    crc32c::crc32c(batch)
}

fn queues() -> Queues {
    Queues::new(AccumulatorConfig { batch_size: 16 << 10, ..AccumulatorConfig::default() }, PARTITIONS)
}

fn append(shape: &Shape, records: usize) {
    let mut queues = queues();
    let mut deliveries = Vec::with_capacity(ROUND);
    for _ in 0..records / ROUND {
        counted_append(&queues, shape, &mut deliveries);
        Queues::settle(queues.seal_all());
        deliveries.drain(..).for_each(|delivery: Delivery| drop(delivery.wait()));
    }
}

#[inline(never)]
fn counted_append(queues: &Queues, shape: &Shape, deliveries: &mut Vec<Delivery>) {
    for _ in 0..ROUND {
        deliveries.push(queues.append(shape));
    }
}

fn append_with_token(shape: &Shape, records: usize) {
    let mut queues = queues();
    for _ in 0..records / ROUND {
        counted_append_with_token(&queues, shape);
        Queues::settle(queues.seal_all());
    }
}

#[inline(never)]
fn counted_append_with_token(queues: &Queues, shape: &Shape) {
    for token in 0..ROUND as u64 {
        queues.append_with_token(shape, token);
    }
}

fn hear(shape: &Shape, records: usize) {
    let mut queues = queues();
    let mut deliveries = Vec::with_capacity(ROUND);
    for _ in 0..records / ROUND {
        (0..ROUND).for_each(|_| deliveries.push(queues.append(shape)));
        Queues::settle(queues.seal_all());
        counted_hear(&mut deliveries);
    }
}

#[inline(never)]
fn counted_hear(deliveries: &mut Vec<Delivery>) {
    deliveries.drain(..).for_each(|delivery| drop(delivery.wait()));
}

fn seal(shape: &Shape, records: usize) {
    let mut queues = queues();
    let mut deliveries = Vec::with_capacity(ROUND);
    for _ in 0..records / ROUND {
        (0..ROUND).for_each(|_| deliveries.push(queues.append(shape)));
        Queues::settle(counted_seal(&mut queues));
        deliveries.drain(..).for_each(|delivery| drop(delivery.wait()));
    }
}

#[inline(never)]
fn counted_seal(queues: &mut Queues) -> Vec<SealedBatch> {
    queues.seal_all()
}

fn settle(shape: &Shape, records: usize) {
    let mut queues = queues();
    let mut deliveries = Vec::with_capacity(ROUND);
    for _ in 0..records / ROUND {
        (0..ROUND).for_each(|_| deliveries.push(queues.append(shape)));
        counted_settle(queues.seal_all());
        deliveries.drain(..).for_each(|delivery| drop(delivery.wait()));
    }
}

#[inline(never)]
fn counted_settle(batches: Vec<SealedBatch>) {
    Queues::settle(batches);
}

#[derive(Debug)]
struct Deaf;

impl DeliveryHandler for Deaf {
    fn on_batch(&self, _: BatchReport) {}
}

/// The whole producer with an embedded broker behind it; what is counted is the caller's share.
fn produce(shape: &Shape, records: usize, enqueue: fn(&Producer, &Shape, &mut Vec<Delivery>)) {
    let cluster = EmbeddedCluster::builder().keep(Keep::Nothing).start_blocking().expect("a port is free");
    cluster.create_topic("letters", PARTITIONS, 1).expect("a fresh cluster has no such topic");
    let producer =
        Producer::builder(cluster.bootstrap()).delivery_handler(Deaf).build().expect("the defaults are valid");
    producer.blocking().prepare(&["letters"], Duration::from_secs(60)).expect("the cluster is up");
    let mut deliveries = Vec::with_capacity(ROUND);
    for _ in 0..records / ROUND {
        enqueue(&producer, shape, &mut deliveries);
        deliveries.drain(..).for_each(|delivery| drop(delivery.wait()));
        // Nobody waits for the outcomes of tokens above.
        producer.blocking().flush().expect("nothing fails");
    }
}

#[inline(always)]
fn record(shape: &Shape) -> Record<'_> {
    let record = Record::to("letters").value(shape.value_bytes());
    match shape.key_bytes() {
        Some(key) => record.key(key),
        None => record,
    }
}

#[inline(never)]
fn counted_try_enqueue(producer: &Producer, shape: &Shape, deliveries: &mut Vec<Delivery>) {
    for _ in 0..ROUND {
        deliveries.push(producer.try_enqueue(record(shape)).expect("there is room"));
    }
}

/// A program knows how many headers its records have.
#[inline(never)]
fn counted_try_enqueue_headers(producer: &Producer, shape: &Shape, deliveries: &mut Vec<Delivery>) {
    let [first, second, HeaderRef { key: third, value: None }] = *shape.parts().headers else {
        panic!("a shape with headers has three, the last of them null");
    };
    let (Some(value), Some(other)) = (first.value, second.value) else { panic!("the others have values") };
    for _ in 0..ROUND {
        let record = record(shape).header(first.key, value).header(second.key, other).null_header(third);
        deliveries.push(producer.try_enqueue(record).expect("there is room"));
    }
}

#[inline(never)]
fn counted_blocking_enqueue(producer: &Producer, shape: &Shape, deliveries: &mut Vec<Delivery>) {
    let blocking = producer.blocking();
    for _ in 0..ROUND {
        deliveries.push(blocking.enqueue(record(shape)).expect("the producer is open"));
    }
}

#[inline(never)]
fn counted_blocking_token(producer: &Producer, shape: &Shape, _: &mut Vec<Delivery>) {
    let blocking = producer.blocking();
    for token in 0..ROUND as u64 {
        blocking.enqueue_with(record(shape), token).expect("the producer is open");
    }
}
