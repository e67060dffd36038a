//! Records that nothing bad happens to: what goes into which request, and when.

use std::time::Duration;

use milena_accumulator::Urgency;
use milena_wire::{Codec, Compression, Offset, PartitionId, Timestamp};

use super::world::*;
use crate::{Command, CommandResult, Guarantee, Input, Output};

#[test]
fn a_record_is_delivered_with_its_offset() {
    let mut world = World::new();
    let a = world.send("a");
    world.run_for(100);
    let receipt = delivered(a);
    assert_eq!(receipt.offset, Some(Offset(0)));
    assert!(receipt.acknowledged);
    assert_eq!(world.seen[0].stamp, (7000, 0, 0));
    assert_eq!((world.init_requests, world.requests), (1, 1));
    let b = world.send("b");
    assert_eq!(delivered(b).offset, Some(Offset(1)));
    assert_eq!(world.seen[1].stamp, (7000, 0, 1));
}

#[test]
fn records_for_a_topic_not_yet_known_are_delivered_in_order() {
    let mut world = World::new();
    let deliveries: Vec<_> = (0..20).map(|n| world.queue(&format!("{n}"))).collect();
    world.run_for(100);
    for delivery in deliveries {
        delivered(delivery);
    }
    let expected: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    assert_eq!(world.log(), expected);
}

#[test]
fn an_open_batch_waits_for_its_linger_and_no_longer() {
    let mut world = World::with(|s| s.sender.linger = Duration::from_millis(20)).warm();
    let a = world.queue("a");
    world.run_for(10);
    let b = world.queue("b");
    world.run_for(9);
    assert_eq!(world.requests, 0);
    world.run_for(1);
    assert_eq!(world.seen[0].values, ["a", "b"]);
    delivered(a);
    delivered(b);
}

#[test]
fn an_urgent_record_does_not_linger() {
    let mut world = World::with(|s| s.sender.linger = Duration::from_secs(5)).warm();
    let a = world.send("a");
    delivered(a);
    assert_eq!(world.now_ms(), 1050);
}

#[test]
fn a_full_batch_does_not_linger() {
    let mut world = World::with(|s| {
        s.sender.linger = Duration::from_secs(5);
        s.accumulator.batch_size = 1000;
    })
    .warm();
    let value = "x".repeat(400);
    let deliveries: Vec<_> = (0..3).map(|_| world.queue(&value)).collect();
    world.run();
    assert_eq!(world.seen.len(), 1, "two records fit, the third closed their batch");
    assert_eq!(world.seen[0].values.len(), 2);
    world.run_for(5000);
    deliveries.into_iter().for_each(|delivery| {
        delivered(delivery);
    });
}

#[test]
fn a_request_that_goes_out_takes_lingering_batches_of_the_same_broker_along() {
    let mut world = World::with(|s| s.sender.linger = Duration::from_secs(5)).warm();
    world.move_leader("t", 3, 2);
    world.refresh();
    let lingering: Vec<_> = [1, 2, 3].map(|p| world.append("t", Some(p), "l", Urgency::Linger)).into();
    world.run();
    assert_eq!(world.requests, 0);
    delivered(world.send("now"));
    assert_eq!(world.requests, 1);
    let partitions: Vec<i32> = world.seen.iter().map(|seen| seen.partition).collect();
    assert_eq!(partitions, [0, 1, 2], "partition 3 is another broker's");
    assert!(!lingering[2].is_done());
}

#[test]
fn batches_grow_while_the_connection_has_unwritten_bytes() {
    let mut world = World::new().warm();
    world.jammed = true;
    let a = world.queue("a");
    world.run();
    let later: Vec<_> = ["b", "c", "d"].map(|value| world.queue(value)).into();
    world.run();
    assert_eq!(world.seen.iter().map(|s| s.values.clone()).collect::<Vec<_>>(), [vec!["a"]]);
    world.jammed = false;
    world.run();
    assert_eq!(world.seen[1].values, ["b", "c", "d"]);
    delivered(a);
    later.into_iter().for_each(|delivery| {
        delivered(delivery);
    });
}

