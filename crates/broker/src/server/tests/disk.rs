//! Clusters that are started again.

use milena_wire::{ErrorCode, LeaderEpoch, Offset, PartitionId};

use super::client::{Client, batch};
use super::{N1, P0};
use crate::server::EmbeddedCluster;

#[tokio::test]
async fn a_cluster_with_a_folder_resumes_its_records_ids_and_producers() {
    let dir = tempfile::tempdir().unwrap();
    let start = || EmbeddedCluster::builder().data_dir(dir.path()).start();

    let cluster = start().await.unwrap();
    let id = cluster.create_topic("t", 2, 1).unwrap();
    cluster.create_topic("gone", 1, 1).unwrap();
    let mut client = Client::tcp(&cluster, N1).await;
    client.produce(&batch(7, 0, 0, &["a", "b"])).await.unwrap();
    client.produce(&batch(7, 0, 2, &["c"])).await.unwrap();
    cluster.delete_topic("gone").unwrap();
    cluster.shutdown().await;

    let cluster = start().await.unwrap();
    assert_eq!((cluster.partition_count("t"), cluster.partition_count("gone")), (Some(2), None));
    assert_eq!(cluster.end_offset("t", P0), Some(Offset(3)));
    assert_eq!(cluster.end_offset("t", PartitionId(1)), Some(Offset(0)));
    assert_eq!(cluster.leader("t", P0), Some((Some(N1), LeaderEpoch(1))), "a new leader epoch");
    let mut client = Client::tcp(&cluster, N1).await;
    let answer = client.produce(&batch(7, 0, 2, &["c"])).await.unwrap();
    assert_eq!(
        (answer.error, answer.base_offset),
        (ErrorCode::NONE, Offset(2)),
        "a duplicate, known after the restart"
    );
    let answer = client.produce(&batch(7, 0, 4, &["gap"])).await.unwrap();
    assert_eq!(answer.error, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    client.produce(&batch(7, 0, 3, &["d"])).await.unwrap();
    let log = cluster.log("t", P0);
    assert_eq!(log.iter().map(|b| b.leader_epoch().0).collect::<Vec<_>>(), [0, 0, 1]);
    let values: Vec<_> = log.iter().flat_map(|b| b.records().unwrap()).map(|r| r.value.unwrap()).collect();
    assert_eq!(values, ["a", "b", "c", "d"]);
    assert_ne!(cluster.recreate_topic("t", 1).unwrap(), id);
    drop(client);
    drop(cluster);

    let cluster = start().await.unwrap();
    assert_eq!((cluster.partition_count("t"), cluster.end_offset("t", P0)), (Some(1), Some(Offset(0))));
}

#[tokio::test]
async fn a_log_cut_by_an_election_is_cut_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let lag = std::time::Duration::from_secs(60);
    let cluster = EmbeddedCluster::builder().nodes(2).replication_lag(lag).data_dir(dir.path()).start().await.unwrap();
    cluster.create_topic("t", 1, 2).unwrap();
    let mut client = Client::tcp(&cluster, N1).await;
    client.send(&batch(-1, -1, -1, &["lost"])).await.unwrap();
    while cluster.end_offset("t", P0) != Some(Offset(1)) {
        tokio::task::yield_now().await;
    }
    cluster.move_leader("t", P0, None).unwrap();
    assert_eq!(client.receive().await.unwrap().error, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    cluster.shutdown().await;
    let cluster = EmbeddedCluster::builder().data_dir(dir.path()).start().await.unwrap();
    assert!(cluster.log("t", P0).is_empty());
}

#[tokio::test]
async fn a_topic_that_could_not_be_created_as_a_whole_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let start = || EmbeddedCluster::builder().data_dir(dir.path()).start();
    let in_the_way = dir.path().join("t-1");
    std::fs::write(&in_the_way, "a file where a folder should be").unwrap();
    let cluster = start().await.unwrap();
    cluster.create_topic("t", 2, 1).unwrap_err();
    cluster.create_topic("other", 1, 1).unwrap();
    cluster.shutdown().await;
    std::fs::remove_file(in_the_way).unwrap();
    // One that a kill cut off.
    std::fs::create_dir(dir.path().join("cut-0")).unwrap();
    std::fs::write(dir.path().join("cut-0/00000000000000000000.log"), "").unwrap();
    let cluster = start().await.unwrap();
    let counts = ["t", "cut", "other"].map(|topic| cluster.partition_count(topic));
    assert_eq!(counts, [None, None, Some(1)]);
    for topic in ["t", "cut"] {
        cluster.create_topic(topic, 2, 1).unwrap();
    }
    cluster.shutdown().await;
    let cluster = start().await.unwrap();
    assert_eq!(cluster.partition_count("t"), Some(2));
    cluster.delete_topic("t").unwrap();
    cluster.shutdown().await;
    // With records in it nobody can say whose they are.
    std::fs::remove_file(dir.path().join("cut-0/partition.metadata")).unwrap();
    std::fs::write(dir.path().join("cut-0/00000000000000000000.log"), "records").unwrap();
    assert!(start().await.err().unwrap().to_string().contains("cut-0"));
}
