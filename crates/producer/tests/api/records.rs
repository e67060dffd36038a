//! What goes in comes out: fields, receipts, order, codecs, forms of the call.

use std::collections::BTreeMap;
use std::thread;

use milena_broker::EmbeddedCluster;
use milena_producer::{
    Codec, Compression, EnqueueError, Fate, Guarantee, Offset, Outcome, PartitionId, PartitionerKind, Producer, Record,
    SendError,
};

use crate::support::*;

#[test]
fn every_field_of_a_record_arrives_as_it_was_given() {
    run(async {
        let cluster = one_node().await;
        cluster.create_topic("t", 3, 1).unwrap();
        let producer = producer(&cluster);
        let record = Record::to("t")
            .partition(2)
            .key("k")
            .value("v")
            .header("b", "1")
            .header("a", "2")
            .header("b", "3")
            .null_header("")
            .header("empty", "")
            .timestamp_ms(1_234_567_890_123);
        let receipt = producer.send(record).await.unwrap();
        let stored = log(&cluster, "t", 2);
        assert_eq!(stored.len(), 1);
        assert_eq!(stored[0].key.as_deref(), Some(&b"k"[..]));
        assert_eq!(stored[0].value.as_deref(), Some(&b"v"[..]));
        assert_eq!(stored[0].timestamp_ms, 1_234_567_890_123);
        let headers: Vec<_> = stored[0].headers.iter().map(|(k, v)| (k.as_str(), v.as_deref())).collect();
        let expected: [(&str, Option<&[u8]>); 5] =
            [("b", Some(b"1")), ("a", Some(b"2")), ("b", Some(b"3")), ("", None), ("empty", Some(b""))];
        assert_eq!(headers, expected);
        assert_eq!(receipt.topic.as_str(), "t");
        assert_eq!(receipt.partition, PartitionId(2));
        assert_eq!(receipt.offset, Some(Offset(0)));
        assert_eq!(receipt.timestamp_ms, 1_234_567_890_123);
        assert!(receipt.acknowledged);
        assert_eq!((receipt.key_size, receipt.value_size), (Some(1), Some(1)));
        // One record of a batch: its size is what the batch has behind its header.
        let batch = &cluster.log("t", PartitionId(2))[0];
        assert_eq!(receipt.encoded_size, batch.size() - 61);
    });
}

#[test]
fn nulls_and_empty_bytes_stay_apart() {
    run(async {
        let cluster = one_node().await;
        let producer = producer(&cluster);
        let records = [
            Record::to("t"),
            Record::to("t").key(""),
            Record::to("t").value(""),
            Record::to("t").key("").value(""),
            Record::to("t").key("tombstone"),
        ];
        let outcomes = producer.send_all(records.map(|record| record.partition(0))).await;
        let sizes: Vec<_> = outcomes.into_iter().map(|o| o.map(|r| (r.key_size, r.value_size)).unwrap()).collect();
        let none = None;
        assert_eq!(sizes, [(none, none), (Some(0), none), (none, Some(0)), (Some(0), Some(0)), (Some(9), none)]);
        let stored = log(&cluster, "t", 0);
        let stored: Vec<_> =
            stored.iter().map(|r| (r.key.as_ref().map(|k| k.len()), r.value.as_ref().map(|v| v.len()))).collect();
        assert_eq!(stored, sizes);
    });
}

#[test]
fn more_headers_than_fit_inline_keep_their_order() {
    run(async {
        let cluster = one_node().await;
        let producer = producer(&cluster);
        let names: Vec<String> = (0..100).map(|n| format!("h{n}")).collect();
        for count in [7, 8, 9, 100] {
            let record = names[..count].iter().fold(Record::to("t").partition(0), |r, n| r.header(n.as_str(), n));
            let receipt = producer.send(record).await.unwrap();
            let stored = log(&cluster, "t", 0).pop().unwrap();
            assert_eq!(receipt.offset, Some(stored.offset));
            let stored: Vec<_> = stored.headers.iter().map(|(name, _)| name).collect();
            assert_eq!(stored, names[..count].iter().collect::<Vec<_>>());
        }
    });
}

