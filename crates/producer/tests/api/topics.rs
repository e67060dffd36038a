//! Topics that are not there, come later, grow, or are made anew; brokers that move.

use std::time::Duration;

use milena_broker::{EmbeddedCluster, Reaction, Rule};
use milena_producer::{
    ErrorCode, FailureKind, Fate, NotReadyKind, Offset, PartitionId, Producer, Record, RecreatedTopic, SendError,
};
use milena_wire::{ApiKey, BrokerId};

use crate::support::*;

/// Looks at metadata often, so that changes are noticed without an error.
fn curious(cluster: &EmbeddedCluster) -> Producer {
    builder(cluster).metadata_max_age(Duration::from_millis(20)).build().unwrap()
}

#[test]
fn a_topic_that_may_be_created_is_created_and_gets_its_records_in_order() {
    run(async {
        let cluster = one_node().await;
        let producer = producer(&cluster);
        let outcomes = producer.send_all((0..50).map(|n| Record::to("new").value(n.to_string()))).await;
        assert!(outcomes.iter().all(Result::is_ok));
        assert!(values(&cluster, "new", 0).into_iter().eq((0..50).map(|n| n.to_string())));
    });
}

#[test]
fn a_topic_that_does_not_exist_fails_its_records_after_the_grace_as_not_written() {
    run(async {
        let broker_refuses = started(EmbeddedCluster::builder().auto_create_topics(false)).await;
        let client_refuses = one_node().await;
        for (cluster, asks) in [(&broker_refuses, true), (&client_refuses, false)] {
            let producer = builder(cluster)
                .auto_create_topics(asks)
                .unknown_topic_grace(Duration::from_millis(100))
                .build()
                .unwrap();
            let Err(SendError::Delivery(error)) = producer.send(Record::to("nowhere")).await else { panic!("sent") };
            assert_eq!((error.kind(), error.fate()), (FailureKind::TopicUnknown, Fate::NotWritten));
            assert!(error.failure().waited >= Duration::from_millis(100));
            let text = error.to_string();
            assert!(text.contains("nowhere") && text.contains("create the topic"), "{text}");
            assert_eq!(cluster.partition_count("nowhere"), None);
            let error = producer.partitions_for("nowhere", HOUR).await.unwrap_err();
            assert_eq!((error.kind(), error.topic()), (NotReadyKind::TopicUnknown, Some("nowhere")));
            let error = error.to_string();
            assert!(error.contains("nowhere") && error.contains("does not exist"), "{error}");
            // Others are not affected.
            cluster.create_topic("there", 1, 1).unwrap();
            producer.send(Record::to("there")).await.unwrap();
        }
    });
}

#[test]
fn preparing_names_the_topic_that_is_missing() {
    run(async {
        let cluster = started(EmbeddedCluster::builder().auto_create_topics(false)).await;
        cluster.create_topic("there", 1, 1).unwrap();
        let producer = producer(&cluster);
        producer.prepare(&["there"], LONG).await.unwrap();
        producer.prepare(&[], LONG).await.unwrap();
        // However long the broker takes to say so.
        let error = loop {
            let error = producer.prepare(&["there", "nowhere"], Duration::from_millis(200)).await.unwrap_err();
            if error.kind() == NotReadyKind::TopicUnknown {
                break error.to_string();
            }
        };
        assert!(error.contains("\"nowhere\"") && error.contains("does not exist"), "{error}");
    });
}

#[test]
fn a_name_that_no_topic_can_have_fails_at_once() {
    run(async {
        let cluster = one_node().await;
        let producer = producer(&cluster);
        for name in ["", "a b", "..", &"x".repeat(250)] {
            let error = producer.send(Record::to(name)).await.unwrap_err();
            let SendError::Delivery(failed) = &error else { panic!("{error}") };
            assert_eq!(failed.fate(), Fate::NotWritten);
            assert!(failed.to_string().contains("INVALID_TOPIC_EXCEPTION"), "{failed}");
        }
    });
}

#[test]
fn a_topic_created_while_its_records_wait_gets_them() {
    run(async {
        let cluster = started(EmbeddedCluster::builder().auto_create_topics(false)).await;
        let producer = builder(&cluster).unknown_topic_grace(LONG).build().unwrap();
        let early = producer.enqueue(Record::to("late").value("early")).await.unwrap();
        until("the broker was asked", || cluster.requests().get(&ApiKey::METADATA).is_some_and(|n| *n >= 2)).await;
        assert!(!early.is_done());
        cluster.create_topic("late", 1, 1).unwrap();
        assert_eq!(early.await.unwrap().offset, Some(Offset(0)));
    });
}

