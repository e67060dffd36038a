//! What is wrong with a run is named: each test takes what a run left behind, makes one promise untrue, and hears just that.

#![allow(clippy::unwrap_used, reason = "what is not there ends the test")]

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

use milena_accumulator::FailureKind;
use milena_sender::{Guarantee, RefusedIdentity};
use milena_wire::Timestamp;
use protocol_tests::soak::ledger::{Cut, Entry, Place, Word};
use protocol_tests::soak::oracle::{Asked, Books, judge};
use protocol_tests::soak::{Case, Planted, Telling};

/// What the first run with this guarantee left behind that had all that the tests need.
fn record(guarantee: Guarantee, is_rich: impl Fn(&Books) -> bool) -> Books {
    let runs = (0..).filter(|seed| Case::of(*seed).plan().sender.guarantee == guarantee);
    let books = runs.filter_map(|seed| Case::of(seed).play(Telling::Silent).books);
    books.into_iter().find(|books| judge(books).is_empty() && is_rich(books)).expect("one of all seeds will do")
}

fn is_delivered(word: Word) -> bool {
    matches!(word, Word::Delivered(Some(_)))
}

fn with_word(books: &Books, which: impl Fn(Word) -> bool) -> Vec<u64> {
    let entries = (0..).zip(&books.ledger.entries);
    entries.filter(|(_, entry)| entry.word.is_some_and(|(word, ..)| which(word))).map(|(id, _)| id).collect()
}

static EXACTLY_ONCE: LazyLock<Books> = LazyLock::new(|| {
    record(Guarantee::ExactlyOnce, |books| {
        let ledger = &books.ledger;
        let counted: u64 = ledger.unobserved.values().map(|(not, maybe)| not + maybe).sum();
        let on_logs: BTreeSet<u64> = books.logs.values().flat_map(|log| log.values().copied()).collect();
        let absent = |word| with_word(books, |w| w == word).into_iter().any(|id| !on_logs.contains(&id));
        books.logs.values().filter(|log| log.len() > 20).count() > 1
            && ledger.truncated.is_empty()
            && ledger.forgetful.is_empty()
            && ledger.deleted.is_empty()
            && with_word(books, |word| word == Word::NotWritten).len() > 5
            && absent(Word::MaybeWritten)
            && counted > 0
            && books.notes.iter().filter(|note| note.what == Asked::Flush).count() > 1
    })
});

/// One promise is untrue, and that is what the oracle says.
#[track_caller]
fn breaks(kind: &str, doctor: impl FnOnce(&mut Books)) {
    let mut books = EXACTLY_ONCE.clone();
    doctor(&mut books);
    is_named(kind, &books);
}

#[track_caller]
fn is_named(kind: &str, books: &Books) {
    let wrong = judge(books);
    assert!(!wrong.is_empty(), "nothing is found");
    assert!(wrong.iter().all(|wrong| wrong.starts_with(&format!("{kind}:"))), "{wrong:#?}");
}

/// Some delivered record with its place, in the middle of a log.
fn delivered(books: &Books) -> (u64, Place, i64) {
    let ids = with_word(books, is_delivered);
    let id = ids[ids.len() / 2];
    place_of(books, id)
}

fn place_of(books: &Books, id: u64) -> (u64, Place, i64) {
    let entry = books.ledger.entry(id).unwrap();
    let Some((Word::Delivered(Some(offset)), ..)) = entry.word else { panic!("{entry:?}") };
    (id, (entry.topic.clone(), entry.partition.unwrap()), offset)
}

fn append(books: &mut Books, place: &Place, id: u64) {
    let log = books.logs.get_mut(place).unwrap();
    let end = log.last_key_value().map_or(0, |(offset, _)| offset + 1);
    log.insert(end, id);
}

/// A partition of this topic that nothing was cut off, where a record can be put without harm to the order.
fn some_place(books: &Books, topic: &str) -> Place {
    books.logs.keys().find(|place| place.0 == topic).unwrap().clone()
}

fn set_word(books: &mut Books, id: u64, word: Word) {
    let entry = &mut books.ledger.entries[usize::try_from(id).unwrap()];
    let (_, at, why) = entry.word.unwrap();
    entry.word = Some((word, at, why));
}

