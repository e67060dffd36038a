//! Record batches, and the codecs their records may be compressed with.

use std::cell::RefCell;

use bytes::Bytes;
use milena_wire::{
    BATCH_HEADER_LEN, BatchHeader, BatchView, Codec, CodecFault, Compression, Compressor, HeaderRef, RecordParts,
    RecordTimes, Records, TimestampType, decompress, put_record, record_size,
};

use crate::budget::Budget;
use crate::golden;

/// What a batch may become; small, so that a bomb is one.
const LIMIT: usize = 16 * 1024;

/// What the decoders need besides: zstd's and deflate's tables and windows.
const TABLES: usize = 1 << 20;

/// A buffer that doubles asks for less than four times its last size in all, and it may double once past the limit.
const DECOMPRESSED: Budget = Budget { per_byte: 0, at_least: 4 * LIMIT + TABLES };

/// Nothing at all is allocated for an uncompressed batch.
const UNCOMPRESSED: Budget = Budget { per_byte: 0, at_least: 0 };

/// Record batches, one behind the other.
pub fn batches(data: &[u8]) {
    let mut rest = data;
    while let Ok((batch, behind)) = UNCOMPRESSED.hold("batch", rest.len(), || BatchView::parse(rest)) {
        assert_eq!(batch.bytes().len() + behind.len(), rest.len());
        assert!(batch.bytes().len() >= BATCH_HEADER_LEN);
        assert_eq!(batch.header().total_len(), batch.bytes().len());
        header(&batch);
        let codec = batch.header().attributes.codec();
        let budget = if codec == Ok(Codec::None) { UNCOMPRESSED } else { DECOMPRESSED };
        let _ = UNCOMPRESSED.hold("crc", rest.len(), || batch.verify_crc());
        if let Ok(records) = budget.hold("records", rest.len(), || batch.records(LIMIT)) {
            walk(&records);
        }
        rest = behind;
    }
    let _ = (BatchView::peek_magic(data), BatchView::peek_len(data));
}

/// A header is written as it was read.
fn header(batch: &BatchView<'_>) {
    let payload = [Bytes::copy_from_slice(batch.payload())];
    let written = batch.header().encode(&payload);
    let again = BatchHeader::decode(&written).expect("our own header");
    assert_eq!(BatchHeader { crc: again.crc, ..*batch.header() }, again);
    let mut whole = written.to_vec();
    whole.extend_from_slice(batch.payload());
    let (view, _) = BatchView::parse(&whole).expect("our own batch");
    view.verify_crc().expect("our own checksum");
}

/// Reads all records; those that can be read are read the same when they are written anew.
fn walk(records: &Records<'_>) {
    let read = UNCOMPRESSED.hold("a record", records.payload().len(), || {
        records
            .iter()
            .take_while(Result::is_ok)
            .filter(|record| record.as_ref().is_ok_and(|r| r.headers().count() == r.headers().len()))
            .count()
    });
    assert!(read <= records.count() && read * 7 <= records.payload().len());
    assert!(records.iter().count() <= records.count() + 1);
    for record in records.iter().flatten() {
        let texts: Vec<_> = record.headers().map(|header| (header.key_text(), header)).collect();
        let headers: Vec<_> = texts.iter().map(|(key, header)| HeaderRef { key, value: header.value }).collect();
        let parts = RecordParts { key: record.key, value: record.value, headers: &headers };
        let size = record_size(record.offset_delta, record.timestamp_delta, &parts);
        let mut out = Vec::new();
        put_record(&mut out, size, record.offset_delta, record.timestamp_delta, &parts);
        assert_eq!(out.len(), size.total);
        let times = RecordTimes {
            base: record.timestamp.wrapping_sub(record.timestamp_delta),
            max: record.timestamp,
            timestamp_type: TimestampType::CreateTime,
        };
        let again = Records::over(out, 1, times);
        let again = again.iter().next().expect("one record").expect("our own record");
        assert_eq!(
            (again.offset_delta, again.timestamp_delta, again.timestamp),
            (record.offset_delta, record.timestamp_delta, record.timestamp)
        );
        assert_eq!((again.key, again.value), (record.key, record.value));
        let kept = |key: &str, value, (theirs, header): &(std::borrow::Cow<'_, str>, milena_wire::HeaderView<'_>)| {
            key == theirs.as_ref() && value == header.value
        };
        assert_eq!(again.headers().len(), texts.len());
        assert!(again.headers().zip(&texts).all(|(ours, theirs)| kept(&ours.key_text(), ours.value, theirs)));
        let mut moved = Vec::new();
        record.put_at(&mut moved, record.offset_delta, record.timestamp_delta);
        assert_eq!(moved.len(), record.size_at(record.offset_delta, record.timestamp_delta).total);
    }
}

