//! Produce (API 0): record batches to the log, and what became of each.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};

use super::header::write_request_header;
use super::leader::{CurrentLeader, NodeEndpoint};
use super::schema::{Field, Writer, write_tagged};
use super::versions::PRODUCE;
use crate::frame::Frame;
use crate::ids::{ApiVersion, CorrelationId, Offset, PartitionId, TopicId, TopicName};
use crate::primitive::{DecodeError, Layout, Reader};
use crate::{BATCH_HEADER_LEN, ErrorCode, Payload};

/// A Produce request as a client sends it: each partition's batch is a header of its own and a shared payload.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ProduceRequest {
    /// Whose transaction the batches belong to, if any.
    pub transactional_id: Option<String>,
    /// How many acknowledgements the leader waits for: `0` none (and there is no response), `1` its own, `-1` all
    /// in-sync replicas.
    pub acks: i16,
    /// How long the leader may wait for them, in milliseconds.
    pub timeout_ms: i32,
    /// The batches; each topic at most once.
    pub topics: Vec<ProduceTopic>,
}

/// The batches for one topic.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProduceTopic {
    /// The name, which is what versions to 12 send.
    pub name: TopicName,
    /// The id, which is what version 13 sends instead.
    pub id: TopicId,
    /// One batch each; each partition at most once.
    pub partitions: Vec<ProducePartition>,
}

/// The batch for one partition.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProducePartition {
    /// The partition.
    pub index: PartitionId,
    /// The batch header, made for this attempt.
    pub header: [u8; BATCH_HEADER_LEN],
    /// The encoded records, back to back.
    pub payload: Payload,
}

impl ProducePartition {
    /// Bytes of the batch, its header included.
    #[must_use]
    pub fn batch_len(&self) -> usize {
        BATCH_HEADER_LEN + self.payload.iter().map(Bytes::len).sum::<usize>()
    }
}

impl ProduceRequest {
    /// Adds batches, grouped by topic; within a topic they keep their order. Topics stand in the order they first come.
    pub fn extend(&mut self, batches: impl IntoIterator<Item = (TopicName, TopicId, ProducePartition)>) {
        let places = self.topics.iter().enumerate();
        let mut places: BTreeMap<_, _> = places.map(|(at, topic)| ((topic.name.clone(), topic.id), at)).collect();
        for (name, id, partition) in batches {
            let at = *places.entry((name, id)).or_insert_with_key(|(name, id)| {
                self.topics.push(ProduceTopic { name: name.clone(), id: *id, partitions: Vec::new() });
                self.topics.len() - 1
            });
            self.topics[at].partitions.push(partition);
        }
    }

    /// The whole request, its size in front.
    ///
    /// What goes in front of each payload (protocol and batch header) is one slice, and all of these are carved from
    /// one allocation; the payload is shared, not copied.
    #[must_use]
    pub fn encode_frame(&self, version: ApiVersion, correlation: CorrelationId, client_id: Option<&str>) -> Frame {
        self.encode_frame_in(&mut BytesMut::new(), version, correlation, client_id)
    }

    /// As [`encode_frame`](Self::encode_frame), but carved from `arena`, which is empty. If it has too little room left it gets at least as much as it was
    /// made with, and nothing is allocated for that if what was carved from it before is gone.
    #[must_use]
    pub fn encode_frame_in(
        &self,
        arena: &mut BytesMut,
        version: ApiVersion,
        correlation: CorrelationId,
        client_id: Option<&str>,
    ) -> Frame {
        let layout = PRODUCE.layout(version);
        let partitions = self.topics.iter().flat_map(|topic| &topic.partitions);
        let parts = partitions.map(|partition| 1 + partition.payload.len()).sum::<usize>();
        let mut out = Writer::within(std::mem::take(arena), self.protocol_len(client_id), parts + 1);
        write_request_header(&mut out, &PRODUCE, version, correlation, client_id);
        out.nullable_str(self.transactional_id.as_deref(), layout);
        out.out().put_i16(self.acks);
        out.out().put_i32(self.timeout_ms);
        out.count(Some(self.topics.len()), layout);
        for topic in &self.topics {
            topic.write(&mut out, version);
        }
        end_struct(&mut out, layout);
        let (frame, rest) = out.finish_within();
        *arena = rest;
        frame
    }

    /// The most bytes there can be around the payloads, in any version.
    fn protocol_len(&self, client_id: Option<&str>) -> usize {
        const HEADER: usize = 2 + 2 + 4 + 2 + 1;
        const FIELDS: usize = 3 + 2 + 4 + 5 + 1;
        const PARTITION: usize = 4 + 5 + BATCH_HEADER_LEN + 1;
        let text = |text: Option<&str>| text.map_or(0, str::len);
        let topics = self.topics.iter().map(|topic| {
            let name = topic.name.as_str().len() + 3;
            name.max(size_of::<TopicId>()) + 5 + topic.partitions.len() * PARTITION + 1
        });
        HEADER + text(client_id) + FIELDS + text(self.transactional_id.as_deref()) + topics.sum::<usize>()
    }
}

