//! The machine alone, answer by answer.

use std::time::Duration;

use milena_sequence::{Fate, Identity, Stamp};
use milena_wire::{ErrorCode, PartitionId, ProducerEpoch, ProducerId, Sequence, Timestamp};

use super::world::batch;
use crate::replay::{Answer, Next, Replayer, Rules, Step, Stop, Unresolved};
use crate::{Head, Place, Progress, Trying};

const WALL: i64 = 1_700_000_000_000;
const T0: Timestamp = Timestamp::ZERO;

fn stamp(id: i64, epoch: i16, sequence: i32) -> Stamp {
    let identity = Identity { producer_id: ProducerId(id), epoch: ProducerEpoch(epoch) };
    Stamp { identity, sequence: Sequence::new(sequence).unwrap() }
}

fn head(offset: i64, fate: Fate, stamp: Option<Stamp>) -> Head {
    let (mut header, payload) = batch(&[1, 2], WALL, stamp);
    header.base_offset = milena_wire::Offset(offset);
    Head { header, payload, fate, code: ErrorCode::NONE, cause: String::new(), when_ms: WALL, named: None }
}

fn replayer(progress: Progress) -> Replayer {
    Replayer::new(Rules::default(), Place::Partition(PartitionId(0)), Some(progress))
}

fn lenient(progress: Option<Progress>) -> Replayer {
    let rules = Rules { accept_duplicates: true, ..Rules::default() };
    Replayer::new(rules, Place::Partition(PartitionId(0)), progress)
}

/// Drives it to its sending; says what was written down before and what is sent.
fn to_send(replayer: &mut Replayer, now: Timestamp, head: &Head) -> (Progress, Stamp) {
    let mut saved = Progress::default();
    loop {
        match replayer.step(now, WALL, Some(head), true) {
            Step::Identify => assert!(replayer.identified(stamp(9, 0, 0).identity)),
            Step::Save(progress) => {
                saved = progress;
                replayer.saved();
            }
            Step::Send(stamp) => return (saved, stamp),
            step => panic!("{step:?}"),
        }
    }
}

fn own(next: i64, sequence: i32) -> Progress {
    Progress { next, own: Some(stamp(9, 0, sequence)), ..Progress::default() }
}

#[test]
fn what_is_sent_is_written_down_first_and_numbering_goes_on_behind_it() {
    let mut replayer = replayer(Progress::default());
    let first = head(0, Fate::NotWritten, None);
    assert_eq!(replayer.step(T0, WALL, Some(&first), false), Step::Ready);
    let (saved, sent) = to_send(&mut replayer, T0, &first);
    assert_eq!(sent, stamp(9, 0, 0));
    assert_eq!(saved.trying, Some(Trying { stamp: sent, own: true, since_ms: WALL }));
    assert_eq!(replayer.step(T0, WALL, Some(&first), true), Step::InFlight);
    assert_eq!(replayer.answered(T0, &first, Answer::Code(ErrorCode::NONE)), Next::Written);
    assert_eq!(replayer.step(T0, WALL, Some(&first), true), Step::Save(own(2, 2)));
    replayer.saved();
    assert_eq!(to_send(&mut replayer, T0, &head(2, Fate::NotWritten, None)).1, stamp(9, 0, 2));
}

#[test]
fn one_save_says_that_a_batch_is_done_and_what_the_next_is_sent_as() {
    let mut replayer = replayer(own(0, 0));
    let (first, second) = (head(0, Fate::NotWritten, None), head(2, Fate::NotWritten, None));
    let _sent = to_send(&mut replayer, T0, &first);
    assert_eq!(replayer.answered(T0, &first, Answer::Code(ErrorCode::NONE)), Next::Written);
    replayer.go_on(WALL, &second);
    let trying = Trying { stamp: stamp(9, 0, 2), own: true, since_ms: WALL };
    let both = Progress { trying: Some(trying), ..own(2, 2) };
    assert_eq!(replayer.step(T0, WALL, Some(&first), true), Step::Save(both));
    replayer.saved();
    assert_eq!(replayer.step(T0, WALL, Some(&second), true), Step::Send(trying.stamp));
    assert_eq!(replayer.answered(T0, &second, Answer::Code(ErrorCode::NONE)), Next::Written);
    // What is to be put aside, or is too old to be taken back, waits until it is the head.
    let mut old = head(4, Fate::NotWritten, None);
    old.header.max_timestamp = 0;
    for following in [old, head(4, Fate::MaybeWritten, None)] {
        replayer.go_on(WALL, &following);
        assert_eq!(replayer.step(T0, WALL, Some(&second), true), Step::Save(own(4, 4)));
    }
}

