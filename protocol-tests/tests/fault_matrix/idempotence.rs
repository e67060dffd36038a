//! Rows 55 to 69 as far as a network shows them: answers that are lost, sequences that do not fit, producers that are forgotten.

use std::sync::{Arc, Mutex};

use milena::{FailureKind, Fate, PartitionId};
use milena_broker::{EmbeddedCluster, Profile, Reaction, Rule};
use milena_wire::{ApiKey, BrokerId, ErrorCode, Offset};
use protocol_tests::account::Outcome;
use protocol_tests::rig::{Act, LONG, Rig, Story, Way, run, until};

const TOPIC: &str = "t";
const NODE: BrokerId = BrokerId(1);

/// One node, and a topic of so many partitions.
async fn rig(partitions: i32) -> Rig {
    let rig = Rig::nodes(1).await;
    rig.topic(TOPIC, partitions);
    rig
}

/// A producer that does not lose patience with a broker that pauses.
fn patient(rig: &Rig) -> Story<'_> {
    Story::with(rig, rig.producer().request_timeout(LONG).delivery_timeout(2 * LONG))
}

/// Answers this instead of appending, to the next batch.
fn refuse(rig: &Rig, code: ErrorCode) {
    rig.cluster().script(Rule::on(ApiKey::PRODUCE, Reaction::Error(code)));
}

/// Epoch and first sequence of each batch on the log.
fn stamps(rig: &Rig, partition: i32) -> Vec<(i16, i32)> {
    let batches = rig.cluster().log(TOPIC, PartitionId(partition));
    batches.iter().map(|batch| (batch.producer_epoch().0, batch.base_sequence())).collect()
}

/// Five requests in flight at once, of which the first meets `reaction`.
async fn five_in_flight(story: &mut Story<'_>, rig: &Rig, reaction: Reaction) {
    rig.cluster().pause_node(NODE);
    story.enqueue_in_flight(TOPIC, 5).await;
    rig.cluster().script(Rule::on(ApiKey::PRODUCE, reaction));
    rig.cluster().resume_node(NODE);
    story.settled().await;
    assert_eq!(rig.cluster().script_pending(), 0);
}

#[test]
fn row_055_a_duplicate_batch_is_a_delivered_one() {
    run(async {
        let rig = rig(1).await;
        let mut story = patient(&rig);
        story.deliver(TOPIC, 3).await;
        // The broker remembers the batch, and where it is.
        rig.cluster().script(Rule::on(ApiKey::PRODUCE, Reaction::CloseAfter));
        story.deliver(TOPIC, 1).await;
        // The broker knows that it has the batch, and no longer where.
        let known = Reaction::ErrorAfterAppend(ErrorCode::DUPLICATE_SEQUENCE_NUMBER);
        rig.cluster().script(Rule::on(ApiKey::PRODUCE, known));
        story.deliver(TOPIC, 1).await;
        story.deliver(TOPIC, 1).await;
        let ended = story.end(20).await;
        ended.all_delivered();
        let offsets: Vec<_> = ended.sent.iter().map(|sent| sent.outcome.clone()).collect();
        assert_eq!(offsets[3], Outcome::Delivered { partition: 0, offset: Some(3) });
        assert_eq!(offsets[4], Outcome::Delivered { partition: 0, offset: None });
        assert_eq!(ended.metrics.epoch_bumps, 0);
    });
}

#[test]
fn row_056_the_first_answer_is_lost_and_later_ones_arrive() {
    run(async {
        let rig = rig(1).await;
        let mut story = patient(&rig);
        story.deliver(TOPIC, 1).await;
        five_in_flight(&mut story, &rig, Reaction::Omit).await;
        let ended = story.end(15).await;
        ended.all_delivered();
        assert_eq!(ended.metrics.total.retried.records, 1, "the other four were answered");
        assert_eq!(ended.metrics.epoch_bumps, 0);
        let told: Vec<_> = ended.sent.iter().map(|sent| &sent.outcome).collect();
        assert_eq!(told[1], &Outcome::Delivered { partition: 0, offset: Some(1) }, "found out by asking again");
    });
}

