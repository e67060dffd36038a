//! Runs the binary, and looks at the cluster that it produced to.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use milena_broker::{EmbeddedCluster, StoredRecord};
use milena_wire::PartitionId;
use serde_json::Value;

/// What a run of the binary left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The one line of JSON on standard output.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Queued, delivered, not written, maybe written.
    pub(crate) fn account(&self) -> [u64; 4] {
        let json = self.json();
        assert!(json["seconds"].is_f64(), "{json}");
        [&json["queued"], &json["delivered"], &json["failed"]["not_written"], &json["failed"]["maybe_written"]]
            .map(|count| count.as_u64().unwrap())
    }
}

pub(crate) fn milena(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_milena"));
    command.args(args).env_remove("RUST_LOG").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it to its end with `input` on standard input.
pub(crate) fn run(args: &[&str], input: &[u8]) -> Ended {
    let mut child = milena(args).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // It may end without reading its input.
        scope.spawn(move || drop(stdin.write_all(input)));
        end(child)
    })
}

/// Waits for its end.
pub(crate) fn end(child: Child) -> Ended {
    let output = child.wait_with_output().unwrap();
    Ended {
        status: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

pub(crate) fn interrupt(child: &Child) {
    signal(child, rustix::process::Signal::INT);
}

pub(crate) fn terminate(child: &Child) {
    signal(child, rustix::process::Signal::TERM);
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    rustix::process::kill_process(rustix::process::Pid::from_child(child), signal).unwrap();
}

/// Reads standard error up to the line that contains `text`.
pub(crate) fn hear(stderr: ChildStderr, text: &str) -> impl Read {
    let mut stderr = BufReader::new(stderr);
    let mut line = String::new();
    while !line.contains(text) {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "it ended without {text:?}");
    }
    stderr
}

pub(crate) fn cluster() -> EmbeddedCluster {
    EmbeddedCluster::builder().start_blocking().unwrap()
}

pub(crate) fn records(cluster: &EmbeddedCluster, topic: &str) -> Vec<StoredRecord> {
    let partitions = i32::try_from(cluster.partition_count(topic).unwrap()).unwrap();
    let batches = (0..partitions).flat_map(|partition| cluster.log(topic, PartitionId(partition)));
    batches.flat_map(|batch| batch.records().unwrap()).collect()
}

pub(crate) fn values(cluster: &EmbeddedCluster, topic: &str) -> Vec<Option<Vec<u8>>> {
    records(cluster, topic).into_iter().map(|record| record.value.map(|value| value.to_vec())).collect()
}

/// Waits for what another process brings about.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(60), "not within a minute: {what}");
        std::thread::yield_now();
    }
}
