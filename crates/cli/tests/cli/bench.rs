//! `milena bench`: what it prints is what scripts read.

use milena_broker::{Reaction, Rule};
use milena_wire::{ApiKey, ErrorCode};

use crate::kit::{cluster, records, run};

const FIELDS: [&str; 4] = ["records_per_s", "mib_per_s", "cpu_us_per_record", "peak_rss_mib"];
const LATENCIES: [&str; 4] = ["p50_us", "p99_us", "p999_us", "max_us"];

#[test]
fn throughput_is_measured_and_every_record_is_on_the_log() {
    let cluster = cluster();
    let args = [
        "bench",
        "--topic",
        "t",
        "--bootstrap",
        &cluster.bootstrap(),
        "--records",
        "10001",
        "--size",
        "100",
        "--threads",
        "3",
        "--compression",
        "lz4",
        "--linger",
        "1",
        "-X",
        "acks=all",
        "--json",
    ];
    let ended = run(&args, b"");
    let json = ended.json();
    assert_eq!((ended.status, json["failed"].as_u64()), (Some(0), Some(0)), "{ended:?}");
    for field in FIELDS {
        assert!(json[field].as_f64().is_some_and(|value| value > 0.0), "{field}: {json}");
    }
    assert!(json.get("p50_us").is_none(), "{json}");
    let records = records(&cluster, "t");
    assert_eq!(records.len(), 10_001);
    assert!(records.iter().all(|record| record.value.as_ref().is_some_and(|value| value.len() == 100)));
}

#[test]
fn at_a_rate_latency_counts_from_when_a_record_was_due() {
    let cluster = cluster();
    cluster.create_topic("t", 1, 1).unwrap();
    // The first answer comes late, so the records that are due meanwhile wait behind it.
    cluster.script(Rule::on(ApiKey::PRODUCE, Reaction::DelayAnswer(std::time::Duration::from_millis(300))));
    let args = [
        "bench",
        "--topic",
        "t",
        "--bootstrap",
        &cluster.bootstrap(),
        "--records",
        "200",
        "--size",
        "10",
        "--rate",
        "500",
        "--threads",
        "2",
        "--linger",
        "0",
        "-X",
        "max.in.flight=1",
        "--json",
    ];
    let ended = run(&args, b"");
    let json = ended.json();
    assert_eq!((ended.status, json["failed"].as_u64()), (Some(0), Some(0)), "{ended:?}");
    assert!(FIELDS.iter().all(|field| json[field].is_number()), "{json}");
    let [p50, p99, p999, max] = LATENCIES.map(|field| json[field].as_u64().unwrap());
    assert!(p50 <= p99 && p99 <= p999 && p999 <= max, "{json}");
    assert!(max >= 290_000, "{json}");
    // Three quarters of the records are due while the answer is awaited.
    assert!(p50 >= 50_000, "{json}");
    // 200 records at 500 a second take 0.4 s whatever the cluster does.
    assert!(json["seconds"].as_f64().unwrap() >= 0.398, "{json}");
}

#[test]
fn failed_records_are_counted_and_end_it_with_status_one() {
    let cluster = cluster();
    cluster.create_topic("t", 1, 1).unwrap();
    for rate in [&[][..], &["--rate", "100000"]] {
        cluster.clear_script();
        cluster.script(Rule::on(ApiKey::PRODUCE, Reaction::Error(ErrorCode::TOPIC_AUTHORIZATION_FAILED)).always());
        let bootstrap = cluster.bootstrap();
        let args = ["bench", "--topic", "t", "--bootstrap", &bootstrap, "--records", "50", "--size", "10", "--json"];
        let ended = run(&[&args[..], rate].concat(), b"");
        assert_eq!((ended.status, ended.json()["failed"].as_u64()), (Some(1), Some(50)), "{ended:?}");
        assert!(ended.stderr.contains("TOPIC_AUTHORIZATION_FAILED"), "{ended:?}");
    }
}

#[test]
fn records_above_the_limit_fail_and_the_others_are_not_waited_for_in_vain() {
    let cluster = cluster();
    for rate in [&[][..], &["--rate", "1000"]] {
        let bootstrap = cluster.bootstrap();
        let args =
            ["bench", "--topic", "t", "--bootstrap", &bootstrap, "--records", "2", "--size", "2000000", "--json"];
        let ended = run(&[&args[..], rate].concat(), b"");
        assert_eq!((ended.status, ended.json()["failed"].as_u64()), (Some(1), Some(2)), "{ended:?}");
    }
}
