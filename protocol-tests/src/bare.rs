//! A connection that speaks milena's wire format and nothing else: no retries, no pool, no clock.
//!
//! The suites use it to ask a cluster how it is, and [`Plain`] is a producer built from it alone, slow and easily seen to be right: it shows that
//! wire format and suites are sound before a real producer is held against them.

mod look;
mod producer;

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use milena_wire::message::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use milena_wire::message::create_topics::{CreatableTopic, CreateTopicsRequest, CreateTopicsResponse};
use milena_wire::message::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use milena_wire::message::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};
use milena_wire::message::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use milena_wire::message::produce::{ProduceRequest, ProduceResponse};
use milena_wire::{
    ApiKey, ApiVersion, CorrelationId, ErrorCode, Frame, Offset, PartitionId, ProducerEpoch, ProducerId, Reader,
    ResponseHeader, TopicName, client_range,
};

pub use look::{describe, is_in_sync, is_served, leader};
pub use producer::Plain;

const CLIENT: Option<&str> = Some("bare");
const ANSWER: Duration = Duration::from_secs(35);

/// One connection to one broker.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    correlation: i32,
    /// What the broker speaks.
    pub apis: ApiVersionsResponse,
}

impl Connection {
    /// Connects to `host:port` and asks what is spoken there.
    ///
    /// # Errors
    ///
    /// Of the socket, and when what comes back makes no sense; so do all methods.
    pub fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER))?;
        let mut connection = Self { stream, correlation: 0, apis: ApiVersionsResponse::default() };
        let request = ApiVersionsRequest { client_software_name: "bare".into(), client_software_version: "0".into() };
        let mut version = ApiVersion(3);
        let body = connection.call(ApiKey::API_VERSIONS, version, |c| request.encode_frame(version, c, CLIENT))?;
        connection.apis = ApiVersionsResponse::decode(version, &body).map_err(io::Error::other)?;
        if connection.apis.error == ErrorCode::UNSUPPORTED_VERSION {
            version = ApiVersion(0);
            let body = connection.call(ApiKey::API_VERSIONS, version, |c| request.encode_frame(version, c, CLIENT))?;
            connection.apis = ApiVersionsResponse::decode(version, &body).map_err(io::Error::other)?;
        }
        Ok(connection)
    }

    /// Connects to the first of `host:port[,host:port…]` that answers.
    ///
    /// # Errors
    ///
    /// The last one's.
    pub fn open_any(bootstrap: &str) -> io::Result<Self> {
        let mut last = io::Error::other("no address");
        for address in bootstrap.split(',') {
            match Self::open(address) {
                Ok(connection) => return Ok(connection),
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    /// The newest version of an API that both sides speak.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn newest(&self, api: ApiKey) -> ApiVersion {
        let (oldest, newest) = client_range(api).expect("an API that is spoken here");
        let (min, max) = self.apis.range(api).expect("an API that the broker offers");
        let version = newest.min(max);
        assert!(version >= oldest.max(min), "no common version of API {api}");
        version
    }

    fn call(
        &mut self,
        api: ApiKey,
        version: ApiVersion,
        frame: impl FnOnce(CorrelationId) -> Frame,
    ) -> io::Result<Bytes> {
        let correlation = self.transmit(frame)?;
        let mut size = [0; 4];
        self.stream.read_exact(&mut size)?;
        let size = u32::from_be_bytes(size);
        let mut body = vec![0; usize::try_from(size).map_err(io::Error::other)?];
        self.stream.read_exact(&mut body)?;
        let mut reader = Reader::new(&body);
        let header = ResponseHeader::decode(api, version, &mut reader).map_err(io::Error::other)?;
        if header.correlation != correlation {
            return Err(io::Error::other("an answer to something else"));
        }
        let at = reader.position();
        Ok(Bytes::from(body).slice(at..))
    }

    fn transmit(&mut self, frame: impl FnOnce(CorrelationId) -> Frame) -> io::Result<CorrelationId> {
        self.correlation += 1;
        let correlation = CorrelationId(self.correlation);
        self.stream.write_all(&frame(correlation).to_vec())?;
        Ok(correlation)
    }

    /// Metadata of one topic, which is not created.
    ///
    /// # Errors
    ///
    /// See [`open`](Self::open).
    pub fn metadata(&mut self, topic: &str) -> io::Result<MetadataResponse> {
        let version = self.newest(ApiKey::METADATA);
        let name = Some(TopicName::new(topic));
        let request = MetadataRequest {
            topics: Some(vec![MetadataRequestTopic { name, ..MetadataRequestTopic::default() }]),
            allow_auto_topic_creation: false,
            ..MetadataRequest::default()
        };
        let body = self.call(ApiKey::METADATA, version, |c| request.encode_frame(version, c, CLIENT))?;
        MetadataResponse::decode(version, &body).map_err(io::Error::other)
    }

    /// Creates a topic.
    ///
    /// # Errors
    ///
    /// The broker's refusal too.
    pub fn create_topic(&mut self, topic: &str, partitions: i32, replicas: i16) -> io::Result<()> {
        let version = self.newest(ApiKey::CREATE_TOPICS);
        let creatable = CreatableTopic {
            name: TopicName::new(topic),
            partitions,
            replication_factor: replicas,
            ..CreatableTopic::default()
        };
        let request = CreateTopicsRequest { topics: vec![creatable], timeout_ms: 30_000, validate_only: false };
        let body = self.call(ApiKey::CREATE_TOPICS, version, |c| request.encode_frame(version, c, CLIENT))?;
        let response = CreateTopicsResponse::decode(version, &body).map_err(io::Error::other)?;
        match response.topics.first() {
            Some(created) if created.error == ErrorCode::NONE => Ok(()),
            other => Err(io::Error::other(format!("topic {topic} was not created: {other:?}"))),
        }
    }

    /// A new identity of an idempotent producer.
    ///
    /// # Errors
    ///
    /// The broker's refusal too.
    pub fn init_producer_id(&mut self) -> io::Result<(ProducerId, ProducerEpoch)> {
        let version = self.newest(ApiKey::INIT_PRODUCER_ID);
        let request = InitProducerIdRequest::default();
        let body = self.call(ApiKey::INIT_PRODUCER_ID, version, |c| request.encode_frame(version, c, CLIENT))?;
        let response = InitProducerIdResponse::decode(version, &body).map_err(io::Error::other)?;
        if response.error == ErrorCode::NONE {
            Ok((response.producer_id, response.producer_epoch))
        } else {
            Err(io::Error::other(format!("no producer id: {}", response.error)))
        }
    }

    /// The end of a partition's log, from its leader.
    ///
    /// # Errors
    ///
    /// The broker's refusal too.
    pub fn end_offset(&mut self, topic: &str, partition: PartitionId) -> io::Result<Offset> {
        let version = self.newest(ApiKey::LIST_OFFSETS);
        let partition = ListOffsetsPartition { index: partition, ..ListOffsetsPartition::default() };
        let topics = vec![ListOffsetsTopic { name: TopicName::new(topic), partitions: vec![partition] }];
        let request = ListOffsetsRequest { topics, ..ListOffsetsRequest::default() };
        let body = self.call(ApiKey::LIST_OFFSETS, version, |c| request.encode_frame(version, c, CLIENT))?;
        let response = ListOffsetsResponse::decode(version, &body).map_err(io::Error::other)?;
        match response.topics.iter().flat_map(|topic| &topic.partitions).next() {
            Some(end) if end.error == ErrorCode::NONE => Ok(end.offset),
            other => Err(io::Error::other(format!("no end offset: {other:?}"))),
        }
    }

    /// Sends records; acks=0 has no answer.
    ///
    /// # Errors
    ///
    /// See [`open`](Self::open).
    pub fn produce(&mut self, version: ApiVersion, request: &ProduceRequest) -> io::Result<Option<ProduceResponse>> {
        let frame = |correlation| request.encode_frame(version, correlation, CLIENT);
        if request.acks == 0 {
            self.transmit(frame)?;
            return Ok(None);
        }
        let body = self.call(ApiKey::PRODUCE, version, frame)?;
        ProduceResponse::decode(version, &body).map(Some).map_err(io::Error::other)
    }
}
