//! Rows 45 to 54: what a leader says of a batch.

use std::time::Duration;

use milena::{Codec, Compression, EnqueueError, ErrorCode, FailureKind, Fate, Guarantee, Record};
use milena_broker::{EmbeddedCluster, Reaction, Rule};
use milena_wire::{ApiKey, ApiVersion};
use protocol_tests::account::Outcome;
use protocol_tests::rig::{LONG, Rig, Story, rewritten_versions, run, until};

const TOPIC: &str = "t";
const LINGER: Duration = Duration::from_secs(5);

/// One partition, ten records, and all is well.
async fn under_way(rig: &Rig) -> Story<'_> {
    rig.topic(TOPIC, 1);
    let mut story = Story::new(rig);
    story.deliver(TOPIC, 10).await;
    story
}

/// The next `times` batches meet this.
fn script(rig: &Rig, reaction: Reaction, times: u32) {
    rig.cluster().script(Rule::on(ApiKey::PRODUCE, reaction).times(times));
}

fn metadata_requests(rig: &Rig) -> u64 {
    rig.cluster().requests().get(&ApiKey::METADATA).copied().unwrap_or(0)
}

/// The code is answered for a while, then for ever: delivered in the first case, failed with this fate in the second, and delivered again afterwards.
async fn retried(code: ErrorCode, reaction: impl Fn(ErrorCode) -> Reaction, fate: Fate) {
    let rig = Rig::nodes(1).await;
    rig.topic(TOPIC, 1);
    // Enough for three retries, and for an answer that takes its time.
    let enough = Duration::from_secs(3);
    let patient = rig.producer().request_timeout(enough).delivery_timeout(enough);
    let mut story = Story::with(&rig, patient.retry_backoff_max(Duration::from_millis(400)));
    story.producer().prepare(&[TOPIC], LONG).await.expect("a topic that is there");
    story.deliver(TOPIC, 10).await;
    script(&rig, reaction(code), 3);
    story.deliver(TOPIC, 10).await;
    assert_eq!(rig.cluster().script_pending(), 0, "{code}");
    script(&rig, reaction(code), u32::MAX);
    story.enqueue(TOPIC, 10).await;
    story.settled().await;
    rig.cluster().clear_script();
    story.deliver(TOPIC, 10).await;
    let ended = story.end(70).await;
    assert_eq!(ended.failures.len(), 10);
    assert!(ended.failures[0].attempts > 0);
    for failure in &ended.failures {
        // One that waited behind others until the end may never have been sent.
        let sent = failure.attempts > 0;
        let told = Some(code).filter(|_| sent);
        // And its first attempt may be under way then, without an answer yet.
        let unanswered = failure.attempts == 1 && failure.code.is_none() && failure.fate == Fate::MaybeWritten;
        assert_eq!(failure.kind, FailureKind::DeliveryTimeout, "{failure}");
        assert!(failure.code == told || unanswered, "{failure}: {told:?}");
        // An attempt that is under way at the deadline may still be written.
        let fates = if sent { [fate, Fate::MaybeWritten] } else { [Fate::NotWritten; 2] };
        assert!(fates.contains(&failure.fate), "{failure}");
    }
    assert_eq!(ended.account.delivered, 30, "{code}");
}

/// The same where nobody can tell whether the batch is on the log: once it is not, and once it is.
async fn retried_in_doubt(code: ErrorCode) {
    let (refused, appended) = (Reaction::Error, Reaction::ErrorAfterAppend);
    tokio::join!(retried(code, refused, Fate::MaybeWritten), retried(code, appended, Fate::MaybeWritten));
}

/// The code is answered as often as retries are allowed: not written, and the next batch is delivered.
async fn exhausted(code: ErrorCode) {
    let rig = Rig::nodes(1).await;
    rig.topic(TOPIC, 1);
    let mut story = Story::with(&rig, rig.producer().retries(3));
    script(&rig, Reaction::Error(code), 4);
    story.enqueue(TOPIC, 1).await;
    story.settled().await;
    story.enqueue(TOPIC, 5).await;
    let ended = story.end(30).await;
    ended.failed(1, FailureKind::RetriesExhausted, Fate::NotWritten);
    assert_eq!(ended.failures[0].attempts, 4);
}

#[test]
fn row_045_not_enough_replicas() {
    run(async {
        retried(ErrorCode::NOT_ENOUGH_REPLICAS, Reaction::Error, Fate::NotWritten).await;
        exhausted(ErrorCode::NOT_ENOUGH_REPLICAS).await;
    });
}

#[test]
fn row_046_not_enough_replicas_after_the_append() {
    run(async {
        for code in [ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND, ErrorCode::REQUEST_TIMED_OUT] {
            retried_in_doubt(code).await;
        }
    });
}

#[test]
fn row_047_a_disk_that_fails_a_leader_that_is_away_or_nobody_knows_what() {
    run(async {
        let codes = [ErrorCode::KAFKA_STORAGE_ERROR, ErrorCode::LEADER_NOT_AVAILABLE, ErrorCode::UNKNOWN_SERVER_ERROR];
        for code in codes {
            retried_in_doubt(code).await;
        }
        for code in [ErrorCode::KAFKA_STORAGE_ERROR, ErrorCode::LEADER_NOT_AVAILABLE] {
            let rig = Rig::nodes(1).await;
            let mut story = under_way(&rig).await;
            let before = metadata_requests(&rig);
            script(&rig, Reaction::Error(code), 1);
            story.deliver(TOPIC, 10).await;
            until("it asked who leads now", || metadata_requests(&rig) > before).await;
            story.end(30).await.all_delivered();
        }
    });
}

