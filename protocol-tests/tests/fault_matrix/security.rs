//! Row 21: who is who.

use std::time::Duration;

use milena::sasl::Plain;
use milena::{BrokerState, FailureKind, Fate, NotReadyKind, ProducerBuilder, RefusedIdentity};
use milena_broker::{EmbeddedCluster, Reaction, Rule, SaslServer};
use milena_wire::{ApiKey, BrokerId, ErrorCode, PartitionId};
use protocol_tests::rig::{LONG, Rig, Story, run, until};

const TOPIC: &str = "t";

/// Two nodes that know alice, and the server with their passwords.
async fn guarded() -> (Rig, SaslServer) {
    let server = SaslServer::new(&["PLAIN"]).user("alice", "pencil");
    let rig = Rig::start(EmbeddedCluster::builder().nodes(2).sasl(server.clone())).await;
    rig.topic(TOPIC, 1);
    (rig, server)
}

fn producer(rig: &Rig, password: &str, policy: RefusedIdentity) -> ProducerBuilder {
    rig.producer().sasl(Plain::new("alice", password)).refused_identity(policy)
}

#[test]
fn row_021_a_wrong_password_is_waited_out_or_fails_at_once_as_is_chosen() {
    run(async {
        let told = |said: &str| {
            for part in ["broker.test:", "the broker refuses the credentials", "PLAIN", "check user name and password"]
            {
                assert!(said.contains(part), "{part}: {said}");
            }
            assert!(!said.contains("crayon") && !said.contains("pencil"), "{said}");
        };
        for policy in [RefusedIdentity::Fail, RefusedIdentity::FailAtStart] {
            let (rig, server) = guarded().await;
            // A delivery timeout that is never reached: what ends the records is the refusal.
            let mut story = Story::with(&rig, producer(&rig, "crayon", policy).delivery_timeout(2 * LONG));
            story.enqueue(TOPIC, 10).await;
            story.settled().await;
            let not_ready = story.producer().wait_ready(LONG).await.unwrap_err();
            assert_eq!(not_ready.kind(), NotReadyKind::IdentityRefused);
            told(&std::error::Error::source(&not_ready).expect("a cause").to_string());
            let before = rig.connections();
            // What comes later is tried, and fails with the next attempt.
            story.enqueue(TOPIC, 5).await;
            story.settled().await;
            assert!(rig.connections() > before, "it was tried");
            // The password becomes right, and the same producer works.
            server.set_user("alice", "crayon");
            until("it is let in", || server.counts().0 > 0).await;
            story.deliver(TOPIC, 10).await;
            let ended = story.end(60).await;
            assert_eq!(ended.failures.len(), 15);
            for failure in &ended.failures {
                assert_eq!((failure.kind, failure.fate), (FailureKind::Authentication, Fate::NotWritten));
            }
            told(&ended.failures[0].to_string());
        }

        let (rig, _server) = guarded().await;
        let waits = producer(&rig, "crayon", RefusedIdentity::default()).delivery_timeout(Duration::from_millis(600));
        let mut story = Story::with(&rig, waits);
        story.enqueue(TOPIC, 10).await;
        let ended = story.end(60).await;
        ended.failed(10, FailureKind::DeliveryTimeout, Fate::NotWritten);
        told(&ended.failures[0].to_string());
    });
}

#[test]
fn row_021_a_password_that_changes_under_way_ends_records_only_if_that_is_chosen() {
    run(async {
        for policy in [RefusedIdentity::Fail, RefusedIdentity::FailAtStart] {
            let (rig, server) = guarded().await;
            let mut story = Story::with(&rig, producer(&rig, "pencil", policy).delivery_timeout(2 * LONG));
            story.deliver(TOPIC, 10).await;
            server.set_user("alice", "crayon");
            rig.cluster().cut_connections(None);
            // Else a record might be in flight on a connection that is gone, and maybe written.
            let is_up = |broker: &milena::BrokerHealth| broker.state == BrokerState::Up;
            until("it noticed", || !story.producer().health().brokers.iter().any(is_up)).await;
            story.enqueue(TOPIC, 10).await;
            if policy == RefusedIdentity::Fail {
                story.settled().await;
                story.end(60).await.failed(10, FailureKind::Authentication, Fate::NotWritten);
            } else {
                let before = rig.connections();
                until("it was refused again and again", || rig.connections() > before + 6).await;
                assert_eq!(story.open_among(usize::MAX), 10);
                server.set_user("alice", "pencil");
                story.end(60).await.all_delivered();
            }
        }
    });
}

#[test]
fn row_021_a_broker_that_refuses_alone_ends_the_records_of_its_partitions_alone() {
    run(async {
        let (rig, _server) = guarded().await;
        rig.cluster().create_topic("each", 2, 1).expect("a topic");
        let leader = |partition| rig.cluster().leader("each", PartitionId(partition)).and_then(|(leader, _)| leader);
        let theirs = leader(0).expect("a leader");
        assert_ne!(leader(1), Some(theirs), "one partition each");
        let mut story = Story::with(&rig, producer(&rig, "pencil", RefusedIdentity::Fail).delivery_timeout(2 * LONG));
        for partition in [0, 1] {
            story.enqueue_to("each", Some(partition), 5).await;
        }
        story.settled().await;
        let refusal = Reaction::Error(ErrorCode::SASL_AUTHENTICATION_FAILED);
        rig.cluster().script(Rule::on(ApiKey::SASL_AUTHENTICATE, refusal).node(theirs).always());
        rig.cluster().cut_connections(Some(theirs));
        let is_up = |story: &Story<'_>, id: BrokerId| {
            let broker = story.producer().health().broker(id).map(|broker| broker.state);
            broker == Some(BrokerState::Up)
        };
        until("it noticed", || !is_up(&story, theirs)).await;
        for _ in 0..5 {
            for partition in [0, 1] {
                story.enqueue_to("each", Some(partition), 1).await;
            }
            story.settled().await;
        }
        rig.cluster().clear_script();
        // Within a backoff it is back.
        until("it is let in", || is_up(&story, theirs)).await;
        story.enqueue_to("each", Some(0), 5).await;
        story.settled().await;
        let ended = story.end(120).await;
        ended.failed(5, FailureKind::Authentication, Fate::NotWritten);
        assert!(ended.failures.iter().all(|failure| failure.partition == Some(PartitionId(0))));
        assert_eq!(ended.failures[0].broker, Some(theirs));
    });
}
