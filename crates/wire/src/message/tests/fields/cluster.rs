//! Of what tells about brokers, coordinators, topics and their settings.

use super::*;

#[test]
fn of_metadata() {
    use theirs::metadata_request as q;
    use theirs::metadata_response as r;
    same(
        &v::METADATA,
        10,
        &theirs::MetadataRequest::default()
            .with_topics(Some(vec![q::MetadataRequestTopic::default().with_topic_id(uuid()).with_name(None)]))
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
        .with_topic_id(uuid())
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