#[test]
fn batches_grow_while_no_request_has_a_slot() {
    let mut world = World::with(|s| s.cluster.max_in_flight = 1).warm();
    world.hold_answers = true;
    let a = world.queue("a");
    world.run();
    let b = world.queue("b");
    let c = world.queue("c");
    world.run_for(100);
    assert_eq!(world.seen.len(), 1);
    world.release_answers();
    assert_eq!(world.seen[1].values, ["b", "c"]);
    [a, b, c].into_iter().for_each(|delivery| {
        delivered(delivery);
    });
}

/// The delivery timeout of each is minutes away when it is delivered.
#[test]
fn batches_that_were_delivered_leave_no_timers_behind() {
    let mut world = World::with(|setup| setup.sender.linger = Duration::from_millis(5)).warm();
    for _ in 0..1_000 {
        let delivery = world.queue("lingers");
        world.run_for(10);
        delivered(delivery);
        assert!(world.sender.timers.len() < 100, "{} timers", world.sender.timers.len());
    }
}

#[test]
fn whatever_lingers_goes_along_with_each_request() {
    let mut world = World::with(|setup| setup.sender.linger = Duration::from_secs(60)).warm();
    let before = (world.requests, world.seen.len());
    for round in 1..=3 {
        let mut deliveries = [1, 2]
            .map(|partition| world.append("t", Some(partition), "lingers", Urgency::Linger))
            .into_iter()
            .collect::<Vec<_>>();
        world.run();
        deliveries.push(world.send("now"));
        assert_eq!(
            (world.requests, world.seen.len()),
            (before.0 + round, before.1 + 3 * round),
            "one request for three"
        );
        deliveries.into_iter().for_each(|delivery| {
            delivered(delivery);
        });
    }
}

/// Two partitions of a broker whose requests have room for one of their batches: how many requests there were once something was sent to the
/// first, and then an urgent record to the second.
fn with_room_for_one(first: usize) -> (usize, usize) {
    let mut world = World::with(|setup| {
        setup.sender.linger = Duration::from_secs(60);
        setup.sender.max_request_size = 1000;
    })
    .warm();
    let before = world.requests;
    let mut deliveries = vec![world.append("t", Some(1), &"x".repeat(700), Urgency::Linger)];
    world.run();
    deliveries.push(world.send(&"y".repeat(first)));
    let sent = world.requests - before;
    deliveries.push(world.append("t", Some(1), "urgent", Urgency::Now));
    world.run();
    let all = world.requests - before;
    deliveries.into_iter().for_each(|delivery| {
        delivered(delivery);
    });
    (sent, all)
}

#[test]
fn a_lingering_batch_that_has_no_room_in_a_request_goes_on_lingering_and_stays_heard_of() {
    assert_eq!(with_room_for_one(600), (1, 2));
}

#[test]
fn a_lingering_batch_that_was_closed_for_a_request_that_has_no_room_is_sent_next() {
    assert_eq!(with_room_for_one(300), (2, 3), "the urgent record begins another");
}

#[test]
fn a_partition_without_work_has_no_backlog() {
    let mut world = World::new().warm();
    let delivery = world.send("a");
    world.run_for(1_000);
    delivered(delivery);
    assert_eq!(world.sender.partitions.get(0).map(|partition| partition.backlog), Some(0));
}

#[test]
fn memory_pressure_cuts_linger_for_as_long_as_it_lasts() {
    let mut world = World::with(|s| {
        s.sender.linger = Duration::from_secs(60);
        s.accumulator.buffer_memory = 64 << 10;
        s.accumulator.batch_size = 48 << 10;
    })
    .warm();
    let large = "x".repeat(30 << 10);
    let a = world.queue(&large);
    world.run();
    assert!(!a.is_done(), "it lingers");
    let mut waiter = Box::pin(world.accumulator.reserve(60 << 10));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(std::future::Future::poll(waiter.as_mut(), &mut context).is_pending());
    world.run();
    delivered(a);
    let std::task::Poll::Ready(Ok(granted)) = std::future::Future::poll(waiter.as_mut(), &mut context) else {
        panic!("the memory is free")
    };
    drop(granted);
    let b = world.queue("b");
    world.run_for(1_000);
    assert!(!b.is_done(), "nobody waits any more, so it lingers");
}

