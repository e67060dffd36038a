//! Kafka's own command line tools, and kcat: the eyes that are not ours.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::account::Stored;
use crate::cluster::StoredBatch;

use super::{console, dump};

/// The tools of one release.
#[derive(Clone, Debug)]
pub struct Tools {
    release: String,
}

impl Tools {
    /// Those of a release, as in `4.3.1`; `scripts/kafka` fetches it if it must.
    #[must_use]
    pub fn of(release: &str) -> Self {
        Self { release: release.to_owned() }
    }

    /// Whether the release is at least this one.
    pub(super) fn at_least(&self, major: u32, minor: u32) -> bool {
        let mut numbers = self.release.split('.').map(|number| number.parse::<u32>().expect("a release is numbers"));
        let mut number = || numbers.next().expect("a release has a major and a minor number");
        (number(), number()) >= (major, minor)
    }

    /// Runs a tool and returns what it prints.
    ///
    /// # Panics
    /// If it fails, with all it said.
    #[must_use]
    pub fn run(&self, class: &str, args: &[&str]) -> String {
        printed(class, args, &self.attempt(class, args))
    }

    pub(super) fn attempt(&self, class: &str, args: &[&str]) -> Output {
        script(&["java", &self.release, class]).args(args).output().expect("the script can be run")
    }

    /// What `ConsoleConsumer` shows of the first records of some partitions, `(partition, number of records)`.
    ///
    /// # Panics
    /// If it fails or shows another number of records.
    #[must_use]
    pub fn consume(&self, bootstrap: &str, topic: &str, counts: &[(i32, i64)]) -> Vec<Stored> {
        counts
            .iter()
            .flat_map(|(partition, count)| console::read_partition(self, bootstrap, topic, *partition, *count))
            .collect()
    }

    /// What `DumpLogSegments` shows of a broker's data folder: the batches of one topic.
    ///
    /// # Panics
    /// If it fails or complains about a segment.
    #[must_use]
    pub fn dump(&self, data: &Path, topic: &str, partitions: i32) -> Vec<StoredBatch> {
        let folders = (0..partitions).map(|partition| data.join(format!("{topic}-{partition}")));
        dump::batches(self, folders)
    }
}

/// `scripts/kafka`, about to be run.
pub(super) fn script(args: &[&str]) -> Command {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/kafka"));
    command.args(args).stdin(Stdio::null());
    command
}

/// The output of a program that must not fail.
pub(super) fn printed(program: &str, args: &[&str], output: &Output) -> String {
    let printed = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?} failed: {printed}\n{complaint}");
    printed.into_owned()
}
