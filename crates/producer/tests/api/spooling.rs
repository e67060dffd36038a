//! Records that cannot be delivered wait on disk, and arrive once and in order: within one producer, and across several.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use milena_broker::{EmbeddedCluster, Reaction, Rule};
use milena_producer::spool::{Place, Source, Spool, SpoolConfig};
use milena_producer::{
    BatchReport, BrokerId, Delivery, DeliveryError, DeliveryHandler, ErrorCode, FailurePolicy, Fate, Guarantee,
    Outcome, PartitionId, Producer, ProducerBuilder, Record, SpoolPolicy, TopicName,
};
use milena_wire::ApiKey;
use parking_lot::Mutex;

use crate::support::*;

const NODE: BrokerId = BrokerId(1);

async fn cluster() -> EmbeddedCluster {
    let cluster = started(EmbeddedCluster::builder().auto_create_topics(false)).await;
    cluster.create_topic("t", 2, 1).unwrap();
    cluster
}

/// One that gives up soon.
fn impatient(cluster: &EmbeddedCluster) -> ProducerBuilder {
    builder(cluster)
        .linger(Duration::from_millis(1))
        .request_timeout(Duration::from_millis(300))
        .delivery_timeout(Duration::from_millis(500))
        .reconnect_backoff_max(Duration::from_millis(50))
        .unknown_topic_grace(Duration::from_millis(100))
}

fn policy(dir: &Path) -> SpoolPolicy {
    SpoolPolicy::new(dir).retry_after(Duration::from_millis(50))
}

fn spooling(cluster: &EmbeddedCluster, dir: &Path) -> Producer {
    impatient(cluster).spool(policy(dir)).build().unwrap()
}

async fn enqueue(producer: &Producer, partition: i32, values: std::ops::Range<i32>) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    for n in values {
        let record = Record::to("t").partition(partition).value(n.to_string());
        deliveries.push(producer.enqueue(record).await.unwrap());
    }
    deliveries
}

async fn all_spooled(deliveries: Vec<Delivery>) {
    for delivery in deliveries {
        let error: DeliveryError = delivery.await.unwrap_err();
        assert_eq!(error.fate(), Fate::Spooled, "{error}");
    }
}

fn numbers(range: std::ops::Range<i32>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

fn waiting(producer: &Producer) -> u64 {
    producer.health().spool.unwrap().waiting
}

/// The values of a partition without those that are there again.
fn distinct(cluster: &EmbeddedCluster, partition: i32) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    values(cluster, "t", partition).into_iter().filter(|value| seen.insert(value.clone())).collect()
}

/// Sends until a record goes straight to the cluster again, and how many that took from `n` on.
async fn until_handed_back(producer: &Producer, partition: i32, mut n: i32) -> i32 {
    loop {
        let sent = producer.send(Record::to("t").partition(partition).value(n.to_string())).await;
        n += 1;
        match sent {
            Ok(_) => return n,
            Err(error) => assert_eq!(error.fate(), Fate::Spooled, "{error}"),
        }
    }
}

#[test]
fn records_of_an_outage_arrive_once_and_in_order_before_those_that_come_after_it() {
    for guarantee in [Guarantee::ExactlyOnce, Guarantee::AtLeastOnce { all_replicas: true }] {
        run(async {
            let (cluster, dir) = (cluster().await, tempfile::tempdir().unwrap());
            // Without sequences, what got no answer in time is sent again though it may be there: the guarantee allows it twice.
            let exact = guarantee == Guarantee::ExactlyOnce;
            let policy = policy(dir.path()).accept_duplicates(!exact);
            let written =
                |partition| if exact { values(&cluster, "t", partition) } else { distinct(&cluster, partition) };
            let producer = impatient(&cluster).guarantee(guarantee).spool(policy).build().unwrap();
            // The first ones may be spooled, too: there is no connection yet.
            let first = until_handed_back(&producer, 0, 0).await;
            let before = producer.metrics().total.spooled.records;
            cluster.stop_node(NODE);
            all_spooled(enqueue(&producer, 0, first..first + 49).await).await;
            all_spooled(enqueue(&producer, 1, 0..50).await).await;
            // Behind them, at once.
            all_spooled(enqueue(&producer, 0, first + 49..first + 59).await).await;
            producer.flush().await.unwrap();
            until("all of them wait", || waiting(&producer) == 109).await;
            let total = producer.metrics().total;
            assert_eq!((total.spooled.records - before, total.failed_not_written.records), (109, 0));
            cluster.start_node(NODE).await.unwrap();
            let end = until_handed_back(&producer, 0, first + 59).await;
            until("the other partition is written", || written(1).len() == 50).await;
            assert_eq!(written(0), numbers(0..end));
            assert_eq!(written(1), numbers(0..50));
            until("nothing waits, and all of it is counted", || {
                let total = producer.metrics().total;
                waiting(&producer) == 0 && total.spooled == total.replayed
            })
            .await;
            producer.close(LONG).await.unwrap();
        });
    }
}

