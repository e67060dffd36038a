//! Fetch: what replicas in sync have, now or once there is enough of it.

use std::time::Duration;

use milena_wire::message::fetch::{
    DivergingEpoch, FetchPartition, FetchRequest, FetchResponse, FetchedPartition, FetchedTopic,
};
use milena_wire::message::{CurrentLeader, Slices};
use milena_wire::{ApiVersion, BrokerId, ErrorCode, LeaderEpoch, Offset, TopicId, TopicName};

use super::request::Meta;
use super::wait::{Ticket, Waiting};
use super::{At, Core};

/// From this version on the leader's endpoint is told as well (KIP-951).
const ENDPOINTS: ApiVersion = ApiVersion(16);
/// From this version on topics are named by id only.
const TOPIC_IDS: ApiVersion = ApiVersion(13);

/// A request that waits for more records.
pub(super) struct WaitingFetch {
    node: BrokerId,
    meta: Meta,
    request: FetchRequest,
}

impl Core {
    pub(super) fn fetch(&mut self, at: At, ticket: Ticket, node: BrokerId, meta: Meta, request: FetchRequest) {
        let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
        let fetch = WaitingFetch { node, meta, request };
        if let Some(fetch) = self.finish_fetch(at, ticket, fetch, wait.is_zero()) {
            self.park(ticket, Some(at.now + wait), Waiting::Fetch(fetch));
        }
    }

    /// Answers if there is enough, something is wrong, or there is no more time; else hands the request back.
    pub(super) fn finish_fetch(
        &mut self,
        at: At,
        ticket: Ticket,
        fetch: WaitingFetch,
        is_late: bool,
    ) -> Option<WaitingFetch> {
        let (response, bytes, failed) = self.read_all(&fetch);
        let enough = bytes >= usize::try_from(fetch.request.min_bytes).unwrap_or(0);
        let goes_on = !(enough || failed || is_late);
        self.watch_fetch(ticket, &fetch, goes_on);
        if goes_on {
            return Some(fetch);
        }
        self.respond(at, ticket, &fetch.meta, response.into());
        None
    }

    /// Has the ticket woken by what happens to its partitions, or no longer.
    pub(super) fn watch_fetch(&mut self, ticket: Ticket, fetch: &WaitingFetch, watch: bool) {
        for topic in &fetch.request.topics {
            let Ok(id) = self.topic_named(&topic.name, topic.id).map(|topic| topic.id) else {
                continue;
            };
            for wanted in &topic.partitions {
                let Some(partition) = self.partition_mut(id, wanted.index) else {
                    continue;
                };
                if watch {
                    partition.waiting.insert(ticket);
                } else {
                    partition.waiting.remove(&ticket);
                }
            }
        }
    }

    fn read_all(&mut self, fetch: &WaitingFetch) -> (FetchResponse, usize, bool) {
        let mut response = FetchResponse::default();
        let mut total = 0;
        let mut failed = false;
        let room = usize::try_from(fetch.request.max_bytes).unwrap_or(0);
        for topic in &fetch.request.topics {
            let found = self.topic_named(&topic.name, topic.id).map(|found| (found.name.clone(), found.id));
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for wanted in &topic.partitions {
                let read = match &found {
                    Ok((name, _)) => self.read_one(fetch.node, name, wanted, room.saturating_sub(total), total == 0),
                    Err(code) => Err(*code),
                };
                let mut fetched = read.unwrap_or_else(|error| FetchedPartition {
                    error,
                    high_watermark: Offset(-1),
                    // Kafka's own are empty then, and librdkafka reads no null ones.
                    records: Some(Slices::default()),
                    ..FetchedPartition::default()
                });
                fetched.index = wanted.index;
                failed |= fetched.error != ErrorCode::NONE || fetched.diverging != DivergingEpoch::default();
                total += fetched.records.as_ref().map_or(0, Slices::len);
                if let Ok((_, id)) = &found {
                    self.hint_reader(fetch.meta.version, *id, &mut fetched, &mut response);
                }
                partitions.push(fetched);
            }
            let name = if fetch.meta.version >= TOPIC_IDS { TopicName::new("") } else { topic.name.clone() };
            response.topics.push(FetchedTopic { name, id: topic.id, partitions });
        }
        (response, total, failed)
    }

    fn read_one(
        &mut self,
        node: BrokerId,
        name: &TopicName,
        wanted: &FetchPartition,
        room: usize,
        force: bool,
    ) -> Result<FetchedPartition, ErrorCode> {
        let topic = self.topics.get_mut(name).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        let place = usize::try_from(wanted.index.0).map_err(|_| ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        let partition = topic.partitions.get_mut(place).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        if partition.leader != Some(node) {
            return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        }
        check_epoch(wanted.current_leader_epoch, partition.epoch)?;
        let (start, end) = (partition.log.start(), partition.high_watermark());
        let mut fetched = FetchedPartition {
            high_watermark: end,
            last_stable_offset: end,
            log_start_offset: start,
            records: Some(Slices::default()),
            ..FetchedPartition::default()
        };
        if wanted.last_fetched_epoch.0 >= 0 {
            let (epoch, epoch_end) = partition.epoch_end(wanted.last_fetched_epoch);
            if epoch < wanted.last_fetched_epoch || epoch_end < wanted.offset {
                fetched.diverging.epoch = epoch;
                fetched.diverging.end_offset = epoch_end;
                return Ok(fetched);
            }
        }
        if wanted.offset < start || wanted.offset > partition.log.end() {
            fetched.error = ErrorCode::OFFSET_OUT_OF_RANGE;
            return Ok(fetched);
        }
        let room = room.min(usize::try_from(wanted.max_bytes).unwrap_or(0));
        let slices = partition.log.read(wanted.offset, end, room, force);
        fetched.records = Some(Slices(slices.map_err(|_| ErrorCode::KAFKA_STORAGE_ERROR)?));
        Ok(fetched)
    }

    fn hint_reader(
        &self,
        version: ApiVersion,
        topic: TopicId,
        fetched: &mut FetchedPartition,
        response: &mut FetchResponse,
    ) {
        if !matches!(fetched.error, ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::FENCED_LEADER_EPOCH) {
            return;
        }
        let Some((leader, epoch)) = self.leader_of(topic, fetched.index) else {
            return;
        };
        fetched.current_leader = CurrentLeader { leader: leader.unwrap_or(BrokerId(-1)), epoch };
        let is_told = |id| response.node_endpoints.iter().any(|endpoint| endpoint.node == id);
        if version >= ENDPOINTS
            && let Some(leader) = leader.filter(|id| !is_told(*id))
        {
            response.node_endpoints.extend(self.endpoint(leader));
        }
    }
}

/// Whether the caller knows the leader epoch that is (KIP-320).
pub(super) fn check_epoch(known: LeaderEpoch, current: LeaderEpoch) -> Result<(), ErrorCode> {
    if known == LeaderEpoch::UNKNOWN || known == current {
        Ok(())
    } else if known < current {
        Err(ErrorCode::FENCED_LEADER_EPOCH)
    } else {
        Err(ErrorCode::UNKNOWN_LEADER_EPOCH)
    }
}
