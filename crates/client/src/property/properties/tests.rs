use std::time::Duration;

use milena_cluster::HostPort;
use milena_wire::{Codec, Compression};

use super::*;
use crate::property::{Acks, Partitioner};
#[cfg(feature = "tls")]
use crate::security::{SecurityProtocol, StoreType};

fn read(text: &str) -> Result<Settings, Problems> {
    Properties::new().add_text("test.properties", text).settings()
}

fn good(text: &str) -> Settings {
    read(text).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The only problem there is, as it is shown.
fn problem(text: &str) -> String {
    let Problems(problems) = read(text).expect_err(text);
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems[0].to_string()
}

fn millis(millis: u64) -> Option<Duration> {
    Some(Duration::from_millis(millis))
}

#[test]
fn a_java_producers_file_is_understood() {
    let settings = good(
        "# what a Java producer reads\n\
         bootstrap.servers = kafka-1:9092,\\\n    kafka-2:9092\n\
         key.serializer=org.apache.kafka.common.serialization.StringSerializer\n\
         acks=all\nenable.idempotence=true\nlinger.ms=20\nbatch.size=65536\nbuffer.memory=67108864\n\
         max.request.size=2097152\nmax.block.ms=1000\ndelivery.timeout.ms=60000\nrequest.timeout.ms=15000\n\
         retries=10\nretry.backoff.ms=50\nretry.backoff.max.ms=500\nmax.in.flight.requests.per.connection=3\n\
         compression.type=zstd\ncompression.zstd.level=5\ncompression.gzip.level=9\n\
         partitioner.ignore.keys=true\npartitioner.adaptive.partitioning.enable=false\n\
         metadata.max.age.ms=1000\nmetadata.max.idle.ms=6000\nmetadata.recovery.strategy=none\n\
         metadata.recovery.rebootstrap.trigger.ms=7000\nreconnect.backoff.ms=10\nreconnect.backoff.max.ms=20\n\
         socket.connection.setup.timeout.ms=100\nsocket.connection.setup.timeout.max.ms=200\n\
         connections.max.idle.ms=-1\nsend.buffer.bytes=131072\nreceive.buffer.bytes=-1\nclient.id=billing\n\
         client.dns.lookup=use_all_dns_ips\nsecurity.protocol=PLAINTEXT\n",
    );
    let client = &settings.client;
    assert_eq!(client.bootstrap, Some(vec![HostPort::new("kafka-1", 9092), HostPort::new("kafka-2", 9092)]));
    assert_eq!(client.client_id.as_deref(), Some("billing"));
    assert_eq!(client.request_timeout, millis(15_000));
    assert_eq!((client.retry_backoff, client.retry_backoff_max), (millis(50), millis(500)));
    assert_eq!((client.reconnect_backoff, client.reconnect_backoff_max), (millis(10), millis(20)));
    assert_eq!((client.connect_timeout, client.connect_timeout_max), (millis(100), millis(200)));
    assert_eq!(client.idle_timeout, Some(Duration::MAX));
    assert_eq!((client.metadata_max_age, client.metadata_max_idle), (millis(1000), millis(6000)));
    assert_eq!((client.rebootstrap, client.rebootstrap_trigger), (Some(false), millis(7000)));
    assert_eq!((client.send_buffer, client.receive_buffer), (Some(131_072), None));
    let producer = &settings.producer;
    assert_eq!((producer.acks, producer.enable_idempotence), (Some(Acks::All), Some(true)));
    assert_eq!((producer.linger, producer.batch_size), (millis(20), Some(65_536)));
    assert_eq!((producer.buffer_memory, producer.max_request_size), (Some(67_108_864), Some(2_097_152)));
    assert_eq!((producer.max_block, producer.delivery_timeout), (millis(1000), millis(60_000)));
    assert_eq!((producer.retries, producer.max_in_flight), (Some(10), Some(3)));
    assert_eq!(producer.compression, Some(Compression::with_level(Codec::Zstd, 5).unwrap()));
    assert_eq!((producer.ignore_keys, producer.adaptive), (Some(true), Some(false)));

    let ignored: Vec<(&str, Option<usize>)> =
        settings.ignored.iter().map(|ignored| (ignored.key.as_str(), ignored.line)).collect();
    assert_eq!(ignored, [("key.serializer", Some(4)), ("compression.gzip.level", Some(20))]);
}

#[test]
fn a_librdkafka_producers_settings_are_understood() {
    let mut properties = Properties::new();
    for pair in [
        "metadata.broker.list=[::1]:9092",
        "request.required.acks=1",
        "queue.buffering.max.ms=0.5",
        "queue.buffering.max.kbytes=1024",
        "queue.buffering.max.messages=10",
        "message.max.bytes=1000",
        "message.timeout.ms=1",
        "message.send.max.retries=2",
        "max.in.flight=7",
        "compression.codec=LZ4",
        "compression.level=0",
        "partitioner=consistent_random",
        "topic.metadata.refresh.interval.ms=5000",
        "metadata.max.age.ms=15000",
        "topic.metadata.propagation.max.ms=3000",
        "socket.timeout.ms=4000",
        "socket.send.buffer.bytes=0",
        "socket.receive.buffer.bytes=5",
        "socket.nagle.disable=f",
        "socket.keepalive.enable=1",
        "receive.message.max.bytes=1000000",
        "statistics.interval.ms=1000",
        "client.id==x=",
    ] {
        properties.add_pair(pair);
    }
    let settings = properties.settings().unwrap_or_else(|problems| panic!("{problems}"));
    let (client, producer) = (&settings.client, &settings.producer);
    assert_eq!(client.bootstrap, Some(vec![HostPort::new("::1", 9092)]));
    assert_eq!(client.client_id.as_deref(), Some("=x="));
    assert_eq!(client.metadata_max_age, millis(5000), "the shorter of the two");
    assert_eq!(client.request_timeout, millis(4000));
    assert_eq!((client.send_buffer, client.receive_buffer), (None, Some(5)));
    assert_eq!((client.nodelay, client.keepalive), (Some(false), Some(true)));
    assert_eq!(client.max_frame, Some(1_000_000));
    assert_eq!(producer.acks, Some(Acks::Leader));
    assert_eq!(producer.linger, Some(Duration::from_micros(500)));
    assert_eq!(producer.buffer_memory, Some(1024 * 1024));
    assert_eq!((producer.max_request_size, producer.delivery_timeout), (Some(1000), millis(1)));
    assert_eq!((producer.retries, producer.max_in_flight), (Some(2), Some(7)));
    assert_eq!(producer.compression, Some(Compression::new(Codec::Lz4)));
    assert_eq!(producer.partitioner, Some(Partitioner::ConsistentRandom));
    assert_eq!(producer.unknown_topic_grace, millis(3000));
    let ignored: Vec<&str> = settings.ignored.iter().map(|ignored| ignored.key.as_str()).collect();
    assert_eq!(ignored, ["queue.buffering.max.messages", "statistics.interval.ms"]);
}

#[test]
fn what_is_not_set_stays_unset() {
    let settings = good("");
    assert_eq!(format!("{settings:?}"), format!("{:?}", Settings::default()));
    let settings = good("compression.zstd.level=5");
    assert_eq!(settings.producer.compression, None);
    assert_eq!(settings.ignored.len(), 1);
}

#[test]
fn all_problems_are_told_at_once_in_the_order_in_which_they_are_written() {
    let text = "acks=2\n\nlinger.ms=-1\nbatch.sise=5\nsecurity.protocol=TLS\nlinger.ms=x";
    let Problems(problems) = read(text).unwrap_err();
    let told: Vec<(&str, Option<usize>)> =
        problems.iter().map(|problem| (problem.key.as_str(), problem.line)).collect();
    let expected = [
        ("acks", Some(1)),
        ("batch.sise", Some(4)),
        ("security.protocol", Some(5)),
        ("linger.ms", Some(6)),
        ("linger.ms", Some(6)),
    ];
    assert_eq!(told, expected, "{problems:?}");
    assert_eq!(problems[1].hint.as_deref(), Some("did you mean batch.size?"));
}

#[test]
fn a_problem_says_where_what_and_what_to_do() {
    assert_eq!(
        problem("\nlinger.msec=5"),
        "test.properties:2: linger.msec=5: is no property that Kafka's clients or librdkafka know (did you mean linger.ms?)"
    );
    assert_eq!(
        Properties::new().add_pair("request.timeout.ms=2147483648").settings().unwrap_err().to_string(),
        "request.timeout.ms=2147483648: is not in 1 to 2147483647 \
         (Kafka's milliseconds have 32 bits: at most 2147483647, which is 24 days)"
    );
}

#[test]
fn the_nearest_known_name_is_named() {
    for (slip, meant) in [
        ("bootstrap.server", "bootstrap.servers"),
        ("bootstrap_servers", "bootstrap.servers"),
        ("Acks", "acks"),
        ("compresion.type", "compression.type"),
        ("max.inflight.requests.per.connection", "max.in.flight.requests.per.connection"),
        ("deliver.timeout.ms", "delivery.timeout.ms"),
        ("metadata.brokers.list", "metadata.broker.list"),
        ("queue.bufering.max.ms", "queue.buffering.max.ms"),
    ] {
        assert!(problem(&format!("{slip}=1")).contains(&format!("did you mean {meant}?")), "{slip}");
    }
    assert!(!problem("spring.application.name=x").contains("did you mean"));
}

#[test]
fn every_time_must_fit_32_bits_of_milliseconds() {
    // Row 100 of the fault matrix: a timeout that does not fit is never cut off in silence.
    let times: Vec<&str> = known::all()
        .filter(|known| matches!(known.effect, Effect::Applied(_)))
        .flat_map(Known::names)
        .filter(|name| name.ends_with(".ms"))
        .collect();
    assert!(times.len() >= 20, "{times:?}");
    for name in times {
        assert!(problem(&format!("{name}=2147483648")).contains("2147483647"), "{name}");
        assert!(problem(&format!("{name}=99999999999999999999")).contains("2147483647"), "{name}");
        assert!(read(&format!("{name}=60000")).is_ok(), "{name}");
        assert!(read(&format!("{name}=abc")).is_err(), "{name}");
        assert!(read(&format!("{name}=")).is_err(), "{name}");
    }
}

#[test]
fn values_out_of_range_are_refused() {
    for text in [
        "acks=2",
        "acks=-2",
        "acks=",
        "enable.idempotence=yes",
        "retries=-1",
        "retries=2147483648",
        "max.in.flight.requests.per.connection=0",
        "batch.size=-1",
        "batch.size=2147483648",
        "buffer.memory=-1",
        "queue.buffering.max.kbytes=0",
        "max.request.size=1.5",
        "linger.ms=-1",
        "request.timeout.ms=0",
        "delivery.timeout.ms=0",
        "message.timeout.ms=0",
        "connections.max.idle.ms=0",
        "metadata.max.idle.ms=4999",
        "metadata.recovery.strategy=maybe",
        "topic.metadata.refresh.interval.ms=-1",
        "send.buffer.bytes=-2",
        "receive.message.max.bytes=10",
        "bootstrap.servers=",
        "bootstrap.servers=localhost",
        "compression.type=brotli",
        "partitioner=round_robin",
        "partitioner=fnv1",
        "partitioner.class=com.example.MyPartitioner",
        "sticky.partitioning.linger.ms=0",
        "client.dns.lookup=resolve_canonical_bootstrap_servers_only",
        "client.dns.lookup=default",
        "security.protocol=SASL_SSL",
        "security.protocol=TLS",
        "transactional.id=orders",
        "transaction.two.phase.commit.enable=true",
        "partitioner.rack.aware=true",
        "enable.gapless.guarantee=true",
        "queuing.strategy=lifo",
        "broker.address.family=v4",
        "interceptor.classes=com.example.Tracing",
        "dr_msg_cb=x",
        "min.insync.replicas=2",
        "config.providers.vault.class=x",
    ] {
        let told = problem(text);
        let (key, value) = text.split_once('=').unwrap();
        assert!(told.contains(key) && told.contains(value), "{told}");
    }
}

#[test]
fn what_a_refused_property_says_when_it_changes_nothing_is_accepted() {
    let settings = good(
        "partitioner.rack.aware=false\nqueuing.strategy=fifo\nenable.gapless.guarantee=FALSE\ninterceptor.classes=\n\
         api.version.request=true\nclient.dns.lookup=use_all_dns_ips\nbroker.address.family=any",
    );
    assert!(settings.ignored.is_empty(), "{:?}", settings.ignored);
}

#[test]
fn security_that_is_not_there_is_refused_and_never_left_out() {
    let told = problem("security.protocol=SASL_SSL\nsasl.mechanism=PLAIN\nssl.truststore.location=/x");
    assert!(told.contains("sasl.username is needed"), "{told}");
    let told = problem("security.protocol=SASL_PLAINTEXT\nsasl.password=hunter2\nsasl.username=alice");
    assert!(told.contains("sasl.mechanism is needed") && !told.contains("hunter2"), "{told}");
    let text = "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.username=alice\nsasl.password=hunter2";
    assert!(good(text).client.sasl.mechanism().is_ok());
    let told = problem(&format!("{text}\nmilena.sasl.password.file=/x"));
    assert!(told.contains("set already under another name"), "{told}");
    let settings = good("sasl.mechanism=PLAIN\nsasl.oauthbearer.token.endpoint.url=https://x");
    let reasons: Vec<_> = settings.ignored.iter().map(|ignored| ignored.reason).collect();
    assert!(reasons.len() == 2 && reasons.iter().all(|reason| reason.contains("security.protocol")), "{reasons:?}");
    let bearer = "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=OAUTHBEARER";
    assert!(good(bearer).client.sasl.mechanism().is_err(), "a provider set in code may come yet");
    let told = problem(&format!("{bearer}\nsasl.oauthbearer.method=oidc"));
    assert!(told.contains("sasl.oauthbearer.token.endpoint.url is needed"), "{told}");
    // Without the feature that is not all that is wrong.
    #[cfg(feature = "oauth")]
    {
        let told = problem(&format!(
            "{bearer}\nsasl.oauthbearer.token.endpoint.url=https://x\nsasl.oauthbearer.client.id=a\nsasl.oauthbearer.client.secret=hunter2\nmilena.sasl.client.secret.file=/x"
        ));
        assert!(told.contains("set already under another name") && !told.contains("hunter2"), "{told}");
    }
    for other in ["sasl.oauthbearer.grant.type=urn:x", "sasl.oauthbearer.assertion.file=/x", "https.ca.pem=x"] {
        assert!(Properties::new().add_text("", other).settings().is_err(), "{other}");
    }
}

#[test]
fn secrets_are_not_shown_even_under_misspelt_names() {
    for name in ["sasl.passwords", "sasl.pasword", "ssl.key.pasword", "my.secret.thing", "SASL_JAAS_CONFIG"] {
        let told = Properties::new().set(name, "hunter2").settings().unwrap_err();
        assert!(!format!("{told:?}").contains("hunter2"), "{told:?}");
        assert!(told.to_string().starts_with(&format!("{name}=***: ")), "{told}");
    }
}

#[test]
fn what_was_read_from_elsewhere_and_what_nobody_knows_is_not_shown() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "hunter2\n").unwrap();
    let reference = format!("${{file:{}}}", file.path().display());
    // A password at the wrong place, of each kind of value.
    for name in
        ["linger.ms", "acks", "bootstrap.servers", "compression.type", "client.id", "no.such.thing", "sasl.password"]
    {
        let mut properties = Properties::new();
        properties.set(name, &reference).set("x.y.z", "hunter2").resolve();
        let told = properties.settings().unwrap_err();
        for shown in [format!("{told}"), format!("{told:?}"), format!("{properties:?}")] {
            assert!(!shown.contains("hunter2"), "{name}: {shown}");
        }
    }
    let mut twice = Properties::new();
    twice.set("client.id", &reference).set("client.id", "other").resolve();
    assert!(!twice.settings().unwrap_err().to_string().contains("hunter2"));
    // What is written where it is read is shown, as people have to find it.
    assert!(problem("linger.ms=soon").contains("linger.ms=soon"));
}

