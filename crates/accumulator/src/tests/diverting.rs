use std::sync::Arc;

use milena_wire::{Codec, Compression, HeaderRef, PartitionId, ProducerEpoch, ProducerId, RecordParts, Sequence};

use crate::test_support::*;
use crate::*;

fn config(codec: Codec) -> AccumulatorConfig {
    AccumulatorConfig { divert: true, compression: Compression::new(codec), ..AccumulatorConfig::default() }
}

fn rig(codec: Codec) -> Rig {
    Rig::with_partitions(config(codec), 1)
}

fn record(i: usize) -> ReadRecord {
    ReadRecord {
        key: (!i.is_multiple_of(3)).then(|| i.to_string().into_bytes()),
        value: (!i.is_multiple_of(4)).then(|| format!("letter {i}, which says what all letters say").into_bytes()),
        headers: vec![("n".into(), None), ("n".into(), Some(i.to_string().into_bytes()))],
        timestamp: i64::try_from(5_000 + i % 7).unwrap(),
    }
}

/// Records to partition 0, every other with a token instead of a handle.
fn fill(rig: &Rig, count: usize) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    for i in 0..count {
        let record = record(i);
        record.with_refs(|parts| {
            let timestamp_ms = Some(record.timestamp);
            let record = RecordRef { timestamp_ms, ..to_partition(0, parts) };
            if i % 2 == 0 {
                deliveries.push(rig.append(&record));
            } else {
                rig.accumulator.append_with_token(at(0), &record, Urgency::Linger, None, i as u64).unwrap();
            }
        });
    }
    deliveries
}

fn failed(kind: FailureKind, fate: Fate) -> Outcome {
    let mut failure = failure(kind);
    failure.fate = fate;
    Outcome::Failed(Arc::new(failure))
}

fn only(rig: &Rig) -> Diverted {
    let mut diverted = rig.heard.diverted.lock();
    assert_eq!(diverted.len(), 1);
    diverted.pop().unwrap()
}

fn read_back(batch: &Diverted) -> Vec<ReadRecord> {
    let records = batch.records().unwrap();
    let decoded: Vec<_> = records.iter().map(|record| ReadRecord::of(&record.unwrap())).collect();
    // The batch as a log would keep it says the same.
    let mut wire = batch.header().encode(batch.payload()).to_vec();
    batch.payload().iter().for_each(|part| wire.extend_from_slice(part));
    assert_eq!(wire.len(), batch.wire_size());
    assert_eq!(read_wire(&wire).1, decoded);
    assert_eq!(batch.count().as_usize(), decoded.len());
    decoded
}

const STAMP: Stamp = Stamp { producer_id: ProducerId(7), epoch: ProducerEpoch(2), sequence: Sequence::ZERO };

/// Takes the head batch and fails it at one of its stations.
fn fail_at(rig: &Rig, station: usize, outcome: Outcome) {
    let queue = rig.ready().pop().unwrap();
    let batch = queue.close_head(Take::OpenToo).unwrap();
    assert!(queue.go_idle());
    match station {
        0 => batch.settle(outcome),
        1 => {
            let (owed, job) = batch.part();
            owed.settle(outcome);
            drop(job.seal());
        }
        2 => batch.seal().settle(outcome),
        _ => {
            let batch = batch.seal();
            let _ = batch.header(Some(STAMP));
            batch.settle(outcome);
        }
    }
}

#[test]
fn a_failed_batch_is_handed_out_whole_from_every_station_and_its_memory_counts_until_it_is_dropped() {
    for codec in [Codec::None, Codec::Zstd] {
        for station in 0..4 {
            let rig = rig(codec);
            let deliveries = fill(&rig, 300);
            fail_at(&rig, station, failed(FailureKind::DeliveryTimeout, Fate::MaybeWritten));
            assert!(deliveries.iter().all(|delivery| !delivery.is_done()), "station {station}");
            let mut batch = only(&rig);
            assert_eq!(read_back(&batch), (0..300).map(record).collect::<Vec<_>>());
            assert_eq!((batch.topic().as_str(), batch.partition()), (TOPIC, Some(PartitionId(0))));
            let stamp = (station == 3).then_some(STAMP);
            assert_eq!(batch.stamp(), stamp);
            assert_eq!(batch.header().producer_id, stamp.map_or(ProducerId::NONE, |stamp| stamp.producer_id));
            let held = rig.accumulator.memory().used;
            assert!(held >= batch.wire_size() - 61, "{held} bytes");
            batch.settle(failed(FailureKind::DeliveryTimeout, Fate::Spooled));
            // The second is not heard.
            batch.settle(delivered(0));
            for delivery in deliveries {
                assert_eq!(delivery.wait().unwrap_err().fate(), Fate::Spooled);
            }
            let reports = std::mem::take(&mut *rig.heard.reports.lock());
            let tokens: Vec<_> = reports.iter().flat_map(|report| report.records().map(|r| r.token)).collect();
            assert_eq!(tokens, (0..300).filter(|i| i % 2 == 1).collect::<Vec<u64>>());
            assert!(rig.accumulator.memory().used > 0);
            drop((reports, batch));
            assert_eq!(rig.accumulator.memory().used, 0, "station {station}");
        }
    }
}

