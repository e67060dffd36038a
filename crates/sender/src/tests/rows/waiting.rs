//! Deadlines that pass while batches are in flight, and leaders that move away from under them.

use std::time::Duration;

use super::super::world::*;
use super::Row;
use crate::Guarantee;

fn ten_seconds() -> Row {
    Row::on(World::with(|s| s.sender.delivery_timeout = Duration::from_secs(10)).warm())
}

#[test]
fn row_064_what_times_out_behind_batches_in_flight_was_never_written() {
    let mut row = ten_seconds();
    row.world.hold_answers = true;
    for value in ["a", "b", "c", "d", "e", "queued"] {
        row.send(value);
    }
    row.world.run_for(9_999);
    assert!((0..6).all(|at| !row.is_done(at)), "not before its time");
    row.world.run_for(1);
    assert!((0..6).all(|at| row.is_done(at)), "and at its time at last");
    row.world.release_answers();
    row.world.run_for(5_000);
    row.send("after");
    row.world.run_for(5_000);
    let (world, words) = row.judge(30);
    assert_eq!(words, "MMMMMND");
    assert_eq!(world.sender.metrics().snapshot().epoch_bumps, 0, "all in flight turned out to be written");
    assert_eq!(world.seen.last().unwrap().stamp, (7000, 0, 6), "the one that was never stamped left no hole");
}

#[test]
fn row_065_what_times_out_in_flight_may_be_written_and_a_probe_finds_out() {
    for written in [true, false] {
        let mut row = ten_seconds();
        // The first attempt's answer says nothing about the log; until the deadline there is no better one.
        row.world.fault(if written { Fault::AppendThen(7) } else { Fault::Refuse(7) });
        row.world.partition("t", 0).faults.extend((0..200).map(|_| Fault::Refuse(19)));
        row.send("lost");
        row.world.run_for(10_000);
        assert!(row.is_done(0));
        row.world.partition("t", 0).faults.clear();
        for value in ["probe", "behind it", "and last"] {
            row.send(value);
        }
        row.world.run_for(5_000);
        let (world, words) = row.judge(60);
        assert_eq!(words, "MDDD");
        let epoch = i16::from(!written);
        assert_eq!(world.seen.last().unwrap().stamp.1, epoch, "a new epoch only if the first was not there");
        let probes: Vec<_> = world.seen.iter().filter(|seen| seen.values == ["probe"]).collect();
        assert_eq!(probes[0].stamp, (7000, 0, 2), "it asks under the old epoch");
    }
}

#[test]
fn row_065_an_outage_without_end_settles_in_time_and_duplicates_nothing_afterwards() {
    let mut row = ten_seconds();
    row.world.hold_answers = true;
    for round in 0..60 {
        row.send(&format!("r{round}"));
        row.world.run_for(2_000);
        assert!(round < 6 || row.is_done(round - 6), "a record is open for longer than its ten seconds");
        if round % 7 == 3 {
            row.world.cut(1);
        }
    }
    row.world.run_for(10_000);
    row.world.release_answers();
    row.send("after");
    row.world.run_for(5_000);
    let (_, words) = row.judge(200);
    assert!(words.contains('N') && words.starts_with('M') && words.ends_with('D'), "{words}");
}

#[test]
fn row_066_batches_in_flight_follow_their_leader_in_order() {
    for appended in [true, false] {
        let mut row = Row::on(World::new().warm());
        row.world.hold_answers = true;
        if !appended {
            row.world.partition("t", 0).faults.extend((0..3).map(|_| Fault::Refuse(6)));
        }
        for value in ["a", "b", "c"] {
            row.send(value);
        }
        row.world.move_leader("t", 0, 2);
        row.world.refresh();
        assert!(row.world.seen.iter().any(|seen| seen.node == 2), "the old leader is not waited for");
        // Its answers come late, and mean nothing any more.
        row.world.release_answers();
        row.world.run_for(3_000);
        row.send("d");
        row.world.run_for(1_000);
        let (world, words) = row.judge(30);
        assert_eq!(words, "DDDD");
        assert!(world.seen.iter().filter(|seen| seen.values != ["d"]).all(|seen| seen.stamp.1 == 0), "no new stamps");
    }
}

#[test]
fn row_066_what_the_old_leader_has_may_be_written_though_the_new_one_refuses_it() {
    let mut row = Row::on(World::new().warm());
    row.world.hold_answers = true;
    for value in ["a", "b", "c"] {
        row.send(value);
    }
    // All are with the old leader, on the log. The new one does not let this client write.
    row.world.fault(Fault::Refuse(29));
    row.world.move_leader("t", 0, 2);
    row.world.refresh();
    row.world.release_answers();
    row.world.run_for(3_000);
    row.send("d");
    row.world.run_for(1_000);
    let (_, words) = row.judge(30);
    assert_eq!(words, "MDDD");
}

#[test]
fn row_066_without_idempotence_the_old_leader_answers_first() {
    for all_replicas in [true, false] {
        let guarantee = Guarantee::AtLeastOnce { all_replicas };
        let mut row = Row::on(
            World::with(|s| {
                s.sender.guarantee = guarantee;
                s.sender.partition_in_flight = Some(5);
            })
            .warm(),
        );
        row.world.hold_answers = true;
        row.send("a");
        row.world.move_leader("t", 0, 2);
        row.world.refresh();
        row.send("b");
        assert!(row.world.seen.iter().all(|seen| seen.node == 1), "nothing overtakes what is with the old leader");
        row.world.release_answers();
        row.world.run_for(3_000);
        let (world, words) = row.judge(30);
        assert_eq!(words, "DD");
        assert_eq!(world.seen.last().unwrap().node, 2);
    }
}
