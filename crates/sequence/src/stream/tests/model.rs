//! Random runs of a stream against a broker that remembers five batches, loses answers after and before appending, refuses, restarts under
//! another leader, runs zombie requests late, and a user who gives batches up.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::*;

/// A batch's key is that of its first record, and each batch has so many to itself.
const KEYS: u64 = 16;

struct Rng(u64);

impl Rng {
    fn below(&mut self, n: u64) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

#[derive(Clone, Copy)]
struct OnWire {
    key: u64,
    attempt: Attempt,
    stamp: Stamp,
    count: RecordCount,
}

/// Kafka's `ProducerStateManager` for one partition, and the log.
#[derive(Default)]
struct Broker {
    log: Vec<u64>,
    producers: BTreeMap<i64, (i16, VecDeque<(i32, i32)>)>,
}

impl Broker {
    fn append(&mut self, batch: &OnWire) -> ErrorCode {
        let Stamp { identity, sequence } = batch.stamp;
        let (first, last) = (sequence.get(), sequence.last(batch.count).get());
        let state = self.producers.get_mut(&identity.producer_id.0);
        if let Some((epoch, recent)) = state {
            if identity.epoch.0 < *epoch {
                return ErrorCode::INVALID_PRODUCER_EPOCH;
            }
            if identity.epoch.0 > *epoch {
                if first != 0 {
                    return OUT_OF_ORDER;
                }
                *epoch = identity.epoch.0;
                recent.clear();
            } else if recent.contains(&(first, last)) {
                return NONE;
            } else if recent.back().is_some_and(|(_, end)| Sequence::new(*end).unwrap().advance(count(1)) != sequence) {
                return OUT_OF_ORDER;
            }
            recent.push_back((first, last));
            if recent.len() > 5 {
                recent.pop_front();
            }
        } else {
            // A broker without memory of the producer accepts any first sequence.
            self.producers.insert(identity.producer_id.0, (identity.epoch.0, VecDeque::from([(first, last)])));
        }
        self.log.push(batch.key);
        NONE
    }
}

/// What the world knows of one run.
struct World {
    rng: Rng,
    stream: Stream,
    broker: Broker,
    route: Route,
    wire: VecDeque<OnWire>,
    zombies: Vec<OnWire>,
    front: VecDeque<u64>,
    created: u64,
    open: BTreeMap<u64, RecordCount>,
    delivered: BTreeSet<u64>,
    not_written: BTreeSet<u64>,
    maybe_written: BTreeSet<u64>,
    faults: bool,
    stamped_as: BTreeMap<(i64, i16, i32), u64>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut stream = Stream::stamped(WINDOW);
        stream.offer(identity(1, if seed.is_multiple_of(3) { i16::MAX - 2 } else { 0 }));
        Self {
            rng: Rng(seed),
            stream,
            broker: Broker::default(),
            route: HERE,
            wire: VecDeque::new(),
            zombies: Vec::new(),
            front: VecDeque::new(),
            created: 0,
            open: BTreeMap::new(),
            delivered: BTreeSet::new(),
            not_written: BTreeSet::new(),
            maybe_written: BTreeSet::new(),
            faults: true,
            stamped_as: BTreeMap::new(),
        }
    }

    fn send(&mut self) {
        let (key, sent) = match self.stream.gate(self.route) {
            Gate::Wait(Why::NoIdentity) => {
                let spent = self.stream.wants_identity().unwrap().map_or(0, |id| id.0);
                self.stream.offer(identity(spent + 1, 0));
                return;
            }
            Gate::Wait(_) => return,
            Gate::Open(Turn::Resend(key)) => (key.0, self.stream.resend(key, self.route).unwrap()),
            Gate::Open(Turn::New) => {
                let key = self.front.pop_front().unwrap_or_else(|| {
                    self.created += KEYS;
                    let records = usize::try_from(1 + self.rng.below(9)).unwrap();
                    self.open.insert(self.created, count(records));
                    self.created
                });
                (key, self.stream.send_new(BatchKey(key), self.open[&key], self.route))
            }
        };
        let stamp = sent.stamp.unwrap();
        let id = (stamp.identity.producer_id.0, stamp.identity.epoch.0, stamp.sequence.get());
        assert_eq!(*self.stamped_as.entry(id).or_insert(key), key, "one stamp, two batches: {id:?}");
        self.wire.push_back(OnWire { key, attempt: sent.attempt, stamp, count: self.open[&key] });
        let open: BTreeSet<u64> = self.wire.iter().map(|batch| batch.key).collect();
        assert!(open.len() <= WINDOW);
    }

    fn end(&mut self, key: u64, fate: Fate) {
        match fate {
            Fate::NotWritten => assert!(self.not_written.insert(key)),
            Fate::MaybeWritten => assert!(self.maybe_written.insert(key)),
        }
    }

    fn is_settled(&self, key: u64) -> bool {
        self.not_written.contains(&key) || self.maybe_written.contains(&key) || self.delivered.contains(&key)
    }

