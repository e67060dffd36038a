//! ListOffsets and OffsetForLeaderEpoch: where things are on the log.

use milena_wire::message::list_offsets::{
    EARLIEST, LATEST, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopicResponse,
    MAX_TIMESTAMP,
};
use milena_wire::message::offset_for_leader_epoch::{
    EpochEnd, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};
use milena_wire::{BrokerId, ErrorCode, LeaderEpoch, Offset, PartitionId, TopicName};

use super::Core;
use super::fetch::check_epoch;
use super::partition::Partition;

/// Asks for the earliest offset that is not in remote storage: here, the earliest (KIP-405).
const EARLIEST_LOCAL: i64 = -4;
/// Asks for the last offset that is in remote storage: here there is none.
const LATEST_TIERED: i64 = -5;

impl Core {
    pub(super) fn list_offsets(&mut self, node: BrokerId, request: &ListOffsetsRequest) -> ListOffsetsResponse {
        let topics = request.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|wanted| {
                let found = self
                    .led_by(node, &topic.name, wanted.index, wanted.current_leader_epoch)
                    .and_then(|partition| offset_of(partition, wanted.timestamp_ms));
                let mut response = ListOffsetsPartitionResponse { index: wanted.index, ..Default::default() };
                match found {
                    Ok((timestamp_ms, offset, epoch)) => {
                        response.timestamp_ms = timestamp_ms;
                        response.offset = offset;
                        response.leader_epoch = epoch;
                    }
                    Err(code) => response.error = code,
                }
                response
            });
            ListOffsetsTopicResponse { partitions: partitions.collect(), name: topic.name.clone() }
        });
        ListOffsetsResponse { topics: topics.collect(), ..Default::default() }
    }

    pub(super) fn offset_for_leader_epoch(
        &mut self,
        node: BrokerId,
        request: &OffsetForLeaderEpochRequest,
    ) -> OffsetForLeaderEpochResponse {
        let topics = request.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|wanted| {
                let found = self.led_by(node, &topic.name, wanted.index, wanted.current_leader_epoch);
                let (error, (leader_epoch, end_offset)) = match found {
                    Ok(partition) => (ErrorCode::NONE, partition.epoch_end(wanted.leader_epoch)),
                    Err(code) => (code, (LeaderEpoch::UNKNOWN, Offset(-1))),
                };
                EpochEnd { error, index: wanted.index, leader_epoch, end_offset }
            });
            OffsetForLeaderTopicResult { partitions: partitions.collect(), name: topic.name.clone() }
        });
        OffsetForLeaderEpochResponse { topics: topics.collect(), ..Default::default() }
    }

    fn led_by(
        &mut self,
        node: BrokerId,
        topic: &TopicName,
        index: PartitionId,
        known: LeaderEpoch,
    ) -> Result<&mut Partition, ErrorCode> {
        let topic = self.topics.get_mut(topic);
        let partition = topic.and_then(|topic| topic.partitions.get_mut(usize::try_from(index.0).ok()?));
        let partition = partition.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        if partition.leader != Some(node) {
            return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        }
        check_epoch(known, partition.epoch)?;
        Ok(partition)
    }
}

fn offset_of(partition: &mut Partition, timestamp_ms: i64) -> Result<(i64, Offset, LeaderEpoch), ErrorCode> {
    let (start, end, epoch) = (partition.log.start(), partition.high_watermark(), partition.epoch);
    let nowhere = (-1, Offset(-1), LeaderEpoch::UNKNOWN);
    match timestamp_ms {
        LATEST => Ok((-1, end, epoch)),
        EARLIEST | EARLIEST_LOCAL => Ok((-1, start, epoch)),
        LATEST_TIERED => Ok(nowhere),
        MAX_TIMESTAMP => latest_record(partition, end).map(|found| found.unwrap_or(nowhere)),
        _ => record_at(partition, timestamp_ms, end).map(|found| found.unwrap_or(nowhere)),
    }
}

type Found = Option<(i64, Offset, LeaderEpoch)>;

/// The first record at or after a time.
fn record_at(partition: &mut Partition, timestamp_ms: i64, end: Offset) -> Result<Found, ErrorCode> {
    let batch = partition.log.batch_at_time(timestamp_ms, end).map_err(|_| ErrorCode::KAFKA_STORAGE_ERROR)?;
    let Some(batch) = batch else {
        return Ok(None);
    };
    let records = batch.records().map_err(|_| ErrorCode::CORRUPT_MESSAGE)?;
    let found = records.into_iter().find(|record| record.timestamp_ms >= timestamp_ms);
    Ok(found.map(|record| (record.timestamp_ms, record.offset, batch.leader_epoch())))
}

/// The first record with the greatest timestamp of all, found in one pass over the batches' headers.
fn latest_record(partition: &mut Partition, end: Offset) -> Result<Found, ErrorCode> {
    let batch = partition.log.latest_batch(end).map_err(|_| ErrorCode::KAFKA_STORAGE_ERROR)?;
    let Some(batch) = batch else {
        return Ok(None);
    };
    let records = batch.records().map_err(|_| ErrorCode::CORRUPT_MESSAGE)?;
    let greatest = records.iter().map(|record| record.timestamp_ms).max();
    let found = records.into_iter().find(|record| Some(record.timestamp_ms) == greatest);
    Ok(found.map(|record| (record.timestamp_ms, record.offset, batch.leader_epoch())))
}