#[test]
fn a_delivered_record_that_is_not_there() {
    breaks("LOST", |books| {
        let (_, place, offset) = delivered(books);
        books.logs.get_mut(&place).unwrap().remove(&offset);
    });
}

#[test]
fn a_delivered_record_at_another_offset_than_told() {
    breaks("OFFSET", |books| {
        let (id, _, offset) = delivered(books);
        set_word(books, id, Word::Delivered(Some(offset + 1)));
    });
}

#[test]
fn a_delivered_record_that_is_there_twice() {
    breaks("DUPLICATE", |books| {
        let (id, place, _) = delivered(books);
        append(books, &place, id);
    });
}

#[test]
fn a_record_that_may_be_written_is_there_twice() {
    breaks("DUPLICATE", |books| {
        let (id, place, _) = delivered(books);
        set_word(books, id, Word::MaybeWritten);
        append(books, &place, id);
    });
}

#[test]
fn a_record_that_is_said_not_to_be_written_is_there() {
    breaks("LIE", |books| {
        let (id, ..) = delivered(books);
        set_word(books, id, Word::NotWritten);
    });
}

#[test]
fn a_record_that_may_be_written_may_be_there_or_not() {
    let mut books = EXACTLY_ONCE.clone();
    let (id, place, offset) = delivered(&books);
    set_word(&mut books, id, Word::MaybeWritten);
    assert_eq!(judge(&books), [""; 0]);
    books.logs.get_mut(&place).unwrap().remove(&offset);
    assert_eq!(judge(&books), [""; 0]);
}

#[test]
fn two_records_that_changed_places() {
    breaks("ORDER", |books| {
        let (id, place, offset) = delivered(books);
        let mut same = with_word(books, is_delivered).into_iter().map(|other| place_of(books, other));
        let (other, _, there) = same.rfind(|(other, at, _)| *other > id && *at == place).unwrap();
        let log = books.logs.get_mut(&place).unwrap();
        log.insert(offset, other);
        log.insert(there, id);
        set_word(books, id, Word::Delivered(Some(there)));
        set_word(books, other, Word::Delivered(Some(offset)));
    });
}

#[test]
fn only_what_was_given_up_under_a_used_up_producer_id_may_come_late() {
    let late = |word: Option<Word>, producer: i64, deleted: bool| {
        let mut books = EXACTLY_ONCE.clone();
        let (id, place, offset) = delivered(&books);
        let log = books.logs.get_mut(&place).unwrap();
        let end = log.last_key_value().unwrap().0 + 1;
        log.remove(&offset);
        log.insert(end, id);
        set_word(&mut books, id, word.unwrap_or(Word::Delivered(Some(end))));
        books.producers.get_mut(&place).unwrap().insert(end, producer);
        if deleted {
            let log = (books.logs.remove(&place).unwrap(), books.producers.remove(&place).unwrap());
            books.ledger.deleted.insert(place, vec![log]);
        }
        judge(&books)
    };
    for deleted in [false, true] {
        assert_eq!(late(Some(Word::MaybeWritten), -1, deleted), [""; 0]);
        assert!(late(Some(Word::MaybeWritten), 5, deleted)[0].starts_with("ORDER:"), "under a newer one it may not");
        assert!(late(None, -1, deleted)[0].starts_with("ORDER:"), "nor if it was delivered");
    }
}

#[test]
fn a_record_of_another_partition() {
    breaks("PLACE", |books| {
        let (id, place, _) = delivered(books);
        books.ledger.entries[usize::try_from(id).unwrap()].partition = Some(place.1 + 1);
    });
}

#[test]
fn a_record_that_nobody_sent_or_that_came_to_harm() {
    breaks("STRANGER", |books| {
        let place = some_place(books, "t");
        append(books, &place, u64::MAX);
    });
}

#[test]
fn a_record_without_an_outcome() {
    breaks("OPEN", |books| {
        let id = *with_word(books, |word| word == Word::NotWritten).last().unwrap();
        books.ledger.entries[usize::try_from(id).unwrap()].word = None;
        // Else a flush would have been answered too early as well.
        books.notes.clear();
    });
}

