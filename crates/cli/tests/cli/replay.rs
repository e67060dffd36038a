//! `milena replay`: what it sends, what it says of what is left, and what a SIGKILL at any moment leaves behind.

use std::time::Duration;

use milena::spool::{Fate, Identity, SpooledBatch, Stamp};
use milena_broker::{EmbeddedCluster, Reaction, Rule};
use milena_wire::{ApiKey, ErrorCode, PartitionId, ProducerEpoch, ProducerId, Sequence, TopicName};
use serde_json::Value;
use tempfile::TempDir;

use crate::kit::{Ended, cluster, end, milena, run};
use crate::spooled::{Rng, batch, fill, fresh, open, scratch};

fn replay(dir: &TempDir, cluster: &EmbeddedCluster, more: &[&str]) -> Ended {
    let bootstrap = cluster.bootstrap();
    let mut args = vec!["replay", dir.path().to_str().unwrap(), "--bootstrap", &bootstrap, "--json"];
    args.extend(more);
    run(&args, b"")
}

fn log(cluster: &EmbeddedCluster, topic: &str, partition: i32) -> Vec<String> {
    let batches = cluster.log(topic, PartitionId(partition));
    let records = batches.iter().flat_map(|batch| batch.records().unwrap());
    records.map(|record| String::from_utf8(record.value.unwrap().to_vec()).unwrap()).collect()
}

/// Replayed, put aside not written and maybe written, left.
fn account(json: &Value) -> [u64; 4] {
    [&json["replayed"], &json["aside"]["not_written"], &json["aside"]["maybe_written"], &json["left"]]
        .map(|count| count.as_u64().unwrap())
}

#[test]
fn what_was_spooled_is_sent_in_order_and_the_spool_is_empty_then() {
    let (dir, cluster) = (scratch(), cluster());
    cluster.create_topic("t", 2, 1).unwrap();
    fill(dir.path(), "t", Some(0), &[fresh(&["a", "b"]), fresh(&["c"])]);
    fill(dir.path(), "t", Some(1), &[fresh(&["d"])]);
    let path = dir.path().to_str().unwrap();
    let listed = run(&["replay", path, "--list"], b"");
    assert_eq!(listed.status, Some(0), "{listed:?}");
    let [first, second] = listed.stdout.lines().collect::<Vec<_>>()[..] else { panic!("{listed:?}") };
    assert!(first.starts_with("t-0: 3 records in 2 batches, "), "{first}");
    assert!(second.starts_with("t-1: 1 records in 1 batches, "), "{second}");
    let ended = replay(&dir, &cluster, &[]);
    assert_eq!((ended.status, account(&ended.json())), (Some(0), [4, 0, 0, 0]), "{ended:?}");
    assert_eq!(
        (log(&cluster, "t", 0), log(&cluster, "t", 1)),
        (vec!["a".into(), "b".into(), "c".into()], vec!["d".into()])
    );
    assert_eq!(run(&["replay", path, "--list"], b"").stdout, "nothing\n");
    let again = replay(&dir, &cluster, &[]);
    assert_eq!((again.status, account(&again.json())), (Some(0), [0, 0, 0, 0]), "{again:?}");
}

#[test]
fn records_without_a_partition_get_one() {
    let (dir, cluster) = (scratch(), cluster());
    cluster.create_topic("t", 3, 1).unwrap();
    let values: Vec<String> = (0..50).map(|value| value.to_string()).collect();
    let batches: Vec<_> = values.iter().map(|value| fresh(&[value])).collect();
    fill(dir.path(), "t", None, &batches);
    let ended = replay(&dir, &cluster, &[]);
    assert_eq!((ended.status, account(&ended.json())), (Some(0), [50, 0, 0, 0]), "{ended:?}");
    let mut all: Vec<String> = (0..3).flat_map(|partition| log(&cluster, "t", partition)).collect();
    all.sort_by_key(|value| value.parse::<u32>().unwrap());
    assert_eq!(all, values);
}

