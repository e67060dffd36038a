//! Batches that Kafka's Java client wrote (`MemoryRecordsBuilder` of kafka-clients 4.3.1), read and written again.
//!
//! All hold the same 600 records, which follow a rule: see [`record`]. They are large enough for several blocks of every codec.

use super::tests::{LIMIT, Owned, T, encode_records, header_of};
use super::*;
use crate::codec::{self, Codec};
use crate::{ProducerEpoch, ProducerId, Sequence};

fn record(i: i64) -> Owned {
    let line = format!("line {i}: the quick brown fox jumps over the lazy dog; ");
    let value = match i {
        _ if i % 11 == 10 => None,
        _ if i % 13 == 0 => Some(Vec::new()),
        _ => Some(line.repeat(usize::try_from(i % 4 + 1).unwrap()).into_bytes()),
    };
    let headers = [
        ("trace".to_owned(), Some(format!("abc{i}").into_bytes())),
        ("trace".to_owned(), None),
        ("\u{e9}".to_owned(), Some(Vec::new())),
    ];
    Owned {
        timestamp: T + i * 7 % 50 - 20,
        key: (i % 3 != 0).then(|| format!("key-{}", i % 10).into_bytes()),
        value,
        headers: if i % 5 == 0 { headers.to_vec() } else { Vec::new() },
    }
}

fn records() -> Vec<Owned> {
    (0..600).map(record).collect()
}

fn header(codec: Codec) -> BatchHeader {
    BatchHeader {
        attributes: Attributes::new(codec).transactional(),
        producer_id: ProducerId(4000),
        producer_epoch: ProducerEpoch(7),
        base_sequence: i32::MAX - 99,
        ..header_of(&records(), codec)
    }
}

const COMPRESSED: [(Codec, &[u8]); 4] = [
    (Codec::Gzip, include_bytes!("vectors/java-4.3.1-gzip.batch")),
    (Codec::Snappy, include_bytes!("vectors/java-4.3.1-snappy.batch")),
    (Codec::Lz4, include_bytes!("vectors/java-4.3.1-lz4.batch")),
    (Codec::Zstd, include_bytes!("vectors/java-4.3.1-zstd.batch")),
];

#[test]
fn an_uncompressed_batch_equals_javas_byte_for_byte() {
    // The header holds length and CRC of the 79,454 bytes behind it.
    let ours = header(Codec::None).encode(&[encode_records(&records()).into()]);
    assert_eq!(&ours, include_bytes!("vectors/java-4.3.1-none.header"));
}

#[test]
fn javas_compressed_batches_hold_our_records_byte_for_byte() {
    let expected = encode_records(&records());
    for (codec, bytes) in COMPRESSED {
        let (batch, rest) = BatchView::parse(bytes).unwrap();
        assert_eq!((rest.len(), batch.verify_crc()), (0, Ok(())), "{codec}");
        let facts = |header: &BatchHeader| BatchHeader { batch_length: 0, crc: 0, ..*header };
        assert_eq!(facts(batch.header()), header(codec), "{codec}");
        let ours = batch.header().encode(&[bytes::Bytes::copy_from_slice(batch.payload())]);
        assert_eq!(ours[..], bytes[..BATCH_HEADER_LEN], "{codec}");
        let read = batch.records(LIMIT).unwrap();
        assert!(read.payload() == expected, "{codec}");
        assert_eq!(read.iter().count(), 600, "{codec}");
        assert_eq!(codec::decompress(codec, batch.payload(), expected.len()).unwrap().len(), expected.len(), "{codec}");
        assert!(codec::decompress(codec, batch.payload(), expected.len() - 1).is_err(), "{codec}");
    }
}

#[test]
fn a_batch_may_straddle_the_end_of_the_sequences() {
    let (batch, _) = BatchView::parse(COMPRESSED[0].1).unwrap();
    let first = Sequence::new(batch.header().base_sequence).unwrap();
    let count = crate::RecordCount::new(600).unwrap();
    assert_eq!(first.last(count).get(), 499); // what Java says of this batch, too
}