#[test]
fn every_property_that_holds_a_secret_is_hidden_by_its_name() {
    // Whatever lands in a `Secret`, or in a place for one.
    for name in [
        "sasl.password",
        "sasl.jaas.config",
        "ssl.key.password",
        "ssl.keystore.password",
        "ssl.truststore.password",
        "ssl.keystore.key",
        "ssl.key.pem",
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.client.credentials.client.secret",
    ] {
        let mut properties = Properties::new();
        let told = properties.set(name, "hunter2").set("linger.ms", "soon").settings().unwrap_err();
        assert!(!format!("{properties:?} {told:?} {told}").contains("hunter2"), "{name}");
    }
}

#[test]
fn the_same_setting_twice_in_one_source_is_refused_unless_it_says_the_same() {
    assert!(problem("acks=1\nacks=all").contains("sets what acks on line 1 sets already"));
    assert!(problem("acks=1\nrequest.required.acks=0").contains("line 1"));
    assert!(problem("buffer.memory=1048576\nqueue.buffering.max.kbytes=1024").contains("buffer.memory"));
    assert!(problem("partitioner=random\npartitioner.class=RoundRobinPartitioner").contains("partitioner"));
    assert_eq!(good("acks=1\nrequest.required.acks=1").producer.acks, Some(Acks::Leader));
    // Names that one row of the table stands for are settings of their own.
    assert_eq!(good("sasl.kerberos.service.name=a\nsasl.kerberos.keytab=b").ignored.len(), 2);
}

