//! `milena replay` against a real Kafka that `scripts/test-kafka replay` starts, with Kafka's own consumer as the judge.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[allow(dead_code, reason = "what the tests of the command need beyond this")]
#[path = "cli/spooled.rs"]
mod spooled;

#[path = "cli/kafka.rs"]
mod kafka;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use milena::spool::{Fate, Identity, SpooledBatch, Stamp};
use milena_wire::{ProducerEpoch, ProducerId, Sequence};

use kafka::{bootstrap, consumed, script};
use spooled::{Rng, batch, fill, fresh, scratch};

/// A topic of its own for each run.
fn create_topic(name: &str, partitions: usize) -> String {
    let topic = format!("{name}-{}", std::process::id());
    let (bootstrap, partitions) = (bootstrap(), partitions.to_string());
    let create = ["tool", "org.apache.kafka.tools.TopicCommand", "--bootstrap-server", &bootstrap, "--create"];
    script(&[&create[..], &["--topic", &topic, "--partitions", &partitions, "--replication-factor", "1"]].concat());
    topic
}

fn replay(dir: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_milena"));
    command.arg("replay").arg(dir).args(["--json", "--bootstrap", &bootstrap()]).args(more);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn done(output: &Output) -> bool {
    assert!(output.status.code().is_some(), "{output:?}");
    output.status.success()
}

/// A producer id that no broker has given out.
fn made_up(sequence: i32) -> Option<Stamp> {
    let identity =
        Identity { producer_id: ProducerId(1 << 40 | i64::from(std::process::id())), epoch: ProducerEpoch(0) };
    Some(Stamp { identity, sequence: Sequence::new(sequence).unwrap() })
}

#[test]
fn a_sigkill_at_any_moment_loses_nothing_doubles_nothing_and_keeps_the_order() {
    const PARTITIONS: usize = 3;
    let mut rng = Rng(u64::from(std::process::id()));
    println!("seed {}", rng.0);
    let mut kills = 0;
    // A machine that is fast enough could send all of them in one life.
    for spool in 0.. {
        assert!(spool < 50, "only {kills} kills");
        kills += replay_with_kills(PARTITIONS, &format!("killed-{spool}"), &mut rng);
        println!("{kills} kills");
        if kills >= 10 {
            break;
        }
    }
}

/// What a replay has written down so far of how far it is.
fn progress(dir: &Path) -> Vec<u8> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let read = |path: PathBuf| {
        if path.is_dir() {
            progress(&path)
        } else if path.ends_with("replay") {
            // It may be replaced meanwhile.
            fs::read(path).unwrap_or_default()
        } else {
            Vec::new()
        }
    };
    entries.flat_map(read).collect()
}

/// How often the replay was killed.
fn replay_with_kills(partitions: usize, topic: &str, rng: &mut Rng) -> u32 {
    let topic = create_topic(topic, partitions);
    let dir = scratch();
    let mut expected = Vec::new();
    for partition in 0..partitions {
        let values: Vec<String> = (0..600).map(|value| format!("{partition}-{value}")).collect();
        let batches: Vec<SpooledBatch> = (0..)
            .zip(values.chunks(2))
            .map(|(at, pair)| {
                let pair = [pair[0].as_str(), pair[1].as_str()];
                if at < 5 { batch(&pair, Fate::MaybeWritten, made_up(2 * at)) } else { fresh(&pair) }
            })
            .collect();
        // Some of the first had arrived.
        let arrived = scratch();
        fill(arrived.path(), &topic, Some(i32::try_from(partition).unwrap()), &batches[..partition]);
        assert!(done(&replay(arrived.path(), &[]).output().unwrap()));
        fill(dir.path(), &topic, Some(i32::try_from(partition).unwrap()), &batches);
        expected.push(values);
    }
    let mut kills = 0;
    let ended = loop {
        let mut child = replay(dir.path(), &[]).spawn().unwrap();
        // Some steps later.
        let (mut noted, mut left) = (progress(dir.path()), 1 + rng.below(8));
        while left > 0 && child.try_wait().unwrap().is_none() {
            let now = progress(dir.path());
            left -= u64::from(now != noted);
            noted = now;
            std::thread::yield_now();
        }
        if child.try_wait().unwrap().is_some() {
            break child.wait_with_output().unwrap();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    };
    assert!(done(&ended), "{ended:?}");
    for (partition, expected) in expected.into_iter().enumerate() {
        assert_eq!(consumed(&topic, partition), expected, "partition {partition}");
    }
    kills
}

/// Why the replay looks at the timestamps of the records themselves.
#[test]
fn brokers_forget_a_producer_by_the_timestamps_of_its_records() {
    let topic = create_topic("old", 2);
    // Both are sent again and again as the same; trusted blindly, which nobody should.
    let send = |partition: i32, days: i64| {
        let dir = scratch();
        fill(dir.path(), &topic, Some(partition), &[batch_of(days)]);
        let careful = replay(dir.path(), &[]).output().unwrap();
        assert_eq!(done(&careful), days == 0, "what is old is put aside: {careful:?}");
        if days > 0 {
            let dir = scratch();
            fill(dir.path(), &topic, Some(partition), &[batch_of(days)]);
            assert!(done(&replay(dir.path(), &["--broker-memory", "100000"]).output().unwrap()));
        }
    };
    // The broker looks now and then for what has expired: producer.id.expiration.check.interval.ms.
    let end = Instant::now() + Duration::from_secs(120);
    while consumed(&topic, 1).len() < 2 {
        assert!(Instant::now() < end, "what is old is never forgotten");
        send(0, 0);
        send(1, 2);
    }
    // Through the same check.
    send(0, 0);
    assert_eq!(consumed(&topic, 0).len(), 1, "remembered");
}

fn batch_of(days: i64) -> SpooledBatch {
    let mut batch = batch(&["x"], Fate::MaybeWritten, made_up(0));
    batch.header.base_timestamp -= days * 24 * 3_600_000;
    batch.header.max_timestamp = batch.header.base_timestamp;
    batch
}