#[test]
fn what_was_refused_keeps_the_sequences_it_was_sent_with() {
    run(async {
        let (cluster, dir) = (cluster().await, tempfile::tempdir().unwrap());
        // One attempt, and all the time it needs.
        let patient = builder(&cluster).delivery_timeout(HOUR).retries(0);
        let producer = patient.spool(policy(dir.path())).build().unwrap();
        let refused = Reaction::Error(ErrorCode::NOT_ENOUGH_REPLICAS);
        cluster.script(Rule::on(ApiKey::PRODUCE, refused).always());
        all_spooled(enqueue(&producer, 0, 0..1).await).await;
        producer.close(LONG).await.unwrap();
        let (mut spool, _) = Spool::open(SpoolConfig::new(dir.path())).unwrap();
        let partition = Place::Partition(PartitionId(0));
        let head = spool.head(&Source { topic: TopicName::new("t"), place: partition }).unwrap().unwrap();
        assert_eq!(head.fate, milena_producer::spool::Fate::NotWritten);
        assert_eq!(head.stamp().unwrap().sequence.get(), 0);
    });
}

#[test]
fn what_an_earlier_process_left_goes_first() {
    run(async {
        let (cluster, dir) = (cluster().await, tempfile::tempdir().unwrap());
        cluster.stop_node(NODE);
        for n in 0..3 {
            let producer = spooling(&cluster, dir.path());
            assert_eq!(waiting(&producer), u64::try_from(10 * n).unwrap());
            all_spooled(enqueue(&producer, 0, 10 * n..10 * n + 10).await).await;
            producer.close(LONG).await.unwrap();
        }
        let producer = spooling(&cluster, dir.path());
        let late = enqueue(&producer, 0, 30..40).await;
        cluster.start_node(NODE).await.unwrap();
        // Behind the others in the spool, or held in memory until those are sent.
        for delivery in late {
            assert!(delivery.await.map_or_else(|error| error.fate() == Fate::Spooled, |receipt| receipt.acknowledged));
        }
        let end = until_handed_back(&producer, 0, 40).await;
        assert_eq!(values(&cluster, "t", 0), numbers(0..end));
        producer.close(LONG).await.unwrap();
    });
}

#[test]
fn a_close_in_an_outage_leaves_its_records_to_the_next_process() {
    run(async {
        let (cluster, dir) = (cluster().await, tempfile::tempdir().unwrap());
        let patient = || builder(&cluster).delivery_timeout(HOUR).spool(policy(dir.path())).build().unwrap();
        let producer = patient();
        cluster.stop_node(NODE);
        let deliveries = enqueue(&producer, 0, 0..20).await;
        producer.close(Duration::from_millis(20)).await.unwrap();
        all_spooled(deliveries).await;
        let producer = patient();
        cluster.start_node(NODE).await.unwrap();
        until("they are written", || values(&cluster, "t", 0).len() == 20).await;
        assert_eq!(values(&cluster, "t", 0), numbers(0..20));
        producer.close(LONG).await.unwrap();
    });
}

