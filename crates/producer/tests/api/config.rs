//! Settings: every rule, all problems at once, and the properties of others.

use std::collections::BTreeMap;
use std::time::Duration;

use milena_producer::property::{Properties, list};
use milena_producer::{
    Codec, ConfigError, Guarantee, HostPort, PartitionerKind, Producer, ProducerBuilder, ProducerConfig,
};

fn valid() -> ProducerBuilder {
    Producer::builder("127.0.0.1:1")
}

fn problems(builder: ProducerBuilder) -> Vec<String> {
    let error: ConfigError = builder.build().unwrap_err();
    let text = error.to_string();
    let problems: Vec<String> = error.problems().iter().map(ToString::to_string).collect();
    assert!(problems.iter().all(|problem| text.contains(problem.as_str())), "{text}");
    problems
}

/// What a valid builder is made invalid by, and how the one problem begins.
type Case = (&'static str, fn(ProducerBuilder) -> ProducerBuilder);

#[test]
fn each_rule_refuses_what_breaks_it_and_names_the_setting() {
    const ZERO: Duration = Duration::ZERO;
    const AGES: Duration = Duration::from_secs(u32::MAX as u64);
    let cases: &[Case] = &[
        ("client.id", |b| b.client_id("x".repeat(40_000))),
        ("client.id", |b| b.client_id("nul\0")),
        ("linger.ms", |b| b.linger(AGES).delivery_timeout(AGES)),
        ("max.block.ms", |b| b.max_block(AGES)),
        ("delivery.timeout.ms", |b| b.delivery_timeout(AGES)),
        ("delivery.timeout.ms", |b| b.delivery_timeout(Duration::from_secs(30))),
        ("delivery.timeout.ms", |b| b.linger(Duration::from_secs(100))),
        ("request.timeout.ms", |b| b.request_timeout(ZERO)),
        ("retry.backoff.ms", |b| b.retry_backoff(Duration::from_secs(2))),
        ("retry.backoff.max.ms", |b| b.retry_backoff_max(AGES)),
        ("topic.metadata.propagation.max.ms", |b| b.unknown_topic_grace(AGES)),
        ("metadata.max.age.ms", |b| b.metadata_max_age(ZERO)),
        ("metadata.max.age.ms", |b| b.metadata_max_age(AGES)),
        ("metadata.max.idle.ms", |b| b.metadata_max_idle(ZERO)),
        ("metadata.recovery.rebootstrap.trigger.ms", |b| b.rebootstrap_trigger(AGES)),
        ("socket.connection.setup.timeout.ms", |b| b.connect_timeout(ZERO)),
        ("socket.connection.setup.timeout.ms", |b| b.connect_timeout(Duration::from_secs(31))),
        ("reconnect.backoff.ms", |b| b.reconnect_backoff(Duration::from_secs(2))),
        ("connections.max.idle.ms", |b| b.idle_timeout(ZERO)),
        ("max.in.flight.requests.per.connection", |b| b.max_in_flight(0)),
        ("partition_in_flight", |b| b.partition_in_flight(0)),
        ("partition_in_flight", |b| b.partition_in_flight(6)),
        ("compression_threads", |b| b.compression_threads(0)),
        ("compression_threads", |b| b.compression_threads(257)),
        ("sticky_bytes", |b| b.sticky_bytes(0)),
        ("max_record_size", |b| b.max_record_size(61)),
        ("max.request.size", |b| b.max_request_size(1_000)),
        ("batch.size", |b| b.batch_size(2_000_000_000)),
        ("buffer.memory", |b| b.buffer_memory(1_000_000)),
        ("receive.message.max.bytes", |b| b.max_frame(10)),
    ];
    for (setting, break_it) in cases {
        let problems = problems(break_it(valid()));
        assert!(problems[0].starts_with(&format!("{setting}: ")), "{setting}: {problems:?}");
        assert!(problems.iter().all(|problem| problem.len() > setting.len() + 10), "{problems:?}");
    }
}

#[test]
fn what_is_just_within_the_rules_is_taken() {
    let edge = valid()
        .linger(Duration::from_secs(90))
        .request_timeout(Duration::from_secs(30))
        .retry_backoff(Duration::from_secs(1))
        .reconnect_backoff(Duration::from_secs(1))
        .connect_timeout(Duration::from_secs(30))
        .idle_timeout(Duration::MAX)
        .partition_in_flight(5)
        .max_in_flight(100)
        .batch_size(0)
        .max_record_size(62)
        .max_request_size(62)
        .buffer_memory(62)
        .max_block(Duration::ZERO)
        .sticky_bytes(1)
        .rebootstrap_trigger(Duration::ZERO)
        .retries(0)
        .max_frame(1024);
    assert!(edge.build().is_ok());
    let plain = valid().guarantee(Guarantee::AtLeastOnce { all_replicas: true }).partition_in_flight(6);
    assert!(plain.build().is_ok());
}

#[test]
fn all_problems_are_reported_at_once_each_once() {
    let problems = problems(
        Producer::builder("no port here, :9092")
            .linger(Duration::from_secs(200))
            .max_in_flight(0)
            .compression_threads(0)
            .max_request_size(10)
            .buffer_memory(10),
    );
    let settings: Vec<&str> = problems.iter().filter_map(|problem| problem.split(':').next()).collect();
    let expected = [
        "bootstrap.servers",
        "delivery.timeout.ms",
        "max.in.flight.requests.per.connection",
        "compression_threads",
        "max.request.size",
        "buffer.memory",
    ];
    assert_eq!(settings, expected, "{problems:?}");
    assert!(problems[0].contains("no port here"), "{}", problems[0]);
}

#[test]
fn a_list_of_addresses_is_read_with_ipv6_and_spaces() {
    let producer = Producer::builder(" a:1, [::1]:2,b.c:3 ").build().unwrap();
    let expected = [HostPort::new("a", 1), HostPort::new("::1", 2), HostPort::new("b.c", 3)];
    assert_eq!(producer.config().bootstrap, expected);
    assert!(!problems(Producer::builder("")).is_empty());
}

fn configured(pairs: &[(&str, &str)]) -> Result<ProducerConfig, ConfigError> {
    let mut properties = Properties::new();
    for (name, value) in pairs {
        properties.set(name, value);
    }
    let settings = properties.settings().unwrap();
    valid().settings(&settings).build().map(|producer| producer.config().clone())
}

#[test]
fn what_was_set_in_code_does_not_grow_with_what_properties_set() {
    let settings = |pair: (&str, &str)| {
        let mut properties = Properties::new();
        properties.set(pair.0, pair.1);
        properties.settings().unwrap()
    };
    for timeout in [10, 120].map(Duration::from_secs) {
        let short = valid().delivery_timeout(timeout).settings(&settings(("request.timeout.ms", "200000")));
        assert!(problems(short)[0].starts_with("delivery.timeout.ms"));
    }
    for memory in [4 << 20, 32 << 20] {
        let small = valid().buffer_memory(memory).settings(&settings(("max.request.size", "67108864")));
        assert!(problems(small)[0].starts_with("buffer.memory"));
    }
    let (large, larger) = (settings(("max.request.size", "67108864")), settings(("max.request.size", "134217728")));
    assert_eq!(valid().settings(&large).settings(&larger).build().unwrap().config().buffer_memory, 128 << 20);
}

#[test]
fn a_partitioner_that_was_given_in_code_goes_by_its_own_rules() {
    let mut properties = Properties::new();
    properties.set("partitioner.ignore.keys", "true");
    let settings = properties.settings().unwrap();
    let with = |kind: PartitionerKind| {
        valid().partitioner(kind).settings(&settings).build().unwrap().config().partitioner.clone()
    };
    assert!(matches!(with(PartitionerKind::RoundRobin), PartitionerKind::RoundRobin));
    assert!(matches!(with(PartitionerKind::Java), PartitionerKind::IgnoreKeys));
}

#[test]
fn the_defaults_that_the_list_of_properties_names_are_the_producers_own() {
    let dump = valid().build().unwrap().config().to_string();
    let actual: BTreeMap<&str, &str> = dump.lines().filter_map(|line| line.split_once(" = ")).collect();
    let mut compared = 0;
    for row in list() {
        if let Some(value) = actual.get(row.name) {
            // Two rows of the list tell more than a value; both limits are in their own right below.
            if matches!(row.name, "max.request.size" | "reconnect.backoff.max.ms" | "bootstrap.servers" | "retries") {
                continue;
            }
            assert_eq!(*value, row.default.trim_matches('`'), "{}", row.name);
            compared += 1;
        }
    }
    assert!(compared >= 20, "{compared} of {actual:?}");
    let config = valid().build().unwrap().config().clone();
    let row = |name| list().find(|row| row.name == name).unwrap().default;
    assert_eq!(
        row("max.request.size"),
        format!("{} a record, {} a request", config.max_record_size, config.max_request_size)
    );
    assert!(row("reconnect.backoff.max.ms").starts_with(&config.reconnect_backoff_max.as_millis().to_string()));
    // Java's number for as often as time allows.
    assert_eq!((row("retries"), config.retries), ("2147483647", i32::MAX.unsigned_abs()));
    assert_eq!(row("topic.metadata.propagation.max.ms"), config.unknown_topic_grace.as_millis().to_string());
}

#[test]
fn every_default_can_be_given_as_a_property_and_changes_nothing() {
    let default = valid().build().unwrap().config().to_string();
    let dump = default.clone();
    let known: Vec<&str> = list().map(|row| row.name).collect();
    let pairs: Vec<(&str, &str)> = dump
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .filter(|(name, _)| known.contains(name))
        // One limit there, two here; and a number larger than Java's.
        .filter(|(name, _)| !matches!(*name, "max.request.size" | "retries" | "bootstrap.servers"))
        .collect();
    assert!(pairs.len() >= 20, "{pairs:?}");
    assert_eq!(configured(&pairs).unwrap().to_string(), default);
}

#[test]
fn names_of_java_and_of_librdkafka_reach_their_settings() {
    let ms = Duration::from_millis;
    let java = configured(&[
        ("client.id", "me"),
        ("linger.ms", "7"),
        ("batch.size", "1234"),
        ("buffer.memory", "9000000"),
        ("max.block.ms", "11"),
        ("delivery.timeout.ms", "40000"),
        ("request.timeout.ms", "5000"),
        ("retries", "3"),
        ("retry.backoff.ms", "12"),
        ("retry.backoff.max.ms", "13"),
        ("max.in.flight.requests.per.connection", "2"),
        ("compression.type", "zstd"),
        ("compression.zstd.level", "5"),
        ("partitioner.class", "org.apache.kafka.clients.producer.RoundRobinPartitioner"),
        ("partitioner.adaptive.partitioning.enable", "false"),
        ("metadata.max.age.ms", "14000"),
        ("metadata.max.idle.ms", "15000"),
        ("metadata.recovery.strategy", "none"),
        ("metadata.recovery.rebootstrap.trigger.ms", "16000"),
        ("reconnect.backoff.ms", "17"),
        ("reconnect.backoff.max.ms", "18"),
        ("socket.connection.setup.timeout.ms", "19000"),
        ("socket.connection.setup.timeout.max.ms", "20000"),
        ("connections.max.idle.ms", "-1"),
        ("allow.auto.create.topics", "false"),
    ])
    .unwrap();
    assert_eq!(java.client_id, "me");
    assert_eq!((java.linger, java.max_block, java.delivery_timeout), (ms(7), ms(11), ms(40_000)));
    assert_eq!((java.batch_size, java.buffer_memory), (1234, 9_000_000));
    assert_eq!((java.request_timeout, java.retry_backoff, java.retry_backoff_max), (ms(5_000), ms(12), ms(13)));
    assert_eq!((java.retries, java.max_in_flight), (3, 2));
    assert_eq!(java.compression.codec(), Codec::Zstd);
    assert!(matches!(java.partitioner, PartitionerKind::RoundRobin));
    assert!(!java.adaptive && !java.rebootstrap && !java.auto_create_topics);
    assert_eq!((java.metadata_max_age, java.metadata_max_idle), (ms(14_000), ms(15_000)));
    assert_eq!(java.rebootstrap_trigger, ms(16_000));
    assert_eq!((java.reconnect_backoff, java.reconnect_backoff_max), (ms(17), ms(18)));
    assert_eq!((java.connect_timeout, java.connect_timeout_max), (ms(19_000), ms(20_000)));
    assert_eq!(java.idle_timeout, Duration::MAX);

    let librdkafka = configured(&[
        ("queue.buffering.max.ms", "7.5"),
        ("queue.buffering.max.kbytes", "10000"),
        ("message.timeout.ms", "40000"),
        ("message.max.bytes", "2000000"),
        ("message.send.max.retries", "4"),
        ("max.in.flight", "3"),
        ("request.required.acks", "1"),
        ("compression.codec", "lz4"),
        ("partitioner", "consistent_random"),
        ("socket.timeout.ms", "6000"),
        ("socket.connection.setup.timeout.ms", "60000"),
    ])
    .unwrap();
    assert_eq!((librdkafka.linger, librdkafka.buffer_memory), (Duration::from_micros(7_500), 10_240_000));
    assert_eq!((librdkafka.delivery_timeout, librdkafka.request_timeout), (ms(40_000), ms(6_000)));
    assert_eq!((librdkafka.max_record_size, librdkafka.max_request_size), (2_000_000, 2_000_000));
    assert_eq!((librdkafka.retries, librdkafka.max_in_flight), (4, 3));
    assert_eq!(librdkafka.guarantee, Guarantee::AtLeastOnce { all_replicas: false });
    assert_eq!(librdkafka.compression.codec(), Codec::Lz4);
    assert!(matches!(librdkafka.partitioner, PartitionerKind::ConsistentRandom));
    // librdkafka has no bound above it, so it is its own.
    assert_eq!((librdkafka.connect_timeout, librdkafka.connect_timeout_max), (ms(60_000), ms(60_000)));
}

type Given = &'static [(&'static str, &'static str)];

#[test]
fn acks_and_idempotence_make_one_guarantee_or_do_not_build() {
    let least = |all_replicas| Ok(Guarantee::AtLeastOnce { all_replicas });
    let table: [(Given, Result<Guarantee, ()>); 12] = [
        (&[], Ok(Guarantee::ExactlyOnce)),
        (&[("enable.idempotence", "true")], Ok(Guarantee::ExactlyOnce)),
        (&[("enable.idempotence", "false")], least(true)),
        (&[("acks", "all")], Ok(Guarantee::ExactlyOnce)),
        (&[("acks", "-1"), ("enable.idempotence", "true")], Ok(Guarantee::ExactlyOnce)),
        (&[("acks", "all"), ("enable.idempotence", "false")], least(true)),
        (&[("acks", "1")], least(false)),
        (&[("acks", "1"), ("enable.idempotence", "false")], least(false)),
        (&[("acks", "1"), ("enable.idempotence", "true")], Err(())),
        (&[("acks", "0")], Ok(Guarantee::AtMostOnce)),
        (&[("acks", "0"), ("enable.idempotence", "false")], Ok(Guarantee::AtMostOnce)),
        (&[("acks", "0"), ("enable.idempotence", "true")], Err(())),
    ];
    for (pairs, expected) in table {
        let config = configured(pairs);
        assert_eq!(config.as_ref().map(|config| config.guarantee).map_err(|_| ()), expected, "{pairs:?}");
        match config {
            Ok(config) => {
                let acks = match config.guarantee {
                    Guarantee::AtMostOnce => "acks = 0",
                    Guarantee::AtLeastOnce { all_replicas: false } => "acks = 1",
                    _ => "acks = all",
                };
                assert!(config.to_string().contains(acks), "{config}");
            }
            Err(error) => assert!(error.to_string().contains("enable.idempotence"), "{error}"),
        }
    }
}

#[test]
fn one_default_gives_way_to_what_was_set_and_two_settings_do_not() {
    let ms = Duration::from_millis;
    // As Java: the delivery timeout grows with what it has to hold.
    let config = configured(&[("linger.ms", "100000"), ("request.timeout.ms", "60000")]).unwrap();
    assert_eq!(config.delivery_timeout, ms(160_000));
    assert!(configured(&[("linger.ms", "100000"), ("delivery.timeout.ms", "120000")]).is_err());
    let config = configured(&[("max.request.size", "50000000")]).unwrap();
    assert_eq!(config.buffer_memory, 50_000_000);
    assert!(configured(&[("max.request.size", "50000000"), ("buffer.memory", "40000000")]).is_err());
    let config = configured(&[("reconnect.backoff.ms", "3000")]).unwrap();
    assert_eq!(config.reconnect_backoff_max, ms(3_000));
    let both = [("socket.connection.setup.timeout.ms", "3000"), ("socket.connection.setup.timeout.max.ms", "2000")];
    assert!(configured(&both).is_err());
}
