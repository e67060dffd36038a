//! What a batch is refused for, and in which order.

use milena_wire::{Codec, Compression, compress};

use super::kit::*;
use milena_wire::{ApiVersion, Attributes, ErrorCode, Offset, Reader};

use crate::core::request;
use crate::profile::Profile;

#[test]
fn a_good_batch_gets_the_next_offset_and_is_there_afterwards() {
    let mut kit = Kit::new();
    let first = kit.produce(&kit.produce_of(Draft::of(&["a", "b"]).bytes()));
    assert_eq!((first.error, first.base_offset, first.log_append_time_ms), (ErrorCode::NONE, Offset(0), -1));
    assert_eq!(first.log_start_offset, Offset(0));
    let second = kit.produce(&kit.produce_of(Draft::of(&["c"]).bytes()));
    assert_eq!(second.base_offset, Offset(2));
    assert_eq!(kit.values(), ["a", "b", "c"]);
}

#[test]
fn two_batches_for_one_partition_are_refused() {
    let mut kit = Kit::new();
    let mut records = Draft::of(&["a"]).bytes();
    records.extend(Draft::of(&["b"]).bytes());
    assert_eq!(kit.code(records), ErrorCode::INVALID_RECORD);
    assert!(kit.values().is_empty());
}

#[test]
fn half_a_batch_is_no_batch() {
    let mut kit = Kit::new();
    let mut records = Draft::of(&["a"]).bytes();
    records.pop();
    assert_eq!(kit.code(records), ErrorCode::INVALID_RECORD);
}

#[test]
fn old_message_formats_are_refused() {
    let mut kit = Kit::new();
    for magic in [0, 1] {
        let mut records = Draft::of(&["a"]).bytes();
        records[16] = magic;
        assert_eq!(kit.code(records), ErrorCode::INVALID_RECORD);
    }
    let mut records = Draft::of(&["a"]).bytes();
    records[16] = 3;
    assert_eq!(kit.code(records), ErrorCode::CORRUPT_MESSAGE, "a format that does not exist");
}

#[test]
fn every_byte_that_the_checksum_covers_is_checked() {
    let mut kit = Kit::new();
    let good = Draft::of(&["value"]).bytes();
    for at in 17..good.len() {
        let mut records = good.clone();
        records[at] ^= 0x40; // no bit that means something before the checksum is looked at
        assert_eq!(kit.code(records), ErrorCode::CORRUPT_MESSAGE, "byte {at}");
    }
    let mut records = good;
    *records.last_mut().unwrap() ^= 1;
    assert_eq!(kit.code(records), ErrorCode::CORRUPT_MESSAGE);
    assert!(kit.values().is_empty());
}

#[test]
fn counts_and_deltas_have_to_agree() {
    let mut kit = Kit::new();
    let draft = || Draft::of(&["a", "b"]);
    assert_eq!(kit.code(draft().edit(|h| h.record_count = 0).bytes()), ErrorCode::INVALID_RECORD);
    assert_eq!(kit.code(draft().edit(|h| h.record_count = -1).bytes()), ErrorCode::INVALID_RECORD);
    assert_eq!(kit.code(draft().edit(|h| h.last_offset_delta = 2).bytes()), ErrorCode::INVALID_RECORD);
    let more = draft().edit(|h| {
        h.record_count = 3;
        h.last_offset_delta = 2;
    });
    assert_eq!(kit.code(more.bytes()), ErrorCode::INVALID_RECORD, "fewer records than counted");
    let fewer = draft().edit(|h| {
        h.record_count = 1;
        h.last_offset_delta = 0;
    });
    assert_eq!(kit.code(fewer.bytes()), ErrorCode::INVALID_RECORD, "more records than counted");
}

