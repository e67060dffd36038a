//! Messages of both directions: headers, and bodies of every API and version.

use std::fmt::Debug;

use bytes::Bytes;
use milena_wire::message::{
    RequestHeader, ResponseHeader, api_versions as av, client_range, create_partitions as cp, create_topics as ct,
    delete_topics as dt, describe_cluster as dl, describe_configs as dc, fetch as f, find_coordinator as fc,
    init_producer_id as ip, list_offsets as lo, metadata as m, offset_for_leader_epoch as ol, produce as p,
    sasl_authenticate as sa, sasl_handshake as sh,
};
use milena_wire::{ApiKey, ApiVersion, CorrelationId, ErrorCode, Frame, Reader};

use crate::budget::Budget;
use crate::golden;

/// What a message takes in memory is more than on the wire: an empty text is a byte there and 24 here, which is the most that any element grows
/// (`the_worst_element_of_each_message_is_known` in milena-wire has them all). What an array grew by counts twice, and one that breaks off may
/// have made room for what did not come: for as many elements as did, at each depth, and never for more than the bytes that there are could hold.
const MESSAGE: Budget = Budget { per_byte: 56, at_least: 512 };

const CORRELATION: CorrelationId = CorrelationId(0x0102_0304);

/// One kind of message, read and written again.
type Check = fn(ApiVersion, &Bytes);

macro_rules! table {
    ($($key:ident: $request:ty, $response:ty;)*) => {
        /// Every API that is known.
        pub(crate) const APIS: &[ApiKey] = &[$(ApiKey::$key),*];

        const EMPTY_REQUESTS: &[fn(ApiVersion) -> Option<Vec<u8>>] =
            &[$(|version| <$request as Request>::encode(&<$request>::default(), version).map(|frame| frame[4..].to_vec())),*];

        const EMPTY_RESPONSES: &[fn(ApiVersion) -> Vec<u8>] =
            &[$(|version| <$response>::default().encode_frame(version, CORRELATION).to_vec().split_off(4)),*];

        const MUST_BE: &[fn(ApiVersion, &Bytes) -> bool] = &[$(|version, body| {
            let known = client_range(ApiKey::$key).is_some_and(|(oldest, newest)| (oldest..=newest).contains(&version));
            <$response>::decode(if known { version } else { ApiVersion(0) }, body).is_ok()
        }),*];

        const REQUESTS: &[Check] = &[$(|version, body| {
            let decode = |body: &Bytes| <$request>::decode(version, &mut Reader::shared(body));
            let encode = |value: &$request| <$request as Request>::encode(value, version);
            both_ways(stringify!($request), version, body, decode, |value| {
                let frame = encode(value)?;
                let mut reader = Reader::new(&frame[4..]);
                let header = RequestHeader::decode(&mut reader).expect("our own header");
                assert_eq!((header.api_key, header.version, header.correlation), (ApiKey::$key, version, CORRELATION));
                Some(frame.slice(frame.len() - reader.remaining()..))
            });
        }),*];

        const RESPONSES: &[Check] = &[$(|version, body| {
            let decode = |body: &Bytes| <$response>::decode(version, body);
            both_ways(stringify!($response), version, body, decode, |value| {
                if falls_back(ApiKey::$key, body) {
                    return None;
                }
                let frame = Bytes::from(value.encode_frame(version, CORRELATION).to_vec());
                let mut reader = Reader::new(&frame[4..]);
                let header = ResponseHeader::decode(ApiKey::$key, version, &mut reader).expect("our own header");
                assert_eq!(header.correlation, CORRELATION);
                Some(frame.slice(frame.len() - reader.remaining()..))
            });
        }),*];
    };
}

table! {
    PRODUCE: p::ProduceRequestIn, p::ProduceResponse;
    FETCH: f::FetchRequest, f::FetchResponse;
    LIST_OFFSETS: lo::ListOffsetsRequest, lo::ListOffsetsResponse;
    METADATA: m::MetadataRequest, m::MetadataResponse;
    FIND_COORDINATOR: fc::FindCoordinatorRequest, fc::FindCoordinatorResponse;
    SASL_HANDSHAKE: sh::SaslHandshakeRequest, sh::SaslHandshakeResponse;
    API_VERSIONS: av::ApiVersionsRequest, av::ApiVersionsResponse;
    CREATE_TOPICS: ct::CreateTopicsRequest, ct::CreateTopicsResponse;
    DELETE_TOPICS: dt::DeleteTopicsRequest, dt::DeleteTopicsResponse;
    INIT_PRODUCER_ID: ip::InitProducerIdRequest, ip::InitProducerIdResponse;
    OFFSET_FOR_LEADER_EPOCH: ol::OffsetForLeaderEpochRequest, ol::OffsetForLeaderEpochResponse;
    DESCRIBE_CONFIGS: dc::DescribeConfigsRequest, dc::DescribeConfigsResponse;
    SASL_AUTHENTICATE: sa::SaslAuthenticateRequest, sa::SaslAuthenticateResponse;
    CREATE_PARTITIONS: cp::CreatePartitionsRequest, cp::CreatePartitionsResponse;
    DESCRIBE_CLUSTER: dl::DescribeClusterRequest, dl::DescribeClusterResponse;
}

/// A broker that does not know the version of ApiVersions answers in version 0 (KIP-511), and so do we: what else a refusal
/// in a later version may say is lost on the way back.
fn falls_back(api: ApiKey, body: &[u8]) -> bool {
    api == ApiKey::API_VERSIONS && body.starts_with(&ErrorCode::UNSUPPORTED_VERSION.0.to_be_bytes())
}

