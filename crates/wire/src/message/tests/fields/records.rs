//! Of what records are written, found and read by.

use super::*;

#[test]
fn of_produce() {
    use theirs::produce_request as q;
    use theirs::produce_response as r;
    let partition = q::PartitionProduceData::default().with_index(3).with_records(Some(Bytes::from_static(b"rec")));
    let topic = q::TopicProduceData::default().with_name(name("t")).with_partition_data(vec![partition]);
    same(
        &v::PRODUCE,
        9,
        &theirs::ProduceRequest::default()
            .with_transactional_id(Some(s("x").into()))
            .with_acks(-1)
            .with_timeout_ms(30)
            .with_topic_data(vec![topic]),
        &produce::ProduceRequestIn {
            transactional_id: some("x"),
            acks: -1,
            timeout_ms: 30,
            topics: vec![produce::ProduceTopicIn {
                name: "t".into(),
                id: TopicId::ZERO,
                partitions: vec![produce::ProducePartitionIn {
                    index: PartitionId(3),
                    records: Some(Bytes::from_static(b"rec")),
                }],
            }],
        },
    );
    let partition = r::PartitionProduceResponse::default()
        .with_index(1)
        .with_error_code(6)
        .with_base_offset(20)
        .with_log_append_time_ms(30)
        .with_log_start_offset(40)
        .with_record_errors(vec![
            r::BatchIndexAndErrorMessage::default().with_batch_index(7).with_batch_index_error_message(Some(s("bad"))),
        ])
        .with_error_message(Some(s("moved")))
        .with_current_leader(r::LeaderIdAndEpoch::default().with_leader_id(node(2)).with_leader_epoch(5));
    same(
        &v::PRODUCE,
        13,
        &theirs::ProduceResponse::default()
            .with_responses(vec![
                r::TopicProduceResponse::default().with_topic_id(uuid()).with_partition_responses(vec![partition]),
            ])
            .with_throttle_time_ms(11)
            .with_node_endpoints(vec![
                r::NodeEndpoint::default().with_node_id(node(2)).with_host(s("h")).with_port(9).with_rack(Some(s("k"))),
            ]),
        &produce::ProduceResponse {
            topics: vec![produce::ProduceTopicResponse {
                name: "".into(),
                id: ID,
                partitions: vec![produce::ProducePartitionResponse {
                    index: PartitionId(1),
                    error: ErrorCode::NOT_LEADER_OR_FOLLOWER,
                    base_offset: Offset(20),
                    log_append_time_ms: 30,
                    log_start_offset: Offset(40),
                    record_errors: vec![produce::RecordError { index: 7, message: some("bad") }],
                    error_message: some("moved"),
                    current_leader: CurrentLeader { leader: BrokerId(2), epoch: LeaderEpoch(5) },
                }],
            }],
            throttle_ms: 11,
            node_endpoints: vec![NodeEndpoint { node: BrokerId(2), host: "h".to_owned(), port: 9, rack: some("k") }],
        },
    );
}

#[test]
fn of_init_producer_id() {
    same(
        &v::INIT_PRODUCER_ID,
        5,
        &theirs::InitProducerIdRequest::default()
            .with_transactional_id(Some(s("x").into()))
            .with_transaction_timeout_ms(60)
            .with_producer_id(7.into())
            .with_producer_epoch(8),
        &init_producer_id::InitProducerIdRequest {
            transactional_id: some("x"),
            transaction_timeout_ms: 60,
            producer_id: ProducerId(7),
            producer_epoch: ProducerEpoch(8),
        },
    );
    same(
        &v::INIT_PRODUCER_ID,
        5,
        &theirs::InitProducerIdResponse::default()
            .with_throttle_time_ms(1)
            .with_error_code(51)
            .with_producer_id(7.into())
            .with_producer_epoch(8),
        &init_producer_id::InitProducerIdResponse {
            throttle_ms: 1,
            error: ErrorCode::CONCURRENT_TRANSACTIONS,
            producer_id: ProducerId(7),
            producer_epoch: ProducerEpoch(8),
        },
    );
}

