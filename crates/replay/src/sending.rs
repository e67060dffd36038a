//! From a folder's machine to the broker.

use milena_cluster::ControlRequest;
use milena_sequence::Stamp;
use milena_spool::replay::Step;
use milena_spool::{Head, Source, SpoolError};
use milena_wire::message::init_producer_id::InitProducerIdRequest;
use milena_wire::message::produce::{ProducePartition, ProduceRequest, ProduceTopic};
use milena_wire::{BrokerId, PartitionId, ProducerEpoch, ProducerId, Timestamp, TopicId};

use crate::ReplayEvent;
use crate::clock::Clock;
use crate::folder::Asked;
use crate::runner::{Runner, disk};

impl Runner {
    /// Steps until the network is needed. `Some`: this is to be sent.
    pub(crate) fn step(&mut self, source: &Source, now: Timestamp) -> Result<Option<(Head, Stamp)>, SpoolError> {
        loop {
            let Some(folder) = self.folders.get_mut(source) else { return Ok(None) };
            let mut spool = self.spool.lock();
            let head = spool.head(source)?;
            let step = folder.replayer.step(now, Clock::wall_ms(), head.as_ref(), true);
            tracing::trace!(?source, ?step, "replay");
            match step {
                Step::Save(progress) => {
                    spool.save_progress(source, progress)?;
                    folder.replayer.saved();
                }
                Step::SetAside(aside) => {
                    spool.set_aside(source, &aside)?;
                    drop(spool);
                    folder.replayer.saved();
                    let records = head.map_or(0, |head| records(&head));
                    tracing::warn!(topic = %source.topic, place = ?source.place, records, why = %aside.why, "put aside");
                    let (source, fate, why) = (source.clone(), aside.fate, aside.why);
                    (self.events)(ReplayEvent::Aside { source, records, fate, why });
                }
                Step::Identify => {
                    let request = InitProducerIdRequest {
                        transactional_id: None,
                        transaction_timeout_ms: i32::MAX,
                        producer_id: ProducerId::NONE,
                        producer_epoch: ProducerEpoch::NONE,
                    };
                    let id = self.cluster.control(now, ControlRequest::InitProducerId(request));
                    folder.asking = Some(id);
                    self.asked.insert(id, Asked::Identity(source.clone()));
                    return Ok(None);
                }
                Step::Send(stamp) => return Ok(head.map(|head| (head, stamp))),
                Step::Wait(until) => {
                    folder.wake_at = Some(until);
                    return Ok(None);
                }
                Step::Stopped(why) => {
                    drop(spool);
                    self.told_stop(source, why);
                    return Ok(None);
                }
                Step::CaughtUp => {
                    drop(spool);
                    self.caught_up(source);
                    return Ok(None);
                }
                Step::Ready | Step::InFlight => return Ok(None),
            }
        }
    }

    pub(crate) fn transmit(
        &mut self,
        source: &Source,
        index: PartitionId,
        id: TopicId,
        broker: BrokerId,
        head: Head,
        stamp: Stamp,
    ) {
        let batch = ProducePartition { index, header: head.header_as(stamp), payload: [head.payload.clone()].into() };
        let timeout = self.cluster.config().request_timeout.as_millis();
        let request = ProduceRequest {
            transactional_id: None,
            acks: -1,
            timeout_ms: i32::try_from(timeout).unwrap_or(i32::MAX),
            topics: vec![ProduceTopic { name: source.topic.clone(), id, partitions: vec![batch] }],
        };
        let request = self.cluster.send_produce(self.clock.now(), broker, &request);
        self.lines.sent(broker);
        self.asked.insert(request, Asked::Batch { source: source.clone(), broker, head });
        if let Some(folder) = self.folders.get_mut(source) {
            folder.asking = Some(request);
        }
    }

    /// Writes down that `head` is written, and in the same step what the next one is sent as, if it can be.
    pub(crate) fn written(&mut self, source: &Source, head: &Head) {
        let now = self.clock.now();
        let goes_on = !self.is_stopping();
        let Some(folder) = self.folders.get_mut(source) else { return };
        let mut spool = self.spool.lock();
        let saved = (|| {
            // If that cannot be read, this one is written all the same.
            if goes_on && let Ok(Some(following)) = spool.following(source, head) {
                folder.replayer.go_on(Clock::wall_ms(), &following);
            }
            if let Step::Save(progress) = folder.replayer.step(now, Clock::wall_ms(), Some(head), true) {
                spool.save_progress(source, progress)?;
                folder.replayer.saved();
            }
            Ok(())
        })();
        drop(spool);
        match saved {
            Ok(()) => {
                let (records, bytes) = (records(head), head.header.total_len() as u64);
                (self.events)(ReplayEvent::Written { source: source.clone(), records, bytes });
            }
            Err(error) => self.stop(source, disk(&error)),
        }
    }
}

fn records(head: &Head) -> u64 {
    head.count().as_usize() as u64
}
