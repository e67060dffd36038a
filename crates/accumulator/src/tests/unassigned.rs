use std::sync::Arc;
use std::thread;

use milena_wire::{HeaderRef, PartitionId, RecordParts, Timestamp, TopicName};

use crate::test_support::*;
use crate::*;

fn rig() -> Rig {
    Rig::bare(AccumulatorConfig::default())
}

fn waiting_topics(rig: &Rig) -> Vec<TopicName> {
    let mut topics = Vec::new();
    rig.accumulator.take_waiting_topics(&mut topics);
    topics
}

#[test]
fn the_sender_hears_of_a_topic_with_its_first_record_only() {
    let rig = rig();
    let mut deliveries = vec![rig.append(&anywhere(value(b"1")))];
    assert_eq!(rig.heard.wakes(), 1);
    deliveries.push(rig.append(&anywhere(value(b"2"))));
    assert_eq!(rig.heard.wakes(), 1);
    assert_eq!(waiting_topics(&rig), [TopicName::new(TOPIC)]);
    deliveries.push(rig.append(&anywhere(value(b"3"))));
    assert!(waiting_topics(&rig).is_empty());
    assert_eq!(rig.accumulator.topic_partitions(TOPIC), None);
    rig.shape(&all_leaders(2));
    assert_eq!(rig.accumulator.topic_partitions(TOPIC), Some(2));
    drop(deliveries);
}

#[test]
fn records_move_in_order_as_old_as_they_are_and_their_handles_follow() {
    let rig = rig();
    let headers = [HeaderRef { key: "h", value: Some(b"1") }, HeaderRef { key: "", value: None }];
    let texts: Vec<String> = (0..100).map(|i| i.to_string()).collect();
    let mut deliveries = Vec::new();
    for (i, text) in (0u64..).zip(&texts) {
        let parts = RecordParts { key: Some(b"abc"), value: Some(text.as_bytes()), headers: &headers };
        let record = RecordRef { timestamp_ms: Some(i64::try_from(i).unwrap()), ..anywhere(parts) };
        deliveries.push(rig.accumulator.append(at(10 + i), &record, Urgency::Linger, None).unwrap());
    }
    assert!(rig.accumulator.memory().used > 0);
    rig.accumulator.set_topic(at(5_000), &TopicName::new(TOPIC), &all_leaders(10));
    // Records of after the move come behind.
    deliveries.push(rig.append(&anywhere(keyed(b"abc", b"last"))));
    let batch = rig.drain().pop().unwrap();
    assert_eq!(batch.partition(), PartitionId(7), "the key decides, as if the partitions had been known");
    assert_eq!(batch.created(), Timestamp::from_millis(10));
    let read = read(&batch);
    for (i, (record, text)) in read.iter().zip(&texts).enumerate() {
        assert_eq!(record.value.as_deref(), Some(text.as_bytes()));
        assert_eq!(record.headers, [("h".to_owned(), Some(b"1".to_vec())), (String::new(), None)]);
        assert_eq!(record.timestamp, i64::try_from(i).unwrap());
    }
    assert_eq!(read[100].value.as_deref(), Some(&b"last"[..]));
    batch.settle(delivered(500));
    for (i, delivery) in (0..).zip(deliveries) {
        let receipt = delivery.wait().unwrap();
        assert_eq!((receipt.offset.unwrap().0, receipt.partition), (500 + i, PartitionId(7)));
    }
    assert_eq!(rig.accumulator.memory().used, 0);
}

#[test]
fn a_partition_that_turns_out_not_to_exist_fails_its_record_only() {
    let rig = rig();
    let good = rig.append(&to_partition(1, value(b"good")));
    let bad = rig.append(&to_partition(2, value(b"bad")));
    rig.shape(&all_leaders(2));
    let error = bad.wait().unwrap_err();
    assert_eq!((error.kind(), error.fate()), (FailureKind::NoSuchPartition, Fate::NotWritten));
    let text = error.to_string();
    assert!(text.contains("partition 2 does not exist: the topic has 2 partitions"), "{text}");
    rig.drain().pop().unwrap().settle(delivered(0));
    assert!(good.wait().is_ok());
}

