//! What a running Java producer and librdkafka say to a real broker, and what it answers: everything is read, and written again byte for byte.

use bytes::Bytes;
use milena_wire::message::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use milena_wire::message::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use milena_wire::message::metadata::{MetadataRequest, MetadataResponse};
use milena_wire::message::produce::{
    ProducePartition, ProduceRequest, ProduceRequestIn, ProduceResponse, ProduceTopic,
};
use milena_wire::{
    ApiKey, BATCH_HEADER_LEN, BatchView, Codec, ErrorCode, Frame, ProducerEpoch, Reader, RecordParts, RequestHeader,
    ResponseHeader, put_record, record_size,
};
use protocol_tests::golden::{self, Exchange, GoldenRecord, JAVA_CLIENT, LIBRDKAFKA};

fn request_header<'a>(exchange: &'a Exchange) -> (RequestHeader, Reader<'a>) {
    let mut reader = Reader::new(&exchange.request);
    let header = RequestHeader::decode(&mut reader).expect("a header that can be read");
    assert_eq!(header.version, exchange.version);
    (header, reader)
}

fn response_body<'a>(exchange: &'a Exchange, header: &RequestHeader) -> &'a [u8] {
    let mut reader = Reader::new(&exchange.response);
    let read = ResponseHeader::decode(header.api_key, header.version, &mut reader).expect("a response header");
    assert_eq!(read.correlation, header.correlation);
    reader.rest()
}

/// Reads a request and its response, and holds what we write for the same values against the capture.
fn check_exchange(exchange: &Exchange) {
    let (header, mut reader) = request_header(exchange);
    let body = response_body(exchange, &header);
    let (version, correlation, client) = (header.version, header.correlation, header.client_id.as_deref());
    let (request, response): (Frame, Frame) = match header.api_key {
        ApiKey::API_VERSIONS => {
            let request = ApiVersionsRequest::decode(version, &mut reader).expect("a request");
            let response = ApiVersionsResponse::decode(version, body).expect("a response");
            assert!(response.range(ApiKey::PRODUCE).is_some(), "the broker offers Produce");
            (request.encode_frame(version, correlation, client), response.encode_frame(version, correlation))
        }
        ApiKey::METADATA => {
            let request = MetadataRequest::decode(version, &mut reader).expect("a request");
            let response = MetadataResponse::decode(version, body).expect("a response");
            assert_eq!(response.brokers.len(), 1);
            assert_eq!(response.topics[0].partitions.len(), 7);
            (request.encode_frame(version, correlation, client), response.encode_frame(version, correlation))
        }
        ApiKey::INIT_PRODUCER_ID => {
            let request = InitProducerIdRequest::decode(version, &mut reader).expect("a request");
            let response = InitProducerIdResponse::decode(version, body).expect("a response");
            assert_eq!((response.error, response.producer_epoch), (ErrorCode::NONE, ProducerEpoch(0)));
            (request.encode_frame(version, correlation, client), response.encode_frame(version, correlation))
        }
        ApiKey::PRODUCE => {
            let request = ProduceRequestIn::decode(version, &mut reader).expect("a request");
            let response = ProduceResponse::decode(version, body).expect("a response");
            assert_eq!(response.topics[0].partitions[0].error, ErrorCode::NONE);
            (as_ours(&request).encode_frame(version, correlation, client), response.encode_frame(version, correlation))
        }
        other => panic!("unexpected API {other:?} in the capture"),
    };
    let what = format!("{} {} {}", exchange.api, exchange.version, exchange.case);
    assert_eq!(request.to_vec(), golden::framed(&exchange.request), "request {what}");
    assert_eq!(response.to_vec(), golden::framed(&exchange.response), "response {what}");
}

/// The same request as a client of ours holds it: each batch as its header and its payload.
fn as_ours(request: &ProduceRequestIn) -> ProduceRequest {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let records = partition.records.as_ref().expect("records");
            let header = records.first_chunk::<BATCH_HEADER_LEN>().expect("a whole header");
            let payload = vec![records.slice(BATCH_HEADER_LEN..)];
            ProducePartition { index: partition.index, header: *header, payload: payload.into() }
        });
        ProduceTopic { name: topic.name.clone(), id: topic.id, partitions: partitions.collect() }
    });
    ProduceRequest {
        transactional_id: request.transactional_id.clone(),
        acks: request.acks,
        timeout_ms: request.timeout_ms,
        topics: topics.collect(),
    }
}

