use proptest::prelude::*;

use super::*;

const BOTH: [Layout; 2] = [Layout::Classic, Layout::Flexible];

fn what<T: fmt::Debug>(result: Result<T, DecodeError>) -> &'static str {
    result.unwrap_err().what
}

#[test]
fn numbers_are_big_endian() {
    let bytes: Vec<u8> = (1..=15).collect();
    let mut reader = Reader::new(&bytes);
    assert_eq!(reader.i8(), Ok(1));
    assert_eq!(reader.i16(), Ok(0x0203));
    assert_eq!(reader.i32(), Ok(0x0405_0607));
    assert_eq!(reader.i64(), Ok(0x0809_0a0b_0c0d_0e0f));
    assert_eq!((reader.position(), reader.remaining()), (15, 0));
    assert_eq!(reader.finish(), Ok(()));
    assert_eq!(what(reader.i8()), "runs past the end of the message");
}

#[test]
fn varints_have_at_most_32_bits() {
    let read = |bytes: &[u8]| Reader::new(bytes).uvarint();
    assert_eq!(read(&[0]), Ok(0));
    assert_eq!(read(&[0x7f]), Ok(127));
    assert_eq!(read(&[0x80, 0x01]), Ok(128));
    assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Ok(u32::MAX));
    assert_eq!(what(read(&[0xff, 0xff, 0xff, 0xff, 0x1f])), "varint longer than 32 bits");
    assert_eq!(what(read(&[0xff, 0xff, 0xff, 0xff, 0xff, 0x01])), "varint longer than 32 bits");
    assert_eq!(what(read(&[0x80, 0x80])), "runs past the end of the message");
}

#[test]
fn negative_lengths_are_refused_except_for_null() {
    for size in [-2, i16::MIN] {
        let bytes = size.to_be_bytes();
        assert_eq!(what(Reader::new(&bytes).nullable_str(Layout::Classic)), "negative length");
    }
    for size in [-2, i32::MIN] {
        let bytes = size.to_be_bytes();
        assert_eq!(what(Reader::new(&bytes).nullable_bytes(Layout::Classic)), "negative length");
        assert_eq!(what(Reader::new(&bytes).nullable_count(Layout::Classic, 1)), "negative length");
    }
    assert_eq!(Reader::new(&[0xff; 2]).nullable_str(Layout::Classic), Ok(None));
    assert_eq!(Reader::new(&[0xff; 4]).nullable_bytes(Layout::Classic), Ok(None));
    assert_eq!(Reader::new(&[0xff; 4]).nullable_count(Layout::Classic, 1), Ok(None));
    assert_eq!(Reader::new(&[0]).nullable_str(Layout::Flexible), Ok(None));
    assert_eq!(what(Reader::new(&[0]).str(Layout::Flexible)), "null where a string is needed");
}

#[test]
fn an_array_is_believed_only_as_far_as_the_message_could_hold_it() {
    let count = |count: i32, remaining: usize, smallest: usize| {
        let bytes = [&count.to_be_bytes()[..], &vec![0; remaining]].concat();
        Reader::new(&bytes).nullable_count(Layout::Classic, smallest)
    };
    assert_eq!(count(3, 12, 4), Ok(Some(3)));
    assert_eq!(what(count(4, 15, 4)), "array longer than the message can hold");
    assert_eq!(what(count(i32::MAX, 1000, 1)), "array longer than the message can hold");
    // A struct without fields is not a licence to loop 2^31 times.
    assert_eq!(what(count(i32::MAX, 1000, 0)), "array longer than the message can hold");
    let endless = [0xff, 0xff, 0xff, 0xff, 0x0f, 1, 1, 1];
    assert_eq!(
        what(Reader::new(&endless).nullable_count(Layout::Flexible, 1)),
        "array longer than the message can hold"
    );
    assert_eq!(what(Reader::new(&endless).tagged_count()), "more tagged fields than the message can hold");
    assert_eq!(what(Reader::new(&endless).skip_tagged()), "more tagged fields than the message can hold");
}

#[test]
fn a_tagged_field_is_confined_to_its_size() {
    let bytes = Bytes::from_static(&[1, 7, 2, 0xaa, 0xbb, 0xcc]);
    let mut reader = Reader::shared(&bytes);
    assert_eq!(reader.tagged_count(), Ok(1));
    let (tag, mut inner) = reader.tagged_field().unwrap();
    assert_eq!((tag, inner.remaining(), inner.position()), (7, 2, 3));
    assert_eq!(what(inner.clone().i32()), "runs past the end of the message");
    assert_eq!(inner.i16(), Ok(i16::from_be_bytes([0xaa, 0xbb])));
    assert_eq!(inner.finish(), Ok(()));
    assert_eq!(reader.rest(), [0xcc]);
    assert_eq!(what(reader.finish()), "bytes left over behind the message");
    assert_eq!(what(Reader::new(&[1, 7, 9, 0]).skip_tagged()), "runs past the end of the message");
}

#[test]
fn byte_strings_share_the_message_inside_a_tagged_field_too() {
    let message = Bytes::from_static(&[1, 0, 4, 4, 10, 11, 12]);
    let mut reader = Reader::shared(&message);
    reader.tagged_count().unwrap();
    let (_, mut inner) = reader.tagged_field().unwrap();
    let bytes = inner.nullable_bytes(Layout::Flexible).unwrap().unwrap();
    assert_eq!(bytes, [10, 11, 12][..]);
    assert_eq!(bytes.as_ptr(), message[4..].as_ptr());
}

#[test]
fn an_error_says_what_and_where() {
    let error = Reader::new(&[0, 5, b'a']).str(Layout::Classic).unwrap_err().in_field("Topic.name").in_field("Topics");
    assert_eq!(error.to_string(), "Topic.name: runs past the end of the message at byte 2");
    let error = Reader::new(&[0, 1, 0xff]).str(Layout::Classic).unwrap_err();
    assert_eq!(error.to_string(), "string that is not UTF-8 at byte 2");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_bytes_make_a_reader_panic_or_read_past_their_end(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        let whole = Bytes::from(bytes);
        for layout in BOTH {
            for skip in 0..=whole.len() {
                let start = &whole.slice(skip..);
                for reader in [Reader::new(start), Reader::shared(start)] {
                    let _ = reader.clone().uvarint();
                    let _ = reader.clone().skip_tagged();
                    let _ = reader.clone().nullable_count(layout, 3);
                    if let Ok(Some(text)) = reader.clone().nullable_str(layout) {
                        prop_assert!(text.len() < start.len());
                    }
                    if let Ok(Some(bytes)) = reader.clone().nullable_bytes(layout) {
                        prop_assert!(bytes.len() < start.len());
                    }
                }
            }
        }
    }
}