    /// The oldest request in flight reaches the broker, or something goes wrong with it.
    fn step_wire(&mut self) {
        let fault = if self.faults { self.rng.below(24) } else { 99 };
        if fault == 0 {
            // The connection is lost: of what is in flight a prefix was appended, the rest arrives later or never.
            let appended = usize::try_from(self.rng.below(self.wire.len() as u64 + 1)).unwrap();
            let runs_later = self.rng.below(2) == 0;
            for (at, batch) in std::mem::take(&mut self.wire).into_iter().enumerate() {
                if at < appended {
                    let _ = self.broker.append(&batch);
                } else if runs_later {
                    self.zombies.push(batch);
                }
                self.hear(&batch, LOST);
            }
            return;
        }
        // Requests of a lost connection run in their order, but any time later: before what was sent after the loss, or after it, when the
        // broker was frozen or reads that connection's socket last.
        if self.rng.below(2) == 0 {
            self.run_zombies();
        }
        let Some(batch) = self.wire.pop_front() else { return };
        let code = match fault {
            1 => NO_REPLICAS,
            2 => INVALID,
            3 => TOO_LARGE,
            // Not the leader, answered after a local append.
            4 => {
                let _ = self.broker.append(&batch);
                ErrorCode::NOT_LEADER_OR_FOLLOWER
            }
            5 => ErrorCode::NOT_LEADER_OR_FOLLOWER,
            _ => self.broker.append(&batch),
        };
        self.hear(&batch, code);
    }

    /// Requests of lost connections that the broker had in its queue: they run, or it never had them.
    fn run_zombies(&mut self) {
        if self.rng.below(4) == 0 {
            self.zombies.clear();
        }
        for zombie in std::mem::take(&mut self.zombies) {
            let _ = self.broker.append(&zombie);
        }
    }

    fn hear(&mut self, batch: &OnWire, code: ErrorCode) {
        let key = batch.key;
        match self.stream.answer(BatchKey(key), batch.attempt, &Answer::code(code)) {
            Reply::Verdict(Verdict::Complete { .. }) => assert!(self.delivered.insert(key)),
            Reply::Verdict(Verdict::Fail { fate } | Verdict::Fatal { fate }) => self.end(key, fate),
            Reply::Verdict(Verdict::Split) => self.split(key),
            Reply::Verdict(_) | Reply::Late | Reply::Tombstone { .. } => {}
        }
        self.collect();
    }

    /// Into at most four; a single record stays as it is, and is tried again.
    fn split(&mut self, key: u64) {
        let records = self.open[&key].as_usize() as u64;
        let singles = self.rng.below(4).min(records - 1);
        let first = records - singles;
        self.open.insert(key, count(usize::try_from(first).unwrap()));
        let mut pieces = vec![(BatchKey(key), self.open[&key])];
        pieces.extend((first..records).map(|at| (BatchKey(key + at), count(1))));
        self.open.extend(pieces.iter().map(|(key, records)| (key.0, *records)));
        self.stream.split(BatchKey(key), &pieces);
    }

    fn collect(&mut self) {
        let mut withdrawn = Vec::new();
        self.stream.take_withdrawn(&mut withdrawn);
        for item in withdrawn.into_iter().rev() {
            match item {
                Withdrawn::Unstamped(key) => self.front.push_front(key.0),
                Withdrawn::MaybeWritten(key) => self.end(key.0, Fate::MaybeWritten),
            }
        }
    }

    fn step(&mut self) {
        match self.rng.below(40) {
            0 if self.faults => {
                if let Some(key) = self.open.keys().copied().rev().take(8).find(|key| !self.is_settled(*key)) {
                    if let Some(fate) = self.stream.settle(BatchKey(key)) {
                        self.end(key, fate);
                    }
                    self.collect();
                }
            }
            1 if self.faults => {
                // A new leader with the whole log; what was on its way to the old one may still be appended there first.
                let mut waiting = Vec::new();
                for batch in std::mem::take(&mut self.wire) {
                    if self.rng.below(2) == 0 {
                        let _ = self.broker.append(&batch);
                    }
                }
                self.stream.reroute(&mut waiting);
                self.collect();
                self.route.leader = BrokerId(self.route.leader.0 + 1);
                self.route.epoch = LeaderEpoch(self.route.epoch.0 + 1);
            }
            2 | 3 => self.run_zombies(),
            n if n % 2 == 0 => self.send(),
            _ => self.step_wire(),
        }
    }
}

fn run(seed: u64) {
    let mut world = World::new(seed);
    for _ in 0..400 {
        world.step();
    }
    world.faults = false;
    world.zombies.clear();
    for _ in 0..200 {
        if world.stream.is_resolved() && world.front.is_empty() {
            break;
        }
        world.send();
        while !world.wire.is_empty() {
            world.step_wire();
        }
    }
    assert!(world.front.is_empty() && world.stream.in_flight() == 0, "seed {seed} does not come to rest");
    let mut seen = BTreeSet::new();
    for key in &world.broker.log {
        assert!(seen.insert(*key), "seed {seed}: batch {key} is on the log twice: {:?}", world.broker.log);
    }
    for key in world.open.keys() {
        let ends = [&world.delivered, &world.not_written, &world.maybe_written];
        assert_eq!(ends.iter().filter(|end| end.contains(key)).count(), 1, "seed {seed}: batch {key} has not one end");
    }
    for key in &world.delivered {
        assert!(seen.contains(key), "seed {seed}: batch {key} was delivered and is not there");
    }
    for key in &world.not_written {
        assert!(!seen.contains(key), "seed {seed}: batch {key} is there and was called not written");
    }
    let delivered: Vec<u64> = world.broker.log.iter().copied().filter(|key| world.delivered.contains(key)).collect();
    assert!(delivered.is_sorted(), "seed {seed}: out of order {delivered:?}");
}

#[test]
fn whatever_fails_each_batch_has_one_true_end_and_is_written_once_and_in_order() {
    for seed in 0..3000 {
        run(seed);
    }
}