#[test]
fn of_fetch() {
    use theirs::fetch_request as q;
    use theirs::fetch_response as r;
    let partition = q::FetchPartition::default()
        .with_partition(1)
        .with_current_leader_epoch(2)
        .with_fetch_offset(3)
        .with_last_fetched_epoch(4)
        .with_log_start_offset(5)
        .with_partition_max_bytes(6);
    let request = theirs::FetchRequest::default()
        .with_max_wait_ms(11)
        .with_min_bytes(12)
        .with_max_bytes(13)
        .with_isolation_level(1)
        .with_session_id(14)
        .with_session_epoch(15)
        .with_rack_id(s("k"));
    let topics = vec![q::FetchTopic::default().with_topic(name("t")).with_partitions(vec![partition.clone()])];
    let forgotten = vec![q::ForgottenTopic::default().with_topic(name("f")).with_partitions(vec![8])];
    let read = fetch::FetchRequest {
        replica: BrokerId(-1),
        max_wait_ms: 11,
        min_bytes: 12,
        max_bytes: 13,
        isolation_level: 1,
        session_id: 14,
        session_epoch: 15,
        topics: vec![fetch::FetchTopic {
            name: "t".into(),
            id: TopicId::ZERO,
            partitions: vec![fetch::FetchPartition {
                index: PartitionId(1),
                current_leader_epoch: LeaderEpoch(2),
                offset: Offset(3),
                last_fetched_epoch: LeaderEpoch(4),
                log_start_offset: Offset(5),
                max_bytes: 6,
                replica_directory: TopicId::ZERO,
                high_watermark: Offset(i64::MAX),
            }],
        }],
        forgotten: vec![fetch::ForgottenTopic {
            name: "f".into(),
            id: TopicId::ZERO,
            partitions: vec![PartitionId(8)],
        }],
        rack: "k".to_owned(),
        cluster_id: some("c"),
        replica_state: fetch::ReplicaState::default(),
    };
    same(
        &v::FETCH,
        12,
        &request.clone().with_topics(topics).with_forgotten_topics_data(forgotten).with_cluster_id(Some(s("c"))),
        &read,
    );
    let topics = vec![
        q::FetchTopic::default()
            .with_topic_id(uuid())
            .with_partitions(vec![partition.with_replica_directory_id(uuid()).with_high_watermark(99)]),
    ];
    let mut read = fetch::FetchRequest { forgotten: vec![], cluster_id: None, ..read };
    read.topics[0].name = "".into();
    read.topics[0].id = ID;
    read.topics[0].partitions[0].replica_directory = ID;
    read.topics[0].partitions[0].high_watermark = Offset(99);
    read.replica_state = fetch::ReplicaState { replica: BrokerId(3), epoch: 4 };
    let state = q::ReplicaState::default().with_replica_id(node(3)).with_replica_epoch(4);
    same(&v::FETCH, 18, &request.with_topics(topics).with_replica_state(state), &read);

    let partition = r::PartitionData::default()
        .with_partition_index(1)
        .with_error_code(6)
        .with_high_watermark(2)
        .with_last_stable_offset(3)
        .with_log_start_offset(4)
        .with_diverging_epoch(r::EpochEndOffset::default().with_epoch(5).with_end_offset(6))
        .with_current_leader(r::LeaderIdAndEpoch::default().with_leader_id(node(7)).with_leader_epoch(8))
        .with_snapshot_id(r::SnapshotId::default().with_end_offset(1).with_epoch(1))
        .with_aborted_transactions(Some(vec![
            r::AbortedTransaction::default().with_producer_id(9.into()).with_first_offset(10),
        ]))
        .with_preferred_read_replica(node(11))
        .with_records(Some(Bytes::from_static(b"rec")));
    same(
        &v::FETCH,
        17,
        &theirs::FetchResponse::default()
            .with_throttle_time_ms(1)
            .with_error_code(70)
            .with_session_id(2)
            .with_responses(vec![
                r::FetchableTopicResponse::default().with_topic_id(uuid()).with_partitions(vec![partition]),
            ])
            .with_node_endpoints(vec![
                r::NodeEndpoint::default().with_node_id(node(7)).with_host(s("h")).with_port(9).with_rack(None),
            ]),
        &fetch::FetchResponse {
            throttle_ms: 1,
            error: ErrorCode::FETCH_SESSION_ID_NOT_FOUND,
            session_id: 2,
            topics: vec![fetch::FetchedTopic {
                name: "".into(),
                id: ID,
                partitions: vec![fetch::FetchedPartition {
                    index: PartitionId(1),
                    error: ErrorCode::NOT_LEADER_OR_FOLLOWER,
                    high_watermark: Offset(2),
                    last_stable_offset: Offset(3),
                    log_start_offset: Offset(4),
                    diverging: fetch::DivergingEpoch { epoch: LeaderEpoch(5), end_offset: Offset(6) },
                    current_leader: CurrentLeader { leader: BrokerId(7), epoch: LeaderEpoch(8) },
                    aborted: Some(vec![fetch::AbortedTransaction {
                        producer_id: ProducerId(9),
                        first_offset: Offset(10),
                    }]),
                    preferred_read_replica: BrokerId(11),
                    records: Some(Slices::from(Bytes::from_static(b"rec"))),
                }],
            }],
            node_endpoints: vec![NodeEndpoint { node: BrokerId(7), host: "h".to_owned(), port: 9, rack: None }],
        },
    );
}

