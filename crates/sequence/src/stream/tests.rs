use milena_wire::{BrokerId, ErrorCode, LeaderEpoch, ProducerEpoch, TopicId};

use super::*;
use crate::gate::{Gate, Reply, Turn, Why};
use crate::identity::{Answer, Stamp};
use crate::verdict::Verdict;

mod model;

const HERE: Route = Route { leader: BrokerId(1), epoch: LeaderEpoch(7), topic: TopicId([1; 16]) };
const THERE: Route = Route { leader: BrokerId(2), epoch: LeaderEpoch(8), topic: TopicId([1; 16]) };
const NONE: ErrorCode = ErrorCode::NONE;
const OUT_OF_ORDER: ErrorCode = ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER;
const LOST: ErrorCode = ErrorCode::NETWORK_EXCEPTION;
const NO_REPLICAS: ErrorCode = ErrorCode::NOT_ENOUGH_REPLICAS;
const INVALID: ErrorCode = ErrorCode::INVALID_RECORD;
const TOO_LARGE: ErrorCode = ErrorCode::MESSAGE_TOO_LARGE;

fn identity(producer_id: i64, epoch: i16) -> Identity {
    Identity { producer_id: ProducerId(producer_id), epoch: ProducerEpoch(epoch) }
}

fn count(n: usize) -> RecordCount {
    RecordCount::new(n).unwrap()
}

/// A stream with the batches it sent, driven by letters: batch 1, 2, … of ten records each.
struct Driver {
    stream: Stream,
    sent: Vec<(BatchKey, Attempt, Option<Stamp>)>,
    keys: u64,
}

impl Driver {
    fn new() -> Self {
        let mut stream = Stream::stamped(WINDOW);
        stream.offer(identity(1, 0));
        Self { stream, sent: Vec::new(), keys: 0 }
    }

    /// One whose gate is open: a batch, number 1, was acknowledged.
    fn flowing() -> Self {
        let mut driver = Self::new();
        let first = driver.send();
        assert_eq!(driver.verdict(first, NONE), Verdict::Complete { duplicate: false });
        driver
    }

    fn send_to(&mut self, route: Route) -> u64 {
        assert_eq!(self.stream.gate(route), Gate::Open(Turn::New));
        self.keys += 1;
        let key = BatchKey(self.keys);
        let sent = self.stream.send_new(key, count(10), route);
        self.sent.push((key, sent.attempt, sent.stamp));
        key.0
    }

    fn send(&mut self) -> u64 {
        self.send_to(HERE)
    }

    fn resend_to(&mut self, key: u64, route: Route) {
        assert_eq!(self.stream.gate(route), Gate::Open(Turn::Resend(BatchKey(key))));
        let sent = self.stream.resend(BatchKey(key), route).unwrap();
        self.sent.push((BatchKey(key), sent.attempt, sent.stamp));
    }

    fn resend(&mut self, key: u64) {
        self.resend_to(key, HERE);
    }

    fn attempt(&self, key: u64) -> Attempt {
        self.sent.iter().rfind(|(k, ..)| k.0 == key).unwrap().1
    }

    /// (epoch, sequence) of the last sending.
    fn stamp(&self, key: u64) -> (i16, i32) {
        let stamp = self.sent.iter().rfind(|(k, ..)| k.0 == key).unwrap().2.unwrap();
        (stamp.identity.epoch.0, stamp.sequence.get())
    }

    fn reply(&mut self, key: u64, code: ErrorCode) -> Reply {
        let attempt = self.attempt(key);
        self.stream.answer(BatchKey(key), attempt, &Answer::code(code))
    }

    fn answer(&mut self, key: u64, code: ErrorCode) {
        let _ = self.verdict(key, code);
    }

    fn verdict(&mut self, key: u64, code: ErrorCode) -> Verdict {
        match self.reply(key, code) {
            Reply::Verdict(verdict) => verdict,
            other => panic!("{key} {code}: {other:?}"),
        }
    }

    fn gate(&self) -> Gate {
        self.stream.gate(HERE)
    }

