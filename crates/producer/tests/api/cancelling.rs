//! Every public future, dropped at each of its polls and at each of its wake-ups: nothing is lost, doubled or leaked, and
//! the producer goes on.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use milena_broker::{EmbeddedCluster, Reaction, Rule};
use milena_producer::{Delivery, EnqueueError, ErrorCode, FlushError, Producer, ProducerBuilder, Purge, Record};
use milena_wire::{ApiKey, BrokerId};
use tokio::sync::Notify;

use crate::support::*;

const NODE: BrokerId = BrokerId(1);

/// No future here is polled as often.
const MANY: usize = 50;

/// Where a future is dropped: after so many polls, or when it was woken after them.
#[derive(Clone, Copy, Debug)]
struct Point {
    polls: usize,
    woken: bool,
}

/// All points, from the first poll on.
fn points() -> impl Iterator<Item = Point> {
    (1..MANY).flat_map(|polls| [false, true].map(|woken| Point { polls, woken }))
}

/// A future that is polled by hand.
struct Stepper<'a, T> {
    future: Pin<Box<dyn Future<Output = T> + 'a>>,
    alarm: Arc<Alarm>,
}

#[derive(Default)]
struct Alarm {
    bell: Notify,
    rung: AtomicBool,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.rung.store(true, Ordering::SeqCst);
        self.bell.notify_one();
    }
}

impl<'a, T> Stepper<'a, T> {
    fn new(future: impl Future<Output = T> + 'a) -> Self {
        Self { future: Box::pin(future), alarm: Arc::default() }
    }

    fn poll(&mut self) -> Poll<T> {
        let waker = Waker::from(Arc::clone(&self.alarm));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    async fn woken(&self) {
        self.alarm.bell.notified().await;
    }

    /// Polls on, as an executor does, and drops the future at `point`; `Some` if it was done before.
    async fn until(mut self, point: Point) -> Option<T> {
        for poll in 1..=point.polls {
            if let Poll::Ready(value) = self.poll() {
                return Some(value);
            }
            if poll < point.polls || point.woken {
                self.woken().await;
            }
        }
        None
    }

    async fn finish(self) -> T {
        match self.until(Point { polls: usize::MAX, woken: true }).await {
            Some(value) => value,
            None => unreachable!("it is polled until it is done"),
        }
    }
}

/// Whatever was dropped, the producer takes and delivers records, and then holds nothing.
async fn goes_on(producer: &Producer, cluster: &EmbeddedCluster) {
    producer.send(Record::to("t").partition(0).value("after")).await.unwrap();
    producer.flush().await.unwrap();
    until("all memory is back", || producer.metrics().buffer.used == 0).await;
    let metrics = producer.metrics();
    assert_eq!((metrics.buffer.waiting, metrics.requests_in_flight), (0, 0));
    let mut seen = BTreeSet::new();
    for value in values(cluster, "t", 0).into_iter().filter(|value| value != "after" && value != "first") {
        assert!(seen.insert(value.clone()), "{value} twice");
    }
}

async fn topic() -> EmbeddedCluster {
    let cluster = one_node().await;
    cluster.create_topic("t", 1, 1).unwrap();
    cluster
}

fn small(cluster: &EmbeddedCluster) -> ProducerBuilder {
    builder(cluster).buffer_memory(64 * 1024).batch_size(4 * 1024).max_record_size(16 * 1024)
}

/// Fills the buffer of a producer whose node answers nothing, until nothing moves any more.
async fn fill(cluster: &EmbeddedCluster, producer: &Producer, round: &str) -> Vec<Delivery> {
    producer.send(Record::to("t").partition(0).value("first")).await.unwrap();
    until("its memory is back", || producer.metrics().buffer.used == 0).await;
    cluster.pause_node(NODE);
    let mut taken = Vec::new();
    loop {
        let value = format!("{round}-{}-{}", taken.len(), "x".repeat(3_000));
        let mut enqueue = Stepper::new(producer.enqueue(Record::to("t").partition(0).value(value)));
        match enqueue.poll() {
            Poll::Ready(delivery) => taken.push(delivery.unwrap()),
            Poll::Pending if producer.metrics().requests_in_flight == 5 => return taken,
            Poll::Pending => tokio::task::yield_now().await,
        }
    }
}

/// Something that waits for memory and then says whether its record was taken.
type Waits<'a> = Box<dyn Future<Output = bool> + 'a>;

/// Drops the second of three who wait for memory, at every point: the others are served in their order, and its record is
/// on the log only if it was taken.
fn while_it_waits_for_memory(victim: impl for<'a> Fn(&'a Producer, String) -> Waits<'a>) {
    run(async {
        let cluster = topic().await;
        for point in points() {
            let round = format!("{point:?}");
            let producer = small(&cluster).build().unwrap();
            let taken = fill(&cluster, &producer, &round).await;
            let value = |who: &str| format!("{round} {who} {}", "y".repeat(3_000));
            let enqueue = |who| producer.enqueue(Record::to("t").partition(0).value(value(who)));
            let mut first = Stepper::new(enqueue("first"));
            let mut second = Stepper::new(Box::into_pin(victim(&producer, value("second"))));
            let mut third = Stepper::new(enqueue("third"));
            assert!(first.poll().is_pending() && second.poll().is_pending() && third.poll().is_pending());
            assert_eq!(producer.metrics().buffer.waiting, 3);
            let early = point.polls == 1 && !point.woken;
            let done = if early {
                drop(second);
                assert_eq!(producer.metrics().buffer.waiting, 2, "its place in the line is gone");
                cluster.resume_node(NODE);
                None
            } else {
                cluster.resume_node(NODE);
                second.woken().await;
                assert!(first.alarm.rung.load(Ordering::SeqCst), "it was there before");
                match point.polls {
                    1 => {
                        drop(second);
                        None
                    }
                    polls => second.until(Point { polls: polls - 1, ..point }).await,
                }
            };
            let first = first.finish().await.unwrap();
            let third = third.finish().await.unwrap();
            first.await.unwrap();
            third.await.unwrap();
            for delivery in taken {
                delivery.await.unwrap();
            }
            goes_on(&producer, &cluster).await;
            let log = values(&cluster, "t", 0);
            let at = |who: &str| log.iter().position(|logged| *logged == value(who));
            match done {
                Some(taken) => assert!(taken && at("second").is_some(), "{point:?}"),
                // An append is the last thing an enqueue does; whoever waits for outcomes may have been dropped after it.
                None if point.polls == 1 => assert_eq!(at("second"), None, "{point:?}"),
                None => {}
            }
            assert!(at("first").is_some() && at("first") < at("third"), "{point:?}");
            producer.close(LONG).await.unwrap();
            if done.is_some() {
                return;
            }
        }
        panic!("it is never done");
    });
}