#[test]
fn a_dropped_producer_leaves_its_records_to_the_next_process_too() {
    run(async {
        let (cluster, dir) = (cluster().await, tempfile::tempdir().unwrap());
        cluster.stop_node(NODE);
        let builder = builder(&cluster).drop_timeout(Duration::from_millis(10));
        let producer = builder.spool(policy(dir.path())).build().unwrap();
        let deliveries = enqueue(&producer, 0, 0..20).await;
        drop(producer);
        all_spooled(deliveries).await;
        cluster.start_node(NODE).await.unwrap();
        // The first one lets go of the folder in its own time.
        let mut second = None;
        until("the folder is free", || {
            second = impatient(&cluster).spool(policy(dir.path())).build().ok();
            second.is_some()
        })
        .await;
        until("they are written", || values(&cluster, "t", 0).len() == 20).await;
        assert_eq!(values(&cluster, "t", 0), numbers(0..20));
    });
}

#[test]
fn a_close_waits_for_the_last_answers_of_the_replay_and_counts_them() {
    run(async {
        let (cluster, dir) = (cluster().await, tempfile::tempdir().unwrap());
        cluster.stop_node(NODE);
        let producer = spooling(&cluster, dir.path());
        all_spooled(enqueue(&producer, 0, 0..1).await).await;
        cluster.script(Rule::on(ApiKey::PRODUCE, Reaction::DelayAnswer(Duration::from_millis(200))));
        cluster.start_node(NODE).await.unwrap();
        until("it is on the log", || values(&cluster, "t", 0).len() == 1).await;
        producer.close(LONG).await.unwrap();
        assert_eq!(producer.metrics().total.replayed.records, 1);
        let (spool, _) = Spool::open(SpoolConfig::new(dir.path())).unwrap();
        assert_eq!(spool.pending().count(), 0);
    });
}

#[test]
fn a_handler_has_heard_of_the_last_outcomes_when_a_close_returns_and_is_dropped() {
    struct Handler(std::sync::mpsc::Sender<(u64, Fate)>);
    impl DeliveryHandler for Handler {
        fn on_batch(&self, report: BatchReport) {
            let Outcome::Failed(failure) = report.outcome() else { panic!("{report:?}") };
            report.records().for_each(|record| self.0.send((record.token, failure.fate)).unwrap());
        }
    }
    run(async {
        let (cluster, dir) = (cluster().await, tempfile::tempdir().unwrap());
        cluster.stop_node(NODE);
        let (tell, heard) = std::sync::mpsc::channel();
        let patient = builder(&cluster).delivery_timeout(HOUR).spool(policy(dir.path()));
        let producer = patient.delivery_handler(Handler(tell)).build().unwrap();
        for token in 0..20 {
            producer.enqueue_with(Record::to("t").partition(0).value("v"), token).await.unwrap();
        }
        producer.close(Duration::from_millis(20)).await.unwrap();
        let all: Vec<(u64, Fate)> = (0..20).map(|token| (token, Fate::Spooled)).collect();
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), all);
        // The producer is still there; the handler, which owns the other end, is not.
        assert_eq!(heard.recv_timeout(LONG), Err(std::sync::mpsc::RecvTimeoutError::Disconnected));
        drop(producer);
    });
}

#[test]
fn a_full_spool_lets_records_fail_as_they_would_without_one() {
    run(async {
        let (cluster, dir) = (cluster().await, tempfile::tempdir().unwrap());
        cluster.stop_node(NODE);
        let lost: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let letters = Arc::clone(&lost);
        let policy = policy(dir.path()).max_bytes(20_000);
        let builder = impatient(&cluster).spool(policy).on_failure(FailurePolicy::callback(move |letter| {
            letters.lock().push(letter.record.value_bytes().unwrap_or_default().to_vec());
        }));
        let producer = builder.build().unwrap();
        all_spooled(enqueue(&producer, 0, 0..2).await).await;
        let unkept = producer.send(Record::to("t").partition(0).value("x".repeat(25_000))).await.unwrap_err();
        assert_eq!(unkept.fate(), Fate::NotWritten);
        assert!(chain(&unkept).contains("the spool is full"), "{}", chain(&unkept));
        producer.flush().await.unwrap();
        assert_eq!(*lost.lock(), ["x".repeat(25_000).into_bytes()]);
        let health = producer.health().spool.unwrap();
        assert!(health.last_error.is_some() && health.waiting == 2, "{health}");
        cluster.start_node(NODE).await.unwrap();
        let end = until_handed_back(&producer, 0, 2).await;
        assert_eq!(values(&cluster, "t", 0), numbers(0..end));
        producer.close(LONG).await.unwrap();
    });
}

