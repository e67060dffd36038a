//! What one seed plays: settings, network and faults, each seed its own mix (swarm testing).

use std::time::Duration;

use milena_accumulator::{AccumulatorConfig, PartitionerKind};
use milena_broker::Profile;
use milena_cluster::{ClusterConfig, HostPort};
use milena_sender::{Guarantee, RecreatedTopic, SenderConfig};
use milena_wire::{Codec, Compression, ProducerEpoch, Sequence};

use super::fault::{Fault, Strike, schedule};
use super::identity::IdentityPlan;
use super::rng::Rng;

/// The stream of randomness that draws what goes wrong.
const STRIKES: u64 = 1;

/// A topic of the simulated cluster.
#[derive(Clone, Debug)]
pub struct TopicPlan {
    /// Its name.
    pub name: String,
    /// How many partitions.
    pub partitions: i32,
    /// Largest batch it takes.
    pub max_message_bytes: usize,
    /// Whether it refuses records without a key.
    pub compacted: bool,
}

/// A close while things go wrong.
#[derive(Clone, Copy, Debug)]
pub struct ClosePlan {
    /// When, from the run's start.
    pub at: Duration,
    /// How much time it has.
    pub within: Duration,
}

/// All that a seed decides before time begins.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The producer's settings.
    pub sender: SenderConfig,
    /// The queues' settings.
    pub accumulator: AccumulatorConfig,
    /// The client's settings.
    pub cluster: ClusterConfig,
    /// Which release the brokers are.
    pub profile: Profile,
    /// How many brokers.
    pub nodes: i32,
    /// Replicas that acks=all needs.
    pub min_insync_replicas: i16,
    /// How far followers are behind.
    pub replication_lag: Duration,
    /// What is produced to.
    pub topics: Vec<TopicPlan>,
    /// One way through the network, at least and at most, in microseconds.
    pub latency_us: (u64, u64),
    /// How much later than a connection's end its requests may still run.
    pub zombie_ms: u64,
    /// Whether it is known of a lost connection how many of its frames had begun to leave.
    pub begun_known: bool,
    /// Longest time a codec takes, in milliseconds.
    pub seal_ms: u64,
    /// Epoch that producer ids come with.
    pub first_epoch: ProducerEpoch,
    /// When the producer is closed, if that is not last of all.
    pub close: Option<ClosePlan>,
    /// Whether brokers want to know who the client is.
    pub identity: Option<IdentityPlan>,
    /// What goes wrong, in order.
    pub strikes: Vec<Strike>,
    /// Codes that scripted refusals use.
    pub codes: Vec<i16>,
    /// How long records are enqueued and faults strike.
    pub length: Duration,
    /// Mean time between two bursts of records, in milliseconds.
    pub burst_gap_ms: u64,
    /// Most records in a burst.
    pub burst_max: u64,
    /// Largest value in bytes.
    pub value_max: u64,
    /// How many of a hundred records choose their partition.
    pub explicit_percent: u64,
    /// How many of a hundred records nobody waits for.
    pub drop_percent: u64,
    /// Longest that a caller waits for memory, in milliseconds.
    pub max_block_ms: u64,
}

