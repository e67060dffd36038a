//! Producer ids, epochs, tombstones and leaders that move: nothing is written twice, and nothing said to be unwritten is there.

use std::time::Duration;

use milena_accumulator::{FailureKind, Fate};
use milena_wire::Sequence;

use super::world::*;

fn timeout(seconds: u64) -> World {
    World::with(|s| s.sender.delivery_timeout = Duration::from_secs(seconds)).warm()
}

#[test]
fn numbering_begins_where_it_is_told_to_and_at_zero_in_the_next_epoch() {
    let mut world = World::with(|s| s.sender.first_sequence = Sequence::new(i32::MAX).unwrap()).warm();
    world.fault(Fault::Refuse(19));
    for value in ["a", "b"] {
        let delivery = world.send(value);
        world.run_for(1000);
        delivered(delivery);
    }
    world.fault(Fault::Refuse(10));
    failed(world.send("c"));
    let delivery = world.send("d");
    world.run_for(1000);
    delivered(delivery);
    let mut stamps: Vec<_> = world.seen.iter().map(|seen| seen.stamp).collect();
    stamps.dedup();
    // The record that warmed the producer had the last number there is.
    assert_eq!(stamps, [(7000, 0, 0), (7000, 0, 1), (7000, 0, 2), (7000, 1, 0)]);
}

#[test]
fn the_first_ack_is_lost_and_later_ones_arrive() {
    let mut world = World::new().warm();
    world.fault(Fault::Omit { append: true });
    world.hold_answers = true;
    let deliveries: Vec<_> = (0..3).map(|n| world.send(&n.to_string())).collect();
    world.release_answers();
    world.run_for(1000);
    let offsets: Vec<_> = deliveries.into_iter().map(|d| delivered(d).offset.map(|o| o.0)).collect();
    assert_eq!(offsets, [Some(1), Some(2), Some(3)]);
    assert_eq!(world.log().concat(), "warm012");
}

#[test]
fn the_first_is_refused_and_those_behind_are_out_of_order() {
    let mut world = World::new().warm();
    world.fault(Fault::Refuse(19));
    world.hold_answers = true;
    let deliveries: Vec<_> = (0..5).map(|n| world.send(&n.to_string())).collect();
    world.release_answers();
    world.run_for(3000);
    deliveries.into_iter().for_each(|delivery| {
        delivered(delivery);
    });
    assert_eq!(world.log().concat(), "warm01234");
    assert_eq!(world.sender.metrics().snapshot().epoch_bumps, 0);
    let again: Vec<u64> = world.seen[5..].iter().map(|seen| seen.at_ms).collect();
    assert_eq!(again, [again[0]; 5], "only the first has to back off");
    assert_eq!(world.seen.last().unwrap().stamp, (7000, 0, 5));
}

#[test]
fn out_of_order_at_the_head_starts_a_new_epoch() {
    let mut world = World::new().warm();
    world.fault(Fault::Refuse(45));
    let a = world.send("a");
    let b = world.send("b");
    world.run_for(1000);
    delivered(a);
    delivered(b);
    let stamps: Vec<_> = world.seen.iter().map(|seen| seen.stamp).collect();
    assert_eq!(stamps[0], (7000, 0, 1));
    assert!(stamps.contains(&(7000, 1, 0)) && stamps.contains(&(7000, 1, 1)), "{stamps:?}");
    assert_eq!(world.log(), ["warm", "a", "b"]);
    assert_eq!(world.sender.metrics().snapshot().epoch_bumps, 1);
}

#[test]
fn the_first_batch_of_a_new_producer_is_alone_until_it_is_accepted() {
    let mut world = World::new();
    world.hold_answers = true;
    world.fault(Fault::Refuse(19));
    let deliveries: Vec<_> = (0..3).map(|n| world.send(&n.to_string())).collect();
    world.run_for(20);
    assert_eq!(world.seen.len(), 1, "a broker without memory would take the second for the first");
    world.release_answers();
    world.run_for(1000);
    deliveries.into_iter().for_each(|delivery| {
        delivered(delivery);
    });
    assert_eq!(world.log().concat(), "012");
}

#[test]
fn a_broker_that_forgot_the_producer_is_given_a_new_epoch() {
    let mut world = World::new().warm();
    world.partition("t", 0).log.forget_producers();
    let mut forgot = refusal(milena_wire::PartitionId(0), milena_wire::ErrorCode::UNKNOWN_PRODUCER_ID);
    forgot.log_start_offset = milena_wire::Offset(1);
    world.fault(Fault::Answer(Box::new(forgot)));
    let a = world.send("a");
    world.run_for(1000);
    delivered(a);
    assert_eq!(world.seen.last().unwrap().stamp, (7000, 1, 0));
}

#[test]
fn a_fenced_epoch_is_left_behind() {
    let mut world = World::new().warm();
    world.fault(Fault::Refuse(47));
    let a = world.send("a");
    world.run_for(1000);
    delivered(a);
    assert_eq!(world.seen.last().unwrap().stamp, (7000, 1, 0));
}

#[test]
fn an_ambiguous_batch_of_a_fenced_epoch_may_be_written() {
    let mut world = World::new().warm();
    world.fault(Fault::AppendThen(7));
    world.fault(Fault::Refuse(47));
    let a = world.send("a");
    world.run_for(1000);
    assert_eq!(failed(a), (FailureKind::Broker, Fate::MaybeWritten));
    delivered(world.send("b"));
    assert_eq!(world.log(), ["warm", "a", "b"]);
}

