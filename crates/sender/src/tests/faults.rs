//! Answers that are errors: one test per code, and what else a broker or a network can do to a batch.

use std::time::Duration;

use milena_accumulator::{FailureKind, Fate, Urgency};
use milena_wire::message::produce::{ProducePartitionResponse, RecordError};
use milena_wire::{ErrorCode, Offset, PartitionId};

use super::world::*;
use crate::{Command, CommandResult, Guarantee};

const NOT: Fate = Fate::NotWritten;
const MAYBE: Fate = Fate::MaybeWritten;

/// The code is answered once, without an append; then all is well.
fn is_sent_again(code: i16) {
    let mut world = World::new().warm();
    world.fault(Fault::Refuse(code));
    let a = world.send("a");
    let b = world.send("b");
    world.run_for(3000);
    delivered(a);
    delivered(b);
    assert_eq!(world.log(), ["warm", "a", "b"], "{code}");
    assert!(world.requests <= 5, "{code}: {} requests", world.requests);
    assert!(world.metadata_requests <= 6, "{code}: {} metadata requests", world.metadata_requests);
}

/// The code is answered after an append: the batch is recognised when it comes again.
fn is_recognised(code: i16) {
    let mut world = World::new().warm();
    world.fault(Fault::AppendThen(code));
    let a = world.send("a");
    world.run_for(3000);
    assert_eq!(delivered(a).offset, Some(Offset(1)), "{code}");
    assert_eq!(world.log(), ["warm", "a"], "{code}");
    assert_eq!(world.seen[0].stamp, world.seen[1].stamp, "{code}: the same stamp");
}

fn fails(code: i16, kind: FailureKind, fate: Fate) {
    let mut world = World::new().warm();
    world.fault(Fault::Refuse(code));
    let a = world.send("a");
    world.run_for(10);
    assert_eq!(failed(a), (kind, fate), "{code}");
    let b = world.send("b");
    world.run_for(3000);
    delivered(b);
    assert_eq!(world.log(), ["warm", "b"], "{code}: the producer goes on");
}

macro_rules! rows {
    ($check:ident: $($name:ident: $code:literal $(, $kind:ident, $fate:ident)?;)*) => {$(
        #[test]
        fn $name() {
            $check($code $(, FailureKind::$kind, $fate)?);
        }
    )*};
}

rows! { is_sent_again:
    an_unknown_server_error_is_retried: -1;
    a_corrupt_message_is_retried: 2;
    an_unknown_topic_or_partition_is_retried: 3;
    no_leader_is_retried: 5;
    not_the_leader_is_retried: 6;
    a_timed_out_request_is_retried: 7;
    an_unavailable_broker_is_retried: 8;
    an_unavailable_replica_is_retried: 9;
    a_network_exception_is_retried: 13;
    a_loading_coordinator_is_retried: 14;
    an_unavailable_coordinator_is_retried: 15;
    not_the_coordinator_is_retried: 16;
    not_enough_replicas_is_retried: 19;
    out_of_order_is_renumbered: 45;
    an_invalid_producer_epoch_is_renumbered: 47;
    concurrent_transactions_are_retried: 51;
    a_storage_error_is_retried: 56;
    an_unknown_producer_id_is_renumbered: 59;
    a_missing_listener_is_retried: 72;
    a_fenced_leader_epoch_is_retried: 74;
    an_unknown_leader_epoch_is_retried: 75;
    an_exceeded_quota_is_retried: 89;
    an_unknown_topic_id_is_retried: 100;
    an_inconsistent_topic_id_is_retried: 103;
}

rows! { is_recognised:
    an_unknown_server_error_after_an_append: -1;
    an_unknown_topic_or_partition_after_an_append: 3;
    no_leader_after_an_append: 5;
    not_the_leader_after_an_append: 6;
    a_timed_out_request_after_an_append: 7;
    an_unavailable_broker_after_an_append: 8;
    an_unavailable_replica_after_an_append: 9;
    a_network_exception_after_an_append: 13;
    not_enough_replicas_after_append: 20;
    a_storage_error_after_an_append: 56;
    an_unknown_topic_id_after_an_append: 100;
    an_inconsistent_topic_id_after_an_append: 103;
}