/// A request that may have an encoder of its own.
trait Request {
    fn encode(&self, version: ApiVersion) -> Option<Bytes>;
}

macro_rules! encodes {
    ($($request:ty),* $(,)?) => {$(
        impl Request for $request {
            fn encode(&self, version: ApiVersion) -> Option<Bytes> {
                Some(joined(&self.encode_frame(version, CORRELATION, Some("client"))))
            }
        }
    )*};
}

encodes!(
    f::FetchRequest,
    lo::ListOffsetsRequest,
    m::MetadataRequest,
    fc::FindCoordinatorRequest,
    sh::SaslHandshakeRequest,
    av::ApiVersionsRequest,
    ct::CreateTopicsRequest,
    dt::DeleteTopicsRequest,
    ip::InitProducerIdRequest,
    ol::OffsetForLeaderEpochRequest,
    dc::DescribeConfigsRequest,
    sa::SaslAuthenticateRequest,
    cp::CreatePartitionsRequest,
    dl::DescribeClusterRequest,
);

/// A client writes Produce from batches, and a broker reads bytes: what was read has no way back.
impl Request for p::ProduceRequestIn {
    fn encode(&self, _: ApiVersion) -> Option<Bytes> {
        None
    }
}

fn joined(frame: &Frame) -> Bytes {
    Bytes::from(frame.to_vec())
}

/// Reads a body within its budget. If it is a message, what is written from it is read as the same.
fn both_ways<T: PartialEq + Debug, E: Debug>(
    name: &str,
    version: ApiVersion,
    body: &Bytes,
    decode: impl Fn(&Bytes) -> Result<T, E>,
    encode: impl Fn(&T) -> Option<Bytes>,
) {
    let Ok(value) = MESSAGE.hold(name, body.len(), || decode(body)) else { return };
    let Some(written) = encode(&value) else { return };
    let again = decode(&written);
    assert!(
        again.as_ref().is_ok_and(|again| *again == value),
        "{name} v{version}: {value:?} is read back as {again:?}"
    );
}

/// `[API] [version] header body`: any response to a client of this crate, header included.
pub fn responses(data: &[u8]) {
    let Some((&[api, version], frame)) = data.split_first_chunk() else { return };
    let api = usize::from(api) % APIS.len();
    let version = pick(APIS[api], version);
    let frame = Bytes::copy_from_slice(frame);
    let mut reader = Reader::new(&frame);
    let header = MESSAGE.hold("header", frame.len(), || ResponseHeader::decode(APIS[api], version, &mut reader));
    if header.is_ok() {
        RESPONSES[api](version, &frame.slice(reader.position()..));
    }
}

/// A request frame without its size, as the broker gets it.
pub fn requests(data: &[u8]) {
    let frame = Bytes::copy_from_slice(data);
    let mut reader = Reader::new(&frame);
    let Ok(header) = MESSAGE.hold("header", frame.len(), || RequestHeader::decode(&mut reader)) else { return };
    let body = frame.slice(reader.position()..);
    if let Some(api) = APIS.iter().position(|api| *api == header.api_key) {
        REQUESTS[api](header.version, &body);
    }
}

/// Golden responses, and an empty one of every API and version.
pub(crate) fn response_seeds() -> Vec<Vec<u8>> {
    let golden = golden::messages().into_iter().filter(|message| !message.is_request);
    let golden = golden.map(|message| (message.api, message.version, message.bytes));
    let empty = every_version().map(|(api, version)| (APIS[api], version, EMPTY_RESPONSES[api](version)));
    golden
        .chain(empty)
        .filter_map(|(api, version, bytes)| {
            let (oldest, newest) = client_range(api)?;
            let version = u8::try_from(version.0 - oldest.0).ok().filter(|_| version <= newest)?;
            let api = u8::try_from(APIS.iter().position(|known| *known == api)?).ok()?;
            Some([&[api, version], &bytes[..]].concat())
        })
        .collect()
}

/// Golden requests, and an empty one of every API and version.
pub(crate) fn request_seeds() -> Vec<Vec<u8>> {
    let golden = golden::messages().into_iter().filter(|message| message.is_request).map(|message| message.bytes);
    let empty = every_version().filter_map(|(api, version)| EMPTY_REQUESTS[api](version));
    golden.chain(empty).collect()
}

fn every_version() -> impl Iterator<Item = (usize, ApiVersion)> {
    APIS.iter().enumerate().flat_map(|(index, api)| {
        let (oldest, newest) = client_range(*api).expect("an API that is known");
        (oldest.0..=newest.0).map(move |version| (index, ApiVersion(version)))
    })
}

/// Checks that a body is a response.
///
/// # Panics
///
/// When it is not.
pub(crate) fn must_be_response(api: ApiKey, version: ApiVersion, body: &Bytes) {
    let index = APIS.iter().position(|known| *known == api).expect("an API that is known");
    // A refusal of ApiVersions is in version 0, whatever the version that was asked for.
    assert!(MUST_BE[index](version, body), "{api} v{version} is answered with {body:02x?}");
}

/// The version that a byte stands for.
fn pick(api: ApiKey, byte: u8) -> ApiVersion {
    let (oldest, newest) = client_range(api).expect("an API that is known");
    let count = newest.0 - oldest.0 + 1;
    ApiVersion(oldest.0 + i16::from(byte) % count)
}