#[test]
fn tokens_move_along() {
    let rig = rig();
    for token in 0..3 {
        rig.accumulator.append_with_token(at(0), &to_partition(0, value(b"x")), Urgency::Now, None, token).unwrap();
    }
    rig.shape(&all_leaders(1));
    let queue = rig.ready().pop().unwrap();
    assert!(queue.view().urgent, "urgency moves along");
    queue.close_head(Take::OpenToo).unwrap().settle(delivered(5));
    let reports = rig.heard.reports.lock();
    let told: Vec<_> =
        reports.iter().flat_map(|report| report.records()).map(|r| (r.token, r.offset.unwrap().0)).collect();
    assert_eq!(told, [(0, 5), (1, 6), (2, 7)]);
    assert_eq!(reports.len(), 1);
}

#[test]
fn failing_a_topic_fails_all_that_wait_for_it_and_it_may_wait_again() {
    let rig = rig();
    let deliveries: Vec<_> = (0..5).map(|_| rig.append(&anywhere(value(b"x")))).collect();
    assert_eq!(waiting_topics(&rig).len(), 1);
    let topic = TopicName::new(TOPIC);
    assert_eq!(rig.accumulator.fail_waiting(&topic, failure(FailureKind::TopicUnknown)), 5);
    assert_eq!(rig.accumulator.memory().used, 0);
    for delivery in deliveries {
        assert_eq!(delivery.wait().unwrap_err().kind(), FailureKind::TopicUnknown);
    }
    drop(rig.append(&anywhere(value(b"y"))));
    assert_eq!(waiting_topics(&rig), std::slice::from_ref(&topic));
    assert_eq!(rig.accumulator.fail_waiting(&topic, failure(FailureKind::TopicUnknown)), 1);
    assert_eq!(rig.heard.unobserved(), 1);
    assert_eq!(rig.accumulator.fail_waiting(&TopicName::new("never heard of"), failure(FailureKind::TopicUnknown)), 0);
}

#[test]
fn waiting_records_expire_at_exactly_their_time() {
    let rig = rig();
    let mut deliveries: Vec<_> = [10, 100, 100, 200]
        .into_iter()
        .map(|t| rig.accumulator.append(at(t), &anywhere(value(b"x")), Urgency::Linger, None).unwrap())
        .collect();
    let topic = TopicName::new(TOPIC);
    let expire = |before| {
        rig.accumulator.expire_waiting(&topic, Timestamp::from_millis(before), failure(FailureKind::DeliveryTimeout))
    };
    assert_eq!(expire(9), (0, Some(Timestamp::from_millis(10))));
    assert!(!deliveries[0].is_done());
    assert_eq!(expire(100), (3, Some(Timestamp::from_millis(200))));
    let last = deliveries.pop().unwrap();
    for delivery in deliveries {
        assert_eq!(delivery.wait().unwrap_err().kind(), FailureKind::DeliveryTimeout);
    }
    assert!(!last.is_done());
    assert_eq!(expire(200), (1, None));
    assert!(last.wait().is_err());
}

#[test]
fn records_that_come_within_fifty_milliseconds_wait_and_expire_together() {
    let rig = rig();
    let append = |t| rig.accumulator.append(at(t), &anywhere(value(b"x")), Urgency::Linger, None).unwrap();
    let deliveries = [10, 30, 59, 60].map(append);
    let topic = TopicName::new(TOPIC);
    let gone = failure(FailureKind::DeliveryTimeout);
    let expired = rig.accumulator.expire_waiting(&topic, Timestamp::from_millis(10), gone);
    assert_eq!(expired, (3, Some(Timestamp::from_millis(60))));
    assert_eq!(deliveries.each_ref().map(Delivery::is_done), [true, true, true, false]);
}

