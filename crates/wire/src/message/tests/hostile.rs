//! Bytes that are no message: refused, without a panic and without believing any number in them.

use proptest::prelude::*;

use super::*;

fn refuses_truncation<Ours: Field, Theirs>(name: &str, api: &Api, fix: fn(&mut Ours, i16)) {
    for (version, value) in samples::<Ours>(api, fix, 6) {
        let whole = body(&value, version);
        for end in 0..whole.len() {
            let cut = parse::<Ours>(&whole[..end], version);
            assert!(cut.is_err(), "{name} v{}: {end} of {} bytes are enough", version.number, whole.len());
        }
    }
}

#[test]
fn no_message_is_read_from_a_part_of_it() {
    for_each_message!(refuses_truncation);
}

fn refuses_more<Ours: Field, Theirs>(name: &str, api: &Api, fix: fn(&mut Ours, i16)) {
    for (version, value) in samples::<Ours>(api, fix, 6) {
        let longer = [&body(&value, version)[..], &[0]].concat();
        assert!(parse::<Ours>(&longer, version).is_err(), "{name} v{}", version.number);
    }
}

#[test]
fn no_message_is_read_from_more_than_it() {
    for_each_message!(refuses_more);
}

/// Overwrites every place with lengths that are not true, so that each array, string and tagged field gets its turn.
fn survives_lies<Ours: Field, Theirs>(_: &str, api: &Api, fix: fn(&mut Ours, i16)) {
    const LIES: [&[u8]; 6] = [
        &[0x7f, 0xff, 0xff, 0xff],       // 2^31 - 1 elements
        &[0x80, 0x00, 0x00, 0x00],       // -2^31 elements; a varint with bits missing
        &[0xff, 0xff, 0xff, 0xfe],       // -2
        &[0xff, 0xff, 0xff, 0xff, 0x0f], // 2^32 - 2 elements
        &[0xff, 0xff, 0xff, 0xff, 0xff], // a varint without end
        &[0x00],                         // null
    ];
    for (version, value) in samples::<Ours>(api, fix, 2) {
        let whole = body(&value, version);
        for at in 0..whole.len() {
            for lie in LIES {
                let mut bytes = whole.to_vec();
                let end = (at + lie.len()).min(bytes.len());
                bytes.splice(at..end, lie.iter().copied());
                let _ = parse::<Ours>(&bytes, version);
            }
        }
    }
}

#[test]
fn lengths_that_are_not_true_do_no_harm() {
    for_each_message!(survives_lies);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        fn check<Ours: Field>(bytes: &[u8], api: &Api) {
            for version in versions(api) {
                let _ = parse::<Ours>(bytes, version);
            }
        }
        macro_rules! check {
            ($($ours:ty, $api:ident;)*) => { $(check::<$ours>(&bytes, &super::super::versions::$api);)* };
        }
        check! {
            produce::ProduceRequestIn, PRODUCE; produce::ProduceResponse, PRODUCE;
            fetch::FetchRequest, FETCH; fetch::FetchResponse, FETCH;
            list_offsets::ListOffsetsRequest, LIST_OFFSETS; list_offsets::ListOffsetsResponse, LIST_OFFSETS;
            metadata::MetadataRequest, METADATA; metadata::MetadataResponse, METADATA;
            find_coordinator::FindCoordinatorRequest, FIND_COORDINATOR;
            find_coordinator::FindCoordinatorResponse, FIND_COORDINATOR;
            api_versions::ApiVersionsRequest, API_VERSIONS; api_versions::ApiVersionsResponse, API_VERSIONS;
            create_topics::CreateTopicsRequest, CREATE_TOPICS; create_topics::CreateTopicsResponse, CREATE_TOPICS;
            delete_topics::DeleteTopicsRequest, DELETE_TOPICS; delete_topics::DeleteTopicsResponse, DELETE_TOPICS;
            init_producer_id::InitProducerIdRequest, INIT_PRODUCER_ID;
            init_producer_id::InitProducerIdResponse, INIT_PRODUCER_ID;
            offset_for_leader_epoch::OffsetForLeaderEpochRequest, OFFSET_FOR_LEADER_EPOCH;
            offset_for_leader_epoch::OffsetForLeaderEpochResponse, OFFSET_FOR_LEADER_EPOCH;
            describe_configs::DescribeConfigsRequest, DESCRIBE_CONFIGS;
            describe_configs::DescribeConfigsResponse, DESCRIBE_CONFIGS;
            create_partitions::CreatePartitionsRequest, CREATE_PARTITIONS;
            create_partitions::CreatePartitionsResponse, CREATE_PARTITIONS;
            describe_cluster::DescribeClusterRequest, DESCRIBE_CLUSTER;
            describe_cluster::DescribeClusterResponse, DESCRIBE_CLUSTER;
        }
    }

    #[test]
    fn flipped_bits_do_no_harm(seed in any::<u64>()) {
        fn check<Ours: Field>(seed: u64, api: &Api) {
            let dice = &mut Dice::new(seed);
            for version in versions(api) {
                let mut bytes = body(&Ours::sample(dice, version), version).to_vec();
                for _ in 0..if bytes.is_empty() { 0 } else { 4 } {
                    let at = dice.index(bytes.len());
                    bytes[at] ^= 1 << (dice.number() % 8);
                }
                let _ = parse::<Ours>(&bytes, version);
            }
        }
        use super::super::versions as v;
        check::<produce::ProduceRequestIn>(seed, &v::PRODUCE);
        check::<produce::ProduceResponse>(seed, &v::PRODUCE);
        check::<fetch::FetchRequest>(seed, &v::FETCH);
        check::<fetch::FetchResponse>(seed, &v::FETCH);
        check::<metadata::MetadataRequest>(seed, &v::METADATA);
        check::<metadata::MetadataResponse>(seed, &v::METADATA);
        check::<api_versions::ApiVersionsResponse>(seed, &v::API_VERSIONS);
        check::<create_topics::CreateTopicsRequest>(seed, &v::CREATE_TOPICS);
        check::<create_topics::CreateTopicsResponse>(seed, &v::CREATE_TOPICS);
        check::<describe_configs::DescribeConfigsResponse>(seed, &v::DESCRIBE_CONFIGS);
    }
}
