use std::sync::Arc;

use milena_wire::{Codec, Compression, HeaderRef, RecordParts};

use crate::test_support::*;
use crate::*;

fn rig(codec: Codec) -> Rig {
    let config = AccumulatorConfig { compression: Compression::new(codec), ..AccumulatorConfig::default() };
    Rig::with_partitions(config, 1)
}

fn text(i: usize) -> String {
    format!("letter {i}, which says what all letters say")
}

/// A batch of `count` records with keys, headers and timestamps, and their handles.
fn batch_of(rig: &Rig, count: usize) -> (SealedBatch, Vec<Delivery>) {
    let deliveries = (0..count)
        .map(|i| {
            let (key, text) = (i.to_string(), text(i));
            let headers = [HeaderRef { key: "n", value: None }, HeaderRef { key: "n", value: Some(key.as_bytes()) }];
            let parts = RecordParts { key: Some(key.as_bytes()), value: Some(text.as_bytes()), headers: &headers };
            let timestamp_ms = Some(i64::try_from(1_000 + i % 7).unwrap());
            rig.append(&RecordRef { timestamp_ms, ..to_partition(0, parts) })
        })
        .collect();
    (rig.drain().pop().unwrap(), deliveries)
}

#[test]
fn split_keeps_order_content_age_and_outcomes() {
    for codec in [Codec::None, Codec::Zstd] {
        let rig = rig(codec);
        let (batch, deliveries) = batch_of(&rig, 1_000);
        let all = read(&batch);
        let created = batch.created();
        let pieces = batch.split(10_000).unwrap();
        assert!(pieces.len() > 5);
        assert!(pieces.iter().all(|piece| piece.bytes() <= 10_000 && piece.created() == created));
        assert_eq!(pieces.iter().flat_map(read).collect::<Vec<_>>(), all);
        // Greedy: no two neighbours would have fitted into one.
        assert!(pieces.windows(2).all(|pair| pair[0].bytes() + pair[1].bytes() > 10_000));
        let mut expected = Vec::new();
        for (i, piece) in pieces.into_iter().enumerate() {
            let count = i64::from(piece.count().get());
            if i == 1 {
                piece.settle(Outcome::Failed(Arc::new(failure(FailureKind::Broker))));
                expected.extend((0..count).map(|_| None));
            } else {
                piece.settle(delivered(1_000_000 * i64::try_from(i).unwrap()));
                expected.extend((0..count).map(|at| Some(1_000_000 * i64::try_from(i).unwrap() + at)));
            }
        }
        let told: Vec<_> =
            deliveries.into_iter().map(|d| d.wait().ok().map(|receipt| receipt.offset.unwrap().0)).collect();
        assert_eq!(told, expected);
        assert_eq!(rig.accumulator.memory().used, 0);
        assert_eq!(rig.heard.unobserved(), 0);
    }
}

#[test]
fn splitting_again_and_again_comes_to_single_records_and_stops() {
    let rig = rig(Codec::None);
    let (batch, deliveries) = batch_of(&rig, 100);
    let all = read(&batch);
    let mut single = Vec::new();
    let mut work = vec![batch];
    while let Some(batch) = work.pop() {
        // A limit that is plainly wrong.
        match batch.split(usize::MAX) {
            Ok(pieces) => {
                assert!(pieces.len() >= 2);
                work.extend(pieces.into_iter().rev());
            }
            Err(batch) => single.push(batch),
        }
    }
    assert_eq!(single.len(), 100);
    assert_eq!(single.iter().flat_map(read).collect::<Vec<_>>(), all);
    for (offset, batch) in (0..).zip(single) {
        batch.settle(delivered(offset));
    }
    let offsets: Vec<_> = deliveries.into_iter().map(|d| d.wait().unwrap().offset.unwrap().0).collect();
    assert_eq!(offsets, (0..100).collect::<Vec<_>>());
}

#[test]
fn records_larger_than_the_limit_get_pieces_of_their_own() {
    let rig = rig(Codec::None);
    let sizes = [10, 100_000, 20, 30, 80_000, 40];
    let _deliveries: Vec<_> = sizes.map(|size| rig.append(&to_partition(0, value(&vec![9; size])))).into();
    let batch = rig.drain().pop().unwrap();
    let pieces = batch.split(1_000).unwrap();
    let lens: Vec<Vec<usize>> = pieces.iter().map(|p| values(p).iter().map(Vec::len).collect()).collect();
    assert_eq!(lens, [vec![10], vec![100_000], vec![20, 30], vec![80_000], vec![40]]);
}

#[test]
fn a_single_record_and_a_batch_without_payload_cannot_be_split() {
    let rig = rig(Codec::None);
    let (batch, _one) = batch_of(&rig, 1);
    let batch = batch.split(10).unwrap_err();
    batch.settle(delivered(0));
    let (mut batch, _two) = batch_of(&rig, 2);
    batch.release_payload();
    batch.split(10).unwrap_err().settle(delivered(0));
}