#[test]
fn what_may_be_written_is_sent_as_it_was_first_and_what_cannot_be_told_is_put_aside() {
    let (dir, cluster) = (scratch(), cluster());
    cluster.create_topic("t", 1, 1).unwrap();
    let identity = Identity { producer_id: ProducerId(77), epoch: ProducerEpoch(0) };
    let stamp = |sequence| Some(Stamp { identity, sequence: Sequence::new(sequence).unwrap() });
    // Another spool's replay brings "a" onto the log, as the producer that is said to have lost the answer.
    let before = scratch();
    fill(before.path(), "t", Some(0), &[batch(&["a"], Fate::MaybeWritten, stamp(0))]);
    assert_eq!(replay(&before, &cluster, &[]).status, Some(0));
    let maybe = [
        batch(&["a"], Fate::MaybeWritten, stamp(0)),
        batch(&["b"], Fate::MaybeWritten, stamp(1)),
        batch(&["d"], Fate::MaybeWritten, stamp(5)),
        batch(&["e"], Fate::MaybeWritten, None),
        fresh(&["f"]),
    ];
    fill(dir.path(), "t", Some(0), &maybe);
    let ended = replay(&dir, &cluster, &[]);
    let json = ended.json();
    assert_eq!((ended.status, account(&json)), (Some(1), [3, 0, 2, 2]), "{ended:?}");
    assert_eq!(json["folders"][0]["aside"], true, "{json}");
    assert_eq!(log(&cluster, "t", 0), ["a", "b", "f"]);
    let left = replay(&dir, &cluster, &["--aside"]);
    assert_eq!((left.status, account(&left.json())), (Some(1), [0, 0, 0, 2]), "{left:?}");
    let sent = replay(&dir, &cluster, &["--aside", "--accept-duplicates"]);
    assert_eq!((sent.status, account(&sent.json())), (Some(0), [2, 0, 0, 0]), "{sent:?}");
    assert_eq!(log(&cluster, "t", 0), ["a", "b", "f", "d", "e"]);
}

#[test]
fn a_topic_that_is_gone_keeps_its_records_and_others_go_on() {
    let (dir, cluster) = (scratch(), cluster());
    for topic in ["here", "new"] {
        cluster.create_topic(topic, 1, 1).unwrap();
    }
    for topic in ["gone", "here", "new"] {
        fill(dir.path(), topic, Some(0), &[fresh(&["x"])]);
    }
    fill(dir.path(), "here", Some(3), &[fresh(&["y"])]);
    open(dir.path()).note_topic_id(&TopicName::new("new"), milena_wire::TopicId([7; 16])).unwrap();
    // Half of it is how long a missing topic is waited for.
    let ended = replay(&dir, &cluster, &["--patience", "6"]);
    let json = ended.json();
    assert_eq!((ended.status, account(&json)), (Some(1), [1, 0, 0, 3]), "{ended:?}");
    let why: Vec<&str> = (0..3).map(|at| json["folders"][at]["why"].as_str().unwrap()).collect();
    assert!(why[0].contains("no such topic") && why[1].contains("no such topic"), "{why:?}");
    assert!(why[2].contains("deleted and created again"), "{why:?}");
    assert_eq!((log(&cluster, "here", 0), log(&cluster, "new", 0)), (vec!["x".to_owned()], vec![]));
}

