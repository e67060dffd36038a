//! `trouble [RECORDS [RUNS]]`: how long records take to an embedded cluster of three nodes that is calm, that refuses one batch in eight and moves
//! all leaders every 50 to 250 ms, and of which one node restarts. Every record is awaited, and every log is counted.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use milena_benches::text;
use milena_broker::{EmbeddedCluster, Reaction, Rule};
use milena_producer::{Delivery, Producer, Record};
use milena_wire::{ApiKey, BrokerId, ErrorCode, PartitionId};

const PARTITIONS: i32 = 12;
const SIZE: usize = 100;
const TOPIC: &str = "trouble";
/// Refusals that are prepared at a time; the next are when half of them have struck.
const AHEAD: u32 = 16;
const REFUSALS: [ErrorCode; 6] = [
    ErrorCode::NOT_ENOUGH_REPLICAS,
    ErrorCode::NOT_LEADER_OR_FOLLOWER,
    ErrorCode::LEADER_NOT_AVAILABLE,
    ErrorCode::REQUEST_TIMED_OUT,
    ErrorCode::NETWORK_EXCEPTION,
    ErrorCode::KAFKA_STORAGE_ERROR,
];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Weather {
    Calm,
    /// One batch in eight is refused, and leaders move.
    Trouble,
    /// A node goes away after a part of the time that calm takes, and is back after as long again.
    Restart(Duration),
}

fn main() {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<usize>());
    let mut number = |default| args.next().map_or(default, |given| given.expect("a number"));
    let (records, runs) = (number(200_000), number(7));
    let [mut calm, mut trouble, mut restart] = [const { Vec::new() }; 3];
    // In turn, so that whatever else the machine does meets all of them.
    for run in 0..runs.max(1) as u64 {
        let took = once(Weather::Calm, records, run);
        calm.push(took);
        trouble.push(once(Weather::Trouble, records, run));
        restart.push(once(Weather::Restart(took / 4), records, run));
    }
    println!(
        "{records} records of {SIZE} bytes to {PARTITIONS} partitions on 3 replicas; the producer's settings are its defaults"
    );
    let calm = middle("calm", calm);
    for (what, times) in
        [("one batch in eight refused, leaders move", trouble), ("one node of three restarts", restart)]
    {
        let time = middle(what, times);
        println!("  {:.1} times as long as calm", time.as_secs_f64() / calm.as_secs_f64());
    }
}

/// Says all times and returns the one in the middle.
fn middle(what: &str, mut times: Vec<Duration>) -> Duration {
    times.sort();
    let middle = times[times.len() / 2];
    let all = times.iter().map(|time| format!("{:.3}", time.as_secs_f64())).collect::<Vec<_>>().join(" ");
    println!("{what}: {:.3} s ({all})", middle.as_secs_f64());
    middle
}

/// How long it takes until every record is acknowledged.
fn once(weather: Weather, records: usize, run: u64) -> Duration {
    let cluster = EmbeddedCluster::builder().nodes(3).start_blocking().expect("a cluster that starts");
    cluster.create_topic(TOPIC, PARTITIONS, 3).expect("a topic that is not there yet");
    let producer = Producer::builder(cluster.bootstrap()).build().expect("settings without problems");
    let blocking = producer.blocking();
    blocking.prepare(&[TOPIC], Duration::from_secs(10)).expect("a cluster that answers");
    let value = text(SIZE);
    let done = AtomicBool::new(false);
    let took = thread::scope(|scope| {
        scope.spawn(|| make(weather, &cluster, run, &done));
        let started = Instant::now();
        let enqueue = |_| blocking.enqueue(Record::to(TOPIC).value(value.as_slice())).expect("room in the buffer");
        let deliveries: Vec<Delivery> = (0..records).map(enqueue).collect();
        for delivery in deliveries {
            let _receipt = delivery.wait().expect("trouble that passes before the delivery timeout");
        }
        let took = started.elapsed();
        done.store(true, Ordering::Relaxed);
        took
    });
    let ends = (0..PARTITIONS).filter_map(|index| cluster.end_offset(TOPIC, PartitionId(index)));
    assert_eq!(usize::try_from(ends.map(|end| end.0).sum::<i64>()), Ok(records), "each record once");
    took
}

/// Makes weather until all is done.
fn make(weather: Weather, cluster: &EmbeddedCluster, run: u64, done: &AtomicBool) {
    let over = || done.load(Ordering::Relaxed);
    match weather {
        Weather::Calm => {}
        Weather::Trouble => {
            let mut dice = Dice(run);
            let mut next = Instant::now();
            while !over() {
                refuse(cluster, &mut dice);
                if next <= Instant::now() {
                    next = Instant::now() + Duration::from_millis(50 + dice.throw(201));
                    for index in 0..PARTITIONS {
                        let to = BrokerId(1 + i32::try_from(dice.throw(3)).unwrap_or(0));
                        // It is refused where that node leads already.
                        let _moved = cluster.move_leader(TOPIC, PartitionId(index), Some(to));
                    }
                }
                thread::sleep(Duration::from_micros(200));
            }
        }
        Weather::Restart(part) => {
            thread::sleep(part);
            cluster.stop_node(BrokerId(2));
            thread::sleep(part);
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            runtime.block_on(cluster.start_node(BrokerId(2))).expect("the port is still free");
        }
    }
}

/// Keeps refusals ahead, eight batches apart on average.
fn refuse(cluster: &EmbeddedCluster, dice: &mut Dice) {
    let pending = u32::try_from(cluster.script_pending()).unwrap_or(AHEAD);
    if pending > AHEAD / 2 {
        return;
    }
    for place in pending..AHEAD {
        let code = REFUSALS[usize::try_from(dice.throw(REFUSALS.len() as u64)).unwrap_or(0)];
        let skip = place * 8 + u32::try_from(dice.throw(8)).unwrap_or(0);
        cluster.script(Rule::on(ApiKey::PRODUCE, Reaction::Error(code)).skip(skip));
    }
}

/// splitmix64.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}
