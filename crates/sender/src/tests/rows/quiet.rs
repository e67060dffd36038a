//! What costs nothing: topics that nobody writes to, hours without a record, a long outage once it is over, and a wall clock that jumps.

use std::time::Duration;

use milena_accumulator::Urgency;

use super::super::world::*;
use super::Row;

#[test]
fn row_092_work_follows_the_partitions_that_are_active() {
    const TOPICS: usize = 10_000;
    let mut row = Row::on(World::new().warm());
    row.world.add_topic("wide", 5_000);
    for topic in 0..TOPICS {
        row.world.add_topic(&format!("t{topic}"), 1);
        row.queue_to(&format!("t{topic}"), 0, "first", Urgency::Now);
    }
    for partition in 0..5_000 {
        row.queue_to("wide", partition, "first", Urgency::Now);
    }
    row.world.run_for(1_000);
    let requests = row.world.requests;
    assert!(requests <= 200, "{requests} requests for 15,000 batches");
    let looks = |row: &Row| row.world.sender.partitions.looks.get();
    let (before, metadata) = (looks(&row), row.world.metadata_requests);
    for n in 0..100 {
        row.send_to("t77", 0, &format!("{n}"));
        row.send_to("wide", 77, &format!("{n}"));
        row.world.run_for(1);
    }
    let each = (looks(&row) - before) / 200;
    assert!(each <= 40, "{each} looks at partitions for one record, and there are 15,000");
    assert_eq!(row.world.metadata_requests, metadata);
    let (_, words) = row.judge(requests + 250);
    assert_eq!(words, "D".repeat(15_200));
}

#[test]
fn row_093_an_idle_producer_does_nothing_for_hours() {
    let mut row = Row::on(World::new().warm());
    for partition in 0..4 {
        row.send_to("t", partition, "before");
    }
    // All that is known of topics grows old, and connections are closed.
    row.world.run_for(20 * 60 * 1_000);
    let world = &mut row.world;
    let (wakeups, inputs, metadata, dials) = (world.wakeups, world.inputs, world.metadata_requests, world.dials);
    assert!(wakeups <= 10, "{wakeups} wake-ups in twenty minutes");
    world.run_for(10 * 3_600 * 1_000);
    let (wakeups, inputs) = (world.wakeups - wakeups, world.inputs - inputs);
    assert!(wakeups == 0 && inputs == 0, "{wakeups} wake-ups and {inputs} inputs in ten hours");
    assert_eq!((world.metadata_requests, world.dials), (metadata, dials));
    assert_eq!(world.accumulator.memory().used, 0);
    // And then it works at once.
    row.send("after");
    row.world.run_for(1_000);
    let (_, words) = row.judge(40);
    assert_eq!(words, "DDDDD");
}

/// What five seconds of the same traffic cost: inputs, looks at partitions.
fn traffic(row: &mut Row, round: &str) -> (usize, usize) {
    let world = &row.world;
    let (inputs, looks) = (world.inputs, world.sender.partitions.looks.get());
    for n in 0..50 {
        for partition in 0..320 {
            if partition % 50 == n {
                row.queue_to("many", partition, &format!("{round} {n}"), Urgency::Linger);
            }
        }
        row.world.run_for(100);
    }
    let world = &row.world;
    (world.inputs - inputs, world.sender.partitions.looks.get() - looks)
}

#[test]
fn row_094_a_long_outage_is_cheap_and_costs_nothing_once_it_is_over() {
    let mut row = Row::on(World::with(|s| s.accumulator.buffer_memory = 64 << 20).warm());
    row.world.add_topic("many", 320);
    for partition in 0..320 {
        row.world.partition("many", usize::try_from(partition).unwrap()).leader = 1 + partition % 3;
    }
    traffic(&mut row, "warm up");
    let before = traffic(&mut row, "before");
    let world = &mut row.world;
    let (dials, wakeups, requests) = (world.dials, world.wakeups, world.requests);
    world.down = vec![1, 2, 3];
    for node in 1..=3 {
        world.cut(node);
    }
    // Twenty minutes, in each of which every partition gets a record.
    for minute in 0..20 {
        for partition in 0..320 {
            row.queue_to("many", partition, &format!("minute {minute}"), Urgency::Linger);
        }
        row.world.run_for(60_000);
    }
    let world = &mut row.world;
    let (dials, wakeups) = (world.dials - dials, world.wakeups - wakeups);
    assert!(dials <= 3 * 20 * 60, "{dials} dials of three nodes in twenty minutes");
    // The dials, and one for each minute whose batches expire; not one for each of 6,400 batches.
    assert!(wakeups <= dials + 1_000, "{wakeups} wake-ups");
    assert_eq!(world.requests, requests, "nothing is sent to nobody");
    world.down.clear();
    world.run_for(130_000);
    assert_eq!(world.accumulator.memory().used, 0);
    traffic(&mut row, "after, until it is warm");
    let after = traffic(&mut row, "after");
    assert!(after.0 <= before.0 + before.0 / 10, "inputs: {before:?} before, {after:?} after");
    assert!(after.1 <= before.1 + before.1 / 10, "looks: {before:?} before, {after:?} after");
    let asked = row.world.requests - requests;
    assert!(asked <= 2_000, "{asked} requests since it is over");
    let most = row.world.requests + row.world.metadata_requests + row.world.init_requests;
    let (_, words) = row.judge(most);
    assert!(words[..640].bytes().all(|word| word == b'D') && words.ends_with(&"D".repeat(640)));
    assert!(words.contains('N') && !words.contains('M'), "never sent, so never written");
}

#[test]
fn row_095_deadlines_do_not_follow_the_wall_clock() {
    let run = |jumps: &[i64]| {
        let mut row = Row::on(World::with(|s| {
            s.sender.linger = Duration::from_millis(40);
            s.sender.delivery_timeout = Duration::from_secs(10);
        }));
        let mut jumps = jumps.iter().cycle();
        for n in 0..40 {
            if n == 15 {
                row.world.partition("t", 0).faults.extend((0..70).map(|_| Fault::Refuse(19)));
            }
            row.queue_to("t", n % 2, &n.to_string(), Urgency::Linger);
            row.world.wall_ms += jumps.next().unwrap_or(&0);
            row.world.run_for(30);
            row.world.wall_ms += jumps.next().unwrap_or(&0);
            row.world.run_for(370);
        }
        row.world.run_for(20_000);
        let (world, words) = row.judge(200);
        let seen: Vec<_> = world.seen.iter().map(|seen| (seen.at_ms, seen.stamp, seen.values.clone())).collect();
        (seen, words)
    };
    let year = 365 * 24 * 3_600_000;
    let steady = run(&[]);
    assert!(steady.1.contains('N') && steady.1.contains('D'), "{}", steady.1);
    for jumps in [&[year, -year][..], &[-60 * year], &[3_600_000], &[-1]] {
        assert_eq!(run(jumps), steady, "{jumps:?}");
    }
}