    fn withdrawn(&mut self) -> Vec<Withdrawn> {
        let mut out = Vec::new();
        self.stream.take_withdrawn(&mut out);
        out
    }

    fn next(&self) -> (i16, i32) {
        (self.stream.identity().unwrap().epoch.0, self.stream.next_sequence().get())
    }
}

fn unstamped(keys: &[u64]) -> Vec<Withdrawn> {
    keys.iter().map(|key| Withdrawn::Unstamped(BatchKey(*key))).collect()
}

#[test]
fn nothing_is_stamped_without_an_identity() {
    let mut stream = Stream::stamped(WINDOW);
    assert_eq!(stream.gate(HERE), Gate::Wait(Why::NoIdentity));
    assert_eq!(stream.wants_identity(), Some(None));
    stream.offer(identity(9, 0));
    assert_eq!(stream.gate(HERE), Gate::Open(Turn::New));
    assert_eq!(stream.wants_identity(), None);
}

#[test]
fn sequences_follow_each_other_and_wrap() {
    let mut driver = Driver::flowing();
    let (second, third) = (driver.send(), driver.send());
    assert_eq!([driver.stamp(second), driver.stamp(third)], [(0, 10), (0, 20)]);
    driver.stream.next = Sequence::new(i32::MAX - 4).unwrap();
    let wrapping = driver.send();
    let next = driver.send();
    assert_eq!([driver.stamp(wrapping), driver.stamp(next)], [(0, i32::MAX - 4), (0, 5)]);
}

#[test]
fn one_batch_is_in_flight_until_the_leader_accepts_it() {
    let mut driver = Driver::new();
    let first = driver.send();
    assert_eq!(driver.gate(), Gate::Wait(Why::FirstAck));
    driver.answer(first, NONE);
    driver.send();
    assert_eq!(driver.gate(), Gate::Open(Turn::New));
}

#[test]
fn a_success_opens_the_gate_for_its_own_leader_epoch_and_topic_only() {
    let mut driver = Driver::flowing();
    for route in [
        Route { epoch: LeaderEpoch(8), ..HERE },
        Route { leader: BrokerId(2), ..HERE },
        Route { topic: TopicId([2; 16]), ..HERE },
    ] {
        let mut other = Driver { stream: driver.stream.clone(), sent: Vec::new(), keys: 9 };
        other.send_to(route);
        assert_eq!(other.stream.gate(route), Gate::Wait(Why::FirstAck), "{route:?}");
    }
    driver.send();
    assert_eq!(driver.gate(), Gate::Open(Turn::New));
}

#[test]
fn any_error_closes_the_gate() {
    for code in [NO_REPLICAS, LOST, OUT_OF_ORDER] {
        let mut driver = Driver::flowing();
        let (a, b) = (driver.send(), driver.send());
        driver.answer(a, if code == OUT_OF_ORDER { LOST } else { code });
        driver.answer(b, code);
        driver.resend(a);
        assert_eq!(driver.gate(), Gate::Wait(Why::FirstAck), "{code}");
    }
}

#[test]
fn five_stamped_batches_are_open_at_most() {
    let mut driver = Driver::flowing();
    for _ in 0..WINDOW {
        driver.send();
    }
    assert_eq!(driver.gate(), Gate::Wait(Why::Full));
}

#[test]
fn batches_closed_behind_an_open_one_still_count_because_the_broker_counts_them() {
    let mut driver = Driver::flowing();
    let keys: Vec<u64> = (0..WINDOW).map(|_| driver.send()).collect();
    // The answer leaves the first one out.
    driver.answer(keys[0], LOST);
    for key in &keys[1..] {
        driver.answer(*key, NONE);
    }
    driver.resend(keys[0]);
    assert_eq!(driver.gate(), Gate::Wait(Why::Full), "one more would push the first out of the broker's window");
    driver.answer(keys[0], ErrorCode::DUPLICATE_SEQUENCE_NUMBER);
    assert!(driver.stream.is_resolved());
    assert_eq!(driver.gate(), Gate::Open(Turn::New));
}

