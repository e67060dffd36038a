//! Each value ends up in the field of the right name, which two fields of one type would not show otherwise.

use kafka_protocol::protocol::StrBytes;

use super::super::versions as v;
use super::*;
use crate::ErrorCode;
use crate::ids::{ApiKey, BrokerId, LeaderEpoch, Offset, PartitionId, ProducerEpoch, ProducerId, TopicId, TopicName};

/// What they write in `version` is read as `ours`.
fn same<Ours, Theirs>(api: &Api, version: i16, theirs: &Theirs, ours: &Ours)
where
    Ours: Field + Debug + PartialEq,
    Theirs: Encodable,
{
    let mut written = BytesMut::new();
    theirs.encode(&mut written, version).unwrap();
    let read: Ours = parse(&written, api.version(ApiVersion(version))).unwrap();
    assert_eq!(&read, ours, "v{version}");
}

fn s(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

const ID: TopicId = TopicId([9; 16]);

macro_rules! uuid {
    () => {
        ID.0.to_vec().try_into().unwrap()
    };
}

fn node(id: i32) -> theirs::BrokerId {
    theirs::BrokerId(id)
}

fn name(text: &'static str) -> theirs::TopicName {
    theirs::TopicName(s(text))
}

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
                r::TopicProduceResponse::default().with_topic_id(uuid!()).with_partition_responses(vec![partition]),
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
fn of_metadata() {
    use theirs::metadata_request as q;
    use theirs::metadata_response as r;
    same(
        &v::METADATA,
        10,
        &theirs::MetadataRequest::default()
            .with_topics(Some(vec![q::MetadataRequestTopic::default().with_topic_id(uuid!()).with_name(None)]))
            .with_allow_auto_topic_creation(false)
            .with_include_cluster_authorized_operations(true)
            .with_include_topic_authorized_operations(false),
        &metadata::MetadataRequest {
            topics: Some(vec![metadata::MetadataRequestTopic { id: ID, name: None }]),
            allow_auto_topic_creation: false,
            include_cluster_authorized_operations: true,
            include_topic_authorized_operations: false,
        },
    );
    let partition = r::MetadataResponsePartition::default()
        .with_error_code(5)
        .with_partition_index(1)
        .with_leader_id(node(2))
        .with_leader_epoch(3)
        .with_replica_nodes(vec![node(2), node(4), node(5)])
        .with_isr_nodes(vec![node(2)])
        .with_offline_replicas(vec![node(5)]);
    let topic = r::MetadataResponseTopic::default()
        .with_error_code(3)
        .with_name(Some(name("t")))
        .with_topic_id(uuid!())
        .with_is_internal(true)
        .with_partitions(vec![partition])
        .with_topic_authorized_operations(77);
    let broker = r::MetadataResponseBroker::default()
        .with_node_id(node(2))
        .with_host(s("h"))
        .with_port(9092)
        .with_rack(Some(s("k")));
    let answer = theirs::MetadataResponse::default()
        .with_throttle_time_ms(11)
        .with_brokers(vec![broker])
        .with_cluster_id(Some(s("c")))
        .with_controller_id(node(6))
        .with_topics(vec![topic]);
    let read = metadata::MetadataResponse {
        throttle_ms: 11,
        brokers: vec![metadata::MetadataBroker {
            node: BrokerId(2),
            host: "h".to_owned(),
            port: 9092,
            rack: some("k"),
        }],
        cluster_id: some("c"),
        controller: BrokerId(6),
        topics: vec![metadata::MetadataTopic {
            error: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            name: Some("t".into()),
            id: ID,
            is_internal: true,
            partitions: vec![metadata::MetadataPartition {
                error: ErrorCode::LEADER_NOT_AVAILABLE,
                index: PartitionId(1),
                leader: BrokerId(2),
                leader_epoch: LeaderEpoch(3),
                replicas: vec![BrokerId(2), BrokerId(4), BrokerId(5)],
                isr: vec![BrokerId(2)],
                offline: vec![BrokerId(5)],
            }],
            authorized_operations: 77,
        }],
        cluster_authorized_operations: i32::MIN,
        error: ErrorCode::REBOOTSTRAP_REQUIRED,
    };
    same(&v::METADATA, 13, &answer.with_error_code(129), &read);
}

#[test]
fn of_api_versions() {
    use theirs::api_versions_response as r;
    same(
        &v::API_VERSIONS,
        4,
        &theirs::ApiVersionsRequest::default()
            .with_client_software_name(s("milena"))
            .with_client_software_version(s("1.0")),
        &api_versions::ApiVersionsRequest {
            client_software_name: "milena".to_owned(),
            client_software_version: "1.0".to_owned(),
        },
    );
    same(
        &v::API_VERSIONS,
        3,
        &theirs::ApiVersionsResponse::default()
            .with_error_code(-1)
            .with_api_keys(vec![r::ApiVersion::default().with_api_key(1).with_min_version(2).with_max_version(3)])
            .with_throttle_time_ms(4)
            .with_supported_features(vec![
                r::SupportedFeatureKey::default().with_name(s("a")).with_min_version(5).with_max_version(6),
            ])
            .with_finalized_features_epoch(7)
            .with_finalized_features(vec![
                r::FinalizedFeatureKey::default().with_name(s("b")).with_max_version_level(8).with_min_version_level(9),
            ])
            .with_zk_migration_ready(true),
        &api_versions::ApiVersionsResponse {
            error: ErrorCode::UNKNOWN_SERVER_ERROR,
            apis: vec![api_versions::ApiRange { key: ApiKey(1), min: ApiVersion(2), max: ApiVersion(3) }],
            throttle_ms: 4,
            supported_features: vec![api_versions::SupportedFeature { name: "a".to_owned(), min: 5, max: 6 }],
            finalized_features_epoch: 7,
            finalized_features: vec![api_versions::FinalizedFeature {
                name: "b".to_owned(),
                max_level: 8,
                min_level: 9,
            }],
            zk_migration_ready: true,
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
            .with_topic_id(uuid!())
            .with_partitions(vec![partition.with_replica_directory_id(uuid!()).with_high_watermark(99)]),
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
                r::FetchableTopicResponse::default().with_topic_id(uuid!()).with_partitions(vec![partition]),
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
fn of_find_coordinator() {
    use theirs::find_coordinator_response as r;
    same(
        &v::FIND_COORDINATOR,
        3,
        &theirs::FindCoordinatorRequest::default().with_key(s("x")).with_key_type(1),
        &find_coordinator::FindCoordinatorRequest { key: "x".to_owned(), key_type: 1, keys: vec![] },
    );
    same(
        &v::FIND_COORDINATOR,
        3,
        &theirs::FindCoordinatorResponse::default()
            .with_throttle_time_ms(1)
            .with_error_code(15)
            .with_error_message(Some(s("none")))
            .with_node_id(node(2))
            .with_host(s("h"))
            .with_port(3),
        &find_coordinator::FindCoordinatorResponse {
            throttle_ms: 1,
            error: ErrorCode::COORDINATOR_NOT_AVAILABLE,
            error_message: some("none"),
            node: BrokerId(2),
            host: "h".to_owned(),
            port: 3,
            coordinators: vec![],
        },
    );
    same(
        &v::FIND_COORDINATOR,
        6,
        &theirs::FindCoordinatorRequest::default().with_key_type(1).with_coordinator_keys(vec![s("x")]),
        &find_coordinator::FindCoordinatorRequest { key: String::new(), key_type: 1, keys: vec!["x".to_owned()] },
    );
    let coordinator = r::Coordinator::default()
        .with_key(s("x"))
        .with_node_id(node(2))
        .with_host(s("h"))
        .with_port(3)
        .with_error_code(15)
        .with_error_message(Some(s("none")));
    same(
        &v::FIND_COORDINATOR,
        6,
        &theirs::FindCoordinatorResponse::default().with_throttle_time_ms(1).with_coordinators(vec![coordinator]),
        &find_coordinator::FindCoordinatorResponse {
            throttle_ms: 1,
            coordinators: vec![find_coordinator::Coordinator {
                key: "x".to_owned(),
                node: BrokerId(2),
                host: "h".to_owned(),
                port: 3,
                error: ErrorCode::COORDINATOR_NOT_AVAILABLE,
                error_message: some("none"),
            }],
            ..Default::default()
        },
    );
}

#[test]
fn of_create_topics() {
    use theirs::create_topics_request as q;
    use theirs::create_topics_response as r;
    let topic = q::CreatableTopic::default()
        .with_name(name("t"))
        .with_num_partitions(1)
        .with_replication_factor(2)
        .with_assignments(vec![
            q::CreatableReplicaAssignment::default().with_partition_index(3).with_broker_ids(vec![node(4)]),
        ])
        .with_configs(vec![q::CreatableTopicConfig::default().with_name(s("a")).with_value(Some(s("b")))]);
    same(
        &v::CREATE_TOPICS,
        7,
        &theirs::CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(5).with_validate_only(true),
        &create_topics::CreateTopicsRequest {
            topics: vec![create_topics::CreatableTopic {
                name: "t".into(),
                partitions: 1,
                replication_factor: 2,
                assignments: vec![create_topics::CreatableAssignment {
                    index: PartitionId(3),
                    brokers: vec![BrokerId(4)],
                }],
                configs: vec![create_topics::CreatableConfig { name: "a".to_owned(), value: some("b") }],
            }],
            timeout_ms: 5,
            validate_only: true,
        },
    );
    let config = r::CreatableTopicConfigs::default()
        .with_name(s("a"))
        .with_value(Some(s("b")))
        .with_read_only(true)
        .with_config_source(5)
        .with_is_sensitive(false);
    let topic = r::CreatableTopicResult::default()
        .with_name(name("t"))
        .with_topic_id(uuid!())
        .with_error_code(36)
        .with_error_message(Some(s("exists")))
        .with_topic_config_error_code(29)
        .with_num_partitions(1)
        .with_replication_factor(2)
        .with_configs(Some(vec![config]));
    same(
        &v::CREATE_TOPICS,
        7,
        &theirs::CreateTopicsResponse::default().with_throttle_time_ms(1).with_topics(vec![topic]),
        &create_topics::CreateTopicsResponse {
            throttle_ms: 1,
            topics: vec![create_topics::CreatedTopic {
                name: "t".into(),
                id: ID,
                error: ErrorCode::TOPIC_ALREADY_EXISTS,
                error_message: some("exists"),
                config_error: ErrorCode::TOPIC_AUTHORIZATION_FAILED,
                partitions: 1,
                replication_factor: 2,
                configs: Some(vec![create_topics::CreatedConfig {
                    name: "a".to_owned(),
                    value: some("b"),
                    read_only: true,
                    source: 5,
                    sensitive: false,
                }]),
            }],
        },
    );
}

#[test]
fn of_delete_topics_and_create_partitions() {
    use theirs::create_partitions_request as p;
    use theirs::create_partitions_response as pr;
    use theirs::delete_topics_request as q;
    use theirs::delete_topics_response as r;
    same(
        &v::DELETE_TOPICS,
        5,
        &theirs::DeleteTopicsRequest::default().with_topic_names(vec![name("t")]).with_timeout_ms(5),
        &delete_topics::DeleteTopicsRequest { topics: vec![], names: vec![TopicName::new("t")], timeout_ms: 5 },
    );
    same(
        &v::DELETE_TOPICS,
        6,
        &theirs::DeleteTopicsRequest::default()
            .with_topics(vec![q::DeleteTopicState::default().with_name(Some(name("t"))).with_topic_id(uuid!())])
            .with_timeout_ms(5),
        &delete_topics::DeleteTopicsRequest {
            topics: vec![delete_topics::DeletableTopic { name: Some("t".into()), id: ID }],
            names: vec![],
            timeout_ms: 5,
        },
    );
    let topic = r::DeletableTopicResult::default()
        .with_name(None)
        .with_topic_id(uuid!())
        .with_error_code(100)
        .with_error_message(Some(s("gone")));
    same(
        &v::DELETE_TOPICS,
        6,
        &theirs::DeleteTopicsResponse::default().with_throttle_time_ms(1).with_responses(vec![topic]),
        &delete_topics::DeleteTopicsResponse {
            throttle_ms: 1,
            topics: vec![delete_topics::DeletedTopic {
                name: None,
                id: ID,
                error: ErrorCode::UNKNOWN_TOPIC_ID,
                error_message: some("gone"),
            }],
        },
    );
    let topic = p::CreatePartitionsTopic::default()
        .with_name(name("t"))
        .with_count(6)
        .with_assignments(Some(vec![p::CreatePartitionsAssignment::default().with_broker_ids(vec![node(4)])]));
    same(
        &v::CREATE_PARTITIONS,
        3,
        &theirs::CreatePartitionsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(5)
            .with_validate_only(true),
        &create_partitions::CreatePartitionsRequest {
            topics: vec![create_partitions::TopicToExtend {
                name: "t".into(),
                count: 6,
                assignments: Some(vec![create_partitions::NewAssignment { brokers: vec![BrokerId(4)] }]),
            }],
            timeout_ms: 5,
            validate_only: true,
        },
    );
    let topic = pr::CreatePartitionsTopicResult::default()
        .with_name(name("t"))
        .with_error_code(37)
        .with_error_message(Some(s("fewer")));
    same(
        &v::CREATE_PARTITIONS,
        3,
        &theirs::CreatePartitionsResponse::default().with_throttle_time_ms(1).with_results(vec![topic]),
        &create_partitions::CreatePartitionsResponse {
            throttle_ms: 1,
            topics: vec![create_partitions::ExtendedTopic {
                name: "t".into(),
                error: ErrorCode::INVALID_PARTITIONS,
                error_message: some("fewer"),
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

#[test]
fn of_describe_configs_and_describe_cluster() {
    use theirs::describe_cluster_response as c;
    use theirs::describe_configs_request as q;
    use theirs::describe_configs_response as r;
    let resource = q::DescribeConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(s("t"))
        .with_configuration_keys(Some(vec![s("a")]));
    same(
        &v::DESCRIBE_CONFIGS,
        4,
        &theirs::DescribeConfigsRequest::default()
            .with_resources(vec![resource])
            .with_include_synonyms(true)
            .with_include_documentation(false),
        &describe_configs::DescribeConfigsRequest {
            resources: vec![describe_configs::ConfigResource {
                kind: describe_configs::TOPIC,
                name: "t".to_owned(),
                keys: Some(vec!["a".to_owned()]),
            }],
            include_synonyms: true,
            include_documentation: false,
        },
    );
    let config = r::DescribeConfigsResourceResult::default()
        .with_name(s("a"))
        .with_value(Some(s("b")))
        .with_read_only(true)
        .with_config_source(5)
        .with_is_sensitive(false)
        .with_synonyms(vec![
            r::DescribeConfigsSynonym::default().with_name(s("c")).with_value(Some(s("d"))).with_source(4),
        ])
        .with_config_type(3)
        .with_documentation(Some(s("e")));
    let result = r::DescribeConfigsResult::default()
        .with_error_code(29)
        .with_error_message(Some(s("no")))
        .with_resource_type(4)
        .with_resource_name(s("1"))
        .with_configs(vec![config]);
    same(
        &v::DESCRIBE_CONFIGS,
        4,
        &theirs::DescribeConfigsResponse::default().with_throttle_time_ms(1).with_results(vec![result]),
        &describe_configs::DescribeConfigsResponse {
            throttle_ms: 1,
            results: vec![describe_configs::DescribedResource {
                error: ErrorCode::TOPIC_AUTHORIZATION_FAILED,
                error_message: some("no"),
                kind: describe_configs::BROKER,
                name: "1".to_owned(),
                configs: vec![describe_configs::DescribedConfig {
                    name: "a".to_owned(),
                    value: some("b"),
                    read_only: true,
                    source: 5,
                    sensitive: false,
                    synonyms: vec![describe_configs::ConfigSynonym {
                        name: "c".to_owned(),
                        value: some("d"),
                        source: 4,
                    }],
                    config_type: 3,
                    documentation: some("e"),
                }],
            }],
        },
    );
    same(
        &v::DESCRIBE_CLUSTER,
        2,
        &theirs::DescribeClusterRequest::default()
            .with_include_cluster_authorized_operations(true)
            .with_endpoint_type(2)
            .with_include_fenced_brokers(false),
        &describe_cluster::DescribeClusterRequest {
            include_cluster_authorized_operations: true,
            endpoint_type: 2,
            include_fenced_brokers: false,
        },
    );
    let broker = c::DescribeClusterBroker::default()
        .with_broker_id(node(2))
        .with_host(s("h"))
        .with_port(3)
        .with_rack(Some(s("k")))
        .with_is_fenced(true);
    same(
        &v::DESCRIBE_CLUSTER,
        2,
        &theirs::DescribeClusterResponse::default()
            .with_throttle_time_ms(1)
            .with_error_code(31)
            .with_error_message(Some(s("no")))
            .with_endpoint_type(2)
            .with_cluster_id(s("c"))
            .with_controller_id(node(4))
            .with_brokers(vec![broker])
            .with_cluster_authorized_operations(5),
        &describe_cluster::DescribeClusterResponse {
            throttle_ms: 1,
            error: ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
            error_message: some("no"),
            endpoint_type: 2,
            cluster_id: "c".to_owned(),
            controller: BrokerId(4),
            brokers: vec![describe_cluster::ClusterBroker {
                node: BrokerId(2),
                host: "h".to_owned(),
                port: 3,
                rack: some("k"),
                is_fenced: true,
            }],
            cluster_authorized_operations: 5,
        },
    );
}

#[test]
fn of_sasl_handshake_and_sasl_authenticate() {
    let secret = Bytes::from_static(b"secret");
    same(
        &v::SASL_HANDSHAKE,
        1,
        &theirs::SaslHandshakeRequest::default().with_mechanism(s("PLAIN")),
        &sasl_handshake::SaslHandshakeRequest { mechanism: "PLAIN".to_owned() },
    );
    same(
        &v::SASL_HANDSHAKE,
        1,
        &theirs::SaslHandshakeResponse::default().with_error_code(33).with_mechanisms(vec![s("A"), s("B")]),
        &sasl_handshake::SaslHandshakeResponse {
            error: ErrorCode::UNSUPPORTED_SASL_MECHANISM,
            mechanisms: vec!["A".to_owned(), "B".to_owned()],
        },
    );
    same(
        &v::SASL_AUTHENTICATE,
        2,
        &theirs::SaslAuthenticateRequest::default().with_auth_bytes(secret.clone()),
        &sasl_authenticate::SaslAuthenticateRequest { auth_bytes: sasl_authenticate::AuthBytes(secret.clone()) },
    );
    same(
        &v::SASL_AUTHENTICATE,
        2,
        &theirs::SaslAuthenticateResponse::default()
            .with_error_code(58)
            .with_error_message(Some(s("no")))
            .with_auth_bytes(secret.clone())
            .with_session_lifetime_ms(77),
        &sasl_authenticate::SaslAuthenticateResponse {
            error: ErrorCode::SASL_AUTHENTICATION_FAILED,
            error_message: some("no"),
            auth_bytes: sasl_authenticate::AuthBytes(secret),
            session_lifetime_ms: 77,
        },
    );
}
