//! Every fault at once and for ever, and an application that never lets up: nothing may be asked too often.

use std::net::SocketAddr;
use std::time::Duration;

use milena_wire::message::api_versions::ApiVersionsResponse;
use milena_wire::message::init_producer_id::InitProducerIdRequest;
use milena_wire::message::{CurrentLeader, NodeEndpoint};
use milena_wire::{ApiKey, ApiVersion, BrokerId, ErrorCode, LeaderEpoch, PartitionId, TopicName};

use super::world::{Asked, Dialled, Kafka, Reply, Script, Topic, World, closed, config, raw, refused};
use crate::api::{Event, ProduceAnswer};
use crate::config::HostPort;
use crate::errors::LostCause;
use crate::{ControlRequest, LeaderHint, Room};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fault {
    Resolve,
    ManyAddresses,
    Refuse,
    CloseAtOnce,
    CloseOnVersions,
    VersionsRefused,
    VersionsEmpty,
    VersionsGarbage,
    Http,
    CloseOnMetadata,
    CloseOnProduce,
    CloseOnControl,
    MetadataGarbage,
    MetadataError,
    MetadataRebootstrap,
    NoBrokers,
    TopicMissing,
    TopicLeftOut,
    TopicWithoutPartitions,
    TopicUnauthorized,
    NoLeader,
    UnknownLeader,
    EpochsRise,
    EpochsFall,
    IdsAlternate,
    AddressesAlternate,
    WrongCorrelation,
    AnsweredTwice,
    HintsRise,
    HintsStale,
    ProduceGarbage,
}

const ALL: [Fault; 31] = {
    use Fault as F;
    [
        F::Resolve,
        F::ManyAddresses,
        F::Refuse,
        F::CloseAtOnce,
        F::CloseOnVersions,
        F::VersionsRefused,
        F::VersionsEmpty,
        F::VersionsGarbage,
        F::Http,
        F::CloseOnMetadata,
        F::CloseOnProduce,
        F::CloseOnControl,
        F::MetadataGarbage,
        F::MetadataError,
        F::MetadataRebootstrap,
        F::NoBrokers,
        F::TopicMissing,
        F::TopicLeftOut,
        F::TopicWithoutPartitions,
        F::TopicUnauthorized,
        F::NoLeader,
        F::UnknownLeader,
        F::EpochsRise,
        F::EpochsFall,
        F::IdsAlternate,
        F::AddressesAlternate,
        F::WrongCorrelation,
        F::AnsweredTwice,
        F::HintsRise,
        F::HintsStale,
        F::ProduceGarbage,
    ]
};

struct Storm {
    fault: Fault,
    kafka: Kafka,
    answers: i32,
}

impl Script for Storm {
    fn resolve(&mut self, host: &str, port: u16) -> Option<Result<Vec<SocketAddr>, String>> {
        match (self.fault, host) {
            (Fault::Resolve, _) => Some(Err("no such host".to_owned())),
            (Fault::ManyAddresses, _) => Some(Ok((0..200).map(|n| SocketAddr::from(([10, 9, 0, n], port))).collect())),
            (_, "seed-2") => Some(Ok(vec![SocketAddr::from(([10, 0, 0, 2], port))])),
            _ => Some(Ok(vec![SocketAddr::from(([10, 0, 0, 1], port))])),
        }
    }

    fn dial(&mut self, _: SocketAddr) -> Dialled {
        match self.fault {
            Fault::Refuse | Fault::ManyAddresses => Dialled::Failed(refused()),
            Fault::CloseAtOnce => Dialled::Failed(closed()),
            _ => Dialled::Accepted,
        }
    }

    fn reply(&mut self, asked: &Asked) -> Reply {
        self.answers += 1;
        let correlation = asked.header.correlation;
        match (self.fault, asked.header.api_key) {
            (Fault::CloseOnVersions, ApiKey::API_VERSIONS)
            | (Fault::CloseOnMetadata, ApiKey::METADATA)
            | (Fault::CloseOnProduce, ApiKey::PRODUCE)
            | (Fault::CloseOnControl, ApiKey::INIT_PRODUCER_ID) => Reply::Lost(closed()),
            (Fault::Http, _) => Reply::Lost(LostCause::BadSize { first_bytes: *b"HTTP" }),
            (Fault::VersionsGarbage, ApiKey::API_VERSIONS)
            | (Fault::MetadataGarbage, ApiKey::METADATA)
            | (Fault::ProduceGarbage, ApiKey::PRODUCE) => raw(correlation, &[0xff; 9]),
            (Fault::VersionsEmpty, ApiKey::API_VERSIONS) => {
                ApiVersionsResponse::default().encode_frame(asked.header.version, correlation).into()
            }
            (Fault::VersionsRefused, ApiKey::API_VERSIONS) => {
                let error = ErrorCode::UNSUPPORTED_VERSION;
                let response = ApiVersionsResponse { error, apis: self.kafka.versions(), ..Default::default() };
                response.encode_frame(ApiVersion(0), correlation).into()
            }
            (Fault::WrongCorrelation, ApiKey::METADATA) => raw(milena_wire::CorrelationId(correlation.0 ^ 1), &[0; 64]),
            (_, ApiKey::METADATA) => self.metadata(asked),
            (Fault::HintsRise | Fault::HintsStale, ApiKey::PRODUCE) => self.hint(asked),
            (Fault::AnsweredTwice, ApiKey::PRODUCE | ApiKey::INIT_PRODUCER_ID) => match self.kafka.answer(asked) {
                Reply::Frame(frame) => Reply::Twice(frame),
                other => other,
            },
            _ => self.kafka.answer(asked),
        }
    }
}