#[test]
fn the_first_fails_and_all_are_sent_again_in_order_with_their_stamps() {
    let mut driver = Driver::flowing();
    let keys: Vec<u64> = (0..3).map(|_| driver.send()).collect();
    let stamps: Vec<_> = keys.iter().map(|key| driver.stamp(*key)).collect();
    driver.answer(keys[0], NO_REPLICAS);
    assert!(matches!(driver.gate(), Gate::Wait(_)), "those behind are answered first");
    assert_eq!(driver.verdict(keys[1], OUT_OF_ORDER), Verdict::Resend { refresh: false, ambiguous: false });
    assert_eq!(driver.verdict(keys[2], OUT_OF_ORDER), Verdict::Resend { refresh: false, ambiguous: false });
    driver.resend(keys[0]);
    assert_eq!(driver.gate(), Gate::Wait(Why::FirstAck));
    driver.answer(keys[0], NONE);
    driver.resend(keys[1]);
    driver.resend(keys[2]);
    assert_eq!(keys.iter().map(|key| driver.stamp(*key)).collect::<Vec<_>>(), stamps);
    driver.answer(keys[1], NONE);
    driver.answer(keys[2], NONE);
    assert_eq!(driver.next(), (0, 40), "no bump was needed");
}

#[test]
fn nothing_new_overtakes_a_batch_that_waits() {
    let mut driver = Driver::flowing();
    let a = driver.send();
    driver.answer(a, LOST);
    assert_eq!(driver.gate(), Gate::Open(Turn::Resend(BatchKey(a))));
}

#[test]
fn out_of_order_at_its_own_place_bumps_the_epoch_and_renumbers_even_the_ambiguous() {
    let mut driver = Driver::flowing();
    let (a, b) = (driver.send(), driver.send());
    driver.answer(a, LOST);
    driver.answer(b, LOST);
    driver.resend(a);
    assert_eq!(driver.verdict(a, OUT_OF_ORDER), Verdict::Renumber);
    assert!(driver.withdrawn().is_empty(), "the ambiguous one behind is asked about first");
    driver.resend(b);
    assert_eq!(driver.stamp(b), (0, 20), "with its old stamp");
    assert_eq!(driver.verdict(b, OUT_OF_ORDER), Verdict::Renumber);
    assert_eq!(driver.withdrawn(), unstamped(&[a, b]));
    assert_eq!(driver.next(), (1, 0));
}

#[test]
fn a_refused_batch_leaves_a_gap_and_those_behind_it_are_renumbered_in_order() {
    let mut driver = Driver::flowing();
    let (a, b, c) = (driver.send(), driver.send(), driver.send());
    assert_eq!(driver.verdict(a, INVALID), Verdict::Fail { fate: Fate::NotWritten });
    assert_eq!(driver.gate(), Gate::Wait(Why::Gap));
    assert_eq!(driver.verdict(b, OUT_OF_ORDER), Verdict::Renumber);
    assert!(driver.withdrawn().is_empty());
    assert_eq!(driver.verdict(c, OUT_OF_ORDER), Verdict::Renumber);
    assert_eq!(driver.withdrawn(), unstamped(&[b, c]));
    assert_eq!(driver.next(), (1, 0));
    assert_eq!(driver.gate(), Gate::Open(Turn::New));
}

#[test]
fn a_never_appended_batch_behind_a_gap_is_renumbered_without_asking() {
    let mut driver = Driver::flowing();
    let (a, b) = (driver.send(), driver.send());
    driver.answer(a, NO_REPLICAS);
    driver.answer(b, OUT_OF_ORDER);
    driver.resend(a);
    driver.answer(a, INVALID);
    assert_eq!(driver.withdrawn(), unstamped(&[b]));
}

#[test]
fn an_ambiguous_batch_behind_a_gap_that_turns_out_written_completes() {
    let mut driver = Driver::flowing();
    let (a, b) = (driver.send(), driver.send());
    driver.answer(a, NO_REPLICAS);
    driver.answer(b, LOST);
    assert_eq!(driver.gate(), Gate::Open(Turn::Resend(BatchKey(a))));
    assert_eq!(driver.stream.settle(BatchKey(a)), Some(Fate::NotWritten));
    driver.resend(b);
    assert_eq!(driver.verdict(b, NONE), Verdict::Complete { duplicate: false });
    assert!(driver.withdrawn().is_empty());
    assert_eq!(driver.next(), (1, 0));
}

