//! Another implementation reads what we write, and the other way round.

use super::*;

fn agrees<Ours, Theirs>(name: &str, api: &Api, fix: fn(&mut Ours, i16))
where
    Ours: Field + Debug + PartialEq,
    Theirs: Decodable + Encodable + Debug,
{
    for (version, value) in samples::<Ours>(api, fix, 60) {
        let ours = body(&value, version);
        let mut unread = ours.clone();
        let read = Theirs::decode(&mut unread, version.number)
            .unwrap_or_else(|e| panic!("{name} v{}: they cannot read ours: {e}\n{value:#?}", version.number));
        assert!(unread.is_empty(), "{name} v{}: they leave {} bytes of ours", version.number, unread.len());

        let mut written = BytesMut::new();
        read.encode(&mut written, version.number)
            .unwrap_or_else(|e| panic!("{name} v{}: they cannot write what they read: {e}\n{read:#?}", version.number));
        assert_eq!(written, ours, "{name} v{}: they write\n{read:#?}\nwe write\n{value:#?}", version.number);

        let back = parse::<Ours>(&written, version).unwrap_or_else(|e| panic!("{name} v{}: {e}", version.number));
        assert_eq!(back, value, "{name} v{}", version.number);
    }
}

#[test]
fn every_message_of_every_version_is_written_and_read_as_the_oracle_does() {
    macro_rules! check {
        ($name:expr, $api:expr, $ours:ty, $theirs:ty, $fix:expr) => {
            agrees::<$ours, $theirs>($name, &$api, $fix);
        };
    }
    for_each_message!(check);
}

/// They skip a tagged field of a newer broker, and so must we.
#[test]
fn unknown_tagged_fields_are_skipped() {
    let version = super::super::versions::INIT_PRODUCER_ID.version(ApiVersion(5));
    let newer = theirs::InitProducerIdResponse::default()
        .with_producer_id(7.into())
        .with_unknown_tagged_field(9, Bytes::from_static(b"from the future"))
        .with_unknown_tagged_field(300, Bytes::new());
    let mut bytes = BytesMut::new();
    newer.encode(&mut bytes, version.number).unwrap();
    let read = parse::<init_producer_id::InitProducerIdResponse>(&bytes, version).unwrap();
    assert_eq!(read.producer_id, crate::ProducerId(7));
}
