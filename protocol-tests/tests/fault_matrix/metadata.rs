//! Rows 26 to 44: what brokers say of topics and leaders.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use milena::{ErrorCode, FailureKind, Fate, RecreatedTopic};
use milena_broker::{EmbeddedCluster, Profile, Reaction, Rule};
use milena_wire::message::metadata::MetadataResponse;
use milena_wire::message::{CurrentLeader, NodeEndpoint};
use milena_wire::{ApiKey, BrokerId, LeaderEpoch, PartitionId};
use protocol_tests::account::Outcome;
use protocol_tests::rig::{Act, LONG, Rig, Story, Way, rewritten_metadata, rewritten_produce, run, until};

use crate::events;

const TOPIC: &str = "t";
const SOON: Duration = Duration::from_millis(50);

/// Counts answers, and says how many have passed.
#[derive(Clone, Default)]
struct Count(Arc<AtomicU64>);

impl Count {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// As long as the switch is on, answers about the topic are changed; they are counted.
fn lying(rig: &Rig, lie: impl Fn(&mut MetadataResponse) + Clone + Send + 'static) -> (Arc<AtomicBool>, Count) {
    let (on, told) = (Arc::new(AtomicBool::new(false)), Count::default());
    for proxy in rig.proxies() {
        let (on, told, lie) = (Arc::clone(&on), told.clone(), lie.clone());
        proxy.on_frame(move |frame| {
            rewritten_metadata(frame, |metadata| {
                if on.load(Ordering::Relaxed) && !metadata.topics.is_empty() {
                    lie(metadata);
                    told.next();
                }
            })
        });
    }
    (on, told)
}

fn metadata_requests(rig: &Rig) -> u64 {
    rig.cluster().requests().get(&ApiKey::METADATA).copied().unwrap_or(0)
}

#[test]
fn row_026_an_unknown_topic_that_the_broker_creates() {
    run(async {
        let rig = Rig::nodes(1).await;
        let mut story = Story::new(&rig);
        story.enqueue("new", 50).await;
        story.enqueue_to("newer", None, 50).await;
        story.end(30).await.all_delivered();
    });
}

#[test]
fn row_027_an_unknown_topic_that_nobody_creates() {
    run(async {
        let rig = Rig::start(EmbeddedCluster::builder().auto_create_topics(false)).await;
        let grace = Duration::from_millis(300);
        let mut story = Story::with(&rig, rig.producer().unknown_topic_grace(grace));
        story.enqueue("nowhere", 10).await;
        let ended = story.end(30).await;
        ended.failed(10, FailureKind::TopicUnknown, Fate::NotWritten);
        assert!(ended.failures.iter().all(|failure| failure.waited >= grace));
        // One that is made within the grace gets its records.
        let mut story = Story::with(&rig, rig.producer().unknown_topic_grace(LONG));
        let before = metadata_requests(&rig);
        story.enqueue("late", 10).await;
        until("it was asked for twice", || metadata_requests(&rig) >= before + 3).await;
        rig.topic("late", 1);
        story.end(40).await.all_delivered();
    });
}

#[test]
fn row_028_a_leader_that_does_not_know_a_new_topic_yet() {
    run(async {
        let rig = Rig::nodes(1).await;
        let refusal = Reaction::Error(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        rig.cluster().script(Rule::on(ApiKey::PRODUCE, refusal).times(4));
        let mut story = Story::new(&rig);
        story.enqueue("new", 10).await;
        story.end(40).await.all_delivered();
        assert_eq!(rig.cluster().script_pending(), 0);
    });
}

#[test]
fn row_029_a_topic_without_partitions() {
    run(async {
        let rig = Rig::nodes(1).await;
        rig.topic(TOPIC, 1);
        let (lies, told) = lying(&rig, |metadata| metadata.topics.iter_mut().for_each(|t| t.partitions.clear()));
        lies.store(true, Ordering::Relaxed);
        let mut story = Story::with(&rig, rig.producer().unknown_topic_grace(LONG));
        story.enqueue_to(TOPIC, None, 10).await;
        until("it asked again", || told.get() >= 4).await;
        assert_eq!(story.producer().metrics().total.delivered.records, 0);
        lies.store(false, Ordering::Relaxed);
        story.end(40).await.all_delivered();
        // For ever: they fail.
        lies.store(true, Ordering::Relaxed);
        let mut story = Story::with(&rig, rig.producer().unknown_topic_grace(Duration::from_millis(200)));
        story.enqueue_to(TOPIC, None, 10).await;
        story.end(30).await.failed(10, FailureKind::TopicUnknown, Fate::NotWritten);
    });
}

fn without_partition_1(metadata: &mut MetadataResponse) {
    for topic in &mut metadata.topics {
        topic.partitions.retain(|partition| partition.index != PartitionId(1));
    }
}

#[test]
fn row_030_a_partition_is_left_out_once() {
    run(async {
        let rig = Rig::nodes(1).await;
        rig.topic(TOPIC, 2);
        let once = Count::default();
        let left_out = once.clone();
        let (lies, _) = lying(&rig, move |metadata| {
            if left_out.next() == 0 {
                without_partition_1(metadata);
            }
        });
        // Were it believed, the records would fail at once.
        let mut story = Story::with(&rig, rig.producer().unknown_topic_grace(Duration::from_millis(1)));
        story.enqueue_to(TOPIC, Some(1), 5).await;
        story.deliver(TOPIC, 5).await;
        lies.store(true, Ordering::Relaxed);
        let refusal = Reaction::Error(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        rig.cluster().script(Rule::on(ApiKey::PRODUCE, refusal).partition(PartitionId(1)).always());
        story.enqueue_to(TOPIC, Some(1), 5).await;
        story.enqueue_to(TOPIC, Some(0), 5).await;
        until("it was left out", || once.get() >= 1).await;
        rig.cluster().clear_script();
        story.end(40).await.all_delivered();
    });
}

#[test]
fn row_031_a_partition_is_left_out_from_now_on() {
    run(async {
        let rig = Rig::nodes(1).await;
        rig.topic(TOPIC, 2);
        let (lies, told) = lying(&rig, without_partition_1);
        let quick = rig.producer().metadata_max_age(SOON).unknown_topic_grace(Duration::from_millis(300));
        let mut story = Story::with(&rig, quick);
        story.enqueue_to(TOPIC, Some(1), 5).await;
        story.deliver(TOPIC, 5).await;
        // They are on their way when the partition goes.
        let refusal = Reaction::Error(ErrorCode::NOT_ENOUGH_REPLICAS);
        rig.cluster().script(Rule::on(ApiKey::PRODUCE, refusal).partition(PartitionId(1)).always());
        story.enqueue_to(TOPIC, Some(1), 5).await;
        lies.store(true, Ordering::Relaxed);
        until("it was left out again and again", || told.get() >= 4).await;
        story.enqueue_to(TOPIC, Some(0), 5).await;
        let ended = story.end(150).await;
        assert_eq!(ended.failures.len(), 5);
        // Whether an attempt is under way just then, and they may be written, is a matter of chance.
        assert!(ended.failures.iter().all(|failure| failure.kind == FailureKind::TopicUnknown));
        assert_eq!(ended.account.delivered, 15, "all others");
    });
}

#[test]
fn row_032_refusals_that_alternate() {
    run(async {
        let rig = Rig::nodes(1).await;
        rig.topic(TOPIC, 1);
        let mut story = Story::with(&rig, rig.producer().retries(5));
        story.deliver(TOPIC, 5).await;
        for _ in 0..10 {
            for code in [ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, ErrorCode::NOT_LEADER_OR_FOLLOWER] {
                rig.cluster().script(Rule::on(ApiKey::PRODUCE, Reaction::Error(code)));
            }
        }
        story.enqueue(TOPIC, 1).await;
        let ended = story.end(60).await;
        ended.failed(1, FailureKind::RetriesExhausted, Fate::MaybeWritten);
        assert_eq!(ended.failures[0].attempts, 6);
    });
}

#[test]
fn row_033_a_topic_gets_more_partitions() {
    run(async {
        let rig = Rig::nodes(1).await;
        rig.topic(TOPIC, 1);
        let lingering = rig.producer().metadata_max_age(SOON).linger(Duration::from_secs(10));
        let mut story = Story::with(&rig, lingering.sticky_bytes(1));
        story.producer().prepare(&[TOPIC], LONG).await.expect("a topic");
        let keys: Vec<String> = (0..40).map(|number| format!("key {number}")).collect();
        for key in &keys {
            story.enqueue_keyed(TOPIC, key).await;
        }
        rig.cluster().create_partitions(TOPIC, 4).expect("more partitions");
        loop {
            let known = story.producer().partitions_for(TOPIC, LONG).await.expect("a topic");
            if known.leaders.len() == 4 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for key in &keys {
            story.enqueue_keyed(TOPIC, key).await;
        }
        story.enqueue_to(TOPIC, None, 100).await;
        story.producer().flush().await.expect("delivered");
        let ended = story.end(200).await;
        let partition = |sent: &protocol_tests::account::Sent| match sent.outcome {
            Outcome::Delivered { partition, .. } => partition,
            ref other => panic!("{other:?}"),
        };
        let (queued, later) = ended.all_delivered().sent.split_at(keys.len());
        assert!(queued.iter().all(|sent| partition(sent) == 0), "what was queued stays where it is");
        for records in [&later[..keys.len()], &later[keys.len()..]] {
            for wanted in 0..4 {
                assert!(records.iter().any(|sent| partition(sent) == wanted), "partition {wanted} is not used");
            }
        }
    });
}

#[test]
fn row_034_a_topic_is_deleted_and_created_again() {
    run(async {
        for (partitions, policy) in [(3, RecreatedTopic::Fail), (1, RecreatedTopic::Send)] {
            let rig = Rig::nodes(1).await;
            rig.topic(TOPIC, 2);
            let curious = rig.producer().metadata_max_age(SOON).recreated_topic(policy);
            let mut story = Story::with(&rig, curious);
            story.deliver(TOPIC, 5).await;
            story.chapter().await;
            // On the log, and nobody says so.
            let unsaid = Reaction::ErrorAfterAppend(ErrorCode::REQUEST_TIMED_OUT);
            rig.cluster().script(Rule::on(ApiKey::PRODUCE, unsaid).always());
            story.enqueue(TOPIC, 1).await;
            until("it was tried", || story.producer().metrics().total.retried.records >= 1).await;
            rig.cluster().recreate_topic(TOPIC, partitions).expect("a new topic");
            story.settled().await;
            rig.cluster().clear_script();
            assert_eq!(rig.cluster().end_offset(TOPIC, PartitionId(0)).map(|end| end.0), Some(0), "sent again");
            story.deliver(TOPIC, 5).await;
            story.end(200).await.failed(1, FailureKind::TopicRecreated, Fate::MaybeWritten);
        }
    });
}

#[test]
fn row_035_a_topic_is_gone_from_metadata_and_comes_back() {
    run(async {
        let rig = Rig::nodes(1).await;
        rig.topic(TOPIC, 1);
        let (lies, told) = lying(&rig, |metadata| {
            for topic in &mut metadata.topics {
                topic.error = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
                topic.partitions.clear();
            }
        });
        let mut story = Story::with(&rig, rig.producer().metadata_max_age(SOON).unknown_topic_grace(LONG));
        story.deliver(TOPIC, 20).await;
        lies.store(true, Ordering::Relaxed);
        until("it is gone for good", || told.get() >= 5).await;
        story.enqueue(TOPIC, 20).await;
        until("it was asked for again", || told.get() >= 7).await;
        lies.store(false, Ordering::Relaxed);
        story.enqueue(TOPIC, 20).await;
        let ended = story.end(100).await;
        assert_eq!(ended.all_delivered().metrics.epoch_bumps, 0, "the sequences went on");
    });
}

#[test]
fn row_036_no_partition_has_a_leader() {
    run(async {
        let rig = Rig::nodes(1).await;
        rig.topic(TOPIC, 3);
        let (lies, told) = lying(&rig, |metadata| {
            for partition in metadata.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
                partition.error = ErrorCode::LEADER_NOT_AVAILABLE;
                partition.leader = BrokerId(-1);
            }
        });
        lies.store(true, Ordering::Relaxed);
        let mut story = Story::with(&rig, rig.producer().sticky_bytes(1));
        story.enqueue_to(TOPIC, None, 20).await;
        until("it was asked for again and again", || told.get() >= 4).await;
        story.enqueue_to(TOPIC, None, 40).await;
        assert_eq!(story.producer().metrics().total.delivered.records, 0);
        lies.store(false, Ordering::Relaxed);
        story.settled().await;
        // And when all brokers are gone at once.
        rig.cluster().stop_node(BrokerId(1));
        story.enqueue_to(TOPIC, None, 20).await;
        rig.cluster().start_node(BrokerId(1)).await.expect("it starts");
        let ended = story.end(150).await;
        for wanted in 0..3 {
            let there = |sent: &protocol_tests::account::Sent| match sent.outcome {
                Outcome::Delivered { partition, .. } => partition == wanted,
                ref other => panic!("{other:?}"),
            };
            // Those of the time without leaders went to any partition.
            assert!(ended.all_delivered().sent[20..60].iter().any(there), "none in partition {wanted}");
        }
    });
}

#[test]
fn row_037_a_leader_elsewhere_and_the_answer_says_where() {
    run(async {
        let rig = Rig::nodes(2).await;
        rig.topic(TOPIC, 1);
        let mut story = Story::new(&rig);
        story.deliver(TOPIC, 10).await;
        // From now on nobody answers about metadata.
        for proxy in rig.proxies() {
            proxy.on_frame(|frame| {
                if frame.way == Way::ToClient && frame.api == ApiKey::METADATA { Act::StallAfter(0) } else { Act::Pass }
            });
        }
        rig.cluster().move_leader(TOPIC, PartitionId(0), None).expect("another replica");
        story.deliver(TOPIC, 10).await;
        for proxy in rig.proxies() {
            proxy.calm();
        }
        story.end(40).await.all_delivered();
    });
}

#[test]
fn row_038_a_leader_elsewhere_and_the_answer_names_the_same() {
    run(async {
        for newer in [0, -1, 1] {
            let rig = Rig::nodes(1).await;
            rig.topic(TOPIC, 1);
            let hasty = rig.producer().delivery_timeout(Duration::from_secs(1));
            let hasty = hasty.retry_backoff(Duration::from_millis(100));
            let mut story = Story::with(&rig, hasty);
            story.deliver(TOPIC, 10).await;
            let (_, now) = rig.cluster().leader(TOPIC, PartitionId(0)).expect("a partition");
            let (host, port) = rig.cluster().address(BrokerId(1)).expect("a node");
            let mut epoch = now.0;
            rig.proxy(1).on_frame(move |frame| {
                rewritten_produce(frame, |told| {
                    epoch += newer;
                    for partition in told.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
                        partition.error = ErrorCode::NOT_LEADER_OR_FOLLOWER;
                        partition.current_leader = CurrentLeader { leader: BrokerId(1), epoch: LeaderEpoch(epoch) };
                    }
                    let endpoint = NodeEndpoint {
                        node: BrokerId(1),
                        host: host.clone(),
                        port: port.into(),
                        ..NodeEndpoint::default()
                    };
                    told.node_endpoints = vec![endpoint];
                })
            });
            story.enqueue(TOPIC, 1).await;
            // Ten attempts in a second, and metadata as often.
            story.end(45).await.failed(1, FailureKind::DeliveryTimeout, Fate::MaybeWritten);
        }
    });
}

#[test]
fn row_039_metadata_that_is_older_than_what_is_known() {
    run(async {
        let rig = Rig::nodes(2).await;
        rig.topic(TOPIC, 1);
        let (before, epoch) = rig.cluster().leader(TOPIC, PartitionId(0)).expect("a partition");
        let before = before.expect("a leader");
        let told = Count::default();
        let old = told.clone();
        // Two answers, and no more, tell what was true before the leader moved.
        let (lies, _) = lying(&rig, move |metadata| {
            if old.next() < 2 {
                for partition in metadata.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
                    (partition.leader, partition.leader_epoch) = (before, epoch);
                }
            }
        });
        let mut story = Story::with(&rig, rig.producer().metadata_max_age(SOON));
        story.deliver(TOPIC, 10).await;
        rig.cluster().move_leader(TOPIC, PartitionId(0), None).expect("another replica");
        story.deliver(TOPIC, 10).await;
        let there = rig.cluster().request_count(before, ApiKey::PRODUCE);
        lies.store(true, Ordering::Relaxed);
        while told.get() < 3 {
            story.deliver(TOPIC, 1).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        story.deliver(TOPIC, 5).await;
        assert_eq!(rig.cluster().request_count(before, ApiKey::PRODUCE), there, "it went back");
        story.end(400).await.all_delivered();
    });
}

#[test]
fn row_040_many_partitions_lose_their_leader_under_many_clients() {
    const PARTITIONS: i32 = 300;
    const CLIENTS: usize = 10;
    run(async {
        // Before KIP-951: a refusal does not say who leads.
        let rig = Rig::start(EmbeddedCluster::builder().nodes(2).profile(Profile::V2_8)).await;
        rig.topic(TOPIC, PARTITIONS);
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            clients.push(rig.producer().build().expect("a config without problems"));
        }
        let everywhere = async |clients: &[milena::Producer]| {
            let mut deliveries = Vec::new();
            for client in clients {
                for partition in 0..PARTITIONS {
                    let record = milena::Record::to(TOPIC).partition(partition).value("v");
                    deliveries.push(client.enqueue(record).await.expect("taken"));
                }
            }
            for delivery in deliveries {
                delivery.await.expect("delivered");
            }
        };
        everywhere(&clients).await;
        let before = metadata_requests(&rig);
        for partition in 0..PARTITIONS {
            rig.cluster().move_leader(TOPIC, PartitionId(partition), None).expect("another replica");
        }
        everywhere(&clients).await;
        let asked = metadata_requests(&rig) - before;
        assert!(asked <= 5 * CLIENTS as u64, "{asked} metadata requests of {CLIENTS} clients");
        let ends = (0..PARTITIONS).map(|partition| rig.cluster().end_offset(TOPIC, PartitionId(partition)));
        assert!(ends.flatten().all(|end| end.0 == 2 * CLIENTS as i64), "each record once");
        for client in clients {
            client.close(LONG).await.expect("delivered");
            assert_eq!(client.metrics().buffer.used, 0);
        }
    });
}

#[test]
fn row_041_metadata_is_slower_than_its_refresh() {
    run(async {
        let rig = Rig::nodes(1).await;
        rig.topic("in.use", 1);
        let slow = Reaction::DelayAnswer(Duration::from_millis(600));
        rig.cluster().script(Rule::on(ApiKey::METADATA, slow).always());
        let asked = Arc::new(AtomicU64::new(0));
        let most = Arc::new(AtomicU64::new(0));
        let (now, max) = (Arc::clone(&asked), Arc::clone(&most));
        let in_use = Arc::new(AtomicBool::new(false));
        let forgotten = Arc::new(AtomicBool::new(false));
        let (used, left_out) = (Arc::clone(&in_use), Arc::clone(&forgotten));
        rig.proxy(1).on_frame(move |frame| {
            if frame.api == ApiKey::METADATA && frame.way == Way::ToBroker {
                let names = |name: &str| frame.bytes.windows(name.len()).any(|bytes| bytes == name.as_bytes());
                left_out.fetch_or(used.load(Ordering::Relaxed) && !names("in.use"), Ordering::Relaxed);
                max.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            } else if frame.api == ApiKey::METADATA {
                now.fetch_sub(1, Ordering::Relaxed);
            }
            Act::Pass
        });
        let curious = || rig.producer().metadata_max_age(SOON).metadata_max_idle(Duration::from_millis(400));
        // One that gives a request up asks again while its answer is on the way.
        let mut story = Story::with(&rig, curious().request_timeout(LONG).delivery_timeout(2 * LONG));
        story.deliver("in.use", 1).await;
        in_use.store(true, Ordering::Relaxed);
        let before = metadata_requests(&rig);
        while metadata_requests(&rig) < before + 6 {
            story.deliver("in.use", 1).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(most.load(Ordering::Relaxed), 1, "one at a time");
        assert!(!forgotten.load(Ordering::Relaxed), "a request left out the topic in use");
        story.end(600).await.all_delivered();
        // No answer at all: what is in use stays known, though it is older than any age.
        rig.cluster().clear_script();
        let mut story = Story::with(&rig, curious());
        story.deliver("in.use", 1).await;
        rig.proxy(1).on_frame(|frame| {
            if frame.way == Way::ToClient && frame.api == ApiKey::METADATA { Act::StallAfter(0) } else { Act::Pass }
        });
        for _ in 0..40 {
            story.deliver("in.use", 1).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        story.end(600).await.all_delivered();
    });
}

#[test]
fn row_042_a_name_that_no_topic_can_have() {
    run(async {
        let rig = Rig::nodes(1).await;
        let mut story = Story::new(&rig);
        for name in ["", "a b", "..", &"x".repeat(250)] {
            story.enqueue(name, 5).await;
        }
        let ended = story.end(20).await;
        ended.failed(20, FailureKind::TopicUnknown, Fate::NotWritten);
        assert!(ended.failures.iter().all(|failure| failure.code == Some(ErrorCode::INVALID_TOPIC_EXCEPTION)));
    });
}

#[test]
fn row_043_the_right_to_write_is_taken_away_and_given_back() {
    run(async {
        let rig = Rig::nodes(1).await;
        rig.topic(TOPIC, 1);
        let refusal = Reaction::Error(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
        let mut story = Story::new(&rig);
        story.deliver(TOPIC, 10).await;
        rig.cluster().script(Rule::on(ApiKey::PRODUCE, refusal).always());
        story.enqueue(TOPIC, 10).await;
        story.settled().await;
        rig.cluster().clear_script();
        story.enqueue(TOPIC, 10).await;
        let ended = story.end(60).await;
        ended.failed(10, FailureKind::Authorization, Fate::NotWritten);
        assert_eq!(ended.account.delivered, 20);
        // Not even to be seen.
        let (lies, _) = lying(&rig, |metadata| {
            for topic in &mut metadata.topics {
                topic.error = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
                topic.partitions.clear();
            }
        });
        lies.store(true, Ordering::Relaxed);
        let mut story = Story::new(&rig);
        story.enqueue(TOPIC, 10).await;
        story.settled().await;
        lies.store(false, Ordering::Relaxed);
        story.enqueue(TOPIC, 10).await;
        let ended = story.end(60).await;
        ended.failed(10, FailureKind::Authorization, Fate::NotWritten);
        assert_eq!(ended.account.delivered, 10);
    });
}

#[test]
fn row_043_each_right_that_is_missing_has_its_name_and_is_not_asked_for_in_a_hurry() {
    let topic = [
        "writing there is not allowed",
        "TOPIC_AUTHORIZATION_FAILED",
        "--operation Write --operation Describe --topic t",
    ];
    let cluster =
        ["with idempotence is not allowed", "CLUSTER_AUTHORIZATION_FAILED", "--operation IdempotentWrite --cluster"];
    let id = ["the transactional id is not allowed", "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", "--transactional-id ID"];
    for (api, code, told) in [
        (ApiKey::PRODUCE, ErrorCode::TOPIC_AUTHORIZATION_FAILED, topic),
        (ApiKey::PRODUCE, ErrorCode::CLUSTER_AUTHORIZATION_FAILED, cluster),
        (ApiKey::PRODUCE, ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED, id),
        (ApiKey::INIT_PRODUCER_ID, ErrorCode::CLUSTER_AUTHORIZATION_FAILED, cluster),
        (ApiKey::INIT_PRODUCER_ID, ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED, id),
    ] {
        run(async {
            let rig = Rig::nodes(1).await;
            rig.topic(TOPIC, 1);
            let patient = rig.producer().retry_backoff(Duration::from_millis(100));
            let mut story = Story::with(&rig, patient.retry_backoff_max(Duration::from_secs(1)));
            if api == ApiKey::PRODUCE {
                story.deliver(TOPIC, 10).await;
            } else {
                // By a connection to a broker with a name, and not the one to a bootstrap address.
                story.producer().wait_ready(LONG).await.expect("a cluster that answers");
                rig.cluster().cut_connections(None);
            }
            rig.cluster().script(Rule::on(api, Reaction::Error(code)).always());
            story.enqueue(TOPIC, 10).await;
            story.settled().await;
            // Time in which nobody wants anything.
            let before = rig.requests();
            tokio::time::sleep(Duration::from_secs(1)).await;
            let asked = rig.requests() - before;
            assert!(asked < 12, "{api} {code}: {asked} requests in a second");
            rig.cluster().clear_script();
            let delivered = if api == ApiKey::PRODUCE { 20 } else { 10 };
            story.enqueue(TOPIC, 10).await;
            let ended = story.end(120).await;
            ended.failed(10, FailureKind::Authorization, Fate::NotWritten);
            assert_eq!(ended.account.delivered, delivered, "{api} {code}");
            let said = ended.failures[0].to_string();
            for part in told.into_iter().chain(["topic t", "partition 0", "broker 1"]) {
                assert!(said.contains(part), "{api} {code}: {part}: {said}");
            }
        });
    }
}

#[test]
fn row_044_another_cluster_answers_under_the_old_name() {
    run(async {
        events::listen();
        let (rig, other) = (Rig::nodes(1).await, Rig::start(EmbeddedCluster::builder().seed(7)).await);
        for rig in [&rig, &other] {
            rig.topic(TOPIC, 1);
        }
        let port = |rig: &Rig| rig.cluster().address(BrokerId(1)).expect("a node").1;
        let there: SocketAddr = other.proxy(1).address();
        let mut story = Story::with(&rig, rig.producer().delivery_timeout(Duration::from_secs(2)));
        story.deliver(TOPIC, 10).await;
        for port in [port(&rig), port(&other)] {
            rig.names().route(port, &[there]);
        }
        rig.proxy(1).refuse(true);
        story.enqueue(TOPIC, 10).await;
        let ended = story.end(60).await;
        assert_eq!(ended.failures.len(), 10);
        assert!(ended.failures.iter().all(|failure| failure.kind == FailureKind::TopicRecreated));
        assert!(events::said(&["WARN", "lead to another cluster"]));
        assert_eq!(other.cluster().end_offset(TOPIC, PartitionId(0)).map(|end| end.0), Some(0));
    });
}
