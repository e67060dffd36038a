//! What the hot path and the hostile path allocate, counted by the allocator itself.
//!
//! One test, because the counts are of the whole process.

#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests to us, if not to clippy")]

use std::alloc::System;

use bytes::Bytes;
use milena_wire::{
    BATCH_HEADER_LEN, BatchHeader, BatchView, Codec, CodecFault, Compression, Compressor, HeaderRef, RecordParts,
    decompress, put_record, record_size,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MIB: usize = 1 << 20;
/// The largest state of a decoder: zstd's tables and literals, deflate's window, with room to spare.
const TABLES: usize = MIB;

/// Bytes asked for while `work` ran, given back or not.
fn allocated<R>(work: impl FnOnce() -> R) -> (R, usize) {
    let region = Region::new(ALLOCATOR);
    let result = work();
    let stats = region.change();
    // What a reallocation grew by is counted apart; one that moves holds both for a moment.
    (result, stats.bytes_allocated + usize::try_from(stats.bytes_reallocated.max(0)).unwrap())
}

fn header(codec: Codec, count: i32) -> BatchHeader {
    BatchHeader::of_records(codec, count, 0, 0)
}

fn writing_and_reading_records_allocates_nothing() {
    let headers = [HeaderRef { key: "trace", value: Some(b"abc") }, HeaderRef { key: "trace", value: None }];
    let parts = RecordParts { key: Some(b"key"), value: Some(&[7; 100]), headers: &headers };
    let mut out = Vec::with_capacity(BATCH_HEADER_LEN + 200_000);
    out.resize(BATCH_HEADER_LEN, 0);
    let ((), bytes) = allocated(|| {
        for offset in 0..1000 {
            let size = record_size(offset, 5, &parts);
            put_record(&mut out, size, offset, 5, &parts);
        }
    });
    assert_eq!(bytes, 0, "writing records");

    let payload = [Bytes::copy_from_slice(&out[BATCH_HEADER_LEN..])];
    let (head, bytes) = allocated(|| header(Codec::None, 1000).encode(&payload));
    assert_eq!(bytes, 0, "stamping a header");

    out[..BATCH_HEADER_LEN].copy_from_slice(&head);
    let (count, bytes) = allocated(|| {
        let (batch, _) = BatchView::parse(&out).unwrap();
        batch.verify_crc().unwrap();
        let records = batch.records(0).unwrap();
        records.iter().map(|record| record.unwrap().headers().count()).sum::<usize>()
    });
    assert_eq!((count, bytes), (2000, 0), "reading an uncompressed batch");
}

fn a_used_compressor_keeps_its_tables() {
    let input: Vec<Bytes> = (0..50).map(|i| Bytes::from(vec![i; 3000])).collect();
    for codec in Codec::ALL {
        let mut compressor = Compressor::new();
        let mut out = Vec::with_capacity(MIB);
        let compression = Compression::new(codec);
        compressor.compress(compression, &input, &mut out).unwrap();
        out.clear();
        let ((), bytes) = allocated(|| compressor.compress(compression, &input, &mut out).unwrap());
        // The zstd encoder makes a small list per frame.
        assert!(bytes <= 64, "{codec}: {bytes}");
    }
}

fn a_bomb_allocates_no_more_than_the_limit_allows() {
    let zeros: Vec<Bytes> = vec![Bytes::from(vec![0; MIB]); 64];
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let mut bomb = Vec::new();
        Compressor::new().compress(Compression::new(codec), &zeros, &mut bomb).unwrap();
        for limit in [MIB, MIB / 16] {
            let (result, bytes) = allocated(|| decompress(codec, &bomb, limit));
            assert_eq!(result.unwrap_err().fault, CodecFault::TooLarge { limit }, "{codec}");
            // Doubling a buffer asks for less than four times its last size in all.
            assert!(bytes <= 4 * limit + TABLES, "{codec}: {bytes} bytes for a limit of {limit}");
        }
    }
}

fn a_claim_allocates_no_more_than_the_limit() {
    let zstd_single_segment = [0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0, 0];
    let zstd_window = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x88, 0x01, 0, 0];
    let zstd_empty = [0x28, 0xb5, 0x2f, 0xfd, 0x80, 0x88, 0, 0, 0, 0, 0x03, 0, 0x10, 7];
    let snappy_raw = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0];
    let snappy_framed = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01\0\0\0\x06\xff\xff\xff\xff\x0f\0";
    // A hundred blocks of 4 MiB at most, each of a literal byte.
    let lz4 = [&[0x04, 0x22, 0x4d, 0x18, 0x60, 0x70, 0x73][..], &[2, 0, 0, 0, 0x10, 7].repeat(100), &[0; 4]].concat();
    // An empty member whose trailer claims 4 GiB.
    let gzip = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 3, 0, 0, 0, 0, 0][..], &[0xff; 4]].concat();
    let claims: [(Codec, &[u8]); 7] = [
        (Codec::Zstd, &zstd_single_segment),
        (Codec::Zstd, &zstd_window),
        (Codec::Zstd, &zstd_empty),
        (Codec::Snappy, &snappy_raw),
        (Codec::Snappy, &snappy_framed),
        (Codec::Lz4, &lz4),
        (Codec::Gzip, &gzip),
    ];
    for (codec, claim) in claims {
        let (result, bytes) = allocated(|| decompress(codec, claim, MIB));
        assert!(bytes <= MIB + TABLES, "{codec}: {bytes} bytes for {} ({result:?})", claim.len());
        assert!(result.is_ok_and(|out| out.len() <= 100) || codec != Codec::Lz4, "{codec}");
    }
    // What cannot be true is not believed even where the limit would allow it.
    for (codec, claim) in [(Codec::Zstd, &zstd_single_segment[..]), (Codec::Snappy, &snappy_raw), (Codec::Lz4, &lz4)] {
        let (result, bytes) = allocated(|| decompress(codec, claim, usize::MAX));
        assert!(bytes <= TABLES, "{codec}: {bytes} bytes for {} ({result:?})", claim.len());
    }
    // Counts of records and headers reserve nothing at all.
    let batch = header(Codec::None, i32::MAX).encode(&[]);
    let (result, bytes) = allocated(|| BatchView::parse(&batch).and_then(|(batch, _)| batch.records(MIB)).is_err());
    assert_eq!((result, bytes), (true, 0));
}

#[test]
fn memory_follows_the_caller_and_not_the_bytes() {
    writing_and_reading_records_allocates_nothing();
    a_used_compressor_keeps_its_tables();
    a_bomb_allocates_no_more_than_the_limit_allows();
    a_claim_allocates_no_more_than_the_limit();
}
