//! Each value ends up in the field of the right name, which two fields of one type would not show otherwise.

mod cluster;
mod records;
mod session;
mod topics;

use kafka_protocol::protocol::StrBytes;

use super::super::versions as v;
use super::*;
use crate::ErrorCode;
use crate::ids::{ApiKey, BrokerId, LeaderEpoch, Offset, PartitionId, ProducerEpoch, ProducerId, TopicId, TopicName};

/// What they write in `version` is read as `ours`.
fn same<Ours, Theirs>(api: &Api, version: i16, theirs: &Theirs, ours: &Ours)
where
    Ours: Field + Debug + PartialEq,
    Theirs: Encodable,
{
    let mut written = BytesMut::new();
    theirs.encode(&mut written, version).unwrap();
    let read: Ours = parse(&written, api.version(ApiVersion(version))).unwrap();
    assert_eq!(&read, ours, "v{version}");
}

fn s(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

const ID: TopicId = TopicId([9; 16]);

/// The same, as the type that they have for it.
fn uuid<T>() -> T
where
    T: TryFrom<Vec<u8>, Error: Debug>,
{
    ID.0.to_vec().try_into().unwrap()
}

fn node(id: i32) -> theirs::BrokerId {
    theirs::BrokerId(id)
}

fn name(text: &'static str) -> theirs::TopicName {
    theirs::TopicName(s(text))
}