fn batches(capture: &'static str) -> Vec<(String, Bytes)> {
    let produced = golden::exchanges(capture).into_iter().filter(|exchange| exchange.api == "produce");
    let batch = |exchange: Exchange| {
        let (header, mut reader) = request_header(&exchange);
        let request = ProduceRequestIn::decode(header.version, &mut reader).expect("a request");
        let [topic] = request.topics.as_slice() else { panic!("one topic") };
        let [partition] = topic.partitions.as_slice() else { panic!("one partition") };
        (exchange.case.to_owned(), partition.records.clone().expect("records"))
    };
    produced.map(batch).collect()
}

/// The batch that we write for these records under the same header fields.
fn write_again(batch: &BatchView<'_>, records: &[GoldenRecord]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (delta, record) in (0..).zip(records) {
        let headers = record.header_refs();
        let parts = RecordParts { key: record.key.as_deref(), value: record.value.as_deref(), headers: &headers };
        let timestamp_delta = record.timestamp - batch.header().base_timestamp;
        let size = record_size(delta, timestamp_delta, &parts);
        put_record(&mut payload, size, delta, timestamp_delta, &parts);
    }
    let header = batch.header().encode(&[Bytes::from(payload.clone())]);
    [&header[..], &payload].concat()
}

#[test]
fn everything_the_java_producer_and_its_broker_say_is_read_and_written_again() {
    let exchanges = golden::exchanges(JAVA_CLIENT);
    assert_eq!(exchanges.len(), 9);
    exchanges.iter().for_each(check_exchange);
}

#[test]
fn everything_librdkafka_and_its_broker_say_is_read_and_written_again() {
    let exchanges = golden::exchanges(LIBRDKAFKA);
    assert_eq!(exchanges.len(), 9);
    exchanges.iter().for_each(check_exchange);
}

#[test]
fn batches_of_both_clients_are_valid_and_hold_what_they_were_given() {
    let text = |text: String| Some(text.into_bytes());
    let expected = |i: usize| {
        let key = if i % 4 == 3 { None } else { text(format!("key-{}", i % 3)) };
        let value = if i % 5 == 4 { None } else { text(format!("value {i} All happy families are alike.")) };
        (key, value)
    };
    for capture in [JAVA_CLIENT, LIBRDKAFKA] {
        let mut codecs = Vec::new();
        for (case, bytes) in batches(capture) {
            let (batch, rest) = BatchView::parse(&bytes).expect("a batch that can be read");
            assert!(rest.is_empty(), "{case}");
            batch.verify_crc().expect("a CRC that fits");
            let codec = batch.header().attributes.codec().expect("a known codec");
            assert!(case.ends_with(codec.name()), "{case} was written with {codec}");
            codecs.push(codec);
            let records = GoldenRecord::all_of(&batch);
            let plain_librdkafka = capture == LIBRDKAFKA && case.starts_with("plain");
            for (i, record) in records.iter().enumerate() {
                let (mut key, mut value) = expected(i);
                if plain_librdkafka {
                    // Without kcat's -Z an empty key or value is empty, not null.
                    key = Some(key.unwrap_or_default());
                    value = Some(value.unwrap_or_default());
                }
                assert_eq!((&record.key, &record.value), (&key, &value), "{case}, record {i}");
            }
            assert_eq!(records.len(), 20, "{case}");
            let names: Vec<&str> = records[0].headers.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, if plain_librdkafka { vec![] } else { vec!["b", "a", "b"] }, "{case}");
            assert_eq!(batch.header().producer_id.0 >= 0, case.starts_with("idempotent"), "{case}");
        }
        assert_eq!(codecs[..5], Codec::ALL, "each codec once");
    }
}

#[test]
fn uncompressed_batches_of_both_clients_are_written_again_byte_for_byte() {
    let mut compared = 0;
    for (case, bytes) in batches(JAVA_CLIENT).into_iter().chain(batches(LIBRDKAFKA)) {
        let (batch, _) = BatchView::parse(&bytes).expect("a batch that can be read");
        if batch.header().attributes.codec() == Ok(Codec::None) {
            assert_eq!(write_again(&batch, &GoldenRecord::all_of(&batch)), bytes, "{case}");
            compared += 1;
        }
    }
    assert_eq!(compared, 4);
}
