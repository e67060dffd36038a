use super::*;

fn content(value: &str) -> Content {
    Content { value: Some(value.as_bytes().to_vec()), ..Content::default() }
}

fn sent(value: &str, outcome: Outcome) -> Sent {
    let record = ToSend { content: content(value), partition: Some(0), timestamp: Some(5) };
    Sent { record, outcome }
}

fn delivered(value: &str, offset: i64) -> Sent {
    sent(value, Outcome::Delivered { partition: 0, offset: Some(offset) })
}

fn stored(value: &str, offset: i64) -> Stored {
    Stored { partition: 0, offset, timestamp: 5, content: content(value) }
}

fn first_wrong(session: &[Sent], log: &[Stored]) -> String {
    check(&[session], log).expect_err("a disagreement").0.remove(0)
}

#[test]
fn a_log_that_holds_what_was_told_is_a_whole_account() {
    let session = [
        delivered("a", 0),
        sent("b", Outcome::NotWritten(String::new())),
        sent("c", Outcome::MaybeWritten(String::new())),
        sent("d", Outcome::MaybeWritten(String::new())),
        sent("e", Outcome::Unacknowledged),
        sent("f", Outcome::Delivered { partition: 0, offset: None }),
    ];
    let log = [stored("a", 0), stored("c", 1), stored("e", 2), stored("f", 3)];
    let account = check(&[&session], &log);
    assert_eq!(account, Ok(Account { sent: 6, delivered: 2, not_written: 1, maybe_written: 2, stored: 4 }));
}

#[test]
fn a_delivered_record_that_is_not_there_is_lost() {
    assert!(first_wrong(&[delivered("a", 0)], &[]).starts_with("lost"));
}

#[test]
fn a_record_that_is_there_twice_is_a_duplicate_whatever_was_told() {
    let log = [stored("a", 0), stored("a", 1)];
    for outcome in [
        Outcome::Delivered { partition: 0, offset: Some(0) },
        Outcome::MaybeWritten(String::new()),
        Outcome::Unacknowledged,
    ] {
        assert!(first_wrong(&[sent("a", outcome)], &log).starts_with("on the log 2 times"));
    }
}

#[test]
fn a_record_told_not_to_be_written_must_not_be_there() {
    let told = sent("a", Outcome::NotWritten(String::new()));
    assert!(first_wrong(&[told], &[stored("a", 0)]).starts_with("on the log 1 times"));
}

#[test]
fn order_holds_within_a_session_and_partition_and_not_across() {
    let session = [delivered("a", 1), delivered("b", 0)];
    let log = [stored("b", 0), stored("a", 1)];
    assert!(first_wrong(&session, &log).starts_with("out of order"));
    let (first, second) = session.split_at(1);
    assert!(check(&[first, second], &log).is_ok());
}

#[test]
fn a_place_a_partition_or_a_timestamp_other_than_told_is_seen() {
    assert!(first_wrong(&[delivered("a", 7)], &[stored("a", 0)]).starts_with("elsewhere"));
    let elsewhere = Stored { partition: 1, ..stored("a", 0) };
    let told = sent("a", Outcome::Delivered { partition: 1, offset: Some(0) });
    assert!(first_wrong(&[told], &[elsewhere]).starts_with("wrong partition"));
    let late = Stored { timestamp: 6, ..stored("a", 0) };
    assert!(first_wrong(&[delivered("a", 0)], &[late]).starts_with("wrong timestamp"));
}

#[test]
fn what_nobody_sent_does_not_pass() {
    assert!(first_wrong(&[], &[stored("a", 0)]).starts_with("never sent"));
}
