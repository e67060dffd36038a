//! Thousands of seeds: producers leave batches behind, the replay is killed before and after each write, sending and answer, and what
//! is on the log in the end is held against what was promised.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use milena_sequence::{Fate, Identity};
use milena_wire::{PartitionId, ProducerEpoch, ProducerId, TopicName};
use tempfile::TempDir;

use super::crash::{Fuse, MortalDisk};
use super::past::{Left, produce};
use super::world::{Request, TOPIC, World};
use crate::replay::{Answer, Aside, Next, Replayer, Rules, Step};
use crate::{Place, Progress, Source, Spool, SpoolConfig};

const PARTITIONS: i32 = 2;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A bug that is put in, to see that it is found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Planted {
    /// A batch is sent before the disk says so.
    WriteAfterSending,
    /// It is done with when it is sent.
    DoneWhenSent,
    /// A restarted replay begins with a new producer id.
    NewIdentityAtStart,
    /// A refusal is taken for a proof of absence, whatever was before the batch.
    AnyRefusalProves,
    /// Brokers are trusted to remember for ever.
    EndlessMemory,
    /// A request without an answer is taken for one that was not sent.
    LostIsNotSent,
    /// The numbering goes on behind a batch of which it is not known whether it has used its sequences.
    NoBump,
}

/// What a run is made of.
#[derive(Clone, Copy, Debug)]
struct Mix {
    kills: bool,
    /// Broken at some time: a day passes, or records are old already and forgotten whenever the broker likes.
    forgetful: Option<Forgetful>,
    /// A batch that may be written is not in the spool, so that what comes behind it cannot be resolved by a refusal.
    unspooled: bool,
    accept_duplicates: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Forgetful {
    ADayPasses,
    OldRecords,
}

struct Model {
    world: World,
    mix: Mix,
    planted: Option<Planted>,
    dir: TempDir,
    fuse: Arc<Fuse>,
    next_id: i64,
    asides: u64,
    log: Vec<String>,
}

/// What is lost with the process.
struct Life {
    spool: Spool,
    folders: Vec<Open>,
}

struct Open {
    source: Source,
    partition: PartitionId,
    replayer: Replayer,
    request: Option<Request>,
    /// Planted: what is written down only when it is sent.
    late: Option<Progress>,
}

/// Why a life ends.
enum End {
    Killed,
    /// What must not happen.
    Wrong(String),
}

use End::Killed;

fn source(partition: PartitionId) -> Source {
    Source { topic: TopicName::new(TOPIC), place: Place::Partition(partition) }
}

impl Model {
    fn rules(&self) -> Rules {
        let endless = self.planted == Some(Planted::EndlessMemory);
        Rules {
            accept_duplicates: self.mix.accept_duplicates,
            broker_memory: if endless { Duration::MAX } else { Rules::default().broker_memory },
            ..Rules::default()
        }
    }

    fn open(&self) -> Life {
        let config = SpoolConfig { segment_bytes: 300, ..SpoolConfig::new(self.dir.path()) };
        let disk = Arc::new(MortalDisk(Arc::clone(&self.fuse)));
        let (spool, recovered) = Spool::open_on(disk, config).unwrap();
        assert!(recovered.damaged.is_empty(), "{recovered:?}");
        let partitions = (0..PARTITIONS).map(PartitionId);
        let folders = partitions.map(|partition| {
            let source = source(partition);
            let mut progress = spool.progress(&source);
            if self.planted == Some(Planted::NewIdentityAtStart) {
                progress = progress.map(|progress| Progress { own: None, trying: None, ..progress });
            }
            let replayer = Replayer::new(self.rules(), source.place, progress);
            Open { source, partition, replayer, request: None, late: None }
        });
        let folders = folders.collect();
        Life { spool, folders }
    }

    /// Opens the spool as often as it takes: a start may be killed as well.
    fn start(&mut self) -> Life {
        self.fuse.set(u64::MAX);
        let life = self.open();
        if self.mix.kills {
            self.fuse.set(self.world.rng.below(60));
        }
        life
    }