#[test]
fn a_restarted_replay_sends_the_same_again() {
    let trying = Trying { stamp: stamp(9, 3, 40), own: true, since_ms: WALL };
    let mut again = replayer(Progress { trying: Some(trying), ..own(6, 40) });
    let it = head(6, Fate::NotWritten, None);
    assert_eq!(again.step(T0, WALL, Some(&it), true), Step::Send(trying.stamp));
    assert_eq!(again.answered(T0, &it, Answer::Code(ErrorCode::DUPLICATE_SEQUENCE_NUMBER)), Next::Written);
    // What it had tried is gone from the disk: its sequences are not given to another batch.
    let mut other =
        replayer(Progress { trying: Some(trying), own: Some(trying.stamp), next: 4, ..Progress::default() });
    assert_eq!(to_send(&mut other, T0, &it).1, stamp(9, 4, 0));
}

#[test]
fn a_lost_answer_is_waited_out_and_the_same_is_sent_again() {
    let mut replayer = replayer(own(0, 0));
    let it = head(0, Fate::NotWritten, None);
    let sent = to_send(&mut replayer, T0, &it).1;
    assert_eq!(replayer.answered(T0, &it, Answer::Lost), Next::Again { refresh: true });
    let until = T0 + Duration::from_millis(100);
    assert_eq!(replayer.step(T0, WALL, Some(&it), true), Step::Wait(until));
    assert_eq!(replayer.step(until, WALL, Some(&it), true), Step::Send(sent));
    // Now a refusal that would do for a batch that was never sent proves nothing.
    let _ = replayer.answered(until, &it, Answer::Code(ErrorCode::MESSAGE_TOO_LARGE));
    let Step::SetAside(aside) = replayer.step(until, WALL, Some(&it), true) else { panic!("not put aside") };
    assert_eq!((aside.fate, aside.stamp), (Fate::MaybeWritten, Some(sent)));
    assert_eq!(aside.progress.own, Some(stamp(9, 1, 0)), "its sequences may be used up");
}

#[test]
fn a_refusal_of_what_was_never_sent_before_uses_no_sequence_up() {
    let mut replayer = replayer(own(0, 5));
    let it = head(0, Fate::NotWritten, None);
    let _sent = to_send(&mut replayer, T0, &it);
    let _ = replayer.answered(T0, &it, Answer::Code(ErrorCode::MESSAGE_TOO_LARGE));
    let Step::SetAside(aside) = replayer.step(T0, WALL, Some(&it), true) else { panic!("not put aside") };
    assert_eq!((aside.fate, aside.stamp, aside.progress), (Fate::NotWritten, None, own(2, 5)));
}

#[test]
fn an_older_batch_than_brokers_remember_is_put_aside_unless_duplicates_are_accepted() {
    let first = stamp(5, 0, 7);
    let mut old = head(0, Fate::MaybeWritten, Some(first));
    old.header.max_timestamp = WALL - 24 * 3_600_000;
    let Step::SetAside(aside) = replayer(Progress::default()).step(T0, WALL, Some(&old), true) else {
        panic!("not put aside")
    };
    assert_eq!((aside.why, aside.stamp), (Unresolved::Forgotten, Some(first)));
    assert_eq!(to_send(&mut lenient(Some(Progress::default())), T0, &old).1, first);
    // The same of its own sending, if the records are old: one attempt, and no other once that may have arrived.
    let mut own_try = replayer(own(0, 0));
    old.fate = Fate::NotWritten;
    let _sent = to_send(&mut own_try, T0, &old);
    let _ = own_try.answered(T0, &old, Answer::Lost);
    let later = T0 + Duration::from_secs(1);
    let Step::SetAside(aside) = own_try.step(later, WALL, Some(&old), true) else { panic!("not put aside") };
    assert_eq!((aside.why, aside.fate), (Unresolved::Forgotten, Fate::MaybeWritten));
}