impl Storm {
    fn metadata(&mut self, asked: &Asked) -> Reply {
        let odd = self.answers % 2 == 1;
        match self.fault {
            Fault::MetadataError => self.kafka.metadata_error = ErrorCode::UNKNOWN_SERVER_ERROR,
            Fault::MetadataRebootstrap => self.kafka.metadata_error = ErrorCode::REBOOTSTRAP_REQUIRED,
            Fault::NoBrokers => self.kafka.brokers.clear(),
            Fault::TopicMissing => self.kafka.topics.clear(),
            Fault::AddressesAlternate => {
                let port = if odd { 9092 } else { 9093 };
                for (id, address) in &mut self.kafka.brokers {
                    *address = HostPort::new(&format!("10.0.0.{id}"), port);
                }
            }
            _ => {}
        }
        let answers = self.answers;
        if let Some(topic) = self.kafka.topics.get_mut("a") {
            match self.fault {
                Fault::TopicWithoutPartitions => topic.partitions.clear(),
                Fault::TopicUnauthorized => topic.error = ErrorCode::TOPIC_AUTHORIZATION_FAILED,
                Fault::NoLeader => topic.partitions = vec![(-1, 5), (-1, 6)],
                Fault::UnknownLeader => topic.partitions = vec![(77, 5)],
                Fault::EpochsRise => topic.partitions = vec![(1 + answers % 3, answers)],
                Fault::EpochsFall => topic.partitions = vec![(1 + answers % 3, 1_000_000 - answers)],
                Fault::IdsAlternate => topic.id = if odd { 1 } else { 2 },
                _ => {}
            }
        }
        let mut response = self.kafka.metadata(&asked.topics());
        if self.fault == Fault::TopicLeftOut {
            response.topics.clear();
        }
        response.encode_frame(asked.header.version, asked.header.correlation).into()
    }

    fn hint(&self, asked: &Asked) -> Reply {
        let leader = BrokerId(1 + self.answers % 3);
        let epoch = LeaderEpoch(if self.fault == Fault::HintsRise { self.answers + 10 } else { 5 });
        let mut response = milena_wire::message::produce::ProduceResponse {
            node_endpoints: vec![NodeEndpoint {
                node: leader,
                host: format!("10.0.0.{leader}"),
                port: 9092,
                rack: None,
            }],
            ..Default::default()
        };
        let partition = milena_wire::message::produce::ProducePartitionResponse {
            error: ErrorCode::NOT_LEADER_OR_FOLLOWER,
            current_leader: CurrentLeader { leader, epoch },
            ..Default::default()
        };
        response.topics.push(milena_wire::message::produce::ProduceTopicResponse {
            partitions: vec![partition],
            ..Default::default()
        });
        response.encode_frame(asked.header.version, asked.header.correlation).into()
    }
}

/// An application without any patience of its own: it asks again for everything as soon as it hears anything.
struct Impatient {
    controls: usize,
    produces: usize,
    hints_taken: usize,
}

impl Impatient {
    fn act(&mut self, world: &mut World<Storm>) {
        let topic = TopicName::new("a");
        for event in std::mem::take(&mut world.events) {
            match event {
                Event::Controlled { .. } => self.controls -= 1,
                Event::Produced { answer, .. } => {
                    self.produces -= 1;
                    if let Ok(ProduceAnswer::Answered(response)) = answer {
                        self.take_hints(world, &topic, &response);
                    }
                }
                _ => {}
            }
        }
        world.cluster.use_topic(world.now, &topic);
        world.cluster.refresh(world.now);
        world.cluster.refresh_topic(world.now, &topic);
        if self.controls == 0 {
            self.controls += 1;
            world.cluster.control(world.now, ControlRequest::InitProducerId(InitProducerIdRequest::default()));
        }
        for broker in 1..=3 {
            let broker = BrokerId(broker);
            if let Room::Ready { .. } = world.cluster.produce_room(world.now, broker)
                && self.produces == 0
            {
                self.produces += 1;
                world.cluster.send_produce(world.now, broker, &super::world::produce("a", -1));
            }
        }
        world.drain();
    }