rows! { fails:
    a_too_large_single_record_fails: 10, RecordTooLarge, NOT;
    an_invalid_topic_fails: 17, Broker, NOT;
    a_too_large_record_list_fails: 18, RecordTooLarge, NOT;
    invalid_acks_fail: 21, Broker, NOT;
    a_topic_without_authorization_fails: 29, Authorization, NOT;
    a_cluster_without_authorization_fails: 31, Authorization, NOT;
    a_transactional_id_without_authorization_fails: 53, Authorization, NOT;
    an_invalid_timestamp_fails: 32, InvalidRecord, NOT;
    an_unsupported_mechanism_fails: 33, Broker, MAYBE;
    an_illegal_sasl_state_fails: 34, Broker, MAYBE;
    an_unsupported_version_fails: 35, Broker, NOT;
    an_invalid_request_fails: 42, Broker, NOT;
    an_unsupported_message_format_fails: 43, Broker, NOT;
    a_policy_violation_fails: 44, Broker, NOT;
    an_invalid_transaction_state_fails: 48, Broker, MAYBE;
    a_disabled_security_fails: 54, Broker, MAYBE;
    an_operation_not_attempted_fails: 55, Broker, MAYBE;
    a_failed_authentication_fails: 58, Broker, MAYBE;
    an_unsupported_compression_fails: 76, Broker, NOT;
    an_invalid_record_fails: 87, InvalidRecord, NOT;
    an_abortable_transaction_fails: 120, Broker, MAYBE;
    a_code_from_the_future_fails: 4242, Broker, MAYBE;
}

#[test]
fn a_duplicate_is_a_success_without_an_offset() {
    let mut world = World::new().warm();
    world.fault(Fault::Refuse(46));
    let a = world.send("a");
    assert_eq!(delivered(a).offset, None);
}

#[test]
fn a_fenced_producer_fails_everything_and_takes_no_more() {
    for code in [49, 90] {
        let mut world = World::new().warm();
        world.hold_answers = true;
        world.fault(Fault::Refuse(code));
        let a = world.send("a");
        let waiting: Vec<_> = (0..8).map(|n| world.send(&n.to_string())).collect();
        world.release_answers();
        world.run_for(10);
        assert_eq!(failed(a).0, FailureKind::Fatal, "{code}");
        let ends = waiting.into_iter().map(outcome).filter(Result::is_err).count();
        assert!(ends > 0, "{code}: those not in flight fail too");
        let parts = milena_wire::RecordParts::default();
        let record =
            milena_accumulator::RecordRef { topic: "t", partition: None, parts, timestamp_ms: None, shared: None };
        let at = milena_accumulator::At { now: milena_wire::Timestamp::ZERO, wall_ms: 0 };
        let refused = world.accumulator.append(at, &record, milena_accumulator::Urgency::Now, None).map(drop);
        assert_eq!(refused, Err(milena_accumulator::Refused::Closed));
    }
}

#[test]
fn a_fenced_producer_fails_what_waits_for_an_unknown_topic_too() {
    let mut world = World::new().warm();
    world.hold_answers = true;
    world.fault(Fault::Refuse(90));
    let fenced = world.send("fenced");
    let waits = world.send_to("unknown", 0, "waits");
    let flush = world.command(Command::Flush);
    let unseen = world.append("later", None, "unseen", Urgency::Linger);
    world.release_answers();
    world.run();
    for delivery in [fenced, waits, unseen] {
        assert_eq!(failed(delivery).0, FailureKind::Fatal);
    }
    assert!(matches!(world.done[&flush], CommandResult::Flushed), "{:?}", world.done[&flush]);
}

#[test]
fn a_batch_that_ends_at_once_leaves_the_next_one_the_way_to_the_new_leader() {
    let moved = ErrorCode::NOT_LEADER_OR_FOLLOWER;
    let mut world = World::with(|s| s.sender.fail_at_once = vec![ErrorCode::NOT_LEADER_OR_FOLLOWER]);
    // Older than leaders in produce answers.
    world.produce_max = 9;
    let mut world = world.warm();
    world.move_leader("t", 0, 2);
    let lost = world.send("lost");
    world.run_for(1_000);
    let error = outcome(lost).unwrap_err();
    assert_eq!((error.kind(), error.failure().code), (FailureKind::Broker, Some(moved)));
    let next = world.send("next");
    world.run_for(1_000);
    delivered(next);
}

