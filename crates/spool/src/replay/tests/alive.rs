//! A producer that lives on beside the replay of what it spooled: what it sent before is sent again by both, under the same identity, and new batches follow
//! when the replay has caught up.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use milena_sequence::{
    Answer as BatchAnswer, Attempt, BatchKey, Fate, Gate, Identity, Reply, Route, Stamp, Stream, Turn, Verdict,
    Withdrawn,
};
use milena_wire::{
    BrokerId, ErrorCode, LeaderEpoch, PartitionId, ProducerEpoch, ProducerId, RecordCount, TopicId, TopicName,
};
use tempfile::TempDir;

use super::crash::{Fuse, MortalDisk};
use super::model::{scratch, seeds};
use super::past::Left;
use super::world::{Request, TOPIC, World, batch};
use crate::replay::{Answer, Replayer, Rules, Step};
use crate::{Place, Source, Spool, SpoolConfig};

const PARTITION: PartitionId = PartitionId(0);
const ROUTE: Route = Route { leader: BrokerId(1), epoch: LeaderEpoch(0), topic: TopicId::ZERO };

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    Delivered,
    Spooled,
    /// Failed for good.
    Lost(Fate),
}

struct Try {
    at: usize,
    attempt: Attempt,
    request: Request,
}

struct Alive {
    world: World,
    spool: Spool,
    stream: Stream,
    /// All batches ever, in order.
    lefts: Vec<Left>,
    ends: BTreeMap<usize, End>,
    unstamped: VecDeque<usize>,
    tries: Vec<Try>,
    diverts: bool,
    replayer: Replayer,
    request: Option<Request>,
    aside: Vec<Vec<u32>>,
    next_id: i64,
    /// Of a hundred looks at the oldest batch, how many find that its time is up.
    impatience: u64,
    log: Vec<String>,
    _dir: TempDir,
}

fn source() -> Source {
    Source { topic: TopicName::new(TOPIC), place: Place::Partition(PARTITION) }
}

impl Alive {
    fn new(seed: u64) -> Self {
        let mut stream = Stream::stamped(5);
        stream.offer(Identity { producer_id: ProducerId(100), epoch: ProducerEpoch(0) });
        let dir = scratch();
        let fuse = Arc::new(Fuse::default());
        fuse.set(u64::MAX);
        let (spool, _) = Spool::open_on(Arc::new(MortalDisk(fuse)), SpoolConfig::new(dir.path())).unwrap();
        let mut world = World::new(seed, 1);
        let impatience = 1 + world.rng.below(12);
        Self {
            world,
            impatience,
            spool,
            stream,
            lefts: Vec::new(),
            ends: BTreeMap::new(),
            unstamped: VecDeque::new(),
            tries: Vec::new(),
            diverts: false,
            replayer: Replayer::new(Rules::default(), source().place, Some(crate::Progress::default())),
            request: None,
            aside: Vec::new(),
            next_id: 1_000,
            log: Vec::new(),
            _dir: dir,
        }
    }

    fn enqueue(&mut self) {
        let first = u32::try_from(self.lefts.len()).unwrap() * 10;
        let count = 1 + u32::try_from(self.world.rng.below(3)).unwrap();
        self.unstamped.push_back(self.lefts.len());
        let values = (first..first + count).collect();
        self.lefts.push(Left { values, fate: Some(Fate::NotWritten), stamp: None });
    }

    fn send(&mut self) {
        let (at, sent) = match self.stream.gate(ROUTE) {
            Gate::Open(Turn::Resend(key)) => (usize::try_from(key.0).unwrap(), self.stream.resend(key, ROUTE).unwrap()),
            Gate::Open(Turn::New) if !self.diverts => {
                let Some(at) = self.unstamped.pop_front() else { return };
                let count = RecordCount::new(self.lefts[at].values.len()).unwrap();
                (at, self.stream.send_new(BatchKey(at as u64), count, ROUTE))
            }
            _ => return,
        };
        self.lefts[at].stamp = sent.stamp;
        let request = self.transmit(at, sent.stamp);
        self.log.push(format!("producer sends {at} as {:?}", sent.stamp));
        self.tries.push(Try { at, attempt: sent.attempt, request });
    }

