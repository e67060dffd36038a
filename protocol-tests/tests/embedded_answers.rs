//! Answers that are lost, late, wrong or refused while records flow: each record is there exactly once, and in order.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use milena_broker::{EmbeddedCluster, Reaction, Rule};
use milena_wire::{ApiKey, ErrorCode};
use protocol_tests::account::{Account, Content, Disagreements, Outcome, Sent, ToSend, check};
use protocol_tests::bare::Plain;
use protocol_tests::cluster::Cluster as _;
use protocol_tests::embedded::Embedded;
use protocol_tests::facade::Milena;
use protocol_tests::subject::{Settings, Subject};

const TOPIC: &str = "answers";
const RECORDS: usize = 3000;
/// Requests that are struck, one in ten.
const STRUCK: u32 = 8;

/// Sends while one kind of request meets one kind of answer now and then.
fn under(api: ApiKey, reaction: &Reaction, subject: &dyn Subject) -> Result<(Vec<Sent>, Account), Disagreements> {
    let embedded = Embedded::start(EmbeddedCluster::builder().nodes(3).min_insync_replicas(2));
    embedded.create_topic(TOPIC, 3, 3);
    for nth in 0..STRUCK {
        embedded.cluster().script(Rule::on(api, reaction.clone()).skip(if nth == 0 { 1 } else { 9 }).times(1));
    }
    let settings = Settings {
        linger: Duration::ZERO,
        batch_size: Some(512),
        request_timeout: Duration::from_secs(1),
        delivery_timeout: Duration::from_secs(60),
        ..Settings::default()
    };
    let mut producer = subject.open(&embedded.bootstrap(), &settings);
    for number in 0..RECORDS {
        let value = Some(format!("{number} all happy families are alike").into_bytes());
        let content = Content { key: Some(format!("key {}", number % 50).into_bytes()), value, headers: Vec::new() };
        producer.send(TOPIC, ToSend { content, ..ToSend::default() });
    }
    let sent = producer.finish();
    let account = check(&[&sent], &embedded.read(TOPIC))?;
    Ok((sent, account))
}

fn all_delivered(api: ApiKey, reactions: &[Reaction]) {
    for reaction in reactions {
        let (sent, account) = under(api, reaction, &Milena).unwrap_or_else(|wrong| panic!("{reaction:?}: {wrong}"));
        let failed = sent.iter().find(|sent| !matches!(sent.outcome, Outcome::Delivered { .. }));
        assert!(failed.is_none(), "{reaction:?}: {failed:?}, {account:?}");
        assert_eq!(account.stored, RECORDS, "{reaction:?}: {account:?}");
    }
}

#[test]
fn an_answer_that_is_lost_duplicates_nothing() {
    let reactions = [Reaction::CloseAfter, Reaction::CutAnswer, Reaction::Silence, Reaction::CloseBefore];
    all_delivered(ApiKey::PRODUCE, &reactions);
}

#[test]
fn an_answer_that_makes_no_sense_duplicates_nothing() {
    all_delivered(ApiKey::PRODUCE, &[Reaction::Garble, Reaction::WrongCorrelation, Reaction::Omit]);
}

#[test]
fn an_answer_that_is_late_duplicates_nothing() {
    let late = Duration::from_millis(1500); // later than the request timeout
    let soon = Duration::from_millis(100);
    let reactions = [
        Reaction::Delay(soon),
        Reaction::Delay(late),
        Reaction::DelayAnswer(soon),
        Reaction::DelayAnswer(late),
        Reaction::Throttle(soon),
    ];
    all_delivered(ApiKey::PRODUCE, &reactions);
}

#[test]
fn a_refusal_that_passes_loses_nothing_whether_appended_or_not() {
    let codes = [
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ErrorCode::REQUEST_TIMED_OUT,
        ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        ErrorCode::KAFKA_STORAGE_ERROR,
    ];
    let after = codes.map(Reaction::ErrorAfterAppend);
    let before = codes.map(Reaction::Error);
    all_delivered(ApiKey::PRODUCE, &[after, before].concat());
    let refused = [ErrorCode::NOT_ENOUGH_REPLICAS, ErrorCode::LEADER_NOT_AVAILABLE].map(Reaction::Error);
    all_delivered(ApiKey::PRODUCE, &refused);
}

#[test]
fn trouble_with_control_requests_holds_nothing_up_for_good() {
    let reactions = [
        Reaction::CloseBefore,
        Reaction::CloseAfter,
        Reaction::Garble,
        Reaction::Silence,
        Reaction::DelayAnswer(Duration::from_millis(200)),
    ];
    for api in [ApiKey::METADATA, ApiKey::API_VERSIONS, ApiKey::INIT_PRODUCER_ID] {
        all_delivered(api, &reactions);
    }
    let loading = [ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, ErrorCode::COORDINATOR_NOT_AVAILABLE];
    all_delivered(ApiKey::INIT_PRODUCER_ID, &loading.map(Reaction::Error));
}

/// The suite's own test: a producer that repeats a batch without sequences must not get through.
#[test]
fn a_producer_that_repeats_without_sequences_is_caught() {
    let plain = Plain { sequences: false, ..Plain::default() };
    let wrong = catch_unwind(AssertUnwindSafe(|| under(ApiKey::PRODUCE, &Reaction::CloseAfter, &plain)))
        .expect("no panic")
        .expect_err("duplicates");
    assert!(wrong.to_string().contains("on the log 2 times"), "{wrong}");
    let sound = under(ApiKey::PRODUCE, &Reaction::CloseAfter, &Plain::default());
    assert!(sound.is_ok(), "with sequences the same producer is sound");
}