    /// Does what one folder asks for.
    fn act(&mut self, life: &mut Life, at: usize) -> Result<(), End> {
        let Life { spool, folders } = life;
        let open = &mut folders[at];
        let Some(head) = spool.head(&open.source).unwrap() else { return Ok(()) };
        let (now, wall_ms) = (self.world.now, self.world.wall_ms());
        let step = open.replayer.step(now, wall_ms, Some(&head), self.world.rng.chance(80));
        if !matches!(step, Step::InFlight | Step::Ready | Step::Wait(_)) {
            self.log.push(format!("{} {step:?}", open.partition));
        }
        match step {
            Step::CaughtUp | Step::Ready | Step::Wait(_) | Step::InFlight => {}
            Step::Identify => {
                self.next_id += 1;
                let identity = Identity { producer_id: ProducerId(self.next_id), epoch: ProducerEpoch(0) };
                assert!(open.replayer.identified(identity));
            }
            Step::Save(mut progress) => {
                if progress.trying.is_some() {
                    match self.planted {
                        Some(Planted::WriteAfterSending) => {
                            open.late = Some(progress);
                            open.replayer.saved();
                            return Ok(());
                        }
                        Some(Planted::DoneWhenSent) => progress.next += i64::from(head.count().get()),
                        Some(Planted::AnyRefusalProves) => progress.behind = head.stamp(),
                        _ => {}
                    }
                }
                let saved = spool.save_progress(&open.source, progress);
                saved.map_err(|_| Killed)?;
                open.replayer.saved();
                if self.planted == Some(Planted::AnyRefusalProves) && progress.trying.is_some_and(|t| !t.own) {
                    open.replayer = Replayer::new(self.rules(), open.source.place, Some(progress));
                }
            }
            Step::Send(stamp) => {
                let request = self.world.send(open.partition, head.header_as(stamp), &head.payload);
                open.request = Some(request);
                if let Some(progress) = open.late.take() {
                    spool.save_progress(&open.source, progress).map_err(|_| Killed)?;
                }
                if self.mix.kills && self.world.rng.chance(3) {
                    return Err(Killed);
                }
            }
            Step::SetAside(mut aside) => {
                self.asides += 1;
                if self.planted == Some(Planted::NoBump) {
                    self.unbump(open, spool, &mut aside);
                }
                spool.set_aside(&open.source, &aside).map_err(|_| Killed)?;
                open.replayer.saved();
                if self.planted == Some(Planted::NoBump) {
                    open.replayer = Replayer::new(self.rules(), open.source.place, Some(aside.progress));
                }
            }
            Step::Stopped(stop) => return Err(End::Wrong(format!("stopped: {stop:?}"))),
        }
        Ok(())
    }

    fn unbump(&self, open: &Open, spool: &Spool, aside: &mut Aside) {
        if let Some(trying) = spool.progress(&open.source).and_then(|progress| progress.trying).filter(|t| t.own) {
            aside.progress.own = Some(trying.stamp);
        }
    }

    /// Hears an answer, or stops waiting for it.
    fn hear(&mut self, life: &mut Life, at: usize) -> Result<(), End> {
        let open = &mut life.folders[at];
        let Some(request) = open.request else { return Ok(()) };
        let answer = match self.world.answer(request) {
            Some(code) => Answer::Code(code),
            None if self.world.rng.chance(25) => {
                self.world.give_up(request);
                if self.world.rng.chance(30) {
                    self.world.lose(request);
                }
                if self.planted == Some(Planted::LostIsNotSent) { Answer::NotSent } else { Answer::Lost }
            }
            None => return Ok(()),
        };
        if self.mix.kills && self.world.rng.chance(3) {
            return Err(Killed);
        }
        open.request = None;
        let Some(head) = life.spool.head(&open.source).unwrap() else {
            return Err(End::Wrong("an answer to nothing".to_owned()));
        };
        let next = open.replayer.answered(self.world.now, &head, answer);
        self.log.push(format!("{} {answer:?} -> {next:?}", open.partition));
        if next == Next::Written && self.world.rng.chance(50) {
            let wall_ms = self.world.wall_ms();
            if let Some(following) = life.spool.following(&open.source, &head).unwrap() {
                open.replayer.go_on(wall_ms, &following);
            }
        }
        if self.mix.kills && next == Next::Written && self.world.rng.chance(10) {
            return Err(Killed);
        }
        Ok(())
    }