#[test]
fn a_batch_that_the_cluster_refuses_is_put_aside_and_a_refused_client_keeps_all() {
    let (dir, cluster) = (scratch(), cluster());
    cluster.create_topic("t", 2, 1).unwrap();
    let only = |partition, code| Rule::on(ApiKey::PRODUCE, Reaction::Error(code)).partition(PartitionId(partition));
    cluster.script(only(0, ErrorCode::MESSAGE_TOO_LARGE));
    cluster.script(only(1, ErrorCode::TOPIC_AUTHORIZATION_FAILED));
    fill(dir.path(), "t", Some(0), &[fresh(&["large"]), fresh(&["small"])]);
    fill(dir.path(), "t", Some(1), &[fresh(&["a"]), fresh(&["b"])]);
    let ended = replay(&dir, &cluster, &[]);
    let json = ended.json();
    assert_eq!((ended.status, account(&json)), (Some(1), [1, 1, 0, 3]), "{ended:?}");
    assert_eq!((log(&cluster, "t", 0), log(&cluster, "t", 1)), (vec!["small".to_owned()], vec![]));
    let again = replay(&dir, &cluster, &["--aside"]);
    assert_eq!((again.status, account(&again.json())), (Some(0), [3, 0, 0, 0]), "{again:?}");
    assert_eq!(log(&cluster, "t", 0), ["small", "large"]);
    assert_eq!(log(&cluster, "t", 1), ["a", "b"]);
}

#[test]
fn a_cluster_that_is_away_keeps_all_and_is_named() {
    let dir = scratch();
    fill(dir.path(), "t", Some(0), &[fresh(&["a"])]);
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    drop(silent);
    let path = dir.path().to_str().unwrap();
    let ended = run(&["replay", path, "--bootstrap", &address, "--json", "--patience", "1"], b"");
    let json = ended.json();
    assert_eq!((ended.status, account(&json)), (Some(1), [0, 0, 0, 1]), "{ended:?}");
    assert!(json["folders"][0]["why"].as_str().unwrap().contains(&address), "{json}");
}

#[test]
fn what_is_no_spool_or_is_open_elsewhere_is_refused() {
    let dir = scratch();
    let path = dir.path().to_str().unwrap();
    let none = run(&["replay", path, "--bootstrap", "localhost:1"], b"");
    assert_eq!(none.status, Some(2), "{none:?}");
    assert!(none.stderr.contains("holds no spool"), "{none:?}");
    let spool = open(dir.path());
    let locked = run(&["replay", path, "--bootstrap", "localhost:1"], b"");
    assert_eq!(locked.status, Some(1), "{locked:?}");
    assert!(locked.stderr.contains("open in another process"), "{locked:?}");
    drop(spool);
    let nowhere = run(&["replay", path], b"");
    assert_eq!(nowhere.status, Some(2), "{nowhere:?}");
}

