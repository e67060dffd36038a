//! Failed records are not lost: they come back whole, or go to a topic of their own, and if even that fails somebody is told.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use milena_broker::{EmbeddedCluster, Reaction, Rule};
use milena_producer::{
    Codec, Compression, DeadLetter, DeadLetterTopic, Delivery, ErrorCode, FailureKind, FailurePolicy, Fate, Io,
    Producer, Purge, Record, dead_letter_headers as name,
};
use milena_wire::ApiKey;
use parking_lot::Mutex;

use crate::support::*;

/// A cluster that refuses every record of topic `t`.
async fn refusing(error: ErrorCode) -> EmbeddedCluster {
    let cluster = one_node().await;
    cluster.create_topic("t", 2, 1).unwrap();
    cluster.script(Rule::on(ApiKey::PRODUCE, Reaction::Error(error)).topic("t").always());
    cluster
}

/// A policy that remembers.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<DeadLetter>>>);

impl Kept {
    fn take(&self) -> impl Fn(DeadLetter) + Send + Sync + 'static {
        let kept = self.clone();
        move |letter| kept.0.lock().push(letter)
    }

    fn policy(&self) -> FailurePolicy {
        FailurePolicy::callback(self.take())
    }

    fn letters(&self) -> Vec<DeadLetter> {
        std::mem::take(&mut *self.0.lock())
    }

    fn len(&self) -> usize {
        self.0.lock().len()
    }
}

fn record(n: i32) -> Record<'static> {
    let record = Record::to("t").partition(n % 2).timestamp_ms(1_000 + i64::from(n)).null_header("n");
    let record = record.header("n", n.to_string()).header("trace", vec![0, 255]);
    match n % 3 {
        0 => record.key(n.to_string()),
        1 => record.value(vec![u8::try_from(n % 200).unwrap(); 300]),
        _ => record.key("").value(""),
    }
}

async fn enqueue(producer: &Producer, count: i32) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    for n in 0..count {
        deliveries.push(producer.enqueue(record(n)).await.unwrap());
    }
    deliveries
}

fn text(record: &milena_broker::StoredRecord, header: &str) -> Option<String> {
    let (_, value) = record.headers.iter().find(|(name, _)| name == header)?;
    Some(String::from_utf8(value.as_ref().unwrap().to_vec()).unwrap())
}

#[test]
fn a_callback_gets_each_failed_record_back_whole_and_the_outcome_is_as_ever() {
    for codec in [Codec::None, Codec::Lz4] {
        run(async {
            let cluster = refusing(ErrorCode::TOPIC_AUTHORIZATION_FAILED).await;
            let kept = Kept::default();
            let builder = builder(&cluster).compression(Compression::new(codec));
            let producer = builder.on_failure(kept.policy()).build().unwrap();
            let deliveries = enqueue(&producer, 100).await;
            producer.send(Record::to("fine").value("delivered")).await.unwrap();
            producer.flush().await.unwrap();
            let letters = kept.letters();
            for delivery in deliveries {
                let error = delivery.await.unwrap_err();
                assert_eq!((error.kind(), error.fate()), (FailureKind::Authorization, Fate::NotWritten));
            }
            let records = |partition| {
                let of = letters.iter().map(|letter| &letter.record);
                of.filter(|record| record.partition_number() == Some(partition)).cloned().collect::<Vec<_>>()
            };
            for partition in [0, 1] {
                let expected: Vec<_> = (0..100).filter(|n| n % 2 == partition).map(record).collect();
                assert_eq!(records(partition), expected);
            }
            for letter in &letters {
                assert_eq!((letter.kind(), letter.fate()), (FailureKind::Authorization, Fate::NotWritten));
                assert_eq!(letter.code(), Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED));
                assert_eq!((letter.attempts(), letter.failure.topic.as_str()), (1, "t"));
            }
            let metrics = producer.metrics();
            assert_eq!((letters.len(), metrics.dead_letters, metrics.dead_letters_lost), (100, 100, 0));
            until("the memory is back", || producer.metrics().buffer.used == 0).await;
            producer.close(LONG).await.unwrap();
        });
    }
}