#[test]
fn row_048_a_batch_is_corrupt_to_the_broker() {
    run(async {
        retried(ErrorCode::CORRUPT_MESSAGE, Reaction::Error, Fate::NotWritten).await;
        exhausted(ErrorCode::CORRUPT_MESSAGE).await;
    });
}

#[test]
fn row_049_a_batch_is_too_large_for_the_broker() {
    run(async {
        let rig = Rig::start(EmbeddedCluster::builder().max_message_bytes(2_000)).await;
        rig.topic(TOPIC, 1);
        let mut story = Story::with(&rig, rig.producer().linger(LINGER));
        for number in 0..30 {
            let size = if number == 17 { 3_000 } else { 400 };
            story.enqueue_one(TOPIC, Some(0), &vec![b'x'; size]).await;
        }
        // The outcomes are looked at one by one later.
        let _unobserved = story.producer().flush().await;
        let ended = story.end(120).await;
        ended.failed(1, FailureKind::RecordTooLarge, Fate::NotWritten);
        assert!(matches!(ended.sent[17].outcome, Outcome::NotWritten(_)));
        assert_eq!(ended.account.delivered, 29);
        assert!(ended.metrics.splits >= 3, "{} splits", ended.metrics.splits);
    });
}

#[test]
fn row_050_a_record_above_the_limit() {
    run(async {
        let rig = Rig::nodes(1).await;
        rig.topic(TOPIC, 1);
        let mut story = Story::with(&rig, rig.producer().max_record_size(1_000));
        story.enqueue(TOPIC, 5).await;
        let large = vec![b'x'; 1_000];
        let refused = story.producer().enqueue(Record::to(TOPIC).partition(0).value(large.as_slice())).await;
        match refused {
            Err(EnqueueError::RecordTooLarge { size, limit }) => {
                assert!(size > 1_000 && limit == 1_000, "{size} {limit}")
            }
            other => panic!("{other:?}"),
        }
        story.enqueue(TOPIC, 5).await;
        story.end(20).await.all_delivered();
    });
}

#[test]
fn row_051_the_broker_names_invalid_records() {
    run(async {
        let rig = Rig::nodes(1).await;
        rig.cluster().create_topic_with(TOPIC, 1, 1, &[("cleanup.policy", "compact")]).expect("a topic");
        let mut story = Story::with(&rig, rig.producer().linger(LINGER));
        for number in 0..20 {
            // A compacted topic takes no record without a key.
            if number % 7 == 3 { story.enqueue(TOPIC, 1).await } else { story.enqueue_keyed(TOPIC, "key").await }
        }
        let _unobserved = story.producer().flush().await;
        let ended = story.end(20).await;
        ended.failed(3, FailureKind::InvalidRecord, Fate::NotWritten);
        for (number, sent) in ended.sent.iter().enumerate() {
            let failed = matches!(sent.outcome, Outcome::NotWritten(_));
            assert_eq!(failed, number % 7 == 3, "record {number}: {:?}", sent.outcome);
        }
    });
}

/// Fails at once with this, and the next ones are delivered.
async fn refused(code: ErrorCode, kind: FailureKind, fate: Fate, words: &str) {
    let rig = Rig::nodes(1).await;
    let mut story = under_way(&rig).await;
    script(&rig, Reaction::Error(code), 1);
    story.enqueue(TOPIC, 1).await;
    story.settled().await;
    story.deliver(TOPIC, 10).await;
    let ended = story.end(40).await;
    ended.failed(1, kind, fate);
    assert_eq!(ended.account.delivered, 20);
    let said = ended.failures[0].to_string();
    assert!(ended.failures[0].code == Some(code) && said.contains(words), "{said}");
}

#[test]
fn row_052_a_codec_that_the_broker_does_not_take() {
    run(refused(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE, FailureKind::Broker, Fate::NotWritten, "compression"));
    // A broker so old that it does not know the codec.
    run(async {
        let rig = Rig::nodes(1).await;
        rig.topic(TOPIC, 1);
        rig.proxy(1).on_frame(|frame| {
            rewritten_versions(frame, |told| {
                let produce = told.apis.iter_mut().find(|range| range.key == ApiKey::PRODUCE).expect("a broker");
                produce.max = ApiVersion(6);
            })
        });
        for (codec, works) in [(Codec::Zstd, false), (Codec::Gzip, true)] {
            let mut story = Story::with(&rig, rig.producer().compression(Compression::new(codec)));
            story.enqueue_one(TOPIC, Some(0), &[b'x'; 2_000]).await;
            let ended = story.end(20).await;
            if works {
                ended.all_delivered();
            } else {
                ended.failed(1, FailureKind::Broker, Fate::NotWritten);
                assert_eq!(ended.failures[0].code, Some(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE));
            }
        }
    });
}

#[test]
fn row_053_an_error_that_nobody_knows_yet() {
    run(refused(ErrorCode(4242), FailureKind::Broker, Fate::MaybeWritten, "4242"));
}

#[test]
fn row_054_no_offset_in_the_answer() {
    run(async {
        let rig = Rig::nodes(1).await;
        let mut story = under_way(&rig).await;
        script(&rig, Reaction::ErrorAfterAppend(ErrorCode::DUPLICATE_SEQUENCE_NUMBER), 1);
        story.enqueue(TOPIC, 1).await;
        let ended = story.end(20).await;
        assert_eq!(ended.all_delivered().sent[10].outcome, Outcome::Delivered { partition: 0, offset: None });
        let mut story = Story::with(&rig, rig.producer().guarantee(Guarantee::AtMostOnce));
        story.enqueue(TOPIC, 10).await;
        story.settled().await;
        story.producer().close(LONG).await.expect("closed");
        let ended = story.end(20).await;
        assert!(ended.sent.iter().all(|sent| sent.outcome == Outcome::Unacknowledged));
    });
}
