//! Nodes and connections that fail.

use std::io;
use std::time::Duration;

use milena_wire::{ApiKey, BrokerId, ErrorCode, Offset};
use tokio::io::AsyncReadExt;

use super::client::{Client, batch};
use super::{N1, P0, cluster};
use crate::script::{Reaction, Rule};
use crate::server::EmbeddedCluster;

const N2: BrokerId = BrokerId(2);

/// Waits until `done`, for at most ten seconds.
async fn until(mut done: impl FnMut() -> bool) {
    let wait = async {
        while !done() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap();
}

#[tokio::test]
async fn a_stopped_node_refuses_and_comes_back_on_its_port() {
    let cluster = cluster(2).await;
    let address = cluster.address(N1);
    let mut client = Client::tcp(&cluster, N1).await;
    client.produce(&batch(1, 0, 0, &["a"])).await.unwrap();
    for round in 0..3 {
        cluster.stop_node(N1);
        assert!(client.receive().await.is_err(), "the connection ends");
        assert_eq!(cluster.leader("t", P0).unwrap().0, Some(N2));
        while Client::try_tcp(&cluster, N1).await.is_ok() {}
        cluster.start_node(N1).await.unwrap();
        assert_eq!(cluster.address(N1), address);
        client = Client::tcp(&cluster, N1).await;
        cluster.move_leader("t", P0, Some(N1)).unwrap();
        let answer = client.produce(&batch(1, 0, round + 1, &["b"])).await.unwrap();
        assert_eq!(answer.error, ErrorCode::NONE, "round {round}");
    }
}

#[tokio::test]
async fn cut_connections_end_and_new_ones_work() {
    let cluster = cluster(1).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = Client::tcp(&cluster, N1).await;
        client.produce(&batch(-1, -1, -1, &["a"])).await.unwrap();
        clients.push(client);
    }
    assert_eq!(cluster.cut_connections(Some(N2)), 0);
    assert_eq!(cluster.cut_connections(Some(N1)), 3);
    for client in &mut clients {
        assert!(client.receive().await.is_err());
    }
    let mut client = Client::tcp(&cluster, N1).await;
    assert_eq!(client.produce(&batch(-1, -1, -1, &["b"])).await.unwrap().base_offset, Offset(3));
}

#[tokio::test]
async fn a_request_that_was_read_runs_although_its_connection_was_cut() {
    const DELAY: Duration = Duration::from_secs(1);
    let cluster = cluster(1).await;
    cluster.script(Rule::on(ApiKey::PRODUCE, Reaction::Delay(DELAY)));
    let mut client = Client::tcp(&cluster, N1).await;
    let sent = tokio::time::Instant::now();
    client.send(&batch(1, 0, 0, &["zombie"])).await.unwrap();
    until(|| cluster.script_pending() == 0).await;
    cluster.cut_connections(None);
    assert!(client.receive().await.is_err());
    // Not before its time, which may have come on a machine that is busy with something else.
    assert!(cluster.end_offset("t", P0) == Some(Offset(0)) || sent.elapsed() >= DELAY);
    until(|| cluster.end_offset("t", P0) == Some(Offset(1))).await;
}

#[tokio::test]
async fn a_paused_node_accepts_and_says_nothing_until_it_is_resumed() {
    let cluster = cluster(1).await;
    cluster.pause_node(N1);
    let mut client = Client::tcp(&cluster, N1).await;
    client.send(&batch(-1, -1, -1, &["a"])).await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(50), client.stream.readable()).await;
    assert!(early.is_err(), "nothing comes while it is paused");
    assert_eq!(cluster.end_offset("t", P0), Some(Offset(0)));
    cluster.resume_node(N1);
    assert_eq!(client.receive().await.unwrap().error, ErrorCode::NONE);
}

#[tokio::test]
async fn scripted_ends_of_connections_happen_on_the_wire() {
    let cluster = cluster(1).await;
    let whole = {
        let mut client = Client::tcp(&cluster, N1).await;
        client.send(&batch(-1, -1, -1, &["a"])).await.unwrap();
        4 + client.next_frame().await.unwrap().len()
    };
    for (reaction, bytes, appended) in
        [(Reaction::CloseBefore, 0, 0), (Reaction::CloseAfter, 0, 1), (Reaction::CutAnswer, whole / 2, 1)]
    {
        let before = cluster.end_offset("t", P0).unwrap().0;
        cluster.script(Rule::on(ApiKey::PRODUCE, reaction.clone()));
        let mut client = Client::tcp(&cluster, N1).await;
        client.send(&batch(-1, -1, -1, &["a"])).await.unwrap();
        let mut answer = Vec::new();
        client.stream.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer.len(), bytes, "{reaction:?}");
        assert_eq!(cluster.end_offset("t", P0).unwrap().0 - before, appended, "{reaction:?}");
    }
}

#[tokio::test]
async fn a_silent_connection_stays_open_and_others_are_served() {
    let cluster = cluster(1).await;
    cluster.script(Rule::on(ApiKey::PRODUCE, Reaction::Silence));
    let mut silent = Client::tcp(&cluster, N1).await;
    silent.send(&batch(-1, -1, -1, &["a"])).await.unwrap();
    until(|| cluster.script_pending() == 0).await;
    let mut other = Client::tcp(&cluster, N1).await;
    assert_eq!(other.produce(&batch(-1, -1, -1, &["b"])).await.unwrap().base_offset, Offset(1));
    silent.send(&batch(-1, -1, -1, &["c"])).await.unwrap();
    let answer = tokio::time::timeout(Duration::from_millis(50), silent.receive()).await;
    assert!(answer.is_err(), "neither an answer nor an end");
    assert_eq!(cluster.end_offset("t", P0), Some(Offset(2)));
}

#[tokio::test]
async fn followers_that_lag_are_waited_for_in_real_time() {
    let lag = Duration::from_millis(30);
    let cluster = EmbeddedCluster::builder().nodes(3).replication_lag(lag).start().await.unwrap();
    cluster.create_topic("t", 1, 3).unwrap();
    let mut client = Client::tcp(&cluster, N1).await;
    let started = tokio::time::Instant::now();
    assert_eq!(client.produce(&batch(-1, -1, -1, &["a"])).await.unwrap().error, ErrorCode::NONE);
    assert!(started.elapsed() >= lag);
}

#[tokio::test]
async fn a_cluster_that_was_shut_down_frees_its_ports() {
    let cluster = cluster(2).await;
    let first = cluster.bootstrap().split(',').next().unwrap().to_owned();
    let mut client = Client::tcp(&cluster, N1).await;
    client.produce(&batch(-1, -1, -1, &["a"])).await.unwrap();
    cluster.shutdown().await;
    assert!(client.receive().await.is_err());
    let refused = tokio::net::TcpStream::connect(&first).await.map(drop).map_err(|e| e.kind());
    assert_eq!(refused, Err(io::ErrorKind::ConnectionRefused));
    EmbeddedCluster::builder().listen(&first).start().await.unwrap();
}
