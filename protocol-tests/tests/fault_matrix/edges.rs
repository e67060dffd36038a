//! Rows 96 to 100: runtimes that end or starve, partitioners that err, and values at the ends of their range.

use std::sync::Arc;
use std::time::Duration;

use milena::{
    CustomPartitioner, EnqueueError, FailureKind, Fate, Io, PartitionId, PartitionRequest, PartitionerKind, Producer,
    ProducerBuilder, Record, RecreatedTopic,
};
use milena_broker::{EmbeddedCluster, Profile};
use milena_wire::BrokerId;
use protocol_tests::account::{Content, Outcome, ToSend};
use protocol_tests::facade::record;
use protocol_tests::rig::{LONG, Rig, Story, run, until};

const TOPIC: &str = "t";
const NODE: BrokerId = BrokerId(1);
const HOUR: Duration = Duration::from_secs(3600);

async fn rig(partitions: i32) -> Rig {
    let rig = Rig::nodes(1).await;
    rig.topic(TOPIC, partitions);
    rig
}

fn theirs() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

#[test]
fn row_096_a_runtime_that_shuts_down_settles_every_delivery() {
    let theirs = theirs();
    let handle = theirs.handle().clone();
    run(async {
        let rig = rig(1).await;
        let builder = rig.producer().io(Io::Runtime(handle)).request_timeout(LONG).delivery_timeout(2 * LONG);
        let mut story = Story::with(&rig, builder);
        story.deliver(TOPIC, 3).await;
        rig.cluster().pause_node(NODE);
        story.enqueue_in_flight(TOPIC, 5).await;
        story.enqueue(TOPIC, 4).await;
        story.enqueue("not known yet", 2).await;
        let flushing = story.producer().clone();
        let flush = tokio::spawn(async move { flushing.flush().await });
        theirs.shutdown_background();
        story.settled().await;
        assert!(flush.await.unwrap().is_err());
        let producer = story.producer().clone();
        assert_eq!(producer.enqueue(Record::to(TOPIC)).await.map(drop), Err(EnqueueError::Closed));
        let closed = producer.close(HOUR).await.unwrap_err();
        assert!(closed.cut_short && closed.unobserved.is_none(), "{closed}");
        rig.cluster().resume_node(NODE);
        let ended = story.judged(30).await;
        assert!(ended.failures.iter().all(|failure| failure.kind == FailureKind::RuntimeGone));
        let fates: Vec<_> = ended.failures.iter().map(|failure| failure.fate).collect();
        assert_eq!(fates[..5], [Fate::MaybeWritten; 5]);
        assert_eq!(fates[5..], [Fate::NotWritten; 6]);
    });
}

#[test]
fn row_096_a_caller_that_never_awaits_starves_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let rig = rig(1).await;
        let mut story = Story::new(&rig);
        // The only thread of the caller's runtime is busy from here on until all is delivered.
        for n in 0..50 {
            let next = Story::next(Some(0), b"");
            let delivery = story.producer().try_enqueue(record(TOPIC, &next)).unwrap();
            while n % 10 == 9 && !delivery.is_done() {
                std::thread::yield_now();
            }
            story.adopt(TOPIC, next, delivery);
        }
        assert_eq!(story.open_among(50), 0);
        story.end(70).await.all_delivered();
    });
}

/// Chooses what the key says.
struct ByKey;

impl CustomPartitioner for ByKey {
    fn partition(&self, record: &PartitionRequest<'_>) -> PartitionId {
        let key = record.parts.key.expect("a key");
        PartitionId(std::str::from_utf8(key).expect("text").parse().expect("a number for a key"))
    }
}

#[test]
fn row_097_a_partitioner_that_errs_harms_its_own_record_alone() {
    run(async {
        let rig = rig(3).await;
        let mut story = Story::with(&rig, rig.producer().partitioner(PartitionerKind::Custom(Arc::new(ByKey))));
        story.deliver(TOPIC, 1).await;
        for key in ["0", "3", "1", "-1", "2", "none", "2147483647", "0"] {
            let mut next = Story::next(None, b"");
            next.content.key = Some(key.as_bytes().to_vec());
            let taken = story.producer().enqueue(record(TOPIC, &next)).await;
            let chosen: Option<i32> = key.parse().ok();
            match (taken, chosen) {
                (Ok(delivery), Some(0..=2)) => story.adopt(TOPIC, ToSend { partition: chosen, ..next }, delivery),
                (Err(EnqueueError::Partitioner { message }), Some(chosen)) => {
                    assert!(message.contains(&format!("partition {chosen} of topic t, which has 3")), "{message}");
                }
                (Err(EnqueueError::Partitioner { message }), None) => {
                    assert!(message.contains("a number"), "{message}")
                }
                (other, _) => panic!("{key}: {other:?}"),
            }
        }
        let ended = story.end(20).await;
        ended.all_delivered();
        assert_eq!(ended.sent.len(), 5);
    });
}