#[test]
fn of_list_offsets() {
    use theirs::list_offsets_request as q;
    use theirs::list_offsets_response as r;
    let partition =
        q::ListOffsetsPartition::default().with_partition_index(1).with_current_leader_epoch(2).with_timestamp(-3);
    same(
        &v::LIST_OFFSETS,
        10,
        &theirs::ListOffsetsRequest::default()
            .with_replica_id(node(4))
            .with_isolation_level(1)
            .with_topics(vec![q::ListOffsetsTopic::default().with_name(name("t")).with_partitions(vec![partition])])
            .with_timeout_ms(5),
        &list_offsets::ListOffsetsRequest {
            replica: BrokerId(4),
            isolation_level: 1,
            topics: vec![list_offsets::ListOffsetsTopic {
                name: "t".into(),
                partitions: vec![list_offsets::ListOffsetsPartition {
                    index: PartitionId(1),
                    current_leader_epoch: LeaderEpoch(2),
                    timestamp_ms: list_offsets::MAX_TIMESTAMP,
                }],
            }],
            timeout_ms: 5,
        },
    );
    let partition = r::ListOffsetsPartitionResponse::default()
        .with_partition_index(1)
        .with_error_code(3)
        .with_timestamp(4)
        .with_offset(5)
        .with_leader_epoch(6);
    same(
        &v::LIST_OFFSETS,
        10,
        &theirs::ListOffsetsResponse::default().with_throttle_time_ms(7).with_topics(vec![
            r::ListOffsetsTopicResponse::default().with_name(name("t")).with_partitions(vec![partition]),
        ]),
        &list_offsets::ListOffsetsResponse {
            throttle_ms: 7,
            topics: vec![list_offsets::ListOffsetsTopicResponse {
                name: "t".into(),
                partitions: vec![list_offsets::ListOffsetsPartitionResponse {
                    index: PartitionId(1),
                    error: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                    timestamp_ms: 4,
                    offset: Offset(5),
                    leader_epoch: LeaderEpoch(6),
                }],
            }],
        },
    );
}

#[test]
fn of_offset_for_leader_epoch() {
    use offset_for_leader_epoch as ours;
    use theirs::offset_for_leader_epoch_request as q;
    use theirs::offset_for_leader_epoch_response as r;
    let partition =
        q::OffsetForLeaderPartition::default().with_partition(1).with_current_leader_epoch(2).with_leader_epoch(3);
    same(
        &v::OFFSET_FOR_LEADER_EPOCH,
        4,
        &theirs::OffsetForLeaderEpochRequest::default().with_replica_id(node(-1)).with_topics(vec![
            q::OffsetForLeaderTopic::default().with_topic(name("t")).with_partitions(vec![partition]),
        ]),
        &ours::OffsetForLeaderEpochRequest {
            replica: BrokerId(-1),
            topics: vec![ours::OffsetForLeaderTopic {
                name: "t".into(),
                partitions: vec![ours::OffsetForLeaderPartition {
                    index: PartitionId(1),
                    current_leader_epoch: LeaderEpoch(2),
                    leader_epoch: LeaderEpoch(3),
                }],
            }],
        },
    );
    let end =
        r::EpochEndOffset::default().with_error_code(74).with_partition(1).with_leader_epoch(2).with_end_offset(3);
    same(
        &v::OFFSET_FOR_LEADER_EPOCH,
        4,
        &theirs::OffsetForLeaderEpochResponse::default().with_throttle_time_ms(4).with_topics(vec![
            r::OffsetForLeaderTopicResult::default().with_topic(name("t")).with_partitions(vec![end]),
        ]),
        &ours::OffsetForLeaderEpochResponse {
            throttle_ms: 4,
            topics: vec![ours::OffsetForLeaderTopicResult {
                name: "t".into(),
                partitions: vec![ours::EpochEnd {
                    error: ErrorCode::FENCED_LEADER_EPOCH,
                    index: PartitionId(1),
                    leader_epoch: LeaderEpoch(2),
                    end_offset: Offset(3),
                }],
            }],
        },
    );
}