#[test]
fn absence_is_proved_only_behind_a_batch_that_is_certainly_absent() {
    let refusal = Answer::Code(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    let it = head(4, Fate::MaybeWritten, Some(stamp(5, 0, 8)));
    let mut unknown = replayer(Progress { next: 4, ..Progress::default() });
    assert_eq!(to_send(&mut unknown, T0, &it).1, stamp(5, 0, 8));
    let _ = unknown.answered(T0, &it, refusal);
    assert!(matches!(unknown.step(T0, WALL, Some(&it), true), Step::SetAside(_)));
    // The batch before it was not written, and carries the sequences before it.
    let before = head(2, Fate::NotWritten, Some(stamp(5, 0, 6)));
    let mut known = replayer(own(2, 0));
    let _sent = to_send(&mut known, T0, &before);
    assert_eq!(known.answered(T0, &before, Answer::Code(ErrorCode::NONE)), Next::Written);
    let Step::Save(progress) = known.step(T0, WALL, Some(&before), true) else { panic!("not saved") };
    assert_eq!(progress.behind, Some(stamp(5, 0, 8)));
    known.saved();
    assert_eq!(to_send(&mut known, T0, &it).1, stamp(5, 0, 8));
    let _ = known.answered(T0, &it, refusal);
    assert_eq!(to_send(&mut known, T0, &it).1, stamp(9, 0, 2), "under the replay's own identity");
}

#[test]
fn a_broker_that_remembers_otherwise_stops_the_folder_unless_this_run_knows_better() {
    let refusal = Answer::Code(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    let it = head(0, Fate::NotWritten, None);
    let mut unconfirmed = replayer(own(0, 30));
    let _sent = to_send(&mut unconfirmed, T0, &it);
    let _ = unconfirmed.answered(T0, &it, refusal);
    let diverged = Stop::Diverged(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(unconfirmed.step(T0, WALL, Some(&it), true), Step::Stopped(diverged));
    let mut confirmed = replayer(own(0, 30));
    let _sent = to_send(&mut confirmed, T0, &it);
    let _ = confirmed.answered(T0, &it, Answer::Code(ErrorCode::NONE));
    let _save = confirmed.step(T0, WALL, Some(&it), true);
    confirmed.saved();
    let next = head(2, Fate::NotWritten, None);
    let _sent = to_send(&mut confirmed, T0, &next);
    let _ = confirmed.answered(T0, &next, refusal);
    assert_eq!(to_send(&mut confirmed, T0, &next).1, stamp(9, 1, 0));
    // With duplicates accepted it begins again, and never with the id whose sequences are taken.
    let mut accepted = lenient(Some(own(0, 30)));
    let _sent = to_send(&mut accepted, T0, &it);
    let _ = accepted.answered(T0, &it, refusal);
    assert_eq!(accepted.step(T0, WALL, Some(&it), true), Step::Identify);
    assert!(!accepted.identified(stamp(9, 0, 0).identity));
    assert!(accepted.identified(stamp(10, 0, 0).identity));
}

#[test]
fn a_lost_progress_stops_the_folder() {
    let it = head(3, Fate::NotWritten, None);
    let mut lost = Replayer::new(Rules::default(), Place::Partition(PartitionId(0)), None);
    assert_eq!(lost.step(T0, WALL, Some(&it), true), Step::Stopped(Stop::ProgressLost));
    assert_eq!(to_send(&mut lenient(None), T0, &it).0.next, 3);
}

#[test]
fn refusals_of_the_client_stop_the_folder_and_corruption_is_not_tried_for_ever() {
    let it = head(0, Fate::NotWritten, None);
    let mut refused = replayer(own(0, 0));
    let _sent = to_send(&mut refused, T0, &it);
    let _ = refused.answered(T0, &it, Answer::Code(ErrorCode::TOPIC_AUTHORIZATION_FAILED));
    let stop = Stop::Refused(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    assert_eq!(refused.step(T0, WALL, Some(&it), true), Step::Stopped(stop));
    let mut corrupt = replayer(own(0, 0));
    let mut now = T0;
    for sending in 0.. {
        now = now + Duration::from_secs(1);
        match corrupt.step(now, WALL, Some(&it), true) {
            Step::Send(_) => assert!(sending < 10),
            Step::Save(_) => {
                corrupt.saved();
                continue;
            }
            Step::SetAside(aside) => {
                assert_eq!(aside.why, Unresolved::Refused(ErrorCode::CORRUPT_MESSAGE));
                break;
            }
            step => panic!("{step:?}"),
        }
        let _ = corrupt.answered(now, &it, Answer::Code(ErrorCode::CORRUPT_MESSAGE));
    }
}

#[test]
fn patience_ends_and_begins_anew_with_each_batch() {
    let rules = Rules { patience: Some(Duration::from_secs(5)), ..Rules::default() };
    let mut replayer = Replayer::new(rules, Place::Partition(PartitionId(0)), Some(own(0, 0)));
    let it = head(0, Fate::NotWritten, None);
    let at = |seconds: u64| Timestamp::from_millis(seconds * 1_000);
    assert_eq!(replayer.blocked(at(1)), None);
    assert_eq!(replayer.gives_up_at(), Some(at(6)));
    let _sent = to_send(&mut replayer, at(5), &it);
    let _ = replayer.answered(at(9), &it, Answer::Code(ErrorCode::NONE));
    let _save = replayer.step(at(9), WALL, Some(&it), true);
    replayer.saved();
    let next = head(2, Fate::NotWritten, None);
    assert_eq!(replayer.step(at(9), WALL, Some(&next), false), Step::Ready);
    assert_eq!(replayer.blocked(at(13)), None);
    assert_eq!(replayer.blocked(at(14)), Some(Stop::NoProgress(None)));
}

#[test]
fn what_was_put_aside_is_not_put_aside_again() {
    let mut replayer = Replayer::new(Rules::default(), Place::Aside(PartitionId(0)), Some(Progress::default()));
    let it = head(0, Fate::MaybeWritten, None);
    let stop = Stop::StillAside(Unresolved::Unstamped);
    assert_eq!(replayer.step(T0, WALL, Some(&it), true), Step::Stopped(stop));
}
