//! A real Kafka, run by `scripts/kafka`, and read with Kafka's own tools: no code of ours is between its log and the judge.

mod console;
mod dump;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use milena_wire::message::metadata::MetadataTopic;

use crate::account::Stored;
use crate::bare::{self, Connection};
use crate::cluster::{Cluster, StoredBatch, wait_until};

/// A cluster that `scripts/kafka up` started.
#[derive(Debug)]
pub struct Kafka {
    name: String,
    bootstrap: String,
    nodes: i32,
    version: (u32, u32),
}

impl Kafka {
    /// The cluster that the environment names (`MILENA_KAFKA_NAME`), or the one named `default`.
    ///
    /// # Panics
    /// If it does not run; so do all methods when something goes wrong that a suite did not ask for.
    #[must_use]
    pub fn running() -> Self {
        let name = std::env::var("MILENA_KAFKA_NAME").unwrap_or_else(|_| "default".to_owned());
        let mut kafka = Self { name, bootstrap: String::new(), nodes: 0, version: (0, 0) };
        kafka.bootstrap = kafka.script(&["bootstrap"]).trim().to_owned();
        kafka.nodes = i32::try_from(kafka.bootstrap.split(',').count()).expect("few nodes");
        // "node 1 127.0.0.1:19092 4.3.1: …"
        let status = kafka.script(&["status"]);
        let version = status.split_whitespace().nth(3).expect("a version in the status");
        let mut numbers = version.split('.').map(|n| n.trim_end_matches(':').parse().expect("a number"));
        let mut number = || numbers.next().expect("major and minor");
        kafka.version = (number(), number());
        kafka
    }

    /// The folder with one node's partitions.
    #[must_use]
    pub fn log_dir(&self, node: i32) -> PathBuf {
        PathBuf::from(self.script(&["logdir", &node.to_string()]).trim())
    }

    /// Runs one of Kafka's tools and returns what it prints.
    #[must_use]
    pub fn tool(&self, class: &str, args: &[&str]) -> String {
        let output = self.try_tool(class, args);
        let printed = String::from_utf8(output.stdout).expect("a tool prints UTF-8");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{class} {args:?} failed: {printed}\n{complaint}");
        printed
    }

    fn try_tool(&self, class: &str, args: &[&str]) -> Output {
        self.command(&["tool", class]).args(args).output().expect("the script can be run")
    }

    fn script(&self, args: &[&str]) -> String {
        let output = self.command(args).output().expect("the script can be run");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "scripts/kafka {args:?} failed: {complaint}");
        String::from_utf8(output.stdout).expect("the script prints UTF-8")
    }

    fn command(&self, args: &[&str]) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/kafka");
        let mut command = Command::new(script);
        command.args(["--name", &self.name]).args(args).stdin(Stdio::null());
        command
    }

    /// Moves replicas and waits until they are in place.
    fn move_replicas(&self, topic: &MetadataTopic, name: &str) {
        // Every replica list is rotated, so that each partition gets another leader.
        let partitions = topic.partitions.iter().map(|partition| {
            let mut replicas: Vec<String> = partition.replicas.iter().map(ToString::to_string).collect();
            replicas.rotate_left(1);
            if let Some(free) = self.nodes().iter().map(ToString::to_string).find(|node| !replicas.contains(node)) {
                // Where a node has none yet, one replica moves there.
                let last = replicas.len() - 1;
                replicas[last] = free;
            }
            format!(r#"{{"topic":"{name}","partition":{},"replicas":[{}]}}"#, partition.index, replicas.join(","))
        });
        let plan = format!(r#"{{"version":1,"partitions":[{}]}}"#, partitions.collect::<Vec<_>>().join(","));
        let file = std::env::temp_dir().join(format!("milena-reassign-{}-{name}.json", std::process::id()));
        std::fs::write(&file, plan).expect("the temporary folder can be written");
        let path = file.to_str().expect("a plain path");
        let class = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand";
        let args = ["--bootstrap-server", &self.bootstrap, "--reassignment-json-file", path];
        let _ = self.tool(class, &[&args[..], &["--execute"]].concat());
        wait_until("the reassignment is complete", Duration::from_secs(120), || {
            let output = self.tool(class, &[&args[..], &["--verify"]].concat());
            !output.contains("in progress") && output.contains("complete")
        });
        let _ = std::fs::remove_file(file);
    }
}

impl Cluster for Kafka {
    fn bootstrap(&self) -> String {
        self.bootstrap.clone()
    }

    fn nodes(&self) -> Vec<i32> {
        (1..=self.nodes).collect()
    }

    fn create_topic(&self, topic: &str, partitions: i32, replicas: i16) {
        let replicas = replicas.min(i16::try_from(self.nodes).expect("few nodes"));
        let mut any = Connection::open_any(&self.bootstrap).expect("a broker that answers");
        any.create_topic(topic, partitions, replicas).expect("the topic can be made");
        wait_until("the topic's leaders serve it", Duration::from_secs(30), || {
            // A broker tells of a new leader a little before that leader takes records, and with acks=0 these would be gone.
            self.is_in_sync(topic) && bare::is_served(&self.bootstrap, topic).unwrap_or(false)
        });
    }

    fn read(&self, topic: &str) -> Vec<Stored> {
        console::read(self, topic)
    }

    fn batches(&self, topic: &str) -> Vec<StoredBatch> {
        dump::batches(self, topic)
    }

    fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        bare::leader(&self.bootstrap, topic, partition)
    }

    fn is_in_sync(&self, topic: &str) -> bool {
        bare::is_in_sync(&self.bootstrap, topic)
    }

    fn kill(&self, node: i32) {
        let _ = self.script(&["kill", &node.to_string()]);
    }

    fn shut_down(&self, node: i32) {
        let _ = self.script(&["shutdown", &node.to_string()]);
    }

    fn start(&self, node: i32) {
        let _ = self.script(&["start", &node.to_string()]);
    }

    fn reassign(&self, name: &str) {
        let topic = bare::describe(&self.bootstrap, name).expect("a topic to reassign");
        self.move_replicas(&topic, name);
        let class = "org.apache.kafka.tools.LeaderElectionCommand";
        for partition in &topic.partitions {
            // It fails where the preferred replica leads already.
            let index = partition.index.to_string();
            let args = ["--bootstrap-server", &self.bootstrap, "--election-type", "preferred", "--topic", name];
            let _ = self.try_tool(class, &[&args[..], &["--partition", &index]].concat());
        }
    }
}