#[test]
fn the_receipt_has_the_time_of_the_log_where_the_topic_says_so() {
    run(async {
        let cluster = one_node().await;
        cluster.create_topic_with("appended", 1, 1, &[("message.timestamp.type", "LogAppendTime")]).unwrap();
        let producer = producer(&cluster);
        let receipts = producer.send_all((0..3).map(|n| Record::to("appended").timestamp_ms(n))).await;
        let stored: Vec<i64> = log(&cluster, "appended", 0).iter().map(|record| record.timestamp_ms).collect();
        assert!(stored.iter().all(|ms| *ms > 1_000_000_000_000), "{stored:?}");
        let told: Vec<i64> = receipts.into_iter().map(|receipt| receipt.unwrap().timestamp_ms).collect();
        assert_eq!(told, stored);
    });
}

#[test]
fn the_records_of_one_caller_keep_their_order_in_each_partition() {
    run(async {
        let cluster = one_node().await;
        cluster.create_topic("t", 5, 1).unwrap();
        let producer = builder(&cluster).batch_size(2_000).build().unwrap();
        let mut deliveries = Vec::new();
        for n in 0..5_000 {
            let record = Record::to("t").key(format!("k{}", n % 37)).value(format!("{n}"));
            deliveries.push(producer.enqueue(record).await.unwrap());
        }
        let mut by_place = BTreeMap::new();
        for (n, delivery) in deliveries.into_iter().enumerate() {
            let receipt = delivery.await.unwrap();
            let before = by_place.insert((receipt.partition, receipt.offset.unwrap()), n.to_string());
            assert_eq!(before, None);
        }
        let mut seen = 0;
        for partition in 0..5 {
            let stored = values(&cluster, "t", partition);
            let told: Vec<_> =
                by_place.iter().filter(|((p, _), _)| p.0 == partition).map(|(_, value)| value.clone()).collect();
            assert_eq!(stored, told);
            assert!(stored.windows(2).all(|w| w[0].parse::<u32>().unwrap() < w[1].parse().unwrap()));
            seen += stored.len();
        }
        assert_eq!(seen, 5_000);
    });
}