#[test]
fn a_batch_proved_absent_while_its_successor_is_there_is_not_sent_again() {
    let mut driver = Driver::flowing();
    let (a, b) = (driver.send(), driver.send());
    driver.answer(a, LOST);
    driver.answer(b, NONE);
    driver.resend(a);
    assert_eq!(driver.verdict(a, OUT_OF_ORDER), Verdict::Renumber);
    assert_eq!(driver.withdrawn(), [Withdrawn::MaybeWritten(BatchKey(a))]);
}

#[test]
fn a_settled_batch_in_flight_stops_new_stamps_until_its_answer() {
    let mut driver = Driver::flowing();
    let a = driver.send();
    assert_eq!(driver.stream.settle(BatchKey(a)), Some(Fate::MaybeWritten));
    assert_eq!(driver.gate(), Gate::Wait(Why::Tombstone));
    assert_eq!(driver.reply(a, NONE), Reply::Tombstone { written: true });
    assert_eq!(driver.gate(), Gate::Open(Turn::New));
    assert_eq!(driver.next(), (0, 20));
}

#[test]
fn a_probe_that_is_accepted_resolves_the_tombstone_before_it() {
    let mut driver = Driver::flowing();
    let a = driver.send();
    driver.stream.settle(BatchKey(a));
    assert_eq!(driver.reply(a, LOST), Reply::Tombstone { written: false });
    assert!(!driver.stream.is_resolved());
    let probe = driver.send();
    assert_eq!(driver.stamp(probe), (0, 20), "under the old epoch");
    assert_eq!(driver.gate(), Gate::Wait(Why::Tombstone), "alone");
    assert_eq!(driver.verdict(probe, NONE), Verdict::Complete { duplicate: false });
    assert!(driver.stream.is_resolved());
    assert_eq!(driver.next(), (0, 30));
}

#[test]
fn a_probe_that_is_out_of_order_proves_the_tombstone_absent() {
    let mut driver = Driver::flowing();
    let a = driver.send();
    driver.answer(a, LOST);
    assert_eq!(driver.stream.settle(BatchKey(a)), Some(Fate::MaybeWritten));
    let probe = driver.send();
    assert_eq!(driver.verdict(probe, OUT_OF_ORDER), Verdict::Renumber);
    assert_eq!(driver.withdrawn(), unstamped(&[probe]));
    assert_eq!(driver.next(), (1, 0));
}

#[test]
fn an_ambiguous_batch_behind_a_tombstone_is_not_stamped_anew_because_requests_with_both_may_still_run() {
    let mut driver = Driver::flowing();
    let (lost, behind) = (driver.send(), driver.send());
    assert_eq!(driver.stream.settle(BatchKey(lost)), Some(Fate::MaybeWritten));
    assert_eq!(driver.reply(lost, LOST), Reply::Tombstone { written: false });
    driver.answer(behind, LOST);
    driver.resend(behind);
    assert_eq!(driver.verdict(behind, OUT_OF_ORDER), Verdict::Fail { fate: Fate::MaybeWritten });
    assert_eq!(driver.withdrawn(), []);
    assert_eq!(driver.next(), (1, 0), "the epoch is bumped, which shuts the door behind both");
}

#[test]
fn a_batch_never_appended_behind_a_tombstone_is_stamped_anew() {
    let mut driver = Driver::flowing();
    let lost = driver.send();
    assert_eq!(driver.stream.settle(BatchKey(lost)), Some(Fate::MaybeWritten));
    assert_eq!(driver.reply(lost, LOST), Reply::Tombstone { written: false });
    let probe = driver.send();
    assert_eq!(driver.verdict(probe, OUT_OF_ORDER), Verdict::Renumber);
    assert_eq!(driver.withdrawn(), unstamped(&[probe]));
}