#[test]
fn a_request_is_no_larger_than_its_limit() {
    let mut world = World::with(|s| s.sender.max_request_size = 1000).warm();
    world.jammed = true;
    let warm = world.send("blocks the connection");
    let value = "x".repeat(300);
    let deliveries: Vec<_> = [0, 1, 2, 3].map(|p| world.append("t", Some(p), &value, Urgency::Now)).into();
    world.run();
    world.jammed = false;
    world.run_for(50);
    delivered(warm);
    deliveries.into_iter().for_each(|delivery| {
        delivered(delivery);
    });
    for request in 1..=world.requests {
        let bytes: usize = world.seen.iter().filter(|s| s.request == request).map(|s| s.bytes).sum();
        assert!(bytes <= 1000, "{bytes}");
    }
}

#[test]
fn a_request_has_no_more_slices_than_its_limit() {
    let mut world = World::with(|s| s.sender.max_request_slices = 5).warm();
    let deliveries: Vec<_> = [0, 1, 2, 3].map(|p| world.append("t", Some(p), "v", Urgency::Now)).into();
    world.run_for(50);
    deliveries.into_iter().for_each(|delivery| {
        delivered(delivery);
    });
    for request in 1..=world.requests {
        assert!(world.seen.iter().filter(|s| s.request == request).count() <= 2, "a header and a payload slice each");
    }
}

#[test]
fn every_partition_gets_its_turn_when_requests_are_small() {
    let mut world = World::with(|s| {
        s.sender.max_request_size = 300;
        s.accumulator.batch_size = 200;
    })
    .warm();
    world.jammed = true;
    let mut deliveries = vec![world.send("x")];
    let value = "y".repeat(100);
    for _ in 0..5 {
        for partition in 0..4 {
            deliveries.push(world.append("t", Some(partition), &value, Urgency::Linger));
        }
    }
    world.jammed = false;
    world.run_for(200);
    deliveries.into_iter().for_each(|delivery| {
        delivered(delivery);
    });
    let first: std::collections::BTreeSet<i32> = world.seen.iter().skip(1).take(8).map(|s| s.partition).collect();
    assert_eq!(first.len(), 4, "{:?}", world.seen.iter().map(|s| s.partition).collect::<Vec<_>>());
}

#[test]
fn a_shut_gate_stops_its_own_partition_only() {
    let mut world = World::new().warm();
    world.hold_answers = true;
    // Partition 1 has no success yet, so it may have one batch in flight.
    let a = world.send_to("t", 1, "a");
    let b = world.send_to("t", 1, "b");
    let c = world.send_to("t", 2, "c");
    assert_eq!(world.seen.iter().map(|s| s.values[0].as_str()).collect::<Vec<_>>(), ["a", "c"]);
    world.release_answers();
    [a, b, c].into_iter().for_each(|delivery| {
        delivered(delivery);
    });
}

#[test]
fn batches_come_back_from_the_codec_in_any_order_and_are_sent_in_theirs() {
    let mut world = World::with(|s| {
        s.sender.seal_inline = false;
        s.accumulator.batch_size = 200;
        s.accumulator.compression = Compression::new(Codec::Lz4);
    })
    .warm();
    world.hold_seals = true;
    let value = |n: usize| format!("{n}{}", "z".repeat(120));
    let deliveries: Vec<_> = (0..4).map(|n| world.queue(&value(n))).collect();
    world.run_for(10);
    assert!(world.seals.len() >= 3, "sealed in parallel");
    while !world.seals.is_empty() {
        let last = world.seals.len() - 1;
        world.release_seal(last);
    }
    world.hold_seals = false;
    world.run_for(100);
    deliveries.into_iter().for_each(|delivery| {
        delivered(delivery);
    });
    let log = world.log();
    assert_eq!(log[1..], (0..4).map(value).collect::<Vec<_>>());
}