#[test]
fn a_dead_letter_topic_gets_the_record_unchanged_and_what_became_of_it_in_headers() {
    run(async {
        let cluster = refusing(ErrorCode::INVALID_REQUIRED_ACKS).await;
        let producer = builder(&cluster).on_failure(FailurePolicy::topic("t.dead")).build().unwrap();
        let deliveries = enqueue(&producer, 50).await;
        producer.flush().await.unwrap();
        // The flush waited for them.
        let letters = log(&cluster, "t.dead", 0);
        assert_eq!(letters.len(), 50);
        for delivery in deliveries {
            assert_eq!(delivery.await.unwrap_err().kind(), FailureKind::Broker);
        }
        let mut seen = Vec::new();
        for letter in &letters {
            let own = &letter.headers[..3];
            assert_eq!((own[0].0.as_str(), &own[0].1), ("n", &None));
            let n: i32 = String::from_utf8(own[1].1.as_ref().unwrap().to_vec()).unwrap().parse().unwrap();
            let expected = record(n);
            assert_eq!(letter.key.as_deref(), expected.key_bytes());
            assert_eq!(letter.value.as_deref(), expected.value_bytes());
            assert_eq!(Some(letter.timestamp_ms), expected.timestamp());
            assert_eq!((own[2].0.as_str(), own[2].1.as_deref()), ("trace", Some(&[0, 255][..])));
            let said = |header| text(letter, header).unwrap();
            assert_eq!(said(name::TOPIC), "t");
            assert_eq!(said(name::PARTITION), (n % 2).to_string());
            assert_eq!(said(name::TIMESTAMP), (1_000 + n).to_string());
            assert_eq!((said(name::FATE), said(name::KIND)), ("not_written".into(), "Broker".into()));
            assert_eq!((said(name::CODE), said(name::ATTEMPTS)), ("INVALID_REQUIRED_ACKS (21)".into(), "1".into()));
            assert!(said(name::CAUSE).contains("topic t"), "{}", said(name::CAUSE));
            assert_eq!(letter.headers.len(), 3 + 8);
            seen.push(n);
        }
        for partition in [0, 1] {
            let of: Vec<_> = seen.iter().copied().filter(|n| n % 2 == partition).collect();
            assert_eq!(of, (0..50).filter(|n| n % 2 == partition).collect::<Vec<_>>(), "in order");
        }
        let metrics = producer.metrics();
        assert_eq!((metrics.dead_letters, metrics.dead_letters_lost), (50, 0));
        producer.close(LONG).await.unwrap();
    });
}

#[test]
fn records_that_never_had_a_partition_are_dead_letters_too() {
    run(async {
        let cluster = started(EmbeddedCluster::builder().auto_create_topics(false)).await;
        cluster.create_topic("dead", 1, 1).unwrap();
        let builder = builder(&cluster).unknown_topic_grace(Duration::from_millis(50));
        let producer = builder.on_failure(FailurePolicy::topic("dead")).build().unwrap();
        let failed = producer.send(Record::to("nope").key("k").value("v")).await.unwrap_err();
        assert_eq!(failed.fate(), Fate::NotWritten);
        producer.flush().await.unwrap();
        let [letter] = &log(&cluster, "dead", 0)[..] else { panic!("one letter") };
        assert_eq!((letter.key.as_deref(), letter.value.as_deref()), (Some(&b"k"[..]), Some(&b"v"[..])));
        assert_eq!(text(letter, name::PARTITION), None);
        assert_eq!(text(letter, name::KIND).unwrap(), "TopicUnknown");
    });
}

#[test]
fn purged_records_are_no_dead_letters_unless_the_user_says_so_and_those_that_may_be_written_say_it() {
    run(async {
        let cluster = one_node().await;
        for (wanted, expected) in [(false, 0), (true, 1)] {
            let kept = Kept::default();
            let policy =
                if wanted { kept.policy().only(|failure| failure.fate == Fate::MaybeWritten) } else { kept.policy() };
            let producer = builder(&cluster).on_failure(policy).build().unwrap();
            producer.send(Record::to("t").partition(0)).await.unwrap();
            cluster.pause_node(milena_wire::BrokerId(1));
            let in_flight = producer.enqueue(Record::to("t").partition(0).value("in flight")).await.unwrap();
            until("a request is in flight", || producer.metrics().requests_in_flight == 1).await;
            let queued = producer.enqueue(Record::to("t").partition(0).value("queued")).await.unwrap();
            producer.purge(Purge { queued: true, in_flight: true }).await.unwrap();
            assert_eq!(in_flight.await.unwrap_err().fate(), Fate::MaybeWritten);
            assert_eq!(queued.await.unwrap_err().fate(), Fate::NotWritten);
            producer.flush().await.unwrap();
            assert_eq!(kept.len(), expected);
            assert_eq!(producer.metrics().dead_letters, expected as u64);
            assert!(kept.letters().iter().all(|letter| letter.fate() == Fate::MaybeWritten));
            cluster.resume_node(milena_wire::BrokerId(1));
            producer.close(LONG).await.unwrap();
        }
    });
}