/// A gzip stream.
pub fn gzip(data: &[u8]) {
    stream(Codec::Gzip, data);
}

/// Snappy: a block as it is, or in the frames of xerial's library.
pub fn snappy(data: &[u8]) {
    stream(Codec::Snappy, data);
}

/// LZ4 frames.
pub fn lz4(data: &[u8]) {
    stream(Codec::Lz4, data);
}

/// Zstandard frames.
pub fn zstd(data: &[u8]) {
    stream(Codec::Zstd, data);
}

thread_local! {
    static COMPRESSOR: RefCell<Compressor> = RefCell::new(Compressor::new());
}

/// Decompressing ends within its limit and its budget, and what came out survives the way back.
fn stream(codec: Codec, data: &[u8]) {
    let result = DECOMPRESSED.hold(codec.name(), data.len(), || decompress(codec, data, LIMIT));
    match result {
        Ok(out) => {
            assert!(out.len() <= LIMIT, "{codec}: {} bytes", out.len());
            // A larger limit changes nothing, and neither does one that just fits.
            assert_eq!(decompress(codec, data, out.len()).as_deref(), Ok(&out[..]), "{codec}: the exact limit");
            if out.len() <= 512 {
                there_and_back(codec, out);
            }
        }
        Err(error) => assert!(!matches!(error.fault, CodecFault::TooLarge { limit } if limit != LIMIT)),
    }
}

fn there_and_back(codec: Codec, out: Vec<u8>) {
    let chunks = [Bytes::from(out)];
    let mut packed = Vec::new();
    let compression = Compression::new(codec);
    COMPRESSOR
        .with_borrow_mut(|compressor| compressor.compress(compression, &chunks, &mut packed))
        .expect("compresses");
    assert_eq!(decompress(codec, &packed, chunks[0].len()).as_deref(), Ok(&chunks[0][..]), "{codec}: there and back");
}

/// Golden batches, and two that follow each other.
pub(crate) fn batch_seeds() -> Vec<Vec<u8>> {
    let mut seeds = golden::batches();
    let two = seeds.iter().take(2).flatten().copied().collect();
    seeds.push(two);
    seeds
}

/// The payloads of golden batches of a codec, and a bomb.
pub(crate) fn stream_seeds(codec: Codec) -> Vec<Vec<u8>> {
    let batches = golden::batches();
    let of_codec = batches
        .iter()
        .filter_map(|bytes| BatchView::parse(bytes).ok())
        .filter(|(batch, _)| batch.header().attributes.codec() == Ok(codec));
    let mut seeds: Vec<_> = of_codec.map(|(batch, _)| batch.payload().to_vec()).collect();
    for size in [0, 1, 4 * LIMIT, 64 * LIMIT] {
        let zeros = [Bytes::from(vec![0; size])];
        let mut bomb = Vec::new();
        Compressor::new().compress(Compression::new(codec), &zeros, &mut bomb).expect("compresses");
        seeds.push(bomb);
    }
    seeds
}