impl Plan {
    /// The plan of a seed.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let rng = &mut Rng::new(seed);
        let guarantee = match rng.between(0, 9) {
            0 => Guarantee::AtLeastOnce { all_replicas: true },
            1 => Guarantee::AtLeastOnce { all_replicas: false },
            2 => Guarantee::AtMostOnce,
            _ => Guarantee::ExactlyOnce,
        };
        let codec = rng.percent(35);
        let mut faults = Vec::new();
        let calm = rng.percent(3);
        for fault in Fault::ALL {
            // Drawn in any case, so that one fault's share does not change what the others get.
            if rng.percent(fault.share()) && !calm {
                faults.push(fault);
            }
        }
        let profile = if rng.percent(70) { Profile::default() } else { rng.pick(&Profile::ALL) };
        if profile != Profile::default() {
            // Without topic ids in produce requests nobody can tell the old topic from the new one.
            faults.retain(|fault| *fault != Fault::Recreate);
        }
        let fast = rng.percent(50);
        let latency_us = if fast { (20, 600) } else { (200, rng.between(1000, 60_000)) };
        let replication_lag = if rng.percent(50) { Duration::ZERO } else { rng.millis(1, 150) };
        // What a broker needs when all is well is to be possible.
        let least = replication_lag * 2 + Duration::from_micros(latency_us.1 * 4);
        let request_timeout = least + rng.millis(150, 2500);
        let mut sender = SenderConfig {
            guarantee,
            linger: if rng.percent(40) { Duration::ZERO } else { rng.millis(1, 40) },
            delivery_timeout: least + if rng.percent(60) { rng.millis(200, 3000) } else { rng.millis(3000, 15_000) },
            request_timeout,
            max_request_size: if rng.percent(20) { 2000 } else { 8 << 20 },
            retry_backoff: rng.millis(5, 120),
            retry_backoff_max: rng.millis(120, 1000),
            partition_in_flight: rng.percent(40).then(|| rng.index(5) + 1),
            unknown_topic_grace: rng.millis(300, 4000),
            recreated_topic: if rng.percent(30) { RecreatedTopic::Send } else { RecreatedTopic::Fail },
            sealed_ahead: rng.index(8) + 1,
            seal_inline: !codec,
            ..SenderConfig::default()
        };
        // Numbers near their end. Brokers before 2.4 take no first sequence but 0.
        let numbers = rng.between(0, 40);
        let near_the_end = rng.percent(25) && profile != Profile::V2_1;
        if let Some(first) = Sequence::new(i32::MAX - i32::try_from(numbers).unwrap_or(0)).filter(|_| near_the_end) {
            sender.first_sequence = first;
        }
        let last = rng.percent(25);
        let first_epoch =
            if last { ProducerEpoch(ProducerEpoch::LAST.0 - rng.pick(&[0, 1, 3])) } else { ProducerEpoch(0) };
        let batch_size = usize::try_from(rng.between(200, 4000)).unwrap_or(1000);
        let nodes = i32::try_from(rng.between(1, 3)).unwrap_or(1);
        let compression = if codec { Compression::new(Codec::Lz4) } else { Compression::NONE };
        let accumulator = AccumulatorConfig {
            buffer_memory: if rng.percent(25) { 16 << 10 } else { 4 << 20 },
            batch_size,
            max_record_size: 8 << 10,
            compression,
            partitioner: PartitionerKind::Java,
            sticky_bytes: batch_size,
            adaptive: rng.percent(50),
            linger_zero: sender.linger.is_zero(),
            divert: rng.percent(50),
        };
        let mut cluster = ClusterConfig::new(vec![HostPort::new("boot", 9092)]);
        cluster.request_timeout = request_timeout;
        cluster.connect_timeout = rng.millis(100, 800);
        cluster.connect_timeout_max = Duration::from_secs(2);
        cluster.reconnect_backoff = rng.millis(5, 100);
        cluster.reconnect_backoff_max = rng.millis(100, 1000);
        cluster.retry_backoff = sender.retry_backoff;
        cluster.retry_backoff_max = sender.retry_backoff_max;
        cluster.metadata_max_age = rng.millis(500, 60_000);
        cluster.idle_timeout = if rng.percent(20) { rng.millis(500, 3000) } else { Duration::from_secs(540) };
        cluster.max_in_flight = rng.index(6) + 1;
        cluster.auto_create_topics = false;
        let topic = |name: &str, rng: &mut Rng| TopicPlan {
            name: name.to_owned(),
            partitions: i32::try_from(rng.between(1, 4)).unwrap_or(1),
            max_message_bytes: if rng.percent(15) { batch_size / 2 + 150 } else { 1 << 20 },
            compacted: rng.percent(8),
        };
        let mut topics = vec![topic("t", rng)];
        if rng.percent(30) {
            topics.push(topic("u", rng));
        }
        let length = rng.millis(500, 8000);
        let gap_ms = rng.between(10, 700);
        let mut plan = Self {
            sender,
            accumulator,
            cluster,
            profile,
            nodes,
            min_insync_replicas: if nodes == 3 && rng.percent(30) { 2 } else { 1 },
            replication_lag,
            topics,
            latency_us,
            zombie_ms: if rng.percent(50) { rng.between(1, 3000) } else { 0 },
            begun_known: rng.percent(60),
            seal_ms: rng.between(0, 20),
            first_epoch,
            identity: None,
            close: rng.percent(12).then(|| ClosePlan { at: length.mul_f64(0.6), within: rng.millis(0, 3000) }),
            strikes: schedule(&mut Rng::stream(seed, STRIKES), &faults, gap_ms, length),
            codes: codes(rng, guarantee),
            length,
            burst_gap_ms: rng.between(2, 150),
            burst_max: rng.between(1, 12),
            value_max: if rng.percent(20) { 3000 } else { rng.between(10, 400) },
            explicit_percent: rng.pick(&[0, 50, 100, 100]),
            drop_percent: rng.pick(&[0, 0, 10, 40]),
            max_block_ms: rng.between(10, 3000),
        };
        IdentityPlan::draw(seed, &mut plan);
        plan
    }

    /// Whether records are promised to lie in the order in which they were enqueued.
    #[must_use]
    pub fn is_ordered(&self) -> bool {
        match self.sender.guarantee {
            Guarantee::ExactlyOnce => true,
            // More than one batch in flight overtake each other on retries, as the setting says.
            Guarantee::AtLeastOnce { .. } => self.sender.in_flight_limit() == 1,
            _ => false,
        }
    }
}

/// Codes that Kafka knows, and some that it does not; those that end a producer for good only rarely.
fn codes(rng: &mut Rng, guarantee: Guarantee) -> Vec<i16> {
    // 0 and 46 say "written", 45 says "absent": answered to what was not, or was, appended they are lies that nobody can see through.
    let lies = |code: i16| matches!(code, 0 | 46) || (code == 45 && guarantee == Guarantee::ExactlyOnce);
    let fatal = |code: i16| matches!(code, 49 | 53 | 90);
    let fatal_too = rng.percent(5);
    let count = rng.between(1, 6);
    let mut codes = Vec::new();
    while (codes.len() as u64) < count {
        let any = i16::try_from(rng.between(0, 134)).unwrap_or(0) - 2;
        let code =
            if rng.percent(50) { rng.pick(&[2, 3, 5, 6, 7, 10, 13, 19, 20, 47, 56, 59, 74, 87, 100]) } else { any };
        if !lies(code) && (fatal_too || !fatal(code)) {
            codes.push(code);
        }
    }
    codes
}