#[test]
fn a_sigkill_at_any_moment_loses_nothing_doubles_nothing_and_keeps_the_order() {
    const PARTITIONS: i32 = 3;
    /// So many lives cannot come to their end: a request of theirs is not answered. What they can send, five requests of one batch that are answered and
    /// one to each of three nodes that is not, is less than the 300 batches there are.
    const HELD: u32 = 10;
    let (dir, cluster) = (scratch(), EmbeddedCluster::builder().nodes(3).start_blocking().unwrap());
    cluster.create_topic("t", PARTITIONS, 3).unwrap();
    let mut expected = Vec::new();
    for partition in 0..PARTITIONS {
        // The first few are a producer's that lost its connection: some of them had arrived.
        let identity = Identity { producer_id: ProducerId(500 + i64::from(partition)), epoch: ProducerEpoch(0) };
        let values: Vec<String> = (0..200).map(|value| format!("{partition}-{value}")).collect();
        let batches: Vec<SpooledBatch> = (0..)
            .zip(values.chunks(2))
            .map(|(at, pair)| {
                let pair = [pair[0].as_str(), pair[1].as_str()];
                let stamp = Stamp { identity, sequence: Sequence::new(2 * at).unwrap() };
                if at < 5 { batch(&pair, Fate::MaybeWritten, Some(stamp)) } else { fresh(&pair) }
            })
            .collect();
        let arrived = scratch();
        fill(arrived.path(), "t", Some(partition), &batches[..usize::try_from(partition).unwrap()]);
        assert_eq!(replay(&arrived, &cluster, &[]).status, Some(0));
        fill(dir.path(), "t", Some(partition), &batches);
        expected.push(values);
    }
    let sent = || cluster.requests().get(&ApiKey::PRODUCE).copied().unwrap_or(0);
    let mut rng = Rng(u64::from(std::process::id()));
    println!("seed {}", rng.0);
    let bootstrap = cluster.bootstrap();
    let args = ["replay", dir.path().to_str().unwrap(), "--bootstrap", &bootstrap, "--json"];
    let mut kills = 0;
    let ended = loop {
        let faults = [
            Reaction::CloseAfter,
            Reaction::CloseBefore,
            Reaction::DelayAnswer(Duration::from_millis(20)),
            Reaction::Delay(Duration::from_millis(20)),
            Reaction::ErrorAfterAppend(ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND),
        ];
        let fault = faults[usize::try_from(rng.below(5)).unwrap()].clone();
        cluster.clear_script();
        cluster.script(Rule::on(ApiKey::PRODUCE, fault));
        let enough = rng.below(6);
        if kills < HELD {
            let unanswered = Rule::on(ApiKey::PRODUCE, Reaction::Silence).skip(u32::try_from(enough).unwrap());
            cluster.script(unanswered.always());
        }
        // So that a life does not suffice.
        cluster.script(Rule::on(ApiKey::PRODUCE, Reaction::DelayAnswer(Duration::from_millis(3))).always());
        let partition = i32::try_from(rng.below(3)).unwrap();
        cluster.move_leader("t", PartitionId(partition), None).unwrap();
        let before = sent();
        let mut child = milena(&args).spawn().unwrap();
        while sent() <= before + enough && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        for _ in 0..rng.below(4_000) {
            std::thread::yield_now();
        }
        if child.try_wait().unwrap().is_some() {
            break end(child);
        }
        child.kill().unwrap();
        end(child);
        kills += 1;
    };
    assert_eq!((ended.status, ended.json()["left"].as_u64()), (Some(0), Some(0)), "{ended:?}");
    println!("{kills} kills");
    assert!(kills >= HELD, "only {kills} kills");
    for (partition, expected) in (0..).zip(expected) {
        assert_eq!(log(&cluster, "t", partition), expected, "partition {partition}");
    }
}

#[test]
fn lines_that_produce_could_not_deliver_wait_in_its_spool_and_a_replay_sends_them() {
    let (dir, cluster) = (scratch(), cluster());
    cluster.create_topic("t", 1, 1).unwrap();
    let path = dir.path().to_str().unwrap();
    let patience = ["-X", "delivery.timeout.ms=400", "-X", "request.timeout.ms=300"];
    let property = format!("milena.spool.dir={path}");
    // In the last one the folder has no room for them.
    let spools: [(&[&str], u64); 3] = [
        (&["--spool", path, "-X", "milena.spool.fsync=never"], 3),
        (&["-X", &property], 3),
        (&["--spool", path, "-X", "milena.spool.max.bytes=1"], 0),
    ];
    for (spool, kept) in spools {
        // Nothing listens there.
        let produce = ["produce", "--topic", "t", "--bootstrap", "127.0.0.1:1", "--partition", "0", "--json"];
        let ended = run(&[&produce[..], &patience, spool].concat(), b"a\nb\nc\n");
        let told = ended.json();
        assert_eq!(
            (ended.status, told["spooled"].as_u64().unwrap_or(0), told["failed"]["not_written"].as_u64()),
            (Some(1), kept, Some(3 - kept)),
            "{spool:?} {ended:?}"
        );
    }
    let ended = replay(&dir, &cluster, &[]);
    assert_eq!((ended.status, account(&ended.json())), (Some(0), [6, 0, 0, 0]), "{ended:?}");
    assert_eq!(log(&cluster, "t", 0), ["a", "b", "c", "a", "b", "c"]);
}