#[test]
fn a_later_source_wins_over_an_earlier_one() {
    let mut properties = Properties::new();
    properties.add_text("a", "acks=all\nlinger.ms=1\nbuffer.memory=nonsense").add_text("b", "linger.ms=2");
    properties.add_pair("request.required.acks=0").set("queue.buffering.max.kbytes", "1");
    let settings = properties.settings().unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(settings.producer.acks, Some(Acks::None));
    assert_eq!(settings.producer.linger, millis(2));
    assert_eq!(settings.producer.buffer_memory, Some(1024));

    properties.add_pair("acks=1");
    let told = properties.settings().unwrap_err().to_string();
    assert!(told.contains("sets what request.required.acks sets already"), "{told}");
}

#[test]
fn compression_levels_go_with_their_codec() {
    let compression = |text: &str| good(text).producer.compression.unwrap();
    assert_eq!(compression("compression.type=none"), Compression::NONE);
    assert_eq!(compression("compression.type=gzip\ncompression.gzip.level=-1"), Compression::new(Codec::Gzip));
    assert_eq!(
        compression("compression.gzip.level=9\ncompression.type=gzip"),
        Compression::with_level(Codec::Gzip, 9).unwrap()
    );
    assert_eq!(compression("compression.type=lz4\ncompression.lz4.level=9"), Compression::new(Codec::Lz4));
    assert_eq!(compression("compression.type=snappy\ncompression.level=0"), Compression::new(Codec::Snappy));
    assert_eq!(
        compression("compression.type=zstd\ncompression.level=7"),
        Compression::with_level(Codec::Zstd, 7).unwrap()
    );
    for wrong in [
        "compression.type=gzip\ncompression.gzip.level=10",
        "compression.type=gzip\ncompression.gzip.level=0",
        "compression.type=lz4\ncompression.lz4.level=12",
        "compression.type=lz4\ncompression.level=12",
        "compression.type=snappy\ncompression.level=3",
        "compression.type=zstd\ncompression.zstd.level=23",
        "compression.type=zstd\ncompression.zstd.level=5\ncompression.level=5",
    ] {
        assert!(problem(wrong).contains("level"), "{wrong}");
    }
    assert!(problem("compression.type=lz4\ncompression.lz4.level=12").contains("lz4_flex"));
}