#[test]
fn a_record_with_two_outcomes() {
    breaks("TWICE", |books| {
        let (id, place, offset) = delivered(books);
        let at = books.ledger.entry(id).unwrap().word.unwrap().1;
        books.ledger.said(id, at, Some(place.1), Word::Delivered(Some(offset)), None);
    });
}

#[test]
fn an_outcome_after_the_deadline() {
    breaks("LATE", |books| {
        books.notes.clear();
        let (id, place, offset) = delivered(books);
        let entry = &mut books.ledger.entries[usize::try_from(id).unwrap()];
        let late = entry.at + books.limit + Duration::from_millis(1);
        entry.word = Some((Word::Delivered(Some(offset)), late, None));
        assert!(books.logs.contains_key(&place));
    });
}

/// A record was lost, and the broker's model says what it cut off there.
fn lost(guarantee: Guarantee, unclean: bool, beside: i64) -> Vec<String> {
    let mut books = EXACTLY_ONCE.clone();
    books.guarantee = guarantee;
    books.ordered = false;
    let (id, place, offset) = delivered(&books);
    books.logs.get_mut(&place).unwrap().remove(&offset);
    let cut = Cut { offset: offset + beside, unclean };
    books.ledger.truncated.entry(place).or_default().entry(id).or_default().push(cut);
    judge(&books)
}

#[test]
fn a_loss_is_excused_by_the_very_cut_that_the_guarantee_does_not_cover_and_by_no_other() {
    let [leader, all] = [false, true].map(|all_replicas| Guarantee::AtLeastOnce { all_replicas });
    for guarantee in [Guarantee::ExactlyOnce, all] {
        assert_eq!(lost(guarantee, true, 0), [""; 0], "an unclean election takes what it takes");
        assert!(lost(guarantee, false, 0)[0].starts_with("LOST:"), "a clean one takes nothing that was delivered");
        assert!(lost(guarantee, true, 1)[0].starts_with("LOST:"), "another copy was cut off, not this one");
    }
    for unclean in [false, true] {
        assert_eq!(lost(leader, unclean, 0), [""; 0], "with acks=1 any change of leader may");
        assert!(lost(leader, unclean, 1)[0].starts_with("LOST:"), "but not another copy's");
    }
}

#[test]
fn a_loss_with_one_acknowledgement_that_nothing_explains() {
    let mut books = record(Guarantee::AtLeastOnce { all_replicas: false }, |books| {
        with_word(books, is_delivered).len() > 20 && books.ledger.truncated.is_empty()
    });
    let (id, place, _) = delivered(&books);
    books.logs.get_mut(&place).unwrap().retain(|_, there| *there != id);
    is_named("LOST", &books);
}

#[test]
fn an_acknowledgement_that_nobody_asked_for_and_one_that_is_missing() {
    breaks("ACKS", |books| {
        let (id, ..) = delivered(books);
        set_word(books, id, Word::Unacknowledged);
    });
    let mut books = record(Guarantee::AtMostOnce, |books| {
        with_word(books, |word| word == Word::Unacknowledged).len() > 20
            && !books.logs.values().all(|log| log.is_empty())
    });
    let (place, offset, id) = books
        .logs
        .iter()
        .flat_map(|(place, log)| log.iter().map(move |(offset, id)| (place, *offset, *id)))
        .find(|(_, _, id)| books.ledger.entry(*id).is_some_and(|entry| entry.word.is_some() && !entry.dropped))
        .map(|(place, offset, id)| (place.clone(), offset, id))
        .unwrap();
    assert_eq!(books.logs[&place][&offset], id);
    set_word(&mut books, id, Word::Delivered(Some(offset)));
    is_named("ACKS", &books);
}