#[test]
fn the_failure_says_what_failed_where_and_what_to_do() {
    let mut world = World::new().warm();
    world.fault(Fault::Records(44, vec![]));
    let error = outcome(world.send("a")).unwrap_err();
    let failure = error.failure();
    assert_eq!(failure.code.map(|code| code.0), Some(44));
    assert_eq!(failure.broker.map(|broker| broker.0), Some(1));
    assert_eq!(failure.attempts, 1);
    let text = error.to_string();
    for part in ["POLICY_VIOLATION", "topic t", "partition 0", "one or more records were rejected"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_brokers_words_are_kept_in_part_and_harm_no_terminal() {
    let words = format!("\u{1b}[2Jno\r\n{}", "!".repeat(1 << 20));
    let refused = |code| ProducePartitionResponse {
        error_message: Some(words.clone()),
        ..refusal(PartitionId(0), ErrorCode(code))
    };
    let failure = |answer: ProducePartitionResponse, again: bool| {
        let mut world = World::with(|s| s.sender.delivery_timeout = Duration::from_secs(1)).warm();
        for _ in 0..if again { 100 } else { 1 } {
            world.fault(Fault::Answer(Box::new(answer.clone())));
        }
        let delivery = world.send("a");
        world.run_for(2_000);
        outcome(delivery).unwrap_err().failure().message.clone().expect("the broker's words")
    };
    let named = RecordError { index: 0, message: Some(words.clone()) };
    // At once, after trying again until time is over, and of a record by itself.
    for (answer, again) in [
        (refused(44), false),
        (refused(7), true),
        (ProducePartitionResponse { record_errors: vec![named], ..refused(87) }, false),
    ] {
        let told = failure(answer, again);
        assert!(told.starts_with("[2Jno!!") && told.len() == 1000, "{} bytes: {}", told.len(), &told[..20]);
    }
}

#[test]
fn a_batch_that_is_too_large_is_split_until_it_fits_and_stays_in_order() {
    let mut world = World::with(|s| s.cluster.max_in_flight = 1).warm();
    world.hold_answers = true;
    let first = world.send("x");
    let deliveries: Vec<_> = (0..8).map(|n| world.queue(&format!("{n}{}", "v".repeat(100)))).collect();
    let behind = world.queue("behind");
    world.fault(Fault::Refuse(10));
    world.fault(Fault::Refuse(10));
    world.release_answers();
    world.run_for(3000);
    delivered(first);
    deliveries.into_iter().for_each(|delivery| {
        delivered(delivery);
    });
    delivered(behind);
    let log = world.log();
    let order: Vec<&str> = log[2..].iter().map(|value| &value[..1]).collect();
    assert_eq!(order, ["0", "1", "2", "3", "4", "5", "6", "7", "b"]);
    assert_eq!(world.sender.metrics().snapshot().splits, 2);
    assert_eq!(world.sender.metrics().snapshot().epoch_bumps, 0, "the pieces keep their records' sequences");
}

#[test]
fn split_pieces_are_settled_each_with_its_own_offset() {
    let mut world = World::with(|s| s.cluster.max_in_flight = 1).warm();
    world.hold_answers = true;
    let first = world.send("x");
    let deliveries: Vec<_> = (0..4).map(|n| world.queue(&n.to_string())).collect();
    world.fault(Fault::Refuse(10));
    world.release_answers();
    world.run_for(1000);
    delivered(first);
    let offsets: Vec<_> = deliveries.into_iter().map(|d| delivered(d).offset.unwrap().0).collect();
    assert_eq!(offsets, [2, 3, 4, 5]);
}

#[test]
fn an_ambiguous_batch_is_never_split() {
    let mut world = World::with(|s| s.cluster.max_in_flight = 1).warm();
    world.hold_answers = true;
    let first = world.send("x");
    let (a, b) = (world.queue("a"), world.queue("b"));
    world.fault(Fault::AppendThen(7));
    world.fault(Fault::Refuse(10));
    world.release_answers();
    world.run_for(3000);
    delivered(first);
    assert_eq!(failed(a), (FailureKind::RecordTooLarge, MAYBE));
    assert_eq!(failed(b), (FailureKind::RecordTooLarge, MAYBE));
    delivered(world.send("c"));
    assert_eq!(world.log(), ["warm", "x", "a", "b", "c"]);
    assert_eq!(world.sender.metrics().snapshot().epoch_bumps, 0, "the probe found the tombstone written");
}

#[test]
fn named_records_fail_and_the_others_are_delivered() {
    let mut world = World::with(|s| s.cluster.max_in_flight = 1).warm();
    world.hold_answers = true;
    let first = world.send("x");
    let (a, bad, c) = (world.queue("a"), world.queue("bad"), world.queue("c"));
    world.fault(Fault::Records(87, vec![(1, "no key in a compacted topic")]));
    world.release_answers();
    world.run_for(1000);
    delivered(first);
    delivered(a);
    let error = outcome(bad).unwrap_err();
    assert_eq!((error.kind(), error.fate()), (FailureKind::InvalidRecord, NOT));
    assert!(error.to_string().contains("no key in a compacted topic"), "{error}");
    delivered(c);
    assert_eq!(world.log(), ["warm", "x", "a", "c"]);
}

#[test]
fn when_every_record_is_named_all_fail_and_the_producer_goes_on() {
    let mut world = World::new().warm();
    world.fault(Fault::Records(87, vec![(0, "bad")]));
    let a = world.send("a");
    assert_eq!(failed(a), (FailureKind::InvalidRecord, NOT));
    delivered(world.send("b"));
    assert_eq!(world.log(), ["warm", "b"]);
}

#[test]
fn named_records_that_do_not_exist_are_no_names() {
    let mut world = World::new().warm();
    world.fault(Fault::Records(87, vec![(-1, "bad"), (1, "bad"), (i32::MAX, "bad")]));
    assert_eq!(failed(world.send("a")), (FailureKind::InvalidRecord, NOT));
}

#[test]
fn records_named_for_one_reason_share_it_however_many_and_how_often_they_are_named() {
    const MANY: i32 = 20_000;
    let mut world = World::with(|s| s.cluster.max_in_flight = 1).warm();
    world.hold_answers = true;
    let first = world.send("x");
    let records: Vec<_> = (0..MANY).map(|_| world.queue("bad")).collect();
    let last = world.queue("good");
    let twice = (0..MANY).rev().chain(0..MANY).chain([MANY + 1, i32::MAX, -1]);
    world.fault(Fault::Records(87, twice.map(|index| (index, "no key")).collect()));
    world.release_answers();
    world.run_for(1000);
    delivered(first);
    delivered(last);
    let mut errors = records.into_iter().map(|record| outcome(record).unwrap_err());
    let one = errors.next().unwrap();
    assert!(errors.all(|error| std::sync::Arc::ptr_eq(error.failure(), one.failure())));
}

#[test]
fn a_leader_that_moves_is_no_way_around_the_limit_of_retries() {
    let mut world = World::with(|s| s.sender.retries = 0).warm();
    world.hold_answers = true;
    let a = world.send("a");
    world.move_leader("t", 0, 2);
    world.refresh();
    assert_eq!(failed(a), (FailureKind::RetriesExhausted, MAYBE));
    assert_eq!(world.seen.iter().filter(|batch| batch.values == ["a"]).count(), 1);
}

#[test]
fn an_answer_that_leaves_a_partition_out_is_a_retry() {
    for append in [false, true] {
        let mut world = World::new().warm();
        world.fault(Fault::Omit { append });
        let a = world.send("a");
        world.run_for(1000);
        delivered(a);
        assert_eq!(world.log(), ["warm", "a"]);
    }
}

#[test]
fn an_answer_with_partitions_nobody_asked_about_is_still_an_answer() {
    let mut world = World::new().warm();
    let mut wrong = refusal(milena_wire::PartitionId(77), milena_wire::ErrorCode::NONE);
    wrong.base_offset = Offset(12);
    world.fault(Fault::Answer(Box::new(wrong)));
    let a = world.send("a");
    world.run_for(1000);
    delivered(a);
    assert_eq!(world.log(), ["warm", "a"]);
}

#[test]
fn a_lost_connection_is_a_retry_with_the_same_stamp() {
    for append in [false, true] {
        let mut world = World::new().warm();
        world.fault(Fault::Cut { append });
        let a = world.send("a");
        world.run_for(3000);
        delivered(a);
        assert_eq!(world.log(), ["warm", "a"], "appended before: {append}");
        assert_eq!(world.seen[0].stamp, world.seen[1].stamp);
    }
}

#[test]
fn a_connection_lost_with_five_in_flight_loses_and_doubles_nothing() {
    for answered in 0..5 {
        let mut world = World::new().warm();
        world.hold_answers = true;
        let deliveries: Vec<_> = (0..5).map(|n| world.send(&n.to_string())).collect();
        for _ in 0..answered {
            world.release_one();
        }
        world.cut(1);
        world.hold_answers = false;
        world.run_for(3000);
        deliveries.into_iter().for_each(|delivery| {
            delivered(delivery);
        });
        assert_eq!(world.log().concat(), "warm01234", "{answered} answers had arrived");
    }
}

#[test]
fn a_request_without_an_answer_times_out_and_is_sent_again() {
    let mut world = World::new().warm();
    world.hold_answers = true;
    let a = world.send("a");
    world.run_for(29_000);
    assert_eq!(world.seen.len(), 1);
    world.hold_answers = false;
    world.run_for(3000);
    delivered(a);
    assert_eq!(world.log(), ["warm", "a"]);
}

#[test]
fn retries_back_off_exponentially() {
    let mut world = World::new().warm();
    for _ in 0..6 {
        world.fault(Fault::Refuse(19));
    }
    let a = world.send("a");
    world.run_for(10_000);
    delivered(a);
    let gaps: Vec<u64> = world.seen.windows(2).map(|w| w[1].at_ms - w[0].at_ms).collect();
    let expected = [(8, 13), (80, 121), (160, 241), (320, 481), (640, 961), (800, 1001)];
    for (gap, (low, high)) in gaps.iter().copied().zip(expected) {
        assert!((low..=high).contains(&gap), "{gaps:?}");
    }
}

#[test]
fn a_new_leader_starts_the_backoff_over() {
    let mut world = World::new().warm();
    for _ in 0..6 {
        world.fault(Fault::Refuse(19));
    }
    let a = world.send("a");
    world.run_for(1200);
    assert_eq!(world.seen.len(), 5, "the waits have grown");
    world.move_leader("t", 0, 2);
    world.ask_for_metadata();
    world.run_for(20);
    delivered(a);
    let at: Vec<(u64, i32)> = world.seen[5..].iter().map(|seen| (seen.at_ms, seen.node)).collect();
    assert!(matches!(at[..], [(first, 2), (second, 2)] if (8..=13).contains(&(second - first))), "{at:?}");
}

#[test]
fn a_batch_refused_at_every_attempt_expires_as_not_written() {
    let mut world = World::new().warm();
    for _ in 0..1000 {
        world.fault(Fault::Refuse(19));
    }
    let a = world.send("a");
    world.run_for(119_999);
    assert!(!a.is_done());
    world.run_for(1);
    assert_eq!(failed(a), (FailureKind::DeliveryTimeout, NOT));
    world.partition("t", 0).faults.clear();
    delivered(world.send("b"));
    assert_eq!(world.log(), ["warm", "b"]);
    assert!(world.requests < 160, "{} requests", world.requests);
    assert_eq!(world.sender.metrics().snapshot().epoch_bumps, 1, "over the gap that it left");
}

#[test]
fn a_plain_producer_sends_again_and_may_duplicate() {
    let mut world = World::with(|s| s.sender.guarantee = Guarantee::AtLeastOnce { all_replicas: false }).warm();
    world.fault(Fault::AppendThen(7));
    let a = world.send("a");
    let b = world.send("b");
    world.run_for(1000);
    delivered(a);
    delivered(b);
    assert_eq!(world.log(), ["warm", "a", "a", "b"]);
}

#[test]
fn a_plain_producer_keeps_order_on_a_retry_by_default() {
    let mut world = World::with(|s| s.sender.guarantee = Guarantee::AtLeastOnce { all_replicas: true }).warm();
    world.fault(Fault::Refuse(19));
    let deliveries: Vec<_> = (0..4).map(|n| world.send(&n.to_string())).collect();
    world.run_for(1000);
    deliveries.into_iter().for_each(|delivery| {
        delivered(delivery);
    });
    assert_eq!(world.log().concat(), "warm0123");
}

#[test]
fn at_most_once_never_sends_again_what_may_have_been_written() {
    let mut world = World::with(|s| s.sender.guarantee = Guarantee::AtMostOnce).warm();
    world.jammed = true;
    let a = world.send("a");
    world.cut(1);
    world.jammed = false;
    world.run_for(3000);
    assert_eq!(failed(a), (FailureKind::Broker, MAYBE));
    assert_eq!(world.log(), ["warm", "a"]);
}

#[test]
fn a_broker_that_is_down_delays_its_own_partitions_only() {
    let mut world = World::new().warm();
    world.move_leader("t", 1, 2);
    world.refresh();
    world.down = vec![2];
    let stuck = world.send_to("t", 1, "stuck");
    delivered(world.send("free"));
    world.run_for(120_000);
    assert_eq!(failed(stuck), (FailureKind::DeliveryTimeout, NOT));
    let after = world.send_to("t", 1, "after");
    world.down.clear();
    world.run_for(3000);
    delivered(after);
    assert_eq!(world.partition("t", 1).log.values, ["after"]);
}

#[test]
fn a_batch_is_sent_again_as_often_as_retries_allows_and_fails_with_its_fate() {
    for (fault, fate) in [(Fault::Refuse(19), NOT), (Fault::AppendThen(20), MAYBE), (Fault::Refuse(45), NOT)] {
        for retries in [0, 2] {
            let mut world = World::with(|s| s.sender.retries = retries).warm();
            let before = world.seen.len();
            (0..=retries).for_each(|_| world.fault(fault.clone()));
            let a = world.send("a");
            world.run_for(10_000);
            assert_eq!(failed(a), (FailureKind::RetriesExhausted, fate), "{fault:?}");
            let b = world.send("b");
            world.run_for(10_000);
            delivered(b);
            let sent = world.seen[before..].iter().filter(|batch| batch.values == ["a"]).count();
            assert_eq!(sent, retries as usize + 1, "{fault:?}");
            let written = if fate == MAYBE { vec!["warm", "a", "b"] } else { vec!["warm", "b"] };
            assert_eq!(world.log(), written, "{fault:?}");
        }
    }
}

#[test]
fn a_lost_answer_counts_as_an_attempt_and_what_never_left_does_not() {
    let mut world = World::with(|s| s.sender.retries = 1).warm();
    world.fault(Fault::Cut { append: false });
    world.fault(Fault::Cut { append: false });
    let a = world.send("a");
    world.run_for(10_000);
    assert_eq!(failed(a), (FailureKind::RetriesExhausted, MAYBE));
    let mut world = World::with(|s| s.sender.retries = 0).warm();
    world.down = vec![1];
    world.cut(1);
    let a = world.send("a");
    world.run_for(5_000);
    world.down.clear();
    world.run_for(10_000);
    delivered(a);
}

#[test]
fn a_code_on_which_the_user_gives_up_at_once_ends_the_batch_with_its_true_fate() {
    for (fault, kind, fate) in [
        (Fault::Refuse(19), FailureKind::Broker, Fate::NotWritten),
        (Fault::AppendThen(7), FailureKind::Broker, Fate::MaybeWritten),
        (Fault::Cut { append: false }, FailureKind::Broker, Fate::MaybeWritten),
    ] {
        let mut world = World::with(|s| {
            s.sender.fail_at_once = [19, 7, 13].map(milena_wire::ErrorCode).to_vec();
        })
        .warm();
        world.fault(fault.clone());
        let delivery = world.send("once");
        world.run_for(1_000);
        assert_eq!(failed(delivery), (kind, fate), "{fault:?}");
        assert_eq!(world.seen.iter().filter(|seen| seen.values == ["once"]).count(), 1, "{fault:?}");
        let after = world.send("after");
        world.run_for(1_000);
        delivered(after);
        let log = world.log();
        assert_eq!(log.last().map(String::as_str), Some("after"), "{fault:?}: {log:?}");
        assert_eq!(log.contains(&"once".to_owned()), matches!(fault, Fault::AppendThen(_)), "{fault:?}");
    }
}

#[test]
fn giving_up_at_once_on_one_code_leaves_others_to_be_sent_again() {
    let mut world = World::with(|s| s.sender.fail_at_once = vec![milena_wire::ErrorCode::NOT_ENOUGH_REPLICAS]).warm();
    world.fault(Fault::Refuse(6));
    let delivery = world.send("moved");
    world.run_for(1_000);
    delivered(delivery);
}