#[test]
fn one_that_is_dropped_unsettled_ends_with_its_failure() {
    let rig = rig(Codec::None);
    let deliveries = fill(&rig, 10);
    fail_at(&rig, 2, failed(FailureKind::Closed, Fate::NotWritten));
    drop(only(&rig));
    for delivery in deliveries {
        let error = delivery.wait().unwrap_err();
        assert_eq!((error.kind(), error.fate()), (FailureKind::Closed, Fate::NotWritten));
    }
    rig.heard.reports.lock().clear();
    assert_eq!(rig.accumulator.memory().used, 0);
}

#[test]
fn what_was_never_written_has_no_stamp_of_an_attempt_that_came_to_nothing() {
    let rig = rig(Codec::None);
    let _deliveries = fill(&rig, 3);
    fail_at(&rig, 3, failed(FailureKind::Broker, Fate::NotWritten));
    let batch = only(&rig);
    assert_eq!(batch.stamp(), Some(STAMP));
    assert_eq!(batch.header().producer_id, ProducerId::NONE);
    assert_eq!(batch.header().base_sequence, -1);
}

#[test]
fn spooled_records_are_no_unobserved_failures() {
    let rig = rig(Codec::None);
    let mut deliveries = fill(&rig, 10);
    drop(deliveries.split_off(2));
    fail_at(&rig, 0, failed(FailureKind::DeliveryTimeout, Fate::NotWritten));
    only(&rig).settle(failed(FailureKind::DeliveryTimeout, Fate::Spooled));
    drop(deliveries);
    assert_eq!(rig.heard.unobserved(), 0);
    // Other outcomes of the same way are.
    drop(fill(&rig, 10));
    fail_at(&rig, 0, failed(FailureKind::DeliveryTimeout, Fate::NotWritten));
    drop(only(&rig));
    assert_eq!(rig.heard.unobserved(), 5);
}

#[test]
fn delivered_batches_and_those_of_an_accumulator_without_the_policy_are_not_handed_out() {
    let rig = rig(Codec::None);
    let deliveries = fill(&rig, 4);
    fail_at(&rig, 3, delivered(0));
    for delivery in deliveries {
        delivery.wait().unwrap();
    }
    let plain = Rig::with_partitions(AccumulatorConfig::default(), 1);
    let deliveries = fill(&plain, 4);
    fail_at(&plain, 0, failed(FailureKind::Purged, Fate::NotWritten));
    deliveries.into_iter().for_each(|delivery| drop(delivery.wait().unwrap_err()));
    let unknown = RecordRef { topic: "unknown", ..anywhere(value(b"x")) };
    let waiting = plain.append(&unknown);
    plain.accumulator.fail_waiting(&"unknown".into(), failure(FailureKind::TopicUnknown));
    waiting.wait().unwrap_err();
    assert!(rig.heard.diverted.lock().is_empty() && plain.heard.diverted.lock().is_empty());
}