#[test]
fn row_057_the_first_is_refused_and_those_behind_it_are_out_of_order() {
    run(async {
        let rig = rig(1).await;
        let mut story = patient(&rig);
        story.deliver(TOPIC, 1).await;
        five_in_flight(&mut story, &rig, Reaction::Error(ErrorCode::NOT_ENOUGH_REPLICAS)).await;
        let ended = story.end(20).await;
        ended.all_delivered();
        assert_eq!(ended.metrics.total.retried.records, 5, "the broker took none of the five at first");
        assert_eq!(ended.metrics.epoch_bumps, 0);
        assert_eq!(stamps(&rig, 0), [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (0, 5)]);
    });
}

#[test]
fn row_058_out_of_order_at_the_head_starts_a_new_epoch() {
    run(async {
        let rig = rig(1).await;
        let mut story = patient(&rig);
        story.deliver(TOPIC, 2).await;
        five_in_flight(&mut story, &rig, Reaction::Error(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER)).await;
        story.deliver(TOPIC, 1).await;
        let ended = story.end(25).await;
        ended.all_delivered();
        assert_eq!(ended.metrics.epoch_bumps, 1);
        let stamps = stamps(&rig, 0);
        assert_eq!(stamps[stamps.len() - 6..], [(1, 0), (1, 1), (1, 2), (1, 3), (1, 4), (1, 5)]);
    });
}

/// Produce requests and answers that passed, and the most that were open at once.
#[derive(Default)]
struct Seen {
    asked: u32,
    answered: u32,
    most: u32,
}

#[test]
fn row_059_a_new_producer_has_one_batch_in_flight_until_its_first_success() {
    run(async {
        let rig = rig(1).await;
        let mut story = patient(&rig);
        let seen = Arc::new(Mutex::new(Seen::default()));
        let its = Arc::clone(&seen);
        rig.proxy(1).on_frame(move |frame| {
            let mut seen = its.lock().unwrap();
            match (frame.api, frame.way) {
                (ApiKey::PRODUCE, Way::ToBroker) => seen.asked += 1,
                (ApiKey::PRODUCE, Way::ToClient) => seen.answered += 1,
                _ => {}
            }
            // The first two are refused, the third is taken.
            if seen.answered < 3 {
                seen.most = seen.most.max(seen.asked - seen.answered);
            }
            Act::Pass
        });
        rig.cluster().script(Rule::on(ApiKey::PRODUCE, Reaction::Error(ErrorCode::NOT_ENOUGH_REPLICAS)).times(2));
        story.enqueue(TOPIC, 1).await;
        until("the first is under way", || seen.lock().unwrap().asked > 0).await;
        for _ in 0..4 {
            story.enqueue(TOPIC, 1).await;
        }
        let ended = story.end(20).await;
        ended.all_delivered();
        assert_eq!(seen.lock().unwrap().most, 1, "a broker without memory takes the second for the first");
    });
}

#[test]
fn row_060_a_producer_whose_records_were_deleted_goes_on() {
    run(async {
        let rig = Rig::start(EmbeddedCluster::builder().profile(Profile::V2_1)).await;
        rig.topic(TOPIC, 1);
        let mut story = patient(&rig);
        for _ in 0..5 {
            story.deliver_aside(TOPIC, Some(0)).await;
        }
        rig.cluster().delete_records(TOPIC, PartitionId(0), Offset(5)).unwrap();
        story.deliver(TOPIC, 3).await;
        let ended = story.end(20).await;
        ended.all_delivered();
        assert_eq!(ended.metrics.epoch_bumps, 1, "the broker has answered UNKNOWN_PRODUCER_ID");
        assert_eq!(stamps(&rig, 0)[0], (1, 0));
    });
}

#[test]
fn row_061_an_invalid_epoch_is_left_behind() {
    run(async {
        let rig = rig(1).await;
        let mut story = patient(&rig);
        story.deliver(TOPIC, 2).await;
        refuse(&rig, ErrorCode::INVALID_PRODUCER_EPOCH);
        story.deliver(TOPIC, 1).await;
        assert_eq!(stamps(&rig, 0).last(), Some(&(1, 0)));
        // One that may be on the log is not sent under another epoch.
        rig.cluster().script(Rule::on(ApiKey::PRODUCE, Reaction::ErrorAfterAppend(ErrorCode::REQUEST_TIMED_OUT)));
        refuse(&rig, ErrorCode::INVALID_PRODUCER_EPOCH);
        story.enqueue(TOPIC, 1).await;
        story.settled().await;
        story.deliver(TOPIC, 2).await;
        let ended = story.end(25).await;
        ended.failed(1, FailureKind::Broker, Fate::MaybeWritten);
        assert_eq!((ended.account.delivered, ended.account.stored), (5, 6));
        assert_eq!(ended.metrics.epoch_bumps, 2);
    });
}

