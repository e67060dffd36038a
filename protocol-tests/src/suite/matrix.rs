//! Every codec, every acks, every shape of record.

use std::collections::BTreeMap;

use milena_wire::{ApiKey, ApiVersion, Codec, client_range, murmur2};

use super::{fresh_topic, judge};
use crate::account::{Content, Outcome, Sent, ToSend};
use crate::bare::{Connection, Plain};
use crate::cluster::Cluster;
use crate::subject::{Acks, Settings, Subject};

const PARTITIONS: i32 = 6;
/// Records of each shape in a session.
const EACH: usize = 40;

/// What a record looks like, besides its number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Shape {
    Keyed,
    Keyless,
    Placed,
    Headers,
    Tombstone,
    Empty,
    Large,
}

const SHAPES: [Shape; 7] =
    [Shape::Keyed, Shape::Keyless, Shape::Placed, Shape::Headers, Shape::Tombstone, Shape::Empty, Shape::Large];

fn bytes(text: impl Into<String>) -> Option<Vec<u8>> {
    Some(text.into().into_bytes())
}

fn record(session: &str, shape: Shape, number: usize) -> ToSend {
    let id = format!("{session} {shape:?} {number}");
    let mut record = ToSend::default();
    let content = &mut record.content;
    match shape {
        Shape::Keyed => {
            content.key = bytes(format!("key {}", number % 17));
            content.value = bytes(id);
        }
        Shape::Keyless => content.value = bytes(id),
        Shape::Placed => {
            content.key = bytes(format!("key {number}"));
            content.value = bytes(id);
            record.partition = Some(i32::try_from(number).expect("a small number") % PARTITIONS);
            record.timestamp = Some(1_700_000_000_000 + i64::try_from(number % 7).expect("a small number") * 1000);
        }
        Shape::Headers => {
            content.value = bytes("v");
            content.headers = vec![
                ("id".to_owned(), bytes(id)),
                ("b".to_owned(), bytes("1")),
                ("grüße 🦀".to_owned(), bytes("")),
                ("b".to_owned(), None),
                ("b".to_owned(), bytes("1")),
            ];
        }
        Shape::Tombstone => content.key = bytes(id),
        Shape::Empty => {
            // Nothing in it but what tells it apart.
            content.key = bytes("");
            content.value = bytes("");
            content.headers = vec![("id".to_owned(), bytes(id))];
        }
        Shape::Large => content.value = bytes(format!("{id} {}", "All happy families are alike. ".repeat(100))),
    }
    record
}

/// Sends every shape with every codec and acks, and reads all of it back.
///
/// # Panics
/// If anything is not where and as it was told.
pub fn every_codec_acks_and_shape(cluster: &dyn Cluster, subject: &dyn Subject) {
    let topic = fresh_topic("matrix");
    cluster.create_topic(&topic, PARTITIONS, 3);
    let mut sessions = Vec::new();
    let mut settings = Vec::new();
    for codec in Codec::ALL {
        for acks in Acks::EVERY {
            let set = Settings { codec, acks, ..Settings::default() };
            sessions.push(session(cluster, subject, &topic, &format!("{codec} {acks:?}"), &set));
            settings.push(set);
        }
    }
    let (account, log, batches) = judge(cluster, &topic, &sessions);
    assert_eq!(account.sent, sessions.len() * SHAPES.len() * EACH);
    assert_eq!(account.stored, account.sent, "on a cluster without faults nothing is lost, acks=0 included");
    assert_eq!(account.delivered, account.sent / 3 * 2, "with acks 1 and all everything is delivered");

    for stored in &log {
        let record = &stored.content;
        if let Some(key) = record.key.as_ref().filter(|key| key.starts_with(b"key ")) {
            let placed = record.value.as_ref().is_some_and(|value| contains(value, b"Placed"));
            let chosen = (murmur2(key) & i32::MAX) % PARTITIONS;
            assert!(placed || stored.partition == chosen, "{record} is on {}, not {chosen}", stored.partition);
        }
    }
    // Which session a batch belongs to is seen by its first record.
    let owner: BTreeMap<(i32, i64), usize> = {
        let owners: std::collections::HashMap<&Content, usize> = sessions
            .iter()
            .enumerate()
            .flat_map(|(index, session)| session.iter().map(move |sent| (&sent.record.content, index)))
            .collect();
        log.iter().map(|stored| ((stored.partition, stored.offset), owners[&stored.content])).collect()
    };
    let mut compressed = vec![0; sessions.len()];
    for batch in &batches {
        let index = owner[&(batch.partition, batch.base_offset)];
        let Settings { codec, acks, .. } = settings[index];
        assert_eq!(batch.producer_id >= 0, acks == Acks::All, "{codec} {acks:?}: {batch:?}");
        // A batch that a codec does not make smaller may go without.
        assert!(batch.codec == codec.name() || batch.codec == "none", "{codec}: {batch:?}");
        compressed[index] += usize::from(batch.codec == codec.name());
    }
    for (index, count) in compressed.into_iter().enumerate() {
        assert!(count > 0, "no batch of {:?} was written with its codec", settings[index]);
    }
}

/// Sends every shape with every codec in every version of Produce that the cluster speaks, and reads all of it back.
///
/// # Panics
/// If anything is not where and as it was told.
pub fn every_produce_version(cluster: &dyn Cluster) {
    let topic = fresh_topic("versions");
    cluster.create_topic(&topic, PARTITIONS, 3);
    let any = Connection::open_any(&cluster.bootstrap()).expect("a broker that answers");
    let (min, max) = any.apis.range(ApiKey::PRODUCE).expect("a broker that offers Produce");
    let (oldest, newest) = client_range(ApiKey::PRODUCE).expect("an API that is spoken here");
    let versions: Vec<i16> = (oldest.max(min).0..=newest.min(max).0).collect();
    assert!(versions.len() > 1, "{versions:?}");
    let mut sessions = Vec::new();
    for version in versions {
        // zstd came with version 7.
        for codec in Codec::ALL.into_iter().filter(|codec| version >= 7 || *codec != Codec::Zstd) {
            let plain = Plain { version: Some(ApiVersion(version)), ..Plain::default() };
            let settings = Settings { codec, ..Settings::default() };
            sessions.push(session(cluster, &plain, &topic, &format!("{codec} v{version}"), &settings));
        }
    }
    let (account, ..) = judge(cluster, &topic, &sessions);
    assert_eq!(account.delivered, sessions.len() * SHAPES.len() * EACH);
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn session(cluster: &dyn Cluster, subject: &dyn Subject, topic: &str, name: &str, settings: &Settings) -> Vec<Sent> {
    let mut producer = subject.open(&cluster.bootstrap(), settings);
    for number in 0..EACH {
        for shape in SHAPES {
            producer.send(topic, record(name, shape, number));
        }
    }
    let sent = producer.finish();
    for sent in &sent {
        let as_told = match &sent.outcome {
            Outcome::Delivered { .. } => settings.acks != Acks::None,
            Outcome::Unacknowledged => settings.acks == Acks::None,
            _ => false,
        };
        assert!(as_told, "{name}: {} ended as {:?}", sent.record.content, sent.outcome);
    }
    sent
}