#[test]
fn offset_deltas_have_to_be_consecutive_and_the_record_is_named() {
    let mut kit = Kit::new();
    let draft = Draft::with_records(&[(0, None, "a"), (2, None, "b")]);
    let answer = kit.produce(&kit.produce_of(draft.bytes()));
    assert_eq!(answer.error, ErrorCode::INVALID_RECORD);
    assert_eq!(answer.record_errors.iter().map(|e| e.index).collect::<Vec<_>>(), [1]);
    assert!(answer.error_message.is_some());
}

#[test]
fn a_client_cannot_write_control_batches_or_preset_offsets() {
    let mut kit = Kit::new();
    let control = Draft::of(&["a"]).edit(|h| h.attributes = h.attributes.control());
    assert_eq!(kit.code(control.bytes()), ErrorCode::INVALID_RECORD);
    assert_eq!(kit.code(Draft::of(&["a"]).edit(|h| h.base_offset = Offset(5)).bytes()), ErrorCode::INVALID_RECORD);
}

#[test]
fn an_idempotent_batch_needs_a_sequence() {
    let mut kit = Kit::new();
    assert_eq!(kit.code(Draft::of(&["a"]).stamped(1, 0, -1).bytes()), ErrorCode::INVALID_RECORD);
}

#[test]
fn transactions_are_refused() {
    let mut kit = Kit::new();
    let draft = Draft::of(&["a"]).stamped(1, 0, 0).edit(|h| h.attributes = h.attributes.transactional());
    assert_eq!(kit.code(draft.bytes()), ErrorCode::INVALID_TXN_STATE);
    let mut request = kit.produce_of(draft.bytes());
    request.acks = 1;
    assert_eq!(kit.produce(&request).error, ErrorCode::INVALID_REQUIRED_ACKS);
}

#[test]
fn the_size_limit_counts_the_header_and_comes_before_duplicates() {
    let mut kit = Kit::new();
    let bytes = Draft::of(&["some value"]).stamped(1, 0, 0).bytes();
    let exact = bytes.len().to_string();
    let below = (bytes.len() - 1).to_string();
    kit.create("exact", 1, &[("max.message.bytes", &exact)]);
    let mut request = kit.produce_of(bytes.clone());
    request.topic = "exact".into();
    request.id = kit.id("exact");
    assert_eq!(kit.produce(&request).error, ErrorCode::NONE);
    assert_eq!(kit.produce(&request).base_offset, Offset(0), "a duplicate");
    // The same batch again, now that the limit is lower: Kafka does not get as far as to see that it is a duplicate.
    let topic = kit.core.topics.get_mut("exact").unwrap();
    topic.config.max_message_bytes = below.parse().unwrap();
    assert_eq!(kit.produce(&request).error, ErrorCode::MESSAGE_TOO_LARGE);
    // And it does not look at the checksum either.
    *request.records.last_mut().unwrap() ^= 1;
    assert_eq!(kit.produce(&request).error, ErrorCode::MESSAGE_TOO_LARGE);
}

#[test]
fn a_batch_larger_than_a_segment_is_refused() {
    let mut kit = Kit::without_topic(1, |_| {});
    kit.create("t", 1, &[("segment.bytes", "70")]);
    assert_eq!(kit.code(Draft::of(&["a long enough value"]).bytes()), ErrorCode::RECORD_LIST_TOO_LARGE);
}

#[test]
fn zstd_needs_version_seven_and_the_other_codecs_do_not() {
    let mut kit = Kit::with(1, |config| config.profile = Profile::V2_1);
    for codec in Codec::ALL {
        let mut draft = Draft::of(&["a", "b"]);
        draft.header.attributes = Attributes::new(codec);
        let compression = Compression::new(codec);
        draft.payload = compress(compression, &[&draft.payload]).unwrap().to_vec().into();
        let mut request = kit.produce_of(draft.bytes());
        assert_eq!(kit.produce(&request).error, ErrorCode::NONE, "{codec:?}");
        request.version = ApiVersion(6);
        let expected = if codec == Codec::Zstd { ErrorCode::UNSUPPORTED_COMPRESSION_TYPE } else { ErrorCode::NONE };
        assert_eq!(kit.produce(&request).error, expected, "{codec:?}");
    }
}