#[test]
fn row_067_a_new_epoch_is_one_partitions_alone() {
    run(async {
        let rig = rig(2).await;
        let mut story = patient(&rig);
        for partition in 0..2 {
            story.enqueue_to(TOPIC, Some(partition), 2).await;
        }
        story.settled().await;
        let of = |partition, reaction| Rule::on(ApiKey::PRODUCE, reaction).partition(PartitionId(partition));
        rig.cluster().pause_node(NODE);
        rig.cluster().script(of(0, Reaction::Error(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER)));
        rig.cluster().script(of(1, Reaction::ErrorAfterAppend(ErrorCode::REQUEST_TIMED_OUT)).times(3));
        for partition in 0..2 {
            story.enqueue_to(TOPIC, Some(partition), 2).await;
        }
        rig.cluster().resume_node(NODE);
        story.settled().await;
        for partition in 0..2 {
            story.enqueue_to(TOPIC, Some(partition), 2).await;
        }
        let ended = story.end(40).await;
        ended.all_delivered();
        assert_eq!(rig.cluster().script_pending(), 0);
        assert_eq!(ended.metrics.epoch_bumps, 1);
        assert!(stamps(&rig, 0).iter().any(|stamp| stamp.0 == 1));
        assert!(stamps(&rig, 1).iter().all(|stamp| stamp.0 == 0), "what may be on the log keeps its stamp");
    });
}

#[test]
fn row_068_a_producer_id_that_is_not_given_is_asked_for_again() {
    run(async {
        let rig = rig(1).await;
        let trouble = [
            Reaction::Error(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS),
            Reaction::Error(ErrorCode::COORDINATOR_NOT_AVAILABLE),
            Reaction::Error(ErrorCode::REQUEST_TIMED_OUT),
            Reaction::CloseAfter,
            Reaction::Silence,
            Reaction::Garble,
        ];
        for reaction in &trouble {
            rig.cluster().script(Rule::on(ApiKey::INIT_PRODUCER_ID, reaction.clone()));
        }
        let mut story = Story::new(&rig);
        story.deliver(TOPIC, 3).await;
        assert_eq!(rig.cluster().script_pending(), 0);
        let ended = story.end(40).await;
        ended.all_delivered();
        let asked = rig.cluster().requests()[&ApiKey::INIT_PRODUCER_ID];
        assert!((trouble.len() as u64 + 1..=trouble.len() as u64 + 3).contains(&asked), "{asked} times");
    });
}

#[test]
fn row_068_without_the_right_to_a_producer_id_records_fail_clearly() {
    run(async {
        let rig = rig(1).await;
        let refused = Reaction::Error(ErrorCode::CLUSTER_AUTHORIZATION_FAILED);
        rig.cluster().script(Rule::on(ApiKey::INIT_PRODUCER_ID, refused));
        let mut story = Story::new(&rig);
        story.enqueue(TOPIC, 3).await;
        story.settled().await;
        // Granted meanwhile.
        story.deliver(TOPIC, 2).await;
        let ended = story.end(20).await;
        ended.failed(3, FailureKind::Authorization, Fate::NotWritten);
        assert!(ended.failures[0].to_string().contains("CLUSTER_AUTHORIZATION_FAILED"), "{}", ended.failures[0]);
        assert_eq!(ended.account.stored, 2);
    });
}

#[test]
fn row_069_a_broker_that_forgot_an_idle_producer_takes_its_records_again() {
    for profile in [Profile::V4_3, Profile::V2_1] {
        run(async {
            let rig = Rig::start(EmbeddedCluster::builder().profile(profile)).await;
            rig.topic(TOPIC, 1);
            let mut story = patient(&rig);
            story.deliver(TOPIC, 3).await;
            for _ in 0..3 {
                rig.cluster().forget_producers(TOPIC, PartitionId(0)).unwrap();
                rig.cluster().pause_node(NODE);
                story.enqueue_in_flight(TOPIC, 4).await;
                rig.cluster().resume_node(NODE);
                story.settled().await;
            }
            story.end(60).await.all_delivered();
        });
    }
}