#[test]
fn a_record_as_large_as_the_memory_can_wait() {
    for (limit, with_token) in [8 << 10, 10_000, 100_000].into_iter().flat_map(|limit| [(limit, false), (limit, true)])
    {
        let config = AccumulatorConfig { buffer_memory: limit, max_record_size: limit, ..AccumulatorConfig::default() };
        let rig = Rig::bare(config);
        let text = vec![b'x'; limit - 100];
        let record = anywhere(value(&text));
        let append = |memory| match with_token {
            true => rig.accumulator.append_with_token(at(0), &record, Urgency::Linger, memory, 7),
            false => rig.accumulator.append(at(0), &record, Urgency::Linger, memory).map(drop),
        };
        let fail = || {
            let failed = rig.accumulator.fail_waiting(&TopicName::new(TOPIC), failure(FailureKind::TopicUnknown));
            assert_eq!(rig.heard.reports.lock().drain(..).len(), if with_token { failed } else { 0 });
            failed
        };
        // A token's first chunk is larger than what is left beside the record, unless somebody has waited for the memory.
        assert_eq!(append(None).is_ok(), !with_token);
        for _ in 0..2 {
            let Err(Refused::Memory { bytes }) = append(None) else { panic!("there is room for no more than one") };
            fail();
            let memory = rig.accumulator.reserve(bytes).wait_blocking(std::time::Duration::ZERO).unwrap().unwrap();
            append(Some(memory)).unwrap();
            assert!(rig.accumulator.memory().used <= limit);
        }
        assert_eq!((fail(), rig.accumulator.memory().used), (1, 0));
    }
}

#[test]
fn what_waits_is_in_batches_no_larger_than_others() {
    let rig = Rig::bare(AccumulatorConfig { batch_size: 1_000, divert: true, ..AccumulatorConfig::default() });
    let _deliveries: Vec<_> = (0..100).map(|_| rig.append(&anywhere(value(&[0; 50])))).collect();
    rig.accumulator.fail_waiting(&TopicName::new(TOPIC), failure(FailureKind::TopicUnknown));
    let sizes: Vec<_> = rig.heard.diverted.lock().drain(..).map(|batch| batch.wire_size()).collect();
    assert!(sizes.len() < 10 && sizes.iter().all(|size| *size <= 1_000), "{sizes:?}");
}

#[test]
fn small_records_that_wait_take_little_more_than_their_bytes() {
    let rig = rig();
    let _deliveries: Vec<_> = (0..1_000).map(|_| rig.append(&anywhere(value(b"a small one")))).collect();
    let used = rig.accumulator.memory().used;
    assert!((18_000..40_000).contains(&used), "{used} bytes for 1,000 records of 11");
}

#[test]
fn records_that_name_their_partition_and_others_keep_the_order_of_both() {
    let rig = rig();
    let texts: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    for (n, text) in texts.iter().enumerate() {
        let record = value(text.as_bytes());
        drop(rig.append(&if n % 3 == 0 { to_partition(0, record) } else { anywhere(record) }));
    }
    rig.shape(&all_leaders(1));
    let batch = rig.drain().pop().unwrap();
    assert_eq!(values(&batch), texts.iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>());
    batch.settle(delivered(0));
}

/// Sends a record where its value says, and nowhere if it says nothing.
struct ByValue;

impl CustomPartitioner for ByValue {
    fn partition(&self, record: &PartitionRequest<'_>) -> PartitionId {
        PartitionId(record.parts.value.and_then(|value| str::from_utf8(value).ok()?.parse().ok()).unwrap_or(-1))
    }
}