#[test]
fn an_enqueue_that_waits_for_memory() {
    while_it_waits_for_memory(|producer, value| {
        Box::new(
            async move { producer.enqueue(Record::to("t").partition(0).value(value)).await.unwrap().await.is_ok() },
        )
    });
}

#[test]
fn an_enqueue_with_a_token_that_waits_for_memory() {
    while_it_waits_for_memory(|producer, value| {
        Box::new(async move {
            producer.enqueue_with(Record::to("t").partition(0).value(value), 7).await.unwrap();
            producer.flush().await.is_ok()
        })
    });
}

#[test]
fn a_send_that_waits_for_memory() {
    while_it_waits_for_memory(|producer, value| {
        Box::new(async move { producer.send(Record::to("t").partition(0).value(value)).await.is_ok() })
    });
}

#[test]
fn a_send_all_that_waits_for_memory() {
    while_it_waits_for_memory(|producer, value| {
        Box::new(async move {
            let records = [value.clone() + "-", value].map(|value| Record::to("t").partition(0).value(value));
            producer.send_all(records).await.iter().all(Result::is_ok)
        })
    });
}

/// Drops a call at every point until it is done; `prepare` comes before it and `check` after it, with what it came to.
fn at_each_point<T>(
    call: impl for<'a> AsyncFn(&'a Producer, Point) -> T,
    check: impl AsyncFn(&Producer, Point, Option<T>),
) {
    run(async {
        let cluster = topic().await;
        for point in points() {
            let producer = producer(&cluster);
            let done = Stepper::new(call(&producer, point)).until(point).await;
            let over = done.is_some();
            check(&producer, point, done).await;
            goes_on(&producer, &cluster).await;
            producer.close(LONG).await.unwrap();
            if over {
                return;
            }
        }
        panic!("it is never done");
    });
}

#[test]
fn a_send_of_which_nothing_is_lost() {
    at_each_point(
        async |producer, point| producer.send(Record::to("t").partition(0).value(format!("{point:?}"))).await,
        async |producer, _, done| {
            producer.flush().await.unwrap();
            assert!(done.is_none_or(|sent| sent.is_ok()));
            assert_eq!(producer.metrics().total.delivered.records, 1, "it was queued at its first poll");
        },
    );
}

#[test]
fn a_send_all_of_which_nothing_is_lost() {
    at_each_point(
        async |producer, point| {
            let records = (0..3).map(|n| Record::to("t").partition(0).value(format!("{point:?} {n}")));
            producer.send_all(records).await
        },
        async |producer, _, done| {
            producer.flush().await.unwrap();
            assert!(done.is_none_or(|sent| sent.iter().all(Result::is_ok)));
            assert_eq!(producer.metrics().total.delivered.records, 3, "they were queued at its first poll");
        },
    );
}

#[test]
fn a_delivery_whose_record_is_delivered_all_the_same() {
    at_each_point(
        async |producer, point| {
            producer.enqueue(Record::to("t").partition(0).value(format!("{point:?}"))).await.unwrap().await
        },
        async |producer, _, _| {
            producer.flush().await.unwrap();
            assert_eq!(producer.metrics().total.delivered.records, 1);
        },
    );
}