#[test]
fn records_that_wait_for_their_topic_are_handed_out_together_however_they_fail() {
    let headers = [HeaderRef { key: "h", value: Some(b"1") }, HeaderRef { key: "", value: None }];
    let parts = RecordParts { key: Some(b"k"), value: None, headers: &headers };
    let ways: [fn(&Rig); 4] = [
        |rig| assert_eq!(rig.accumulator.fail_waiting(&TOPIC.into(), failure(FailureKind::TopicUnknown)), 3),
        |rig| {
            let gone = failure(FailureKind::TopicUnknown);
            assert_eq!(rig.accumulator.expire_waiting(&TOPIC.into(), at(0).now, gone), (3, None));
        },
        |rig| rig.accumulator.abandon(|_, _| failure(FailureKind::TopicUnknown)),
        // The partition they name does not exist.
        |rig| rig.shape(&all_leaders(2)),
    ];
    for (way, fail) in ways.into_iter().enumerate() {
        let rig = Rig::bare(config(Codec::Zstd));
        let record = RecordRef { timestamp_ms: Some(77), ..to_partition(9, parts) };
        let deliveries = [(); 3].map(|()| rig.append(&record));
        fail(&rig);
        assert!(rig.accumulator.memory().used > 0);
        let diverted = std::mem::take(&mut *rig.heard.diverted.lock());
        let [batch] = &diverted[..] else { panic!("way {way}: {diverted:?}") };
        assert_eq!((batch.partition(), batch.is_placed()), (Some(PartitionId(9)), false));
        let records = read_back(batch);
        assert_eq!(records.len(), 3);
        for read in records {
            read.with_refs(|read| {
                assert_eq!((read.key, read.value, read.headers), (parts.key, parts.value, parts.headers))
            });
            assert_eq!(read.timestamp, 77);
        }
        drop(diverted);
        for delivery in deliveries {
            let kind = if way == 3 { FailureKind::NoSuchPartition } else { FailureKind::TopicUnknown };
            assert_eq!(delivery.wait().unwrap_err().kind(), kind);
        }
        assert_eq!(rig.accumulator.memory().used, 0, "way {way}");
    }
}

#[test]
fn what_is_abandoned_in_the_queues_or_by_the_sender_is_handed_out() {
    let rig = rig(Codec::Lz4);
    let _queued = fill(&rig, 5);
    rig.accumulator.abandon(|_, _| failure(FailureKind::RuntimeGone));
    assert_eq!(read_back(&only(&rig)).len(), 5);
    for sent in [false, true] {
        let rig = self::rig(Codec::None);
        let _taken = fill(&rig, 5);
        let batch = rig.drain().pop().unwrap();
        if sent {
            let _ = batch.header(Some(STAMP));
        }
        batch.abandon();
        let batch = only(&rig);
        let fate = if sent { Fate::MaybeWritten } else { Fate::NotWritten };
        assert_eq!((batch.failure().kind, batch.failure().fate), (FailureKind::RuntimeGone, fate));
    }
}

#[test]
fn records_that_a_broker_refuses_are_handed_out_apart_from_those_that_go_on() {
    for codec in [Codec::None, Codec::Lz4] {
        let rig = rig(codec);
        let deliveries = fill(&rig, 20);
        let batch = rig.drain().pop().unwrap();
        let first = Arc::new(failure(FailureKind::InvalidRecord));
        let mut second = failure(FailureKind::InvalidRecord);
        second.message = Some("another reason".into());
        let second = Arc::new(second);
        let bad = [(0, &first), (3, &second), (4, &first), (5, &first), (19, &second)];
        let listed: Vec<_> = bad.iter().map(|(index, failure)| (*index, Arc::clone(failure))).collect();
        let rest = batch.split_out(&listed).unwrap();
        let kept: Vec<_> = (0..20).filter(|i| ![0, 3, 4, 5, 19].contains(i)).collect();
        assert_eq!(read(&rest), kept.iter().map(|i| record(*i)).collect::<Vec<_>>());
        rest.settle(delivered(100));
        let diverted = std::mem::take(&mut *rig.heard.diverted.lock());
        for (batch, (failure, indices)) in diverted.iter().zip([(&first, vec![0, 4, 5]), (&second, vec![3, 19])]) {
            assert!(Arc::ptr_eq(batch.failure(), failure));
            assert_eq!(read_back(batch), indices.into_iter().map(record).collect::<Vec<_>>());
        }
        assert_eq!(diverted.len(), 2);
        assert_eq!(deliveries.iter().filter(|delivery| !delivery.is_done()).count(), 2, "0 and 4 have handles");
        drop(diverted);
        for (delivery, index) in deliveries.into_iter().zip((0..20).step_by(2)) {
            let offset = kept.iter().position(|kept| *kept == index).map(|at| 100 + i64::try_from(at).unwrap());
            assert_eq!(delivery.wait().ok().map(|receipt| receipt.offset.unwrap().0), offset);
        }
        rig.heard.reports.lock().clear();
        assert_eq!(rig.accumulator.memory().used, 0);
    }
}
