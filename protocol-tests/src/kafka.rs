//! A real Kafka, run by `scripts/kafka`, and read with Kafka's own tools: no code of ours is between its log and the judge.

mod console;
mod dump;
mod kcat;
mod tools;

use std::path::PathBuf;
use std::time::Duration;

use milena_wire::message::metadata::MetadataTopic;

use crate::account::Stored;
use crate::bare::{self, Connection};
use crate::cluster::{Cluster, StoredBatch, wait_until};

const LIMIT: Duration = Duration::from_secs(120);

pub use kcat::{kcat, kcat_consume};
pub use tools::Tools;

/// A cluster that `scripts/kafka up` started.
#[derive(Debug)]
pub struct Kafka {
    name: String,
    bootstrap: String,
    nodes: i32,
    tools: Tools,
}

impl Kafka {
    /// The cluster that the environment names (`MILENA_KAFKA_NAME`), or the one named `default`.
    ///
    /// # Panics
    /// If it does not run; so do all methods when something goes wrong that a suite did not ask for.
    #[must_use]
    pub fn running() -> Self {
        let name = std::env::var("MILENA_KAFKA_NAME").unwrap_or_else(|_| "default".to_owned());
        let mut kafka = Self { name, bootstrap: String::new(), nodes: 0, tools: Tools::of("0.0") };
        kafka.bootstrap = kafka.script(&["bootstrap"]).trim().to_owned();
        kafka.nodes = i32::try_from(kafka.bootstrap.split(',').count()).expect("few nodes");
        // "node 1 127.0.0.1:19092 4.3.1: …"
        let status = kafka.script(&["status"]);
        kafka.tools =
            Tools::of(status.split_whitespace().nth(3).expect("a version in the status").trim_end_matches(':'));
        kafka
    }

    /// The folder with one node's partitions.
    #[must_use]
    pub fn log_dir(&self, node: i32) -> PathBuf {
        PathBuf::from(self.script(&["logdir", &node.to_string()]).trim())
    }

    /// Has the preferred replica of each partition lead it again.
    pub fn elect_preferred(&self, topic: &str) {
        let partitions = bare::describe(&self.bootstrap, topic).map_or(0, |topic| topic.partitions.len());
        let list = (0..partitions).map(|partition| format!(r#"{{"topic":"{topic}","partition":{partition}}}"#));
        let plan = format!(r#"{{"partitions":[{}]}}"#, list.collect::<Vec<_>>().join(","));
        let file = written("elect", topic, &plan);
        let path = file.to_str().expect("a plain path");
        let args = ["--bootstrap-server", &self.bootstrap, "--election-type", "preferred", "--path-to-json-file", path];
        // It fails if the preferred replicas lead already.
        let _ = self.tools.attempt("org.apache.kafka.tools.LeaderElectionCommand", &args);
        let _ = std::fs::remove_file(file);
    }

    fn script(&self, args: &[&str]) -> String {
        let args = [&["--name", &self.name], args].concat();
        let output = tools::script(&args).output().expect("the script can be run");
        tools::printed("scripts/kafka", &args, &output)
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
        let file = written("reassign", name, &plan);
        let path = file.to_str().expect("a plain path");
        let class = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand";
        let args = ["--bootstrap-server", &self.bootstrap, "--reassignment-json-file", path];
        let _ = self.tools.run(class, &[&args[..], &["--execute"]].concat());
        wait_until("the reassignment is complete", Duration::from_secs(120), || {
            let output = self.tools.run(class, &[&args[..], &["--verify"]].concat());
            !output.contains("in progress") && output.contains("complete")
        });
        let _ = std::fs::remove_file(file);
    }
}

/// A temporary file for one of Kafka's tools.
fn written(what: &str, topic: &str, plan: &str) -> PathBuf {
    let file = std::env::temp_dir().join(format!("milena-{what}-{}-{topic}.json", std::process::id()));
    std::fs::write(&file, plan).expect("the temporary folder can be written");
    file
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
        // A node that was slow for some seconds counts as dead for a moment, and there are too few for the replicas.
        let mut tried = false;
        wait_until("the topic can be made", LIMIT, || {
            // An attempt that was not answered well may have made it all the same.
            let there = tried && bare::describe(&self.bootstrap, topic).is_some();
            tried = true;
            let mut any = Connection::open_any(&self.bootstrap).expect("a broker that answers");
            let mut make =
                || any.create_topic(topic, partitions, replicas).inspect_err(|refusal| println!("{refusal}"));
            there || make().is_ok()
        });
        wait_until("the topic's leaders serve it", LIMIT, || {
            // A broker tells of a new leader a little before that leader takes records, and with acks=0 these would be gone.
            self.is_in_sync(topic) && bare::is_served(&self.bootstrap, topic).unwrap_or(false)
        });
    }

    fn read(&self, topic: &str) -> Vec<Stored> {
        console::read(&self.tools, &self.bootstrap, topic)
    }

    fn batches(&self, topic: &str) -> Vec<StoredBatch> {
        let metadata = bare::describe(&self.bootstrap, topic).expect("a topic to look at");
        // A leader's log is the whole one.
        let folders = metadata.partitions.iter().map(|partition| {
            let leader = self.leader(topic, partition.index.0).expect("a partition with a leader");
            self.log_dir(leader).join(format!("{topic}-{}", partition.index))
        });
        dump::batches(&self.tools, folders)
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

    fn freeze(&self, node: i32) {
        let _ = self.script(&["stop", &node.to_string()]);
    }

    fn depose(&self, node: i32, topic: &str) {
        // A frozen node still takes connections, so it must not be asked.
        let others = (1..).zip(self.bootstrap.split(',')).filter(|(other, _)| *other != node);
        let others = others.map(|(_, address)| address).collect::<Vec<_>>().join(",");
        wait_until("the frozen node leads nothing", Duration::from_secs(60), || {
            bare::describe(&others, topic).is_some_and(|topic| {
                topic.partitions.iter().all(|partition| partition.leader.0 >= 0 && partition.leader.0 != node)
            })
        });
    }

    fn resume(&self, node: i32) {
        let _ = self.script(&["cont", &node.to_string()]);
    }

    fn reassign(&self, name: &str) {
        let topic = bare::describe(&self.bootstrap, name).expect("a topic to reassign");
        self.move_replicas(&topic, name);
        self.elect_preferred(name);
    }
}
