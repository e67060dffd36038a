//! Of what makes topics and takes them away.

use super::*;

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
        .with_topic_id(uuid())
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
            .with_topics(vec![q::DeleteTopicState::default().with_name(Some(name("t"))).with_topic_id(uuid())])
            .with_timeout_ms(5),
        &delete_topics::DeleteTopicsRequest {
            topics: vec![delete_topics::DeletableTopic { name: Some("t".into()), id: ID }],
            names: vec![],
            timeout_ms: 5,
        },
    );
    let topic = r::DeletableTopicResult::default()
        .with_name(None)
        .with_topic_id(uuid())
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
