//! The broker's script strikes the exchange: errors, broken connections, silence and nonsense.

use std::time::Duration;

use milena_broker::{Reaction, Rule};
use milena_producer::{ErrorCode, Record};
use milena_wire::ApiKey;

use super::*;

#[tokio::test]
async fn an_exchange_that_is_struck_a_few_times_costs_attempts_and_no_record() {
    let strikes = [
        Reaction::Error(ErrorCode::SASL_AUTHENTICATION_FAILED),
        Reaction::Error(ErrorCode::UNSUPPORTED_SASL_MECHANISM),
        Reaction::Error(ErrorCode::REQUEST_TIMED_OUT),
        Reaction::CloseBefore,
        Reaction::CutAnswer,
        Reaction::Silence,
        Reaction::Garble,
        Reaction::WrongCorrelation,
    ];
    for api in [ApiKey::SASL_HANDSHAKE, ApiKey::SASL_AUTHENTICATE] {
        for reaction in &strikes {
            let server = server();
            let cluster = cluster(server.clone()).await;
            cluster.script(Rule::on(api, reaction.clone()).times(3));
            // Only silence has to be waited out, twice as long each time: at last longer than any exchange takes.
            let stalls = *reaction == Reaction::Silence;
            let producer = by("SCRAM-SHA-256", "pencil")
                .on(producer(&cluster))
                .connect_timeout(if stalls { Duration::from_millis(200) } else { LONG })
                .connect_timeout_max(LONG)
                .reconnect_backoff_max(Duration::from_millis(200))
                .build()
                .unwrap();
            producer.send(Record::to("topic").value("1")).await.unwrap();
            producer.close(LONG).await.unwrap();
            assert_eq!(cluster.script_pending(), 0, "{api}, {reaction:?}: all of it has struck");
            // Two that are needed, and one for each strike; where so little time is given, also what is slow without one.
            let attempts = cluster.connections_accepted();
            assert!(attempts >= 2 && (stalls || attempts <= 5), "{api}, {reaction:?}: {attempts}");
            assert_eq!(written(&cluster, "topic").values().flatten().copied().collect::<Vec<_>>(), [1]);
            assert!(cluster.requests()[&api] >= 5, "they are counted like others");
        }
    }
}

#[tokio::test]
async fn renewals_that_are_struck_under_load_lose_and_double_nothing() {
    for reaction in [Reaction::Error(ErrorCode::SASL_AUTHENTICATION_FAILED), Reaction::CloseBefore, Reaction::Garble] {
        let server = server().session_lifetime(Duration::from_millis(200));
        let cluster = cluster(server.clone()).await;
        cluster.create_topic("topic", 1, 1).unwrap();
        let producer =
            by("PLAIN", "pencil").on(producer(&cluster)).reconnect_backoff(Duration::from_millis(5)).build().unwrap();
        producer.send(Record::to("topic").value("0")).await.unwrap();
        cluster.script(Rule::on(ApiKey::SASL_AUTHENTICATE, reaction.clone()).times(4));
        let mut sent = 1_u64;
        while cluster.script_pending() > 0 {
            let mut deliveries = Vec::new();
            for _ in 0..20 {
                deliveries.push(producer.enqueue(Record::to("topic").value(sent.to_string())).await.unwrap());
                sent += 1;
            }
            for delivery in deliveries {
                delivery.await.unwrap();
            }
        }
        producer.close(LONG).await.unwrap();
        let expected: Vec<_> = (0..sent).collect();
        assert_eq!(written(&cluster, "topic")[&PartitionId(0)], expected, "{reaction:?}");
    }
}