#[test]
fn stamped_batches_behind_a_tombstone_are_answered_before_anything_new() {
    let mut driver = Driver::flowing();
    let (a, b) = (driver.send(), driver.send());
    driver.answer(a, LOST);
    driver.answer(b, LOST);
    driver.stream.settle(BatchKey(a));
    driver.resend(b);
    assert_eq!(driver.gate(), Gate::Wait(Why::Tombstone));
    driver.answer(b, NONE);
    assert!(driver.stream.is_resolved());
}

#[test]
fn a_tombstone_that_turns_out_refused_is_a_gap() {
    let mut driver = Driver::flowing();
    let (a, b) = (driver.send(), driver.send());
    driver.stream.settle(BatchKey(a));
    assert_eq!(driver.reply(a, NO_REPLICAS), Reply::Tombstone { written: false });
    assert_eq!(driver.gate(), Gate::Wait(Why::Gap));
    driver.answer(b, OUT_OF_ORDER);
    assert_eq!(driver.withdrawn(), unstamped(&[b]));
}

#[test]
fn five_tombstones_and_no_room_for_a_probe_bump_the_epoch() {
    let mut driver = Driver::new();
    for n in 0..WINDOW {
        assert_eq!(driver.next().0, 0, "after {n}");
        let key = driver.send();
        driver.answer(key, LOST);
        driver.stream.settle(BatchKey(key));
    }
    assert!(driver.stream.is_resolved());
    assert_eq!(driver.next(), (1, 0));
}

#[test]
fn a_batch_refused_at_every_attempt_expires_as_not_written_and_leaves_a_gap() {
    let mut driver = Driver::flowing();
    let a = driver.send();
    driver.answer(a, NO_REPLICAS);
    assert_eq!(driver.stream.settle(BatchKey(a)), Some(Fate::NotWritten));
    assert_eq!(driver.next(), (1, 0));
    assert!(driver.stream.is_resolved());
}

#[test]
fn an_attempt_that_was_not_sent_leaves_the_batch_as_it_was() {
    let mut driver = Driver::flowing();
    let a = driver.send();
    assert!(driver.stream.not_sent(BatchKey(a), driver.attempt(a)));
    assert_eq!(driver.stream.fate(BatchKey(a)), Some(Fate::NotWritten));
    driver.resend(a);
    driver.answer(a, LOST);
    driver.resend(a);
    assert!(driver.stream.not_sent(BatchKey(a), driver.attempt(a)));
    assert_eq!(driver.stream.fate(BatchKey(a)), Some(Fate::MaybeWritten));
}

#[test]
fn a_split_batch_keeps_its_records_sequences() {
    let mut driver = Driver::flowing();
    let (a, b) = (driver.send(), driver.send());
    assert_eq!(driver.verdict(a, TOO_LARGE), Verdict::Split);
    driver.stream.split(BatchKey(a), &[(BatchKey(100), count(4)), (BatchKey(101), count(6))]);
    driver.answer(b, OUT_OF_ORDER);
    driver.resend(100);
    driver.answer(100, NONE);
    driver.resend(101);
    driver.resend(b);
    assert_eq!([driver.stamp(100), driver.stamp(101), driver.stamp(b)], [(0, 10), (0, 14), (0, 20)]);
}

#[test]
fn pieces_count_towards_the_five() {
    let mut driver = Driver::flowing();
    let a = driver.send();
    assert_eq!(driver.verdict(a, TOO_LARGE), Verdict::Split);
    let pieces: Vec<_> = (100..110).map(|key| (BatchKey(key), count(1))).collect();
    driver.stream.split(BatchKey(a), &pieces);
    driver.resend(100);
    driver.answer(100, NONE);
    for key in 101..106 {
        driver.resend(key);
    }
    assert_eq!(driver.gate(), Gate::Wait(Why::Full));
    driver.answer(101, NONE);
    driver.resend(106);
}

