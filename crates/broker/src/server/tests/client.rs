//! The least of a client.

use std::io;

use bytes::{Bytes, BytesMut};
use milena_wire::message::produce::{
    ProducePartition, ProducePartitionResponse, ProduceRequest, ProduceResponse, ProduceTopic,
};
use milena_wire::{
    ApiKey, ApiVersion, BatchHeader, BrokerId, Codec, CorrelationId, Frame, PartitionId, ProducerEpoch, ProducerId,
    Reader, RecordParts, ResponseHeader, TopicId, put_record, record_size,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::EmbeddedCluster;

pub(super) const CORRELATION: CorrelationId = CorrelationId(5);
/// The last version that names topics.
const VERSION: ApiVersion = ApiVersion(12);

pub(super) struct Client<S> {
    pub(super) stream: S,
}

impl Client<TcpStream> {
    pub(super) async fn tcp(cluster: &EmbeddedCluster, node: BrokerId) -> Self {
        Self::try_tcp(cluster, node).await.unwrap()
    }

    pub(super) async fn try_tcp(cluster: &EmbeddedCluster, node: BrokerId) -> io::Result<Self> {
        let (host, port) = cluster.address(node).unwrap();
        Ok(Self { stream: TcpStream::connect((host, port)).await? })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(super) fn over(stream: S) -> Self {
        Self { stream }
    }

    /// A request to append `batch` to partition 0 of topic `t` with acks=all.
    pub(super) fn frame(&self, batch: &(BatchHeader, Bytes)) -> Vec<u8> {
        let (header, payload) = batch;
        let partition = ProducePartition {
            index: PartitionId(0),
            header: header.encode(std::slice::from_ref(payload)),
            payload: [payload.clone()].into(),
        };
        let topic = ProduceTopic { name: "t".into(), id: TopicId::ZERO, partitions: vec![partition] };
        let request = ProduceRequest { transactional_id: None, acks: -1, timeout_ms: 30_000, topics: vec![topic] };
        request.encode_frame(VERSION, CORRELATION, Some("test")).to_vec()
    }

    pub(super) async fn send(&mut self, batch: &(BatchHeader, Bytes)) -> io::Result<()> {
        self.stream.write_all(&self.frame(batch)).await
    }

    /// The next frame, without its size.
    pub(super) async fn next_frame(&mut self) -> io::Result<Bytes> {
        let size = usize::try_from(self.stream.read_i32().await?).unwrap();
        let mut frame = vec![0; size];
        self.stream.read_exact(&mut frame).await?;
        Ok(frame.into())
    }

    pub(super) async fn receive(&mut self) -> io::Result<ProducePartitionResponse> {
        let frame = self.next_frame().await?;
        let mut reader = Reader::new(&frame);
        let header = ResponseHeader::decode(ApiKey::PRODUCE, VERSION, &mut reader).unwrap();
        assert_eq!(header.correlation, CORRELATION);
        let mut response = ProduceResponse::decode(VERSION, reader.rest()).unwrap();
        Ok(response.topics.remove(0).partitions.remove(0))
    }

    pub(super) async fn produce(&mut self, batch: &(BatchHeader, Bytes)) -> io::Result<ProducePartitionResponse> {
        self.send(batch).await?;
        self.receive().await
    }

    /// Sends any request and returns the body of its response.
    pub(super) async fn ask(&mut self, request: &Frame, api: ApiKey, version: ApiVersion) -> Bytes {
        self.stream.write_all(&request.to_vec()).await.unwrap();
        let frame = self.next_frame().await.unwrap();
        let mut reader = Reader::new(&frame);
        ResponseHeader::decode(api, version, &mut reader).unwrap();
        let at = reader.position();
        frame.slice(at..)
    }
}

/// Plain records; a producer id of -1 is none.
pub(super) fn batch(id: i64, epoch: i16, sequence: i32, values: &[&str]) -> (BatchHeader, Bytes) {
    let mut payload = BytesMut::new();
    for (delta, value) in (0..).zip(values) {
        let parts = RecordParts { key: None, value: Some(value.as_bytes()), headers: &[] };
        put_record(&mut payload, record_size(delta, 0, &parts), delta, 0, &parts);
    }
    let count = i32::try_from(values.len()).unwrap();
    let header = BatchHeader {
        producer_id: ProducerId(id),
        producer_epoch: ProducerEpoch(epoch),
        base_sequence: sequence,
        ..BatchHeader::of_records(Codec::None, count, 1_000, 1_000)
    };
    (header, payload.freeze())
}