#[test]
fn what_a_close_gives_up_is_a_dead_letter_and_marked_as_maybe_written() {
    run(async {
        let cluster = one_node().await;
        cluster.create_topic("t", 2, 1).unwrap();
        cluster.script(Rule::on(ApiKey::PRODUCE, Reaction::Silence).topic("t").always());
        let producer = builder(&cluster).on_failure(FailurePolicy::topic("dead")).build().unwrap();
        let delivery = producer.enqueue(Record::to("t").partition(1).value("in flight")).await.unwrap();
        until("it is in flight", || producer.metrics().requests_in_flight == 1).await;
        let error = producer.close(Duration::ZERO).await.unwrap_err();
        assert_eq!((error.cut_off, error.dead_letters_lost), (1, 0));
        assert_eq!(delivery.await.unwrap_err().kind(), FailureKind::Closed);
        let [letter] = &log(&cluster, "dead", 0)[..] else { panic!("one letter") };
        assert_eq!(text(letter, name::FATE).unwrap(), "maybe_written");
        assert_eq!(text(letter, name::KIND).unwrap(), "Closed");
    });
}

#[test]
fn a_dead_letter_that_fails_goes_round_no_circle_and_is_told_lost() {
    run(async {
        let cluster = one_node().await;
        cluster.script(Rule::on(ApiKey::PRODUCE, Reaction::Error(ErrorCode::TOPIC_AUTHORIZATION_FAILED)).always());
        let lost = Kept::default();
        let topic = DeadLetterTopic::new("dead").on_lost(lost.take());
        let producer = builder(&cluster).on_failure(FailurePolicy::topic(topic)).build().unwrap();
        // One that is produced to the topic itself is no letter.
        producer.send(Record::to("dead").value("no letter")).await.unwrap_err();
        producer.send(Record::to("t").key("k").value("v").header("own", "1")).await.unwrap_err();
        producer.flush().await.unwrap();
        until("it is told", || lost.len() == 1).await;
        let metrics = producer.metrics();
        assert_eq!((metrics.dead_letters, metrics.dead_letters_lost), (1, 1));
        let error = producer.close(LONG).await.unwrap_err();
        assert_eq!((error.cut_off, error.dead_letters_lost), (0, 1));
        assert!(error.to_string().contains("1 dead letters are lost"), "{error}");
        let [letter] = &lost.letters()[..] else { panic!("one") };
        assert_eq!((letter.record.topic(), letter.failure.topic.as_str()), ("dead", "dead"));
        assert_eq!(letter.record.key_bytes(), Some(&b"k"[..]));
        let headers: Vec<_> = letter.record.headers().map(|(name, _)| name.to_owned()).collect();
        assert_eq!((headers[0].as_str(), headers[1].as_str()), ("own", name::TOPIC));
        assert_eq!(cluster.requests()[&ApiKey::PRODUCE], 3);
    });
}

#[test]
fn a_callback_that_panics_loses_one_letter_and_is_given_the_next() {
    run(async {
        let cluster = refusing(ErrorCode::TOPIC_AUTHORIZATION_FAILED).await;
        let kept = Kept::default();
        let take = kept.take();
        let policy = FailurePolicy::callback(move |letter| {
            assert!(letter.record.value_bytes() != Some(b"1"), "a callback that panics");
            take(letter);
        });
        let producer = builder(&cluster).on_failure(policy).build().unwrap();
        for n in 0..3 {
            producer.send(Record::to("t").value(n.to_string())).await.unwrap_err();
        }
        producer.flush().await.unwrap();
        assert_eq!(kept.len(), 2);
        assert_eq!(producer.metrics().dead_letters_lost, 1);
        assert_eq!(producer.close(LONG).await.unwrap_err().dead_letters_lost, 1);
    });
}