#[test]
fn withdrawn_pieces_keep_nothing_behind_them_from_being_asked_for() {
    let mut driver = Driver::flowing();
    let a = driver.send();
    let behind: Vec<u64> = (0..4).map(|_| driver.send()).collect();
    assert_eq!(driver.verdict(a, TOO_LARGE), Verdict::Split);
    driver.stream.split(BatchKey(a), &[100, 101, 102].map(|key| (BatchKey(key), count(1))));
    behind.iter().for_each(|key| driver.answer(*key, LOST));
    driver.resend(100);
    assert_eq!(driver.verdict(100, INVALID), Verdict::Fail { fate: Fate::NotWritten });
    for key in &behind {
        driver.resend(*key);
        driver.answer(*key, OUT_OF_ORDER);
    }
    assert_eq!(driver.withdrawn(), unstamped(&[101, 102, behind[0], behind[1], behind[2], behind[3]]));
    assert_eq!(driver.next(), (1, 0));
}

#[test]
fn a_piece_behind_five_that_nobody_heard_of_is_sent() {
    let mut driver = Driver::flowing();
    let lost: Vec<u64> = (0..4).map(|_| driver.send()).collect();
    for key in &lost {
        driver.answer(*key, LOST);
        assert_eq!(driver.stream.settle(BatchKey(*key)), Some(Fate::MaybeWritten));
    }
    let large = driver.send();
    assert_eq!(driver.verdict(large, TOO_LARGE), Verdict::Split);
    driver.stream.split(BatchKey(large), &[100, 101].map(|key| (BatchKey(key), count(1))));
    driver.resend(100);
    driver.answer(100, LOST);
    assert_eq!(driver.stream.settle(BatchKey(100)), Some(Fate::MaybeWritten));
    driver.resend(101);
    driver.answer(101, NONE);
    assert!(driver.stream.is_resolved());
}

#[test]
fn a_newer_leader_makes_what_is_in_flight_ambiguous_and_late_answers_are_ignored() {
    let mut driver = Driver::flowing();
    let (a, b) = (driver.send(), driver.send());
    let old = [driver.attempt(a), driver.attempt(b)];
    assert!(driver.stream.is_elsewhere(THERE));
    let mut waiting = Vec::new();
    driver.stream.reroute(&mut waiting);
    assert_eq!(waiting, [BatchKey(a), BatchKey(b)]);
    driver.resend_to(a, THERE);
    assert_eq!(driver.stream.gate(THERE), Gate::Wait(Why::FirstAck));
    assert_eq!(driver.stream.answer(BatchKey(a), old[0], &Answer::code(NONE)), Reply::Late);
    assert_eq!(driver.stream.answer(BatchKey(b), old[1], &Answer::code(INVALID)), Reply::Late);
    driver.answer(a, NONE);
    assert_eq!(driver.stream.fate(BatchKey(b)), Some(Fate::MaybeWritten));
    driver.resend_to(b, THERE);
    driver.answer(b, ErrorCode::DUPLICATE_SEQUENCE_NUMBER);
    assert!(driver.stream.is_resolved());
}

#[test]
fn without_stamps_the_old_leader_answers_before_anything_goes_to_the_new_one() {
    let mut stream = Stream::plain(Protection::Plain, 2);
    let sent = stream.send_new(BatchKey(1), count(1), HERE);
    assert_eq!(sent.stamp, None);
    let mut waiting = Vec::new();
    stream.reroute(&mut waiting);
    assert!(waiting.is_empty());
    assert_eq!(stream.gate(HERE), Gate::Open(Turn::New));
    assert_eq!(stream.gate(THERE), Gate::Wait(Why::OldLeader));
    let reply = stream.answer(BatchKey(1), sent.attempt, &Answer::code(ErrorCode::NOT_LEADER_OR_FOLLOWER));
    assert_eq!(reply, Reply::Verdict(Verdict::Resend { refresh: true, ambiguous: true }));
    assert_eq!(stream.gate(THERE), Gate::Open(Turn::Resend(BatchKey(1))));
}