#[test]
fn codecs_that_do_not_exist_and_streams_that_do_not_decompress_are_refused() {
    let mut kit = Kit::new();
    let unknown = Draft::of(&["a"]).edit(|h| h.attributes = Attributes(5));
    assert_eq!(kit.code(unknown.bytes()), ErrorCode::CORRUPT_MESSAGE);
    let broken = Draft::of(&["a"]).edit(|h| h.attributes = Attributes::new(Codec::Gzip));
    assert_eq!(kit.code(broken.bytes()), ErrorCode::UNKNOWN_SERVER_ERROR);
}

#[test]
fn a_compacted_topic_refuses_records_without_a_key_and_names_them() {
    let mut kit = Kit::without_topic(1, |_| {});
    kit.create("t", 1, &[("cleanup.policy", "compact,delete")]);
    let draft = Draft::with_records(&[(0, Some("k"), "a"), (1, None, "b"), (2, None, "c")]);
    let answer = kit.produce(&kit.produce_of(draft.bytes()));
    assert_eq!(answer.error, ErrorCode::INVALID_RECORD);
    assert_eq!(answer.record_errors.iter().map(|e| e.index).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(kit.code(Draft::with_records(&[(0, Some("k"), "a")]).bytes()), ErrorCode::NONE);
}

#[test]
fn timestamps_from_the_future_are_refused_since_4_0() {
    let late = || Draft::of(&["a"]).edit(|h| h.max_timestamp = WALL_MS + 3_700_000).bytes();
    assert_eq!(Kit::new().code(late()), ErrorCode::INVALID_TIMESTAMP);
    let mut old = Kit::with(1, |config| config.profile = Profile::V3_9);
    assert_eq!(old.code(late()), ErrorCode::NONE);
}

#[test]
fn log_append_time_is_told_and_stored_with_a_checksum_that_fits() {
    let mut kit = Kit::without_topic(1, |_| {});
    kit.create("t", 1, &[("message.timestamp.type", "LogAppendTime")]);
    let draft = Draft::of(&["a"]).stamped(1, 0, 0).edit(|h| h.base_timestamp = 5);
    let answer = kit.produce(&kit.produce_of(draft.bytes()));
    assert_eq!(answer.log_append_time_ms, kit.at().wall_ms);
    let stored = kit.core.stored(&"t".into(), P0);
    assert_eq!(stored[0].records().unwrap()[0].timestamp_ms, answer.log_append_time_ms);
    let bytes = stored[0].to_bytes();
    milena_wire::BatchView::parse(&bytes).unwrap().0.verify_crc().unwrap();
    kit.pass(std::time::Duration::from_secs(1));
    let again = kit.produce(&kit.produce_of(draft.bytes()));
    assert_eq!(again.log_append_time_ms, answer.log_append_time_ms, "a duplicate has the time it was appended at");
}

#[test]
fn no_bytes_make_the_reader_panic_and_truncated_requests_are_refused() {
    let kit = Kit::new();
    let frame = kit.produce_of(Draft::of(&["a", "b"]).bytes()).frame();
    for len in 0..frame.len() {
        assert!(request::read(&frame.slice(..len), Profile::V4_3, true).is_err(), "{len} bytes");
    }
    let mut random: u64 = 7;
    for _ in 0..20_000 {
        let mut bytes = frame.to_vec();
        for _ in 0..3 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = usize::try_from(random >> 33).unwrap() % bytes.len();
            bytes[at] = random.to_be_bytes()[2];
        }
        let read = request::read(&bytes.into(), Profile::V4_3, true);
        // Whatever came of it, it is a value.
        drop(read);
    }
    assert!(Reader::new(&frame).remaining() > 0);
}