#[test]
fn a_flush_that_is_answered_too_early_too_late_or_never() {
    let flush =
        |books: &Books| books.notes.iter().position(|note| note.what == Asked::Flush && note.enqueued > 0).unwrap();
    breaks("FLUSH", |books| {
        let at = flush(books);
        let last = books.ledger.entries[..books.notes[at].enqueued].iter().filter_map(|entry| entry.word).map(|w| w.1);
        let early = Timestamp::from_nanos(last.max().unwrap().as_nanos() - 1);
        books.notes[at].done = Some(early);
        books.notes[at].asked = books.notes[at].asked.min(early);
    });
    breaks("FLUSH", |books| {
        let at = flush(books);
        books.notes[at].done = Some(books.notes[at].asked + books.limit + Duration::from_millis(1));
    });
    breaks("UNANSWERED", |books| {
        let at = flush(books);
        books.notes[at].done = None;
    });
}

#[test]
fn a_close_that_leaves_records_open_or_ends_late_or_counts_wrongly() {
    let close = |books: &Books| books.notes.iter().position(|note| matches!(note.what, Asked::Close(_))).unwrap();
    breaks("CLOSE", |books| {
        let at = close(books);
        let Asked::Close(deadline) = books.notes[at].what else { unreachable!() };
        books.notes[at].done = Some(deadline + Duration::from_millis(1));
    });
    breaks("CLOSE", |books| {
        let at = close(books);
        let id = with_word(books, |word| word == Word::NotWritten)[0];
        let done = books.notes[at].done.unwrap();
        let entry = &mut books.ledger.entries[usize::try_from(id).unwrap()];
        entry.at = done;
        entry.word = Some((Word::NotWritten, done + Duration::from_nanos(1), None));
        books.notes.retain(|note| note.what != Asked::Flush);
    });
    let mut books = record(Guarantee::ExactlyOnce, |books| !books.ledger.entries.iter().any(|entry| entry.dropped));
    let at = close(&books);
    books.notes[at].given_up += 1;
    is_named("CLOSE", &books);
    books.notes[at].given_up -= 1;
    let id = with_word(&books, |word| word == Word::NotWritten).first().copied().unwrap_or(0);
    let entry = &mut books.ledger.entries[usize::try_from(id).unwrap()];
    entry.word = entry.word.map(|(word, at, _)| (word, at, Some(FailureKind::Closed)));
    is_named("CLOSE", &books);
}

#[test]
fn a_purge_that_takes_time() {
    breaks("PURGE", |books| {
        let mut purge = books.notes[0];
        (purge.what, purge.done) = (Asked::Purge, Some(purge.asked + Duration::from_nanos(1)));
        books.notes.push(purge);
    });
}

#[test]
fn a_question_that_is_answered_after_its_deadline() {
    breaks("ANSWER", |books| {
        let mut question = books.notes[0];
        let deadline = question.asked + Duration::from_millis(1);
        (question.what, question.done) = (Asked::Question(deadline), Some(deadline + Duration::from_nanos(1)));
        books.notes.push(question);
    });
}

#[test]
fn memory_that_is_held_and_callers_that_wait_when_all_is_over() {
    breaks("MEMORY", |books| books.memory_used = 1);
    breaks("WAITING", |books| books.waiting = 1);
}

#[test]
fn requests_that_nothing_explains() {
    let busy = |books: &Books| *books.rates.iter().next_back().unwrap().0 + 5;
    breaks("STORM", |books| {
        let second = busy(books);
        books.rates.insert(second, (2000, 0));
    });
    breaks("STORM", |books| {
        let second = busy(books);
        books.rates.insert(second, (0, 2000));
    });
}

