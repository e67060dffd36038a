//! Other people's clients and tools against the embedded broker. Needs Kafka's jars and kcat, and no cluster.

use std::collections::BTreeMap;

use milena::tls::issue::{Authority, Validity};
use milena::tls::{TlsServer, TlsServerConfig};
use milena_broker::{EmbeddedCluster, Profile, SaslServer};
use milena_wire::{Codec, PartitionId};
use protocol_tests::account::{Content, Sent, Stored, ToSend, check};
use protocol_tests::bare::Plain;
use protocol_tests::cluster::{Cluster as _, StoredBatch};
use protocol_tests::embedded::Embedded;
use protocol_tests::kafka::{Tools, kcat, kcat_consume};
use protocol_tests::subject::{Settings, Subject as _};

const TOPIC: &str = "interop";
const RELEASE: &str = "4.3.1";

fn embedded(profile: Profile) -> Embedded {
    Embedded::start(EmbeddedCluster::builder().profile(profile).partitions(2))
}

/// Batches of every codec, with keys, nulls and headers; two partitions.
fn fill(embedded: &Embedded) -> Vec<Sent> {
    embedded.create_topic(TOPIC, 2, 1);
    let bytes = |text: String| Some(text.into_bytes());
    let mut sent = Vec::new();
    for codec in Codec::ALL {
        let settings = Settings { codec, ..Settings::default() };
        let mut producer = Plain::default().open(&embedded.bootstrap(), &settings);
        for i in 0..150 {
            let content = Content {
                key: if i % 3 == 0 { None } else { bytes(format!("key {i}")) },
                value: if i % 7 == 0 { None } else { bytes("All happy families are alike. ".repeat(i % 5)) },
                headers: vec![
                    ("id".to_owned(), bytes(format!("{codec} {i}"))),
                    ("twice".to_owned(), bytes(String::new())),
                ],
            };
            let partition = Some(i32::from(i % 2 == 0));
            producer.send(
                TOPIC,
                ToSend { content, partition, timestamp: Some(1_700_000_000_000 + i64::from(partition == Some(0))) },
            );
        }
        sent.extend(producer.finish());
    }
    sent
}

fn assert_same(read: &[Stored], embedded: &Embedded) {
    let own = embedded.read(TOPIC);
    assert_eq!(read.len(), own.len());
    for (read, own) in read.iter().zip(&own) {
        assert_eq!(read, own);
    }
}

#[test]
fn kafkas_consumer_reads_what_the_embedded_broker_holds_in_every_profile() {
    for profile in Profile::ALL {
        let embedded = embedded(profile);
        let sent = fill(&embedded);
        check(&[&sent], &embedded.read(TOPIC)).expect("the broker holds what was sent");
        let counts = [0, 1].map(|p| (p, embedded.cluster().end_offset(TOPIC, PartitionId(p)).expect("a partition").0));
        assert_same(&Tools::of(RELEASE).consume(&embedded.bootstrap(), TOPIC, &counts), &embedded);
    }
}

#[test]
fn kcat_reads_what_the_embedded_broker_holds_in_every_profile() {
    for profile in Profile::ALL {
        let embedded = embedded(profile);
        let sent = fill(&embedded);
        assert!(!sent.is_empty());
        assert_same(&kcat_consume(&embedded.bootstrap(), TOPIC), &embedded);
    }
}

#[test]
fn dump_log_segments_reads_the_embedded_brokers_files() {
    let folder = std::env::temp_dir().join(format!("milena-interop-{}", std::process::id()));
    // Of a run with the same number that did not end well.
    drop(std::fs::remove_dir_all(&folder));
    let embedded = Embedded::start(EmbeddedCluster::builder().data_dir(&folder));
    let sent = fill(&embedded);
    let own = embedded.batches(TOPIC);
    drop(embedded);
    let data = data_of_first_node(&folder);
    let dumped = Tools::of(RELEASE).dump(&data, TOPIC, 2);
    assert_eq!(dumped, own);
    assert!(dumped.iter().all(|batch| batch.valid));
    assert_eq!(dumped.iter().map(|batch| batch.count).sum::<i32>(), i32::try_from(sent.len()).expect("few records"));
    std::fs::remove_dir_all(folder).expect("the folder can be removed");
}

/// The folder that holds `interop-0`: the data folder itself, or a node's inside it.
fn data_of_first_node(folder: &std::path::Path) -> std::path::PathBuf {
    let inside = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut candidates = std::iter::once(folder.to_path_buf()).chain(inside);
    candidates.find(|candidate| candidate.join(format!("{TOPIC}-0")).is_dir()).expect("a folder of the first partition")
}