#[test]
fn java_partitioner_classes_with_a_counterpart_are_taken() {
    let package = "org.apache.kafka.clients.producer";
    let producer = good(&format!("partitioner.class={package}.RoundRobinPartitioner")).producer;
    assert_eq!(producer.partitioner, Some(Partitioner::RoundRobin));
    let producer = good(&format!("partitioner.class={package}.internals.DefaultPartitioner")).producer;
    assert_eq!((producer.partitioner, producer.ignore_keys), (Some(Partitioner::Java), None));
    let producer = good(&format!("partitioner.class={package}.UniformStickyPartitioner")).producer;
    assert_eq!((producer.partitioner, producer.ignore_keys), (Some(Partitioner::UniformSticky), None));
}

#[test]
fn a_reference_that_nobody_put_in_place_is_no_value() {
    let plain = "security.protocol=SASL_SSL\nsasl.mechanism=PLAIN";
    let module = "PlainLoginModule required username=\"a\" password";
    for (name, text) in [
        ("sasl.password", format!("{plain}\nsasl.username=alice\nsasl.password=${{env:SECRET}}")),
        ("client.id", "client.id = ${file:/run/name} ".to_owned()),
        ("sasl.jaas.config", format!("{plain}\nsasl.jaas.config={module}=\"${{env:SECRET}}\";")),
        ("sasl.jaas.config", format!("{plain}\nsasl.jaas.config={module} = ${{env:SECRET}};")),
        ("ssl.ca.location", "security.protocol=SSL\nssl.ca.location=${env:HOME}/ca.pem".to_owned()),
    ] {
        let told = problem(&text);
        assert!(told.contains("Properties::resolve") && told.contains(name), "{told}");
    }
    assert_eq!(good("group.id=${env:GROUP}").ignored.len(), 1);
    let mut properties = Properties::new();
    properties.set("client.id", "${env:CARGO_PKG_NAME}").resolve();
    assert_eq!(properties.settings().unwrap().client.client_id.as_deref(), Some(env!("CARGO_PKG_NAME")));
}

