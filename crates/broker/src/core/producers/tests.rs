use milena_wire::{Attributes, LeaderEpoch};

use super::*;

fn batch(pid: i64, epoch: i16, first: i32, count: i32) -> BatchHeader {
    BatchHeader {
        base_offset: Offset(0),
        batch_length: 100,
        leader_epoch: LeaderEpoch(0),
        crc: 0,
        attributes: Attributes(0),
        last_offset_delta: count - 1,
        base_timestamp: 0,
        max_timestamp: 0,
        producer_id: ProducerId(pid),
        producer_epoch: ProducerEpoch(epoch),
        base_sequence: first,
        record_count: count,
    }
}

/// A partition whose followers are in step.
struct Partition {
    producers: Producers,
    end: i64,
    stable: Option<i64>,
    profile: Profile,
}

impl Partition {
    fn new() -> Self {
        Self { producers: Producers::default(), end: 0, stable: None, profile: Profile::V4_3 }
    }

    /// The offset the batch has, or the code it is refused with.
    fn produce(&mut self, header: BatchHeader) -> Result<i64, ErrorCode> {
        match self.producers.judge(&header, self.profile) {
            Sequenced::Next => {
                let base = self.end;
                self.end += i64::from(header.record_count);
                let stable = Offset(self.stable.unwrap_or(self.end));
                self.producers.remember(&header, Offset(base), -1, stable);
                Ok(base)
            }
            Sequenced::Duplicate(remembered) => Ok(remembered.base_offset.0),
            Sequenced::Refused(refusal) => Err(refusal.code),
        }
    }
}

const GAP: ErrorCode = ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER;

#[test]
fn a_duplicate_among_the_last_five_gets_its_first_offset_again() {
    let mut p = Partition::new();
    for i in 0..6 {
        assert_eq!(p.produce(batch(1, 0, i * 10, 10)), Ok(i64::from(i) * 10));
    }
    for i in 1..6 {
        assert_eq!(p.produce(batch(1, 0, i * 10, 10)), Ok(i64::from(i) * 10), "batch {i} is one of the last five");
    }
    assert_eq!(p.produce(batch(1, 0, 0, 10)), Err(GAP), "the sixth last is forgotten");
    assert_eq!(p.end, 60);
}

#[test]
fn a_batch_that_only_begins_like_a_remembered_one_is_no_duplicate() {
    let mut p = Partition::new();
    p.produce(batch(1, 0, 0, 10)).unwrap();
    assert_eq!(p.produce(batch(1, 0, 0, 9)), Err(GAP));
}

#[test]
fn a_gap_is_refused_and_changes_nothing() {
    let mut p = Partition::new();
    p.produce(batch(1, 0, 0, 2)).unwrap();
    assert_eq!(p.produce(batch(1, 0, 3, 1)), Err(GAP));
    assert_eq!(p.produce(batch(1, 0, 2, 1)), Ok(2));
}

#[test]
fn sequences_wrap_to_zero_after_the_last_and_inside_a_batch() {
    let mut p = Partition::new();
    assert_eq!(p.produce(batch(1, 0, i32::MAX - 1, 2)), Ok(0), "up to 2^31 - 1 exactly");
    assert_eq!(p.produce(batch(1, 0, 0, 1)), Ok(2));
    let mut p = Partition::new();
    p.produce(batch(1, 0, i32::MAX - 1, 4)).unwrap();
    assert_eq!(p.produce(batch(1, 0, 3, 1)), Err(GAP), "2^31-2, 2^31-1, 0 and 1 are there; 2 follows");
    assert_eq!(p.produce(batch(1, 0, 2, 1)), Ok(4));
    assert_eq!(p.produce(batch(1, 0, i32::MAX - 1, 4)), Ok(0), "a duplicate although it wraps");
}

#[test]
fn an_old_epoch_is_refused_even_if_the_batch_is_there() {
    let mut p = Partition::new();
    p.produce(batch(1, 3, 0, 1)).unwrap();
    p.produce(batch(1, 4, 0, 1)).unwrap();
    assert_eq!(p.produce(batch(1, 3, 0, 1)), Err(ErrorCode::INVALID_PRODUCER_EPOCH));
    assert_eq!(p.produce(batch(1, 3, 1, 1)), Err(ErrorCode::INVALID_PRODUCER_EPOCH));
}

#[test]
fn a_new_epoch_starts_at_zero() {
    let mut p = Partition::new();
    p.produce(batch(1, 0, 0, 5)).unwrap();
    assert_eq!(p.produce(batch(1, 1, 5, 1)), Err(GAP));
    assert_eq!(p.produce(batch(1, 1, 0, 1)), Ok(5));
    assert_eq!(p.produce(batch(1, 1, 1, 1)), Ok(6));
}

#[test]
fn a_producer_without_state_may_start_anywhere_except_on_a_broker_of_2_1() {
    let mut p = Partition::new();
    assert_eq!(p.produce(batch(1, 0, 77, 1)), Ok(0));
    let mut old = Partition::new();
    old.profile = Profile::V2_1;
    assert_eq!(old.produce(batch(1, 0, 77, 1)), Err(ErrorCode::UNKNOWN_PRODUCER_ID));
    assert_eq!(old.produce(batch(1, 0, 0, 1)), Ok(0));
    assert_eq!(old.produce(batch(1, 0, 77, 1)), Err(GAP));
}

#[test]
fn producers_do_not_disturb_each_other_and_plain_batches_are_not_tracked() {
    let mut p = Partition::new();
    p.produce(batch(1, 0, 0, 1)).unwrap();
    p.produce(batch(2, 0, 0, 1)).unwrap();
    assert_eq!(p.produce(batch(-1, -1, -1, 1)), Ok(2));
    assert_eq!(p.produce(batch(-1, -1, -1, 1)), Ok(3));
    assert_eq!(p.produce(batch(1, 0, 1, 1)), Ok(4));
    assert_eq!(p.producers.largest_id(), Some(ProducerId(2)));
}

#[test]
fn a_log_that_is_cut_back_forgets_exactly_what_was_cut() {
    let mut p = Partition::new();
    p.stable = Some(6); // a follower has six batches and lags
    for i in 0..20 {
        p.produce(batch(1, 0, i, 1)).unwrap();
    }
    p.producers.truncate(Offset(6));
    p.end = 6;
    assert_eq!(p.produce(batch(1, 0, 1, 1)), Ok(1), "the five before the cut are remembered");
    assert_eq!(p.produce(batch(1, 0, 0, 1)), Err(GAP));
    assert_eq!(p.produce(batch(1, 0, 6, 1)), Ok(6), "what was cut can be written again");
    p.producers.truncate(Offset(0));
    assert_eq!(p.producers.largest_id(), None);
}

#[test]
fn a_cut_brings_an_older_epoch_back() {
    let mut p = Partition::new();
    p.stable = Some(1);
    p.produce(batch(1, 0, 0, 1)).unwrap();
    p.produce(batch(1, 1, 0, 1)).unwrap();
    p.producers.truncate(Offset(1));
    p.end = 1;
    assert_eq!(p.produce(batch(1, 0, 1, 1)), Ok(1));
}