#[test]
fn row_097_partitions_that_vanish_under_the_sticky_choice() {
    run(async {
        let rig = rig(8).await;
        let builder = rig.producer().recreated_topic(RecreatedTopic::Send).sticky_bytes(1);
        let mut story = Story::with(&rig, builder);
        for _ in 0..20 {
            story.deliver_aside(TOPIC, None).await;
        }
        rig.cluster().recreate_topic(TOPIC, 1).unwrap();
        // What is sent before this is known ends in one way or another, and truly.
        until("the new one is known", || {
            let known = story.producer().metrics().total.delivered.records > 20;
            if !known {
                let next = Story::next(None, b"");
                let delivery = story.producer().try_enqueue(record(TOPIC, &next)).unwrap();
                story.adopt(TOPIC, next, delivery);
            }
            known
        })
        .await;
        story.settled().await;
        for _ in 0..20 {
            story.enqueue_to(TOPIC, None, 1).await;
        }
        let ended = story.end(400).await;
        let last = &ended.sent[ended.sent.len() - 20..];
        assert!(last.iter().all(|sent| matches!(sent.outcome, Outcome::Delivered { partition: 0, .. })), "{last:?}");
    });
}

#[test]
fn row_098_timestamps_out_of_order_and_at_the_ends_of_their_range() {
    run(async {
        // Newer brokers refuse times from the future.
        let rig = Rig::start(EmbeddedCluster::builder().profile(Profile::V3_9)).await;
        rig.topic(TOPIC, 1);
        let mut story = Story::with(&rig, rig.producer().linger(HOUR).delivery_timeout(2 * HOUR));
        for times in [[5, 0, i64::MAX, 3, i64::MAX - 1], [i64::MAX, 0, 0, i64::MAX, 1], [0, 1 << 40, 1 << 20, 1, 0]] {
            for time in times {
                let next = ToSend { timestamp: Some(time), ..Story::next(Some(0), b"") };
                story.enqueue_record(TOPIC, next).await;
            }
            for time in [-1, i64::MIN] {
                let refused = story.producer().enqueue(Record::to(TOPIC).timestamp_ms(time)).await.map(drop);
                assert_eq!(refused, Err(EnqueueError::Timestamp { given: time }));
            }
            story.producer().flush().await.unwrap();
        }
        let ended = story.end(15).await;
        ended.all_delivered();
        let batches = rig.cluster().log(TOPIC, PartitionId(0));
        let told: Vec<_> = batches.iter().map(|batch| (batch.record_count(), batch.header().max_timestamp)).collect();
        assert_eq!(told, [(5, i64::MAX), (5, i64::MAX), (5, 1 << 40)]);
    });
}

#[test]
fn row_099_null_and_empty_stay_apart_and_headers_keep_order_and_doubles() {
    run(async {
        let rig = rig(1).await;
        let mut story = Story::new(&rig);
        let some = |text: &str| Some(text.as_bytes().to_vec());
        let header = |name: &str, value: Option<Vec<u8>>| (name.to_owned(), value);
        let doubles = vec![
            header("b", some("1")),
            header("a", None),
            header("b", some("")),
            header("", some("nameless")),
            header("b", some("1")),
        ];
        let fields = [None, some(""), some("x")];
        for key in &fields {
            for value in &fields {
                for headers in [Vec::new(), doubles.clone(), (0..40).map(|_| header("same", some("same"))).collect()] {
                    let content = Content { key: key.clone(), value: value.clone(), headers };
                    story.enqueue_record(TOPIC, ToSend { content, partition: Some(0), ..ToSend::default() }).await;
                }
            }
        }
        let ended = story.end(40).await;
        ended.all_delivered();
        assert_eq!(ended.account.stored, 27, "no two of them alike, on the log either");
    });
}

#[test]
fn row_100_timeouts_that_no_request_can_carry_are_refused_by_the_config() {
    let most = Duration::from_millis(2_147_483_647);
    let too_much = most + Duration::from_millis(1);
    type Set = fn(ProducerBuilder, Duration) -> ProducerBuilder;
    let settings: [(&str, Set); 15] = [
        ("linger.ms", ProducerBuilder::linger),
        ("max.block.ms", ProducerBuilder::max_block),
        ("delivery.timeout.ms", ProducerBuilder::delivery_timeout),
        ("request.timeout.ms", ProducerBuilder::request_timeout),
        ("retry.backoff.ms", ProducerBuilder::retry_backoff),
        ("retry.backoff.max.ms", ProducerBuilder::retry_backoff_max),
        ("topic.metadata.propagation.max.ms", ProducerBuilder::unknown_topic_grace),
        ("metadata.max.age.ms", ProducerBuilder::metadata_max_age),
        ("metadata.max.idle.ms", ProducerBuilder::metadata_max_idle),
        ("metadata.recovery.rebootstrap.trigger.ms", ProducerBuilder::rebootstrap_trigger),
        ("socket.connection.setup.timeout.ms", ProducerBuilder::connect_timeout),
        ("socket.connection.setup.timeout.max.ms", ProducerBuilder::connect_timeout_max),
        ("reconnect.backoff.ms", ProducerBuilder::reconnect_backoff),
        ("reconnect.backoff.max.ms", ProducerBuilder::reconnect_backoff_max),
        ("connections.max.idle.ms", ProducerBuilder::idle_timeout),
    ];
    for (name, set) in settings {
        let refused = set(Producer::builder("127.0.0.1:1"), too_much).build().unwrap_err();
        let told = refused
            .problems()
            .iter()
            .any(|problem| problem.setting == name && problem.problem.contains("2147483648 ms does not fit"));
        assert!(told, "{name}: {refused}");
    }
    // And the largest that can be carried works.
    run(async {
        let rig = rig(1).await;
        let builder = rig.producer().delivery_timeout(most).request_timeout(most).max_block(most).idle_timeout(most);
        let mut story = Story::with(&rig, builder.metadata_max_age(most).retry_backoff_max(most));
        story.deliver(TOPIC, 3).await;
        story.end(10).await.all_delivered();
    });
}
