//! The buffer is bounded, waiting for it is fair, and nothing leaks.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use milena_broker::EmbeddedCluster;
use milena_producer::{Delivery, EnqueueError, Producer, ProducerBuilder, Record};
use milena_wire::BrokerId;

use crate::support::*;

const NODE: BrokerId = BrokerId(1);
const LIMIT: usize = 64 * 1024;

fn small(cluster: &EmbeddedCluster) -> ProducerBuilder {
    builder(cluster).buffer_memory(LIMIT).max_record_size(16 * 1024).batch_size(4 * 1024)
}

/// Fills the buffer of a producer whose only node answers nothing, until as many requests are under way as may be and
/// nothing moves any more.
async fn fill(cluster: &EmbeddedCluster, producer: &Producer) -> Vec<Delivery> {
    producer.send(Record::to("t").partition(0).value("first")).await.unwrap();
    // The socket may hold its bytes a moment longer than its outcome takes.
    until("its memory is back", || producer.metrics().buffer.used == 0).await;
    cluster.pause_node(NODE);
    let value = vec![b'x'; 3_000];
    let mut taken = Vec::new();
    loop {
        match producer.try_enqueue(Record::to("t").partition(0).value(&value)) {
            Ok(delivery) => taken.push(delivery),
            Err(rejected) => {
                assert_eq!(rejected.error, EnqueueError::BufferFull { waited: Duration::ZERO, limit: LIMIT });
                assert_eq!(rejected.record, Record::to("t").partition(0).value(&value), "handed back whole");
                // A waiting caller is content with a smaller chunk than one that takes what there is.
                let mut enqueue = Box::pin(producer.enqueue(Record::to("t").partition(0).value(&value)));
                match poll(&mut enqueue) {
                    Poll::Ready(delivery) => taken.push(delivery.unwrap()),
                    Poll::Pending if producer.metrics().requests_in_flight == 5 => return taken,
                    Poll::Pending => tokio::task::yield_now().await,
                }
            }
        }
    }
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_full_buffer_hands_the_record_back_and_takes_it_when_there_is_room() {
    run(async {
        let cluster = one_node().await;
        let producer = small(&cluster).build().unwrap();
        let taken = fill(&cluster, &producer).await;
        assert!(taken.len() > 10 && producer.metrics().buffer.used <= LIMIT);
        cluster.resume_node(NODE);
        let delivery = producer.enqueue(Record::to("t").partition(0).value("last")).await.unwrap();
        for delivery in taken {
            delivery.await.unwrap();
        }
        delivery.await.unwrap();
        assert_eq!(values(&cluster, "t", 0).last().map(String::as_str), Some("last"));
        until("all memory is back", || producer.metrics().buffer.used == 0).await;
    });
}

#[test]
fn waiting_for_room_ends_at_max_block_with_the_limit() {
    run(async {
        let cluster = one_node().await;
        let producer = small(&cluster).max_block(Duration::from_millis(20)).build().unwrap();
        let taken = fill(&cluster, &producer).await;
        let value = vec![b'x'; 3_000];
        let refused = producer.enqueue(Record::to("t").partition(0).value(&value)).await.unwrap_err();
        let EnqueueError::BufferFull { waited, limit: LIMIT } = refused else { panic!("{refused:?}") };
        assert!(waited >= Duration::from_millis(20));
        assert!(refused.to_string().contains("buffer.memory"), "{refused}");
        let refused = producer.enqueue_with(Record::to("t").partition(0).value(&value), 1).await;
        assert!(matches!(refused, Err(EnqueueError::BufferFull { .. })), "{refused:?}");
        // A plain thread waits as long, without a runtime.
        let clone = producer.clone();
        let refused = std::thread::spawn(move || {
            clone.blocking().enqueue(Record::to("t").partition(0).value(vec![b'x'; 3_000])).map(drop)
        });
        assert!(matches!(refused.join().unwrap(), Err(EnqueueError::BufferFull { .. })));
        assert_eq!(producer.metrics().buffer.waiting, 0);
        cluster.resume_node(NODE);
        for delivery in taken {
            delivery.await.unwrap();
        }
    });
}

#[test]
fn those_who_wait_for_room_are_served_in_their_order_and_a_large_record_is_not_overtaken() {
    run(async {
        let cluster = one_node().await;
        let producer = small(&cluster).build().unwrap();
        let taken = fill(&cluster, &producer).await;
        let values = [15_000, 3_000, 1, 3_000].map(|size| "y".repeat(size));
        let mut waiting: Vec<_> = values
            .iter()
            .map(|value| Box::pin(producer.enqueue(Record::to("t").partition(0).value(value))))
            .map(Some)
            .collect();
        for (n, enqueue) in waiting.iter_mut().enumerate() {
            // The small one would fit into what is open, but for those who were there before.
            assert!(poll(enqueue.as_mut().unwrap()).is_pending(), "{n}");
        }
        assert_eq!(producer.metrics().buffer.waiting, 4);
        cluster.resume_node(NODE);
        let mut deliveries = Vec::new();
        until("all are served", || {
            let mut is_last = true;
            // Asked from the last to the first, nobody has room before those in front of them.
            for enqueue in waiting.iter_mut().rev() {
                let Some(pending) = enqueue else { break };
                match poll(pending) {
                    Poll::Ready(delivery) => {
                        deliveries.push(delivery.unwrap());
                        *enqueue = None;
                        is_last = false;
                    }
                    Poll::Pending => assert!(is_last, "overtaken"),
                }
            }
            waiting.iter().all(Option::is_none)
        })
        .await;
        for delivery in deliveries {
            delivery.await.unwrap();
        }
        for delivery in taken {
            delivery.await.unwrap();
        }
    });
}

#[test]
fn an_enqueue_dropped_while_it_waits_leaks_nothing_and_queues_nothing() {
    run(async {
        let cluster = one_node().await;
        let producer = small(&cluster).build().unwrap();
        let taken = fill(&cluster, &producer).await;
        let value = vec![b'y'; 3_000];
        for round in 0..50 {
            let mut enqueue = pin!(producer.enqueue(Record::to("t").partition(0).value(&value)));
            assert!(poll(&mut enqueue).is_pending(), "round {round}");
            let mut with_token = pin!(producer.enqueue_with(Record::to("t").partition(0).value(&value), 1));
            assert!(poll(&mut with_token).is_pending());
            assert_eq!(producer.metrics().buffer.waiting, 2);
        }
        assert_eq!(producer.metrics().buffer.waiting, 0);
        // One that is granted its memory and dropped before it could use it.
        let mut granted = Box::pin(producer.enqueue(Record::to("t").partition(0).value(&value)));
        assert!(poll(&mut granted).is_pending());
        let count = taken.len();
        cluster.resume_node(NODE);
        for delivery in taken {
            delivery.await.unwrap();
        }
        until("it was granted", || producer.metrics().buffer.waiting == 0).await;
        drop(granted);
        producer.flush().await.unwrap();
        assert_eq!(values(&cluster, "t", 0).len(), count + 1);
        until("all memory is back", || producer.metrics().buffer.used == 0).await;
    });
}

#[test]
fn those_who_wait_for_room_hear_of_a_close_at_once() {
    run(async {
        let cluster = one_node().await;
        let producer = small(&cluster).max_block(HOUR / 2).build().unwrap();
        let taken = fill(&cluster, &producer).await;
        let clone = producer.clone();
        let waiting = tokio::spawn(async move {
            clone.enqueue(Record::to("t").partition(0).value(vec![b'x'; 3_000])).await.map(drop)
        });
        until("it waits", || producer.metrics().buffer.waiting == 1).await;
        let clone = producer.clone();
        let closing = tokio::spawn(async move { clone.close(HOUR).await });
        assert_eq!(waiting.await.unwrap(), Err(EnqueueError::Closed));
        cluster.resume_node(NODE);
        for delivery in taken {
            delivery.await.unwrap();
        }
        closing.await.unwrap().unwrap();
    });
}

#[test]
fn memory_of_every_kind_of_end_comes_back() {
    run(async {
        let cluster = started(EmbeddedCluster::builder().auto_create_topics(false)).await;
        cluster.create_topic("t", 2, 1).unwrap();
        let producer = builder(&cluster).unknown_topic_grace(Duration::from_millis(10)).build().unwrap();
        let records =
            [Record::to("t"), Record::to("nowhere"), Record::to("t").partition(7), Record::to("t").partition(1)];
        let outcomes = producer.send_all(records).await;
        assert_eq!(outcomes.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, false, true]);
        until("all memory is back", || producer.metrics().buffer.used == 0).await;
    });
}
