//! From the broker to a folder's machine.

use milena_cluster::{ControlResponse, LeaderHint, ProduceAnswer, Reached, RequestId, RequestLost};
use milena_sequence::Identity;
use milena_spool::Source;
use milena_spool::replay::{Answer, Next, Stop};
use milena_wire::ErrorCode;
use milena_wire::message::init_producer_id::InitProducerIdResponse;
use milena_wire::message::produce::ProduceResponse;

use crate::folder::Asked;
use crate::runner::{IDENTITY_BACKOFF, Runner};

impl Runner {
    pub(crate) fn produced(&mut self, request: RequestId, answer: Result<ProduceAnswer, RequestLost>) {
        let Some(Asked::Batch { source, broker, head }) = self.asked.remove(&request) else { return };
        let alone = self.lines.ended(broker);
        let heard = match answer {
            Ok(ProduceAnswer::Answered(response)) => self.read(&source, &response),
            Ok(ProduceAnswer::Unacknowledged) => Answer::Lost,
            Err(lost) => {
                // Those who wait there may have nobody to wait behind now.
                let waits = |source: &Source| self.folders.get(source).is_some_and(|f| f.waits_for == Some(broker));
                self.due.extend(alone.into_iter().filter(waits));
                match lost.reached {
                    _ if lost.code == ErrorCode::UNSUPPORTED_VERSION => Answer::Code(lost.code),
                    Reached::NotSent => Answer::NotSent,
                    Reached::MaybeSent => Answer::Lost,
                }
            }
        };
        let now = self.clock.now();
        let Some(folder) = self.folders.get_mut(&source) else { return };
        folder.asking = None;
        self.due.insert(source.clone());
        let next = folder.replayer.answered(now, &head, heard);
        tracing::trace!(?source, ?heard, ?next, "replay");
        match next {
            Next::Written => self.written(&source, &head),
            Next::Again { refresh: true } => self.cluster.refresh_topic(now, &source.topic),
            Next::Again { refresh: false } | Next::Else => {}
        }
    }

    fn read(&mut self, source: &Source, response: &ProduceResponse) -> Answer {
        let mut partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
        let Some(partition) = partitions.find(|partition| Some(partition.index) == source.place.partition()) else {
            return Answer::Lost;
        };
        let leader = &partition.current_leader;
        if partition.error == ErrorCode::NOT_LEADER_OR_FOLLOWER && leader.leader.0 >= 0 && leader.epoch.0 >= 0 {
            let (leader, epoch) = (leader.leader, leader.epoch);
            let hint = LeaderHint { topic: source.topic.clone(), partition: partition.index, leader, epoch };
            self.cluster.apply_hints(self.clock.now(), &[hint], &response.node_endpoints);
        }
        Answer::Code(partition.error)
    }

    pub(crate) fn controlled(&mut self, request: RequestId, answer: Result<ControlResponse, RequestLost>) {
        let Some(Asked::Identity(source)) = self.asked.remove(&request) else { return };
        let now = self.clock.now();
        let Some(folder) = self.folders.get_mut(&source) else { return };
        folder.asking = None;
        match answer {
            Ok(ControlResponse::InitProducerId(InitProducerIdResponse {
                error: ErrorCode::NONE,
                producer_id,
                producer_epoch: epoch,
                ..
            })) if folder.replayer.identified(Identity { producer_id, epoch }) => {
                self.due.insert(source);
            }
            Ok(ControlResponse::InitProducerId(response))
                if response.error != ErrorCode::NONE
                    && response.error != ErrorCode::UNKNOWN_SERVER_ERROR
                    && !response.error.is_retriable() =>
            {
                self.stop(&source, Stop::Refused(response.error));
            }
            Err(lost) if lost.code == ErrorCode::UNSUPPORTED_VERSION => self.stop(&source, Stop::Refused(lost.code)),
            Ok(_) | Err(_) => folder.wake_at = Some(now + IDENTITY_BACKOFF),
        }
    }
}