    fn transmit(&mut self, at: usize, stamp: Option<Stamp>) -> Request {
        let (header, payload) = batch(&self.lefts[at].values, self.world.wall_ms(), stamp);
        self.world.send(PARTITION, header.encode(std::slice::from_ref(&payload)), &payload)
    }

    fn hear(&mut self) {
        let Some(last) = self.tries.len().checked_sub(1) else { return };
        let pick = usize::try_from(self.world.rng.below(last as u64 + 1)).unwrap();
        let code = match self.world.answer(self.tries[pick].request) {
            Some(code) => code,
            None if self.world.rng.chance(20) => ErrorCode::NETWORK_EXCEPTION,
            None => return,
        };
        let Try { at, attempt, request } = self.tries.remove(pick);
        self.world.give_up(request);
        let reply = self.stream.answer(BatchKey(at as u64), attempt, &BatchAnswer::code(code));
        self.log.push(format!("producer hears of {at}: {code} -> {reply:?}"));
        if let Reply::Verdict(said) = reply {
            match said {
                Verdict::Complete { .. } => drop(self.ends.insert(at, End::Delivered)),
                Verdict::Fail { fate } => self.fail(at, fate, code.is_retriable()),
                _ => {}
            }
        }
        self.take_withdrawn();
    }

    fn take_withdrawn(&mut self) {
        let mut withdrawn = Vec::new();
        self.stream.take_withdrawn(&mut withdrawn);
        for batch in withdrawn.into_iter().rev() {
            match batch {
                Withdrawn::Unstamped(key) => self.unstamped.push_front(usize::try_from(key.0).unwrap()),
                Withdrawn::MaybeWritten(key) => self.fail(usize::try_from(key.0).unwrap(), Fate::MaybeWritten, false),
            }
        }
    }

    fn fail(&mut self, at: usize, fate: Fate, kept: bool) {
        self.log.push(format!("producer fails {at}, {fate:?}, kept {kept}"));
        if !kept {
            self.ends.insert(at, End::Lost(fate));
            return;
        }
        self.lefts[at].fate = Some(fate);
        let wall_ms = self.world.wall_ms();
        let spooled = self.lefts[at].spooled(wall_ms, wall_ms).unwrap();
        self.spool.append(&TopicName::new(TOPIC), Some(PARTITION), &spooled).unwrap();
        self.ends.insert(at, End::Spooled);
        self.diverts = true;
    }

    fn is_unsent(&self) -> bool {
        (0..self.lefts.len()).all(|at| self.ends.contains_key(&at) || self.unstamped.contains(&at))
    }

    /// The oldest batch has had its time.
    fn expire(&mut self) {
        let Some(at) = (0..self.lefts.len()).find(|at| !self.ends.contains_key(at)) else { return };
        let fate = self.stream.settle(BatchKey(at as u64)).unwrap_or(Fate::NotWritten);
        self.unstamped.retain(|other| *other != at);
        self.fail(at, fate, true);
        self.take_withdrawn();
    }

    fn give_out(&mut self) {
        if self.diverts && self.is_unsent() {
            while let Some(at) = self.unstamped.pop_front() {
                self.stream.settle(BatchKey(at as u64));
                self.fail(at, Fate::NotWritten, true);
            }
            self.diverts = self.spool.pending_in(&source()).batches > 0;
        }
    }