#[test]
fn records_of_one_batch_go_their_ways_and_their_handles_and_tokens_with_them() {
    for divert in [false, true] {
        let partitioner = PartitionerKind::Custom(Arc::new(ByValue));
        let rig = Rig::bare(AccumulatorConfig { partitioner, divert, ..AccumulatorConfig::default() });
        let texts = ["1", "1", "0", "nowhere", "1", "0", "nor this", "0", "9"];
        let mut deliveries = Vec::new();
        for (token, text) in (0u64..).zip(texts) {
            let record = anywhere(value(text.as_bytes()));
            match token % 2 {
                0 => rig.accumulator.append_with_token(at(0), &record, Urgency::Linger, None, token).unwrap(),
                _ => deliveries.push(rig.append(&record)),
            }
        }
        rig.shape(&all_leaders(2));
        for batch in rig.drain() {
            let offset = 100 * i64::from(batch.partition().0);
            assert_eq!(batch.count().as_usize(), 3);
            batch.settle(delivered(offset));
        }
        let diverted = std::mem::take(&mut *rig.heard.diverted.lock());
        let counts: Vec<_> = diverted.iter().map(|batch| batch.count().get()).collect();
        assert_eq!(
            counts,
            if divert { &[2, 1][..] } else { &[] },
            "together if they follow each other and fail for one reason"
        );
        let reasons = diverted.iter().map(|batch| batch.failure().message.clone().unwrap());
        assert!(reasons.zip(["partition -1", "partition 9"]).all(|(reason, named)| reason.contains(named)));
        assert!(!diverted.iter().any(Diverted::is_placed));
        drop(diverted);
        let offsets = deliveries.into_iter().map(|delivery| delivery.wait().map(|receipt| receipt.offset.unwrap().0));
        let told: Vec<_> = offsets.map(|offset| offset.map_err(|error| error.kind())).collect();
        assert_eq!(told, [Ok(101), Err(FailureKind::Partitioner), Ok(1), Ok(2)]);
        let mut reported: Vec<_> = std::mem::take(&mut *rig.heard.reports.lock())
            .iter()
            .flat_map(|report| report.records().map(|r| (r.token, r.offset.map(|offset| offset.0))).collect::<Vec<_>>())
            .collect();
        reported.sort_unstable();
        assert_eq!(reported, [(0, Some(100)), (2, Some(0)), (4, Some(102)), (6, None), (8, None)]);
        assert_eq!(rig.accumulator.memory().used, 0);
    }
}

#[test]
fn waiting_records_count_against_the_memory_and_queue_for_it() {
    let rig = Rig::bare(AccumulatorConfig { buffer_memory: 8 << 10, ..AccumulatorConfig::default() });
    let record = anywhere(value(&[0; 1_000]));
    let mut queued = Vec::new();
    let refused = loop {
        match rig.accumulator.append(at(0), &record, Urgency::Linger, None) {
            Ok(delivery) => queued.push(delivery),
            Err(refused) => break refused,
        }
    };
    assert!((3..8).contains(&queued.len()), "{}", queued.len());
    let Refused::Memory { bytes } = refused else { panic!("{refused:?}") };
    let topic = TopicName::new(TOPIC);
    rig.accumulator.fail_waiting(&topic, failure(FailureKind::TopicUnknown));
    let memory = rig.accumulator.reserve(bytes).wait_blocking(std::time::Duration::ZERO).unwrap().unwrap();
    queued.push(rig.accumulator.append(at(0), &record, Urgency::Linger, Some(memory)).unwrap());
    rig.accumulator.fail_waiting(&topic, failure(FailureKind::TopicUnknown));
    assert_eq!(rig.accumulator.memory().used, 0);
}

#[test]
fn records_accepted_before_close_still_move() {
    let rig = rig();
    let delivery = rig.append(&anywhere(value(b"x")));
    rig.accumulator.close();
    rig.shape(&all_leaders(1));
    rig.drain().pop().unwrap().settle(delivered(0));
    assert!(delivery.wait().is_ok());
    let refused = rig.accumulator.append(at(0), &anywhere(value(b"x")), Urgency::Linger, None).unwrap_err();
    assert_eq!(refused, Refused::Closed);
}

