//! `milena bench`: throughput as fast as it goes, or acknowledgement latency at a fixed rate.

mod latency;
mod throughput;

use std::time::Duration;

use milena::Producer;

use crate::options::Settings;
use crate::{Exit, complain, process};

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
    #[arg(long)]
    size: usize,
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
}

pub(crate) fn run(args: &Args) -> Exit {
    let producer = match build(args) {
        Ok(producer) => producer,
        Err(problems) => {
            complain(problems);
            return Exit::Usage;
        }
    };
    let blocking = producer.blocking();
    if let Err(error) = blocking.prepare(&[&args.topic], Duration::from_secs(30)) {
        crate::complain_with_causes(&error);
        return Exit::Failed;
    }
    let cpu_before = process::cpu_time();
    let measured = match args.rate {
        Some(rate) => latency::run(&producer, args, rate),
        None => throughput::run(&producer, args),
    };
    let mut measured = match measured {
        Ok(measured) => measured,
        Err(error) => {
            complain(error);
            return Exit::Failed;
        }
    };
    measured.cpu = process::cpu_time().zip(cpu_before).map(|(after, before)| after.saturating_sub(before));
    // Everything has its outcome already.
    drop(blocking.close(Duration::from_secs(5)));
    print(args, &producer, &measured);
    if measured.failed == 0 { Exit::Whole } else { Exit::Failed }
}

fn build(args: &Args) -> Result<Producer, String> {
    let mut settings = Settings { properties: args.settings.properties.clone(), config: args.settings.config.clone() };
    if let Some(compression) = &args.compression {
        settings.properties.push(format!("compression.type={compression}"));
    }
    if let Some(linger) = args.linger {
        settings.properties.push(format!("linger.ms={linger}"));
    }
    settings.builder(Some(&args.bootstrap))?.build().map_err(|error| error.to_string())
}

/// The same bytes for every run: letters and digits that do not repeat soon, from a fixed seed.
fn payload(size: usize) -> Vec<u8> {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789 ";
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    (0..size)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            LETTERS[usize::try_from(state >> 33).unwrap_or(0) % LETTERS.len()]
        })
        .collect()
}

fn print(args: &Args, producer: &Producer, measured: &Measured) {
    let rate = args.records as f64 / measured.seconds;
    let mib = rate * args.size as f64 / (1024.0 * 1024.0);
    let cpu = measured.cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / args.records as f64);
    let rss = process::peak_rss().map(|bytes| bytes as f64 / (1024.0 * 1024.0));
    if args.json {
        let mut json = serde_json::json!({
            "records": args.records,
            "size": args.size,
            "seconds": measured.seconds,
            "records_per_s": rate.round(),
            "mib_per_s": (mib * 10.0).round() / 10.0,
            "cpu_us_per_record": cpu.map(|cpu| (cpu * 10_000.0).round() / 10_000.0),
            "peak_rss_mib": rss.map(|rss| (rss * 10.0).round() / 10.0),
            "failed": measured.failed,
        });
        if let Some(latency) = measured.latency {
            for (name, value) in ["p50_us", "p99_us", "p999_us", "max_us"].into_iter().zip(latency) {
                json[name] = value.into();
            }
        }
        println!("{json}");
        return;
    }
    println!("{}", producer.config());
    println!("{} records of {} bytes in {:.3} s, {} failed", args.records, args.size, measured.seconds, measured.failed);
    println!("{rate:.0} records/s, {mib:.1} MiB/s");
    if let (Some(cpu), Some(rss)) = (cpu, rss) {
        println!("{cpu:.4} us of CPU per record, {rss:.1} MiB resident at most");
    }
    if let Some([p50, p99, p999, max]) = measured.latency {
        println!("latency: p50 {p50} us, p99 {p99} us, p99.9 {p999} us, max {max} us");
    }
}