#[test]
fn a_settled_batch_without_a_stamp_holds_its_place_until_answered() {
    let mut stream = Stream::plain(Protection::Plain, 1);
    let sent = stream.send_new(BatchKey(1), count(1), HERE);
    assert_eq!(stream.settle(BatchKey(1)), Some(Fate::MaybeWritten));
    assert_eq!(stream.gate(HERE), Gate::Wait(Why::Full));
    assert_eq!(stream.answer(BatchKey(1), sent.attempt, &Answer::code(LOST)), Reply::Tombstone { written: false });
    assert!(stream.is_resolved());
}

#[test]
fn the_last_epoch_is_followed_by_a_new_producer_id_and_never_by_none() {
    let mut driver = Driver::new();
    driver.stream.identity = Some(identity(1, i16::MAX));
    let first = driver.send();
    driver.answer(first, NONE);
    let (a, b) = (driver.send(), driver.send());
    driver.answer(a, INVALID);
    driver.answer(b, OUT_OF_ORDER);
    assert_eq!(driver.withdrawn(), unstamped(&[b]));
    assert_eq!(driver.gate(), Gate::Wait(Why::NoIdentity));
    assert_eq!(driver.stream.wants_identity(), Some(Some(ProducerId(1))));
    driver.stream.offer(identity(1, 0));
    assert_eq!(driver.gate(), Gate::Wait(Why::NoIdentity), "the used-up id is no use");
    driver.stream.offer(identity(2, 0));
    assert_eq!(driver.next(), (0, 0));
    assert_eq!(driver.gate(), Gate::Open(Turn::New));
}

#[test]
fn a_new_producer_id_is_adopted_when_nothing_is_open_under_the_old_one() {
    let mut driver = Driver::flowing();
    let a = driver.send();
    driver.stream.offer(identity(2, 0));
    assert_eq!(driver.stream.identity(), Some(identity(1, 0)));
    driver.answer(a, NONE);
    assert_eq!(driver.stream.identity(), Some(identity(2, 0)));
    assert_eq!(driver.next(), (0, 0));
    driver.send();
    assert_eq!(driver.gate(), Gate::Wait(Why::FirstAck), "the gate is for the old id");
}

#[test]
fn a_forgotten_producer_bumps_the_epoch_of_what_was_never_appended() {
    let mut driver = Driver::flowing();
    let a = driver.send();
    let answer = Answer { log_start: Some(Offset(500)), ..Answer::code(ErrorCode::UNKNOWN_PRODUCER_ID) };
    let reply = driver.stream.answer(BatchKey(a), driver.attempt(a), &answer);
    assert_eq!(reply, Reply::Verdict(Verdict::Renumber));
    assert_eq!(driver.withdrawn(), unstamped(&[a]));
    assert_eq!(driver.next(), (1, 0));
}

#[test]
fn an_ambiguous_batch_of_a_fenced_epoch_fails_and_the_epoch_is_bumped() {
    let mut driver = Driver::flowing();
    let a = driver.send();
    driver.answer(a, LOST);
    driver.resend(a);
    assert_eq!(driver.verdict(a, ErrorCode::INVALID_PRODUCER_EPOCH), Verdict::Fail { fate: Fate::MaybeWritten });
    assert_eq!(driver.next(), (1, 0));
}

#[test]
fn a_recreated_topic_starts_a_new_stream_whose_old_answers_are_late() {
    let mut driver = Driver::flowing();
    let a = driver.send();
    driver.stream.restart();
    assert_eq!(driver.next(), (1, 0));
    assert_eq!(driver.reply(a, NONE), Reply::Late);
    driver.send();
    assert_eq!(driver.gate(), Gate::Wait(Why::FirstAck));
}

#[test]
fn a_batch_with_invalid_records_keeps_its_place_in_the_order_without_its_stamp() {
    let mut driver = Driver::flowing();
    let (a, b) = (driver.send(), driver.send());
    let answer = Answer { names_records: true, ..Answer::code(INVALID) };
    let reply = driver.stream.answer(BatchKey(a), driver.attempt(a), &answer);
    assert_eq!(reply, Reply::Verdict(Verdict::FailRecords));
    driver.answer(b, OUT_OF_ORDER);
    assert_eq!(driver.withdrawn(), unstamped(&[a, b]));
}
