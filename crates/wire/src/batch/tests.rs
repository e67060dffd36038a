use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::*;
use crate::codec::{self, Codec, CodecFault, Compression};
use crate::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, crc, varint};

pub(super) const T: i64 = 1_700_000_000_000;
pub(super) const LIMIT: usize = 1 << 20;

/// A record that owns its fields.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Owned {
    pub(super) timestamp: i64,
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Owned {
    fn with_parts<R>(&self, use_parts: impl FnOnce(&RecordParts<'_>) -> R) -> R {
        let headers: Vec<HeaderRef<'_>> =
            self.headers.iter().map(|(key, value)| HeaderRef { key, value: value.as_deref() }).collect();
        use_parts(&RecordParts { key: self.key.as_deref(), value: self.value.as_deref(), headers: &headers })
    }

    fn of(view: &RecordView<'_>) -> Self {
        Self {
            timestamp: view.timestamp,
            key: view.key.map(<[u8]>::to_vec),
            value: view.value.map(<[u8]>::to_vec),
            headers: view
                .headers()
                .map(|header| (header.key_text().into_owned(), header.value.map(<[u8]>::to_vec)))
                .collect(),
        }
    }
}

fn keyless(timestamp: i64, value: &str) -> Owned {
    Owned { timestamp, value: Some(value.into()), ..Owned::default() }
}

pub(super) fn encode_records(records: &[Owned]) -> Vec<u8> {
    let base = records.first().map_or(-1, |record| record.timestamp);
    let mut out = Vec::new();
    for (offset, record) in (0..).zip(records) {
        let delta = record.timestamp.wrapping_sub(base);
        record.with_parts(|parts| {
            let size = record_size(offset, delta, parts);
            let before = out.len();
            put_record(&mut out, size, offset, delta, parts);
            assert_eq!(out.len() - before, size.total, "the size was promised");
            for behind in [0, 7, 8, 40] {
                let mut room = vec![0xEE; size.total + behind];
                write_record(&mut room, size, offset, delta, parts);
                assert_eq!(room[..size.total], out[before..], "in place as elsewhere, {behind} bytes before the end");
                assert!(room[size.total..].iter().skip(8).all(|byte| *byte == 0xEE), "what is behind is not touched");
            }
            assert!(BATCH_HEADER_LEN + size.total <= single_record_batch_bound(parts), "the bound is one");
        });
    }
    out
}

pub(super) fn header_of(records: &[Owned], codec: Codec) -> BatchHeader {
    let count = i32::try_from(records.len()).unwrap();
    BatchHeader::of_records(
        codec,
        count,
        records.first().map_or(-1, |record| record.timestamp),
        records.iter().map(|record| record.timestamp).max().unwrap_or(-1),
    )
}

/// The batch as it goes over the wire, its records cut into chunks of `chunk_len` before they are compressed.
fn encode_batch(records: &[Owned], compression: Compression, chunk_len: usize) -> Vec<u8> {
    let chunks: Vec<Bytes> = encode_records(records).chunks(chunk_len).map(Bytes::copy_from_slice).collect();
    let payload = [Bytes::copy_from_slice(&codec::compress(compression, &chunks).unwrap())];
    let header = header_of(records, compression.codec());
    [&header.encode(&payload)[..], &payload[0]].concat()
}

fn decode_batch(bytes: &[u8]) -> Result<Vec<Owned>, BatchError> {
    let (batch, rest) = BatchView::parse(bytes)?;
    assert!(rest.is_empty());
    batch.verify_crc()?;
    batch.records(LIMIT)?.iter().map(|record| record.map(|view| Owned::of(&view))).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|d| d.try_into().unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn golden_b() -> Vec<Owned> {
    vec![
        keyless(T, "hello"),
        Owned {
            timestamp: T + 5,
            key: Some(Vec::new()),
            value: None,
            headers: vec![("h1".into(), Some(b"x".to_vec())), ("h2".into(), None)],
        },
        Owned { timestamp: T - 3, key: Some(b"key".to_vec()), value: Some(Vec::new()), headers: Vec::new() },
    ]
}

const GOLDEN_A: &str = "00000000000000000000003affffffff02e99b8dd8000000000000
    0000018bcfe568000000018bcfe56800ffffffffffffffffffffff
    ffffff0000000110000000026b027600";

const GOLDEN_B: &str = "000000000000000000000057ffffffff021376711c001000000002
    0000018bcfe568000000018bcfe568050000000000000fa0000700
    00002a0000000316000000010a68656c6c6f001e000a0200010404
    683102780468320112000504066b65790000";

fn golden_b_bytes() -> Vec<u8> {
    let records = golden_b();
    let payload = [Bytes::from(encode_records(&records))];
    let header = BatchHeader {
        attributes: Attributes::new(Codec::None).transactional(),
        producer_id: ProducerId(4000),
        producer_epoch: ProducerEpoch(7),
        base_sequence: 42,
        ..header_of(&records, Codec::None)
    };
    [&header.encode(&payload)[..], &payload[0]].concat()
}

#[test]
fn a_batch_of_one_record_has_the_golden_bytes() {
    let record = Owned { timestamp: T, key: Some(b"k".to_vec()), value: Some(b"v".to_vec()), headers: Vec::new() };
    let bytes = encode_batch(std::slice::from_ref(&record), Compression::NONE, 3);
    assert_eq!(bytes, unhex(GOLDEN_A));
    assert_eq!(decode_batch(&bytes), Ok(vec![record]));
}

#[test]
fn a_batch_of_three_records_with_a_producer_has_the_golden_bytes() {
    assert_eq!(golden_b_bytes(), unhex(GOLDEN_B));
    assert_eq!(decode_batch(&unhex(GOLDEN_B)), Ok(golden_b()));
}

#[test]
fn a_header_keeps_every_field() {
    let bytes = unhex(GOLDEN_B);
    let (batch, _) = BatchView::parse(&bytes).unwrap();
    let header = batch.header();
    assert_eq!((header.base_offset, header.batch_length, header.leader_epoch), (Offset(0), 0x57, LeaderEpoch(-1)));
    assert_eq!((header.crc, header.last_offset_delta, header.record_count), (0x1376_711c, 2, 3));
    assert_eq!((header.base_timestamp, header.max_timestamp), (T, T + 5));
    assert_eq!(
        (header.producer_id, header.producer_epoch, header.base_sequence),
        (ProducerId(4000), ProducerEpoch(7), 42)
    );
    assert!(header.attributes.is_transactional());
    assert!(!header.attributes.is_control());
    assert_eq!(header.attributes.timestamp_type(), TimestampType::CreateTime);
    assert_eq!(header.encode(&[Bytes::copy_from_slice(batch.payload())])[..], bytes[..BATCH_HEADER_LEN]);
    assert_eq!((BatchView::peek_magic(&bytes), BatchView::peek_len(&bytes)), (Some(2), Some(bytes.len())));
    assert_eq!((BatchView::peek_magic(&bytes[..16]), BatchView::peek_len(&bytes[..11])), (None, None));
}

#[test]
fn every_attribute_bit_has_its_meaning() {
    for codec in Codec::ALL {
        let plain = Attributes::new(codec);
        assert_eq!((plain.0, plain.codec()), (i16::from(codec.bits()), Ok(codec)));
        assert_eq!(plain.transactional().0, plain.0 | 0x10);
        assert_eq!(plain.control().0, plain.0 | 0x20);
        let appended = plain.with_timestamp_type(TimestampType::LogAppendTime);
        assert_eq!(appended.0, plain.0 | 0x08);
        assert_eq!(appended.with_timestamp_type(TimestampType::CreateTime), plain);
        assert_eq!(appended.control().transactional().codec(), Ok(codec));
    }
    for bits in 5..8 {
        assert_eq!(Attributes(bits).codec(), Err(BatchError::UnknownCodec(bits.try_into().unwrap())));
    }
}

#[test]
fn a_broker_may_write_offset_and_leader_epoch_without_a_new_crc() {
    let mut bytes = golden_b_bytes();
    bytes[..8].copy_from_slice(&77_i64.to_be_bytes());
    bytes[12..16].copy_from_slice(&5_i32.to_be_bytes());
    let (batch, _) = BatchView::parse(&bytes).unwrap();
    assert_eq!((batch.header().base_offset, batch.header().leader_epoch), (Offset(77), LeaderEpoch(5)));
    assert_eq!(batch.verify_crc(), Ok(()));
}

#[test]
fn a_header_is_the_same_with_the_payloads_crc_made_before() {
    let records = golden_b();
    let encoded = encode_records(&records);
    for payload in [vec![], vec![Bytes::from(encoded.clone())], encoded.chunks(3).map(Bytes::copy_from_slice).collect()]
    {
        let sealed = crc::PayloadCrc::of(&payload);
        for (epoch, base_sequence) in [(0, 0), (7, 42), (i16::MAX, i32::MAX)] {
            let header = BatchHeader {
                producer_id: ProducerId(4000),
                producer_epoch: ProducerEpoch(epoch),
                base_sequence,
                ..header_of(&records, Codec::None)
            };
            assert_eq!(header.encode_in_front_of(&sealed), header.encode(&payload));
        }
    }
}

#[test]
fn any_bit_the_crc_covers_is_noticed() {
    let good = golden_b_bytes();
    for at in 17..good.len() {
        for bit in 0..8 {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << bit;
            // A count that becomes negative is refused even earlier.
            let noticed = match BatchView::parse(&bytes) {
                Ok((batch, _)) => batch.verify_crc().is_err(),
                Err(error) => matches!(error, BatchError::Count(_)),
            };
            assert!(noticed, "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn log_append_time_is_the_time_of_every_record() {
    let records = golden_b();
    let payload = [Bytes::from(encode_records(&records))];
    let header = BatchHeader {
        attributes: Attributes::new(Codec::None).with_timestamp_type(TimestampType::LogAppendTime),
        max_timestamp: T + 99,
        ..header_of(&records, Codec::None)
    };
    let bytes = [&header.encode(&payload)[..], &payload[0]].concat();
    let decoded = decode_batch(&bytes).unwrap();
    assert_eq!(decoded.iter().map(|record| record.timestamp).collect::<Vec<_>>(), [T + 99; 3]);
}

#[test]
fn deltas_that_overflow_wrap_and_come_back() {
    let timestamps = [i64::MAX, i64::MIN, 0, -1, i64::MIN + 1, i64::MAX - 1];
    for base in [i64::MIN, -1, 0, i64::MAX] {
        let records: Vec<Owned> = [base].into_iter().chain(timestamps).map(|t| keyless(t, "v")).collect();
        assert_eq!(decode_batch(&encode_batch(&records, Compression::NONE, 7)), Ok(records));
    }
}

#[test]
fn a_wrong_record_count_is_noticed_with_every_codec() {
    for codec in Codec::ALL {
        let records = golden_b();
        let packed = codec::compress(Compression::new(codec), &[encode_records(&records)]).unwrap();
        let payload = [Bytes::copy_from_slice(&packed)];
        let decode = |record_count| {
            let header = BatchHeader { record_count, ..header_of(&records, codec) };
            decode_batch(&[&header.encode(&payload)[..], &payload[0]].concat())
        };
        assert_eq!(decode(3), Ok(records.clone()), "{codec}");
        assert_eq!(decode(2), Err(BatchError::Trailing(10)), "{codec}");
        let too_many = decode(4).unwrap_err();
        assert!(matches!(too_many, BatchError::Record { index: 3, .. }), "{codec}: {too_many:?}");
        // Refused before anything of that size could be made.
        assert_eq!(decode(i32::MAX), Err(BatchError::Count(i32::MAX)), "{codec}");
        assert_eq!(decode(-1), Err(BatchError::Count(-1)), "{codec}");
    }
}

#[test]
fn an_empty_batch_is_read_whatever_codec_it_names() {
    // Log compaction leaves batches without records behind, to keep a producer's sequence.
    for codec in Codec::ALL {
        let bytes = header_of(&[], codec).encode(&[]);
        assert_eq!(decode_batch(&bytes), Ok(Vec::new()), "{codec}");
    }
}

#[test]
fn impossible_headers_are_refused() {
    let good = golden_b_bytes();
    let with = |at: usize, bytes: &[u8]| {
        let mut batch = good.clone();
        batch[at..at + bytes.len()].copy_from_slice(bytes);
        BatchView::parse(&batch).map(|(batch, _)| *batch.header())
    };
    assert_eq!(with(16, &[1]), Err(BatchError::Magic(1)));
    assert_eq!(with(16, &[0xff]), Err(BatchError::Magic(-1)));
    assert_eq!(with(8, &48_i32.to_be_bytes()), Err(BatchError::Length(48)));
    assert_eq!(with(8, &(-1_i32).to_be_bytes()), Err(BatchError::Length(-1)));
    assert_eq!(with(8, &i32::MIN.to_be_bytes()), Err(BatchError::Length(i32::MIN)));
    assert_eq!(
        with(8, &i32::MAX.to_be_bytes()),
        Err(BatchError::Truncated { needed: (1 << 31) + 11, have: good.len() })
    );
    assert!(with(8, &49_i32.to_be_bytes()).is_ok());
}

#[test]
fn a_batch_cut_anywhere_is_truncated() {
    let good = golden_b_bytes();
    for len in 0..good.len() {
        let error = BatchView::parse(&good[..len]).unwrap_err();
        assert!(matches!(error, BatchError::Truncated { have, .. } if have == len), "{len}: {error:?}");
    }
}

#[test]
fn batches_lie_back_to_back() {
    let bytes = [unhex(GOLDEN_A), unhex(GOLDEN_B), vec![1, 2, 3]].concat();
    let (first, rest) = BatchView::parse(&bytes).unwrap();
    let (second, rest) = BatchView::parse(rest).unwrap();
    assert_eq!((first.header().record_count, second.header().record_count), (1, 3));
    assert_eq!(second.bytes(), unhex(GOLDEN_B));
    assert_eq!(rest, [1, 2, 3]);
}

/// The body of a record whose fields follow `0 0 0` (attributes, timestamp, offset), and its length in front.
fn malformed(fields: &[u8]) -> Result<Owned, &'static str> {
    let mut payload = vec![u8::try_from((fields.len() + 3) * 2).unwrap(), 0, 0, 0];
    payload.extend_from_slice(fields);
    first_of(&payload)
}

fn first_of(payload: &[u8]) -> Result<Owned, &'static str> {
    match Records::over(payload, 1, RecordTimes::created_from(T)).iter().next() {
        Some(Ok(view)) => Ok(Owned::of(&view)),
        Some(Err(BatchError::Record { index: 0, what })) => Err(what),
        other => panic!("{other:?}"),
    }
}

#[test]
fn malformed_records_say_what_is_wrong() {
    assert_eq!(malformed(&[1, 1, 0]), Ok(Owned { timestamp: T, ..Owned::default() }));
    assert_eq!(malformed(&[3, 1, 0]), Err("its key is longer than the record")); // -2
    assert_eq!(malformed(&[8, 1, 0]), Err("its key is longer than the record"));
    assert_eq!(malformed(&[0x80]), Err("its key's length cannot be read"));
    assert_eq!(malformed(&[1, 3, 0]), Err("its value is longer than the record"));
    assert_eq!(malformed(&[1, 0xff, 0xff, 0xff, 0xff, 0x7f]), Err("its value's length cannot be read"));
    assert_eq!(malformed(&[1, 1]), Err("its header count cannot be read"));
    assert_eq!(malformed(&[1, 1, 1]), Err("its header count is negative"));
    assert_eq!(malformed(&[1, 1, 0, 0]), Err("bytes are left after its headers"));
    assert_eq!(malformed(&[1, 1, 2, 1, 1]), Err("a header key is null"));
    assert_eq!(malformed(&[1, 1, 2, 4, b'k', 1]), Err("a header value's length cannot be read"));
    assert_eq!(malformed(&[1, 1, 2, 2, b'k', 4]), Err("a header value is longer than the record"));
    assert_eq!(malformed(&[1, 1, 4, 2, b'k', 1]), Err("a header key's length cannot be read"));
    // A header count of 2^31 - 1 ends with the bytes, not with the memory.
    assert_eq!(malformed(&[1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f]), Err("a header key's length cannot be read"));
    assert_eq!(first_of(&[1]), Err("its length is negative"));
    assert_eq!(first_of(&[4, 0]), Err("it is longer than the batch"));
    assert_eq!(first_of(&[0x80, 0x80]), Err("its length cannot be read"));
    assert_eq!(first_of(&[0]), Err("it is too short for its attributes"));
    assert_eq!(first_of(&[2, 0]), Err("its timestamp cannot be read"));
    assert_eq!(first_of(&[4, 0, 0]), Err("its offset cannot be read"));
}

#[test]
fn after_an_error_the_records_end() {
    let records = Records::over(&[0_u8][..], 5, RecordTimes::created_from(0));
    assert_eq!(records.iter().count(), 1);
}

#[test]
fn a_header_key_that_is_not_text_is_still_read() {
    let mut payload = vec![2 * 8, 0, 0, 0, 1, 1, 2, 2];
    payload.extend_from_slice(&[0xff, 1]);
    payload[0] = 2 * 9;
    let records = Records::over(payload, 1, RecordTimes::created_from(T));
    let view = records.iter().next().unwrap().unwrap();
    let header = view.headers().next().unwrap();
    assert_eq!((header.key, header.value, &*header.key_text()), (&[0xff][..], None, "\u{fffd}"));
    assert_eq!(view.headers().len(), 1);
    assert!(!view.headers().is_empty());
}

#[test]
fn a_record_moved_to_another_batch_keeps_its_fields() {
    let all = golden_b();
    let bytes = golden_b_bytes();
    let (batch, _) = BatchView::parse(&bytes).unwrap();
    let records = batch.records(LIMIT).unwrap();
    let mut moved = Vec::new();
    for (offset, view) in (0..).zip(records.iter().skip(1)) {
        let view = view.unwrap();
        let delta = view.timestamp - all[1].timestamp;
        let before = moved.len();
        view.put_at(&mut moved, offset, delta);
        assert_eq!(moved.len() - before, view.size_at(offset, delta).total);
    }
    assert_eq!(moved, encode_records(&all[1..]));
}

#[test]
fn a_record_is_written_alike_into_any_sink() {
    /// Chunks of a few bytes, as an accumulator has them.
    #[derive(Default)]
    struct Chunks(Vec<Vec<u8>>);

    impl Sink for Chunks {
        fn put(&mut self, mut bytes: &[u8]) {
            while !bytes.is_empty() {
                if self.0.last().is_none_or(|chunk| chunk.len() == 5) {
                    self.0.push(Vec::new());
                }
                let chunk = self.0.last_mut().unwrap();
                let (front, rest) = bytes.split_at(bytes.len().min(5 - chunk.len()));
                chunk.extend_from_slice(front);
                bytes = rest;
            }
        }
    }

    for record in golden_b() {
        record.with_parts(|parts| {
            let size = record_size(1, 2, parts);
            let (mut vec, mut bytes_mut, mut chunks) = (Vec::new(), BytesMut::new(), Chunks::default());
            put_record(&mut vec, size, 1, 2, parts);
            put_record(&mut bytes_mut, size, 1, 2, parts);
            put_record(&mut chunks, size, 1, 2, parts);
            let mut array = vec![0; size.total];
            put_record(&mut &mut array[..], size, 1, 2, parts);
            assert_eq!((&bytes_mut[..], &chunks.0.concat(), &array), (&vec[..], &vec, &vec));
        });
    }
}

#[test]
fn small_fields_are_right_at_every_length_they_can_have() {
    let edges = [0, 1, -1, 63, -64, 64, -65, 8191, -8192, 8192, -8193, i32::MAX, i32::MIN];
    let times = edges.map(i64::from).into_iter().chain([i64::MAX, i64::MIN]);
    for timestamp_delta in times {
        for offset_delta in edges {
            // Around the sizes at which a length, the value's or the record's, becomes one byte longer.
            for len in [0, 1, 40, 50, 55, 56, 57, 58, 59, 62, 63, 64, 8170, 8184, 8185, 8186, 8190, 8191, 8192, 70_000]
            {
                let bytes = vec![7; len];
                let parts = [
                    RecordParts { value: Some(&bytes), ..RecordParts::default() },
                    RecordParts { key: Some(&bytes), ..RecordParts::default() },
                ];
                for parts in &parts[..if len > 9000 { 1 } else { 2 }] {
                    let size = record_size(offset_delta, timestamp_delta, parts);
                    let mut out = Vec::with_capacity(size.total);
                    put_record(&mut out, size, offset_delta, timestamp_delta, parts);
                    assert_eq!(out.len(), size.total);
                    let records = Records::over(&out[..], 1, RecordTimes::created_from(T));
                    let view = records.iter().next().unwrap().unwrap();
                    assert_eq!((view.offset_delta, view.timestamp_delta), (offset_delta, timestamp_delta));
                    assert!(view.key == parts.key && view.value == parts.value, "{len} bytes");
                    assert_eq!(varint::read_varint(&out).map(|(body, _)| body.cast_unsigned() as usize), Ok(size.body));
                }
            }
        }
    }
}

#[test]
fn headers_are_written_in_place_at_every_length_they_can_have() {
    let lengths = [0, 1, 3, 4, 7, 8, 15, 16, 17, 32, 33, 63, 64, 127, 128, 300];
    let bytes: Vec<u8> = (0..=255).cycle().take(9000).collect();
    let key = "k".repeat(300);
    let written = |value: usize, headers: &[HeaderRef<'_>]| {
        let parts = RecordParts { key: None, value: Some(&bytes[..value]), headers };
        let size = record_size(1, 2, &parts);
        let mut elsewhere = Vec::new();
        put_record(&mut elsewhere, size, 1, 2, &parts);
        let mut room = vec![0xEE; size.total + 8];
        write_record(&mut room, size, 1, 2, &parts);
        assert_eq!(room[..size.total], elsewhere, "{} headers, {value} bytes", headers.len());
        size.body
    };
    for count in [1, 2, 3, 63, 64, 200] {
        for len in lengths {
            // Null follows null, a value follows null, and the other way round.
            let value = |at: usize| at.is_multiple_of(3).then(|| &bytes[at..at + len]);
            let headers: Vec<_> = (0..count).map(|at| HeaderRef { key: &key[..len], value: value(at) }).collect();
            written(10, &headers);
            written(10, &headers[1..]);
        }
    }
    // Around the size from which on a record's length takes three bytes.
    let headers = [HeaderRef { key: "h", value: Some(b"x") }];
    let bodies: Vec<_> = (8160..8200).map(|value| written(value, &headers)).collect();
    assert!(bodies.contains(&8191) && bodies.contains(&8192));
}

#[test]
fn the_bound_of_a_record_follows_the_formula() {
    let record = &golden_b()[1];
    record.with_parts(|parts| {
        // empty key, null value, two headers (h1=x, h2=null)
        assert_eq!(single_record_batch_bound(parts), 61 + 21 + 1 + 1 + 1 + (3 + 2) + (3 + 1));
        // The bound is met where timestamp and offset deltas are as long as they can be.
        let size = record_size(i32::MIN, i64::MIN, parts);
        assert_eq!(size.body, 1 + 10 + 5 + 12);
        assert_eq!(size.total, size.body + 1);
    });
    let large = vec![7; 300];
    let parts = RecordParts { value: Some(&large), ..RecordParts::default() };
    assert_eq!(single_record_batch_bound(&parts), 61 + 21 + 1 + 2 + 300 + 1);
}

#[test]
fn a_bomb_stops_at_the_limit_with_every_codec() {
    let record = Owned { value: Some(vec![0; 8 << 20]), ..Owned::default() };
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let bytes = encode_batch(std::slice::from_ref(&record), Compression::new(codec), 64 << 10);
        let (batch, _) = BatchView::parse(&bytes).unwrap();
        let error = batch.records(LIMIT).unwrap_err();
        let BatchError::Codec(error) = error else { panic!("{error:?}") };
        assert_eq!(error.fault, CodecFault::TooLarge { limit: LIMIT }, "{codec}");
        assert_eq!(batch.records(9 << 20).unwrap().iter().count(), 1, "{codec}");
    }
}

#[test]
fn another_decoder_reads_the_same_records() {
    // kafka-protocol's, which is trusted with our own bytes only.
    let mut bytes = Bytes::from(golden_b_bytes());
    let set = kafka_protocol::records::RecordBatchDecoder::decode(&mut bytes).unwrap();
    assert_eq!(set.records.len(), 3);
    for ((theirs, ours), offset) in set.records.iter().zip(golden_b()).zip(0..) {
        assert_eq!((theirs.offset, theirs.timestamp), (offset, ours.timestamp));
        assert_eq!((theirs.producer_id, theirs.producer_epoch, theirs.transactional), (4000, 7, true));
        assert_eq!(theirs.key.as_deref(), ours.key.as_deref());
        assert_eq!(theirs.value.as_deref(), ours.value.as_deref());
        let headers: Vec<(String, Option<Vec<u8>>)> = theirs
            .headers
            .iter()
            .map(|(key, value)| (key.to_string(), value.as_ref().map(|value| value.to_vec())))
            .collect();
        assert_eq!(headers, ours.headers);
    }
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        (any::<u8>(), 0_usize..3000).prop_map(|(byte, len)| vec![byte; len]),
    ]
}

fn any_timestamp() -> impl Strategy<Value = i64> {
    prop_oneof![T - 1000..T + 1000, any::<i64>(), Just(i64::MIN), Just(i64::MAX), Just(-1)]
}

fn any_record() -> impl Strategy<Value = Owned> {
    // Few letters, so that keys of headers repeat.
    let header = ("[ab\u{e9}]{0,2}", prop::option::of(any_bytes()));
    let headers = prop::collection::vec(header, 0..4);
    (any_timestamp(), prop::option::of(any_bytes()), prop::option::of(any_bytes()), headers)
        .prop_map(|(timestamp, key, value, headers)| Owned { timestamp, key, value, headers })
}

fn any_compression() -> impl Strategy<Value = Compression> {
    prop_oneof![
        prop::sample::select(&Codec::ALL[..]).prop_map(Compression::new),
        (1..=9).prop_map(|level| Compression::with_level(Codec::Gzip, level).unwrap()),
        prop_oneof![-131_072..=0, -7..=19].prop_map(|level| Compression::with_level(Codec::Zstd, level).unwrap()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_batch_comes_back(
        records in prop::collection::vec(any_record(), 1..20),
        compression in any_compression(),
        chunk_len in 1_usize..5000,
    ) {
        let bytes = encode_batch(&records, compression, chunk_len);
        prop_assert_eq!(decode_batch(&bytes), Ok(records));
    }

    #[test]
    fn damaged_batches_never_panic(
        records in prop::collection::vec(any_record(), 1..5),
        compression in any_compression(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = encode_batch(&records, compression, 1000);
        for (at, byte) in damage {
            // Behind the length, so that the damage gets as far as the records.
            let at = 12 + at.index(bytes.len() - 12);
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
            if let Some(length) = bytes.len().checked_sub(12) {
                bytes[8..12].copy_from_slice(&i32::try_from(length).unwrap().to_be_bytes());
            }
        }
        if let Ok((batch, _)) = BatchView::parse(&bytes)
            && let Ok(records) = batch.records(LIMIT)
        {
            prop_assert!(records.payload().len() <= LIMIT.max(bytes.len()));
            records.iter().flatten().for_each(|record| drop(Owned::of(&record)));
        }
    }

    #[test]
    fn random_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300), codec in 0_u8..8) {
        let _ = BatchHeader::decode(&bytes);
        for record in &Records::over(&bytes[..], 1000, RecordTimes::created_from(0)) {
            drop(record.map(|record| Owned::of(&record)));
        }
        if bytes.len() >= BATCH_HEADER_LEN {
            let length = i32::try_from(bytes.len() - 12).unwrap();
            bytes[8..12].copy_from_slice(&length.to_be_bytes());
            bytes[16] = 2;
            bytes[22] = codec;
            let crc = crc::crc32c(&bytes[21..]).to_be_bytes();
            bytes[17..21].copy_from_slice(&crc);
            if let Ok((batch, _)) = BatchView::parse(&bytes) {
                prop_assert_eq!(batch.verify_crc(), Ok(()));
                if let Ok(records) = batch.records(LIMIT) {
                    records.iter().flatten().for_each(|record| drop(Owned::of(&record)));
                }
            }
        }
    }
}