#[test]
fn requests_for_producer_ids_are_explained_by_records_that_failed_and_not_by_others() {
    let with_word_near_a_rush = |word: Word, epochs| {
        let mut books = EXACTLY_ONCE.clone();
        let second = books.rates.iter().next_back().unwrap().0 + 5;
        books.pace.epochs = epochs;
        let other_max = 60 + 4 * books.pace.retries + 2 * books.pace.reconnects * books.pace.nodes;
        books.rates.insert(second, (0, other_max + 100));
        let entry =
            books.ledger.entries.iter().find(|entry| entry.word.is_some_and(|(w, ..)| w == word)).unwrap().clone();
        // Told then, of a time before: no more than that is looked at.
        let at = Timestamp::from_nanos(second * 1_000_000_000);
        let told = entry.word.map(|(word, _, kind)| (word, at, kind));
        let rush = (0..100).map(|_| Entry { word: told, ..entry.clone() });
        books.ledger.entries.extend(rush);
        judge(&books).iter().any(|wrong| wrong.starts_with("STORM"))
    };
    assert!(!with_word_near_a_rush(Word::NotWritten, 1), "each takes an id");
    assert!(with_word_near_a_rush(Word::NotWritten, 2), "two take an id");
    assert!(with_word_near_a_rush(Word::NotWritten, 0), "there are no ids");
    let delivered = with_word(&EXACTLY_ONCE, is_delivered)[0];
    let (word, ..) = EXACTLY_ONCE.ledger.entry(delivered).unwrap().word.unwrap();
    assert!(with_word_near_a_rush(word, 1), "nothing failed");
}

#[test]
fn unobserved_failures_that_are_not_counted_or_counted_twice() {
    breaks("UNOBSERVED", |books| books.ledger.unobserved.clear());
    breaks("UNOBSERVED", |books| {
        let dropped = books.ledger.entries.iter().filter(|entry| entry.dropped && entry.topic == "t").count();
        books.ledger.unobserved.insert("t".to_owned(), (dropped as u64 + 1, 0));
    });
    breaks("UNOBSERVED", |books| {
        let dropped = books.ledger.entries.iter().filter(|entry| entry.dropped && entry.topic == "t").count();
        // No more than there are, but some of them are on the log.
        books.ledger.unobserved.insert("t".to_owned(), (dropped as u64, 0));
    });
    breaks("UNOBSERVED", |books| {
        books.ledger.unobserved.insert("nobody's".to_owned(), (0, 1));
    });
}

#[test]
fn a_refusal_of_who_the_client_is_that_was_to_be_waited_out() {
    let id = with_word(&EXACTLY_ONCE, |word| word == Word::NotWritten)[0];
    let refused = |books: &mut Books, at: Option<Timestamp>| {
        let word = &mut books.ledger.entries[usize::try_from(id).unwrap()].word;
        let (fate, before, _) = word.unwrap();
        *word = Some((fate, at.unwrap_or(before), Some(FailureKind::Authentication)));
    };
    for policy in [None, Some(RefusedIdentity::Wait)] {
        breaks("POLICY", |books| {
            books.refused_identity = policy;
            refused(books, None);
        });
    }
    // Once something is delivered, the start is over.
    let delivered = EXACTLY_ONCE.ledger.entries.iter().filter_map(|entry| match entry.word {
        Some((Word::Delivered(_), at, _)) => Some(at),
        _ => None,
    });
    let (first, last) = (delivered.clone().min().unwrap(), delivered.max().unwrap());
    let entry = EXACTLY_ONCE.ledger.entry(id).unwrap();
    assert!(first < last && entry.at + EXACTLY_ONCE.limit >= first);
    let mut books = EXACTLY_ONCE.clone();
    books.refused_identity = Some(RefusedIdentity::FailAtStart);
    refused(&mut books, Some(first));
    is_named("POLICY", &books);
    books.refused_identity = Some(RefusedIdentity::Fail);
    assert_eq!(judge(&books), [""; 0]);
}

fn planted(planted: Planted) -> Vec<String> {
    let is_usual = |seed: &u64| {
        let plan = Case::of(*seed).plan();
        plan.sender.guarantee == Guarantee::ExactlyOnce && plan.strikes.len() > 5 && plan.close.is_none()
    };
    let case = Case { planted, ..Case::of((0..).find(is_usual).expect("most seeds are")) };
    case.play(Telling::Silent).result.expect_err("something is planted").wrong
}

#[test]
fn a_run_that_does_not_get_over_its_faults_or_keeps_silent() {
    let kinds = [
        (Planted::NeverHealed, "STUCK:"),
        (Planted::DeafToOutcomes, "OVERDUE:"),
        (Planted::DeafToCommands, "CLOSE: the sender does not end"),
    ];
    for (plant, kind) in kinds {
        let wrong = planted(plant);
        assert!(wrong[0].starts_with(kind), "{wrong:?}");
    }
}