    fn take_hints(
        &mut self,
        world: &mut World<Storm>,
        topic: &TopicName,
        response: &milena_wire::message::produce::ProduceResponse,
    ) {
        for partition in response.topics.iter().flat_map(|topic| &topic.partitions) {
            let CurrentLeader { leader, epoch } = partition.current_leader;
            let hint = LeaderHint { topic: topic.clone(), partition: PartitionId(0), leader, epoch };
            self.hints_taken += world.cluster.apply_hints(world.now, &[hint], &response.node_endpoints);
        }
    }
}

fn most_per_second(times: impl Iterator<Item = milena_wire::Timestamp>) -> usize {
    let mut seconds = std::collections::BTreeMap::<u64, usize>::new();
    for at in times {
        *seconds.entry(at.as_nanos() / 1_000_000_000).or_default() += 1;
    }
    seconds.into_values().max().unwrap_or(0)
}

/// Runs a minute of `fault`; returns totals and per-second maxima as a line.
fn weather(fault: Fault, seed: u64) -> (World<Storm>, usize) {
    let kafka = Kafka::of(3).with_topic("a", Topic::led_by(&[(1, 5)]));
    let mut config = config(&["seed-1:9092", "seed-2:9092"]);
    config.rebootstrap_trigger = Duration::from_secs(10);
    let mut world = World::seeded(config, Storm { fault, kafka, answers: 0 }, seed);
    let mut app = Impatient { controls: 0, produces: 0, hints_taken: 0 };
    let end = world.now + Duration::from_secs(60);
    while world.now < end {
        app.act(&mut world);
        world.run(Duration::from_millis(10));
    }
    (world, app.hints_taken)
}

#[test]
fn no_fault_makes_a_storm() {
    for fault in ALL {
        let seed = 1 + fault as u64;
        let (world, hints) = weather(fault, seed);
        let counts = &world.counts;
        let of = |key| counts.requests.iter().filter(move |(_, api, _, _)| *api == key).map(|(at, ..)| *at);
        let name = format!("{fault:?}, seed {seed}");
        let dials = counts.dials.len();
        let metadata = counts.of(ApiKey::METADATA);
        let versions = counts.of(ApiKey::API_VERSIONS);
        println!(
            "{name}: {dials} dials ({}/s), {versions} versions ({}/s), {metadata} metadata ({}/s), {} resolves, {hints} hints",
            most_per_second(counts.dials.iter().map(|(at, _)| *at)),
            most_per_second(of(ApiKey::API_VERSIONS)),
            most_per_second(of(ApiKey::METADATA)),
            counts.resolves,
        );
        // What changes with every answer has only the first wait of the backoff: 80 ms.
        let restless = matches!(fault, Fault::EpochsRise | Fault::EpochsFall | Fault::IdsAlternate);
        let (metadata_total, metadata_second) = if restless { (750, 13) } else { (90, 8) };
        assert!(metadata <= metadata_total, "{name}: {metadata} metadata requests");
        let second = most_per_second(of(ApiKey::METADATA));
        assert!(second <= metadata_second, "{name}: {second} metadata requests in a second");
        // Three produce links of at most 1.25 attempts a second each, and as much for control as for one of them.
        let per_round = if fault == Fault::ManyAddresses { 16 } else { 1 };
        assert!(dials <= 360 * per_round, "{name}: {dials} connection attempts");
        let second = most_per_second(counts.dials.iter().map(|(at, _)| *at));
        assert!(second <= 30 * per_round, "{name}: {second} connection attempts in a second");
        assert!(versions <= 3 * dials, "{name}: {versions} version requests");
        assert!(counts.resolves <= 150, "{name}: {} resolves", counts.resolves);
        // One per partition and retry backoff, whatever a broker says.
        assert!(hints <= 600, "{name}: {hints} hints");
    }
}

#[test]
fn a_large_cluster_that_refuses_everybody_is_not_called_all_the_time() {
    let kafka = Kafka::of(100).with_topic("a", Topic::led_by(&[(1, 5)]));
    let mut world = World::new(config(&["10.0.0.1:9092"]), kafka);
    world.use_topic("a");
    world.run_until("metadata", |world| world.is_known("a"));
    world.script.down = (1..=100).collect();
    let conns = world.conns.keys().copied().collect::<Vec<_>>();
    for conn in conns {
        world.break_conn(conn, closed());
    }
    let before = world.counts.dials.len();
    for _ in 0..60 {
        world.use_topic("a");
        world.cluster.refresh(world.now);
        world.run(Duration::from_secs(1));
    }
    let dials = world.counts.dials.len() - before;
    assert!((40..=90).contains(&dials), "{dials} attempts in a minute");
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another_one() {
    let run = |seed| {
        let (world, _) = weather(Fault::CloseOnMetadata, seed);
        format!("{:?}", world.counts.dials)
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}
