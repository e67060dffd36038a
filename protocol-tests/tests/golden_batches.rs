//! Record batches against the ones that Kafka's own classes write.

use bytes::Bytes;
use milena_wire::{
    Attributes, BatchHeader, BatchView, Codec, LeaderEpoch, Offset, ProducerEpoch, ProducerId, RecordParts,
    TimestampType, put_record, record_size,
};
use protocol_tests::golden::{self, GoldenBatch, GoldenRecord};

fn timestamp_type(batch: &GoldenBatch) -> TimestampType {
    if batch.field("time") == "create" { TimestampType::CreateTime } else { TimestampType::LogAppendTime }
}

/// What a reader is told: the log append time, where that is the batch's kind of time.
fn expected_records(batch: &GoldenBatch) -> Vec<GoldenRecord> {
    let appended = batch.field("time").strip_prefix("append:").map(|time| time.parse().expect("a timestamp"));
    let read = |record: &GoldenRecord| {
        let timestamp = appended.unwrap_or(record.timestamp);
        GoldenRecord { timestamp, ..record.clone() }
    };
    batch.records.iter().map(read).collect()
}

fn encode(batch: &GoldenBatch) -> Vec<u8> {
    let base_timestamp = batch.records[0].timestamp;
    let mut payload = Vec::new();
    for (index, record) in batch.records.iter().enumerate() {
        let headers = record.header_refs();
        let parts = RecordParts { key: record.key.as_deref(), value: record.value.as_deref(), headers: &headers };
        let offset_delta = i32::try_from(index).expect("few records");
        let timestamp_delta = record.timestamp - base_timestamp;
        let size = record_size(offset_delta, timestamp_delta, &parts);
        let before = payload.len();
        put_record(&mut payload, size, offset_delta, timestamp_delta, &parts);
        assert_eq!(payload.len() - before, size.total, "{}: the size was foretold wrong", batch.name);
    }
    let mut attributes = Attributes::new(batch.codec).with_timestamp_type(timestamp_type(batch));
    if batch.flag("transactional") {
        attributes = attributes.transactional();
    }
    let count = i32::try_from(batch.records.len()).expect("few records");
    let header = BatchHeader {
        base_offset: Offset(batch.number("base_offset")),
        batch_length: 0,
        leader_epoch: LeaderEpoch(batch.number("leader_epoch")),
        crc: 0,
        attributes,
        last_offset_delta: count - 1,
        base_timestamp,
        max_timestamp: expected_records(batch).iter().map(|record| record.timestamp).max().expect("some records"),
        producer_id: ProducerId(batch.number("producer_id")),
        producer_epoch: ProducerEpoch(batch.number("epoch")),
        base_sequence: batch.number("sequence"),
        record_count: count,
    };
    let payload = [Bytes::from(payload)];
    [&header.encode(&payload), payload[0].as_ref()].concat()
}

#[test]
fn uncompressed_batches_are_byte_for_byte_what_java_writes() {
    let mut compared = 0;
    for batch in golden::batches() {
        if batch.codec == Codec::None && !batch.flag("control") {
            assert_eq!(encode(&batch), batch.bytes, "{}", batch.name);
            compared += 1;
        }
    }
    assert_eq!(compared, 14);
}

#[test]
fn every_java_batch_is_read_field_for_field() {
    let batches = golden::batches();
    for batch in &batches {
        let (view, rest) = BatchView::parse(&batch.bytes).expect("a batch that can be read");
        assert!(rest.is_empty(), "{}", batch.name);
        view.verify_crc().expect("a CRC that fits");
        let header = view.header();
        assert_eq!(header.total_len(), batch.bytes.len(), "{}", batch.name);
        assert_eq!(header.base_offset, Offset(batch.number("base_offset")), "{}", batch.name);
        assert_eq!(header.leader_epoch, LeaderEpoch(batch.number("leader_epoch")), "{}", batch.name);
        assert_eq!(header.producer_id, ProducerId(batch.number("producer_id")), "{}", batch.name);
        assert_eq!(header.producer_epoch, ProducerEpoch(batch.number("epoch")), "{}", batch.name);
        assert_eq!(header.base_sequence, batch.number::<i32>("sequence"), "{}", batch.name);
        assert_eq!(header.attributes.codec(), Ok(batch.codec), "{}", batch.name);
        assert_eq!(header.attributes.is_transactional(), batch.flag("transactional"), "{}", batch.name);
        assert_eq!(header.attributes.is_control(), batch.flag("control"), "{}", batch.name);
        assert_eq!(header.attributes.timestamp_type(), timestamp_type(batch), "{}", batch.name);
        if !batch.flag("control") {
            assert_eq!(usize::try_from(header.record_count), Ok(batch.records.len()), "{}", batch.name);
            assert_eq!(GoldenRecord::all_of(&view), expected_records(batch), "{}", batch.name);
        }
    }
    for codec in Codec::ALL {
        assert!(batches.iter().filter(|batch| batch.codec == codec).count() >= 7, "too few vectors of {codec}");
    }
}

#[test]
fn a_transaction_marker_is_a_control_batch_of_one_record() {
    let batches = golden::batches();
    let marker = batches.iter().find(|batch| batch.flag("control")).expect("a marker among the vectors");
    let (view, _) = BatchView::parse(&marker.bytes).expect("a batch that can be read");
    let records = GoldenRecord::all_of(&view);
    assert_eq!(records.len(), 1);
    // Version 0, type 1: commit. The value: version 0, coordinator epoch 8.
    assert_eq!(records[0].key.as_deref(), Some(&[0, 0, 0, 1][..]));
    assert_eq!(records[0].value.as_deref().map(|value| &value[..6]), Some(&[0, 0, 0, 0, 0, 8][..]));
}

#[test]
fn a_golden_batch_with_any_byte_changed_fails_its_crc() {
    let batch = golden::batches().swap_remove(0);
    for at in 21..batch.bytes.len() {
        let mut bytes = batch.bytes.clone();
        bytes[at] ^= 0x10;
        let refused = BatchView::parse(&bytes).map_or(true, |(view, _)| view.verify_crc().is_err());
        assert!(refused, "byte {at}");
    }
}
