//! What a producer left behind: batches delivered and batches spooled, with fates that are as true as it knew them.

use std::collections::BTreeMap;

use milena_sequence::{Answer, Attempt, BatchKey, Fate, Gate, Identity, Reply, Route, Stamp, Stream, Turn, Verdict};
use milena_wire::{BrokerId, ErrorCode, LeaderEpoch, PartitionId, ProducerEpoch, ProducerId, RecordCount, TopicId};

use super::world::{Request, World, batch};
use crate::SpooledBatch;

/// What the producer knew of a batch at its end.
#[derive(Clone, Debug)]
pub(super) struct Left {
    pub(super) values: Vec<u32>,
    /// `None`: delivered.
    pub(super) fate: Option<Fate>,
    pub(super) stamp: Option<Stamp>,
}

struct Try {
    key: BatchKey,
    attempt: Attempt,
    request: Request,
}

/// Produces some batches to `partition`, until an outage ends it.
pub(super) fn produce(world: &mut World, partition: PartitionId, timestamp: i64) -> Vec<Left> {
    let route = Route { leader: BrokerId(1), epoch: LeaderEpoch(0), topic: TopicId::ZERO };
    let mut stream = Stream::stamped(5);
    stream.offer(Identity { producer_id: ProducerId(100 + i64::from(partition.0)), epoch: ProducerEpoch(0) });
    let mut lefts: Vec<Left> = Vec::new();
    let mut value = u32::try_from(partition.0).unwrap() * 10_000;
    for _ in 0..1 + world.rng.below(9) {
        let values = (0..1 + u32::try_from(world.rng.below(3)).unwrap()).map(|at| value + at).collect::<Vec<_>>();
        value += 10;
        lefts.push(Left { values, fate: Some(Fate::NotWritten), stamp: None });
    }
    let count = |left: &Left| RecordCount::new(left.values.len()).unwrap();
    let mut fates: BTreeMap<usize, Option<Fate>> = BTreeMap::new();
    let mut unstamped: std::collections::VecDeque<usize> = (0..lefts.len()).collect();
    let mut tries: Vec<Try> = Vec::new();
    'outage: for _ in 0..world.rng.below(60) {
        if world.rng.chance(15) {
            world.trouble(partition);
        }
        match world.rng.below(4) {
            0 => world.deliver_one(),
            1 => {
                let (key, sent) = match stream.gate(route) {
                    Gate::Open(Turn::Resend(key)) => (key, stream.resend(key, route).unwrap()),
                    Gate::Open(Turn::New) => {
                        let Some(at) = unstamped.pop_front() else { continue };
                        let key = BatchKey(at as u64);
                        (key, stream.send_new(key, count(&lefts[at]), route))
                    }
                    Gate::Wait(_) => continue,
                };
                let at = usize::try_from(key.0).unwrap();
                lefts[at].stamp = sent.stamp;
                let (header, payload) = batch(&lefts[at].values, timestamp, sent.stamp);
                let request = world.send(partition, header.encode(std::slice::from_ref(&payload)), &payload);
                tries.push(Try { key, attempt: sent.attempt, request });
            }
            // An answer is heard, or not waited for any longer.
            _ => {
                let Some(at) = tries.len().checked_sub(1) else { continue };
                let pick = usize::try_from(world.rng.below(at as u64 + 1)).unwrap();
                let code = match world.answer(tries[pick].request) {
                    Some(code) => code,
                    None if world.rng.chance(20) => ErrorCode::NETWORK_EXCEPTION,
                    None => continue,
                };
                let Try { key, attempt, request } = tries.remove(pick);
                world.give_up(request);
                if let Reply::Verdict(said) = stream.answer(key, attempt, &Answer::code(code)) {
                    let at = usize::try_from(key.0).unwrap();
                    match said {
                        Verdict::Complete { .. } => drop(fates.insert(at, None)),
                        Verdict::Fail { fate } => {
                            fates.insert(at, Some(fate));
                            break 'outage;
                        }
                        _ => {}
                    }
                }
                let mut withdrawn = Vec::new();
                stream.take_withdrawn(&mut withdrawn);
                for batch in withdrawn.into_iter().rev() {
                    match batch {
                        milena_sequence::Withdrawn::Unstamped(key) => {
                            unstamped.push_front(usize::try_from(key.0).unwrap());
                        }
                        milena_sequence::Withdrawn::MaybeWritten(key) => {
                            fates.insert(usize::try_from(key.0).unwrap(), Some(Fate::MaybeWritten));
                            break 'outage;
                        }
                    }
                }
            }
        }
    }
    for request in tries.iter().map(|one| one.request) {
        world.give_up(request);
        if world.rng.chance(30) {
            world.lose(request);
        }
    }
    for (at, left) in lefts.iter_mut().enumerate() {
        let key = BatchKey(at as u64);
        left.fate = match fates.get(&at) {
            Some(fate) => *fate,
            None => Some(stream.settle(key).unwrap_or(Fate::NotWritten)),
        };
    }
    lefts
}

impl Left {
    pub(super) fn spooled(&self, now_ms: i64, timestamp: i64) -> Option<SpooledBatch> {
        let (header, payload) = batch(&self.values, timestamp, self.stamp);
        Some(SpooledBatch {
            header,
            payload: vec![payload],
            fate: self.fate?,
            code: ErrorCode::REQUEST_TIMED_OUT,
            cause: "an outage".to_owned(),
            now_ms,
        })
    }
}