    fn forget(&mut self) {
        self.world.clear_the_way();
        for partition in 0..PARTITIONS {
            self.world.cluster.forget_producers(TOPIC, PartitionId(partition)).unwrap();
        }
        self.log.push("forgotten".to_owned());
    }

    /// Replays everything, through as many lives as it takes.
    fn replay(&mut self) -> Result<(), String> {
        let mut life = self.start();
        let day = self.world.rng.below(60);
        for round in 0.. {
            if round == 20_000 {
                return Err("it does not end".to_owned());
            }
            let faulty = round < 400;
            if !faulty {
                self.fuse.set(u64::MAX);
                self.mix.kills = false;
            }
            match self.mix.forgetful {
                Some(Forgetful::ADayPasses) if round == day => {
                    self.forget();
                    self.world.pass(DAY);
                }
                Some(Forgetful::OldRecords) if faulty && self.world.rng.chance(5) => self.forget(),
                _ => {}
            }
            let at = usize::try_from(self.world.rng.below(2)).unwrap();
            if faulty && self.world.rng.chance(5) {
                self.world.trouble(PartitionId(i32::try_from(at).unwrap()));
            }
            let lived = match self.world.rng.below(4) {
                0 => {
                    self.world.deliver_one();
                    Ok(())
                }
                1 => self.hear(&mut life, at),
                2 => {
                    let backoff = self.world.rng.below(300);
                    self.world.pass(Duration::from_millis(backoff));
                    Ok(())
                }
                _ => self.act(&mut life, at),
            };
            match lived {
                Ok(()) => {}
                Err(End::Wrong(what)) => return Err(what),
                Err(Killed) => {
                    self.log.push("killed".to_owned());
                    for request in life.folders.iter().filter_map(|open| open.request) {
                        self.world.give_up(request);
                    }
                    drop(life);
                    life = self.start();
                }
            }
            let done = life.spool.pending().all(|(source, _)| matches!(source.place, Place::Aside(_)));
            if done && life.folders.iter().all(|open| open.request.is_none()) {
                break;
            }
        }
        Ok(())
    }

    /// Values that were put aside, and whether they may be written.
    fn aside(&self, partition: PartitionId) -> Vec<(Vec<u32>, Fate)> {
        self.fuse.set(u64::MAX);
        let disk = Arc::new(MortalDisk(Arc::clone(&self.fuse)));
        let (mut spool, _) = Spool::open_on(disk, SpoolConfig::new(self.dir.path())).unwrap();
        let source = Source { topic: TopicName::new(TOPIC), place: Place::Aside(partition) };
        let mut found = Vec::new();
        while let Some(head) = spool.head(&source).unwrap() {
            let mut bytes = head.header.encode(std::slice::from_ref(&head.payload)).to_vec();
            bytes.extend_from_slice(&head.payload);
            let (view, _) = milena_wire::BatchView::parse(&bytes).unwrap();
            let records = view.records(1 << 20).unwrap();
            let values = records.iter().map(|r| u32::from_be_bytes(r.unwrap().value.unwrap().try_into().unwrap()));
            found.push((values.collect(), head.fate));
            let next = head.offset() + i64::from(head.count().get());
            spool.save_progress(&source, Progress { next, ..Progress::default() }).unwrap();
        }
        found
    }