#[test]
fn records_of_a_topic_that_is_created_late_get_their_partitions_then() {
    run(async {
        let (cluster, dir) = (cluster().await, tempfile::tempdir().unwrap());
        let producer = spooling(&cluster, dir.path());
        let mut deliveries = Vec::new();
        for n in 0..20 {
            let record = Record::to("late").key((n % 5).to_string()).value(n.to_string());
            deliveries.push(producer.enqueue(record).await.unwrap());
        }
        all_spooled(deliveries).await;
        cluster.create_topic("late", 3, 1).unwrap();
        let written = || (0..3).map(|partition| values(&cluster, "late", partition)).collect::<Vec<_>>();
        until("they are written", || written().concat().len() == 20).await;
        for partition in written() {
            assert!(partition.is_sorted_by_key(|value| value.parse::<i32>().unwrap()), "{partition:?}");
        }
        let mut sent = producer.send(Record::to("late").key("1").value("20")).await;
        while let Err(error) = &sent {
            assert_eq!(error.fate(), Fate::Spooled, "{error}");
            sent = producer.send(Record::to("late").key("1").value("20")).await;
        }
        let home = written().into_iter().find(|values| values.contains(&"20".to_owned())).unwrap();
        assert!(home.contains(&"1".to_owned()) && home.contains(&"16".to_owned()), "{home:?}");
        producer.close(LONG).await.unwrap();
    });
}

#[test]
fn records_that_name_their_partition_do_not_overtake_those_that_have_none_yet() {
    run(async {
        let (cluster, dir) = (cluster().await, tempfile::tempdir().unwrap());
        let producer = spooling(&cluster, dir.path());
        let mut deliveries = Vec::new();
        for n in 0..20 {
            let record = Record::to("late").value(n.to_string());
            let record = if n % 3 == 1 { record.partition(0) } else { record };
            deliveries.push(producer.enqueue(record).await.unwrap());
        }
        all_spooled(deliveries).await;
        cluster.create_topic("late", 1, 1).unwrap();
        until("they are written", || values(&cluster, "late", 0).len() == 20).await;
        assert_eq!(values(&cluster, "late", 0), numbers(0..20));
        producer.close(LONG).await.unwrap();
    });
}

#[test]
fn what_time_does_not_mend_fails_at_once() {
    run(async {
        let (cluster, dir) = (cluster().await, tempfile::tempdir().unwrap());
        cluster.script(Rule::on(ApiKey::PRODUCE, Reaction::Error(ErrorCode::INVALID_RECORD)).times(1));
        let producer = builder(&cluster).spool(policy(dir.path())).build().unwrap();
        let refused = producer.send(Record::to("t").partition(0).value("no")).await.unwrap_err();
        assert_eq!(refused.fate(), Fate::NotWritten);
        producer.send(Record::to("t").partition(0).value("yes")).await.unwrap();
        producer.close(LONG).await.unwrap();
    });
}

#[test]
fn a_spool_that_cannot_be_opened_is_a_problem_of_the_settings() {
    run(async {
        let (cluster, dir) = (cluster().await, tempfile::tempdir().unwrap());
        let first = spooling(&cluster, dir.path());
        let locked = impatient(&cluster).spool(policy(dir.path())).build().unwrap_err();
        assert!(chain(&locked).contains("milena.spool.dir") && chain(&locked).contains("another process"), "{locked}");
        first.close(LONG).await.unwrap();
        spooling(&cluster, dir.path()).close(LONG).await.unwrap();
        std::fs::write(dir.path().join("spool.version"), "milena-spool 99\n").unwrap();
        let newer = impatient(&cluster).spool(policy(dir.path())).build().unwrap_err();
        assert!(chain(&newer).contains("milena-spool 99"), "{newer}");
    });
}