#[test]
fn what_a_policy_owns_goes_with_the_producer_though_handles_and_threads_that_produced_remain() {
    run(async {
        for to_topic in [false, true] {
            let cluster = refusing(ErrorCode::TOPIC_AUTHORIZATION_FAILED).await;
            let (tx, letters) = channel();
            let take = move |letter| tx.send(letter).unwrap();
            let policy = match to_topic {
                true => FailurePolicy::topic(DeadLetterTopic::new("dead").on_lost(take)),
                false => FailurePolicy::callback(take),
            };
            let producer = builder(&cluster).on_failure(policy).build().unwrap();
            let deliveries = enqueue(&producer, 2).await;
            producer.close(LONG).await.unwrap();
            drop(producer);
            for _ in deliveries.iter().filter(|_| !to_topic) {
                letters.recv_timeout(LONG).unwrap();
            }
            let end = letters.recv_timeout(LONG);
            assert!(matches!(end, Err(RecvTimeoutError::Disconnected)), "the callback is dropped: {end:?}");
        }
    });
}

/// A policy whose every call waits for a word.
fn waiting() -> (FailurePolicy, Receiver<DeadLetter>, Sender<()>) {
    let (given, letters) = channel();
    let (word, gate) = channel();
    let inside = Mutex::new((given, gate));
    let policy = FailurePolicy::callback(move |letter| {
        let (given, gate) = &*inside.lock();
        // The test may be over.
        let _ = given.send(letter);
        let _ = gate.recv();
    });
    (policy, letters, word)
}

#[test]
fn a_callback_that_blocks_delays_no_delivery_and_holds_memory_until_it_returns() {
    run(async {
        let cluster = refusing(ErrorCode::TOPIC_AUTHORIZATION_FAILED).await;
        let (policy, letters, word) = waiting();
        let producer = builder(&cluster).on_failure(policy).build().unwrap();
        producer.send(Record::to("t").value(vec![7; 5_000])).await.unwrap_err();
        letters.recv().unwrap();
        // Others fail and are delivered as ever.
        producer.send(Record::to("t").value("x")).await.unwrap_err();
        producer.send(Record::to("fine").value("x")).await.unwrap();
        assert!(producer.metrics().buffer.used >= 5_000);
        // A flush says so and goes on.
        producer.flush().await.unwrap();
        let error = producer.close(Duration::ZERO).await.unwrap_err();
        assert_eq!((error.cut_off, error.dead_letters_lost), (0, 2), "not kept by then");
        // They are kept all the same, if the process lives on.
        word.send(()).unwrap();
        word.send(()).unwrap();
        letters.recv().unwrap();
        until("the memory is back", || producer.metrics().buffer.used == 0).await;
    });
}

#[test]
fn a_buffer_full_of_failed_records_comes_free_as_they_become_letters() {
    run(async {
        let cluster = refusing(ErrorCode::TOPIC_AUTHORIZATION_FAILED).await;
        let builder = builder(&cluster).buffer_memory(32 << 10).max_record_size(8 << 10).batch_size(4 << 10);
        let producer = builder.on_failure(FailurePolicy::topic("dead")).build().unwrap();
        // Far more than the buffer holds: every enqueue waits for what failed before.
        for n in 0..3_000 {
            drop(producer.enqueue(Record::to("t").key(n.to_string()).value(vec![1; 100])).await.unwrap());
        }
        let unobserved = producer.flush().await.unwrap_err();
        assert!(unobserved.to_string().contains("3000"), "{unobserved}");
        let mut keys: Vec<u32> = log(&cluster, "dead", 0)
            .iter()
            .map(|letter| String::from_utf8(letter.key.as_ref().unwrap().to_vec()).unwrap().parse().unwrap())
            .collect();
        keys.sort_unstable();
        assert_eq!(keys, (0..3_000).collect::<Vec<_>>(), "each once");
        until("the memory is back", || producer.metrics().buffer.used == 0).await;
        producer.close(LONG).await.unwrap();
    });
}