#[test]
fn without_acknowledgement_a_record_is_settled_when_it_is_written() {
    let mut world = World::with(|s| s.sender.guarantee = Guarantee::AtMostOnce);
    world.run();
    world.jammed = true;
    let a = world.send("a");
    for _ in 0..4 {
        world.jammed = true;
        world.run_for(10);
    }
    world.jammed = false;
    world.run_for(10);
    let receipt = delivered(a);
    assert_eq!((receipt.acknowledged, receipt.offset), (false, None));
    assert_eq!(world.init_requests, 0);
    assert_eq!(world.seen[0].stamp, (-1, -1, -1));
}

#[test]
fn at_least_once_has_one_batch_in_flight_per_partition_by_default() {
    let guarantee = Guarantee::AtLeastOnce { all_replicas: true };
    let mut world = World::with(|s| s.sender.guarantee = guarantee).warm();
    world.hold_answers = true;
    let a = world.send("a");
    let b = world.send("b");
    assert_eq!(world.seen.len(), 1);
    world.release_answers();
    assert_eq!(world.seen[1].values, ["b"]);
    [a, b].into_iter().for_each(|delivery| {
        delivered(delivery);
    });
}

#[test]
fn five_batches_of_a_partition_are_in_flight_at_most() {
    let mut world = World::with(|s| s.cluster.max_in_flight = 50).warm();
    world.hold_answers = true;
    let deliveries: Vec<_> = (0..9).map(|n| world.send(&n.to_string())).collect();
    assert_eq!(world.seen.len(), 5);
    world.release_answers();
    world.run_for(10);
    deliveries.into_iter().for_each(|delivery| {
        delivered(delivery);
    });
    assert_eq!(world.log()[1..].concat(), "012345678");
}

#[test]
fn a_throttled_broker_is_left_alone_until_the_time_is_over() {
    let mut world = World::new().warm();
    world.throttle_ms = 300;
    delivered(world.send("a"));
    world.throttle_ms = 0;
    let b = world.send("b");
    world.run_for(299);
    assert!(!b.is_done());
    world.run_for(2);
    delivered(b);
    assert_eq!(world.sender.metrics().snapshot().throttled, 1);
}

#[test]
fn old_brokers_are_spoken_to_by_topic_names() {
    let mut world = World::with(|_| {});
    world.produce_max = 7;
    let a = world.send("a");
    world.run_for(50);
    delivered(a);
}

#[test]
fn metrics_tell_how_far_records_came() {
    let mut world = World::new().warm();
    world.fault(Fault::Refuse(19));
    let a = world.send("abc");
    world.run_for(500);
    delivered(a);
    let metrics = world.sender.metrics().snapshot();
    assert_eq!((metrics.total.closed.records, metrics.total.delivered.records), (2, 2));
    assert_eq!((metrics.total.sent.records, metrics.total.retried.records), (3, 1));
    assert_eq!(metrics.topics[&name("t")], metrics.total);
    assert_eq!((metrics.requests, metrics.requests_in_flight), (3, 0));
    assert_eq!((metrics.queue_time.count(), metrics.request_latency.count()), (2, 3));
}

#[test]
fn an_idle_sender_sets_no_timers_of_its_own() {
    let mut world = World::new().warm();
    world.run_for(130_000);
    assert_eq!(world.sender.timers.peek(), None);
    assert!(world.sender.busy.is_empty());
    let id = world.command(Command::Flush);
    assert!(matches!(world.done[&id], CommandResult::Flushed));
}

#[test]
fn every_batch_whose_codec_failed_counts() {
    let world = World::new();
    let metrics = world.sender.metrics();
    let mut watch = crate::seal::CodecWatch::default();
    for failure in [None, Some("gzip encoder failed: no reason"), None, Some("the codec panicked: no reason")] {
        watch.check(&metrics, Timestamp::ZERO, &name("letters"), PartitionId(0), failure);
    }
    assert_eq!(metrics.snapshot().codec_failures, 2);
}

#[test]
fn requests_time_out_though_callers_ring_without_a_pause() {
    let mut world = World::new().warm();
    world.hold_answers = true;
    let _a = world.send("a");
    let mut closed = false;
    for _ in 0..60 {
        world.now = world.now + Duration::from_secs(1);
        // Never a tick.
        world.input(Input::Wake);
        while let Some(output) = world.sender.poll_output() {
            closed |= matches!(output, Output::Close { .. });
        }
    }
    assert!(closed, "the connection whose answer never came");
}