#[test]
fn clones_produce_from_many_tasks_and_threads_at_once() {
    run(async {
        let cluster = started(EmbeddedCluster::builder().nodes(3).partitions(4)).await;
        let producer = producer(&cluster);
        let tasks: Vec<_> = (0..8)
            .map(|task| {
                let producer = producer.clone();
                tokio::spawn(async move {
                    for n in 0..200 {
                        let record = Record::to("t").partition(task % 4).value(format!("task {task} {n}"));
                        // Unawaited ones count as unobserved only if they fail.
                        drop(producer.enqueue(record).await.unwrap());
                    }
                })
            })
            .collect();
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let producer = producer.clone();
                thread::spawn(move || {
                    let blocking = producer.blocking();
                    for n in 0..200 {
                        let record = Record::to("t").partition(thread).value(format!("thread {thread} {n}"));
                        drop(blocking.enqueue(record).unwrap());
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        for thread in threads {
            thread.join().unwrap();
        }
        producer.flush().await.unwrap();
        let mut by_writer: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for partition in 0..4 {
            for value in values(&cluster, "t", partition) {
                let (writer, n) = value.rsplit_once(' ').unwrap();
                by_writer.entry(writer.into()).or_default().push(n.parse().unwrap());
            }
        }
        assert_eq!(by_writer.len(), 12);
        assert!(by_writer.values().all(|numbers| numbers.iter().copied().eq(0..200)), "{by_writer:?}");
    });
}

#[test]
fn send_does_not_wait_for_linger() {
    run(async {
        let cluster = one_node().await;
        let producer = builder(&cluster).linger(HOUR).delivery_timeout(HOUR * 2).build().unwrap();
        // While the topic is not known yet, and when it is.
        for n in 0..3 {
            let receipt = producer.send(Record::to("t").value("v")).await.unwrap();
            assert_eq!(receipt.offset, Some(Offset(n)));
        }
    });
}

#[test]
fn send_takes_earlier_records_of_its_partition_along_and_leaves_other_brokers_alone() {
    run(async {
        let cluster = started(EmbeddedCluster::builder().nodes(2)).await;
        cluster.create_topic("t", 2, 1).unwrap();
        let leader = |partition| cluster.leader("t", PartitionId(partition)).unwrap().0;
        assert_ne!(leader(0), leader(1));
        let producer = builder(&cluster).linger(HOUR).delivery_timeout(HOUR * 2).build().unwrap();
        producer.prepare(&["t"], LONG).await.unwrap();
        let lingering = producer.enqueue(Record::to("t").partition(1).value("other")).await.unwrap();
        let before = producer.enqueue(Record::to("t").partition(0).value("before")).await.unwrap();
        producer.send(Record::to("t").partition(0).value("sent")).await.unwrap();
        assert_eq!(values(&cluster, "t", 0), ["before", "sent"]);
        assert!(before.is_done());
        assert!(!lingering.is_done());
        producer.flush().await.unwrap();
        assert_eq!(values(&cluster, "t", 1), ["other"]);
        assert!(lingering.is_done());
    });
}

#[test]
fn send_all_gives_outcomes_in_the_order_of_the_records() {
    run(async {
        let cluster = one_node().await;
        cluster.create_topic("t", 3, 1).unwrap();
        let producer = builder(&cluster)
            .linger(HOUR)
            .delivery_timeout(HOUR * 2)
            .batch_size(500)
            .max_record_size(1_000)
            .build()
            .unwrap();
        producer.prepare(&["t"], LONG).await.unwrap();
        let big = vec![b'x'; 2_000];
        let records = (0..100).map(|n| {
            let record = Record::to("t").partition(n % 3);
            match n {
                50 => record.value(&big),
                60 => Record::to("t").partition(3),
                _ => record.value(n.to_string()),
            }
        });
        let outcomes = producer.send_all(records).await;
        assert_eq!(outcomes.len(), 100);
        for (n, outcome) in outcomes.iter().enumerate() {
            match (n, outcome) {
                (50, Err(SendError::Enqueue(EnqueueError::RecordTooLarge { .. }))) => {}
                (60, Err(SendError::Enqueue(EnqueueError::NoSuchPartition { partition: 3, count: 3, .. }))) => {}
                (_, Ok(receipt)) => {
                    let stored = log(&cluster, "t", receipt.partition.0);
                    let place = usize::try_from(receipt.offset.unwrap().0).unwrap();
                    assert_eq!(stored[place].value.as_deref(), Some(n.to_string().as_bytes()));
                }
                other => panic!("{other:?}"),
            }
        }
    });
}

#[test]
fn send_all_does_not_wait_for_linger_when_its_topic_is_not_known_yet() {
    run(async {
        let cluster = one_node().await;
        let producer = builder(&cluster).linger(HOUR).delivery_timeout(HOUR * 2).build().unwrap();
        let outcomes = producer.send_all((0..50).map(|n| Record::to("t").value(n.to_string()))).await;
        assert!(outcomes.iter().all(Result::is_ok));
    });
}

#[test]
fn send_all_of_more_than_fits_into_memory_does_not_wait_for_linger() {
    run(async {
        let cluster = one_node().await;
        let producer = builder(&cluster)
            .linger(HOUR)
            .delivery_timeout(HOUR * 2)
            .max_record_size(8_000)
            .buffer_memory(64 * 1024)
            .build()
            .unwrap();
        let value = vec![b'x'; 4_000];
        let outcomes = producer.send_all((0..200).map(|_| Record::to("t").value(&value))).await;
        assert!(outcomes.iter().all(Result::is_ok));
        assert_eq!(log(&cluster, "t", 0).len(), 200);
    });
}

#[test]
fn a_batch_size_of_zero_sends_every_record_alone() {
    run(async {
        let cluster = one_node().await;
        let producer = builder(&cluster).batch_size(0).build().unwrap();
        let outcomes = producer.send_all((0..20).map(|_| Record::to("t").partition(0).value("v"))).await;
        assert!(outcomes.iter().all(Result::is_ok));
        assert_eq!(cluster.log("t", PartitionId(0)).len(), 20);
    });
}

#[test]
fn every_codec_is_read_by_the_broker() {
    run(async {
        let cluster = one_node().await;
        for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            let topic = codec.to_string();
            let compression = Compression::new(codec);
            let producer = builder(&cluster).compression(compression).build().unwrap();
            let text = "all work and no play makes jack a dull boy ".repeat(20);
            let records = (0..50).map(|_| Record::to(topic.as_str()).partition(0).value(&text));
            assert!(producer.send_all(records).await.iter().all(Result::is_ok));
            let batches = cluster.log(&topic, PartitionId(0));
            assert!(batches.iter().all(|batch| batch.header().attributes.codec() == Ok(codec)), "{codec}");
            assert!(log(&cluster, &topic, 0).iter().all(|r| r.value.as_deref() == Some(text.as_bytes())));
        }
    });
}

#[test]
fn every_guarantee_delivers_and_says_what_it_knows() {
    run(async {
        let cluster = one_node().await;
        let guarantees = [
            Guarantee::ExactlyOnce,
            Guarantee::AtLeastOnce { all_replicas: true },
            Guarantee::AtLeastOnce { all_replicas: false },
            Guarantee::AtMostOnce,
        ];
        for (n, guarantee) in guarantees.into_iter().enumerate() {
            let topic = format!("t{n}");
            let producer = builder(&cluster).guarantee(guarantee).build().unwrap();
            let receipt = producer.send(Record::to(topic.as_str()).value("v")).await.unwrap();
            let is_answered = guarantee != Guarantee::AtMostOnce;
            assert_eq!(receipt.acknowledged, is_answered);
            assert_eq!(receipt.offset.is_some(), is_answered);
            until("the record is on the log", || values(&cluster, &topic, 0) == ["v"]).await;
            let is_stamped = guarantee == Guarantee::ExactlyOnce;
            assert_eq!(cluster.log(&topic, PartitionId(0))[0].base_sequence() >= 0, is_stamped);
        }
    });
}

#[test]
fn a_plain_thread_produces_without_any_runtime() {
    let cluster = EmbeddedCluster::builder().start_blocking().unwrap();
    let producer = producer(&cluster);
    let blocking = producer.blocking();
    blocking.wait_ready(LONG).unwrap();
    blocking.prepare(&["t"], LONG).unwrap();
    assert_eq!(blocking.partitions_for("t", LONG).unwrap().leaders.len(), 1);
    let delivery = blocking.enqueue(Record::to("t").value("0")).unwrap();
    assert_eq!(delivery.wait().unwrap().offset, Some(Offset(0)));
    let delivery = blocking.enqueue(Record::to("t").value("1")).unwrap();
    assert_eq!(delivery.wait_timeout(LONG).unwrap().unwrap().offset, Some(Offset(1)));
    assert_eq!(blocking.send(Record::to("t").value("2")).unwrap().offset, Some(Offset(2)));
    let outcomes = blocking.send_all((3..6).map(|n| Record::to("t").value(n.to_string())));
    assert_eq!(outcomes.into_iter().map(|o| o.unwrap().offset.unwrap().0).collect::<Vec<_>>(), [3, 4, 5]);
    blocking.enqueue_with(Record::to("t").value("6"), 6).unwrap();
    blocking.flush().unwrap();
    blocking.purge(milena_producer::Purge { queued: true, in_flight: true }).unwrap();
    assert_eq!(values(&cluster, "t", 0), ["0", "1", "2", "3", "4", "5", "6"]);
    blocking.close(LONG).unwrap();
    assert_eq!(blocking.enqueue(Record::to("t")).map(drop), Err(EnqueueError::Closed));
}

#[test]
fn a_handler_hears_of_each_token_once_with_its_place() {
    run(async {
        let cluster = one_node().await;
        let heard = Heard::default();
        let producer = builder(&cluster).batch_size(1_000).delivery_handler(heard.clone()).build().unwrap();
        for token in 0..500 {
            producer.enqueue_with(Record::to("t").partition(0).value(token.to_string()), token).await.unwrap();
        }
        producer.flush().await.unwrap();
        until("500 tokens", || heard.tokens().len() == 500).await;
        assert!(heard.tokens().into_iter().eq(0..500));
        heard.with(|notes| {
            for report in &notes.reports {
                assert!(matches!(report.outcome(), Outcome::Delivered { .. }));
                assert_eq!((report.topic().as_str(), report.partition()), ("t", Some(PartitionId(0))));
                assert!(report.records().all(|r| r.offset == Some(Offset(i64::try_from(r.token).unwrap()))));
            }
        });
    });
}

#[test]
fn a_handler_hears_of_failed_tokens_and_they_count_as_observed() {
    run(async {
        let cluster = started(EmbeddedCluster::builder().auto_create_topics(false)).await;
        let heard = Heard::default();
        let producer = builder(&cluster)
            .unknown_topic_grace(std::time::Duration::from_millis(20))
            .delivery_handler(heard.clone())
            .build()
            .unwrap();
        producer.enqueue_with(Record::to("nowhere"), 7).await.unwrap();
        producer.flush().await.unwrap();
        until("the token", || heard.tokens() == [7]).await;
        let failed = |fate| heard.with(|n| matches!(n.reports[0].outcome(), Outcome::Failed(f) if f.fate == fate));
        assert!(failed(Fate::NotWritten));
        assert_eq!(heard.unobserved_records(), 0);
    });
}

#[test]
fn a_record_above_the_limit_is_refused_at_once_with_its_size_and_the_limit() {
    run(async {
        // There is no broker, and none is needed.
        let producer = Producer::builder("127.0.0.1:1").max_record_size(1_000).build().unwrap();
        let value = vec![b'x'; 2_000];
        let fits =
            (0..=1_000).rev().find(|n| producer.try_enqueue(Record::to("t").value(&value[..*n])).is_ok()).unwrap();
        let just_above = producer.enqueue(Record::to("t").value(&value[..=fits])).await.unwrap_err();
        let EnqueueError::RecordTooLarge { size, limit: 1_000 } = just_above else { panic!("{just_above:?}") };
        assert_eq!(size, 1_001);
        let refused = producer.try_enqueue(Record::to("t").key("k").value(&value)).unwrap_err();
        let EnqueueError::RecordTooLarge { size, limit: 1_000 } = refused.error else { panic!("{refused:?}") };
        assert!(refused.to_string().contains(&size.to_string()) && refused.to_string().contains("1000"), "{refused}");
        assert_eq!(refused.record, Record::to("t").key("k").value(&value));
        assert_eq!(producer.send(Record::to("t").value(&value)).await.unwrap_err().fate(), Fate::NotWritten);
        let with_token = producer.enqueue_with(Record::to("t").value(&value), 1).await;
        assert!(matches!(with_token, Err(EnqueueError::RecordTooLarge { .. })));
        drop(producer.close(std::time::Duration::ZERO).await);
    });
}

#[test]
fn a_record_that_cannot_be_placed_is_refused_with_the_reason() {
    run(async {
        let cluster = one_node().await;
        cluster.create_topic("t", 2, 1).unwrap();
        let producer = builder(&cluster).partitioner(PartitionerKind::Manual).build().unwrap();
        producer.prepare(&["t"], LONG).await.unwrap();
        let refused = producer.try_enqueue(Record::to("t").partition(2)).unwrap_err().error;
        assert_eq!(refused, EnqueueError::NoSuchPartition { topic: "t".into(), partition: 2, count: 2 });
        let refused = producer.try_enqueue(Record::to("t").partition(-1)).unwrap_err().error;
        assert_eq!(refused, EnqueueError::NoSuchPartition { topic: "t".into(), partition: -1, count: 2 });
        let refused = producer.try_enqueue(Record::to("t").partition(0).timestamp_ms(-1)).unwrap_err().error;
        assert_eq!(refused, EnqueueError::Timestamp { given: -1 });
        let refused = producer.try_enqueue(Record::to("t")).unwrap_err().error;
        assert!(matches!(refused, EnqueueError::Partitioner { .. }), "{refused:?}");
    });
}

#[test]
fn a_partition_that_turns_out_not_to_exist_fails_its_record_alone() {
    run(async {
        let cluster = one_node().await;
        cluster.create_topic("t", 2, 1).unwrap();
        let producer = producer(&cluster);
        // The topic is not known yet, so all are taken.
        let outcomes = producer.send_all([0, 9, 1].map(|p| Record::to("t").partition(p))).await;
        assert!(outcomes[0].is_ok() && outcomes[2].is_ok());
        let Err(SendError::Delivery(error)) = &outcomes[1] else { panic!("{:?}", outcomes[1]) };
        assert_eq!(error.kind(), milena_producer::FailureKind::NoSuchPartition);
        assert_eq!(error.fate(), Fate::NotWritten);
    });
}