#[test]
fn a_future_that_borrows_its_delivery_which_then_can_be_awaited_again() {
    at_each_point(
        async |producer, point| {
            let mut delivery =
                producer.enqueue(Record::to("t").partition(0).value(format!("{point:?}"))).await.unwrap();
            drop(Stepper::new(&mut delivery).until(Point { polls: 1, woken: point.woken }).await);
            if delivery.is_done() { Ok(()) } else { delivery.await.map(drop) }
        },
        async |_, _, done| assert!(done.is_none_or(|heard| heard.is_ok())),
    );
}

#[test]
fn a_flush_after_which_another_is_as_good() {
    at_each_point(
        async |producer, point| {
            drop(producer.enqueue(Record::to("t").partition(0).value(format!("{point:?}"))).await.unwrap());
            producer.flush().await
        },
        async |producer, _, done| {
            assert!(done.is_none_or(|flushed| flushed.is_ok()));
            producer.flush().await.unwrap();
            assert_eq!(producer.metrics().total.delivered.records, 1);
        },
    );
}

#[test]
fn a_flush_that_was_to_tell_of_unobserved_failures_leaves_them_to_the_next() {
    run(async {
        let cluster = topic().await;
        for point in points() {
            let producer = producer(&cluster);
            cluster.script(Rule::on(ApiKey::PRODUCE, Reaction::Error(ErrorCode::TOPIC_AUTHORIZATION_FAILED)));
            drop(producer.enqueue(Record::to("t").partition(0)).await.unwrap());
            let done = Stepper::new(producer.flush()).until(point).await;
            let told = done.unwrap_or(Ok(())).is_err();
            let FlushError::Unobserved(failures) = (match producer.flush().await {
                Ok(()) => {
                    assert!(told, "{point:?}: nobody was told");
                    return producer.close(LONG).await.unwrap();
                }
                Err(error) => error,
            }) else {
                panic!("{point:?}")
            };
            assert!(!told && failures.records == 1, "{point:?}");
            goes_on(&producer, &cluster).await;
        }
        panic!("it is never done");
    });
}

#[test]
fn a_purge_which_is_carried_out_once_it_was_polled() {
    run(async {
        let cluster = topic().await;
        for point in points() {
            let producer = builder(&cluster).linger(HOUR).delivery_timeout(HOUR * 2).build().unwrap();
            let queued = producer.enqueue(Record::to("t").partition(0).value(format!("{point:?}"))).await.unwrap();
            let done = Stepper::new(producer.purge(Purge { queued: true, in_flight: true })).until(point).await;
            queued.await.unwrap_err();
            goes_on(&producer, &cluster).await;
            if let Some(purged) = done {
                assert_eq!(purged.unwrap(), 1);
                return;
            }
        }
        panic!("it is never done");
    });
}

#[test]
fn a_close_which_goes_on_once_it_was_polled() {
    run(async {
        let cluster = topic().await;
        for point in points() {
            let producer = producer(&cluster);
            let value = format!("{point:?}");
            let queued = producer.enqueue(Record::to("t").partition(0).value(value)).await.unwrap();
            let done = Stepper::new(producer.close(LONG)).until(point).await;
            queued.await.unwrap();
            let refused = producer.enqueue(Record::to("t")).await.map(drop);
            assert_eq!(refused, Err(EnqueueError::Closed), "{point:?}");
            producer.close(LONG).await.unwrap();
            until("all memory is back", || producer.metrics().buffer.used == 0).await;
            if let Some(closed) = done {
                return closed.unwrap();
            }
        }
        panic!("it is never done");
    });
}

#[test]
fn questions_about_the_cluster() {
    at_each_point(
        async |producer, _| producer.wait_ready(LONG).await,
        async |producer, _, _| producer.wait_ready(LONG).await.unwrap(),
    );
    at_each_point(
        async |producer, _| producer.partitions_for("t", LONG).await,
        async |producer, _, _| assert_eq!(producer.partitions_for("t", LONG).await.unwrap().leaders.len(), 1),
    );
    at_each_point(
        async |producer, _| producer.prepare(&["t"], LONG).await,
        async |producer, _, _| producer.prepare(&["t"], LONG).await.unwrap(),
    );
}

#[test]
fn a_wait_with_a_limit_hands_the_delivery_back_and_nothing_is_lost() {
    run(async {
        let cluster = topic().await;
        let producer = builder(&cluster).linger(HOUR).delivery_timeout(HOUR * 2).build().unwrap();
        let delivery = producer.enqueue(Record::to("t").partition(0).value("waited for")).await.unwrap();
        let wait = move || delivery.wait_timeout(Duration::from_millis(1)).unwrap_err();
        let delivery = tokio::task::spawn_blocking(wait).await.unwrap();
        producer.flush().await.unwrap();
        delivery.await.unwrap();
        goes_on(&producer, &cluster).await;
    });
}
