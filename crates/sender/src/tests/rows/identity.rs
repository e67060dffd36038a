//! Epochs and sequences at the end of their range.

use milena_accumulator::Urgency;
use milena_sequence::Stream;
use milena_wire::Sequence;

use super::super::world::*;
use super::Row;

#[test]
fn row_062_after_epoch_32767_comes_a_new_producer_id() {
    let mut world = World::new();
    world.next_epoch = i16::MAX;
    let mut world = world.warm();
    delivered(world.send_to("t", 1, "warm"));
    // One partition loses an answer under the old id at the time at which the other one's last epoch ends.
    world.partition("t", 1).faults.push_back(Fault::AppendThen(7));
    world.fault(Fault::Refuse(45));
    world.hold_answers = true;
    let mut row = Row::on(world);
    for value in ["a", "b", "c"] {
        row.send(value);
        row.send_to("t", 1, value);
    }
    row.world.release_answers();
    row.world.run_for(2000);
    row.send("d");
    row.send_to("t", 1, "d");
    row.world.run_for(100);
    let (world, words) = row.judge(40);
    assert_eq!(words, "DDDDDDDD");
    assert_eq!(world.init_requests, 2, "one id for all, asked for once more");
    assert!(world.seen.iter().all(|seen| seen.stamp.1 >= 0), "an epoch never becomes negative");
    let of = |partition: i32, value: &str| {
        let last = world.seen.iter().rev().find(|seen| seen.partition == partition && seen.values == [value]);
        last.unwrap().stamp
    };
    assert_eq!([of(0, "a"), of(0, "b"), of(0, "c")], [(7001, 0, 0), (7001, 0, 1), (7001, 0, 2)]);
    assert_eq!(
        (of(1, "a").0, of(1, "d").0),
        (7000, 7001),
        "what was lost keeps its stamp, what comes after it is resolved does not"
    );
}

#[test]
fn row_063_the_sequence_after_the_last_is_zero() {
    let mut row = Row::on(World::new());
    row.world.add_topic("w", 1);
    row.send_to("w", 0, "first");
    row.world.run_for(50);
    row.world.seen.clear();
    let topic = row.world.sender.topics.find(&name("w")).unwrap();
    let slot = row.world.sender.topics.list[topic].slots[0];
    let stream = &mut row.world.sender.partitions.get_mut(slot).unwrap().stream;
    let identity = stream.identity().unwrap();
    *stream = Stream::stamped(5);
    stream.offer(identity);
    stream.start_at(Sequence::new(i32::MAX - 4).unwrap());
    row.world.partition("w", 0).log.forget_producers();
    let batch = |row: &mut Row, number: i32| {
        row.queue_to("w", 0, &format!("{number}a"), Urgency::Linger);
        row.queue_to("w", 0, &format!("{number}b"), Urgency::Linger);
        row.send_to("w", 0, &format!("{number}c"));
    };
    batch(&mut row, 0);
    // The answer to the batch that straddles the wrap is lost, the next is refused, and the one behind that is out of order.
    row.world.partition("w", 0).faults.extend([Fault::AppendThen(7), Fault::Refuse(19)]);
    row.world.hold_answers = true;
    for number in 1..4 {
        batch(&mut row, number);
    }
    row.world.release_answers();
    row.world.run_for(3000);
    let (world, words) = row.judge(25);
    assert_eq!(words, "D".repeat(13));
    let stamps: Vec<_> = world.seen.iter().map(|seen| seen.stamp).collect();
    let own = |sequence| (7000, 0, sequence);
    assert_eq!(stamps[..4], [own(i32::MAX - 4), own(i32::MAX - 1), own(1), own(4)]);
    assert!(stamps[4..].iter().all(|again| stamps[1..4].contains(again)), "no other stamps: {stamps:?}");
    assert_eq!(world.sender.metrics().snapshot().epoch_bumps, 0);
}