#[test]
fn a_partitioner_that_is_named_goes_by_its_own_rules_wherever_the_built_in_ones_flag_stands() {
    for (named, expected) in [
        ("partitioner.class=UniformStickyPartitioner", Partitioner::UniformSticky),
        ("partitioner.class=RoundRobinPartitioner", Partitioner::RoundRobin),
        ("partitioner=random", Partitioner::Random),
    ] {
        for flag in ["true", "false"].map(|flag| format!("partitioner.ignore.keys={flag}")) {
            for text in [format!("{named}\n{flag}"), format!("{flag}\n{named}")] {
                let settings = good(&text);
                assert_eq!(settings.producer.partitioner, Some(expected), "{text}");
                assert_ne!(settings.producer.ignore_keys, Some(true), "{text}");
                assert_eq!(settings.ignored.len(), usize::from(flag.ends_with("true")), "{text}");
            }
        }
    }
    assert!(good("partitioner.ignore.keys=true\npartitioner.class=DefaultPartitioner").ignored.is_empty());
}

#[test]
fn a_reconnect_backoff_alone_is_constant_as_in_java() {
    let client = good("reconnect.backoff.ms=2000").client;
    assert_eq!(client.reconnect_backoff_max, millis(2000));
}

#[test]
fn request_timeout_goes_before_librdkafkas_socket_timeout() {
    let settings = good("socket.timeout.ms=60000\nrequest.timeout.ms=5000");
    assert_eq!(settings.client.request_timeout, millis(5000));
    assert_eq!(settings.ignored.len(), 1);
}