    fn judge(&mut self, partition: PartitionId, lefts: &[Left], unspooled: Option<usize>) -> Result<(), String> {
        self.world.clear_the_way();
        let log = self.world.log(partition);
        let aside = self.aside(partition);
        let mut ordered = Vec::new();
        for (at, left) in lefts.iter().enumerate() {
            let put_aside = aside.iter().find(|(values, _)| *values == left.values);
            for value in &left.values {
                let count = log.iter().filter(|other| *other == value).count();
                let allowed = match put_aside {
                    _ if unspooled == Some(at) => 0..=1,
                    Some((_, Fate::NotWritten)) => 0..=0,
                    Some((_, Fate::MaybeWritten)) => 0..=1,
                    None if self.mix.accept_duplicates => 1..=usize::MAX,
                    None => 1..=1,
                };
                if !allowed.contains(&count) {
                    return Err(format!("{partition}: {value} is there {count} times, {left:?}, aside {put_aside:?}"));
                }
                if allowed == (1..=1) {
                    ordered.push(*value);
                }
            }
        }
        let wanted: BTreeSet<u32> = ordered.iter().copied().collect();
        let there: Vec<u32> = log.into_iter().filter(|value| wanted.contains(value)).collect();
        if there == ordered { Ok(()) } else { Err(format!("{partition}: {there:?} instead of {ordered:?}")) }
    }
}

/// Runs a seed; says how many batches were put aside.
fn run(seed: u64, planted: Option<Planted>) -> Result<(Mix, u64), String> {
    let mut world = World::new(seed, PARTITIONS);
    let forgetful = match world.rng.below(5) {
        0 => Some(Forgetful::ADayPasses),
        1 => Some(Forgetful::OldRecords),
        _ => None,
    };
    let mix = Mix {
        kills: world.rng.chance(70),
        forgetful,
        unspooled: world.rng.chance(30),
        accept_duplicates: world.rng.chance(10),
    };
    let timestamp = world.wall_ms() - if forgetful == Some(Forgetful::OldRecords) { 200_000_000 } else { 0 };
    let lefts: Vec<Vec<Left>> =
        (0..PARTITIONS).map(|partition| produce(&mut world, PartitionId(partition), timestamp)).collect();
    if world.rng.chance(30) {
        world.hold();
    }
    let dir = scratch();
    let fuse = Arc::new(Fuse::default());
    fuse.set(u64::MAX);
    let mut unspooled = vec![None; lefts.len()];
    {
        let config = SpoolConfig { segment_bytes: 300, ..SpoolConfig::new(dir.path()) };
        let (mut spool, _) = Spool::open_on(Arc::new(MortalDisk(Arc::clone(&fuse))), config).unwrap();
        for (partition, lefts) in (0..).zip(&lefts) {
            let maybe = lefts.iter().position(|left| left.fate == Some(Fate::MaybeWritten)).filter(|_| mix.unspooled);
            unspooled[usize::try_from(partition).unwrap()] = maybe;
            for (at, left) in lefts.iter().enumerate() {
                let batch = left.spooled(world.wall_ms(), timestamp).filter(|_| maybe != Some(at));
                if let Some(batch) = batch {
                    spool.append(&TopicName::new(TOPIC), Some(PartitionId(partition)), &batch).unwrap();
                }
            }
        }
    }
    let mut model = Model { world, mix, planted, dir, fuse, next_id: 1_000, asides: 0, log: Vec::new() };
    let ended = model.replay().and_then(|()| {
        (0..)
            .zip(&lefts)
            .zip(unspooled)
            .try_for_each(|((at, lefts), left_out)| model.judge(PartitionId(at), lefts, left_out))
    });
    match ended {
        Ok(()) => Ok((mix, model.asides)),
        Err(what) => Err(format!("seed {seed}, {mix:?}: {what}\n{lefts:#?}\n{}", model.log.join("\n"))),
    }
}

/// In memory where there is such a folder: a disk takes a hundred times longer.
pub(super) fn scratch() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

pub(super) fn seeds(default: u64) -> u64 {
    std::env::var("SPOOL_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(default)
}

#[test]
fn every_record_is_there_once_and_in_order_or_put_aside_whatever_is_killed() {
    let (mut plain, mut needless) = (0, 0);
    for seed in 0..seeds(1_000) {
        let (mix, asides) = run(seed, None).unwrap_or_else(|what| panic!("{what}"));
        if mix.forgetful.is_none() && !mix.unspooled {
            plain += 1;
            needless += asides;
        }
    }
    println!("{plain} plain runs, {needless} batches put aside in them");
}

#[test]
fn planted_bugs_are_found() {
    for planted in [
        Planted::AnyRefusalProves,
        Planted::WriteAfterSending,
        Planted::DoneWhenSent,
        Planted::NewIdentityAtStart,
        Planted::EndlessMemory,
        Planted::LostIsNotSent,
        Planted::NoBump,
    ] {
        let found = (0..seeds(4_000)).find(|seed| run(*seed, Some(planted)).is_err());
        println!("{planted:?}: {found:?}");
        assert!(found.is_some(), "{planted:?} goes unseen");
    }
}