impl ProduceTopic {
    fn write(&self, out: &mut Writer, version: ApiVersion) {
        let layout = PRODUCE.layout(version);
        if version.0 >= 13 {
            self.id.write(out, PRODUCE.version(version));
        } else {
            self.name.write(out, PRODUCE.version(version));
        }
        out.count(Some(self.partitions.len()), layout);
        for partition in &self.partitions {
            out.out().put_i32(partition.index.0);
            out.count(Some(partition.batch_len()), layout);
            out.out().put_slice(&partition.header);
            out.splice(&partition.payload);
            end_struct(out, layout);
        }
        end_struct(out, layout);
    }
}

fn end_struct(out: &mut Writer, layout: Layout) {
    if layout == Layout::Flexible {
        write_tagged(out, &[]);
    }
}

message! {
    /// A Produce request as a broker receives it. Its records have not been looked at.
    pub struct ProduceRequestIn {
        /// Whose transaction the batches belong to, if any.
        transactional_id: Option<String> [0..];
        /// How many acknowledgements to wait for; not checked.
        acks: i16 [0..];
        /// How long to wait for them, in milliseconds; not checked.
        timeout_ms: i32 [0..];
        /// What to append.
        topics: Vec<ProduceTopicIn> [0..];
    }

    /// What to append to one topic.
    pub struct ProduceTopicIn {
        /// The name; empty in version 13.
        name: TopicName [0..=12];
        /// The id; zero before version 13.
        id: TopicId [13..];
        /// What to append to its partitions.
        partitions: Vec<ProducePartitionIn> [0..];
    }

    /// What to append to one partition.
    pub struct ProducePartitionIn {
        /// The partition.
        index: PartitionId [0..];
        /// Meant to be one record batch; a slice of the request if it was read by [`Reader::shared`](crate::Reader::shared).
        records: Option<Bytes> [0..];
    }

    /// What became of each batch of a Produce request.
    pub struct ProduceResponse {
        /// By topic.
        topics: Vec<ProduceTopicResponse> [0..];
        /// How long to keep quiet on this connection, in milliseconds (KIP-219).
        throttle_ms: i32 [1..];
    } tagged {
        /// How to reach the leaders named in this response.
        0 => node_endpoints: Vec<NodeEndpoint> [10..];
    }

    /// What became of the batches for one topic.
    pub struct ProduceTopicResponse {
        /// The name; empty in version 13.
        name: TopicName [0..=12];
        /// The id; zero before version 13.
        id: TopicId [13..];
        /// By partition.
        partitions: Vec<ProducePartitionResponse> [0..];
    }

    /// What became of the batch for one partition.
    pub struct ProducePartitionResponse {
        /// The partition.
        index: PartitionId [0..];
        /// [`ErrorCode::NONE`] if it was appended.
        error: ErrorCode [0..];
        /// Where its first record is; negative with an error, and for a duplicate the broker no longer remembers.
        base_offset: Offset [0..];
        /// When the broker appended it, if the topic's timestamps are its own, else `-1`. Milliseconds.
        log_append_time_ms: i64 [2..] = -1;
        /// Where the partition's log starts; negative if unknown.
        log_start_offset: Offset [5..];
        /// Which records the broker refused, and why (KIP-467).
        record_errors: Vec<RecordError> [8..];
        /// What the broker has to say about the error.
        error_message: Option<String> [8..];
    } tagged {
        /// The leader, if this broker is not and knows better.
        0 => current_leader: CurrentLeader [10..] = CurrentLeader::default();
    }

    /// Why the broker refused one record of a batch.
    pub struct RecordError {
        /// The record's index in its batch.
        index: i32 [8..];
        /// What is wrong with it.
        message: Option<String> [8..];
    }
}

impl ProduceRequestIn {
    request!(decode ProduceRequestIn, PRODUCE);
}

response!(ProduceResponse, PRODUCE);

impl ProduceResponse {
    /// As [`decode`](Self::decode), with at most `entries` topics. Whoever asked knows how many there can be, and an empty one has three bytes
    /// there and 56 here, which is more than anything else in an answer grows.
    ///
    /// # Errors
    ///
    /// As with [`decode`](Self::decode), and when there are more.
    pub fn decode_up_to(version: ApiVersion, body: &[u8], entries: usize) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let told = reader.nullable_count(PRODUCE.check(version)?.layout, 1)?;
        if told.is_some_and(|told| told > entries) {
            return Err(reader.error("more topics than were asked about"));
        }
        Self::decode(version, body)
    }
}