#[test]
fn a_batch_that_cannot_be_taken_apart_fails_whole_each_record_for_its_own_reason() {
    for bad in [vec![0], vec![2], vec![1, 2, 4]] {
        let rig = rig(Codec::None);
        let (mut batch, deliveries) = batch_of(&rig, 5);
        batch.release_payload();
        let mut invalid = failure(FailureKind::InvalidRecord);
        invalid.fate = Fate::MaybeWritten;
        let invalid = Arc::new(invalid);
        let listed: Vec<_> = bad.iter().map(|index| (*index, Arc::clone(&invalid))).collect();
        assert!(batch.split_out(&listed).is_none());
        for (index, delivery) in (0..).zip(deliveries) {
            let error = delivery.wait().unwrap_err();
            let kind = if bad.contains(&index) { FailureKind::InvalidRecord } else { FailureKind::Encode };
            assert_eq!((error.kind(), error.fate()), (kind, Fate::MaybeWritten), "record {index}");
        }
        assert_eq!(rig.accumulator.memory().used, 0);
    }
}

#[test]
fn handles_dropped_before_a_split_are_counted_with_the_piece_that_fails() {
    let rig = rig(Codec::None);
    let (batch, deliveries) = batch_of(&rig, 100);
    let limit = batch.bytes() / 2 + 61;
    // Every third handle is dropped before the split, every third after it, every third never.
    let mut rest: Vec<_> = deliveries.into_iter().enumerate().collect();
    rest.retain(|(i, _)| i % 3 != 0);
    let mut pieces = batch.split(limit).unwrap();
    rest.retain(|(i, _)| i % 3 != 1);
    let first = pieces.remove(0);
    let in_first = first.count().as_usize();
    first.settle(Outcome::Failed(Arc::new(failure(FailureKind::Broker))));
    assert_eq!(rig.heard.unobserved(), (0..in_first).filter(|i| i % 3 != 2).count());
    pieces.into_iter().for_each(|piece| piece.settle(delivered(0)));
    assert_eq!(rig.heard.unobserved(), (0..in_first).filter(|i| i % 3 != 2).count());
    drop(rest);
    assert_eq!(rig.heard.unobserved(), in_first);
}

#[test]
fn a_task_that_waits_is_led_on_to_the_piece_by_a_wake() {
    use std::future::Future;
    use std::pin::Pin;
    use std::task::Context;
    let rig = rig(Codec::None);
    let (batch, mut deliveries) = batch_of(&rig, 2);
    let (bell, waker) = Bell::new();
    let mut poll = || Pin::new(&mut deliveries[1]).poll(&mut Context::from_waker(&waker));
    assert!(poll().is_pending());
    let pieces = batch.split(1).unwrap();
    assert_eq!(bell.rings(), 1);
    assert!(poll().is_pending());
    pieces.into_iter().for_each(|piece| piece.settle(delivered(9)));
    assert_eq!(bell.rings(), 2);
    assert!(poll().is_ready());
}

#[test]
fn split_out_fails_the_listed_records_and_keeps_the_rest_in_order() {
    for codec in [Codec::None, Codec::Lz4] {
        let rig = rig(codec);
        for i in 0..10u64 {
            let text = text(usize::try_from(i).unwrap());
            let record = to_partition(0, value(text.as_bytes()));
            rig.accumulator.append_with_token(at(0), &record, Urgency::Linger, None, 100 + i).unwrap();
        }
        let deliveries: Vec<_> = (10..20).map(|i| rig.append(&to_partition(0, value(text(i).as_bytes())))).collect();
        let batch = rig.drain().pop().unwrap();
        let bad = |index| (index, Arc::new(failure(FailureKind::InvalidRecord)));
        let rest = batch.split_out(&[bad(0), bad(3), bad(4), bad(12), bad(19), bad(500)]).unwrap();
        let kept: Vec<usize> = (0..20).filter(|i| ![0, 3, 4, 12, 19].contains(i)).collect();
        assert_eq!(values(&rest), kept.iter().map(|i| text(*i).into_bytes()).collect::<Vec<_>>());
        rest.settle(delivered(1_000));
        let offset_of = |i: usize| kept.iter().position(|k| *k == i).map(|at| 1_000 + i64::try_from(at).unwrap());
        for (i, delivery) in (10..).zip(deliveries) {
            assert_eq!(delivery.wait().ok().map(|receipt| receipt.offset.unwrap().0), offset_of(i));
        }
        let mut reported: Vec<_> = rig
            .heard
            .reports
            .lock()
            .iter()
            .flat_map(|report| report.records().map(|r| (r.token, r.offset.map(|o| o.0))).collect::<Vec<_>>())
            .collect();
        reported.sort_unstable();
        let expected: Vec<_> = (0..10).map(|i| (100 + i as u64, offset_of(i))).collect();
        assert_eq!(reported, expected);
        rig.heard.reports.lock().clear();
        assert_eq!(rig.accumulator.memory().used, 0);
    }
}

#[test]
fn split_out_of_everything_leaves_nothing_and_of_nothing_everything() {
    let rig = rig(Codec::None);
    let (batch, deliveries) = batch_of(&rig, 3);
    let batch = batch.split_out(&[]).unwrap();
    assert_eq!(batch.count().get(), 3);
    let bad: Vec<_> = (0..3).map(|i| (i, Arc::new(failure(FailureKind::InvalidRecord)))).collect();
    assert!(batch.split_out(&bad).is_none());
    for delivery in deliveries {
        assert_eq!(delivery.wait().unwrap_err().kind(), FailureKind::InvalidRecord);
    }
    assert_eq!(rig.accumulator.memory().used, 0);
}