    fn replay(&mut self) {
        let Some(head) = self.spool.head(&source()).unwrap() else { return };
        if let Some(request) = self.request {
            let answer = match self.world.answer(request) {
                Some(code) => Answer::Code(code),
                None if self.world.rng.chance(20) => Answer::Lost,
                None => return,
            };
            self.world.give_up(request);
            self.request = None;
            let next = self.replayer.answered(self.world.now, &head, answer);
            self.log.push(format!("replay hears {answer:?} -> {next:?}"));
            return;
        }
        match self.replayer.step(self.world.now, self.world.wall_ms(), Some(&head), true) {
            Step::Identify => {
                self.next_id += 1;
                let identity = Identity { producer_id: ProducerId(self.next_id), epoch: ProducerEpoch(0) };
                assert!(self.replayer.identified(identity));
            }
            Step::Save(progress) => {
                self.spool.save_progress(&source(), progress).unwrap();
                self.replayer.saved();
            }
            Step::Send(stamp) => {
                self.log.push(format!("replay sends {} as {stamp:?}", head.offset()));
                self.request = Some(self.world.send(PARTITION, head.header_as(stamp), &head.payload));
            }
            Step::SetAside(aside) => {
                self.log.push(format!("{aside:?}"));
                let left = self.lefts.iter().find(|left| batch(&left.values, 0, None).1 == head.payload);
                self.aside.push(left.unwrap().values.clone());
                self.spool.set_aside(&source(), &aside).unwrap();
                self.replayer.saved();
            }
            Step::Wait(_) => self.world.pass(Duration::from_millis(200)),
            step => panic!("{step:?}"),
        }
    }

    fn restart_replay(&mut self) {
        if let Some(request) = self.request.take() {
            self.world.give_up(request);
        }
        self.replayer = Replayer::new(Rules::default(), source().place, self.spool.progress(&source()));
    }

    fn run(&mut self) -> Result<(), String> {
        for round in 0.. {
            let faulty = round < 500;
            match self.world.rng.below(10) {
                0 if faulty && self.world.rng.chance(60) => self.enqueue(),
                1 if faulty && self.world.rng.chance(30) => self.world.trouble(PARTITION),
                2 if faulty && self.world.rng.chance(self.impatience) => self.expire(),
                3 if faulty && self.world.rng.chance(10) => self.restart_replay(),
                4 | 5 => self.world.deliver_one(),
                6 => self.send(),
                7 => self.hear(),
                8 => self.give_out(),
                _ => self.replay(),
            }
            let ended = self.ends.len() == self.lefts.len();
            if !faulty && ended && !self.diverts && self.spool.pending_in(&source()).batches == 0 {
                break;
            }
            if round == 20_000 {
                return Err("it does not end".to_owned());
            }
        }
        self.world.clear_the_way();
        self.judge()
    }

    fn judge(&mut self) -> Result<(), String> {
        let log = self.world.log(PARTITION);
        let mut ordered = Vec::new();
        for (at, left) in self.lefts.iter().enumerate() {
            let end = self.ends[&at];
            let open = self.aside.contains(&left.values) || end == End::Lost(Fate::MaybeWritten);
            for value in &left.values {
                let count = log.iter().filter(|other| *other == value).count();
                let right = match end {
                    _ if open => count <= 1,
                    End::Lost(_) => count == 0,
                    End::Delivered | End::Spooled => count == 1,
                };
                if !right {
                    return Err(format!("{at}: {value} is there {count} times, {end:?}"));
                }
                if !open && end != End::Lost(Fate::NotWritten) {
                    ordered.push(*value);
                }
            }
        }
        let there: Vec<u32> = log.into_iter().filter(|value| ordered.contains(value)).collect();
        if there == ordered { Ok(()) } else { Err(format!("{there:?} instead of {ordered:?}")) }
    }
}

#[test]
fn a_producer_that_lives_on_and_its_replay_write_each_record_once_and_in_order() {
    let (mut spooled, mut delivered, mut aside, mut lost) = (0, 0, 0, 0);
    for seed in 0..seeds(500) {
        let mut alive = Alive::new(seed);
        if let Err(what) = alive.run() {
            panic!("seed {seed}: {what}\n{}", alive.log.join("\n"));
        }
        let ended = |end: fn(&End) -> bool| alive.ends.values().filter(|it| end(it)).count();
        spooled += ended(|end| *end == End::Spooled);
        delivered += ended(|end| *end == End::Delivered);
        lost += ended(|end| matches!(end, End::Lost(_)));
        aside += alive.aside.len();
    }
    println!("batches: {delivered} delivered, {spooled} spooled, {aside} of them put aside, {lost} lost");
    assert!(spooled > 500 && delivered > 500, "{spooled} {delivered}");
}