#[test]
fn a_bump_is_local_to_its_partition() {
    let mut world = World::new().warm();
    delivered(world.send_to("t", 1, "x"));
    world.partition("t", 1).faults.push_back(Fault::AppendThen(7));
    world.fault(Fault::Refuse(45));
    let (a, b) = (world.send("a"), world.send_to("t", 1, "b"));
    world.run_for(1000);
    delivered(a);
    delivered(b);
    assert_eq!(world.partition("t", 1).log.values, ["x", "b"]);
    assert!(world.seen.iter().filter(|s| s.partition == 1).all(|s| s.stamp.1 == 0));
}

#[test]
fn nothing_new_is_sent_while_a_settled_batch_is_unanswered() {
    let mut world = timeout(10);
    world.hold_answers = true;
    let stuck = world.send("stuck");
    world.run_for(10_000);
    assert_eq!(failed(stuck), (FailureKind::DeliveryTimeout, Fate::MaybeWritten));
    let next = world.send("next");
    world.run_for(100);
    assert_eq!(world.seen.len(), 1);
    world.release_answers();
    delivered(next);
    assert_eq!(world.log(), ["warm", "stuck", "next"]);
}

#[test]
fn a_hint_moves_a_batch_to_the_new_leader_at_once() {
    let mut world = World::new().warm();
    world.move_leader("t", 0, 2);
    let mut moved = refusal(milena_wire::PartitionId(0), milena_wire::ErrorCode::NOT_LEADER_OR_FOLLOWER);
    moved.current_leader.leader = milena_wire::BrokerId(2);
    moved.current_leader.epoch = milena_wire::LeaderEpoch(6);
    world.fault(Fault::Answer(Box::new(moved)));
    let a = world.send("a");
    delivered(a);
    assert_eq!(world.now_ms(), 1050, "no backoff and no metadata round trip");
    assert_eq!(world.seen.last().unwrap().node, 2);
}

#[test]
fn a_hint_that_says_nothing_new_does_not_make_it_spin() {
    let mut world = World::new().warm();
    for _ in 0..100 {
        let mut same = refusal(milena_wire::PartitionId(0), milena_wire::ErrorCode::NOT_LEADER_OR_FOLLOWER);
        same.current_leader.leader = milena_wire::BrokerId(1);
        same.current_leader.epoch = milena_wire::LeaderEpoch(5);
        world.fault(Fault::Answer(Box::new(same)));
    }
    let a = world.send("a");
    world.run_for(5_000);
    assert!(!a.is_done());
    assert!(world.requests < 12 && world.metadata_requests < 25, "{} {}", world.requests, world.metadata_requests);
}

#[test]
fn a_producer_id_is_asked_for_again_after_a_retriable_error() {
    let mut world = World::new();
    world.init_codes.extend([14, 15, 16, 7, 51, -1]);
    let a = world.send("a");
    world.run_for(10_000);
    delivered(a);
    assert_eq!(world.init_requests, 7);
}

#[test]
fn a_producer_id_that_is_none_is_never_stamped() {
    for (pid, epoch) in [(-1, 0), (-1, -1), (7, -1), (i64::MIN, 3)] {
        let mut world = World::with(|s| s.sender.delivery_timeout = Duration::from_secs(5));
        (world.next_pid, world.next_epoch, world.same_pid) = (pid, epoch, true);
        let a = world.send("a");
        world.run_for(5_000);
        let error = outcome(a).unwrap_err();
        assert_eq!((error.kind(), error.fate()), (FailureKind::DeliveryTimeout, Fate::NotWritten));
        assert!(error.to_string().contains("which is none"), "{error}");
        assert!(world.seen.is_empty());
        assert!((2..30).contains(&world.init_requests), "{}", world.init_requests);
        // A broker that comes to its senses is believed.
        (world.next_pid, world.next_epoch, world.same_pid) = (9, 0, false);
        let b = world.send("b");
        world.run_for(3_000);
        delivered(b);
        assert_eq!(world.seen[0].stamp.0, 9);
    }
}

#[test]
fn a_producer_id_that_is_used_up_is_not_taken_again_and_not_asked_for_in_a_storm() {
    let mut world = World::new();
    (world.next_epoch, world.same_pid) = (i16::MAX, true);
    let mut world = world.warm();
    world.fault(Fault::Refuse(45));
    let a = world.send("a");
    world.run_for(10_000);
    assert!(!a.is_done());
    assert!((3..40).contains(&world.init_requests), "{}", world.init_requests);
    world.same_pid = false;
    world.next_pid += 1;
    world.next_epoch = 0;
    world.run_for(10_000);
    delivered(a);
}

#[test]
fn a_producer_id_that_nobody_needs_any_more_is_not_asked_for() {
    for code in [31, -1] {
        let mut world = World::with(|s| {
            s.sender.delivery_timeout = Duration::from_secs(5);
            s.sender.request_timeout = Duration::from_secs(1);
        });
        world.init_codes.extend([code; 1_000]);
        let a = world.send("a");
        world.run_for(10_000);
        let _ = failed(a);
        let asked = world.init_requests;
        world.run_for(60_000);
        assert_eq!(world.init_requests, asked, "{code}: nothing is there to be sent");
        world.init_codes.clear();
        let b = world.send("b");
        world.run_for(3_000);
        delivered(b);
    }
}

#[test]
fn without_the_right_to_a_producer_id_records_fail_clearly_until_it_is_granted() {
    let mut world = World::new();
    world.init_codes.push_back(31);
    let a = world.send("a");
    world.run_for(100);
    let error = outcome(a).unwrap_err();
    assert_eq!((error.kind(), error.fate()), (FailureKind::Authorization, Fate::NotWritten));
    let told = error.to_string();
    for part in ["topic t", "CLUSTER_AUTHORIZATION_FAILED", "--operation IdempotentWrite --cluster"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let b = world.send("b");
    world.run_for(3000);
    delivered(b);
}