#[test]
fn pairs_without_an_equals_sign_and_malformed_escapes_are_told() {
    let told = Properties::new().add_pair("acks").settings().unwrap_err().to_string();
    assert!(told.contains("not of the form name=value"), "{told}");
    assert!(problem("client.id=\\u12").contains("\\u escape"));
}

#[test]
fn a_file_is_read_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("producer.properties");
    std::fs::write(&path, "acks=all\nacsk=1\n").unwrap();
    let told = Properties::new().add_file(&path).unwrap().settings().unwrap_err().to_string();
    assert!(told.starts_with(&format!("{}:2: acsk=1", path.display())), "{told}");
    assert!(Properties::new().add_file(dir.path().join("missing")).is_err());
    std::fs::write(&path, b"acks=\xff").unwrap();
    assert!(Properties::new().add_file(&path).is_err());
}

/// What Kafka 4.4's `ProducerConfig` defines, those of its parts for clients, TLS and SASL included.
const JAVA: &str = "
    acks auto.include.jmx.reporter batch.size bootstrap.resolve.timeout.ms bootstrap.servers buffer.memory client.dns.lookup
    client.id client.rack compression.gzip.level compression.lz4.level compression.type compression.zstd.level config.providers
    connections.max.idle.ms delivery.timeout.ms enable.idempotence enable.metrics.push interceptor.classes key.serializer
    linger.ms max.block.ms max.in.flight.requests.per.connection max.request.size metadata.cluster.check.enable
    metadata.max.age.ms metadata.max.idle.ms metadata.recovery.rebootstrap.trigger.ms metadata.recovery.strategy
    metric.reporters metrics.num.samples metrics.recording.level metrics.sample.window.ms
    partitioner.adaptive.partitioning.enable partitioner.availability.timeout.ms partitioner.class partitioner.ignore.keys
    partitioner.rack.aware receive.buffer.bytes reconnect.backoff.max.ms reconnect.backoff.ms request.timeout.ms retries
    retry.backoff.max.ms retry.backoff.ms sasl.client.callback.handler.class sasl.jaas.config sasl.kerberos.kinit.cmd
    sasl.kerberos.min.time.before.relogin sasl.kerberos.service.name sasl.kerberos.ticket.renew.jitter
    sasl.kerberos.ticket.renew.window.factor sasl.login.callback.handler.class sasl.login.class
    sasl.login.connect.timeout.ms sasl.login.read.timeout.ms sasl.login.refresh.buffer.seconds
    sasl.login.refresh.min.period.seconds sasl.login.refresh.window.factor sasl.login.refresh.window.jitter
    sasl.login.retry.backoff.max.ms sasl.login.retry.backoff.ms sasl.mechanism sasl.oauthbearer.clock.skew.seconds
    sasl.oauthbearer.expected.audience sasl.oauthbearer.expected.issuer sasl.oauthbearer.jwks.endpoint.url
    sasl.oauthbearer.scope.claim.name sasl.oauthbearer.sub.claim.name sasl.oauthbearer.token.endpoint.url
    security.protocol security.providers send.buffer.bytes socket.connection.setup.timeout.max.ms
    socket.connection.setup.timeout.ms ssl.cipher.suites ssl.enabled.protocols ssl.endpoint.identification.algorithm
    ssl.engine.factory.class ssl.key.password ssl.keymanager.algorithm ssl.keystore.certificate.chain ssl.keystore.key
    ssl.keystore.location ssl.keystore.password ssl.keystore.type ssl.protocol ssl.provider
    ssl.secure.random.implementation ssl.trustmanager.algorithm ssl.truststore.certificates ssl.truststore.location
    ssl.truststore.password ssl.truststore.type transaction.timeout.ms transaction.two.phase.commit.enable
    transactional.id value.serializer";