#[test]
fn kcat_speaks_tls_and_each_mechanism_with_the_embedded_broker() {
    let authority = Authority::new("interop").expect("an authority");
    let ca = std::env::temp_dir().join(format!("milena-interop-{}-ca.pem", std::process::id()));
    std::fs::write(&ca, authority.certificate()).expect("the temporary folder can be written");
    let location = format!("ssl.ca.location={}", ca.display());
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let issued = authority.server(&["127.0.0.1", "localhost"], Validity::default()).expect("a certificate");
        let tls = TlsServer::new(TlsServerConfig::new(issued.identity())).expect("a server's side");
        let sasl = SaslServer::new(&[mechanism]).user("alice", "pencil");
        let embedded = Embedded::start(EmbeddedCluster::builder().tls(tls).sasl(sasl).partitions(1));
        let chosen = format!("sasl.mechanism={mechanism}");
        let who = ["security.protocol=SASL_SSL", &location, &chosen, "sasl.username=alice", "sasl.password=pencil"];
        let who: Vec<&str> = who.iter().flat_map(|setting| ["-X", *setting]).collect();
        let lines: String = (0..1000).map(|i| format!("{i}\n")).collect();
        let _ = kcat(&embedded.bootstrap(), &[&["-P", "-t", TOPIC], &who[..]].concat(), &lines);
        let read = kcat(&embedded.bootstrap(), &[&["-C", "-t", TOPIC, "-e", "-q"], &who[..]].concat(), "");
        assert_eq!(String::from_utf8(read).expect("digits"), lines, "{mechanism}");
    }
    std::fs::remove_file(ca).expect("the file can be removed");
}

/// Sequences of each stream follow one another.
fn assert_idempotent(batches: &[StoredBatch]) {
    let mut next = BTreeMap::new();
    for batch in batches {
        assert!(batch.producer_id >= 0 && batch.valid, "{batch:?}");
        let expected =
            next.insert((batch.partition, batch.producer_id), batch.base_sequence + batch.count).unwrap_or(0);
        assert_eq!(batch.base_sequence, expected, "{batch:?}");
    }
}

#[test]
fn kafkas_producer_writes_to_the_embedded_broker_in_every_profile() {
    // The tool switches retries off, and by that idempotence, unless told otherwise.
    let config = std::env::temp_dir().join(format!("milena-interop-{}.properties", std::process::id()));
    std::fs::write(&config, "retries=100\nenable.idempotence=true\n").expect("the temporary folder can be written");
    for profile in Profile::ALL {
        let embedded = embedded(profile);
        embedded.create_topic(TOPIC, 2, 1);
        let bootstrap = embedded.bootstrap();
        let config = config.to_str().expect("a plain path");
        let args =
            ["--bootstrap-server", &bootstrap, "--topic", TOPIC, "--max-messages", "3000", "--command-config", config];
        let said = Tools::of(RELEASE).run("org.apache.kafka.tools.VerifiableProducer", &args);
        assert_eq!(said.matches("producer_send_success").count(), 3000, "{said}");
        let mut values: Vec<u32> = embedded
            .read(TOPIC)
            .iter()
            .map(|stored| {
                String::from_utf8_lossy(stored.content.value.as_deref().unwrap_or_default()).parse().expect("a number")
            })
            .collect();
        values.sort_unstable();
        assert!(values.iter().copied().eq(0..3000), "each of 3000 numbers once");
        assert_idempotent(&embedded.batches(TOPIC));
    }
    std::fs::remove_file(config).expect("the file can be removed");
}

#[test]
fn kcat_writes_to_the_embedded_broker_with_every_codec_in_every_profile() {
    for profile in Profile::ALL {
        for codec in Codec::ALL {
            let embedded = embedded(profile);
            embedded.create_topic(TOPIC, 2, 1);
            let lines: String =
                (0..1000).map(|i| format!("key {i}:value {i} all happy families are alike\n")).collect();
            let args = ["-P", "-t", TOPIC, "-K", ":", "-z", codec.name(), "-H", "a=1", "-X", "enable.idempotence=true"];
            let _ = kcat(&embedded.bootstrap(), &args, &lines);
            let log = embedded.read(TOPIC);
            let mut keys: Vec<&[u8]> = log.iter().map(|stored| stored.content.key.as_deref().expect("a key")).collect();
            keys.sort_unstable();
            keys.dedup();
            assert_eq!((log.len(), keys.len()), (1000, 1000), "{profile:?} {codec}");
            let batches = embedded.batches(TOPIC);
            assert_idempotent(&batches);
            assert!(batches.iter().any(|batch| batch.codec == codec.name()), "{batches:?}");
        }
    }
}
