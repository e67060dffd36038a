//! Random runs: any fault at any time, then peace. Every record has one outcome, it is true, and the world comes to rest.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use milena_accumulator::{Delivery, Fate, Urgency};
use milena_wire::{Codec, Compression};

use super::world::*;
use crate::{Command, Guarantee};

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

    fn index(&mut self, n: usize) -> usize {
        usize::try_from(self.below(n as u64)).unwrap()
    }
}

const PARTITIONS: usize = 3;

fn fault(rng: &mut Rng) -> Fault {
    match rng.below(12) {
        0 => Fault::Refuse(19),
        1 => Fault::Refuse(6),
        2 => Fault::AppendThen(6),
        3 => Fault::AppendThen(7),
        4 => Fault::AppendThen(-1),
        5 => Fault::Omit { append: true },
        6 => Fault::Omit { append: false },
        7 => Fault::Cut { append: true },
        8 => Fault::Cut { append: false },
        9 => Fault::Refuse(87),
        10 => Fault::Refuse(10),
        _ => Fault::Records(87, vec![(0, "bad")]),
    }
}

fn step(world: &mut World, rng: &mut Rng, sent: &mut BTreeMap<String, (usize, Delivery)>) {
    match rng.below(40) {
        0..=17 => {
            let partition = rng.index(PARTITIONS);
            let value = format!("{}", sent.len());
            let urgency = if rng.below(3) == 0 { Urgency::Now } else { Urgency::Linger };
            let delivery = world.append("t", Some(i32::try_from(partition).unwrap()), &value, urgency);
            sent.insert(value, (partition, delivery));
            if rng.below(2) == 0 {
                world.run();
            }
        }
        18..=23 => world.run_for(rng.below(40)),
        24 | 25 => world.run_for(rng.below(3000)),
        26..=28 => {
            let partition = rng.index(PARTITIONS);
            let fault = fault(rng);
            world.partition("t", partition).faults.push_back(fault);
        }
        29 => world.cut(1 + i32::try_from(rng.below(3)).unwrap()),
        30 | 31 => {
            let leader = [1, 2, 3, -1][rng.index(4)];
            world.move_leader("t", rng.index(PARTITIONS), leader);
        }
        32 | 33 => world.hold_answers = true,
        34 | 35 => world.release_answers(),
        36 => world.down = vec![1 + i32::try_from(rng.below(3)).unwrap()],
        37 => world.down.clear(),
        38 => world.jammed = rng.below(2) == 0,
        _ => {
            let command = match rng.below(6) {
                0 => Command::Purge { queued: rng.below(2) == 0, in_flight: rng.below(2) == 0 },
                _ => Command::Flush,
            };
            world.command(command);
        }
    }
}

fn run(seed: u64, guarantee: Guarantee) {
    let mut rng = Rng(seed);
    let mut world = World::with(|s| {
        s.sender.guarantee = guarantee;
        s.sender.linger = Duration::from_millis([0, 5, 50][rng.index(3)]);
        s.sender.delivery_timeout = Duration::from_secs([5, 40, 120][rng.index(3)]);
        s.cluster.request_timeout = Duration::from_secs(3);
        s.cluster.max_in_flight = [1, 5, 20][rng.index(3)];
        s.accumulator.batch_size = [90, 300, 16384][rng.index(3)];
        if rng.below(3) == 0 {
            s.sender.seal_inline = false;
            s.accumulator.compression = Compression::new(Codec::Lz4);
        }
    });
    if rng.below(3) == 0 {
        world.next_epoch = i16::MAX - 1;
    }
    let mut sent = BTreeMap::new();
    for _ in 0..250 {
        step(&mut world, &mut rng, &mut sent);
    }
    // Peace.
    for partition in 0..PARTITIONS {
        world.partition("t", partition).faults.clear();
        world.move_leader("t", partition, 1);
    }
    world.down.clear();
    world.jammed = false;
    world.release_answers();
    let flush = world.command(Command::Flush);
    world.run_for(15_000);
    assert!(world.done.contains_key(&flush), "seed {seed}: the flush does not end");
    assert!(world.sender.busy.is_empty(), "seed {seed}: busy {:?}", world.sender.busy);
    for partition in 0..PARTITIONS {
        let log = world.partition("t", partition).log.values.clone();
        check(seed, guarantee, partition, &log, &mut sent);
    }
    let memory = world.accumulator.memory();
    assert_eq!(memory.used, 0, "seed {seed}: memory is held: {memory:?}");
    assert!(world.requests < 2000 && world.metadata_requests < 2000, "seed {seed}: a storm");
}

fn check(
    seed: u64,
    guarantee: Guarantee,
    partition: usize,
    log: &[String],
    sent: &mut BTreeMap<String, (usize, Delivery)>,
) {
    let unique: BTreeSet<&String> = log.iter().collect();
    if !matches!(guarantee, Guarantee::AtLeastOnce { .. }) {
        assert_eq!(unique.len(), log.len(), "seed {seed}: duplicates on {partition}: {log:?}");
    }
    let mine: Vec<String> = sent.iter().filter(|(_, (p, _))| *p == partition).map(|(value, _)| value.clone()).collect();
    let mut delivered = BTreeSet::new();
    for value in mine {
        let (_, delivery) = sent.remove(&value).unwrap();
        match outcome(delivery) {
            Ok(receipt) => {
                let there = unique.contains(&value) || !receipt.acknowledged;
                assert!(there, "seed {seed}: {value} was delivered and is not there");
                if let Some(offset) = receipt.offset {
                    assert_eq!(log[usize::try_from(offset.0).unwrap()], value, "seed {seed}: the offset is another's");
                }
                delivered.insert(value);
            }
            Err(error) if error.fate() == Fate::NotWritten => {
                assert!(!unique.contains(&value), "seed {seed}: {value} is there and was called not written: {error}");
            }
            Err(_) => {}
        }
    }
    let order: Vec<u64> = log.iter().filter(|value| delivered.contains(*value)).map(|v| v.parse().unwrap()).collect();
    assert!(
        guarantee != Guarantee::ExactlyOnce || order.is_sorted(),
        "seed {seed}: out of order on {partition}: {order:?}"
    );
}

#[test]
fn whatever_happens_every_record_is_written_once_and_has_one_true_outcome() {
    for seed in 0..300 {
        run(seed, Guarantee::ExactlyOnce);
    }
}

#[test]
fn whatever_happens_at_least_once_every_outcome_is_true() {
    for seed in 0..150 {
        run(seed, Guarantee::AtLeastOnce { all_replicas: seed % 2 == 0 });
    }
}

#[test]
fn whatever_happens_at_most_once_nothing_is_written_twice() {
    for seed in 0..150 {
        run(seed, Guarantee::AtMostOnce);
    }
}