/// librdkafka's properties for producers and for all clients, from its CONFIGURATION.md.
const LIBRDKAFKA: &str = "
    builtin.features client.id metadata.broker.list bootstrap.servers message.max.bytes message.copy.max.bytes
    receive.message.max.bytes max.in.flight.requests.per.connection max.in.flight metadata.recovery.strategy
    metadata.recovery.rebootstrap.trigger.ms topic.metadata.refresh.interval.ms metadata.max.age.ms
    topic.metadata.refresh.fast.interval.ms topic.metadata.refresh.fast.cnt topic.metadata.refresh.sparse
    topic.metadata.propagation.max.ms topic.blacklist debug socket.timeout.ms socket.blocking.max.ms
    socket.send.buffer.bytes socket.receive.buffer.bytes socket.keepalive.enable socket.nagle.disable socket.max.fails
    broker.address.ttl broker.address.family socket.connection.setup.timeout.ms connections.max.idle.ms
    reconnect.backoff.jitter.ms reconnect.backoff.ms reconnect.backoff.max.ms statistics.interval.ms enabled_events
    error_cb throttle_cb stats_cb log_cb log_level log.queue log.thread.name enable.random.seed log.connection.close
    background_event_cb socket_cb connect_cb closesocket_cb open_cb resolve_cb opaque default_topic_conf
    internal.termination.signal api.version.request api.version.request.timeout.ms api.version.fallback.ms
    broker.version.fallback allow.auto.create.topics security.protocol ssl.cipher.suites ssl.curves.list
    ssl.sigalgs.list ssl.key.location ssl.key.password ssl.key.pem ssl_key ssl.certificate.location ssl.certificate.pem
    ssl_certificate ssl.ca.location https.ca.location https.ca.pem ssl.ca.pem ssl_ca ssl.ca.certificate.stores
    ssl.crl.location ssl.keystore.location ssl.keystore.password ssl.providers ssl.engine.location ssl.engine.id
    ssl_engine_callback_data enable.ssl.certificate.verification ssl.endpoint.identification.algorithm
    ssl.certificate.verify_cb sasl.mechanisms sasl.mechanism sasl.kerberos.service.name sasl.kerberos.principal
    sasl.kerberos.kinit.cmd sasl.kerberos.keytab sasl.kerberos.min.time.before.relogin sasl.username sasl.password
    sasl.oauthbearer.config enable.sasl.oauthbearer.unsecure.jwt oauthbearer_token_refresh_cb sasl.oauthbearer.method
    sasl.oauthbearer.client.id sasl.oauthbearer.client.secret sasl.oauthbearer.scope sasl.oauthbearer.extensions
    sasl.oauthbearer.token.endpoint.url plugin.library.paths interceptors client.rack transactional.id
    transaction.timeout.ms enable.idempotence enable.gapless.guarantee queue.buffering.max.messages
    queue.buffering.max.kbytes queue.buffering.max.ms linger.ms message.send.max.retries retries retry.backoff.ms
    retry.backoff.max.ms queue.buffering.backpressure.threshold compression.codec compression.type batch.num.messages
    batch.size delivery.report.only.error dr_cb dr_msg_cb sticky.partitioning.linger.ms client.dns.lookup
    enable.metrics.push request.required.acks acks request.timeout.ms message.timeout.ms delivery.timeout.ms
    queuing.strategy produce.offset.report partitioner partitioner_cb msg_order_cmp compression.level";

#[test]
fn every_name_of_java_and_librdkafka_is_known() {
    let names: Vec<&str> = JAVA.split_whitespace().chain(LIBRDKAFKA.split_whitespace()).collect();
    assert!(names.len() > 200);
    for name in names {
        assert!(known::find(name).is_some(), "{name}");
    }
}