#[test]
fn added_partitions_are_found_and_used() {
    run(async {
        let cluster = one_node().await;
        cluster.create_topic("t", 1, 1).unwrap();
        let producer = curious(&cluster);
        producer.send(Record::to("t").value("v")).await.unwrap();
        cluster.create_partitions("t", 3).unwrap();
        until("it is known", || producer.try_enqueue(Record::to("t").partition(2)).is_ok()).await;
        producer.flush().await.unwrap();
        assert_eq!(producer.partitions_for("t", LONG).await.unwrap().leaders.len(), 3);
        assert_eq!(cluster.end_offset("t", PartitionId(2)), Some(Offset(1)));
    });
}

#[test]
fn a_leader_that_moved_is_followed_without_loss_or_duplicates() {
    run(async {
        let cluster = started(EmbeddedCluster::builder().nodes(3)).await;
        cluster.create_topic("t", 1, 3).unwrap();
        let producer = producer(&cluster);
        let mut deliveries = Vec::new();
        for n in 0..300 {
            if n % 100 == 50 {
                cluster.move_leader("t", PartitionId(0), None).unwrap();
            }
            deliveries.push(producer.enqueue(Record::to("t").value(n.to_string())).await.unwrap());
            if n % 50 == 0 {
                producer.flush().await.unwrap();
            }
        }
        for delivery in deliveries {
            delivery.await.unwrap();
        }
        assert!(values(&cluster, "t", 0).into_iter().eq((0..300).map(|n| n.to_string())));
    });
}

#[test]
fn a_recreated_topic_gets_new_records_and_none_that_may_be_on_the_old_one() {
    run(async {
        let cluster = one_node().await;
        cluster.create_topic("t", 1, 1).unwrap();
        let producer = curious(&cluster);
        producer.send(Record::to("t").value("old")).await.unwrap();
        // Written, but the answer does not come.
        cluster.script(Rule::on(ApiKey::PRODUCE, Reaction::ErrorAfterAppend(ErrorCode::REQUEST_TIMED_OUT)).always());
        let ambiguous = producer.enqueue(Record::to("t").value("ambiguous")).await.unwrap();
        until("it was tried", || producer.metrics().total.retried.records >= 1).await;
        cluster.recreate_topic("t", 1).unwrap();
        let error = ambiguous.await.unwrap_err();
        assert_eq!((error.kind(), error.fate()), (FailureKind::TopicRecreated, Fate::MaybeWritten));
        cluster.clear_script();
        assert_eq!(producer.send(Record::to("t").value("new")).await.unwrap().offset, Some(Offset(0)));
        assert_eq!(values(&cluster, "t", 0), ["new"]);
    });
}

#[test]
fn unsent_records_of_a_recreated_topic_fail_or_go_to_the_new_one_as_configured() {
    run(async {
        for (policy, expected) in [(RecreatedTopic::Fail, None), (RecreatedTopic::Send, Some(Offset(0)))] {
            let cluster = one_node().await;
            cluster.create_topic("t", 1, 1).unwrap();
            let producer = builder(&cluster)
                .metadata_max_age(Duration::from_millis(20))
                .recreated_topic(policy)
                .linger(HOUR)
                .delivery_timeout(HOUR * 2)
                .build()
                .unwrap();
            producer.send(Record::to("t").value("old")).await.unwrap();
            let lingering = producer.enqueue(Record::to("t").value("lingering")).await.unwrap();
            let old = producer.partitions_for("t", LONG).await.unwrap().id;
            cluster.recreate_topic("t", 1).unwrap();
            loop {
                if producer.partitions_for("t", LONG).await.unwrap().id != old {
                    break;
                }
                tokio::task::yield_now().await;
            }
            producer.flush().await.unwrap();
            match lingering.await {
                Ok(receipt) => assert_eq!(receipt.offset, expected),
                Err(error) => {
                    assert_eq!((error.kind(), error.fate()), (FailureKind::TopicRecreated, Fate::NotWritten));
                    assert_eq!(expected, None);
                }
            }
        }
    });
}

#[test]
fn a_stopped_broker_that_comes_back_gets_what_waited_for_it() {
    run(async {
        let cluster = one_node().await;
        let producer = producer(&cluster);
        producer.send(Record::to("t").value("before")).await.unwrap();
        cluster.stop_node(BrokerId(1));
        let delivery = producer.enqueue(Record::to("t").value("meanwhile")).await.unwrap();
        cluster.start_node(BrokerId(1)).await.unwrap();
        delivery.await.unwrap();
        assert_eq!(values(&cluster, "t", 0), ["before", "meanwhile"]);
    });
}
