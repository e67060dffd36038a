//! The cluster over TCP and memory, spoken to with encoded requests.

mod client;
mod disk;
mod faults;

use bytes::Bytes;
use milena_wire::message::metadata::{MetadataRequest, MetadataResponse};
use milena_wire::message::sasl_authenticate::{AuthBytes, SaslAuthenticateRequest, SaslAuthenticateResponse};
use milena_wire::message::sasl_handshake::SaslHandshakeRequest;
use milena_wire::{ApiKey, ApiVersion, BrokerId, ErrorCode, Offset, PartitionId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::EmbeddedCluster;
use crate::SaslServer;
use client::{CORRELATION, Client, batch};

const N1: BrokerId = BrokerId(1);
const P0: PartitionId = PartitionId(0);

async fn cluster(nodes: usize) -> EmbeddedCluster {
    let cluster = EmbeddedCluster::builder().nodes(nodes).start().await.unwrap();
    cluster.create_topic("t", 1, i16::try_from(nodes).unwrap()).unwrap();
    cluster
}

#[tokio::test]
async fn records_produced_over_tcp_are_on_the_log() {
    let cluster = cluster(3).await;
    let mut client = Client::tcp(&cluster, N1).await;
    let answer = client.produce(&batch(1, 0, 0, &["a", "b"])).await.unwrap();
    assert_eq!((answer.error, answer.base_offset), (ErrorCode::NONE, Offset(0)));
    let answer = client.produce(&batch(1, 0, 2, &["c"])).await.unwrap();
    assert_eq!(answer.base_offset, Offset(2));
    let log = cluster.log("t", P0);
    assert_eq!(log.len(), 2);
    assert_eq!((log[0].producer_id().0, log[1].base_sequence(), log[1].last_offset()), (1, 2, Offset(2)));
    let values: Vec<_> = log.iter().flat_map(|b| b.records().unwrap()).map(|r| r.value.unwrap()).collect();
    assert_eq!(values, [Bytes::from("a"), Bytes::from("b"), Bytes::from("c")]);
    assert_eq!(cluster.end_offset("t", P0), Some(Offset(3)));
    assert_eq!(cluster.request_count(N1, ApiKey::PRODUCE), 2);
    assert_eq!(cluster.requests()[&ApiKey::PRODUCE], 2);
    assert_eq!(cluster.connections_accepted(), 1);
    cluster.shutdown().await;
}

#[tokio::test]
async fn memory_reaches_the_same_cluster() {
    let cluster = EmbeddedCluster::builder().memory_only().nodes(2).start().await.unwrap();
    cluster.create_topic("t", 1, 2).unwrap();
    let connector = cluster.memory_connector();
    let (host, port) = cluster.address(N1).unwrap();
    let mut client = Client::over(connector.connect(&host, port).unwrap());
    assert_eq!(client.produce(&batch(-1, -1, -1, &["a"])).await.unwrap().error, ErrorCode::NONE);
    assert!(connector.connect("nobody", 1).is_err());
    cluster.shutdown().await;
    assert!(client.produce(&batch(-1, -1, -1, &["b"])).await.is_err());
}

#[tokio::test]
async fn pipelined_requests_are_answered_one_after_the_other() {
    let cluster = cluster(1).await;
    let mut client = Client::tcp(&cluster, N1).await;
    for i in 0..20 {
        client.send(&batch(1, 0, i, &["x"])).await.unwrap();
    }
    for i in 0..20 {
        assert_eq!(client.receive().await.unwrap().base_offset, Offset(i));
    }
}

#[tokio::test]
async fn a_request_that_comes_byte_by_byte_is_one_request() {
    let cluster = cluster(1).await;
    let mut client = Client::tcp(&cluster, N1).await;
    for byte in client.frame(&batch(-1, -1, -1, &["slow"])) {
        client.stream.write_all(&[byte]).await.unwrap();
    }
    assert_eq!(client.receive().await.unwrap().error, ErrorCode::NONE);
}

#[tokio::test]
async fn a_large_request_and_the_small_ones_around_it_arrive_whole() {
    let cluster = EmbeddedCluster::builder().max_message_bytes(64 << 20).start().await.unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let mut client = Client::tcp(&cluster, N1).await;
    let large = "x".repeat(40 << 20);
    let values = ["small", large.as_str(), "after"];
    for (offset, value) in (0..).zip(values) {
        assert_eq!(client.produce(&batch(-1, -1, -1, &[value])).await.unwrap().base_offset, Offset(offset));
    }
    let sizes: Vec<_> =
        cluster.log("t", P0).iter().map(|b| b.records().unwrap()[0].value.as_ref().unwrap().len()).collect();
    assert_eq!(sizes, [5, 40 << 20, 5]);
}

#[tokio::test]
async fn hostile_bytes_end_their_connection_and_no_other() {
    let cluster = EmbeddedCluster::builder().frame_max(1 << 20).start().await.unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let mut good = Client::tcp(&cluster, N1).await;
    let hostile: [&[u8]; 7] = [
        &[0xff, 0xff, 0xff, 0xff],
        &[0x7f, 0xff, 0xff, 0xff, 0],
        &[0, 0, 0, 0],
        &[0, 0, 0, 3, 1, 2, 3],
        &[0, 0, 0, 10, 0x7f, 0x7f, 0, 0, 0, 0, 0, 1, 0xff, 0xff],
        // Produce v0, which 4.x tells of and does not serve.
        &[0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff],
        b"GET / HTTP/1.1\r\nHost: kafka\r\n\r\n",
    ];
    for bytes in hostile {
        let mut bad = Client::tcp(&cluster, N1).await;
        bad.stream.write_all(bytes).await.unwrap();
        let mut rest = Vec::new();
        // A reset is as good an end as any.
        let _ended = bad.stream.read_to_end(&mut rest).await;
        assert!(rest.is_empty(), "{bytes:?} were answered");
    }
    assert_eq!(good.produce(&batch(-1, -1, -1, &["a"])).await.unwrap().error, ErrorCode::NONE);
}

#[tokio::test]
async fn a_stranger_at_a_listener_with_sasl_has_no_room_for_large_frames_and_somebody_known_has() {
    const MOST: usize = 512 * 1024;
    let (v1, v2) = (ApiVersion(1), ApiVersion(2));
    let server = SaslServer::new(&["PLAIN"]).user("alice", "pencil");
    let cluster = EmbeddedCluster::builder().sasl(server).start().await.unwrap();
    let authenticate = |auth: &[u8]| {
        SaslAuthenticateRequest { auth_bytes: AuthBytes(auth.to_vec().into()) }.encode_frame(v2, CORRELATION, None)
    };
    let around = authenticate(&[0; MOST]).len() - MOST;
    let sized = |size: usize| {
        let frame = authenticate(&vec![0; size + 4 - around]);
        assert_eq!(frame.len(), 4 + size);
        frame
    };
    for (known, size, is_taken) in [(false, MOST, true), (false, MOST + 1, false), (true, MOST + 1, true)] {
        let mut client = Client::tcp(&cluster, N1).await;
        let greeting = SaslHandshakeRequest { mechanism: "PLAIN".to_owned() }.encode_frame(v1, CORRELATION, None);
        client.ask(&greeting, ApiKey::SASL_HANDSHAKE, v1).await;
        if known {
            let body = client.ask(&authenticate(b"\0alice\0pencil"), ApiKey::SASL_AUTHENTICATE, v2).await;
            assert_eq!(SaslAuthenticateResponse::decode(v2, &body).unwrap().error, ErrorCode::NONE);
            client.ask(&greeting, ApiKey::SASL_HANDSHAKE, v1).await;
        }
        // Whoever is not let in may be cut off before all of it is sent.
        let sent = client.stream.write_all(&sized(size).to_vec()).await;
        let answered = sent.is_ok() && client.next_frame().await.is_ok();
        assert_eq!(answered, is_taken, "{size} bytes, known: {known}");
    }
}

#[tokio::test]
async fn the_metadata_leads_to_every_node() {
    let cluster = cluster(3).await;
    let mut client = Client::tcp(&cluster, N1).await;
    let v = ApiVersion(12);
    let request = MetadataRequest { topics: None, ..Default::default() };
    let body = client.ask(&request.encode_frame(v, CORRELATION, None), ApiKey::METADATA, v).await;
    let response = MetadataResponse::decode(v, &body).unwrap();
    let told: Vec<_> = response.brokers.iter().map(|b| format!("{}:{}", b.host, b.port)).collect();
    assert_eq!(told.join(","), cluster.bootstrap());
    for broker in &response.brokers {
        assert_eq!(cluster.address(broker.node), Some((broker.host.clone(), u16::try_from(broker.port).unwrap())));
        let mut there = Client::tcp(&cluster, broker.node).await;
        let error = there.produce(&batch(-1, -1, -1, &["a"])).await.unwrap().error;
        let leads = cluster.leader("t", P0).unwrap().0 == Some(broker.node);
        assert_eq!(error == ErrorCode::NONE, leads);
    }
}

#[test]
fn a_cluster_runs_without_a_runtime_of_the_callers() {
    let cluster = EmbeddedCluster::builder().nodes(2).threads(2).start_blocking().unwrap();
    assert!(std::net::TcpStream::connect(cluster.bootstrap().split(',').next().unwrap()).is_ok());
    assert!(EmbeddedCluster::builder().listen("256.0.0.1:99999").start_blocking().is_err());
    let (host, port) = cluster.address(N1).unwrap();
    let taken = EmbeddedCluster::builder().listen(&format!("{host}:{port}")).start_blocking().unwrap_err();
    assert!(taken.to_string().contains(&port.to_string()), "{taken}");
}