#[test]
fn letters_that_no_broker_takes_in_time_are_lost_at_the_close_and_the_close_ends() {
    run(async {
        let cluster = refusing(ErrorCode::TOPIC_AUTHORIZATION_FAILED).await;
        cluster.script(Rule::on(ApiKey::PRODUCE, Reaction::Silence).topic("dead").always());
        // A few, and more than the letters' own buffer takes.
        for count in [5, 6_000] {
            let producer = builder(&cluster).on_failure(FailurePolicy::topic("dead")).build().unwrap();
            let records = (0..count).map(|_| Record::to("t").value(vec![1; 1_000]));
            assert!(producer.send_all(records).await.iter().all(Result::is_err));
            let error = producer.close(Duration::ZERO).await.unwrap_err();
            assert_eq!((error.cut_off, error.dead_letters_lost), (0, count));
            assert_eq!(producer.metrics().dead_letters_lost, count);
        }
    });
}

#[test]
fn a_producer_that_is_dropped_still_makes_its_letters() {
    run(async {
        let cluster = refusing(ErrorCode::TOPIC_AUTHORIZATION_FAILED).await;
        let producer = builder(&cluster).on_failure(FailurePolicy::topic("dead")).build().unwrap();
        let deliveries = enqueue(&producer, 20).await;
        drop((producer, deliveries));
        until("all are there", || cluster.partition_count("dead").is_some() && log(&cluster, "dead", 0).len() == 20)
            .await;
    });
}

#[test]
fn a_runtime_that_shuts_down_gives_back_what_it_will_not_deliver() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let cluster = EmbeddedCluster::builder().start_blocking().unwrap();
    let kept = Kept::default();
    let builder = builder(&cluster).io(Io::Runtime(runtime.handle().clone()));
    let producer = builder.on_failure(kept.policy()).build().unwrap();
    producer.blocking().send(Record::to("t").partition(0)).unwrap();
    cluster.pause_node(milena_wire::BrokerId(1));
    let in_flight = producer.blocking().enqueue(Record::to("t").partition(0).value("in flight")).unwrap();
    while producer.metrics().requests_in_flight == 0 {
        std::thread::yield_now();
    }
    let queued = producer.blocking().enqueue(Record::to("t").partition(0).value("queued")).unwrap();
    runtime.shutdown_timeout(LONG);
    assert_eq!(in_flight.wait().unwrap_err().kind(), FailureKind::RuntimeGone);
    assert_eq!(queued.wait().unwrap_err().kind(), FailureKind::RuntimeGone);
    let error = producer.blocking().close(LONG).unwrap_err();
    assert!(error.cut_short && error.dead_letters_lost == 0);
    let letters = kept.letters();
    let told: Vec<_> = letters.iter().map(|l| (l.record.value_bytes().unwrap(), l.kind(), l.fate())).collect();
    let gone = FailureKind::RuntimeGone;
    assert_eq!(told, [(&b"in flight"[..], gone, Fate::MaybeWritten), (&b"queued"[..], gone, Fate::NotWritten)]);
    cluster.resume_node(milena_wire::BrokerId(1));
}

#[test]
fn a_callback_may_flush_and_close_the_producer_it_belongs_to() {
    run(async {
        let cluster = refusing(ErrorCode::TOPIC_AUTHORIZATION_FAILED).await;
        let slot: Arc<Mutex<Option<Producer>>> = Arc::default();
        let (inside, (done, finished)) = (Arc::clone(&slot), channel());
        let done = Mutex::new(done);
        let policy = FailurePolicy::callback(move |_| {
            let Some(producer) = inside.lock().take() else { return };
            let flushed = producer.blocking().flush().is_ok();
            // The letter in hand is not kept yet.
            drop(producer.blocking().close(LONG));
            done.lock().send(flushed).unwrap();
        });
        let producer = builder(&cluster).on_failure(policy).build().unwrap();
        *slot.lock() = Some(producer.clone());
        let delivery = producer.enqueue(Record::to("t")).await.unwrap();
        assert!(tokio::task::spawn_blocking(move || finished.recv_timeout(LONG)).await.unwrap().unwrap());
        delivery.await.unwrap_err();
    });
}

#[test]
fn a_topic_without_a_name_is_refused() {
    let error = Producer::builder("localhost:9092").on_failure(FailurePolicy::topic("")).build().unwrap_err();
    assert_eq!(error.problems()[0].setting, "milena.dead.letter.topic");
}
