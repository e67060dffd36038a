//! Callers keep the I/O thread's pace while that is fast, and fill the memory where it is not.

use std::future::Future;
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use milena_accumulator::without_waiting;
use milena_broker::EmbeddedCluster;
use milena_producer::{BrokerId, Delivery, EnqueueError, Io, Producer, ProducerBuilder, Record};

use crate::support::*;

const NODE: BrokerId = BrokerId(1);
/// Of them the I/O thread is behind with a quarter.
const MEMORY: usize = 16 << 20;
/// As many as nearly fill the memory.
const MANY: usize = 14_000;

fn large(cluster: &EmbeddedCluster) -> ProducerBuilder {
    builder(cluster).buffer_memory(MEMORY).batch_size(16 << 10)
}

fn record(number: usize) -> Record<'static> {
    Record::to("t").partition(0).value(format!("{number:01000}"))
}

/// A producer whose only node has answered once, and answers nothing any more.
async fn unanswered(cluster: &EmbeddedCluster, producer: ProducerBuilder) -> Producer {
    let producer = producer.build().unwrap();
    producer.send(Record::to("t").partition(0).value("first")).await.unwrap();
    cluster.pause_node(NODE);
    producer
}

/// None if it has to wait, which it does not.
fn enqueued_at_once(producer: &Producer, number: usize) -> Option<Delivery> {
    match pin!(producer.enqueue(record(number))).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(delivery) => Some(delivery.unwrap()),
        Poll::Pending => None,
    }
}

/// All of them are delivered in order, and nothing else.
async fn delivers(cluster: &EmbeddedCluster, producer: &Producer, taken: Vec<Delivery>) {
    cluster.resume_node(NODE);
    let count = taken.len();
    for delivery in taken {
        delivery.await.unwrap();
    }
    producer.flush().await.unwrap();
    let values = values(cluster, "t", 0);
    assert!(values[1..].iter().map(String::len).eq(std::iter::repeat_n(1000, count)));
    assert!(values[1..].is_sorted());
}

#[test]
fn a_record_waits_for_an_io_thread_that_is_behind_and_one_that_is_dropped_meanwhile_is_not_taken() {
    run(async {
        let cluster = one_node().await;
        let producer = unanswered(&cluster, large(&cluster)).await;
        let mut taken = Vec::new();
        while let Some(delivery) = enqueued_at_once(&producer, taken.len()) {
            taken.push(delivery);
        }
        let used = producer.metrics().buffer.used;
        assert!((4 << 20..6 << 20).contains(&used), "{used}");
        assert_eq!(producer.metrics().buffer.waiting, 0, "it waits for no memory");
        // One that does not wait goes in, and so does one that has waited long enough. After that nobody waits.
        taken.push(producer.try_enqueue(record(taken.len())).unwrap());
        while let Some(delivery) = enqueued_at_once(&producer, taken.len()) {
            taken.push(delivery);
        }
        taken.push(producer.enqueue(record(taken.len())).await.unwrap());
        while taken.len() < MANY {
            taken.push(enqueued_at_once(&producer, taken.len()).expect("it does not wait"));
        }
        delivers(&cluster, &producer, taken).await;
    });
}

#[test]
fn who_may_not_wait_at_all_fills_the_memory_at_once() {
    run(async {
        let cluster = one_node().await;
        let producer = unanswered(&cluster, large(&cluster).max_block(Duration::ZERO)).await;
        let mut taken = Vec::new();
        let refused = loop {
            match pin!(producer.enqueue(record(taken.len()))).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Ok(delivery)) => taken.push(delivery),
                Poll::Ready(Err(refused)) => break refused,
                Poll::Pending => panic!("it waits, with {} taken", taken.len()),
            }
        };
        assert!(matches!(refused, EnqueueError::BufferFull { .. }), "{refused}");
        assert!(taken.len() > MANY);
        delivers(&cluster, &producer, taken).await;
    });
}

#[test]
fn a_thread_that_delivers_does_not_wait_for_itself() {
    run(async {
        let cluster = one_node().await;
        let producer = unanswered(&cluster, large(&cluster)).await;
        let mut taken = Vec::new();
        while taken.len() < MANY {
            let number = taken.len();
            taken.push(without_waiting(|| enqueued_at_once(&producer, number)).expect("it does not wait"));
        }
        delivers(&cluster, &producer, taken).await;
    });
}

#[test]
fn a_thread_that_the_io_runs_on_does_not_wait_for_itself() {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        let cluster = EmbeddedCluster::builder().start_blocking().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let producer = unanswered(&cluster, large(&cluster).io(Io::Runtime(runtime.handle().clone()))).await;
            let taken = (0..MANY).map(|number| producer.blocking().enqueue(record(number)).unwrap()).collect();
            delivers(&cluster, &producer, taken).await;
        });
        done.send(())
    });
    is_done.recv_timeout(LONG).expect("it does not hang, and nothing failed");
}