#[cfg(feature = "tls")]
#[test]
fn tls_is_set_by_javas_names_or_librdkafkas() {
    let java = good(
        "security.protocol=SSL\nssl.truststore.location=/ca.p12\nssl.truststore.type=PKCS12\nssl.truststore.password=x\n\
         ssl.keystore.location=/me.pem\nssl.keystore.type=PEM\nssl.key.password=y\nssl.enabled.protocols=TLSv1.3\n\
         ssl.endpoint.identification.algorithm=\nssl.cipher.suites=TLS_AES_256_GCM_SHA384,TLS_AES_128_GCM_SHA256",
    );
    assert_eq!(java.client.security_protocol, Some(SecurityProtocol::Ssl));
    let tls = &java.client.tls;
    assert_eq!((tls.trust_type, tls.key_store_type), (Some(StoreType::Pkcs12), Some(StoreType::Pem)));
    assert_eq!((tls.check_host_name, tls.versions), (Some(false), Some((false, true))));
    assert_eq!(tls.cipher_suites.as_ref().map(Vec::len), Some(2));
    let config = format!("{:?}", tls.config());
    for part in ["/ca.p12", "/me.pem", "any_name: true", "[V1_3]"] {
        assert!(config.contains(part), "{part}: {config}");
    }

    let librdkafka = good(
        "security.protocol=ssl\nssl.ca.location=/ca.pem\nssl.certificate.location=/me.pem\nssl.key.location=/me.key\n\
         enable.ssl.certificate.verification=true\nssl.endpoint.identification.algorithm=https",
    );
    let config = format!("{:?}", librdkafka.client.tls.config());
    for part in ["/ca.pem", "/me.pem", "/me.key", "any_name: false"] {
        assert!(config.contains(part), "{part}: {config}");
    }
    assert!(librdkafka.ignored.is_empty(), "{:?}", librdkafka.ignored);
    assert!(
        format!("{:?}", good("security.protocol=SSL\nssl.ca.location=probe").client.tls.config()).contains("System")
    );
}

#[cfg(feature = "tls")]
#[test]
fn tls_that_contradicts_itself_is_refused() {
    for (text, told) in [
        ("ssl.ca.location=/a\nssl.truststore.location=/b", "set already under another name"),
        ("ssl.keystore.location=/a\nssl.certificate.location=/b\nssl.key.location=/c", "in another way too"),
        ("ssl.certificate.location=/b", "without its key"),
        ("ssl.key.location=/b", "without its certificate"),
        ("ssl.keystore.key=/a/file", "is not PEM"),
        ("ssl.keystore.type=BKS", "no type of store"),
        ("ssl.enabled.protocols=TLSv1.1", "not spoken here"),
        ("ssl.enabled.protocols=,", "names no version"),
        ("ssl.cipher.suites=ECDHE-RSA-AES128-GCM-SHA256", "not IANA's"),
        ("ssl.endpoint.identification.algorithm=ldaps", "no way to check a name"),
        ("enable.ssl.certificate.verification=false", "always checked"),
        ("ssl.crl.location=/crl.pem", "revoked"),
    ] {
        let problem = problem(&format!("security.protocol=SSL\n{text}"));
        assert!(problem.contains(told), "{text}: {problem}");
    }
}

#[test]
fn tls_settings_without_tls_are_told_to_have_no_effect() {
    let settings = good("ssl.ca.location=/ca.pem\nssl.key.password=hunter2");
    assert_eq!(settings.ignored.len(), 2);
    assert!(settings.ignored.iter().all(|ignored| ignored.reason.contains("security.protocol")));
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn what_cannot_be_read_is_not_said_to_be_missing_as_well() {
    for (line, told) in [
        ("sasl.password=${env:NOBODY_SETS_THIS}", "which is not set"),
        ("milena.sasl.password.env=NOBODY_SETS_THIS", "not the name of an environment variable"),
        ("sasl.pasword=hunter2", "did you mean sasl.password?"),
    ] {
        let text = format!("security.protocol=SASL_SSL\nsasl.mechanism=PLAIN\nsasl.username=alice\n{line}");
        let problems = Properties::new().add_text("test", &text).resolve().settings().unwrap_err();
        assert!(problems.0.len() == 1 && problems.to_string().contains(told), "{problems}");
    }
}

#[test]
fn passwords_come_from_files_and_the_environment() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "hunter2\r\n").unwrap();
    let resolved = |value: &str| Properties::new().set("client.id", value).resolve().settings();
    let path = file.path().display();
    assert_eq!(resolved(&format!("${{file:{path}}}")).unwrap().client.client_id.as_deref(), Some("hunter2"));
    let found = resolved("${env:CARGO_PKG_NAME}").unwrap();
    assert_eq!(found.client.client_id.as_deref(), Some("milena-client"));
    for (value, told) in [
        ("${file:/nowhere}", "which cannot be read"),
        ("${env:NOBODY_SETS_THIS}", "which is not set"),
        ("${vault:secret}", "neither"),
    ] {
        let problem = resolved(value).unwrap_err().to_string();
        assert!(problem.contains(told) && problem.contains(value), "{problem}");
    }
    assert_eq!(resolved("a ${env:x} b").unwrap().client.client_id.as_deref(), Some("a ${env:x} b"));
}
