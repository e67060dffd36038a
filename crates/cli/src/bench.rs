//! `milena bench`: throughput as fast as it goes, or acknowledgement latency at a fixed rate.

mod latency;
mod throughput;

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use milena::Producer;
use parking_lot::{Condvar, Mutex};

use crate::options::Settings;
use crate::{Exit, complain, complain_with_causes, process, say};

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Where the cluster is: host:port, several separated by commas
    #[arg(long, value_name = "HOST:PORT[,...]")]
    bootstrap: String,
    /// The topic to produce to
    #[arg(long)]
    topic: String,
    /// How many records
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    records: u64,
    /// Bytes of each value
    #[arg(long, value_parser = clap::value_parser!(u32).range(..=1 << 30))]
    size: u32,
    /// none, gzip, snappy, lz4 or zstd
    #[arg(long)]
    compression: Option<String>,
    /// linger.ms
    #[arg(long, value_name = "MS")]
    linger: Option<u64>,
    /// Records per second; without it, as fast as it goes
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    rate: Option<u64>,
    /// Threads that produce
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
    #[command(flatten)]
    settings: Settings,
    /// Print the result as JSON on standard output
    #[arg(long)]
    json: bool,
}

/// What was measured.
#[derive(Debug, Default)]
struct Measured {
    seconds: f64,
    cpu: Option<Duration>,
    failed: u64,
    /// p50, p99, p99.9 and the largest, in microseconds.
    latency: Option<[u64; 4]>,
    /// How late the calls were made that produce: p50 and p99, in microseconds.
    late: Option<[u64; 2]>,
}

/// What became of the records, and the first thing that went wrong.
#[derive(Debug, Default)]
struct Heard {
    state: Mutex<Settled>,
    progressed: Condvar,
}

#[derive(Debug, Default)]
struct Settled {
    records: u64,
    failed: u64,
}

impl Heard {
    fn delivered(&self, records: u64) {
        self.state.lock().records += records;
        self.progressed.notify_all();
    }

    /// These failed, or were not even taken.
    fn failed(&self, records: u64, why: &impl Display) {
        let mut state = self.state.lock();
        if state.failed == 0 {
            complain(format_args!("records failed, the first because: {why}"));
        }
        state.records += records;
        state.failed += records;
        self.progressed.notify_all();
    }

    /// Waits until `records` have their outcome; tells how many of them failed.
    fn wait(&self, records: u64) -> u64 {
        let mut state = self.state.lock();
        while state.records < records {
            self.progressed.wait(&mut state);
        }
        state.failed
    }
}

pub(crate) fn run(args: &Args) -> Exit {
    let heard = Arc::new(Heard::default());
    let listener = Arc::new(latency::Listener::new(Arc::clone(&heard)));
    let producer = match build(args, latency::Ear(Arc::clone(&listener))) {
        Ok(producer) => producer,
        Err(problems) => {
            complain(problems);
            return Exit::Usage;
        }
    };
    let blocking = producer.blocking();
    if let Err(error) = blocking.prepare(&[&args.topic], args.settings.connect_timeout()) {
        complain_with_causes(&error);
        return Exit::Failed;
    }
    let cpu_before = process::cpu_time();
    let mut measured = match args.rate {
        Some(rate) => latency::run(&producer, args, rate, &listener),
        None => throughput::run(&producer, args, &heard),
    };
    measured.cpu = process::cpu_time().zip(cpu_before).map(|(after, before)| after.saturating_sub(before));
    // Everything has its outcome already.
    drop(blocking.close(Duration::from_secs(5)));
    print(args, &producer, &measured);
    if measured.failed == 0 { Exit::Whole } else { Exit::Failed }
}

fn build(args: &Args, ear: latency::Ear) -> Result<Producer, String> {
    let mut settings = args.settings.clone();
    if let Some(compression) = &args.compression {
        settings.properties.push(format!("compression.type={compression}").into());
    }
    if let Some(linger) = args.linger {
        settings.properties.push(format!("linger.ms={linger}").into());
    }
    settings.builder(Some(&args.bootstrap), None)?.delivery_handler(ear).build().map_err(|error| error.to_string())
}

/// Values: windows of one text of letters and digits from a fixed seed. Each run produces the same ones, and they differ, so
/// that a codec has something to do.
struct Payload {
    text: Vec<u8>,
    size: usize,
}

impl Payload {
    /// Where a window may begin; with it the text fits a core's own cache, so that reading it costs little.
    const STARTS: usize = 64 * 1024;

    fn new(size: usize) -> Self {
        const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789 ";
        let mut state = 0x9E37_79B9_7F4A_7C15u64;
        let text = (0..Self::STARTS.saturating_add(size))
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                LETTERS[usize::try_from(state >> 33).unwrap_or(0) % LETTERS.len()]
            })
            .collect();
        Self { text, size }
    }

    fn of(&self, record: u64) -> &[u8] {
        // An odd step visits every start before it repeats one.
        let start = usize::try_from(record.wrapping_mul(40_503) % Self::STARTS as u64).unwrap_or(0);
        &self.text[start..start + self.size]
    }
}

fn print(args: &Args, producer: &Producer, measured: &Measured) {
    let rate = args.records as f64 / measured.seconds;
    let mib = rate * f64::from(args.size) / (1024.0 * 1024.0);
    let cpu = measured.cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / args.records as f64);
    let rss = process::peak_rss().map(|bytes| bytes as f64 / (1024.0 * 1024.0));
    if args.json {
        let mut json = serde_json::json!({
            "records": args.records,
            "size": args.size,
            "seconds": measured.seconds,
            "records_per_s": rate.round(),
            "mib_per_s": (mib * 1_000.0).round() / 1_000.0,
            "cpu_us_per_record": cpu.map(|cpu| (cpu * 10_000.0).round() / 10_000.0),
            "peak_rss_mib": rss.map(|rss| (rss * 10.0).round() / 10.0),
            "failed": measured.failed,
        });
        if let Some(latency) = measured.latency {
            for (name, value) in ["p50_us", "p99_us", "p999_us", "max_us"].into_iter().zip(latency) {
                json[name] = value.into();
            }
        }
        if let Some(late) = measured.late {
            for (name, value) in ["generator_late_p50_us", "generator_late_p99_us"].into_iter().zip(late) {
                json[name] = value.into();
            }
        }
        say(json);
        return;
    }
    say(producer.config());
    let Measured { seconds, failed, .. } = measured;
    say(format_args!("{} records of {} bytes in {seconds:.3} s, {failed} failed", args.records, args.size));
    say(format_args!("{rate:.0} records/s, {mib:.1} MiB/s"));
    if let (Some(cpu), Some(rss)) = (cpu, rss) {
        say(format_args!("{cpu:.4} us of CPU per record, {rss:.1} MiB resident at most"));
    }
    if let Some([p50, p99, p999, max]) = measured.latency {
        say(format_args!(
            "latency: p50 {p50} us, p99 {p99} us, p99.9 {p999} us, max {max} us, from when a record was due"
        ));
    }
    if let Some([p50, p99]) = measured.late {
        say(format_args!("of which records were produced late: p50 {p50} us, p99 {p99} us"));
    }
}