#[test]
fn what_headers_take_while_they_wait_counts() {
    let rig = rig();
    let headers = [HeaderRef { key: "", value: None }; 10_000];
    let parts = RecordParts { headers: &headers, ..RecordParts::default() };
    let _delivery = rig.append(&anywhere(parts));
    assert!(rig.accumulator.memory().used >= 10_000 * 2, "{:?}", rig.accumulator.memory());
    rig.shape(&all_leaders(1));
    assert_eq!(rig.drain().pop().map(|batch| read(&batch)[0].headers.len()), Some(10_000));
}

#[test]
fn records_accepted_before_close_fill_batches_as_others_do() {
    let rig = rig();
    let deliveries: Vec<_> = (0..100u8).map(|n| rig.append(&anywhere(value(&[n])))).collect();
    rig.accumulator.close();
    rig.shape(&all_leaders(1));
    let mut batches = rig.drain();
    assert_eq!(batches.len(), 1);
    batches.pop().unwrap().settle(delivered(0));
    assert!(deliveries.into_iter().all(|delivery| delivery.wait().is_ok()));
}

#[test]
fn no_partitions_at_all_say_nothing() {
    let rig = rig();
    let delivery = rig.append(&anywhere(value(b"x")));
    rig.shape(&TopicShape::default());
    assert_eq!(rig.accumulator.topic_partitions(TOPIC), None);
    assert!(!delivery.is_done());
    rig.shape(&all_leaders(1));
    assert_eq!(rig.drain().len(), 1);
}

#[test]
fn threads_that_append_while_the_topic_becomes_known_keep_their_order() {
    const THREADS: u8 = 3;
    const EACH: u32 = 2_000;
    for _ in 0..5 {
        let rig = rig();
        let mut seen: Vec<Vec<u32>> = vec![Vec::new(); THREADS.into()];
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let rig = &rig;
                scope.spawn(move || {
                    for i in 0..EACH {
                        let mut bytes = vec![thread];
                        bytes.extend_from_slice(&i.to_be_bytes());
                        drop(rig.append(&anywhere(keyed(&[thread], &bytes))));
                    }
                });
            }
            while rig.accumulator.memory().used < 100_000 {
                thread::yield_now();
            }
            rig.shape(&all_leaders(4));
        });
        for batch in rig.drain() {
            for bytes in values(&batch) {
                seen[usize::from(bytes[0])].push(u32::from_be_bytes(bytes[1..].try_into().unwrap()));
            }
            batch.settle(delivered(0));
        }
        let expected: Vec<u32> = (0..EACH).collect();
        assert!(seen.iter().all(|seen| *seen == expected));
        assert_eq!(rig.accumulator.memory().used, 0);
    }
}

/// Asked for the second of two records that wait, it wants the first one to go at once: that one is with its partition by then.
#[derive(Default)]
struct Impatient(parking_lot::Mutex<Option<(Accumulator, Delivery)>>);

impl CustomPartitioner for Impatient {
    fn partition(&self, record: &PartitionRequest<'_>) -> PartitionId {
        if record.parts.value == Some(b"second")
            && let Some((accumulator, first)) = self.0.lock().take()
        {
            accumulator.hurry(&first);
        }
        PartitionId(0)
    }
}

#[test]
fn a_record_can_be_hurried_while_others_of_its_topic_are_still_being_moved() {
    let impatient = Arc::new(Impatient::default());
    let partitioner = PartitionerKind::Custom(Arc::clone(&impatient) as Arc<dyn CustomPartitioner>);
    let rig = Rig::bare(AccumulatorConfig { partitioner, ..AccumulatorConfig::default() });
    let first = rig.append(&anywhere(value(b"first")));
    let second = rig.append(&anywhere(value(b"second")));
    *impatient.0.lock() = Some((rig.accumulator.clone(), first));
    rig.shape(&all_leaders(1));
    let mut ready = Vec::new();
    rig.accumulator.take_ready(&mut ready);
    assert!(ready[0].view().urgent);
    drop(second);
}
